"""From a run folder to a C++ project, or to a script of plain Brian2."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from brianlearn.network.unit_names import quantity_text
from brianlearn.training.experiment import Experiment
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.trained import Trained
from brianlearn.work import working

__all__ = ["export_run"]


@working()
def export_run(
    run: str | os.PathLike[str], folder: str | os.PathLike[str], *, to: str, timing: str | None = None
) -> Path:
    """Write the network of a run, with the weights that it learned, as a C++ project or a script.

    Parameters
    ----------
    run : path-like
        Run folder.
    folder : path-like
        Must not exist.
    to : {"cpp", "genn", "brian2"}
        A C++ project of Brian2 or GeNN; or a script of plain Brian2, with the first test sample of the run.
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
        See `brianlearn.brian.export.project.export_project`, and `brianlearn.to_brian2`.
    """
    from brianlearn.brian.export.project import export_project

    experiment = Experiment.from_run(run)
    spec = experiment.spec if timing is None else dataclasses.replace(experiment.spec, timing=timing)
    if to == "brian2":
        from brianlearn.brian.export.plain_script import export_script

        samples = None
        if experiment.data is not None:
            trained = Trained.open(run, limit=1)
            samples = trained.samples(spec)[:1]
        title = f"The network of a run of brianlearn, {spec.n_steps} steps of {quantity_text(spec.dt)}."
        return export_script(spec, RunFolder.open(run).weights(), folder, samples, seed=experiment.seed, title=title)
    return export_project(spec, RunFolder.open(run).weights(), folder, to=to, dtype=experiment.dtype)
