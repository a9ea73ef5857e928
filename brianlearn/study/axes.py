"""Axes of a study: which parameter takes which values."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from brian2.units.fundamentalunits import Quantity, get_dimensions

from brianlearn.errors import SpecError, UnitError
from brianlearn.network.quantities import parse_quantity
from brianlearn.study.values import common_unit, plain, text

__all__ = ["Axis", "Span", "linear_space", "log_space", "parse_axis"]

#: Names of axes: a parameter, or a path such as ``layer.size`` and ``input.encoder.gain``.
NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


@dataclass(frozen=True, eq=False)
class Span(Sequence[Any]):
    """An interval: a grid takes ``n`` values of it, samplers draw from all of it.

    Attributes
    ----------
    low, high : float, int or brian2.Quantity
        Both ends belong to it.
    n : int
        Values on a grid, ends included.
    log : bool
        Whether values are evenly spread on a logarithmic scale.
    whole : bool
        Whether only whole numbers are taken.

    Raises
    ------
    SpecError, UnitError
        Ends that are no numbers of one unit, or in the wrong order.
    """

    low: Any
    high: Any
    n: int = 5
    log: bool = False
    whole: bool = False

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            value = plain(getattr(self, name))
            object.__setattr__(self, name, value)
            number = isinstance(value, int | float | Quantity) and not isinstance(value, bool) and np.ndim(value) == 0
            if not number or not math.isfinite(float(value)):
                raise SpecError("axis", f"{name} is wrong", got=repr(value), expected="one finite number or quantity")
        if get_dimensions(self.low) is not get_dimensions(self.high):
            raise UnitError("axis", "the ends have different units", got=f"{text(self.low)} and {text(self.high)}")
        if isinstance(self.n, bool) or not isinstance(self.n, int) or self.n < 1:
            raise SpecError("axis", "n is wrong", got=repr(self.n), expected="a whole number >= 1")
        if not float(self.low) < float(self.high) and not (self.n == 1 and float(self.low) == float(self.high)):
            raise SpecError(
                "axis", "the interval is empty", got=f"{text(self.low)} to {text(self.high)}", expected="low < high"
            )
        if self.log and not float(self.low) > 0:
            raise SpecError("axis", "a logarithmic axis begins above 0", got=text(self.low), expected="low > 0")

    def at(self, share: float) -> Any:
        """The value at a share between 0 and 1 of the interval.

        Parameters
        ----------
        share : float

        Returns
        -------
        float, int or brian2.Quantity
        """
        low, high = float(self.low), float(self.high)
        if share <= 0.0:
            value = low
        elif share >= 1.0:
            value = high
        else:
            value = low * (high / low) ** share if self.log else low + share * (high - low)
        if self.whole:
            return min(max(round(value), math.ceil(low)), math.floor(high))
        return Quantity(value, dim=self.low.dim) if isinstance(self.low, Quantity) else value

    @cached_property
    def values(self) -> tuple[Any, ...]:
        """The values of a grid."""
        if self.n == 1:
            return (self.at(0.0),)
        found = [self.at(k / (self.n - 1)) for k in range(self.n)]
        return tuple(dict.fromkeys(found)) if self.whole else tuple(found)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:
        return self.values[index]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __repr__(self) -> str:
        return f"{'log' if self.log else 'linear'}_space({text(self.low)}, {text(self.high)}, {self.n})"


def log_space(low: Any, high: Any, n: int = 5) -> Span:
    """Values evenly spread on a logarithmic scale.

    Parameters
    ----------
    low, high : float or brian2.Quantity
        The ends, > 0.
    n : int, optional
        Values on a grid.

    Returns
    -------
    Span

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> [str(value) for value in bl.log_space(1*ms, 100*ms, 3)]
    ['1. ms', '10. ms', '100. ms']
    """
    return Span(low, high, n, log=True)


def linear_space(low: Any, high: Any, n: int = 5) -> Span:
    """Evenly spread values; whole numbers where both ends are.

    Parameters
    ----------
    low, high : float, int or brian2.Quantity
    n : int, optional
        Values on a grid.

    Returns
    -------
    Span
    """
    whole = all(isinstance(plain(end), int) and not isinstance(plain(end), bool) for end in (low, high))
    return Span(low, high, n, whole=whole)


@dataclass(frozen=True, eq=False)
class Axis:
    """A parameter and its values.

    Attributes
    ----------
    name : str
        A parameter of the function, a setting of the experiment (``rule``, ``seed``, ``learning_rate``), a constant of
        its neurons (``tau_m``), or a path into it (``layer.size``, ``dense1.dropout``, ``input.encoder.gain``).
    values : tuple
        Those of a grid.
    span : Span or None
        The interval, for samplers that draw from it.
    """

    name: str
    values: tuple[Any, ...]
    span: Span | None = None

    @staticmethod
    def make(name: str, values: Any) -> Axis:
        """An axis from what a user writes: a list, a range, a quantity array, a `Span`, or one value.

        Parameters
        ----------
        name : str
        values : object

        Returns
        -------
        Axis

        Raises
        ------
        SpecError, UnitError
        """
        if not isinstance(name, str) or NAME.fullmatch(name) is None:
            raise SpecError(
                "axis", "the name of the axis is wrong", got=repr(name), expected="a name such as tau_m or layer.size"
            )
        if isinstance(values, Span):
            return Axis(name, values.values, values)
        if isinstance(values, str | bytes) or not isinstance(values, Iterable) or getattr(values, "ndim", 1) == 0:
            values = [values]
        found = [plain(value) for value in values]
        if not found:
            raise SpecError(f"axis {name}", "it has no values", got=repr(values), expected="at least one")
        for value in found:
            if not (value is None or isinstance(value, bool | int | float | str) or _one_quantity(value)):
                raise SpecError(
                    f"axis {name}",
                    "a value cannot be stored",
                    got=repr(value),
                    expected="numbers, quantities, text, booleans or None",
                    remedy="take a name or a number as the parameter and make the object in the function",
                )
            if isinstance(value, float | Quantity) and not math.isfinite(float(value)):
                raise SpecError(f"axis {name}", "a value is not finite", got=repr(value), expected="finite numbers")
        shown = [text(value) for value in found]
        double = sorted({one for one in shown if shown.count(one) > 1})
        if double:
            raise SpecError(f"axis {name}", "a value is there twice", got=", ".join(double), expected="each value once")
        common_unit(found)  # refuses values of several kinds
        return Axis(name, tuple(found))

    @property
    def unit(self) -> str:
        """The unit in which the axis is shown; empty where it has none."""
        return common_unit(self.values)

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return all(isinstance(v, int | float | Quantity) and not isinstance(v, bool) for v in self.values)


def _one_quantity(value: Any) -> bool:
    return isinstance(value, Quantity) and np.ndim(value) == 0


def parse_axis(given: str) -> Axis:
    """An axis as the command line writes it.

    Parameters
    ----------
    given : str
        ``tau_m=5ms,10ms``, ``seed=0:5`` (0 to 4), ``tau_s=1ms..20ms:5`` (five values), ``tau_s=log(1ms..20ms:5)``,
        ``rule=dalton,tfr``.

    Raises
    ------
    SpecError, UnitError

    Examples
    --------
    >>> from brianlearn.study.axes import parse_axis
    >>> parse_axis("seed=0:3").values
    (0, 1, 2)
    >>> parse_axis("rule=dalton,tfr").values
    ('dalton', 'tfr')
    """
    name, separator, values = given.partition("=")
    if not separator or not values.strip():
        raise SpecError(
            f"axis {given!r}",
            "this is no axis",
            got=given,
            expected="NAME=VALUE,VALUE,... or NAME=FROM:TO, e.g. tau_m=5ms,10ms or seed=0:5 or tau_s=log(1ms..20ms:5)",
        )
    name, values = name.strip(), values.strip()
    logarithmic = re.fullmatch(r"log\((.*)\)", values)
    span = re.fullmatch(r"(.+?)\.\.(.+?)(?::(\d+))?", logarithmic.group(1) if logarithmic else values)
    if span is not None:
        low, high = _value(span.group(1)), _value(span.group(2))
        n = int(span.group(3) or 5)
        return Axis.make(name, log_space(low, high, n) if logarithmic else linear_space(low, high, n))
    whole = re.fullmatch(r"(-?\d+):(-?\d+)(?::(\d+))?", values)
    if whole is not None:
        return Axis.make(name, range(int(whole.group(1)), int(whole.group(2)), int(whole.group(3) or 1)))
    return Axis.make(name, [_value(part) for part in values.split(",")])


def _value(given: str) -> Any:
    given = given.strip()
    named = {"true": True, "false": False, "none": None}
    if given.lower() in named:
        return named[given.lower()]
    if re.fullmatch(r"[-+]?\d+", given):
        return int(given)
    if re.match(r"[-+]?(\d|\.\d)", given):
        return parse_quantity(given)
    return given
