"""``--script``: the script that defines what a run folder names, and the samples that it cannot hold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from brianlearn.scripts.loading import call_experiment, find_script, run_script

__all__ = ["Defining", "data_of"]

Defining = Annotated[
    Path | None,
    typer.Option("--script", help="Script with the run's own classes, and its samples where they have no name."),
]


def data_of(script: Path | None, run: Path) -> Any:
    """The samples of a script, where those of a run have no name; the script's classes are defined in any case."""
    if script is None:
        return None
    from brianlearn.training import RunFolder

    path = find_script(script)
    defined = run_script(path)
    if RunFolder.open(run).config().get("data", {}).get("name") is not None or "experiment" not in defined:
        return None
    return call_experiment(defined["experiment"], str(path), []).data
