"""Lines of a study: a metric along one axis, and curves by epoch, with bands."""

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
from brianlearn.report.study.mean import Mean
from brianlearn.report.study.panels import Panel, Panels
from brianlearn.report.study.style import (
    FAINT,
    MARKERS,
    colours,
    elide,
    figure_of,
    metric_axis,
    parameter_axis,
    plain,
    possible,
    save,
)
from brianlearn.report.study.table import StudyTable, TableAxis, study_table
from brianlearn.study.samplers import REPEATED

if TYPE_CHECKING:
    import xarray

    from brianlearn.study.study import Study

__all__ = ["plot_learning", "plot_lines"]

#: Intervals of an axis whose values were drawn, with equally many trials in each.
BINS = 8
#: Lines of one picture at most.
MOST_LINES = 16
STYLES = ("-", "--", ":", "-.")


def plot_lines(
    study: Study | xarray.Dataset | StudyTable,
    metric: str,
    x: str,
    lines: str | None = None,
    *,
    over: str | Sequence[str] | None = "seed",
    select: Mapping[str, Any] | None = None,
    path: str | os.PathLike[str] | None = None,
    axes: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """A metric along an axis of a study: the mean with its 95 % confidence band, single trials as faint dots.

    An axis spread logarithmically, or unevenly over more than a decade, gets a logarithmic scale. The values of an axis
    of texts are evenly spaced, with error bars. Confidence of accuracies ends at 0 and 100 %. Where values were drawn
    from an interval (random, Sobol, search), the line goes through the means of eight groups of neighbouring trials,
    whatever their other parameters are. Places without any value are crosses at the lower edge. Trials that were ended
    early do not count.

    Parameters
    ----------
    study : Study or xarray.Dataset
        A study, ``study.results()`` or ``study.summary()``, or a part of these.
    metric : str
    x : str
        An axis of the study.
    lines : str, optional
        An axis with one line for each of its values.
    over : str or sequence of str, optional
        Axes over which is averaged.
    select : mapping, optional
        Axis -> the value that is drawn. On a grid each combination of the axes that are left gets a panel of its own.
    path : path-like, optional
        Where to save the figure.
    axes : matplotlib.axes.Axes or sequence of these, optional
        To draw into a figure of your own, one per panel.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        An unknown metric, axis or value; too many panels or lines.
    RunFolderError
        If the file cannot be written.
    """
    subject = "plot_lines"
    table = study_table(study, subject)
    values = table.values(metric, subject)
    repeated = table.repeated(over, subject)
    axis = table.axis(x, subject)
    _check_lines(table, lines, subject)
    panels = Panels.of(table, (x, lines) if lines else (x,), repeated, select, axes, subject)
    lost = False
    for panel in panels.panels:
        for key, rows in sorted(table.groups((lines,) if lines else (), panel.rows).items()):
            k = key[0] if lines else 0
            look = _look(table, lines, k)
            if axis.drawn:
                _drawn(panel.ax, table, metric, axis, values, rows, look)
            else:
                n = len(table.axes[lines].levels) if lines else 1
                shift = 0.0 if axis.numeric or n == 1 else 0.5 * (k / (n - 1) - 0.5)
                lost |= _levels(panel.ax, table, metric, axis, values, rows, look, shift, k)
        parameter_axis(axis, panel.ax, n_ticks=8 if len(panels.panels) == 1 else 5)
        panel.ax.grid(alpha=0.25)
        plain(panel.ax)
    y = metric_axis(table, metric, panels.panels[0].ax.yaxis)
    for panel in panels.panels[1:]:
        metric_axis(table, metric, panel.ax.yaxis)
    panels.label(axis.label, y)
    panels.say(_caption(table, repeated, axis))
    _legend(table, panels, lines, lost)
    return save(panels.panels[0].ax, path)


def _check_lines(table: StudyTable, lines: str | None, subject: str) -> None:
    if lines is None:
        return
    axis = table.axis(lines, subject)
    if axis.drawn or len(axis.levels) > MOST_LINES:
        raise DataError(
            subject,
            f"there would be too many lines, one for each value of {lines!r}",
            got=len(axis.levels),
            expected=f"an axis with at most {MOST_LINES} values",
        )


def _look(table: StudyTable, lines: str | None, k: int) -> dict[str, Any]:
    """Later lines are thinner: one below that they cover is seen all the same."""
    share = k / max(len(table.axes[lines].levels) - 1, 1) if lines else 1.0
    return dict(
        color=colours(table, lines)[k],
        marker=MARKERS[k % len(MARKERS)],
        linestyle=STYLES[k // len(MARKERS) % len(STYLES)],
        linewidth=3.0 - 1.5 * share,
        markersize=7.0 - 2.5 * share,
    )


def _levels(
    ax: Axes,
    table: StudyTable,
    metric: str,
    axis: TableAxis,
    values: np.ndarray,
    rows: np.ndarray,
    look: dict[str, Any],
    shift: float,
    line: int,
) -> bool:
    """A line through the means at the levels of an axis; whether some of them have no value."""
    groups = sorted(table.groups((axis.name,), rows).items())
    codes = np.array([key[0] for key, _ in groups])
    at = axis.levels[codes].astype(float) if axis.numeric else codes + shift
    means = [Mean.rows(table, metric, values, members) for _, members in groups]
    mean, low, high = (np.array([getattr(m, part) for m in means], float) for part in ("mean", "low", "high"))
    low, high = possible(table, metric, low), possible(table, metric, high)
    known = np.isfinite(mean)
    if axis.name == REPEATED:
        look = {**look, "linestyle": "none"}  # between two seeds there is nothing
    if axis.numeric:
        ax.plot(at, mean, zorder=3, **look)
        ax.fill_between(at, low, high, color=look["color"], alpha=0.18, linewidth=0)
    else:
        spread = np.nan_to_num(np.array([mean - low, high - mean]))
        look = {**look, "linestyle": "none"}
        ax.errorbar(at[known], mean[known], spread[:, known], capsize=3, elinewidth=1.4, zorder=3, **look)
    if not table.spread:
        several = [(place, members) for place, (_, members) in zip(at, groups, strict=True) if len(members) > 1]
        dots = np.array([(place, value) for place, members in several for value in values[members]]).reshape(-1, 2)
        dots = dots[np.isfinite(dots[:, 1])]
        ax.scatter(dots[:, 0], dots[:, 1], s=11, color=look["color"], alpha=0.4, linewidths=0, zorder=2)
    empty = at[~known]
    if empty.size:
        ax.scatter(
            empty,
            np.full(len(empty), 0.02 + 0.035 * line),
            transform=ax.get_xaxis_transform(),
            marker="x",
            color=look["color"],
            s=28,
            clip_on=False,
        )
    return bool(empty.size)


def _drawn(
    ax: Axes,
    table: StudyTable,
    metric: str,
    axis: TableAxis,
    values: np.ndarray,
    rows: np.ndarray,
    look: dict[str, Any],
) -> None:
    """Dots for trials, and a line through the means of groups of neighbours."""
    at = axis.levels[table.codes[axis.name][rows]].astype(float)
    here = np.isfinite(values[rows])
    order = np.argsort(at[here], kind="stable")
    at, y = at[here][order], values[rows][here][order]
    ax.scatter(at, y, s=11, color=look["color"], alpha=0.4, linewidths=0, zorder=2)
    parts = [part for part in np.array_split(np.arange(len(at)), min(BINS, max(len(at) // 4, 1))) if part.size]
    means = [Mean.of(y[part]) for part in parts]
    middle = [float(np.exp(np.log(at[p]).mean())) if axis.log else float(at[p].mean()) for p in parts]
    ax.plot(middle, [m.mean for m in means], zorder=3, **look)
    low, high = (possible(table, metric, np.array([getattr(m, part) for m in means])) for part in ("low", "high"))
    ax.fill_between(middle, low, high, color=look["color"], alpha=0.18, linewidth=0)


def _caption(table: StudyTable, repeated: Sequence[str], axis: TableAxis | None = None) -> str:
    if axis is not None and axis.drawn:
        return "trials, and mean of neighbours with 95 % confidence"
    names = ", ".join(repeated) or table.averaged
    if not names:
        return "single trials" if table.grid else "mean of trials with 95 % confidence"
    return f"mean over {names} with 95 % confidence"


def _legend(table: StudyTable, panels: Panels, lines: str | None, lost: bool) -> None:
    ax = panels.panels[0].ax
    handles: list[Any] = []
    if lines:
        axis = table.axes[lines]
        for k in range(len(axis.levels)):
            handles.append(Line2D([], [], label=elide(axis.text(k)), **_look(table, lines, k)))
    if lost:
        handles.append(Line2D([], [], marker="x", color=FAINT, linestyle="none", label="no value"))
    if not handles:
        return
    title: dict[str, Any] = dict(title=table.axes[lines].label, title_fontsize=9) if lines else {}
    if panels.own:
        figure_of(ax).legend(handles=handles, loc="outside right upper", frameon=False, fontsize=9, **title)
    else:
        ax.legend(handles=handles, frameon=False, fontsize=8, **title)


def plot_learning(
    study: Study | xarray.Dataset | StudyTable,
    curve: str = "train_accuracy_by_epoch",
    lines: str | None = None,
    *,
    over: str | Sequence[str] | None = "seed",
    select: Mapping[str, Any] | None = None,
    path: str | os.PathLike[str] | None = None,
    axes: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """Curves of a study by epoch: the mean with its 95 % confidence band.

    Trials that were ended early are thin dashed lines, and do not count for the mean.

    Parameters
    ----------
    study : Study or xarray.Dataset
        A study, ``study.results()`` or ``study.summary()``, or a part of these.
    curve : str, optional
        ``train_accuracy_by_epoch``, ``train_loss_by_epoch``, ``validation_accuracy_by_epoch``, ...; the ending may be
        left out.
    lines : str, optional
        An axis with one line for each of its values.
    over : str or sequence of str, optional
        Axes over which is averaged.
    select : mapping, optional
        Axis -> the value that is drawn. On a grid each combination of the axes that are left gets a panel of its own.
    path : path-like, optional
        Where to save the figure.
    axes : matplotlib.axes.Axes or sequence of these, optional
        To draw into a figure of your own, one per panel.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        An unknown curve, axis or value; too many panels or lines.
    RunFolderError
        If the file cannot be written.
    """
    subject = "plot_learning"
    table = study_table(study, subject)
    curves = table.curve(curve, subject)
    name = curve if curve in table.curves else f"{curve}_by_epoch"
    repeated = table.repeated(over, subject)
    _check_lines(table, lines, subject)
    panels = Panels.of(table, (lines,) if lines else (), repeated, select, axes, subject)
    for panel in panels.panels:
        for key, rows in sorted(table.groups((lines,) if lines else (), panel.rows).items()):
            _epochs(panel, table, name, curves, rows, _look(table, lines, key[0] if lines else 0))
        panel.ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        panel.ax.grid(alpha=0.25)
        plain(panel.ax)
        label = metric_axis(table, name, panel.ax.yaxis)
    panels.label("epoch", label)
    panels.say(_caption(table, repeated))
    _legend(table, panels, lines, False)
    return save(panels.panels[0].ax, path)


def _epochs(
    panel: Panel, table: StudyTable, name: str, curves: np.ndarray, rows: np.ndarray, look: dict[str, Any]
) -> None:
    epochs = np.arange(1, curves.shape[1] + 1)
    for row in rows[table.state[rows] == "stopped"]:
        panel.ax.plot(epochs, curves[row], "--", color=look["color"], alpha=0.5, lw=0.8)
    done = rows[table.state[rows] == "done"]
    if not done.size:
        return
    found = Mean.rows(table, name, curves, done)
    panel.ax.plot(epochs, found.mean, zorder=3, **look)
    low, high = possible(table, name, found.low), possible(table, name, found.high)
    panel.ax.fill_between(epochs, low, high, color=look["color"], alpha=0.18, linewidth=0)
