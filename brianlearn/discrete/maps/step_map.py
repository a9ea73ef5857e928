"""A synaptic map for one time step after the other, where spikes of a step depend on those of the steps before.

The cost of a step follows its spikes: a spike adds the row of its weights (all to all), or its synapses (all other
kinds, from their list). Without kernels it is the synaptic map of the kind.
"""

from __future__ import annotations

import numpy as np
import torch

from brianlearn.discrete.host.threads import parallel_for
from brianlearn.discrete.maps.base import SynapticMap, unflatten
from brianlearn.discrete.maps.synapse_list import ListMap
from brianlearn.discrete.step.kernels import have_numba
from brianlearn.network.connections import AllToAll
from brianlearn.network.spec import Projection

__all__ = ["StepMap"]

#: Samples that a thread takes at least.
BLOCK = 8


class StepMap:
    """What the spikes of a step add to the target of a projection, with given weights. No gradient goes through it.

    Parameters
    ----------
    p : Projection
    synapses : SynapticMap
    kernels : bool
        Whether kernels may run.
    """

    def __init__(self, p: Projection, synapses: SynapticMap, *, kernels: bool) -> None:
        self.p, self.synapses, self._kernels = p, synapses, kernels and have_numba()
        self._dense = type(p.connection) is AllToAll
        self._lists: _Lists | None = None

    def load(self, weight: torch.Tensor) -> None:
        """Take weights, for the steps that follow.

        Parameters
        ----------
        weight : torch.Tensor
            As in the weights dict.
        """
        self.weight = weight.detach()
        self._fused = self._kernels and weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.float64)
        if self._fused and self._dense:
            self._rows = self.weight.T.contiguous().numpy()
        elif self._fused:
            self._lists = self._lists or _Lists(self.p)
            self._synapses = self._lists.starts, self._lists.post, self._lists.values(self.weight)

    def add(self, spikes: torch.Tensor, out: torch.Tensor) -> None:
        """Add what spikes deliver.

        Parameters
        ----------
        spikes : torch.Tensor, shape (samples, presynaptic neurons)
        out : torch.Tensor, shape (samples, neurons)
        """
        if not self._fused:
            sums, last = self.synapses(spikes.view(1, len(spikes), *self.p.in_shape), self.weight)
            out += unflatten(sums, self.p.out_shape, True).flatten(2)[0] if last else sums[0]
            return
        from brianlearn.discrete.maps.step_kernels import add_rows, add_synapses

        given, target = spikes.numpy(), out.numpy()
        if self._dense:
            rows = self._rows
            parallel_for(lambda a, b, part: add_rows(given, rows, target, a, b), len(given), block=BLOCK)
        else:
            parallel_for(lambda a, b, part: add_synapses(given, *self._synapses, target, a, b), len(given), block=BLOCK)

    def add_back(self, error: torch.Tensor, out: torch.Tensor) -> None:
        """Add what errors of the target add up to at the sources.

        Parameters
        ----------
        error : torch.Tensor, shape (samples, neurons)
        out : torch.Tensor, shape (samples, presynaptic neurons)
        """
        if self._fused and self._dense:
            out.addmm_(error, self.weight)
        elif self._fused:
            from brianlearn.discrete.maps.step_kernels import add_synapses_back

            given, target = error.numpy(), out.numpy()
            parallel_for(
                lambda a, b, part: add_synapses_back(given, *self._synapses, target, a, b), len(given), block=BLOCK
            )
        else:
            back = self.synapses.transpose(error.unsqueeze(0), self.weight, channels_last=False, source_last=False)
            out += back[0]


class _Lists:
    """The synapses of a projection, those of each source together: where each begins, and its targets."""

    def __init__(self, p: Projection) -> None:
        self.map = ListMap(p)
        post, pre = self.map.pairs
        self._order = np.argsort(pre, kind="stable")
        self.starts = np.zeros(p.n_pre + 1, np.int64)
        np.cumsum(np.bincount(pre, minlength=p.n_pre), out=self.starts[1:])
        self.post = post[self._order].astype(np.int32)

    def values(self, weight: torch.Tensor) -> np.ndarray:
        """The weight of every synapse (of every pair of neurons)."""
        return self.map.matrix(weight).values().numpy()[self._order]
