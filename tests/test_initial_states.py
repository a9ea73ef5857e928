"""Initial values of state variables that differ from neuron to neuron; and which population is the output."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import ms, mV

import brianlearn as bl
from brianlearn.errors import EquationError, ShapeError, SpecError
from brianlearn.training.serialise import from_dict, to_dict
from brianlearn.training.verify import verify

torch = pytest.importorskip("torch")

T, N = 12, 6
START = np.linspace(0.0, 0.95, N)


def spec_of(start: Any = START, timing: str = "same_step", **options: Any) -> bl.NetworkSpec:
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (4,), bl.Spikes()),
            bl.Population("a", N, bl.LIF(tau_m=20 * ms, initial=dict(v=start), **options)),
        ],
        projections=[bl.Projection("in_a", "input", "a"), bl.Projection("a_a", "a", "a", delay=1 * ms)],
        duration=T * ms,
        timing=timing,
        output="a",
    )


def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"in_a": rng.normal(0.2, 0.4, (N, 4)), "a_a": rng.normal(0, 0.4, (N, N))}


def given() -> np.ndarray:
    return (np.random.default_rng(1).random((2, T, 4)) < 0.3).astype(float)


def events() -> bl.Events:
    return bl.Events.from_dense(given(), axes="BTN")


def by_hand(spec: bl.NetworkSpec) -> np.ndarray:
    """Spikes (2, T, N) of a leaky neuron that hears spikes of this step, and its own of the step before."""
    w, found = weights(), np.zeros((2, T, N))
    for k, x in enumerate(given()):
        v, before = START.copy(), np.zeros(N)
        for t in range(T):
            arrived = w["in_a"] @ x[t] + w["a_a"] @ before
            v = np.exp(-1 / 20) * (v + (arrived if spec.timing == "same_step" else 0.0))
            before = found[k, t] = (v > 1).astype(float)
            if spec.timing == "brian2":  # what arrives now was fired a step ago; delivered before the reset
                v = v + w["in_a"] @ x[t] + w["a_a"] @ (found[k, t - 1] if t else np.zeros(N))
            v = np.where(before > 0, 0.0, v)
    return found


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
def test_each_neuron_starts_where_it_says(timing: str) -> None:
    spec = spec_of(timing=timing)
    assert spec.output == "a"
    expected = by_hand(spec)
    assert expected.any(axis=(0, 1)).sum() >= N - 1
    again = from_dict(to_dict(spec))
    assert again.output == "a" and np.array_equal(again.neurons[0].neuron.initial["v"], START)
    for engine in (
        bl.Brian(device="numpy"),
        bl.Discrete(),
        bl.Discrete(kernels=False),
        bl.Discrete(checkpoint_steps=5),
    ):
        learner = bl.Learner(
            again,
            bl.STBP(bl.Hamming()) if isinstance(engine, bl.Discrete) else None,
            engine=engine,
            dtype="float64",
            batch_size=2,
        )
        found = learner.infer(learner.init(weights()), bl.Samples(events()), record=("spikes",)).spikes["a"]
        np.testing.assert_array_equal(found.dense(), expected)


def test_plain_brian2_starts_there_too() -> None:
    from brian2 import SpikeMonitor

    spec = spec_of(timing="brian2")
    network = bl.to_brian2(spec, weights(), bl.Samples(events()[:1]))
    monitor = SpikeMonitor(network["a"])
    network.add(monitor)
    network.run(spec.duration)
    steps = np.round(np.asarray(monitor.t) / 1e-3).astype(int)
    assert sorted(zip(steps, np.asarray(monitor.i), strict=True)) == [tuple(x) for x in np.argwhere(by_hand(spec)[0])]


def test_plain_brian2_refuses_inputs_of_another_kind() -> None:
    with pytest.raises(bl.errors.DataError, match="inputs and encoder do not fit"):
        bl.to_brian2(spec_of(timing="brian2"), weights(), bl.Samples(given()[:1]))


def test_neurons_of_a_convolution_keep_their_places() -> None:
    """Kernels have channels last in memory; a chain, on both engines, step by step and at once."""
    start = np.random.default_rng(3).random((2, 4, 4))
    neuron = bl.CubaLIF(R=4.0, initial=dict(v=start))
    spec = bl.NetworkSpec(
        bl.Input((1, 6, 6)), [bl.Conv(2, 3, neuron), bl.Dense(5, bl.CubaLIF(R=4.0))], bl.Readout(3), duration=T * ms
    )
    x = bl.Samples(np.random.default_rng(4).random((3, 1, 6, 6)), np.array([0, 1, 2]))
    start_weights = bl.Learner(spec, engine="discrete", device="cpu").init().weights
    assert verify(spec, start_weights, x, device="numpy").agrees
    for rule in (bl.DALTON(), bl.DALTON(update="step")):
        found = []
        for engine in (bl.Brian(device="numpy"), bl.Discrete()):
            size = 1 if rule.update == "step" else 3
            learner = bl.Learner(spec, rule, bl.SGD(0.01), engine=engine, dtype="float64", batch_size=size)
            found.append(learner.learn(learner.init(start_weights), x)[0].weights)
        for name, w in found[0].items():
            np.testing.assert_allclose(found[1][name], w, rtol=0, atol=1e-12, err_msg=name)


BAD = {
    "number": (ShapeError, lambda: spec_of(np.zeros(N + 1)), "one initial value per neuron"),
    "finite": (SpecError, lambda: bl.LIF(initial=dict(v=[0.0, np.nan])), "initial value of 'v' is wrong"),
    "name": (
        EquationError,
        lambda: bl.LIF(
            initial=dict(v=START),
            equations="dv/dt = (initial_v - v)/tau_m : 1",
            constants=dict(initial_v=1, tau_m=9 * ms),
        ),
        "holds the initial values",
    ),
    "unit": (bl.errors.UnitError, lambda: bl.LIF(initial=dict(v=START * mV)), "wrong unit"),
    "output": (
        SpecError,
        lambda: bl.NetworkSpec(
            populations=spec_of().populations, projections=spec_of().projections, duration=T * ms, output="b"
        ),
        "no population that can be it",
    ),
    "chain": (
        SpecError,
        lambda: bl.NetworkSpec(
            bl.Input((4,)), [bl.Dense(3, bl.LIF())], bl.Readout(2), duration=T * ms, output="dense1"
        ),
        "output belongs to",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_named(what: str) -> None:
    error, make, text = BAD[what]
    with pytest.raises(error, match=text):
        make()


@pytest.mark.slow
@pytest.mark.cpp_standalone
def test_standalone_starts_there_with_one_build() -> None:
    for start in (START, START[::-1]):
        spec = spec_of(start)
        found = []
        for engine in (bl.Brian(device="cpp_standalone"), bl.Discrete()):
            learner = bl.Learner(spec, engine=engine, dtype="float64")
            state = learner.init(weights())
            found.append(learner.infer(state, bl.Samples(events()), record=("spikes",)).spikes["a"].dense())
        np.testing.assert_array_equal(*found)
