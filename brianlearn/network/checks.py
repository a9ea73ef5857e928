"""The checks that descriptions share: whether a value is one plain number."""

from __future__ import annotations

import math
from typing import TypeGuard

import numpy as np

__all__ = ["is_number", "is_whole"]


def is_number(value: object) -> TypeGuard[float]:
    """Whether ``value`` is one finite real number without a unit: no bool, text, array or quantity."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def is_whole(value: object) -> TypeGuard[int]:
    """Whether ``value`` is one whole number, of Python or numpy."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
