"""Arrays that users give: of numpy, torch, or nested lists, in any layout and byte order."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Quantity
from brian2.units.fundamentalunits import DIMENSIONLESS

from brianlearn.errors import BrianLearnError, DataError, UnitError
from brianlearn.network.unit_names import unit_name

__all__ = ["integers", "numbers"]

#: Kinds of numpy's types that are real numbers: truth values, integers, floats.
REAL = "biuf"


def numbers(
    owner: str,
    name: str,
    value: Any,
    expected: str,
    *,
    error: type[BrianLearnError] = DataError,
    problem: str | None = None,
    units: bool = False,
) -> np.ndarray:
    """What was given, as a numpy array of real numbers.

    Parameters
    ----------
    owner, name : str
        Whose array it is, for errors.
    value : array_like or torch.Tensor
        Tensors may be on any device, need a gradient (which is not followed) or have a type that numpy lacks, e.g.
        bfloat16.
    expected : str
        For errors.
    error : type
        Of the error.
    problem : str, optional
        What it says where these are no numbers.
    units : bool
        Whether they may have a unit; they are numbers of base units then.

    Returns
    -------
    numpy.ndarray
        In native byte order and without negative strides, which torch does not take; a view where it can be.

    Raises
    ------
    BrianLearnError
        Of type ``error``, where these are no real numbers, or some of them are masked.
    UnitError
        Where they have a unit: numpy would make numbers of base units of them, whatever it was.
    """
    problem = problem or f"{name} are not numbers"
    if not units:
        _refuse_units(owner, name, value, expected)
    try:
        array = _array(value)
        if array.dtype.kind == "O":
            array = array.astype(float)
    # torch raises RuntimeError and NotImplementedError (which is one) for tensors that numpy cannot see
    except (TypeError, ValueError, OverflowError, RuntimeError) as cause:
        raise error(
            owner,
            problem,
            got=f"{type(value).__name__}: {str(cause).splitlines()[0] if str(cause) else type(cause).__name__}",
            expected=expected,
        ) from None
    if array.dtype.kind not in REAL:
        kind = "complex numbers" if array.dtype.kind == "c" else "no real numbers"
        raise error(owner, problem, got=f"{array.dtype} {array.shape}: {kind}", expected=expected)
    if np.ma.isMaskedArray(value) and np.ma.is_masked(value):
        raise error(
            owner,
            f"{name} hold masked values",
            got=f"{np.ma.count_masked(value)} of {value.size} masked",
            expected=expected,
            remedy="fill them, e.g. values.filled(0)",
        )
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    return array.copy() if any(stride < 0 for stride in array.strides) else array


def integers(
    owner: str, name: str, value: Any, expected: str, *, error: type[BrianLearnError] = DataError
) -> np.ndarray:
    """What was given, as int64: of any integer type, and of any type where there is nothing in it.

    Parameters
    ----------
    owner, name, value, expected, error
        As of `numbers`.

    Returns
    -------
    numpy.ndarray of int64

    Raises
    ------
    BrianLearnError
        Of type ``error``, where these are no integers, or larger than int64 holds.
    """
    array = numbers(owner, name, value, expected, error=error, units=True)  # with a unit they are no integers
    if array.size and array.dtype.kind not in "iu":
        raise error(owner, f"{name} does not hold integers", got=f"{array.dtype} {array.shape}", expected=expected)
    if array.dtype == np.uint64 and array.size and array.max() > np.iinfo(np.int64).max:
        raise error(
            owner,
            f"{name} holds a number that is too large",
            got=array.max(),
            expected=f"at most {np.iinfo(np.int64).max}",
        )
    return array.astype(np.int64, copy=False)


def _refuse_units(owner: str, name: str, value: Any, expected: str) -> None:
    first = value
    while isinstance(first, list | tuple) and first:
        first = first[0]
    if isinstance(first, Quantity) and first.dim is not DIMENSIONLESS:
        raise UnitError(
            owner,
            f"{name} have a unit",
            got=repr(value)[:200],
            expected=f"{expected}, without a unit",
            remedy=f"divide by the unit, e.g. values / {unit_name(first.dim)}",
        )


def _array(value: Any) -> np.ndarray:
    detach = getattr(value, "detach", None)
    if not callable(detach):
        return np.asarray(value)
    tensor = detach().cpu()
    try:
        return np.asarray(tensor)
    except TypeError:
        if not tensor.is_floating_point():
            raise
        return np.asarray(tensor.float())  # a type that numpy lacks; every bfloat16 is a float32
