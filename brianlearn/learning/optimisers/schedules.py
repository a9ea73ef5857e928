"""Learning-rate schedules: what the learning rate is multiplied with in each epoch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

from brianlearn.citing import papers
from brianlearn.errors import RuleError
from brianlearn.network.checks import is_number, is_whole
from brianlearn.network.storable import Storable

__all__ = ["Cosine", "Exponential", "Halving", "Schedule", "WarmUp"]


class Schedule(Storable, ABC, abstract=True):
    """Base class of learning-rate schedules.

    A subclass says what the learning rate is multiplied with in an epoch.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import brianlearn as bl
    >>> @dataclass(frozen=True)
    ... class InverseRoot(bl.Schedule):
    ...     '''1/sqrt(1 + epoch/steady).'''
    ...     steady: float = 10.0
    ...
    ...     def factor(self, epoch):
    ...         return (1 + epoch/self.steady)**-0.5
    >>> bl.Adam(1e-3, schedule=InverseRoot(3.0)).rate_at(9)
    0.0005
    """

    error_kind = RuleError

    @abstractmethod
    def factor(self, epoch: int) -> float:
        """What the learning rate is multiplied with.

        Parameters
        ----------
        epoch : int
            From 0.

        Returns
        -------
        float
            Finite, and not below 0.
        """

    def _whole(self, name: str, low: int = 1) -> None:
        value = getattr(self, name)
        if not (is_whole(value) and value >= low):
            expected = f"a whole number >= {low}"
            raise RuleError(type(self).__name__, f"{name} is wrong", got=repr(value), expected=expected)

    def _fraction(self, name: str, low: float = 0.0) -> None:
        value = getattr(self, name)
        if not (is_number(value) and low <= value <= 1):
            expected = f"a number from {low:g} to 1"
            raise RuleError(type(self).__name__, f"{name} is wrong", got=repr(value), expected=expected)


@dataclass(frozen=True)
class Halving(Schedule):
    """Half of it after every so many epochs, 2^-floor(epoch/every); as the optimisers' ``halve_every``.

    Parameters
    ----------
    every : int
        Epochs, at least 1.

    Raises
    ------
    RuleError
        What is no whole number >= 1.
    """

    every: int

    def __post_init__(self) -> None:
        self._whole("every")

    def factor(self, epoch: int) -> float:
        return 0.5 ** (epoch // self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """decay^epoch; as the optimisers' ``decay``.

    Parameters
    ----------
    decay : float
        In (0, 1].

    Raises
    ------
    RuleError
        What is no number in [0, 1].
    """

    decay: float

    def __post_init__(self) -> None:
        self._fraction("decay")
        if self.decay == 0:
            raise RuleError("Exponential", "decay is wrong", got=repr(self.decay), expected="a number in (0, 1]")

    def factor(self, epoch: int) -> float:
        return self.decay**epoch


@dataclass(frozen=True)
class Cosine(Schedule):
    """Half a cosine from 1 down to ``last``, last + (1 - last) (1 + cos(pi epoch/epochs))/2, then ``last``.

    Parameters
    ----------
    epochs : int
        After so many, ``last`` is reached.
    last : float
        In [0, 1].

    Raises
    ------
    RuleError
        What is no whole number >= 1; a last factor outside of [0, 1].

    References
    ----------
    I. Loshchilov, F. Hutter, SGDR: stochastic gradient descent with warm restarts, ICLR 2017.
    """

    references = (papers.COSINE,)

    epochs: int
    last: float = 0.0

    def __post_init__(self) -> None:
        self._whole("epochs")
        self._fraction("last")

    def factor(self, epoch: int) -> float:
        return self.last + (1 - self.last) * (1 + math.cos(math.pi * min(epoch / self.epochs, 1.0))) / 2


@dataclass(frozen=True)
class WarmUp(Schedule):
    """Rises in equal parts, (epoch + 1)/(epochs + 1), and then follows another schedule, counted from there.

    Parameters
    ----------
    epochs : int
        With a smaller learning rate.
    then : Schedule, optional
        Constant where it is not given.

    Raises
    ------
    RuleError
        What is no whole number >= 1; what is no schedule.

    References
    ----------
    P. Goyal et al., Accurate, large minibatch SGD: training ImageNet in 1 hour, arXiv:1706.02677, 2017.
    """

    references = (papers.WARM_UP,)

    epochs: int
    then: Schedule | None = None

    def __post_init__(self) -> None:
        self._whole("epochs")
        if self.then is not None and not isinstance(self.then, Schedule):
            raise RuleError(
                "WarmUp", "then is of the wrong type", got=repr(self.then), expected="a schedule, e.g. bl.Cosine(20)"
            )

    def factor(self, epoch: int) -> float:
        if epoch < self.epochs:
            return (epoch + 1) / (self.epochs + 1)
        return 1.0 if self.then is None else self.then.factor(epoch - self.epochs)
