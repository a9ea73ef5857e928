"""Pipelined timing in discrete time: what goes from layer to layer arrives one step later.

With weights that stay as they are, that is a shift by one step of whole sequences between the layers, forwards and
backwards (`later`, `third_factors`, `gradient`); where they change in every step, the steps are run one after the other
(`brianlearn.discrete.online`). The equations: docs/rules.md, pipelined timing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from brianlearn.rules.three_factor import DALTON, ThreeFactorRule

if TYPE_CHECKING:
    from brianlearn.discrete.network import DiscreteNetwork
    from brianlearn.discrete.three_factor import LayerRun

__all__ = ["gradient", "later", "third_factors"]


def later(sequence: torch.Tensor) -> torch.Tensor:
    """A sequence (T, ...) one step later: zero in the first step, without what the last one had."""
    return torch.cat([torch.zeros_like(sequence[:1]), sequence[:-1]])


def third_factors(
    network: DiscreteNetwork,
    rule: ThreeFactorRule,
    weights: Mapping[str, torch.Tensor],
    runs: Sequence[LayerRun],
    target: torch.Tensor,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """L of every layer, shape (T, B, neurons) in the order of memory, and the network's readout.

    Parameters
    ----------
    network : DiscreteNetwork
    rule : ThreeFactorRule
    weights : mapping
        Layer that is looked at -> its readout's weights (classes, neurons), neurons in the order of memory.
    runs : sequence of LayerRun
    target : torch.Tensor, shape (B, classes)
    """
    burn_in = rule.burn_in_steps(network.spec)
    factors: dict[str, torch.Tensor] = {}
    readout = None
    for run in runs:
        if run.p.name in weights:
            readout = network.read(run.heard, weights[run.p.name])
            error = readout - target
            error[:burn_in] = 0
            factors[run.p.name] = torch.matmul(later(error), weights[run.p.name])
    assert readout is not None  # that of the last layer is the network's
    if isinstance(rule, DALTON):
        for run, below in zip(runs[:0:-1], runs[-2::-1], strict=True):
            psi = run.passage.values["psi" if "psi" in run.passage.values else "psi_gated"]
            factors[below.p.name] = run.synapses.transpose(
                later(later(psi) * factors[run.p.name]),
                network.get_parameter(run.p.name).detach(),
                channels_last=run.channels_last,
                source_last=below.channels_last,
            )
    return factors, readout


def gradient(network: DiscreteNetwork, rule: ThreeFactorRule, run: LayerRun, factor: torch.Tensor) -> torch.Tensor:
    """The mean gradient of one layer from its third factor.

    The error of a step changes weights in the next one, with the spikes that arrive then; the last step has no next.
    """
    scale = 2.0 / (factor.shape[1] * rule.logits(network.spec)[run.p.name])
    error = later(run.passage.values["psi_gated"]) * factor
    error[-1] = 0
    if len(run.source) == 1:  # the same in every step
        error = error.sum(dim=0, keepdim=True)
    found = run.synapses.weight_gradient(error, run.source, channels_last=run.channels_last, listed=run.listed)
    return found.mul_(scale)
