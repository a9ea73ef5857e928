"""Who may know whom: folders import what is below them, and no module imports one that imports it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import brianlearn

PACKAGE = Path(brianlearn.__file__).parent
#: Everybody may know these: errors and how they are said, papers, and folders and signals of work that takes long.
COMMON = {"errors", "telling", "error_hook", "named_arguments", "docstrings", "renamed", "work", "machine", "citing"}
#: Folder -> what it may know beside itself and what is common.
MAY_KNOW = {
    "machine": {"errors"},
    "citing": {"errors", "named_arguments"},
    "network": set(),
    "learning": {"network"},
    "data": {"network"},
    "brian": {"network", "learning"},
    "discrete": {"network", "learning"},
    "training": {"network", "learning", "data", "brian", "discrete"},
    "scripts": {"network", "learning", "data", "training"},
    "study": {"network", "learning", "data", "brian", "discrete", "training", "scripts"},
    "plot": {"network", "learning", "training"},
    "report": {"network", "learning", "training", "study", "plot"},
    "interop": {"network", "learning", "training", "study"},
    "cli": {
        *("network", "learning", "data", "brian", "discrete", "training", "scripts", "study", "plot", "report"),
        "interop",
    },
}
#: Imports within functions that go up, each for one purpose: the doctor's list of data sets, a study's own report,
#: its heat map among the pictures, a run's picture, and the type of what a loss is computed from.
LATE = {
    ("machine.doctor", "data"),
    ("study.study", "report"),
    ("study.reporting", "report"),
    ("plot.heat_map", "report"),
    ("training.experiment", "report"),
    ("learning.losses", "discrete"),
    ("learning.value_losses", "discrete"),
}


def modules() -> dict[str, Path]:
    """Every module of the package by its name within it; a folder by its ``__init__``."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "network_specs":
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, late: bool) -> Iterator[str]:
    """What a module imports of the package when it is imported; ``late``: also within functions and for type checks."""

    def walk(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            for_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            if not late and (for_types or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)):
                continue
            if isinstance(child, ast.ImportFrom) and (child.module or "").split(".")[0] == "brianlearn":
                base = (child.module or "").removeprefix("brianlearn").lstrip(".")
                yield base
                yield from (f"{base}.{alias.name}".lstrip(".") for alias in child.names)
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
                yield from (name.removeprefix("brianlearn.") for name in names if name.startswith("brianlearn."))
            yield from walk(child)

    return walk(ast.parse(path.read_text(encoding="utf-8")))


def graph() -> dict[str, set[str]]:
    """Module -> modules that it imports when it is imported, without the lists of names in ``__init__``."""
    known = modules()
    files = {name: path for name, path in known.items() if path.name != "__init__.py"}
    return {name: {o for o in imports(path, late=False) if o in files and o != name} for name, path in files.items()}


def test_a_folder_knows_what_is_below_it():
    known = modules()
    wrong = []
    for name, path in known.items():
        room = name.split(".")[0]
        if room not in MAY_KNOW:
            continue
        allowed = {room, *MAY_KNOW[room], *(COMMON if room not in ("machine", "citing") else ())}
        for other in imports(path, late=True):
            target = other.split(".")[0]
            if other in known and target and target not in allowed and (name, target) not in LATE:
                wrong.append(f"{name} imports {other}")
    assert wrong == []


def test_every_folder_has_its_place():
    assert {name.split(".")[0] for name in modules() if "." in name} == set(MAY_KNOW)


def test_no_module_imports_one_that_imports_it():
    tuple(TopologicalSorter(graph()).static_order())  # raises CycleError with the circle


def test_stages_of_the_engines_follow_one_another():
    """Folders of an engine: none imports one that imports it; what is beside them imports all of them."""

    def stage(name: str) -> str:
        return name.rsplit(".", 1)[0] if name.count(".") > 1 else name

    stages: dict[str, set[str]] = {}
    for name, others in graph().items():
        engine = name.split(".")[0]
        if engine in ("brian", "discrete"):
            known = {stage(other) for other in others if other.split(".")[0] == engine}
            stages.setdefault(stage(name), set()).update(known - {stage(name)})
    assert {"brian.build", "brian.run", "brian.cpp", "discrete.step", "discrete.maps", "discrete.run"} <= set(stages)
    tuple(TopologicalSorter(stages).static_order())
