"""Compiling a standalone project in a few translation units.

Brian2 writes one C++ file per code object and compiles each alone; nearly all of that time goes to the same headers,
once per file. Here the code objects are merged into one file per core, each with its helpers in a namespace of its own,
and the files that run once per program (loading and writing arrays) are compiled without optimisation. The code, the
list of files and the compiler's flags are those of the makefile that Brian2 wrote, whose version decides what is in
them. Where the merged program does not compile, that makefile does the work, and a warning says so: it takes several
times as long.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import IO

from brianlearn.brian.cpp.building import MOST_JOBS, compile_jobs
from brianlearn.errors import BrianLearnWarning, DeviceError
from brianlearn.machine.child import call, end, start
from brianlearn.machine.cores import core_count
from brianlearn.machine.devices import find_compiler
from brianlearn.telling import tell

__all__ = ["compile_project", "run_parallel"]

_HELPERS = "namespace {"
_BODY = "using namespace brian;"
#: Folder of the files that are merged.
_PARTS = "code_objects/"
#: Written and read once per run: not worth optimising.
_ONCE = ("objects.cpp", "main.cpp", "run.cpp")
#: Lines of a compiler's output that say what failed.
_COMPLAINT = re.compile(r"error|undefined reference|No such file|cannot find", re.IGNORECASE)


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

    Warns
    -----
    BrianLearnWarning
        With the compiler's message, if the quick way failed and Brian2's makefile compiled the program.
    """
    log = folder / "compile.log"
    if _compile_merged(folder, log):
        return
    said = complaint(log)
    if _make(folder, log):
        warn_of_fallback("cpp_standalone", said)
        return
    raise DeviceError(
        "cpp_standalone",
        "the C++ compiler failed",
        got=log.read_text(errors="replace")[-2000:],
        expected="a program",
        remedy="brianlearn doctor says whether the compiler works; device='numpy' needs none",
    )


def complaint(log: Path) -> str:
    """The first line in which a compiler or linker said what failed, else the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return next((line for line in lines if _COMPLAINT.search(line)), lines[-1] if lines else "nothing was said")


def warn_of_fallback(device: str, said: str) -> None:
    """Say that the project's own makefile compiled what should have been compiled in a few files."""
    problem = (
        "the program did not compile in a few large files, so the makefile of its project compiled it, with the "
        f"same results in several times the time. The compiler said: {said}"
    )
    tell(BrianLearnWarning(f"device {device!r}", problem))


def _variable(folder: Path, name: str) -> list[str]:
    """The words of a variable of the makefile that Brian2 wrote, without references to other variables."""
    text = (folder / "makefile").read_text().replace("\\\n", " ")
    match = re.search(rf"^{name} *=(.*)$", text, re.MULTILINE)
    return [word for word in shlex.split(match[1] if match else "") if not word.startswith("$")]


def _merge(folder: Path, sources: list[str], parts: int) -> list[str]:
    """Write the files in ``sources`` into ``parts`` files of about the same size, and return their names."""
    paths = sorted((folder / source for source in sources), key=lambda path: -path.stat().st_size)
    names = []
    for part in range(min(parts, len(paths))):
        texts = []
        for number, source in enumerate(paths[part::parts]):
            helpers = f"helpers_{part}_{number}"
            text = source.read_text().replace(_HELPERS, f"namespace {helpers} {{", 1)
            texts.append(text.replace(_BODY, f"{_BODY}\n    using namespace {helpers};"))
        name = f"merged_{part}.cpp"
        (folder / name).write_text("\n".join(texts))
        names.append(name)
    return names


def _compile_merged(folder: Path, log: Path) -> bool:
    compiler = find_compiler()
    sources = _variable(folder, "SRCS")
    if compiler is None or not sources:
        log.write_text("no compiler" if compiler is None else "the makefile lists no sources")
        return False
    common = [flag for flag in _variable(folder, "CXXFLAGS") if flag != "-c"]
    optimised = _variable(folder, "OPTIMISATIONS")
    once = [flag for flag in optimised if not flag.startswith("-O")] + ["-O0"]
    merged = _merge(folder, [name for name in sources if name.startswith(_PARTS)], min(core_count(), MOST_JOBS))
    others = sorted((name for name in sources if not name.startswith(_PARTS)), key=_ONCE.__contains__)
    work = [(name, once if name in _ONCE else optimised) for name in [*merged, *others]]
    objects = [str(Path(name).with_suffix(".o")) for name, _ in work]
    commands = [
        [compiler, "-c", *common, *flags, name, "-o", output]
        for (name, flags), output in zip(work, objects, strict=True)
    ]
    link = [compiler, *objects, "-o", "main", *_variable(folder, "LFLAGS")]
    with open(log, "w") as output, compile_jobs() as jobs:
        return run_parallel(commands, jobs, folder, output) and run_parallel([link], 1, folder, output)


def run_parallel(commands: list[list[str]], jobs: int, folder: Path, output: IO[str]) -> bool:
    """Run commands, at most ``jobs`` at a time; whether all succeeded."""
    waiting, good = list(commands), True
    running: list[subprocess.Popen[bytes]] = []
    try:
        while waiting or running:
            while waiting and good and len(running) < jobs:
                running.append(start(waiting.pop(0), folder, output))
            if not running:
                break
            good = running[0].wait() == 0 and good
            end(running.pop(0))
    finally:  # Ctrl-C, a signal
        for process in running:
            end(process)
    return good


def _make(folder: Path, log: Path) -> bool:
    if shutil.which("make") is None:
        return False
    with open(log, "a") as output, compile_jobs() as jobs:
        status = call(["make", f"-j{jobs}"], folder, output)
    return status == 0 and (folder / "main").exists()
