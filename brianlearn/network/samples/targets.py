"""What a network is to do: labels of classes, or values of its outputs."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from brianlearn.errors import DataError
from brianlearn.network.samples.arrays import integers, numbers
from brianlearn.network.spec import NetworkSpec

__all__ = ["Values", "check_targets", "is_labels", "kind_of", "take_targets"]

#: Where values of one output have no axis for it, and labels are no whole numbers.
_NO_AXIS = "values have an axis of outputs: of one output take targets[:, None]"
_ONE_HOT = (
    "of one-hot labels take argmax(axis=1); values that are meant are those of steps, shape (n, n_steps, out), or "
    "learned as labels with ReadoutMSE()"
)
_COLUMN = "of one-hot labels take argmax(axis=1), of a column its values labels[:, 0]; values are floats"


class Values(np.ndarray):
    """Values of outputs that have been looked at: parts of them need not be again."""


def is_labels(targets: Any) -> bool:
    """Whether these are labels of classes, shape (n,)."""
    return targets is not None and targets.ndim == 1


def kind_of(targets: np.ndarray | None) -> str:
    """``"labels"``, ``"values"`` of a sample, or of its ``"steps"``; ``""`` without targets."""
    return "" if targets is None else ("labels", "values", "steps")[targets.ndim - 1]


def take_targets(value: Any, n: int) -> np.ndarray:
    """Targets of n samples, as they are kept: labels as int64, values as floats.

    Parameters
    ----------
    value : array_like
    n : int

    Raises
    ------
    DataError
        Neither labels (n,) nor values (n, out) or (n, n_steps, out), or not as many.
    """
    if isinstance(value, Values) and len(value) == n:
        return value
    expected = f"integers, shape ({n},)"
    given = numbers("Samples", "labels", value, expected, problem="labels have the wrong shape or type")
    if given.ndim == 3 or (given.ndim == 2 and given.dtype.kind == "f"):
        return _values(given, n)
    labels = _whole_labels(given)
    if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
        raise DataError(
            "Samples",
            "labels have the wrong shape or type",
            got=f"{labels.dtype} {labels.shape}",
            expected=expected,
            remedy=_COLUMN if labels.ndim == 2 else _NO_AXIS if labels.dtype.kind == "f" else None,
        )
    return integers("Samples", "labels", labels, "classes from 0 on")


def _whole_labels(labels: np.ndarray) -> np.ndarray:
    """Labels as integers, where they are whole numbers with a point."""
    if labels.size and np.issubdtype(labels.dtype, np.floating) and np.isfinite(labels).all():
        whole = labels.astype(np.int64)
        return whole if (whole == labels).all() else labels
    return labels


def _values(given: np.ndarray, n: int) -> np.ndarray:
    if len(given) != n or not given.shape[-1]:
        raise DataError(
            "Samples",
            "values have the wrong shape",
            got=f"{given.dtype} {given.shape}",
            expected=f"shape ({n}, out), or ({n}, n_steps, out): as many as inputs",
        )
    one_hot = given.ndim == 2 and given.shape[1] > 1 and ((given == 0) | (given == 1)).all()
    if one_hot and n and (given.sum(axis=1) == 1).all():
        raise DataError(
            "Samples",
            "these are labels, written as one-hot vectors",
            got=f"{given.dtype} {given.shape} of 0 and 1",
            expected=f"labels: integers, shape ({n},)",
            remedy=_ONE_HOT,
        )
    return (given if given.dtype in (np.float32, np.float64) else given.astype(float)).view(Values)


def check_targets(
    targets: np.ndarray, ids: np.ndarray, spec: NetworkSpec, takes: Collection[str] | None, owner: str
) -> None:
    """Check targets against a network and what learns from them.

    Parameters
    ----------
    targets : numpy.ndarray
    ids : numpy.ndarray of int
        Of the samples, for errors.
    spec : NetworkSpec
    takes : collection of str or None
        What the loss or rule takes: ``"labels"``, ``"values"``; None for either.
    owner : str
        The loss or rule, for errors.

    Raises
    ------
    DataError
        By name: targets of a kind that the loss does not take; labels out of range; values of another number of
        outputs or steps, or that are not finite.
    """
    got = f"{targets.dtype} {targets.shape}"
    kind = "labels" if is_labels(targets) else "values"
    if takes is not None and kind not in takes:
        steps = f"({len(targets)}, {spec.n_steps}, {spec.classes})"
        if kind == "labels":
            expected = f"values: floats, shape ({len(targets)}, {spec.classes}) or {steps}"
            remedy = "give values as the targets, or learn labels with ReadoutMSE() or CrossEntropy()"
        else:
            expected = f"labels: integers from 0 to {spec.classes - 1}, shape ({len(targets)},)"
            remedy = "use MSE(), MAE() or Huber(), or a three-factor rule; of one-hot labels take argmax(axis=1)"
        raise DataError(owner, f"it does not take {kind}", got=got, expected=expected, remedy=remedy)
    if kind == "labels":
        _check_labels(targets, ids, spec)
    else:
        _check_values(targets, ids, spec)


def _check_labels(labels: np.ndarray, ids: np.ndarray, spec: NetworkSpec) -> None:
    if spec.classes == 1 and spec.readout is not None:
        raise DataError(
            "Samples",
            "a readout of one output tells no classes apart",
            got=f"labels, shape {labels.shape}",
            expected=f"values: floats, shape ({len(labels)}, 1) or ({len(labels)}, {spec.n_steps}, 1)",
            remedy="give the readout as many outputs as there are classes, or targets.astype(float)[:, None]",
        )
    bad = (labels < 0) | (labels >= spec.classes)
    if bad.any():
        k = int(np.argmax(bad))
        raise DataError(
            "Samples",
            "a label is out of range",
            got=f"label {int(labels[k])} of sample {int(ids[k])} (position {k})",
            expected=f"0 to {spec.classes - 1}: the output has {spec.classes} classes",
            remedy="correct the labels, or give the readout more classes",
        )


def _check_values(values: np.ndarray, ids: np.ndarray, spec: NetworkSpec) -> None:
    got, n = f"{values.dtype} {values.shape}", len(values)
    if values.shape[-1] != spec.classes:
        whole = values.shape[-1] == 1 and bool((values == np.round(values)).all())
        raise DataError(
            "Samples",
            "values have another number of outputs than the network",
            got=got,
            expected=f"{spec.classes} outputs: shape ({n}, {spec.classes}) or ({n}, {spec.n_steps}, {spec.classes})",
            remedy="where labels are meant, targets[:, 0].astype(int)"
            if whole
            else f"give the network {values.shape[-1]} outputs, e.g. Readout({values.shape[-1]})",
        )
    if values.ndim == 3 and values.shape[1] != spec.n_steps:
        raise DataError(
            "Samples",
            "values have another number of time steps than a trial",
            got=got,
            expected=f"{spec.n_steps} steps of {spec.dt} in {spec.duration}: shape ({n}, {spec.n_steps}, "
            f"{spec.classes})",
            remedy="sample the traces at the network's time step, or change its duration",
        )
    bad = ~np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    if bad.any():
        k = int(np.argmax(bad))
        raise DataError(
            "Samples",
            "a target is not finite",
            got=f"NaN or infinity in sample {int(ids[k])} (position {k}), {int(bad.sum())} samples in all",
            expected="finite values",
        )
