"""Events with addresses (x, y, t, p), as cameras and their libraries give them, and what inputs and steps they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from brian2 import us

from brianlearn.errors import DataError
from brianlearn.network.samples.arrays import integers, numbers
from brianlearn.network.samples.spike_times import seconds_of, steps_at

__all__ = ["FIELDS", "addressed", "fields_of", "recordings_of", "structured"]

#: Names that the fields of events have in the libraries of the field.
FIELDS = {
    "x": ("x",),
    "y": ("y",),
    "t": ("t", "ts", "time", "timestamp", "timestamps"),
    "p": ("p", "pol", "polarity"),
}
_EXPECTED = "arrays with the fields x, y, t, p (y and p may be missing), four arrays (x, y, t, p), or columns='xytp'"
#: Of the arrays that `structured` makes: as tonic and other libraries have them, times in microseconds.
EVENT = np.dtype([("x", "<i8"), ("y", "<i8"), ("t", "<i8"), ("p", "<i8")])


def recordings_of(owner: str, recordings: Any) -> list[Any]:
    """One recording, or a list of them, as a list.

    Four arrays (x, y, t, p) in a tuple are one recording.
    """
    if isinstance(recordings, list):
        return recordings
    if isinstance(recordings, Sequence) and not isinstance(recordings, tuple | str):
        return list(recordings)
    return [recordings]


def fields_of(owner: str, recording: Any, columns: str | None = None) -> dict[str, Any]:
    """The fields ``x``, ``y``, ``t``, ``p`` of a recording, as they are; without those that it does not have.

    Parameters
    ----------
    owner : str
        For errors.
    recording : numpy.ndarray with fields, object with attributes, mapping, tuple of arrays, or array (n, columns)
    columns : str, optional
        What the columns of a plain array are, e.g. ``"xytp"``.

    Raises
    ------
    DataError
        What has no x or no t, or is something else.
    """
    names = getattr(getattr(recording, "dtype", None), "names", None)
    found: dict[str, Any] = {}
    if names or isinstance(recording, Mapping):
        held = names or tuple(recording)
        found = {field: recording[name] for field, known in FIELDS.items() for name in known if name in held}
    elif isinstance(recording, tuple):
        if len(recording) != 4:
            raise DataError(owner, "the events cannot be read", got=f"{len(recording)} arrays", expected=_EXPECTED)
        found = dict(zip("xytp", recording, strict=True))
    elif columns is not None:
        if not isinstance(columns, str) or set(columns) - set("xytp") or len(set(columns)) != len(columns):
            raise DataError(owner, "columns is wrong", got=repr(columns), expected="e.g. 'xytp' or 'txp'")
        table = numbers(owner, "events", recording, f"an array (n, {len(columns)})")
        if table.ndim != 2 or table.shape[1] != len(columns):
            got, expected = f"shape {table.shape}", f"(n, {len(columns)}) for columns={columns!r}"
            raise DataError(owner, "the events have the wrong shape", got=got, expected=expected)
        found = {name: table[:, k] for k, name in enumerate(columns)}
    else:
        found = {
            field: getattr(recording, name)
            for field, known in FIELDS.items()
            for name in known
            if hasattr(recording, name)
        }
    if "x" not in found or "t" not in found:
        shape = f" of shape {recording.shape}" if hasattr(recording, "shape") else ""
        got = f"the fields {', '.join(names)}" if names else f"{type(recording).__name__}{shape}"
        raise DataError(owner, "these are no events", got=got, expected=_EXPECTED)
    return found


def addressed(
    owner: str, fields: Mapping[str, Any], shape: tuple[int, ...], dt: float, off_grid: str = "floor", unit: Any = us
) -> tuple[np.ndarray, np.ndarray]:
    """Time step and flat index of the input of each event.

    Parameters
    ----------
    owner : str
        For errors.
    fields : mapping
        ``x``, ``t``, and, where there is more than one row or channel, ``y`` and ``p``.
    shape : tuple of int
        (channels, height, width) of the input. With one channel, all polarities are events of it. With two, polarity 1
        or True is channel 1, and 0, False or -1 channel 0.
    dt : float
        Seconds.
    off_grid : {"floor", "nearest", "refuse"}
        As in `steps_at`.
    unit : brian2.Quantity
        Of times without one.

    Raises
    ------
    DataError, UnitError
        An event outside of the shape, a polarity without a channel, arrays of different lengths, wrong times.
    """
    channels, height, width = shape
    seconds = np.ravel(seconds_of(owner, fields["t"], unit))
    n = len(seconds)
    x = _whole(owner, "x", fields["x"], n)
    y = _whole(owner, "y", fields["y"], n) if "y" in fields else np.zeros(n, np.int64)
    p = _whole(owner, "p", fields["p"], n) if "p" in fields else np.zeros(n, np.int64)
    for name, missing in (("y", height > 1), ("p", channels > 1)):
        if name not in fields and missing:
            expected = f"it, for the shape {shape}, or a shape with 1 {'row' if name == 'y' else 'channel'}"
            raise DataError(owner, f"the events have no {name}", expected=expected)
    for name, values, size in (("x", x, width), ("y", y, height)):
        outside = (values < 0) | (values >= size)
        if outside.any():
            k = int(np.argmax(outside))
            raise DataError(
                owner,
                "an event lies outside of the shape",
                got=f"{name} = {values[k]} of event {k}",
                expected=f"0 to {size - 1} (channels, height, width = {shape})",
                remedy="give the shape of the sensor; tonic's sensor_size is (width, height, channels)",
            )
    return steps_at(owner, seconds, dt, off_grid), (_channel(owner, p, channels) * height + y) * width + x


def structured(step: np.ndarray, neuron: np.ndarray, shape: tuple[int, ...], microseconds: float) -> np.ndarray:
    """Events as an array with the fields x, y, t (microseconds) and p, in the order of time.

    A time is the first whole microsecond of its step.
    """
    events = np.zeros(len(step), EVENT)
    order = np.lexsort((neuron, step))
    events["p"], events["y"], events["x"] = np.unravel_index(neuron[order], shape)
    start = step[order] * microseconds
    near = np.rint(start)
    exact = np.abs(start - near) <= 2.0**-50 * start  # a whole number but for rounding
    events["t"] = np.where(exact, near, np.ceil(start))
    return events


def _channel(owner: str, p: np.ndarray, channels: int) -> np.ndarray:
    if channels == 1:
        return np.zeros(len(p), np.int64)
    if channels == 2 and len(p) and p.min() == -1:
        p = np.where((p == -1) & (not (p == 0).any()), 0, p)
    outside = (p < 0) | (p >= channels)
    if outside.any():
        k = int(np.argmax(outside))
        raise DataError(
            owner,
            "a polarity has no channel",
            got=f"p = {p[k]} of event {k}; there are {', '.join(map(str, np.unique(p)[:8]))}",
            expected=f"0 to {channels - 1}" + (", or -1 and 1" if channels == 2 else ""),
        )
    return p


def _whole(owner: str, name: str, value: Any, n: int) -> np.ndarray:
    """As int64 (n,): integers, truth values, or floats that are whole; a column is its values."""
    array = numbers(owner, name, value, "whole numbers")
    if array.dtype.kind == "f":
        bad = ~((np.floor(array) == array) & (np.abs(array) < 2.0**62))  # NaN too
        if bad.any():
            got = f"{array[bad].flat[0]} of event {int(np.argmax(bad.ravel()))}"
            raise DataError(owner, f"{name} holds no whole numbers", got=got, expected="whole numbers")
        array = array.astype(np.int64)
    array = array.astype(np.int64) if array.dtype.kind == "b" else integers(owner, name, array, "whole numbers")
    array = np.ravel(array) if array.ndim < 2 or array.shape[1:] == (1,) * (array.ndim - 1) else array
    if array.shape != (n,):
        raise DataError(owner, f"{name} and t differ in shape", got=f"{array.shape} and ({n},)", expected="(n,) each")
    return array
