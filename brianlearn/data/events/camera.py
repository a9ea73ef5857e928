"""A simulated event camera: what it would see of an image that saccades make move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brianlearn.data.events.raw import RawEvents
from brianlearn.errors import DataError, ShapeError
from brianlearn.network.samples.arrays import numbers

__all__ = ["EventCamera"]

#: Corners of the gaze's way, in units of the amplitude: three saccades around a triangle, as in N-MNIST.
CORNERS = np.array([(0.0, 0.0), (1.0, 0.5), (0.0, 1.0), (0.0, 0.0)])


@dataclass(frozen=True)
class EventCamera:
    """An event camera of ``height`` x ``width`` pixels before an image.

    A pixel compares log(intensity + background) with its memory. Where the difference reaches its threshold, and the
    pixel is not refractory, it sends an event (polarity 1 for brighter, 0 for darker), and its memory moves by the
    threshold. Independent noise events come on top.

    Parameters
    ----------
    height, width : int
        Pixels; the image is magnified to fill them, bilinearly.
    threshold : float
        Mean contrast threshold, of log intensity.
    mismatch : float
        Standard deviation of the thresholds of pixels, a fixed pattern of the camera.
    refractory : float
        Seconds.
    noise_rate : float
        Noise events per pixel and second.
    background : float
        Intensity that is added to images in [0, 1].
    amplitude : float
        Of the saccades, in pixels of the image.
    duration : float
        Seconds, for three saccades.
    step : float
        Seconds from one comparison to the next.
    seed : int
        Of the fixed pattern and the noise.

    Raises
    ------
    DataError
        Settings that cannot be right.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.zeros((1, 8, 8))
    >>> image[0, 2:6, 3] = 1.0
    >>> events = EventCamera().record(image)[0]
    >>> bool(np.all(np.diff(events.time) >= 0)), bool(events.x.max() < 16)
    (True, True)
    """

    height: int = 16
    width: int = 16
    threshold: float = 0.3
    mismatch: float = 0.03
    refractory: float = 1e-3
    noise_rate: float = 1.0
    background: float = 0.1
    amplitude: float = 2.0
    duration: float = 60e-3
    step: float = 0.5e-3
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("height", "width", "threshold", "background", "duration", "step"):
            self._positive(name, getattr(self, name) > 0)
        for name in ("mismatch", "refractory", "noise_rate", "amplitude", "seed"):
            self._positive(name, getattr(self, name) >= 0)

    def _positive(self, name: str, right: bool) -> None:
        if not right:
            raise DataError("EventCamera", f"{name} is out of range", got=getattr(self, name), expected="more")

    def gaze(self, time: float) -> tuple[float, float]:
        """Where the gaze is, in pixels of the image, down and to the right.

        Parameters
        ----------
        time : float
            In seconds, from the start of the recording.

        Returns
        -------
        tuple of float
        """
        saccade, part = divmod(np.clip(time / self.duration, 0.0, 1.0 - 1e-12) * 3, 1)
        part = part * part * (3 - 2 * part)  # starts and ends slowly
        start, end = CORNERS[int(saccade)], CORNERS[int(saccade) + 1]
        down, right = self.amplitude * (start + part * (end - start))
        return float(down), float(right)

    def view(self, images: np.ndarray, time: float) -> np.ndarray:
        """Log intensity of every pixel, shape (n, height, width).

        Parameters
        ----------
        images : numpy.ndarray, shape (n, rows, columns)
            Brightness in [0, 1].
        time : float
            In seconds.

        Returns
        -------
        numpy.ndarray
        """
        down, right = self.gaze(time)
        rows = _interpolation(self.height, images.shape[1], down)
        columns = _interpolation(self.width, images.shape[2], right)
        return np.log(rows @ images @ columns.T + self.background)

    def record(self, images: np.ndarray, ids: Sequence[int] | np.ndarray | None = None) -> list[RawEvents]:
        """Record images.

        Parameters
        ----------
        images : array_like, shape (n, height, width)
            Intensities from 0 on.
        ids : sequence of int, shape (n,), optional
            Seeds the noise of each image; 0..n-1 where not given.

        Returns
        -------
        list of RawEvents
            In the order of time.

        Raises
        ------
        ShapeError, DataError
            If these are no images.
        """
        images = numbers("EventCamera", "images", images, "intensities, (n, height, width)").astype(float)
        if images.ndim != 3:
            raise ShapeError("EventCamera", "these are no images", got=images.shape, expected="(n, height, width)")
        if not (np.isfinite(images).all() and images.min(initial=0.0) >= 0):
            raise DataError("EventCamera", "an intensity is out of range", got="NaN or < 0", expected="from 0 on")
        pattern = np.random.default_rng(self.seed).normal(self.threshold, self.mismatch, (self.height, self.width))
        threshold = np.maximum(pattern, 0.1 * self.threshold)
        memory = self.view(images, 0.0)
        ready = np.zeros(memory.shape)
        found = []
        for k in range(1, round(self.duration / self.step)):
            time = k * self.step
            difference = self.view(images, time) - memory
            fired = (np.abs(difference) >= threshold) & (time >= ready)
            sign = np.sign(difference)
            memory += np.where(fired, sign * threshold, 0.0)
            ready[fired] = time + self.refractory - 1e-9
            image, y, x = np.nonzero(fired)
            found.append(np.stack([image, np.full(len(x), round(time * 1e6)), x, y, sign[fired] > 0]).astype(np.int64))
        events = np.concatenate(found, axis=1)
        events = events[:, np.argsort(events[0], kind="stable")]
        edges = np.searchsorted(events[0], np.arange(len(images) + 1))
        names = range(len(images)) if ids is None else ids
        return [self._noisy(events[1:, a:b], int(i)) for a, b, i in zip(edges[:-1], edges[1:], names, strict=True)]

    def _noisy(self, events: np.ndarray, name: int) -> RawEvents:
        rng = np.random.default_rng([self.seed, name])
        n = rng.poisson(self.noise_rate * self.height * self.width * self.duration)
        limits = (round(self.duration * 1e6), self.width, self.height, 2)
        noise = np.stack([rng.integers(limit, size=n) for limit in limits])
        return RawEvents(*np.concatenate([events, noise], axis=1)).sorted()


def _interpolation(pixels: int, size: int, shift: float) -> np.ndarray:
    """Weights with which each pixel of the camera sees the image's rows (or columns), shape (pixels, size)."""
    place = (np.arange(pixels) + 0.5) * size / pixels - 0.5 + shift
    return np.maximum(0.0, 1.0 - np.abs(place[:, None] - np.arange(size)))
