"""Networks, rules and optimisers as plain dictionaries (JSON), and back.

Only types that are registered (`brianlearn.network.storable`) are built, by their own constructors, which check what
they get: reading a file runs no code that it brings along, and imports nothing. Numbers come back bit for bit,
quantities as a value in base units with the name of the unit.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from brian2.units.fundamentalunits import Quantity, get_dimensions

from brianlearn import data, learning, network
from brianlearn.errors import BrianLearnError, SpecError
from brianlearn.learning.functions import function_name, stored_function
from brianlearn.network.neurons.equations import unit_text
from brianlearn.network.quantities import parse_unit
from brianlearn.network.storable import known_classes, not_storable, stored_class, stored_name

__all__ = ["differences", "from_dict", "own_classes", "to_dict"]

#: The key that names the type of an object. No identifier starts with "$", so it cannot be a constant or a layer.
TYPE = "$type"
#: The packages that define what a file can name: loaded, they are registered.
_DEFINED_IN = (network, learning, data)


def to_dict(obj: Any) -> Any:
    """An object as what JSON can hold.

    Parameters
    ----------
    obj : object
        A network, layer, neuron, encoder, surrogate, initial-weight distribution, rule, optimiser, ... of this package,
        or of a class of one's own at the top level of a module; or numbers, text, quantities, arrays, mappings and
        sequences of these.

    Returns
    -------
    dict, list, str, float, int, bool or None
        Objects are ``{"$type": name, field: value, ...}``, with the name ``module:class`` for classes of one's own;
        quantities ``{"$type": "Quantity", "value": base units, "unit": "second"}``; functions of one's own that a part
        of an experiment takes ``{"$type": "function", "name": "module:function"}``.

    Raises
    ------
    SpecError
        If something cannot be stored: other functions, and classes inside of functions or that are no dataclasses.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brianlearn.training.serialise import from_dict, to_dict
    >>> to_dict(bl.Adam(0.01))["learning_rate"]
    0.01
    >>> from_dict(to_dict(bl.Adam(0.01))) == bl.Adam(0.01)
    True
    """
    if isinstance(obj, Quantity):
        return {TYPE: "Quantity", "value": _numbers(np.asarray(obj)), "unit": unit_text(get_dimensions(obj))}
    if obj is None or isinstance(obj, bool | str):
        return obj
    if isinstance(obj, np.ndarray | np.generic) and not (np.ndim(obj) == 0 and np.isrealobj(obj)):
        array = np.asarray(obj)
        if array.dtype.kind not in "biuf":
            raise not_storable(obj)
        return {TYPE: "array", "dtype": array.dtype.name, "value": _numbers(array)}
    if isinstance(obj, np.generic | np.ndarray):
        return to_dict(obj.item())
    if isinstance(obj, int):
        return obj
    if isinstance(obj, float):
        return _number(obj)
    if isinstance(obj, Mapping):
        for key in obj:
            if not isinstance(key, str) or key.startswith("$"):
                raise SpecError(
                    "to_dict", "a name cannot be stored", got=repr(key), expected="text that starts with no '$'"
                )
        return {key: to_dict(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        return [to_dict(value) for value in obj]
    if inspect.isroutine(obj):
        return {TYPE: "function", "name": function_name(obj)}
    name, fields = stored_name(obj), [field.name for field in dataclasses.fields(obj) if field.init]
    return {TYPE: name, **{field: to_dict(getattr(obj, field)) for field in fields}}


def from_dict(data: Any, where: str = "from_dict") -> Any:
    """The inverse of `to_dict`.

    Parameters
    ----------
    data : object
        What `to_dict` returned, or what came back from a JSON file.
    where : str, optional
        How errors name the source, e.g. the file.

    Returns
    -------
    object
        Sequences come back as lists; the constructors make tuples of them where they need them.

    Raises
    ------
    BrianLearnError
        Unknown types or fields, missing fields, and whatever the constructors refuse.
    """
    if isinstance(data, list):
        return [from_dict(value, where) for value in data]
    if not isinstance(data, dict):
        if data is None or isinstance(data, bool | int | float | str):
            return data
        raise SpecError(where, "foreign content", got=repr(data), expected="what JSON can hold")
    if TYPE not in data:
        return {key: from_dict(value, where) for key, value in data.items()}
    name = data[TYPE]
    fields = {key: value for key, value in data.items() if key != TYPE}
    if name == "Quantity":
        return _quantity(fields, where)
    if name == "array":
        return _array(fields, where)
    if name == "float":
        return _special_float(fields, where)
    if name == "function":
        (function,) = _take(fields, "function", ("name",), where)
        return stored_function(function, where)
    cls: Any = stored_class(name, where)
    known = [field.name for field in dataclasses.fields(cls) if field.init]
    unknown = sorted(set(fields) - set(known))
    if unknown:
        raise SpecError(
            where, f"{name} has no such field", got=", ".join(map(repr, unknown)), expected=", ".join(known)
        )
    values = {key: from_dict(value, where) for key, value in fields.items()}
    try:
        return cls(**values)
    except Exception as error:  # a field is missing, or of a type or size that no constructor expects
        if isinstance(error, BrianLearnError) and not isinstance(error, TypeError):  # which one of a wrong call is
            raise
        raise cls.error_kind(where, f"{name} cannot be built", got=f"{', '.join(fields)}", remedy=str(error)) from error


def own_classes(stored: Any) -> set[str]:
    """The names of classes and functions of the user's own in what `to_dict` returned, ``module:class``."""
    if isinstance(stored, Mapping):
        name = stored.get("name") if stored.get(TYPE) == "function" else stored.get(TYPE)
        own = {name} if isinstance(name, str) and ":" in name else set()
        return own.union(*map(own_classes, stored.values()))
    return set().union(*map(own_classes, stored)) if isinstance(stored, list) else set()


def differences(then: Any, now: Any, where: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two plain dictionaries differ.

    Parameters
    ----------
    then, now : object
        What `to_dict` returned.
    where : str, optional
        How places begin.

    Yields
    ------
    tuple of (str, object, object)
        The place, e.g. ``"spec.layers[0].size"``, and the two values; None where there is none.
    """
    if isinstance(then, dict) and isinstance(now, dict):
        then, now = ({**_defaults(each), **each} for each in (then, now))
        for key in sorted(then.keys() | now.keys()):
            yield from differences(then.get(key), now.get(key), f"{where}.{key}" if where else key)
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for k, (a, b) in enumerate(zip(then, now, strict=True)):
            yield from differences(a, b, f"{where}[{k}]")
    elif then != now:
        yield where, then, now


def _defaults(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Of an object from a file of an earlier version: what fields are that it did not have."""
    cls: Any = known_classes().get(stored.get(TYPE, ""))
    found = {}
    for field in dataclasses.fields(cls) if cls is not None else ():
        if field.init and field.name not in stored:
            if field.default is not dataclasses.MISSING:
                found[field.name] = to_dict(field.default)
            elif field.default_factory is not dataclasses.MISSING:
                found[field.name] = to_dict(field.default_factory())
    return found


def _number(value: float) -> Any:
    """A float; JSON has no infinity."""
    return value if math.isfinite(value) else {TYPE: "float", "value": repr(value)}


def _numbers(array: np.ndarray) -> Any:
    if array.ndim:
        return [_numbers(row) for row in array]
    item = array.item()
    return _number(item) if isinstance(item, float) else item


def _take(fields: dict[str, Any], kind: str, names: tuple[str, ...], where: str) -> list[Any]:
    if set(fields) != set(names):
        raise SpecError(
            where, f"damaged {kind}", got=", ".join(sorted(fields)) or "nothing", expected=" and ".join(names)
        )
    return [fields[name] for name in names]


def _to_array(value: Any, kind: str, dtype: str, where: str) -> np.ndarray:
    try:
        return np.asarray(from_dict(value, where), dtype=dtype)
    except (TypeError, ValueError, OverflowError) as error:
        if isinstance(error, BrianLearnError):
            raise
        raise SpecError(where, f"damaged {kind}", got=repr(value)[:200], expected=f"numbers ({dtype})") from None


def _quantity(fields: dict[str, Any], where: str) -> Quantity:
    value, unit = _take(fields, "quantity", ("value", "unit"), where)
    if not isinstance(unit, str):
        raise SpecError(where, "damaged quantity", got=f"unit {unit!r}", expected="the name of a unit")
    factor = parse_unit(unit)
    numbers = _to_array(value, "quantity", "float64", where) * float(factor)
    return Quantity(numbers if numbers.ndim else float(numbers), dim=get_dimensions(factor))


def _array(fields: dict[str, Any], where: str) -> np.ndarray:
    value, dtype = _take(fields, "array", ("value", "dtype"), where)
    try:
        kind = np.dtype(dtype).kind
    except TypeError:
        kind = ""
    if not isinstance(dtype, str) or kind not in ("b", "i", "u", "f"):
        raise SpecError(where, "damaged array", got=f"dtype {dtype!r}", expected="e.g. float64")
    return _to_array(value, "array", dtype, where)


def _special_float(fields: dict[str, Any], where: str) -> float:
    (value,) = _take(fields, "number", ("value",), where)
    if value not in ("inf", "-inf", "nan"):
        raise SpecError(where, "damaged number", got=repr(value), expected="'inf', '-inf' or 'nan'")
    return float(value)
