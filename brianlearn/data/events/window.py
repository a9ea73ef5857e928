"""A random crop in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brianlearn.data.augment import Augmentation
from brianlearn.errors import DataError
from brianlearn.network.samples.arrays import integers
from brianlearn.network.samples.samples import Recordings, Samples
from brianlearn.network.samples.targets import kind_of

__all__ = ["RandomWindow"]


@dataclass(frozen=True)
class RandomWindow(Augmentation):
    """Shows ``steps`` time steps of every recording from a random moment on, new in every epoch.

    Recordings that are shorter are shown from their start. The draw depends on the run's seed, the epoch and the sample
    only. In tests a recording is shown from its start.

    Parameters
    ----------
    steps : int
        Of the network: duration / dt.

    Raises
    ------
    DataError
        What is no whole number >= 1.

    Examples
    --------
    >>> import numpy as np
    >>> import brianlearn as bl
    >>> long = bl.Events(np.arange(100), np.zeros(100, int), [0, 100], (1, 1, 1))
    >>> shown = bl.RandomWindow(10)(bl.Samples(long, [0]), np.zeros((1, 2), np.uint64))
    >>> bool(shown.inputs.dense(10).all())
    True
    """

    steps: int

    def __post_init__(self) -> None:
        if isinstance(self.steps, bool) or not isinstance(self.steps, int | np.integer) or self.steps < 1:
            raise DataError("RandomWindow", "steps is wrong", got=repr(self.steps), expected="a whole number >= 1")
        object.__setattr__(self, "steps", int(self.steps))

    def __call__(self, samples: Samples, keys: np.ndarray) -> Samples:
        """Choose a window of every recording.

        Parameters
        ----------
        samples : Samples
            Recordings.
        keys : numpy.ndarray of uint64, shape (n, 2)
            See `LearnerState.sample_keys`.

        Returns
        -------
        Samples
            Same labels and ids.

        Raises
        ------
        DataError
            Inputs that are no recordings; targets of each step.
        """
        if not isinstance(samples.inputs, Recordings):
            raise DataError("RandomWindow", "the inputs are no recordings", got="values", expected="Events")
        if kind_of(samples.targets) == "steps":
            raise DataError(
                "RandomWindow",
                "values of each step belong to the times of the recording, which a window shifts",
                got=f"targets {samples.targets.shape}",
                expected="labels (n,), or values (n, out)",
            )
        durations = integers("RandomWindow", "durations", samples.inputs.durations, "time steps")
        spare = np.maximum(durations - self.steps, 0)
        draws = np.array([rng.random() for rng in self.draws(keys)])
        start = np.floor(draws * (spare + 1)).astype(np.int64)
        return Samples(samples.inputs.window(start), samples.targets, samples.ids)
