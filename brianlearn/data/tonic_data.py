"""Data sets of tonic, the field's library of event data, binned into recordings on disk; tonic itself is not imported.

Of tonic only the data sets and their transforms of events are used, by ``len``, ``[k]``, ``sensor_size`` and
``classes``. What makes frames of events, or reads other formats, is this package's own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import ms

from brianlearn.data.dataset import DataSet
from brianlearn.data.events.binned import with_progress
from brianlearn.data.events.grid import Grid
from brianlearn.data.events.stored import MAGIC, StoredEvents, cannot_write, store
from brianlearn.errors import DataError
from brianlearn.machine.cache import cache_folder
from brianlearn.machine.leftovers import owned_path
from brianlearn.network.checks import is_whole
from brianlearn.network.samples.samples import Samples
from brianlearn.network.samples.spike_times import take_time

__all__ = ["from_tonic"]

#: Wrappers around a data set (torch's Subset, tonic's caches) that are looked through for its attributes.
DEEPEST = 10
_EVENTS = "events with the fields t, x, y, p or t, x, p (times in microseconds), and a label"


def from_tonic(
    train: Any,
    test: Any,
    *,
    dt: Any = 1 * ms,
    sensor_size: tuple[int, int, int] | None = None,
    classes: Sequence[str] | None = None,
    cache_key: str | None = None,
) -> DataSet:
    """Data sets of tonic, or any of the same form, as recordings binned at a time step.

    Parameters
    ----------
    train, test : data set
        Each has a length and gives, for an index, (events, label), as ``tonic.datasets.SHD("folder", train=True)``
        does: events are an array with the fields t, x, y, p or t, x, p. The data set's own transforms of events are
        applied by it; those that make frames or tensors of events must be left out, since events are binned here. A
        part of a data set may be a ``torch.utils.data.Subset``.
    dt : brian2.Quantity, optional
        Time step of the network. An event is in the step that its time lies in.
    sensor_size : (int, int, int), optional
        Width, height and polarities; that of the data set where it is not given. It is needed where a transform changes
        it, and where recordings differ in size (N-Caltech101), whose largest one it must hold.
    classes : sequence of str, optional
        Names of the classes. Where they are not given, those of the data set; labels that are text are looked up
        in them, and without any, whole numbers are their names.
    cache_key : str, optional
        A name of yours for exactly these recordings and transforms: the second time, they are read from the cache and
        nothing is binned. Without it, they are binned at every call, one recording at a time.

    Returns
    -------
    DataSet
        Recordings on disk, of shape (polarities, height, width).

    Raises
    ------
    DataError
        What is no data set of events, naming the recording: frames, events outside of the sensor or before time 0, a
        label that is no class, what the data set itself raises.

    Examples
    --------
    >>> import numpy as np
    >>> import brianlearn as bl
    >>> class Ticks:  # as tonic's data sets are
    ...     sensor_size = (4, 1, 1)
    ...     def __len__(self): return 2
    ...     def __getitem__(self, k):
    ...         return np.array([(1500 * k, k, 1)], dtype=[("t", int), ("x", int), ("p", int)]), k
    >>> data = bl.data.from_tonic(Ticks(), Ticks())
    >>> data.shape, data.train.labels.tolist(), data.train.inputs.load().step.tolist()
    ((1, 1, 4), [0, 1], [0, 1])
    """
    seconds = take_time("from_tonic", "dt", dt)
    parts = {"train": train, "test": test}
    for part, data in parts.items():
        if not (hasattr(data, "__len__") and hasattr(data, "__getitem__")) or isinstance(data, str | bytes):
            got, expected = type(data).__name__, "e.g. tonic.datasets.SHD(folder, train=True)"
            raise DataError("from_tonic", f"{part} is no data set", got=got, expected=expected)
    shape = _shape(parts, sensor_size)
    known = _classes(parts, classes)
    name = type(_root(train)).__name__
    samples, start, largest = [], 0, -1
    for part, data in parts.items():
        described = [MAGIC.decode(), str(cache_key), name, part, len(data), shape, seconds, known]
        events = _binned(
            f"tonic-{part}", _Source(data, f"{name}, {part}", known), Grid(shape, seconds), described, cache_key
        )
        samples.append(Samples(events, events.labels, np.arange(start, start + len(events))))
        start, largest = start + len(events), max(largest, int(events.labels.max(initial=-1)))
    names = tuple(known) if known is not None else tuple(map(str, range(largest + 1)))
    return DataSet(name, samples[0], samples[1], names)


@dataclass(frozen=True, eq=False)
class _Source:
    """Labels and recordings of a data set, one after the other."""

    data: Any
    name: str
    classes: list[str] | None

    def __iter__(self) -> Iterator[tuple[int, tuple[str, Any]]]:
        for k in range(len(self.data)):
            where = f"{self.name}, recording {k}"
            try:
                item = self.data[k]
            except Exception as error:  # of the data set, or of a transform in it
                raise DataError(
                    where,
                    "the data set cannot give it",
                    got=f"{type(error).__name__}: {error}",
                    expected=_EVENTS,
                    remedy="look at data_set[k] with this k; a transform may not take a recording without events",
                ) from error
            if not isinstance(item, tuple | list) or len(item) != 2:
                got = f"{len(item)} things" if isinstance(item, tuple | list) else type(item).__name__
                raise DataError(where, "this is not (events, label)", got=got, expected=_EVENTS)
            events, label = item
            if getattr(getattr(events, "dtype", None), "names", None) is None:
                shape = f" of shape {tuple(events.shape)}" if hasattr(events, "shape") else ""
                raise DataError(
                    where,
                    "these are no events",
                    got=f"{type(events).__name__}{shape}",
                    expected=_EVENTS,
                    remedy="leave ToFrame and its like out of the data set's transform: events are binned here",
                )
            yield self._label(where, label), (where, events)

    def _label(self, where: str, label: Any) -> int:
        if isinstance(label, bytes):
            label = label.decode(errors="replace")
        if isinstance(label, str):
            if self.classes is None or label not in self.classes:
                raise DataError(
                    where,
                    "the label is no class",
                    got=repr(str(label)),
                    expected="a whole number from 0 on" if self.classes is None else ", ".join(self.classes[:20]),
                    remedy="give classes=[...], the names of all classes",
                )
            return self.classes.index(label)
        if not is_whole(label) and getattr(label, "ndim", None) == 0 and hasattr(label, "item"):
            label = label.item()  # an array or tensor
        most = 2**31 if self.classes is None else len(self.classes)
        if not is_whole(label) or not 0 <= label < most:
            raise DataError(
                where,
                "the label is no class",
                got=repr(label),
                expected=f"a whole number from 0 to {most - 1}",
                remedy="give the data set a target_transform that makes it one, or classes=[...]",
            )
        return int(label)


def _binned(name: str, source: _Source, grid: Grid, described: list[Any], cache_key: str | None) -> StoredEvents:
    """The recordings of a part, from the cache where they have a key; else in a file that is named by its content."""
    folder = cache_folder("events")
    keyed = folder / f"{name}-{hashlib.sha256(repr(described).encode()).hexdigest()[:20]}.events"
    if cache_key is not None and keyed.is_file():
        return StoredEvents(keyed)
    recordings = with_progress(name, source, f"{len(source.data)} recordings")
    if cache_key is not None:
        return store(keyed, grid, recordings)
    stored = store(owned_path(folder / f"{name}.events"), grid, recordings)
    path = folder / f"{name}-{hashlib.sha256(stored.digest() + stored.labels.tobytes()).hexdigest()[:20]}.events"
    try:
        os.replace(stored.path, path)
    except OSError as error:
        stored.path.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    return StoredEvents(path)


def _root(data: Any) -> Any:
    """The data set inside of its wrappers."""
    for _ in range(DEEPEST):
        inside = getattr(data, "dataset", None)
        if inside is None:
            break
        data = inside
    return data


def _attribute(data: Any, name: str) -> Any:
    """Of the outermost wrapper that has it."""
    for _ in range(DEEPEST):
        found = getattr(data, name, None)
        if found is not None:
            return found
        data = getattr(data, "dataset", None)
    return None


def _shape(parts: dict[str, Any], given: Any) -> tuple[int, int, int]:
    sizes = {part: _attribute(data, "sensor_size") if given is None else given for part, data in parts.items()}
    for part, size in sizes.items():
        if size is None:
            raise DataError(
                "from_tonic",
                f"{part} has no sensor_size",
                got=f"{type(_root(parts[part])).__name__}, whose recordings may differ in size",
                expected="sensor_size=(width, height, polarities) that holds the largest one, e.g. (240, 180, 2)",
            )
        if (
            not isinstance(size, Sequence | np.ndarray)
            or len(size) != 3
            or not all(is_whole(n) and n > 0 for n in size)
        ):
            expected = "(width, height, polarities), e.g. (34, 34, 2)"
            raise DataError("from_tonic", "sensor_size is wrong", got=repr(size), expected=expected)
    if tuple(sizes["train"]) != tuple(sizes["test"]):
        got = f"{tuple(sizes['train'])} and {tuple(sizes['test'])}"
        raise DataError("from_tonic", "train and test differ in sensor_size", got=got, expected="one size")
    width, height, channels = (int(n) for n in sizes["train"])
    return channels, height, width


def _classes(parts: dict[str, Any], given: Any) -> list[str] | None:
    """Names of the classes, those of the data set where none are given; None where it has none."""
    found = given
    if found is None:
        found = next((c for data in parts.values() if (c := _attribute(data, "classes")) is not None), None)
    if found is None:
        targets = [t for data in parts.values() for t in (_attribute(data, "targets") or [])]
        found = sorted(set(targets)) if targets and all(isinstance(t, str) for t in targets) else None
    if found is None:
        return None
    names = [c.decode(errors="replace") if isinstance(c, bytes) else str(c) for c in found]
    if isinstance(found, str) or not names or len(set(names)) != len(names):
        raise DataError("from_tonic", "classes are wrong", got=repr(given), expected="one name for each class")
    return names
