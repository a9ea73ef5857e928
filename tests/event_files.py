"""Writes event recordings in the formats of cameras, from their documentation; no code in common with the readers."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np

#: time (microseconds), x, y, polarity
Event = tuple[int, int, int, int]


def some_events(n: int, seed: int = 0, side: int = 128, start: int = 0, length: int = 100_000) -> list[Event]:
    rng = np.random.default_rng(seed)
    times = np.sort(rng.integers(start, start + length, n))
    return [(int(t), *(int(v) for v in rng.integers(side, size=2)), int(rng.integers(2))) for t in times]


def five_bytes(events: list[Event]) -> bytes:
    return b"".join(((x << 32) | (y << 24) | (p << 23) | t).to_bytes(5, "big") for t, x, y, p in events)


def dvs128_address(x: int, y: int, p: int) -> int:
    """What the chip sends, by DVS128.Extractor of jAER: both axes from the other side, and 0 for an ON event."""
    return ((127 - y) << 8) | ((127 - x) << 1) | (1 - p)


def aedat2_records(records: list[tuple[int, int]]) -> bytes:
    """Of (address, time): both "always signed and big-endian", the time as far as 32 bits hold it."""
    header = (
        b"#!AER-DAT2.0\r\n# This is a raw AE data file - do not edit\r\n"
        b"# Data format is int32 address, int32 timestamp (8 bytes total), repeated for each event\r\n"
        b"# Timestamps tick is 1 us\r\n# created Thu Dec 03 14:47:00 CET 2015\r\n"
    )
    return header + b"".join(struct.pack(">ii", _int32(address), _int32(time)) for address, time in records)


def _int32(number: int) -> int:
    return (number + 2**31) % 2**32 - 2**31


def aedat2(events: list[Event]) -> bytes:
    return aedat2_records([(dvs128_address(x, y, p), t) for t, x, y, p in events])


def aedat31(events: list[Event], per_packet: int = 7, invalid: tuple[int, ...] = ()) -> bytes:
    header = (
        b"#!AER-DAT3.1\r\n#Format: RAW\r\n#Source 1: DVS128\r\n#Start-Time: 2016-11-22 16:22:42 (TZ+0100)\r\n"
        b"#!END-HEADER\r\n"
    )
    content = header + struct.pack("<hhiiiiii", 0, 1, 8, 4, 0, 1, 1, 1) + bytes(8)  # a special event
    for first in range(0, len(events), per_packet):
        # one packet holds times of one overflow
        for overflow in sorted({t >> 31 for t, *_ in events[first : first + per_packet]}):
            part = [
                (k, e) for k, e in enumerate(events[first : first + per_packet], start=first) if e[0] >> 31 == overflow
            ]
            n = len(part)
            content += struct.pack("<hhiiiiii", 1, 1, 8, 4, overflow, n, n, n)
            for k, (t, x, y, p) in part:
                content += struct.pack("<II", (x << 17) | (y << 2) | (p << 1) | (k not in invalid), t & 0x7FFFFFFF)
    return content


INFO = """<dv version="2.0"><node name="outInfo" path="/mainloop/Recorder/outInfo/">
<node name="0" path="/mainloop/Recorder/outInfo/0/"><attr key="compression" type="string">{0}</attr>
<attr key="originalModuleName" type="string">capture</attr><attr key="originalOutputName" type="string">events</attr>
<attr key="typeDescription" type="string">Array of events.</attr><attr key="typeIdentifier" type="string">EVTS</attr>
<node name="info" path="/mainloop/Recorder/outInfo/0/info/"><attr key="sizeX" type="int">128</attr>
<attr key="sizeY" type="int">128</attr><attr key="source" type="string">DVS128</attr></node></node></node></dv>"""


def _sized(buffer: bytes) -> bytes:
    return struct.pack("<I", len(buffer)) + buffer


def _header(compression: int) -> bytes:
    text = INFO.format(("NONE", "LZ4")[compression]).encode()
    # root offset, identifier, vtable of three fields, the table: back offset, compression, -1, offset of the text
    vtable = struct.pack("<HHHHH", 10, 24, 4, 8, 16)
    table_at = 8 + len(vtable) + 2
    table = struct.pack("<iiqIi", table_at - 8, compression, -1, 8, 0)
    buffer = struct.pack("<I4s", table_at, b"IOHE") + vtable + bytes(2) + table
    return _sized(buffer + struct.pack("<I", len(text)) + text + bytes(1))


def _packet(events: list[Event]) -> bytes:
    vtable = struct.pack("<HHH", 6, 8, 4)
    table_at = 8 + len(vtable) + 2
    # the structs begin at a multiple of 8, the length of the vector comes just before
    length_at = table_at + 12
    buffer = struct.pack("<I4s", table_at, b"EVTS") + vtable + bytes(2)
    buffer += struct.pack("<iI", table_at - 8, length_at - table_at - 4) + bytes(4) + struct.pack("<I", len(events))
    return _sized(buffer + b"".join(struct.pack("<qhhB3x", t, x, y, p) for t, x, y, p in events))


def aedat4(events: list[Event], per_packet: int = 50, compress: Callable[[bytes], bytes] | None = None) -> bytes:
    content = b"#!AER-DAT4.0\r\n" + _header(0 if compress is None else 1)
    for first in range(0, len(events), per_packet):
        packet = _packet(events[first : first + per_packet])
        packet = packet if compress is None else compress(packet)
        content += struct.pack("<ii", 0, len(packet)) + packet
    return content


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def npy(path: Path, events: list[Event]) -> Path:
    """Columns x, y, polarity, time in milliseconds, as tonic unpacks DVS128 Gesture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.array([(x, y, p, t // 1000) for t, x, y, p in events], np.float64))
    return path


#: Of the Spiking Heidelberg Digits, in the order of their labels.
SPOKEN = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"),
]


def spiking_digits(
    path: Path, n: int, seed: int = 0, kind: type = np.float16, classes: list[str] = SPOKEN
) -> list[tuple[np.ndarray, np.ndarray, int]]:
    """A file of the Spiking Heidelberg Digits or Speech Commands, by zenkelab.org; times, units and label of each.

    ``spikes/times[k]`` and ``spikes/units[k]`` are arrays of varying length, times in seconds; ``labels``; ``extra``
    with the speakers, the names of the classes (``keys``) and ``meta_info``.
    """
    import h5py

    rng, found = np.random.default_rng(seed), []
    for _ in range(n):
        size = int(rng.integers(30, 80))
        times = np.sort(rng.uniform(0, 1.2, size)).astype(kind)
        found.append((times, rng.integers(0, 700, size).astype(np.uint16), int(rng.integers(len(classes)))))
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, element, column in (("times", kind, 0), ("units", np.uint16, 1)):
            arrays = file.create_dataset(f"spikes/{name}", (n,), h5py.vlen_dtype(element))
            for k, recording in enumerate(found):
                arrays[k] = recording[column]
        file["labels"] = np.array([label for _, _, label in found], np.uint16)
        file["extra/speaker"] = rng.integers(0, 12, n).astype(np.uint16)
        file["extra/keys"] = np.array([name.encode() for name in classes])
        for name in ("gender", "age", "body_height"):
            file[f"extra/meta_info/{name}"] = np.zeros(12, np.uint16)
    return found
