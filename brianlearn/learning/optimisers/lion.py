"""Lion: the sign of an interpolated momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from brianlearn.citing import papers
from brianlearn.learning.optimisers.base import Optimiser

__all__ = ["Lion"]


@dataclass(frozen=True)
class Lion(Optimiser):
    """w <- w - lr (sign(beta1 m + (1 - beta1) g) + weight_decay w); m <- beta2 m + (1 - beta2) g.

    Parameters
    ----------
    learning_rate : float
        > 0; default 1e-4: steps are of one size, so smaller than Adam's.
    beta1, beta2 : float
        In [0, 1).
    weight_decay : float
        Not below 0.

    References
    ----------
    X. Chen et al., Symbolic discovery of optimization algorithms, NeurIPS 2023.
    """

    references = (papers.LION,)

    learning_rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.99
    weight_decay: float = 0.0
    slots: ClassVar[tuple[str, ...]] = ("m",)
    update: ClassVar[str] = """
        weight -= lr*(sign(beta1*m + (1 - beta1)*gradient) + weight_decay*weight)
        m = beta2*m + (1 - beta2)*gradient
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("beta1", 0.0, 1.0, closed_low=True)
        self._number("beta2", 0.0, 1.0, closed_low=True)
        self._number("weight_decay", 0.0, np.inf, closed_low=True)
