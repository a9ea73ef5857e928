"""A network as a function: against plain numpy, against the learner, across engines."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Hz, ms

import brianlearn as bl
from brianlearn.study.simulation import Simulation

LIF = bl.Neuron("dv/dt = -v/tau_m : 1", "v > 1", "v = 0", "v", constants=dict(tau_m=10 * ms))


def _driven(n_steps: int = 200) -> bl.NetworkSpec:
    return bl.NetworkSpec(bl.Input((1,), bl.DirectCurrent()), [bl.Dense(1, LIF)], None, duration=n_steps * ms)


def _by_hand(drive: float, tau: float, n_steps: int) -> list[int]:
    """Steps in which a leaky neuron fires that receives ``drive`` in every step and then decays."""
    v, fired = 0.0, []
    for step in range(n_steps):
        v = (v + drive) * np.exp(-1.0 / tau)
        if v > 1.0:
            fired.append(step)
            v = 0.0
    return fired


@pytest.mark.parametrize("device", ["numpy", "cpu", pytest.param("cpp_standalone", marks=pytest.mark.cpp_standalone)])
def test_currents_and_time_constants_against_a_loop(device: str) -> None:
    if device == "cpu":
        pytest.importorskip("torch")
    f = bl.simulate(_driven(), device=device)
    drives, taus = [0.05, 0.11, 0.3, 0.7], [5.0, 10.0, 23.0]
    found = f(weights={"dense1": [[1.0]]}, inputs=np.array(drives)[:, None], tau_m=taus * ms)
    assert found.shape == (3, 4)
    for a, tau in enumerate(taus):
        for b, drive in enumerate(drives):
            expected = _by_hand(drive, tau, 200)
            np.testing.assert_allclose(np.asarray(found.times("dense1", (a, b), 0)) * 1e3, expected, atol=1e-9)
            assert float(found.rates["dense1"][a, b, 0] / Hz) == pytest.approx(len(expected) / 0.2)
            gaps = np.diff(expected)
            cv = np.std(gaps) / np.mean(gaps) if len(gaps) > 1 else np.nan
            np.testing.assert_allclose(found.cv("dense1")[a, b, 0], cv, atol=1e-12)


def test_a_shorter_duration_is_the_beginning_of_a_longer_one() -> None:
    f = bl.simulate(_driven(), device="numpy")
    arguments: dict[str, Any] = dict(weights={"dense1": [[1.0]]}, inputs=[[0.3]])
    whole, part = f(**arguments), f(**arguments, duration=70 * ms)
    late = np.asarray(whole.times("dense1", (0,), 0)) < 0.07 - 1e-9
    expected = np.asarray(whole.times("dense1", (0,), 0))[late]
    np.testing.assert_array_equal(np.asarray(part.times("dense1", (0,), 0)), expected)
    assert float(part.duration) == pytest.approx(0.07)
    with pytest.raises(bl.SpecError, match="at most"):
        f(duration=300 * ms)
    with pytest.raises(bl.UnitError):
        f(duration=70)


@pytest.fixture(scope="module")
def random_spec() -> bl.NetworkSpec:
    neuron = bl.CubaLIF(tau_m=10 * ms, tau_s=5 * ms, R=4.0)
    layers = [bl.Dense(6, neuron), bl.Dense(5, neuron)]
    return bl.NetworkSpec(bl.Input((4,), bl.PoissonEncoder()), layers, bl.Readout(3), duration=40 * ms)


@pytest.mark.slow
def test_seeds_and_weights_are_axes(random_spec: bl.NetworkSpec) -> None:
    f = bl.simulate(random_spec, device="numpy", record=("spikes", "readout"))
    inputs = np.random.default_rng(0).uniform(0.2, 0.9, (3, 4))
    drawn = f(inputs=inputs, seed=[1, 2])
    assert drawn.shape == (2, 3)
    assert drawn.readout is not None
    assert drawn.readout.shape == (2, 3, 40, 3)
    for k, seed in enumerate((1, 2)):  # what a learner of this seed does
        learner = bl.Learner(random_spec, device="numpy", dtype="float64", seed=seed)
        activity = learner.infer(learner.init(), bl.Samples(inputs), record=("spikes", "readout"))
        np.testing.assert_array_equal(drawn.readout[k], activity.readout)
        assert drawn.counts["dense2"][k].sum() == len(activity.spikes["dense2"])
    weights = [bl.learning.initial_weights(random_spec, None, s) for s in (7, 8)]
    given = f(inputs=inputs, seed=[1, 2, 3], weights=weights)
    assert given.shape == (2, 3, 3)
    for a, own in enumerate(weights):
        for b, seed in enumerate((1, 2, 3)):
            alone = f(inputs=inputs, seed=seed, weights=own)
            np.testing.assert_array_equal(given.counts["dense1"][a, b], alone.counts["dense1"])
            np.testing.assert_array_equal(given.counts["input"][a, b], alone.counts["input"])
    assert not np.array_equal(given.counts["input"][0, 0], given.counts["input"][0, 1])


def test_a_value_for_each_neuron_and_paths(random_spec: bl.NetworkSpec) -> None:
    f = bl.simulate(random_spec, device="numpy")
    inputs = np.full((1, 4), 0.8)
    own = np.linspace(5, 30, 6)
    found = f({"dense1.neuron.tau_m": [own, own[::-1]] * ms}, inputs=inputs)
    assert found.shape == (2, 1)
    spec = bl.NetworkSpec(
        random_spec.input,
        [bl.Dense(6, random_spec.layers[0].neuron.with_constants(tau_m=own[::-1] * ms)), random_spec.layers[1]],
        bl.Readout(3),
        duration=40 * ms,
    )
    alone = bl.simulate(spec, device="numpy")(inputs=inputs)
    np.testing.assert_array_equal(found.counts["dense1"][1], alone.counts["dense1"])
    with pytest.raises(bl.SpecError, match="did you mean tau_m"):
        f(tau_mm=[1, 2] * ms)


def test_synchrony_of_known_trains() -> None:
    spec = bl.NetworkSpec(bl.Input((50,), bl.Spikes()), [bl.Dense(2, LIF)], None, duration=400 * ms)
    f = bl.simulate(spec, device="numpy")
    rng = np.random.default_rng(3)
    together = np.repeat(rng.random((1, 400, 1)) < 0.1, 50, axis=2)
    alone = rng.random((1, 400, 50)) < 0.1
    (step, neuron), (step_2, neuron_2) = (np.nonzero(dense[0]) for dense in (together, alone))
    made = bl.Events(
        np.concatenate([step, step_2]),
        np.concatenate([neuron, neuron_2]),
        np.array([0, len(step), len(step) + len(step_2)]),
        (50,),
    )
    found = f(inputs=made)
    one, two = found.synchrony("input", 4 * ms)
    assert one == pytest.approx(1.0)
    counts = alone[0].reshape(100, 4, 50).sum(axis=1)
    assert two == pytest.approx(np.sqrt(counts.mean(axis=1).var() / counts.var(axis=0).mean()))
    assert two < 0.25


@pytest.mark.cpp_standalone
def test_one_program_serves_all_calls(
    random_spec: bl.NetworkSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    from brianlearn.brian.cpp.building import counting_builds

    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path))
    inputs = np.random.default_rng(0).uniform(0.2, 0.9, (2, 4))
    with counting_builds() as builds:
        f = bl.simulate(random_spec, device="cpp_standalone", workers=2)
        found = f(inputs=inputs, tau_m=[5, 10, 20] * ms, tau_s=[2, 5] * ms, seed=range(2))
        f(inputs=inputs[:1], weights=bl.learning.initial_weights(random_spec, None, 3), seed=9)
    assert len(builds) == 1
    expected = bl.simulate(random_spec, device="numpy")(
        inputs=inputs, tau_m=[5, 10, 20] * ms, tau_s=[2, 5] * ms, seed=range(2)
    )
    assert found.shape == (3, 2, 2, 2)
    for name, raster in expected.spikes.items():
        for part in ("trial", "step", "neuron"):
            np.testing.assert_array_equal(getattr(found.spikes[name], part), getattr(raster, part))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda f: f(seed=-1), "seed is wrong"),
        (lambda f: f(seed=[0.5]), "seed is wrong"),
        (lambda f: f(weights=3), "weights are of the wrong type"),
        (lambda f: f(weights={"dense9": [[1.0]]}), "dense9"),
        (lambda f: f(inputs=np.zeros((2, 5))), "do not fit"),
        (lambda f: f(tau_m=[]), "no values"),
        (lambda f: f(tau_m=[1.0, 2.0]), "unit"),
    ],
)
def test_wrong_calls_are_named(call: Any, text: str, random_spec: bl.NetworkSpec) -> None:
    f: Simulation = bl.simulate(random_spec, device="numpy")
    with pytest.raises(bl.BrianLearnError, match=text):
        call(f)
