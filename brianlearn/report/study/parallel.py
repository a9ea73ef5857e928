"""Parallel coordinates of a study: all of its axes at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from brianlearn.errors import DataError
from brianlearn.report.study.points import Points
from brianlearn.report.study.style import FAINT, dark_map, elide, figure_of, number_text, one_axes, save
from brianlearn.report.study.table import StudyTable, TableAxis, column_label, study_table

if TYPE_CHECKING:
    import xarray

    from brianlearn.study.study import Study

__all__ = ["plot_parallel"]

#: Lines through the same level of an axis lie this far apart at most, the better ones above, so that all are seen.
SPREAD = 0.05


def plot_parallel(
    study: Study | xarray.Dataset | StudyTable,
    metric: str,
    *,
    direction: str | None = None,
    over: str | Sequence[str] | None = "seed",
    select: Mapping[str, Any] | None = None,
    path: str | os.PathLike[str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Parallel coordinates: one upright line per axis of the study, and one line across them for each point.

    The metric is the last upright line and the colour; what is best is darkest and in front. Lines through the same
    value of an axis are drawn a little apart, those with more of the metric above. Points without a value are dashed
    grey lines that end before it.

    Parameters
    ----------
    study : Study or xarray.Dataset
        A study, ``study.results()`` or ``study.summary()``, or a part of these.
    metric : str
    direction : {"maximize", "minimize"}, optional
        What is best; as the study says, or the largest, where it is not given.
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
        An unknown metric, axis or value; no axis with two values.
    RunFolderError
        If the file cannot be written.
    """
    subject = "plot_parallel"
    table = study_table(study, subject)
    better = table.better(direction, subject)
    points = Points.of(table, [metric], over, select, subject)
    values = points.values[metric]
    leave = (*table.repeated(over, subject), *(select or {}))
    axes = [axis for name, axis in table.axes.items() if name not in leave and len(axis.levels) > 1]
    if not axes:
        raise DataError(subject, "there is no axis with two values to draw", got=", ".join(table.axes))
    own = ax is None
    ax = one_axes(ax)
    if own:
        figure_of(ax).set_size_inches(max(6.4, 1.25 * (len(axes) + 1)), 4.2)
    heights = [_heights(axis, table.codes[axis.name][points.first]) for axis in axes]
    known = np.isfinite(values)
    low, high = _limits(values[known])
    share = (values - low) / (high - low)
    for axis, height in zip(axes, heights, strict=True):
        if not axis.drawn:
            height += SPREAD * (np.nan_to_num(share, nan=0.5) - 0.5)
    upright = np.column_stack([*heights, share])
    places = np.arange(len(axes) + 1)
    lost = [np.column_stack([places[:-1], row[:-1]]) for row in upright[~known]]
    ax.add_collection(LineCollection(lost, colors="0.7", linewidths=0.8, linestyles="--", zorder=1))
    order = np.flatnonzero(known)[np.argsort(better * values[known], kind="stable")]  # the best is drawn last
    shades = dark_map(better)(Normalize(low, high)(values[order]))
    n = len(order)
    drawn = LineCollection(
        [np.column_stack([places, upright[k]]) for k in order],
        colors=shades,
        linewidths=np.where(np.arange(n) == n - 1, 2.6, 1.0 if n < 300 else 0.5),
        alpha=np.where(np.arange(n) == n - 1, 1.0, max(0.25, min(0.9, 60 / max(n, 1)))),
        zorder=2,
    )
    ax.add_collection(drawn)
    for place, axis in enumerate(axes):
        _upright(ax, place, *_ticks(axis), axis.label)
    ticks = [t for t in MaxNLocator(5).tick_values(low, high) if low <= t <= high]
    texts, _ = number_text(table, metric, ticks)
    _upright(ax, len(axes), [(t - low) / (high - low) for t in ticks], texts, column_label(metric, table.units), True)
    strip = np.linspace(0.0, 1.0, 256)[:, None]
    end = len(axes)
    ax.imshow(strip, extent=(end, end + 0.07, 0, 1), aspect="auto", origin="lower", cmap=dark_map(better), zorder=3)
    ax.set_xlim(-0.35, end + 0.1)
    ax.set_ylim(-0.04, 1.04)
    ax.set_axis_off()
    said = "the thick line is the best point" if n else "no point has a value yet"
    if lost:
        said += "; dashed: no value"
    ax.set_title(said, fontsize=8, color=FAINT, loc="left", pad=28)
    return save(ax, path)


def _limits(values: np.ndarray) -> tuple[float, float]:
    if not values.size:
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _heights(axis: TableAxis, codes: np.ndarray) -> np.ndarray:
    """Places of levels on an upright line, between 0 and 1."""
    at = np.arange(len(axis.levels), dtype=float) if not axis.numeric else axis.levels.astype(float)
    at = np.log(at) if axis.log else at
    share = np.asarray((at[codes] - at[0]) / (at[-1] - at[0]))
    return share if axis.drawn else SPREAD / 2 + (1 - SPREAD) * share


def _ticks(axis: TableAxis) -> tuple[list[float], list[str]]:
    codes = np.arange(len(axis.levels))
    heights = _heights(axis, codes)
    if not axis.drawn:
        kept = [0]
        for k in codes[1:]:
            if heights[k] - heights[kept[-1]] > 0.05:
                kept.append(int(k))
        return [float(heights[k]) for k in kept], [elide(axis.text(k), 14) for k in kept]
    low, high = float(axis.levels[0]), float(axis.levels[-1])
    if not axis.log:
        at = [t for t in MaxNLocator(6).tick_values(low, high) if low <= t <= high]
        return [(t - low) / (high - low) for t in at], [f"{t:g}" for t in at]
    shares = np.linspace(0.0, 1.0, 5)
    return shares.tolist(), [f"{low * (high / low) ** share:.2g}" for share in shares]


def _upright(ax: Axes, place: int, at: Sequence[float], texts: Sequence[str], title: str, right: bool = False) -> None:
    ax.plot([place, place], [0, 1], color="0.2", lw=1, zorder=3, clip_on=False)
    side, where = (1, "left") if right else (-1, "right")
    beside = 0.07 if right else 0.0
    for height, text in zip(at, texts, strict=True):
        ax.annotate(
            text,
            (place + beside, height),
            (4 * side, 0),
            textcoords="offset points",
            ha=where,
            va="center",
            fontsize=8,
            zorder=4,
            bbox=dict(boxstyle="square,pad=0.05", facecolor="white", edgecolor="none", alpha=0.75),
        )
    ax.annotate(
        elide(title.replace(" (", "\n(") if len(title) > 14 else title, 30),
        (place, 1),
        (0, 8),
        textcoords="offset points",
        ha="center",
        va="bottom",
        fontsize=9,
        annotation_clip=False,
    )
