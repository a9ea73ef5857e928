"""Data sets by name."""

from __future__ import annotations

import os
from typing import Any

from brian2 import second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.data.dataset import DataSet
from brianlearn.data.digits import load_digits
from brianlearn.data.mnist import FASHION_MNIST, MNIST, load_idx_images
from brianlearn.data.nmnist import load_nmnist
from brianlearn.errors import DataError

__all__ = ["known_data", "load"]

_IMAGES = {source.name: source for source in (MNIST, FASHION_MNIST)}


def known_data() -> tuple[str, ...]:
    """Names that `load` knows."""
    return ("digits", *_IMAGES, "nmnist")


def load(name: str, path: str | os.PathLike[str] | None = None, dt: Any = None) -> DataSet:
    """Load a data set.

    Parameters
    ----------
    name : {"digits", "mnist", "fashion_mnist", "nmnist"}
    path : path-like, optional
        Folder with the four idx files of ``mnist`` or ``fashion_mnist``, gzipped or not, of any number of images.
        Where it is not given they are looked for in ``$BRIANLEARN_DATA/MNIST`` (``FashionMNIST``), then in the cache
        (``$BRIANLEARN_CACHE``, or the operating system's cache folder), and downloaded into the cache if need be. For
        ``nmnist``, the folder with ``Train`` and ``Test``, by default ``$BRIANLEARN_DATA/NMNIST``.
    dt : brian2.Quantity, optional
        Time step in which events are binned, of data sets that are events; 1 ms where it is not given. An experiment
        gives that of its network.

    Returns
    -------
    DataSet
        Inputs float32 in [0, 1], shape (n, 1, height, width); of ``nmnist``, `Events` of shape (2, 34, 34).

    Raises
    ------
    DataError
        An unknown name; files that are missing or damaged; a download that failed.

    Examples
    --------
    >>> import brianlearn as bl
    >>> bl.load("digits").shape
    (1, 8, 8)
    """
    if name in _IMAGES:
        return load_idx_images(_IMAGES[name], path)
    if dt is not None and (get_dimensions(dt) is not second.dim or not float(dt) > 0):
        raise DataError("load", "dt is wrong", got=repr(dt), expected="a time > 0, e.g. 1*ms")
    if name == "nmnist":
        return load_nmnist(path, 1e-3 if dt is None else float(dt))
    if name != "digits":
        raise DataError("load", "unknown data set", got=repr(name), expected=", ".join(known_data()))
    if path is not None:
        raise DataError(
            "data set 'digits'", "it is built in and takes no path", got=f"path={path!r}", expected="load('digits')"
        )
    return load_digits()
