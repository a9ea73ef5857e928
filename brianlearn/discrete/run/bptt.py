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

__all__ = ["gradients", "squared_errors", "total_loss"]


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
    labels : torch.Tensor of int, shape (B,), or of values, shape (B, out) or (B, T, out)
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
    errors = squared_errors(activity, labels)
    names = rule.learned(network.spec)
    found = torch.autograd.grad(losses.mean(), [network.get_parameter(name) for name in names])
    return dict(zip(names, found, strict=True)), BatchRecord.of(activity, losses, errors)


def squared_errors(activity: DiscreteActivity, targets: torch.Tensor) -> torch.Tensor | None:
    """The mean squared error of each trial where it is known from the whole sequence alone: values of each step."""
    if targets.ndim < 3 or activity.readout is None:
        return None
    readout = activity.readout.detach()
    return squared_error(readout, output_target(targets, readout, readout.shape[2]), activity.burn_in_steps)


def total_loss(loss: TrialLoss, activity: DiscreteActivity, labels: torch.Tensor) -> torch.Tensor:
    """The loss of every trial, shape (B,); of a network with several readouts the sum of theirs."""
    first, *others = (loss(one, labels) for one in activity.each_readout())
    for other in others:
        first = first + other
    return first
