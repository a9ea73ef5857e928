"""CIFAR10 (Krizhevsky 2009) in both of its official formats: binary records, and Python's pickles."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from brianlearn.data.dataset import DataSet
from brianlearn.data.download import download, unpack
from brianlearn.data.pickles import parse_pickle
from brianlearn.data.places import DATA_VARIABLE, find_folder, read_bytes
from brianlearn.data.unpacking import DamagedContentError
from brianlearn.errors import DataError
from brianlearn.machine.cache import cache_folder
from brianlearn.network.samples.samples import Samples

__all__ = ["CLASSES", "fetch_cifar10", "find_cifar10", "load_cifar10", "read_batch"]

SHAPE = (3, 32, 32)
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
#: One byte of label, then red, green and blue.
RECORD = 1 + 3 * 32 * 32
FOLDERS = ("cifar-10-batches-bin", "cifar-10-batches-py", "CIFAR10", "cifar10")
CONTENT = "data_batch_1.bin, ..., test_batch.bin (binary format), or data_batch_1, ..., test_batch (python format)"
URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
MD5 = "c32a1d4ab5d03f1284b67883e8d87530"

#: data_batch_1.bin, or a part of one under a longer name (test_batch_first1000.bin).
_FILE = re.compile(r"(data|test)_batch(_\w+)?(\.bin)?")


def read_batch(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read one file of CIFAR10.

    Parameters
    ----------
    path : path-like
        A name that ends in ``.bin``: binary records; any other: the python format.

    Returns
    -------
    images : numpy.ndarray of uint8, shape (n, 3, 32, 32)
    labels : numpy.ndarray of uint8, shape (n,)

    Raises
    ------
    DataError
        A file that is missing, empty, truncated, of another format or with a label that has no class, naming the file
        and the byte offset (or, in a pickle, the image).
    """
    path = Path(path)
    binary = path.suffix == ".bin"
    content = read_bytes(path, f"records of {RECORD} bytes" if binary else "a pickle of CIFAR10")
    images, labels = _records(path, content) if binary else _pickled(path, content)
    bad = labels >= len(CLASSES)
    if bad.any():
        k = int(np.argmax(bad))
        raise DataError(
            str(path),
            "a label has no class",
            got=f"label {labels[k]} " + (f"at byte {k * RECORD}" if binary else f"of image {k}"),
            expected="0 to 9",
            remedy="the file is damaged or of another data set: fetch it again",
        )
    return images, labels.astype(np.uint8)


def _records(path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    whole, rest = divmod(len(content), RECORD)
    if rest:
        raise DataError(
            str(path),
            "the file is truncated, or not of CIFAR10's binary format",
            got=f"the end of the file at byte {len(content)}, in a record that begins at byte {whole * RECORD}",
            expected=f"records of {RECORD} bytes: a label and 3 x 32 x 32 pixels",
            remedy="fetch it again",
        )
    records = np.frombuffer(content, np.uint8).reshape(whole, RECORD)
    return records[:, 1:].reshape(whole, *SHAPE), records[:, 0]


def _pickled(path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray]:
    try:
        names = parse_pickle(content)
    except DamagedContentError as error:
        raise DataError(
            str(path),
            "this is not a whole file of CIFAR10's python format",
            got=error,
            expected="a pickled dictionary with 'data' and 'labels', of arrays and numbers only",
            remedy="fetch it again",
        ) from error
    images, labels = names.get("data"), names.get("labels")
    if not (isinstance(images, np.ndarray) and images.dtype == np.uint8 and images.ndim == 2 and labels is not None):
        raise DataError(
            str(path),
            "the file holds something else than CIFAR10",
            got=f"{', '.join(name[:40] for name in names) or 'no names'}, at byte 0",
            expected=f"'data' (n, {RECORD - 1}) of bytes and 'labels'",
        )
    classes = labels if isinstance(labels, np.ndarray) else _listed(labels)
    if images.shape[1] != RECORD - 1 or classes.shape != (len(images),) or classes.dtype.kind not in "iu":
        raise DataError(
            str(path),
            "images and labels do not fit",
            got=f"data {images.shape}, labels {classes.dtype} {classes.shape}",
            expected=f"(n, {RECORD - 1}) and n whole numbers",
        )
    if not len(classes):
        raise DataError(str(path), "the file holds no images", got="data (0, 3072)", expected="at least one")
    if classes.min() < 0:
        raise DataError(str(path), "a label has no class", got=f"label {classes.min()}", expected="0 to 9")
    return images.reshape(-1, *SHAPE), classes


def _listed(labels: object) -> np.ndarray:
    """Labels as a list: of whole numbers only, since lists in lists can be larger than any file."""
    small = isinstance(labels, list | tuple) and all(type(n) is int and abs(n) < 2**31 for n in labels)
    return np.array(labels, np.int64) if small else np.zeros(())


def load_cifar10(path: str | os.PathLike[str] | None = None) -> DataSet:
    """Load CIFAR10, or those of its files that are there.

    Parameters
    ----------
    path : path-like, optional
        A folder with files of either format; else BRIANLEARN_DATA and the cache are searched, and then the binary
        archive is downloaded.

    Returns
    -------
    DataSet
        Inputs float32 in [0, 1], shape (n, 3, 32, 32): red, green, blue.

    Raises
    ------
    DataError
        Missing or damaged files, or a download that failed.
    """
    folder = find_cifar10(path) or fetch_cifar10()
    parts = []
    found = {part: _files(folder, part) for part in ("data", "test")}
    for part, files in found.items():
        if not files:
            raise DataError(
                str(folder),
                "the folder holds only a part of the data set",
                got=f"no {part}_batch",
                expected=CONTENT,
                remedy="add the missing files",
            )
    for files in found.values():
        batches = [read_batch(file) for file in files]
        images, labels = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
        parts.append((np.divide(images, np.float32(255), dtype=np.float32), labels.astype(np.int64)))
    (inputs, labels), (test_inputs, test_labels) = parts
    n = len(inputs)
    return DataSet(
        "cifar10",
        Samples(inputs, labels, np.arange(n)),
        Samples(test_inputs, test_labels, np.arange(n, n + len(test_inputs))),
        CLASSES,
    )


def find_cifar10(path: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder of CIFAR10's files; None where it is not on this machine."""
    return find_folder(
        "cifar10", FOLDERS, path, lambda folder: bool(_files(folder, "data") or _files(folder, "test")), CONTENT
    )


def _files(folder: Path, part: str) -> list[Path]:
    """The files of one part, in their order: binary ones where there are any."""
    found = sorted(file for file in folder.iterdir() if file.is_file() and _is_part(file.name, part))
    return [file for file in found if file.suffix == ".bin"] or found


def _is_part(name: str, part: str) -> bool:
    match = _FILE.fullmatch(name)
    return match is not None and match.group(1) == part


def fetch_cifar10() -> Path:
    """Download the binary archive into the cache and unpack it there; the folder."""
    remedy = f"put the unpacked cifar-10-batches-bin or cifar-10-batches-py under {DATA_VARIABLE}, or give path=..."
    archive = download("cifar10", URL, MD5, cache_folder(), remedy)
    return unpack(archive, cache_folder() / "cifar10" / FOLDERS[0], FOLDERS[0])
