"""AEDAT 4.0: Flatbuffers in packets, compressed or not.

A file holds a version line of 14 bytes; a size-prefixed IOHeader (compression, position of the data table, description
of the streams); packets, each with a stream number, a size and the content; and, at its end, a data table. The content
is a size-prefixed Flatbuffer, as one LZ4 or Zstandard frame where it is compressed. Packets of events have the
identifier EVTS and hold one vector of structs of 16 bytes: time (int64), x, y (int16), polarity (a byte).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np

from brianlearn.data.events.raw import RawEvents
from brianlearn.data.places import read_bytes
from brianlearn.data.unpacking import Allowance, DamagedContentError, unlz4, unzstd
from brianlearn.errors import DataError

__all__ = ["read_aedat4"]

VERSION = b"#!AER-DAT4.0\r\n"
EVENT = np.dtype(
    {
        "names": ["time", "x", "y", "polarity"],
        "formats": ["<i8", "<i2", "<i2", "u1"],
        "offsets": [0, 8, 10, 12],
        "itemsize": 16,
    }
)
NONE, LZ4, LZ4_HIGH, ZSTD, ZSTD_HIGH = range(5)


def read_aedat4(path: str | os.PathLike[str], width: int = 128, height: int = 128) -> RawEvents:
    """Read the events of an AEDAT 4.0 file.

    Parameters
    ----------
    path : path-like
    width, height : int
        Of the camera.

    Returns
    -------
    RawEvents
        Of all event streams of the file.

    Raises
    ------
    DataError
        A file that is missing, empty, truncated, without events, of another format, or compressed with something that
        is not installed (``pip install lz4 zstandard``).

    References
    ----------
    .. [1] iniVation, AEDAT 4.0, https://docs.inivation.com (file formats)
    """
    path = Path(path)
    content = read_bytes(path, "a file in AEDAT 4.0")
    if not content.startswith(VERSION):
        raise DataError(
            str(path), "this is not a file of AEDAT 4.0", got=f"{content[:14]!r} at byte 0", expected=repr(VERSION)
        )
    header = _Buffer(path, content, len(VERSION))
    unpack = _decompressor(path, header.scalar(0, "<i4", NONE), Allowance(len(content)))
    table = header.scalar(1, "<i8", -1)
    place, end = header.end, table if table > 0 else len(content)
    if end > len(content):
        raise _truncated(path, len(content), f"the data table at byte {table}")
    parts = []
    while place < end:
        if end - place < 8:
            raise _truncated(path, end, f"8 bytes of a packet header from byte {place} on")
        _, size = struct.unpack_from("<ii", content, place)
        if size < 0 or place + 8 + size > end:
            raise _truncated(path, end, f"a packet of {size} bytes from byte {place + 8} on")
        try:
            packet = unpack(content[place + 8 : place + 8 + size])
        except DamagedContentError as error:
            raise DataError(
                str(path),
                "a packet cannot be decompressed",
                got=f"{error}, in the packet at byte {place}",
                remedy="copy or unpack the file again",
            ) from error
        if packet[8:12] == b"EVTS":
            events = _Buffer(path, packet, 0, f"the packet at byte {place}").vector(0, EVENT)
            raw = RawEvents(events["time"], events["x"], events["y"], events["polarity"])
            parts.append(raw.check(f"{path}, packet at byte {place}", width, height))
        place += 8 + size
    if not any(len(part) for part in parts):
        raise DataError(str(path), "the file holds no events", got=f"the last packet ends at byte {place}")
    return RawEvents.concatenate(parts)


class _Buffer:
    """A size-prefixed Flatbuffer whose root is a table: what this format needs of it.

    The root offset leads to the table, which begins with the distance back to its vtable; the vtable lists, after two
    sizes, where in the table each field is, 0 for one that is left out.
    """

    def __init__(self, path: Path, content: bytes, start: int, where: str = "") -> None:
        self._path, self._content, self._where = path, content, where or f"the buffer at byte {start}"
        self.end = start + 4 + self._unpack("<I", start)
        self._base = start + 4
        self._table = self._base + self._unpack("<I", self._base)
        self._vtable = self._table - self._unpack("<i", self._table)
        self._fields = self._unpack("<H", self._vtable) // 2 - 2

    def scalar(self, field: int, kind: str, default: int) -> int:
        place = self._field(field)
        return self._unpack(kind.replace("i4", "i").replace("i8", "q"), place) if place else default

    def vector(self, field: int, dtype: np.dtype) -> np.ndarray:
        place = self._field(field)
        if not place:
            return np.zeros(0, dtype)
        start = place + self._unpack("<I", place)
        n = self._unpack("<I", start)
        if start + 4 + n * dtype.itemsize > len(self._content):
            raise self._damaged(f"{n} events at byte {start}")
        return np.frombuffer(self._content, dtype, n, start + 4)

    def _field(self, field: int) -> int:
        if field >= self._fields:
            return 0
        offset = self._unpack("<H", self._vtable + 4 + 2 * field)
        return self._table + offset if offset else 0

    def _unpack(self, kind: str, place: int) -> int:
        if place < 0 or place + struct.calcsize(kind) > len(self._content):
            raise self._damaged(f"an offset to byte {place} of {len(self._content)}")
        return struct.unpack_from(kind, self._content, place)[0]

    def _damaged(self, got: str) -> DataError:
        return DataError(
            str(self._path),
            "the file is truncated or damaged",
            got=f"{got}, in {self._where}",
            expected="offsets inside of the buffer",
            remedy="copy or unpack the file again",
        )


def _decompressor(path: Path, compression: int, allowance: Allowance) -> Callable[[bytes], bytes]:
    if compression == NONE:
        return lambda content: content
    if compression not in (LZ4, LZ4_HIGH, ZSTD, ZSTD_HIGH):
        raise DataError(
            str(path),
            "unknown compression",
            got=f"{compression} in the header at byte {len(VERSION)}",
            expected="0 to 4 (none, LZ4, Zstandard)",
        )
    package = "lz4" if compression in (LZ4, LZ4_HIGH) else "zstandard"
    try:
        import_module(package)
    except ImportError:
        raise DataError(
            str(path),
            f"the file is compressed, and {package} is not installed",
            got=f"compression {compression} in the header at byte {len(VERSION)}",
            remedy=f"pip install {package}",
        ) from None
    unpack = unlz4 if package == "lz4" else unzstd
    return lambda content: unpack(content, allowance)


def _truncated(path: Path, end: int, expected: str) -> DataError:
    return DataError(
        str(path),
        "the file is truncated",
        got=f"the end of the file at byte {end}",
        expected=expected,
        remedy="copy or unpack the file again",
    )
