"""A pool of what was fired, before another connection."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brianlearn.errors import SpecError
from brianlearn.network.connections.base import Connection, Shape
from brianlearn.network.connections.pool2d import SumPool2d

__all__ = ["Pooled"]


@dataclass(frozen=True)
class Pooled(Connection):
    """Sums or means of the spikes of windows, which another connection takes: neuron -> pool -> convolution -> neuron.

    Weights are those of the other connection; the pool has none.

    Parameters
    ----------
    pool : SumPool2d or AvgPool2d
    then : Connection
        E.g. ``bl.Conv2d(8, 3)`` or ``bl.AllToAll()``, of what the pool gives.

    Raises
    ------
    SpecError
        What is no pool, or no connection.

    Examples
    --------
    >>> import brianlearn as bl
    >>> bl.Pooled(bl.SumPool2d(2), bl.Conv2d(8, 3)).target_shape("p", (2, 10, 10))
    (8, 3, 3)
    """

    pool: SumPool2d
    then: Connection

    def __post_init__(self) -> None:
        for name, kind, example in (
            ("pool", SumPool2d, "bl.SumPool2d(2) or bl.AvgPool2d(2)"),
            ("then", Connection, "a kind of connection, e.g. bl.Conv2d(8, 3)"),
        ):
            given = getattr(self, name)
            if not isinstance(given, kind):
                raise SpecError("Pooled", f"{name} is of the wrong type", got=repr(given), expected=example)

    @property
    def factor(self) -> float:  # type: ignore[override]
        return self.pool.factor * self.then.factor

    @property
    def bias_by_channel(self) -> bool:  # type: ignore[override]
        return self.then.bias_by_channel

    def _between(self, source: Shape, owner: str = "Pooled", name: str = "its source") -> Shape:
        """The shape of what the pool gives."""
        return self.pool.target_shape(owner, source, name)

    def describe(self) -> str:
        return f"{self.pool.describe()}, {self.then.describe()}"

    def target_shape(self, owner: str, source: Shape, name: str = "its source") -> Shape | None:
        return self.then.target_shape(owner, self._between(source, owner, name), f"the pool of {name}")

    def check(self, owner: str, source: Shape, target: Shape) -> None:
        self.then.check(owner, self._between(source, owner), target)

    def weight_shape(self, source: Shape, target: Shape) -> Shape:
        return self.then.weight_shape(self._between(source), target)

    def fan_in(self, source: Shape, target: Shape) -> float:
        return self.then.fan_in(self._between(source), target)

    def draw(self, rng: np.random.Generator, source: Shape, target: Shape) -> np.ndarray:
        """Initial weights where a projection says nothing else: those of the connection behind the pool.

        Parameters
        ----------
        rng : numpy.random.Generator
        source, target : tuple of int
            Shapes of the populations.

        Returns
        -------
        numpy.ndarray
        """
        return self.then.draw(rng, self._between(source), target)

    def pack(self, weights: np.ndarray) -> np.ndarray:
        return self.then.pack(weights)

    def unpack(self, packed: np.ndarray, shape: Shape) -> np.ndarray:
        return self.then.unpack(packed, shape)

    def synapses(self, source: Shape, target: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # a pair is connected once for every way through the pool
        between = self._between(source)
        pre, place, _ = self.pool.synapses(source, between)
        at, post, index = self.then.synapses(between, target)
        pre = pre[np.argsort(place, kind="stable")]
        count = np.bincount(place, minlength=int(np.prod(between)))
        ways, first = count[at], (np.cumsum(count) - count)[at]
        nth = np.arange(ways.sum()) - np.repeat(np.cumsum(ways) - ways, ways)
        return pre[np.repeat(first, ways) + nth], np.repeat(post, ways), np.repeat(index, ways)
