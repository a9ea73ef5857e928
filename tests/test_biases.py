"""Biases and background activity: on both engines, for every kind of layer and rule, in files and errors."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, ms

import brianlearn as bl
from brianlearn.errors import BrianLearnError, SpecError, UnitError
from brianlearn.training.serialise import from_dict, to_dict

torch = pytest.importorskip("torch")

NEURON = bl.CubaLIF(R=4.0, tau_s=3 * ms)
BRIAN, DISCRETE = dict(engine="brian", device="numpy"), dict(engine="discrete", device="cpu")


def chain(**options: Any) -> bl.NetworkSpec:
    """A pooled convolution and two dense layers, all with biases."""
    layers = [
        bl.Conv(2, 3, NEURON, pool=2, bias=bl.Constant(0.2), **options),
        bl.Dense(9, NEURON, bias=True),
        bl.Dense(7, NEURON, weights=bl.Normal(4.0), bias=bl.Uniform(0.2)),
    ]
    return bl.NetworkSpec(
        bl.Input((1, 8, 8), bl.PoissonEncoder(0.5)), layers, bl.Readout(3, bias=bl.Constant(0.3)), duration=20 * ms
    )


def samples(n: int = 4) -> bl.Samples:
    rng = np.random.default_rng(0)
    return bl.Samples(rng.random((n, 1, 8, 8)), rng.integers(0, 3, n))


RULES = {
    "tfr": bl.TFR(),
    "dalton": bl.DALTON(),
    "dfa": bl.DFA(),
    "decolle": bl.DECOLLE(),
    "eprop": bl.EProp(),
    "trace": bl.TFR(eligibility="trace"),
    "every step": bl.DALTON(update="step"),
    "text": bl.SynapticRule(on_pre="gradient += gate*delta", third_factor=bl.TFR()),
}


def learned(spec: bl.NetworkSpec, rule: Any, given: bl.Samples, **engine: Any) -> tuple[Any, Any]:
    n = 1 if getattr(rule, "update", "batch") == "step" else len(given)
    learner = bl.Learner(spec, rule, bl.SGD(0.1), dtype="float64", batch_size=n, **engine)
    before = learner.init()
    return before, learner.learn(before, given[:n])[0]


@pytest.mark.parametrize("rule", RULES)
def test_both_engines_learn_the_same_biases(rule: str) -> None:
    before, after = learned(chain(), RULES[rule], samples(), **BRIAN)
    other = learned(chain(), bl.TFR() if rule == "text" else RULES[rule], samples(), **DISCRETE)[1]
    for name, w in after.weights.items():
        assert (w != before.weights[name]).any() == (not name.startswith(("readout", "feedback"))), name
        np.testing.assert_allclose(other.weights[name], w, rtol=0, atol=1e-12, err_msg=name)
    assert after.weights["conv1_bias"].shape == (2,) and after.weights["dense1_bias"].shape == (9,)


def test_a_bias_is_an_input_that_fires_in_every_step() -> None:
    """Independent of what biases are made of: one more input neuron, with the bias as its weights."""
    shape, n = (6,), 5
    x, labels = np.random.default_rng(1).random((n, *shape)), np.arange(n) % 3
    layers = [bl.Dense(8, NEURON, bias=bl.Uniform(0.5))]
    with_bias = bl.NetworkSpec(bl.Input(shape, bl.DirectCurrent()), layers, bl.Readout(3), duration=15 * ms)
    wider = bl.NetworkSpec(bl.Input((7,), bl.DirectCurrent()), [bl.Dense(8, NEURON)], bl.Readout(3), duration=15 * ms)
    for engine in (BRIAN, DISCRETE):
        learner = bl.Learner(with_bias, bl.TFR(), bl.SGD(0.5), dtype="float64", batch_size=n, **engine)
        before = learner.init()
        after, _ = learner.learn(before, bl.Samples(x, labels))
        other = bl.Learner(wider, bl.TFR(), bl.SGD(0.5), dtype="float64", batch_size=n, **engine)
        bias = before.weights["dense1_bias"]
        joined = {"dense1": np.c_[before.weights["dense1"], bias], "readout": before.weights["readout"]}
        expected, _ = other.learn(other.init(joined), bl.Samples(np.c_[x, np.ones(n)], labels))
        assert (after.weights["dense1_bias"] != bias).all()
        found = np.c_[after.weights["dense1"], after.weights["dense1_bias"]]
        np.testing.assert_allclose(found, expected.weights["dense1"], rtol=0, atol=1e-12)


def test_back_propagation_learns_all_biases() -> None:
    """The derivative of a bias, by central differences of a readout that is smooth: it is behind the last spikes."""
    spec, given = chain(), samples()
    before, after = learned(spec, bl.SurrogateBPTT(), given, **DISCRETE)
    for name in ("conv1_bias", "dense1_bias", "dense2_bias", "readout_bias"):
        assert (after.weights[name] != before.weights[name]).any(), name

    def loss(bias: np.ndarray) -> float:
        learner = bl.Learner(spec, bl.SurrogateBPTT(), dtype="float64", **DISCRETE)
        state = learner.init({**before.weights, "readout_bias": bias})
        keys = before.sample_keys(given.ids, learning=True)
        module = bl.export(spec, state.weights, dtype=torch.float64)
        readout = module(given.inputs, keys=keys).readout.detach().numpy()
        return float(((readout - np.eye(3)[given.labels]) ** 2).mean())

    slope = (before.weights["readout_bias"] - after.weights["readout_bias"]) / 0.1
    for k in range(3):
        step = np.eye(3)[k] * 1e-4
        bias = before.weights["readout_bias"]
        assert abs((loss(bias + step) - loss(bias - step)) / 2e-4 - slope[k]) < 1e-9


def test_they_come_back_from_files_and_are_described() -> None:
    spec = chain()
    again = from_dict(to_dict(spec))
    assert again.describe() == spec.describe() and "conv 3x3, pool 2, bias" in spec.describe()
    assert "285 weights" in spec.describe()  # 18 + 2, 162 + 9, 63 + 7, 21 + 3
    for name, w in bl.Learner(again, bl.DALTON(), engine="discrete").init().weights.items():
        np.testing.assert_array_equal(w, bl.Learner(spec, bl.DALTON(), engine="discrete").init().weights[name])


@pytest.mark.parametrize("engine", [BRIAN, DISCRETE])
def test_the_source_of_biases_is_nobodys_business(engine: dict[str, Any]) -> None:
    """It has no rate, no spikes that are recorded, and no warning that it fires all the time."""
    learner = bl.Learner(chain(), bl.DALTON(), dtype="float64", **engine)
    found = learner.infer(learner.init(), samples(), record=("spikes",))
    assert set(found.firing_rates) == set(found.spikes) == {"input", "conv1", "dense1", "dense2"}


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("rule", ["dalton", "trace", "every step"])
def test_standalone_learns_the_same_biases(rule: str) -> None:
    after = learned(chain(), RULES[rule], samples(), **BRIAN)[1]
    other = learned(chain(), RULES[rule], samples(), engine="brian", device="cpp_standalone")[1]
    for name, w in after.weights.items():
        np.testing.assert_allclose(other.weights[name], w, rtol=0, atol=1e-12, err_msg=name)


# background activity ------------------------------------------------------------------------------------------------


def noisy(rate: Any = 40 * Hz, **options: Any) -> bl.NetworkSpec:
    """An input, and a background, onto excitatory neurons that hear one another."""
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", 6, bl.IntegrateAndFireEncoder()),
            bl.Population("background", 20, bl.PoissonBackground(rate)),
            bl.Population("hidden", 10, NEURON),
            bl.Population("out", 3, bl.LinearReadout()),
        ],
        projections=[
            bl.Projection("seen", "input", "hidden", weights=bl.Normal(2.0)),
            bl.Projection("noise", "background", "hidden", bl.Sparse(0.5, seed=2), bl.Normal(3.0), learned=False),
            bl.Projection("again", "hidden", "hidden", delay=2 * ms),
            bl.Projection("to_out", "hidden", "out"),
        ],
        duration=30 * ms,
        **options,
    )


def few(n: int = 5) -> bl.Samples:
    rng = np.random.default_rng(3)
    return bl.Samples(rng.random((n, 6)), rng.integers(0, 3, n))


def test_background_is_the_same_on_both_engines() -> None:
    before, after = learned(noisy(), bl.DALTON(), few(), **BRIAN)
    other = learned(noisy(), bl.DALTON(), few(), **DISCRETE)[1]
    for name, w in after.weights.items():
        assert (w != before.weights[name]).any() == (name in ("seen", "again")), name
        np.testing.assert_allclose(other.weights[name], w, rtol=0, atol=1e-12, err_msg=name)
    rasters = []
    for engine in (BRIAN, DISCRETE):
        learner = bl.Learner(noisy(), bl.DALTON(), dtype="float64", **engine)
        rasters.append(learner.infer(before, few(), record=("spikes",)).spikes)
    for name, raster in rasters[0].items():
        np.testing.assert_array_equal(raster.dense(), rasters[1][name].dense(), err_msg=name)
    assert not np.array_equal(rasters[0]["background"].dense()[0], rasters[0]["background"].dense()[1])


def test_rates_are_those_that_were_asked_for() -> None:
    rates = np.linspace(0, 300, 20) * Hz
    spec = dataclasses.replace(noisy(rates), duration=2000 * ms)
    learner = bl.Learner(spec, bl.DALTON(), **DISCRETE)
    spikes = learner.infer(learner.init(), few(20), record=("spikes",)).spikes["background"].dense()
    steps = spikes.shape[0] * spikes.shape[1]
    chance, found = np.asarray(rates) * 1e-3, spikes.mean(axis=(0, 1))
    assert (np.abs(found - chance) <= 5 * np.sqrt(chance * (1 - chance) / steps)).all()
    finer = dataclasses.replace(spec, dt=0.5 * ms, duration=100 * ms)
    activity = bl.Learner(finer, bl.DALTON(), **DISCRETE)
    rate = activity.infer(activity.init(), few(20)).firing_rates["background"]
    assert rate == pytest.approx(150, rel=0.1)


WRONG: dict[str, tuple[Any, type[BrianLearnError], str]] = {
    "bias": (lambda: bl.Dense(3, NEURON, bias=0.1), SpecError, "Constant"),  # type: ignore[arg-type]
    "bias of a projection": (lambda: bl.Projection("p", "a", "b", bias="yes"), SpecError, "True"),  # type: ignore[arg-type]
    "bias of a readout": (lambda: bl.Readout(3, bias=bl.FluctuationDriven(rate=10 * Hz)), SpecError, "Constant"),
    "pipelined": (lambda: dataclasses.replace(chain(), timing="pipelined"), SpecError, "biases"),
    "a name that is taken": (
        lambda: bl.NetworkSpec(
            bl.Input((3,)),
            [bl.Dense(3, NEURON, bias=True), bl.Dense(3, NEURON, name="dense1_bias")],
            duration=5 * ms,
        ),
        SpecError,
        "dense1_bias",
    ),
    "always": (
        lambda: bl.NetworkSpec(bl.Input((3,)), [bl.Dense(3, NEURON, bias=True, name="always")], duration=5 * ms),
        SpecError,
        "always",
    ),
    "no rate": (lambda: bl.PoissonBackground(8), UnitError, "Hz"),
    "a negative rate": (lambda: bl.PoissonBackground(-8 * Hz), SpecError, "rate"),
    "too many spikes": (
        lambda: noisy(1500 * Hz),
        SpecError,
        "1000 Hz",
    ),
    "rates of others": (lambda: noisy([1, 2, 3] * Hz), SpecError, "20"),
    "only a background": (
        lambda: bl.NetworkSpec(
            populations=[bl.Population("b", 3, bl.PoissonBackground(8 * Hz)), bl.Population("n", 2, NEURON)],
            projections=[bl.Projection("p", "b", "n")],
            duration=5 * ms,
        ),
        SpecError,
        "samples",
    ),
    "values for a background": (
        lambda: bl.Learner(noisy(), bl.DALTON(), **DISCRETE).infer(
            None, bl.Samples({"input": np.ones((2, 6)), "background": np.ones((2, 20))}, [0, 1])
        ),
        BrianLearnError,
        "those of the network",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what: str) -> None:
    make, kind, text = WRONG[what]
    with pytest.raises(kind, match=text):
        make()
