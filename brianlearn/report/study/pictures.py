"""Which pictures of a study say something, by its axes, its sampler and what it measured."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from brianlearn.report.study.panels import MOST_PANELS
from brianlearn.report.study.plots import (
    plot_heat_map,
    plot_learning,
    plot_lines,
    plot_parallel,
    plot_pareto,
    plot_search,
)
from brianlearn.report.study.points import Points
from brianlearn.report.study.table import StudyTable
from brianlearn.study.samplers import REPEATED

if TYPE_CHECKING:
    from brianlearn.study.study import Study

__all__ = ["Picture", "differ", "main_metric", "pictures"]

#: Metrics of how fast it was, not of what came out.
EFFORT = ("samples_per_second", "build_seconds", "seconds", "trial_seconds")
#: Values of an axis that can be told apart as lines.
LINES = 8
#: Side of a heat map at most, in cells.
CELLS = 60
#: Axes of one picture of marginal means.
MARGINS = 9


@dataclass(frozen=True)
class Picture:
    """A picture of a report.

    Attributes
    ----------
    name : str
        Of its file, without the ending.
    caption : str
    draw : callable
        Makes the figure.
    """

    name: str
    caption: str
    draw: Callable[[], Figure]


def differ(values: np.ndarray) -> bool:
    """Whether values differ by more than rounding."""
    known = values[np.isfinite(values)]
    return bool(known.size) and bool(np.ptp(known) > 1e-9 * np.abs(known).max())


def main_metric(study: Study, table: StudyTable) -> str | None:
    """The study's metric; where no trial has it, the first that tells trials apart; None where there is no number."""

    def known(name: str) -> int:
        return int(np.isfinite(table.values(name, "report")).sum())

    if study.metric in table.metrics and known(study.metric):
        return study.metric
    others = [name for name in table.metrics if name not in EFFORT and known(name)]
    varied = [name for name in others if differ(table.values(name, "report"))]
    return next(iter([*varied, *others]), None)


def pictures(study: Study, table: StudyTable) -> list[Picture]:
    """The pictures of a study, the most telling first; none where no trial has a number.

    Parameters
    ----------
    study : Study
        For its metric, direction and sampler.
    table : StudyTable
        Its results.

    Returns
    -------
    list of Picture
    """
    metric = main_metric(study, table)
    if metric is None:
        return []
    direction = study.direction if metric == study.metric else "maximize"
    varied = [n for n, a in table.axes.items() if len(a.levels) > 1 and n != REPEATED]
    seeds = [n for n in (REPEATED,) if n in table.axes and len(table.axes[n].levels) > 1]
    found: list[Picture] = []
    if study.sampler == "search":
        draw = lambda: plot_search(table, metric, direction=direction)  # noqa: E731
        found.append(Picture("search", "Points in the order of the search, and the best so far.", draw))
    if table.grid:
        found += _of_grid(table, metric, varied, seeds)
    elif varied:
        caption = "The metric along each axis, whatever the other parameters are."
        found.append(Picture("margins", caption, lambda: _margins(table, metric, varied)))
    if len(varied) >= (3 if table.grid else 2):
        caption = "All axes: each line is one point, the best is darkest and in front."
        draw = lambda: plot_parallel(table, metric, direction=direction)  # noqa: E731
        found.append(Picture("parallel", caption, draw))
    found += _learning(table, metric, table.better(direction, "report"), varied, seeds)
    return [*found, *_trade_off(table, metric)]


def _order(table: StudyTable, varied: list[str]) -> list[str]:
    """Axes by how well they serve as x: numbers before texts, many values before few."""
    return sorted(varied, key=lambda n: (not table.axes[n].numeric, -len(table.axes[n].levels)))


def _of_grid(table: StudyTable, metric: str, varied: list[str], seeds: list[str]) -> list[Picture]:
    if not varied:
        if not seeds:
            return []
        draw = lambda: plot_lines(table, metric, REPEATED, over=None)  # noqa: E731
        return [Picture("lines", "The metric of each seed.", draw)]
    x, *rest = _order(table, varied)
    fitting = [n for n in rest if len(table.axes[n].levels) <= LINES]
    lines = min(fitting, key=lambda n: len(table.axes[n].levels)) if fitting else None
    others = [n for n in rest if n != lines]
    over = [*seeds, *_too_many(table, others)]
    made = [
        Picture(
            "lines",
            f"Along {x}" + (f", for each {lines}" if lines else "") + _averaged(over),
            lambda: plot_lines(table, metric, x, lines, over=over),
        )
    ]
    if len(varied) >= 2:
        y, *others = rest
        levels = [len(table.axes[n].levels) for n in (x, y)]
        if max(levels) <= CELLS:
            flat = [*seeds, *_too_many(table, others)]
            made.insert(
                0,
                Picture(
                    "heat_map",
                    f"Over {x} and {y}{_averaged(flat)}",
                    lambda: plot_heat_map(table, metric, x, y, over=flat),
                ),
            )
    return made


def _too_many(table: StudyTable, names: list[str]) -> list[str]:
    """Axes over which must be averaged, because there would be a panel for each of their values."""
    kept = sorted(names, key=lambda n: len(table.axes[n].levels))
    while kept and math.prod(len(table.axes[n].levels) for n in kept) > MOST_PANELS // 2:
        kept.pop()
    return [n for n in names if n not in kept]


def _averaged(over: list[str]) -> str:
    return f"; averaged over {', '.join(over)}." if over else "."


def _margins(table: StudyTable, metric: str, varied: list[str]) -> Figure:
    shown = varied[:MARGINS]
    columns = min(len(shown), 3 if len(shown) != 4 else 2)
    rows = math.ceil(len(shown) / columns)
    size = (6.4, 4.2) if len(shown) == 1 else (1.2 + 2.6 * columns, 0.6 + 2.5 * rows)
    figure = Figure(figsize=size, layout="constrained")
    flat = list(figure.subplots(rows, columns, squeeze=False, sharey=True).flat)
    for ax in flat[len(shown) :]:
        ax.set_axis_off()
    for k, (name, ax) in enumerate(zip(shown, flat, strict=False)):
        plot_lines(table, metric, name, over=None, axes=ax)
        if len(shown) > 1:
            ax.set_title("", loc="left")
        if k % columns:
            ax.set_ylabel("")
    return figure


def _learning(table: StudyTable, metric: str, better: float, varied: list[str], seeds: list[str]) -> list[Picture]:
    """Curves by epoch; on a grid, those with the best point's values of all axes but one."""
    made: list[Picture] = []
    fitting = [n for n in varied if len(table.axes[n].levels) <= LINES and not table.axes[n].drawn]
    lines = min(fitting, key=lambda n: (table.axes[n].numeric, len(table.axes[n].levels)), default=None)
    others = [n for n in varied if n != lines]
    select: dict[str, Any] = {}
    over = list(seeds)
    if table.grid:
        points = Points.of(table, [metric], REPEATED, None, "report")
        best = points.first[int(np.nanargmax(better * points.values[metric]))]
        select = {n: table.axes[n].levels[table.codes[n][best]].item() for n in others}
    else:
        over += others
    scores = [f"{part}_{score}" for score in ("accuracy", "r2", "van_rossum") for part in ("validation", "train")]
    for kind in (*scores, "train_loss"):
        name = f"{kind}_by_epoch"
        curves = table.curves.get(name)
        if curves is None or not np.isfinite(curves).any() or curves.shape[1] < 2 or len(made) == 2:
            continue
        caption = f"{kind.replace('_', ' ')} by epoch{f', for each {lines}' if lines else ''}".capitalize()
        if select:
            held = ", ".join(f"{n}={table.axes[n].text(table.codes[n][best], unit=True)}" for n in others)
            caption += f", with the best point's {held}"
        draw = lambda name=name: plot_learning(table, name, lines, over=over, select=select)  # noqa: E731
        made.append(Picture(f"learning_{kind}", caption + _averaged(over), draw))
    return made


def _trade_off(table: StudyTable, metric: str) -> list[Picture]:
    """Firing rate against accuracy."""
    rates = [n for n in table.metrics if n.startswith("firing_rate_") and n != "firing_rate_input"]
    if "accuracy" not in metric or not rates:
        return []
    values = table.values(metric, "report")
    for rate in rates:
        here = np.where(np.isfinite(values), table.values(rate, "report"), np.nan)
        if differ(here):
            what = f"{rate} against {metric}".replace("_", " ").capitalize()
            caption = f"{what}: no point is better in both than one on the line."
            return [Picture("pareto", caption, partial(plot_pareto, table, rate, metric))]
    return []
