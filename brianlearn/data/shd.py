"""The Heidelberg spiking data sets (Cramer et al. 2020): spoken words, as spikes of 700 channels of a model cochlea.

SHD holds digits in English and German, SSC the words of the Speech Commands. Each part is one HDF5 file:
``spikes/times`` (seconds) and ``spikes/units`` (channels), arrays of varying length; ``labels``; and ``extra/keys``,
the names of the classes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import second

from brianlearn.data.dataset import DataSet
from brianlearn.data.download import download, unpack
from brianlearn.data.events.binned import binned
from brianlearn.data.events.grid import Grid
from brianlearn.data.hdf5 import check_hdf5
from brianlearn.data.places import DATA_VARIABLE, find_folder, missing
from brianlearn.errors import DataError
from brianlearn.machine.cache import cache_folder
from brianlearn.network.samples.samples import Samples

__all__ = ["CHANNELS", "SHD", "SSC", "Source", "fetch_heidelberg", "find_heidelberg", "load_heidelberg"]

CHANNELS = 700
SITE = "https://zenkelab.org/datasets"
LAYOUT = "spikes/times, spikes/units and labels, as many of each, and extra/keys"
PARTS = ("spikes/times", "spikes/units", "labels")


@dataclass(frozen=True)
class Source:
    """One of the two data sets.

    Attributes
    ----------
    name : str
    classes : int
    samples : tuple of int
        Training and test samples.
    md5 : tuple of str
        Of the zip archives of both parts.
    """

    name: str
    classes: int
    samples: tuple[int, int]
    md5: tuple[str, str]

    @property
    def files(self) -> tuple[str, str]:
        """For training and testing."""
        return f"{self.name}_train.h5", f"{self.name}_test.h5"


SHD = Source("shd", 20, (8156, 2264), ("f3252aeb598ac776c1b526422d90eecb", "1503a5064faa34311c398fb0a1ed0a6f"))
#: Its file for validation, ssc_valid.h5, is not used.
SSC = Source("ssc", 35, (75466, 20382), ("d102be95e7144fcc0553d1f45ba94170", "a35ff1e9cffdd02a20eb850c17c37748"))


def fetch_heidelberg(source: Source) -> Path:
    """Download both archives into the cache and unpack them there; the folder."""
    folder = cache_folder() / source.name
    for name, md5 in zip(source.files, source.md5, strict=True):
        if not (folder / name).is_file():
            remedy = f"put {name} into a folder {source.name.upper()} under {DATA_VARIABLE}"
            archive = download(source.name, f"{SITE}/{name}.zip", md5, cache_folder(), remedy)
            unpacked = unpack(archive, folder / f"{name}.unpacked")
            os.replace(next(unpacked.rglob(name)), folder / name)
    return folder


def find_heidelberg(source: Source, path: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder with both files; None where it is not on this machine."""
    folders = (source.name.upper(), source.name, "hdspikes")
    return find_folder(
        source.name,
        folders,
        path,
        lambda folder: all((folder / name).is_file() for name in source.files),
        " and ".join(source.files),
    )


def load_heidelberg(source: Source, dt: float, path: str | os.PathLike[str] | None = None) -> DataSet:
    """Load SHD or SSC, or a part of it.

    Parameters
    ----------
    source : Source
    dt : float
        Time step, in seconds.
    path : path-like, optional
        The folder with both files.

    Returns
    -------
    DataSet
        Recordings on disk, of shape (1, 1, 700) and about one second.

    Raises
    ------
    DataError
        Files that are missing, damaged or of another layout; spikes of channels that there are not, at times before 0
        or that are no numbers; labels without a class; h5py, which is not installed.

    References
    ----------
    .. [1] Cramer, Stradmann, Schemmel, Zenke, "The Heidelberg spiking data sets for the systematic evaluation of
       spiking neural networks", IEEE Trans. Neural Netw. Learn. Syst. 33, 2022, doi 10.1109/TNNLS.2020.3044364
    """
    folder = find_heidelberg(source, path) or missing(source.name, source.name.upper(), " and ".join(source.files))
    parts, start, names = [], 0, []
    for name in source.files:
        file = folder / name
        check_hdf5(file, ("extra/keys",), LAYOUT)
        names.append(_classes(source, file))
        grid = Grid((1, 1, CHANNELS), dt)
        events = binned(Path(name).stem, [file], grid, partial(_recordings, source, file))
        parts.append(Samples(events, events.labels, np.arange(start, start + len(events))))
        start += len(events)
    if names[0] != names[1]:
        raise DataError(
            str(folder / source.files[1]),
            "its classes are others than those for training",
            got=", ".join(names[1][:5]),
            expected=", ".join(names[0][:5]),
        )
    return DataSet(source.name, parts[0], parts[1], names[0])


def _classes(source: Source, path: Path) -> tuple[str, ...]:
    import h5py

    with h5py.File(path, "r") as file:
        keys = list(file["extra/keys"][:])
    names = tuple(k.decode(errors="replace") if isinstance(k, bytes) else str(k) for k in keys)
    if len(names) != source.classes or len(set(names)) != len(names):
        got = f"{len(names)} names in extra/keys: {', '.join(names[:5])}, ..."
        raise DataError(str(path), "the classes are wrong", got=got, expected=f"{source.classes} names")
    return names


def _recordings(source: Source, path: Path) -> Iterator[tuple[int, tuple[str, Any]]]:
    check_hdf5(path, PARTS, LAYOUT)
    import h5py

    with h5py.File(path, "r") as file:
        times, units, kept = (file[part] for part in PARTS)
        sizes = [part.shape for part in (times, units, kept)]
        if len(set(sizes)) != 1 or len(sizes[0]) != 1:
            got = ", ".join(f"{part} {size}" for part, size in zip(PARTS, sizes, strict=True))
            raise DataError(str(path), "its arrays differ in shape", got=got, expected=LAYOUT)
        for k, label in enumerate(_labels(source, path, kept[:])):
            where = f"{path}, recording {k}"
            t, channel = np.asarray(times[k]), np.asarray(units[k])
            if t.dtype.kind != "f" or channel.dtype.kind not in "iu":
                got = f"times {t.dtype}, units {channel.dtype}"
                expected = "times in seconds, as floats, and whole numbers"
                raise DataError(where, "it holds something else", got=got, expected=expected)
            yield label, (where, {"t": t.astype(float) * second, "x": channel})


def _labels(source: Source, path: Path, labels: np.ndarray) -> list[int]:
    if labels.dtype.kind not in "iu":
        raise DataError(str(path), "labels are no whole numbers", got=labels.dtype, expected="integers")
    bad = (labels < 0) | (labels >= source.classes)
    if bad.any():
        k = int(np.argmax(bad))
        got, expected = f"label {labels[k]} of recording {k}", f"0 to {source.classes - 1}"
        raise DataError(str(path), "a label has no class", got=got, expected=expected)
    return [int(label) for label in labels]
