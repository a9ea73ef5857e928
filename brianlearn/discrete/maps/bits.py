"""Spike trains as bits: what a backward pass keeps of them, a 32nd of what they take in single precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

__all__ = ["Bits", "weighted"]


@dataclass(frozen=True, eq=False)
class Bits:
    """Spikes, which are 0 or 1.

    Attributes
    ----------
    packed : numpy.ndarray of uint8
    shape : torch.Size
    dtype : torch.dtype
    """

    packed: np.ndarray
    shape: torch.Size
    dtype: torch.dtype

    @staticmethod
    def of(spikes: torch.Tensor) -> Bits:
        """Pack spikes, on the CPU and in any shape."""
        fired = spikes.detach().to(torch.bool).view(-1)
        return Bits(np.packbits(fired.numpy()), spikes.shape, spikes.dtype)

    def dense(self) -> torch.Tensor:
        """The spikes as they were."""
        fired = np.unpackbits(self.packed, count=self.shape.numel())
        return torch.from_numpy(fired).to(self.dtype).view(self.shape)


def weighted(spikes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """``spikes @ weight.T``, of which a gradient keeps bits in the place of spikes.

    Parameters
    ----------
    spikes : torch.Tensor, shape (steps, samples, neurons)
        0 or 1, and nothing else; on the CPU.
    weight : torch.Tensor, shape (out, neurons)

    Returns
    -------
    torch.Tensor, shape (steps, samples, out)
    """
    return _Weighted.apply(spikes, weight)


class _Weighted(torch.autograd.Function):
    """Weighted sums of spikes as one operation of torch."""

    @staticmethod
    def forward(ctx: Any, spikes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        ctx.kept = Bits.of(spikes) if ctx.needs_input_grad[1] else None
        ctx.save_for_backward(weight)
        return F.linear(spikes, weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        (weight,), flat = ctx.saved_tensors, error.flatten(0, 1)
        # one after the other: spikes are gone when the errors come, which are as large
        found = flat.T @ ctx.kept.dense().flatten(0, 1) if ctx.needs_input_grad[1] else None
        back = (flat @ weight).view(*error.shape[:2], -1) if ctx.needs_input_grad[0] else None
        return back, found
