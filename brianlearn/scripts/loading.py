"""Network scripts: where they are, and the experiment that one defines."""

from __future__ import annotations

import ast
import dataclasses
import runpy
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import brianlearn
from brianlearn.errors import BrianLearnError, SpecError, did_you_mean
from brianlearn.machine.interrupt import Terminated
from brianlearn.scripts.options import ScriptUsageError, option_names, script_options, usage

if TYPE_CHECKING:
    from brianlearn.training import Experiment

__all__ = [
    "call_experiment",
    "example_scripts",
    "find_example",
    "find_script",
    "load_experiment",
    "load_script",
    "run_script",
    "summary",
]

#: Where the example networks are: inside of an installed package, beside it in a clone.
_PACKAGE = Path(brianlearn.__file__).parent
_FOLDERS = (_PACKAGE / "network_specs", _PACKAGE.parent / "network_specs")
EXPECTED = "def experiment(): return bl.Experiment(...)"


def example_scripts() -> dict[str, Path]:
    """The example networks: name -> script."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    return {} if folder is None else {script.stem: script for script in sorted(folder.glob("*.py"))}


def summary(script: Path) -> str:
    """The first line of a script's docstring."""
    text = ast.get_docstring(ast.parse(script.read_bytes())) or ""
    return text.partition("\n")[0]


def find_example(name: str) -> Path:
    """The script of an example network.

    Raises
    ------
    SpecError
        If there is none of this name.
    """
    found = example_scripts()
    if name not in found:
        raise SpecError(
            f"example {name!r}",
            "there is no such example network",
            expected=", ".join(found) or "the folder network_specs beside the package, or inside of it",
            remedy=did_you_mean(name, found),
        )
    return found[name]


def find_script(script: Path) -> Path:
    """A network script by its path, or an example network by its name.

    Raises
    ------
    SpecError
        If there is neither.
    """
    if script.is_file():
        return script
    examples = example_scripts()
    name = script.name.removesuffix(".py")
    if name in examples and script.parent in (Path(), Path("network_specs")):
        return examples[name]
    near = did_you_mean(name, examples)
    raise SpecError(
        str(script),
        "there is no such network script",
        got="a folder" if script.is_dir() else None,
        expected="a Python file that defines experiment(), or an example network (`brianlearn examples` lists them)",
        remedy=near,
    )


def load_experiment(script: Path, arguments: Sequence[str], known: Sequence[str] = ()) -> Experiment:
    """The experiment of a network script, with the options of its own.

    Parameters
    ----------
    script : pathlib.Path
        Its path, or the name of an example network.
    arguments : sequence of str
        What the command line holds beside the options of the command.
    known : sequence of str, optional
        The options of the command, for errors that name the one that was meant.

    Raises
    ------
    SpecError
        No such script, one that fails, or one without an experiment.
    ScriptUsageError
        Arguments that the script does not take.
    """
    found = find_script(script)
    return call_experiment(load_script(found), str(found), arguments, known)


def load_script(script: Path) -> Any:
    """What a network script calls ``experiment``; the script is read before it runs.

    Raises
    ------
    SpecError
        A script that fails, that trains while it is loaded, or that does not define it.
    """
    try:
        tree = ast.parse(script.read_bytes(), filename=str(script))
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _failed(script, error) from error
    if not _may_bind(tree, "experiment"):
        raise _no_experiment(script, tree)
    names = run_script(script)
    if "experiment" not in names:
        raise _no_experiment(script, tree)
    return names["experiment"]


def run_script(script: Path) -> dict[str, Any]:
    """The names that a script defines; its classes and functions are then known to run folders.

    Raises
    ------
    SpecError
        A script that fails, or that trains while it is loaded.
    """
    from brianlearn.learning.functions import know_functions
    from brianlearn.network.storable import SCRIPT
    from brianlearn.training.loading import loading

    sys.path.insert(0, str(script.resolve().parent))  # as Python does for a script: it may import its neighbours
    try:
        with loading(str(script)):
            names = runpy.run_path(str(script), run_name=SCRIPT)
    except (BrianLearnError, Terminated):
        raise
    except (Exception, SystemExit) as error:
        raise _failed(script, error) from error
    know_functions(names)
    return names


def call_experiment(experiment: Any, script: str, arguments: Sequence[str], known: Sequence[str] = ()) -> Experiment:
    """The experiment that a script's ``experiment`` is or returns, with the options of the script's own.

    Raises
    ------
    SpecError
        If the function fails or returns something else.
    ScriptUsageError
        Arguments that the script does not take.
    """
    from brianlearn.training import Experiment

    name = Path(script).stem
    if callable(experiment):
        try:
            options = script_options(experiment, arguments, script)
        except ScriptUsageError as error:
            own = usage(experiment, script) or f"{Path(script).name} has no options of its own"
            raise ScriptUsageError(f"{error} ({own}){_meant(arguments, [*option_names(experiment), *known])}") from None
        try:
            experiment = experiment(**options)
        except (BrianLearnError, Terminated):
            raise
        except (Exception, SystemExit) as error:
            raise _failed(Path(script), error) from error
    elif arguments:
        text = f"unrecognized arguments: {' '.join(arguments)} ({Path(script).name} has no options of its own)"
        raise ScriptUsageError(text + _meant(arguments, known))
    if not isinstance(experiment, Experiment):
        raise SpecError(script, "experiment() gives no Experiment", got=repr(experiment), expected="bl.Experiment(...)")
    return experiment if experiment.name else dataclasses.replace(experiment, name=name)


def _meant(arguments: Sequence[str], known: Sequence[str]) -> str:
    """What to add to an error about arguments, where one of them is a misspelt option."""
    for argument in arguments:
        option = argument.partition("=")[0]
        if option.startswith("--") and option not in known:
            near = did_you_mean(option, known)
            return f"; {near}" if near else ""
    return ""


def _may_bind(tree: ast.Module, name: str) -> bool:
    """Whether running the module can give it a global of this name: bound in it, or in ways that cannot be read."""
    for node in _outside_functions(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names = [node.name]
            case ast.Name(ctx=ast.Store()):
                names = [node.id]
            case ast.Import() | ast.ImportFrom():
                names = [(alias.asname or alias.name).split(".")[0] for alias in node.names]
            case ast.MatchAs() | ast.MatchStar():
                names = [node.name or ""]
            case ast.Name(id="globals" | "exec" | "vars" | "locals"):
                return True
            case _:
                continue
        if name in names or "*" in names:
            return True
    return any(isinstance(node, ast.Global) and name in node.names for node in ast.walk(tree))


def _outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a module that run when it is imported."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield from _outside_functions(child)


def _no_experiment(script: Path, tree: ast.Module) -> SpecError:
    near = did_you_mean("experiment", [node.name for node in tree.body if isinstance(node, ast.FunctionDef)])
    trains = [
        node.lineno
        for node in _outside_functions(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("run", "learn")
    ]
    got = f"a script that trains by itself, in line {trains[0]}" if trains else "no function experiment()"
    remedy = f"run it with `python {script}`" if trains else (near or "`brianlearn new SCRIPT` writes one")
    return SpecError(str(script), "the script defines no experiment", got=got, expected=EXPECTED, remedy=remedy)


def _failed(script: Path, error: BaseException) -> SpecError:
    """The user's own error, with the line of the script where it was raised."""
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name == script.name]
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).name == script.name:
        lines.append(error.lineno)
    where = f"line {lines[-1]}: " if lines else ""
    return SpecError(
        str(script),
        "the network script fails",
        got=f"{where}{type(error).__name__}: {error}",
        expected="a script that defines experiment()",
    )
