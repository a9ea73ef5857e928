"""The distance of Victor and Purpura: what it costs to make one spike train of another, spike by spike."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import hertz
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.citing import papers
from brianlearn.citing.references import published_in
from brianlearn.errors import DataError, UnitError
from brianlearn.learning.van_rossum import trains_of
from brianlearn.network.checks import is_number
from brianlearn.network.samples.spike_times import seconds_of, take_time
from brianlearn.network.taking import take_quantity

__all__ = ["victor_purpura"]


def victor_purpura(found: Any, wanted: Any, cost: Any, dt: Any = None) -> Any:
    """Distance of spike trains: a spike taken out or put in costs 1, one moved by s costs ``cost`` times s.

    With a cost of 0 it is the difference of the numbers of spikes, with an infinite one the number of spikes that the
    trains do not have in common.

    Parameters
    ----------
    found, wanted : brian2.Quantity, shape (n_spikes,), or array_like of bool
        The times of two trains, in any order; or, with ``dt``, whether a spike was fired in each time step, shape
        (n, n_steps, neurons), (n_steps, neurons) or (n_steps,). Neurons count each for itself, and together.
    cost : brian2.Quantity
        Of moving a spike, per time, >= 0, e.g. ``1/(10*ms)``; ``np.inf*Hz``. Spikes further apart than 2/cost are
        rather taken out and put in.
    dt : brian2.Quantity, optional
        The time step of trains that are arrays.

    Returns
    -------
    float, or numpy.ndarray of float64, shape (n,)
        With three axes, that of each sample.

    Raises
    ------
    DataError
        A cost below 0; arrays of two shapes, or without a time step.
    UnitError
        Times without a unit, a cost that is none per time.

    References
    ----------
    J. D. Victor, K. P. Purpura, Nature and precision of temporal coding in visual cortex: a metric-space analysis,
    Journal of Neurophysiology 76(2), 1310-1326, 1996.

    Examples
    --------
    >>> from brian2 import ms
    >>> victor_purpura([10, 20]*ms, [12]*ms, cost=1/(10*ms))
    1.2
    """
    price = _price(cost)
    if dt is None:
        if np.ndim(found) > 1 or np.ndim(wanted) > 1:
            raise DataError(
                "victor_purpura",
                "trains in arrays have a time step",
                got=f"shapes {np.shape(found)} and {np.shape(wanted)}, dt=None",
                expected="dt=..., or the times of two trains, e.g. [10, 20]*ms",
            )
        a, b = (np.sort(np.ravel(seconds_of("victor_purpura", train))) for train in (found, wanted))
        return _distance(a, b, price)
    step = take_time("victor_purpura", "dt", dt)
    trains = trains_of("victor_purpura", found, wanted)
    each = np.array([_summed(a, b, step, price) for a, b in zip(*trains, strict=True)])
    return each if np.ndim(found) == 3 else float(each[0])


published_in(papers.VICTOR_PURPURA)(victor_purpura)


def _price(cost: Any) -> float:
    """What a move costs per second."""
    cost = take_quantity("victor_purpura", "cost", cost)
    expected = "a cost per time, e.g. 1/(10*ms)"
    if get_dimensions(cost) is not hertz.dim:
        raise UnitError("victor_purpura", "cost is no cost per time", got=repr(cost), expected=expected)
    price = np.asarray(cost, float)
    if price.ndim or not (price == np.inf or (is_number(float(price)) and price >= 0)):
        raise DataError("victor_purpura", "cost is out of range", got=repr(cost), expected=f"{expected}, >= 0")
    return float(price)


def _summed(found: np.ndarray, wanted: np.ndarray, dt: float, price: float) -> float:
    """Of the trains of all neurons, bool (n_steps, neurons)."""
    pairs = zip(found.T, wanted.T, strict=True)
    return sum(_distance(np.flatnonzero(a) * dt, np.flatnonzero(b) * dt, price) for a, b in pairs)


def _distance(a: np.ndarray, b: np.ndarray, price: float) -> float:
    """Of two trains in the order of time, in seconds: row by row of the table of their beginnings (Sellers 1974)."""
    n = np.arange(len(b) + 1)
    row = n.astype(float)
    for k, time in enumerate(a, start=1):
        apart = np.abs(time - b)
        move = np.where(apart == 0, 0.0, np.inf) if np.isinf(price) else price * apart
        best = np.concatenate([[float(k)], np.minimum(row[1:] + 1, row[:-1] + move)])
        # then row[j] = min(best[j], row[j - 1] + 1), for all j at once
        row = np.minimum.accumulate(best - n) + n
    return float(row[-1])
