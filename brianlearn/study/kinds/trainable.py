"""What the study kinds that train begin with: a script, an experiment, or the experiment of a run folder."""

from __future__ import annotations

import dataclasses
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brianlearn.errors import RunFolderError, SpecError
from brianlearn.study.task import Task
from brianlearn.training.experiment import Experiment
from brianlearn.training.loading import loading

__all__ = ["experiment_of", "settings_of", "source_of", "takes"]


def source_of(subject: Any, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a study stores of an experiment, so that each trial makes it again.

    Parameters
    ----------
    subject : path-like, callable or Experiment
        A script that defines ``experiment()``, such a function, a run folder, or an experiment whose data have a name.
    options : mapping, optional
        For a script: arguments of its ``experiment()``.

    Returns
    -------
    dict

    Raises
    ------
    SpecError, RunFolderError
        What gives no experiment.
    """
    options = dict(options or {})
    if isinstance(subject, str | os.PathLike) and Path(subject).is_dir():
        subject = Experiment.from_run(subject)
    if isinstance(subject, Experiment):
        if options:
            raise SpecError(
                "study", "options are of a script", got=", ".join(options), expected="a script's experiment(...)"
            )
        return {"fields": _fields(subject)}
    task = Task.of(os.fspath(subject) if isinstance(subject, os.PathLike) else subject)
    unknown = sorted(set(options) - set(task.parameters()))
    if unknown:
        raise SpecError(
            f"{task.name}()",
            "it has no such parameter",
            got=", ".join(unknown),
            expected=", ".join(task.parameters()) or "none",
        )
    source = {"task": dataclasses.asdict(task), "options": options}
    experiment_of(source)
    return source


def _fields(experiment: Experiment) -> dict[str, Any]:
    fields = {f.name: getattr(experiment, f.name) for f in dataclasses.fields(experiment) if f.name != "runs"}
    if isinstance(experiment.data, tuple):
        raise RunFolderError(
            "study",
            "the samples have no name, and other processes could not load them",
            got="data=(Samples, Samples)",
            expected="the name of a data set",
            remedy="write a script whose experiment() makes the samples, and study the script",
        )
    fields["data"] = getattr(experiment.data, "name", None) if _is_data_set(experiment.data) else experiment.data
    return fields


def _is_data_set(data: Any) -> bool:
    from brianlearn.data import DataSet

    return isinstance(data, DataSet)


def experiment_of(source: Mapping[str, Any], **options: Any) -> Experiment:
    """The experiment that a trial begins with.

    Parameters
    ----------
    source : mapping
        From `source_of`.
    **options
        More arguments of a script's ``experiment()``, where it has them.

    Raises
    ------
    SpecError
        A script that gives no experiment.
    """
    if "fields" in source:
        return Experiment(**source["fields"])
    task = Task(**source["task"])
    with loading(task.where):
        made = task.function()(**{**source["options"], **options})
    if not isinstance(made, Experiment):
        raise SpecError(
            f"{task.name}()", "it gives no experiment", got=type(made).__name__, expected="bl.Experiment(...)"
        )
    return made


def settings_of(epochs: int | None, limit: int | None, parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    """Settings that are the same in all trials, by the names of `with_parameters`."""
    given = {"epochs": epochs, "limit": limit}
    return {name: value for name, value in given.items() if value is not None} | dict(parameters or {})


def takes(source: Mapping[str, Any], name: str) -> bool:
    """Whether the function of a script has a parameter of a name."""
    if "task" not in source:
        return False
    return name in inspect.signature(Task(**source["task"]).function()).parameters
