"""Inputs and time steps of recordings whose events have an address, or only a channel, and any number of polarities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from brianlearn.errors import DataError
from brianlearn.network.samples.address_events import addressed, fields_of

__all__ = ["Grid"]


@dataclass(frozen=True)
class Grid:
    """Bins recordings as `Pipeline` does, of other sensors than cameras with two polarities.

    Attributes
    ----------
    shape : tuple of int
        (channels, height, width) of the network's input.
    dt : float
        Time step, in seconds.
    """

    shape: tuple[int, int, int]
    dt: float

    def codes(self, recording: tuple[str, Any]) -> np.ndarray:
        """Events as step x inputs + flat index of the input, in this order; int64.

        Parameters
        ----------
        recording : (str, recording)
            What errors name, and the events, as `Events.from_xytp` takes them.

        Raises
        ------
        DataError, UnitError
            As `Events.from_xytp`.
        """
        where, events = recording
        size = math.prod(self.shape)
        step, neuron = addressed(where, fields_of(where, events), self.shape, self.dt)
        if step.max(initial=0) >= 2**62 // size:
            raise DataError(where, "it has too many time steps", got=int(step.max()), remedy="choose a larger dt")
        return np.sort(step * size + neuron)
