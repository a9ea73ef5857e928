"""Dropout in all rules and both engines, from the same seeded masks."""

from __future__ import annotations

import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.rules.dropout import kept

NEURON = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0)
RULES = {
    "dalton": bl.DALTON(),
    "tfr": bl.TFR(),
    "dalton-trace": bl.DALTON(eligibility="trace"),
    "dalton-mirror": bl.DALTON(feedback="mirror"),
    "dalton-step": bl.DALTON(update="step"),
    "tfr-step": bl.TFR(update="step"),
    "dalton-through-time": bl.DALTON(credit="through_time"),
    "tfr-through-time": bl.TFR(credit="through_time"),
    "bptt": bl.SurrogateBPTT(),
    "stbp": bl.STBP(),
}
#: Of the Brian2 engine; the others are compared weight by weight in test_learning_equality.py.
IN_BRIAN = ("tfr-step", "dalton-mirror")
CASES = [*((rule, "discrete") for rule in RULES), *((rule, "brian") for rule in IN_BRIAN)]


@pytest.mark.parametrize(("rule", "engine"), CASES)
def test_what_is_dropped_teaches_nothing(rule: str, engine: str) -> None:
    """Weights from a neuron change where its mask lets it speak, and nowhere else; the mask is `kept`'s."""
    if engine == "discrete":
        pytest.importorskip("torch")
    layers = [
        bl.Dense(30, NEURON, dropout=0.4, weights=bl.Normal(6.0)),
        bl.Dense(6, NEURON, weights=bl.Normal(4.0)),
    ]
    readout = None if rule == "stbp" else bl.Readout(6)
    spec = bl.NetworkSpec(bl.Input((5,), bl.DirectCurrent(gain=1)), layers, readout, duration=20 * ms)
    learner = bl.Learner(
        spec,
        RULES[rule],
        bl.SGD(0.05),
        engine=engine,
        device="cpu" if engine == "discrete" else "numpy",
        dtype="float64",
        seed=3,
    )
    samples = bl.Samples(np.full((1, 5), 0.8), [2], ids=[17])
    state = learner.init()
    new, _ = learner.learn(state, samples)
    changed = np.any(new.weights["dense2"] != state.weights["dense2"], axis=0)
    spoken = kept(0.4, "dense1", (30,), state.sample_keys(samples.ids, learning=True))[0]
    silent = learner.infer(state, samples, record="spikes").spikes["dense1"].dense()[0].sum(axis=0) == 0
    assert 10 < spoken.sum() < 25
    assert not changed[~spoken].any()
    assert changed[spoken & ~silent].mean() > 0.9
