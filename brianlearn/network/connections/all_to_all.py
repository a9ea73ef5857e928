"""All to all."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from brianlearn.network.connections.base import Connection, Shape

__all__ = ["AllToAll"]


@dataclass(frozen=True)
class AllToAll(Connection):
    """Every neuron of the source to every neuron of the target, each through a weight of its own; shape (out, in)."""

    shares_weights: ClassVar[bool] = False

    def weight_shape(self, source: Shape, target: Shape) -> Shape:
        return prod(target), prod(source)

    def n_synapses(self, source: Shape, target: Shape) -> int:
        return prod(target) * prod(source)

    def fan_out(self, source: Shape, target: Shape) -> np.ndarray:
        return np.full(prod(source), prod(target))

    def synapses(self, source: Shape, target: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        n_pre, n_post = prod(source), prod(target)
        pre = np.repeat(np.arange(n_pre, dtype=np.int32), n_post)
        post = np.tile(np.arange(n_post, dtype=np.int32), n_pre)
        return pre, post, np.arange(len(pre), dtype=np.int32)

    def describe(self) -> str:
        return "dense"

    def pack(self, weights: np.ndarray) -> np.ndarray:
        # by presynaptic neuron, in the order of use
        return np.ascontiguousarray(weights.T).ravel()

    def unpack(self, packed: np.ndarray, shape: Shape) -> np.ndarray:
        return np.ascontiguousarray(packed.reshape(shape[::-1]).T)
