"""Compiled programs, kept by what they depend on."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

from brianlearn.brian.cpp.building import building, built
from brianlearn.brian.cpp.fingerprint import fingerprint
from brianlearn.brian.cpp.program import Program, build_elsewhere
from brianlearn.errors import BrianLearnError, DeviceError
from brianlearn.machine.cache import cache_folder
from brianlearn.machine.leftovers import owned_folder, remove_leftovers

__all__ = ["BuildCache", "fingerprint"]

#: Programs beyond this number are deleted, the least recently used first; never one that a process is using.
KEEP = 40


class BuildCache:
    """Folders of compiled programs.

    The cache may be read-only: a program that is in it runs, and one that is not is compiled elsewhere, for this
    process alone. Processes that compile the same program at the same time need no lock: each does it in a folder of
    its own, and the first that is ready gives it its name.

    Parameters
    ----------
    root : pathlib.Path, optional
        The cache folder's ``builds`` where it is not given.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_folder("builds")

    def get(self, name: str, make: Callable[[Path], None]) -> Program:
        """A program, made if it is missing.

        Parameters
        ----------
        name : str
            From `fingerprint`.
        make : callable
            Fills an empty folder. The folder gets its name when that has succeeded, so that an interrupted build
            leaves nothing behind that looks complete.

        Returns
        -------
        Program
            It stays in the cache as long as this object lives.

        Raises
        ------
        DeviceError
            If the cache's disk is full, or it cannot be made.

        Warns
        -----
        BrianLearnWarning
            If the cache is read-only and the program had to be compiled elsewhere.
        """
        remove_leftovers()
        folder = self.root / name
        program = Program.use(folder)
        if program is not None:
            return program
        with building(name):
            return Program.use(folder) or self._make(name, make)

    def _make(self, name: str, make: Callable[[Path], None]) -> Program:
        """Build a program that is missing."""
        folder = self.root / name
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            partial = owned_folder(folder)
        except OSError as error:
            if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
                return build_elsewhere(self.root, name, make)
            raise _cannot_write(self.root, error) from None
        try:
            make(partial)
            built(name)
            try:
                partial.rename(folder)
            except OSError:
                if not folder.exists():  # else another process was faster, with the same program
                    raise
        except OSError as error:
            if isinstance(error, BrianLearnError):
                raise
            raise _cannot_write(self.root, error) from error
        except DeviceError as error:
            if shutil.disk_usage(self.root).free < 2**20:  # compilers do not always say so
                raise _cannot_write(self.root, "the disk is full") from error
            raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        program = Program.use(folder)
        if program is None:
            raise DeviceError(str(folder), "the program was removed as soon as it was made", remedy="run again")
        self._prune()
        return program

    def _prune(self) -> None:
        def used(folder: Path) -> float:
            try:
                return folder.stat().st_mtime
            except OSError:  # another process has removed it
                return 0.0

        for folder in sorted(self.root.glob("[0-9a-f]*"), key=used, reverse=True)[KEEP:]:
            Program.remove(folder)


def _cannot_write(root: Path, error: OSError | str) -> DeviceError:
    return DeviceError(
        str(root),
        "the folder for compiled programs cannot be written",
        got=str(error),
        expected="a folder with write permission and some 20 MiB left",
        remedy="free space (brianlearn clean lists what can go), or set BRIANLEARN_CACHE to another folder",
    )
