"""What the trials of a study run: a function, found again by other processes and by a later ``resume``."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from brianlearn.errors import BrianLearnError, SpecError
from brianlearn.network.storable import SCRIPT, STUDY_SCRIPT

__all__ = ["Task", "load_script"]

#: What a script's function is called, in the order in which they are looked for.
FUNCTIONS = ("trial", "experiment")


@dataclass(frozen=True)
class Task:
    """A function of a study, by where it is.

    Attributes
    ----------
    name : str
        Of the function.
    script : str or None
        The Python file that defines it; None for a function of a module.
    module : str or None
        The module, where there is no script.
    path : str or None
        The folder that the module is found in.
    """

    name: str
    script: str | None = None
    module: str | None = None
    path: str | None = None

    @staticmethod
    def of(function: Callable[..., Any] | str | Path) -> Task:
        """The task for a function or a script.

        Parameters
        ----------
        function : callable or path-like
            A function at the top level of a script or module; or a script that defines ``trial()`` or
            ``experiment()``.

        Raises
        ------
        SpecError
            A function that other processes cannot find: one inside another function, a lambda, or of a notebook.
        """
        if isinstance(function, str | Path):
            names = load_script(Path(function))
            name = next((n for n in FUNCTIONS if callable(names.get(n))), None)
            if name is None:
                raise SpecError(
                    str(function),
                    "the script defines no function for a trial",
                    got=", ".join(sorted(n for n in names if not n.startswith("_"))) or "nothing",
                    expected="def experiment(...): return bl.Experiment(...), or def trial(...): return a dict",
                )
            return Task(name, script=str(Path(function).resolve()))
        if not callable(function):
            raise SpecError("Study", "this is no function", got=repr(function), expected="a function or a script")
        name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", None)
        if not name.isidentifier() or module is None:
            raise SpecError(
                "Study",
                "other processes cannot find this function",
                got=name or repr(function),
                expected="a function at the top level of a script or module",
                remedy="write it into a file of its own: bl.Study('file.py', axes=...)",
            )
        if module in ("__main__", SCRIPT) or module.startswith(STUDY_SCRIPT):
            file = inspect.getsourcefile(function)
            if file is None or not Path(file).is_file():
                raise SpecError(
                    "Study",
                    "other processes cannot find a function of a notebook or an interactive session",
                    got=name,
                    expected="a function of a file",
                    remedy="write it into a file (in a notebook: %%writefile trial.py): bl.Study('trial.py', axes=...)",
                )
            return Task(name, script=str(Path(file).resolve()))
        file = inspect.getsourcefile(function)
        depth = module.count(".") + (1 if file is not None and Path(file).name == "__init__.py" else 0)
        return Task(name, module=module, path=None if file is None else str(Path(file).resolve().parents[depth]))

    def function(self) -> Callable[..., Any]:
        """The function.

        Raises
        ------
        SpecError
            If it cannot be loaded.
        """
        if self.script is not None:
            found = load_script(Path(self.script)).get(self.name)
        else:
            assert self.module is not None
            if self.path is not None and self.path not in sys.path:
                sys.path.append(self.path)
            try:
                found = getattr(importlib.import_module(self.module), self.name, None)
            except ImportError as error:
                raise SpecError(f"module {self.module!r}", "it cannot be imported", got=str(error)) from error
        if not callable(found):
            raise SpecError(
                self.where,
                f"there is no function {self.name!r} any more",
                expected="the file that the study began with",
            )
        return found

    @property
    def where(self) -> str:
        """The script or the module."""
        return self.script or str(self.module)

    def digest(self) -> str | None:
        """A hash of the source; None where there is no file."""
        path = self.script
        if path is None:
            spec = importlib.util.find_spec(str(self.module))
            path = spec.origin if spec is not None else None
        try:
            return hashlib.sha256(Path(str(path)).read_bytes()).hexdigest()[:32]
        except OSError:
            return None

    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The parameters of the function."""
        return inspect.signature(self.function()).parameters


@cache
def _loaded(path: Path, digest: str) -> dict[str, Any]:
    """The names that a script defines; each version of it runs once in a process."""
    name = f"{STUDY_SCRIPT}{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and typing look there
    folder = str(path.parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as Python does for a script: it may import its neighbours
    try:
        spec.loader.exec_module(module)
    except BrianLearnError:
        raise
    except (Exception, SystemExit) as error:
        raise SpecError(
            str(path),
            "the script fails",
            got=f"{type(error).__name__}: {error}",
            expected="a script that can be loaded",
        ) from error
    return vars(module)


def load_script(path: Path) -> dict[str, Any]:
    """The names that a script defines, without what it does where it is run as a program.

    Raises
    ------
    SpecError
        If it is missing or fails.
    """
    path = path.resolve()
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise SpecError(
            str(path), "there is no such script", got=error.strerror or str(error), expected="a Python file"
        ) from None
    return _loaded(path, digest)
