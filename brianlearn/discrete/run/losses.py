"""Losses of batches of trials, from the definition of each (`brianlearn.learning.losses`)."""

from __future__ import annotations

import torch

from brianlearn.discrete.run.activity import DiscreteActivity
from brianlearn.errors import RuleError
from brianlearn.learning.losses import Loss
from brianlearn.network.spec import NetworkSpec

__all__ = ["TrialLoss"]


class TrialLoss:
    """A loss, ready to be computed for batches of trials.

    Parameters
    ----------
    loss : Loss
    spec : NetworkSpec

    Examples
    --------
    >>> import torch
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(3, bl.SequenceLIF())], None, duration=9*ms)
    >>> module = bl.export(spec)
    >>> TrialLoss(bl.Hamming(), spec)(module(torch.rand(5, 4)), torch.tensor([0, 1, 2, 0, 1])).shape
    torch.Size([5])
    """

    def __init__(self, loss: Loss, spec: NetworkSpec) -> None:
        loss.check(spec)
        self.loss, self.spec = loss, spec

    def __call__(self, activity: DiscreteActivity, labels: torch.Tensor) -> torch.Tensor:
        """The loss of each trial.

        Parameters
        ----------
        activity : DiscreteActivity
        labels : torch.Tensor of int (B,), of values (B, out) or (B, T, out), or of bool (B, T, out)

        Returns
        -------
        torch.Tensor, shape (B,)

        Raises
        ------
        RuleError
            A loss of one's own that is none.
        """
        found = self.loss.of_trials(activity, labels, self.spec)
        owner, expected = type(self.loss).__name__, f"a tensor of floats, shape ({len(labels)},)"
        if not isinstance(found, torch.Tensor) or found.shape != labels.shape[:1] or not found.is_floating_point():
            got = f"{found.dtype} {tuple(found.shape)}" if isinstance(found, torch.Tensor) else repr(found)
            raise RuleError(owner, "of_trials() gives no loss for each trial", got=got, expected=expected)
        if torch.is_grad_enabled() and activity.logits.requires_grad and not found.requires_grad:
            raise RuleError(
                owner,
                "no gradient flows from the loss to the network",
                got="a tensor without a gradient",
                expected="torch operations on activity.spikes, activity.readout or activity.logits",
                remedy="do not detach it, turn it into numpy, or compare it (argmax, >)",
            )
        return found
