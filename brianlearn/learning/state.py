"""What learning carries from one chunk of samples to the next."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from brianlearn.learning.optimisers import Optimiser

__all__ = ["LearnerState"]


@dataclass(frozen=True, eq=False)
class LearnerState:
    """Weights, optimiser state and counters: everything that learning depends on beside spec, rule and samples.

    Attributes
    ----------
    weights : dict
        Layer name -> array, dense (out, in), conv (out, in, kh, kw).
    optimiser : dict
        Layer name -> slot (``"m"``, ``"v"``) -> array of the weights' shape. Empty for SGD.
    steps : int
        Weight updates since the optimiser's state was created.
    samples_seen : int
        Samples learned in all.
    epoch : int
        Current epoch, from 0: learning-rate schedule and random encoders depend on it.
    rule : dict
        Name -> array: what the rule itself carries on (`LocalRule.state`), for most rules nothing.
    seed : int
        Random state: all random numbers come from (seed, epoch, sample id), never from a running generator.
    """

    weights: Mapping[str, np.ndarray]
    optimiser: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)
    steps: int = 0
    samples_seen: int = 0
    epoch: int = 0
    seed: int = 0
    rule: Mapping[str, np.ndarray] = field(default_factory=dict)

    def next_epoch(self, optimiser: Optimiser) -> LearnerState:
        """The state at the start of the next epoch.

        Parameters
        ----------
        optimiser : Optimiser
            Its ``reset_each_epoch`` says whether its state starts anew.

        Returns
        -------
        LearnerState
        """
        state = dataclasses.replace(self, epoch=self.epoch + 1)
        if optimiser.reset_each_epoch:
            zero = {n: {s: np.zeros_like(a) for s, a in slots.items()} for n, slots in self.optimiser.items()}
            state = dataclasses.replace(state, optimiser=zero, steps=0)
        return state

    def sample_keys(self, ids: np.ndarray, *, learning: bool) -> np.ndarray:
        """One random key per presentation, uint64 (n, 2): the same whatever the chunk or the device.

        Parameters
        ----------
        ids : numpy.ndarray of int, shape (n,)
            Of the samples.
        learning : bool
            Evaluation has keys of its own, the same in each epoch.

        Returns
        -------
        numpy.ndarray of uint64, shape (n, 2)
        """
        epoch = self.epoch if learning else 2**31 - 1
        keys = np.empty((len(ids), 2), np.uint64)
        keys[:, 0] = (np.uint64(self.seed % 2**32) << np.uint64(32)) | np.uint64(epoch)
        keys[:, 1] = np.asarray(ids, np.uint64)
        return keys
