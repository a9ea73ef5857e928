"""DVS128 Gesture (Amir et al. 2017): 11 gestures of 29 people, users 1 to 23 for training.

Two layouts: the official one, AEDAT 3.1 recordings of several gestures each with a table of their labels and times; and
that of tonic, one array for each gesture.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from brianlearn.data.dataset import DataSet
from brianlearn.data.download import download, unpack
from brianlearn.data.events.binned import binned, whole_number
from brianlearn.data.events.formats import read_aedat31, read_npy
from brianlearn.data.events.pipeline import Pipeline
from brianlearn.data.events.raw import RawEvents
from brianlearn.data.places import DATA_VARIABLE, find_folder, missing, natural, read_bytes
from brianlearn.errors import DataError
from brianlearn.machine.cache import cache_folder
from brianlearn.network.samples.samples import Samples

__all__ = ["CLASSES", "SIDE", "fetch_dvs_gesture", "find_dvs_gesture", "load_dvs_gesture", "read_labels"]

SIDE = 128
CLASSES = (
    "hand clapping",
    "right hand wave",
    "left hand wave",
    "right arm clockwise",
    "right arm counter-clockwise",
    "left arm clockwise",
    "left arm counter-clockwise",
    "arm roll",
    "air drums",
    "air guitar",
    "other gestures",
)
CONTENT = (
    "user01_fluorescent.aedat and user01_fluorescent_labels.csv, ... (official), "
    "or ibmGestureTrain and ibmGestureTest with user01_fluorescent/0.npy, ... (tonic)"
)
LAST_TRAINING_USER, LAST_USER = 23, 29
_USER = re.compile(r"user(\d+)_\w+")
#: What int64 holds.
_WHOLE = re.compile(rb"[0-9]{1,18}")
_QUOTED = re.compile(rb'^"([^"]*)"$')
_COLUMNS = ["class", "startTime_usec", "endTime_usec"]
_TONIC = {"train": "ibmGestureTrain", "test": "ibmGestureTest"}
#: The recordings as tonic packs them: folder, address and checksum of its archive. figshare.com itself answers
#: programs with an empty page.
ARCHIVES = (
    ("ibmGestureTrain", "https://api.figshare.com/v2/file/download/38022171", "3a8f0d4120a166bac7591f77409cb105"),
    ("ibmGestureTest", "https://api.figshare.com/v2/file/download/38020584", "56070e45dadaa85fff82e0fbfbc06de5"),
)


def fetch_dvs_gesture() -> Path:
    """Download both archives, in tonic's layout, into the cache and unpack them there; the folder."""
    folder = cache_folder() / "dvs_gesture"
    for part, url, md5 in ARCHIVES:
        if not (folder / part).is_dir():
            remedy = (
                f"unpack {part}.tar.gz into {folder}, or the recordings into a folder DvsGesture under {DATA_VARIABLE}"
            )
            unpack(download("dvs_gesture", url, md5, cache_folder(), remedy, f"{part}.tar.gz"), folder / part, part)
    return folder


def find_dvs_gesture(path: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder of the recordings; None where it is not on this machine."""
    return find_folder(
        "dvs_gesture",
        ("DvsGesture", "DVSGesture", "dvs_gesture"),
        path,
        lambda folder: (folder / _TONIC["train"]).is_dir() or any(folder.glob("user*.aedat")),
        CONTENT,
    )


def read_labels(path: Path) -> list[tuple[int, int, int]]:
    """Read a table of labels, in ASCII; blank lines and a byte-order mark are passed over.

    Returns
    -------
    list of (int, int, int)
        Label from 0 on, start and end in microseconds.

    Raises
    ------
    DataError
        Another table, an unknown class, or an end before its start, naming file and line.
    """
    content = read_bytes(path, f"a table {','.join(_COLUMNS)}")
    found: list[tuple[int, int, int]] = []
    place = len(content) - len(content.removeprefix(codecs.BOM_UTF8))
    for number, line in enumerate(content[place:].splitlines(keepends=True), start=1):
        where, place = place, place + len(line)
        cells = [_QUOTED.sub(rb"\1", cell.strip()) for cell in line.split(b",")]
        if number == 1:
            if cells != [column.encode() for column in _COLUMNS]:
                got = f"{line[:80]!r} at byte {where}"
                raise DataError(str(path), "this is not a table of labels", got=got, expected=",".join(_COLUMNS))
            continue
        if not line.strip():
            continue
        if len(cells) != 3 or not all(_WHOLE.fullmatch(cell) for cell in cells):
            raise DataError(
                str(path),
                "a row holds no label",
                got=f"{line[:80]!r} in line {number}, byte {where}",
                expected="three whole numbers",
            )
        label, start, end = map(int, cells)
        if not 1 <= label <= len(CLASSES) or end <= start:
            raise DataError(
                str(path),
                "a label makes no sense",
                got=f"class {label} from {start} to {end} in line {number}, byte {where}",
                expected=f"class 1 to {len(CLASSES)}, and an end after the start",
            )
        found.append((label - 1, start, end))
    return found


def load_dvs_gesture(pipeline: Pipeline, path: str | os.PathLike[str] | None = None) -> DataSet:
    """Load DVS128 Gesture, or a part of it.

    Parameters
    ----------
    pipeline : Pipeline
    path : path-like, optional
        The folder with the recordings of either layout.

    Returns
    -------
    DataSet
        Recordings on disk, of several seconds each; times count from the start of the gesture.

    Raises
    ------
    DataError
        Files that are missing, damaged or have no label.
    """
    folder = find_dvs_gesture(path) or missing("dvs_gesture", "DvsGesture", CONTENT)
    unpacked = (folder / _TONIC["train"]).is_dir()
    parts, start = [], 0
    for name in ("train", "test"):
        files = _unpacked(folder, name) if unpacked else _official(folder, name)
        if not files:
            raise DataError(
                str(folder),
                f"the folder holds no {name} recordings",
                expected=CONTENT,
                remedy=f"users 1 to {LAST_TRAINING_USER} are for training, the others for testing",
            )

        def recordings(files: list[Path] = files) -> Iterator[tuple[int, RawEvents]]:
            for file in files:
                yield from _from_array(file) if unpacked else _from_aedat(file)

        tables = [] if unpacked else [_table(file) for file in files]
        events = binned(f"dvs_gesture-{name}", [*files, *tables], pipeline, recordings)
        parts.append(Samples(events, events.labels, np.arange(start, start + len(events))))
        start += len(events)
    return DataSet("dvs_gesture", parts[0], parts[1], CLASSES)


def _user(file: Path, text: str) -> int:
    match = _USER.fullmatch(text)
    return whole_number(match.group(1) if match else text, 1, LAST_USER, file, "the user in its name")


def _unpacked(folder: Path, name: str) -> list[Path]:
    files = sorted((folder / _TONIC[name]).glob("*/*.npy"), key=lambda file: (file.parent.name, natural(file)))
    for file in files:
        if (_user(file, file.parent.name) <= LAST_TRAINING_USER) != (name == "train"):
            raise DataError(
                str(file),
                "the recording is in the wrong part of the data set",
                got=f"{file.parent.name} in {file.parent.parent.name}",
                expected=f"users 1 to {LAST_TRAINING_USER} in {_TONIC['train']}, the others in {_TONIC['test']}",
            )
    return files


def _official(folder: Path, name: str) -> list[Path]:
    files = sorted(folder.glob("user*.aedat"), key=natural)
    return [file for file in files if (_user(file, file.stem) <= LAST_TRAINING_USER) == (name == "train")]


def _table(file: Path) -> Path:
    return file.with_name(f"{file.stem}_labels.csv")


def _from_array(file: Path) -> Iterator[tuple[int, RawEvents]]:
    label = whole_number(file.stem, 0, len(CLASSES) - 1, file, "its name")
    events = read_npy(file, 1000, SIDE, SIDE).sorted()
    yield label, events.since(int(events.time[0]))


def _from_aedat(file: Path) -> Iterator[tuple[int, RawEvents]]:
    labels = read_labels(_table(file))
    events = read_aedat31(file, SIDE, SIDE).sorted()
    for label, start, end in labels:
        first, last = np.searchsorted(events.time, [start, end])
        if first == last:
            raise DataError(
                str(_table(file)),
                "a label has no events",
                got=f"class {label + 1} from {start} to {end}; {file.name} has events from {events.time[0]} to "
                f"{events.time[-1]}",
                expected="times inside the recording",
                remedy="check that table and recording belong together",
            )
        yield label, events[first:last].since(start)
