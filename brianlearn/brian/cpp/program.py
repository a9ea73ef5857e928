"""A compiled program in its folder, which nobody removes while it is used."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from brianlearn.errors import BrianLearnError, BrianLearnWarning, DeviceError
from brianlearn.machine.leftovers import owned_folder, owned_path
from brianlearn.telling import tell

try:
    import fcntl
except ImportError:  # Windows, where the folder of a running program cannot be renamed, and so is not removed
    fcntl = None  # type: ignore[assignment]

__all__ = ["Program", "build_elsewhere"]


class Program:
    """A program that this process uses.

    As long as it lives, it holds a shared lock on its folder, which the operating system gives back when the process
    ends, however it ends.

    Attributes
    ----------
    folder : pathlib.Path
    """

    def __init__(self, folder: Path, lock: int | None = None) -> None:
        self.folder = folder
        if lock is not None:
            weakref.finalize(self, os.close, lock)

    @staticmethod
    def use(folder: Path) -> Program | None:
        """The program in a folder; None where there is none."""
        while folder.is_dir():
            lock = None
            with suppress(OSError):  # no locks here: then nobody removes programs, either
                lock = _lock(folder, exclusive=False)
            with suppress(OSError):  # the time of the last use; a cache that is read-only has none
                os.utime(folder)
            if lock is None or _is_same(folder, lock):
                return Program(folder, lock)
            os.close(lock)  # it was removed, and perhaps made again, while this process waited for the lock
        return None

    @staticmethod
    def remove(folder: Path) -> bool:
        """Remove a program that no process uses; whether that could be done."""
        try:
            lock = _lock(folder, exclusive=True)
        except OSError:  # in use, gone, or on a file system without locks
            return False
        try:
            doomed = owned_path(folder)
            folder.rename(doomed)  # in one step: half a program never has its name
            shutil.rmtree(doomed, ignore_errors=True)
            return True
        except OSError:
            return False
        finally:
            if lock is not None:
                os.close(lock)

    def read_json(self, name: str) -> Any:
        """A JSON file of the folder.

        Raises
        ------
        DeviceError
            If it is damaged.
        """
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DeviceError(
                str(self.folder / name),
                "a compiled program is damaged",
                got=f"{type(error).__name__}: {error}",
                expected="what was written when it was compiled",
                remedy=f"delete the folder {self.folder} and run again, which compiles it anew",
            ) from error

    def cannot_start(self, error: OSError) -> DeviceError:
        """That the operating system does not start it."""
        return DeviceError(
            str(self.folder / "main"),
            "the compiled program cannot be started",
            got=error.strerror or str(error),
            expected="a program in a folder from which programs may be started",
            remedy=f"delete the folder {self.folder} and run again, which compiles it anew; or set BRIANLEARN_CACHE to "
            "a folder on a disk that is not mounted noexec",
        )


def _lock(folder: Path, *, exclusive: bool) -> int | None:
    """Lock a folder: without waiting, where it is for oneself alone."""
    if fcntl is None:
        return None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB if exclusive else fcntl.LOCK_SH)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _is_same(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(folder), os.fstat(descriptor))
    except OSError:
        return False


#: Programs of this process that are in no cache.
_ELSEWHERE: dict[str, Program] = {}


def build_elsewhere(root: Path, name: str, make: Callable[[Path], None]) -> Program:
    """Make a program in a temporary folder, for this process alone.

    Parameters
    ----------
    root : pathlib.Path
        The cache that cannot be written.
    name : str
    make : callable
        As for `brianlearn.brian.cpp.build_cache.BuildCache.get`.

    Raises
    ------
    DeviceError
    """
    if name in _ELSEWHERE:
        return _ELSEWHERE[name]
    problem = (
        "the cache is read-only and does not hold this program, which is compiled for this process alone; set "
        "BRIANLEARN_CACHE to a folder of yours to keep programs"
    )
    tell(BrianLearnWarning(str(root), problem))
    where = Path(tempfile.gettempdir())
    try:
        folder = owned_folder(where / "brianlearn-build")
        program = Program(folder)
        # at the end of the process at the latest
        weakref.finalize(program, shutil.rmtree, folder, ignore_errors=True)
        make(folder)
    except OSError as error:
        if isinstance(error, BrianLearnError):
            raise
        raise DeviceError(
            str(where),
            "a program cannot be compiled there",
            got=error.strerror or str(error),
            expected="a folder with write permission and some 20 MiB left",
            remedy=f"set TMPDIR to another folder, or BRIANLEARN_CACHE to one that can be written (now: {root})",
        ) from error
    _ELSEWHERE[name] = program
    return program
