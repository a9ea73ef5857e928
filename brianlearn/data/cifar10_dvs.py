"""CIFAR10-DVS (Li et al. 2017): 10000 images of CIFAR10 that move before an event camera, 1000 of each class."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from brianlearn.data.cifar10 import CLASSES
from brianlearn.data.dataset import DataSet
from brianlearn.data.download import download, unpack
from brianlearn.data.events.aedat4 import read_aedat4
from brianlearn.data.events.binned import binned
from brianlearn.data.events.formats import read_aedat2, read_aedat31
from brianlearn.data.events.pipeline import Pipeline
from brianlearn.data.events.raw import RawEvents
from brianlearn.data.places import DATA_VARIABLE, find_folder, missing, natural
from brianlearn.errors import DataError
from brianlearn.machine.cache import cache_folder
from brianlearn.network.samples.samples import Samples

__all__ = ["CLASSES", "SIDE", "fetch_cifar10_dvs", "find_cifar10_dvs", "load_cifar10_dvs", "training_recordings"]

SIDE = 128
#: Begins the names of binned files. Another number where a reader gives other events of the same recordings.
CACHED = "cifar10_dvs-2"
CONTENT = "airplane/cifar10_airplane_0.aedat, ... (AEDAT 2.0 or 3.1), or .aedat4, in a folder for each class"
#: Of each class, in the share of its recordings: 900 of 1000.
TRAINING_SHARE = 0.9
#: The recordings as tonic packs them, in AEDAT 4.0. figshare.com itself answers programs with an empty page.
URL, MD5 = "https://api.figshare.com/v2/file/download/38023437", "ce3a4a0682dc0943703bd8f749a7701c"


def fetch_cifar10_dvs() -> Path:
    """Download the archive into the cache and unpack it there; the folder."""
    remedy = f"put the folders airplane, automobile, ... into a folder CIFAR10DVS under {DATA_VARIABLE}"
    archive = download("cifar10_dvs", URL, MD5, cache_folder(), remedy, "CIFAR10DVS.zip")
    return unpack(archive, cache_folder() / "cifar10_dvs")


def find_cifar10_dvs(path: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder with a folder for each class; None where it is not on this machine."""
    return find_folder(
        "cifar10_dvs",
        ("CIFAR10DVS", "CIFAR10-DVS", "cifar10_dvs"),
        path,
        lambda folder: any((folder / name).is_dir() for name in CLASSES),
        CONTENT,
    )


def training_recordings(labels: np.ndarray, split_seed: int | None = None) -> np.ndarray:
    """Which recordings are for training: nine tenths of each class, and never all of them.

    Parameters
    ----------
    labels : numpy.ndarray of int, shape (n,)
        Of all recordings, in their order.
    split_seed : int, optional
        Draws them; the first ones of each class where it is not given.

    Returns
    -------
    numpy.ndarray of bool, shape (n,)
    """
    chosen = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        if split_seed is not None:
            members = np.random.default_rng([split_seed, int(label)]).permutation(members)
        chosen[members[: min(round(TRAINING_SHARE * len(members)), len(members) - 1)]] = True
    return chosen


def load_cifar10_dvs(
    pipeline: Pipeline, path: str | os.PathLike[str] | None = None, split_seed: int | None = None
) -> DataSet:
    """Load CIFAR10-DVS, or a part of it.

    Parameters
    ----------
    pipeline : Pipeline
    path : path-like, optional
        The folder with a folder of recordings for each class.
    split_seed : int, optional
        The data set has no official split. Without a seed the first 900 of each class are for training, as in the
        DALTON paper; with one, 900 that are drawn. Of a part of the data set, nine tenths.

    Returns
    -------
    DataSet
        Recordings on disk; times count from the first event.

    Raises
    ------
    DataError
        Files that are missing or damaged; a class of which there are too few recordings.
    """
    folder = find_cifar10_dvs(path) or missing("cifar10_dvs", "CIFAR10DVS", CONTENT)
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(CLASSES):
        found = sorted((f for f in (folder / name).glob("*.aedat*") if f.suffix in READERS), key=natural)
        if len(found) < 2:
            raise DataError(
                str(folder / name),
                "a class has too few recordings for training and test",
                got=f"{len(found)} files",
                expected=CONTENT,
            )
        files += found
        labels += [label] * len(found)

    def recordings() -> Iterator[tuple[int, RawEvents]]:
        for file, label in zip(files, labels, strict=True):
            events = READERS[file.suffix](file).sorted()
            yield label, events.since(int(events.time[0]))

    events = binned(CACHED, files, pipeline, recordings)
    training = training_recordings(events.labels, split_seed)
    parts = [np.flatnonzero(training), np.flatnonzero(~training)]
    train, test = (Samples(events[part], events.labels[part], part) for part in parts)
    return DataSet("cifar10_dvs", train, test, CLASSES)


def _read_aedat(file: Path) -> RawEvents:
    """AEDAT 2.0, as published, or 3.1: the first line tells."""
    with open(file, "rb") as opened:
        version = opened.read(14)
    return read_aedat31(file, SIDE, SIDE) if version.startswith(b"#!AER-DAT3.1") else read_aedat2(file, SIDE, SIDE)


READERS: dict[str, Callable[[Path], RawEvents]] = {".aedat": _read_aedat, ".aedat4": read_aedat4}
