"""All to all connections as a synaptic map: a matrix product, or rows of weights that spikes add."""

from __future__ import annotations

from functools import cached_property
from math import prod

import torch
import torch.nn.functional as F

from brianlearn.discrete.maps.base import EventMap, Listed, in_order
from brianlearn.discrete.maps.event_products import DenseProduct
from brianlearn.network.connections import AllToAll
from brianlearn.network.spec import Projection

__all__ = ["DenseMap"]


class DenseMap(EventMap, kind=AllToAll):
    """All to all."""

    def __init__(self, p: Projection, *, events: bool = True) -> None:
        super().__init__(p, events=events)
        self.multiplications = prod(p.weight_shape)

    @cached_property
    def _product(self) -> DenseProduct:
        return DenseProduct(prod(self.in_shape), prod(self.out_shape))

    def sums(self, spikes: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, bool]:
        if len(self.in_shape) == 3 and not spikes.is_contiguous():
            # spikes lie in memory as (height, width, channels): reorder the few weights, not the many spikes
            spikes = spikes.permute(0, 1, 3, 4, 2)
            weight = in_order(weight, self.in_shape, True)
        return F.linear(spikes.flatten(2), weight), False

    def follow(self, listed: Listed, weight: torch.Tensor) -> torch.Tensor:
        return self._product.sums(listed.lists, in_order(weight, self.in_shape, listed.channels_last))

    def transpose(
        self, error: torch.Tensor, weight: torch.Tensor, *, channels_last: bool, source_last: bool
    ) -> torch.Tensor:
        if channels_last:  # what else reaches the population is a convolution
            error = in_memory_order(error, self.out_shape)
        return torch.matmul(error, in_order(weight, self.in_shape, source_last))

    def products(self, error: torch.Tensor, source: torch.Tensor, *, channels_last: bool) -> torch.Tensor:
        if channels_last:
            error = in_memory_order(error, self.out_shape)
        steps, samples = error.shape[:2]
        source_last = len(self.in_shape) == 3 and not source.is_contiguous()
        if source_last:
            source = source.permute(0, 1, 3, 4, 2)
        found = error.flatten(0, 1).T @ source.reshape(steps * samples, -1)
        return self._as_weights(found, source_last)

    def gradient_of(self, listed: Listed, error: torch.Tensor) -> torch.Tensor:
        return self._as_weights(self._product.gradient(listed.lists, error), listed.channels_last)

    def _as_weights(self, found: torch.Tensor, source_last: bool) -> torch.Tensor:
        """Weights (out, in) for sources in the order (height, width, channels), as in the weights dict."""
        if not source_last:
            return found
        channels, height, width = self.in_shape
        return found.view(-1, height, width, channels).permute(0, 3, 1, 2).flatten(1)


def in_memory_order(values: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """(steps, samples, neurons) in the order (height, width, channels), as (channels, height, width)."""
    channels, height, width = shape
    return values.view(*values.shape[:2], height, width, channels).permute(0, 1, 4, 2, 3).flatten(2)
