"""Running one trial in its folder: the same in every kind of worker, and without harm when it is done twice."""

from __future__ import annotations

import errno
import inspect
import os
import shutil
import socket
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity, get_dimensions

from brianlearn.errors import BrianLearnError, RunFolderError, SpecError
from brianlearn.machine.interrupt import Terminated
from brianlearn.machine.leftovers import remove_leftovers
from brianlearn.study.folder import StudyFolder, TrialFolder
from brianlearn.study.parameters import with_parameters
from brianlearn.study.reporting import SuccessiveHalving, TrialStopped, report, reporting
from brianlearn.study.task import Task
from brianlearn.study.values import si_unit, to_number
from brianlearn.training.lock import locked
from brianlearn.training.progress import Progress
from brianlearn.training.scores import KINDS
from brianlearn.training.serialise import from_dict

__all__ = ["DISK", "KEEP", "run_trial"]

#: What stays of a trial's run folder: nothing but metrics; the weights at the end too; the last checkpoint too.
KEEP = ("metrics", "weights", "all")
#: Errors of the disk: they end no trial, but keep it from being run now.
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.ESTALE)
#: Metrics of an experiment, and their units.
OF_RESULT = {
    "train_accuracy": "",
    "train_loss": "",
    "validation_accuracy": "",
    "validation_loss": "",
    "test_accuracy": "",
    "test_loss": "",
    "samples_per_second": "",
    "build_seconds": "s",
    "seconds": "s",
}
PARTS = ("train", "validation", "test")
#: In the place of accuracies, of samples with values or spike trains.
OTHERS = tuple(f"{part}_{name}" for kind in KINDS[1:] for part in PARTS for name in kind)
OF_RESULT |= dict.fromkeys(OTHERS, "")
#: What is kept for each epoch of an experiment.
CURVES = (
    *("train_accuracy", "train_loss", "validation_accuracy", "validation_loss"),
    *(name for name in OTHERS if not name.startswith("test")),
)

#: Seconds to wait for another process that runs the same trial.
PATIENCE = 600.0

#: Brian2 has one active device in a process.
_ONE_AT_A_TIME = threading.RLock()


class _Reports(Progress):
    """Reports the epochs of an experiment to the study."""

    def __init__(self, stop: SuccessiveHalving | None) -> None:
        self._metric = None if stop is None else stop.metric
        self._largest = stop is not None and stop.direction == "maximize"

    def epoch(self, line: dict[str, Any], epochs: int) -> None:
        score = next((name for name in ("accuracy", "r2") if f"train_{name}" in line), "van_rossum")
        held_out = line[f"validation_{score}"] is not None
        name = self._metric or f"{'validation' if held_out else 'train'}_{score}"
        if self._metric is None and self._largest and score == "van_rossum":
            raise SpecError(
                "SuccessiveHalving",
                "the smaller a distance of spike trains, the better",
                got="direction='maximize'",
                expected=f"SuccessiveHalving(metric={name!r}, direction='minimize')",
            )
        value = line.get(name)
        if not isinstance(value, int | float):
            raise SpecError(
                "SuccessiveHalving",
                "there is no such metric of an epoch",
                got=repr(name),
                expected=", ".join(sorted(k for k, v in line.items() if isinstance(v, int | float))),
            )
        if line["epoch"] < epochs:  # at the end there is nothing left to save
            report(line["epoch"], value)


def run_trial(folder: str | os.PathLike[str], index: int) -> dict[str, Any]:
    """Run a trial of a study, or go on with it where an earlier process was cut off.

    Parameters
    ----------
    folder : path-like
        Of the study.
    index : int
        Of the trial.

    Returns
    -------
    dict
        ``state`` ("done", "failed", "stopped"; "lost" where the disk failed), ``metrics``, ``error``, ``seconds``,
        ``builds``. A trial that is finished already is not run again.

    Raises
    ------
    KeyboardInterrupt, Terminated
        Ctrl-C, TERM or HUP: the trial goes on later from its last checkpoint.
    """
    with _ONE_AT_A_TIME:
        study = _opened(folder)
        trial = study.trial(index)
        if trial.state() is None:
            try:
                trial.begin()
                with _alone(trial):
                    if trial.state() is None:
                        _run(study, trial)
            except OSError as error:
                cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
                if cause.errno not in DISK and trial.path.is_dir():
                    raise
                return {"state": "lost", "metrics": {}, "error": _one_line(error), "seconds": 0.0, "builds": []}
        record = trial.record()
        return {key: record.get(key) for key in ("state", "metrics", "error", "seconds", "builds")}


@contextmanager
def _alone(trial: TrialFolder) -> Iterator[None]:
    """Hold the lock on a trial's folder. A cluster may run a trial twice: the second waits for the first."""
    deadline = time.monotonic() + PATIENCE
    with ExitStack() as stack:
        while trial.state() is None:
            try:
                stack.enter_context(locked(trial.path))
                remove_leftovers([trial.path])
                break
            except RunFolderError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)
        yield


_folders: dict[tuple[str, int, int], StudyFolder] = {}


def _opened(folder: str | os.PathLike[str]) -> StudyFolder:
    """The study's folder; kept between trials, so that its plan is read once and not by each of them from the start."""
    try:
        file = os.stat(os.path.join(folder, "study.json"))
    except OSError:
        return StudyFolder.open(folder)  # says what is wrong
    key = (os.path.abspath(folder), file.st_ino, file.st_mtime_ns)
    if key not in _folders:
        _folders.clear()
        _folders[key] = StudyFolder.open(folder)
    return _folders[key]


def _run(study: StudyFolder, trial: TrialFolder) -> None:
    description = study.description()
    started, begun = time.perf_counter(), time.time()
    with _counting_builds() as builds:
        stop = description.get("stop")
        halving = None if stop is None else SuccessiveHalving(**stop)
        base: dict[str, Any] = {"host": socket.gethostname(), "process": os.getpid(), "begun": begun, "builds": builds}
        try:
            with reporting(study.path / "reports", trial.index, halving):
                found = _result(description, trial, halving)
        except Terminated:
            raise
        except TrialStopped as stopped:
            record = _so_far(trial) | {"stopped": str(stopped)}
            trial.finish("stopped", {**base, **record, "seconds": time.perf_counter() - started})
        except (Exception, SystemExit) as error:
            cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
            if isinstance(cause, OSError) and cause.errno in DISK:
                raise
            text = "".join(traceback.format_exception(error))
            failed = {**base, "error": _one_line(error), "traceback": text, "seconds": time.perf_counter() - started}
            trial.finish("failed", failed)
        else:
            trial.finish("done", {**base, **found, "seconds": time.perf_counter() - started})
    _tidy(trial, description["keep"])


def _one_line(error: BaseException) -> str:
    """An error for a table."""
    if isinstance(error, BrianLearnError):
        got = "" if error.got is None else f" (got {error.got})"
        return f"{type(error).__name__}: {error.subject}: {error.problem}{got}"
    return f"{type(error).__name__}: {error}".strip(": ")


def _result(description: Mapping[str, Any], trial: TrialFolder, stop: SuccessiveHalving | None) -> dict[str, Any]:
    """What the trial's function comes to: metrics, units and curves; arrays are written."""
    from brianlearn.training import Experiment

    task = Task(**description["task"])
    function = task.function()
    wanted = inspect.signature(function).parameters
    open_ended = any(p.kind is p.VAR_KEYWORD for p in wanted.values())
    arguments = {name: v for name, v in trial.parameters.items() if name in wanted or (open_ended and "." not in name)}
    fixed = dict(from_dict(description.get("fixed", {}), "study.json"))
    made = function(**{name: v for name, v in fixed.items() if name in wanted or open_ended}, **arguments)
    others = {name: value for name, value in trial.parameters.items() if name not in arguments}
    if isinstance(made, Experiment):
        made = with_parameters(made, {k: v for k, v in fixed.items() if k not in wanted and not open_ended} | others)
        return _experiment(made, trial, stop)
    if others:
        raise SpecError(
            f"{task.name}()",
            "the function does not take an axis of the study, and gives no Experiment that could",
            got=", ".join(others),
            expected=f"a parameter of that name beside {', '.join(wanted)}" if wanted else "a parameter of that name",
        )
    if not isinstance(made, Mapping):
        raise SpecError(
            f"{task.name}()",
            "the function gives neither an Experiment nor a dict",
            got=type(made).__name__,
            expected="bl.Experiment(...), or {'rate': 12.5*Hz, 'spikes': array}",
        )
    return _measured(made, trial)


def _experiment(experiment: Any, trial: TrialFolder, stop: SuccessiveHalving | None) -> dict[str, Any]:
    import dataclasses

    experiment = dataclasses.replace(experiment, runs=trial.path)
    begun = trial.run_folder()
    for half in trial.path.iterdir():
        if half.is_dir() and half != begun:  # killed before it was a run folder
            shutil.rmtree(half)
    result = experiment.run(resume=begun, progress=_Reports(stop), picture=False)
    metrics = {name: getattr(result, name) for name in OF_RESULT if getattr(result, name) is not None}
    units = {name: OF_RESULT[name] for name in metrics if OF_RESULT[name]}
    rates = result.metrics[-1]["firing_rates_hz"]
    for layer, rate in rates.items():
        metrics[f"firing_rate_{layer}"], units[f"firing_rate_{layer}"] = rate, "Hz"
    neurons = {p.name: p.n for p in experiment.spec.neurons}
    together = sum(n * rates[name] for name, n in neurons.items()) / sum(neurons.values())
    metrics["firing_rate"], units["firing_rate"] = together, "Hz"  # of all spiking neurons
    return {"metrics": metrics, "units": units, "curves": _curves(result.metrics), "run": result.run.name}


def _curves(lines: list[dict[str, Any]]) -> dict[str, list[float]]:
    kept = [name for name in CURVES if all(line.get(name) is not None for line in lines)]
    return {name: [line[name] for line in lines] for name in kept}


def _so_far(trial: TrialFolder) -> dict[str, Any]:
    """Metrics of a trial that was ended early."""
    from brianlearn.training import RunFolder

    run = trial.run_folder()
    lines = [] if run is None else RunFolder.open(run).metrics()
    last = {name: lines[-1][name] for name in CURVES if lines and lines[-1].get(name) is not None}
    return {"metrics": last, "units": {}, "curves": _curves(lines) if lines else {}}


def _measured(found: Mapping[str, Any], trial: TrialFolder) -> dict[str, Any]:
    """Numbers, texts and arrays of a function's own."""
    metrics: dict[str, Any] = {}
    units: dict[str, str] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, value in found.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise SpecError("trial", "the name of a result is wrong", got=repr(name), expected="an identifier")
        if _has_unit(value):
            quantity = Quantity(value)
            units[name] = si_unit(quantity)  # the same in all trials: one would show 900 mHz beside 1.1 Hz
            value = to_number(quantity, units[name])
        if isinstance(value, str | bool | int) or value is None:
            metrics[name] = value
            continue
        try:
            array = np.asarray(value)
        except (TypeError, ValueError):
            array = np.asarray(None)
        if array.dtype.kind not in "biufc" or (array.dtype.kind == "c" and array.ndim == 0):
            raise SpecError(
                f"result {name!r}",
                "this cannot be stored",
                got=f"{type(value).__name__}: {value!r:.200}",
                expected="a number, a text, a quantity, or an array of numbers",
            )
        if array.ndim == 0:
            number = array.item()
            metrics[name] = number if np.isfinite(number) else repr(number)
        else:
            arrays[name] = array
    if arrays:
        trial.write_arrays(arrays)
    return {"metrics": metrics, "units": units, "curves": {}, "arrays": list(arrays)}


def _has_unit(value: Any) -> bool:
    try:
        return get_dimensions(value) is not DIMENSIONLESS
    except TypeError:  # a text
        return False


def _tidy(trial: TrialFolder, keep: str) -> None:
    """Delete what is not kept of a finished trial."""
    run = trial.run_folder()
    if run is None or keep == "all":
        return
    for name in ("checkpoint.npz", *(("weights.npz",) if keep == "metrics" else ())):
        if name == "checkpoint.npz" and not (run / "weights.npz").exists() and keep == "weights":
            continue  # of a trial that was stopped or failed: its weights are there
        (run / name).unlink(missing_ok=True)


def _counting_builds() -> Any:
    from brianlearn.brian.cpp.building import counting_builds

    return counting_builds()
