"""The report of a parameter study: its table, its pictures, and a page that shows them."""

from __future__ import annotations

import base64
import io
import math
import re
import shlex
from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import RunFolderError
from brianlearn.report.study.command import repeat_command
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
    drawn = []
    for picture in pictures(study, table):
        data, width = _png(picture)
        write_file(folder / f"{picture.name}.png", lambda file, data=data: file.write(data))  # type: ignore[misc]
        names.append(f"{picture.name}.png")
        drawn.append({"caption": picture.caption, "width": width, "data": base64.b64encode(data).decode()})
    for old in folder.glob("*.png"):  # of an earlier report, of what was measured then
        if old.name not in names:
            old.unlink(missing_ok=True)
    page = _page({**_content(study, status, results, table), "pictures": drawn, "files": names})
    write_text(folder / "report.html", page)
    return folder / "report.html"


def _png(picture: Picture) -> tuple[bytes, int]:
    """The file, and its width on the page."""
    figure, file = picture.draw(), io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue(), round(100 * figure.get_figwidth())


def _page(content: dict[str, Any]) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = (files("brianlearn.report.study") / "page.html").read_text(encoding="utf-8")
    return environment.from_string(template).render(content)


def _content(study: Study, status: Status, results: Any, table: StudyTable) -> dict[str, Any]:
    """What the page says."""
    description = StudyFolder.open(study.folder).description()
    metric = main_metric(study, table)
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
    facts.append(("folder", str(study.folder)))
    notes = _notes(study, description, metric, table)
    return {
        "title": f"Study {study.folder.name}",
        "summary": _counts(status),
        "facts": facts,
        "axis_columns": _columns(["axis", "unit", "values"]),
        "axis_rows": [[axis.name, axis.unit, _values(axis)] for axis in study.axes.values()],
        "notes": notes,
        "error_columns": _columns(["trials", "error", "first in"], numbers=(0,)),
        "errors": _errors(study, results),
        "missing": status.missing,
        "resume": f"brianlearn study resume {shlex.quote(str(study.folder))}",
        "repeat": repeat_command(study),
        "versions": [(name, value) for name, value in description.get("versions", {}).items() if value],
        **_points(study, table, metric),
    }


def _columns(names: Sequence[str], numbers: Sequence[int] = ()) -> list[dict[str, Any]]:
    return [{"name": name, "number": k in numbers} for k, name in enumerate(names)]


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


def _points(study: Study, table: StudyTable, metric: str | None) -> dict[str, Any]:
    """The tables of the best points and of all means."""
    empty = {"best_columns": [], "best_rows": [], "mean_columns": [], "mean_rows": [], "left_out": 0, "spread_over": ""}
    if metric is None:
        return empty
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

    better = -1.0 if study.direction == "minimize" and metric == study.metric else 1.0
    values = np.array([float(m.mean) for m in means[metric]])
    order = [
        int(k) for k in np.argsort(-better * np.where(np.isfinite(values), values, -better * np.inf), kind="stable")
    ]
    best = [k for k in order if np.isfinite(values[k])][:BEST]
    whole = len(groups) <= MEANS
    listed = range(len(groups)) if whole else order[:MEANS]
    return {
        "best_columns": [{"name": "", "number": True}, *_columns(heads, numbers)],
        "best_rows": [[str(place), *row(k)] for place, k in enumerate(best, start=1)],
        "mean_columns": _columns(heads, numbers),
        "mean_rows": [row(k) for k in listed],
        "left_out": len(groups) - len(listed),
        "spread_over": ", ".join(repeated),
    }


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
