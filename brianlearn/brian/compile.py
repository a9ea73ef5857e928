"""Compiling a standalone project in a few translation units.

Brian2 writes one C++ file per code object and compiles each alone; nearly all of that time goes to the same headers,
once per file. Here the code objects are merged into one file per core, each with its helpers in a namespace of its own,
and the files that run once per program (loading and writing arrays) are compiled without optimisation. The code and the
compiler's flags are Brian2's. Where a merged file does not compile, Brian2's own makefile does the work.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from brianlearn.brian.compiler import find_compiler
from brianlearn.errors import DeviceError

__all__ = ["compile_project", "run_parallel"]

_HELPERS = "namespace {"
_BODY = "using namespace brian;"
#: Written and read once per run: not worth optimising.
_ONCE = ("objects.cpp", "main.cpp", "run.cpp")


def compile_project(folder: Path) -> None:
    """Compile the generated project in ``folder`` to the program ``main``.

    Parameters
    ----------
    folder : pathlib.Path
        As `CPPStandaloneDevice.build` left it.

    Raises
    ------
    DeviceError
        With the end of the compiler's output.
    """
    log = folder / "compile.log"
    if _compile_merged(folder, log) or _make(folder, log):
        return
    raise DeviceError(
        "cpp_standalone",
        "the C++ compiler failed",
        got=log.read_text(errors="replace")[-2000:],
        expected="a program",
        remedy="brianlearn doctor says whether the compiler works; device='numpy' needs none",
    )


def _flags(folder: Path, name: str) -> list[str]:
    """A variable of the makefile that Brian2 wrote."""
    match = re.search(rf"^{name} *=(.*)$", (folder / "makefile").read_text(), re.MULTILINE)
    text = match.group(1) if match else ""
    return [flag for flag in shlex.split(text) if not flag.startswith("$")]


def _merge(folder: Path, parts: int) -> list[str]:
    sources = sorted((folder / "code_objects").glob("*.cpp"), key=lambda path: -path.stat().st_size)
    names = []
    for part in range(parts):
        texts = []
        for number, source in enumerate(sources[part::parts]):
            helpers = f"helpers_{part}_{number}"
            text = source.read_text().replace(_HELPERS, f"namespace {helpers} {{", 1)
            texts.append(text.replace(_BODY, f"{_BODY}\n    using namespace {helpers};"))
        name = f"merged_{part}.cpp"
        (folder / name).write_text("\n".join(texts))
        names.append(name)
    return names


def _compile_merged(folder: Path, log: Path) -> bool:
    compiler = find_compiler()
    if compiler is None:
        return False
    common = [flag for flag in _flags(folder, "CXXFLAGS") if flag != "-c"]
    optimised = _flags(folder, "OPTIMISATIONS")
    once = [flag for flag in optimised if not flag.startswith("-O")] + ["-O0"]
    jobs = max(1, min(os.cpu_count() or 1, 8))
    work = [(name, once) for name in _ONCE]
    work = [(name, optimised) for name in [*_merge(folder, jobs), "network.cpp", "synapses_classes.cpp"]] + work
    objects = [name.replace(".cpp", ".o") for name, _ in work]
    commands = [
        [compiler, "-c", *common, *flags, name, "-o", output]
        for (name, flags), output in zip(work, objects, strict=True)
    ]
    link = [compiler, *objects, "-o", "main", *_flags(folder, "LFLAGS")]
    with open(log, "w") as output:
        return run_parallel(commands, jobs, folder, output) and run_parallel([link], 1, folder, output)


def run_parallel(commands: list[list[str]], jobs: int, folder: Path, output: object) -> bool:
    """Run commands, at most ``jobs`` at a time; whether all succeeded."""
    waiting, good = list(commands), True
    running: list[subprocess.Popen[bytes]] = []
    while waiting or running:
        while waiting and good and len(running) < jobs:
            running.append(
                subprocess.Popen(waiting.pop(0), cwd=folder, stdout=output, stderr=subprocess.STDOUT)  # type: ignore[call-overload]
            )
        if not running:
            break
        good = running.pop(0).wait() == 0 and good
    return good


def _make(folder: Path, log: Path) -> bool:
    if shutil.which("make") is None:
        return False
    with open(log, "a") as output:
        done = subprocess.run(
            ["make", f"-j{os.cpu_count() or 1}"], cwd=folder, stdout=output, stderr=subprocess.STDOUT, check=False
        )
    return done.returncode == 0 and (folder / "main").exists()
