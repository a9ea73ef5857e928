"""The report of a parameter study: its table, its pictures, and a page that shows them."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import RunFolderError
from brianlearn.report.page.blocks import Block, Code, Facts, Note, Section, Table, Text
from brianlearn.report.page.blocks import Picture as Inline
from brianlearn.report.page.render import footer, render
from brianlearn.report.page.svg import inked
from brianlearn.report.study.command import repeat_command
from brianlearn.report.study.extremes import best_and_worst, extreme_trials
from brianlearn.report.study.mean import Mean
from brianlearn.report.study.pictures import EFFORT, Picture, differ, main_metric, pictures
from brianlearn.report.study.style import number_text
from brianlearn.report.study.table import StudyTable, column_label, table_of_results
from brianlearn.study.folder import StudyFolder
from brianlearn.study.results import write
from brianlearn.study.samplers import REPEATED
from brianlearn.study.values import text, to_number
from brianlearn.training.files import write_file, write_text

if TYPE_CHECKING:
    from brianlearn.study.study import Status, Study

__all__ = ["write_report"]

#: Rows of the page's tables, and columns of metrics.
BEST, MEANS, COLUMNS, ERRORS = 5, 100, 6, 20


def write_report(study: Study) -> Path:
    """Write the table, the pictures and the page of a study into its folder ``report``.

    ``results.csv``, ``results.nc`` (where h5netcdf is installed), one ``.png`` for each picture that says something of
    a study with such axes, and ``report.html``, which holds all of them and needs no other file. A study that is half
    finished, or whose trials failed, is reported as it is; later reports replace earlier ones.

    Parameters
    ----------
    study : Study
        One that has begun.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    RunFolderError
        If the study has no folder, its files are damaged, or the report cannot be written.
    DeviceError
        Without xarray.
    """
    results, status = study.results(), study.status()
    table = table_of_results(study, results)
    folder = study.folder / "report"
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise RunFolderError(str(folder), "the folder cannot be made", got=error.strerror or str(error)) from error
    names = [write(results, folder / "results.csv").name]
    if find_spec("h5netcdf") is not None:
        names.append(write(results, folder / "results.nc").name)
    shown: list[Block] = []
    for picture in [*pictures(study, table), *best_and_worst(study, table)]:
        write_file(folder / f"{picture.name}.png", partial(_png, picture))
        names.append(f"{picture.name}.png")
        with inked():
            shown.append(Inline.of(picture.draw(), picture.caption, wide=False))
    for old in folder.glob("*.png"):  # of an earlier report, of what was measured then
        if old.name not in names:
            old.unlink(missing_ok=True)
    sections = _sections(study, status, results, table, shown, names)
    page = render(f"Study {study.folder.name}", _counts(status), _cards(study, status, table), sections, footer())
    write_text(folder / "report.html", page)
    return folder / "report.html"


def _png(picture: Picture, file: IO[bytes]) -> None:
    picture.draw().savefig(file, format="png", dpi=150)


def _cards(study: Study, status: Status, table: StudyTable) -> list[tuple[str, str]]:
    """What matters most."""
    cards = [("trials done", f"{status.done} of {status.total}")]
    cards += [(word, str(n)) for n, word in ((status.failed, "failed"), (status.stopped, "stopped early")) if n]
    metric = main_metric(study, table)
    if metric is not None:
        values = table.values(metric, "report")
        known = values[np.isfinite(values)]
        if known.size:
            ends = (known.max(), known.min()) if _better(study, metric) > 0 else (known.min(), known.max())
            for word, value in zip(("best", "worst"), ends, strict=True):
                cards.append((f"{word} {metric}", number_text(table, metric, [value])[0][0]))
    return [*cards, ("programs built", str(status.builds))] if status.builds else cards


def _better(study: Study, metric: str) -> float:
    """1 where more of a metric is better, else -1."""
    return -1.0 if study.direction == "minimize" and metric == study.metric else 1.0


def _sections(
    study: Study, status: Status, results: Any, table: StudyTable, drawn: list[Block], names: list[str]
) -> list[Section]:
    """What the page says."""
    description = StudyFolder.open(study.folder).description()
    metric = main_metric(study, table)
    axes = [[axis.name, axis.unit, _values(axis)] for axis in study.axes.values()]
    notes = [Note(text) for text in _notes(study, description, metric, table)]
    studied: list[Block] = [
        Facts("the study", _facts(study, status, results)),
        Table("Axes", ["axis", "unit", "values"], axes),
        *notes,
    ]
    sections = [Section("studied", "What was studied", tuple(studied))]
    errors = _errors(study, results)
    if errors:
        rows = Table("Errors, those that differ in their numbers only together", ["trials", "error", "first in"], errors, (0,))  # fmt: skip  # noqa: E501
        said = Note("The whole traceback is in failed.json of the trial's folder.")
        sections.append(Section("errors", "Errors", (rows, said)))
    best, means, left_out = _points(study, table, metric)
    sections.append(Section("best", "Best points", best))
    sections.append(Section("pictures", "Pictures", tuple(drawn)))
    if metric is not None:
        sections.append(Section("trials", "Best and worst trials", extreme_trials(study, table, metric)))
    if left_out:
        means = (*means, Note(f"{left_out} more points are in results.csv."))
    sections.append(Section("means", "Means", means))
    resume = f"brianlearn study resume {shlex.quote(str(study.folder))}"
    again: list[Block] = []
    if status.missing:
        again += [Text(f"To run the {status.missing} trials that are missing:"), Code(resume)]
    if errors:
        again += [Text("To run again those that failed, too:"), Code(f"{resume} --again")]
    again += [Text("To repeat the study:"), Code(repeat_command(study))]
    again.append(Note(f"Files beside this page: {', '.join(names)}."))
    again.append(Facts("versions", [(n, str(v)) for n, v in description.get("versions", {}).items() if v]))
    sections.append(Section("again", "Again", tuple(again)))
    return sections


def _facts(study: Study, status: Status, results: Any) -> list[tuple[str, str]]:
    task = study.task
    seconds = results["trial_seconds"].values
    facts = [
        ("function", f"{task.name}() of {task.where}"),
        ("sampler", _sampler(study)),
        ("best is", f"the {'largest' if study.direction == 'maximize' else 'smallest'} {study.metric}"),
        ("trials", _counts(status)),
        ("programs built", str(status.builds)),
    ]
    facts += [(f"fixed {name}", text(value)) for name, value in study.fixed.items()]
    if np.isfinite(seconds).any():
        known = seconds[np.isfinite(seconds)]
        facts.append(
            (
                "time of the trials",
                f"{_time(known.sum())} in all, {_time(np.median(known))} each (median), {_time(known.max())} at most",
            )
        )
    return [*facts, ("folder", str(study.folder))]


def _counts(status: Status) -> str:
    parts = [f"{status.done} of {status.total} trials done"]
    parts += [f"{n} {word}" for n, word in ((status.failed, "failed"), (status.stopped, "stopped early")) if n]
    return ", ".join([*parts, f"{status.missing} missing"] if status.missing else parts)


def _sampler(study: Study) -> str:
    parts = [study.sampler]
    if study.budget is not None:
        parts.append(f"{study.budget} points")
    if study.sampler != "grid":
        parts.append(f"seed {study.seed}")
    if isinstance(study.where, str):
        parts.append(f"where {study.where}")
    if study.stop is not None:
        parts.append(f"successive halving: 1 of {study.stop.factor} goes on")
    return ", ".join(parts)


def _values(axis: Any) -> str:
    numbers = [to_number(value, axis.unit) for value in axis.values]
    shown = [f"{x:.5g}" if isinstance(x, float) else text(x) for x in numbers]
    listed = ", ".join(shown if len(shown) <= 24 else [*shown[:12], "…", *shown[-3:]])
    if axis.span is None:
        return listed
    ends = f"{shown[0]} to {shown[-1]}, {'logarithmic' if axis.span.log else 'linear'}"
    return f"{ends}: {listed}"


def _time(seconds: float) -> str:
    for limit, unit, name in ((120, 1, "s"), (7200, 60, "min"), (math.inf, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.3g} {name}"
    raise AssertionError


def _notes(study: Study, description: dict[str, Any], metric: str | None, table: StudyTable) -> list[str]:
    notes = []
    if metric is not None and metric != study.metric:
        notes.append(f"No finished trial has the metric {study.metric!r}; pictures and tables show {metric!r}.")
    if metric is None:
        notes.append("No trial has a number yet: there is nothing to draw.")
    if (table.state == "stopped").any():
        notes.append("Trials that were ended early do not count for means.")
    try:
        same = study.task.digest() == description.get("source")
    except ImportError:
        same = False
    if not same:
        notes.append("The source of the function is not what it was when the study began.")
    if study.sampler == "grid" and study.where is None and study.budget is None:
        whole = math.prod(len(axis.values) for axis in study.axes.values())
        if whole != len(table.state):
            notes.append("A function chose among the combinations; it has to be given again to repeat the study.")
    return notes


def _errors(study: Study, results: Any) -> list[list[str]]:
    """Errors by kind: those that differ in their numbers only are one."""
    state, error, number = (results[name].values.ravel() for name in ("state", "error", "trial_index"))
    kinds: dict[str, list[int]] = {}
    for k in np.flatnonzero(state == "failed"):
        kinds.setdefault(re.sub(r"[-+]?\d+(\.\d+)?(e[-+]?\d+)?", "#", str(error[k])), []).append(int(k))
    folder = StudyFolder.open(study.folder)
    rows = []
    for members in sorted(kinds.values(), key=len, reverse=True):
        first = min(members, key=lambda k: number[k])
        trial = folder.trial(int(number[first])).path
        rows.append([str(len(members)), str(error[first]), f"{trial.parent.name}/{trial.name}"])
    if len(rows) > ERRORS:
        rest = sum(int(row[0]) for row in rows[ERRORS:])
        rows = [*rows[:ERRORS], [str(rest), f"{len(rows) - ERRORS} other kinds of errors", ""]]
    return rows


def _points(study: Study, table: StudyTable, metric: str | None) -> tuple[tuple[Block, ...], tuple[Block, ...], int]:
    """The tables of the best points and of all means, and how many of these are left out."""
    if metric is None:
        return (), (), 0
    repeated = [name for name in (REPEATED,) if name in table.axes]
    keys = [name for name in table.axes if name not in repeated]
    groups = list(table.groups(keys, np.arange(len(table.state))).values())
    shown = _metrics(table, metric)
    means = {n: [Mean.rows(table, n, table.values(n, "report"), rows) for rows in groups] for n in shown}
    columns = {name: _mean_texts(table, name, found) for name, found in means.items()}
    parameters = [[table.axes[n].text(table.codes[n][rows[0]]) for n in keys] for rows in groups]
    names = [table.axes[n].label for n in keys]
    numbers = [k for k, n in enumerate(keys) if table.axes[n].numeric]
    count = ["n"] if repeated else []
    heads = [*names, *count, *(column_label(n, table.units) for n in shown)]
    numbers += range(len(names), len(heads))

    def row(k: int) -> list[str]:
        n = [f"{int(means[metric][k].n)}"] if repeated else []
        return [*parameters[k], *n, *(columns[name][k] for name in shown)]

    better = _better(study, metric)
    values = np.array([float(m.mean) for m in means[metric]])
    order = [
        int(k) for k in np.argsort(-better * np.where(np.isfinite(values), values, -better * np.inf), kind="stable")
    ]
    best = [k for k in order if np.isfinite(values[k])][:BEST]
    whole = len(groups) <= MEANS
    listed = range(len(groups)) if whole else order[:MEANS]
    spread = f"Means ± standard deviation over {', '.join(repeated)}" if repeated else "All points"
    first: tuple[Block, ...] = ()
    if best:
        rows = [[str(place), *row(k)] for place, k in enumerate(best, start=1)]
        first = (Table("The best points, by their means", ["", *heads], rows, (0, *(k + 1 for k in numbers))),)
    return first, (Table(spread, heads, [row(k) for k in listed], numbers),), len(groups) - len(listed)


def _metrics(table: StudyTable, metric: str) -> list[str]:
    """Columns of the tables: the metric first, then others that tell points apart."""
    others = [n for n in table.metrics if n not in (metric, *EFFORT) and differ(table.values(n, "report"))]
    others.sort(key=lambda name: name.endswith("_loss"))  # accuracies and rates say more
    return [metric, *others[: COLUMNS - 1]]


def _mean_texts(table: StudyTable, name: str, found: Sequence[Mean]) -> list[str]:
    means, _ = number_text(table, name, [float(m.mean) for m in found])
    _, spreads = number_text(table, name, [*(float(m.std) for m in found), *(float(m.mean) for m in found)])
    return [
        "-" if not m.n else mean if m.n < 2 else f"{mean} ± {spread}"
        for mean, spread, m in zip(means, spreads, found, strict=False)
    ]
