"""Where files go that live for one run."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["scratch_folder"]

_MEMORY = Path("/dev/shm")


def scratch_folder(size: int) -> str | None:
    """A folder in memory where there is one with ample room for ``size`` bytes; else None, the one for temporary files.

    A run leaves some hundred small files, and on a disk most of its overhead goes to making and deleting them.
    """
    if not _MEMORY.is_dir() or not os.access(_MEMORY, os.W_OK):
        return None
    status = os.statvfs(_MEMORY)
    return str(_MEMORY) if status.f_bavail * status.f_frsize > 4 * size + 64 * 2**20 else None
