"""Where files go that live for one run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["SCRATCH_VARIABLE", "scratch_folder", "scratch_folders"]

#: Environment variable with the folder for files of a run; chosen by their size where it is not set.
SCRATCH_VARIABLE = "BRIANLEARN_SCRATCH"
_MEMORY = Path("/dev/shm")


def scratch_folder(size: int) -> Path:
    """The folder that BRIANLEARN_SCRATCH names; else one in memory with ample room, or that for temporary files.

    A run leaves some hundred small files, and on a disk most of its overhead goes to making and deleting them.

    Parameters
    ----------
    size : int
        Bytes that it is to hold.
    """
    given = os.environ.get(SCRATCH_VARIABLE)
    if given:
        return Path(given).expanduser()
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK):
        status = os.statvfs(_MEMORY)
        if status.f_bavail * status.f_frsize > 4 * size + 64 * 2**20:
            return _MEMORY
    return Path(tempfile.gettempdir())


def scratch_folders() -> list[Path]:
    """All folders that `scratch_folder` chooses from."""
    given = os.environ.get(SCRATCH_VARIABLE)
    return [*([Path(given).expanduser()] if given else []), _MEMORY, Path(tempfile.gettempdir())]
