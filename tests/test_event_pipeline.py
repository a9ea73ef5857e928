"""Denoising, downsampling, binning, windows, recordings on disk, and the simulated camera."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import event_files as files
import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.data import mnist_events
from brianlearn.data.events.binned import binned
from brianlearn.data.events.pipeline import Pipeline, denoised
from brianlearn.data.events.stored import StoredEvents, store
from brianlearn.errors import DataError


def raw(events: list[files.Event]) -> bl.RawEvents:
    return bl.RawEvents(*np.array(events, np.int64).reshape(-1, 4).T)


def recordings(n: int, side: int = 6, length: int = 30_000) -> list[tuple[int, bl.RawEvents]]:
    """Of different lengths; every fifth is empty."""
    sizes = [0 if k % 5 == 4 else 20 + 7 * k for k in range(n)]
    return [
        (k % 3, raw(files.some_events(size, seed=k, side=side, length=length + 10_000 * k)))
        for k, size in enumerate(sizes)
    ]


PIPELINE = Pipeline(6, 6, 1e-3)


@pytest.fixture
def stored(tmp_path: Path) -> StoredEvents:
    return store(tmp_path / "a.events", PIPELINE, recordings(12))


def in_memory(items: list[tuple[int, bl.RawEvents]], pipeline: Pipeline = PIPELINE) -> bl.Events:
    """Binned by a loop over events."""
    _, height, width = pipeline.shape
    steps, neurons, offsets = [], [], [0]
    for _, events in items:
        found = []
        for t, x, y, p in zip(events.time, events.x, events.y, events.polarity, strict=True):
            row, column = y * height // pipeline.height, x * width // pipeline.width
            found.append((int(t // round(pipeline.dt * 1e6)), int((p * height + row) * width + column)))
        steps += [step for step, _ in sorted(found)]
        neurons += [neuron for _, neuron in sorted(found)]
        offsets.append(len(steps))
    return bl.Events(np.array(steps), np.array(neurons), offsets, pipeline.shape)


def same(a: bl.Events, b: bl.Events) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("step", "neuron", "offsets"))


def test_denoising_against_a_loop() -> None:
    events = raw(files.some_events(600, seed=3, side=12, length=20_000))
    kept = []
    for k in range(len(events)):
        kept.append(
            any(
                abs(events.x[j] - events.x[k]) + abs(events.y[j] - events.y[k]) == 1
                and events.time[k] - events.time[j] < 700
                for j in range(k)
            )
        )
    assert 100 < sum(kept) < 500
    found = denoised(events, 700, 12, 12)
    for name in ("time", "x", "y", "polarity"):
        assert np.array_equal(getattr(found, name), getattr(events, name)[kept])
    assert len(denoised(events[:0], 700, 12, 12)) == 0


@pytest.mark.parametrize("pipeline", [PIPELINE, Pipeline(6, 6, 3e-3, size=(3, 2)), Pipeline(6, 6, 1e-2, size=(1, 1))])
def test_binning_against_a_loop(pipeline: Pipeline, tmp_path: Path) -> None:
    items = recordings(6)
    found = store(tmp_path / "a", pipeline, items)
    assert same(found.load(), in_memory(items, pipeline))
    assert found.labels.tolist() == [label for label, _ in items]


def test_unsorted_events_are_sorted() -> None:
    events = raw([(5000, 1, 1, 1), (100, 2, 2, 0), (-50, 3, 3, 0)])
    assert PIPELINE.codes(events).tolist() == [2 * 6 + 2, 5 * 72 + 36 + 7], "what comes before the start is left out"
    close = raw([(300, 1, 2, 0), (0, 1, 1, 0)])
    assert len(Pipeline(6, 6, 1e-3, denoise=5e-4).codes(close)) == 1


def test_stored_events_are_those_in_memory(stored: StoredEvents) -> None:
    memory = in_memory(recordings(12))
    assert len(stored) == 12 and stored.shape == (2, 6, 6)
    assert same(stored.load(), memory)
    assert np.array_equal(stored.durations, memory.durations)
    assert np.array_equal(stored.dense(25), memory.dense(25))
    for index in (slice(3, 9), [4, 0, 11, 11], np.arange(12) % 2 == 0, slice(0, 0)):
        assert same(stored[index].load(), memory[index])
        assert same(stored[index][::-1].load(), memory[index][::-1])
    start = np.arange(12) * 3
    assert same(stored.window(start).load(), memory.window(start))
    assert same(stored.window(start)[2:5].window(np.ones(3, int)).load(), memory[2:5].window(start[2:5] + 1))
    assert np.array_equal(stored.window(start).durations, memory.window(start).durations)
    assert np.array_equal(stored.window(start).dense(20), memory.window(start).dense(20))
    assert same(pickle.loads(pickle.dumps(stored)).load(), memory), "processes that share the work send it"
    digests = {x.digest() for x in (stored, stored[:5], stored.window(start), stored[::-1])}
    assert len(digests) == 4 and stored.digest() == StoredEvents(stored.path).digest()
    assert memory.digest() != memory[::-1].digest()


def test_long_recordings_take_eight_bytes(tmp_path: Path) -> None:
    late = raw([(10, 1, 1, 0), (10**11, 2, 1, 1)])
    found = store(tmp_path / "a", PIPELINE, [(0, late), (1, late[:1])])
    assert found.load().step.tolist() == [0, 10**8, 0]
    assert found.durations.tolist() == [10**8 + 1, 1]


def test_damaged_files_of_binned_events(stored: StoredEvents) -> None:
    whole = stored.path.read_bytes()
    for place in (0, 5, len(whole) - 1, len(whole) - 20, len(whole) - 60):
        damaged = bytearray(whole)
        damaged[place] ^= 255
        stored.path.write_bytes(bytes(damaged))
        with pytest.raises(DataError, match=r"byte(.|\n)*delete it"):
            StoredEvents(stored.path)
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        stored.path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match="not a whole file"):
            StoredEvents(stored.path)
    damaged = bytearray(whole)
    damaged[16 + 4 * len(stored[0:1].load().step) + 2] ^= 1  # the second recording
    stored.path.write_bytes(bytes(damaged))
    opened = StoredEvents(stored.path)
    assert len(opened[:1].load().step) and len(opened[2:].load().step)
    with pytest.raises(DataError, match=r"wrong checksum of the .* events from byte"):
        opened.dense(10)
    stored.path.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        opened.dense(10)


def test_nothing_is_cached_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path / "cache"))
    file = files.write(tmp_path / "r.bin", b"1")
    made = []

    def good() -> Iterator[tuple[int, bl.RawEvents]]:
        made.append(1)
        yield from recordings(3)

    def bad() -> Iterator[tuple[int, bl.RawEvents]]:
        yield from recordings(2)
        raise DataError("r.bin", "the recording is truncated")

    with pytest.raises(DataError, match="truncated"):
        binned("x", [file], PIPELINE, bad)
    assert not [f for f in (tmp_path / "cache").rglob("*") if f.is_file()]
    first = binned("x", [file], PIPELINE, good)
    again = binned("x", [file], PIPELINE, good)
    assert len(made) == 1 and first.path == again.path
    files.write(file, b"22")
    assert binned("x", [file], PIPELINE, good).path != first.path and len(made) == 2, "another file is other data"
    assert binned("x", [file], Pipeline(6, 6, 2e-3), good).path != first.path and len(made) == 3
    monkeypatch.setenv("BRIANLEARN_CACHE", str(file))  # no folder
    with pytest.raises(DataError, match=r"cannot be written(.|\n)*BRIANLEARN_CACHE"):
        binned("x", [file], PIPELINE, good)


def test_random_windows(stored: StoredEvents) -> None:
    samples = bl.Samples(stored, stored.labels)
    keys = np.random.default_rng(0).integers(2**60, size=(12, 2)).astype(np.uint64)
    shown = bl.RandomWindow(10)(samples, keys)
    again = bl.RandomWindow(10)(samples[[7]], keys[[7]])
    assert same(shown.inputs[7:8].load(), again.inputs.load()), "it depends on the key only"
    memory = bl.RandomWindow(10)(bl.Samples(stored.load(), stored.labels), keys)
    assert same(shown.inputs.load(), memory.inputs)
    starts = set()
    for seed in range(200):
        keys[0] = [seed, 1]
        window = bl.RandomWindow(10)(samples[:1], keys[:1]).inputs
        starts.add(int(stored.durations[0] - window.durations[0]))
    assert starts == set(range(int(stored.durations[0]) - 9)), "every place at which a whole window fits"
    short = bl.RandomWindow(10**6)(samples, keys)
    assert same(short.inputs.load(), stored.load()), "shorter recordings are shown from their start"
    with pytest.raises(DataError, match="no recordings"):
        bl.RandomWindow(3)(bl.Samples(np.zeros((2, 3))), keys[:2])
    with pytest.raises(DataError, match="steps is wrong"):
        bl.RandomWindow(0)


@pytest.mark.parametrize("encoder", [bl.Spikes(), bl.IntegrateEvents(gain=0.7)], ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("device", ["numpy", "cpu", pytest.param("cpp_standalone", marks=pytest.mark.cpp_standalone)])
def test_both_engines_take_recordings_on_disk(device: str, encoder: bl.Spikes, stored: StoredEvents) -> None:
    """In three chunks, which one build serves."""
    engine = "discrete" if device == "cpu" else "brian"
    if engine == "discrete":
        pytest.importorskip("torch")
    spec = bl.NetworkSpec(bl.Input((2, 6, 6), encoder), [bl.Dense(7, bl.DaltonIF())], bl.Readout(3), duration=25 * ms)
    learner = bl.Learner(
        spec,
        bl.DALTON(),
        engine=engine,
        device=device,
        dtype="float64",
        batch_size=4,
        chunk_size=4,
    )
    results = []
    for inputs in (stored, stored.load()):
        samples = bl.Samples(inputs, stored.labels)
        state, _ = learner.learn(learner.init(), samples)
        results.append((state.weights["dense1"], learner.infer(state, samples).logits))
    for a, b in zip(*results, strict=True):
        assert np.array_equal(a, b)
    assert np.abs(results[0][0] - learner.init().weights["dense1"]).max() > 1e-4


def test_camera_against_a_loop_over_pixels() -> None:
    camera = bl.EventCamera(height=4, width=5, mismatch=0.0, noise_rate=0.0, threshold=0.2, refractory=2e-3)
    image = np.random.default_rng(0).random((1, 6, 7))
    events = camera.record(image)[0]
    found = {}
    for y in range(4):
        for x in range(5):
            memory, ready, times = camera.view(image, 0.0)[0, y, x], 0.0, []
            for k in range(1, 120):
                change = camera.view(image, k * 0.5e-3)[0, y, x] - memory
                if abs(change) >= 0.2 and k * 0.5 >= ready - 1e-6:
                    times.append((500 * k, int(change > 0)))
                    memory += 0.2 * np.sign(change)
                    ready = k * 0.5 + 2.0
            found[x, y] = times
    assert sum(map(len, found.values())) == len(events) > 50
    for (x, y), times in found.items():
        here = (events.x == x) & (events.y == y)
        assert list(zip(events.time[here].tolist(), events.polarity[here].tolist(), strict=True)) == times


def test_camera_view_moves() -> None:
    camera = bl.EventCamera(height=8, width=8, background=1.0)
    image = np.zeros((1, 8, 8))
    image[0, 4, 4] = 1.0
    assert np.allclose(np.exp(camera.view(image, 0.0)) - 1.0, image)
    assert np.allclose(camera.gaze(20e-3), (2.0, 1.0)) and np.allclose(camera.gaze(60e-3), (0.0, 0.0))
    moved = np.exp(camera.view(image, 20e-3)) - 1.0
    assert np.unravel_index(moved[0].argmax(), (8, 8)) == (2, 3), "the gaze goes down and right, the image up and left"
    noise = bl.EventCamera(noise_rate=100.0).record(np.zeros((1, 8, 8)))[0]
    assert 1300 < len(noise) < 1780 and np.all(np.diff(noise.time) >= 0)  # 1536 on average
    for wrong in (dict(threshold=0), dict(refractory=-1), dict(step=0)):
        with pytest.raises(DataError, match="out of range"):
            bl.EventCamera(**wrong)


def test_digits_events() -> None:
    data = bl.load("digits_events")
    again = bl.load("digits_events")
    assert data.shape == (2, 16, 16) and (len(data.train), len(data.test)) == (1437, 360)
    assert data.train.inputs.digest() == again.train.inputs.digest()
    assert np.array_equal(data.test.labels, bl.load("digits").test.labels)
    counts = np.diff(data.train.inputs.offsets)
    assert counts.min() > 500 and counts.max() < 5000 and data.train.inputs.step.max() == 59
    assert bl.load("digits_events", dt=2 * ms, size=(8, 8), denoise=3 * ms).train.inputs.step.max() == 29


@pytest.mark.data
def test_mnist_events(data_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path))
    monkeypatch.setattr(mnist_events, "TRAIN_SAMPLES", 120)
    monkeypatch.setattr(mnist_events, "TEST_SAMPLES", 30)
    data, images = bl.load("mnist_events"), bl.load("mnist")
    assert data.shape == (2, 34, 34) and (len(data.train), len(data.test)) == (120, 30)
    for mine, theirs in ((data.train, images.train[:120]), (data.test, images.test[:30])):
        assert np.array_equal(mine.labels, theirs.labels) and np.array_equal(mine.ids, theirs.ids)
    events = data.train.inputs.load()
    counts = np.diff(events.offsets)
    assert 3500 < counts.mean() < 4700 and counts.min() > 500 and events.step.max() == 299  # N-MNIST: 4172 on average
    # where the camera looks: events are at the digit's edges, more of them the more ink there is
    ink = images.train.inputs[:120].reshape(120, -1).sum(axis=1)
    assert np.corrcoef(ink, counts)[0, 1] > 0.6
    files = sorted((tmp_path / "events").iterdir())
    assert bl.load("mnist_events").train.inputs.digest() == data.train.inputs.digest()
    assert sorted((tmp_path / "events").iterdir()) == files


def test_options_of_data_sets() -> None:
    for arguments, message in (
        (dict(name="mnist", denoise=5 * ms), "denoise is for events"),
        (dict(name="digits_events", denoise=5), "denoise is wrong"),
        (dict(name="digits_events", size=(20, 16)), "size is wrong"),
        (dict(name="digits_events", size=4), "size is wrong"),
        (dict(name="nmnist", split_seed=3), "official split"),
        (dict(name="cifar10_dvs", split_seed=-3), "split_seed is wrong"),
        (dict(name="digits", path="x"), "takes no path"),
        (dict(name="nope"), "unknown data set"),
    ):
        with pytest.raises(DataError, match=message):
            bl.DataSource(**arguments)


def test_an_experiment_keeps_its_source(tmp_path: Path) -> None:
    spec = bl.NetworkSpec(
        bl.Input((2, 8, 8), bl.Spikes()), [bl.Dense(6, bl.DaltonIF())], bl.Readout(10), duration=20 * ms
    )
    source = bl.DataSource("digits_events", denoise=5 * ms, size=(8, 8))
    experiment = bl.Experiment(
        spec, data=source, epochs=1, limit=6, test_limit=3, device="numpy", batch_size=3, runs=tmp_path,
        augment=bl.RandomWindow(20),
    )  # fmt: skip
    result = experiment.run(progress=False)
    again = bl.Experiment.from_run(result.run)
    assert again.data == source and again.augment == bl.RandomWindow(20)
    assert again.run(resume=result.run, progress=False).test_loss == result.test_loss
    assert bl.evaluate(result.run).test_accuracy == result.test_accuracy
