"""From a run folder to a C++ project."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from brianlearn.training.experiment import Experiment
from brianlearn.training.run_folder import RunFolder
from brianlearn.work import working

__all__ = ["export_run"]


@working()
def export_run(
    run: str | os.PathLike[str], folder: str | os.PathLike[str], *, to: str, timing: str | None = None
) -> Path:
    """Write the network of a run, with the weights that it learned, as a C++ project.

    Parameters
    ----------
    run : path-like
        Run folder.
    folder : path-like
        Must not exist.
    to : {"cpp", "genn"}
    timing : {"same_step", "brian2", "pipelined"}, optional
        That of the run where it is not given.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    RunFolderError
        No run folder, or a damaged one.
    BrianLearnError
        See `brianlearn.brian.export.project.export_project`.
    """
    from brianlearn.brian.export.project import export_project

    experiment = Experiment.from_run(run)
    spec = experiment.spec if timing is None else dataclasses.replace(experiment.spec, timing=timing)
    return export_project(spec, RunFolder.open(run).weights(), folder, to=to, dtype=experiment.dtype)
