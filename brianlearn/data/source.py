"""Where the samples of an experiment come from: a data set by name, with what is done to it."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from brian2 import second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.citing.references import Reference
from brianlearn.data.dataset import DataSet
from brianlearn.data.events.pipeline import Pipeline
from brianlearn.data.registry import entry
from brianlearn.errors import DataError
from brianlearn.network.checks import is_number
from brianlearn.network.samples.samples import Samples
from brianlearn.network.storable import Storable
from brianlearn.network.taking import take_quantity

__all__ = ["DataSource", "NamedData", "load"]


def _is_time(value: Any) -> bool:
    return get_dimensions(value) is second.dim and is_number(float(value)) and float(value) > 0


class DataSource(Storable, ABC, abstract=True):
    """Where the samples of an experiment come from; it is stored in the run folder, so that the run can go on.

    ``DataSource(name, ...)`` is a data set of the package by its name, with options: see `NamedData`. A subclass loads
    samples of one's own.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import brianlearn as bl
    >>> @dataclass(frozen=True)
    ... class Stripes(bl.DataSource):
    ...     '''Which of ten rows or columns of an image is bright.'''
    ...     size: int = 8
    ...     seed: int = 0
    ...
    ...     def load(self, dt=None):
    ...         labels = np.arange(60) % 10
    ...         images = np.random.default_rng(self.seed).random((60, 1, self.size, self.size))/2
    ...         for image, label in zip(images, labels):
    ...             image[0, label % self.size] = 1
    ...         samples = bl.Samples(images, labels)
    ...         return samples[:40], samples[40:]
    >>> len(Stripes().load()[0])
    40
    >>> bl.DataSource("digits").load().shape
    (1, 8, 8)
    """

    error_kind = DataError

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        """The base class itself stands for the data sets of the package."""
        return super().__new__(NamedData if cls is DataSource else cls, *arguments, **options)

    @abstractmethod
    def load(self, dt: Any = None) -> DataSet | tuple[Samples, Samples]:
        """Load it.

        Parameters
        ----------
        dt : brian2.Quantity, optional
            Time step in which events are binned. An experiment gives that of its network.

        Returns
        -------
        DataSet or (Samples, Samples)
            With names of data and classes; or training and test samples. The same in each call: a run that goes on
            checks that it has the samples that it began with.

        Raises
        ------
        DataError
            Files that are missing or damaged.
        """


@dataclass(frozen=True)
class NamedData(DataSource, stored_as="DataSource"):
    """A data set of the package by name, for `Experiment`; ``bl.DataSource(name, ...)`` is one.

    Parameters
    ----------
    name : str
        See `brianlearn.known_data`.
    path : path-like, optional
        Its folder, where it is neither under ``$BRIANLEARN_DATA`` nor in the cache.
    denoise : brian2.Quantity, optional
        Of event data: drop events which no neighbouring pixel has preceded by less than this time.
    size : (int, int), optional
        Of event data: height and width after downsampling.
    split_seed : int, optional
        Of ``cifar10_dvs``, which has no official split: draw the training recordings.

    Raises
    ------
    DataError
        An unknown name, or an option that this data set does not have.

    Examples
    --------
    >>> from brian2 import ms
    >>> import brianlearn as bl
    >>> bl.DataSource("digits_events", denoise=5 * ms, size=(8, 8)).load(dt=2 * ms).shape
    (2, 8, 8)
    """

    name: str
    path: str | os.PathLike[str] | None = None
    denoise: Any = None
    size: tuple[int, int] | None = None
    split_seed: int | None = None

    def cited(self) -> tuple[Reference, ...]:
        return (*super().cited(), *entry(self.name).references)

    def __post_init__(self) -> None:
        found = entry(self.name)
        object.__setattr__(self, "denoise", take_quantity(f"data set {self.name!r}", "denoise", self.denoise))
        if self.path is not None:
            object.__setattr__(self, "path", os.fspath(self.path))
        if found.built_in and self.path is not None:
            raise self._wrong("it is built in and takes no path", f"path={self.path!r}", f"load({self.name!r})")
        for name in ("denoise", "size"):
            if getattr(self, name) is not None and found.camera is None:
                what = "images" if found.spikes is None else "spikes without pixels"
                raise self._wrong(
                    f"its samples are {what}, and {name} is for events of cameras", f"{name}={getattr(self, name)}"
                )
        if self.split_seed is not None and not found.seeded_split:
            raise self._wrong("it has an official split", f"split_seed={self.split_seed!r}", "split_seed=None")
        if self.denoise is not None and not _is_time(self.denoise):
            raise self._wrong("denoise is wrong", repr(self.denoise), "a time > 0, e.g. 10*ms")
        if self.split_seed is not None and (
            isinstance(self.split_seed, bool) or not isinstance(self.split_seed, int) or self.split_seed < 0
        ):
            raise self._wrong("split_seed is wrong", repr(self.split_seed), "a whole number >= 0")
        if self.size is not None:
            camera = found.camera
            assert camera is not None
            try:
                height, width = self.size
                right = height == int(height) and width == int(width)
                right = right and 1 <= height <= camera.height and 1 <= width <= camera.width
            except (TypeError, ValueError):
                right = False
            if not right:
                expected = f"(height, width), at most ({camera.height}, {camera.width})"
                raise self._wrong("size is wrong", repr(self.size), expected)
            object.__setattr__(self, "size", (int(height), int(width)))

    def _wrong(self, problem: str, got: str, expected: str | None = None) -> DataError:
        return DataError(f"data set {self.name!r}", problem, got=got, expected=expected)

    def load(self, dt: Any = None) -> DataSet:
        """Load it.

        Parameters
        ----------
        dt : brian2.Quantity, optional
            Time step in which events are binned; 1 ms where it is not given. An experiment gives that of its network.

        Returns
        -------
        DataSet

        Raises
        ------
        DataError
            Files that are missing or damaged; a download that failed; a wrong dt.
        """
        dt = take_quantity("load", "dt", dt)
        if dt is not None and not _is_time(dt):
            raise DataError("load", "dt is wrong", got=repr(dt), expected="a time > 0, e.g. 1*ms")
        found = entry(self.name)
        if found.images is not None:
            return found.images(self.path)
        seconds = 1e-3 if dt is None else float(dt)
        if found.spikes is not None:
            return found.spikes(seconds, self.path)
        assert found.recordings is not None and found.camera is not None
        pipeline = Pipeline(
            found.camera.width,
            found.camera.height,
            seconds,
            None if self.denoise is None else float(self.denoise),
            self.size,
        )
        return found.recordings(pipeline, self.path, self.split_seed)


def load(name: str, path: str | os.PathLike[str] | None = None, dt: Any = None, **options: Any) -> DataSet:
    """Load a data set.

    Parameters
    ----------
    name : str
        One of `known_data`: ``"mnist"``, ``"nmnist"``, ``"shd"``, ...
    path : path-like, optional
        Folder with its files. Where it is not given they are looked for in ``$BRIANLEARN_DATA``, then in the cache
        (``$BRIANLEARN_CACHE``, or the operating system's cache folder); images are downloaded into the cache if need
        be, recordings by ``brianlearn data fetch``.
    dt : brian2.Quantity, optional
        Time step in which events are binned; 1 ms where it is not given. An experiment gives that of its network.
    **options : object
        ``denoise``, ``size`` and ``split_seed`` of `DataSource`.

    Returns
    -------
    DataSet
        Images: float32 in [0, 1], shape (n, channels, height, width). Recordings: `Events` of shape (2, height, width),
        or `StoredEvents`, which stay on disk.

    Raises
    ------
    DataError
        An unknown name; files that are missing or damaged; a download that failed.

    Examples
    --------
    >>> import brianlearn as bl
    >>> bl.load("digits").shape
    (1, 8, 8)
    """
    return NamedData(name, path, **options).load(dt)
