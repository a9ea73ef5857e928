"""Heat map of a study: a metric over two axes, with its spread."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Polygon, Rectangle

from brianlearn.errors import DataError
from brianlearn.report.study.mean import Mean
from brianlearn.report.study.panels import Panel, Panels
from brianlearn.report.study.style import FAINT, HATCHES, figure_of, metric_axis, number_text, parameter_axis, save
from brianlearn.report.study.table import StudyTable, study_table

if TYPE_CHECKING:
    import xarray

    from brianlearn.study.study import Study

__all__ = ["plot_heat_map"]

#: Cells without a value, in words.
WORDS = {"failed": "failed", "stopped": "stopped early", "missing": "not run yet"}
#: Sizes of the letters in cells that are tried.
LETTERS = (9.0, 8.0, 7.0, 6.0)


@dataclass(frozen=True)
class _Cell:
    column: int
    row: int
    mean: float
    std: float
    n: int
    planned: int
    empty: str  # the state that says why there is no value


def plot_heat_map(
    study: Study | xarray.Dataset | StudyTable,
    metric: str,
    x: str,
    y: str,
    *,
    over: str | Sequence[str] | None = "seed",
    select: Mapping[str, Any] | None = None,
    path: str | os.PathLike[str] | None = None,
    axes: Axes | Sequence[Axes] | None = None,
) -> Figure:
    """A metric over two axes of a study, as colour: the mean over seeds, with its spread written into the cells.

    Cells whose trials all failed, were ended early or have not run are hatched; those where some of them are missing
    have a hatched corner. A combination that the study leaves out stays empty. Trials that were ended early do not
    count.

    Parameters
    ----------
    study : Study or xarray.Dataset
        A study, ``study.results()`` or ``study.summary()``, or a part of these.
    metric : str
    x, y : str
        Axes of the study.
    over : str or sequence of str, optional
        Axes over which is averaged; the spread is the sample standard deviation over them.
    select : mapping, optional
        Axis -> the value that is drawn: a number in the unit of the axis, a quantity, or a text. Each combination of
        the axes that are left gets a panel of its own.
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
        An unknown metric, axis or value; points that lie on no grid; too many panels.
    RunFolderError
        If the file cannot be written.

    Examples
    --------
    >>> from brianlearn.report import plot_heat_map
    >>> plot_heat_map(study, "test_accuracy", x="tau_m", y="tau_s", path="heat.png")  # doctest: +SKIP
    """
    subject = "plot_heat_map"
    table = study_table(study, subject)
    values = table.values(metric, subject)
    repeated = table.repeated(over, subject)
    for name in (x, y):
        if table.axis(name, subject).drawn:
            raise DataError(
                subject,
                f"the values of {name!r} lie on no grid",
                got=f"{len(table.axes[name].levels)} different values",
                expected="an axis with values that trials share",
                remedy="use plot_lines or plot_parallel",
            )
    panels = Panels.of(table, (x, y), repeated, select, axes, subject)
    cells = [_cells(table, metric, values, panel.rows, x, y) for panel in panels.panels]
    means = np.array([cell.mean for each in cells for cell in each])
    low, high = (float(np.nanmin(means)), float(np.nanmax(means))) if np.isfinite(means).any() else (0.0, 1.0)
    if low == high:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    norm = Normalize(low, high)
    mesh = None
    for panel, each in zip(panels.panels, cells, strict=True):
        mesh = _draw(table, panel, each, x, y, norm)
    assert mesh is not None
    figure = figure_of(panels.panels[0].ax)
    bar = figure.colorbar(mesh, ax=[panel.ax for panel in panels.panels], shrink=0.9, aspect=25, pad=0.02)
    bar.outline.set_visible(False)
    if not np.isfinite(means).any():
        bar.remove()
    else:
        bar.set_label(metric_axis(table, metric, bar.ax.yaxis))
    panels.label(table.axes[x].label, table.axes[y].label)
    names = ", ".join(repeated) or table.averaged
    panels.say(f"mean ± standard deviation over {names}" if names else "single trials")
    _legend(panels, [cell for each in cells for cell in each])
    _write(table, metric, panels, cells, norm)
    return save(panels.panels[0].ax, path)


def _cells(table: StudyTable, metric: str, values: np.ndarray, rows: np.ndarray, x: str, y: str) -> list[_Cell]:
    found = []
    for (column, row), members in table.groups((x, y), rows).items():
        mean = Mean.rows(table, metric, values, members)
        states = table.state[members]
        empty = "" if mean.n else next((s for s in HATCHES if s in states), "failed")
        planned = len(members) if metric not in table.spread else int(mean.n)
        found.append(_Cell(column, row, float(mean.mean), float(mean.std), int(mean.n), planned, empty))
    return found


def _draw(table: StudyTable, panel: Panel, cells: list[_Cell], x: str, y: str, norm: Normalize) -> Any:
    ax, columns, rows = panel.ax, len(table.axes[x].levels), len(table.axes[y].levels)
    grid = np.full((rows, columns), np.nan)
    for cell in cells:
        grid[cell.row, cell.column] = cell.mean
    edges = np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5
    masked = np.ma.masked_invalid(grid)
    mesh = ax.pcolormesh(*edges, masked, norm=norm, cmap="viridis", edgecolors="white", linewidth=0.8)
    for cell in cells:
        left, low = cell.column - 0.5, cell.row - 0.5
        if cell.empty:
            patch: Patch = Rectangle((left, low), 1, 1, **_hatched(cell.empty))
        elif cell.n < cell.planned:
            corner = [(left + 1, low + 1), (left + 0.72, low + 1), (left + 1, low + 0.72)]
            patch = Polygon(corner, facecolor="white", edgecolor=FAINT, hatch="xxxxxxxx", linewidth=0)
        else:
            continue
        ax.add_patch(patch)
    parameter_axis(table.axes[x], ax, "x", n_ticks=10, places=True)
    parameter_axis(table.axes[y], ax, "y", n_ticks=12, places=True)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)
    return mesh


def _hatched(state: str) -> dict[str, Any]:
    return dict(facecolor="white", edgecolor=FAINT, hatch=HATCHES[state], linewidth=0)


def _legend(panels: Panels, cells: list[_Cell]) -> None:
    handles = [
        Patch(**_hatched(state), label=WORDS[state]) for state in HATCHES if any(c.empty == state for c in cells)
    ]
    if any(not cell.empty and cell.n < cell.planned for cell in cells):
        corner = Patch(facecolor="white", edgecolor=FAINT, hatch="xxxxxxxx", linewidth=0)
        corner.set_label("corner: some trials without a value")
        handles.append(corner)
    if not handles:
        return
    ax = panels.panels[0].ax
    if panels.own:
        figure_of(ax).legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=8)
    else:
        place: dict[str, Any] = dict(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=len(handles))
        ax.legend(handles=handles, frameon=False, fontsize=8, **place)


def _write(table: StudyTable, metric: str, panels: Panels, cells: list[list[_Cell]], norm: Normalize) -> None:
    """Write the numbers into the cells where they fit: mean and spread, else the mean, else nothing."""
    import matplotlib

    known = [(panel, cell) for panel, each in zip(panels.panels, cells, strict=True) for cell in each if cell.n]
    if not known:
        return
    means, _ = number_text(table, metric, [cell.mean for _, cell in known])
    decimals = len(means[0].partition(".")[2].rstrip("%")) if "e" not in means[0] else None
    scale = 100 if means[0].endswith("%") else 1
    stds = [f"±{scale * c.std:.2g}" if decimals is None else f"±{scale * c.std:.{decimals}f}" for _, c in known]
    both = [m if np.isnan(c.std) else f"{m}\n{s}" for m, s, (_, c) in zip(means, stds, known, strict=True)]
    ax = panels.panels[0].ax
    figure = figure_of(ax)
    figure.draw_without_rendering()  # lays the panels out: only then cells have a size
    (left, low), (right, high) = ax.transData.transform([(0, 0), (1, 1)])
    width, height = 0.92 * abs(right - left), 0.92 * abs(high - low)
    for texts in (both, means):
        for size in LETTERS:
            longest = max(texts, key=lambda text: max(map(len, text.split("\n"))) + 100 * text.count("\n"))
            trial = ax.text(0, 0, longest, fontsize=size, ha="center", va="center", linespacing=1.1)
            box = trial.get_window_extent()
            trial.remove()
            if box.width <= width and box.height <= height:
                colour_map = matplotlib.colormaps["viridis"]
                for text, (panel, cell) in zip(texts, known, strict=True):
                    red, green, blue, _ = colour_map(float(norm(cell.mean)))
                    dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
                    panel.ax.text(
                        cell.column,
                        cell.row,
                        text,
                        fontsize=size,
                        ha="center",
                        va="center",
                        linespacing=1.1,
                        color="white" if dark else "black",
                    )
                return
