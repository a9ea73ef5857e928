"""The folder of one run: what was run, with what, how it went, and what came out.

=================  ====================================================================================
config.json        everything needed to run it again
versions.json      Python, packages, compiler and machine that ran it
metrics.jsonl      one JSON object per epoch
checkpoint.npz     weights, optimiser state, counters and position at the end of the last chunk of samples
weights.npz        the weights at the end, one array per layer
result.json        the accuracies at the end; there only when the run is finished
overview.png       learning curve, firing rates, a raster (docs/reports.md)
report.html        the page of `brianlearn report`, where it was written
certificate.json   what `brianlearn certify` found, where it was asked
certificate.json   what `brianlearn certify` has found, where it was asked
=================  ====================================================================================
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from brianlearn.errors import RunFolderError
from brianlearn.training.checkpoint import Checkpoint
from brianlearn.training.files import parse_json, read_arrays, read_json, write_arrays, write_json, write_text
from brianlearn.training.lock import last_holder

__all__ = ["RunFolder"]

#: Version of the layout of the folder.
FORMAT = 1
#: What may differ between two lines of metrics.jsonl of the same epoch.
_TIMES = {"seconds", "samples_per_second"}


class RunFolder:
    """A run folder on the disk; use `create` or `open`.

    Attributes
    ----------
    path : pathlib.Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    def create(runs: str | os.PathLike[str], name: str) -> RunFolder:
        """Make the folder ``runs/<date>-<time>-<name>``; never one that is there already.

        Parameters
        ----------
        runs : path-like
            Made where it is missing.
        name : str
            Characters that do not belong into a file name become ``-``.

        Returns
        -------
        RunFolder

        Raises
        ------
        RunFolderError
            If it cannot be made.
        """
        stem = f"{time.strftime('%Y%m%d-%H%M%S')}-{re.sub(r'[^A-Za-z0-9_.]+', '-', name).strip('-.') or 'run'}"
        count = 1
        try:
            Path(runs).mkdir(parents=True, exist_ok=True)
            while True:
                path = Path(runs, stem if count == 1 else f"{stem}-{count}")
                try:
                    path.mkdir()
                except FileExistsError:  # another run started in the same second
                    count += 1
                    continue
                return RunFolder(path)
        except OSError as error:
            raise RunFolderError(
                str(runs),
                "the folder for runs cannot be written",
                got=error.strerror or str(error),
                expected="a folder in which a run folder can be made",
                remedy="choose another one: runs=... (--runs on the command line)",
            ) from error

    @staticmethod
    def open(path: str | os.PathLike[str]) -> RunFolder:
        """The folder of an earlier run.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        RunFolder

        Raises
        ------
        RunFolderError
            If it is no run folder, or of a version that this one does not know.
        """
        folder = RunFolder(Path(path))
        if not folder.path.is_dir():
            raise RunFolderError(
                str(path), "there is no such run folder", expected="a folder that `brianlearn train` has written"
            )
        if not (folder.path / "config.json").is_file():
            raise RunFolderError(
                str(path),
                "this is not a run folder",
                got="no config.json in it",
                expected="a folder that `brianlearn train` has written, e.g. runs/20250101-120000-digits-dalton",
            )
        config = folder.config()
        if not isinstance(config, dict) or config.get("format") != FORMAT:
            found = config.get("format") if isinstance(config, dict) else None
            raise RunFolderError(
                str(path), "the run folder is of another version", got=f"format {found}", expected=f"format {FORMAT}"
            )
        return folder

    @staticmethod
    def remove_unbegun(runs: str | os.PathLike[str]) -> None:
        """Remove run folders of killed processes in which nothing was stored yet that a run could go on from.

        Parameters
        ----------
        runs : path-like
        """
        with suppress(OSError):
            for path in Path(runs).iterdir():
                owner = last_holder(path)
                if owner is not None and owner.is_gone() and not (path / "config.json").exists():
                    shutil.rmtree(path, ignore_errors=True)

    def discard(self) -> None:
        """Remove the folder if nothing is in it; a lock must have been released."""
        if not any(self.path.iterdir()):
            self.path.rmdir()

    def unfinish(self) -> None:
        """Take back result, final weights and their certificate, before the run goes on for more epochs."""
        for name in ("result.json", "weights.npz", "certificate.json"):
            (self.path / name).unlink(missing_ok=True)

    def config(self) -> dict[str, Any]:
        """What was run.

        Returns
        -------
        dict
        """
        return read_json(self.path / "config.json")

    def write_config(self, config: dict[str, Any]) -> None:
        """Store what is run.

        Parameters
        ----------
        config : dict
            What JSON can hold.
        """
        write_json(self.path / "config.json", {"format": FORMAT, **config})

    def versions(self) -> dict[str, str | None]:
        """What ran it.

        Returns
        -------
        dict of str to str or None
            Package -> version; None where it is not installed.
        """
        return read_json(self.path / "versions.json")

    def write_versions(self, versions: dict[str, str | None]) -> None:
        """Store what runs it.

        Parameters
        ----------
        versions : dict
        """
        write_json(self.path / "versions.json", versions)

    def checkpoint(self) -> Checkpoint:
        """The last good state.

        Returns
        -------
        Checkpoint

        Raises
        ------
        RunFolderError
            If it is missing or damaged.
        """
        return Checkpoint.load(self.path / "checkpoint.npz")

    def write_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Replace the last good state.

        Parameters
        ----------
        checkpoint : Checkpoint
        """
        checkpoint.save(self.path / "checkpoint.npz")

    def metrics(self) -> list[dict[str, Any]]:
        """One mapping per finished epoch; empty before the first one.

        A last line that was cut off does not count, nor does a second line of an epoch that says the same but for the
        times: two processes once went on with the run at the same time, each with the same result.

        Returns
        -------
        list of dict

        Raises
        ------
        RunFolderError
            If the file is damaged.
        """
        file = self.path / "metrics.jsonl"
        try:
            lines = file.read_bytes().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunFolderError(str(file), "the file cannot be read", got=error.strerror or str(error)) from error
        lines.pop()  # after the last newline: nothing, or a line that was cut off
        metrics: dict[int, tuple[int, dict[str, Any]]] = {}
        for number, text in enumerate(lines, start=1):
            line = _metrics_line(file, number, text)
            first, same = metrics.setdefault(line["epoch"], (number, line))
            if any(line.get(name) != same.get(name) for name in (line.keys() | same.keys()) - _TIMES):
                raise _damaged_metrics(
                    file, number, f"epoch {line['epoch']} again, with other numbers than in line {first}"
                )
        return [line for _, line in metrics.values()]

    def append_metrics(self, line: dict[str, Any]) -> None:
        """Add an epoch.

        Parameters
        ----------
        line : dict
            What JSON can hold.

        Raises
        ------
        RunFolderError
            If it cannot be written.
        """
        file = self.path / "metrics.jsonl"
        try:
            with file.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line, allow_nan=False) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise RunFolderError(str(file), "the file cannot be written", got=error.strerror or str(error)) from error

    def keep_metrics(self, epochs: int) -> None:
        """Drop what was written after the first ``epochs`` epochs: the run continues there.

        Parameters
        ----------
        epochs : int
        """
        lines = [line for line in self.metrics() if line["epoch"] <= epochs]
        write_text(self.path / "metrics.jsonl", "".join(json.dumps(line) + "\n" for line in lines))

    def weights(self) -> dict[str, np.ndarray]:
        """The weights at the end, or, of a run that is not finished, those of the last checkpoint.

        Returns
        -------
        dict of str to numpy.ndarray

        Raises
        ------
        RunFolderError
        """
        file = self.path / "weights.npz"
        return read_arrays(file) if file.exists() else dict(self.checkpoint().state.weights)

    def write_weights(self, weights: dict[str, np.ndarray]) -> None:
        """Store the weights at the end.

        Parameters
        ----------
        weights : dict of str to numpy.ndarray
        """
        write_arrays(self.path / "weights.npz", weights)

    def result(self) -> dict[str, Any] | None:
        """The accuracies at the end; None where the run is not finished.

        Returns
        -------
        dict or None
        """
        file = self.path / "result.json"
        return read_json(file) if file.exists() else None

    def write_result(self, result: dict[str, Any]) -> None:
        """Store the accuracies at the end: this makes the run a finished one.

        Parameters
        ----------
        result : dict
        """
        write_json(self.path / "result.json", result)


def _metrics_line(file: Path, number: int, text: bytes) -> dict[str, Any]:
    """One line of metrics.jsonl."""
    try:
        line = parse_json(text)
    except ValueError as error:
        raise _damaged_metrics(file, number, f"{type(error).__name__}: {error}") from error
    epoch = line.get("epoch") if isinstance(line, dict) else None
    if isinstance(epoch, bool) or not isinstance(epoch, int):
        raise _damaged_metrics(file, number, "a line without the number of an epoch")
    return line


def _damaged_metrics(file: Path, number: int, got: str) -> RunFolderError:
    return RunFolderError(
        f"{file}, line {number}",
        "the file is damaged",
        got=got,
        expected="one JSON object per line, one line for each finished epoch",
        remedy="restore the file from a copy, or delete this line if its epoch has another one",
    )
