"""Data sets by name: what there is, where it is, how it is loaded, fetched and checked."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from brianlearn.citing import papers
from brianlearn.citing.references import Reference
from brianlearn.data import (
    channel_orders,
    cifar10,
    cifar10_dvs,
    digits,
    digits_events,
    dvs_gesture,
    mnist,
    mnist_events,
    nmnist,
    shd,
    spoken_words,
)
from brianlearn.data.dataset import DataSet
from brianlearn.data.events.pipeline import Pipeline
from brianlearn.errors import DataError, did_you_mean

__all__ = ["Entry", "entry", "known_data"]

Where = str | os.PathLike[str] | None


@dataclass(frozen=True)
class Camera:
    """Pixels of the camera of an event data set."""

    width: int
    height: int


@dataclass(frozen=True)
class Entry:
    """A data set.

    Attributes
    ----------
    name : str
    summary : str
    samples : tuple of int
        Training and test samples when it is complete.
    find : callable
        Given a path or None, the folder on this machine, None where there is none.
    fetch : callable or None
        Downloads what is missing into the cache and returns the folder; None where it is built in.
    images : callable or None
        Given a path or None, the data set, of images.
    recordings : callable or None
        Given a pipeline, a path or None, and the seed of the split or None, the data set, of events.
    camera : Camera or None
        Of events.
    spikes : callable or None
        Given a time step in seconds and a path or None, the data set, of spikes that no camera sent.
    seeded_split : bool
        Whether the split can be drawn.
    also_complete : tuple of (int, int)
        Other numbers of samples that are complete, where there are two versions.
    references : tuple of Reference
        Where it was published.
    """

    name: str
    summary: str
    samples: tuple[int, int]
    find: Callable[[Where], Path | None] | None = None
    fetch: Callable[[], Path] | None = None
    images: Callable[[Where], DataSet] | None = None
    recordings: Callable[[Pipeline, Where, int | None], DataSet] | None = None
    camera: Camera | None = None
    spikes: Callable[[float, Where], DataSet] | None = None
    seeded_split: bool = False
    also_complete: tuple[tuple[int, int], ...] = ()
    references: tuple[Reference, ...] = ()

    def complete(self, train: int, test: int) -> bool:
        """Whether these are all samples."""
        return (train, test) in (self.samples, *self.also_complete)

    @property
    def built_in(self) -> bool:
        """Whether there are no files."""
        return self.find is None


def _idx(source: mnist.ImageSource, summary: str, reference: Reference) -> Entry:
    return Entry(
        source.name,
        summary,
        (60000, 10000),
        find=lambda path: mnist.find_idx_images(source, path),
        fetch=lambda: mnist.fetch_idx_images(source),
        images=lambda path: mnist.load_idx_images(source, path),
        references=(reference,),
    )


def _heidelberg(source: shd.Source, summary: str, also_complete: tuple[tuple[int, int], ...] = ()) -> Entry:
    return Entry(
        source.name,
        summary,
        source.samples,
        find=lambda path: shd.find_heidelberg(source, path),
        fetch=lambda: shd.fetch_heidelberg(source),
        spikes=lambda dt, path: shd.load_heidelberg(source, dt, path),
        also_complete=also_complete,
        references=(papers.HEIDELBERG,),
    )


_ENTRIES = {
    found.name: found
    for found in (
        Entry(
            "digits",
            "handwritten digits, 8 x 8; built in",
            (1437, 360),
            images=lambda path: digits.load_digits(),
            references=(papers.DIGITS, papers.SCIKIT_LEARN),
        ),
        Entry(
            "digits_events",
            "digits before a simulated event camera, 16 x 16, 60 ms; built in",
            (1437, 360),
            recordings=lambda pipeline, path, split_seed: digits_events.load_digits_events(pipeline),
            camera=Camera(digits_events.CAMERA.width, digits_events.CAMERA.height),
            references=(papers.DIGITS, papers.SCIKIT_LEARN),
        ),
        _idx(mnist.MNIST, "handwritten digits, 28 x 28", papers.MNIST),
        Entry(
            "mnist_events",
            "images of MNIST before a simulated event camera, 34 x 34, 300 ms",
            (mnist_events.TRAIN_SAMPLES, mnist_events.TEST_SAMPLES),
            find=mnist_events.find_mnist_events,
            fetch=lambda: mnist.fetch_idx_images(mnist.MNIST),
            recordings=lambda pipeline, path, split_seed: mnist_events.load_mnist_events(pipeline, path),
            camera=Camera(mnist_events.CAMERA.width, mnist_events.CAMERA.height),
            references=(papers.MNIST, papers.N_MNIST),
        ),
        _idx(mnist.FASHION_MNIST, "pieces of clothing, 28 x 28", papers.FASHION_MNIST),
        Entry(
            "cifar10",
            "photographs of 10 classes, 3 x 32 x 32",
            (50000, 10000),
            find=cifar10.find_cifar10,
            fetch=cifar10.fetch_cifar10,
            images=cifar10.load_cifar10,
            references=(papers.CIFAR10,),
        ),
        Entry(
            "nmnist",
            "MNIST before an event camera, 34 x 34, 300 ms",
            (60000, 10000),
            find=nmnist.find_nmnist,
            fetch=nmnist.fetch_nmnist,
            recordings=lambda pipeline, path, split_seed: nmnist.load_nmnist(pipeline, path),
            camera=Camera(nmnist.SIDE, nmnist.SIDE),
            references=(papers.N_MNIST,),
        ),
        Entry(
            "dvs_gesture",
            "11 gestures before an event camera, 128 x 128, seconds",
            (1077, 264),
            find=dvs_gesture.find_dvs_gesture,
            fetch=dvs_gesture.fetch_dvs_gesture,
            recordings=lambda pipeline, path, split_seed: dvs_gesture.load_dvs_gesture(pipeline, path),
            camera=Camera(dvs_gesture.SIDE, dvs_gesture.SIDE),
            also_complete=((1176, 288),),  # as labelled in the official recordings
            references=(papers.DVS_GESTURE,),
        ),
        Entry(
            "cifar10_dvs",
            "CIFAR10 before an event camera, 128 x 128, about 1.3 s",
            (9000, 1000),
            find=cifar10_dvs.find_cifar10_dvs,
            fetch=cifar10_dvs.fetch_cifar10_dvs,
            recordings=cifar10_dvs.load_cifar10_dvs,
            camera=Camera(cifar10_dvs.SIDE, cifar10_dvs.SIDE),
            seeded_split=True,
            references=(papers.CIFAR10_DVS,),
        ),
        _heidelberg(
            shd.SHD,
            "spoken digits before an artificial cochlea, 20 classes, 700 channels, about 1 s",
            also_complete=((8332, 2088),),  # as first published
        ),
        Entry(
            "channel_orders",
            "spikes of 8 channels, one after the other in 10 orders, about 0.11 s; built in",
            (1000, 500),
            spikes=lambda dt, path: channel_orders.load_channel_orders(dt),
        ),
        Entry(
            "spoken_words",
            "words of four vowels in 20 orders before a simulated cochlea, 700 channels, about 0.7 s; built in",
            (1600, 400),
            spikes=lambda dt, path: spoken_words.load_spoken_words(dt),
            references=(papers.VOWELS,),
        ),
        _heidelberg(shd.SSC, "spoken words before an artificial cochlea, 35 classes, 700 channels, 1 s"),
    )
}


def known_data() -> tuple[str, ...]:
    """Names that `load` knows.

    Returns
    -------
    tuple of str
    """
    return tuple(_ENTRIES)


def entry(name: str) -> Entry:
    """A data set by its name.

    Raises
    ------
    DataError
        An unknown name.
    """
    if not isinstance(name, str) or name not in _ENTRIES:
        raise DataError(
            "load",
            "unknown data set",
            got=repr(name),
            expected=", ".join(known_data()),
            remedy=did_you_mean(name, known_data()),
        )
    return _ENTRIES[name]
