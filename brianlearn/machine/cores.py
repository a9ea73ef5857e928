"""The cores of a machine, shared by the processes of a study: never more of them compute than there are cores.

A core is a lock on a file of a folder that all of them know. The operating system gives the locks of a process that
dies to the others.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["Cores", "core_count", "current_cores", "share_cores"]

#: Seconds between two looks for a free core.
PAUSE = 0.02


def core_count() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on this system
        return os.cpu_count() or 1


class Cores:
    """A share of the machine's cores, as one process sees it.

    Parameters
    ----------
    folder : pathlib.Path
        Holds the locks; made where it is missing.
    n : int
        Cores in all.
    """

    def __init__(self, folder: Path, n: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._locks = [FileLock(folder / f"core-{k}.lock") for k in range(n)]
        self._held: list[FileLock] = []

    def _take(self) -> bool:
        for lock in self._locks:
            if lock not in self._held:
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
                self._held.append(lock)
                return True
        return False

    def _give(self) -> None:
        self._held.pop().release()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a core, as soon as one is free."""
        while not self._take():
            time.sleep(PAUSE)
        try:
            yield
        finally:
            self._give()

    @contextmanager
    def more(self, wanted: int) -> Iterator[int]:
        """Hold further cores, as many as are free now.

        Yields
        ------
        int
            How many there are beside those that are held already, at most ``wanted``.
        """
        with ExitStack() as stack:
            n = 0
            while n < wanted and self._take():
                stack.callback(self._give)
                n += 1
            yield n

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Give the core back while this process waits for another one."""
        held = bool(self._held)
        if held:
            self._give()
        try:
            yield
        finally:
            while held and not self._take():
                time.sleep(PAUSE)


_current: Cores | None = None


def share_cores(cores: Cores | None) -> None:
    """Let this process share the machine's cores with others from now on; None ends it."""
    global _current
    _current = cores


def current_cores() -> Cores | None:
    """The cores that this process shares with others, where it does."""
    return _current
