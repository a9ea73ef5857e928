"""Some of the synapses of another connection: those with one delay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from brianlearn.network.connections.base import Connection, Shape

__all__ = ["Some"]


@dataclass(frozen=True, eq=False)
class Some(Connection, abstract=True):  # of pathways, which no file holds
    """Some synapses of another connection, with all its weights.

    Parameters
    ----------
    whole : Connection
    chosen : array_like of bool, shape (n_weights,)
        The packed weights whose synapses are there.
    """

    whole: Connection
    chosen: Any

    @property
    def factor(self) -> float:  # type: ignore[override]
        """What multiplies every weight."""
        return self.whole.factor

    def weight_shape(self, source: Shape, target: Shape) -> Shape:
        return self.whole.weight_shape(source, target)

    def synapses(self, source: Shape, target: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pre, post, index = map(np.asarray, self.whole.synapses(source, target))
        mine = np.asarray(self.chosen)[index]
        return pre[mine], post[mine], index[mine]

    def pack(self, weights: np.ndarray) -> np.ndarray:
        return self.whole.pack(weights)

    def unpack(self, packed: np.ndarray, shape: Shape) -> np.ndarray:
        return self.whole.unpack(packed, shape)

    def describe(self) -> str:
        return f"some of {self.whole.describe()}"
