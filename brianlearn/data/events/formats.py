"""File formats of event cameras, read into `RawEvents`: the five-byte events of N-MNIST, AEDAT 2.0 and 3.1, and .npy.

Every length in a file is checked: an error names the file and the byte where it stops making sense.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from brianlearn.data.arrays import parse_npy
from brianlearn.data.events.raw import LONGEST, RawEvents
from brianlearn.data.places import read_bytes
from brianlearn.data.unpacking import DamagedContentError
from brianlearn.errors import DataError

__all__ = ["read_aedat2", "read_aedat31", "read_five_bytes", "read_npy", "read_text_header"]

AGAIN = "copy or unpack the file again"

#: The y of five-byte events that say that the camera's clock has overflowed, and by how many microseconds.
OVERFLOW_ROW, OVERFLOW = 240, 2**13

#: Header of an AEDAT 3.1 packet: type, source, bytes per event, offset of the time, overflows of the time, capacity,
#: number of events, number of valid ones.
PACKET = np.dtype(
    [
        ("type", "<i2"),
        ("source", "<i2"),
        ("size", "<i4"),
        ("time_offset", "<i4"),
        ("overflow", "<i4"),
        ("capacity", "<i4"),
        ("number", "<i4"),
        ("valid", "<i4"),
    ]
)
POLARITY_EVENT, POLARITY_SIZE = 1, 8

#: Bits of a DVS128's address in AEDAT 2.0. Events of its external input (bit 15), and those that jAER adds (bit 31),
#: have no pixel; the other upper bits are 0.
SPECIAL_BITS, FOREIGN_BITS = 0x8000_8000, 0x7FFF_0000


def read_five_bytes(path: str | os.PathLike[str], width: int, height: int) -> RawEvents:
    """Read the format of N-MNIST: x, y, then one bit of polarity and 23 bits of time, the highest bit first.

    Parameters
    ----------
    path : path-like
    width, height : int
        Of the camera.

    Returns
    -------
    RawEvents

    Raises
    ------
    DataError
        A file that is missing, empty, truncated, or of another camera or format.
    """
    path = Path(path)
    content = read_bytes(path, "5 bytes for each event")
    if len(content) % 5:
        raise DataError(
            str(path),
            "the recording is truncated",
            got=f"the end of the file at byte {len(content)}, in an event that begins at byte {len(content) // 5 * 5}",
            expected="5 bytes for each event",
            remedy=AGAIN,
        )
    x, y, high, middle, low = np.frombuffer(content, np.uint8).reshape(-1, 5).astype(np.int64).T
    time = ((high & 127) << 16) | (middle << 8) | low
    overflow = y == OVERFLOW_ROW
    time += OVERFLOW * np.cumsum(overflow)
    return RawEvents(time, x, y, high >> 7).check(str(path), width, height, 5, valid=~overflow)


def read_text_header(path: Path, content: bytes, version: str, expected: str) -> int:
    """Where the header lines of an AEDAT file end.

    Raises
    ------
    DataError
        If the first line is not that of this version.
    """
    first = f"#!AER-DAT{version}".encode()
    if not content.startswith(first):
        raise DataError(
            str(path),
            f"this is not a file of {expected}",
            got=f"{content[:14]!r} at byte 0",
            expected=repr(first),
            remedy="check that the file belongs to this data set",
        )
    place = 0
    while content[place : place + 1] == b"#":
        end = content.find(b"\n", place)
        if end < 0:
            raise DataError(
                str(path), "the header is truncated", got=f"the end of the file at byte {len(content)}", remedy=AGAIN
            )
        line, place = content[place:end].rstrip(b"\r"), end + 1
        if line == b"#!END-HEADER":
            break
    return place


def read_aedat31(path: str | os.PathLike[str], width: int = 128, height: int = 128) -> RawEvents:
    """Read the polarity events of an AEDAT 3.1 file (format RAW), the format of DVS128 Gesture.

    Parameters
    ----------
    path : path-like
    width, height : int
        Of the camera.

    Returns
    -------
    RawEvents
        Events that are marked invalid, and packets of other types, are left out.

    Raises
    ------
    DataError
        A file that is missing, empty, truncated, without events, or of another format.

    References
    ----------
    .. [1] iniVation, AEDAT 3.1, https://docs.inivation.com (file formats)
    """
    path = Path(path)
    content = read_bytes(path, "a file in AEDAT 3.1")
    place = read_text_header(path, content, "3.1", "AEDAT 3.1")
    parts = []
    while place < len(content):
        if len(content) - place < PACKET.itemsize:
            raise _ends(path, content, f"{PACKET.itemsize} bytes of a packet header from byte {place} on")
        packet = np.frombuffer(content, PACKET, 1, place)[0]
        start, size, number = place + PACKET.itemsize, int(packet["size"]), int(packet["number"])
        wrong = size < 1 or number < 0 or packet["type"] < 0 or packet["overflow"] < 0
        if wrong or (packet["type"] == POLARITY_EVENT and (size != POLARITY_SIZE or packet["time_offset"] != 4)):
            raise DataError(
                str(path),
                "a packet header makes no sense",
                got=f"type {packet['type']}, {number} events of {size} bytes, time at {packet['time_offset']}, "
                f"{packet['overflow']} overflows of the clock, in the packet at byte {place}",
                expected=f"numbers >= 0; for polarity events {POLARITY_SIZE} bytes, with the time at 4",
                remedy=AGAIN,
            )
        place = start + size * number
        if place > len(content):
            raise _ends(path, content, f"{number} events of {size} bytes from byte {start} on")
        if packet["type"] != POLARITY_EVENT:
            continue
        data, low = np.frombuffer(content, "<u4", 2 * number, start).reshape(-1, 2).astype(np.int64).T
        time = (int(packet["overflow"]) << 31) | low
        events = RawEvents(time, data >> 17, (data >> 2) & 0x7FFF, (data >> 1) & 1)
        parts.append(events.check(str(path), width, height, POLARITY_SIZE, start, valid=data & 1 == 1))
    return _joined(path, parts, "polarity events")


def read_aedat2(path: str | os.PathLike[str], width: int = 128, height: int = 128) -> RawEvents:
    """Read the events of an AEDAT 2.0 file of a DVS128, the format in which CIFAR10-DVS was published.

    Big-endian pairs of an address and a time in microseconds, four bytes each. In the address, bits 14-8 are the row
    from below, 7-1 the column from the right, 0 the polarity, 0 for brighter: the address 0x0A28 is the pixel x = 107,
    y = 117, which becomes brighter. The clock has 32 bits and goes on modulo 2^32, in the order of the file.

    Parameters
    ----------
    path : path-like
    width, height : int
        Of the camera.

    Returns
    -------
    RawEvents
        As from other formats: columns from the left, rows from above, 1 for brighter; times from the first event's,
        which is in [0, 2^32), on. Events that have no pixel (external input: bit 15) are left out.

    Raises
    ------
    DataError
        A file that is missing, empty, truncated, without events, or of another format.

    References
    ----------
    .. [1] iniVation, AEDAT 2.0, https://docs.inivation.com (file formats)
    .. [2] jAER, DVS128.Extractor (flipped columns and polarity, special events), https://github.com/SensorsINI/jaer
    """
    path = Path(path)
    content = read_bytes(path, "a file in AEDAT 2.0")
    place = read_text_header(path, content, "2.0", "AEDAT 2.0")
    rest = len(content) - place
    if rest % 8:
        raise _ends(path, content, f"8 bytes for each event: the last one begins at byte {place + rest // 8 * 8}")
    address, clock = np.frombuffer(content, ">u4", rest // 4, place).reshape(-1, 2).T.astype(np.int64)
    foreign = address & FOREIGN_BITS != 0
    if foreign.any():
        k = int(np.argmax(foreign))
        raise DataError(
            str(path),
            "an address is none of a DVS128",
            got=f"{address[k]:#x} at byte {place + 8 * k}",
            expected="15 bits, and bits 15 and 31 for events that have no pixel",
            remedy="the file is damaged, or a recording of another camera",
        )
    column, row, off = address >> 1 & 0x7F, address >> 8 & 0x7F, address & 1
    events = RawEvents(_continued(clock), width - 1 - column, height - 1 - row, 1 - off)
    return _joined(path, [events.check(str(path), width, height, 8, place, address & SPECIAL_BITS == 0)], "events")


def _continued(clock: np.ndarray) -> np.ndarray:
    """Times of a clock of 32 bits, each the nearest to the one before that the clock can mean."""
    steps = np.diff(clock.astype(np.uint32)).view(np.int32)  # modulo 2^32
    return clock[:1] + np.concatenate([[0], np.cumsum(steps, dtype=np.int64)])[: len(clock)]


def read_npy(path: str | os.PathLike[str], unit: int, width: int, height: int) -> RawEvents:
    """Read an array with the columns x, y, polarity, time.

    Parameters
    ----------
    path : path-like
    unit : int
        Microseconds in one unit of its time.
    width, height : int
        Of the camera.

    Returns
    -------
    RawEvents

    Raises
    ------
    DataError
        A file that is missing, empty, truncated, or holds something else.
    """
    path = Path(path)
    content = read_bytes(path, "an array of n x 4 numbers")
    try:
        array = parse_npy(content)
    except DamagedContentError as error:
        raise DataError(
            str(path),
            "this is not a whole .npy file of numbers",
            got=error,
            expected="an array of n x 4 numbers",
            remedy=AGAIN,
        ) from error
    if array.ndim != 2 or array.shape[1] != 4 or array.dtype.kind not in "iufb" or not len(array):
        raise DataError(
            str(path),
            "the array holds no events",
            got=f"{array.dtype} {array.shape}, after the header at byte 0",
            expected="numbers, (n, 4): x, y, polarity, time",
        )
    row = array.dtype.itemsize * 4
    # negated, for NaN; what is whole and in this range fits into int64 in every unit
    wide = array.astype(np.longdouble)
    wrong = ~((np.abs(wide) <= LONGEST) & (wide == np.floor(wide))).all(axis=1)
    if wrong.any():
        k = int(np.argmax(wrong))
        raise DataError(
            str(path),
            "the array holds no whole numbers, or too large ones",
            got=f"{array[k].tolist()} in event {k} ({array.dtype})",
            expected=f"whole numbers up to {LONGEST}",
        )
    x, y, polarity, time = array.astype(np.int64).T
    if np.abs(time).max() > LONGEST // unit:
        raise DataError(
            str(path),
            "the time of an event makes no sense",
            got=f"{time[np.argmax(np.abs(time))]} in event {np.argmax(np.abs(time))}",
            expected=f"at most {LONGEST // unit} from 0",
            remedy=AGAIN,
        )
    return RawEvents(time * unit, x, y, polarity).check(str(path), width, height, row, len(content) - row * len(array))


def _joined(path: Path, parts: list[RawEvents], what: str) -> RawEvents:
    events = RawEvents.concatenate(parts)
    if not len(events):
        raise DataError(
            str(path), f"the file holds no {what}", got="only other content, up to its end", expected="at least one"
        )
    return events


def _ends(path: Path, content: bytes, expected: str) -> DataError:
    return DataError(
        str(path),
        "the file is truncated",
        got=f"the end of the file at byte {len(content)}",
        expected=expected,
        remedy=AGAIN,
    )
