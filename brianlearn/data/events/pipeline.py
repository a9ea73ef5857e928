"""From the events of a camera to those of a network: denoise, downsample, bin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brianlearn.data.events.raw import RawEvents
from brianlearn.errors import DataError

__all__ = ["Pipeline", "denoised"]

#: Steps in space to the four neighbours of a pixel.
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))


def denoised(events: RawEvents, filter_time: float, width: int, height: int) -> RawEvents:
    """Background-activity filter (Delbruck 2008): keep an event if a neighbour has spoken a short time before.

    Parameters
    ----------
    events : RawEvents
        In the order of time.
    filter_time : float
        Microseconds. An event is kept where one of the four neighbours of its pixel had an event, of any polarity,
        earlier in the recording and less than this time before.
    width, height : int
        Of the camera.

    Returns
    -------
    RawEvents
        A part of them. Nothing supports the first event of a recording.

    Examples
    --------
    >>> events = RawEvents([0, 50, 900], [3, 4, 3], [2, 2, 2], [0, 1, 0])
    >>> denoised(events, 100, 10, 10).time.tolist()
    [50]
    """
    n = len(events)
    order = np.arange(n)
    # a margin of one pixel around the field, whose pixels never speak
    pixel = (events.y + 1) * (width + 2) + events.x + 1
    keys = np.sort(pixel * n + order) if n else order
    kept = np.zeros(n, bool)
    for dx, dy in NEIGHBOURS:
        neighbour = pixel + dy * (width + 2) + dx
        # the last event of the neighbour before this one
        found = np.searchsorted(keys, neighbour * n + order) - 1
        before = keys[np.maximum(found, 0)]
        same = (found >= 0) & (before // n == neighbour)
        kept |= same & (events.time - events.time[before % n] < filter_time)
    return events[kept]


@dataclass(frozen=True)
class Pipeline:
    """What is done with every recording of a data set.

    Attributes
    ----------
    width, height : int
        Of the camera.
    dt : float
        Time step, in seconds.
    denoise : float or None
        Time of the background-activity filter, in seconds.
    size : tuple of int or None
        (height, width) after downsampling; each new pixel hears all events of the old ones under it.
    """

    width: int
    height: int
    dt: float
    denoise: float | None = None
    size: tuple[int, int] | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the network's input: polarity, row, column."""
        return (2, *(self.size or (self.height, self.width)))

    def codes(self, events: RawEvents) -> np.ndarray:
        """Events of one recording, as step x inputs + flat index of the input, in this order; int64.

        Raises
        ------
        DataError
            More time steps than an integer can count.
        """
        events = events.sorted()
        if self.denoise is not None:
            events = denoised(events, self.denoise * 1e6, self.width, self.height)
        _, height, width = self.shape
        row, column = events.y * height // self.height, events.x * width // self.width
        # in a step that begins at a multiple of dt that floating point puts just above the event's time
        steps = events.time * 1e-6 / self.dt
        steps = np.floor(steps + np.maximum(1e-9, 4 * np.finfo(float).eps * steps))
        if steps.max(initial=0.0) >= 2**62 // (2 * height * width):
            raise DataError(
                "recording",
                "it has too many time steps",
                got=f"{steps.max():g}, from 0 to {events.time[-1]} us in steps of {self.dt:g} s",
                expected=f"less than {2**62 // (2 * height * width):g}",
                remedy="choose a larger dt",
            )
        step = steps.astype(np.int64)
        inside = step >= 0
        flat = (events.polarity * height + row) * width + column
        return np.sort((step * (2 * height * width) + flat)[inside])
