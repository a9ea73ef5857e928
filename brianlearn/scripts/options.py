"""Options of a network script's own: the parameters of its ``experiment()``, on the command line.

``def experiment(arch: Literal["A1", "A2"] = "A1", strided: bool = False)`` gives ``--arch`` and ``--strided``.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

from brianlearn.errors import SpecError

__all__ = ["ScriptUsageError", "choices", "option_names", "option_rows", "script_options", "usage"]

_PLAIN = (str, int, float, bool)


class ScriptUsageError(Exception):
    """Arguments that a script does not take."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ScriptUsageError(message)


def script_options(experiment: Callable[..., Any], arguments: Sequence[str], script: str) -> dict[str, Any]:
    """Keyword arguments for ``experiment`` from the command line.

    Parameters
    ----------
    experiment : callable
        Its parameters have defaults, and are annotated as str, int, float, bool, a Literal of these, or such a type or
        None.
    arguments : sequence of str
        What the command line holds beside the options of ``brianlearn train``.
    script : str
        How errors name the script.

    Returns
    -------
    dict
        The parameters that are given.

    Raises
    ------
    ScriptUsageError
        Unknown options, and values of the wrong type.
    SpecError
        A parameter that cannot be an option.

    Examples
    --------
    >>> def experiment(arch: str = "A1", strided: bool = False): ...
    >>> script_options(experiment, ["--strided", "--arch", "A3"], "net.py")
    {'arch': 'A3', 'strided': True}
    """
    given = vars(_parser(experiment, script).parse_args(list(arguments)))
    order = [name for name in inspect.signature(experiment).parameters if name in given]
    return {name: given[name] for name in order}


def usage(experiment: Callable[..., Any], script: str) -> str:
    """The script's own options, as a line; empty where it has none."""
    found = _parser(experiment, script).format_usage().split()
    return " ".join(found[found.index(script) + 1 :])


def option_rows(experiment: Callable[..., Any], script: str) -> list[tuple[str, str, str]]:
    """The script's own options: option, values that it takes, and the default of each."""
    _parser(experiment, script)  # refuses what cannot be an option
    hints, rows = get_type_hints(experiment), []
    for name, parameter in inspect.signature(experiment).parameters.items():
        kind, choices = _kind(hints.get(name, str))
        option = _option(name)
        if kind is bool:
            values, option = "", f"{option} / {_option(f'no_{name}')}"
        else:
            values = "|".join(map(str, choices)) if choices else str(kind and kind.__name__)
        rows.append((option, values, str(parameter.default)))
    return rows


def option_names(experiment: Callable[..., Any]) -> list[str]:
    """The script's own options by name, such as ``--arch``."""
    return [_option(name) for name in inspect.signature(experiment).parameters]


def choices(function: Callable[..., Any]) -> dict[str, tuple[Any, ...]]:
    """Parameters that take some values alone, and these: those annotated as a Literal, or as a Literal or None.

    Parameters
    ----------
    function : callable
        Its other annotations may be anything.

    Returns
    -------
    dict of str to tuple
    """
    try:
        hints = get_type_hints(function)
    except (NameError, TypeError, AttributeError, SyntaxError):  # names that are there for type checkers alone
        return {}
    found = {}
    for name in inspect.signature(function).parameters:
        parts = get_args(hints.get(name)) if get_origin(hints.get(name)) in (Union, UnionType) else (hints.get(name),)
        if any(get_origin(part) is Literal for part in parts) and all(
            get_origin(part) is Literal or part is NoneType for part in parts
        ):
            found[name] = tuple(v for part in parts for v in (get_args(part) if part is not NoneType else (None,)))
    return found


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _parser(experiment: Callable[..., Any], script: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=script, add_help=False, allow_abbrev=False, argument_default=argparse.SUPPRESS)
    hints = get_type_hints(experiment)
    for name, parameter in inspect.signature(experiment).parameters.items():
        kind, choices = _kind(hints.get(name, str))
        if parameter.default is parameter.empty or kind is None or parameter.kind is parameter.POSITIONAL_ONLY:
            raise SpecError(
                script,
                f"the parameter {name!r} of experiment() cannot be an option of the command line",
                got=str(parameter),
                expected="a default, and str, int, float, bool or a Literal of these as annotation",
            )
        option = _option(name)
        if kind is bool:
            parser.add_argument(option, dest=name, action=argparse.BooleanOptionalAction)
        else:
            parser.add_argument(option, dest=name, type=kind, choices=choices)
    return parser


def _kind(hint: Any) -> tuple[type | None, tuple[Any, ...] | None]:
    """Type and allowed values of an annotation."""
    if get_origin(hint) in (Union, UnionType):
        kinds = [argument for argument in get_args(hint) if argument is not NoneType]
        return _kind(kinds[0]) if len(kinds) == 1 else (None, None)
    if get_origin(hint) is Literal:
        values = get_args(hint)
        kind = type(values[0])
        return (kind if kind in (str, int, float) else None), values
    return (hint if hint in _PLAIN else None), None
