"""Weights: kernels of a layer, how they are spread, how they change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from brianlearn.errors import DataError
from brianlearn.plot.choices import layer_of, some_of
from brianlearn.plot.style import FAINT, axes_of, colour, plain
from brianlearn.training.weight_history import WeightHistory

__all__ = ["kernels", "weight_histogram", "weights"]


def kernels(
    weights: Any,
    shape: tuple[int, ...] | None = None,
    *,
    most: int = 64,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """What each neuron, or channel, looks for: its weights as an image; all with one scale of colours.

    Parameters
    ----------
    weights : array_like
        Of a convolution, (channels out, channels in, height, width): the mean over the channels of the input is drawn.
        All to all, (neurons, inputs).
    shape : tuple of int, optional
        Of the input, (channels, height, width) or (height, width): rows of a matrix are drawn in this shape. Without
        one, and where inputs have no shape, the matrix is drawn as it is.
    most : int, optional
        Draw at most so many, evenly spaced.
    title : str, optional
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        Weights that are no such array, or do not fit the shape.
    """
    array = np.asarray(weights, float)
    if array.ndim not in (2, 4) or not array.size:
        raise DataError(
            "plot.kernels",
            "weights have the wrong shape",
            got=str(array.shape),
            expected="(neurons, inputs), or (channels out, channels in, height, width)",
        )
    if array.ndim == 2 and shape is not None:
        if math.prod(shape) != array.shape[1]:
            raise DataError(
                "plot.kernels", "weights do not fit the shape", got=f"{array.shape[1]} inputs", expected=str(shape)
            )
        if len(shape) >= 2:
            array = array.reshape(len(array), -1, *shape[-2:])
    chosen = some_of(len(array), most)
    pictures = array[chosen].mean(axis=1) if array.ndim == 4 else None
    ax = axes_of(ax, (5.6, 4.6))
    image = array[chosen] if pictures is None else _mosaic(pictures)
    top = float(np.nanmax(np.abs(image))) or 1.0
    aspect: Any = "auto" if pictures is None else "equal"
    drawn = ax.imshow(image, cmap="PuOr_r", vmin=-top, vmax=top, interpolation="nearest", aspect=aspect)
    if pictures is None:
        ax.set_xlabel("input")
        ax.set_ylabel("neuron")
    else:
        ax.set_axis_off()
    told = f"{len(chosen)} of {len(array)}" if len(chosen) < len(array) else f"{len(array)}"
    ax.set_title(f"weights of {told}" if title is None else title)
    figure = ax.get_figure()
    assert figure is not None
    bar = figure.colorbar(drawn, ax=ax, pad=0.02, aspect=22)
    bar.outline.set_visible(False)
    bar.set_label("weight")
    return ax


def _mosaic(pictures: np.ndarray) -> np.ndarray:
    """Pictures side by side, a gap of NaN between them."""
    n, height, width = pictures.shape
    columns = math.ceil(math.sqrt(n * height / width))
    rows = math.ceil(n / columns)
    gap = max(1, round(0.08 * max(height, width)))
    image = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for k, picture in enumerate(pictures):
        row, column = divmod(k, columns)
        top, left = row * (height + gap), column * (width + gap)
        image[top : top + height, left : left + width] = picture
    return image


def weight_histogram(after: Any, before: Any = None, *, title: str | None = None, ax: Axes | None = None) -> Axes:
    """How weights are spread, after learning and before.

    Parameters
    ----------
    after : array_like
    before : array_like, optional
    title : str, optional
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        No finite weights.
    """
    parts = [np.asarray(part, float).ravel() for part in (before, after) if part is not None]
    everything = np.concatenate(parts)
    if not everything.size or not np.isfinite(everything).all():
        raise DataError("plot.weight_histogram", "there is nothing to draw", expected="finite weights")
    ax = axes_of(ax, (4.2, 3.0))
    low, high = np.quantile(everything, [0.0005, 0.9995])
    edges: Any = np.linspace(low, high, 61) if high > low else np.linspace(low - 0.5, high + 0.5, 61)
    if before is not None:
        ax.hist(parts[0], edges, histtype="stepfilled", color=FAINT, alpha=0.45, label="before learning")
    ax.hist(parts[-1], edges, histtype="step", lw=1.5, color=colour(0), label="after" if before is not None else None)
    ax.set_xlabel("weight")
    ax.set_ylabel("number")
    if before is not None:
        ax.legend(frameon=False, fontsize=8)
    if title is not None:
        ax.set_title(title)
    plain(ax)
    return ax


def weights(
    history: WeightHistory | Mapping[str, WeightHistory],
    layer: str | None = None,
    *,
    lines: int = 12,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Weights over the samples that were learned from: some of them as lines, 90 % of all within the band.

    Parameters
    ----------
    history : WeightHistory or mapping
        From ``metrics.weights`` of ``learner.learn(state, samples, record="weights")``.
    layer : str, optional
        Of a mapping; the first where it is not given.
    lines : int, optional
        Single weights, evenly spaced.
    title : str, optional
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        No history, or no such layer.
    """
    if isinstance(history, Mapping):
        if not history:
            raise DataError("plot.weights", "no weights were recorded", remedy='learner.learn(..., record="weights")')
        history = history[layer_of("plot.weights", history, layer)]
    if not isinstance(history, WeightHistory):
        raise DataError(
            "plot.weights",
            "this is no history of weights",
            got=type(history).__name__,
            expected='metrics.weights of learner.learn(state, samples, record="weights")',
        )
    flat = history.values.reshape(len(history.values), -1)
    ax = axes_of(ax, (6.4, 3.4))
    low, high = np.quantile(flat, [0.05, 0.95], axis=1)
    ax.fill_between(history.samples, low, high, color=FAINT, alpha=0.25, lw=0, label="90 % of all weights")
    for k, column in enumerate(some_of(flat.shape[1], lines)):
        ax.plot(history.samples, flat[:, column], color=colour(k), lw=1.0)
    ax.axhline(0, color=FAINT, lw=0.6, zorder=0)
    ax.set_xlabel("samples learned from")
    ax.set_ylabel("weight")
    ax.set_title(history.layer if title is None else title)
    ax.legend(frameon=False, fontsize=8, loc="upper left")
    plain(ax)
    return ax
