"""Temporary folders and files that say whose they are, and the removal of those whose owner was killed."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from brianlearn.machine.cache import cache_folder
from brianlearn.machine.owner import Owner, this_process
from brianlearn.machine.scratch import scratch_folders

__all__ = [
    "Leftover",
    "find_leftovers",
    "owned_folder",
    "owned_path",
    "remove_leftovers",
    "size_of",
    "temporary_folder",
    "work_folders",
]

#: What names no owner: folders and files of earlier versions, and what numba writes in milliseconds before it renames
#: it. Those for scratch folders are also found in folders that other programs use.
_NAMELESS = re.compile(r"brianlearn-(run|exchange|doctor)-\w+")
_NAMELESS_IN_CACHE = re.compile(r"\.[0-9a-f]{24}-\w+|\..+-\w{8}|\..+-\d+\.tmp|.+\.nb[ic]\.tmp\.\w+")
#: Seconds after which one without an owner may be removed by hand.
_OLD = 24 * 3600.0


@dataclass(frozen=True)
class Leftover:
    """A folder or file that a process left.

    Attributes
    ----------
    path : pathlib.Path
    owner : Owner or None
        None where the name does not say.
    gone : bool
        Whether its owner has certainly ended; where there is none, whether it is more than a day old.
    """

    path: Path
    owner: Owner | None
    gone: bool

    def remove(self) -> None:
        """Remove it; what cannot be removed stays."""
        if self.path.is_dir() and not self.path.is_symlink():
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            with suppress(OSError):
                self.path.unlink()


def owned_path(path: Path) -> Path:
    """A hidden name beside ``path`` for a file or folder that is not whole yet, with its owner in it."""
    return path.with_name(f".{path.name}.{this_process().tag}.{secrets.token_hex(4)}.tmp")


def owned_folder(path: Path) -> Path:
    """Make an empty folder beside ``path``, with its owner in its name, which only its owner can read.

    Raises
    ------
    OSError
    """
    folder = owned_path(path)
    folder.mkdir(mode=0o700)
    return folder


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """As `owned_folder`, removed at the end.

    Raises
    ------
    OSError
    """
    folder = owned_folder(path)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def work_folders() -> list[Path]:
    """The folders in which processes of this package leave what they do not finish: scratch folders and the cache."""
    cache = cache_folder()
    inside: list[Path] = []
    with suppress(OSError):
        inside = sorted(path for path in cache.iterdir() if path.is_dir() and not path.name.startswith("."))
    # /tmp: GeNN's script asks for no other place
    return list(dict.fromkeys([*scratch_folders(), Path("/tmp"), cache, *inside, cache / "kernels" / "__pycache__"]))


def find_leftovers(folders: Iterable[Path]) -> list[Leftover]:
    """What processes left in folders, their own or those that are still at work.

    Only entries that belong to the user are listed: of other users' processes nobody can tell everywhere whether they
    run.

    Parameters
    ----------
    folders : iterable of pathlib.Path
        Folders that are not there or cannot be read hold nothing.
    """
    found = []
    user = os.geteuid() if hasattr(os, "geteuid") else None
    shared = {*scratch_folders(), Path("/tmp")}
    for folder in folders:
        nameless = _NAMELESS if folder in shared else _NAMELESS_IN_CACHE
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                owner = Owner.find(_name(entry))
                if owner is None and not nameless.fullmatch(entry.name):
                    continue
                with suppress(OSError):  # it may be gone by now
                    status = entry.stat(follow_symlinks=False)
                    if user is not None and status.st_uid != user:
                        continue
                    gone = time.time() - status.st_mtime > _OLD if owner is None else owner.is_gone(status.st_mtime)
                    found.append(Leftover(Path(entry.path), owner, gone))
    return found


def _name(entry: os.DirEntry[str]) -> str:
    """The name of a folder or file, with that of its target where it is a link: GeNN's script links to builds."""
    if not entry.is_symlink():
        return entry.name
    try:
        return f"{entry.name} {Path(os.readlink(entry.path)).name}"
    except OSError:
        return entry.name


def remove_leftovers(folders: Iterable[Path] | None = None) -> list[Leftover]:
    """Remove what processes left that have ended; never what belongs to one that runs, or that may run elsewhere.

    Parameters
    ----------
    folders : iterable of pathlib.Path, optional
        `work_folders` where they are not given.

    Returns
    -------
    list of Leftover
        What was removed.
    """
    found = find_leftovers(work_folders() if folders is None else folders)
    left = [each for each in found if each.owner is not None and each.gone]
    for each in left:
        each.remove()
    return left


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    try:
        if not path.is_dir() or path.is_symlink():
            return path.lstat().st_size
        return sum(size_of(Path(entry.path)) for entry in os.scandir(path))
    except OSError:
        return 0
