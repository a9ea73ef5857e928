"""RMSprop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from brianlearn.citing import papers
from brianlearn.learning.optimisers.base import Optimiser

__all__ = ["RMSprop"]


@dataclass(frozen=True)
class RMSprop(Optimiser):
    """v <- alpha v + (1 - alpha) g^2; w <- w - lr g / (sqrt(v) + eps).

    Parameters
    ----------
    learning_rate : float
        > 0; default 1e-3.
    alpha : float
        Decay of the mean, in [0, 1).
    eps : float
        > 0: keeps the step finite where all gradients were 0.

    References
    ----------
    G. Hinton, N. Srivastava, K. Swersky, Neural networks for machine learning, lecture 6e, 2012.
    """

    references = (papers.RMSPROP,)

    learning_rate: float = 1e-3
    alpha: float = 0.99
    eps: float = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("v",)
    update: ClassVar[str] = """
        v = alpha*v + (1 - alpha)*gradient**2
        weight -= lr*gradient/(sqrt(v) + eps)
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("alpha", 0.0, 1.0, closed_low=True)
        self._number("eps", 0.0, np.inf)
