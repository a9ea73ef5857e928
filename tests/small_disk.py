"""Real file systems that are small, full or read-only; tests that may not mount any are skipped."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no mount here: {done.stderr.strip()}")


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """A folder on a disk of so many kilobytes."""
    folder.mkdir(exist_ok=True)
    try:
        _mount("-t", "tmpfs", "-o", f"size={kilobytes}k", "none", str(folder))
    except FileNotFoundError:
        pytest.skip("no mount here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """A folder that cannot be written, also not by the superuser, while this lasts."""
    try:
        _mount("--bind", str(folder), str(folder))
    except FileNotFoundError:
        pytest.skip("no mount here")
    try:
        _mount("-o", "remount,bind,ro", str(folder))
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path, leave: int = 0) -> Path:
    """Fill the disk of a folder, but for ``leave`` bytes."""
    file = folder / "filler"
    try:
        with file.open("wb", buffering=0) as stream:
            while True:
                stream.write(bytes(4096))
    except OSError:
        pass
    with file.open("ab") as stream:
        stream.truncate(max(file.stat().st_size - leave, 0))
    return file
