"""Functions of the user's own that a file can name, as it names their classes: by module and name.

A function becomes known when it is given to a part of an experiment (`bl.Reward`), or when a script that holds it is
loaded. A file is opened with the functions that are known then: reading one imports nothing, and calls nothing that the
user has not given to the package.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

from brianlearn.errors import SpecError
from brianlearn.network.storable import SCRIPT, module_name, not_storable

__all__ = ["function_name", "know_function", "know_functions", "stored_function"]

#: Name in files -> the function, the newest of its name.
_known: dict[str, Callable[..., Any]] = {}


def know_function(function: Callable[..., Any]) -> None:
    """Remember a function, so that files can name it; what is no function at the top level of a module is passed over.

    Parameters
    ----------
    function : callable
    """
    if isinstance(function, FunctionType) and function.__qualname__.isidentifier():
        _known[_name(function)] = function


def know_functions(names: Mapping[str, Any]) -> None:
    """Remember the functions that a script defines or imports, but for those of this package.

    Parameters
    ----------
    names : mapping
        Of the script.
    """
    for found in names.values():
        if isinstance(found, FunctionType) and found.__module__.partition(".")[0] != "brianlearn":
            know_function(found)


def function_name(function: Any) -> str:
    """The name of a function in files, ``module:name``.

    Raises
    ------
    SpecError
        A lambda, a function inside of a function, a method, an object with ``__call__``; or one that no part of an
        experiment takes.
    """
    top = isinstance(function, FunctionType) and function.__qualname__.isidentifier()
    if not top or _name(function) not in _known:
        raise not_storable(function)
    return _name(function)


def stored_function(name: Any, where: str) -> Callable[..., Any]:
    """The function of a name in a file.

    Parameters
    ----------
    name : object
        What the file says.
    where : str
        How errors name the file.

    Raises
    ------
    SpecError
        A name that is not known.
    """
    if isinstance(name, str) and name in _known:
        return _known[name]
    module, _, own = name.partition(":") if isinstance(name, str) else ("", "", "")
    if not own.isidentifier():
        raise SpecError(where, "damaged function", got=repr(name)[:200], expected="module:name")
    raise SpecError(
        where,
        "it holds a function of your own that is not known here",
        got=name,
        expected=f"that your script defines {own!r}, or imports it from {module!r}",
        remedy=f"on the command line give the script: brianlearn train {module}.py --resume RUN, brianlearn evaluate "
        f"RUN --script {module}.py; in Python make the object that takes it first, e.g. bl.Reward({own})",
    )


def _name(function: FunctionType) -> str:
    module = function.__module__
    gone = module == SCRIPT and module not in sys.modules  # once a script has been loaded
    return f"{Path(function.__code__.co_filename).stem if gone else module_name(module)}:{function.__qualname__}"
