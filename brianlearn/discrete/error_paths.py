"""What error paths need on the discrete engine (see `brianlearn.rules.paths`): fixed weights, readout errors, sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from brianlearn.discrete.synapses import in_order
from brianlearn.rules.paths import fixed_weights
from brianlearn.rules.three_factor import ThreeFactorRule
from brianlearn.spec.network import Projection

if TYPE_CHECKING:
    from brianlearn.discrete.network import DiscreteNetwork
    from brianlearn.discrete.three_factor import LayerRun

__all__ = ["fixed_tensors", "readout_errors", "readout_weights", "total"]


def readout_weights(
    network: DiscreteNetwork, readouts: Mapping[str, torch.Tensor], name: str, p: Projection, *, channels_last: bool
) -> torch.Tensor:
    """The weights (classes, neurons) of a readout of layer p, for neurons in the order of memory."""
    weight = network.get_parameter("readout") if name == "readout" else readouts[name]
    return in_order(weight.detach(), p.out_shape, channels_last)


def fixed_tensors(
    network: DiscreteNetwork, rule: ThreeFactorRule, readouts: Mapping[str, torch.Tensor], runs: Sequence[LayerRun]
) -> dict[str, torch.Tensor]:
    """Name -> fixed weights (classes, neurons), neurons in the order of memory; the network's readout among them."""
    spec, by_layer = network.spec, {run.p.name: run for run in runs}
    own = spec.readout_projection
    wanted = fixed_weights(rule.paths(spec)) + ([own] if own is not None else [])
    found = {}
    for p in wanted:
        run = by_layer[p.source]
        found[p.name] = readout_weights(network, readouts, p.name, run.p, channels_last=run.channels_last)
    return found


def readout_errors(
    network: DiscreteNetwork,
    rule: ThreeFactorRule,
    weights: Mapping[str, torch.Tensor],
    runs: Sequence[LayerRun],
    target: torch.Tensor,
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Errors y - target of all readouts by name, shape (T, B, classes), and the network's readout."""
    own = network.spec.readout_projection
    assert own is not None
    readouts = {own.source: own, **rule.readouts(network.spec)}
    errors: dict[str, torch.Tensor] = {}
    output = None
    for run in runs:
        if run.p.name in readouts:
            name = readouts[run.p.name].name
            y = network.read(run.heard, weights[name])
            errors[name] = y - target
            output = y if name == own.name else output
    assert output is not None
    return errors, output


def total(parts: Sequence[torch.Tensor]) -> torch.Tensor:
    """The sum of what several error paths bring, in a tensor that is nobody else's."""
    first, *others = parts
    for part in others:
        first = first.add_(part)
    return first
