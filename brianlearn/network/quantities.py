"""Physical quantities as text: ``10 ms``, ``0.5``, ``2 nS/cm**2``. Units are looked up by name; nothing is run."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from brian2.core.namespace import DEFAULT_UNITS
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity

from brianlearn.errors import UnitError

__all__ = ["parse_quantity", "parse_unit"]

_NUMBER = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*\*?\s*(.*)", re.DOTALL)
_FACTOR = re.compile(r"\s*([A-Za-z_]\w*|1)\s*(?:(?:\*\*|\^)\s*([-+]?\d+(?:\.\d*)?))?\s*")
#: No quantity of physics has a larger one; beyond, Brian2's units are no finite numbers.
LARGEST_POWER = 30
_EXAMPLES = "a product of powers of Brian2's units, e.g. ms, volt, nS/cm**2"


@cache
def _units() -> dict[str, Any]:
    """Brian2's units by their names (``second``, ``ms``), and by the symbols that it prints (``s``)."""
    return {str(unit): unit for unit in DEFAULT_UNITS.values()} | dict(DEFAULT_UNITS)


def parse_unit(text: str) -> Quantity:
    """The unit that a text names.

    Parameters
    ----------
    text : str
        A product of powers of Brian2's units, such as ``"ms"``, ``"nS/cm**2"`` or ``"metre ** 2 * second ** -0.5"``;
        ``""`` or ``"1"`` where it is dimensionless.

    Returns
    -------
    brian2.Quantity

    Raises
    ------
    UnitError
        If the text names something that is no unit of Brian2.
    """
    unit = Quantity(1.0, dim=DIMENSIONLESS)
    position, divide = 0, False
    if not text.strip():
        return unit
    while True:
        match = _FACTOR.match(text, position)
        if match is None:
            raise UnitError(f"unit {text!r}", "the unit cannot be read", got=repr(text[position:]), expected=_EXAMPLES)
        name, power = match.groups()
        if name != "1" and name not in _units():
            raise UnitError(f"unit {text!r}", "Brian2 has no unit of this name", got=repr(name), expected=_EXAMPLES)
        if abs(float(power or 1)) > LARGEST_POWER:
            raise UnitError(
                f"unit {text[:80]!r}",
                "the power of a unit is out of range",
                got=power[:80],
                expected=f"-{LARGEST_POWER} to {LARGEST_POWER}",
            )
        factor = Quantity(1.0, dim=DIMENSIONLESS) if name == "1" else _units()[name] ** (float(power or 1))
        unit = unit / factor if divide else unit * factor
        position = match.end()
        if position == len(text):
            return unit
        if text[position] not in "*/":
            raise UnitError(f"unit {text!r}", "the unit cannot be read", got=repr(text[position:]), expected=_EXAMPLES)
        divide = text[position] == "/"
        position += 1


def parse_quantity(text: str) -> Any:
    """The number that a text gives, with its unit.

    Parameters
    ----------
    text : str
        A number and, where it has one, a unit: ``"10ms"``, ``"10*ms"``, ``"0.5"``, ``"-65 mV"``.

    Returns
    -------
    float or brian2.Quantity

    Raises
    ------
    UnitError
        If it is not a number with a unit of Brian2.

    Examples
    --------
    >>> from brianlearn.network.quantities import parse_quantity
    >>> parse_quantity("10ms")
    10. * msecond
    """
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise UnitError(
            f"value {text!r}",
            "this is not a number",
            got=repr(text),
            expected="a number with its unit, e.g. 10ms or 0.5",
        )
    number, unit = match.groups()
    if unit.startswith("/"):  # 3/ms
        unit = f"1{unit}"
    return float(number) * parse_unit(unit) if unit else float(number)
