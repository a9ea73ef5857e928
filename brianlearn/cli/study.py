"""``brianlearn study SCRIPT``, and ``study status | resume | results | report FOLDER``."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from brianlearn.cli.console import user_errors
from brianlearn.errors import SpecError, did_you_mean

if TYPE_CHECKING:
    from brianlearn.study import Status, Study

__all__ = ["app", "run_study"]


class _Group(TyperGroup):
    """Takes a script or a kind where a command could stand: ``study SCRIPT`` is ``study run SCRIPT``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["kind" if self._is_kind(args[0]) else "run", *args]
        return list(super().parse_args(ctx, args))

    def _is_kind(self, word: str) -> bool:
        """Whether a first word, which is no command, is a kind; a misspelt one is said."""
        from brianlearn.scripts.loading import example_scripts

        if Path(word).exists() or Path(word).suffix or "/" in word or word in example_scripts():
            return False
        if word in _kinds():
            return True
        known = [*self.commands, *_kinds(), *example_scripts()]
        near = did_you_mean(word, known)
        raise typer.BadParameter(f"{word!r} is no script, kind or command; {near or 'there are ' + ', '.join(known)}")


def _kinds() -> Mapping[str, Any]:
    from brianlearn.study import KINDS

    return KINDS


app = typer.Typer(
    cls=_Group,
    help="Parameter studies: many trials of one script. `brianlearn study SCRIPT --axis tau_m=5ms,10ms` begins one, "
    "`brianlearn study robustness RUN` one of the kinds that `brianlearn study kinds` lists.",
    no_args_is_help=True,
)

Folder = Annotated[Path, typer.Argument(help="Folder of the study.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes of this machine; one per core if not given.")]
Scheduler = Annotated[str | None, typer.Option(help="Address of a Dask scheduler whose workers run the trials.")]
Retries = Annotated[int, typer.Option(min=0, help="How often a trial is run again that failed or whose worker died.")]
Json = Annotated[bool, typer.Option("--json", help="The last line of the output is one JSON object.")]


@app.command("run")
def run_(
    script: Annotated[
        Path,
        typer.Argument(help="Python file that defines trial(), experiment() or study(), or the name of an example."),
    ],
    axis: Annotated[
        list[str] | None,
        typer.Option(help="NAME=VALUE,VALUE | NAME=FROM:TO | NAME=log(LOW..HIGH:N); repeatable."),
    ] = None,
    fix: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, the same in all trials; repeatable.")] = None,
    sampler: Annotated[
        str | None, typer.Option(help="grid, random, sobol, latin-hypercube, saltelli, morris or search.")
    ] = None,
    budget: Annotated[int | None, typer.Option(min=1, help="Number of points, seeds not counted.")] = None,
    where: Annotated[str | None, typer.Option(help="Which points are tried, e.g. 'tau_s < tau_m'.")] = None,
    metric: Annotated[str | None, typer.Option(help="What is best; test_accuracy if not given.")] = None,
    minimize: Annotated[bool, typer.Option("--minimize", help="The smallest metric is the best one.")] = False,
    halving: Annotated[
        int | None, typer.Option(min=2, help="Early stopping: one of so many trials goes on (successive halving).")
    ] = None,
    keep: Annotated[str | None, typer.Option(help="What stays of run folders: metrics, weights or all.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of the sampler; the trials' own seeds are an axis.")] = None,
    workers: Workers = None,
    scheduler: Scheduler = None,
    retries: Retries = 0,
    folder: Annotated[Path | None, typer.Option(help="New folder of the study.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that the study's folder goes into.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Begin a study."""
    changes = {
        "sampler": sampler,
        "budget": budget,
        "where": where,
        "metric": metric,
        "direction": "minimize" if minimize else None,
        "keep": keep,
        "seed": seed,
    }
    with user_errors():
        study = _study(script, axis or [], fix or [], halving, {k: v for k, v in changes.items() if v is not None})
        found = study.run(workers, scheduler=scheduler, folder=folder, runs=runs, retries=retries)
        _ended(study, found, as_json)


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def kind(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A name from `brianlearn study kinds`.")],
    subject: Annotated[str, typer.Argument(metavar="RUN_OR_SCRIPT", help="What it is of: a run folder, or a script.")],
    workers: Workers = None,
    scheduler: Scheduler = None,
    retries: Retries = 0,
    folder: Annotated[Path | None, typer.Option(help="New folder of the study.")] = None,
    runs: Annotated[Path, typer.Option(help="Folder that the study's folder goes into.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """Begin a study of a kind; its own options follow, e.g. --weight-noise 0,0.1,0.2."""
    with user_errors():
        known = _kinds()
        if name not in known:
            raise SpecError(
                f"kind {name!r}",
                "there is no such kind of study",
                expected=", ".join(known),
                remedy=did_you_mean(name, known),
            )
        study = known[name].study(subject, context.args)
        found = study.run(workers, scheduler=scheduler, folder=folder, runs=runs, retries=retries)
        _ended(study, found, as_json)


@app.command()
def kinds() -> None:
    """List the kinds of studies, and their options."""
    with user_errors():
        from brianlearn.scripts.options import option_rows

        table = Table(box=None, pad_edge=False)
        for column in ("kind", "of", "what it asks", "options"):
            table.add_column(column, overflow="fold", no_wrap=column in ("kind", "of"))
        for name, found in _kinds().items():
            options = " ".join(row[0] for row in option_rows(found.options, name))
            table.add_row(name, f"a {found.subject}", found.summary, options)
        Console().print(table)


@app.command()
def resume(
    folder: Folder,
    workers: Workers = None,
    scheduler: Scheduler = None,
    retries: Retries = 0,
    again: Annotated[bool, typer.Option("--again", help="Run trials again that failed.")] = False,
    as_json: Json = False,
) -> None:
    """Run what is missing, and nothing twice."""
    with user_errors():
        study = _open(folder)
        found = study.resume(workers, scheduler=scheduler, retries=retries, again=again)
        _ended(study, found, as_json)


@app.command()
def status(folder: Folder, as_json: Json = False) -> None:
    """Say where a study is: done, failed, missing, best, errors."""
    with user_errors():
        study = _open(folder)
        _show(study, study.status(), as_json)


@app.command()
def results(
    folder: Folder,
    to: Annotated[Path | None, typer.Option(help="File to write: .csv, .nc (netCDF) or .parquet.")] = None,
    over: Annotated[str, typer.Option(help="The axis of repetitions, whose mean and spread are shown.")] = "seed",
    metric: Annotated[list[str] | None, typer.Option(help="What is shown; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """Print what came out, or write it to a file."""
    with user_errors():
        from brianlearn.study.table import rows

        study = _open(folder)
        if to is not None:
            Console().print(f"written: {study.to(to)}", highlight=False)
            return
        columns, lines = rows(study, metric or [study.metric], over)
        if as_json:
            print(json.dumps([dict(zip(columns, line, strict=True)) for line in lines]))
            return
        table = Table(box=None, pad_edge=False)
        for column in columns:
            table.add_column(column, justify="right", no_wrap=True)
        for line in lines:
            table.add_row(*(_cell(value) for value in line))
        Console().print(table)


@app.command()
def report(folder: Folder) -> None:
    """Draw a study's pictures and write the page that shows them."""
    with user_errors():
        Console().print(f"written: {_open(folder).report()}", highlight=False)


def _cell(value: Any) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


def _open(folder: Path) -> Study:
    from brianlearn.study import Study

    return Study.open(folder)


def _study(script: Path, axes: list[str], fixed: list[str], halving: int | None, changes: dict[str, Any]) -> Study:
    """The study that a script and options describe."""
    from brianlearn.scripts.loading import find_script
    from brianlearn.study import Study, SuccessiveHalving
    from brianlearn.study.axes import parse_axis
    from brianlearn.study.task import load_script

    found = find_script(script)
    given = [parse_axis(text) for text in axes]
    double = {axis.name for axis in given if sum(other.name == axis.name for other in given) > 1}
    if double:
        raise SpecError("--axis", "an axis is given twice", got=", ".join(sorted(double)), expected="each axis once")
    constant = {axis.name: axis.values[0] for axis in map(parse_axis, fixed)}
    made = load_script(found).get("study")
    if made is not None:
        study = made() if callable(made) else made
        if not isinstance(study, Study):
            raise SpecError(str(found), "study() gives no Study", got=repr(study), expected="bl.Study(...)")
        named = {axis.name: axis for axis in given}
        kept = {name: axis for name, axis in study.axes.items() if name not in constant}
        study = dataclasses.replace(study, axes=kept | named, fixed={**study.fixed, **constant})
    elif not given:
        raise SpecError(
            str(found), "there is no axis", expected="--axis NAME=VALUE,VALUE, or a script that defines study()"
        )
    else:
        study = Study(found, {axis.name: axis for axis in given}, fixed=constant, name=found.stem)
    if halving is not None:
        direction = changes.get("direction", study.direction)
        changes = {**changes, "stop": SuccessiveHalving(factor=halving, direction=direction)}
    return dataclasses.replace(study, **changes)


def run_study() -> NoReturn:
    """Command line of a script that defines a study: the options of ``brianlearn study``; see `brianlearn.main`."""
    command: Any = typer.main.get_command(app).commands["run"]  # type: ignore[attr-defined]
    command(args=list(sys.argv), prog_name=Path(sys.argv[0]).name)
    raise SystemExit(0)


def _ended(study: Study, found: Status, as_json: bool) -> None:
    _show(study, found, as_json)
    if found.failed:
        raise typer.Exit(1)


def _show(study: Study, found: Status, as_json: bool) -> None:
    from brianlearn.study.values import text

    if as_json:
        print(json.dumps(found.to_dict()))
        return
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("study", str(found.folder))
    table.add_row("done", f"{found.done} of {found.total}")
    for name in ("stopped", "failed", "missing"):
        if getattr(found, name):
            table.add_row(name, str(getattr(found, name)))
    for error, n in sorted(found.errors.items(), key=lambda item: -item[1])[:5]:
        table.add_row("error", f"{n} x {error}")
    if found.best is not None:
        index, value = found.best
        point = ", ".join(f"{name}={text(v)}" for name, v in study.parameters(index).items())
        table.add_row(f"best {study.metric}", f"{value:.5g}  (trial {index}: {point})")
    table.add_row("builds", str(found.builds))
    if found.missing:
        table.add_row("go on", f"brianlearn study resume {found.folder}")
    Console(highlight=False).print(table)
