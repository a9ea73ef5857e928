"""Small real files of every format, ways to damage them, and how each is read.

Some files are written here by their documentation (event_files.py), others by the package itself or by the library
whose format it is; what a reader makes of a damaged one is data or a `BrianLearnError`, and nothing else.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import event_files as files
import numpy as np
from hypothesis import strategies as st

import brianlearn as bl
from brianlearn.data.cifar10 import read_batch
from brianlearn.data.dvs_gesture import read_labels
from brianlearn.data.events.aedat4 import read_aedat4
from brianlearn.data.events.formats import read_aedat2, read_aedat31, read_five_bytes, read_npy
from brianlearn.data.events.pipeline import Pipeline
from brianlearn.data.events.stored import StoredEvents, store
from brianlearn.data.idx import read_idx
from brianlearn.training.result import Result
from brianlearn.training.run_folder import RunFolder

#: What a file becomes.
Mutation = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes
    ----------
    content : bytes
        A whole one.
    read : callable
        Reads the file at a path, whose other files are whole.
    name : str
        What it is called in its folder.
    """

    content: bytes
    read: Callable[[Path], Any]
    name: str = "file"


def train(runs: Path) -> Path:
    """The folder of a small run with everything in it."""
    spec = bl.NetworkSpec(
        bl.Input((1, 8, 8)),
        [bl.Conv(2, 3, bl.DaltonIF(), pool=2), bl.Dense(5, bl.CubaLIF())],
        bl.Readout(10),
        duration=0.005 * bl_second(),
    )
    experiment = bl.Experiment(
        spec, rule=bl.DALTON(), optimiser=bl.Adam(1e-3), data="digits", epochs=2, limit=4, test_limit=2, batch_size=2,
        device="numpy", runs=runs, augment=bl.RandomAffine(rotation=5), validation=2,
    )  # fmt: skip
    return experiment.run(progress=False).run


def bl_second() -> Any:
    from brian2 import second

    return second


def formats(folder: Path) -> dict[str, Format]:
    """All formats; ``folder`` is one to work in, with a run folder ``run`` in it."""
    rng = np.random.default_rng(0)
    events = files.some_events(30)
    images = rng.integers(0, 256, (3, 5, 4)).astype(np.uint8)
    idx = bytes((0, 0, 8, 3)) + np.array(images.shape, ">u4").tobytes() + images.tobytes()
    records = [bytes([k]) + bytes(rng.integers(0, 256, 3072).astype(np.uint8)) for k in range(2)]
    batch = {b"data": rng.integers(0, 256, (2, 3072)).astype(np.uint8), b"labels": [3, 7], b"batch_label": b"1 of 5"}
    array = io.BytesIO()
    np.save(array, np.array([(x, y, p, t // 1000) for t, x, y, p in events], np.int64))
    recordings = [(k, bl.RawEvents(*np.array(files.some_events(9, k, side=6)).T)) for k in range(3)]
    stored = store(folder / "made.events", Pipeline(6, 6, 1e-3), recordings).path.read_bytes()
    table = b"class,startTime_usec,endTime_usec\n1,100,200\n9,300,900\n11,850,1200\n"
    found = {
        "idx": Format(idx, lambda path: read_idx(path, 3)),
        "idx.gz": Format(gzip.compress(idx), lambda path: read_idx(path, 3)),
        "cifar10 binary": Format(b"".join(records), read_batch, "data_batch_1.bin"),
        **{
            f"cifar10 pickle {protocol}": Format(pickle.dumps(batch, protocol), read_batch, "data_batch_1")
            for protocol in (0, 2, 5)
        },
        "npy": Format(array.getvalue(), lambda path: read_npy(path, 1000, 128, 128)),
        "n-mnist": Format(files.five_bytes(events), lambda path: read_five_bytes(path, 128, 128)),
        "aedat2": Format(files.aedat2(events), read_aedat2),
        "aedat31": Format(files.aedat31(events), read_aedat31),
        "aedat4": Format(files.aedat4(events, 10), read_aedat4),
        "labels": Format(table, read_labels),
        "stored events": Format(stored, lambda path: StoredEvents(path).load()),
        **_compressed(events),
    }
    run = folder / "run"
    reads: dict[str, Callable[[Path], Any]] = {
        "config.json": lambda path: bl.Experiment.from_run(path.parent),
        "versions.json": lambda path: RunFolder.open(path.parent).versions(),
        "metrics.jsonl": lambda path: RunFolder.open(path.parent).metrics(),
        "result.json": lambda path: Result.read(RunFolder.open(path.parent)),
        "weights.npz": lambda path: RunFolder.open(path.parent).weights(),
        "checkpoint.npz": lambda path: RunFolder.open(path.parent).checkpoint(),
    }
    found |= {name: Format((run / name).read_bytes(), read, name) for name, read in reads.items()}
    packed = io.BytesIO()
    np.savez_compressed(packed, **RunFolder.open(run).weights())
    return found | {"weights.npz, deflated": Format(packed.getvalue(), reads["weights.npz"], "weights.npz")}


def _compressed(events: list[files.Event]) -> dict[str, Format]:
    try:
        import lz4.frame
        import zstandard
    except ImportError:
        return {}
    zstd = bytearray(files.aedat4(events, 10, zstandard.compress))
    # the writer says LZ4 for everything that is compressed: its header's only number that is 1, at the same place
    plain, packed = files.aedat4([], 10), files.aedat4([], 10, zstandard.compress)
    place = next(k for k, (a, b) in enumerate(zip(plain, packed, strict=False)) if (a, b) == (0, 1))
    zstd[place] = 3
    return {
        "aedat4, LZ4": Format(files.aedat4(events, 10, lz4.frame.compress), read_aedat4),
        "aedat4, Zstandard": Format(bytes(zstd), read_aedat4),
    }


# Damage ---------------------------------------------------------------------------------------------------------------

#: Integers at which counters, lengths and offsets go wrong.
EDGES = (0, 1, 2, 7, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**64 - 1)
#: What a text may hold instead of a number or a word.
WORDS = (
    b"", b"-1", b"0", b"1e999", b"-1e999", b"NaN", b"Infinity", b"null", b"true", b"[]", b"{}", b'"', b"\\ud800",
    b"\xff",
    b"\xef\xbb\xbf", b"\0", b"(", b"[" * 300, b"9" * 30, b"9" * 5000, b"1e308", b"1e-308", b"'", b"\n", b"\r\n\r\n",
    b",,,",
    "\u00b2".encode(), "\u0664".encode(), b"2**99", b"#", b"0x10",
)  # fmt: skip


def _at(fraction: float, size: int) -> int:
    return min(int(fraction * size), size - 1) if size else 0


KINDS = ("flip", "byte", "cut", "insert", "splice", "drop", "number", "word", "digits")
CODES = ("<B", "<H", ">H", "<I", ">I", "<Q", ">Q")


@dataclass(frozen=True)
class Damage:
    """One way to damage a file; places are fractions of its size."""

    kind: str
    where: float
    other: float
    edge: int
    small: int
    code: str
    word: bytes

    def __call__(self, content: bytes) -> bytes:
        k, j, small = _at(self.where, len(content)), _at(self.other, len(content)), self.small
        number = struct.pack(self.code, self.edge % 2 ** (8 * struct.calcsize(self.code)))
        match self.kind:
            case "flip":
                return content[:k] + bytes([(content[k] if content else 0) ^ (1 << small % 8)]) + content[k + 1 :]
            case "byte":
                return content[:k] + bytes([small]) + content[k + 1 :]
            case "cut":
                return content[:k]
            case "insert":
                return content[:k] + number + content[k:]
            case "splice":
                return content[:k] + content[j : j + small] + content[k:]
            case "drop":
                return content[:k] + content[k + small :]
            case "number":
                return content[:k] + number + content[k + len(number) :]
            case "word":
                return content[:k] + self.word + content[k + small % 8 :]
            case _:
                return _other_number(content, k, str(self.edge).encode() if small % 2 else self.word)

    @staticmethod
    def several(rng: random.Random) -> list[Mutation]:
        """One to three, without hypothesis, which takes longer to draw than most files to read."""
        return [Damage.drawn(rng) for _ in range(rng.randint(1, 3))]

    @staticmethod
    def drawn(rng: random.Random) -> Damage:
        """One, often in the file's first bytes."""
        where = rng.random() * rng.choice((1.0, 1.0, 0.1))
        other, small = rng.random(), rng.randrange(256)
        return Damage(rng.choice(KINDS), where, other, rng.choice(EDGES), small, rng.choice(CODES), rng.choice(WORDS))


FRACTIONS = st.floats(0, 1, exclude_max=True)


def damages() -> st.SearchStrategy[list[Damage]]:
    """As `Damage.several`, of which hypothesis finds the simplest that fails."""
    drawn = (FRACTIONS, st.sampled_from(EDGES), st.integers(0, 255), st.sampled_from(CODES), st.sampled_from(WORDS))
    where = st.one_of(FRACTIONS, st.floats(0, 0.1))
    return st.lists(st.builds(Damage, st.sampled_from(KINDS), where, *drawn), min_size=1, max_size=3)


def _other_number(content: bytes, start: int, new: bytes) -> bytes:
    """The next number in a text, another one."""
    first = next((k for k in range(start, len(content)) if content[k : k + 1].isdigit()), len(content))
    last = first
    while last < len(content) and content[last : last + 1] in b"0123456789.e-":
        last += 1
    return content[:first] + new + content[last:]


#: Values that a config may hold instead of its own.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 0.5, -0.5, 1e30, 1e300, -1e300, 1e-300, 5e-324, 10**20, 10**400, -(10**400),
    2**31, 2**63, "", "a", "1", "v", "\u00e9", "second", "numpy", "cpu", "float16", "1/0", "v > 1 and", "2**9**9",
    "rand()",
    "\0",
    [], {}, [[]], [1], [1, 2, 3], [0, 0, 0], ["a"], [None], {"a": 1}, {"$type": "Adam"}, {"$type": 3}, {"$type": []},
    {"$type": "float", "value": "inf"}, {"$type": "float", "value": "nan"},
    {"$type": "Quantity", "value": 1, "unit": "second"}, {"$type": "Quantity", "value": 1e400, "unit": "volt"},
    {"$type": "Quantity", "value": 0, "unit": "second"}, {"$type": "Quantity", "value": -1, "unit": "second"},
    {"$type": "Quantity", "value": 10**400, "unit": "second"},
    {"$type": "Quantity", "value": 1e-300, "unit": "second"},
    {"$type": "Quantity", "value": 1e300, "unit": "second"},
    {"$type": "Quantity", "value": 1, "unit": "second ** 1e300"},
    {"$type": "Quantity", "value": [1, 2], "unit": "second"},
    {"$type": "Quantity", "value": 1, "unit": "second ** 99999"},
    {"$type": "array", "dtype": "float64", "value": [10**400]},
    {"$type": "array", "dtype": "int8", "value": [300]},
    {"$type": "array", "dtype": "float64,", "value": []}, {"$type": "array", "dtype": "(2,)f8", "value": [1]},
)  # fmt: skip


def places(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is a value in a JSON text."""
    if path:
        yield path
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from places(value, (*path, key))


CHANGES = ("set", "set", "set", "drop", "scale", "twice", "swap")


@dataclass(frozen=True)
class OtherValue:
    """Another value, or none, somewhere in a JSON text."""

    kind: str
    where: float
    other: float
    value: Any

    def __call__(self, content: bytes) -> bytes:
        data = json.loads(content)
        found = list(places(data))
        path = found[_at(self.where, len(found))]
        parent = data
        for key in path[:-1]:
            parent = parent[key]
        now = parent[path[-1]]
        if self.kind == "drop":
            del parent[path[-1]]
        elif self.kind == "scale" and isinstance(now, int | float):
            parent[path[-1]] = now * 10**300
        elif self.kind == "twice" and isinstance(now, list | str):
            parent[path[-1]] = now + now
        elif self.kind == "swap":
            source = data
            for key in found[_at(self.other, len(found))]:
                source = source[key]
            parent[path[-1]] = json.loads(json.dumps(source))
        else:
            parent[path[-1]] = self.value
        return json.dumps(data).encode()

    @staticmethod
    def several(rng: random.Random) -> list[Mutation]:
        """One of them."""
        return [OtherValue(rng.choice(CHANGES), rng.random(), rng.random(), rng.choice(VALUES))]


def other_values() -> st.SearchStrategy[list[OtherValue]]:
    """As `OtherValue.several`."""
    one = st.builds(OtherValue, st.sampled_from(CHANGES), FRACTIONS, FRACTIONS, st.sampled_from(VALUES))
    return st.lists(one, min_size=1, max_size=1)
