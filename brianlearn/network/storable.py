"""What a file can name: the classes of this package, and classes of the user's own that a script has defined.

Every public base class (rules, losses, optimisers, encoders, layers, ...) is a `Storable`: its subclasses register
themselves when they are defined. A class of this package is stored by its short name; a class of the user's by the name
of its module and its own, ``net:Mine``. A file is opened with the classes that are registered then: reading one never
imports anything.

A script has the name under which it could be imported, ``net`` for ``net.py``, whether Python runs it, the command line
loads it or a worker of a study does: what one of them has written the others open.
"""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from types import CodeType
from typing import Any, ClassVar

from brianlearn.citing.references import Citable
from brianlearn.docstrings import show_inherited_fields
from brianlearn.errors import BrianLearnError, SpecError

__all__ = [
    "SCRIPT",
    "STUDY_SCRIPT",
    "Storable",
    "known_classes",
    "module_name",
    "not_storable",
    "stored_class",
    "stored_name",
]

#: What a script's module is called while the command line loads it.
SCRIPT = "brianlearn_script"
#: How the modules of the scripts of studies begin.
STUDY_SCRIPT = "brianlearn_study_"
_REMEDY = (
    "a run folder must say all that is needed to run again: use what the package has, or a dataclass at the top level "
    "of your script that is a subclass of bl.Rule, bl.Loss, bl.Optimiser, bl.Encoder, ...; a function as the reward is "
    "written `def name(...)` at the top level"
)


@dataclass(frozen=True)
class _Entry:
    """A class that a file can name, and the file that defines it."""

    cls: type
    file: str | None


#: Name in files -> the class; several where files of one name define different classes.
_classes: dict[str, list[_Entry]] = {}


class Storable(Citable):
    """Base class of what a run folder can hold.

    A subclass at the top level of a module is stored by its fields, as a dataclass: what ``__init__`` takes is what the
    file holds.
    """

    #: What is raised where an object of this kind is wrong.
    error_kind: ClassVar[type[BrianLearnError]] = SpecError
    _stored_name: ClassVar[str]

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        missing = getattr(cls, "__abstractmethods__", ())
        if missing:
            raise cls.error_kind(
                cls.__name__,
                "the class is abstract: it lacks methods",
                got=f"no {', '.join(sorted(missing))}",
                expected=f"a subclass of {_public_base(cls).__name__} that defines {', '.join(sorted(missing))}",
                remedy=f"see the example of brianlearn.{_public_base(cls).__name__}",
            )
        return super().__new__(cls)

    def __init_subclass__(cls, *, abstract: bool = False, stored_as: str | None = None, **options: Any) -> None:
        """Register the class.

        Parameters
        ----------
        abstract : bool
            Of this package: a base class, of which there are no objects.
        stored_as : str, optional
            Of this package: the name in files, where it is not that of the class.
        """
        super().__init_subclass__(**options)
        show_inherited_fields(cls)
        if abstract or "<locals>" in cls.__qualname__:
            return
        file = _file(cls.__module__)
        name = stored_as if stored_as is not None and _is_ours(cls) else _name(cls)
        cls._stored_name = name  # the module may be gone when it is asked for, as that of a script is
        others = [entry for entry in _classes.get(name, []) if entry.file != file]  # of this file, the newest
        if others and _is_ours(cls):
            raise TypeError(f"two classes of brianlearn are called {name}: {others[0].cls} and {cls}")
        _classes[name] = [*others, _Entry(cls, file)]


def known_classes() -> dict[str, type]:
    """What files can hold now: name -> class."""
    return {name: found[-1].cls for name, found in sorted(_classes.items())}


def stored_name(obj: Any) -> str:
    """The name of an object's class in files.

    Raises
    ------
    SpecError
        What cannot be stored, with what to do.
    """
    cls = type(obj)
    if not isinstance(obj, Storable):
        raise not_storable(obj)
    if "<locals>" in cls.__qualname__:
        raise not_storable(obj, f"the class is inside a function: move {cls.__name__} to the top level of its module")
    name = vars(cls).get("_stored_name")
    if name is None:
        raise not_storable(obj, "this is an abstract class: use one of its subclasses")
    if not _is_dataclass(cls):
        raise not_storable(
            obj, f"write @dataclass(frozen=True) above `class {cls.__name__}`, and its parameters as fields"
        )
    found = [entry.cls for entry in _classes[name]]
    if len(found) > 1 or not _same(found[0], cls):
        raise _ambiguous("to_dict", name)
    return name


def stored_class(name: Any, where: str) -> type:
    """The class of a name in a file.

    Parameters
    ----------
    name : object
        What the file says.
    where : str
        How errors name the file.

    Raises
    ------
    SpecError
        A name that is not known, or of several classes.
    """
    found = _classes.get(name, []) if isinstance(name, str) else []
    if len(found) > 1:
        raise _ambiguous(where, name)
    if found:
        return found[0].cls
    if isinstance(name, str) and name.count(":") == 1:
        module, _, own = name.partition(":")
        raise SpecError(
            where,
            "it holds an object of a class of your own that is not known here",
            got=name,
            expected=f"that your script has imported the module {module!r}, which defines the class {own}",
            remedy=f"`import {module}` before it is opened; on the command line give the script: brianlearn train "
            f"{module}.py --resume RUN, brianlearn evaluate RUN --script {module}.py" + _also_known(own),
        )
    raise SpecError(
        where,
        "unknown type",
        got=repr(name),
        expected=", ".join(known_classes()),
        remedy="the file is damaged, or from another version of brianlearn",
    )


def _also_known(own: str) -> str:
    others = [name for name in _classes if name.endswith(f":{own}")]
    return f" (known is: {', '.join(others)})" if others else ""


def _is_ours(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == "brianlearn"


def _name(cls: type) -> str:
    return cls.__name__ if _is_ours(cls) else f"{module_name(cls.__module__)}:{cls.__qualname__}"


def module_name(name: str) -> str:
    """The name under which the module of a class or function could be imported, also where it runs as a script.

    Parameters
    ----------
    name : str
        Its ``__module__``.
    """
    module = sys.modules.get(name)
    spec = getattr(module, "__spec__", None)
    if name in ("__main__", "__mp_main__") and spec is not None:  # python -m package.module
        return str(spec.name)
    file = _file(name)
    if file is not None and (name in ("__main__", "__mp_main__", SCRIPT) or name.startswith(STUDY_SCRIPT)):
        return Path(file).stem
    return name


def _file(module: str) -> str | None:
    file = getattr(sys.modules.get(module), "__file__", None)
    return None if file is None else str(Path(file).resolve())


def _public_base(cls: type) -> type:
    return next((base for base in cls.__mro__ if _is_ours(base)), cls)


def _is_dataclass(cls: type) -> bool:
    """Whether an object is what its fields say: its ``__init__`` is that of a dataclass."""
    if is_dataclass(cls) and vars(cls).get("made_from_fields"):  # with an __init__ of its own that takes them
        return True
    maker = next((base for base in cls.__mro__ if "__init__" in vars(base)), object)
    return is_dataclass(cls) and "__dataclass_fields__" in vars(maker) and maker.__dataclass_params__.init  # type: ignore[attr-defined]


def _same(a: type, b: type) -> bool:
    """Whether two classes are one definition that has run twice, as when a script is loaded again."""
    return a is b or _definition(a) == _definition(b)


def _definition(cls: type) -> Any:
    own = {name: _part(value) for name, value in vars(cls).items() if name not in _APART}
    return own, [base.__qualname__ for base in cls.__bases__]


#: Attributes of a class in which two runs of one definition differ, or which follow from others.
_APART = ("__module__", "__dict__", "__weakref__", "_abc_impl", "__dataclass_params__")


def _part(value: Any) -> Any:
    """A method's code; of other attributes what they are, but for where in memory."""
    value = getattr(value, "__func__", getattr(value, "fget", value))
    value = inspect.unwrap(value) if callable(value) else value
    code = getattr(value, "__code__", None)
    return code if isinstance(code, CodeType) else re.sub(r"0x[0-9a-f]+", "", repr(value))


def not_storable(obj: Any, remedy: str = _REMEDY) -> SpecError:
    """The error for what cannot be stored.

    Parameters
    ----------
    obj : object
    remedy : str, optional
    """
    return SpecError(
        "to_dict",
        "this cannot be stored in a file",
        got=f"{type(obj).__module__}.{type(obj).__qualname__}: {obj!r}"[:300],
        expected=f"numbers, quantities, arrays, one of {', '.join(sorted(_public_names()))}, "
        "or an object of a dataclass of your own at the top level of a module",
        remedy=remedy,
    )


def _public_names() -> set[str]:
    """The classes of this package, by what they are called now."""
    return {entry.cls.__name__ for found in _classes.values() for entry in found if _is_ours(entry.cls)}


def _ambiguous(where: str, name: str) -> SpecError:
    files = [entry.file or "an interactive session" for entry in _classes[name]]
    two = len(files) > 1
    return SpecError(
        where,
        f"two different classes have the name {name}",
        got=" and ".join(files) if two else "an object of an earlier definition of the class",
        expected="one class of this name in the process",
        remedy="give one of the files or classes another name" if two else "make the object again",
    )
