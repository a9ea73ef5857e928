"""The network as a graph: populations as boxes, projections as arrows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from brianlearn.errors import DataError
from brianlearn.network.population import Population
from brianlearn.network.projection import ALWAYS, Projection
from brianlearn.network.spec import NetworkSpec
from brianlearn.network.unit_names import quantity_text
from brianlearn.plot.style import FAINT, axes_of, layer_colours

__all__ = ["connection_text", "layout", "network", "network_size", "population_text"]

#: A place: column and row.
Place = tuple[float, float]
#: Distance of columns and rows, and size of a box, in inches of the picture that is made for it.
COLUMN, ROW, WIDTH, HEIGHT = 2.5, 1.35, 1.25, 0.72


def network(spec: NetworkSpec, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Populations as boxes, from the inputs on the left to what hears them; projections as arrows between them.

    Projections that skip populations, go back, or to their own population, go around the boxes. One whose weights are
    not learned is dashed; one that inhibits (``sign="inhibitory"``) ends in a bar.

    Parameters
    ----------
    spec : NetworkSpec
    title : str, optional
    ax : matplotlib.axes.Axes, optional
        To draw into a figure of your own.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        What is no network.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(8, bl.LIF())], bl.Readout(3), duration=10*ms)
    >>> ax = bl.plot.network(spec)
    """
    if not isinstance(spec, NetworkSpec):
        raise DataError("plot.network", "this is no network", got=type(spec).__name__, expected="bl.NetworkSpec(...)")
    places = layout(spec)
    arrows = _paths(spec, places)
    columns, low, high = _extent(places, arrows)
    ax = axes_of(ax, network_size(spec) if ax is None else (1.0, 1.0))
    colours = layer_colours(places)
    for q, path, label in arrows:
        _arrow(ax, q, path, label, colours[q.source])
    for p in (*spec.graph.inputs, *spec.neurons, *spec.graph.readouts):
        if p.name in places:
            _box(ax, p, places[p.name], colours[p.name])
    ax.set_xlim(-0.5, columns - 0.5)
    ax.set_ylim(low, high)
    ax.set_axis_off()
    if title is not None:
        ax.set_title(title)
    return ax


def network_size(spec: NetworkSpec) -> tuple[float, float]:
    """Width and height in inches that a picture of the network needs."""
    places = layout(spec)
    columns, low, high = _extent(places, _paths(spec, places))
    return COLUMN * columns, max(1.3, ROW * (high - low))


def _extent(places: Mapping[str, Place], arrows: list[tuple[Projection, Path, Place]]) -> tuple[float, float, float]:
    """Number of columns, lowest and highest row."""
    heights = [y for _, y in places.values()] + [label[1] for _, _, label in arrows]
    return max(x for x, _ in places.values()) + 1, min(heights) - 0.5, max(heights) + 0.5


def layout(spec: NetworkSpec) -> dict[str, Place]:
    """Where populations stand: column by the longest way from an input, cycles left out; rows around the middle.

    Parameters
    ----------
    spec : NetworkSpec

    Returns
    -------
    dict
        Name -> (column, row).
    """
    names = [p.name for p in (*spec.graph.inputs, *spec.neurons, *spec.graph.readouts) if p.name != ALWAYS]
    place = {name: k for k, name in enumerate(spec.graph.order)}
    column = dict.fromkeys(names, 0)
    for name in sorted(names, key=lambda name: place[name]):
        before = [
            column[q.source]
            for q in spec.graph.projections
            if q.target == name and q.source in column and place[q.source] < place[name]
        ]
        column[name] = max(before, default=-1) + 1
    members: dict[int, list[str]] = {}
    for name in names:
        members.setdefault(column[name], []).append(name)
    return {
        name: (at, (len(group) - 1) / 2 - k) for at, group in sorted(members.items()) for k, name in enumerate(group)
    }


def population_text(p: Population) -> str:
    """What a population is, e.g. ``"128 neurons"``."""
    shape = "x".join(map(str, p.shape))
    what = "outputs" if p.is_readout else "inputs" if p.is_input else "neurons"
    return f"{shape} {what}"


def connection_text(q: Projection) -> str:
    """What a projection is, e.g. ``"dense"``, and its delay."""
    parts = [q.connection.describe()]
    if q.learns_delays or q.delayed:
        one = not q.learns_delays and np.ndim(q.delay) == 0
        parts.append(f"delay {quantity_text(q.delay) if one else q.delay_text}")
    if q.bias is not False:
        parts.append("bias")
    return ", ".join(parts)


def _box(ax: Axes, p: Population, at: Place, colour: str) -> None:
    width, height = WIDTH / COLUMN, HEIGHT / ROW
    left, low = at[0] - width / 2, at[1] - height / 2
    style = "round,pad=0,rounding_size=0.06"
    ax.add_patch(FancyBboxPatch((left, low), width, height, style, fc=colour, ec=colour, alpha=0.16, lw=0, zorder=2))
    ax.add_patch(FancyBboxPatch((left, low), width, height, style, fc="none", ec=colour, lw=1.4, zorder=3))
    ax.text(at[0], at[1] + 0.1, p.name, ha="center", va="center", fontsize=10, weight="bold", zorder=4)
    ax.text(at[0], at[1] - 0.13, population_text(p), ha="center", va="center", fontsize=8, zorder=4)


def _paths(spec: NetworkSpec, places: Mapping[str, Place]) -> list[tuple[Projection, Path, Place]]:
    """The way of each arrow and where its label stands; arrows that would cross boxes go above or below them."""
    width, height = WIDTH / COLUMN / 2, HEIGHT / ROW / 2
    found: list[tuple[Projection, Path, Place]] = []
    lanes: dict[float, list[tuple[float, float, Projection]]] = {1.0: [], -1.0: []}
    for q in spec.graph.projections:
        if q.source not in places or q.target not in places:  # biases
            continue
        (x0, y0), (x1, y1) = places[q.source], places[q.target]
        between = [at for at in places.values() if x0 < at[0] < x1 and abs(at[1] - (y0 + y1) / 2) < 1]
        if x1 > x0 and not between:
            found.append((q, Path([(x0 + width, y0), (x1 - width, y1)]), ((x0 + x1) / 2, (y0 + y1) / 2)))
        else:
            lanes[1.0 if x1 >= x0 else -1.0].append((min(x0, x1), max(x0, x1), q))
    for side, arcs in lanes.items():
        levels: list[list[tuple[float, float]]] = []
        for low, high, q in sorted(arcs, key=lambda arc: arc[1] - arc[0]):
            level = next((k for k, taken in enumerate(levels) if all(high < a or low > b for a, b in taken)), None)
            if level is None:
                level = len(levels)
                levels.append([])
            levels[level].append((low, high))
            (x0, y0), (x1, y1) = places[q.source], places[q.target]
            away = (0.55 if x0 != x1 else 0.75) * width * (1 if x1 > x0 else -1 if x1 < x0 else 0.6)
            start, end = (x0 + away, y0 + side * height), (x1 - away, y1 + side * height)
            if x0 == x1:
                start, end = end, start
            top = (max if side > 0 else min)(y0, y1) + side * (height + 0.62 * (level + 0.6))
            path = Path([start, (start[0], top), (end[0], top), end], [Path.MOVETO, *[Path.CURVE4] * 3])
            found.append((q, path, ((start[0] + end[0]) / 2, 0.125 * (start[1] + end[1]) + 0.75 * top)))
    return found


def _arrow(ax: Axes, q: Projection, path: Path, label: Place, colour: str) -> None:
    head: Any = "-[,widthB=0.35" if isinstance(q.sign, str) and q.sign == "inhibitory" else "-|>"
    look: dict[str, Any] = dict(arrowstyle=head, mutation_scale=11, color=colour, lw=1.3, ls="-" if q.learned else "--")
    ax.add_patch(FancyArrowPatch(path=path, zorder=1, **look))
    what = connection_text(q)
    for text, below in ((what, False), (q.name if q.name != q.target else "", True)):
        if text:
            ax.annotate(
                text if len(text) < 16 else text.replace(", ", "\n"),
                label,
                (0, -3 if below else 3),
                textcoords="offset points",
                ha="center",
                va="top" if below else "bottom",
                fontsize=7,
                color=FAINT,
                style="italic" if below else "normal",
                zorder=5,
            )
