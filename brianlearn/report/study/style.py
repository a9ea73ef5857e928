"""How the pictures of a study look: statistics of repetitions, scales, ticks, colours, panels."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    NullLocator,
    PercentFormatter,
)

from brianlearn.report.plots import COLOURS, save_figure
from brianlearn.report.study.table import StudyTable, TableAxis, column_label

__all__ = [
    "FAINT",
    "HATCHES",
    "MARKERS",
    "SIZE",
    "colours",
    "dark_map",
    "elide",
    "figure_of",
    "metric_axis",
    "number_text",
    "one_axes",
    "parameter_axis",
    "plain",
    "possible",
    "save",
]

#: Size of a picture, in inches.
SIZE = (6.4, 4.2)
#: Ink of what stands behind the data.
FAINT = "0.45"
#: Markers beside the colours: lines are told apart in black and white too.
MARKERS = ("o", "s", "^", "D", "v", "P")
#: How cells and places without a value are drawn, by state of their trials.
HATCHES = {"failed": "xxxx", "stopped": "....", "missing": "////"}
#: Letters that fit side by side.
LETTERS_PER_INCH = 12
#: Characters of a label.
LONGEST = 22


def one_axes(ax: Axes | None) -> Axes:
    """An axes to draw into: that of the user, or one of a new figure."""
    return Figure(figsize=SIZE, layout="constrained").subplots() if ax is None else ax


def figure_of(ax: Axes) -> Figure:
    """The figure that an axes is in."""
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    return figure


def save(ax: Axes, path: str | os.PathLike[str] | None) -> Figure:
    """The figure, saved where a path is given."""
    figure = figure_of(ax)
    if path is not None:
        save_figure(figure, path)
    return figure


def plain(ax: Axes) -> None:
    """No box around the data."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def elide(text: str, longest: int = LONGEST) -> str:
    """A text, its middle left out where it is long."""
    half = (longest - 1) // 2
    return text if len(text) <= longest else f"{text[:half]}…{text[-half:]}"


def is_share(table: StudyTable, name: str) -> bool:
    """Whether a metric is drawn in percent: accuracies, between 0 and 1."""
    values = table.metrics.get(name, table.curves.get(name))
    if values is None or "accuracy" not in name or table.units.get(name):
        return False
    known = values[np.isfinite(values)]
    return bool(known.size) and bool(known.min() >= 0) and bool(known.max() <= 1)


def metric_axis(table: StudyTable, name: str, axis: Any) -> str:
    """Format the ticks of a metric's axis or colour bar.

    Returns
    -------
    str
        Its label.
    """
    if is_share(table, name):
        axis.set_major_formatter(PercentFormatter(1.0))
    return column_label(name, table.units)


def possible(table: StudyTable, name: str, interval: np.ndarray) -> np.ndarray:
    """An interval of confidence, where it is of shares, within 0 and 100 %."""
    return np.clip(interval, 0.0, 1.0) if is_share(table, name) else np.asarray(interval)


def number_text(table: StudyTable, name: str, values: Iterable[float]) -> tuple[list[str], list[str]]:
    """Values of a metric as short texts, all with as many decimals; and as differences, without ``%``.

    Returns
    -------
    values, differences : list of str
    """
    numbers = np.asarray(list(values), float)
    if is_share(table, name):
        return [f"{100 * x:.1f}%" for x in numbers], [f"{100 * x:.1f}" for x in numbers]
    known = np.abs(numbers[np.isfinite(numbers)])
    scale = float(known.max()) if known.size and known.max() > 0 else 1.0
    if 1e-3 <= scale < 1e5:
        decimals = max(0, 2 - math.floor(math.log10(scale)))
        made = [f"{x:.{decimals}f}" for x in numbers]
    else:
        made = [f"{x:.2e}" for x in numbers]
    return made, made


def colours(table: StudyTable, name: str | None) -> list[Any]:
    """Colours for the levels of an axis: a scale for many numbers, else colours that everybody can tell apart."""
    if name is None:
        return [COLOURS[0]]
    axis = table.axes[name]
    n = len(axis.levels)
    if axis.numeric and n > 4:
        return [matplotlib.colormaps["viridis"](0.9 * k / (n - 1)) for k in range(n)]
    return [COLOURS[k % len(COLOURS)] for k in range(n)]


def dark_map(better: float) -> Colormap:
    """Colours for lines and dots on white: what is best is darkest."""
    made = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.88, 256))
    return ListedColormap(made[::-1] if better > 0 else made)


def parameter_axis(axis: TableAxis, ax: Axes, which: str = "x", n_ticks: int = 8, places: bool = False) -> None:
    """Scale, limits and ticks of an axis of the study.

    Parameters
    ----------
    axis : TableAxis
    ax : matplotlib.axes.Axes
    which : {"x", "y"}
    n_ticks : int
        At most.
    places : bool
        Whether levels stand at 0, 1, 2, ... whatever their values are, as texts always do.
    """
    target = ax.xaxis if which == "x" else ax.yaxis
    codes = np.arange(len(axis.levels))
    if places or not axis.numeric:
        shown = codes[:: max(1, math.ceil(len(codes) / (n_ticks if axis.numeric else 16)))]
        names = [elide(axis.text(int(k))) for k in shown]
        target.set_major_locator(FixedLocator(shown.tolist()))
        target.set_major_formatter(FuncFormatter(lambda v, _: dict(zip(shown.tolist(), names, strict=True)).get(v, "")))
        (ax.set_xlim if which == "x" else ax.set_ylim)(-0.5, len(codes) - 0.5)
        width = ax.get_position().width * figure_of(ax).get_figwidth()
        if which == "x" and (max(map(len, names)) + 1) * len(names) > LETTERS_PER_INCH * width:
            for label in ax.get_xticklabels():
                label.set(rotation=30, ha="right", rotation_mode="anchor")
        return
    if axis.log:
        (ax.set_xscale if which == "x" else ax.set_yscale)("log")
    if axis.drawn:
        if not axis.log:
            target.set_major_locator(MaxNLocator(n_ticks))
            return
        decades = float(np.log10(axis.levels[-1] / axis.levels[0]))
        target.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 0.25 * n_ticks else (1,)))
        target.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        target.set_minor_formatter(NullFormatter())
        return
    names_at = {float(axis.levels[k]): axis.text(k) for k in _spread(axis, n_ticks)}
    target.set_major_locator(FixedLocator(list(names_at)))
    target.set_major_formatter(FuncFormatter(lambda v, _: names_at.get(float(v), f"{v:.4g}")))
    target.set_minor_locator(NullLocator())
    low, high = float(axis.levels[0]), float(axis.levels[-1])
    if low < high:  # places without a value belong to the picture too
        margin = (high / low) ** 0.04 if axis.log else 0.04 * (high - low)
        ends = (low / margin, high * margin) if axis.log else (low - margin, high + margin)
        (ax.set_xlim if which == "x" else ax.set_ylim)(*ends)


def _spread(axis: TableAxis, n: int) -> list[int]:
    """Levels, by index, far enough from each other that their labels do not touch; the ends among them."""
    levels = axis.levels.astype(float)
    if len(levels) == 1:
        return [0]
    at = np.log(levels) if axis.log else levels
    at = (at - at[0]) / (at[-1] - at[0])
    kept = [0]
    for k in range(1, len(at) - 1):
        if min(at[k] - at[kept[-1]], 1 - at[k]) >= 1 / n:
            kept.append(k)
    return [*kept, len(at) - 1]
