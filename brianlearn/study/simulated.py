"""What a simulation gives: spikes of many runs, and what most studies measure of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import Hz, second
from brian2.units.fundamentalunits import Quantity

from brianlearn.errors import DataError
from brianlearn.learning.engine import TrialRecord
from brianlearn.learning.recording import Wanted
from brianlearn.network.record import Recorded
from brianlearn.network.samples.samples import Raster
from brianlearn.network.spec import NetworkSpec
from brianlearn.study.axes import Axis
from brianlearn.study.values import to_number
from brianlearn.training.recording import as_recorded

if TYPE_CHECKING:
    import xarray

__all__ = ["Simulated"]


@dataclass(frozen=True, eq=False)
class Simulated:
    """Recordings of all runs of a call of a `Simulation`.

    Attributes
    ----------
    axes : dict
        Name -> `Axis`, or the number of values where they have no names (weights, values per neuron); the trials come
        last.
    n_trials : int
        Of each point of the axes.
    dt, duration : brian2.Quantity
        Time step, and length of a trial.
    spikes : dict
        Layer name, ``"input"`` included, -> `Raster`, whose trials are all points of the axes one after another, the
        last axis (the trials of a call's inputs) fastest; empty where spikes are not recorded.
    readout : numpy.ndarray or None
        Shape (*axes, trials, steps, outputs), where recorded.
    recorded : dict
        Variable -> layer -> `Recorded`: all that was recorded over time; values have the shape
        (*axes, trials, steps, neurons).
    """

    axes: Mapping[str, Axis | int]
    n_trials: int
    dt: Any
    duration: Any
    spikes: Mapping[str, Raster] = field(default_factory=dict)
    readout: np.ndarray | None = None
    recorded: Mapping[str, Mapping[str, Recorded]] = field(default_factory=dict)

    @staticmethod
    def join(
        records: list[TrialRecord],
        axes: Mapping[str, Axis | int],
        n: int,
        steps: int,
        spec: NetworkSpec,
        wanted: list[Wanted],
    ) -> Simulated:
        """Put the records of all points together.

        Parameters
        ----------
        records : list of TrialRecord
            Of all points, in the order of the axes.
        axes : mapping
            Name -> axis, or its length.
        n : int
            Trials of a point.
        steps : int
        spec : NetworkSpec
        wanted : list of Wanted
            What was recorded.

        Returns
        -------
        Simulated
        """
        whole = TrialRecord.concatenate(records)
        shape = (*(_length(axis) for axis in axes.values()), n)
        spikes = {name: _first_steps(raster, steps) for name, raster in whole.spikes.items()}
        recorded: dict[str, dict[str, Recorded]] = {}
        for w in wanted:
            if w.tap in whole.recorded:
                values = whole.recorded[w.tap][:, : -(-steps // w.tap.every)]
                values = values.reshape(*shape, *values.shape[1:])
                recorded.setdefault(w.tap.variable, {})[w.tap.layer] = as_recorded(spec, w, values, np.arange(n))
        readout = recorded.get("readout", {}).get(spec.output)
        outputs = None if readout is None else readout.values
        return Simulated(dict(axes), n, spec.dt, steps * spec.dt, spikes, outputs, recorded)

    @property
    def shape(self) -> tuple[int, ...]:
        """Values of each axis, and trials."""
        return (*(_length(axis) for axis in self.axes.values()), self.n_trials)

    def _raster(self, layer: str) -> Raster:
        if layer not in self.spikes:
            raise DataError(
                "Simulated",
                "there are no spikes of this layer",
                got=repr(layer),
                expected=", ".join(self.spikes) or "-",
            )
        return self.spikes[layer]

    def _counts(self, raster: Raster) -> np.ndarray:
        size = int(np.prod(raster.shape))
        counts = np.bincount(raster.trial.astype(np.int64) * size + raster.neuron, minlength=raster.n_trials * size)
        return counts.reshape(*self.shape, *raster.shape)

    @cached_property
    def counts(self) -> dict[str, np.ndarray]:
        """Layer name -> number of spikes, int, shape (*axes, trials, *shape of the layer)."""
        return {name: self._counts(raster) for name, raster in self.spikes.items()}

    @property
    def rates(self) -> dict[str, Quantity]:
        """Layer name -> firing rate of each neuron, over the whole duration, shape (*axes, trials, *layer)."""
        return {name: counts / float(self.duration) * Hz for name, counts in self.counts.items()}

    def times(self, layer: str, point: tuple[int, ...], neuron: int) -> Quantity:
        """Spike times of one neuron.

        Parameters
        ----------
        layer : str
        point : tuple of int
            Index into the axes, and of the trial.
        neuron : int
            Flat index.

        Returns
        -------
        brian2.Quantity
            The beginnings of the time steps in which it fired.

        Raises
        ------
        DataError
            If spikes were not recorded, or there is no such layer.
        """
        raster = self._raster(layer)
        trial = int(np.ravel_multi_index(point, self.shape))
        here = (raster.trial == trial) & (raster.neuron == neuron)
        return raster.step[here] * float(self.dt) * second

    def intervals(self, layer: str) -> tuple[np.ndarray, np.ndarray]:
        """All intervals between successive spikes of a neuron in a trial.

        Parameters
        ----------
        layer : str

        Returns
        -------
        unit : numpy.ndarray of int
            Trial x size of the layer + neuron, of each interval.
        interval : numpy.ndarray of float
            In seconds.

        Raises
        ------
        DataError
            If spikes were not recorded, or there is no such layer.
        """
        raster = self._raster(layer)
        unit = raster.trial.astype(np.int64) * int(np.prod(raster.shape)) + raster.neuron
        order = np.lexsort((raster.step, unit))
        unit, step = unit[order], raster.step[order].astype(np.int64)
        same = unit[1:] == unit[:-1]
        return unit[1:][same], (step[1:] - step[:-1])[same] * float(self.dt)

    def cv(self, layer: str) -> np.ndarray:
        """Coefficient of variation of the intervals: their standard deviation over their mean.

        1 for a Poisson process, 0 for a clock.

        Parameters
        ----------
        layer : str

        Returns
        -------
        numpy.ndarray
            Shape (*axes, trials, *layer); NaN where there are fewer than two intervals.

        Raises
        ------
        DataError
            If spikes were not recorded, or there is no such layer.
        """
        raster = self._raster(layer)
        size = raster.n_trials * int(np.prod(raster.shape))
        unit, interval = self.intervals(layer)
        n = np.bincount(unit, minlength=size)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.bincount(unit, interval, minlength=size) / n
            variance = np.bincount(unit, (interval - mean[unit]) ** 2, minlength=size) / n
            found = np.sqrt(variance) / mean
        found[n < 2] = np.nan
        return found.reshape(*self.shape, *raster.shape)

    def synchrony(self, layer: str, bin: Any) -> np.ndarray:
        """Golomb's measure chi of synchrony, of spike counts in bins.

        The standard deviation over time of the population's mean count, over the root mean square of those of single
        neurons (Golomb & Rinzel 1994, Physica D 72, 259, with spike counts in the place of membrane potentials): 1
        where all fire together, about 1/sqrt(n) where n neurons fire independently.

        Parameters
        ----------
        layer : str
        bin : brian2.Quantity
            Width of a bin; a rest of the duration that fills none is left out.

        Returns
        -------
        numpy.ndarray
            Shape (*axes, trials); NaN where no neuron changes its count.

        Raises
        ------
        DataError
            If spikes were not recorded, or there is no such layer; a bin that is no time.
        """
        raster = self._raster(layer)
        width = round(float(bin) / float(self.dt))
        n_bins = raster.n_steps // width if width else 0
        if n_bins < 2:
            raise DataError(
                "Simulated.synchrony", "bin does not fit", got=str(bin), expected=f"{self.dt} to {self.duration / 2}"
            )
        size = int(np.prod(raster.shape))
        found = np.full(raster.n_trials, np.nan)
        first = np.searchsorted(raster.trial, np.arange(raster.n_trials + 1))
        for trial in range(raster.n_trials):
            part = slice(first[trial], first[trial + 1])
            place = raster.step[part] // width
            keep = place < n_bins
            flat = place[keep].astype(np.int64) * size + raster.neuron[part][keep]
            counts = np.bincount(flat, minlength=n_bins * size).reshape(n_bins, size)
            single = counts.var(axis=0).mean()
            if single > 0:
                found[trial] = np.sqrt(counts.mean(axis=1).var() / single)
        return found.reshape(self.shape)

    def to_xarray(self) -> xarray.Dataset:
        """Rates, CV and, where recorded, the readout, as a labelled table.

        Returns
        -------
        xarray.Dataset
        """
        import xarray as xr

        dims = (*self.axes, "trial")
        coords: dict[str, Any] = {}
        for name, axis in self.axes.items():
            if isinstance(axis, Axis):
                values = [to_number(value, axis.unit) for value in axis.values]
                coords[name] = (name, values, {"units": axis.unit} if axis.unit else {})
        variables: dict[str, Any] = {}
        for name, raster in self.spikes.items():
            more = tuple(f"{name}_{k}" for k in range(len(raster.shape)))
            variables[f"rate_{name}"] = ((*dims, *more), np.asarray(self.rates[name] / Hz), {"units": "Hz"})
            variables[f"cv_{name}"] = ((*dims, *more), self.cv(name))
        if self.readout is not None:
            time = np.arange(self.readout.shape[-2]) * float(self.dt)
            coords["time"] = ("time", time, {"units": "s"})
            variables["readout"] = ((*dims, "time", "output"), self.readout)
        return xr.Dataset(variables, coords)


def _length(axis: Axis | int) -> int:
    return axis if isinstance(axis, int) else len(axis.values)


def _first_steps(raster: Raster, steps: int) -> Raster:
    if steps == raster.n_steps:
        return raster
    keep = raster.step < steps
    parts = {name: getattr(raster, name)[keep] for name in ("trial", "step", "neuron")}
    return dataclasses.replace(raster, **parts, n_steps=steps)
