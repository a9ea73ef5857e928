"""Misspelt keyword arguments of everything public: a named error that says which one was meant."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from brianlearn.errors import ArgumentError, BrianLearnError, did_you_mean

__all__ = ["name_arguments"]

#: Marks what has been done already; other decorators wrap too.
DONE = "__names_arguments__"


def name_arguments(package: dict[str, Any]) -> None:
    """Let wrong calls of a package's public classes and functions raise `ArgumentError`.

    What goes wrong inside of a right call is left as it is.

    Parameters
    ----------
    package : dict
        The ``globals()`` of a package, at the end of its ``__init__``.
    """
    for name in package["__all__"]:
        public = package[name]
        if inspect.isclass(public):
            init = vars(public).get("__init__")
            if init is not None and not hasattr(init, DONE):
                made = _checked(init, name, method=True, elsewhere=getattr(public, "elsewhere", {}))
                setattr(public, "__init__", made)  # noqa: B010 - mypy forbids the plain way
            for other, made in list(vars(public).items()):  # other ways to make one
                if not isinstance(made, classmethod) or other.startswith("_"):
                    continue
                if not hasattr(made.__func__, DONE):
                    setattr(public, other, classmethod(_checked(made.__func__, f"{name}.{other}", method=True)))
        elif inspect.isfunction(public) and not hasattr(public, DONE):
            package[name] = _checked(public, name, method=False)
            setattr(sys.modules[public.__module__], name, package[name])  # one object, wherever it is looked for


def _checked(
    function: Callable[..., Any], name: str, method: bool, elsewhere: Mapping[str, str] = MappingProxyType({})
) -> Callable[..., Any]:
    signature = inspect.signature(function)
    own = [p.name for p in signature.parameters.values() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)][method:]

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        try:
            return function(*arguments, **options)
        except ArgumentError as error:  # of what **options go to
            unknown = getattr(error, "unknown", None)
            if unknown not in options or unknown in own or name == error.subject:
                raise
            raise _error(name, [*own, *error.known], options, unknown) from None
        except TypeError as error:
            if isinstance(error, BrianLearnError):
                raise
            try:
                signature.bind(*arguments, **options)
            except TypeError as wrong:
                unknown = next((option for option in options if option not in own), None)
                raise _error(name, own, options, unknown, wrong, elsewhere.get(unknown or "")) from None
            raise

    setattr(call, DONE, True)
    return call


def _error(
    name: str,
    known: list[str],
    options: dict[str, Any],
    unknown: str | None,
    wrong: TypeError | None = None,
    remedy: str | None = None,
) -> ArgumentError:
    known = list(dict.fromkeys(known))
    expected = ", ".join(known) or "no arguments"
    if unknown is None:
        return ArgumentError(name, f"it cannot be called like this: {wrong}", expected=expected)
    error = ArgumentError(
        name,
        f"it has no argument {unknown!r}",
        got=f"{unknown}={options[unknown]!r}",
        expected=expected,
        remedy=remedy or did_you_mean(unknown, known),
    )
    error.unknown, error.known = unknown, known
    return error
