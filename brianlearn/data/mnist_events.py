"""``mnist_events``: images of MNIST before a simulated event camera that makes three saccades, as N-MNIST was made."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from brianlearn.data.dataset import DataSet
from brianlearn.data.events.binned import binned
from brianlearn.data.events.camera import EventCamera
from brianlearn.data.events.pipeline import Pipeline
from brianlearn.data.events.raw import RawEvents
from brianlearn.data.mnist import MNIST, fetch_idx_images, find_idx_images, idx_files, load_idx_images
from brianlearn.network.samples.samples import Samples

__all__ = ["CAMERA", "TEST_SAMPLES", "TRAIN_SAMPLES", "find_mnist_events", "load_mnist_events"]

#: 34 x 34 pixels, three saccades in 300 ms, about 4100 events: as the recordings of N-MNIST (Orchard et al. 2015).
CAMERA = EventCamera(
    height=34,
    width=34,
    threshold=0.35,
    amplitude=3.0,
    duration=300e-3,
    step=1e-3,
    refractory=2e-3,
    noise_rate=0.3,
)
#: The first of MNIST's images; more would take a gigabyte of disk.
TRAIN_SAMPLES, TEST_SAMPLES = 20000, 5000
#: Images before the camera at once.
AT_ONCE = 100


def load_mnist_events(pipeline: Pipeline, path: str | os.PathLike[str] | None = None) -> DataSet:
    """The first 20000 training and 5000 test images of MNIST as events of a simulated camera (see `EventCamera`).

    They are recorded once, into the cache, in some minutes.

    Parameters
    ----------
    pipeline : Pipeline
        For a camera of this size.
    path : path-like, optional
        The folder of MNIST's files, which are downloaded where they are not found.

    Returns
    -------
    DataSet
        Recordings on disk, of 300 ms. Ids are those of the images.

    Raises
    ------
    DataError
        Missing or damaged files, or a download that failed.
    """
    images = load_idx_images(MNIST, path)
    folder = find_idx_images(MNIST, path) or fetch_idx_images(MNIST)
    parts = []
    for name, samples, most in (("train", images.train, TRAIN_SAMPLES), ("test", images.test, TEST_SAMPLES)):
        used = samples[:most]
        events = binned(
            f"mnist-events-{name}",
            idx_files(folder),
            pipeline,
            lambda used=used: _recordings(used),  # type: ignore[misc]
            made_by=CAMERA,
        )
        parts.append(Samples(events, events.labels, used.ids))
    return DataSet("mnist_events", parts[0], parts[1], images.classes)


def _recordings(samples: Samples) -> Iterator[tuple[int, RawEvents]]:
    for start in range(0, len(samples), AT_ONCE):
        part = samples[start : start + AT_ONCE]
        yield from zip(part.labels.tolist(), CAMERA.record(np.asarray(part.inputs)[:, 0], part.ids), strict=True)


def find_mnist_events(path: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder of MNIST's files; None where they are not on this machine."""
    return find_idx_images(MNIST, path)
