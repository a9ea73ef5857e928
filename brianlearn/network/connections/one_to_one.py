"""One to one."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from brianlearn.errors import ShapeError
from brianlearn.network.connections.base import Connection, Shape

__all__ = ["OneToOne"]


@dataclass(frozen=True)
class OneToOne(Connection):
    """Neuron i of the source to neuron i of the target; weights of shape (n,)."""

    shares_weights: ClassVar[bool] = False

    def target_shape(self, owner: str, source: Shape, name: str = "its source") -> Shape | None:
        return source

    def check(self, owner: str, source: Shape, target: Shape) -> None:
        if prod(source) != prod(target):
            raise ShapeError(
                owner,
                "one-to-one connections need two populations of one size",
                got=f"{prod(source)} neurons, shape {source}, to {prod(target)} neurons, shape {target}",
                expected="equal numbers",
            )

    def weight_shape(self, source: Shape, target: Shape) -> Shape:
        return (prod(source),)

    def describe(self) -> str:
        return "one to one"

    def n_synapses(self, source: Shape, target: Shape) -> int:
        return prod(source)

    def synapses(self, source: Shape, target: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        each = np.arange(prod(source), dtype=np.int32)
        return each, each, each
