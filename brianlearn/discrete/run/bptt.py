"""Gradients of back-propagation rules: one loss, through all layers and time steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from brianlearn.discrete.run.activity import DiscreteActivity
from brianlearn.discrete.run.batch import BatchRecord
from brianlearn.discrete.run.losses import TrialLoss
from brianlearn.discrete.run.network import DiscreteNetwork
from brianlearn.learning.rules.base import Rule

__all__ = ["gradients", "total_loss"]


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
    labels : torch.Tensor of int, shape (B,)
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
    names = rule.learned(network.spec)
    found = torch.autograd.grad(losses.mean(), [network.get_parameter(name) for name in names])
    return dict(zip(names, found, strict=True)), BatchRecord.of(activity, losses)


def total_loss(loss: TrialLoss, activity: DiscreteActivity, labels: torch.Tensor) -> torch.Tensor:
    """The loss of every trial, shape (B,); of a network with several readouts the sum of theirs."""
    first, *others = (loss(one, labels) for one in activity.each_readout())
    for other in others:
        first = first + other
    return first
