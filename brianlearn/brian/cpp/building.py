"""Who builds a program: counted, and once where several processes want the same one at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from filelock import FileLock

from brianlearn.machine.cores import core_count, current_cores

__all__ = ["MOST_JOBS", "building", "built", "compile_jobs", "counting_builds", "wait_for_each_other"]

#: Compilers that run at the same time at most.
MOST_JOBS = 8

_locks: Path | None = None
_counted: list[list[str]] = []


def wait_for_each_other(folder: Path | None) -> None:
    """Let the processes that know ``folder`` build each program once: the others wait for it. None ends it.

    Without it two processes that want the same program at the same time build it twice; the cache takes either.
    """
    global _locks
    _locks = folder


@contextmanager
def counting_builds() -> Iterator[list[str]]:
    """Collect the names of the programs that are built inside.

    Yields
    ------
    list of str
        Filled while it goes.
    """
    names: list[str] = []
    _counted.append(names)
    try:
        yield names
    finally:
        _counted[:] = [other for other in _counted if other is not names]


@contextmanager
def building(name: str) -> Iterator[None]:
    """Entered before a program is built, which may have been built by another process afterwards."""
    if _locks is None:
        yield
        return
    _locks.mkdir(parents=True, exist_ok=True)
    lock, cores = FileLock(_locks / f"{name}.lock"), current_cores()
    with nullcontext() if cores is None else cores.lent():
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def built(name: str) -> None:
    """A program has been built."""
    for names in _counted:
        names.append(name)


@contextmanager
def compile_jobs(most: int = MOST_JOBS) -> Iterator[int]:
    """How many compilers may run at the same time: one per core, or what a study leaves to this process.

    Yields
    ------
    int
    """
    cores = current_cores()
    if cores is None:
        yield max(1, min(core_count(), most))
        return
    with cores.more(most - 1) as others:
        yield 1 + others
