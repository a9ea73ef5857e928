"""Spikes at times with units, and the time steps that they belong to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from brian2 import second
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity, get_dimensions

from brianlearn.errors import DataError, UnitError
from brianlearn.network.checks import is_number, is_whole
from brianlearn.network.samples.arrays import integers, numbers
from brianlearn.network.taking import take_quantity

__all__ = [
    "OFF_GRID",
    "Spikes",
    "grouped",
    "monitored",
    "seconds_of",
    "spikes_of",
    "steps_at",
    "take_shape",
    "take_time",
]

#: What to do with a time between two time steps.
OFF_GRID = ("floor", "nearest", "refuse")
#: Of an event: durations, and differences of steps, stay inside of int64.
LAST_STEP = 2**62
#: Trial, neuron and seconds of each spike, and the number of trials.
Spikes = tuple[np.ndarray, np.ndarray, np.ndarray, int]
_TIMES = "times, e.g. [1, 2.5]*ms"
_PAIRS = "pairs (neuron, time), e.g. [(0, 1*ms), (3, 2.5*ms)], {neuron: times}, a list of these, or two arrays"


def take_time(owner: str, name: str, value: Any, *, zero: bool = False) -> float:
    """One time, in seconds.

    Parameters
    ----------
    owner, name : str
        For errors.
    value : brian2.Quantity or str
    zero : bool
        Whether it may be 0.

    Raises
    ------
    UnitError
        Without a unit of time.
    DataError
        A time that is no finite number > 0.
    """
    value = take_quantity(owner, name, value)
    expected = f"a time {'>=' if zero else '>'} 0, e.g. 1*ms"
    if _dimensions(value) is not second.dim:
        raise UnitError(owner, f"{name} is no time", got=repr(value), expected=expected)
    seconds = np.asarray(value, float)
    if seconds.ndim or not is_number(float(seconds)) or seconds < 0 or (seconds == 0 and not zero):
        raise DataError(owner, f"{name} is out of range", got=repr(value), expected=expected)
    return float(seconds)


def take_shape(owner: str, shape: Any) -> tuple[int, ...]:
    """The shape of an input: a whole number, or a sequence of such.

    Raises
    ------
    DataError
    """
    parts = (shape,) if is_whole(shape) else shape
    if not isinstance(parts, Sequence | np.ndarray) or not len(parts) or not all(is_whole(n) and n > 0 for n in parts):
        raise DataError(
            owner, "shape is wrong", got=repr(shape), expected="(channels, height, width), or the number of neurons"
        )
    return tuple(int(n) for n in parts)


def seconds_of(owner: str, times: Any, unit: Any = None) -> np.ndarray:
    """Times, in seconds.

    Parameters
    ----------
    owner : str
        For errors.
    times : brian2.Quantity, array_like or sequence of brian2.Quantity
    unit : brian2.Quantity, optional
        Of times that have none; where it is not given, they must have one.

    Raises
    ------
    UnitError
        Another unit than that of time, or none.
    DataError
        What are no finite numbers.
    """
    listed = isinstance(times, list | tuple)
    if listed:
        times = [take_quantity(owner, "a time", t) for t in times]
    first = (times[0] if len(times) else 0.0 * second) if listed else times
    dimensions = _dimensions(first)
    wrong = next((k for k, t in enumerate(times) if _dimensions(t) is not dimensions), None) if listed else None
    if wrong is not None:
        got = f"{times[0]!r} at position 0 and {times[wrong]!r} at position {wrong}"
        raise UnitError(owner, "times differ in their units", got=got, expected=_TIMES)
    factor = 1.0
    if dimensions is DIMENSIONLESS:
        if unit is None and np.size(first):
            raise UnitError(owner, "times have no unit", got=f"{first!r}"[:80], expected=_TIMES)
        factor = 1.0 if unit is None else take_time(owner, "unit", unit)
    elif dimensions is not None and dimensions is not second.dim:
        raise UnitError(owner, "times have another unit than that of time", got=f"{first!r}"[:80], expected=_TIMES)
    # numpy drops the units of a list's quantities
    array = (
        numbers(owner, "times", [np.asarray(t) for t in times] if listed else _plain(times), _TIMES).astype(float)
        * factor
    )
    bad = ~np.isfinite(array)
    if bad.any():
        k = int(np.argmax(bad))
        raise DataError(owner, "a time is not finite", got=f"{array.flat[k]} at position {k}", expected="finite times")
    return array


def steps_at(owner: str, seconds: np.ndarray, dt: float, off_grid: str = "floor") -> np.ndarray:
    """The time steps that times belong to: step k begins at k dt, and ends before the next one begins.

    Parameters
    ----------
    owner : str
        For errors.
    seconds : numpy.ndarray of float64
    dt : float
        Seconds.
    off_grid : {"floor", "nearest", "refuse"}
        A time between the beginnings of two steps is an event of the step that it lies in, of the one whose beginning
        is nearest (a half goes to the later one), or an error.

    Returns
    -------
    numpy.ndarray of int64
        A time that is the beginning of a step but for the rounding of its number, of 64 or 32 bits, is that beginning.

    Raises
    ------
    DataError
        Times that are negative, off the grid where that is refused, or too many steps from 0.
    """
    if off_grid not in OFF_GRID:
        raise DataError(owner, "off_grid is wrong", got=repr(off_grid), expected=" or ".join(map(repr, OFF_GRID)))
    if len(seconds) and seconds.min() < 0:
        k = int(np.argmax(seconds < 0))
        raise DataError(
            owner,
            "a time is negative",
            got=f"{seconds[k] * 1e3:g} ms at position {k}",
            expected="times from 0 on",
            remedy="subtract the start of the recording",
        )
    position = seconds / dt
    if len(seconds) and position.max() >= LAST_STEP:
        raise DataError(
            owner,
            "it has too many time steps",
            got=f"{position.max():g} steps of {dt * 1e3:g} ms",
            expected=f"less than {LAST_STEP:g}",
            remedy="choose a larger dt",
        )
    beginning = np.rint(position)
    # k dt is off by a few roundings: of 64 bits, or of 32 where all times are such numbers
    short = bool(np.all(seconds.astype(np.float32).astype(float) == seconds))
    close = np.abs(position - beginning) <= np.maximum(1e-9, (2.0**-22 if short else 2.0**-50) * position)
    if off_grid == "refuse" and not close.all():
        k = int(np.argmin(close))
        raise DataError(
            owner,
            "a time is not on the grid of time steps",
            got=f"{float(seconds[k] * 1e3)!r} ms at position {k}, with dt = {dt * 1e3:g} ms",
            expected="multiples of dt",
            remedy="off_grid='floor' takes the step that a time lies in, off_grid='nearest' the nearest",
        )
    inside = np.floor(position + 0.5) if off_grid == "nearest" else np.floor(position)
    return np.where(close, beginning, inside).astype(np.int64)


def spikes_of(owner: str, spikes: Any, times: Any, trial: Any, n_trials: Any) -> Spikes:
    """Spikes in any of the forms that `Events.from_times` takes.

    Raises
    ------
    UnitError, DataError
        What is in none of these forms.
    """
    if times is None:
        if trial is not None:
            raise DataError(
                owner, "trial belongs to spikes in arrays", got="trial=...", expected="from_times(i, t, ...)"
            )
        parts = [_of_trial(owner, part, k) for k, part in enumerate(_trials(owner, spikes))]
        trials = np.repeat(np.arange(len(parts)), [len(i) for i, _ in parts])
        neuron = np.concatenate([np.zeros(0, np.int64), *(i for i, _ in parts)])
        seconds = np.concatenate([np.zeros(0), *(t for _, t in parts)])
        return trials, neuron, seconds, _number_of(owner, "n_trials", n_trials, len(parts))
    neuron, seconds = _arrays(owner, spikes, times)
    if trial is None:
        trials = np.zeros(len(neuron), np.int64)
        return trials, neuron, seconds, _number_of(owner, "n_trials", n_trials, 1)
    trials = integers(owner, "trial", trial, "the trial of each spike")
    if trials.shape != neuron.shape or (len(trials) and trials.min() < 0):
        got = f"{trials.shape}" if trials.shape != neuron.shape else f"trial {trials.min()}"
        raise DataError(owner, "trial is wrong", got=got, expected=f"{neuron.shape} whole numbers from 0 on")
    return trials, neuron, seconds, _number_of(owner, "n_trials", n_trials, int(trials.max(initial=-1)) + 1)


def monitored(owner: str, monitor: Any) -> tuple[np.ndarray, np.ndarray, int, float]:
    """Neurons, seconds, number of neurons and time step of a monitor of Brian2.

    Raises
    ------
    DataError
        What is no monitor of spikes, or one that records only their number.
    """
    if getattr(monitor, "record", True) is False:
        raise DataError(
            owner,
            "the monitor holds no spikes",
            got=f"{getattr(monitor, 'name', monitor)!r} with record=False",
            expected="SpikeMonitor(group)",
        )
    try:
        neuron, seconds = np.asarray(monitor.i[:]), np.asarray(monitor.t[:], float)
        return neuron.astype(np.int64), seconds, len(monitor.source), float(monitor.clock.dt)
    except NotImplementedError as error:  # of a standalone program that has not run
        raise DataError(owner, "the monitor holds no spikes yet", got=str(error)[:200], remedy="run first") from error
    except (AttributeError, TypeError, IndexError):
        raise DataError(
            owner, "this is no monitor of spikes", got=type(monitor).__name__, expected="a SpikeMonitor of Brian2"
        ) from None


def grouped(
    trial: np.ndarray, step: np.ndarray, neuron: np.ndarray, n: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Step, neuron and offsets of `Events`: by trial, then step, then neuron."""
    order = np.lexsort((neuron, step, trial))
    return step[order], neuron[order], np.searchsorted(trial[order], np.arange(n + 1))


def _dimensions(value: Any) -> Any:
    """Of a value or an array; None where it is neither."""
    try:
        return get_dimensions(value)
    except TypeError:
        return DIMENSIONLESS if hasattr(value, "__array__") or isinstance(value, list | tuple) else None


def _plain(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, Quantity) else value


def _number_of(owner: str, name: str, given: Any, needed: int) -> int:
    if given is None:
        return needed
    if not is_whole(given) or given < needed:
        raise DataError(
            owner, f"{name} is wrong", got=repr(given), expected=f"a whole number >= {needed}, as many as have spikes"
        )
    return int(given)


def _trials(owner: str, spikes: Any) -> list[Any]:
    """The trials of a list of pairs, or of a list of trials."""
    if not isinstance(spikes, list | tuple) or (len(spikes) == 2 and np.ndim(spikes[0]) and _is_times(spikes[1])):
        return [spikes]
    several = len(spikes) > 0 and all(_is_trial(part) for part in spikes)
    return list(spikes) if several else [spikes]


def _is_times(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return len(value) > 0 and all(hasattr(t, "dim") and np.ndim(t) == 0 for t in value)
    return hasattr(value, "dim") and np.ndim(value) == 1


def _is_trial(part: Any) -> bool:
    """Whether something is a list of pairs or two arrays, and not itself a pair."""
    if not isinstance(part, list | tuple):
        return isinstance(part, Mapping)
    return len(part) == 0 or isinstance(part[0], list | tuple) or (len(part) == 2 and _is_times(part[1]))


def _of_trial(owner: str, part: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(part, list | tuple) and len(part) == 2 and np.ndim(part[0]) and _is_times(part[1]):
        return _arrays(owner, *part)
    if isinstance(part, Mapping):
        trains = [(i, np.atleast_1d(seconds_of(owner, t))) for i, t in part.items()]
        neuron: Any = np.repeat([i for i, _ in trains], [len(t) for _, t in trains]) if trains else []
        return _arrays(owner, neuron, np.concatenate([np.zeros(0), *(t for _, t in trains)]) * second)
    if not isinstance(part, list | tuple):
        raise DataError(owner, "the spikes cannot be read", got=type(part).__name__, expected=_PAIRS)
    for place, pair in enumerate(part):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            got = f"{pair!r} at position {place} of trial {k}"
            raise DataError(owner, "a spike is no pair of neuron and time", got=got, expected=_PAIRS)
    return _arrays(owner, [i for i, _ in part], [t for _, t in part])


def _arrays(owner: str, neuron: Any, times: Any) -> tuple[np.ndarray, np.ndarray]:
    indices = integers(owner, "neuron indices", neuron, "whole numbers from 0 on")
    seconds = seconds_of(owner, times)
    if indices.shape != seconds.shape or indices.ndim != 1:
        got = f"{indices.shape} neurons and {seconds.shape} times"
        raise DataError(owner, "neurons and times differ in shape", got=got, expected="(n,) each")
    return indices, seconds
