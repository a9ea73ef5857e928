"""Spikes and event counts in dense arrays and torch's data loaders: whose axes are what is said, never guessed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from brianlearn.errors import DataError
from brianlearn.network.samples.arrays import numbers

__all__ = ["batches", "counted"]

_AXES = "a letter for each axis, with B for the samples and T for the time steps, e.g. 'BTCHW', 'TBCHW', 'BTN'"


def counted(owner: str, spikes: Any, axes: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, int, tuple[int, ...]]:
    """Sample, step and neuron of every spike of a dense array, the number of samples, and the shape of the input.

    Parameters
    ----------
    owner : str
        For errors.
    spikes : array_like or torch.Tensor
        Whole numbers from 0 on, as of any type: how many events there are.
    axes : str
        A letter for each axis. B are samples, T time steps; C, H and W become (C, H, W) in this order, and other axes
        the input's shape in their own order. Without B there is one sample.

    Raises
    ------
    DataError
        Axes that do not fit the array; values that are no counts.
    """
    if not isinstance(axes, str) or "T" not in axes or len(set(axes)) != len(axes) or not axes.isalpha():
        raise DataError(owner, "axes is wrong", got=repr(axes), expected=_AXES)
    if getattr(spikes, "is_sparse", False):  # of torch
        spikes = spikes.to_dense()
    array = numbers(owner, "spikes", spikes, f"an array with the axes {axes}")
    if array.ndim != len(axes):
        got = f"{array.ndim} axes {array.shape} for axes={axes!r}"
        raise DataError(owner, "axes do not fit the array", got=got, expected=_AXES)
    space = [axis for axis in axes if axis not in "BT"]
    if set("CHW") <= set(space):
        space = [*"CHW", *(axis for axis in space if axis not in "CHW")]
    array = array.transpose([axes.index(axis) for axis in ("B" if "B" in axes else "") + "T" + "".join(space)])
    array = array if "B" in axes else array[None]
    shape = array.shape[2:] or (1,)
    flat = array.reshape(array.shape[0], array.shape[1], -1)
    sample, step, neuron = np.nonzero(flat)
    values = flat[sample, step, neuron]
    bad = ~((values > 0) & (np.floor(values) == values)) if values.dtype.kind == "f" else ~(values > 0)
    bad |= values.astype(float) > 2**31
    if bad.any():
        k = int(np.argmax(bad))
        raise DataError(
            owner,
            "a value is no number of events",
            got=f"{values[k]} in sample {sample[k]}, step {step[k]}",
            expected="whole numbers from 0 on",
            remedy="take transforms that scale or normalise out of the data set",
        )
    repeats = values.astype(np.int64)
    return *(np.repeat(a, repeats) for a in (sample, step, neuron)), array.shape[0], tuple(map(int, shape))


def batches(owner: str, loader: Any, labelled: bool) -> Iterator[tuple[Any, Any]]:
    """Inputs and labels of each batch of a data loader.

    Raises
    ------
    DataError
        What cannot be iterated over, and batches that are not (inputs, labels).
    """
    if not isinstance(loader, Iterable) or isinstance(loader, str | np.ndarray):
        raise DataError(
            owner, "this is no data loader", got=type(loader).__name__, expected="batches of (inputs, labels)"
        )
    for k, batch in enumerate(loader):
        pair = isinstance(batch, tuple | list) and len(batch) == 2
        if labelled and not pair:
            got = f"{len(batch)} things" if isinstance(batch, tuple | list) else type(batch).__name__
            raise DataError(
                owner, f"batch {k} is not (inputs, labels)", got=got, expected="two tensors", remedy="labels=False"
            )
        if not labelled and isinstance(batch, tuple | list):
            raise DataError(owner, f"batch {k} is no tensor", got=f"{len(batch)} things", expected="inputs alone")
        yield (batch[0], batch[1]) if labelled else (batch, None)
