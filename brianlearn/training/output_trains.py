"""The spike trains of the output, which are the predictions for samples whose targets are spike trains."""

from __future__ import annotations

import dataclasses

import numpy as np

from brianlearn.learning.engine import TrialRecord
from brianlearn.learning.van_rossum import train_distances
from brianlearn.network.record import Tap
from brianlearn.network.samples.samples import Samples
from brianlearn.network.spec import NetworkSpec

__all__ = ["OutputTrains"]


class OutputTrains:
    """Records the output's spikes in calls of an engine, beside what a user records.

    Parameters
    ----------
    spec : NetworkSpec
    n : int
        Samples.

    Attributes
    ----------
    trains : numpy.ndarray of bool, shape (n, n_steps, out)
        So far.
    """

    def __init__(self, spec: NetworkSpec, n: int) -> None:
        self._spec, self._whole = spec, Tap("spikes", spec.output)
        self.trains = np.zeros((n, spec.n_steps, spec.classes), bool)

    def taps(self, asked: tuple[Tap, ...]) -> tuple[Tap, ...]:
        """What an engine is to record: all spikes of the output, and what else is asked for."""
        others = tuple(tap for tap in asked if not self._of_output(tap))
        return (*others, self._whole)

    def add(self, positions: np.ndarray, record: TrialRecord, asked: tuple[Tap, ...]) -> TrialRecord:
        """Take the trains of a call; the record, with what was asked for alone."""
        raster = record.spikes[self._whole.layer]
        self.trains[positions] = raster.dense().reshape(len(positions), *self.trains.shape[1:])
        spikes = {name: each for name, each in record.spikes.items() if name != self._whole.layer}
        mine = [tap for tap in asked if self._of_output(tap)]
        spikes |= {tap.layer: raster.of_neurons(tap.neurons) for tap in mine}
        return dataclasses.replace(record, spikes=spikes)

    def distances(self, samples: Samples) -> np.ndarray:
        """Van Rossum's distance of each sample from its targets, shape (n,)."""
        spec = self._spec
        return train_distances(self.trains, samples.targets, float(spec.dt), burn_in_steps=spec.burn_in_steps)

    def _of_output(self, tap: Tap) -> bool:
        return (tap.variable, tap.layer) == (self._whole.variable, self._whole.layer)
