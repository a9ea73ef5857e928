"""The folder that a compiled program reads its inputs from and leaves its results in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from brianlearn.errors import BrianLearnError, DeviceError
from brianlearn.machine.leftovers import temporary_folder
from brianlearn.machine.scratch import SCRATCH_VARIABLE, scratch_folder

__all__ = ["check_writes", "read_result", "run_folder"]


@contextmanager
def run_folder(device: str, size: int) -> Iterator[Path]:
    """A folder for one run, removed at the end.

    Parameters
    ----------
    device : str
        For errors.
    size : int
        Bytes that it is to hold.

    Raises
    ------
    DeviceError
        A full disk, or one that cannot be written, here or inside.
    """
    where = scratch_folder(size)
    try:
        with temporary_folder(where / "brianlearn-run") as folder:
            yield folder
    except OSError as error:
        if isinstance(error, BrianLearnError):
            raise
        raise DeviceError(
            device,
            "the files of a run cannot be written or read",
            got=f"{error.strerror or error}: {error.filename or where}",
            expected=f"a folder that can be written, with about {2 * size / 2**20 + 1:.0f} MiB left",
            remedy=f"free space in {where} (brianlearn clean lists what can go), or set {SCRATCH_VARIABLE} to another "
            "folder",
        ) from error


def read_result(device: str, path: Path, dtype: str, columns: int, size: int | None, least: int = 0) -> np.ndarray:
    """The numbers that a program left in a file.

    Parameters
    ----------
    device : str
        For errors.
    path : pathlib.Path
    dtype : str
    columns : int
        Length of the rows; 0 for a result without rows.
    size : int or None
        How many numbers there must be; None where that depends on the run.
    least : int, optional
        How many rows (numbers, where there are no rows) there must be at least.

    Raises
    ------
    DeviceError
        A file that is missing or was cut short.
    """
    if not path.exists():
        raise DeviceError(device, f"the program left no result {path.name!r}", got=f"no file {path}")
    length, item = path.stat().st_size, np.dtype(dtype).itemsize * (columns or 1)
    expected = f"at least {least * item} bytes, in rows of {item}" if size is None else f"{size * item} bytes"
    if length % item or length < least * item or (size is not None and length != size * item):
        raise DeviceError(
            device,
            f"the result {path.name!r} was cut short",
            got=f"{length} bytes in {path}",
            expected=expected,
            remedy=f"free space in {path.parent.parent.parent}, or set {SCRATCH_VARIABLE} to another folder",
        )
    array = np.fromfile(path, dtype=dtype)
    return array.reshape(-1, columns) if columns else array


def check_writes(source: Path) -> None:
    """Let a generated program fail where it cannot write its results, which Brian2's own code does not notice.

    Parameters
    ----------
    source : pathlib.Path
        The C++ file in which files of type ``ofstream`` are written.
    """
    said = "Error: a result cannot be written, is the disk full?"
    check = rf'\g<0> if (\1.fail()) {{ std::cerr << "{said}" << std::endl; std::_Exit(1); }}'
    source.write_text(re.sub(r"\b(outfile\w*)\.close\(\);", check, source.read_text()))
