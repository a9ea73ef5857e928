"""``brianlearn plot RUN KIND --out FILE``: one picture of a run or a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from brianlearn.cli.console import user_errors
from brianlearn.cli.defining import Defining, data_of
from brianlearn.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot"]


def plot(
    folder: Annotated[Path, typer.Argument(metavar="RUN_OR_STUDY", help="Run folder, or folder of a study.")],
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="raster, membranes, third_factor, surrogate, eligibility, kernels, weights, learning_curve, "
            "confusion, targets, rates, neuron_rates or network; of a study heat_map, lines and what else its report "
            "shows.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The file; its ending says how: .pdf, .svg, .png.")],
    layer: Annotated[str | None, typer.Option(help="Layer, projection or weights; the first if not given.")] = None,
    sample: Annotated[int, typer.Option(min=0, help="Test sample.")] = 0,
    neurons: Annotated[int | None, typer.Option(min=1, help="How many neurons.")] = None,
    beside: Annotated[list[Path] | None, typer.Option("--with", help="Another run beside it; repeatable.")] = None,
    script: Defining = None,
) -> None:
    """Draw one picture of a run or a study into a file."""
    with user_errors():
        from brianlearn.plot.style import save_figure

        if (folder / "study.json").is_file():
            figure = _of_study(folder, kind)
        else:
            from brianlearn.report.run.kinds import Options, draw
            from brianlearn.report.run.view import RunView

            options = Options(layer, sample, neurons, tuple(beside or ()))
            figure = draw(RunView.open(folder, data=data_of(script, folder)), kind, options)
        save_figure(figure, out)
        Console(soft_wrap=True).print(f"written: {out}", highlight=False)


def _of_study(folder: Path, kind: str) -> Figure:
    from brianlearn.report.study.extremes import best_and_worst
    from brianlearn.report.study.pictures import pictures
    from brianlearn.report.study.table import table_of_results
    from brianlearn.study import Study

    study = Study.open(folder)
    table = table_of_results(study, study.results())
    found = {picture.name: picture for picture in [*pictures(study, table), *best_and_worst(study, table)]}
    if kind not in found:
        raise DataError(
            "plot",
            "this study has no such picture",
            got=repr(kind),
            expected=", ".join(found) or "none: no trial has a number yet",
            remedy=did_you_mean(kind, found),
        )
    return found[kind].draw()
