"""Several processes of one program that share batches, and samples to evaluate."""

from __future__ import annotations

import numpy as np
import pytest
from cases import dense, one_convolution

from brianlearn.brian.engine import BrianEngine
from brianlearn.brian.shares import shares_of_batches, shares_of_samples
from brianlearn.brian.standalone import StandaloneDevice
from brianlearn.errors import DeviceError, RuleError
from brianlearn.rules import DALTON, SGD, TFR, Adam, LearnerState
from brianlearn.spec import NetworkSpec, Samples
from brianlearn.training.learner import Learner


def _engine(workers: int, spec: NetworkSpec | None = None, **options: object) -> BrianEngine:
    settings = dict(device="cpp_standalone", dtype="float64", batch_size=5, chunk_size=10) | options
    rule = settings.pop("rule", DALTON())
    optimiser = settings.pop("optimiser", Adam(1e-3))
    return BrianEngine(spec or one_convolution(), rule, optimiser, workers=workers, **settings)


def _samples(spec: NetworkSpec, n: int) -> Samples:
    rng = np.random.default_rng(1)
    return Samples(rng.uniform(0, 0.6, (n, *spec.input.shape)), rng.integers(0, spec.classes, n))


def _state(spec: NetworkSpec) -> LearnerState:
    return Learner(spec, DALTON(), Adam(1e-3), device="numpy", dtype="float64").init()


@pytest.mark.cpp_standalone
def test_workers_learn_the_same_batches_and_evaluate_the_same_samples() -> None:
    spec = one_convolution()
    samples, start = _samples(spec, 8), _state(spec)  # the second batch has 3 samples: one process runs idle trials
    alone, together = _engine(1), _engine(2)
    expected, record = alone.learn(start, samples, 1e-3)
    state, joined = together.learn(start, samples, 1e-3)
    assert state.steps == expected.steps == 2
    for name, weights in expected.weights.items():
        np.testing.assert_allclose(state.weights[name], weights, rtol=0, atol=1e-12)
    np.testing.assert_allclose(joined.logits, record.logits, atol=1e-12)
    np.testing.assert_allclose(joined.loss, record.loss, atol=1e-12)
    for name, counts in record.spike_counts.items():
        np.testing.assert_array_equal(joined.spike_counts[name], counts)
    one, two = (engine.infer(state, samples, ()) for engine in (alone, together))
    np.testing.assert_array_equal(one.logits, two.logits)
    # repeated, to the last bit
    again, _ = together.learn(start, samples, 1e-3)
    assert all(np.array_equal(again.weights[name], state.weights[name]) for name in state.weights)


@pytest.mark.cpp_standalone
def test_recorded_spikes_come_in_order() -> None:
    spec = dense()
    samples, start = _samples(spec, 5), _state(spec)
    one, two = (_engine(w, spec).infer(start, samples, ("spikes", "readout")) for w in (1, 2))
    for name, raster in one.spikes.items():
        np.testing.assert_array_equal(raster.dense(), two.spikes[name].dense())
    assert one.readout is not None and two.readout is not None
    np.testing.assert_array_equal(one.readout, two.readout)


@pytest.mark.cpp_standalone
def test_a_process_that_fails_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = one_convolution()
    engine = _engine(2)
    engine.infer(_state(spec), _samples(spec, 2), ())
    start = StandaloneDevice._start

    def broken(self: StandaloneDevice, run: object, values: object, n: int, environment: dict[str, str]) -> object:
        share = environment["BRIANLEARN_EXCHANGE"]
        if share.startswith("1/"):
            environment = environment | {"BRIANLEARN_EXCHANGE": "1/2:/nowhere/at/all"}
        return start(self, run, values, n, environment)

    monkeypatch.setattr(StandaloneDevice, "_start", broken)
    with pytest.raises(DeviceError, match="cannot map /nowhere/at/all"):
        engine.learn(_state(spec), _samples(spec, 8), 1e-3)


@pytest.mark.parametrize(("n", "batch", "workers"), [(10, 5, 2), (7, 3, 2), (1, 4, 3), (12, 4, 4), (9, 2, 2)])
def test_every_sample_has_one_trial_in_its_batch(n: int, batch: int, workers: int) -> None:
    shares = shares_of_batches(n, batch, workers)
    assert len(shares) == workers
    assert len({share.n_trials for share in shares}) == 1
    assert sorted(np.concatenate([share.samples for share in shares])) == list(range(n))
    per_batch = -(-batch // workers)
    for share in shares:
        np.testing.assert_array_equal(share.trials // per_batch, share.samples // batch)
        assert len(set(share.trials)) == len(share.trials)
        assert (share.trials < share.n_trials).all()


def test_samples_are_shared_in_order() -> None:
    shares = shares_of_samples(5, 2)
    assert [list(share.samples) for share in shares] == [[0, 1, 2], [3, 4]]
    assert len(shares_of_samples(1, 4)) == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (dict(device="numpy"), "one process"),
        (dict(batch_size=1, chunk_size=4), "larger batch_size"),
        (dict(batch_size=1, chunk_size=4, rule=TFR(update="step"), optimiser=SGD(0.1)), "update='batch'"),
    ],
)
def test_what_cannot_be_shared_is_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(RuleError, match=text):
        _engine(2, **options)
