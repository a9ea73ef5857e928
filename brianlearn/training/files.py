"""Files that appear whole or not at all: written beside their place, flushed to the disk, then renamed."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from brianlearn.data.arrays import parse_npz
from brianlearn.errors import RunFolderError
from brianlearn.machine.leftovers import owned_path

__all__ = ["parse_json", "read_arrays", "read_json", "write_arrays", "write_file", "write_json", "write_text"]


def write_file(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Write a file with what ``fill`` puts into it.

    Raises
    ------
    RunFolderError
        If it cannot be written; an earlier file of that name is then as it was.
    """
    temporary = owned_path(path)
    try:
        with temporary.open("wb") as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise RunFolderError(
            str(path),
            "the file cannot be written",
            got=error.strerror or str(error),
            expected="a folder that can be written, with space left",
        ) from error
    finally:
        if temporary.is_file():  # only where something went wrong, Ctrl-C included
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8).

    Raises
    ------
    RunFolderError
    """
    write_file(path, lambda file: file.write(text.encode()))


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file that people can read.

    Raises
    ------
    RunFolderError
    """
    write_text(path, json.dumps(data, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    RunFolderError
        If it is missing or damaged.
    """
    try:
        return parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def parse_json(content: bytes) -> Any:
    """What a JSON text in UTF-8 says.

    Raises
    ------
    ValueError
        Of whatever is wrong with it, too deep nesting and characters that no text has included.
    """
    try:
        data = json.loads(content.decode("utf-8"))
        json.dumps(data, ensure_ascii=False).encode("utf-8")  # half a surrogate pair could never be printed
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error
    return data


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz file without pickle: equal arrays give equal bytes.

    Raises
    ------
    RunFolderError
    """

    def fill(file: IO[bytes]) -> None:
        # as numpy.savez, which however takes no array that is named "file"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, array in arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)

    write_file(path, fill)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read an .npz file without pickle.

    Raises
    ------
    RunFolderError
        If it is missing or damaged.
    """
    try:
        return parse_npz(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> RunFolderError:
    if isinstance(error, FileNotFoundError):
        return RunFolderError(str(path), "there is no such file", expected="a file that `brianlearn train` has written")
    return RunFolderError(
        str(path),
        "the file is damaged",
        got=f"{type(error).__name__}: {error}",
        expected="a file as `brianlearn train` writes it",
        remedy="start the run again, or restore the file from a copy",
    )
