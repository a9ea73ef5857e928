"""Taking what users write where its meaning is plain: ``"5*ms"`` for a time, an `Equations` object for its text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brian2 import Equations

from brianlearn.errors import UnitError
from brianlearn.network.quantities import parse_quantity

__all__ = ["take_quantities", "take_quantity", "take_text"]


def take_quantity(owner: str, name: str, value: Any) -> Any:
    """A quantity that is written as text, such as ``"5*ms"`` or ``"5 ms"``; all else as it is.

    Raises
    ------
    UnitError
        Text that is no number with a unit.
    """
    if not isinstance(value, str):
        return value
    try:
        return parse_quantity(value)
    except UnitError as error:
        raise UnitError(
            owner, f"{name} cannot be read", got=repr(value), expected="a number with its unit, e.g. 5*ms"
        ) from error


def take_quantities(owner: str, values: Any) -> Any:
    """A mapping whose values may be text."""
    if not isinstance(values, Mapping):
        return values
    return {name: take_quantity(owner, f"{name!r}", value) for name, value in values.items()}


def take_text(value: Any) -> Any:
    """The text of an `Equations` object; all else as it is."""
    return str(value) if isinstance(value, Equations) else value
