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

__all__ = ["ScriptUsageError", "script_options", "usage"]

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
        option = f"--{name.replace('_', '-')}"
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
