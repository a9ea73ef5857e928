"""Binned recordings in one file on disk, read when they are run: a data set never has to fit into memory.

The file holds, little-endian: a magic number (16 bytes); the events of each recording, as step x inputs + input in 4 or
8 bytes each; the index, one `INDEX` record for each recording; the shape and a checksum of the index (`TAIL`).
"""

from __future__ import annotations

import hashlib
import math
import os
import zlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from brianlearn.errors import DataError
from brianlearn.machine.leftovers import owned_path
from brianlearn.network.samples.samples import Events, Recordings
from brianlearn.work import working

__all__ = ["MAGIC", "Binning", "StoredEvents", "cannot_write", "store"]

MAGIC = b"brianlearn-ev02\n"
INDEX = np.dtype(
    [("offset", "<i8"), ("events", "<i8"), ("duration", "<i8"), ("width", "<i4"), ("label", "<i4"), ("crc", "<u4")]
)
TAIL = np.dtype([("shape", "<i4", (3,)), ("recordings", "<i8"), ("crc", "<u4"), ("magic", "S16")])
REMEDY = "delete it: it is made again from the recordings"


class StoredEvents(Recordings):
    """Recordings of a file that `store` wrote; only the index is in memory.

    Parameters
    ----------
    path : path-like

    Attributes
    ----------
    path : pathlib.Path
    labels : numpy.ndarray of int64, shape (n,)
    shape : tuple of int

    Raises
    ------
    DataError
        A file that is missing, truncated or damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.shape, self._index = _read_index(self.path)
        self._start = np.zeros(len(self._index), np.int64)

    @property
    def labels(self) -> np.ndarray:
        """The label of each recording, int64 (n,)."""
        return self._index["label"].astype(np.int64)

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, index: Any) -> StoredEvents:
        chosen = np.arange(len(self))[index]
        return self._with(self._index[chosen], self._start[chosen])

    @property
    def durations(self) -> np.ndarray:
        return np.maximum(self._index["duration"] - self._start, 0)

    @property
    def n_events(self) -> np.ndarray:
        return self._index["events"].astype(np.int64)

    def window(self, start: np.ndarray) -> StoredEvents:
        return self._with(self._index, self._start + np.asarray(start, np.int64))

    def dense(self, n_steps: int) -> np.ndarray:
        result = np.zeros((len(self), n_steps, int(np.prod(self.shape))), bool)
        with self._open() as fd:
            for k in range(len(self)):
                step, neuron = self._read(fd, k)
                inside = (step >= 0) & (step < n_steps)
                result[k, step[inside], neuron[inside]] = True
        return result

    def load(self) -> Events:
        steps, neurons = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        with self._open() as fd:
            for k in range(len(self)):
                step, neuron = self._read(fd, k)
                steps.append(step[step >= 0])
                neurons.append(neuron[step >= 0])
        offsets = np.cumsum([len(step) for step in steps])
        return Events(np.concatenate(steps), np.concatenate(neurons), offsets, self.shape)

    def digest(self) -> bytes:
        found = hashlib.sha256(repr(self.shape).encode())
        for array in (self._index["crc"], self._index["events"], self._start):
            found.update(np.ascontiguousarray(array).tobytes())
        return found.digest()

    def _with(self, index: np.ndarray, start: np.ndarray) -> StoredEvents:
        new = object.__new__(StoredEvents)
        new.path, new.shape, new._index, new._start = self.path, self.shape, index, start
        return new

    def _open(self) -> Any:
        try:
            return open(self.path, "rb", buffering=0)
        except OSError as error:
            raise DataError(str(self.path), "binned events cannot be read", got=error.strerror) from error

    def _read(self, file: Any, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Steps and neurons of one recording, checked."""
        entry = self._index[k]
        file.seek(int(entry["offset"]))
        content = _whole(file, int(entry["events"]) * int(entry["width"]))
        if zlib.crc32(content) != entry["crc"]:
            raise DataError(
                str(self.path),
                "binned events are damaged",
                got=f"a wrong checksum of the {entry['events']} events from byte {entry['offset']} on",
                expected=f"{entry['crc']:08x}",
                remedy=REMEDY,
            )
        codes = np.frombuffer(content, f"<u{entry['width']}").astype(np.int64)
        step, neuron = np.divmod(codes, math.prod(self.shape))
        if len(step) and step.max() + 1 != entry["duration"]:
            raise DataError(
                str(self.path),
                "binned events are damaged",
                got=f"events up to time step {step.max()}, from byte {entry['offset']} on, with the shape {self.shape}",
                expected=f"up to {entry['duration'] - 1}, as the index at the end of the file says",
                remedy=REMEDY,
            )
        return step - self._start[k], neuron


def _read_index(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            magic = file.read(len(MAGIC))
            file.seek(max(size - TAIL.itemsize, 0))
            end = file.read(TAIL.itemsize)
            tail = np.frombuffer(end, TAIL)[0] if len(end) == TAIL.itemsize else None
            if magic != MAGIC or tail is None or tail["magic"] != MAGIC:
                raise DataError(
                    str(path),
                    "this is not a whole file of binned events",
                    got=f"{magic!r} at byte 0, {size} bytes",
                    expected=f"{MAGIC!r} at its start and end",
                    remedy=REMEDY,
                )
            place = size - TAIL.itemsize - int(tail["recordings"]) * INDEX.itemsize
            inside = len(MAGIC) <= place <= size - TAIL.itemsize
            file.seek(place if inside else size)
            content = file.read(size - TAIL.itemsize - place if inside else 0)
    except OSError as error:
        raise DataError(str(path), "binned events cannot be read", got=error.strerror) from error
    if not inside or zlib.crc32(content) != tail["crc"]:
        raise DataError(
            str(path),
            "the index of the binned events is damaged",
            got=f"a wrong checksum from byte {place} on",
            expected=f"{tail['crc']:08x}",
            remedy=REMEDY,
        )
    shape, index = tuple(int(n) for n in tail["shape"]), np.frombuffer(content, INDEX)
    right = (index["events"] >= 0) & (index["events"] <= size) & ((index["width"] == 4) | (index["width"] == 8))
    right &= (index["offset"] >= len(MAGIC)) & (index["offset"] + index["events"] * index["width"] <= place)
    if min(shape) < 1 or math.prod(shape) >= 2**62 or not right.all():
        raise DataError(
            str(path),
            "the index of the binned events makes no sense",
            got=f"shape {shape}" if right.all() else f"{index[np.argmin(right)]} for recording {np.argmin(right)}",
            expected="a shape of three numbers > 0, and events inside of the file",
            remedy=REMEDY,
        )
    return shape, index


def _whole(file: Any, size: int) -> bytes:
    """So many bytes, less at the end of the file only: a raw file may give less at once."""
    pieces = []
    while size and (piece := file.read(size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


class Binning(Protocol):
    """What makes inputs and time steps of a recording, such as a `Pipeline`."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the network's input: channels, rows, columns."""

    def codes(self, recording: Any, /) -> np.ndarray:
        """Events as step x inputs + flat index of the input, in this order; int64."""


@working()
def store(path: Path, pipeline: Binning, recordings: Iterable[tuple[int, Any]]) -> StoredEvents:
    """Bin recordings, one after the other, into a file that appears when it is whole.

    Parameters
    ----------
    path : pathlib.Path
    pipeline : Binning
    recordings : iterable of (int, recording)
        Label and what the pipeline takes; one at a time is in memory.

    Returns
    -------
    StoredEvents

    Raises
    ------
    DataError
        A file that cannot be written; what ``recordings`` raises. Nothing is left behind then.
    """
    shape, index = pipeline.shape, []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error
    half = owned_path(path)
    try:
        with half.open("xb") as file:
            file.write(MAGIC)
            for label, events in recordings:
                codes = pipeline.codes(events)
                width = 4 if not len(codes) or codes[-1] < 2**32 else 8
                content = codes.astype(f"<u{width}").tobytes()
                duration = int(codes[-1]) // int(np.prod(shape)) + 1 if len(codes) else 0
                index.append((file.tell(), len(codes), duration, width, label, zlib.crc32(content)))
                file.write(content)
            content = np.array(index, INDEX).tobytes()
            file.write(content)
            file.write(np.array([(shape, len(index), zlib.crc32(content), MAGIC)], TAIL).tobytes())
        os.replace(half, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            half.unlink(missing_ok=True)
    return StoredEvents(path)


def cannot_write(path: Path, error: OSError) -> DataError:
    """What is raised where a file of binned events cannot be written."""
    return DataError(
        str(path),
        "binned events cannot be written",
        got=error.strerror or str(error),
        expected="a folder that can be written to, with enough space",
        remedy="set BRIANLEARN_CACHE to another folder",
    )
