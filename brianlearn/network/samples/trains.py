"""Spike trains that the output is to fire, one set for each sample: arrays of bool, or spikes at times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2.units.fundamentalunits import Quantity

from brianlearn.errors import DataError
from brianlearn.network.samples.spike_times import spikes_of, steps_at
from brianlearn.network.spec import NetworkSpec

__all__ = ["SpikeLists", "are_spike_lists"]


@dataclass(frozen=True, eq=False)
class SpikeLists:
    """Spikes of n samples at times, which only a network's time step makes an array.

    Attributes
    ----------
    neuron : numpy.ndarray of int64, shape (n_spikes,)
        Of the output.
    seconds : numpy.ndarray of float64, shape (n_spikes,)
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Spikes of sample k are ``offsets[k]:offsets[k + 1]``.
    """

    neuron: np.ndarray
    seconds: np.ndarray
    offsets: np.ndarray
    #: As of the array that they become.
    ndim = 3
    dtype = np.dtype(bool)

    @staticmethod
    def of(lists: Sequence[Any], n: int) -> SpikeLists:
        """From what a user gives: one list of (neuron, time) for each sample, or a mapping from neurons to times.

        Parameters
        ----------
        lists : sequence
        n : int
            Samples.

        Raises
        ------
        DataError, UnitError
            Not as many as samples; times without a unit; what are no spikes.
        """
        trial, neuron, seconds, found = spikes_of("Samples", list(lists), None, None, None)
        if found != n or len(lists) != n:
            raise DataError(
                "Samples",
                "there are not as many spike trains as inputs",
                got=f"{len(lists)} lists of spikes",
                expected=f"{n}: for each sample its list of (neuron, time), which may be empty",
            )
        order = np.lexsort((neuron, seconds, trial))
        offsets = np.searchsorted(trial[order], np.arange(n + 1))
        return SpikeLists(neuron[order].astype(np.int64), seconds[order], offsets)

    @staticmethod
    def concatenate(parts: Sequence[SpikeLists]) -> SpikeLists:
        """Those of several parts, in their order."""
        shift = np.cumsum([0, *(part.offsets[-1] for part in parts)])
        starts = [part.offsets[:-1] + s for part, s in zip(parts, shift[:-1], strict=True)]
        neuron, seconds = (np.concatenate([getattr(p, name) for p in parts]) for name in ("neuron", "seconds"))
        return SpikeLists(neuron, seconds, np.concatenate([*starts, shift[-1:]]))

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """(n,)."""
        return (len(self),)

    def __getitem__(self, index: Any) -> SpikeLists:
        rows = np.atleast_1d(np.arange(len(self))[index])
        counts = np.diff(self.offsets)[rows]
        offsets = np.concatenate([[0], np.cumsum(counts)])
        places = np.repeat(self.offsets[rows] - offsets[:-1], counts) + np.arange(offsets[-1])
        return SpikeLists(self.neuron[places], self.seconds[places], offsets)

    def dense(self, spec: NetworkSpec, ids: np.ndarray) -> np.ndarray:
        """As bool, shape (n, n_steps, out).

        Parameters
        ----------
        spec : NetworkSpec
        ids : numpy.ndarray of int
            Of the samples, for errors.

        Raises
        ------
        DataError
            Neurons that the output does not have, times outside of the trial, two spikes of a neuron in one step.
        """
        n, trial = len(self), np.repeat(np.arange(len(self)), np.diff(self.offsets))

        def spike(k: int) -> str:
            time = f"{self.seconds[k] * 1e3:g} ms"
            return f"neuron {self.neuron[k]} at {time} in sample {int(ids[trial[k]])} (position {trial[k]})"

        bad = (self.neuron < 0) | (self.neuron >= spec.classes)
        if bad.any():
            raise DataError(
                "Samples",
                "a target spike is of a neuron that the output does not have",
                got=spike(int(np.argmax(bad))),
                expected=f"neurons 0 to {spec.classes - 1}: the output has {spec.classes}",
                remedy=f"correct the lists, or give the last layer {int(self.neuron.max()) + 1} neurons"
                if self.neuron.min() >= 0
                else "neurons are counted from 0",
            )
        bad = self.seconds < 0
        step = steps_at("Samples", np.abs(self.seconds), float(spec.dt))
        bad |= step >= spec.n_steps
        if bad.any():
            raise DataError(
                "Samples",
                "a target spike is outside of the trial",
                got=spike(int(np.argmax(bad))),
                expected=f"times from 0 on, and before {spec.duration}",
                remedy="leave the spike out, or give the network a longer duration",
            )
        found = np.zeros((n, spec.n_steps, spec.classes), bool)
        found[trial, step, self.neuron] = True
        if np.count_nonzero(found) < len(step):
            place = (trial * spec.n_steps + step) * spec.classes + self.neuron
            first = np.zeros(len(place), bool)
            first[np.unique(place, return_index=True)[1]] = True
            raise DataError(
                "Samples",
                "two target spikes of a neuron are in one time step",
                got=f"{spike(int(np.argmin(first)))}, which is its second one in step {step[np.argmin(first)]}",
                expected=f"at most one spike of a neuron in each step of {spec.dt}",
                remedy="leave one of them out, or give the network a smaller dt",
            )
        return found


def are_spike_lists(value: Any) -> bool:
    """Whether these are lists of (neuron, time), one for each sample, and no nested lists of numbers."""
    if not isinstance(value, list | tuple) or not value:
        return False
    if not all(isinstance(part, list | tuple | Mapping) for part in value):
        return False
    if all(len(part) == 0 for part in value):
        return True
    return any(isinstance(part, Mapping) or _has_times(part) for part in value) or _ragged_pairs(value)


def _has_times(part: Sequence[Any]) -> bool:
    """Whether one of a sample's entries is a pair with a time, or it is a pair of arrays (i, t)."""
    return _is_pair(part) or any(isinstance(pair, list | tuple) and _is_pair(pair) for pair in part)


def _is_pair(value: Sequence[Any]) -> bool:
    """Whether of two the second alone is a time (or has another unit, which is named then): (neuron, time)."""
    return len(value) == 2 and _has_unit(value[1]) and not _has_unit(value[0])


def _has_unit(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return bool(value) and all(isinstance(each, str | Quantity) for each in value)
    return isinstance(value, str | Quantity)


def _ragged_pairs(value: Sequence[Any]) -> bool:
    """Pairs without a unit, of which samples have different numbers: no array, and an error that names the unit."""
    pairs = all(isinstance(pair, tuple) and len(pair) == 2 for part in value for pair in part)
    return pairs and len({len(part) for part in value}) > 1
