"""What an engine is: the interface that the training loop uses and that both engines have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from brianlearn.learning.state import LearnerState
from brianlearn.network.record import Tap
from brianlearn.network.samples.samples import Raster, Samples

__all__ = ["Engine", "TrialRecord"]


@dataclass(frozen=True, eq=False)
class TrialRecord:
    """What an engine measured in a chunk of n trials.

    Attributes
    ----------
    logits : numpy.ndarray, shape (n, classes)
        Mean readout over the steps after the burn-in; spike counts of the last layer without a readout.
    loss : numpy.ndarray, shape (n,)
        That of the rule where the rule has one and the engine runs it; else the mean squared error of the readout
        against the one-hot label or the values, over outputs and steps after the burn-in. Meaningless without targets.
    spike_counts : dict
        Layer name, the input included -> spikes per trial, int (n,).
    spikes : dict
        Layer name -> `Raster`, where recorded.
    recorded : dict
        `Tap` -> values over time, shape (n, steps that are kept, neurons).
    score : numpy.ndarray, shape (n,), or None
        What the metrics are made of where it is not ``loss``: the mean squared error of the readout against values of
        each step; van Rossum's distance of the output from spike trains.
    """

    logits: np.ndarray
    loss: np.ndarray
    spike_counts: Mapping[str, np.ndarray]
    spikes: Mapping[str, Raster] = field(default_factory=dict)
    recorded: Mapping[Tap, np.ndarray] = field(default_factory=dict)
    score: np.ndarray | None = None

    @staticmethod
    def concatenate(records: Sequence[TrialRecord]) -> TrialRecord:
        """One record of several, in their order, of the same network and what is recorded of it.

        Parameters
        ----------
        records : sequence of TrialRecord
            At least one.

        Returns
        -------
        TrialRecord
        """
        first = records[0]
        scores = [r.score for r in records if r.score is not None]
        return TrialRecord(
            np.concatenate([r.logits for r in records]),
            np.concatenate([r.loss for r in records]),
            {name: np.concatenate([r.spike_counts[name] for r in records]) for name in first.spike_counts},
            {name: Raster.concatenate([r.spikes[name] for r in records]) for name in first.spikes},
            {tap: np.concatenate([r.recorded[tap] for r in records]) for tap in first.recorded},
            np.concatenate(scores) if scores else None,
        )


class Engine(Protocol):
    """One network, one rule, one optimiser, one device, one batch size.

    Attributes
    ----------
    chunk_size : int
        Largest number of samples per call; a multiple of the batch size.
    device : str
        The device that runs, e.g. ``"cpp_standalone"``.
    """

    chunk_size: int
    device: str

    def learn(self, state: LearnerState, samples: Samples, learning_rate: float) -> tuple[LearnerState, TrialRecord]:
        """Learn from at most ``chunk_size`` samples, in order, in batches; a last partial batch counts as a batch.

        Parameters
        ----------
        state : LearnerState
        samples : Samples
        learning_rate : float
            That of the epoch.

        Returns
        -------
        state : LearnerState
            The new one; the old one stays valid.
        record : TrialRecord
            Of all trials, with the weights with which each of them ran.
        """
        ...

    def infer(self, state: LearnerState, samples: Samples, record: tuple[Tap, ...]) -> TrialRecord:
        """Run at most ``chunk_size`` samples with frozen weights.

        Parameters
        ----------
        state : LearnerState
        samples : Samples
        record : tuple of Tap
            What is recorded.

        Returns
        -------
        TrialRecord
        """
        ...
