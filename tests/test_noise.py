"""Neurons with noise: the same seed fires the same spikes, on every device and however the samples are grouped."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from brian2 import ms, prefs
from scipy import stats
from test_export import check_export

import brianlearn as bl
from brianlearn.brian import engine
from brianlearn.brian.build import noise, seeded
from brianlearn.brian.describe import describe
from brianlearn.errors import RuleError, SpecError
from brianlearn.training.learner import Learner

DECAY = "dv/dt = (I - v)/tau : 1\ndI/dt = -I/(5*ms) : 1"


def neuron(equations: str, threshold: str = "v > 1", reset: str = "v = 0", **options: Any) -> bl.Neuron:
    fields = dict(input="I", constants=dict(tau=10 * ms), weight_unit=3.0) | options
    return bl.Neuron(equations, threshold=threshold, reset=reset, **fields)


#: A neuron for each place and kind of noise.
NEURONS = {
    "euler": neuron("dv/dt = (I - v)/tau + 0.5*xi*tau**-0.5 : 1\ndI/dt = -I/(5*ms) : 1"),
    "multiplicative": neuron(
        "dv/dt = (I - v)/tau + 0.5*(1 + v)*xi_1*tau**-0.5 : 1\ndI/dt = -I/(5*ms) + 0.2*xi_2*tau**-0.5: 1", method="heun"
    ),
    "refractory": neuron(
        "dv/dt = (I - v)/tau + 0.5*xi*tau**-0.5 : 1 (unless refractory)\ndI/dt = -I/(5*ms) : 1", refractory=3 * ms
    ),
    "rand": neuron("dv/dt = (I + 2*rand() - v)/tau : 1\ndI/dt = -I/(5*ms) : 1", method="rk2"),
    "poisson": neuron("dv/dt = (I + 0.05*poisson(12 + 20*v) - v)/tau : 1\ndI/dt = -I/(5*ms) : 1", method="euler"),
    "rare": neuron("dv/dt = (I + poisson(0.7) - v)/tau : 1\ndI/dt = -I/(5*ms) : 1", method="euler"),
    "reset": neuron(DECAY, reset="v = 0.3*randn() + 0.1*rand()"),
    "threshold": neuron(DECAY, threshold="v > 0.8 + 0.5*rand() + 0.1*randn()"),
    "other-side": neuron(DECAY, threshold="0.8 + 0.5*rand() < v + 0.1*randn()"),
    "held": neuron(
        DECAY + "\ntheta = 1 + 0.3*randn() : 1 (constant over dt)\nlow = -rand() : 1 (constant over dt)",
        threshold="v > theta",
        reset="v = low",
    ),
}


def spec_of(*neurons: bl.Neuron, **options: Any) -> bl.NetworkSpec:
    layers = [bl.Dense(20, n, weights=bl.Normal(2.0)) for n in neurons]
    fields = dict(input=bl.Input((9,), bl.IntegrateAndFireEncoder(0.4)), layers=layers, readout=bl.Readout(3))
    return bl.NetworkSpec(**(fields | dict(duration=25 * ms) | options))  # type: ignore[arg-type]


def samples(n: int = 6) -> bl.Samples:
    rng = np.random.default_rng(0)
    return bl.Samples(rng.uniform(0, 1, (n, 9)), np.arange(n) % 3)


def rasters(spec: bl.NetworkSpec, device: str = "numpy", given: Any = None, **options: Any) -> dict[str, np.ndarray]:
    """Spikes of all layers, (n, T, neurons)."""
    learner = Learner(spec, device=device, **(dict(dtype="float64", seed=5) | options))
    start = Learner(spec, device="numpy", seed=1).init()
    state = dataclasses.replace(start, seed=learner.init().seed)
    fired = learner.infer(state, samples() if given is None else given, record="spikes").spikes
    return {name: raster.dense() for name, raster in fired.items()}


def spikes(spec: bl.NetworkSpec, device: str = "numpy", given: Any = None, **options: Any) -> np.ndarray:
    """Spikes of the last layer."""
    return rasters(spec, device, given, **options)[spec.projections[-1].name]


# the generator --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((2**32 - 1,) * 4, (2**32 - 1,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_philox_is_that_of_its_authors(counter: Any, key: Any, expected: Any) -> None:
    """The known answers of Random123, philox4x32-10."""
    assert tuple(int(word) for word in seeded.philox(key, counter)) == expected


def test_distributions() -> None:
    i, step = np.meshgrid(np.arange(200), np.arange(100))
    where = (123, 456, step.ravel(), 1000, i.ravel())
    uniform, normal = seeded._uniform(*where, 3), seeded._normal(*where, 3)
    assert uniform.min() >= 0 and uniform.max() < 1
    assert stats.kstest(uniform, "uniform").pvalue > 0.01
    assert stats.kstest(normal, "norm").pvalue > 0.01
    for mean in (0.3, 4.0, 30.0, 1000.0):
        drawn = seeded._poisson(*where, 7, mean)
        values = np.arange(int(mean + 10 * mean**0.5 + 10))
        expected = stats.poisson.pmf(values, mean) * len(drawn)
        counts = np.bincount(drawn, minlength=len(values))
        often = expected > 10
        chi2 = np.sum((counts[often] - expected[often]) ** 2 / expected[often])
        assert stats.chi2.sf(chi2, often.sum() - 1) > 0.01, mean
    assert seeded._poisson(*(x if np.ndim(x) == 0 else x[:3] for x in where), 0, [0.0, -1.0, np.nan]).tolist() == [
        0,
        0,
        2**31 - 1,
    ]


def test_what_the_numbers_depend_on() -> None:
    """Numbers of another neuron, step, call, seed, epoch, sample or layer have nothing to do with each other."""
    i = np.arange(5000)
    plain = seeded._normal(1, 2, 7, 100, i, 0)
    others = [
        seeded._normal(1, 2, 7, 100, i + 1, 0)[:-1],
        seeded._normal(1, 2, 8, 100, i, 0),
        seeded._normal(1, 2, 7, 100, i, 4),
        seeded._normal(2, 2, 7, 100, i, 0),
        seeded._normal(1, 3, 7, 100, i, 0),
    ]
    for other in others:
        assert abs(np.corrcoef(plain[: len(other)], other)[0, 1]) < 0.05
    np.testing.assert_array_equal(seeded._normal(1, 2, 107, 100, i, 0), plain)  # of the trial, not of the run
    state = bl.LearnerState({}, seed=3)
    keys = state.sample_keys(np.arange(4), learning=True)
    later = dataclasses.replace(state, epoch=1).sample_keys(np.arange(4), learning=True)
    other = dataclasses.replace(state, seed=4).sample_keys(np.arange(4), learning=True)
    drawn = [noise.noise_keys(name, k) for name in ("dense1", "dense2") for k in (keys, later, other)]
    assert len({tuple(row) for rows in drawn for row in rows}) == 24
    assert all(rows.min() >= 0 and rows.max() < 2**31 for rows in drawn)


# networks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("timing", ["same_step", pytest.param("pipelined", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NEURONS)
def test_the_same_seed_fires_the_same_spikes(name: str, timing: str) -> None:
    spec = spec_of(NEURONS[name], timing=timing)
    plain = spikes(spec)
    assert 20 < plain.sum() < 0.7 * plain.size
    np.testing.assert_array_equal(spikes(spec), plain)
    np.testing.assert_array_equal(spikes(spec, chunk_size=2), plain)
    order = np.array([4, 1, 5])
    np.testing.assert_array_equal(spikes(spec, given=samples()[order]), plain[order])
    assert not np.array_equal(spikes(spec, seed=6), plain)
    alike = samples()
    alike = bl.Samples(np.repeat(np.asarray(alike.inputs)[:1], 3, axis=0), [0, 0, 0])
    first, second, third = spikes(spec, given=alike)
    assert not np.array_equal(first, second) and not np.array_equal(second, third)


def test_two_layers_draw_different_noise() -> None:
    """Neurons without any input, so that only their noise tells layers apart."""
    noisy = neuron("dv/dt = -v/tau + 2*xi*tau**-0.5 : 1\ndI/dt = -I/(5*ms) : 1", weight_unit=1e-9)
    spec = spec_of(noisy, noisy)
    learner = Learner(spec, device="numpy")
    fired = learner.infer(learner.init(), samples(), record="spikes").spikes
    first, second = (fired[name].dense() for name in ("dense1", "dense2"))
    assert first.sum() > 100 and second.sum() > 100
    assert not np.array_equal(first, second)


def test_noise_against_the_equations() -> None:
    """Euler-Maruyama by hand, with the numbers of the generator."""
    tau, dt, sigma, given = 10e-3, 1e-3, 0.5, samples()
    spec = spec_of(NEURONS["euler"])
    keys = noise.noise_keys("dense1", bl.LearnerState({}, seed=5).sample_keys(given.ids, learning=False))
    weights = Learner(spec, device="numpy", seed=1).init().weights
    fired = []
    for k in range(len(given)):
        t = -1

        def step(state: reference.State, moving: Any, k: int = k) -> reference.State:
            nonlocal t
            t += 1
            xi = np.sqrt(dt) * seeded._normal(*keys[k], t, spec.n_steps, np.arange(20), 3)
            v, c = state["v"], state["I"]
            return {"v": v + dt * (c - v) / tau + sigma * xi / np.sqrt(tau), "I": c - dt * c / 5e-3}

        layer = reference.Dense("dense1", 20, reference.Neuron(step, "I", states=("v", "I"), weight_unit=3.0))
        network = reference.Network([layer], 3, spec.n_steps, reference.integrate_and_fire(0.4))
        fired.append(reference.simulate(network, weights, np.asarray(given.inputs)[k : k + 1]).spikes["dense1"][0])
    np.testing.assert_array_equal(spikes(spec), np.array(fired))


def test_the_surrogate_sees_the_threshold_that_fires() -> None:
    text = describe(spec_of(NEURONS["other-side"]), bl.TFR())
    side = "seeded_uniform(noise_key_0, noise_key_1, t_in_timesteps, 25, i, 4)"
    assert f"- (0.8 + 0.5 * {side})" in text and f"> 0.8 + 0.5 * {side}" in text
    assert " rand(" not in text and " randn(" not in text


@pytest.mark.parametrize("rule", [bl.DALTON(), bl.TFR(update="step")], ids=["dalton", "tfr-step"])
def test_learning_goes_on_bit_for_bit(rule: Any) -> None:
    spec = spec_of(NEURONS["euler"], NEURONS["threshold"])
    batch = 1 if rule.update == "step" else 2

    def learner(**options: Any) -> Learner:
        return Learner(spec, rule, bl.SGD(1e-2), device="numpy", seed=5, batch_size=batch, **options)

    whole, _ = learner().learn(learner().init(), samples())
    other, _ = learner(chunk_size=batch).learn(learner().init(), samples())
    half, _ = learner().learn(learner().init(), samples()[:4])
    resumed, _ = learner().learn(half, samples()[4:])
    for name, weights in whole.weights.items():
        np.testing.assert_array_equal(other.weights[name], weights)
        np.testing.assert_array_equal(resumed.weights[name], weights)
    epoch = dataclasses.replace(learner().init(), epoch=1)
    later, _ = learner().learn(epoch, samples())
    assert not np.array_equal(later.weights["dense1"], whole.weights["dense1"])


def test_without_noise_nothing_is_added() -> None:
    text = describe(spec_of(neuron(DECAY)), bl.TFR())
    assert "noise" not in text and "seeded" not in text


def test_an_unknown_random_function_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SEEDED", {"rand": "seeded_uniform"})
    with pytest.raises(SpecError, match=r"dense1(.|\n)*randn\(\)(.|\n)*xi, rand\(\)"):
        Learner(spec_of(NEURONS["held"]), device="numpy")


@pytest.mark.parametrize("name", ["rand", "reset", "threshold", "held", "poisson"])
def test_genn_refuses_every_kind(name: str) -> None:
    with pytest.raises((SpecError, RuleError), match=r"have no seed(.|\n)*rand|have no seed(.|\n)*poisson"):
        Learner(spec_of(NEURONS[name], timing="pipelined"), device="genn-cpu")


# devices --------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("timing", ["same_step", "pipelined"])
def test_compiled_programs_fire_the_same_spikes(timing: str) -> None:
    """Each layer another kind of noise."""
    spec = spec_of(*NEURONS.values(), timing=timing)
    compiled = rasters(spec, "cpp_standalone")
    for name, plain in rasters(spec).items():
        assert plain.any(), name
        np.testing.assert_array_equal(compiled[name], plain, err_msg=name)


@pytest.mark.slow
@pytest.mark.cpp_standalone
def test_single_precision_draws_the_same_numbers() -> None:
    spec = spec_of(NEURONS["euler"])
    assert (spikes(spec, "cpp_standalone", dtype="float32") != spikes(spec)).mean() < 0.01


@pytest.mark.slow
@pytest.mark.cpp_standalone
def test_cython_fires_the_same_spikes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prefs, "codegen.cpp.extra_compile_args_gcc", ["-w", "-O0"])
    for name in ("poisson", "rare", "held"):
        plain = spikes(spec_of(NEURONS[name]))
        np.testing.assert_array_equal(spikes(spec_of(NEURONS[name]), "cython"), plain, err_msg=name)


@pytest.mark.slow
@pytest.mark.cpp_standalone
def test_workers_draw_the_same_noise() -> None:
    spec = spec_of(NEURONS["euler"], NEURONS["reset"])
    settings: dict[str, Any] = dict(dtype="float64", seed=5, batch_size=3)
    results = []
    for options in (dict(device="numpy"), dict(device="cpp_standalone", workers=2), dict(device="cpp_standalone")):
        learner = Learner(spec, bl.DALTON(), bl.Adam(1e-3), **settings, **options)
        results.append(learner.learn(learner.init(), samples())[0].weights)
    for other in results[1:]:
        for name, weights in results[0].items():
            np.testing.assert_allclose(other[name], weights, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.cpp_standalone
def test_an_exported_program_draws_the_same_noise(tmp_path: Path) -> None:
    check_export(spec_of(NEURONS["euler"], NEURONS["held"]), "cpp", "numpy", tmp_path)
