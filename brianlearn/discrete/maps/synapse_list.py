"""Any kind of connection as a synaptic map, from its list of synapses: a sparse matrix."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.host.threads import parallel_for
from brianlearn.discrete.maps.base import FEWEST_ROWS, Listed, SynapticMap, unflatten
from brianlearn.discrete.maps.csr_spikes import csr_spikes
from brianlearn.network.spec import Projection

__all__ = ["ListMap"]

#: Values that the gradient of weights holds at a time.
AT_ONCE = 2**22


@dataclass(frozen=True, eq=False)
class BySource:
    """Pairs of neurons with synapses, those of each source together.

    Attributes
    ----------
    neurons : numpy.ndarray of int64
        The sources, in the order in which they follow one another.
    order : numpy.ndarray of int64
        The pairs of `ListMap.pairs` in the order of their sources, and within these of their targets.
    starts : numpy.ndarray of int64, shape (sources + 1,)
        Where those of each source begin, in this order.
    post : numpy.ndarray of uint32
        The target of each.
    """

    neurons: np.ndarray
    order: np.ndarray
    starts: np.ndarray
    post: np.ndarray

    @staticmethod
    def of(pre: np.ndarray, post: np.ndarray, n: int, *, by_length: bool = False) -> BySource:
        """Pairs by their sources, of which there are n; ``by_length``: those with few pairs first."""
        counts = np.bincount(pre, minlength=n)
        neurons = np.argsort(counts, kind="stable") if by_length else np.arange(n)
        rank = np.empty(n, np.int64)
        rank[neurons] = np.arange(n)
        order = np.lexsort((post, rank[pre]))
        starts = np.zeros(n + 1, np.int64)
        np.cumsum(counts[neurons], out=starts[1:])
        return BySource(neurons, order, starts, post[order].astype(np.uint32))


class ListMap(SynapticMap, others=True):
    """The synapses of a list, some of which may share weights.

    Gradients of weights follow lists of spikes; sums are products with a sparse matrix.
    """

    def __init__(self, p: Projection, *, events: bool = True) -> None:
        super().__init__(p, events=events)
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

    @cached_property
    def by_source(self) -> BySource:
        """The pairs of neurons, by their sources."""
        post, pre = self.pairs
        return BySource.of(pre, post, prod(self.in_shape))

    @cached_property
    def by_length(self) -> BySource:
        """The pairs of neurons by their sources, those with few of them first."""
        post, pre = self.pairs
        return BySource.of(pre, post, prod(self.in_shape), by_length=True)

    def lists(self, source: torch.Tensor) -> Listed | None:
        rows = source.shape[0] * source.shape[1]
        if not self.events or source.device.type != "cpu" or rows < FEWEST_ROWS:
            return None
        if source.dtype not in (torch.float32, torch.float64):
            return None
        lists = csr_spikes(source.reshape(rows, -1).contiguous(), -(-prod(self.in_shape) // 64) * 64)
        return None if lists is None else Listed(lists, False)

    def weight_gradient(
        self, error: torch.Tensor, source: torch.Tensor, *, channels_last: bool, listed: Listed | None = None
    ) -> torch.Tensor:
        if listed is None:
            return self.products(error, source, channels_last=channels_last)
        from brianlearn.discrete.maps.step_kernels import synapse_gradient

        rows = error.shape[0] * error.shape[1]
        errors = unflatten(error, self.out_shape, channels_last).reshape(rows, -1).contiguous().numpy()
        pairs, threads = self.by_source, torch.get_num_threads()
        parts = np.zeros((threads, len(pairs.order)))  # in double precision: a synapse may have very many spikes

        def work(first: int, last: int, part: int) -> None:
            synapse_gradient(*listed.lists.arrays, pairs.starts, pairs.post, errors, parts[part], first, last)

        parallel_for(work, rows)
        each = torch.empty(len(pairs.order), dtype=error.dtype)
        each[torch.from_numpy(pairs.order)] = torch.from_numpy(parts.sum(axis=0)).to(error.dtype)
        return self._as_weights(each[self._on(error.device)["pair"]])

    def _as_weights(self, each: torch.Tensor) -> torch.Tensor:
        """The gradient of weights, from what each synapse adds to it."""
        found = each.new_zeros(prod(self.shape)).index_add_(0, self._on(each.device)["weight"], each)
        return found.mul_(self.factor).view(self.shape)

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
        return self._as_weights(each)


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
            listed = synapses.lists(source)
            found = synapses.weight_gradient(error, source, channels_last=False, listed=listed)
        return back, found, None
