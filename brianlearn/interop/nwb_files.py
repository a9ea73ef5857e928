"""Recordings as NWB files, the format of data archives in neurophysiology (https://nwb.org)."""

from __future__ import annotations

import datetime
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.errors import DataError
from brianlearn.interop.by_trial import ByTrial, package
from brianlearn.network.neurons.equations import unit_text
from brianlearn.network.samples.events import Recordings
from brianlearn.network.samples.samples import Activity, Raster
from brianlearn.network.samples.spike_times import take_time

if TYPE_CHECKING:
    from brianlearn.study.simulated import Simulated

__all__ = ["to_nwb"]


def to_nwb(
    recording: Activity | Simulated | Recordings,
    path: str | os.PathLike[str],
    *,
    dt: Any = None,
    duration: Any = None,
    description: str = "spiking network, simulated with brianlearn",
    identifier: str | None = None,
    start: datetime.datetime | None = None,
) -> Path:
    """Write recordings, or input spikes, as an NWB file, one sample (trial) after another.

    Sample k begins at k times the duration of a trial. Its spikes are back, to the time step, with `events_from_nwb`.

    Parameters
    ----------
    recording : Activity, Simulated or Events
        What was recorded: of `Learner.infer`, or of a call of a `Simulation`; or spikes, as the layer ``input``.
    path : path-like
        A file that does not exist. Needs the package pynwb.
    dt, duration : brian2.Quantity, optional
        Time step and length of a trial, of `Events`, which do not know them; the length is as short as spikes allow
        where it is not given.
    description : str, optional
        Of the session.
    identifier : str, optional
        Of the file; a random one where it is not given.
    start : datetime.datetime, optional
        Of the session; now where it is not given. Without a time zone it is one in UTC.

    Returns
    -------
    pathlib.Path
        A file with a table of trials, whose column ``sample`` is the sample's position; a table of units, one for every
        neuron of which spikes were recorded, with columns ``layer`` and ``neuron``, and obs_intervals, the trials in
        which it was; and in the acquisition a TimeSeries ``<layer>.<variable>`` for every variable of a layer, data
        (times, neurons) in base units, with its times, and its neurons in ``comments``.

    Raises
    ------
    BrianLearnError
        If pynwb is not installed.
    DataError
        If nothing was recorded; a file that exists; `Events` without a time step, or with spikes behind the end.
    UnitError
        Times without a unit.

    Examples
    --------
    >>> import tempfile
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> events = bl.Events.from_times([(0, 1*ms), (3, 2*ms)], dt=1*ms, shape=4)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = bl.to_nwb(events, f"{folder}/spikes.nwb", dt=1*ms, duration=10*ms)
    ...     bl.events_from_nwb(file, 1*ms).step.tolist()
    [1, 2]
    """
    owner = "to_nwb"
    pynwb, file = package("pynwb", owner), Path(path)
    events = isinstance(recording, Recordings)
    found = _of_events(owner, recording, dt, duration) if events else ByTrial(owner, recording)  # type: ignore[arg-type]
    if file.exists() or file.is_symlink():
        raise DataError(owner, "this file exists already", got=file, expected="a file that does not")
    began = datetime.datetime.now(datetime.UTC) if start is None else start
    content = pynwb.NWBFile(
        session_description=description,
        identifier=str(uuid.uuid4()) if identifier is None else identifier,
        session_start_time=began if began.tzinfo is not None else began.replace(tzinfo=datetime.UTC),
    )
    content.add_trial_column("sample", "position among the samples that were run")
    for trial in found.trials.tolist():
        begin = trial * found.duration
        content.add_trial(start_time=begin, stop_time=begin + found.duration, sample=trial)
    _add_units(content, found)
    for one in found.over_time:
        _add_series(pynwb, content, found, one)
    part = file.with_name(f".{file.name}.{os.getpid()}.nwb")
    try:
        with pynwb.NWBHDF5IO(str(part), "w") as writer:
            writer.write(content)
        part.replace(file)
    except OSError as error:
        raise DataError(owner, "the file cannot be written", got=f"{file}: {error}", expected="a file name") from None
    finally:
        part.unlink(missing_ok=True)
    return file


class _Spikes(ByTrial):
    """Spikes alone, of one layer."""

    def __init__(self, raster: Raster, dt: float) -> None:
        self.dt, self.duration = dt, dt * raster.n_steps
        self.spikes, self.over_time = {"input": raster}, []
        self.trials = np.arange(raster.n_trials)


def _of_events(owner: str, recording: Recordings, dt: Any, duration: Any) -> _Spikes:
    if dt is None:
        raise DataError(owner, "events do not know their time step", got="dt=None", expected="dt=..., e.g. 1*ms")
    step, events = take_time(owner, "dt", dt), recording.load()
    needed = int(events.step.max(initial=0)) + 1
    n_steps = needed if duration is None else round(take_time(owner, "duration", duration) / step)
    if n_steps < needed:
        raise DataError(
            owner, "a spike is behind the end", got=f"step {needed - 1}", expected=f"steps before {n_steps}"
        )
    trial = np.repeat(np.arange(len(events)), np.diff(events.offsets))
    order = np.lexsort((events.neuron, events.step, trial))
    trial, at, neuron = (a[order].astype(np.int64) for a in (trial, events.step, events.neuron))
    return _Spikes(Raster(trial, at, neuron, len(events), n_steps, events.shape), step)


def _add_units(content: Any, found: ByTrial) -> None:
    for column, what in (("layer", "name of the population"), ("neuron", "flat index in the population")):
        content.add_unit_column(column, what)
    for layer in found.spikes:
        times: dict[int, list[np.ndarray]] = {}
        intervals: dict[int, list[tuple[float, float]]] = {}
        for trial, trains in sorted(found.trains(layer), key=lambda each: each[0]):
            begin = trial * found.duration
            for neuron, mine in trains.items():
                times.setdefault(neuron, []).append(mine + begin)
                intervals.setdefault(neuron, []).append((begin, begin + found.duration))
        for neuron, parts in times.items():
            content.add_unit(
                spike_times=np.concatenate(parts),
                obs_intervals=np.array(intervals[neuron]),
                layer=layer,
                neuron=neuron,
            )


def _add_series(pynwb: Any, content: Any, found: ByTrial, one: Any) -> None:
    recorded, order = one.recorded, np.argsort(one.trials)
    values, trials = one.values[order], one.trials[order]
    times = (trials[:, None] * found.duration + np.asarray(recorded.times / second, float)).ravel()
    dimensions = get_dimensions(recorded.values)
    content.add_acquisition(
        pynwb.TimeSeries(
            name=f"{recorded.layer}.{recorded.variable}",
            data=values.reshape(len(times), -1),
            timestamps=times,
            unit="dimensionless" if dimensions.is_dimensionless else unit_text(dimensions),
            description=f"{recorded.variable} of {recorded.layer} at the end of time steps, by the beginnings of these",
            comments=f"neurons: {', '.join(map(str, np.asarray(recorded.neurons).tolist()))}",
        )
    )
