"""Gradients of back-propagation rules: one loss, through all layers and time steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from brianlearn.discrete.run.activity import DiscreteActivity
from brianlearn.discrete.run.batch import BatchRecord
from brianlearn.discrete.run.losses import TrialLoss
from brianlearn.discrete.run.network import DiscreteNetwork
from brianlearn.discrete.run.targets import output_target, squared_error
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.van_rossum import train_distances
from brianlearn.network.spec import NetworkSpec

__all__ = ["gradients", "scores", "total_loss"]


def gradients(
    network: DiscreteNetwork,
    rule: Rule,
    loss: TrialLoss,
    inputs: Any,
    labels: torch.Tensor,
    keys: np.ndarray,
) -> tuple[dict[str, torch.Tensor], BatchRecord]:
    """The gradient of a batch's mean loss.

    Parameters
    ----------
    network : DiscreteNetwork
        Exported with the rule's ``reset_path``.
    rule : Rule
    loss : TrialLoss
        That of the rule.
    inputs : array_like, shape (B, *input shape), or Events
    labels : torch.Tensor of int (B,), of values (B, out) or (B, T, out), or of bool (B, T, out)
    keys : numpy.ndarray of uint64, shape (B, 2)
        One random key per presentation.

    Returns
    -------
    gradients : dict
        Name of a learned layer -> tensor of the weights' shape.
    record : BatchRecord
    """
    activity = network(inputs, keys=keys)
    losses = total_loss(loss, activity, labels)
    score = scores(activity, labels, network.spec)
    names = rule.learned(network.spec)
    found = torch.autograd.grad(losses.mean(), [network.get_parameter(name) for name in names])
    return dict(zip(names, found, strict=True)), BatchRecord.of(activity, losses, score)


def scores(activity: DiscreteActivity, targets: torch.Tensor, spec: NetworkSpec) -> torch.Tensor | None:
    """What metrics are made of, shape (B,), where only the whole sequence tells it; see `TrialRecord.score`."""
    if targets.ndim < 3:
        return None
    if targets.dtype == torch.bool:
        fired = activity.output.detach().transpose(0, 1) > 0
        found, wanted = fired.cpu().numpy(), targets.cpu().numpy()
        return torch.from_numpy(train_distances(found, wanted, float(spec.dt), burn_in_steps=activity.burn_in_steps))
    if activity.readout is None:
        return None
    readout = activity.readout.detach()
    return squared_error(readout, output_target(targets, readout, readout.shape[2]), activity.burn_in_steps)


def total_loss(loss: TrialLoss, activity: DiscreteActivity, labels: torch.Tensor) -> torch.Tensor:
    """The loss of every trial, shape (B,); of a network with several readouts the sum of theirs."""
    first, *others = (loss(one, labels) for one in activity.each_readout())
    for other in others:
        first = first + other
    return first
