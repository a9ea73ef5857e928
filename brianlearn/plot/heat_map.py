"""Heat maps of parameter studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

__all__ = ["heat_map"]


def heat_map(
    study: Any,
    metric: str,
    x: str,
    y: str,
    *,
    over: str | Sequence[str] | None = "seed",
    select: Mapping[str, Any] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A metric over two axes of a study, as colour, the mean over seeds with its spread.

    Parameters
    ----------
    study : Study or xarray.Dataset
        A study, ``study.results()`` or ``study.summary()``.
    metric : str
    x, y : str
        Axes of the study.
    over : str or sequence of str, optional
        Axes over which is averaged.
    select : mapping, optional
        Axis -> the value that is drawn. `brianlearn.report.plot_heat_map` draws panels for several.
    ax : matplotlib.axes.Axes, optional
        To draw into a figure of your own.

    Returns
    -------
    matplotlib.axes.Axes
        The first of them where there are several panels.

    Raises
    ------
    DataError
        An unknown metric, axis or value; points that lie on no grid.
    """
    from brianlearn.report.study.heat_map import plot_heat_map

    figure = plot_heat_map(study, metric, x, y, over=over, select=select, axes=ax)
    assert isinstance(figure, Figure)
    return figure.axes[0] if ax is None else ax
