"""Two-dimensional convolution."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from brianlearn.errors import ShapeError, SpecError
from brianlearn.network.connections.base import Connection, Shape, pair, whole

__all__ = ["Conv2d"]


@dataclass(frozen=True)
class Conv2d(Connection):
    """A convolution, optionally with an average pool behind it, as one linear map with shared weights.

    Weights have the shape (channels, in/groups, kernel height, kernel width).

    Parameters
    ----------
    channels : int
        Of the output.
    kernel : int or (int, int)
        Height and width of kernels.
    stride, padding, dilation : int or (int, int), optional
        As in torch's Conv2d; padding is zeros.
    groups : int, optional
        Channels of the input are divided into so many groups, each of which reaches as many channels of the output.
    pool : int, optional
        Side of the average pool on the synaptic input; a rest that does not fill a window is left out.

    Raises
    ------
    SpecError
        Numbers that are not whole, or too small.
    """

    bias_by_channel: ClassVar[bool] = True

    channels: int
    kernel: int | tuple[int, int]
    stride: int | tuple[int, int] = 1
    padding: int | tuple[int, int] = 0
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    pool: int = 1

    def __post_init__(self) -> None:
        for name in ("channels", "groups", "pool"):
            whole("Conv2d", name, getattr(self, name), 1)
        for name, low in (("kernel", 1), ("stride", 1), ("padding", 0), ("dilation", 1)):
            value = pair("Conv2d", name, getattr(self, name), low)
            object.__setattr__(self, name, value[0] if value[0] == value[1] else value)
        if self.channels % self.groups:
            raise SpecError(
                "Conv2d",
                "groups do not divide the channels",
                got=f"{self.channels} channels in {self.groups} groups",
                expected="a multiple of groups",
            )

    @property
    def factor(self) -> float:  # type: ignore[override]
        return 1.0 / self.pool**2

    @property
    def sides(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Kernel, stride, padding and dilation as (height, width)."""
        kernel, stride, padding, dilation = (
            pair("Conv2d", name, getattr(self, name), 0) for name in ("kernel", "stride", "padding", "dilation")
        )
        return kernel, stride, padding, dilation

    @property
    def plain(self) -> bool:
        """Whether it is square, without dilation and groups."""
        square = all(isinstance(side, int) for side in (self.kernel, self.stride, self.padding))
        return square and self.dilation == 1 and self.groups == 1

    def describe(self) -> str:
        (height, width), *_ = self.sides
        defaults = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "pool": 1}
        other = {name: getattr(self, name) for name, default in defaults.items() if getattr(self, name) != default}
        return f"conv {height}x{width}" + "".join(f", {name} {value}" for name, value in other.items())

    def target_shape(self, owner: str, source: Shape, name: str = "its source") -> Shape:
        if len(source) != 3:
            raise ShapeError(
                owner,
                "a convolution needs (channels, height, width)",
                got=f"{name} has shape {source}",
                expected="three axes, e.g. (1, 28, 28)",
                remedy="put convolutions before dense layers, and give Input a shape of three axes",
            )
        if source[0] % self.groups:
            raise ShapeError(
                owner,
                "groups do not divide the channels of the source",
                got=f"{source[0]} channels in {self.groups} groups",
                expected="a multiple of groups",
            )
        sides = []
        kernels, strides, paddings, dilations = self.sides
        for axis in (0, 1):
            along, side = ("height", "width")[axis], source[axis + 1]
            reach = (kernels[axis] - 1) * dilations[axis] + 1
            padded = side + 2 * paddings[axis]
            if padded < reach:
                raise ShapeError(
                    owner,
                    f"the kernel is larger than the padded {along} of {name}",
                    got=f"kernel {kernels[axis]}, {along} {side}, padding {paddings[axis]}"
                    + (f", dilation {dilations[axis]}" if dilations[axis] > 1 else ""),
                    expected=f"a kernel of at most {(padded - 1) // dilations[axis] + 1}",
                )
            out = (padded - reach) // strides[axis] + 1
            if out < self.pool:
                raise ShapeError(
                    owner,
                    f"the pool is larger than the {along} of the convolution",
                    got=f"pool {self.pool}, {along} {out} after the convolution",
                    expected=f"a pool of at most {out}",
                )
            sides.append(out // self.pool)
        return (self.channels, *sides)

    def check(self, owner: str, source: Shape, target: Shape) -> None:
        expected = self.target_shape(owner, source)
        if tuple(target) != expected:
            raise ShapeError(owner, "the target has another shape than the convolution", got=target, expected=expected)

    def weight_shape(self, source: Shape, target: Shape) -> Shape:
        return (self.channels, source[0] // self.groups, *self.sides[0])

    def n_synapses(self, source: Shape, target: Shape) -> int:
        inside = [int(self._inside(axis, source, target).sum()) for axis in (0, 1)]
        return self.channels * (source[0] // self.groups) * prod(inside)

    def draw(self, rng: np.random.Generator, source: Shape, target: Shape) -> np.ndarray:
        """Initial weights where a projection says nothing else: U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

        Parameters
        ----------
        rng : numpy.random.Generator
        source, target : tuple of int
            Shapes of the populations.

        Returns
        -------
        numpy.ndarray, shape (channels, in/groups, height, width)
        """
        bound = 1.0 / np.sqrt(self.fan_in(source, target))
        return rng.uniform(-bound, bound, self.weight_shape(source, target))

    def _places(self, axis: int, source: Shape, target: Shape) -> np.ndarray:
        """Place along an axis of the source, by place in the target, place in the kernel, and place in the pool."""
        kernel, stride, padding, dilation = (sides[axis] for sides in self.sides)
        y, a, q = np.ogrid[: target[axis + 1], :kernel, : self.pool]
        return (y * self.pool + q) * stride + a * dilation - padding

    def _inside(self, axis: int, source: Shape, target: Shape) -> np.ndarray:
        places = self._places(axis, source, target)
        return (places >= 0) & (places < source[axis + 1])

    def fan_out(self, source: Shape, target: Shape) -> np.ndarray:
        reached = []
        for axis in (0, 1):
            places, inside = self._places(axis, source, target), self._inside(axis, source, target)
            reached.append(np.bincount(places[inside], minlength=source[axis + 1]))
        one = np.outer(*reached).ravel() * (self.channels // self.groups)
        return np.tile(one, source[0])

    def synapses(self, source: Shape, target: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        # those from padding zeros are left out; a pair is connected once for every way through the pool
        (height, width), (_, rows, cols) = source[1:], target
        kh, kw = self.sides[0]
        each = source[0] // self.groups  # channels of the source in a group
        axes = [np.arange(n, dtype=np.int32) for n in (self.channels, rows, cols, each, kh, kw, self.pool, self.pool)]
        o, y, x, c, a, b, _, _ = np.meshgrid(*axes, indexing="ij", sparse=True)
        # (row, kernel, pool) to the axes (o, y, x, c, a, b, q, r)
        ys = self._places(0, source, target).astype(np.int32)[None, :, None, None, :, None, :, None]
        xs = self._places(1, source, target).astype(np.int32)[None, None, :, None, None, :, None, :]
        inside = (ys >= 0) & (ys < height) & (xs >= 0) & (xs < width)
        shape = (self.channels, rows, cols, each, kh, kw, self.pool, self.pool)
        inside = np.broadcast_to(inside, shape)
        channel = o // np.int32(self.channels // self.groups) * np.int32(each) + c
        pre = np.broadcast_to((channel * height + ys) * width + xs, shape)[inside]
        post = np.broadcast_to((o * rows + y) * cols + x, shape)[inside]
        index = np.broadcast_to(((o * each + c) * kh + a) * kw + b, shape)[inside]
        return pre, post, index
