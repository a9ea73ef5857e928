"""``brianlearn report RUN|STUDY``: a page that needs no other file."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from brianlearn.cli.console import user_errors
from brianlearn.cli.defining import Defining, data_of
from brianlearn.errors import RunFolderError

__all__ = ["report"]


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN_OR_STUDY", help="Run folder, or folder of a study.")],
    open_it: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    samples: Annotated[int, typer.Option(min=1, help="Test samples of a run at most that the network runs.")] = 500,
    profile: Annotated[
        int, typer.Option(min=0, help="Measure which objects take the time, with so many training samples of a run.")
    ] = 0,
    energy: Annotated[Path | None, typer.Option(help="TOML file: what operations cost in pJ.")] = None,
    script: Defining = None,
) -> None:
    """Write a page about a run or a study: one HTML file, which needs no network."""
    with user_errors():
        page = _study(folder) if (folder / "study.json").is_file() else _run(folder, samples, profile, energy, script)
        Console(soft_wrap=True).print(f"written: {page}", highlight=False)
        if open_it and not webbrowser.open(page.resolve().as_uri()):
            raise RunFolderError(str(page), "no browser could be started", remedy="open the file yourself")


def _study(folder: Path) -> Path:
    from brianlearn.study import Study

    return Study.open(folder).report()


def _run(folder: Path, samples: int, profile: int, energy: Path | None, script: Path | None) -> Path:
    from brianlearn.report.run.page import write_run_report
    from brianlearn.training.energy import EnergyTable

    options: dict[str, Any] = {} if energy is None else {"energy": EnergyTable.read(energy)}
    return write_run_report(folder, data=data_of(script, folder), samples=samples, profile=profile, **options)
