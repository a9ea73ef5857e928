"""Events made from what there is: times with units, monitors, addresses, dense arrays, data loaders; and back."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import brian2
import numpy as np
import pytest
from brian2 import Hz, ms, mV, second, us
from hypothesis import example, given, settings
from hypothesis import strategies as st

import brianlearn as bl
from brianlearn.data.events.pipeline import Pipeline
from brianlearn.errors import ArgumentError, DataError, ShapeError, UnitError

PAIRS = [(3, 2.5 * ms), (0, 1 * ms), (3, 0 * ms)]


def content(events: bl.Events) -> list[list[tuple[int, int]]]:
    """(step, neuron) of each sample."""
    bounds = zip(events.offsets, events.offsets[1:], strict=False)
    return [list(zip(events.step[a:b].tolist(), events.neuron[a:b].tolist(), strict=True)) for a, b in bounds]


ONE = [[(0, 3), (1, 0), (2, 3)]]
FORMS: dict[str, tuple[Callable[[], bl.Events], list]] = {
    "pairs": (lambda: bl.Events.from_times(PAIRS, dt=1 * ms, shape=4), ONE),
    "pairs in a tuple": (lambda: bl.Events.from_times(tuple(PAIRS), dt=1 * ms, shape=(4,)), ONE),
    "text": (lambda: bl.Events.from_times([(3, "2.5 ms"), (0, "1*ms"), (3, "0 s")], dt="1*ms", shape=4), ONE),
    "arrays": (lambda: bl.Events.from_times(np.array([3, 0, 3]), [2.5, 1, 0] * ms, dt=1 * ms, shape=4), ONE),
    "one trial of arrays": (lambda: bl.Events.from_times(([3, 0, 3], [2.5, 1, 0] * ms), dt=1 * ms, shape=4), ONE),
    "trials of pairs": (
        lambda: bl.Events.from_times([PAIRS, [], PAIRS[:1]], dt=1 * ms, shape=4),
        [*ONE, [], [(2, 3)]],
    ),
    "trials of arrays": (
        lambda: bl.Events.from_times([([3, 0], [2, 1] * ms), ([1], [0] * ms)], dt=1 * ms, shape=(2, 2)),
        [[(1, 0), (2, 3)], [(0, 1)]],
    ),
    "an array of trials": (
        lambda: bl.Events.from_times([3, 0, 1], [2, 1, 0] * ms, trial=[0, 0, 2], n_trials=4, dt=1 * ms, shape=4),
        [[(1, 0), (2, 3)], [], [(0, 1)], []],
    ),
    "trains": (lambda: bl.Events.from_times({3: [2.5, 0] * ms, 0: [1] * ms, 2: [] * ms}, dt=1 * ms, shape=4), ONE),
    "trials of trains": (lambda: bl.Events.from_times([{3: [2] * ms}, {}], dt=1 * ms, shape=4), [[(2, 3)], []]),
    "nothing": (lambda: bl.Events.from_times([], dt=1 * ms, shape=4), [[]]),
    "two empty trials": (lambda: bl.Events.from_times([[], []], dt=1 * ms, shape=4), [[], []]),
    "empty arrays": (lambda: bl.Events.from_times([], [] * ms, dt=1 * ms, shape=4, n_trials=2), [[], []]),
    "empty arrays without a unit": (lambda: bl.Events.from_times([], [], dt=1 * ms, shape=4), [[]]),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_times(name: str) -> None:
    made, expected = FORMS[name]
    assert content(made()) == expected


def test_a_shape_that_is_not_given_holds_the_last_neuron() -> None:
    assert bl.Events.from_times(PAIRS, dt=1 * ms).shape == (4,)
    assert bl.Events.from_times([], dt=1 * ms).shape == (1,)


def test_times_between_steps() -> None:
    times = [0, 0.4, 0.5, 0.999, 1, 1.5] * ms
    made = {
        rule: bl.Events.from_times(np.zeros(6, int), times, dt=1 * ms, shape=1, off_grid=rule).step.tolist()
        for rule in ("floor", "nearest")
    }
    assert made == {"floor": [0, 0, 0, 0, 1, 1], "nearest": [0, 0, 1, 1, 1, 2]}
    with pytest.raises(DataError, match=r"not on the grid(.|\n)*0\.4 ms at position 1(.|\n)*off_grid='floor'"):
        bl.Events.from_times(np.zeros(6, int), times, dt=1 * ms, shape=1, off_grid="refuse")
    with pytest.raises(DataError, match="off_grid is wrong"):
        bl.Events.from_times([0], [0] * ms, dt=1 * ms, shape=1, off_grid="round")


@pytest.mark.parametrize("dt", [0.1e-3, 0.3e-3, 1e-3, 0.7e-3, 1 / 3000])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_multiples_of_dt_are_on_the_grid(dt: float, kind: Any) -> None:
    """However they were rounded: as brian2 computes them, in 32 bits, in milliseconds."""
    steps = np.arange(20000)
    for times in (steps * dt, steps * (dt * 1e3) / 1e3, (steps * (dt * 1e6)) * 1e-6):
        for rule in ("floor", "refuse", "nearest"):
            made = bl.Events.from_times(
                np.zeros_like(steps), times.astype(kind).astype(float) * second, dt=dt * second, shape=1, off_grid=rule
            )
            assert np.array_equal(made.step, steps)


@given(st.lists(st.integers(0, 10**9), max_size=30), st.integers(1, 20000))
@example(times=[33263828], dt=1)
def test_microseconds_are_binned_as_whole_numbers_are_divided(times: list[int], dt: int) -> None:
    zeros = np.zeros(len(times), int)
    made = bl.Events.from_xytp((zeros, zeros, np.array(times, int), zeros), dt=dt * us, shape=(1, 1, 1))
    assert made.step.tolist() == sorted(t // dt for t in times)
    codes = Pipeline(1, 1, dt * 1e-6).codes(bl.RawEvents(times, zeros, zeros, zeros))
    assert (codes // 2).tolist() == made.step.tolist(), "as the package's data sets are binned"


WRONG: dict[str, tuple[Callable[[], Any], Any, str]] = {
    "no unit": (lambda: bl.Events.from_times([(0, 1)], dt=1 * ms, shape=4), UnitError, "no unit(.|\n)*1"),
    "no unit in an array": (lambda: bl.Events.from_times([0], [1.0], dt=1 * ms, shape=4), UnitError, "no unit"),
    "another unit": (lambda: bl.Events.from_times([0], [1] * mV, dt=1 * ms, shape=4), UnitError, "another unit"),
    "another unit in a pair": (lambda: bl.Events.from_times([(0, 1 * Hz)], dt=1 * ms, shape=4), UnitError, "another"),
    "two units": (
        lambda: bl.Events.from_times([(0, 1 * ms), (1, 2)], dt=1 * ms, shape=4),
        UnitError,
        "differ in their units(.|\n)*position 1",
    ),
    "no time at all": (lambda: bl.Events.from_times([(0, None)], dt=1 * ms, shape=4), (DataError, UnitError), "time"),
    "negative": (
        lambda: bl.Events.from_times([(0, 1 * ms), (1, -2 * ms)], dt=1 * ms, shape=4),
        DataError,
        r"negative(.|\n)*-2 ms at position 1",
    ),
    "NaN": (lambda: bl.Events.from_times([0], [np.nan] * ms, dt=1 * ms, shape=4), DataError, "not finite"),
    "infinite": (lambda: bl.Events.from_times([0], [np.inf] * ms, dt=1 * ms, shape=4), DataError, "not finite"),
    "far away": (lambda: bl.Events.from_times([0], [1e30] * ms, dt=1 * ms, shape=4), DataError, "too many time steps"),
    "behind the end": (
        lambda: bl.Events.from_times([(0, 4 * ms), (1, 5 * ms)], dt=1 * ms, shape=4, duration=5 * ms),
        DataError,
        "behind the end(.|\n)*5 ms in trial 0(.|\n)*before 5 ms",
    ),
    "neuron too large": (
        lambda: bl.Events.from_times([(4, 1 * ms)], dt=1 * ms, shape=(2, 2)),
        DataError,
        r"neuron 4 of spike 0(.|\n)*0 to 3",
    ),
    "neuron negative": (lambda: bl.Events.from_times([(-1, 1 * ms)], dt=1 * ms, shape=4), DataError, "neuron -1"),
    "neuron no integer": (lambda: bl.Events.from_times([(0.5, 1 * ms)], dt=1 * ms, shape=4), DataError, "integers"),
    "swapped": (lambda: bl.Events.from_times([(1 * ms, 0)], dt=1 * ms, shape=4), DataError, "does not hold integers"),
    "triples": (lambda: bl.Events.from_times([(0, 1 * ms, 2)], dt=1 * ms, shape=4), DataError, "no pair"),
    "a number": (lambda: bl.Events.from_times(3, dt=1 * ms, shape=4), DataError, "cannot be read"),
    "lengths": (lambda: bl.Events.from_times([0, 1], [1] * ms, dt=1 * ms, shape=4), DataError, "differ in shape"),
    "no dt": (lambda: bl.Events.from_times([], dt=1, shape=4), UnitError, "dt is no time"),
    "dt of 0": (lambda: bl.Events.from_times([], dt=0 * ms, shape=4), DataError, "dt is out of range"),
    "no dt at all": (lambda: bl.Events.from_times([]), UnitError, "dt is no time(.|\n)*None"),
    "a misspelt argument": (lambda: bl.Events.from_times([], dtt=1 * ms), ArgumentError, "dtt(.|\n)*did you mean 'dt'"),
    "trains of text": (lambda: bl.Events.from_times({"a": [1] * ms}, dt=1 * ms), DataError, "neuron indices are not"),
    "trains without a unit": (lambda: bl.Events.from_times({1: [1.0]}, dt=1 * ms), UnitError, "no unit"),
    "no sensor": (lambda: bl.Events.from_xytp((X, Y, T, P), dt=1 * ms), DataError, "shape is wrong(.|\n)*None"),
    "no axes": (lambda: bl.Events.from_dense(np.zeros((2, 3))), DataError, "axes is wrong(.|\n)*BTCHW"),
    "no shape": (lambda: bl.Events.from_times([], dt=1 * ms, shape=()), DataError, "shape is wrong"),
    "shape of text": (lambda: bl.Events.from_times([], dt=1 * ms, shape="44"), DataError, "shape is wrong"),
    "trials of pairs": (
        lambda: bl.Events.from_times([(0, 1 * ms)], trial=[0], dt=1 * ms, shape=4),
        DataError,
        "trial belongs to spikes in arrays",
    ),
    "trial negative": (
        lambda: bl.Events.from_times([0], [1] * ms, trial=[-1], dt=1 * ms, shape=4),
        DataError,
        "trial is wrong(.|\n)*-1",
    ),
    "too few trials": (
        lambda: bl.Events.from_times([0], [1] * ms, trial=[5], n_trials=5, dt=1 * ms, shape=4),
        DataError,
        "n_trials is wrong(.|\n)*>= 6",
    ),
    "monitor of rates": (lambda: bl.Events.from_monitor([1, 2]), DataError, "no monitor of spikes(.|\n)*list"),
    "x outside": (
        lambda: bl.Events.from_xytp([([1], [0], [5], [0]), ([2], [0], [5], [0])], dt=1 * ms, shape=(2, 1, 2)),
        DataError,
        r"recording 1(.|\n)*outside of the shape(.|\n)*x = 2 of event 0",
    ),
    "y outside": (
        lambda: bl.Events.from_xytp(([1], [-1], [5], [0]), dt=1 * ms, shape=(2, 1, 2)),
        DataError,
        "y = -1 of event 0",
    ),
    "polarity": (
        lambda: bl.Events.from_xytp(([1, 1], [0, 0], [5, 5], [0, 2]), dt=1 * ms, shape=(2, 1, 2)),
        DataError,
        "polarity has no channel(.|\n)*p = 2 of event 1",
    ),
    "three polarities": (
        lambda: bl.Events.from_xytp(([1] * 3, [0] * 3, [5] * 3, [-1, 0, 1]), dt=1 * ms, shape=(2, 1, 2)),
        DataError,
        "polarity has no channel(.|\n)*-1, 0, 1",
    ),
    "no y": (lambda: bl.Events.from_xytp({"x": [0], "t": [0]}, dt=1 * ms, shape=(1, 2, 2)), DataError, "have no y"),
    "no t": (lambda: bl.Events.from_xytp({"x": [0]}, dt=1 * ms, shape=(1, 2, 2)), DataError, "no events"),
    "a frame": (
        lambda: bl.Events.from_xytp(np.zeros((3, 2, 5, 5)), dt=1 * ms, shape=(2, 5, 5)),
        DataError,
        r"no events(.|\n)*ndarray of shape \(3, 2, 5, 5\)",
    ),
    "columns": (
        lambda: bl.Events.from_xytp(np.zeros((3, 4)), columns="xyz", dt=1 * ms, shape=(2, 5, 5)),
        DataError,
        "columns is wrong",
    ),
    "other columns": (
        lambda: bl.Events.from_xytp(np.zeros((3, 4)), columns="xtp", dt=1 * ms, shape=(2, 5, 5)),
        DataError,
        r"wrong shape(.|\n)*\(n, 3\)",
    ),
    "times negative": (
        lambda: bl.Events.from_xytp(([1], [0], [-5], [0]), dt=1 * ms, shape=(2, 1, 2)),
        DataError,
        "negative(.|\n)*subtract the start",
    ),
    "half a pixel": (
        lambda: bl.Events.from_xytp(([0.5], [0], [5], [0]), dt=1 * ms, shape=(2, 1, 2)),
        DataError,
        "x holds no whole numbers(.|\n)*0.5",
    ),
    "x shorter": (
        lambda: bl.Events.from_xytp(([1], [0], [5, 6], [0]), dt=1 * ms, shape=(2, 1, 2)),
        DataError,
        "x and t differ in shape",
    ),
    "a flat shape": (lambda: bl.Events.from_xytp([], dt=1 * ms, shape=5), ShapeError, "channels, height, width"),
    "axes of another array": (lambda: bl.Events.from_dense(np.zeros((2, 3)), "BTN"), DataError, "axes do not fit"),
    "axes without time": (lambda: bl.Events.from_dense(np.zeros((2, 3)), "BN"), DataError, "axes is wrong"),
    "axes twice": (lambda: bl.Events.from_dense(np.zeros((2, 3)), "TT"), DataError, "axes is wrong"),
    "scaled": (
        lambda: bl.Events.from_dense(np.full((1, 2, 3), 0.25), "BTN"),
        DataError,
        "no number of events(.|\n)*0.25 in sample 0, step 0(.|\n)*normalise",
    ),
    "negative counts": (lambda: bl.Events.from_dense(np.full((1, 2, 3), -1), "BTN"), DataError, "no number of events"),
    "NaN counts": (lambda: bl.Events.from_dense(np.full((1, 2, 3), np.nan), "BTN"), DataError, "no number of events"),
    "no loader": (lambda: bl.Samples.from_loader(3, "BTN"), DataError, "no data loader(.|\n)*int"),
    "empty loader": (lambda: bl.Samples.from_loader([], "BTN"), DataError, "holds no batch"),
    "no labels": (lambda: bl.Samples.from_loader([np.ones((1, 2, 3))], "BTN"), DataError, "batch 0 is not"),
    "unexpected labels": (
        lambda: bl.Samples.from_loader([(np.ones((1, 2, 3)), [0])], "BTN", labels=False),
        DataError,
        "batch 0 is no tensor",
    ),
    "labels of another batch": (
        lambda: bl.Samples.from_loader([(np.ones((1, 2, 3)), [0, 1])], "BTN"),
        DataError,
        "labels have the wrong shape",
    ),
    "two shapes": (
        lambda: bl.Samples.from_loader([(np.ones((1, 2, 3)), [0]), (np.ones((1, 2, 4)), [0])], "BTN"),
        DataError,
        r"one shape|\(3,\) and \(4,\)",
    ),
    "nothing to put together": (lambda: bl.Events.concatenate([]), DataError, "cannot be put together"),
    "steps shorter than microseconds": (
        lambda: bl.Events([0], [0], [0, 1], (1, 1, 1)).to_xytp(0.1 * us),
        DataError,
        "dt is too short",
    ),
    "addresses of a vector": (lambda: bl.Events([0], [0], [0, 1], (4,)).to_xytp(1 * ms), ShapeError, "no rows"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name: str) -> None:
    wrong, kind, message = WRONG[name]
    with pytest.raises(kind, match=message):
        wrong()


@pytest.fixture(scope="module")
def monitored() -> Any:
    """Neuron k of five fires in step k, k + 5, ...; 2 ms of 0.1 ms steps."""
    previous = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    try:
        group = brian2.NeuronGroup(
            5, "", threshold="(t_in_timesteps - i) % 5 == 0", reset="", dt=0.1 * ms, name="making_events"
        )
        monitors = SimpleNamespace(
            all=brian2.SpikeMonitor(group),
            part=brian2.SpikeMonitor(group[1:4]),
            counts=brian2.SpikeMonitor(group, record=False),
        )
        brian2.Network(group, *vars(monitors).values()).run(2 * ms)
    finally:
        brian2.prefs.codegen.target = previous
    return monitors


def test_monitors(monitored: Any) -> None:
    every = bl.Events.from_monitor(monitored.all)
    assert every.shape == (5,) and content(every) == [[(k, k % 5) for k in range(20)]]
    trains = bl.Events.from_times(monitored.all.spike_trains(), dt=0.1 * ms, shape=5, off_grid="refuse")
    assert trains.digest() == every.digest()
    part = bl.Events.from_monitor(monitored.part, shape=(1, 1, 3))
    assert part.shape == (1, 1, 3) and content(part) == [[(k, k % 5 - 1) for k in range(20) if 1 <= k % 5 <= 3]]
    coarse = bl.Events.from_monitor(monitored.all, dt=1 * ms)
    assert np.bincount(coarse.step).tolist() == [10, 10]
    trials = bl.Events.from_monitor(monitored.all, trial=0.7 * ms, start=0.3 * ms, n_trials=4)
    assert content(trials) == [[(k - 3 - 7 * n, k % 5) for k in range(3, 20) if (k - 3) // 7 == n] for n in range(4)]
    with pytest.raises(DataError, match=r"holds no spikes(.|\n)*record=False"):
        bl.Events.from_monitor(monitored.counts)
    with pytest.raises(ShapeError, match="5 neurons"):
        bl.Events.from_monitor(monitored.all, shape=6)
    with pytest.raises(DataError, match="not on the grid"):
        bl.Events.from_monitor(monitored.all, trial=0.25 * ms)
    with pytest.raises(DataError, match="n_trials is too small"):
        bl.Events.from_monitor(monitored.all, trial=0.5 * ms, n_trials=3)


def test_a_network_hears_what_a_monitor_heard(monitored: Any) -> None:
    """Into a network and out of it again: the input's raster is the recording."""
    events = bl.Events.from_monitor(monitored.all, trial=1 * ms)
    spec = bl.NetworkSpec(
        bl.Input((5,), bl.Spikes()), [bl.Dense(2, bl.CubaLIF())], bl.Readout(2), dt=0.1 * ms, duration=1 * ms
    )
    learner = bl.Learner(spec, None, engine="brian", device="numpy")
    raster = learner.infer(learner.init(), bl.Samples(events), record=("spikes",)).spikes["input"]
    assert content(events) == [
        list(zip(raster.step[raster.trial == k].tolist(), raster.neuron[raster.trial == k].tolist(), strict=True))
        for k in range(2)
    ]


X, Y, T, P = np.array([3, 0, 1]), np.array([1, 0, 0]), np.array([2500, 999, 40]), np.array([1, 0, 1])
ADDRESSED = [(0, 8 + 1), (0, 0), (2, 8 + 4 + 3)]
FIELDS = [("t", "i8"), ("x", "i2"), ("y", "i2"), ("p", "?")]
RECORDINGS: dict[str, Any] = {
    "four arrays": (X, Y, T, P),
    "fields": np.array(list(zip(T, X, Y, P, strict=True)), FIELDS),
    "columns of fields": np.array(list(zip(T, X, Y, P, strict=True)), FIELDS)[:, None],
    "raw events": bl.RawEvents(T, X, Y, P),
    "a mapping": {"x": X, "y": Y, "ts": T, "pol": P},
    "times with a unit": (X, Y, T * us, P),
    "polarities -1 and 1": (X, Y, T, 2 * P - 1),
    "floats": (X.astype(float), Y.astype(np.float32), T.astype(float), P.astype(float)),
}


@pytest.mark.parametrize("name", RECORDINGS)
def test_forms_of_addresses(name: str) -> None:
    events = bl.Events.from_xytp(RECORDINGS[name], dt=1 * ms, shape=(2, 2, 4))
    assert len(events) == 1 and sorted(content(events)[0]) == sorted(ADDRESSED)


def test_more_forms_of_addresses() -> None:
    table = np.stack([X, Y, T / 1000, P], axis=1)
    made = bl.Events.from_xytp([table, table[:0]], columns="xytp", unit=1 * ms, dt=1 * ms, shape=(2, 2, 4))
    assert content(made) == [sorted(ADDRESSED), []]
    # one row and one channel, as an artificial cochlea: whatever the polarity
    made = bl.Events.from_xytp({"x": X, "t": T, "p": np.ones(3, int)}, dt=1 * ms, shape=(1, 1, 4))
    assert sorted(content(made)[0]) == [(0, 0), (0, 1), (2, 3)]


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from([0.1e-3, 1e-3, 0.35e-3, 1 / 3000, 1e-6, 1.5e-6]))
def test_there_and_back(seed: int, dt: float) -> None:
    rng = np.random.default_rng(seed)
    shape, n = (2, 3, 5), int(rng.integers(0, 4))
    offsets = np.concatenate([[0], np.cumsum(rng.integers(0, 50, n))]).astype(int)
    size = int(offsets[-1])
    events = bl.Events(rng.integers(0, 10**6, size), rng.integers(0, 30, size), offsets, shape)
    expected = [sorted(part) for part in content(events)]
    neuron, times, trial = events.to_times(dt * second)
    again = bl.Events.from_times(neuron, times, trial=trial, n_trials=n, dt=dt * second, shape=shape, off_grid="refuse")
    assert content(again) == expected
    again = bl.Events.from_xytp(events.to_xytp(dt * second), dt=dt * second, shape=shape)
    assert content(again) == expected
    again = bl.Events.concatenate([events[:1], events[1:]]) if n else events
    assert content(again) == content(events)


def test_dense_arrays() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.2, (3, 5, 2, 4, 6))  # B, T, C, H, W
    expected = bl.Events.from_dense(counts, "BTCHW")
    assert expected.shape == (2, 4, 6) and len(expected) == 3
    found = np.zeros((3, 5, 48), int)
    np.add.at(found, (expected._sample(), expected.step, expected.neuron), 1)
    assert np.array_equal(found.reshape(counts.shape), counts)
    for axes in ("TBCHW", "BCHWT", "WHCTB", "CTBWH"):
        permuted = counts.transpose(["BTCHW".index(axis) for axis in axes])
        assert bl.Events.from_dense(permuted, axes).digest() == expected.digest()
    assert bl.Events.from_dense(counts[1], "TCHW").digest() == expected[1:2].digest()
    assert bl.Events.from_dense(counts > 0, "BTCHW").step.size == (counts > 0).sum()


def test_torch_data_loaders() -> None:
    torch = pytest.importorskip("torch")
    from torch.utils.data import DataLoader, TensorDataset

    frames = (torch.rand(7, 4, 2, 3, 3, generator=torch.Generator().manual_seed(0)) < 0.2).float()
    labels = torch.arange(7) % 3
    samples = bl.Samples.from_loader(DataLoader(TensorDataset(frames, labels), batch_size=3), "BTCHW")
    assert samples.labels.tolist() == labels.tolist() and samples.inputs.shape == (2, 3, 3)
    assert np.array_equal(samples.inputs.dense(4).reshape(frames.shape), frames.numpy() > 0)
    time_first = [(x.transpose(0, 1), y) for x, y in DataLoader(TensorDataset(frames, labels), batch_size=3)]
    assert bl.Samples.from_loader(time_first, "TBCHW").inputs.digest() == samples.inputs.digest()
    sparse = [frames.to_sparse(), frames.half().requires_grad_()]
    found = bl.Samples.from_loader(sparse, "BTCHW", labels=False)
    assert len(found) == 14 and found.labels is None
    assert found[7:].inputs.digest() == found[:7].inputs.digest() == samples.inputs.digest()
