"""Recordings of a data set, binned once into the cache."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from brianlearn.data.events.grid import Grid
from brianlearn.data.events.pipeline import Pipeline
from brianlearn.data.events.stored import MAGIC, StoredEvents, store
from brianlearn.errors import DataError
from brianlearn.machine.cache import cache_folder

__all__ = ["binned", "whole_number", "with_progress"]


def binned(
    name: str,
    files: Sequence[Path],
    pipeline: Pipeline | Grid,
    recordings: Callable[[], Iterable[tuple[int, Any]]],
    *,
    made_by: object = None,
) -> StoredEvents:
    """The recordings in files, from the cache, or binned into it.

    The name of the cached file holds a checksum of its format, the pipeline and all paths, sizes and times of change,
    so that another file is another data set.

    Parameters
    ----------
    name : str
        Begins the name of the cached file.
    files : sequence of pathlib.Path
        All files that ``recordings`` reads.
    pipeline : Pipeline or Grid
    recordings : callable
        Gives label and events of each recording, in order, as the pipeline takes them.
    made_by : dataclass, optional
        What else the recordings depend on.

    Returns
    -------
    StoredEvents

    Raises
    ------
    DataError
        What the recordings raise, and a cache that cannot be written. Nothing is cached then.
    """
    described: list[object] = [
        MAGIC.decode(),
        dataclasses.asdict(pipeline),
        [(str(f.resolve()), *_state(f)) for f in files],
    ]
    described += [] if made_by is None else [repr(made_by)]
    key = hashlib.sha256(json.dumps(described).encode()).hexdigest()[:20]
    path = cache_folder("events") / f"{name}-{key}.events"
    if path.is_file():
        return StoredEvents(path)
    return store(path, pipeline, with_progress(name, recordings(), f"{len(files)} files"))


def _state(file: Path) -> tuple[int, int]:
    try:
        stat = file.stat()
    except OSError as error:
        raise DataError(str(file), "the recording cannot be read", got=error.strerror or str(error)) from error
    return stat.st_size, stat.st_mtime_ns


def with_progress(name: str, recordings: Iterable[tuple[int, Any]], amount: str) -> Iterator[tuple[int, Any]]:
    """The same, with a display on a terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    text = TextColumn("binning {task.description}: {task.completed} recordings")
    with Progress(SpinnerColumn(), text, TimeElapsedColumn(), console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"{name} ({amount})", total=None)
        for item in recordings:
            yield item
            bar.advance(task)


def whole_number(text: str, low: int, high: int, path: Path, what: str) -> int:
    """A label in the name of a file or folder.

    Raises
    ------
    DataError
        If it is none from ``low`` to ``high``.
    """
    if text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high:
        return int(text)
    raise DataError(
        str(path),
        f"the recording has no label: {what} is none",
        got=repr(text),
        expected=f"a whole number from {low} to {high}",
        remedy="move what does not belong to the data set to another folder",
    )
