"""The folder of a study: what is studied, the trials that were planned, and one folder for each of them.

=============================  =======================================================================================
study.json                     everything needed to go on: function, axes, sampler, what is kept
plan.jsonl                     one JSON object per trial: its index and its parameters
trials/00007-tau_m=10ms/       one folder per trial, with its parameters in its name
.../parameters.json            the parameters with their units
.../done.json                  metrics, units, seconds: there only when the trial is finished
.../failed.json                the error that ended it; ``stopped.json`` where it was ended because others were better
.../arrays.npz                 arrays that the function returned
.../<date>-<time>-<name>/      the run folder of an experiment
reports/                       what trials said while they ran, for early stopping
worker-1.log                   what a worker process printed
=============================  =======================================================================================

The folders are the truth: whatever else is known about a study is read from them.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from brianlearn.errors import RunFolderError
from brianlearn.study.samplers import Point
from brianlearn.study.values import file_text
from brianlearn.training.files import read_arrays, read_json, write_arrays, write_json
from brianlearn.training.serialise import from_dict, to_dict

__all__ = ["FINISHED", "StudyFolder", "TrialFolder"]

#: Version of the layout of the folder.
FORMAT = 1
#: States of a trial that end it, by the file that says so. A trial without one of these is run by ``resume``.
FINISHED = ("done", "failed", "stopped")
#: Length up to which a trial's parameters are part of its folder's name.
NAME_LENGTH = 120


class TrialFolder:
    """The folder of one trial; it may not exist yet.

    Attributes
    ----------
    path : pathlib.Path
    index : int
    parameters : dict
        Axis name -> value.
    """

    def __init__(self, path: Path, index: int, parameters: Point) -> None:
        self.path, self.index, self.parameters = path, index, parameters

    def begin(self) -> None:
        """Make the folder and store the parameters.

        Raises
        ------
        RunFolderError
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunFolderError(
                str(self.path), "the folder of a trial cannot be made", got=error.strerror or str(error)
            ) from error
        write_json(self.path / "parameters.json", to_dict(self.parameters))

    def state(self) -> str | None:
        """One of `FINISHED`; None where the trial is not finished."""
        return next((state for state in FINISHED if (self.path / f"{state}.json").exists()), None)

    def record(self) -> dict[str, Any]:
        """What a finished trial left: ``metrics``, ``units``, ``curves``, ``error``, ``seconds``, ...

        Raises
        ------
        RunFolderError
            If it is not finished, or damaged.
        """
        state = self.state()
        if state is None:
            raise RunFolderError(str(self.path), "the trial is not finished", expected="a trial with a result")
        return _record(self.path, state)

    def finish(self, state: str, record: Mapping[str, Any]) -> None:
        """Store what came out: this ends the trial.

        Raises
        ------
        RunFolderError
        """
        write_json(self.path / f"{state}.json", dict(record))

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays that the function returned; empty where there are none.

        Raises
        ------
        RunFolderError
        """
        file = self.path / "arrays.npz"
        return read_arrays(file) if file.exists() else {}

    def write_arrays(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Store arrays."""
        write_arrays(self.path / "arrays.npz", arrays)

    def run_folder(self) -> Path | None:
        """The run folder of the trial's experiment, finished or not; None where there is none yet."""
        found = sorted(path.parent for path in self.path.glob("*/config.json"))
        return found[-1] if found else None


class StudyFolder:
    """A study on the disk; use `create` or `open`.

    Attributes
    ----------
    path : pathlib.Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._plan: list[Point] = []
        self._read = 0  # bytes of the plan that are read

    @staticmethod
    def create(folder: str | os.PathLike[str] | None, runs: str | os.PathLike[str], name: str) -> StudyFolder:
        """Make the folder: ``folder``, or ``runs/<date>-<time>-study-<name>``.

        Raises
        ------
        RunFolderError
            If it cannot be made, or has something in it already.
        """
        stem = re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-.") or "study"
        path = Path(folder) if folder is not None else Path(runs, f"{time.strftime('%Y%m%d-%H%M%S')}-study-{stem}")
        count = 1
        while folder is None and path.exists():
            count += 1
            path = path.with_name(f"{path.name.removesuffix(f'-{count - 1}')}-{count}")
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                remedy = "another folder" + (
                    f", or `brianlearn study resume {path}`" if (path / "study.json").exists() else ""
                )
                raise RunFolderError(
                    str(path), "the folder of the study is not empty", expected="a new or empty folder", remedy=remedy
                )
        except OSError as error:
            if isinstance(error, RunFolderError):
                raise
            raise RunFolderError(
                str(path), "the folder of the study cannot be made", got=error.strerror or str(error)
            ) from error
        return StudyFolder(path)

    @staticmethod
    def open(path: str | os.PathLike[str]) -> StudyFolder:
        """The folder of an earlier study.

        Raises
        ------
        RunFolderError
            If it is none, or of a version that this one does not know.
        """
        folder = StudyFolder(Path(path))
        if not (folder.path / "study.json").exists():
            raise RunFolderError(
                str(path), "there is no study here", expected="a folder that `brianlearn study` has written"
            )
        found = folder.description().get("format")
        if found != FORMAT:
            raise RunFolderError(
                str(path), "the study is of another version", got=f"format {found}", expected=f"format {FORMAT}"
            )
        return folder

    def description(self) -> dict[str, Any]:
        """What is studied.

        Raises
        ------
        RunFolderError
        """
        found = read_json(self.path / "study.json")
        if not isinstance(found, dict):
            raise RunFolderError(str(self.path / "study.json"), "the file is damaged", expected="an object")
        return found

    def write_description(self, description: Mapping[str, Any]) -> None:
        """Store what is studied."""
        write_json(self.path / "study.json", {"format": FORMAT, **description})

    def plan(self) -> list[Point]:
        """The parameters of all trials that are planned, by index. What others have added since is read too.

        Raises
        ------
        RunFolderError
            If the file is damaged.
        """
        file = self.path / "plan.jsonl"
        try:
            with file.open("rb") as stream:
                stream.seek(self._read)
                new = stream.read()
        except FileNotFoundError:
            return self._plan
        except OSError as error:
            raise RunFolderError(str(file), "the file cannot be read", got=error.strerror or str(error)) from error
        whole = new[: new.rfind(b"\n") + 1]  # a line that was cut off does not count
        for line in whole.splitlines():
            try:
                entry = json.loads(line)
                if entry["index"] != len(self._plan):
                    raise ValueError(f"index {entry['index']} instead of {len(self._plan)}")
                self._plan.append(dict(from_dict(entry["parameters"], str(file))))
            except (ValueError, KeyError, TypeError) as error:
                raise RunFolderError(
                    str(file),
                    "the file is damaged",
                    got=f"line {len(self._plan) + 1}: {error}",
                    expected='lines such as {"index": 0, "parameters": {...}}',
                ) from error
        self._read += len(whole)
        return self._plan

    def add(self, points: Iterable[Point]) -> list[int]:
        """Add trials to the plan.

        Returns
        -------
        list of int
            Their indices.

        Raises
        ------
        RunFolderError
        """
        first = len(self.plan())
        points = list(points)
        lines = [
            json.dumps({"index": first + k, "parameters": to_dict(point)}, allow_nan=False)
            for k, point in enumerate(points)
        ]
        file = self.path / "plan.jsonl"
        try:
            with file.open("r+b" if file.exists() else "w+b") as stream:
                stream.seek(self._read)
                stream.truncate()  # a line that was cut off
                stream.write("".join(f"{line}\n" for line in lines).encode())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise RunFolderError(str(file), "the file cannot be written", got=error.strerror or str(error)) from error
        self.plan()
        return list(range(first, first + len(points)))

    def trial(self, index: int) -> TrialFolder:
        """The folder of a planned trial."""
        parameters = self.plan()[index]
        label = ",".join(f"{name}={file_text(value)}" for name, value in parameters.items())
        stem = f"{index:05d}-{label}"[:NAME_LENGTH].rstrip(",.-")
        return TrialFolder(self.path / "trials" / stem, index, parameters)

    def states(self) -> dict[int, str]:
        """The trials that are finished: index -> one of `FINISHED`."""
        return {index: state for index, (state, _) in self._finished().items()}

    def records(self) -> dict[int, dict[str, Any]]:
        """What all finished trials left: index -> as `TrialFolder.record`."""
        return {index: _record(Path(path), state) for index, (state, path) in self._finished().items()}

    def _finished(self) -> dict[int, tuple[str, str]]:
        """Index -> state and folder of the trials that are finished."""
        found: dict[int, tuple[str, str]] = {}
        known = {f"{state}.json": state for state in FINISHED}
        try:
            with os.scandir(self.path / "trials") as folders:
                for folder in folders:
                    index, _, _ = folder.name.partition("-")
                    if not index.isdigit():
                        continue
                    with os.scandir(folder.path) as files:
                        ends = [known[file.name] for file in files if file.name in known]
                    if ends:
                        found[int(index)] = min(ends, key=FINISHED.index), folder.path
        except FileNotFoundError:
            return found
        except OSError as error:
            raise RunFolderError(
                str(self.path / "trials"), "the folder cannot be read", got=error.strerror or str(error)
            ) from error
        return dict(sorted(found.items()))


def _record(path: Path, state: str) -> dict[str, Any]:
    record = read_json(path / f"{state}.json")
    if not isinstance(record, dict):
        raise RunFolderError(
            str(path / f"{state}.json"),
            "the file is damaged",
            got=type(record).__name__,
            expected="an object",
            remedy="delete it; the trial is then run again by `brianlearn study resume`",
        )
    return {"state": state, "metrics": {}, "units": {}, "curves": {}, **record}
