"""Any kind of connection as a synaptic map, from its list of synapses: a sparse matrix."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.maps.base import SynapticMap, unflatten
from brianlearn.network.spec import Projection

__all__ = ["ListMap"]

#: Values that the gradient of weights holds at a time.
AT_ONCE = 2**22


class ListMap(SynapticMap, others=True):
    """The synapses of a list, some of which may share weights."""

    def __init__(self, p: Projection, *, events: bool = True) -> None:
        super().__init__(p, events=False)
        c = p.connectivity
        # the synapses index packed weights; here they index the flat ones
        place = c.pack(np.arange(prod(p.weight_shape), dtype=np.int64).reshape(p.weight_shape))
        self.shape, self.factor = p.weight_shape, c.factor
        self.multiplications = len(c.pre)
        pairs, pair = np.unique(c.post.astype(np.int64) * c.n_pre + c.pre, return_inverse=True)
        post, pre = np.divmod(pairs, c.n_pre)
        self._arrays: dict[torch.device, dict[str, torch.Tensor]] = {}
        self._numpy = dict(
            weight=place[c.weight],
            pair=pair.ravel(),
            pre=c.pre.astype(np.int64),
            post=c.post.astype(np.int64),
            pairs=np.stack([post, pre]),
        )

    def _on(self, device: torch.device) -> dict[str, torch.Tensor]:
        if device not in self._arrays:
            self._arrays[device] = {name: torch.from_numpy(a).to(device) for name, a in self._numpy.items()}
        return self._arrays[device]

    @property
    def pairs(self) -> np.ndarray:
        """Target and source of every pair of neurons with synapses, int64 (2, pairs), as `matrix` holds them."""
        return self._numpy["pairs"]

    def matrix(self, weight: torch.Tensor) -> torch.Tensor:
        """The sparse matrix (out, in); without a gradient."""
        arrays = self._on(weight.device)
        values = weight.detach().reshape(-1)[arrays["weight"]] * self.factor
        summed = values.new_zeros(arrays["pairs"].shape[1]).index_add_(0, arrays["pair"], values)
        size = (prod(self.out_shape), prod(self.in_shape))
        return torch.sparse_coo_tensor(arrays["pairs"], summed, size, is_coalesced=True, check_invariants=False)

    def sums(self, spikes: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, bool]:
        return _Listed.apply(spikes, weight, self), False

    def multiply(self, spikes: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Weighted sums, without a gradient."""
        flat = spikes.reshape(spikes.shape[0] * spikes.shape[1], -1)
        found = torch.sparse.mm(self.matrix(weight), flat.T.contiguous())
        return found.T.contiguous().view(*spikes.shape[:2], prod(self.out_shape))

    def transpose(
        self, error: torch.Tensor, weight: torch.Tensor, *, channels_last: bool, source_last: bool
    ) -> torch.Tensor:
        flat = unflatten(error, self.out_shape, channels_last).reshape(error.shape[0] * error.shape[1], -1)
        back = torch.sparse.mm(self.matrix(weight).t(), flat.T.contiguous())
        found = back.T.contiguous().view(*error.shape[:2], *self.in_shape)
        return (found.permute(0, 1, 3, 4, 2) if source_last else found).flatten(2)

    def products(self, error: torch.Tensor, source: torch.Tensor, *, channels_last: bool) -> torch.Tensor:
        arrays = self._on(error.device)
        errors = unflatten(error, self.out_shape, channels_last).reshape(error.shape[0] * error.shape[1], -1)
        factors = source.reshape(len(errors), -1)
        each = torch.empty(self.multiplications, dtype=error.dtype, device=error.device)
        n = max(1, AT_ONCE // len(errors))
        for start in range(0, self.multiplications, n):
            part = slice(start, start + n)
            each[part] = (errors[:, arrays["post"][part]] * factors[:, arrays["pre"][part]]).sum(dim=0)
        found = each.new_zeros(prod(self.shape)).index_add_(0, arrays["weight"], each)
        return found.mul_(self.factor).view(self.shape)


class _Listed(torch.autograd.Function):
    """The map as one operation of torch."""

    @staticmethod
    def forward(ctx: Any, source: torch.Tensor, weight: torch.Tensor, synapses: ListMap) -> torch.Tensor:
        ctx.synapses = synapses
        ctx.save_for_backward(source, weight)
        return synapses.multiply(source, weight)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        (source, weight), synapses = ctx.saved_tensors, ctx.synapses
        back = found = None
        if ctx.needs_input_grad[0]:
            flat = synapses.transpose(error, weight, channels_last=False, source_last=False)
            back = flat.view(*source.shape[:2], *synapses.in_shape)
        if ctx.needs_input_grad[1]:
            found = synapses.products(error, source, channels_last=False)
        return back, found, None
