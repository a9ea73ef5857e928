"""Which process runs which samples, where several share the work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brianlearn.learning.engine import TrialRecord
from brianlearn.network.samples.samples import Raster

__all__ = ["Share", "join", "shares_of_batches", "shares_of_samples"]


@dataclass(frozen=True, eq=False)
class Share:
    """What one process runs.

    Attributes
    ----------
    samples : numpy.ndarray of int
        Its samples, as indices into the chunk.
    trials : numpy.ndarray of int
        The trial of each of them; trials between are idle.
    n_trials : int
        How many trials it runs.
    """

    samples: np.ndarray
    trials: np.ndarray
    n_trials: int


def shares_of_samples(n: int, workers: int) -> list[Share]:
    """Divide n samples evenly, without empty shares."""
    parts = np.array_split(np.arange(n), min(n, workers))
    return [Share(part, np.arange(len(part)), len(part)) for part in parts]


def shares_of_batches(n: int, batch_size: int, workers: int) -> list[Share]:
    """Divide each batch of n samples evenly: batch k of every process is part of batch k.

    Processes have the same number of trials in a batch; where there are not enough samples, some trials are idle.
    """
    trials = -(-batch_size // workers)
    batch, at = np.divmod(np.arange(n), batch_size)
    worker, place = np.divmod(at, trials)
    n_trials = int(batch[-1] + 1) * trials
    return [Share(np.flatnonzero(worker == w), (batch * trials + place)[worker == w], n_trials) for w in range(workers)]


def join(records: list[TrialRecord], shares: list[Share]) -> TrialRecord:
    """The record of a chunk from those of its shares.

    Parameters
    ----------
    records : list of TrialRecord
        Of all trials of each process.
    shares : list of Share
    """
    order = np.argsort(np.concatenate([share.samples for share in shares]), kind="stable")

    def joined(arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([array[share.trials] for array, share in zip(arrays, shares, strict=True)])[order]

    first = records[0]
    return TrialRecord(
        joined([r.logits for r in records]),
        joined([r.loss for r in records]),
        {name: joined([r.spike_counts[name] for r in records]) for name in first.spike_counts},
        # only evaluation records spikes, and its shares are in order
        {name: Raster.concatenate([r.spikes[name] for r in records]) for name in first.spikes},
        {tap: joined([r.recorded[tap] for r in records]) for tap in first.recorded},
    )
