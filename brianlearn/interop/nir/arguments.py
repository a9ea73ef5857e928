"""Arguments of `from_nir` and `to_nir`, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from brian2 import second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.errors import SpecError, UnitError, did_you_mean
from brianlearn.network.taking import take_quantity
from brianlearn.network.unit_names import quantity_text

__all__ = ["one_of", "seconds"]


def seconds(owner: str, name: str, given: Any) -> float:
    """A time in seconds.

    Raises
    ------
    UnitError, SpecError
    """
    value = take_quantity(owner, name, given)
    if get_dimensions(value) is not second.dim:
        raise UnitError(owner, f"{name} has no unit of time", got=quantity_text(value), expected="e.g. 1*ms")
    if np.ndim(value) or not np.isfinite(float(value)) or float(value) <= 0:
        raise SpecError(owner, f"{name} is wrong", got=repr(value), expected="a time > 0")
    return float(value)


def one_of(owner: str, name: str, given: Any, known: Sequence[str]) -> None:
    """Refuse what is none of the names that are known.

    Raises
    ------
    SpecError
    """
    if given not in known:
        raise SpecError(
            owner,
            f"{name} is unknown",
            got=repr(given),
            expected=" or ".join(map(repr, known)),
            remedy=did_you_mean(str(given), known),
        )
