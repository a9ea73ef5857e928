"""``brianlearn clean``: what killed processes left, and what the cache holds."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from brianlearn.machine.cache import cache_folder
from brianlearn.machine.leftovers import Leftover, find_leftovers, size_of, work_folders

__all__ = ["CACHES", "Item", "clean", "find_items"]

#: Kinds of things in the cache: option -> what it is. All but the first three are data sets.
CACHES = {
    "builds": "compiled programs",
    "kernels": "kernels of the discrete engine",
    "events": "binned recordings",
    "data": "downloaded data sets",
}


@dataclass(frozen=True)
class Item:
    """Something that can be removed.

    Attributes
    ----------
    kind : str
        ``"leftover"``, or one of `CACHES`.
    path : str
    bytes : int
    what : str
        For people.
    remove : bool
        Whether it was asked for and nobody uses it.
    """

    kind: str
    path: str
    bytes: int
    what: str
    remove: bool


def find_items(caches: frozenset[str], runs: Path) -> list[Item]:
    """What could be removed.

    Parameters
    ----------
    caches : frozenset of str
        Parts of the cache that are to go.
    runs : pathlib.Path
        Folder of run folders.
    """
    return [*_leftovers(runs), *_cached(caches)]


def clean(caches: frozenset[str], runs: Path, *, yes: bool, as_json: bool) -> None:
    """Print what could be removed, and remove it where that is said.

    Parameters
    ----------
    caches, runs
        See `find_items`.
    yes : bool
        Whether it is removed, not only listed.
    as_json : bool
    """
    items = find_items(caches, runs)
    if yes:
        for item in items:
            if item.remove:
                _remove(item)
    freed = [item.bytes - size_of(Path(item.path)) if item.remove and yes else 0 for item in items]
    if as_json:
        listed = [dataclasses.asdict(item) | {"freed": size} for item, size in zip(items, freed, strict=True)]
        print(json.dumps(listed))
        return
    console = Console()
    table = Table(box=SIMPLE_HEAD)
    for column, justify in (("", "left"), ("what", "left"), ("size", "right"), ("where", "left")):
        table.add_column(column, justify=justify, overflow="fold", no_wrap=column == "size")  # type: ignore[arg-type]
    for item in items:
        mark = "stays" if not item.remove else "removed" if yes else "would go"
        table.add_row(mark, item.what, _size(item.bytes), item.path)
    if items:
        console.print(table)
    total = sum(item.bytes for item in items if item.remove)
    if not any(item.remove for item in items):
        console.print("nothing to remove" + ("" if caches else "; --cache KIND empties a part of the cache"))
    elif yes:
        console.print(f"removed {_size(sum(freed))}")
    else:
        console.print(f"{_size(total)} would be removed; --yes removes them")


def _leftovers(runs: Path) -> Iterator[Item]:
    folders = [*work_folders(), runs]
    if runs.is_dir():
        folders += sorted(path for path in runs.iterdir() if path.is_dir())
    for found in find_leftovers(folders):
        yield Item("leftover", str(found.path), size_of(found.path), _whose(found), found.gone)


def _whose(found: Leftover) -> str:
    if found.owner is None:
        return "of an unknown process, " + ("over a day old" if found.gone else "less than a day old")
    return f"of process {found.owner.pid}, " + ("which has ended" if found.gone else "which runs, or ran elsewhere")


def _cached(caches: frozenset[str]) -> Iterator[Item]:
    cache = cache_folder()
    if not cache.is_dir():
        return
    for path in sorted(cache.iterdir()):
        if not path.is_dir() or path.name.startswith("."):
            continue
        kind = path.name if path.name in CACHES else "data"
        yield Item(kind, str(path), size_of(path), f"{CACHES[kind]} (--cache {kind})", kind in caches)


def _remove(item: Item) -> None:
    path = Path(item.path)
    if item.kind == "builds":
        from brianlearn.brian.cpp.program import Program

        for folder in path.iterdir():
            if not folder.name.startswith("."):
                Program.remove(folder)
    elif path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MiB" if size >= 2**20 else f"{size / 1024:.1f} KiB"
