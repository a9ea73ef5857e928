"""Downloads: one file, or one archive unpacked, with a checksum, whole or not at all."""

from __future__ import annotations

import os
import shutil
import tarfile
import zipfile
import zlib
from pathlib import Path

from brianlearn.data.places import DATA_VARIABLE
from brianlearn.errors import DataError
from brianlearn.machine.leftovers import owned_folder, temporary_folder
from brianlearn.work import working

__all__ = ["download", "unpack"]

#: Bytes that are fetched at once.
PIECE = 1 << 18


class Bar:
    """How far a download is, in the words of pooch's progress bars; silent where stderr is no terminal.

    Parameters
    ----------
    name : str
        The file.

    Attributes
    ----------
    display : rich.progress.Progress
        Shows it while it is entered.
    """

    def __init__(self, name: str) -> None:
        from rich import progress
        from rich.console import Console

        console = Console(stderr=True)
        self.display = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=None),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self.display.add_task(name, total=None)

    @property
    def total(self) -> float | None:
        """Bytes of the file; None while they are not known."""
        return self.display.tasks[0].total

    @total.setter
    def total(self, total: int) -> None:
        self.display.update(self._task, total=total or None)  # 0: the server does not say

    @property
    def done(self) -> float:
        """Bytes that are here."""
        return self.display.tasks[0].completed

    def update(self, size: int) -> None:
        """So many bytes more."""
        self.display.update(self._task, advance=size)

    def reset(self) -> None:
        """Nothing yet."""
        self.display.update(self._task, completed=0)

    def close(self) -> None:
        """No more bytes come."""
        self.display.refresh()


@working()
def download(data_set: str, url: str, md5: str, folder: Path, remedy: str, name: str | None = None) -> Path:
    """Fetch a file into a folder.

    Parameters
    ----------
    data_set : str
        Its name, for errors.
    url : str
        The file.
    md5 : str
        Checksum. A file that does not have it is not kept.
    folder : pathlib.Path
    remedy : str
        What to do by hand.
    name : str, optional
        What the file is called in the folder; the last part of the address where it is not given.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DataError
        No connection, no space, or a wrong checksum.
    """
    import pooch

    name = name or url.rsplit("/", 1)[-1]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        bar = Bar(name)
        # pooch checks the sum in a temporary file and renames it: a broken download leaves nothing behind; a killed one
        # leaves that file, in a folder that says whose it is
        with temporary_folder(folder / name) as half, bar.display:
            downloader = pooch.HTTPDownloader(progressbar=bar, chunk_size=PIECE)
            pooch.retrieve(url, known_hash=f"md5:{md5}", fname=name, path=half, downloader=downloader)
            os.replace(half / name, folder / name)
        return folder / name
    except (OSError, ValueError) as error:  # connection, disk, or a wrong checksum
        raise DataError(
            f"data set {data_set!r}",
            f"{name} is not on this machine and could not be downloaded",
            got=f"{type(error).__name__}: {error}",
            expected=f"{url} (md5 {md5})",
            remedy=f"{remedy} ({DATA_VARIABLE} is now {os.environ.get(DATA_VARIABLE) or 'not set'})",
        ) from error


@working()
def unpack(archive: Path, folder: Path, inside: str = "") -> Path:
    """Unpack a tar or zip archive, whole or not at all, and remove it; zip archives in it too, each beside itself.

    Parameters
    ----------
    archive : pathlib.Path
    folder : pathlib.Path
        Appears when everything is unpacked.
    inside : str, optional
        The folder in the archive that becomes ``folder``; all of the archive where it is not given.

    Returns
    -------
    pathlib.Path
        ``folder``.

    Raises
    ------
    DataError
        A damaged archive, one that would write outside of the folder, or a folder that cannot be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        half = owned_folder(folder)
        try:
            _extract(archive, half)
            for inner in sorted(half.rglob("*.zip")):
                _extract(inner, inner.parent)
                inner.unlink()
            if not (half / inside).is_dir():
                raise DataError(
                    str(archive),
                    "the archive holds something else",
                    got=", ".join(sorted(entry.name for entry in half.iterdir())[:8]),
                    expected=f"a folder {inside}",
                )
            os.replace(half / inside, folder)
        finally:
            shutil.rmtree(half, ignore_errors=True)
    except (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile) as error:
        raise DataError(
            str(archive),
            "the archive cannot be unpacked",
            got=f"{type(error).__name__}: {error}",
            expected=f"a whole archive, and space for it in {folder.parent}",
            remedy="delete it and fetch it again",
        ) from error
    archive.unlink()
    return folder


def _extract(archive: Path, folder: Path) -> None:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(folder)
        return
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
