"""What learning one batch measured, as tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from brianlearn.discrete.run.activity import DiscreteActivity

__all__ = ["BatchRecord"]


@dataclass(frozen=True, eq=False)
class BatchRecord:
    """Of a batch of B trials, before its weight update. No tensor carries a gradient.

    Attributes
    ----------
    logits : torch.Tensor, shape (B, classes)
        As `TrialRecord.logits`.
    loss : torch.Tensor, shape (B,)
        What the rule minimises; for three-factor rules, the mean squared error of the readout as in `TrialRecord`.
    spike_counts : dict
        Layer name, ``"input"`` included -> spikes per trial, shape (B,).
    score : torch.Tensor, shape (B,), or None
        As `TrialRecord.score`.
    """

    logits: torch.Tensor
    loss: torch.Tensor
    spike_counts: Mapping[str, torch.Tensor]
    score: torch.Tensor | None = None

    @staticmethod
    def of(activity: DiscreteActivity, loss: torch.Tensor, score: torch.Tensor | None = None) -> BatchRecord:
        """The record of an activity and its loss, shape (B,)."""
        counts = {}
        for name, spikes in activity.spikes.items():
            axes = [k for k in range(spikes.ndim) if k != 1]  # not flattened first, which might copy
            counts[name] = spikes.detach().sum(dim=axes)
        return BatchRecord(activity.logits.detach(), loss.detach(), counts, score)

    @staticmethod
    def concatenate(records: Sequence[BatchRecord]) -> BatchRecord:
        """One record of several batches, in their order."""
        names = records[0].spike_counts
        scores = [r.score for r in records if r.score is not None]
        return BatchRecord(
            torch.cat([r.logits for r in records]),
            torch.cat([r.loss for r in records]),
            {name: torch.cat([r.spike_counts[name] for r in records]) for name in names},
            torch.cat(scores) if scores else None,
        )
