"""Recordings of one neuron from neo's objects and from NWB files, as `Sweeps`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import amp, second, volt

from brianlearn.errors import DataError
from brianlearn.interop.by_trial import package
from brianlearn.network.samples.sweeps import Sweeps

if TYPE_CHECKING:
    import neo

__all__ = ["sweeps_from_neo", "sweeps_from_nwb"]

#: Kinds of traces: their unit in neo, and in Brian2.
_KINDS = {"current": ("A", amp), "voltage": ("V", volt)}


def sweeps_from_neo(
    recording: neo.Block | neo.Segment | Sequence[neo.Segment],
    *,
    current: str | None = None,
    voltage: str | None = None,
    channel: int = 0,
) -> Sweeps:
    """Recordings of one neuron from neo, one sweep for each segment.

    Parameters
    ----------
    recording : neo.Block, neo.Segment or sequence of neo.Segment
        Each segment with an analog signal in a unit of current, what was injected; perhaps one in a unit of voltage;
        perhaps one spike train.
    current, voltage : str, optional
        Names of signals, where a segment has several in such a unit.
    channel : int, optional
        Of signals with several channels.

    Returns
    -------
    Sweeps
        Times count from the start of each segment's current.

    Raises
    ------
    BrianLearnError
        If neo is not installed.
    DataError
        Segments without a current, or of different lengths or sampling rates; several signals or spike trains that
        could be meant.

    Examples
    --------
    >>> import neo
    >>> import numpy as np
    >>> import quantities as pq
    >>> segment = neo.Segment()
    >>> segment.analogsignals += [
    ...     neo.AnalogSignal(np.full(100, 50.0), units="pA", sampling_rate=10*pq.kHz),
    ...     neo.AnalogSignal(np.full(100, -70.0), units="mV", sampling_rate=10*pq.kHz)]
    >>> segment.spiketrains.append(neo.SpikeTrain([2.0, 5.5]*pq.ms, t_stop=10*pq.ms))
    >>> sweeps = sweeps_from_neo(segment)
    >>> sweeps.n_steps, sweeps.spikes[0]
    (100, array([2. , 5.5]) * msecond)
    """
    package("neo", "sweeps_from_neo")
    segments: Any = getattr(recording, "segments", None)
    if segments is None:
        segments = [recording] if hasattr(recording, "analogsignals") else recording
    segments = list(segments) if isinstance(segments, Iterable) else []
    if not segments or not all(hasattr(s, "analogsignals") for s in segments):
        raise DataError(
            "sweeps_from_neo",
            "this is no recording of neo",
            got=type(recording).__name__,
            expected="a neo.Block with segments, a neo.Segment, or a list of segments",
        )
    found: dict[str, list[np.ndarray]] = {"current": [], "voltage": []}
    steps, spikes = [], []
    for k, segment in enumerate(segments):
        signals = {
            "current": _signal(segment, "current", current, k),
            "voltage": _signal(segment, "voltage", voltage, k),
        }
        given = signals["current"]
        if given is None:
            raise DataError(
                "sweeps_from_neo",
                f"segment {k} has no current",
                got=", ".join(str(s.units.dimensionality) for s in segment.analogsignals) or "no analog signals",
                expected="an AnalogSignal in a unit of current, such as pA: what was injected",
            )
        steps.append(float(given.sampling_period.rescale("s").magnitude))
        for kind, signal in signals.items():
            if signal is None:
                continue
            if abs(float(signal.sampling_period.rescale("s").magnitude) - steps[-1]) > 1e-9 * steps[-1]:
                raise DataError(
                    "sweeps_from_neo",
                    f"signals of segment {k} have different sampling rates",
                    got=f"{signal.sampling_rate} and {given.sampling_rate}",
                    expected="the same for current and voltage",
                )
            found[kind].append(np.asarray(signal.rescale(_KINDS[kind][0]).magnitude, float)[:, channel])
        if len(segment.spiketrains) > 1:
            raise DataError(
                "sweeps_from_neo",
                f"segment {k} has several spike trains",
                got=f"{len(segment.spiketrains)}",
                expected="one, or none: sweeps.detected(-20*mV) finds spikes in the voltage",
            )
        start = float(given.t_start.rescale("s").magnitude)
        spikes.append([float(t) - start for train in segment.spiketrains for t in train.rescale("s").magnitude])
    some = any(len(segment.spiketrains) for segment in segments)
    return _sweeps("sweeps_from_neo", found, steps, spikes if some else None)


def _signal(segment: neo.Segment, kind: str, name: str | None, k: int) -> Any:
    """The signal of a kind in a segment; None where there is none."""
    unit = _KINDS[kind][0]
    fitting = [s for s in segment.analogsignals if s.units.simplified.dimensionality == _dimensionality(unit)]
    if name is not None:
        fitting = [s for s in fitting if s.name == name]
    if len(fitting) > 1 or (name is not None and not fitting):
        raise DataError(
            "sweeps_from_neo",
            f"segment {k} has {'several signals' if fitting else 'no such signal'} in a unit of {kind}",
            got=", ".join(repr(s.name) for s in segment.analogsignals),
            expected=f"one; {kind}=... says which by name",
        )
    return fitting[0] if fitting else None


def _dimensionality(unit: str) -> Any:
    quantities = package("quantities", "sweeps_from_neo")
    return quantities.unit_registry[unit].simplified.dimensionality


def _sweeps(owner: str, found: dict[str, list[np.ndarray]], steps: list[float], spikes: Any) -> Sweeps:
    """Traces of all sweeps together."""
    lengths = sorted({len(trace) for traces in found.values() for trace in traces})
    if len(lengths) > 1 or max(steps) - min(steps) > 1e-9 * steps[0]:
        raise DataError(
            owner,
            "sweeps have different lengths or sampling rates",
            got=f"{lengths} values, {sorted({1 / step for step in steps})} per second",
            expected="the same in all",
            remedy="cut them to the same length, or resample them",
        )
    voltages = found["voltage"]
    if voltages and len(voltages) != len(found["current"]):
        raise DataError(
            owner,
            "some sweeps have no voltage",
            got=f"{len(voltages)} of {len(found['current'])}",
            expected="a voltage in all sweeps, or in none",
        )
    return Sweeps(
        np.array(found["current"]) * amp,
        steps[0] * second,
        np.array(voltages) * volt if voltages else None,
        None if spikes is None else [np.array(times) * second for times in spikes],
    )


def sweeps_from_nwb(path: str | os.PathLike[str], *, sweeps: Sequence[int] | None = None) -> Sweeps:
    """Current-clamp recordings of one neuron from an NWB file, one sweep for each pair of stimulus and response.

    A response (``CurrentClampSeries`` in the acquisition) belongs to the stimulus (``CurrentClampStimulusSeries``) with
    its sweep number, or, where there are none, to that in the same place. Values are in amperes and volts, data times
    conversion plus offset, as the format says (https://nwb-schema.readthedocs.io). Spikes are not there; find them with
    ``sweeps.detected(-20*mV)``.

    Parameters
    ----------
    path : path-like
        Needs the package pynwb.
    sweeps : sequence of int, optional
        Sweep numbers that are wanted (or places, where there are no numbers); all where it is not given.

    Returns
    -------
    Sweeps

    Raises
    ------
    BrianLearnError
        If pynwb is not installed.
    DataError
        What is no NWB file, or holds no such pairs; sweeps of different lengths or sampling rates.
    """
    pynwb, file = package("pynwb", "sweeps_from_nwb"), Path(path)
    if not file.is_file():
        raise DataError("sweeps_from_nwb", "there is no such file", got=file, expected="an NWB file")
    try:
        reader = pynwb.NWBHDF5IO(str(file), "r", load_namespaces=True)
    except Exception as error:  # of h5py or hdmf, whatever is in the file
        raise _damaged(file, error) from error
    with reader:
        try:
            content = reader.read()
        except Exception as error:
            raise _damaged(file, error) from error
        kinds = pynwb.icephys
        responses = _numbered(content.acquisition.values(), kinds.CurrentClampSeries)
        stimuli = _numbered(content.stimulus.values(), kinds.CurrentClampStimulusSeries)
        chosen = [n for n in stimuli if n in responses and (sweeps is None or n in sweeps)]
        missing = [n for n in sweeps or () if n not in chosen]
        if not chosen or missing:
            raise DataError(
                "sweeps_from_nwb",
                f"{file.name} has no {'sweeps ' + ', '.join(map(str, missing)) if missing else 'current-clamp sweeps'}",
                got=f"stimuli {sorted(stimuli)}, responses {sorted(responses)}",
                expected="CurrentClampSeries with a CurrentClampStimulusSeries each",
            )
        found: dict[str, list[np.ndarray]] = {"current": [], "voltage": []}
        steps = []
        for n in sorted(chosen):
            found["current"].append(_values(stimuli[n]))
            found["voltage"].append(_values(responses[n]))
            steps += [_step(file, stimuli[n]), _step(file, responses[n])]
    return _sweeps("sweeps_from_nwb", found, steps, None)


def _damaged(file: Path, error: Exception) -> DataError:
    return DataError("sweeps_from_nwb", f"{file.name} cannot be read", got=str(error)[:200], expected="an NWB file")


def _numbered(series: Any, kind: type) -> dict[int, Any]:
    """Series of a kind by sweep number, or by place in the order of their starts and names."""
    found: list[Any] = [s for s in series if type(s) is kind]
    found.sort(key=lambda s: (s.starting_time or 0.0, s.name))
    numbers = [None if s.sweep_number is None else int(s.sweep_number) for s in found]
    if None in numbers or len(set(numbers)) < len(numbers):
        return dict(enumerate(found))
    return {n: s for n, s in zip(numbers, found, strict=True) if n is not None}


def _values(series: Any) -> np.ndarray:
    values = np.asarray(series.data[:], float) * float(series.conversion) + float(series.offset or 0.0)
    return values if values.ndim == 1 else values[:, 0]


def _step(file: Path, series: Any) -> float:
    """Seconds from one value to the next."""
    if series.rate:
        return 1.0 / float(series.rate)
    steps = np.diff(np.asarray(series.timestamps[:], float))
    if not len(steps) or steps.max() - steps.min() > 1e-6 * steps.mean():
        raise DataError(
            "sweeps_from_nwb",
            f"{series.name} in {file.name} is not sampled at a fixed rate",
            got=f"steps of {steps.min():g} to {steps.max():g} s" if len(steps) else "one value",
            expected="a rate",
            remedy="resample it",
        )
    return float(steps.mean())
