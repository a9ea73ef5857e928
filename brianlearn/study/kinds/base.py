"""What a study kind is: a question that the field asks of a network, as one call that gives a `Study` ready to run."""

from __future__ import annotations

import inspect
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension, get_dimensions

from brianlearn.errors import SpecError, UnitError
from brianlearn.network.neurons.equations import unit_text
from brianlearn.scripts.options import script_options
from brianlearn.study.axes import Axis, parse_axis
from brianlearn.study.study import Study
from brianlearn.study.values import text

__all__ = ["Kind", "Values", "axis", "stream"]

#: Values of an axis: a sequence, a quantity array, a `Span`; or text as on the command line, such as ``"0,0.1,0.2"``.
Values = str | Sequence[Any]


@dataclass(frozen=True)
class Kind:
    """A study kind by name.

    Attributes
    ----------
    name : str
        As on the command line.
    function : callable
        (subject, options...) -> `Study`. The subject, its first parameter, is a run folder or a network script; the
        others have defaults.
    """

    name: str
    function: Callable[..., Study]

    @property
    def subject(self) -> str:
        """What is studied: ``"run"``, a run folder, or ``"script"``, a network script."""
        return next(iter(inspect.signature(self.function).parameters))

    @property
    def summary(self) -> str:
        """One line."""
        return (inspect.getdoc(self.function) or "").splitlines()[0]

    @property
    def options(self) -> Callable[..., Study]:
        """The function without its subject, with the parameters that can be written as text.

        It is what `script_options`, `option_rows` and `usage` of `brianlearn.scripts.options` take.
        """
        hints = get_type_hints(self.function)
        _, *others = inspect.signature(self.function).parameters.values()
        kinds = {p.name: _as_text(hints[p.name]) for p in others}

        def options(**given: Any) -> Study:
            return self.function(**given)

        options.__annotations__ = {name: kind for name, kind in kinds.items() if kind is not None}
        kept = [p.replace(default=_shown(p.default)) for p in others if kinds[p.name] is not None]
        options.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]
        return options

    def study(self, subject: str, arguments: Sequence[str] = ()) -> Study:
        """The study that a command line asks for.

        Parameters
        ----------
        subject : str
            The run folder or script.
        arguments : sequence of str
            E.g. ``["--bits", "2,4,8"]``.

        Returns
        -------
        Study

        Raises
        ------
        ScriptUsageError
            Unknown options, and values of the wrong type.
        BrianLearnError
            Whatever the function refuses.
        """
        return self.function(subject, **script_options(self.options, arguments, f"brianlearn study {self.name}"))


def _as_text(hint: Any) -> Any:
    """How a parameter is annotated for a command line; None where text cannot say it."""
    if hint in (str, int, float, bool) or get_origin(hint) is Literal:
        return hint
    if get_origin(hint) in (Union, UnionType):
        kinds = [kind for kind in get_args(hint) if kind is not NoneType]
        if str in kinds:
            return str
        return _as_text(kinds[0]) if len(kinds) == 1 else None
    return None


def _shown(default: Any) -> Any:
    """A default as one writes it."""
    if default is None or isinstance(default, str | bool | int | float):
        return default
    return ",".join(text(value) for value in default)


def axis(
    name: str,
    given: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    open_low: bool = False,
    whole: bool = False,
    dimensions: Dimension = DIMENSIONLESS,
) -> Axis:
    """The axis of a study kind.

    Parameters
    ----------
    name : str
    given : Values
        What the user gives.
    low, high : float, optional
        Bounds in base units, both allowed.
    open_low : bool, optional
        Whether ``low`` itself is not allowed.
    whole : bool, optional
        Whether only whole numbers are.
    dimensions : brian2 Dimension, optional

    Raises
    ------
    SpecError, UnitError
        Values that cannot be right, each named.
    """
    made = parse_axis(f"{name}={given}") if isinstance(given, str) else Axis.make(name, given)
    for value in made.values:
        if isinstance(value, bool | str) or value is None:
            raise SpecError(f"axis {name}", "a value is no number", got=repr(value), expected="numbers")
        if get_dimensions(value) is not dimensions:
            expected = "plain numbers" if dimensions is DIMENSIONLESS else f"quantities in {unit_text(dimensions)}"
            raise UnitError(f"axis {name}", "a value has the wrong unit", got=text(value), expected=expected)
        number = float(value)
        outside = (low is not None and (number < low or (open_low and number == low))) or (
            high is not None and number > high
        )
        if outside or (whole and not isinstance(value, int)):
            bounds = [f"{'>' if open_low else '>='} {low:g}"] if low is not None else []
            bounds += [f"<= {high:g}"] if high is not None else []
            kind = "whole numbers" if whole else "numbers"
            raise SpecError(
                f"axis {name}", "a value is wrong", got=text(value), expected=" ".join([kind, " and ".join(bounds)])
            )
    return made


def stream(seed: int, what: str, layer: str) -> np.random.Generator:
    """The random numbers of one layer: from the seed and the names, so that other layers and axes leave them alone."""
    return np.random.default_rng([seed, zlib.crc32(what.encode()), zlib.crc32(layer.encode())])
