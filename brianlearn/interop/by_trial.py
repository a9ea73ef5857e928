"""Recordings as other packages keep them: trial by trial, one list of spike times per neuron."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import BrianLearnError, DataError
from brianlearn.network.record import Recorded
from brianlearn.network.samples.samples import Activity, Raster

if TYPE_CHECKING:
    from brianlearn.study.simulated import Simulated

__all__ = ["ByTrial", "package"]


def package(name: str, needs: str) -> Any:
    """A package that is not needed otherwise.

    Raises
    ------
    BrianLearnError
        If it is not installed, with the command.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        missing = (error.name or name).partition(".")[0]
        raise BrianLearnError(
            needs, f"{missing} is not installed", got=str(error), expected=name, remedy=f"pip install {name}"
        ) from None


@dataclass(frozen=True, eq=False)
class OverTime:
    """One variable of one layer: values in base units, shape (n, T, neurons), of the trials ``trials``."""

    recorded: Recorded
    values: np.ndarray
    trials: np.ndarray


class ByTrial:
    """All that was recorded, by trials.

    Parameters
    ----------
    owner : str
        Who asks, for errors.
    activity : Activity or Simulated

    Attributes
    ----------
    dt, duration : float
        Seconds.
    trials : numpy.ndarray of int
        All trials of which something was recorded.

    Raises
    ------
    DataError
        What is no activity, or holds nothing.
    """

    def __init__(self, owner: str, activity: Activity | Simulated) -> None:
        if getattr(activity, "recorded", None) is None or getattr(activity, "dt", None) is None:
            raise DataError(
                owner,
                "these are no recordings",
                got=type(activity).__name__,
                expected="what learner.infer(state, samples, record=...) or bl.simulate(...)(...) gives",
            )
        self.dt, self.duration = float(activity.dt), float(activity.duration)
        currents = activity.currents if isinstance(activity, Activity) else ()
        self.spikes: dict[str, Raster] = {name: one for name, one in activity.spikes.items() if name not in currents}
        self.over_time = [self._over_time(one) for layers in activity.recorded.values() for one in layers.values()]
        found = [self._trials(raster) for raster in self.spikes.values()] + [one.trials for one in self.over_time]
        if not found:
            raise DataError(
                owner,
                "nothing was recorded",
                got="no spikes and no variables",
                expected="e.g. learner.infer(state, samples, record=('spikes', 'v'))",
            )
        self.trials = np.unique(np.concatenate(found))

    @staticmethod
    def _trials(raster: Raster) -> np.ndarray:
        return np.arange(raster.n_trials) if raster.samples is None else raster.samples

    @staticmethod
    def _over_time(one: Recorded) -> OverTime:
        values = np.asarray(one.values)
        trials = one.samples if values.ndim == 3 else np.arange(int(np.prod(values.shape[:-2])))
        return OverTime(one, values.reshape(-1, *values.shape[-2:]), trials)

    def trains(self, layer: str) -> Iterator[tuple[int, dict[int, np.ndarray]]]:
        """Trial, and neuron -> its spike times in seconds, for all neurons that were recorded."""
        raster = self.spikes[layer]
        neurons = np.arange(int(np.prod(raster.shape))) if raster.neurons is None else raster.neurons
        edges = np.searchsorted(raster.trial, np.arange(raster.n_trials + 1))
        for k, trial in enumerate(self._trials(raster)):
            mine = slice(edges[k], edges[k + 1])
            order = np.argsort(raster.neuron[mine], kind="stable")
            fired, times = raster.neuron[mine][order], raster.step[mine][order] * self.dt
            bounds = np.searchsorted(fired, neurons), np.searchsorted(fired, neurons, side="right")
            yield int(trial), {int(i): times[a:b] for i, a, b in zip(neurons, *bounds, strict=True)}
