"""Optimisers: from an accumulated gradient g to a weight change, with the learning-rate schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from brianlearn.errors import RuleError
from brianlearn.spec.checks import is_number
from brianlearn.spec.storable import Storable

__all__ = ["SGD", "Adam", "Momentum", "Optimiser"]


def _number(owner: object, name: str, value: Any, low: float, high: float, *, closed_low: bool = False) -> None:
    if not (is_number(value) and (low <= value if closed_low else low < value) and value < high):
        bracket = "[" if closed_low else "("
        expected = f"a number in {bracket}{low:g}, {high:g})"
        raise RuleError(type(owner).__name__, f"{name} is wrong", got=repr(value), expected=expected)


@dataclass(frozen=True)
class Optimiser(Storable, abstract=True):
    """Base class.

    Parameters
    ----------
    learning_rate : float
    halve_every : int, optional
        The learning rate is halved every so many epochs.
    decay : float, optional
        The learning rate is multiplied by it after every epoch; in (0, 1].
    reset_each_epoch : bool, optional
        Create the optimiser's state anew at the start of each epoch (the DALTON paper's recipe).
    """

    learning_rate: float
    halve_every: int | None = None
    reset_each_epoch: bool = False
    decay: float = 1.0

    error_kind = RuleError
    #: Arrays of the shape of the weights that the optimiser keeps, by name.
    slots: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        _number(self, "learning_rate", self.learning_rate, 0.0, np.inf)
        if self.halve_every is not None and (
            isinstance(self.halve_every, bool) or not isinstance(self.halve_every, int) or self.halve_every < 1
        ):
            raise RuleError(
                type(self).__name__,
                "halve_every is wrong",
                got=self.halve_every,
                expected="None or a whole number >= 1",
            )

        if not (is_number(self.decay) and 0 < self.decay <= 1):
            raise RuleError(
                type(self).__name__, "decay is wrong", got=repr(self.decay), expected="a number in (0, 1], e.g. 0.3"
            )

    def rate_at(self, epoch: int) -> float:
        """Learning rate in an epoch, counted from 0."""
        halved = 0.5 ** (epoch // self.halve_every) if self.halve_every else 1.0
        return self.learning_rate * halved * self.decay**epoch


@dataclass(frozen=True)
class SGD(Optimiser):
    """w <- w - lr g."""


@dataclass(frozen=True)
class Momentum(Optimiser):
    """m <- mu m + g; w <- w - lr m (Polyak's heavy ball).

    Parameters
    ----------
    momentum : float
        mu in [0, 1).
    """

    momentum: float = 0.9
    slots: ClassVar[tuple[str, ...]] = ("m",)

    def __post_init__(self) -> None:
        super().__post_init__()
        _number(self, "momentum", self.momentum, 0.0, 1.0, closed_low=True)


@dataclass(frozen=True)
class Adam(Optimiser):
    """Adam (Kingma & Ba 2015): m, v are bias-corrected running means of g and g^2; w <- w - lr m / (sqrt(v) + eps).

    Parameters
    ----------
    learning_rate : float
        Default 1e-3, as in the DALTON paper.
    beta1, beta2 : float
        Decay of the means, in [0, 1).
    eps : float
    """

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("m", "v")

    def __post_init__(self) -> None:
        super().__post_init__()
        _number(self, "beta1", self.beta1, 0.0, 1.0, closed_low=True)
        _number(self, "beta2", self.beta2, 0.0, 1.0, closed_low=True)
        _number(self, "eps", self.eps, 0.0, np.inf)
