"""Error paths (`brianlearn.learning.rules.paths`) on the discrete engine: fixed weights, readout errors, sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from brianlearn.discrete.maps.base import in_order
from brianlearn.learning.rules.paths import fixed_weights, readout_groups
from brianlearn.learning.rules.three_factor import ThreeFactorRule
from brianlearn.network.spec import Projection

if TYPE_CHECKING:
    from brianlearn.discrete.run.network import DiscreteNetwork
    from brianlearn.discrete.run.three_factor import PopulationRun

__all__ = ["fixed_tensors", "readout_errors", "readout_weights", "total"]


def readout_weights(
    network: DiscreteNetwork, fixed: Mapping[str, torch.Tensor], p: Projection, *, channels_last: bool
) -> torch.Tensor:
    """Fixed weights (classes, neurons), or those of a readout of the network, for neurons in the order of memory.

    A bias is that of one neuron.
    """
    weight = fixed[p.name] if p.name in fixed else network.get_parameter(p.name)
    return in_order(weight.detach().view(p.n_post, p.n_pre), p.in_shape, channels_last)


def fixed_tensors(
    network: DiscreteNetwork,
    rule: ThreeFactorRule,
    readouts: Mapping[str, torch.Tensor],
    runs: Sequence[PopulationRun],
) -> dict[str, torch.Tensor]:
    """Name -> weights (classes, neurons) of readouts and error paths, neurons in the order of memory."""
    spec, last = network.spec, {run.p.name: run.channels_last for run in runs}
    wanted = {p.name: p for p in [*fixed_weights(rule.paths(spec)), *spec.readout_projections]}
    return {
        name: readout_weights(network, readouts, p, channels_last=last.get(p.source, False))
        for name, p in wanted.items()
    }


def readout_errors(
    network: DiscreteNetwork,
    rule: ThreeFactorRule,
    weights: Mapping[str, torch.Tensor],
    runs: Sequence[PopulationRun],
    target: torch.Tensor,
    heard: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Errors y - target of all readouts by name, shape (T, B, classes), and the network's output.

    ``heard``: what inputs send, by population.
    """
    spec, by_name = network.spec, {p.name: heard[p.name].flatten(2) for p in network.spec.graph.sources}
    by_name |= {run.p.name: run.heard for run in runs}
    errors: dict[str, torch.Tensor] = {}
    output = None
    for name, onto in readout_groups(spec, rule.paths(spec)).items():
        y = network.read(name, [(by_name[p.source], weights[p.name]) for p in onto])
        errors[name] = y - target
        output = y if name == spec.output else output
    assert output is not None
    return errors, output


def total(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The sum of what several error paths bring, in a tensor that is nobody else's."""
    first, *others = parts
    for part in others:
        first = first.add_(part)
    return first
