"""From a run folder to a NIR file."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

from brianlearn.errors import BrianLearnError
from brianlearn.interop.nir.writing import to_nir
from brianlearn.training.experiment import Experiment
from brianlearn.training.run_folder import RunFolder

__all__ = ["export_nir"]


def export_nir(
    run: str | os.PathLike[str],
    file: str | os.PathLike[str],
    *,
    timing: str | None = None,
    dt: Any = None,
    discretisation: str = "exact",
    gains: str = "neurons",
    soft_reset: bool = False,
) -> Path:
    """Write the network of a run, with the weights that it learned, as a NIR file.

    Parameters
    ----------
    run : path-like
        Run folder.
    file : path-like
        Must not exist.
    timing : {"same_step", "brian2"}, optional
        That of the run where it is not given.
    dt, discretisation, gains, soft_reset : object, optional
        As of `brianlearn.to_nir`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    RunFolderError
        No run folder, or a damaged one.
    BrianLearnError
        A file that exists; see `brianlearn.to_nir`.
    """
    target = Path(file)
    if target.exists() or target.is_symlink():
        raise BrianLearnError(
            str(target), "this file exists already", expected="a file that does not", remedy="choose another name"
        )
    spec = Experiment.from_run(run).spec
    spec = spec if timing is None else dataclasses.replace(spec, timing=timing)
    options: dict[str, Any] = dict(discretisation=discretisation, gains=gains, soft_reset=soft_reset)
    to_nir(spec, RunFolder.open(run).weights(), dt, target, **options)
    return target
