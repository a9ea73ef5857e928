"""One process at a time writes into a folder of results.

The lock is the operating system's and ends with the process that holds it, however that ends: nobody has to remove
anything after a crash. Reading needs no lock, because files appear whole.

==========  ==========================================================================================
.lock       what is locked
.lock.json  who holds it: process id, machine, since when
.lock.held  only on a file system without locks
==========  ==========================================================================================

They are there while the folder is locked; after a crash they stay until the next process takes the lock. On a file
system without locks (some network mounts) the file ``.lock.held`` itself is the lock: it is taken over when its process
on this machine has ended; one of another machine must be removed by hand if that machine died.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from brianlearn.errors import RunFolderError
from brianlearn.machine.owner import Owner, this_process

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = ["LOCK_FILES", "FolderLock", "last_holder", "locked"]

#: What the lock puts into the folder.
LOCK_FILES = (".lock", ".lock.held", ".lock.json")
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class FolderLock:
    """The lock on a folder; `take` and `release` it, or use `locked`.

    Parameters
    ----------
    folder : pathlib.Path
        It must be there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: BaseFileLock | None = None

    def take(self) -> None:
        """Lock the folder, without waiting.

        Raises
        ------
        RunFolderError
            Another process, or another run in this process, has locked it; or it cannot be written.
        """
        from filelock import FileLock, SoftFileLock

        path, soft, owner = (self.folder / name for name in LOCK_FILES)
        try:
            try:
                lock = self._acquire(FileLock(path, timeout=0, thread_local=False))
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                lock = self._acquire(SoftFileLock(soft, timeout=0, thread_local=False))
        except (OSError, NotImplementedError) as error:
            if isinstance(error, RunFolderError):
                raise
            raise RunFolderError(
                str(self.folder),
                "the folder cannot be locked",
                got=getattr(error, "strerror", None) or str(error),
                expected="a folder that can be written, on a file system with locks",
                remedy="choose another one for runs: runs=... (--runs on the command line)",
            ) from error
        self._lock = lock
        with suppress(OSError):  # it only tells others who has the lock
            owner.write_text(
                json.dumps(
                    {
                        "pid": os.getpid(),
                        "host": platform.node(),
                        "since": time.time(),
                        "owner": this_process().tag,
                    }
                )
            )

    def release(self) -> None:
        """Give the lock back, and leave no file behind; nothing happens where it is not held."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        for name in reversed(LOCK_FILES):  # while it is held: who comes next locks a new file
            with suppress(OSError):
                (self.folder / name).unlink()
        lock.release()

    def _acquire(self, lock: BaseFileLock) -> BaseFileLock:
        from filelock import Timeout

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that a file system has no locks is handled here
                lock.acquire()
        except Timeout:
            raise RunFolderError(
                str(self.folder),
                "another run is writing into this folder",
                got=self._holder(),
                expected="a folder that no other run writes into",
                remedy="wait until it has finished, or end it; reading is possible at any time "
                "(brianlearn evaluate). If it is certain that there is no such process any more: "
                f"delete {lock.lock_file}",
            ) from None
        return lock

    def _holder(self) -> str:
        try:
            holder = json.loads((self.folder / LOCK_FILES[2]).read_text(encoding="utf-8"))
            since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
            return f"process {holder['pid']} on {holder['host']}, since {since}"
        except (OSError, ValueError, KeyError, TypeError):  # it has only just locked it
            return "a process that has not said who it is"


def last_holder(folder: Path) -> Owner | None:
    """The process that holds the lock on a folder, or held it when it was killed; None where there is none."""
    try:
        return Owner.find((folder / LOCK_FILES[2]).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock on a folder.

    Raises
    ------
    RunFolderError
        As `FolderLock.take`.
    """
    lock = FolderLock(folder)
    lock.take()
    try:
        yield
    finally:
        lock.release()
