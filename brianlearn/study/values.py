"""Parameter values: as text for people and file names, as numbers for tables, with the unit that they are shown in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension, Quantity, Unit, get_dimensions, get_unit

from brianlearn.errors import UnitError
from brianlearn.network.quantities import parse_unit

__all__ = ["common_unit", "file_text", "plain", "si_unit", "text", "to_number"]


def plain(value: Any) -> Any:
    """A value without numpy's wrapping: Python's own bool, int, float or str; quantities stay what they are."""
    if isinstance(value, Quantity):
        return value if value.ndim else Quantity(float(value), dim=value.dim)
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    return value


#: Reading a unit takes longer than all else that is done with a value, and tables ask for the same ones over again.
_unit = lru_cache(256)(parse_unit)


@lru_cache(256)
def _readable(unit: Unit) -> str | None:
    """A unit as text that `parse_unit` reads; None where there is none. Brian2 shows ``V`` but knows only ``volt``."""
    for shown in (str(unit), repr(unit)):
        try:
            if _unit(shown) == unit:
                return shown
        except UnitError:
            continue
    return None


def si_unit(value: Any) -> str:
    """The SI unit of a quantity (``"second"``, ``"Hz"``, ``"volt"``), whatever its size; empty for a plain number."""
    dimensions = get_dimensions(value)
    if dimensions is DIMENSIONLESS:
        return ""
    return _readable(get_unit(dimensions)) or _product(dimensions)


def _product(dimensions: Dimension) -> str:
    """The SI unit as a product of powers of base units."""
    names = ("metre", "kilogram", "second", "amp", "kelvin", "mol", "candle")
    powers = zip(names, dimensions._dims, strict=True)
    return " * ".join(name if power == 1 else f"{name} ** {power:g}" for name, power in powers if power)


def unit_name(value: Any) -> str:
    """The unit in which Brian2 shows a quantity (``"ms"``); empty for a plain number."""
    if not isinstance(value, Quantity) or value.dim is DIMENSIONLESS:
        return ""
    best = value.get_best_unit()  # a quantity where there is no unit for it
    return (_readable(best) if isinstance(best, Unit) else None) or si_unit(value)


def text(value: Any) -> str:
    """A value as one writes it on a command line: ``10ms``, ``0.5``, ``dalton``."""
    if isinstance(value, Quantity):
        unit = unit_name(value)
        number = float(value / _unit(unit)) if unit else float(value)
        return f"{number:.10g}{'*' if ' ' in unit else ''}{unit}"
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)


def file_text(value: Any) -> str:
    """A value for the name of a file."""
    shown = text(value)
    if isinstance(value, Quantity | float):
        shown = re.sub(r"^[-+0-9.e]+", lambda match: f"{float(match.group()):.5g}", shown)
    return re.sub(r"[^A-Za-z0-9_.+-]+", "-", shown).strip("-")[:40] or "value"


def common_unit(values: Sequence[Any]) -> str:
    """One unit for all of them, that of the one in the middle; empty where they are plain numbers or no numbers.

    Raises
    ------
    UnitError
        If they are not of one kind.
    """
    quantities = [value for value in values if isinstance(value, Quantity)]
    if not quantities:
        return ""
    kinds = {repr(get_dimensions(value)) for value in values if not isinstance(value, str | None)}
    if len(kinds) > 1 or len(quantities) < len(values):
        raise UnitError(
            "axis",
            "its values are not of one kind",
            got=", ".join(map(text, values)),
            expected="the same physical dimension for all of them",
        )
    return unit_name(sorted(quantities, key=abs)[len(quantities) // 2])


def to_number(value: Any, unit: str = "") -> Any:
    """A quantity as a number in ``unit``; anything else as it is."""
    if isinstance(value, Quantity):
        number = np.asarray(value / _unit(unit)) if unit else np.asarray(value)
        return float(number) if number.ndim == 0 else number
    return value
