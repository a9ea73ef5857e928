"""N-MNIST: MNIST digits before an event camera (Orchard et al. 2015), from its official binary files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from brianlearn.data.dataset import DataSet
from brianlearn.data.download import download, unpack
from brianlearn.data.events.binned import binned, whole_number
from brianlearn.data.events.formats import read_five_bytes
from brianlearn.data.events.pipeline import Pipeline
from brianlearn.data.events.raw import RawEvents
from brianlearn.data.places import DATA_VARIABLE, find_folder, missing
from brianlearn.errors import DataError
from brianlearn.machine.cache import cache_folder
from brianlearn.network.samples.samples import Samples

__all__ = ["CLASSES", "SIDE", "fetch_nmnist", "find_nmnist", "load_nmnist"]

SIDE = 34
CLASSES = tuple(map(str, range(10)))
CONTENT = "Train and Test, which hold <class>/<index>.bin"
#: Mendeley Data 468j46mzdv: part, address and checksum of its archive.
SITE = "https://data.mendeley.com/public-files/datasets/468j46mzdv/files"
ARCHIVES = (
    ("Train", f"{SITE}/39c25547-014b-4137-a934-9d29fa53c7a0/file_downloaded", "20959b8e626244a1b502305a9e6e2031"),
    ("Test", f"{SITE}/05a4d654-7e03-4c15-bdfa-9bb2bcbea494/file_downloaded", "69ca8762b2fe404d9b9bad1103e97832"),
)


def fetch_nmnist() -> Path:
    """Download both archives into the cache and unpack them there; the folder."""
    folder = cache_folder() / "nmnist"
    for part, url, md5 in ARCHIVES:
        if not (folder / part).is_dir():
            remedy = f"unpack {part}.zip of N-MNIST into {folder}, or into a folder NMNIST under {DATA_VARIABLE}"
            unpack(download("nmnist", url, md5, cache_folder(), remedy, f"nmnist-{part}.zip"), folder / part, part)
    return folder


def find_nmnist(path: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder with ``Train`` and ``Test``; None where it is not on this machine."""
    return find_folder(
        "nmnist",
        ("NMNIST", "nmnist", "N-MNIST"),
        path,
        lambda folder: (folder / "Train").is_dir() and (folder / "Test").is_dir(),
        CONTENT,
    )


def load_nmnist(pipeline: Pipeline, path: str | os.PathLike[str] | None = None) -> DataSet:
    """Load N-MNIST, or a part of it.

    Parameters
    ----------
    pipeline : Pipeline
    path : path-like, optional
        The folder with ``Train`` and ``Test``, which hold ``<class>/<index>.bin``.

    Returns
    -------
    DataSet
        Recordings on disk, in the order of MNIST. One lasts about 300 ms.

    Raises
    ------
    DataError
        Files that are missing, damaged or have no label.
    """
    folder = find_nmnist(path) or missing("nmnist", "NMNIST", CONTENT)
    parts, start = [], 0
    for name in ("Train", "Test"):
        files = sorted(folder.glob(f"{name}/*/*.bin"), key=lambda file: (file.stem, file.parent.name))
        if not files:
            raise DataError(str(folder / name), "the folder holds no recordings", expected=f"{name}/0/00002.bin, ...")
        labels = [whole_number(file.parent.name, 0, 9, file, "the name of its folder") for file in files]

        def recordings(files: list[Path] = files, labels: list[int] = labels) -> Iterator[tuple[int, RawEvents]]:
            for file, label in zip(files, labels, strict=True):
                yield label, read_five_bytes(file, SIDE, SIDE)

        events = binned(f"nmnist-{name.lower()}", files, pipeline, recordings)
        parts.append(Samples(events, events.labels, np.arange(start, start + len(events))))
        start += len(events)
    return DataSet("nmnist", parts[0], parts[1], CLASSES)
