"""Which process runs which samples, where several work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brianlearn.learning.engine import TrialRecord
from brianlearn.network.samples.samples import Raster

__all__ = ["Shard", "gather", "shards_of_batches", "shards_of_samples"]


@dataclass(frozen=True, eq=False)
class Shard:
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


def shards_of_samples(n: int, workers: int) -> list[Shard]:
    """Divide n samples evenly, without empty shards."""
    parts = np.array_split(np.arange(n), min(n, workers))
    return [Shard(part, np.arange(len(part)), len(part)) for part in parts]


def shards_of_batches(n: int, batch_size: int, workers: int) -> list[Shard]:
    """Divide each batch of n samples evenly: batch k of every process is part of batch k.

    Processes have the same number of trials in a batch; where there are not enough samples, some trials are idle.
    """
    trials = -(-batch_size // workers)
    batch, at = np.divmod(np.arange(n), batch_size)
    worker, place = np.divmod(at, trials)
    n_trials = int(batch[-1] + 1) * trials
    return [Shard(np.flatnonzero(worker == w), (batch * trials + place)[worker == w], n_trials) for w in range(workers)]


def gather(records: list[TrialRecord], shards: list[Shard]) -> TrialRecord:
    """The record of a chunk from those of its shards.

    Parameters
    ----------
    records : list of TrialRecord
        Of all trials of each process.
    shards : list of Shard
    """
    order = np.argsort(np.concatenate([shard.samples for shard in shards]), kind="stable")

    def joined(arrays: list[np.ndarray]) -> np.ndarray:
        return np.concatenate([array[shard.trials] for array, shard in zip(arrays, shards, strict=True)])[order]

    first = records[0]
    return TrialRecord(
        joined([r.logits for r in records]),
        joined([r.loss for r in records]),
        {name: joined([r.spike_counts[name] for r in records]) for name in first.spike_counts},
        # only evaluation records spikes, and its shards are in order
        {name: Raster.concatenate([r.spikes[name] for r in records]) for name in first.spikes},
        {tap: joined([r.recorded[tap] for r in records]) for tap in first.recorded},
    )
