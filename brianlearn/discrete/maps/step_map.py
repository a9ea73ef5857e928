"""A synaptic map for one time step after the other, where spikes of a step depend on those of the steps before.

The cost of a step follows its spikes: a spike adds the row of its weights (all to all), or its synapses (all other
kinds, from their list). Without kernels it is the synaptic map of the kind.
"""

from __future__ import annotations

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
        self._lists: ListMap | None = None

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
            self._lists = self._lists or ListMap(self.p)
            values = self._lists.matrix(self.weight).values().numpy()
            one, by_length = self._lists.by_source, self._lists.by_length
            self._synapses = one.starts, one.post, values[one.order]
            self._back = by_length.neurons, by_length.starts, by_length.post, values[by_length.order]

    @property
    def trials_apart(self) -> bool:
        """Whether threads may each run some of the samples: no operation of torch, which has threads of its own."""
        return self._fused and not self._dense

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
            from brianlearn.discrete.maps.step_kernels import add_lists

            given, target = error.numpy(), out.numpy()
            parallel_for(lambda a, b, part: add_lists(given, *self._back, target, a, b), len(given), block=BLOCK)
        else:
            back = self.synapses.transpose(error.unsqueeze(0), self.weight, channels_last=False, source_last=False)
            out += back[0]
