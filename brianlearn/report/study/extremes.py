"""The best and the worst trials of a study: as a table, and their learning curves before those of all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from brianlearn.plot.style import COLOURS
from brianlearn.report.page.blocks import Block, Table
from brianlearn.report.study.pictures import Picture, main_metric
from brianlearn.report.study.style import FAINT, SIZE, metric_axis, number_text, plain
from brianlearn.report.study.table import StudyTable, column_label

if TYPE_CHECKING:
    from brianlearn.study.study import Study

__all__ = ["best_and_worst", "extreme_trials"]

#: Trials at either end of the table, and of the picture.
ROWS, LINES = 5, 2


def _order(study: Study, table: StudyTable, metric: str) -> np.ndarray:
    """Rows of the trials that have the metric, the best first."""
    values = table.values(metric, "report")
    better = -1.0 if study.direction == "minimize" and metric == study.metric else 1.0
    rows = np.argsort(-better * np.where(np.isfinite(values), values, -better * np.inf), kind="stable")
    return rows[np.isfinite(values[rows])]


def extreme_trials(study: Study, table: StudyTable, metric: str) -> tuple[Block, ...]:
    """Tables of single trials, the best and the worst ones.

    Parameters
    ----------
    study : Study
    table : StudyTable
    metric : str

    Returns
    -------
    tuple of Block
        Empty where fewer than two trials have the metric.
    """
    order = _order(study, table, metric)
    if len(order) < 2:
        return ()
    n = min(ROWS, len(order) // 2)
    names = [axis.label for axis in table.axes.values()]
    numbers = [0, *(k + 1 for k, axis in enumerate(table.axes.values()) if axis.numeric), len(names) + 1]
    found: list[Block] = []
    for what, rows in (("best", order[:n]), ("worst", order[::-1][:n])):
        values, _ = number_text(table, metric, table.values(metric, "report")[rows])
        lines = [
            [str(int(table.number[row])), *(a.text(table.codes[name][row]) for name, a in table.axes.items()), value]
            for row, value in zip(rows, values, strict=True)
        ]
        heads = ["trial", *names, column_label(metric, table.units)]
        found.append(Table(f"The {what} trials", heads, lines, numbers))
    return tuple(found)


def best_and_worst(study: Study, table: StudyTable) -> list[Picture]:
    """A picture of all trials' curves, the best and the worst ones in colour; none where trials have no curves."""
    metric = main_metric(study, table)
    if metric is None:
        return []
    order = _order(study, table, metric)
    names = [f"{part}_{score}_by_epoch" for score in ("accuracy", "r2", "van_rossum", "loss") for part in ("validation", "train")]  # fmt: skip  # noqa: E501
    curve = next((n for n in names if n in table.curves and np.isfinite(table.curves[n]).any()), None)
    if curve is None or table.curves[curve].shape[1] < 2 or len(order) < 2 * LINES:
        return []
    label = curve.removesuffix("_by_epoch").replace("_", " ")
    caption = f"{label} by epoch of all trials; in colour the {LINES} best and the {LINES} worst by {metric}.".capitalize()  # fmt: skip  # noqa: E501
    return [Picture("best_and_worst", caption, lambda: _draw(table, metric, curve, order))]


def _draw(table: StudyTable, metric: str, curve: str, order: np.ndarray) -> Figure:
    figure = Figure(figsize=SIZE, layout="constrained")
    ax = figure.subplots()
    curves, values = table.curves[curve], table.values(metric, "report")
    epochs = np.arange(1, curves.shape[1] + 1)
    ends = [*order[:LINES], *order[-LINES:]]
    for row in order:
        if row not in ends:
            ax.plot(epochs, curves[row], color=FAINT, lw=0.6, alpha=0.5)
    texts, _ = number_text(table, metric, values[ends])
    for k, (row, text) in enumerate(zip(ends, texts, strict=True)):
        best = k < LINES
        look = "-" if best else "--"
        told = f"{'best' if best else 'worst'}: trial {int(table.number[row])}, {text}"
        ax.plot(epochs, curves[row], look, color=COLOURS[0 if best else 1], lw=1.8, alpha=1.0 - 0.35 * (k % LINES), label=told)  # fmt: skip  # noqa: E501
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlabel("epoch")
    ax.set_ylabel(metric_axis(table, curve, ax.yaxis))
    ax.legend(frameon=False, fontsize=8)
    ax.grid(alpha=0.25)
    plain(ax)
    return figure
