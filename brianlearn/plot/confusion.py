"""Confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from brianlearn.errors import DataError
from brianlearn.network.samples.samples import Activity, Samples
from brianlearn.plot.style import axes_of

__all__ = ["confusion", "confusion_matrix"]

OWNER = "plot.confusion"
#: Classes up to which numbers stand in the cells, and names along the axes.
NUMBERS, NAMES = 12, 24


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, n: int) -> np.ndarray:
    """How often each class was taken for each.

    Parameters
    ----------
    labels, predictions : numpy.ndarray of int, shape (samples,)
    n : int
        Classes.

    Returns
    -------
    numpy.ndarray of int, shape (n, n)
        Row: the label; column: the prediction.
    """
    found = np.zeros((n, n), np.int64)
    np.add.at(found, (labels, predictions), 1)
    return found


def confusion(
    labels: Any,
    predictions: Any,
    *,
    classes: Sequence[str] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """How often each class is taken for each, as shares of the samples of a class; numbers are samples.

    Parameters
    ----------
    labels : array_like of int, shape (samples,), or Samples
    predictions : array_like of int, shape (samples,), or Activity
    classes : sequence of str, optional
        Names of the classes.
    title : str, optional
        The accuracy where it is not given.
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        No labels, not as many predictions, or other than whole numbers from 0 on.

    Examples
    --------
    >>> import brianlearn as bl
    >>> ax = bl.plot.confusion([0, 0, 1, 1], [0, 1, 1, 1])
    >>> ax.get_title()
    '75.0% of 4 samples'
    """
    true = _whole("labels", labels.labels if isinstance(labels, Samples) else labels)
    taken = _whole("predictions", predictions.predictions if isinstance(predictions, Activity) else predictions)
    if true.shape != taken.shape:
        raise DataError(OWNER, "there are not as many", got=f"{len(true)} labels, {len(taken)} predictions")
    n = max(int(max(true.max(), taken.max())) + 1, len(classes or ()))
    matrix = confusion_matrix(true, taken, n)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    ax = axes_of(ax, (5.2, 4.4))
    drawn = ax.imshow(shares, vmin=0, vmax=1, cmap="cividis")
    if n <= NUMBERS:
        for row, column in zip(*np.nonzero(matrix), strict=True):
            ink = "black" if shares[row, column] > 0.55 else "white"
            ax.text(column, row, str(matrix[row, column]), ha="center", va="center", fontsize=8, color=ink)
    if n <= NAMES:
        names = [str(name) for name in (classes or range(n))]
        turned: dict[str, Any] = {"rotation": 45, "ha": "right"} if max(map(len, names)) > 3 else {}
        ax.set_xticks(range(n), names, **turned)
        ax.set_yticks(range(n), names)
    ax.set_xlabel("taken for")
    ax.set_ylabel("label")
    ax.set_title(f"{np.mean(true == taken):.1%} of {len(true)} samples" if title is None else title)
    figure = ax.get_figure()
    assert figure is not None
    bar = figure.colorbar(drawn, ax=ax, pad=0.03, aspect=22, format=lambda v, _: f"{v:.0%}")
    bar.outline.set_visible(False)
    bar.set_label("share of a class")
    return ax


def _whole(name: str, values: Any) -> np.ndarray:
    if values is None:
        raise DataError(OWNER, f"there are no {name}", expected="samples with labels")
    found = np.asarray(values)
    if found.ndim != 1 or not len(found) or not np.issubdtype(found.dtype, np.integer) or found.min() < 0:
        got = f"{found.dtype} {found.shape}"
        raise DataError(OWNER, f"{name} are wrong", got=got, expected="whole numbers from 0 on, one per sample")
    return found
