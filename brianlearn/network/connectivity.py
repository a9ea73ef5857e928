"""Synapse lists of projections: which presynaptic neuron reaches which postsynaptic one through which weight."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from brianlearn.network.connections import Connection

__all__ = ["Connectivity"]


@dataclass(frozen=True)
class Connectivity:
    """A kind of connection between two populations, as a linear map with shared weights.

    Its list of synapses is made when it is asked for; sizes, packing and counts need none.

    Attributes
    ----------
    connection : Connection
    source, target : tuple of int
        Shapes of the populations.
    """

    connection: Connection
    source: tuple[int, ...]
    target: tuple[int, ...]

    @cached_property
    def _synapses(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pre, post, weight = self.connection.synapses(self.source, self.target)
        pre, post, weight = (np.asarray(a, np.int32) for a in (pre, post, weight))
        if np.all(np.diff(pre.astype(np.int64) * self.n_post + post) > 0):  # sorted, each pair once
            return pre, post, weight
        order = np.lexsort((weight, post, pre))
        return pre[order], post[order], weight[order]

    @property
    def pre(self) -> np.ndarray:
        """Presynaptic neuron of every synapse, int32: they are sorted by it, and for one neuron by ``post``."""
        return self._synapses[0]

    @property
    def post(self) -> np.ndarray:
        """Postsynaptic neuron of every synapse, int32."""
        return self._synapses[1]

    @property
    def weight(self) -> np.ndarray:
        """Index of every synapse into the packed weights (see `pack`), int32."""
        return self._synapses[2]

    @property
    def n_synapses(self) -> int:
        """How many synapses there are, without their list."""
        return self.connection.n_synapses(self.source, self.target)

    @property
    def factor(self) -> float:
        """Constant that multiplies every weight."""
        return self.connection.factor

    @property
    def n_pre(self) -> int:
        """Number of presynaptic neurons."""
        return prod(self.source)

    @property
    def n_post(self) -> int:
        """Number of postsynaptic neurons."""
        return prod(self.target)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weights."""
        return self.connection.weight_shape(self.source, self.target)

    def pack(self, weights: np.ndarray) -> np.ndarray:
        """Weights in the order of their use, flat: by presynaptic neuron for a dense layer, as they are for kernels.

        Parameters
        ----------
        weights : numpy.ndarray

        Returns
        -------
        numpy.ndarray
        """
        return self.connection.pack(weights)

    def unpack(self, packed: np.ndarray) -> np.ndarray:
        """Inverse of `pack`.

        Parameters
        ----------
        packed : numpy.ndarray

        Returns
        -------
        numpy.ndarray
        """
        return self.connection.unpack(packed, self.weight_shape)
