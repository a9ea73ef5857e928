"""The distance of van Rossum between spike trains: how far apart they are where spikes are blurred in time."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import ms

from brianlearn.citing import papers
from brianlearn.citing.references import published_in
from brianlearn.errors import DataError
from brianlearn.network.samples.arrays import numbers
from brianlearn.network.samples.spike_times import take_time

__all__ = ["train_distances", "trains_of", "van_rossum"]

#: Of the metric that training reports, whatever the loss.
TAU = 5e-3


def van_rossum(found: Any, wanted: Any, dt: Any, tau: Any = 5 * ms) -> Any:
    """Distance of spike trains that are filtered with exp(-t/tau), van Rossum's D^2, all neurons together.

    1/tau times the integral of the squared difference: a spike too many or too few far from all others counts 1/2, one
    that is late by s counts 1 - exp(-s/tau).

    Parameters
    ----------
    found, wanted : array_like of bool, shape (n, n_steps, neurons), (n_steps, neurons) or (n_steps,)
        Whether a spike was fired in each time step.
    dt : brian2.Quantity
        The time step.
    tau : brian2.Quantity
        Time constant of the filter.

    Returns
    -------
    float, or numpy.ndarray of float64, shape (n,)
        With three axes, that of each sample.

    Raises
    ------
    DataError
        Trains of two shapes; what holds something else than 0 and 1.
    UnitError
        What is no time.

    References
    ----------
    M. C. W. van Rossum, A novel spike distance, Neural Computation 13(4), 751-763, 2001.

    Examples
    --------
    >>> from brian2 import ms
    >>> float(van_rossum([0, 0, 0, 0], [0, 1, 0, 0], dt=100*ms))
    0.5
    """
    step, width = take_time("van_rossum", "dt", dt), take_time("van_rossum", "tau", tau)
    each = train_distances(*trains_of("van_rossum", found, wanted), step, width)
    return each if np.ndim(found) == 3 else float(each[0])


published_in(papers.VAN_ROSSUM)(van_rossum)


def train_distances(
    found: np.ndarray, wanted: np.ndarray, dt: float, tau: float = TAU, burn_in_steps: int = 0
) -> np.ndarray:
    """`van_rossum` of each sample, in the steps after a burn-in.

    Parameters
    ----------
    found, wanted : numpy.ndarray of bool, shape (n, n_steps, neurons)
    dt, tau : float
        Seconds.
    burn_in_steps : int, optional
        Steps at the start whose difference is left out; their spikes are heard on.

    Returns
    -------
    numpy.ndarray of float64, shape (n,)
    """
    from scipy.signal import lfilter

    decay = float(np.exp(-dt / tau))
    difference = lfilter([1.0], [1.0, -decay], found.astype(float) - wanted, axis=1)[:, burn_in_steps:]
    # a lone spike leaves 1 + decay^2 + decay^4 + ... = 1/(1 - decay^2)
    return (1.0 - decay**2) / 2 * np.square(difference).sum(axis=(1, 2))


def trains_of(owner: str, found: Any, wanted: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of trains as bool, shape (n, n_steps, neurons).

    Raises
    ------
    DataError
    """
    both = []
    for name, given in (("found", found), ("wanted", wanted)):
        expected = "0 and 1, shape (n, n_steps, neurons), (n_steps, neurons) or (n_steps,)"
        array = numbers(owner, name, given, expected)
        if array.ndim not in (1, 2, 3) or (array.dtype != bool and not np.isin(array, (0, 1)).all()):
            raise DataError(owner, f"{name} is wrong", got=f"{array.dtype} {array.shape}", expected=expected)
        both.append(array.astype(bool))
    if both[0].shape != both[1].shape:
        got = f"{both[0].shape} and {both[1].shape}"
        raise DataError(owner, "the trains have different shapes", got=got, expected="one shape")
    shape = (*(1,) * (both[0].ndim < 3), *both[0].shape, *(1,) * (both[0].ndim == 1))
    return both[0].reshape(shape), both[1].reshape(shape)
