"""Pools: sums and averages over windows of a population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from brianlearn.errors import ShapeError
from brianlearn.network.connections.base import Connection, Shape
from brianlearn.network.connections.conv2d import Conv2d

__all__ = ["AvgPool2d", "SumPool2d"]


@dataclass(frozen=True)
class SumPool2d(Connection):
    """The sum of the spikes of a window of each channel, times one weight that all synapses share; shape (1,).

    Parameters
    ----------
    kernel : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        That of the kernel where it is not given.
    padding : int or (int, int), optional
        Zeros added on each side.

    Raises
    ------
    SpecError
        Numbers that are not whole, or too small.
    """

    kernel: int | tuple[int, int]
    stride: int | tuple[int, int] | None = None
    padding: int | tuple[int, int] = 0
    _name: ClassVar[str] = "sum"

    def __post_init__(self) -> None:
        made = self._convolution(1)
        for name in ("kernel", "padding"):
            object.__setattr__(self, name, getattr(made, name))

    def _convolution(self, channels: int) -> Conv2d:
        stride = self.kernel if self.stride is None else self.stride
        return Conv2d(channels, self.kernel, stride, self.padding, groups=channels)

    def describe(self) -> str:
        (height, width), (down, across), *_ = self._convolution(1).sides
        text = f"{self._name} pool {height}x{width}"
        return text if (height, width) == (down, across) else f"{text}, stride {down}x{across}"

    def target_shape(self, owner: str, source: Shape, name: str = "its source") -> Shape:
        if len(source) != 3:
            raise ShapeError(
                owner,
                "a pool needs (channels, height, width)",
                got=f"{name} has shape {source}",
                expected="three axes",
            )
        return self._convolution(source[0]).target_shape(owner, source, name)

    def check(self, owner: str, source: Shape, target: Shape) -> None:
        expected = self.target_shape(owner, source)
        if tuple(target) != expected:
            raise ShapeError(owner, "the target has another shape than the pool", got=target, expected=expected)

    def weight_shape(self, source: Shape, target: Shape) -> Shape:
        return (1,)

    def draw(self, rng: np.random.Generator, source: Shape, target: Shape) -> np.ndarray:
        """The initial weight where a projection says nothing else: 1.

        Parameters
        ----------
        rng : numpy.random.Generator
        source, target : tuple of int
            Shapes of the populations.

        Returns
        -------
        numpy.ndarray, shape (1,)
        """
        return np.ones(1)

    def n_synapses(self, source: Shape, target: Shape) -> int:
        return self._convolution(source[0]).n_synapses(source, target)

    def fan_out(self, source: Shape, target: Shape) -> np.ndarray:
        return self._convolution(source[0]).fan_out(source, target)

    def synapses(self, source: Shape, target: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pre, post, index = self._convolution(source[0]).synapses(source, target)
        return pre, post, np.zeros_like(index)


@dataclass(frozen=True)
class AvgPool2d(SumPool2d):
    """The mean over a window of each channel, times one weight that all synapses share; shape (1,).

    The mean counts padding.
    """

    _name: ClassVar[str] = "average"

    @property
    def factor(self) -> float:  # type: ignore[override]
        height, width = self._convolution(1).sides[0]
        return 1.0 / (height * width)
