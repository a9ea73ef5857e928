"""Delays that are learned: where they begin, between what they stay, and how they come onto the time grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Quantity, ms, second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.citing import papers
from brianlearn.errors import SpecError, UnitError
from brianlearn.network.checks import is_number, is_whole
from brianlearn.network.storable import Storable
from brianlearn.network.taking import take_quantity
from brianlearn.network.unit_names import quantity_text

__all__ = ["LearnedDelays"]

#: Width of the spread, in time steps, in the last epoch that has one.
LAST_WIDTH = 0.5
#: Seconds of the unit in which delays are kept beside the weights.
UNIT = 1e-3


@dataclass(frozen=True, eq=False)
class LearnedDelays(Storable):
    """A delay for each synapse, learned by back-propagation, as the ``delay`` of a `Projection`.

    While delays are learned, a spike does not arrive once, after a delay d: it arrives in every step k of the bounds,
    with the weight times the share

        g_k = exp(-(k - d)^2/(2 s^2)) / sum_j exp(-(j - d)^2/(2 s^2)),

    which has a derivative by d. The width s narrows exponentially from epoch to epoch, from ``spread`` to half a time
    step. From epoch ``epochs`` on delays lie on the time grid, rounded half up, and stay; weights go on learning. All
    that does not learn delays (tests and validation, Brian2, exports) has rounded delays at any time.

    Parameters
    ----------
    bounds : pair of brian2.Quantity
        The shortest delay and the longest one, whole numbers of time steps. Cycles need a shortest one as long as a
        fixed delay would have to be.
    initial : brian2.Quantity, optional
        Where they begin: one time, or an array of the weights' shape. Drawn from all between the bounds, with equal
        probability, where it is not given.
    spread : brian2.Quantity, optional
        Width s in the first epoch; half of what lies between the bounds where it is not given.
    epochs : int, optional
        How many epochs delays learn for; a run of as many or fewer ends before weights learn with the delays that stay.
        With 0 they stay as they begin, on the grid: drawn from the learner's seed, or what weights bring along. Rules
        other than back-propagation take these alone.
    learning_rate_scale : float, optional
        Factor on the learning rate; the rule's own by the name ``<projection>_delay`` takes its place. Delays are kept
        in ms beside the weights: with Adam and a learning rate of 0.001, 100 lets them change by up to about 0.1 ms in
        an update.

    Raises
    ------
    SpecError, UnitError

    References
    ----------
    I. Hammouamri, I. Khalfaoui-Hassani, T. Masquelier, Learning delays in spiking neural networks using dilated
    convolutions with learnable spacings, ICLR 2024, arXiv:2306.17670.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> delays = bl.LearnedDelays((0*ms, 20*ms), epochs=10)
    >>> bl.Projection("up", "input", "hidden", delay=delays).delay_text
    '0 ms to 20 ms, learned'
    >>> [round(delays.width(epoch, 1*ms), 2) for epoch in (0, 5, 9, 10)]
    [10.0, 1.89, 0.5, 0.0]
    """

    references = (papers.LEARNED_DELAYS,)

    bounds: Any
    initial: Any = None
    spread: Any = None
    epochs: int = 20
    learning_rate_scale: float = 100.0

    def __post_init__(self) -> None:
        owner = "LearnedDelays"
        object.__setattr__(self, "bounds", _pair(owner, self.bounds))
        low, high = np.asarray(self.bounds, float)
        if not (np.isfinite([low, high]).all() and 0 <= low < high):
            raise SpecError(
                owner,
                "bounds are wrong",
                got=quantity_text(self.bounds),
                expected="two times, the shorter one first, e.g. (0*ms, 25*ms)",
            )
        for name in ("initial", "spread"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _time(owner, name, getattr(self, name)))
        begin = np.asarray(self.initial if self.initial is not None else self.bounds, float)
        if not begin.size or not np.isfinite(begin).all() or begin.min() < low or begin.max() > high:
            raise SpecError(
                owner,
                "initial delays do not lie between the bounds",
                got=quantity_text(self.initial),
                expected=f"{quantity_text(self.bounds[0])} to {quantity_text(self.bounds[1])}",
            )
        if self.spread is not None and (np.ndim(self.spread) or not 0 < float(self.spread) < np.inf):
            raise SpecError(
                owner, "spread is wrong", got=quantity_text(self.spread), expected="one time > 0, e.g. 5*ms"
            )
        if not (is_whole(self.epochs) and self.epochs >= 0):
            raise SpecError(owner, "epochs is wrong", got=repr(self.epochs), expected="a whole number >= 0")
        if not (is_number(self.learning_rate_scale) and self.learning_rate_scale >= 0):
            raise SpecError(
                owner,
                "learning_rate_scale is wrong",
                got=repr(self.learning_rate_scale),
                expected="a finite number >= 0",
            )

    def steps(self, dt: Any) -> np.ndarray:
        """The shortest and the longest delay as numbers of time steps.

        Parameters
        ----------
        dt : brian2.Quantity or float
            A time, or seconds.

        Returns
        -------
        numpy.ndarray of int64, shape (2,)
        """
        return np.round(np.asarray(self.bounds, float) / float(dt)).astype(np.int64)

    def width(self, epoch: int, dt: Any) -> float:
        """The width of the spread in an epoch, as a number of time steps; 0.0 where delays lie on the grid.

        Parameters
        ----------
        epoch : int
            From 0.
        dt : brian2.Quantity or float
            A time, or seconds.

        Returns
        -------
        float
        """
        if epoch >= self.epochs:
            return 0.0
        low, high = np.asarray(self.bounds, float)
        first = ((high - low) / 2 if self.spread is None else float(self.spread)) / float(dt)
        last = min(first, LAST_WIDTH)
        return float(first * (last / first) ** (epoch / max(1, self.epochs - 1)))

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Initial delays.

        Parameters
        ----------
        rng : numpy.random.Generator
        shape : tuple of int
            Of the weights.

        Returns
        -------
        numpy.ndarray
            In ms.
        """
        if self.initial is None:
            return rng.uniform(*self.limits, shape)
        return np.broadcast_to(np.asarray(self.initial, float) / UNIT, shape).copy()

    @property
    def limits(self) -> tuple[float, float]:
        """The bounds in ms."""
        low, high = np.asarray(self.bounds, float) / UNIT
        return float(low), float(high)

    def rounded(self, delays: np.ndarray, dt: Any) -> np.ndarray:
        """Delays as numbers of time steps, rounded half up.

        Parameters
        ----------
        delays : numpy.ndarray
            In ms.
        dt : brian2.Quantity or float
            A time, or seconds.

        Returns
        -------
        numpy.ndarray of int64
            Of the same shape, within the bounds.
        """
        steps = np.floor(np.asarray(delays, float) * UNIT / float(dt) + 0.5)
        return np.clip(steps, *self.steps(dt)).astype(np.int64)


def _pair(owner: str, bounds: Any) -> Quantity:
    two = isinstance(bounds, list | tuple | np.ndarray) and np.shape(bounds)[:1] == (2,)
    ends = [_time(owner, "bounds", end) for end in bounds] if two else []
    if not ends or any(np.ndim(end) for end in ends):
        raise SpecError(owner, "bounds are wrong", got=repr(bounds), expected="two times, e.g. (0*ms, 25*ms)")
    return np.array([float(end) for end in ends]) * second


def _time(owner: str, name: str, value: Any) -> Any:
    value = take_quantity(owner, name, value)
    if get_dimensions(value) is not ms.dim:
        raise UnitError(owner, f"{name} has no unit of time", got=quantity_text(value), expected="a time, e.g. 5*ms")
    return value
