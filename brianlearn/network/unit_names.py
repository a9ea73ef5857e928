"""Units and quantities as people write them: mV, nS/cm**2, mV/ms."""

from __future__ import annotations

from functools import cache

import brian2
import numpy as np
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension, Quantity, get_dimensions

__all__ = ["candidate_dimensions", "kind_text", "quantity_text", "unit_name"]

#: Units that are taken before others of the same dimensions, alone, in products and in quotients.
_COMMON = ("ms", "mV", "nA", "nS", "pF", "Mohm", "mM", "pcoulomb", "um", "kelvin", "mmole", "watt", "joule", "gram")
_OVER = ("ms", "cm**2", "cm", "mV", "mM", "ms**2", "cm**3")
_KINDS = {"ms": "a time", "mV": "a voltage", "nA": "a current", "nS": "a conductance", "pF": "a capacitance"}
_KINDS |= {"Mohm": "a resistance", "um": "a length", "Hz": "a rate", "mM": "a concentration"}


@cache
def _named() -> dict[Dimension, str]:
    def unit(text: str) -> Quantity:
        name, _, power = text.partition("**")
        return getattr(brian2, name) ** int(power or 1)

    known: dict[Dimension, str] = {get_dimensions(brian2.Hz): "Hz"}
    for name in _COMMON:
        known.setdefault(get_dimensions(unit(name)), name)
    for name in _COMMON:
        for other in _OVER:
            known.setdefault(get_dimensions(unit(name) / unit(other)), f"{name}/{other}")
    for name in ("ms", "cm", "ms**2", "cm**2", "mV", "nA"):
        known.setdefault(get_dimensions(1 / unit(name)), f"1/{name}")
    for name in _COMMON:
        for other in _COMMON:
            known.setdefault(get_dimensions(unit(name) * unit(other)), f"{name}*{other}")
    known.setdefault(get_dimensions(brian2.second**-0.5), "1/second**0.5")
    known.setdefault(get_dimensions(brian2.second**0.5), "second**0.5")
    known.setdefault(get_dimensions(brian2.mV / brian2.second**0.5), "mV/second**0.5")
    known.setdefault(get_dimensions(brian2.mV * brian2.second**0.5), "mV*second**0.5")
    return known


def candidate_dimensions() -> tuple[Dimension, ...]:
    """What a constant can have been meant to be: a time first, then none, then the other units of the field."""
    time = get_dimensions(brian2.second)
    return tuple(dict.fromkeys([time, DIMENSIONLESS, *_named()]))


def unit_name(dimensions: Dimension) -> str:
    """A unit of these dimensions that a person would write, and Brian2 reads; ``"1"`` where there are none."""
    if dimensions is DIMENSIONLESS:
        return "1"
    found = _named().get(dimensions)
    return found if found is not None else repr(brian2.get_unit(dimensions)).replace(" ", "")


def kind_text(dimensions: Dimension) -> str:
    """What a value of these dimensions is: ``"a time, e.g. 10*ms"``, ``"a plain number without a unit"``."""
    if dimensions is DIMENSIONLESS:
        return "a plain number without a unit"
    name = unit_name(dimensions)
    example = f"10*{name}" if not name.startswith("1/") else f"10{name[1:]}"
    return f"{_KINDS.get(name, f'a value in {name}')}, e.g. {example}"


def quantity_text(value: object, dimensions: Dimension | None = None) -> str:
    """A number with its unit: ``"0.3 ms"``, ``"-65 mV"``; arrays and what is no quantity as they print.

    Parameters
    ----------
    value : object
    dimensions : Dimension, optional
        Of a plain number in base units.
    """
    if not isinstance(value, int | float | np.number | Quantity) or np.ndim(value) or isinstance(value, bool):
        return repr(value)
    dim = get_dimensions(value) if dimensions is None else dimensions
    if dim is DIMENSIONLESS:
        return f"{float(value):.6g}"
    name = unit_name(dim)
    unit = eval(name, {"__builtins__": {}}, vars(brian2))  # a name of ours
    quantity = Quantity(float(value), dim=dim)
    if "*" in name or "/" in name:
        return f"{float(quantity / unit):.6g} {name}"
    common = 1e-2 <= abs(float(quantity / unit)) < 1e4 or not float(value)
    best = name if common else quantity.get_best_unit()
    number = float(quantity / (unit if common else best))
    return f"{number:.6g} {best}" if 1e-3 <= abs(number) < 1e4 or not number else f"{number:.6g}*{best}"
