"""Rasters and learning curves. Figures are drawn without a window; give ``path`` to save them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from brianlearn.errors import DataError
from brianlearn.network.samples.samples import Activity, Raster
from brianlearn.training.files import write_file
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.scores import MAIN

__all__ = ["plot_learning_curve", "plot_raster", "save_figure"]

#: Okabe & Ito's colours: told apart with every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


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
    trials = {name: _trial_of(name, raster, trial) for name, raster in rasters.items()}
    if axes is None:
        figure = Figure(figsize=(7, 1 + 1.6 * len(rasters)), layout="constrained")
        axes = list(figure.subplots(len(rasters), sharex=True, squeeze=False)[:, 0])
    elif len(axes) != len(rasters):
        raise DataError("plot_raster", "the number of axes is wrong", got=len(axes), expected=len(rasters))
    step = 1.0 if dt is None else float(dt) * 1e3
    for k, (ax, (name, raster)) in enumerate(zip(axes, reversed(rasters.items()), strict=True)):
        size_of_layer = int(np.prod(raster.shape))
        shown = np.unique(np.linspace(0, size_of_layer - 1, min(neurons or size_of_layer, size_of_layer)).astype(int))
        n = len(shown)
        here = (raster.trial == trials[name]) & np.isin(raster.neuron, shown)
        # as large as rows allow, but never too small to be seen
        size = max(2.0, min(20.0, 400.0 / n))
        colour = COLOURS[(len(rasters) - 1 - k) % len(COLOURS)]
        row = np.searchsorted(shown, raster.neuron[here])
        ax.scatter(raster.step[here] * step, row, s=size, linewidths=0, color=colour)
        ax.set_ylim(-0.5, n - 0.5)
        ax.set_xlim(-0.5 * step, (raster.n_steps - 0.5) * step)
        shape = "x".join(map(str, raster.shape))
        ax.set_ylabel(f"{name}\n{shape if n == size_of_layer else f'{n} of {shape}'}")
        ax.yaxis.set_major_locator(MaxNLocator(3, integer=True))
        _plain(ax)
        ax.tick_params(labelbottom=k == len(rasters) - 1)
    axes[-1].set_xlabel("time step" if dt is None else "time (ms)")
    return _save(axes[0], path)


def _trial_of(layer: str, raster: Raster, sample: int) -> int:
    """Which trial of a raster a sample is."""
    if raster.samples is None:
        if not 0 <= sample < raster.n_trials:
            expected = f"0 to {raster.n_trials - 1}"
            raise DataError("plot_raster", "there is no such trial", got=sample, expected=expected)
        return sample
    found = np.flatnonzero(raster.samples == sample)
    if not len(found):
        expected = f"one of {', '.join(map(str, raster.samples))}: those of {layer} that were recorded"
        raise DataError("plot_raster", "there is no such trial", got=sample, expected=expected)
    return int(found[0])


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
        A run folder, several of them, or label -> run folder. In a mapping, the metrics themselves (a list as
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
    if isinstance(runs, str | os.PathLike):
        runs = [runs]
    if not isinstance(runs, Mapping):
        runs = {RunFolder.open(run).path.name: run for run in runs}
    if ax is None:
        ax = Figure(figsize=(6, 4), layout="constrained").subplots()
    scores: set[str] = set()
    for k, (label, run) in enumerate(runs.items()):
        colour = COLOURS[k % len(COLOURS)]
        test: float | None = None
        metrics = run
        if isinstance(run, str | os.PathLike):
            folder = RunFolder.open(run)
            metrics, result = folder.metrics(), folder.result() or {}
            test = next((result[f"test_{name}"] for name in MAIN if result.get(f"test_{name}") is not None), None)
        if not metrics:
            raise DataError("plot_learning_curve", f"the run {label!r} has no finished epoch", got=str(run))
        epochs = [line["epoch"] for line in metrics]
        score = next(name for name in MAIN if f"train_{name}" in metrics[0])
        scores.add(score)
        if len(scores) > 1:
            raise DataError(
                "plot_learning_curve",
                f"the run {label!r} has other scores than those before",
                got=score,
                expected=", ".join(scores - {score}),
                remedy="draw runs with labels, with values and with spike trains in pictures of their own",
            )
        ax.plot(
            epochs, [line[f"train_{score}"] for line in metrics], "-o", ms=3, color=colour, label=f"{label}, training"
        )
        if all(line[f"validation_{score}"] is not None for line in metrics):
            values = [line[f"validation_{score}"] for line in metrics]
            ax.plot(epochs, values, "--s", ms=3, color=colour, label=f"{label}, validation")
        if test is not None:
            text = f"{label}, test: {test:.1%}" if score == "accuracy" else f"{label}, test: {test:.3g}"
            ax.plot(
                epochs[-1], test, "*", ms=12, color=colour, mec="black", mew=0.6, label=text, clip_on=False, zorder=3
            )
    ax.set_xlabel("epoch")
    percent = "accuracy" in scores
    ax.set_ylabel({"mse": "mean squared error", "van_rossum": "van Rossum distance"}.get(score, "accuracy"))
    if percent:
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, loc="lower right" if percent else "upper right")
    _plain(ax)
    return _save(ax, path)


def _plain(ax: Axes) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _save(ax: Axes, path: str | os.PathLike[str] | None) -> Figure:
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    if path is not None:
        save_figure(figure, path)
    return figure


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Save a figure; the name's ending says how.

    Raises
    ------
    DataError
        An ending that matplotlib does not know.
    RunFolderError
        If the file cannot be written.
    """
    kind = Path(path).suffix.removeprefix(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise DataError(str(path), "no such kind of picture", got=repr(kind), expected=", ".join(sorted(known)))
    write_file(Path(path), lambda file: figure.savefig(file, format=kind, dpi=150))
