"""What this machine can run, and how to get what is missing. Needs neither Brian2 nor numpy to be in order."""

from __future__ import annotations

import importlib
import importlib.util
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from brianlearn.errors import BrianLearnError
from brianlearn.machine.environment import package_version
from brianlearn.machine.genn_setup import GENN_DEVICES, genn_requirements
from brianlearn.machine.leftovers import temporary_folder

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Finding", "examine", "show"]

_GET_COMPILER = (
    "Debian, Ubuntu: apt-get install g++ make; macOS: xcode-select --install; conda: conda install cxx-compiler"
)


@dataclass(frozen=True)
class Finding:
    """One thing that was looked for.

    Attributes
    ----------
    name : str
    ok : bool
    found : str
        What is there, or why it does not work.
    remedy : str
        How to get it, where it is missing.
    needed : bool
        Whether nothing runs without it.
    """

    name: str
    ok: bool
    found: str
    remedy: str = ""
    needed: bool = False


#: Brian2 2.9 and older do not import with numpy 2.4.
_FITTING_NUMPY = "pip install 'numpy<2.4'; or, on Python 3.12 and newer, pip install 'brian2>=2.10'"


def examine() -> list[Finding]:
    """Look at everything that brianlearn can use.

    Returns
    -------
    list of Finding
    """
    python = list(_python())
    if not all(finding.ok for finding in python):  # devices and data sets cannot be looked for without Brian2
        return [*python, *_genn(), *_torch()]
    return [*python, *_compiler(), *_genn(), *_torch(), *_data()]


def show(findings: list[Finding], console: Console, verbose: bool = True) -> None:
    """Print a table of findings, one line each; how to get what is missing where it is needed, or asked for."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, min_width=len("missing"))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold" if verbose else "ellipsis", no_wrap=not verbose)
    for finding in findings:
        mark, style = ("ok", "green") if finding.ok else ("missing", "red" if finding.needed else "yellow")
        table.add_row(Text(mark, style), Text(finding.name), Text(finding.found if verbose else _short(finding.found)))
    console.print(table)
    missing = [finding for finding in findings if not finding.ok]
    if missing:
        console.print(
            "\nTo get what is missing" + ("" if any(f.needed for f in missing) else " (none of it is needed)")
        )
    shown = missing if verbose else [finding for finding in missing if finding.needed]
    if len(shown) < len(missing):
        console.print("  brianlearn doctor --verbose says how", highlight=False)
    for finding in shown:
        console.print(Text.assemble(("  " + finding.name, "bold"), f": {finding.remedy}"))


def _short(text: str) -> str:
    """The first of several reasons."""
    first, more, _ = text.partition("; ")
    return f"{first}, and more" if more else first.partition("\n")[0]


def _python() -> Iterator[Finding]:
    yield Finding(
        "Python",
        sys.version_info >= (3, 11),
        platform.python_version(),
        "install Python 3.11 or newer",
        needed=True,
    )
    for name in ("numpy", "scipy", "brian2"):
        version = package_version(name)
        if version is None:
            yield Finding(name, False, "not installed", f"pip install {name}", needed=True)
            continue
        try:
            importlib.import_module(name)
        except Exception as error:  # whatever an installation that does not fit raises
            remedy = "pip install --upgrade scipy" if name == "scipy" else _FITTING_NUMPY
            yield Finding(name, False, f"{version}, cannot be imported: {error}", remedy, needed=True)
            continue
        brian2 = package_version("brian2")
        too_new = name == "numpy" and brian2 is not None and _two(version) >= (2, 4) and _two(brian2) < (2, 10)
        text = f"{version}, newer than Brian2 {brian2} knows" if too_new else version
        yield Finding(name, not too_new, text, _FITTING_NUMPY, needed=True)


def _two(version: str) -> tuple[int, ...]:
    """Major and minor number of a version."""
    return tuple(int(part) for part in version.split(".")[:2])


def _compiler() -> Iterator[Finding]:
    from brianlearn.machine.devices import compiler_version, find_compiler, has_run_arguments

    path = find_compiler()
    error = "no g++ on the PATH" if path is None else _compile(path)
    works = error is None
    text = compiler_version() if works else str(error)
    yield Finding("C++ compiler", works, text, _GET_COMPILER)
    make = shutil.which("make")
    found, remedy = _what(works, make is not None, "make"), _GET_COMPILER
    if not has_run_arguments():
        found, remedy = f"brian2 {package_version('brian2')}, expected 2.6 or newer", "pip install 'brian2>=2.6'"
    yield Finding("device cpp_standalone", works and make is not None and has_run_arguments(), found, remedy)
    cython, header = package_version("cython"), Path(sysconfig.get_path("include"), "Python.h").is_file()
    missing = [name for name, there in (("C++ compiler", works), ("cython", cython), ("Python.h", header)) if not there]
    text = f"cython {cython}" if not missing else f"no {', no '.join(missing)}"
    yield Finding(
        "device cython", not missing, text, f"pip install cython; {_GET_COMPILER}; Python headers: python3-dev"
    )


def _what(compiler: bool, other: bool, name: str) -> str:
    missing = [text for text, there in (("C++ compiler", compiler), (name, other)) if not there]
    return f"no {', no '.join(missing)}" if missing else f"compiler and {name}"


def _compile(compiler: str) -> str | None:
    """Compile and run a tiny program; None, or what went wrong."""
    with temporary_folder(Path(tempfile.gettempdir(), "brianlearn-doctor")) as folder:
        source, program = Path(folder, "tiny.cpp"), Path(folder, "tiny")
        source.write_text("#include <vector>\nint main() { return int(std::vector<int>(3).size()) - 3; }\n")
        try:
            for command in ([compiler, "-O2", str(source), "-o", str(program)], [str(program)]):
                done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
                if done.returncode:
                    return f"{compiler} does not work: {(done.stderr or done.stdout).strip()[:200]}"
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{compiler} does not work: {error}"
    return None


def _genn() -> Iterator[Finding]:
    """What the devices of GeNN need; one line each, and one for each device."""
    requirements = genn_requirements()
    for requirement in requirements:
        if requirement.name in ("brian2genn", "GeNN", "CUDA"):  # what nothing else needs
            yield Finding(requirement.name, requirement.ok, requirement.found, requirement.remedy)
    for device in GENN_DEVICES:
        lacking = [r for r in requirements if not r.ok and (device == "genn" or not r.gpu)]
        found = "; ".join(f"{r.found} (expected: {r.expected})" for r in lacking) or "all that it needs"
        remedies = list(dict.fromkeys(r.remedy for r in lacking))
        yield Finding(f"device {device}", not lacking, found, "; ".join(remedies))


def _torch() -> Iterator[Finding]:
    yield _optional("torch", "torch numba")
    program = shutil.which("nvidia-smi")
    remedy = "an NVIDIA GPU with its driver; no part of this version needs one"
    if program is None:
        yield Finding("GPU", False, "no nvidia-smi on the PATH", remedy)
        return
    query = [program, "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
        text = (done.stdout if done.returncode == 0 else done.stderr or done.stdout).strip()
        yield Finding("GPU", done.returncode == 0 and bool(text), text or "none", remedy)
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Finding("GPU", False, str(error), remedy)


def _optional(package: str, together: str) -> Finding:
    found = importlib.util.find_spec(package) is not None
    return Finding(
        package,
        found,
        package_version(package) or "installed" if found else "not installed",
        f"pip install {together}",
    )


def _data() -> Iterator[Finding]:
    """All data sets of the registry."""
    from brianlearn.data.registry import entry, known_data

    there = importlib.util.find_spec("sklearn") is not None
    for name in known_data():
        known = entry(name)
        if known.find is None:
            found = "built into scikit-learn" if there else "no scikit-learn"
            yield Finding(f"data {name}", there, found, "pip install scikit-learn")
            continue
        remedy = f"`brianlearn data fetch {name}`, or its folder under $BRIANLEARN_DATA"
        try:
            folder = known.find(None)
        except BrianLearnError as error:
            yield Finding(f"data {name}", False, error.problem, error.remedy or remedy)
            continue
        yield Finding(f"data {name}", folder is not None, str(folder or "not on this machine"), remedy)
