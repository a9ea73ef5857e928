"""Where the files of a data set are: a folder that is given, one under BRIANLEARN_DATA, or the cache."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from brianlearn.errors import DataError
from brianlearn.machine.cache import cache_folder

__all__ = ["DATA_VARIABLE", "data_folder", "find_folder", "missing", "natural", "read_bytes"]

DATA_VARIABLE = "BRIANLEARN_DATA"


def data_folder() -> Path | None:
    """The folder that BRIANLEARN_DATA names; None where it is not set.

    Raises
    ------
    DataError
        If there is no such folder.
    """
    data = os.environ.get(DATA_VARIABLE)
    if not data:
        return None
    if not Path(data).is_dir():
        raise DataError(
            DATA_VARIABLE,
            "there is no such folder",
            got=data,
            expected="a folder that holds the data sets, e.g. MNIST",
            remedy=f"correct {DATA_VARIABLE}, or unset it",
        )
    return Path(data)


def find_folder(
    name: str,
    folders: tuple[str, ...],
    path: str | os.PathLike[str] | None,
    holds: Callable[[Path], bool],
    content: str,
) -> Path | None:
    """The folder with the files of a data set.

    Parameters
    ----------
    name : str
        Of the data set.
    folders : tuple of str
        What its folder may be called.
    path : path-like or None
        Where to look, and there only.
    holds : callable
        Whether a folder holds the data set, or a part of it.
    content : str
        What should be in the folder, for errors.

    Returns
    -------
    pathlib.Path or None
        None where no path was given and neither BRIANLEARN_DATA nor the cache holds it.

    Raises
    ------
    DataError
        If the path that was given does not hold it.
    """
    if path is None:
        data = data_folder()
        cache = cache_folder() / name
        places = [*(data / folder for folder in folders if data is not None), cache, *(cache / f for f in folders)]
    else:
        if not Path(path).is_dir():
            raise DataError(
                str(path),
                "there is no such folder",
                got=f"path={os.fspath(path)!r}",
                expected=f"a folder with {content}",
            )
        places = [Path(path), *(Path(path) / folder for folder in folders)]
    for place in places:
        if place.is_dir() and holds(place):
            return place
    if path is None:
        return None
    raise DataError(
        str(path),
        f"the folder holds no file of {name!r}",
        got=", ".join(sorted(entry.name for entry in Path(path).iterdir())[:8]) or "an empty folder",
        expected=content,
    )


def read_bytes(path: Path, expected: str) -> bytes:
    """The content of a file.

    Raises
    ------
    DataError
        A file that cannot be read, or an empty one.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            str(path), "the file cannot be read", got=error.strerror or str(error), expected=expected
        ) from error
    if not content:
        raise DataError(str(path), "the file is empty", got="the end of the file at byte 0", expected=expected)
    return content


def missing(name: str, folder: str, content: str) -> NoReturn:
    """Say that a data set is not on this machine.

    Raises
    ------
    DataError
        Always.
    """
    data = os.environ.get(DATA_VARIABLE)
    raise DataError(
        f"data set {name!r}",
        "it is not on this machine",
        got=f"no {folder} in {data}, nor in the cache" if data else f"{DATA_VARIABLE} is not set, and no cache",
        expected=f"a folder with {content}",
        remedy=f"`brianlearn data fetch {name}`, or put it into a folder {folder} under {DATA_VARIABLE}, or give path",
    )


def natural(path: Path) -> tuple[str | int, ...]:
    """A key that sorts numbers in file names by their value."""
    return tuple(int(part) if k % 2 else part for k, part in enumerate(re.split(r"([0-9]{1,18})", path.name)))
