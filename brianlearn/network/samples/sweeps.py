"""Recordings of one neuron: injected currents, and the membrane and spikes that they cause."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Quantity, second
from brian2.units.fundamentalunits import DIMENSIONLESS, get_dimensions

from brianlearn.errors import DataError, UnitError
from brianlearn.network.samples.spike_times import take_time
from brianlearn.network.unit_names import quantity_text

__all__ = ["Sweeps"]


@dataclass(frozen=True, eq=False)
class Sweeps:
    """Recordings of one neuron, sweep by sweep, all of the same length.

    Parameters
    ----------
    current : brian2.Quantity, shape (n, T) or (T,)
        What is injected in each time step, in the unit of a neuron's input variable; most often a current.
    dt : brian2.Quantity
        Time from one value to the next.
    voltage : brian2.Quantity, shape of ``current``, optional
        The membrane after each step, before a reset, with the unit of the neuron's membrane. Of a simulation of Brian2
        that is what ``StateMonitor(group, "v", record=True, when="thresholds")`` records; the monitor's own place,
        ``when="start"``, is one step late.
    spikes : sequence of brian2.Quantity, each of shape (n_spikes,), optional
        Times of spikes from the start of each sweep.

    Raises
    ------
    UnitError
        Values or times without a unit.
    DataError
        Shapes that do not fit, values that are not finite, spikes outside of their sweep.

    Examples
    --------
    >>> import numpy as np
    >>> from brian2 import ms, mV, pA
    >>> import brianlearn as bl
    >>> sweeps = bl.Sweeps(np.ones((2, 50))*100*pA, 0.1*ms, np.full((2, 50), -70.0)*mV, spikes=[[1, 2]*ms, []*ms])
    >>> len(sweeps), sweeps.fired().sum(axis=1).tolist()
    (2, [2, 0])
    """

    current: Any
    dt: Any
    voltage: Any = None
    spikes: Any = None

    def __post_init__(self) -> None:
        step = take_time("Sweeps", "dt", self.dt)
        object.__setattr__(self, "dt", step * second)
        current = _traces("current", self.current)
        object.__setattr__(self, "current", current)
        if self.voltage is not None:
            voltage = _traces("voltage", self.voltage)
            if voltage.shape != current.shape:
                raise DataError(
                    "Sweeps",
                    "voltage and current have different shapes",
                    got=f"voltage {voltage.shape}, current {current.shape}",
                    expected="a value of each for every step",
                )
            object.__setattr__(self, "voltage", voltage)
        if self.spikes is not None:
            given = self.spikes
            if isinstance(given, Quantity) and given.ndim == 1 and len(current) == 1:
                given = [given]
            if not isinstance(given, Sequence) or isinstance(given, str) or len(given) != len(current):
                raise DataError(
                    "Sweeps",
                    "spikes are of another number of sweeps",
                    got=f"{len(given)} lists" if isinstance(given, Sequence) else type(given).__name__,
                    expected=f"{len(current)} arrays of times, one for each sweep",
                )
            object.__setattr__(self, "spikes", tuple(self._times(k, one) for k, one in enumerate(given)))

    def _times(self, sweep: int, given: Any) -> Any:
        if get_dimensions(given) is not second.dim and np.size(given):
            raise UnitError(
                "Sweeps",
                f"spikes of sweep {sweep} have no unit of time",
                got=quantity_text(given),
                expected="times, e.g. [12.5, 40.1]*ms",
            )
        times = np.sort(np.asarray(given, float).ravel())
        outside = times[~((times >= 0) & (times < float(self.duration)))]
        if len(outside):
            raise DataError(
                "Sweeps",
                f"a spike lies outside of sweep {sweep}",
                got=f"{quantity_text(float(outside[0]), second.dim)}",
                expected=f"0 ms to {quantity_text(float(self.duration), second.dim)}, from the start of the sweep",
            )
        return times * second

    def __len__(self) -> int:
        return len(self.current)

    def __getitem__(self, index: Any) -> Sweeps:
        """Some of the sweeps, by a slice or an array."""
        chosen = np.atleast_1d(np.arange(len(self))[index])
        return dataclasses.replace(
            self,
            current=self.current[chosen],
            voltage=None if self.voltage is None else self.voltage[chosen],
            spikes=None if self.spikes is None else [self.spikes[k] for k in chosen],
        )

    @property
    def n_steps(self) -> int:
        """Time steps of a sweep, T."""
        return int(self.current.shape[1])

    @property
    def duration(self) -> Any:
        """Length of a sweep."""
        return self.n_steps * self.dt

    def steps(self) -> Iterator[np.ndarray]:
        """The steps in which each sweep has spikes: that in which a time lies, at its end counted to the next.

        Yields
        ------
        numpy.ndarray of int
        """
        for times in self.spikes or ():
            yield np.floor(np.asarray(times) / float(self.dt) + 1e-6).astype(int)

    def fired(self) -> np.ndarray:
        """Whether there is a spike in each step.

        Returns
        -------
        numpy.ndarray of bool, shape (n, T)

        Raises
        ------
        DataError
            Sweeps without spikes.
        """
        if self.spikes is None:
            raise DataError(
                "Sweeps",
                "they have no spikes",
                expected="spikes=..., or sweeps.detected(-20*mV), which finds them in the voltage",
            )
        found = np.zeros((len(self), self.n_steps), bool)
        for k, steps in enumerate(self.steps()):
            found[k, steps] = True
        return found

    def detected(self, level: Any) -> Sweeps:
        """The same sweeps with the spikes that their voltage shows: where it rises above a level.

        Parameters
        ----------
        level : brian2.Quantity
            In the unit of the voltage.

        Returns
        -------
        Sweeps

        Raises
        ------
        DataError
            Sweeps without a voltage.
        UnitError
            A level in another unit.
        """
        if self.voltage is None:
            raise DataError("Sweeps", "they have no voltage in which spikes could be found", expected="voltage=...")
        if get_dimensions(level) is not get_dimensions(self.voltage) or np.ndim(level):
            raise UnitError("Sweeps.detected", "the level has the wrong unit", got=level, expected="e.g. -20*mV")
        above = np.asarray(self.voltage) > float(level)
        rises = above & ~np.c_[np.zeros(len(self), bool), above[:, :-1]]
        times = [np.flatnonzero(row) * float(self.dt) * second for row in rises]
        return dataclasses.replace(self, spikes=times)


def _traces(name: str, given: Any) -> Any:
    """Traces (n, T) with their unit."""
    dim = get_dimensions(given)
    if dim is DIMENSIONLESS and not isinstance(given, np.ndarray | Sequence):
        raise UnitError("Sweeps", f"{name} is no array", got=repr(given)[:80], expected="an array, shape (n, T)")
    try:
        values = np.atleast_2d(np.asarray(given, float))
    except (TypeError, ValueError):
        raise DataError(
            "Sweeps", f"{name} holds no numbers", got=repr(given)[:80], expected="an array, shape (n, T)"
        ) from None
    if values.ndim != 2 or not values.size:
        raise DataError("Sweeps", f"{name} has the wrong shape", got=values.shape, expected="(n, T), sweeps and steps")
    if not np.isfinite(values).all():
        sweep, step = np.argwhere(~np.isfinite(values))[0]
        raise DataError(
            "Sweeps",
            f"{name} is not finite",
            got=f"{values[sweep, step]} (step {step}, sweep {sweep})",
            expected="numbers",
        )
    return values if dim is DIMENSIONLESS else Quantity(values, dim=dim)
