"""Dropout in all rules and both engines, from the same seeded masks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.learning.dropout import draw_dropout_mask

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
def test_a_mask_in_each_step(rule: str, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn anew in each step it teaches something else; the same in all steps, what one mask for the trial teaches."""
    if engine == "discrete":
        pytest.importorskip("torch")
    samples = bl.Samples(np.random.default_rng(0).uniform(0.5, 1.5, (3, 5)), [2, 0, 5], ids=[17, 3, 8])

    def learn(every: str) -> dict[str, np.ndarray]:
        layers = [
            bl.Dense(30, NEURON, dropout=0.4, weights=bl.Normal(6.0), dropout_every=every),
            bl.Dense(6, NEURON, dropout=0.1, weights=bl.Normal(4.0), dropout_every=every),
        ]
        readout = None if rule == "stbp" else bl.Readout(6)
        spec = bl.NetworkSpec(
            bl.Input((5,), bl.DirectCurrent(gain=1)), layers, readout, duration=20 * ms, burn_in=3 * ms
        )
        learner = bl.Learner(
            spec,
            RULES[rule],
            bl.SGD(1e-3),
            engine=engine,
            device="cpu" if engine == "discrete" else "numpy",
            dtype="float64",
            seed=3,
            batch_size=1 if "step" in rule else 3,
        )
        return dict(learner.learn(learner.init(), samples)[0].weights)

    trial, step = learn("trial"), learn("step")
    assert not np.allclose(trial["dense1"], step["dense1"], rtol=0, atol=1e-9)

    def constant(rate: float, name: str, shape: tuple[int, ...], keys: np.ndarray) -> np.ndarray:
        if len(shape) == 1:
            return draw_dropout_mask(rate, name, shape, keys)
        return np.repeat(draw_dropout_mask(rate, name, shape[1:], keys)[:, None], shape[0], axis=1)

    module = {"discrete": "discrete.step.encoding", "brian": "brian.run.feed"}[engine]
    monkeypatch.setattr(f"brianlearn.{module}.draw_dropout_mask", constant)
    again = learn("step")
    for name, weights in trial.items():
        np.testing.assert_allclose(again[name], weights, rtol=0, atol=1e-14, err_msg=name)


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
    spoken = draw_dropout_mask(0.4, "dense1", (30,), state.sample_keys(samples.ids, learning=True))[0]
    silent = learner.infer(state, samples, record="spikes").spikes["dense1"].dense()[0].sum(axis=0) == 0
    assert 10 < spoken.sum() < 25
    assert not changed[~spoken].any()
    assert changed[spoken & ~silent].mean() > 0.9


def test_every_layer_has_masks_of_its_own() -> None:
    """Two layers of one size under the same keys agree in half of their neurons, as two coins do."""
    keys = bl.LearnerState({}).sample_keys(np.arange(50), learning=True)
    masks = {name: draw_dropout_mask(0.5, name, (40,), keys) for name in ("dense1", "dense2", "conv1")}
    for first, second in itertools.combinations(masks.values(), 2):
        assert abs((first == second).mean() - 0.5) < 0.06  # 2000 coins
    np.testing.assert_array_equal(draw_dropout_mask(0.5, "dense1", (40,), keys), masks["dense1"])
