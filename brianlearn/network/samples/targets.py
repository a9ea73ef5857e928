"""What a network is to do: labels of classes, values of its outputs, or the spike trains that they fire."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity

from brianlearn.errors import DataError, UnitError
from brianlearn.network.samples.arrays import integers, numbers
from brianlearn.network.samples.events import Recordings
from brianlearn.network.samples.trains import SpikeLists, are_spike_lists
from brianlearn.network.spec import NetworkSpec

__all__ = ["Values", "check_targets", "is_labels", "join_targets", "kind_of", "on_grid", "take_targets"]

#: Where values of one output have no axis for it, and labels are no whole numbers.
_NO_AXIS = "values have an axis of outputs: of one output take targets[:, None]"
_ONE_HOT = (
    "of one-hot labels take argmax(axis=1); values that are meant are those of steps, shape (n, n_steps, out), or "
    "learned as labels with ReadoutMSE()"
)
_TRAINS = "spike trains are bool, with an axis of steps and one of outputs: shape (n, n_steps, out)"
_COLUMN = "of one-hot labels take argmax(axis=1), of a column its values labels[:, 0]; values are floats"


class Values(np.ndarray):
    """Values of outputs that have been looked at: parts of them need not be again."""


def is_labels(targets: Any) -> bool:
    """Whether these are labels of classes, shape (n,)."""
    return targets is not None and targets.ndim == 1


def kind_of(targets: np.ndarray | SpikeLists | None) -> str:
    """``"labels"``, ``"values"`` of a sample, or of its ``"steps"``, ``"trains"``; ``""`` without targets."""
    if targets is None:
        return ""
    return "trains" if targets.dtype == bool else ("labels", "values", "steps")[targets.ndim - 1]


def take_targets(value: Any, n: int) -> np.ndarray | SpikeLists:
    """Targets of n samples, as they are kept: labels as int64, values as floats, spike trains as bool or at times.

    Parameters
    ----------
    value : array_like, or sequence of lists of (neuron, time)
    n : int

    Raises
    ------
    DataError
        Neither labels (n,), values (n, out) or (n, n_steps, out), nor spike trains, or not as many.
    UnitError
        Times of spikes without a unit; labels or values with one.
    """
    if isinstance(value, np.ndarray) and value.dtype == object and value.ndim == 1:
        value = value.tolist()  # e.g. lists of spikes of different lengths
    if isinstance(value, Values | SpikeLists) and len(value) == n:
        return value
    if isinstance(value, Recordings):
        raise DataError(
            "Samples",
            "targets are no events",
            got=type(value).__name__,
            expected="spike trains: bool, shape (n, n_steps, out), or lists of (neuron, time)",
            remedy="take events.dense(n_steps)",
        )
    if are_spike_lists(value):
        return SpikeLists.of(value, n)
    _refuse_units(value)
    expected = f"integers, shape ({n},)"
    given = numbers("Samples", "labels", value, expected, problem="labels have the wrong shape or type")
    if given.dtype == bool and given.ndim == 3:
        _check_size(given, n, "spike trains", f"shape ({n}, n_steps, out)")
        return given
    if given.ndim == 3 or (given.ndim == 2 and given.dtype.kind == "f"):
        return _values(given, n)
    labels = _whole_labels(given)
    if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
        of_other = _TRAINS if labels.dtype == bool else _NO_AXIS if labels.dtype.kind == "f" else None
        raise DataError(
            "Samples",
            "labels have the wrong shape or type",
            got=f"{labels.dtype} {labels.shape}",
            expected=expected,
            remedy=_COLUMN if labels.ndim == 2 and labels.dtype != bool else of_other,
        )
    return integers("Samples", "labels", labels, "classes from 0 on")


def join_targets(owner: str, parts: Sequence[Any]) -> Any:
    """Targets of several parts, in their order.

    Raises
    ------
    DataError
        Targets of two kinds, or of two shapes.
    """
    kinds = [f"{kind_of(part)} of shape (n{''.join(f', {size}' for size in part.shape[1:])})" for part in parts]
    if len(set(kinds)) > 1:
        k = next(k for k, kind in enumerate(kinds) if kind != kinds[0])
        got = f"{kinds[0]} in batch 0, {kinds[k]} in batch {k}"
        raise DataError(owner, "batches have targets of two kinds", got=got, expected="one kind and shape in all")
    return SpikeLists.concatenate(parts) if isinstance(parts[0], SpikeLists) else np.concatenate(parts)


def on_grid(targets: Any, ids: np.ndarray, spec: NetworkSpec) -> Any:
    """Targets as engines take them: spikes at times as bool, (n, n_steps, out); all others as they are."""
    return targets.dense(spec, ids) if isinstance(targets, SpikeLists) else targets


def _refuse_units(value: Any) -> None:
    """Numpy would make numbers of base units of them, whatever their unit was.

    Raises
    ------
    UnitError
    """
    if isinstance(value, list | tuple):
        for part in value:
            _refuse_units(part)
    elif isinstance(value, Quantity) and value.dim is not DIMENSIONLESS:
        raise UnitError(
            "Samples",
            "targets have a unit",
            got=f"{value!r}"[:80],
            expected="labels and values without one, as outputs have none; or spikes: lists of (neuron, time)",
            remedy="divide values by their unit, e.g. targets / mV",
        )


def _whole_labels(labels: np.ndarray) -> np.ndarray:
    """Labels as integers, where they are whole numbers with a point."""
    if labels.size and np.issubdtype(labels.dtype, np.floating) and np.isfinite(labels).all():
        whole = labels.astype(np.int64)
        return whole if (whole == labels).all() else labels
    return labels


def _values(given: np.ndarray, n: int) -> np.ndarray:
    _check_size(given, n, "values", f"shape ({n}, out), or ({n}, n_steps, out)")
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


def _check_size(given: np.ndarray, n: int, name: str, expected: str) -> None:
    if len(given) != n or not given.shape[-1]:
        raise DataError(
            "Samples",
            f"{name} have the wrong shape",
            got=f"{given.dtype} {given.shape}",
            expected=f"{expected}: as many as inputs",
        )


def check_targets(
    targets: np.ndarray | SpikeLists, ids: np.ndarray, spec: NetworkSpec, takes: Collection[str] | None, owner: str
) -> None:
    """Check targets against a network and what learns from them.

    Parameters
    ----------
    targets : numpy.ndarray or SpikeLists
    ids : numpy.ndarray of int
        Of the samples, for errors.
    spec : NetworkSpec
    takes : collection of str or None
        What the loss or rule takes: ``"labels"``, ``"values"``, ``"trains"``; None for any.
    owner : str
        The loss or rule, for errors.

    Raises
    ------
    DataError
        By name: targets of a kind that the loss does not take; labels out of range; values or trains of another number
        of outputs or steps; values that are not finite; spikes outside of the trial.
    """
    kind = {"steps": "values"}.get(kind_of(targets), kind_of(targets))
    if takes is not None and kind not in takes:
        _refuse_kind(targets, kind, spec, takes, owner)
    match kind:
        case "labels":
            _check_labels(np.asarray(targets), ids, spec)
        case "values":
            _check_values(np.asarray(targets), ids, spec)
        case "trains":
            _check_trains(targets, ids, spec)


def _refuse_kind(
    targets: np.ndarray | SpikeLists, kind: str, spec: NetworkSpec, takes: Collection[str], owner: str
) -> None:
    n = len(targets)
    steps = f"({n}, {spec.n_steps}, {spec.classes})"
    wanted = {
        "labels": f"labels: integers from 0 to {spec.classes - 1}, shape ({n},)",
        "values": f"values: floats, shape ({n}, {spec.classes}) or {steps}",
        "trains": f"spike trains: bool, shape {steps}, or lists of (neuron, time)",
    }
    if kind == "labels":
        remedy = "give values as the targets, or learn labels with ReadoutMSE() or CrossEntropy()"
        if "trains" in takes:
            remedy = "give spike trains as the targets, or learn labels with VanRossum() or Hamming()"
    elif kind == "trains":
        remedy = "use STBP(VanRossum()) or STBP(Hamming()); values that are 0 and 1 are floats: targets.astype(float)"
    elif "trains" in takes:
        remedy = "of spikes as 0 and 1, (n, n_steps, out), take targets.astype(bool); values need MSE() and a readout"
        if targets.ndim == 3 and targets.shape[1] != spec.n_steps and targets.shape[2] == 2:
            remedy = "if these are pairs (neuron, time), give times their unit: [(0, 1*ms), (3, 2.5*ms)]"
    else:
        remedy = "use MSE(), MAE() or Huber(), or a three-factor rule; of one-hot labels take argmax(axis=1)"
    raise DataError(
        owner,
        f"it does not take {'spike ' if kind == 'trains' else ''}{kind}",
        got="lists of spikes" if isinstance(targets, SpikeLists) else f"{targets.dtype} {targets.shape}",
        expected="; or ".join(wanted[name] for name in wanted if name in takes) or f"one of {', '.join(takes)}",
        remedy=remedy,
    )


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


def _check_trains(trains: np.ndarray | SpikeLists, ids: np.ndarray, spec: NetworkSpec) -> None:
    n, expected = len(trains), (len(trains), spec.n_steps, spec.classes)
    if spec.readout is not None:
        raise DataError(
            "Samples",
            "spike trains are targets of output spikes, and the network's output is a readout",
            got=f"readout={spec.readout!r}",
            expected="NetworkSpec(..., readout=None): the last layer is the output",
            remedy="leave the readout out, or give values: targets.astype(float)",
        )
    if isinstance(trains, SpikeLists):
        trains.dense(spec, ids)
    elif trains.shape[2] != spec.classes:
        swapped = trains.shape[1:] == (spec.classes, spec.n_steps)
        raise DataError(
            "Samples",
            "spike trains are of another number of neurons than the output has",
            got=f"{trains.dtype} {trains.shape}",
            expected=f"shape {expected}: samples, steps, neurons",
            remedy="targets.transpose(0, 2, 1)" if swapped else f"give the last layer {trains.shape[2]} neurons",
        )
    elif trains.shape[1] != spec.n_steps:
        raise DataError(
            "Samples",
            "spike trains have another number of time steps than a trial",
            got=f"{trains.dtype} {trains.shape}",
            expected=f"{spec.n_steps} steps of {spec.dt} in {spec.duration}: shape {expected}",
            remedy=f"bin the spikes at the network's time step, or give {n} lists of (neuron, time)",
        )
