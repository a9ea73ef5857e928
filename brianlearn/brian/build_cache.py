"""Compiled programs, kept by what they depend on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from brianlearn.brian.fingerprint import fingerprint
from brianlearn.cache import cache_folder
from brianlearn.errors import DeviceError

__all__ = ["BuildCache", "fingerprint"]

#: Programs beyond this number are deleted, the least recently used first.
KEEP = 40


class BuildCache:
    """Folders of compiled programs.

    Parameters
    ----------
    root : pathlib.Path, optional
        The cache folder's ``builds`` where it is not given.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_folder("builds")

    def get(self, name: str, make: Callable[[Path], None]) -> Path:
        """The folder of a program, made if it is missing.

        Parameters
        ----------
        name : str
            From `fingerprint`.
        make : callable
            Fills an empty folder. The folder gets its name when that has succeeded, so that an interrupted build
            leaves nothing behind that looks complete.

        Raises
        ------
        DeviceError
            If the cache cannot be written.
        """
        folder = self.root / name
        if folder.exists():
            os.utime(folder)
            return folder
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            partial = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self.root))
        except OSError as error:
            raise DeviceError(
                str(self.root),
                "the folder for compiled programs cannot be written",
                got=str(error),
                expected="a folder with write permission",
                remedy="set BRIANLEARN_CACHE to a folder of yours",
            ) from None
        try:
            make(partial)
            try:
                partial.rename(folder)
            except OSError:
                if not folder.exists():  # else another process was faster, with the same program
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self._prune()
        return folder

    def _prune(self) -> None:
        folders = sorted(self.root.glob("[0-9a-f]*"), key=lambda f: f.stat().st_mtime, reverse=True)
        for folder in folders[KEEP:]:
            shutil.rmtree(folder, ignore_errors=True)
