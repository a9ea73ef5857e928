"""The idx format of MNIST: a header (magic number, one length per axis, big-endian), then the values.

Every length is checked against the file, so that a truncated or foreign file is an error and never a wrong image.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from brianlearn.data.unpacking import DamagedContentError, gunzip
from brianlearn.errors import DataError

__all__ = ["read_idx", "read_labelled_images"]

_UNSIGNED_BYTE = 0x08
_GZIP_MAGIC = b"\x1f\x8b"


def _content(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(str(path), "there is no such file", expected="an idx file, gzipped or not") from None
    except OSError as error:
        raise DataError(str(path), "the file cannot be read", got=error) from error
    if not raw.startswith(_GZIP_MAGIC):
        return raw
    try:
        return gunzip(raw)
    except DamagedContentError as error:
        raise DataError(
            str(path),
            "the gzip file is truncated or damaged",
            got=f"{len(raw)} bytes; {error}",
            expected="a whole gzip file",
            remedy="delete it and fetch it again",
        ) from error


def read_idx(path: str | os.PathLike[str], ndim: int) -> np.ndarray:
    """Read an idx file of unsigned bytes, gzipped or not.

    Parameters
    ----------
    path : path-like
    ndim : int
        Number of axes that the file must have: 3 for images, 1 for labels.

    Returns
    -------
    numpy.ndarray of uint8, ``ndim`` axes
        Read-only.

    Raises
    ------
    DataError
        A file that is missing, empty, truncated, too long, of another format or with another number of axes, naming
        the file and the byte offset (in the unpacked content).
    """
    path = Path(path)
    content = _content(path)
    if not content:
        raise DataError(str(path), "the file is empty", got="0 bytes", expected="an idx file")
    magic = bytes((0, 0, _UNSIGNED_BYTE, ndim))
    if content[:3] != magic[:3]:
        raise DataError(
            str(path),
            "this is not an idx file of unsigned bytes",
            got=f"{content[:4].hex(' ')} at byte 0",
            expected=f"{magic.hex(' ')} (magic number)",
        )
    if content[3:4] != magic[3:4]:
        got = f"{content[3]} at byte 3" if len(content) > 3 else "the end of the file at byte 3"
        raise DataError(
            str(path),
            "the number of axes is wrong",
            got=got,
            expected=f"{ndim} ({'images' if ndim == 3 else 'labels' if ndim == 1 else f'{ndim} axes'})",
            remedy="check that images and labels have not changed places",
        )
    start = 4 + 4 * ndim
    if len(content) < start:
        raise DataError(
            str(path),
            "the header is truncated",
            got=f"the end of the file at byte {len(content)}",
            expected=f"a header of {start} bytes",
        )
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", ndim, offset=4))
    for axis, n in enumerate(shape):
        if n == 0:
            raise DataError(str(path), f"axis {axis} is empty", got=f"0 at byte {4 + 4 * axis}", expected="at least 1")
    size = math.prod(shape)  # Python's integers: a damaged header cannot overflow
    if len(content) != start + size:
        problem = "the file is truncated" if len(content) < start + size else "the file goes on after its data"
        raise DataError(
            str(path),
            problem,
            got=f"the end of the file at byte {len(content)}",
            expected=f"at byte {start + size}: {start} of header and {' x '.join(map(str, shape))} of data",
            remedy="delete it and fetch it again",
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_labelled_images(
    images: str | os.PathLike[str], labels: str | os.PathLike[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Read a pair of idx files.

    Parameters
    ----------
    images, labels : path-like

    Returns
    -------
    inputs : numpy.ndarray of float32, shape (n, 1, height, width)
        Grey levels scaled to [0, 1].
    labels : numpy.ndarray of int64, shape (n,)

    Raises
    ------
    DataError
        As `read_idx`, and where the two files differ in length.
    """
    pixels, classes = read_idx(images, 3), read_idx(labels, 1)
    if len(pixels) != len(classes):
        raise DataError(
            str(labels),
            "images and labels differ in number",
            got=f"{len(classes)} labels at byte 4",
            expected=f"{len(pixels)}: one for each image of {images}",
        )
    # one float32 array, without a float64 one on the way
    return np.divide(pixels[:, None], np.float32(255), dtype=np.float32), classes.astype(np.int64)
