"""A delay for each synapse: every engine equals the definition in plain numpy, and what the words for it refuse."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from brian2 import ms, mV
from recurrent_reference import CLASSES, NEURONS, T, samples
from test_brian2_timing import some
from test_recurrent import BRIAN, DISCRETE, RATE, RULES, check, loop

import brianlearn as bl
from brianlearn.errors import BrianLearnError
from brianlearn.training.serialise import from_dict, to_dict


def each(timing: str = "same_step", low: int = 0, neuron: Any = NEURONS["cuba"], **options: Any) -> bl.NetworkSpec:
    """`loop`, in which "late", "self" and "down" have a delay for each synapse, "late" from ``low`` steps on."""
    declared = loop(neuron, **options).declared
    assert declared is not None
    rng = np.random.default_rng(3)
    of_sparse = bl.Sparse(0.6, seed=1).weight_shape((7,), (8,))
    delays = {
        "late": rng.integers(low, 4, (7, 6)) * ms,
        "self": rng.integers(1, 6, (8, 8)) * ms,
        "down": rng.integers(1, 3, of_sparse) * ms,
    }
    parts = [dataclasses.replace(q, delay=delays.get(q.name, 0 * ms)) for q in declared.projections]
    return bl.NetworkSpec(populations=declared.populations, projections=parts, duration=T * ms, timing=timing)


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
@pytest.mark.parametrize("rule", ["dalton", pytest.param("tfr-trace", marks=pytest.mark.slow)])
@pytest.mark.parametrize("low", [0, 1])
def test_brian_equals_the_reference(timing: str, rule: str, low: int) -> None:
    check(each(timing, low), RULES[rule], active=True, **BRIAN)


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("rule", some(("dalton", "tfr-trace"), RULES))
def test_discrete_equals_the_reference(timing: str, kernels: bool, rule: str) -> None:
    check(each(timing), RULES[rule], active=True, engine=bl.Discrete(kernels=kernels))


@pytest.mark.cpp_standalone
@pytest.mark.slow
@pytest.mark.parametrize("timing", ["same_step", "brian2"])
@pytest.mark.parametrize("rule", RULES)
def test_standalone_equals_the_reference(timing: str, rule: str) -> None:
    check(each(timing), RULES[rule], active=True, engine="brian", device="cpp_standalone")


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
@pytest.mark.parametrize("rule", [bl.DALTON(update="step"), bl.TFR(update="step", eligibility="trace")])
def test_steps_learn_the_same_on_both_engines(timing: str, rule: Any) -> None:
    x, labels = samples(2)
    found = []
    for options in (BRIAN, DISCRETE):
        learner = bl.Learner(each(timing), rule, bl.SGD(1e-2), dtype="float64", batch_size=1, **options)
        found.append(learner.learn(learner.init(), bl.Samples(x[:2], labels[:2]))[0].weights)
    before = learner.init().weights
    for name, w in found[0].items():
        assert name.startswith(("readout", "to_out")) or np.abs(w - before[name]).max() > 1e-6, name
        np.testing.assert_allclose(found[1][name], w, rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("every", ["trial", "step"])
@pytest.mark.parametrize("low", [0, 1])
def test_dropout_masks_are_those_of_the_step_that_fired(every: str, low: int) -> None:
    x, labels = samples(3)
    found = []
    for options in (BRIAN, DISCRETE):
        spec = each(low=low, dropout=0.4, dropout_every=every)
        learner = bl.Learner(spec, bl.DALTON(), bl.SGD(RATE), dtype="float64", batch_size=3, **options)
        found.append(learner.learn(learner.init(), bl.Samples(x, labels))[0].weights)
    for name, w in found[0].items():
        np.testing.assert_allclose(found[1][name], w, rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("steps", [None, 3])
@pytest.mark.parametrize("kernels", [True, False])
def test_back_propagation_is_that_of_one_projection_for_each_delay(steps: int | None, kernels: bool) -> None:
    """A network in which every delay is a sparse projection of its own, with the same weights."""
    x, labels = samples(4)
    whole = each()
    apart = []
    for q in whole.projections:
        if q.delays_differ:
            c, of = q.connectivity, q.lags(1 * ms)
            for d in np.unique(of):
                pairs = np.column_stack([c.pre, c.post])[of[c.weight] == d]
                apart.append((q.name, d, pairs))
    declared = whole.declared
    assert declared is not None
    split = {name for name, _, _ in apart}
    parts = [q for q in declared.projections if q.name not in split]
    parts += [
        dataclasses.replace(q, name=f"{q.name}_{d}", connection=bl.Sparse(pairs=pairs), delay=d * ms, bias=False)
        for q in declared.projections
        for name, d, pairs in apart
        if name == q.name
    ]
    biases = [q for q in whole.projections if q.is_bias]
    by_hand = [dataclasses.replace(q, bias=False) if q.name in split else q for q in parts]
    first = next(q for q in by_hand if q.name.startswith("down_"))
    by_hand[by_hand.index(first)] = dataclasses.replace(first, bias=True)  # the bias of "down" by another name
    other = bl.NetworkSpec(populations=declared.populations, projections=by_hand, duration=T * ms)
    options = dict(dtype="float64", batch_size=3, engine=bl.Discrete(kernels=kernels, checkpoint_steps=steps))
    one = bl.Learner(whole, bl.SurrogateBPTT(), bl.SGD(RATE), **options)
    many = bl.Learner(other, bl.SurrogateBPTT(), bl.SGD(RATE), **options)
    before = one.init().weights
    given = {name: before[name] for name in many.init().weights if name in before}
    places = {}
    for name, d, _ in apart:
        q = next(q for q in whole.projections if q.name == name)
        places[f"{name}_{d}"] = name, q.lags(1 * ms) == d
        given[f"{name}_{d}"] = q.connectivity.pack(before[name])[q.lags(1 * ms) == d]
    given[f"{first.name}_bias"] = before["down_bias"]
    assert biases and set(given) == set(many.init().weights)
    found = one.learn(one.init(), bl.Samples(x, labels))[0].weights
    expected = many.learn(many.init(given), bl.Samples(x, labels))[0].weights
    for name, w in expected.items():
        if name in places:
            of, which = places[name]
            q = next(q for q in whole.projections if q.name == of)
            mine = q.connectivity.pack(found[of])[which]
        else:
            mine = found["down_bias" if name == f"{first.name}_bias" else name]
        assert np.abs(w - given[name]).max() > 1e-9, f"{name} does not learn in this test"
        np.testing.assert_allclose(mine, w, rtol=0, atol=1e-11, err_msg=name)


def test_kernels_have_a_delay_for_each_weight() -> None:
    """Synapses that share a weight share its delay."""
    rng = np.random.default_rng(0)
    spec = bl.NetworkSpec(
        populations=[
            bl.Population("input", (1, 5, 5), bl.IntegrateAndFireEncoder()),
            bl.Population("a", None, NEURONS["cuba"]),
            bl.Population("out", CLASSES, bl.LinearReadout()),
        ],
        projections=[
            bl.Projection(
                "conv", "input", "a", bl.Conv2d(2, 3), bl.Normal(6.0), delay=rng.integers(0, 3, (2, 1, 3, 3)) * ms
            ),
            bl.Projection("to_out", "a", "out"),
        ],
        duration=T * ms,
    )
    x, labels = rng.uniform(0, 0.9, (3, 1, 5, 5)), np.arange(3)
    found = []
    for options in (BRIAN, DISCRETE):
        learner = bl.Learner(spec, bl.DALTON(), bl.SGD(RATE), dtype="float64", batch_size=3, **options)
        before = learner.init()
        assert learner.infer(before, bl.Samples(x), record=("spikes",)).spikes["a"].dense().any()
        found.append(learner.learn(before, bl.Samples(x, labels))[0].weights)
    assert np.abs(found[0]["conv"] - before.weights["conv"]).max() > 1e-6
    np.testing.assert_allclose(found[1]["conv"], found[0]["conv"], rtol=0, atol=1e-12)


def test_delays_come_back_from_a_file() -> None:
    spec = each()
    again = from_dict(to_dict(spec))
    assert again.describe() == spec.describe() and "from second after 1 ms to 2 ms" in again.describe()
    np.testing.assert_array_equal(again.projections[1].delay / ms, spec.projections[1].delay / ms)


def test_equal_delays_are_one_delay() -> None:
    x, labels = samples(5)
    found = []
    for delay in (2 * ms, np.full((8, 8), 2) * ms):
        declared = loop().declared
        assert declared is not None
        parts = [dataclasses.replace(q, delay=delay) if q.name == "self" else q for q in declared.projections]
        spec = bl.NetworkSpec(populations=declared.populations, projections=parts, duration=T * ms)
        for options in (BRIAN, DISCRETE):
            learner = bl.Learner(spec, bl.DALTON(), bl.SGD(RATE), dtype="float64", batch_size=3, **options)
            found.append(learner.learn(learner.init(), bl.Samples(x, labels))[0].weights)
    for name, w in found[0].items():
        np.testing.assert_array_equal(found[2][name], w, err_msg=name)
        np.testing.assert_array_equal(found[3][name], found[1][name], err_msg=name)


def wrong(delay: Any, name: str = "self") -> Any:
    def make() -> None:
        declared = loop().declared
        assert declared is not None
        parts = [dataclasses.replace(q, delay=delay) if q.name == name else q for q in declared.projections]
        bl.NetworkSpec(populations=declared.populations, projections=parts, duration=T * ms)

    return make


def recorded_traces() -> None:
    learner = bl.Learner(each(), bl.TFR(eligibility="trace"), **DISCRETE)
    learner.infer(learner.init(), bl.Samples(samples(0)[0]), record=bl.Record("trace_v", layers="self"))


WRONG = {
    "another shape": (wrong(np.ones(8) * ms), "shape \\(8,\\)[\\s\\S]*shape \\(8, 8\\)"),
    "no whole numbers of steps": (wrong(np.full((8, 8), 1.5) * ms), "multiple of"),
    "one below 0": (wrong(-np.eye(8) * ms), "0\\*ms or longer"),
    "none": (wrong(np.zeros((0, 8)) * ms), "0\\*ms or longer"),
    "no time": (wrong(np.ones((8, 8)) * mV), "unit of time"),
    "no unit": (wrong(np.ones((8, 8))), "unit of time"),
    "a cycle at once": (wrong((np.ones((8, 8)) - np.eye(8)) * ms), "first -> first"),
    "onto a readout": (wrong(np.arange(21).reshape(3, 7) * ms, "to_out"), "0 ms to 20 ms"),
    "down through them": (lambda: bl.Learner(only_mixed(), bl.DALTON(), **DISCRETE), "no error reaches layer 'first'"),
    "their traces": (
        recorded_traces,
        "self",
    ),
}


def only_mixed() -> bl.NetworkSpec:
    """Two layers between which some synapses have a delay."""
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (6,), bl.IntegrateAndFireEncoder()),
            bl.Population("first", 8, NEURONS["cuba"]),
            bl.Population("second", 7, NEURONS["cuba"]),
            bl.Population("out", CLASSES, bl.LinearReadout()),
        ],
        projections=[
            bl.Projection("in1", "input", "first"),
            bl.Projection("up", "first", "second", delay=np.arange(56).reshape(7, 8) % 2 * ms),
            bl.Projection("to_out", "second", "out"),
        ],
        duration=T * ms,
    )


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what: str) -> None:
    make, text = WRONG[what]
    with pytest.raises(BrianLearnError, match=text):
        make()
