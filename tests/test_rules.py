"""Rules and optimisers as descriptions, the state of learning, initial weights and their checks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from brian2 import ms, mV

from brianlearn.errors import BrianLearnError, RuleError, WeightsError
from brianlearn.learning import (
    DALTON,
    SGD,
    TFR,
    Adam,
    LearnerState,
    Momentum,
    ThreeFactorRule,
    check_weights,
    initial_weights,
    weight_shapes,
)
from brianlearn.network import Conv, DaltonIF, Dense, Input, NetworkSpec, Readout

# rules ---------------------------------------------------------------------------------------------------------------


def test_readouts_and_logits_of_tfr(conv_spec):
    readouts = TFR().readouts(conv_spec)
    assert {layer: p.name for layer, p in readouts.items()} == {
        "conv1": "readout_conv1",
        "conv2": "readout_conv2",
        "dense1": "readout",
    }
    assert {p.name: p.weight_shape for p in readouts.values()} == {
        "readout_conv1": (4, 3 * 4 * 4),
        "readout_conv2": (4, 4 * 2 * 2),
        "readout": (4, 6),
    }
    assert TFR().logits(conv_spec) == {"conv1": 4, "conv2": 4, "dense1": 4}


def test_readouts_and_logits_of_dalton(conv_spec):
    assert {layer: p.name for layer, p in DALTON().readouts(conv_spec).items()} == {"dense1": "readout"}
    assert DALTON().logits(conv_spec) == {"conv1": 16, "conv2": 6, "dense1": 4}


@pytest.mark.parametrize("rule", [TFR, DALTON])
def test_burn_in_is_the_networks_unless_given(dense_spec, rule):
    spec = dataclasses.replace(dense_spec, burn_in=3 * ms)
    assert rule().burn_in_steps(spec) == 3
    assert rule(burn_in=5 * ms).burn_in_steps(spec) == 5
    assert rule(burn_in=0 * ms).burn_in_steps(spec) == 0


WRONG_RULES = {
    "eligibility": (dict(eligibility="rate"), "'spike' or 'trace'"),
    "feedback": (dict(feedback="random"), "'forward' or 'mirror'"),
    "update": (dict(update="epoch"), "'batch' or 'step'"),
    "burn_in": (dict(burn_in=5), "5*ms"),
    "burn_in in volt": (dict(burn_in=5 * mV), "5*ms"),
    "negative burn_in": (dict(burn_in=-5 * ms), "5*ms"),
    "scale that is no mapping": (dict(learning_rate_scale=3.0), "layer name -> factor"),
    "negative scale": (dict(learning_rate_scale={"conv1": -1}), ">= 0"),
    "scale that is text": (dict(learning_rate_scale={"conv1": "1"}), ">= 0"),
}


@pytest.mark.parametrize("rule", [TFR, DALTON])
@pytest.mark.parametrize("what", WRONG_RULES)
def test_wrong_rules_are_refused(rule, what):
    options, expected = WRONG_RULES[what]
    with pytest.raises(RuleError) as info:
        rule(**options)
    assert info.value.subject == rule.__name__
    assert expected in str(info.value.expected)


@pytest.mark.parametrize(
    ("rule", "changes", "batch_size", "problem"),
    [
        (DALTON(), dict(readout=None), 1, "needs a readout"),
        (DALTON(learning_rate_scale={"dense9": 1.0}), {}, 1, "names no layer: 'dense9'"),
        (TFR(burn_in=15 * ms), {}, 1, "no step to learn in"),
        (TFR(burn_in=2.5 * ms), {}, 1, "whole number of time steps"),
    ],
)
def test_rules_that_do_not_fit_a_network(dense_spec, rule, changes, batch_size, problem):
    spec = dataclasses.replace(dense_spec, **changes)
    with pytest.raises(RuleError, match=problem) as info:
        rule.check(spec, batch_size)
    assert info.value.subject == type(rule).__name__
    assert info.value.expected


@pytest.mark.parametrize("rule", [DALTON(), TFR(update="step"), DALTON(learning_rate_scale={"dense1": 10})])
def test_rules_that_fit(dense_spec, rule):
    rule.check(dense_spec, 1)


def test_the_base_class_is_abstract(dense_spec):
    for method in ("readouts", "logits"):
        with pytest.raises(RuleError, match="abstract"):
            getattr(ThreeFactorRule(), method)(dense_spec)


# optimisers ----------------------------------------------------------------------------------------------------------


def test_halving_of_the_learning_rate():
    optimiser = Adam(1e-3, halve_every=30)
    assert [optimiser.rate_at(e) for e in (0, 29, 30, 59, 60)] == [1e-3, 1e-3, 5e-4, 5e-4, 2.5e-4]
    assert SGD(0.1).rate_at(1000) == 0.1


def test_decay_of_the_learning_rate():
    assert [SGD(8.0, decay=0.25).rate_at(e) for e in (0, 1, 2)] == [8.0, 2.0, 0.5]
    assert Adam(8.0, halve_every=2, decay=0.5).rate_at(2) == 1.0


def test_slots():
    assert (SGD.slots, Momentum.slots, Adam.slots) == ((), ("m",), ("m", "v"))
    assert Adam().learning_rate == 1e-3


@pytest.mark.parametrize(
    ("make", "parameter"),
    [
        (lambda: SGD(0.0), "learning_rate"),
        (lambda: SGD(-1.0), "learning_rate"),
        (lambda: Adam("1e-3"), "learning_rate"),
        (lambda: SGD(np.nan), "learning_rate"),
        (lambda: SGD(np.inf), "learning_rate"),
        (lambda: Momentum(0.1, momentum=1.0), "momentum"),
        (lambda: Momentum(0.1, momentum=-0.1), "momentum"),
        (lambda: Adam(beta1=1.0), "beta1"),
        (lambda: Adam(beta2=1.5), "beta2"),
        (lambda: Adam(eps=0.0), "eps"),
        (lambda: SGD(0.1, halve_every=0), "halve_every"),
        (lambda: SGD(0.1, halve_every=2.5), "halve_every"),
        (lambda: SGD(0.1, halve_every=True), "halve_every"),
        (lambda: SGD(0.1, decay=0.0), "decay"),
        (lambda: Adam(0.1, decay=1.5), "decay"),
    ],
)
def test_wrong_optimisers_are_refused(make, parameter):
    with pytest.raises(RuleError, match=f"{parameter} is wrong") as info:
        make()
    assert isinstance(info.value, BrianLearnError)
    assert info.value.expected


def test_limits_of_the_optimisers():
    assert Momentum(0.1, momentum=0.0).momentum == 0.0
    assert Adam(beta1=0.0, beta2=0.0).beta1 == 0.0


# state ---------------------------------------------------------------------------------------------------------------


def test_next_epoch():
    slots = {"dense1": {"m": np.ones(3), "v": np.full(3, 2.0)}}
    state = LearnerState({"dense1": np.zeros(3)}, slots, steps=7, samples_seen=70, seed=3)
    kept = state.next_epoch(Adam())
    assert (kept.epoch, kept.steps, kept.samples_seen) == (1, 7, 70)
    assert kept.optimiser is slots
    anew = state.next_epoch(Adam(reset_each_epoch=True))
    assert (anew.epoch, anew.steps, anew.samples_seen) == (1, 0, 70)
    assert not anew.optimiser["dense1"]["v"].any()
    assert state.optimiser["dense1"]["v"].all()  # the old state stays as it was


def test_sample_keys_are_all_different():
    states = [LearnerState({}, seed=seed, epoch=epoch) for seed in (0, 1, 2**31) for epoch in (0, 1, 500)]
    found = {tuple(key) for s in states for key in s.sample_keys(np.arange(5), learning=True).tolist()}
    found |= {tuple(key) for s in states[::3] for key in s.sample_keys(np.arange(5), learning=False).tolist()}
    assert len(found) == 3 * 3 * 5 + 3 * 5


# weights -------------------------------------------------------------------------------------------------------------


def test_weight_shapes(conv_spec):
    shapes = {"conv1": (3, 2, 3, 3), "conv2": (4, 3, 2, 2), "dense1": (6, 16), "readout": (4, 6)}
    assert weight_shapes(conv_spec) == weight_shapes(conv_spec, DALTON()) == shapes
    assert weight_shapes(conv_spec, TFR()) == shapes | {"readout_conv1": (4, 48), "readout_conv2": (4, 16)}


def test_initial_weights_depend_on_seed_and_name_only(conv_spec):
    first, again, other = (initial_weights(conv_spec, DALTON(), seed) for seed in (1, 1, 2))
    tfr = initial_weights(conv_spec, TFR(), 1)
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        np.testing.assert_array_equal(first[name], tfr[name])  # another rule leaves them as they are
        assert not np.array_equal(first[name], other[name])
    bare = NetworkSpec(Input((2, 9, 8)), [Conv(3, 3, DaltonIF())], Readout(4), duration=5 * ms)
    np.testing.assert_array_equal(initial_weights(bare, None, 1)["conv1"], first["conv1"])


def test_initial_weights_are_scaled_as_in_the_paper():
    spec = NetworkSpec(
        Input((1, 20, 20)), [Conv(64, 5, DaltonIF()), Dense(64, DaltonIF())], Readout(10), duration=5 * ms
    )
    weights = initial_weights(spec, TFR())
    assert np.abs(weights["conv1"]).max() <= 1 / 5
    assert np.abs(weights["conv1"]).max() == pytest.approx(1 / 5, rel=0.02)
    assert weights["dense1"].std() == pytest.approx(2 / np.sqrt(64 * 16 * 16), rel=0.01)
    assert np.abs(weights["readout"]).max() <= 1 / 8
    assert np.abs(weights["readout_conv1"]).max() == pytest.approx(1 / np.sqrt(64 * 16 * 16), rel=0.01)


def test_weights_of_the_right_network_pass(dense_spec):
    weights = initial_weights(dense_spec, TFR())
    assert set(check_weights(dense_spec, TFR(), weights)) == {"dense1", "dense2", "readout", "readout_dense1"}
    # what another rule needed is left out
    assert set(check_weights(dense_spec, DALTON(), weights)) == {"dense1", "dense2", "readout"}


def test_weights_of_another_network_are_refused(dense_spec, conv_spec):
    with pytest.raises(WeightsError, match="weights of another network") as info:
        check_weights(dense_spec, None, initial_weights(conv_spec), "weights.npz")
    assert info.value.subject == "weights.npz"
    assert "conv1 (3, 2, 3, 3)" in info.value.got
    assert "dense2 (6, 8)" in info.value.expected


@pytest.mark.parametrize(
    ("change", "problem", "got", "expected"),
    [
        (lambda w: w.pop("dense2"), "another network", "dense1 (8, 12)", "dense2 (6, 8)"),
        (lambda w: w.update(dense3=np.zeros((2, 2))), "another network", "dense3 (2, 2)", "dense2 (6, 8)"),
        (lambda w: w.update(dense1=w["dense1"].T), "dense1 have the wrong shape", "(12, 8)", "(8, 12)"),
        (lambda w: w.update(dense1=np.zeros((8, 12), int)), "dense1 are not real numbers", "int64", "float"),
        (lambda w: w["dense1"].__setitem__((3, 4), np.nan), "dense1 are not finite", "nan at (3, 4)", "finite"),
        (lambda w: w["readout"].__setitem__((1, 0), np.inf), "readout are not finite", "inf at (1, 0)", "finite"),
    ],
)
def test_wrong_weights_are_refused(dense_spec, change, problem, got, expected):
    weights = initial_weights(dense_spec)
    change(weights)
    with pytest.raises(WeightsError, match=problem) as info:
        check_weights(dense_spec, None, weights)
    assert got in str(info.value.got)
    assert expected in str(info.value.expected)


def test_no_weights(dense_spec):
    with pytest.raises(WeightsError, match="another network") as info:
        check_weights(dense_spec, None, {})
    assert info.value.got == "nothing"
