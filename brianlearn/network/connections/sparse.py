"""Sparse connections: drawn at random, or given as pairs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any, ClassVar

import numpy as np

from brianlearn.errors import ShapeError, SpecError
from brianlearn.network.checks import is_number
from brianlearn.network.connections.base import Connection, Shape, whole

__all__ = ["Sparse"]


@dataclass(frozen=True, eq=False)
class Sparse(Connection):
    """Some pairs of neurons, each with a weight of its own; weights of shape (n_synapses,), sorted by (pre, post).

    Parameters
    ----------
    probability : float, optional
        Every pair is connected with this probability, independently.
    pairs : array_like of int, shape (n_synapses, 2), optional
        (pre, post) of every synapse, in the place of a probability; each pair at most once.
    seed : int, optional
        Of the draw: the same synapses with every seed of a network's weights.
    to_self : bool, optional
        Whether neuron i of a population may be connected to neuron i of the same population.

    Raises
    ------
    SpecError
        A probability outside of (0, 1]; both a probability and pairs, or neither; pairs that are none.
    """

    shares_weights: ClassVar[bool] = False
    probability: float | None = None
    pairs: Any = None
    seed: int = 0
    to_self: bool = True

    def __post_init__(self) -> None:
        if (self.probability is None) == (self.pairs is None):
            raise SpecError(
                "Sparse",
                "it takes a probability or pairs",
                got="neither" if self.pairs is None else "both",
                expected="Sparse(0.1) or Sparse(pairs=[(0, 1), ...])",
            )
        whole("Sparse", "seed", self.seed, 0)
        if self.probability is not None:
            if not (is_number(self.probability) and 0 < self.probability <= 1):
                raise SpecError(
                    "Sparse", "probability is wrong", got=repr(self.probability), expected="a number in (0, 1]"
                )
            return
        found = np.asarray(self.pairs)
        if found.ndim != 2 or found.shape[1:] != (2,) or found.dtype.kind not in "iu" or not len(found):
            raise SpecError(
                "Sparse",
                "pairs are wrong",
                got=f"{found.dtype}, shape {found.shape}",
                expected="whole numbers, shape (n_synapses, 2): (pre, post) of every synapse",
            )
        if found.min() < 0:
            raise SpecError("Sparse", "a neuron's number is negative", got=int(found.min()), expected="0 or more")
        found = found[np.lexsort((found[:, 1], found[:, 0]))].astype(np.int32)
        twice = np.flatnonzero((np.diff(found, axis=0) == 0).all(axis=1))
        if len(twice):
            raise SpecError(
                "Sparse",
                "a pair is there twice",
                got=f"({found[twice[0], 0]}, {found[twice[0], 1]})",
                expected="each pair at most once",
                remedy="add up their weights",
            )
        object.__setattr__(self, "pairs", found)

    @classmethod
    def from_matrix(cls, matrix: Any) -> Sparse:
        """The synapses of a matrix (out, in): its entries that are stored, whatever their values.

        Their values, in the order of the weights, are ``scipy.sparse.csc_array(matrix).data``.

        Parameters
        ----------
        matrix : scipy.sparse array or matrix, or array_like, shape (out, in)

        Returns
        -------
        Sparse
        """
        from scipy import sparse

        columns = sparse.csc_array(matrix)  # by column, that is by presynaptic neuron
        columns.sum_duplicates()
        pre = np.repeat(np.arange(columns.shape[1]), np.diff(columns.indptr))
        return cls(pairs=np.column_stack([pre, columns.indices]))

    def describe(self) -> str:
        return f"sparse, {len(self.pairs)} pairs" if self.probability is None else f"sparse, p {self.probability:g}"

    def check(self, owner: str, source: Shape, target: Shape) -> None:
        if self.pairs is not None:
            most = self.pairs.max(axis=0)
            for name, largest, n in (("source", most[0], prod(source)), ("target", most[1], prod(target))):
                if largest >= n:
                    raise ShapeError(
                        owner,
                        f"a pair names a neuron that the {name} does not have",
                        got=int(largest),
                        expected=f"0 to {n - 1}",
                    )
        if not len(self._drawn(source, target)):
            raise ShapeError(
                owner,
                "there are no synapses",
                got=f"probability {self.probability}, {prod(source)} to {prod(target)} neurons",
                expected="at least one synapse",
                remedy="a larger probability, or another seed",
            )

    def _drawn(self, source: Shape, target: Shape) -> np.ndarray:
        """(pre, post) of all synapses, sorted."""
        if self.pairs is not None:
            found: np.ndarray = self.pairs
            return found
        assert self.probability is not None
        return _drawn(self.probability, self.seed, self.to_self, prod(source), prod(target))

    def weight_shape(self, source: Shape, target: Shape) -> Shape:
        return (len(self._drawn(source, target)),)

    def fan_in(self, source: Shape, target: Shape) -> float:
        return max(1.0, len(self._drawn(source, target)) / prod(target))

    def n_synapses(self, source: Shape, target: Shape) -> int:
        return len(self._drawn(source, target))

    def synapses(self, source: Shape, target: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pairs = self._drawn(source, target)
        return pairs[:, 0], pairs[:, 1], np.arange(len(pairs), dtype=np.int32)


@lru_cache(maxsize=32)
def _drawn(probability: float, seed: int, to_self: bool, n_pre: int, n_post: int) -> np.ndarray:
    rng, rows = np.random.default_rng([seed, n_pre, n_post]), []
    for pre in range(n_pre):
        post = np.flatnonzero(rng.random(n_post) < probability)
        if not to_self:
            post = post[post != pre]
        rows.append(np.column_stack([np.full(len(post), pre), post]))
    found = np.concatenate(rows).astype(np.int32)
    found.flags.writeable = False
    return found
