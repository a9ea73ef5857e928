"""What a call of an engine recorded, gathered chunk by chunk into what a user asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from brian2 import second
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity

from brianlearn.errors import BrianLearnError
from brianlearn.learning.engine import TrialRecord
from brianlearn.learning.recording import Wanted, dimensions_of
from brianlearn.machine.free_memory import free_memory
from brianlearn.network.record import Recorded, Tap
from brianlearn.network.samples.samples import Raster
from brianlearn.network.spec import NetworkSpec

__all__ = ["FEWER", "Gathered", "as_recorded", "as_slice", "bytes_of", "check_memory"]

#: What one call of an engine records over time takes at most this many bytes, unless one sample takes more.
PART_BYTES = 64 * 2**20
#: Share of the free memory that recordings may take.
SHARE = 0.8
FEWER = "record fewer layers, neurons or samples, or every so many steps: bl.Record(...)"


def check_memory(owner: str, size: int, remedy: str) -> None:
    """Refuse recordings that would not fit into memory.

    Parameters
    ----------
    owner : str
        The call, for errors.
    size : int
        Bytes.
    remedy : str

    Raises
    ------
    BrianLearnError
    """
    free = free_memory()
    if free is not None and size > SHARE * free:
        raise BrianLearnError(
            owner,
            "what is to be recorded does not fit into memory",
            got=f"{size / 2**20:.0f} MiB",
            expected=f"at most {SHARE * free / 2**20:.0f} MiB: {SHARE:.0%} of what is free",
            remedy=remedy,
        )


def as_slice(positions: np.ndarray) -> slice | np.ndarray:
    """Positions that follow each other as a slice, of which data make no copy."""
    first, last = int(positions[0]), int(positions[-1])
    return slice(first, last + 1) if last + 1 - first == len(positions) else positions


def bytes_of(wanted: list[Wanted], spec: NetworkSpec, n: int, dtype: str) -> int:
    """What recordings over time of n samples take."""
    return sum(
        np.dtype(dtype).itemsize
        * (n if w.samples is None else len(w.samples))
        * -(-spec.n_steps // w.tap.every)
        * len(w.neurons)
        for w in wanted
        if w.tap.over_time
    )


class Gathered:
    """The recordings of one call of `Learner.infer`, or of a simulation.

    Parameters
    ----------
    owner : str
        The call, for errors.
    wanted : list of Wanted
    spec : NetworkSpec
    n : int
        Samples.
    dtype : str
        Of the engine.

    Attributes
    ----------
    taps : tuple of Tap
        What the engine records.
    plain, chosen : numpy.ndarray of int
        Positions of the samples of which nothing is recorded, and of the others.

    Raises
    ------
    BrianLearnError
        If it would not fit into memory.
    """

    def __init__(self, owner: str, wanted: list[Wanted], spec: NetworkSpec, n: int, dtype: str) -> None:
        self.wanted, self.spec, self.n = wanted, spec, n
        self.taps: tuple[Tap, ...] = tuple(w.tap for w in wanted)
        recorded = np.zeros(n, bool)
        for w in wanted:
            recorded[slice(None) if w.samples is None else w.samples] = True
        self.plain, self.chosen = np.flatnonzero(~recorded), np.flatnonzero(recorded)
        # of one sample, while an engine runs it
        self._bytes = sum(np.dtype(dtype).itemsize * spec.n_steps * len(w.neurons) for w in wanted if w.tap.over_time)
        check_memory(owner, bytes_of(wanted, spec, n, dtype), FEWER)
        self._arrays: dict[Tap, np.ndarray] = {}
        self._rasters: dict[Tap, list[Raster]] = {}
        self._seen: list[np.ndarray] = []

    def parts(self, chunk_size: int) -> Iterator[tuple[np.ndarray, tuple[Tap, ...]]]:
        """Calls of an engine: positions of samples, and what is recorded of them."""
        for start in range(0, len(self.plain), chunk_size):
            yield self.plain[start : start + chunk_size], ()
        size = min(chunk_size, max(1, PART_BYTES // self._bytes)) if self._bytes else chunk_size
        for start in range(0, len(self.chosen), size):
            yield self.chosen[start : start + size], self.taps

    def add(self, positions: np.ndarray, record: TrialRecord) -> None:
        """Take what one call recorded."""
        self._seen.append(positions)
        for w in self.wanted:
            if w.tap in record.recorded:
                values = record.recorded[w.tap]
                if w.tap not in self._arrays:
                    shape = (self.n if w.samples is None else len(w.samples), *values.shape[1:])
                    self._arrays[w.tap] = np.empty(shape, values.dtype)
                rows, places = self._rows(w, positions)
                self._arrays[w.tap][places] = values[rows]
            elif w.tap.layer in record.spikes and not w.tap.over_time:
                self._rasters.setdefault(w.tap, []).append(record.spikes[w.tap.layer])

    def _rows(self, w: Wanted, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which samples of a call are wanted, and where they go."""
        if w.samples is None:
            return np.arange(len(positions)), positions
        place = np.full(self.n, -1)
        place[w.samples] = np.arange(len(w.samples))
        rows = np.flatnonzero(place[positions] >= 0)
        return rows, place[positions[rows]]

    def in_order(self, parts: list[TrialRecord]) -> TrialRecord:
        """Metrics of all samples, in their order."""
        whole = TrialRecord.concatenate([dataclasses.replace(p, spikes={}, recorded={}) for p in parts])
        if len(self.plain) == 0 or len(self.chosen) == 0:
            return whole
        order = np.argsort(np.concatenate(self._seen), kind="stable")
        counts = {name: count[order] for name, count in whole.spike_counts.items()}
        score = None if whole.score is None else whole.score[order]
        return TrialRecord(whole.logits[order], whole.loss[order], counts, score=score)

    @property
    def spikes(self) -> dict[str, Raster]:
        """Layer -> spikes."""
        found = {}
        for w in self.wanted:
            if w.tap in self._rasters:
                raster = Raster.concatenate(self._rasters[w.tap])
                if w.samples is not None or len(self.chosen) < self.n:
                    rows, places = self._rows(w, self.chosen)
                    trials = np.empty(len(places), int)
                    trials[places] = rows
                    raster = raster.of_trials(trials, self.chosen[trials])
                found[w.tap.layer] = raster
        return found

    @property
    def recorded(self) -> dict[str, dict[str, Recorded]]:
        """Variable -> layer -> what was recorded over time."""
        found: dict[str, dict[str, Recorded]] = {}
        for w in self.wanted:
            if w.tap in self._arrays:
                samples = np.arange(self.n) if w.samples is None else w.samples
                one = as_recorded(self.spec, w, self._arrays[w.tap], samples)
                found.setdefault(w.tap.variable, {})[w.tap.layer] = one
        return found

    def whole(self, parts: list[TrialRecord]) -> TrialRecord:
        """All of it as the record of one call of an engine, of all samples."""
        return dataclasses.replace(self.in_order(parts), spikes=self.spikes, recorded=self._arrays)


def as_recorded(spec: NetworkSpec, w: Wanted, values: np.ndarray, samples: np.ndarray) -> Recorded:
    """What an engine recorded, as users get it: neurons in the order asked for, with times and a unit.

    Parameters
    ----------
    spec : NetworkSpec
    w : Wanted
    values : numpy.ndarray, shape (..., steps that are kept, neurons)
        Neurons in rising order.
    samples : numpy.ndarray of int
    """
    order = np.searchsorted(np.sort(w.neurons), w.neurons)
    found: Any = values if np.array_equal(order, np.arange(len(order))) else values[..., order]
    dimensions = dimensions_of(spec, w.tap)
    if dimensions is not None and dimensions is not DIMENSIONLESS:
        found = Quantity(found, dim=dimensions, copy=False)
    times = np.arange(values.shape[-2]) * (w.tap.every * float(spec.dt)) * second
    return Recorded(w.tap.variable, w.tap.layer, found, times, w.neurons, samples)
