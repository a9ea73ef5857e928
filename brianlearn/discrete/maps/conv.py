"""Convolutions as synaptic maps.

An average pool behind a convolution is a convolution with a larger kernel and stride, with fewer operations than both
where kernels overlap.
"""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import cast

import torch
import torch.nn.functional as F

from brianlearn.discrete.maps.base import EventMap, Listed, SynapticMap, unflatten
from brianlearn.discrete.maps.event_products import ConvProduct
from brianlearn.network.connections import Conv2d
from brianlearn.network.spec import Projection

__all__ = ["ConvMap", "GeneralConvMap", "fold_pool", "unfold_pool"]


def fold_pool(weight: torch.Tensor, pool: int, stride: int) -> torch.Tensor:
    """The kernels of a convolution and the average pool behind it as one.

    Parameters
    ----------
    weight : torch.Tensor, shape (out, in, kh, kw)
    pool : int
        Side of the pool.
    stride : int
        Of the convolution; that of the folded one is pool * stride.

    Returns
    -------
    torch.Tensor, shape (out, in, kh + (pool - 1)*stride, kw + (pool - 1)*stride)
    """
    if pool == 1:
        return weight
    rest = (pool - 1) * stride
    shifts = [k * stride for k in range(pool)]
    return sum(F.pad(weight, (x, rest - x, y, rest - y)) for y in shifts for x in shifts) / pool**2  # type: ignore[return-value]


def unfold_pool(gradient: torch.Tensor, pool: int, stride: int) -> torch.Tensor:
    """The transpose of `fold_pool`: from a gradient of folded kernels to that of the kernels."""
    if pool == 1:
        return gradient
    rest = (pool - 1) * stride
    height, width = gradient.shape[2] - rest, gradient.shape[3] - rest
    shifts = [k * stride for k in range(pool)]
    return sum(gradient[:, :, y : y + height, x : x + width] for y in shifts for x in shifts) / pool**2  # type: ignore[return-value]


def _connection(p: Projection) -> Conv2d:
    """The convolution: maps are made by exact kind."""
    return cast("Conv2d", p.connection)


class ConvMap(EventMap, kind=Conv2d):
    """A square convolution without dilation and groups, folded with its average pool."""

    is_conv = True

    @classmethod
    def of(cls, p: Projection) -> type[SynapticMap]:
        return cls if _connection(p).plain else GeneralConvMap

    def __init__(self, p: Projection, *, events: bool = True) -> None:
        super().__init__(p, events=events)
        (self.kernel, _), (self.stride, _), (self.padding, _), _ = _connection(p).sides
        self.pool = _connection(p).pool
        self.side = self.kernel + (self.pool - 1) * self.stride  # of the folded kernel
        self.multiplications = prod(p.out_shape) * p.in_shape[0] * self.side**2

    @cached_property
    def _product(self) -> ConvProduct:
        return ConvProduct(self.in_shape, self.out_shape, self.side, self.stride * self.pool, self.padding)

    def sums(self, spikes: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, bool]:
        steps, samples = spikes.shape[:2]
        merged = spikes.reshape(steps * samples, *self.in_shape)
        sums = self._convolution(merged, weight)
        channels_last = not sums.is_contiguous()
        if channels_last:
            sums = sums.permute(0, 2, 3, 1)
        return sums.reshape(steps, samples, prod(sums.shape[1:])), channels_last

    def follow(self, listed: Listed, weight: torch.Tensor) -> torch.Tensor:
        return self._product.sums(listed.lists, self._folded(weight), source_last=listed.channels_last)

    def _folded(self, weight: torch.Tensor) -> torch.Tensor:
        return fold_pool(weight, self.pool, self.stride)

    def _convolution(self, merged: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        merged = self._channels_last(merged)
        if self.pool > 1 and self.stride < self.kernel:
            folded = fold_pool(weight, self.pool, self.stride)
            return F.conv2d(merged, folded, stride=self.stride * self.pool, padding=self.padding)
        sums = F.conv2d(merged, weight, stride=self.stride, padding=self.padding)
        return sums if self.pool == 1 else F.avg_pool2d(sums, self.pool)

    def transpose(
        self, error: torch.Tensor, weight: torch.Tensor, *, channels_last: bool, source_last: bool
    ) -> torch.Tensor:
        steps, samples = error.shape[:2]
        if self._by_events(error) and channels_last and (source_last or self.in_shape[0] == 1):
            back = self._product.transpose(error.flatten(0, 1), self._folded(weight))
            return back.view(steps, samples, prod(self.in_shape))
        merged = unflatten(error, self.out_shape, channels_last).flatten(0, 1)
        source = merged.new_empty(1).expand(steps * samples, *self.in_shape)  # only its shape counts
        folded = self._channels_last(fold_pool(weight, self.pool, self.stride))
        back = self._backward(merged, source, folded, (True, False, False))[0]
        back = back.permute(0, 2, 3, 1) if source_last else back
        return back.reshape(steps, samples, prod(self.in_shape))

    def products(self, error: torch.Tensor, source: torch.Tensor, *, channels_last: bool) -> torch.Tensor:
        steps, samples = error.shape[:2]
        merged = unflatten(error, self.out_shape, channels_last).flatten(0, 1)
        # only its shape counts
        folded = error.new_empty(1).expand(self.out_shape[0], self.in_shape[0], self.side, self.side)
        source = self._channels_last(source.reshape(steps * samples, *self.in_shape))
        found = self._backward(merged, source, folded, (False, True, False))[1]
        return unfold_pool(found, self.pool, self.stride)

    def gradient_of(self, listed: Listed, error: torch.Tensor) -> torch.Tensor:
        folded = self._product.gradient(listed.lists, error, source_last=listed.channels_last)
        return unfold_pool(folded, self.pool, self.stride)

    def _channels_last(self, images: torch.Tensor) -> torch.Tensor:
        """Sources or kernels of a convolution in the memory layout that is fastest."""
        if images.device.type == "cpu" and self.in_shape[0] > 1:  # pays for several channels only
            return images.contiguous(memory_format=torch.channels_last)
        return images

    def _backward(
        self, error: torch.Tensor, source: torch.Tensor, folded: torch.Tensor, wanted: tuple[bool, bool, bool]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Derivatives of the convolution folded with its pool, by its source and by the folded kernels."""
        stride, padding = [self.stride * self.pool] * 2, [self.padding] * 2
        return torch.ops.aten.convolution_backward(
            error, source, folded, None, stride, padding, [1, 1], False, [0, 0], 1, wanted
        )


class GeneralConvMap(SynapticMap):
    """Any two-dimensional convolution, with torch's own derivative."""

    def __init__(self, p: Projection, *, events: bool = True) -> None:
        super().__init__(p, events=False)
        self.shape, self.convolution = p.weight_shape, _connection(p)
        self.multiplications = prod(p.out_shape) * prod(p.weight_shape[1:]) * self.convolution.pool**2

    def _convolution(self, images: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        c = self.convolution
        _, stride, padding, dilation = c.sides
        found = F.conv2d(images, weight, stride=stride, padding=padding, dilation=dilation, groups=c.groups)
        return found if c.pool == 1 else F.avg_pool2d(found, c.pool)

    def sums(self, spikes: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, bool]:
        found = self._convolution(spikes.flatten(0, 1).contiguous(), weight)
        return found.contiguous().view(*spikes.shape[:2], prod(self.out_shape)), False

    def transpose(
        self, error: torch.Tensor, weight: torch.Tensor, *, channels_last: bool, source_last: bool
    ) -> torch.Tensor:
        steps, samples = error.shape[:2]
        merged = unflatten(error, self.out_shape, channels_last).flatten(0, 1)
        with torch.enable_grad():
            source = torch.zeros(steps * samples, *self.in_shape, dtype=error.dtype, device=error.device)
            source.requires_grad_()
            (back,) = torch.autograd.grad(self._convolution(source, weight.detach()), source, merged)
        back = back.permute(0, 2, 3, 1) if source_last else back
        return back.reshape(steps, samples, prod(self.in_shape))

    def products(self, error: torch.Tensor, source: torch.Tensor, *, channels_last: bool) -> torch.Tensor:
        merged = unflatten(error, self.out_shape, channels_last).flatten(0, 1)
        images = source.reshape(-1, *self.in_shape).contiguous()
        with torch.enable_grad():
            weight = torch.zeros(self.shape, dtype=error.dtype, device=error.device, requires_grad=True)
            (found,) = torch.autograd.grad(self._convolution(images, weight), weight, merged)
        return found
