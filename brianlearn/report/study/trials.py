"""Trials of a study against each other: the Pareto front, the course of a search."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from brianlearn.errors import DataError
from brianlearn.report.plots import COLOURS
from brianlearn.report.study.points import Points
from brianlearn.report.study.style import FAINT, figure_of, metric_axis, one_axes, plain, save
from brianlearn.report.study.table import StudyTable, study_table

if TYPE_CHECKING:
    import xarray

    from brianlearn.study.study import Study

__all__ = ["pareto_front", "plot_pareto", "plot_search"]

#: Labels of the front at most, and their least distance, as a share of the picture.
MOST_LABELS = 9
APART = 0.07
#: Letters of a line beside the picture, and lines of all labels together.
LINE, LINES_OF_TEXT = 26, 24


def plot_pareto(
    study: Study | xarray.Dataset | StudyTable,
    x_metric: str,
    y_metric: str,
    directions: Sequence[str] = ("minimize", "maximize"),
    *,
    over: str | Sequence[str] | None = "seed",
    select: Mapping[str, Any] | None = None,
    path: str | os.PathLike[str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Two metrics against each other, and the points that no other point beats in both: the Pareto front.

    Points of the front are numbered, and their parameters listed beside the picture; of points that lie close together
    one is.

    Parameters
    ----------
    study : Study or xarray.Dataset
        A study, ``study.results()`` or ``study.summary()``, or a part of these.
    x_metric, y_metric : str
        E.g. ``firing_rate_dense1`` and ``test_accuracy``.
    directions : sequence of {"minimize", "maximize"}, optional
        What is better of either; few of x and much of y where it is not given.
    over : str or sequence of str, optional
        Axes over which is averaged.
    select : mapping, optional
        Axis -> the value that is drawn.
    path : path-like, optional
        Where to save the figure.
    ax : matplotlib.axes.Axes, optional
        To draw into a figure of your own.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        An unknown metric, axis, value or direction; no trial with both metrics.
    RunFolderError
        If the file cannot be written.
    """
    subject = "plot_pareto"
    table = study_table(study, subject)
    if isinstance(directions, str) or len(directions) != 2:
        raise DataError(subject, "directions are wrong", got=repr(directions), expected="('minimize', 'maximize')")
    signs = [table.better(direction, subject) for direction in directions]
    points = Points.of(table, [x_metric, y_metric], over, select, subject)
    x, y = points.values[x_metric], points.values[y_metric]
    known = np.isfinite(x) & np.isfinite(y)
    if not known.any():
        raise DataError(subject, "no trial has both metrics", got=f"{x_metric}, {y_metric}")
    x, y, first = x[known], y[known], points.first[known]
    front = pareto_front(np.column_stack([signs[0] * x, signs[1] * y]))
    front = front[np.argsort(x[front], kind="stable")]
    own = ax is None
    ax = one_axes(ax)
    ax.scatter(x, y, s=16, color="0.62", linewidths=0, label="points", zorder=2)
    # between two points of the front nothing is known to be better than the worse one of both
    ax.step(x[front], y[front], where="post" if signs[0] < 0 else "pre", color=COLOURS[0], lw=1.4, zorder=3)
    ax.scatter(x[front], y[front], s=20, color=COLOURS[0], linewidths=0, zorder=4)
    leave = [*table.repeated(over, subject), *(select or {})]
    same = [n for n, codes in table.codes.items() if n not in leave and len(set(codes[first[front]])) == 1]
    texts = {k: _broken(table.point(first[k], [*leave, *same])) for k in front.tolist()}
    most = LINES_OF_TEXT // max(text.count("\n") + 1 for text in texts.values())
    labelled = _apart(np.column_stack([x, y]), front, min(MOST_LABELS, max(most, 2)))
    ax.scatter(x[labelled], y[labelled], s=120, color=COLOURS[0], edgecolors="white", linewidths=0.8, zorder=5)
    for k, point in enumerate(labelled, start=1):
        style: dict[str, Any] = dict(
            color="white", fontsize=8, fontweight="bold", ha="center", va="center_baseline", zorder=6
        )
        ax.annotate(str(k), (x[point], y[point]), **style)
    ax.set_xlabel(metric_axis(table, x_metric, ax.xaxis))
    ax.set_ylabel(metric_axis(table, y_metric, ax.yaxis))
    ax.margins(0.07)
    ax.grid(alpha=0.25)
    plain(ax)
    handles = [
        Line2D([], [], marker=f"${k}$", color=COLOURS[0], linestyle="none", ms=6, label=texts[p] or "the only point")
        for k, p in enumerate(labelled, start=1)
    ]
    shared = ", ".join(
        f"{n}={table.axes[n].text(table.codes[n][first[front[0]]], True)}"
        for n in same
        if len(table.axes[n].levels) > 1
    )
    title = f"front, all with\n{_broken(shared)}" if shared else "front"
    legend: dict[str, Any] = dict(
        handles=handles, title=title, frameon=False, fontsize=7.5, title_fontsize=8, labelspacing=0.7
    )
    if own:
        figure_of(ax).legend(loc="outside right upper", **legend)
    else:
        ax.legend(**legend)
    names = ", ".join(table.repeated(over, subject))
    said = f"{len(front)} of {len(x)} points are on the front" + (f"; means over {names}" if names else "")
    ax.set_title(said, fontsize=8, color=FAINT, loc="left")
    return save(ax, path)


def pareto_front(points: np.ndarray) -> np.ndarray:
    """Points that no other point beats: at least as good in everything and better in something.

    Parameters
    ----------
    points : numpy.ndarray, shape (n, 2)
        More is better in both.

    Returns
    -------
    numpy.ndarray of int
        Their indices, in rising order.
    """
    order = np.lexsort((-points[:, 1], -points[:, 0]))  # the first coordinate falls, ties with the best second first
    front: list[int] = []
    best = -np.inf
    for k in order:
        same = bool(front) and bool(np.all(points[k] == points[front[-1]]))
        if points[k, 1] > best or same:
            front.append(int(k))
            best = float(points[k, 1])
    return np.sort(np.array(front, int))


def _broken(text: str) -> str:
    """Parameters in lines that are not too long."""
    lines = [""]
    for part in text.split(", "):
        if lines[-1] and len(lines[-1]) + len(part) > LINE:
            lines.append(part)
        else:
            lines[-1] += f", {part}" if lines[-1] else part
    return "\n".join(lines)


def _apart(points: np.ndarray, front: np.ndarray, most: int) -> list[int]:
    """Points of the front that are far enough from each other for their numbers; both ends first."""
    span = np.ptp(points, axis=0)
    places = points / np.where(span > 0, span, 1.0)
    kept: list[int] = []
    inner = front[1:-1]
    for k in [*front[[0, -1]], *inner[np.argsort([_turn(i) for i in range(len(inner))], kind="stable")]]:
        if len(kept) < most and all(np.hypot(*(places[k] - places[j])) >= APART for j in kept):
            kept.append(int(k))
    return sorted(kept, key=lambda k: int(np.flatnonzero(front == k)[0]))


def _turn(i: int) -> float:
    """Van der Corput's sequence: whatever number is taken of it, it is spread evenly."""
    return int(f"{i:032b}"[::-1], 2) / 2**32


def plot_search(
    study: Study | xarray.Dataset | StudyTable,
    metric: str | None = None,
    *,
    direction: str | None = None,
    over: str | Sequence[str] | None = "seed",
    path: str | os.PathLike[str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """The course of a search: each point in the order in which it was tried, and the best so far.

    Parameters
    ----------
    study : Study or xarray.Dataset
        A study or ``study.results()``.
    metric : str, optional
        The study's own where it is not given.
    direction : {"maximize", "minimize"}, optional
        What is best; as the study says, or the largest, where it is not given.
    over : str or sequence of str, optional
        Axes whose trials are one point: the mean over them is compared.
    path : path-like, optional
        Where to save the figure.
    ax : matplotlib.axes.Axes, optional
        To draw into a figure of your own.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        An unknown metric or axis; a summary, which has no order.
    RunFolderError
        If the file cannot be written.
    """
    subject = "plot_search"
    table = study_table(study, subject)
    if table.spread:
        raise DataError(subject, "a summary has no order", expected="a study, or study.results()")
    chosen = metric or getattr(study, "metric", None)
    if chosen is None:
        raise DataError(subject, "there is no metric", expected=", ".join(table.metrics), remedy="metric=...")
    better = table.better(direction, subject)
    points = Points.of(table, [chosen], over, None, subject)
    order = np.argsort([table.number[rows].min() for rows in points.members], kind="stable")
    values = points.values[chosen][order]
    at = np.arange(1, len(values) + 1)
    known = np.isfinite(values)
    ax = one_axes(ax)
    if known.any():
        so_far = better * np.fmax.accumulate(better * values)
        ax.scatter(at[known], values[known], s=16, color="0.55", linewidths=0, label="point", zorder=2)
        ax.step(at, so_far, where="post", color=COLOURS[0], lw=1.8, label="best so far", zorder=3)
        best = int(np.nanargmax(better * values))
        text = table.point(points.first[order[best]], table.repeated(over, subject))
        ax.plot(
            at[best], values[best], "*", ms=13, color=COLOURS[1], mec="black", mew=0.6, label=_broken(text), zorder=4
        )
    states = np.array([_lost(table.state[points.members[k]]) for k in order])
    for state, marker in (("failed", "x"), ("stopped", "|")):
        here = ~known & (states == state)
        if here.any():
            word = {"failed": "failed", "stopped": "stopped early"}[state]
            low = np.full(int(here.sum()), 0.02)
            where = ax.get_xaxis_transform()
            ax.scatter(at[here], low, transform=where, marker=marker, color=COLOURS[3], s=26, label=word, clip_on=False)
    ax.set_xlabel("point, in the order of the search")
    ax.set_ylabel(metric_axis(table, chosen, ax.yaxis))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlim(0.5, len(values) + 0.5)
    ax.grid(alpha=0.25)
    plain(ax)
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return save(ax, path)


def _lost(states: np.ndarray) -> str:
    """Why a point has no value."""
    return next((state for state in ("failed", "stopped") if state in states), "missing")
