"""MNIST and Fashion-MNIST: found on this machine, or downloaded once and checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brianlearn.data.dataset import DataSet
from brianlearn.data.download import download
from brianlearn.data.idx import read_labelled_images
from brianlearn.data.places import DATA_VARIABLE, data_folder
from brianlearn.errors import DataError
from brianlearn.machine.cache import cache_folder
from brianlearn.network.samples.samples import Samples

__all__ = [
    "FASHION_MNIST",
    "MNIST",
    "ImageSource",
    "fetch_idx_images",
    "find_idx_images",
    "idx_files",
    "load_idx_images",
]

#: The four files of both sets, as they are called without ".gz".
FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class ImageSource:
    """Where a data set of idx files comes from.

    Attributes
    ----------
    name : str
    folders : tuple of str
        What its folder may be called under BRIANLEARN_DATA.
    url : str
        Folder of the four gzipped files.
    md5 : tuple of str
        Their checksums, in the order of ``FILES``.
    classes : tuple of str
    """

    name: str
    folders: tuple[str, ...]
    url: str
    md5: tuple[str, ...]
    classes: tuple[str, ...]


#: LeCun, Cortes & Burges: 60000 + 10000 handwritten digits of 28 x 28 pixels.
MNIST = ImageSource(
    "mnist",
    ("MNIST", "mnist"),
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    (
        "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "d53e105ee54ea40749a09fcbcd1e9432",
        "9fb629c4189551a2d022fa330f9573f3",
        "ec29112dd5afa0611ce80d1b7f02629c",
    ),
    tuple(map(str, range(10))),
)

#: Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747: as MNIST, with pieces of clothing.
FASHION_MNIST = ImageSource(
    "fashion_mnist",
    ("FashionMNIST", "fashion_mnist", "fashion-mnist"),
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    (
        "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "25c81989df183df01b3e8a0aad5dffbe",
        "bef4ecab320f06d8554ea6380940ec79",
        "bb300cfdad3c16e7a12a480ee83cd310",
    ),
    ("T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


def load_idx_images(source: ImageSource, path: str | os.PathLike[str] | None = None) -> DataSet:
    """Load a data set of four idx files, gzipped or not.

    Looks in ``path`` where it is given, and there only; else in BRIANLEARN_DATA and then in the cache, and at last
    downloads into the cache.

    Parameters
    ----------
    source : ImageSource
    path : path-like, optional
        A folder with the four files, of any number of images.

    Returns
    -------
    DataSet
        Inputs float32 in [0, 1], shape (n, 1, height, width).

    Raises
    ------
    DataError
        Missing or damaged files, or a download that failed.
    """
    files = _given(source, Path(path)) if path is not None else _found(source) or _downloaded(source)
    inputs, labels = read_labelled_images(files[0], files[1])
    test_inputs, test_labels = read_labelled_images(files[2], files[3])
    n, n_test = len(inputs), len(test_inputs)
    return DataSet(
        source.name,
        Samples(inputs, labels, np.arange(n)),
        Samples(test_inputs, test_labels, np.arange(n, n + n_test)),
        source.classes,
    )


def _file(folder: Path, name: str) -> Path | None:
    stem, _, rest = name.partition("-idx")
    # the last two: some archives have a point for the second hyphen
    for candidate in (name, f"{name}.gz", f"{stem}.idx{rest}", f"{stem}.idx{rest}.gz"):
        if (folder / candidate).is_file():
            return folder / candidate
    return None


def _complete(folder: Path) -> list[Path] | None:
    """The four files of a folder; None where it has none of them."""
    for place in (folder, folder / "raw"):  # raw: torchvision's layout
        found = [_file(place, name) for name in FILES]
        files = [file for file in found if file is not None]
        if len(files) == len(FILES):
            return files
        if files:
            missing = [name for name, file in zip(FILES, found, strict=True) if file is None]
            raise DataError(
                str(place),
                "the folder holds only a part of the data set",
                got=f"no {', no '.join(missing)}",
                expected=f"{', '.join(FILES)}, each with or without .gz",
                remedy="add the missing files, or remove the others to have all of them downloaded",
            )
    return None


def _given(source: ImageSource, folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(
            str(folder),
            "there is no such folder",
            got=f"path={str(folder)!r}",
            expected=f"a folder with {', '.join(FILES)}, each with or without .gz",
        )
    for place in (folder, *(folder / name for name in source.folders)):
        files = _complete(place)
        if files is not None:
            return files
    raise DataError(
        str(folder),
        f"the folder holds no file of {source.name!r}",
        got=", ".join(sorted(entry.name for entry in folder.iterdir())[:8]) or "an empty folder",
        expected=f"{', '.join(FILES)}, each with or without .gz",
    )


def _found(source: ImageSource) -> list[Path] | None:
    data = data_folder()
    if data is None:
        return None
    for name in source.folders:
        files = _complete(data / name)
        if files is not None:
            return files
    return None


def find_idx_images(source: ImageSource, path: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder of the four files; None where they are not on this machine."""
    if path is not None:
        return _given(source, Path(path))[0].parent
    files = _found(source)
    if files is not None:
        return files[0].parent
    folder = cache_folder() / source.name
    return folder if all(_file(folder, name) for name in FILES) else None


def idx_files(folder: Path) -> list[Path]:
    """The four files in a folder that has them."""
    return [file for name in FILES if (file := _file(folder, name)) is not None]


def fetch_idx_images(source: ImageSource) -> Path:
    """Download what is missing in the cache; the folder there."""
    return _downloaded(source)[0].parent


def _downloaded(source: ImageSource) -> list[Path]:
    folder = cache_folder() / source.name
    remedy = (
        f"put {', '.join(f'{file}.gz' for file in FILES)} into {folder}, or into a folder {source.folders[0]} under "
        f"{DATA_VARIABLE}, or give path=..."
    )
    return [
        _file(folder, name) or download(source.name, f"{source.url}{name}.gz", md5, folder, remedy)
        for name, md5 in zip(FILES, source.md5, strict=True)
    ]
