"""Input spikes go to Brian2 as lists: the same spikes on every device, in memory that follows their number."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms
from hypothesis import given, settings
from hypothesis import strategies as st

import brianlearn as bl
from brianlearn.brian import engine as brian_engine
from brianlearn.brian.build.plan import Plan
from brianlearn.brian.build.spike_input import list_names
from brianlearn.brian.run.feed import inputs
from brianlearn.data.events.pipeline import Pipeline
from brianlearn.data.events.stored import store
from brianlearn.errors import DeviceError
from brianlearn.learning.state import LearnerState

NEURONS, COUNTS = list_names("input")

STEPS = 12
SHAPE = (2, 3, 4)
NEURON = bl.CubaLIF(tau_m=10 * ms, tau_s=5 * ms, R=40.0)


def events(n: int, seed: int = 0, rate: float = 0.2) -> bl.Events:
    """Several in one step too, and some behind the end of a trial."""
    rng = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(rng.poisson(rate * 24 * STEPS, n))]).astype(int)
    size = int(offsets[-1])
    return bl.Events(rng.integers(0, STEPS + 3, size), rng.integers(0, 24, size), offsets, SHAPE)


def keys(n: int) -> np.ndarray:
    return np.stack([np.arange(n, dtype=np.uint64), np.full(n, 7, np.uint64)], axis=1)


ENCODERS: list[Any] = [
    bl.PoissonEncoder(0.3), bl.TimeToFirstSpikeEncoder(0.2), bl.Spikes(), bl.IntegrateEvents(0.6),
    bl.IntegrateEvents(1.5), bl.IntegrateEvents(0.6, 0.05), bl.IntegrateEvents(0.6, -0.05),
]  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(ENCODERS), st.integers(0, 2**32), st.integers(0, 5), st.sampled_from([2**21, 24, 50]))
def test_lists_are_the_raster(encoder: Any, seed: int, n: int, together: int) -> None:
    values = np.random.default_rng(seed).uniform(-0.2, 1.2, (n, 24))
    given_ = events(n, seed) if isinstance(encoder, bl.Spikes) else values
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("brianlearn.network.encoders._MEMBRANES", together)
        lists = list(encoder.spikes(given_, STEPS, keys(n)))
    found = np.zeros((n, STEPS, 24), int)
    for k, (step, neuron) in enumerate(lists):
        np.add.at(found, (k, step, neuron), 1)
        order = step * 24 + neuron
        assert np.all(np.diff(order) > 0), "in the order of time and then of neurons, each once"
    assert np.array_equal(found, encoder.raster(given_, STEPS, keys(n)))
    assert np.all(encoder.most_spikes(given_, STEPS) >= found.sum(axis=(1, 2)))


def test_integrated_events_one_by_one() -> None:
    """By the encoder's formula, neuron by neuron."""
    encoder, given_ = bl.IntegrateEvents(0.6, 0.05), events(3)
    v, expected = np.zeros((3, 24)), np.zeros((3, STEPS, 24), bool)
    for k in range(3):
        part = given_[k : k + 1]
        for t in range(STEPS):
            v[k] += 0.6 * np.bincount(part.neuron[part.step == t], minlength=24) + 0.05
            expected[k, t] = v[k] > 1
            v[k][v[k] > 1] = 0
    assert np.array_equal(encoder.raster(given_, STEPS, keys(3)), expected)


def network(encoder: Any, **options: Any) -> bl.NetworkSpec:
    layers = [bl.Conv(3, 2, NEURON), bl.Dense(10, NEURON)]
    return bl.NetworkSpec(bl.Input(SHAPE, encoder), layers, bl.Readout(3), duration=STEPS * ms, **options)


class EveryOther(bl.Encoder):
    """An encoder of one's own, which says its raster alone."""

    precomputed = True

    def raster(self, values: Any, n_steps: int, seeds: np.ndarray) -> np.ndarray:
        return (np.arange(n_steps)[None, :, None] % 2 == 0) & (np.asarray(values) > 0.5)[:, None, :]


@pytest.mark.parametrize("timing", ["same_step", "pipelined"])
@pytest.mark.parametrize("encoder", [bl.PoissonEncoder(0.3), bl.Spikes(), EveryOther()], ids=lambda e: type(e).__name__)
def test_a_network_fires_the_raster(encoder: Any, timing: str) -> None:
    """In runs that are shorter than the chunk too; nothing of one run is left for the next."""
    rng = np.random.default_rng(0)
    given_ = events(7) if isinstance(encoder, bl.Spikes) else rng.uniform(0, 1, (7, *SHAPE))
    samples = bl.Samples(given_, rng.integers(0, 3, 7))
    learner = bl.Learner(
        network(encoder, timing=timing), bl.DALTON(), engine="brian", device="numpy", batch_size=2, chunk_size=4
    )
    state, _ = learner.learn(learner.init(), samples)
    activity = learner.infer(state, samples, record=("spikes",))
    values = given_ if isinstance(encoder, bl.Spikes) else samples.inputs.reshape(7, -1)
    raster = encoder.raster(values, STEPS, state.sample_keys(samples.ids, learning=False))
    assert np.array_equal(activity.spikes["input"].dense().reshape(raster.shape), raster)
    assert activity.firing_rates["input"] == pytest.approx(raster.mean() / 1e-3)
    alone = learner.infer(state, samples[5:6], record=("spikes",))
    for layer, fired in activity.spikes.items():
        assert np.array_equal(alone.spikes[layer].dense()[0], fired.dense()[5])


def test_parts_of_a_chunk_are_the_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the last bit, however small the memory that spikes may take."""
    samples = bl.Samples(events(5), np.arange(5) % 3)
    layers = [bl.Dense(10, NEURON)]
    spec = bl.NetworkSpec(bl.Input(SHAPE, bl.Spikes()), layers, bl.Readout(3), duration=STEPS * ms)

    def learned() -> tuple[Any, Any, Any]:
        learner = bl.Learner(spec, bl.TFR(), bl.Adam(0.01), engine="brian", device="numpy", batch_size=2, chunk_size=6)
        state, metrics = learner.learn(learner.init(), samples)
        return state, metrics, learner.infer(state, samples, record=("spikes", "readout"))

    whole = learned()
    runs: list[int] = []
    monkeypatch.setattr(brian_engine, "SPIKE_BYTES", 4 * 2.5 * 58)
    monkeypatch.setattr(brian_engine, "inputs", lambda *a, **k: runs.append(len(a[2])) or inputs(*a, **k))
    parts = learned()
    assert len(runs) > 4 and sum(runs) == 10, "several runs"
    assert [a.loss for a in (whole[1], whole[2])] == pytest.approx([a.loss for a in (parts[1], parts[2])], rel=1e-12)
    assert whole[0].steps == parts[0].steps == 3
    for name, weights in whole[0].weights.items():
        assert np.array_equal(weights, parts[0].weights[name])
    assert np.array_equal(whole[2].logits, parts[2].logits)
    for layer, fired in whole[2].spikes.items():
        assert np.array_equal(fired.dense(), parts[2].spikes[layer].dense())


def test_memory_follows_spikes(tmp_path: Path) -> None:
    """Also of recordings on disk: not inputs times steps."""
    rng = np.random.default_rng(0)
    pipeline = Pipeline(128, 128, 1e-3)
    recordings = [
        (
            0,
            bl.RawEvents(
                rng.integers(0, 300_000, 9000), *rng.integers(128, size=(2, 9000)), rng.integers(2, size=9000)
            ),
        )
        for _ in range(4)
    ]
    stored = store(tmp_path / "a.events", pipeline, recordings)
    spec = bl.NetworkSpec(
        bl.Input((2, 128, 128), bl.Spikes()), [bl.Conv(2, 5, NEURON, stride=8)], bl.Readout(3), duration=300 * ms
    )
    state = LearnerState(bl.Learner(spec, None, engine="brian", device="numpy", chunk_size=1).init().weights)
    for given_ in (stored, stored.load()):
        plan = Plan(spec, None, bl.Adam(), 1, 4, "float64")
        arrays = inputs(plan, state, bl.Samples(given_, [0] * 4), learning=False)
        assert sum(array.nbytes for array in arrays.values()) < 4 * 9000 * 4 + 2**17
        assert (len(arrays[NEURONS]), int(arrays[COUNTS].sum())) == (len(arrays[NEURONS]),) * 2
        assert arrays[NEURONS].dtype == arrays[COUNTS].dtype == np.int32
    engine = bl.Learner(spec, bl.TFR(), engine="brian", device="numpy").engine
    assert engine.chunk_size >= 50


@pytest.mark.cpp_standalone
def test_a_program_fires_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """As numpy does, with traces of the input; a file that ends too soon is an error by name."""
    samples = bl.Samples(events(5), np.arange(5) % 3)
    found = {}
    for device in ("numpy", "cpp_standalone"):
        learner = bl.Learner(
            network(bl.Spikes()), bl.TFR(eligibility="trace"), bl.SGD(0.01), engine="brian", device=device,
            dtype="float64", batch_size=2, chunk_size=4,
        )  # fmt: skip
        state, _ = learner.learn(learner.init(), samples)
        found[device] = learner.infer(state, samples), state
    for name, weights in found["numpy"][1].weights.items():
        np.testing.assert_allclose(weights, found["cpp_standalone"][1].weights[name], atol=1e-12)
    assert found["numpy"][0].firing_rates["input"] == found["cpp_standalone"][0].firing_rates["input"]

    def cut(*arguments: Any, **options: Any) -> dict[str, np.ndarray]:
        values = inputs(*arguments, **options)
        return values | {NEURONS: values[NEURONS][:-3]}

    monkeypatch.setattr(brian_engine, "inputs", cut)
    with pytest.raises(DeviceError, match="the input spikes of a step cannot be read"):
        learner.infer(state, samples)
