"""Events as a camera gives them: time, pixel, polarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brianlearn.errors import DataError
from brianlearn.network.samples.arrays import integers, numbers

__all__ = ["RawEvents"]

FIELDS = ("time", "x", "y", "polarity")
#: Microseconds from 0 that the time of an event may have: differences of times, and time steps, stay inside of int64.
LONGEST = 2**53


@dataclass(frozen=True, eq=False)
class RawEvents:
    """One recording. All arrays may be given in any type that holds whole numbers.

    Attributes
    ----------
    time : numpy.ndarray of int64, shape (n,)
        Microseconds.
    x, y, polarity : numpy.ndarray of int64, shape (n,)
        Column and row from the upper left; 1 for brighter, 0 for darker.

    Raises
    ------
    DataError
        Other than whole numbers, or arrays of different lengths.
    """

    time: np.ndarray
    x: np.ndarray
    y: np.ndarray
    polarity: np.ndarray

    def __post_init__(self) -> None:
        for name in FIELDS:
            object.__setattr__(self, name, _whole(name, getattr(self, name)))
        shapes = [getattr(self, name).shape for name in FIELDS]
        if len(shapes[0]) != 1 or len(set(shapes)) != 1:
            got = ", ".join(f"{name} {shape}" for name, shape in zip(FIELDS, shapes, strict=True))
            raise DataError("RawEvents", "the arrays differ in shape", got=got, expected="(n,) each")

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, index: Any) -> RawEvents:
        return RawEvents(self.time[index], self.x[index], self.y[index], self.polarity[index])

    @staticmethod
    def concatenate(parts: Sequence[RawEvents]) -> RawEvents:
        """The events of several recordings, in this order.

        Parameters
        ----------
        parts : sequence of RawEvents

        Returns
        -------
        RawEvents
        """
        nothing = np.zeros(0, np.int64)
        return RawEvents(*(np.concatenate([nothing, *(getattr(part, name) for part in parts)]) for name in FIELDS))

    def sorted(self) -> RawEvents:
        """In the order of time; events of one time stay in their order.

        Returns
        -------
        RawEvents
        """
        if np.all(self.time[1:] >= self.time[:-1]):
            return self
        return self[np.argsort(self.time, kind="stable")]

    def since(self, start: int) -> RawEvents:
        """The same events with times counted from ``start``.

        Parameters
        ----------
        start : int
            In microseconds.

        Returns
        -------
        RawEvents
        """
        return RawEvents(self.time - start, self.x, self.y, self.polarity)

    def check(
        self, where: str, width: int, height: int, size: int = 0, start: int = 0, valid: np.ndarray | None = None
    ) -> RawEvents:
        """Check times, pixels and polarities against a camera.

        Parameters
        ----------
        where : str
            The file, for errors.
        width, height : int
        size, start : int, optional
            Bytes of one event in the file, and where the first one is, where that makes sense.
        valid : numpy.ndarray of bool, shape (n,), optional
            Which ones are events of pixels; all where it is not given. Of the others nothing is checked.

        Returns
        -------
        RawEvents
            The valid ones.

        Raises
        ------
        DataError
            An event outside of the camera's field, another polarity than 0 and 1, or a time that no clock shows.
        """
        outside = (self.x < 0) | (self.x >= width) | (self.y < 0) | (self.y >= height)
        outside |= (self.polarity != 0) & (self.polarity != 1)
        never = (self.time < -LONGEST) | (self.time > LONGEST)
        bad = outside | never if valid is None else (outside | never) & valid
        if bad.any():
            k = int(np.argmax(bad))
            place = f"event {k}" + (f", at byte {start + k * size}" if size else "")
            if never[k]:
                raise DataError(
                    where,
                    "the time of an event makes no sense",
                    got=f"{self.time[k]} us in {place}",
                    expected=f"at most {LONGEST} us from 0 (285 years)",
                    remedy="the file is damaged: copy or unpack it again",
                )
            raise DataError(
                where,
                "an event lies outside of the camera's field",
                got=f"x = {self.x[k]}, y = {self.y[k]}, polarity {self.polarity[k]} in {place}",
                expected=f"x < {width}, y < {height}, polarity 0 or 1",
                remedy="the file is damaged, or a recording of another camera",
            )
        return self if valid is None else self[valid]


def _whole(name: str, value: Any) -> np.ndarray:
    """As int64: integers, truth values (polarities), or floats that are whole."""
    array = numbers("RawEvents", name, value, "whole numbers")
    if array.dtype.kind == "f":
        limit = 2.0**62
        whole = np.floor(array) == array  # not for NaN
        if not (whole & (np.abs(array) < limit)).all():
            wrong = array[~(whole & (np.abs(array) < limit))].flat[0]
            raise DataError("RawEvents", f"{name} holds no whole numbers", got=wrong, expected="whole numbers")
        array = array.astype(np.int64)
    elif array.dtype.kind == "b":
        array = array.astype(np.int64)
    return integers("RawEvents", name, array, "whole numbers")
