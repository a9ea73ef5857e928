"""A folder that appears when it is complete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from brianlearn.errors import BrianLearnError
from brianlearn.machine.leftovers import owned_folder, remove_leftovers

__all__ = ["check_new", "write_folder"]


def check_new(folder: str | os.PathLike[str]) -> Path:
    """The path of a folder that does not exist yet.

    Raises
    ------
    BrianLearnError
        If there is something.
    """
    target = Path(folder)
    if target.exists() or target.is_symlink():
        raise BrianLearnError(
            str(target), "this folder exists already", expected="a folder that does not", remedy="choose another name"
        )
    return target


def write_folder(target: Path, write: Callable[[Path], None]) -> Path:
    """Make a folder beside ``target``, let ``write`` fill it, and give it its name.

    Raises
    ------
    BrianLearnError
        What cannot be written.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_leftovers([target.parent])
        partial = owned_folder(target)
    except OSError as error:
        raise _cannot_write(target, error) from None
    try:
        write(partial)
        partial.chmod(0o755)
        partial.rename(target)
    except OSError as error:
        if isinstance(error, BrianLearnError):
            raise
        raise _cannot_write(target, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _cannot_write(target: Path, error: OSError) -> BrianLearnError:
    return BrianLearnError(
        str(target),
        "the folder cannot be written",
        got=str(error),
        expected="a folder with write permission and space left",
    )
