"""Synaptic maps: the weighted sums of presynaptic spikes, for all time steps at once.

A synaptic map has no memory, so that it runs once over the merged axis of time and samples. An average pool behind a
convolution is a convolution with a larger kernel and stride, with fewer operations than both where kernels overlap.
"""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F

from brianlearn.spec.layers import Conv
from brianlearn.spec.network import Projection

__all__ = ["SynapticMap", "fold_pool", "unflatten"]


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


class SynapticMap:
    """The linear map of one layer.

    Parameters
    ----------
    p : Projection
    """

    def __init__(self, p: Projection) -> None:
        self.in_shape, self.out_shape, self.layer = p.in_shape, p.out_shape, p.layer
        self.is_conv = isinstance(p.layer, Conv)

    def __call__(self, spikes: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, bool]:
        """Weighted sums.

        Parameters
        ----------
        spikes : torch.Tensor, shape (steps, samples, *in_shape)
            In any memory layout.
        weight : torch.Tensor
            As in the weights dict.

        Returns
        -------
        delivered : torch.Tensor, shape (steps, samples, neurons)
        channels_last : bool
            Whether neurons are in the order (height, width, channels).
        """
        steps, samples = spikes.shape[:2]
        if not self.is_conv:
            return self._dense(spikes, weight), False
        merged = spikes.reshape(steps * samples, *self.in_shape)
        sums = self._convolution(merged, weight)
        channels_last = not sums.is_contiguous()
        if channels_last:
            sums = sums.permute(0, 2, 3, 1)
        return sums.reshape(steps, samples, prod(sums.shape[1:])), channels_last

    def _dense(self, spikes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        if len(self.in_shape) == 3 and not spikes.is_contiguous():
            # spikes lie in memory as (height, width, channels): reorder the few weights, not the many spikes
            spikes = spikes.permute(0, 1, 3, 4, 2)
            weight = weight.view(-1, *self.in_shape).permute(0, 2, 3, 1).flatten(1)
        return F.linear(spikes.flatten(2), weight)

    def _convolution(self, merged: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        layer = self.layer
        assert isinstance(layer, Conv)
        if merged.device.type == "cpu" and self.in_shape[0] > 1:  # pays for several channels only
            merged = merged.contiguous(memory_format=torch.channels_last)
        if layer.pool > 1 and layer.stride < layer.kernel:
            folded = fold_pool(weight, layer.pool, layer.stride)
            return F.conv2d(merged, folded, stride=layer.stride * layer.pool, padding=layer.padding)
        sums = F.conv2d(merged, weight, stride=layer.stride, padding=layer.padding)
        return sums if layer.pool == 1 else F.avg_pool2d(sums, layer.pool)


def unflatten(spikes: torch.Tensor, shape: tuple[int, ...], channels_last: bool) -> torch.Tensor:
    """(steps, samples, neurons) as (steps, samples, *shape), whatever the order in memory."""
    steps, samples = spikes.shape[:2]
    if not channels_last:
        return spikes.view(steps, samples, *shape)
    channels, height, width = shape
    return spikes.view(steps, samples, height, width, channels).permute(0, 1, 4, 2, 3)
