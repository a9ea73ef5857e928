"""Which layer, sample and neurons of what was recorded are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from brianlearn.errors import DataError, did_you_mean
from brianlearn.network.checks import is_whole

__all__ = ["layer_of", "position_of", "some_of"]


def layer_of(owner: str, found: Mapping[str, Any], layer: str | None) -> str:
    """The layer that is asked for, or the first that there is."""
    if layer is None:
        return next(iter(found))
    if layer not in found:
        raise DataError(
            owner,
            "there is no such layer",
            got=repr(layer),
            expected=", ".join(found),
            remedy=did_you_mean(layer, found) if isinstance(layer, str) else None,
        )
    return layer


def position_of(owner: str, samples: Sequence[int] | np.ndarray | int, trial: int, of: str) -> int:
    """Where a sample is among those that were recorded.

    Parameters
    ----------
    owner : str
        For errors.
    samples : array_like of int, or int
        Those that were recorded, or how many there are.
    trial : int
        Position among the samples that were run.
    of : str
        Whose recording it is, for errors.

    Raises
    ------
    DataError
        A sample of which nothing was recorded.
    """
    if isinstance(samples, int):
        if not is_whole(trial) or not 0 <= trial < samples:
            raise DataError(owner, "there is no such trial", got=trial, expected=f"0 to {samples - 1}")
        return int(trial)
    here = np.flatnonzero(np.asarray(samples) == trial)
    if not len(here):
        expected = f"one of {', '.join(map(str, samples))}: those of {of} that were recorded"
        raise DataError(owner, "there is no such trial", got=trial, expected=expected)
    return int(here[0])


def some_of(n: int, neurons: int | None) -> np.ndarray:
    """At most so many of n, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(neurons or n, n)).astype(int))
