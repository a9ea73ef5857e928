"""Spike trains of neo and of NWB files as `Events`, the input of networks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import second

from brianlearn.errors import DataError, did_you_mean
from brianlearn.interop.by_trial import package
from brianlearn.network.samples.events import Events
from brianlearn.network.samples.spike_times import take_time

if TYPE_CHECKING:
    import neo

__all__ = ["events_from_neo", "events_from_nwb"]


def events_from_neo(
    recording: neo.Block | neo.Segment | Sequence[Any],
    dt: Any,
    *,
    layer: str | None = None,
    shape: Any = None,
    duration: Any = None,
    off_grid: str = "floor",
) -> Events:
    """Spike trains of neo as input spikes, one sample for each segment.

    Parameters
    ----------
    recording : neo.Block, neo.Segment, or sequence of neo.Segment or of neo.SpikeTrain
        Spike trains alone are one sample. Neuron k is the train with the annotation ``neuron`` k, as `to_neo` writes
        them, or where trains have none the k-th of its segment.
    dt : brian2.Quantity
        Time step of the network.
    layer : str, optional
        Of trains with annotations ``layer``, those of which are taken; needed where there are several.
    shape : int or tuple of int, optional
        Of the input; as many neurons as there are trains where it is not given.
    duration : brian2.Quantity, optional
        Of a trial; a spike at or after its end is an error.
    off_grid : {"floor", "nearest", "refuse"}, optional
        As of `Events.from_times`.

    Returns
    -------
    Events
        Times count from the start of each segment: the earliest ``t_start`` of its trains.

    Raises
    ------
    BrianLearnError
        If neo is not installed.
    DataError
        What holds no spike trains; several layers, or one that is not there; as `Events.from_times`.
    ShapeError, UnitError
        As `Events.from_times`.

    Examples
    --------
    >>> import neo
    >>> import quantities as pq
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> segment = neo.Segment()
    >>> segment.spiketrains.append(neo.SpikeTrain([2.0, 5.5]*pq.ms, t_stop=10*pq.ms))
    >>> segment.spiketrains.append(neo.SpikeTrain([]*pq.ms, t_stop=10*pq.ms))
    >>> events = bl.events_from_neo(segment, 1*ms)
    >>> events.step.tolist(), events.neuron.tolist(), events.shape
    ([2, 5], [0, 0], (2,))
    """
    owner = "events_from_neo"
    package("neo", owner)
    step, count = take_time(owner, "dt", dt), 0
    samples: list[list[tuple[int, np.ndarray]]] = []
    for trains in _segments(owner, recording):
        chosen = _of_layer(owner, trains, [dict(train.annotations).get("layer") for train in trains], layer)
        told = [dict(train.annotations).get("neuron") for train in chosen]
        numbers = list(range(len(chosen))) if None in told else [int(str(n)) for n in told]
        start = min((float(train.t_start.rescale("s")) for train in chosen), default=0.0)
        times = [np.asarray(train.rescale("s").magnitude, float).ravel() for train in chosen]
        samples.append([(n, _since(t, start, step)) for n, t in zip(numbers, times, strict=True)])
        count = max([count, *(n + 1 for n in numbers)])
    return _events(owner, samples, count, dt, shape, duration, off_grid)


def events_from_nwb(
    path: str | os.PathLike[str],
    dt: Any,
    *,
    layer: str | None = None,
    trials: bool | None = None,
    shape: Any = None,
    duration: Any = None,
    off_grid: str = "floor",
) -> Events:
    """The units of an NWB file as input spikes, one sample for each trial.

    Parameters
    ----------
    path : path-like
        Needs the package pynwb. Neuron k is the unit with k in the column ``neuron``, as `to_nwb` writes it, or where
        there is no such column the k-th of the table.
    dt : brian2.Quantity
        Time step of the network.
    layer : str, optional
        Of units with a column ``layer``, those of which are taken; needed where there are several.
    trials : bool, optional
        Whether samples are the rows of the table of trials, from start_time to stop_time; spikes between trials are
        left out. Without one, or with False, all is one sample that begins at 0 s.
    shape : int or tuple of int, optional
        Of the input; as many neurons as there are units where it is not given.
    duration : brian2.Quantity, optional
        Of a trial; a spike at or after its end is an error.
    off_grid : {"floor", "nearest", "refuse"}, optional
        As of `Events.from_times`.

    Returns
    -------
    Events
        Times count from the start of each trial.

    Raises
    ------
    BrianLearnError
        If pynwb is not installed.
    DataError
        What is no NWB file, or has no units with spike times, or no trials where they are asked for; several layers, or
        one that is not there; as `Events.from_times`.
    ShapeError, UnitError
        As `Events.from_times`.
    """
    owner = "events_from_nwb"
    pynwb, file = package("pynwb", owner), Path(path)
    step = take_time(owner, "dt", dt)
    if not file.is_file():
        raise DataError(owner, "there is no such file", got=file, expected="an NWB file")
    try:
        with pynwb.NWBHDF5IO(str(file), "r", load_namespaces=True) as reader:
            content = reader.read()
            columns, bounds = _tables(content)
    except Exception as error:  # of h5py or hdmf, whatever is in the file
        raise DataError(owner, f"{file.name} cannot be read", got=str(error)[:200], expected="an NWB file") from error
    if columns is None or "spike_times" not in columns:
        raise DataError(
            owner,
            f"{file.name} has no spikes",
            got=f"units with {', '.join(columns)}" if columns else "no units",
            expected="a table of units with spike_times",
        )
    if trials and bounds is None:
        raise DataError(owner, f"{file.name} has no trials", got="trials=True", expected="a table of trials")
    rows = list(range(len(columns["spike_times"])))
    rows = _of_layer(owner, rows, columns.get("layer", [None] * len(rows)), layer)
    numbers = [int(columns["neuron"][k]) for k in rows] if "neuron" in columns else list(range(len(rows)))
    trains = {n: np.asarray(columns["spike_times"][k], float) for n, k in zip(numbers, rows, strict=True)}
    if bounds is None or trials is False:
        bounds = [(0.0, np.inf)]
    samples = [[(n, _within(times, *ends, step)) for n, times in trains.items()] for ends in bounds]
    return _events(owner, samples, max(numbers, default=-1) + 1, dt, shape, duration, off_grid)


def _tables(content: Any) -> tuple[dict[str, list[Any]] | None, list[tuple[float, float]] | None]:
    """Columns of the units, read while the file is open, and starts and ends of trials."""
    columns = None
    if content.units is not None:
        names = [name for name in ("spike_times", "layer", "neuron") if name in content.units.colnames]
        columns = {name: [content.units[name][k] for k in range(len(content.units))] for name in names}
    bounds = None
    if content.trials is not None:
        ends = (np.asarray(content.trials[name][:], float).tolist() for name in ("start_time", "stop_time"))
        bounds = list(zip(*ends, strict=True))
    return columns, bounds


def _segments(owner: str, recording: Any) -> Iterator[list[Any]]:
    """The spike trains of each sample."""
    segments = getattr(recording, "segments", None)
    if segments is None:
        segments = [recording] if hasattr(recording, "spiketrains") else recording
    segments = list(segments) if isinstance(segments, Iterable) and not isinstance(segments, Mapping | str) else []
    if segments and all(hasattr(s, "t_start") and not hasattr(s, "spiketrains") for s in segments):
        yield segments
        return
    if not segments or not all(hasattr(s, "spiketrains") for s in segments):
        raise DataError(
            owner,
            "this is no recording of neo",
            got=type(recording).__name__,
            expected="a neo.Block with segments, a neo.Segment, or a list of segments or of spike trains",
        )
    if not any(len(s.spiketrains) for s in segments):
        raise DataError(owner, "there are no spike trains", got=f"{len(segments)} segments", expected="neo.SpikeTrain")
    for segment in segments:
        yield list(segment.spiketrains)


def _of_layer(owner: str, items: list[Any], layers: Sequence[Any], wanted: str | None) -> list[Any]:
    known = sorted({str(name) for name in layers if name is not None})
    if wanted is None and len(known) < 2:
        return items
    if wanted is None or wanted not in known:
        raise DataError(
            owner,
            "there are spikes of several layers" if wanted is None else "there are no spikes of this layer",
            got=", ".join(known) if wanted is None else repr(wanted),
            expected="layer=..., one of them" if wanted is None else ", ".join(known) or "no layer",
            remedy=None if wanted is None else did_you_mean(str(wanted), known),
        )
    return [item for item, name in zip(items, layers, strict=True) if name is not None and str(name) == wanted]


def _since(times: np.ndarray, start: float, dt: float) -> np.ndarray:
    """Times since a start; on the beginning of a step where only the rounding of both numbers keeps them from it."""
    found = times - start
    step = np.rint(found / dt)
    rounding = 4 * np.finfo(float).eps * np.maximum(np.maximum(np.abs(times), abs(start)), np.abs(found))
    return np.where(np.abs(found - step * dt) <= rounding, step * dt, found)


def _within(times: np.ndarray, start: float, stop: float, dt: float) -> np.ndarray:
    found = _since(times, start, dt)
    length = stop - start if np.isinf(stop) else float(_since(np.array([stop]), start, dt)[0])
    return found[(found >= 0) & (found < length)] if np.isfinite(length) else found


def _events(
    owner: str,
    samples: list[list[tuple[int, np.ndarray]]],
    count: int,
    dt: Any,
    shape: Any,
    duration: Any,
    off_grid: str,
) -> Events:
    flat = [(k, n, t) for k, trains in enumerate(samples) for n, t in trains]
    sizes = [len(t) for _, _, t in flat]
    trial, neuron = (np.repeat(np.array([each[j] for each in flat], np.int64), sizes) for j in (0, 1))
    times = np.concatenate([t for _, _, t in flat]) if flat else np.zeros(0)
    return Events.from_times(
        neuron,
        times * second,
        trial=trial,
        n_trials=len(samples),
        dt=dt,
        shape=max(1, count) if shape is None else shape,
        duration=duration,
        off_grid=off_grid,
    )
