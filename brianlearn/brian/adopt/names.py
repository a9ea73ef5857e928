"""What the names in a text of the user's mean, as Brian2 resolves them, in base units."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from brian2 import Quantity
from brian2.core.functions import DEFAULT_FUNCTIONS, Function
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS
from brian2.core.variables import Constant
from brian2.groups.group import Group
from brian2.input.timedarray import TimedArray
from brian2.units.fundamentalunits import DIMENSIONLESS

from brianlearn.brian.adopt.refusal import refused

__all__ = ["constants_of", "evaluated", "quantity"]


def quantity(value: Any, dim: Any) -> Any:
    """A number or array in base units with its unit."""
    return value if dim is DIMENSIONLESS else Quantity(value, dim=dim)


def constants_of(group: Group, names: Iterable[str], namespace: Mapping[str, Any], line: str) -> dict[str, Any]:
    """The values of names that are no variables of a group, with units; Brian2's own units and functions left out.

    Parameters
    ----------
    group : brian2.Group
    names : iterable of str
    namespace : mapping
        Where the script runs: its local names and those of its module.
    line : str
        The text, for errors.

    Returns
    -------
    dict of str to float or brian2.Quantity

    Raises
    ------
    SpecError
        Names that nothing defines, functions of the user's, timed arrays, by name.
    """
    found: dict[str, Any] = {}
    for name in sorted(names):
        try:
            variable = group.resolve_all([name], namespace, user_identifiers=())[name]
        except (KeyError, TypeError) as error:
            raise refused(
                group,
                f"{name!r} cannot be resolved",
                line=line,
                expected="a variable of the group, or a constant where adopt is called",
                remedy=f"adopt(..., namespace=dict({name}=...)). Brian2 says: {str(error).strip()[:200]}",
            ) from None
        if isinstance(variable, Function):
            if isinstance(group.namespace.get(name, namespace.get(name)), TimedArray):
                raise refused(
                    group,
                    f"{name!r} is a TimedArray: the equations depend on the time of the run",
                    line=line,
                    expected="equations that are the same in every step",
                    remedy="bring what changes with time in as spikes: a SpikeGeneratorGroup, or a PoissonGroup whose "
                    "rates are the TimedArray",
                )
            if name not in DEFAULT_FUNCTIONS:
                raise refused(
                    group,
                    f"{name!r} is a function of your own",
                    line=line,
                    expected="Brian2's own functions",
                    remedy="write its expression out",
                )
            continue
        assert isinstance(variable, Constant)
        default = DEFAULT_UNITS.get(name, getattr(DEFAULT_CONSTANTS.get(name), "value", None))
        value = np.asarray(variable.get_value(), float)
        if default is not None and float(np.asarray(default)) == float(value):
            continue
        found[name] = quantity(float(value), variable.dim)
    return found


def evaluated(text: str, values: Mapping[str, Any]) -> np.ndarray:
    """The value of an expression of numbers and arrays in base units."""
    known: dict[str, Any] = {name: f.pyfunc for name, f in DEFAULT_FUNCTIONS.items()}
    known |= {name: float(unit) for name, unit in DEFAULT_UNITS.items()}
    known |= {name: float(constant.value) for name, constant in DEFAULT_CONSTANTS.items()}
    known |= {name: np.asarray(value, float) for name, value in values.items()}
    return np.asarray(eval(text, {"__builtins__": {}}, known), float)
