"""Biases: the synapses of a source that fires in every step."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from brianlearn.network.connections.base import Connection, Shape

__all__ = ["Bias"]


@dataclass(frozen=True)
class Bias(Connection):
    """One neuron, which fires in every step, to all of the target.

    Parameters
    ----------
    by_channel : bool, optional
        Whether there is one weight for each channel, shape (channels,), or for each neuron, shape (neurons,).
    """

    by_channel: bool = False
    shares_weights: ClassVar[bool] = True

    def weight_shape(self, source: Shape, target: Shape) -> Shape:
        return (target[0],) if self.by_channel else (prod(target),)

    def describe(self) -> str:
        return "bias"

    def n_synapses(self, source: Shape, target: Shape) -> int:
        return prod(target)

    def synapses(self, source: Shape, target: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        post = np.arange(prod(target), dtype=np.int32)
        shared = prod(target[1:]) if self.by_channel else 1
        return np.zeros_like(post), post, post // np.int32(shared)
