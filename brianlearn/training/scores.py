"""The scores of a part of the data: accuracy, mean squared error and R^2, or van Rossum's distance, as targets are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from brianlearn.training.regression import Regression

__all__ = ["ALL", "KINDS", "MAIN", "Scored", "kind_in", "kind_of_scores", "scores_of"]

#: The scores of each kind of targets, the main one first: labels, values, spike trains.
KINDS = (("accuracy",), ("mse", "r2"), ("van_rossum",))
ALL = tuple(name for kind in KINDS for name in kind)
MAIN = tuple(kind[0] for kind in KINDS)


class Scored(Protocol):
    """What has been measured of samples.

    Attributes
    ----------
    accuracy : float or None
    regression : Regression or None
    van_rossum : float or None
    """

    @property
    def accuracy(self) -> float | None:
        """From 0 to 1."""

    @property
    def regression(self) -> Regression | None:
        """Of samples with values."""

    @property
    def van_rossum(self) -> float | None:
        """Of samples with spike trains."""


def kind_of_scores(measured: Scored) -> tuple[str, ...]:
    """The names of the scores that samples of this kind have."""
    if measured.van_rossum is not None:
        return KINDS[2]
    return KINDS[1] if measured.regression is not None else KINDS[0]


def kind_in(line: Mapping[str, Any], part: str) -> tuple[str, ...] | None:
    """The names of the scores that a line of ``metrics.jsonl`` or a result has of a part; None where it has none."""
    return next((kind for kind in KINDS if line.get(f"{part}_{kind[0]}") is not None), None)


def scores_of(part: str, measured: Scored | None, names: tuple[str, ...] = ALL) -> dict[str, float | None]:
    """The scores of a part of the data, by the names that they are stored under, e.g. ``train_mse``.

    Parameters
    ----------
    part : {"train", "validation", "test"}
    measured : Scored or None
    names : tuple of str, optional
        Which of them.
    """
    found: dict[str, float | None] = dict.fromkeys(ALL)
    if measured is not None:
        regression = measured.regression
        found |= {"accuracy": measured.accuracy, "van_rossum": measured.van_rossum}
        found |= {} if regression is None else {"mse": regression.mse, "r2": regression.r2}
    return {f"{part}_{name}": found[name] for name in names}
