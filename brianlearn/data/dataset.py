"""What a data set is: training and test samples with the names of their classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from brianlearn.errors import DataError
from brianlearn.network.inputs import NamedInputs
from brianlearn.network.samples.samples import Events, Recordings, Samples

__all__ = ["DataSet"]


@dataclass(frozen=True, eq=False)
class DataSet:
    """Training and test samples.

    Parameters
    ----------
    name : str
    train, test : Samples
        Labelled, of one shape. Their ids differ, so that no two presentations share random numbers.
    classes : tuple of str
        Names of the classes; label k is ``classes[k]``.

    Raises
    ------
    DataError
        Samples without labels, of two shapes, or with labels that have no class.

    Examples
    --------
    >>> import brianlearn as bl
    >>> digits = bl.load("digits")
    >>> digits.shape, len(digits.train), len(digits.test)
    ((1, 8, 8), 1437, 360)
    >>> train, test = digits.split(test=500)
    >>> len(train), len(test)
    (1297, 500)
    """

    name: str
    train: Samples
    test: Samples
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            samples: Samples = getattr(self, part)
            where = f"data set {self.name!r}, {part}"
            if samples.labels is None:
                remedy = "a data set has classes: give samples with values as (train, test), e.g. data=(train, test)"
                raise DataError(
                    where,
                    "the samples have no labels",
                    expected="Samples(inputs, labels)",
                    remedy=None if samples.targets is None else remedy,
                )
            bad = (samples.labels < 0) | (samples.labels >= len(self.classes))
            if bad.any():
                k = int(np.argmax(bad))
                raise DataError(
                    where,
                    "a label has no class",
                    got=f"label {int(samples.labels[k])} at position {k}",
                    expected=f"0 to {len(self.classes) - 1} ({len(self.classes)} classes)",
                )
        if _shape(self.train) != _shape(self.test):
            raise DataError(
                f"data set {self.name!r}",
                "training and test samples differ in shape",
                got=f"{_shape(self.train)} and {_shape(self.test)}",
                expected="one shape",
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one input, e.g. (1, 28, 28)."""
        return _shape(self.train)

    def split(self, test: int) -> tuple[Samples, Samples]:
        """Divide all samples anew: the last ``test`` ones, in the order training then test, are the test samples.

        Parameters
        ----------
        test : int
            Number of test samples.

        Returns
        -------
        train, test : Samples

        Raises
        ------
        DataError
            If that leaves one of the two empty.
        """
        total = len(self.train) + len(self.test)
        if isinstance(test, bool) or not isinstance(test, int | np.integer) or not 1 <= test < total:
            raise DataError(
                f"data set {self.name!r}",
                "it cannot be split like this",
                got=f"test={test!r}",
                expected=f"a whole number from 1 to {total - 1}",
            )
        if test == len(self.test):  # as it is: nothing to copy
            return self.train, self.test
        both = _concatenate(self.train, self.test)
        return both[: total - test], both[total - test :]


def _shape(samples: Samples) -> tuple[int, ...]:
    inputs = samples.inputs
    if isinstance(inputs, NamedInputs):
        raise DataError(
            "DataSet",
            "its samples have several inputs",
            got=", ".join(inputs.parts),
            expected="one",
            remedy="give an experiment the samples themselves: data=(train, test)",
        )
    return tuple(inputs.shape) if isinstance(inputs, Recordings) else tuple(inputs.shape[1:])


def _concatenate(first: Samples, second: Samples) -> Samples:
    a, b = first.inputs, second.inputs
    if isinstance(a, Recordings) and isinstance(b, Recordings):
        inputs: Any = Events.concatenate([a.load(), b.load()])
    else:
        inputs = np.concatenate([a, b])
    return Samples(inputs, np.concatenate([first.labels, second.labels]), np.concatenate([first.ids, second.ids]))
