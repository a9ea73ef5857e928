"""Synaptic maps: the weighted sums of presynaptic spikes, for all time steps at once.

A synaptic map has no memory, so that it runs once over the merged axis of time and samples. An average pool behind a
convolution is a convolution with a larger kernel and stride, with fewer operations than both where kernels overlap.

On the CPU, sums and gradients of weights follow lists of spikes (`brianlearn.discrete.event_products`) where spikes are
sparse; torch's matrix products and convolutions do the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import torch
import torch.nn.functional as F

from brianlearn.discrete.event_products import ConvProduct, DenseProduct
from brianlearn.discrete.kernels import have_numba
from brianlearn.discrete.spike_lists import SpikeLists, spike_lists
from brianlearn.spec.layers import Conv
from brianlearn.spec.network import Projection

__all__ = ["Listed", "SynapticMap", "fold_pool", "in_order", "unflatten", "unfold_pool"]


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


#: Rows (steps times samples) below which the time to arrange weights for lists is not won back.
FEWEST_ROWS = 256


@dataclass(frozen=True, eq=False)
class Listed:
    """Presynaptic spikes in lists.

    Attributes
    ----------
    lists : SpikeLists
        A row for each step and sample.
    channels_last : bool
        Whether neurons are numbered in the order (height, width, channels).
    """

    lists: SpikeLists
    channels_last: bool


class SynapticMap:
    """The linear map of one layer.

    Parameters
    ----------
    p : Projection
    events : bool
        Whether to follow lists of spikes where that is possible.
    """

    def __init__(self, p: Projection, *, events: bool = True) -> None:
        self.events = events and have_numba()
        self.in_shape, self.out_shape, self.layer = p.in_shape, p.out_shape, p.layer
        self.is_conv = isinstance(p.layer, Conv)
        #: Per step and sample.
        self.multiplications = prod(p.weight_shape)
        if isinstance(p.layer, Conv):
            side = p.layer.kernel + (p.layer.pool - 1) * p.layer.stride
            self.multiplications = prod(p.out_shape) * p.in_shape[0] * side**2

    @cached_property
    def _product(self) -> DenseProduct | ConvProduct:
        layer = self.layer
        if not isinstance(layer, Conv):
            return DenseProduct(prod(self.in_shape), prod(self.out_shape))
        kernel = layer.kernel + (layer.pool - 1) * layer.stride
        return ConvProduct(self.in_shape, self.out_shape, kernel, layer.stride * layer.pool, layer.padding)

    def _by_events(self, like: torch.Tensor) -> bool:
        return self.events and like.device.type == "cpu" and like.dtype in (torch.float32, torch.float64)

    def lists(self, source: torch.Tensor) -> Listed | None:
        """List presynaptic spikes, for the map and its gradient.

        Parameters
        ----------
        source : torch.Tensor, shape (steps, samples, *in_shape)

        Returns
        -------
        Listed or None
            None where products are better: few rows, dense activity, or a device without kernels.
        """
        rows = source.shape[0] * source.shape[1]
        if not self._by_events(source) or rows < FEWEST_ROWS:
            return None
        last = _lies_channels_last(source)
        flat = (source.permute(0, 1, 3, 4, 2) if last else source).reshape(rows, -1)
        lists = spike_lists(flat.contiguous(), self._product.tile(source.dtype))
        return None if lists is None else Listed(lists, last)

    def __call__(
        self, spikes: torch.Tensor, weight: torch.Tensor, listed: Listed | None = None
    ) -> tuple[torch.Tensor, bool]:
        """Weighted sums.

        Parameters
        ----------
        spikes : torch.Tensor, shape (steps, samples, *in_shape)
            In any memory layout.
        weight : torch.Tensor
            As in the weights dict.
        listed : Listed, optional
            ``spikes`` in lists.

        Returns
        -------
        delivered : torch.Tensor, shape (steps, samples, neurons)
        channels_last : bool
            Whether neurons are in the order (height, width, channels).
        """
        if listed is not None:
            return _ByEvents.apply(spikes, weight, self, listed), self.is_conv
        steps, samples = spikes.shape[:2]
        if not self.is_conv:
            return self._dense(spikes, weight), False
        merged = spikes.reshape(steps * samples, *self.in_shape)
        sums = self._convolution(merged, weight)
        channels_last = not sums.is_contiguous()
        if channels_last:
            sums = sums.permute(0, 2, 3, 1)
        return sums.reshape(steps, samples, prod(sums.shape[1:])), channels_last

    def follow(self, listed: Listed, weight: torch.Tensor) -> torch.Tensor:
        """Weighted sums from lists, shape (rows, neurons), channels last; without a gradient."""
        if isinstance(self._product, DenseProduct):
            return self._product.sums(listed.lists, in_order(weight, self.in_shape, listed.channels_last))
        return self._product.sums(listed.lists, self._folded(weight), source_last=listed.channels_last)

    def _folded(self, weight: torch.Tensor) -> torch.Tensor:
        assert isinstance(self.layer, Conv)
        return fold_pool(weight, self.layer.pool, self.layer.stride)

    def _dense(self, spikes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        if len(self.in_shape) == 3 and not spikes.is_contiguous():
            # spikes lie in memory as (height, width, channels): reorder the few weights, not the many spikes
            spikes = spikes.permute(0, 1, 3, 4, 2)
            weight = in_order(weight, self.in_shape, True)
        return F.linear(spikes.flatten(2), weight)

    def _convolution(self, merged: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        layer = self.layer
        assert isinstance(layer, Conv)
        merged = self._channels_last(merged)
        if layer.pool > 1 and layer.stride < layer.kernel:
            folded = fold_pool(weight, layer.pool, layer.stride)
            return F.conv2d(merged, folded, stride=layer.stride * layer.pool, padding=layer.padding)
        sums = F.conv2d(merged, weight, stride=layer.stride, padding=layer.padding)
        return sums if layer.pool == 1 else F.avg_pool2d(sums, layer.pool)

    def transpose(
        self, error: torch.Tensor, weight: torch.Tensor, *, channels_last: bool, source_last: bool
    ) -> torch.Tensor:
        """The transposed map: what errors of this layer add up to at its presynaptic neurons.

        Parameters
        ----------
        error : torch.Tensor, shape (steps, samples, neurons)
        weight : torch.Tensor
        channels_last, source_last : bool
            Whether neurons of this layer, and of its source, are in the order (height, width, channels).

        Returns
        -------
        torch.Tensor, shape (steps, samples, presynaptic neurons)
        """
        steps, samples = error.shape[:2]
        if not self.is_conv:
            return torch.matmul(error, in_order(weight, self.in_shape, source_last))
        if self._by_events(error) and channels_last and (source_last or self.in_shape[0] == 1):
            assert isinstance(self._product, ConvProduct)
            back = self._product.transpose(error.flatten(0, 1), self._folded(weight))
            return back.view(steps, samples, prod(self.in_shape))
        merged = unflatten(error, self.out_shape, channels_last).flatten(0, 1)
        source = merged.new_empty(1).expand(steps * samples, *self.in_shape)  # only its shape counts
        assert isinstance(self.layer, Conv)
        folded = self._channels_last(fold_pool(weight, self.layer.pool, self.layer.stride))
        back = self._backward(merged, source, folded, (True, False, False))[0]
        back = back.permute(0, 2, 3, 1) if source_last else back
        return back.reshape(steps, samples, prod(self.in_shape))

    def weight_gradient(
        self, error: torch.Tensor, source: torch.Tensor, *, channels_last: bool, listed: Listed | None = None
    ) -> torch.Tensor:
        """Errors times presynaptic factors, summed over steps and samples.

        Parameters
        ----------
        error : torch.Tensor, shape (steps, samples, neurons)
        source : torch.Tensor, shape (steps, samples, *in_shape)
            Presynaptic factors, in any memory layout.
        channels_last : bool
            Whether ``error`` is in the order (height, width, channels).
        listed : Listed, optional
            ``source`` in lists.

        Returns
        -------
        torch.Tensor
            Of the weights' shape.
        """
        if listed is not None and channels_last == self.is_conv:
            return self.gradient_of(listed, error.flatten(0, 1))
        steps, samples = error.shape[:2]
        if not self.is_conv:
            source_last = len(self.in_shape) == 3 and not source.is_contiguous()
            if source_last:
                source = source.permute(0, 1, 3, 4, 2)
            found = error.flatten(0, 1).T @ source.reshape(steps * samples, -1)
            return self._as_weights(found, source_last)
        merged = unflatten(error, self.out_shape, channels_last).flatten(0, 1)
        layer = self.layer
        assert isinstance(layer, Conv)
        side = layer.kernel + (layer.pool - 1) * layer.stride
        folded = error.new_empty(1).expand(self.out_shape[0], self.in_shape[0], side, side)  # only its shape counts
        source = self._channels_last(source.reshape(steps * samples, *self.in_shape))
        found = self._backward(merged, source, folded, (False, True, False))[1]
        return unfold_pool(found, layer.pool, layer.stride)

    def gradient_of(self, listed: Listed, error: torch.Tensor) -> torch.Tensor:
        """Gradient of the weights from lists; ``error``: shape (rows, neurons), channels last."""
        if isinstance(self._product, DenseProduct):
            return self._as_weights(self._product.gradient(listed.lists, error), listed.channels_last)
        assert isinstance(self.layer, Conv)
        folded = self._product.gradient(listed.lists, error, source_last=listed.channels_last)
        return unfold_pool(folded, self.layer.pool, self.layer.stride)

    def _as_weights(self, found: torch.Tensor, source_last: bool) -> torch.Tensor:
        """Dense weights (out, in) for sources in the order (height, width, channels), as in the weights dict."""
        if not source_last:
            return found
        channels, height, width = self.in_shape
        return found.view(-1, height, width, channels).permute(0, 3, 1, 2).flatten(1)

    def _channels_last(self, images: torch.Tensor) -> torch.Tensor:
        """Sources or kernels of a convolution in the memory layout that is fastest."""
        if images.device.type == "cpu" and self.in_shape[0] > 1:  # pays for several channels only
            return images.contiguous(memory_format=torch.channels_last)
        return images

    def _backward(
        self, error: torch.Tensor, source: torch.Tensor, folded: torch.Tensor, wanted: tuple[bool, bool, bool]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Derivatives of the convolution folded with its pool, by its source and by the folded kernels."""
        layer = self.layer
        assert isinstance(layer, Conv)
        stride, padding = [layer.stride * layer.pool] * 2, [layer.padding] * 2
        return torch.ops.aten.convolution_backward(
            error, source, folded, None, stride, padding, [1, 1], False, [0, 0], 1, wanted
        )


class _ByEvents(torch.autograd.Function):
    """A synaptic map that follows lists of spikes, as one operation of torch; for the gradient it keeps the lists."""

    @staticmethod
    def forward(
        ctx: Any, source: torch.Tensor, weight: torch.Tensor, synapses: SynapticMap, listed: Listed
    ) -> torch.Tensor:
        ctx.synapses, ctx.listed = synapses, listed
        ctx.save_for_backward(weight)
        return synapses.follow(listed, weight).view(*source.shape[:2], prod(synapses.out_shape))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None, None]:
        synapses, listed, (weight,) = ctx.synapses, ctx.listed, ctx.saved_tensors
        source = found = None
        if ctx.needs_input_grad[0]:
            last = listed.channels_last
            back = synapses.transpose(error, weight, channels_last=synapses.is_conv, source_last=last)
            source = unflatten(back, synapses.in_shape, last)
        if ctx.needs_input_grad[1]:
            found = synapses.gradient_of(listed, error.flatten(0, 1))
        return source, found, None, None


def _lies_channels_last(source: torch.Tensor) -> bool:
    """Whether (steps, samples, channels, height, width) lies in memory as (height, width, channels)."""
    return source.ndim == 5 and not source.is_contiguous() and source.permute(0, 1, 3, 4, 2).is_contiguous()


def in_order(weight: torch.Tensor, shape: tuple[int, ...], channels_last: bool) -> torch.Tensor:
    """Dense weights (out, in) for sources of ``shape`` that lie in memory as (height, width, channels)."""
    if not channels_last:
        return weight
    return weight.view(-1, *shape).permute(0, 2, 3, 1).flatten(1)


def unflatten(spikes: torch.Tensor, shape: tuple[int, ...], channels_last: bool) -> torch.Tensor:
    """(steps, samples, neurons) as (steps, samples, *shape), whatever the order in memory."""
    steps, samples = spikes.shape[:2]
    if not channels_last:
        return spikes.view(steps, samples, *shape)
    channels, height, width = shape
    return spikes.view(steps, samples, height, width, channels).permute(0, 1, 4, 2, 3)
