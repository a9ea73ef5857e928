"""Gradient descent, and with momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from brianlearn.citing import papers
from brianlearn.learning.optimisers.base import PLAIN, Optimiser

__all__ = ["SGD", "Momentum"]


@dataclass(frozen=True)
class SGD(Optimiser):
    """w <- w - lr g.

    References
    ----------
    H. Robbins, S. Monro, A stochastic approximation method, Annals of Mathematical Statistics 22, 1951.
    """

    references = (papers.SGD,)

    update: ClassVar[str] = PLAIN


@dataclass(frozen=True)
class Momentum(Optimiser):
    """m <- mu m + g; w <- w - lr m (Polyak's heavy ball).

    Parameters
    ----------
    momentum : float
        mu in [0, 1).

    References
    ----------
    B. T. Polyak, Some methods of speeding up the convergence of iteration methods, USSR Computational Mathematics and
    Mathematical Physics 4, 1964.
    """

    references = (papers.MOMENTUM,)

    momentum: float = 0.9
    slots: ClassVar[tuple[str, ...]] = ("m",)
    update: ClassVar[str] = """
        m = momentum*m + gradient
        weight -= lr*m
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("momentum", 0.0, 1.0, closed_low=True)
