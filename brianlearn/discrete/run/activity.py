"""What a discrete network did, as tensors with time first."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import torch

from brianlearn.discrete.step.program import filter_program
from brianlearn.discrete.step.recurrence import Recurrence

__all__ = ["DiscreteActivity"]


@dataclass(frozen=True, eq=False)
class DiscreteActivity:
    """Activity of a batch of trials. T steps, B samples.

    Attributes
    ----------
    spikes : dict
        Layer name, ``"input"`` included -> spikes, shape (T, B, *layer shape). Gradients flow through them.
    readout : torch.Tensor, shape (T, B, classes), or None
        None for a network without a readout.
    burn_in_steps : int
        Steps at the start that `logits` leaves out.
    membranes : dict
        Layer name -> membrane before the reset, shape of the spikes. Recorded on request.
    synaptic_input : dict
        Layer name -> weighted sum of presynaptic spikes that arrive in each step, shape (T, B, *shape); of neurons with
        several input variables (T, inputs, B, *shape). Recorded on request.
    psps : dict
        Layer name -> postsynaptic potentials that the layer's spikes make. Recorded on request.
    others : dict
        Readouts beside the one that makes predictions -> their values, shape of ``readout``.
    """

    spikes: Mapping[str, torch.Tensor]
    readout: torch.Tensor | None
    burn_in_steps: int = 0
    membranes: Mapping[str, torch.Tensor] = field(default_factory=dict)
    synaptic_input: Mapping[str, torch.Tensor] = field(default_factory=dict)
    psps: Mapping[str, torch.Tensor] = field(default_factory=dict)
    others: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def each_readout(self) -> Iterator[DiscreteActivity]:
        """The same activity as each readout of the network says it, the one that makes predictions first.

        Yields
        ------
        DiscreteActivity
        """
        yield self
        for readout in self.others.values():
            yield dataclasses.replace(self, readout=readout, others={})

    @property
    def output(self) -> torch.Tensor:
        """Spikes of the last spiking layer, shape (T, B, neurons)."""
        return self._last.flatten(2)

    def filtered(self, trains: torch.Tensor, decay: float, gain: float) -> torch.Tensor:
        """Trains (T, B, n) through a causal exponential kernel, a[t] = decay a[t-1] + gain x[t]; the same shape.

        Parameters
        ----------
        trains : torch.Tensor, shape (T, B, n)
        decay, gain : float

        Returns
        -------
        torch.Tensor, shape (T, B, n)
        """
        found = _filter(decay, gain)(trains)[1]
        assert found is not None
        return found

    @property
    def logits(self) -> torch.Tensor:
        """Mean readout over the steps after the burn-in, shape (B, classes); without a readout, spike counts."""
        if self.readout is not None:
            return self.readout[self.burn_in_steps :].mean(dim=0)
        return self._last[self.burn_in_steps :].sum(dim=0).flatten(1)

    @property
    def _last(self) -> torch.Tensor:
        return self.spikes[list(self.spikes)[-1]]

    @property
    def predictions(self) -> torch.Tensor:
        """The class with the largest logit, shape (B,)."""
        return self.logits.argmax(dim=1)


@lru_cache(maxsize=64)
def _filter(decay: float, gain: float) -> Recurrence:
    return Recurrence(filter_program(decay, gain), ())
