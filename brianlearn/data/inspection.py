"""What ``brianlearn data`` shows: which data sets are on this machine, and whether their files are whole."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brianlearn.data import mnist
from brianlearn.data.registry import Entry, entry, known_data
from brianlearn.data.source import NamedData
from brianlearn.errors import DataError
from brianlearn.network.samples.samples import Recordings, Samples

__all__ = ["Findings", "Listing", "check_data", "list_data"]

#: Recordings that are read at once.
CHUNK = 100


@dataclass(frozen=True)
class Listing:
    """One line of ``brianlearn data list``.

    Attributes
    ----------
    name, summary : str
    train, test : int
        Samples when it is complete.
    where : str or None
        Its folder; "built in"; None where it is not on this machine.
    """

    name: str
    summary: str
    train: int
    test: int
    where: str | None


@dataclass(frozen=True)
class Findings:
    """What a check found.

    Attributes
    ----------
    name : str
    where : str
    shape : tuple of int
    classes : int
    train, test : int
        Samples.
    complete : bool
        Whether these are as many as in the official data set.
    smallest_class, largest_class : int
        Training samples.
    mean : float
        Of all training values; of recordings, events in each.
    longest : int or None
        Time steps of 1 ms, of recordings.
    official : bool or None
        Whether the files have their official checksums; None where only lengths and contents could be checked.
    """

    name: str
    where: str
    shape: tuple[int, ...]
    classes: int
    train: int
    test: int
    complete: bool
    smallest_class: int
    largest_class: int
    mean: float
    longest: int | None
    official: bool | None


def list_data() -> list[Listing]:
    """All data sets that `load` knows."""
    found = []
    for name in known_data():
        known = entry(name)
        found.append(Listing(name, known.summary, *known.samples, _where(known, None)))
    return found


def check_data(name: str, path: str | os.PathLike[str] | None = None) -> Findings:
    """Read a data set from its first to its last byte.

    Parameters
    ----------
    name : str
    path : path-like, optional
        As in `load`.

    Returns
    -------
    Findings

    Raises
    ------
    DataError
        Data that are not on this machine (nothing is downloaded), or damaged.
    """
    known = entry(name)
    source = NamedData(name, path)
    where = _where(known, source.path)
    if where is None:
        raise DataError(
            f"data set {name!r}", "it is not on this machine", remedy=f"`brianlearn data fetch {name}`, or give a path"
        )
    data = source.load()
    for samples in (data.train, data.test):
        for start in range(0, len(samples) if isinstance(samples.inputs, Recordings) else 0, CHUNK):
            samples.inputs[start : start + CHUNK].load()  # compares checksums
    counts = np.bincount(data.train.labels, minlength=len(data.classes))
    mean, longest = _amount(data.train)
    return Findings(
        name=name,
        where=where,
        shape=data.shape,
        classes=len(data.classes),
        train=len(data.train),
        test=len(data.test),
        complete=known.complete(len(data.train), len(data.test)),
        smallest_class=int(counts.min()),
        largest_class=int(counts.max()),
        mean=mean,
        longest=longest,
        official=_official(known, source.path),
    )


def _where(known: Entry, path: str | os.PathLike[str] | None) -> str | None:
    if known.find is None:
        return "built in"
    folder = known.find(path)
    return None if folder is None else str(folder)


def _amount(samples: Samples) -> tuple[float, int | None]:
    inputs = samples.inputs
    if not isinstance(inputs, Recordings):
        return float(np.mean(inputs, dtype=np.float64)), None
    events = sum(len(inputs[k : k + CHUNK].load().step) for k in range(0, len(inputs), CHUNK))
    return events / len(inputs), int(inputs.durations.max())


def _official(known: Entry, path: str | os.PathLike[str] | None) -> bool | None:
    """Whether the packed idx files are the official ones."""
    for source in (mnist.MNIST, mnist.FASHION_MNIST):
        if known.name == source.name and known.find is not None:
            folder = known.find(path)
            files = [None if folder is None else folder / f"{name}.gz" for name in mnist.FILES]
            if all(file is not None and file.is_file() for file in files):
                sums = tuple(_md5(file) for file in files if file is not None)
                return sums == source.md5
    return None


def _md5(file: Path) -> str:
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "md5").hexdigest()
