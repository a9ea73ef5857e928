"""Errors that users can act on: each names the object, what it got, what it expected and the remedy."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from brianlearn.docstrings import show_inherited_fields

__all__ = [
    "ArgumentError",
    "BrianLearnError",
    "BrianLearnWarning",
    "DataError",
    "DeviceError",
    "EquationError",
    "NonFiniteError",
    "RenamedWarning",
    "RuleError",
    "RunFolderError",
    "ShapeError",
    "SpecError",
    "UnitError",
    "WeightsError",
    "did_you_mean",
]


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like a misspelt one, as a remedy; None where none is like it.

    Parameters
    ----------
    name : str
    known : iterable of str

    Returns
    -------
    str or None

    Examples
    --------
    >>> did_you_mean("mnsit", ["mnist", "digits"])
    "did you mean 'mnist'?"
    """
    names = {str(each).casefold(): str(each) for each in known}
    for each in names.values():  # lr for learning_rate
        if "_" in each and name == "".join(part[:1] for part in each.split("_")):
            return f"did you mean {each!r}?"
    near = get_close_matches(str(name).casefold(), names, n=1, cutoff=0.6)
    return f"did you mean {names[near[0]]!r}?" if near else None


class BrianLearnError(Exception):
    """Base class of all errors that the user can act on.

    Parameters
    ----------
    subject : str
        The object that is wrong, in the user's terms (``"conv1"``, ``"Neuron 'lif'"``, a path).
    problem : str
        What is wrong, as a sentence without its final stop.
    got, expected : object, optional
        What was found, and what would have been right.
    remedy : str, optional
        What to do.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        show_inherited_fields(cls)

    def __init__(
        self,
        subject: str,
        problem: str,
        *,
        got: Any = None,
        expected: Any = None,
        remedy: str | None = None,
    ) -> None:
        self.subject = subject
        self.problem = problem
        self.got = got
        self.expected = expected
        self.remedy = remedy
        lines = [f"{subject}: {problem}."]
        if got is not None:
            lines.append(f"  got:      {got}")
        if expected is not None:
            lines.append(f"  expected: {expected}")
        if remedy is not None:
            lines.append(f"  remedy:   {remedy}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[Any, ...]:  # exceptions are rebuilt from their text, which is not what this one takes
        parts = (None if part is None else str(part) for part in (self.got, self.expected, self.remedy))
        return _again, (type(self), self.subject, self.problem, *parts), {"__notes__": getattr(self, "__notes__", [])}


def _again(
    kind: type[BrianLearnError], subject: str, problem: str, got: str | None, expected: str | None, remedy: str | None
) -> BrianLearnError:
    return kind(subject, problem, got=got, expected=expected, remedy=remedy)


class BrianLearnWarning(UserWarning):
    """What runs, but is probably not what was meant: said once for each cause.

    Parameters
    ----------
    subject : str
        The object that is suspicious, in the user's terms (``"dense1"``).
    problem : str
        What is suspicious and what to do, as a sentence without its final stop.
    """

    def __init__(self, subject: str, problem: str) -> None:
        self.subject = subject
        self.problem = problem
        super().__init__(subject, problem)

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}"


class RenamedWarning(BrianLearnWarning, DeprecationWarning):
    """An old name was used: it works, and will go in a later version.

    Parameters
    ----------
    subject : str
        The old name.
    problem : str
        The new one.
    """


class SpecError(BrianLearnError, ValueError):
    """A network description that cannot be right."""


class ArgumentError(SpecError, TypeError):
    """A call with an argument that is not known, or without one that is needed.

    Attributes
    ----------
    unknown : str or None
        The argument that is not known.
    known : list of str
        Those that are.
    """

    unknown: str | None = None
    known: list[str] = []  # noqa: RUF012 - replaced, never changed


class EquationError(SpecError):
    """Equations, threshold or reset that Brian2 cannot read, or with unknown names."""


class UnitError(SpecError):
    """Physical units that do not fit."""


class ShapeError(SpecError):
    """Layers, inputs or weights whose shapes do not fit."""


class RuleError(BrianLearnError, ValueError):
    """A learning rule or optimiser with a wrong parameter, or one that an engine cannot run."""


class WeightsError(BrianLearnError, ValueError):
    """Weights that do not belong to the network."""


class DataError(BrianLearnError, ValueError):
    """Data that are missing, damaged or out of range."""


class DeviceError(BrianLearnError, RuntimeError):
    """A device that this machine cannot run, or a failed build."""


class NonFiniteError(BrianLearnError, ArithmeticError):
    """A state or weight that is not finite any more."""


class RunFolderError(BrianLearnError, OSError):
    """A run folder that cannot be written, read or continued."""
