"""Weights over the batches of learning: those of learning batch by batch, and what is learned stays the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import ms
from cases import Case, dense, one_convolution

import brianlearn as bl
from brianlearn.training import recording
from brianlearn.training.learner import Learner


def learner_of(device: str, rule: bl.Rule | None = None, **options: Any) -> tuple[Learner, bl.Samples]:
    spec = one_convolution(dropout=0.2)
    rule = rule or bl.DALTON()
    return Learner(spec, rule, bl.Adam(1e-2), device=device, **options), Case(spec, n=7).samples()


def equal(a: bl.LearnerState, b: bl.LearnerState) -> bool:
    same = all(np.array_equal(w, b.weights[name]) for name, w in a.weights.items())
    slots = [(b.optimiser[name][s], array) for name, arrays in a.optimiser.items() for s, array in arrays.items()]
    return same and a.steps == b.steps and all(np.array_equal(*pair) for pair in slots)


@pytest.mark.parametrize(
    ("device", "dtype"),
    [
        pytest.param("numpy", "float64", marks=pytest.mark.slow),
        ("numpy", "float32"),
        ("cpu", "float32"),
        ("cpu", "float64"),
    ],
)
def test_weights_after_batches(device: str, dtype: str) -> None:
    if device == "cpu":
        pytest.importorskip("torch")
    learner, samples = learner_of(device, dtype=dtype, batch_size=2)
    start = learner.init()
    names = ["conv1", "dense1", "dense2"] if device == "cpu" else ["conv1", "dense1", "readout"]
    record: Any = "weights" if device == "cpu" else [bl.Record("weights", names[:2]), bl.Record("weights", "readout")]
    state, metrics = learner.learn(start, samples, record=record)
    assert isinstance(metrics, bl.RecordedMetrics) and metrics.samples == 7
    plain, expected = learner.learn(start, samples)
    assert equal(state, plain) and not isinstance(expected, bl.RecordedMetrics)
    assert metrics.loss == pytest.approx(expected.loss) and metrics.firing_rates == pytest.approx(expected.firing_rates)
    conv = metrics.weights["conv1"]
    assert conv.shape == (5, *start.weights["conv1"].shape) and conv.values.dtype == dtype
    assert conv.batches.tolist() == [0, 1, 2, 3, 4] and conv.samples.tolist() == [0, 2, 4, 6, 7]
    np.testing.assert_allclose(conv.times / ms, [0, 30, 60, 90, 105])
    assert list(metrics.weights) == names
    one = start
    for k, first in enumerate([0, 2, 4, 6]):
        for name, history in metrics.weights.items():
            assert np.array_equal(history[k], one.weights[name])
        one, _ = learner.learn(one, samples[first : first + 2])
    assert np.array_equal(conv[-1], one.weights["conv1"]) and not np.array_equal(conv[-1], conv[0])


def test_rows_and_every_so_many_batches() -> None:
    learner = Learner(dense(), bl.TFR(update="step"), bl.Adam(1e-4), device="numpy", chunk_size=3)
    start, samples = learner.init(), Case(dense(), n=3).samples()
    record = [bl.Record("weights", "dense1", neurons=[2, 0], every=2), bl.Record("weights", "dense2", every=3)]
    state, metrics = learner.learn(start, samples, record=record)
    assert equal(state, learner.learn(start, samples)[0])
    assert isinstance(metrics, bl.RecordedMetrics)
    first, second = metrics.weights["dense1"], metrics.weights["dense2"]
    assert first.samples.tolist() == [0, 2] and second.samples.tolist() == [0, 3]
    assert first.neurons.tolist() == [2, 0] and first.shape == (2, 2, 12)
    assert np.array_equal(first[1], learner.learn(start, samples[:2])[0].weights["dense1"][[2, 0]])
    assert np.array_equal(np.asarray(second)[1], state.weights["dense2"])


def test_synaptic_rules_too() -> None:
    rule = bl.SynapticRule("a : 1", on_pre="a += 1", on_post="weight += learning_rate*a")
    spec = dense(readout=None)
    learner = Learner(spec, rule, bl.SGD(1e-3), device="numpy")
    samples = bl.Samples(Case(dense(), n=3).samples().inputs)
    state, metrics = learner.learn(learner.init(), samples, record="weights")
    assert isinstance(metrics, bl.RecordedMetrics)
    history = metrics.weights["dense1"]
    assert len(history) == 4 and np.array_equal(history[-1], state.weights["dense1"])
    assert all(not np.array_equal(history[k], history[k + 1]) for k in range(3))


REFUSED = {
    "a membrane": ("v", "only weights are recorded.*learner.infer"),
    "unknown weights": (bl.Record("weights", "dense3"), "no such weights.*did you mean 'dense2'"),
    "samples": (bl.Record("weights", samples=[0]), "after batches"),
    "rows": (bl.Record("weights", "conv1", neurons=[3]), "out of range.*conv1 have 3 rows"),
    "twice": (["weights", bl.Record("weights", "dense1")], "dense1 are recorded twice"),
    "nothing": (4, "cannot record this"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    record, said = REFUSED[name]
    learner, samples = learner_of("numpy")
    with pytest.raises(bl.SpecError, match=f"(?s){said}"):
        learner.learn(learner.init(), samples, record=record)


def test_histories_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    learner, samples = learner_of("numpy")
    monkeypatch.setattr(recording, "free_memory", lambda: 2000)
    with pytest.raises(bl.BrianLearnError, match=r"(?s)does not fit into memory.*every so many batches"):
        learner.learn(learner.init(), samples, record="weights")
