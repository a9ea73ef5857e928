"""Losses of trials as torch operations (see `brianlearn.rules.losses` for their definitions)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from brianlearn.discrete.activity import DiscreteActivity
from brianlearn.discrete.program import filter_program
from brianlearn.discrete.recurrence import Recurrence
from brianlearn.rules.losses import CrossEntropy, Hamming, Loss, RateMSE, ReadoutMSE, SpikeCount, VanRossum
from brianlearn.spec.network import NetworkSpec

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
        self._trains: torch.Tensor | None = None
        self._filter: Recurrence | None = None
        if isinstance(loss, VanRossum):
            decay = loss.decay(spec)
            self._filter = Recurrence(filter_program(decay, 1.0 - decay), ())

    def __call__(self, activity: DiscreteActivity, labels: torch.Tensor) -> torch.Tensor:
        """The loss of each trial.

        Parameters
        ----------
        activity : DiscreteActivity
        labels : torch.Tensor of int, shape (B,)

        Returns
        -------
        torch.Tensor, shape (B,)
        """
        loss, burn_in = self.loss, activity.burn_in_steps
        if isinstance(loss, CrossEntropy):
            smoothing = loss.label_smoothing
            if not loss.every_step:
                return F.cross_entropy(activity.logits, labels, reduction="none", label_smoothing=smoothing)
            assert activity.readout is not None
            readout = activity.readout[burn_in:]
            repeated = labels.expand(len(readout), -1).flatten()
            entropy = F.cross_entropy(readout.flatten(0, 1), repeated, reduction="none", label_smoothing=smoothing)
            return entropy.view(len(readout), -1).mean(0)
        if isinstance(loss, ReadoutMSE):
            assert activity.readout is not None
            readout = activity.readout[burn_in:]
            return (readout - _one_hot(labels, readout)).square().mean(dim=(0, 2))
        *_, output = activity.spikes.values()
        spikes = output.flatten(2)
        steps = len(spikes) - burn_in
        if self._filter is not None:  # linear: filtered difference = difference of filtered trains
            potential = self._filter(spikes - self._targets(labels, spikes))[1]
            assert potential is not None
            return potential[burn_in:].square().sum(dim=(0, 2)) / 2
        if isinstance(loss, Hamming):
            return (spikes - self._targets(labels, spikes))[burn_in:].abs().sum(dim=(0, 2))
        counts = spikes[burn_in:].sum(dim=0)
        label = _one_hot(labels, counts)
        if isinstance(loss, SpikeCount):
            wanted = loss.undesired + (loss.desired - loss.undesired) * label
            return (counts - wanted).square().sum(dim=1) / (2 * steps)
        assert isinstance(loss, RateMSE)
        return (label - counts / steps).square().sum(dim=1) / 2

    def _targets(self, labels: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Target trains, shape (T, B, classes)."""
        trains = self._trains
        if trains is None or trains.dtype != like.dtype or trains.device != like.device:
            assert isinstance(self.loss, VanRossum | Hamming)
            trains = torch.from_numpy(self.loss.targets.trains(self.spec)).to(like).permute(2, 0, 1).contiguous()
            self._trains = trains
        return trains[:, labels]


def _one_hot(labels: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return F.one_hot(labels, like.shape[-1]).to(like.dtype)
