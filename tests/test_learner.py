"""The learner: state in, state out; chunks, devices and errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from brian2 import get_device, ms, prefs
from cases import CASES, dense

import brianlearn as bl
from brianlearn.errors import DataError, DeviceError, NonFiniteError, RuleError, ShapeError, WeightsError
from brianlearn.learning import DALTON, SGD, TFR, Adam
from brianlearn.network import (
    LIF,
    Dense,
    Events,
    Input,
    NetworkSpec,
    PoissonEncoder,
    Readout,
    Samples,
    Spikes,
    TimeToFirstSpikeEncoder,
)
from brianlearn.training.learner import Learner


def _samples(spec: NetworkSpec, n: int = 6) -> Samples:
    rng = np.random.default_rng(3)
    return Samples(rng.uniform(0, 0.6, (n, *spec.input.shape)), rng.integers(0, spec.classes, n))


def _equal(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_chunks_do_not_change_the_result(dtype: str) -> None:
    spec = dense(input=Input((12,), PoissonEncoder(gain=0.8)))
    samples = _samples(spec, 7)
    results = []
    for chunk_size in (2, 4, 100):
        learner = Learner(spec, DALTON(), device="numpy", dtype=dtype, batch_size=2, chunk_size=chunk_size)
        state, metrics = learner.learn(learner.init(), samples)
        results.append((state, metrics))
        assert state.weights["dense1"].dtype == dtype
        assert state.samples_seen == 7 and state.steps == 4
        assert metrics.samples == 7
    for state, metrics in results[1:]:
        assert _equal(dict(state.weights), dict(results[0][0].weights))
        assert metrics.loss == pytest.approx(results[0][1].loss)
        assert metrics.firing_rates == pytest.approx(results[0][1].firing_rates)


def test_a_learner_can_go_on_from_any_state() -> None:
    learner = Learner(dense(), TFR(), Adam(1e-2), device="numpy", dtype="float64", batch_size=2)
    samples = _samples(learner.spec)
    start = learner.init()
    before = {name: w.copy() for name, w in start.weights.items()}
    once, _ = learner.learn(start, samples)
    again, _ = learner.learn(start, samples)
    assert _equal(dict(once.weights), dict(again.weights))
    assert _equal(before, dict(start.weights)), "learn changed the state that it was given"
    halves = start
    for part in (samples[:4], samples[4:]):
        halves, _ = learner.learn(halves, part)
    assert _equal(dict(once.weights), dict(halves.weights))


def test_inference_leaves_weights_and_global_settings_alone() -> None:
    learner = Learner(dense(), DALTON(), device="numpy")
    device, dtype, target = get_device(), prefs.core.default_float_dtype, prefs.codegen.target
    samples = _samples(learner.spec)
    state = learner.init()
    recorded = learner.infer(state, samples, record=("spikes", "readout"))
    plain = learner.infer(state, Samples(samples.inputs))
    assert np.array_equal(plain.logits, recorded.logits)
    assert plain.accuracy is None and plain.loss is None and plain.spikes == {} and plain.readout is None
    assert recorded.accuracy == (recorded.predictions == samples.labels).mean()
    assert set(recorded.spikes) == {"input", "dense1", "dense2"}
    assert np.allclose(recorded.readout.mean(axis=1), recorded.logits)
    assert (get_device(), prefs.core.default_float_dtype, prefs.codegen.target) == (device, dtype, target)


def test_network_without_readout_counts_spikes() -> None:
    spec = dense(readout=None)
    learner = Learner(spec, device="numpy")
    activity = learner.infer(learner.init(), _samples(spec), record=("spikes",))
    counts = activity.spikes["dense2"].dense().sum(axis=1)
    assert counts.sum() > 0 and np.array_equal(activity.logits, counts)


def test_precomputed_encoders_and_events() -> None:
    values = np.array([[[0.0, 0.25, 1.0]]])
    spec = NetworkSpec(Input((1, 3), TimeToFirstSpikeEncoder()), [Dense(4, LIF())], Readout(2), duration=9 * ms)
    learner = Learner(spec, device="numpy")
    state = learner.init()
    activity = learner.infer(state, Samples(values), record=("spikes",))
    raster = activity.spikes["input"]
    assert list(zip(raster.step, raster.neuron, strict=True)) == [(0, 2), (6, 1)]
    events = Events(np.array([0, 6, 12]), np.array([2, 1, 0]), np.array([0, 3]), (1, 3))
    spec = dataclasses.replace(spec, input=Input((1, 3), Spikes()))
    replayed = Learner(spec, device="numpy").infer(state, Samples(events), record=("spikes",))
    assert np.array_equal(replayed.spikes["input"].dense(), raster.dense()), "an event after the trial is left out"
    assert np.array_equal(replayed.logits, activity.logits)


def test_random_encoders_depend_on_epoch_and_sample_only() -> None:
    spec = dense(input=Input((12,), PoissonEncoder(gain=0.8)))
    learner = Learner(spec, DALTON(), SGD(1e-9), device="numpy", batch_size=2)
    samples = _samples(spec)
    state = learner.init()
    first = learner.infer(state, samples, record="spikes").spikes["input"].dense()
    part = learner.infer(state, samples[3:5], record="spikes").spikes["input"].dense()
    assert np.array_equal(first[3:5], part)
    rates = [
        learner.learn(s, samples)[1].firing_rates["input"] for s in (state, state, state.next_epoch(learner.optimiser))
    ]
    assert rates[0] == rates[1] != rates[2]


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow")
def test_exploding_weights_are_named() -> None:
    case = CASES["dense-dalton-sgd-batch1"]
    samples = case.samples()
    learner = Learner(case.spec, case.rule, SGD(1e39), device="numpy", dtype="float32", batch_size=1)
    with pytest.raises(NonFiniteError) as caught:
        learner.learn(learner.init(case.weights()), samples)
    message = str(caught.value)
    assert "dense" in message and "weight update" in message and "learning rate" in message
    assert "ids [" in message


def test_the_first_bad_update_is_found() -> None:
    """A huge input makes one sample poison the weights; the error names that sample."""
    spec = dense(LIF(), input=Input((12,), Spikes()))
    learner = Learner(spec, DALTON(), SGD(1.0), device="numpy", dtype="float64", batch_size=1)
    events = Events(np.arange(8), np.arange(8), np.arange(9), (12,))
    samples = Samples(events, np.zeros(8, int), ids=np.arange(100, 108))
    good = learner.init()
    engine_learn = learner.engine.learn
    # stand in for arithmetic that overflows: the network itself cannot be made to do so at one chosen sample

    def learn(state, chunk, rate):  # type: ignore[no-untyped-def]
        new, record = engine_learn(state, chunk, rate)
        if 105 in chunk.ids:
            new = dataclasses.replace(new, weights={**new.weights, "dense2": new.weights["dense2"] * np.nan})
        return new, record

    learner.engine.learn = learn  # type: ignore[method-assign]
    with pytest.raises(NonFiniteError, match=r"dense2 after weight update 6 .*ids \[105\]"):
        learner.learn(good, samples)


def test_weights_of_another_network_are_refused() -> None:
    learner = Learner(dense(), DALTON(), device="numpy")
    weights = dict(learner.init().weights)
    with pytest.raises(WeightsError, match="another network"):
        learner.init({"conv1": np.zeros((2, 1, 3, 3))})
    with pytest.raises(WeightsError, match=r"dense1.*wrong shape"):
        learner.init({**weights, "dense1": np.zeros((9, 13))})
    with pytest.raises(WeightsError, match="not finite"):
        learner.init({**weights, "dense2": np.full((7, 9), np.nan)})


def test_bad_samples_are_refused() -> None:
    learner = Learner(dense(), DALTON(), device="numpy")
    state, values = learner.init(), np.zeros((3, 12))
    with pytest.raises(DataError, match=r"label 4 .*\n.*0 to 3"):
        learner.learn(state, Samples(values, np.array([0, 4, 1])))
    with pytest.raises(DataError, match="no labels"):
        learner.learn(state, Samples(values))
    with pytest.raises(DataError, match="NaN or infinity in sample 1 "):
        learner.learn(state, Samples(np.where(np.arange(3)[:, None] == 1, np.nan, values), np.zeros(3, int)))
    with pytest.raises(ShapeError, match=r"\(13,\)"):
        learner.infer(state, Samples(np.zeros((3, 13))))
    with pytest.raises(RuleError, match="no rule"):
        Learner(dense(), device="numpy").learn(state, Samples(values, np.zeros(3, int)))


def test_what_the_engine_cannot_run_is_refused_by_name() -> None:
    with pytest.raises(RuleError, match="batch_size=1"):
        Learner(dense(), DALTON(update="step"), device="numpy", batch_size=2)
    with pytest.raises(RuleError, match="readout"):
        Learner(dense(readout=None), DALTON(), device="numpy")
    with pytest.raises(DeviceError, match="unknown device"):
        Learner(dense(), device="tpu")
    with pytest.raises(RuleError, match="unknown engine"):
        Learner(dense(), engine="nest", device="numpy")


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    for device in ("cpp_standalone", "cython"):
        with pytest.raises(DeviceError, match=r"no C\+\+ compiler(.|\n)*apt-get install g\+\+(.|\n)*device='numpy'"):
            Learner(dense(), device=device)
    assert Learner(dense(), device="auto").device == "numpy"
    assert Learner(dense(), device="runtime").device == "numpy"


@pytest.mark.parametrize("rate", [1e30, 1e39, 1.7e308])
@pytest.mark.parametrize("optimiser", [bl.SGD, bl.Momentum, bl.Adam], ids=lambda o: o.__name__)
@pytest.mark.parametrize("engine", ["brian", "discrete"])
def test_absurd_learning_rates_are_named(engine: str, optimiser: type, rate: float, tmp_path) -> None:
    """The mean of finite float32 losses may be infinite, and a rate more than float32 holds."""
    if engine == "discrete":
        pytest.importorskip("torch")
    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(6, bl.DaltonIF())], bl.Readout(10), duration=8 * ms)
    experiment = bl.Experiment(
        spec, optimiser=optimiser(rate), data="digits", limit=30, test_limit=4, batch_size=10, runs=tmp_path,
        engine=engine, device="cpu" if engine == "discrete" else "numpy", dtype="float32",
    )  # fmt: skip
    with pytest.raises(NonFiniteError, match=r"not finite(.|\n)*got"):
        experiment.run(progress=False)
