"""Spikes from neo and NWB files and into them: by the writers of the formats, and there and back to the time step."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms, second
from cases import CONDUCTANCE, Case, dense

import brianlearn as bl

neo = pytest.importorskip("neo")
pq = pytest.importorskip("quantities")
pynwb = pytest.importorskip("pynwb")


def same(a: bl.Events, b: bl.Events) -> None:
    for name in ("step", "neuron", "offsets"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
    assert a.shape == b.shape


def events(seed: int, dt: float, steps: int = 400, n: int = 7, trials: int = 23) -> bl.Events:
    """Spikes at random in many trials, the last neuron and the last trial with one at least."""
    fires = np.random.default_rng(seed).random((trials, steps, n)) < 0.02
    fires[-1, -1, -1] = True
    trial, step, neuron = np.nonzero(fires)
    return bl.Events(step, neuron, np.searchsorted(trial, np.arange(trials + 1)), (n,))


@pytest.fixture(scope="module")
def activity() -> bl.Activity:
    spec = dense(CONDUCTANCE)
    learner = bl.Learner(spec, bl.DALTON(), device="numpy", dtype="float64")
    record = [
        bl.Record("spikes", ["dense1", "input"]),
        bl.Record("spikes", "dense2", neurons=[1, 4], samples=[3, 1]),
        bl.Record("v", "dense1", neurons=[7, 2], samples=[3, 0], every=4),
        "readout",
    ]
    return learner.infer(learner.init(), Case(spec).samples(), record=record)


@pytest.mark.parametrize("dt", [1e-3, 1 / 3000])
def test_nwb_there_and_back(dt: float, tmp_path: Path) -> None:
    given = events(1, dt)
    file = bl.to_nwb(given, tmp_path / "a.nwb", dt=dt * second)
    same(bl.events_from_nwb(file, dt * second, off_grid="refuse"), given)
    assert [path.name for path in tmp_path.iterdir()] == ["a.nwb"]


@pytest.mark.parametrize("dt", [1e-3, 1e-4, 0.3e-3, 1 / 3000])
@pytest.mark.parametrize("late", [False, True])
def test_neo_there_and_back(dt: float, late: bool) -> None:
    """Segments that begin at 0, and one after another, as files of a whole session have them."""
    given, block = events(2, dt), neo.Block()
    for k in range(len(given)):
        mine, segment = given[k : k + 1], neo.Segment()
        begin = 1000 + k * 400 * dt if late else 0.0
        for i in range(7):
            times = mine.step[mine.neuron == i] * dt + begin
            ends = dict(t_start=begin * pq.s, t_stop=(begin + 400 * dt) * pq.s)
            segment.spiketrains.append(neo.SpikeTrain(times * 1e3 * pq.ms, **ends))
        block.segments.append(segment)
    same(bl.events_from_neo(block, dt * second, off_grid="refuse"), given)
    same(bl.events_from_neo(block.segments[3], dt * second), given[3:4])
    same(bl.events_from_neo(list(block.segments[3].spiketrains), dt * second), given[3:4])


def test_what_a_network_fired_is_the_input_of_another(activity: bl.Activity, tmp_path: Path) -> None:
    raster = activity.spikes["dense1"]
    block, file = bl.to_neo(activity), bl.to_nwb(activity, tmp_path / "a.nwb")
    for found in (
        bl.events_from_neo(block, activity.dt, layer="dense1", shape=9),
        bl.events_from_nwb(file, activity.dt, layer="dense1", shape=9),
    ):
        np.testing.assert_array_equal(found.dense(raster.n_steps), raster.dense().reshape(5, raster.n_steps, -1))
    with pytest.raises(bl.DataError, match="several layers"):
        bl.events_from_neo(block, activity.dt)
    with pytest.raises(bl.DataError, match="did you mean 'dense1'"):
        bl.events_from_nwb(file, activity.dt, layer="dens1")


def test_an_nwb_file_says_what_was_recorded(activity: bl.Activity, tmp_path: Path) -> None:
    """Read with pynwb alone, and valid by its own validator."""
    start = datetime.datetime(2020, 2, 3, tzinfo=datetime.UTC)
    file = bl.to_nwb(activity, tmp_path / "a.nwb", description="a test", identifier="mine", start=start)
    with pynwb.NWBHDF5IO(str(file), "r") as reader:
        content = reader.read()
        assert (content.identifier, content.session_description) == ("mine", "a test")
        assert content.session_start_time == start
        np.testing.assert_allclose(content.trials["start_time"][:], np.arange(5) * 15e-3)
        np.testing.assert_array_equal(content.trials["sample"][:], np.arange(5))
        units = content.units.to_dataframe()
        assert set(units.layer) == {"input", "dense1", "dense2"}
        expected = activity.spikes["dense1"].dense()
        for _, unit in units[units.layer == "dense1"].iterrows():
            trial, step = np.nonzero(expected[:, :, unit.neuron])
            np.testing.assert_allclose(unit.spike_times, (trial * 15 + step) * 1e-3, atol=1e-12)
            assert np.shape(unit.obs_intervals) == (5, 2)
        some = units[units.layer == "dense2"]
        assert some.neuron.tolist() == [1, 4]
        np.testing.assert_allclose(some.obs_intervals.iloc[0], [[0.015, 0.03], [0.045, 0.06]])
        v = content.acquisition["dense1.v"]
        assert v.unit == "volt" and v.comments == "neurons: 7, 2"
        values = np.asarray(activity.recorded["v"]["dense1"])[[1, 0]]  # samples 0 and 3
        np.testing.assert_array_equal(v.data[:], values.reshape(-1, 2))
        np.testing.assert_allclose(v.timestamps[:], np.array([0, 4, 8, 12, 45, 49, 53, 57]) * 1e-3)
    assert not pynwb.validate(path=str(file))


def nwb(path: Path, trains: Any, trials: Any = (), **columns: list[Any]) -> Path:
    """A file as pynwb's documentation makes one."""
    content = pynwb.NWBFile("a session", "id", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    for start, stop in trials:
        content.add_trial(start_time=start, stop_time=stop)
    for name in columns:
        content.add_unit_column(name, name)
    for k, times in enumerate(trains):
        content.add_unit(spike_times=times, **{name: values[k] for name, values in columns.items()})
    with pynwb.NWBHDF5IO(str(path), "w") as writer:
        writer.write(content)
    return path


def test_an_nwb_file_of_a_laboratory(tmp_path: Path) -> None:
    trains = [[0.0105, 0.5, 1.0, 1.0014], [], [0.499, 1.2, 3.0]]
    file = nwb(tmp_path / "a.nwb", trains, [(0.0, 0.5), (1.0, 1.5), (2.0, 2.5)])
    found = bl.events_from_nwb(file, 1 * ms)
    assert found.shape == (3,) and found.offsets.tolist() == [0, 2, 5, 5]
    assert list(zip(found.step.tolist(), found.neuron.tolist(), strict=True)) == [
        (10, 0),
        (499, 2),
        (0, 0),
        (1, 0),
        (200, 2),
    ]
    whole = bl.events_from_nwb(file, 1 * ms, trials=False, shape=(1, 1, 5))
    assert (
        len(whole) == 1 and whole.step.tolist() == [10, 499, 500, 1000, 1001, 1200, 3000] and whole.shape == (1, 1, 5)
    )
    plain = nwb(tmp_path / "b.nwb", trains)
    same(bl.events_from_nwb(plain, 1 * ms), bl.events_from_nwb(file, 1 * ms, trials=False))
    areas = nwb(tmp_path / "c.nwb", trains, layer=["V1", "V1", "V2"])
    assert bl.events_from_nwb(areas, 1 * ms, layer="V2").step.tolist() == [499, 1200, 3000]
    with pytest.raises(bl.DataError, match="no trials"):
        bl.events_from_nwb(plain, 1 * ms, trials=True)
    with pytest.raises(bl.DataError, match="behind the end"):
        bl.events_from_nwb(plain, 1 * ms, duration=2000 * ms)
    with pytest.raises(bl.DataError, match="grid"):
        bl.events_from_nwb(plain, 1 * ms, off_grid="refuse")
    with pytest.raises(bl.DataError, match="neuron"):
        bl.events_from_nwb(plain, 1 * ms, shape=2)


def test_trains_as_neo_has_them() -> None:
    segment = neo.Segment()
    for times in ([2.0, 5.5], [], [0.1]):
        segment.spiketrains.append(neo.SpikeTrain(times * pq.ms, t_stop=10 * pq.ms))
    found = bl.events_from_neo(segment, 0.5 * ms)
    assert found.step.tolist() == [0, 4, 11] and found.neuron.tolist() == [2, 0, 0] and found.shape == (3,)
    numbered = neo.Segment()
    numbered.spiketrains.append(neo.SpikeTrain([1.0] * pq.ms, t_stop=10 * pq.ms, neuron=4))
    assert bl.events_from_neo([segment, numbered], 1 * ms).shape == (5,)


def test_what_is_refused(tmp_path: Path, activity: bl.Activity) -> None:
    one = bl.Events.from_times([(0, 3 * ms)], dt=1 * ms, shape=2)
    (tmp_path / "text.nwb").write_bytes(b"no")
    empty = pynwb.NWBFile("a session", "id", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    with pynwb.NWBHDF5IO(str(tmp_path / "empty.nwb"), "w") as writer:
        writer.write(empty)
    wrong: list[tuple[Any, type[Exception], str]] = [
        (lambda: bl.events_from_nwb(tmp_path / "none.nwb", 1 * ms), bl.DataError, "no such file"),
        (lambda: bl.events_from_nwb(tmp_path / "text.nwb", 1 * ms), bl.DataError, "cannot be read"),
        (lambda: bl.events_from_nwb(tmp_path / "empty.nwb", 1 * ms), bl.DataError, "no spikes"),
        (lambda: bl.events_from_nwb(tmp_path / "empty.nwb", 1), bl.UnitError, "dt"),
        (lambda: bl.events_from_neo(neo.Segment(), 1 * ms), bl.DataError, "no spike trains"),
        (lambda: bl.events_from_neo([1, 2], 1 * ms), bl.DataError, "no recording"),
        (lambda: bl.to_nwb(one, tmp_path / "x.nwb"), bl.DataError, "time step"),
        (lambda: bl.to_nwb(one, tmp_path / "x.nwb", dt=1 * ms, duration=3 * ms), bl.DataError, "behind the end"),
        (lambda: bl.to_nwb(one, tmp_path / "text.nwb", dt=1 * ms), bl.DataError, "exists already"),
        (lambda: bl.to_nwb(one, tmp_path / "no" / "x.nwb", dt=1 * ms), bl.DataError, "cannot be written"),
        (lambda: bl.to_nwb(3, tmp_path / "x.nwb"), bl.DataError, "no recordings"),
    ]
    for call, kind, why in wrong:
        with pytest.raises(kind, match=why):
            call()
    assert not (tmp_path / "x.nwb").exists()
