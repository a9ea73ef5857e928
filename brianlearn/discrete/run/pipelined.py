"""Pipelined timing in discrete time: what goes from layer to layer arrives one step later.

With weights that stay as they are, that is a shift by one step of whole sequences between the layers, forwards and
backwards (`later`, `third_factors`, `gradient`); where they change in every step, the steps are run one after the other
(`brianlearn.discrete.run.online`). The equations: docs/rules.md, pipelined timing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import torch

from brianlearn.discrete.run.error_paths import readout_errors, total
from brianlearn.learning.rules.paths import Fixed
from brianlearn.learning.rules.three_factor import ThreeFactorRule

if TYPE_CHECKING:
    from brianlearn.discrete.run.network import DiscreteNetwork
    from brianlearn.discrete.run.three_factor import PopulationRun

__all__ = ["gradient", "later", "third_factors"]


def later(sequence: torch.Tensor) -> torch.Tensor:
    """A sequence (T, ...) one step later: zero in the first step, without what the last one had."""
    return torch.cat([torch.zeros_like(sequence[:1]), sequence[:-1]])


def third_factors(
    network: DiscreteNetwork,
    rule: ThreeFactorRule,
    weights: Mapping[str, torch.Tensor],
    runs: Sequence[PopulationRun],
    target: torch.Tensor,
    heard: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """L of every layer, shape (T, B, neurons) in the order of memory, and the network's readout.

    Parameters
    ----------
    network : DiscreteNetwork
    rule : ThreeFactorRule
    weights : mapping
        Name -> fixed weights (classes, neurons), neurons in the order of memory.
    runs : sequence of PopulationRun
    target : torch.Tensor, shape (B, classes)
    """
    burn_in, paths = rule.burn_in_steps(network.spec), rule.paths(network.spec)
    errors, output = readout_errors(network, rule, weights, runs, target, heard)
    for error in errors.values():
        error[:burn_in] = 0
    factors: dict[str, torch.Tensor] = {}
    arrivals = {arrival.p.name: (run, arrival) for run in runs for arrival in run.arrivals}
    for run in reversed(runs):
        parts = []
        for path in paths[run.p.name]:
            if isinstance(path, Fixed):
                parts.append(torch.matmul(later(errors[path.readout]), weights[path.name]))
                continue
            above, arrival = arrivals[path.projection]
            down = arrival.synapses.transpose(
                later(later(above.psi) * factors[above.p.name]),
                network.get_parameter(path.projection).detach(),
                channels_last=above.channels_last,
                source_last=run.channels_last,
            )
            parts.append(down)
        factors[run.p.name] = total(parts)
    return factors, output


def gradient(
    network: DiscreteNetwork, rule: ThreeFactorRule, run: PopulationRun, factor: torch.Tensor
) -> dict[str, torch.Tensor]:
    """The mean gradient of one layer from its third factor, by name.

    The error of a step changes weights in the next one, with the spikes that arrive then; the last step has no next.
    """
    scale = float(Fraction(rule.scale(network.spec)[run.p.name]) / factor.shape[1])
    error = later(run.passage.values["psi_gated"]) * factor
    error[-1] = 0
    (arrival,) = run.arrivals
    if len(arrival.source) == 1:  # the same in every step
        error = error.sum(dim=0, keepdim=True)
    found = arrival.synapses.weight_gradient(
        error, arrival.source, channels_last=run.channels_last, listed=arrival.listed
    )
    return {arrival.p.name: found.mul_(scale)} if arrival.p.learned else {}
