"""Rasters and learning curves as figures: a panel per layer, or files at once; `brianlearn.plot` draws into axes."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brianlearn.errors import DataError
from brianlearn.network.samples.samples import Activity, Raster
from brianlearn.plot.learning import learning_curve
from brianlearn.plot.spikes import CURRENT, draw_layer, trial_of
from brianlearn.plot.style import COLOURS, layer_colours, save_figure

__all__ = ["COLOURS", "plot_learning_curve", "plot_raster", "save_figure"]


def plot_raster(
    activity: Activity | Mapping[str, Raster],
    trial: int = 0,
    *,
    dt: Any = None,
    neurons: int | None = None,
    path: str | os.PathLike[str] | None = None,
    axes: Sequence[Axes] | None = None,
) -> Figure:
    """Spike rasters of one trial: one panel per layer, the input at the bottom.

    Parameters
    ----------
    activity : Activity or mapping
        From ``learner.infer(state, samples, record=("spikes",))``, or layer name -> `Raster`.
    trial : int, optional
        Position among the samples that were run.
    dt : brian2.Quantity, optional
        Time step; with it the time axis is in ms, else in steps.
    neurons : int, optional
        Draw at most so many neurons of a layer, evenly spaced; all of them where it is not given.
    path : path-like, optional
        Where to save the figure; the name's ending says how (``.png``, ``.pdf``, ``.svg``).
    axes : sequence of matplotlib.axes.Axes, optional
        One per layer, from the top down, to draw into a figure of your own.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        No recorded spikes, no such trial, or the wrong number of axes.
    RunFolderError
        If the file cannot be written.
    """
    rasters = dict(activity.spikes if isinstance(activity, Activity) else activity)
    if not rasters:
        raise DataError(
            "plot_raster",
            "there are no spikes to draw",
            remedy='record them: learner.infer(state, samples, record=("spikes",))',
        )
    trials = {name: trial_of("plot_raster", name, raster, trial) for name, raster in rasters.items()}
    if axes is None:
        figure = Figure(figsize=(7, 1 + 1.6 * len(rasters)), layout="constrained")
        axes = list(figure.subplots(len(rasters), sharex=True, squeeze=False)[:, 0])
    elif len(axes) != len(rasters):
        raise DataError("plot_raster", "the number of axes is wrong", got=len(axes), expected=len(rasters))
    currents = activity.currents if isinstance(activity, Activity) else ()
    colours = layer_colours(rasters)
    for ax, (name, raster) in zip(axes, reversed(rasters.items()), strict=True):
        current = name in currents
        draw_layer(ax, name, raster, trials[name], CURRENT if current else colours[name], dt, neurons, current=current)
        ax.tick_params(labelbottom=ax is axes[-1])
    axes[-1].set_xlabel("time step" if dt is None else "time (ms)")
    return _save(axes[0], path)


def plot_learning_curve(
    runs: Mapping[str, Any] | Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    path: str | os.PathLike[str] | None = None,
    ax: Axes | None = None,
) -> Figure:
    """Accuracy against epochs: while learning, on the validation samples, and at the end on the test samples.

    Parameters
    ----------
    runs : path-like, sequence or mapping
        A run folder, several of them, or label -> run folder. Without labels, runs have the name of their rule and the
        settings in which they differ. In a mapping, the metrics themselves (a list as
        `Result.metrics`) may stand for the folder.
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
        A run without a finished epoch.
    RunFolderError
        No run folder, or a file that cannot be written.
    """
    ax = Figure(figsize=(6, 4), layout="constrained").subplots() if ax is None else ax
    return _save(learning_curve(runs, ax=ax), path)


def _save(ax: Axes, path: str | os.PathLike[str] | None) -> Figure:
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    if path is not None:
        save_figure(figure, path)
    return figure
