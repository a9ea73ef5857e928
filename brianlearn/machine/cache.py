"""Where brianlearn keeps what it can make or fetch again: compiled programs, kernels, downloads."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["cache_folder"]


def cache_folder(kind: str = "") -> Path:
    """The folder for one kind of things: under $BRIANLEARN_CACHE, or the operating system's cache folder of the user.

    Parameters
    ----------
    kind : str, optional
        Name of the folder inside.

    Returns
    -------
    pathlib.Path
        It may not exist yet.
    """
    given = os.environ.get("BRIANLEARN_CACHE")
    if given:
        return Path(given).expanduser() / kind
    base = os.environ.get("XDG_CACHE_HOME") or {
        "Darwin": "~/Library/Caches",
        "Windows": os.environ.get("LOCALAPPDATA", "~/AppData/Local"),
    }.get(platform.system(), "~/.cache")
    return Path(base).expanduser() / "brianlearn" / kind
