"""Rasters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from brianlearn.errors import DataError
from brianlearn.network.samples.samples import Activity, Raster
from brianlearn.plot.choices import layer_of, position_of, some_of
from brianlearn.plot.style import FAINT, axes_of, layer_colours, plain

__all__ = ["CURRENT", "draw_layer", "raster", "trial_of"]

OWNER = "plot.raster"
#: Points above which a raster is drawn as an image within a vector file, so that the file stays small.
MANY = 1000
#: Ink of currents.
CURRENT = "0.6"
#: Height of a layer's band; the rest is the gap to the next.
BAND = 0.86


def raster(
    activity: Activity | Mapping[str, Raster],
    trial: int = 0,
    *,
    layers: str | Sequence[str] | None = None,
    neurons: int | None = None,
    dt: Any = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Spikes of one trial: a band for each layer, the first at the bottom, equally high whatever their sizes.

    An input that carries a current, and fires no spikes (`DirectCurrent`), has grey lines where the current flows.

    Parameters
    ----------
    activity : Activity or mapping
        From ``learner.infer(state, samples, record="spikes")``, or layer name -> `Raster`.
    trial : int, optional
        Position among the samples that were run.
    layers : str or sequence of str, optional
        Those that are drawn; all where it is not given.
    neurons : int, optional
        Draw at most so many neurons of a layer, evenly spaced.
    dt : brian2.Quantity, optional
        Time step, with which the time axis is in ms; that of the activity where it is not given.
    title : str, optional
    ax : matplotlib.axes.Axes, optional
        To draw into a figure of your own.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        No recorded spikes; no such trial or layer.

    Examples
    --------
    >>> import brianlearn as bl
    >>> bl.plot.raster(learner.infer(state, test[:1], record="spikes"))  # doctest: +SKIP
    """
    found = dict(activity.spikes if isinstance(activity, Activity) else activity)
    if not found:
        raise DataError(
            OWNER, "there are no spikes to draw", remedy='record them: learner.infer(state, samples, record="spikes")'
        )
    if dt is None and isinstance(activity, Activity):
        dt = activity.dt
    currents = activity.currents if isinstance(activity, Activity) else ()
    colours = {name: CURRENT if name in currents else c for name, c in layer_colours(found).items()}
    if layers is not None:
        found = {n: found[layer_of(OWNER, found, n)] for n in ([layers] if isinstance(layers, str) else layers)}
    ax = axes_of(ax, (6.4, 1.2 + 1.1 * len(found)))
    if len(found) == 1:
        ((name, one),) = found.items()
        place = trial_of(OWNER, name, one, trial)
        draw_layer(ax, name, one, place, colours[name], dt, neurons, current=name in currents)
    else:
        names = []
        for k, (name, one) in enumerate(found.items()):
            here, rows, n = _spikes(one, trial_of(OWNER, name, one, trial), neurons)
            high = k - BAND / 2 + BAND * (rows + 0.5) / n
            draw = _lines if name in currents else _dots
            draw(ax, one.step[here] * _scale(dt), high, colours[name], n * len(found), _scale(dt))
            names.append(_label(name, one, n, name in currents))
            if k:
                ax.axhline(k - 0.5, color=FAINT, alpha=0.4, lw=0.6, zorder=0)
        ax.set_yticks(range(len(found)), names)
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(-0.5, len(found) - 0.5)
    steps = max(one.n_steps for one in found.values())
    ax.set_xlim(-0.5 * _scale(dt), (steps - 0.5) * _scale(dt))
    ax.set_xlabel("time step" if dt is None else "time (ms)")
    if title is not None:
        ax.set_title(title)
    plain(ax)
    return ax


def draw_layer(
    ax: Axes,
    name: str,
    one: Raster,
    trial: int,
    colour: str,
    dt: Any,
    neurons: int | None,
    *,
    current: bool = False,
) -> None:
    """One layer's spikes, its neurons along the axis."""
    here, rows, n = _spikes(one, trial, neurons)
    draw = _lines if current else _dots
    draw(ax, one.step[here] * _scale(dt), rows, colour, n, _scale(dt))
    ax.set_ylim(-0.5, n - 0.5)
    ax.set_xlim(-0.5 * _scale(dt), (one.n_steps - 0.5) * _scale(dt))
    ax.set_ylabel(_label(name, one, n, current))
    ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    plain(ax)


def trial_of(owner: str, layer: str, one: Raster, sample: int) -> int:
    """Which trial of a raster a sample is."""
    return position_of(owner, one.n_trials if one.samples is None else one.samples, sample, layer)


def _scale(dt: Any) -> float:
    """Of steps on the time axis: ms where the time step is known."""
    return 1.0 if dt is None else float(dt) * 1e3


def _spikes(one: Raster, trial: int, neurons: int | None) -> tuple[np.ndarray, np.ndarray, int]:
    """Which spikes are drawn, in which rows, and how many rows there are."""
    shown = some_of(int(np.prod(one.shape)), neurons)
    here = (one.trial == trial) & np.isin(one.neuron, shown)
    return here, np.searchsorted(shown, one.neuron[here]), len(shown)


def _lines(ax: Axes, times: np.ndarray, rows: np.ndarray, colour: str, n: int, step: float) -> None:
    """Where a current flows: from the beginning to the end of each step."""
    ax.hlines(rows, times, times + step, color=colour, lw=max(0.5, min(2.0, 60.0 / n)), rasterized=len(times) > MANY)


def _dots(ax: Axes, times: np.ndarray, rows: np.ndarray, colour: str, n: int, step: float) -> None:
    """As large as rows allow, but never too small to be seen."""
    size = max(2.0, min(20.0, 400.0 / n))
    ax.scatter(times, rows, s=size, linewidths=0, color=colour, rasterized=len(times) > MANY)


def _label(name: str, one: Raster, shown: int, current: bool) -> str:
    size, shape = int(np.prod(one.shape)), "x".join(map(str, one.shape))
    return f"{name}{' (current)' if current else ''}\n{shape if shown == size else f'{shown} of {shape}'}"
