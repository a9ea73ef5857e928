"""Adam, and Adam with decoupled weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from brianlearn.citing import papers
from brianlearn.learning.optimisers.base import Optimiser

__all__ = ["Adam", "AdamW"]


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
        > 0: keeps the step finite where all gradients were 0.

    References
    ----------
    D. P. Kingma, J. Ba, Adam: a method for stochastic optimization, ICLR 2015.
    """

    references = (papers.ADAM,)

    learning_rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    slots: ClassVar[tuple[str, ...]] = ("m", "v")
    update: ClassVar[str] = """
        m = beta1*m + (1 - beta1)*gradient
        v = beta2*v + (1 - beta2)*gradient**2
        m_hat = m/(1 - beta1**k)
        v_hat = v/(1 - beta2**k)
        weight -= lr*m_hat/(sqrt(v_hat) + eps)
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("beta1", 0.0, 1.0, closed_low=True)
        self._number("beta2", 0.0, 1.0, closed_low=True)
        self._number("eps", 0.0, np.inf)


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam, and all weights shrink by lr weight_decay in each update (Loshchilov & Hutter 2019).

    Parameters
    ----------
    weight_decay : float
        Not below 0.

    References
    ----------
    I. Loshchilov, F. Hutter, Decoupled weight decay regularization, ICLR 2019.
    """

    references = (papers.ADAMW,)

    weight_decay: float = 0.01
    update: ClassVar[str] = f"""
        weight = weight*(1 - lr*weight_decay)
        {Adam.update.strip()}
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self._number("weight_decay", 0.0, np.inf, closed_low=True)
