"""Compiling a project of Brian2GeNN: GeNN generates its kernels, a compiler makes one program of them and of Brian2's.

Brian2GeNN compiles some twenty files one after the other; nearly all of that time goes to the same headers. Here the
code objects are one file, and what runs once per program is compiled without optimisation. Where that does not compile,
Brian2GeNN's own makefile does the work, and a warning says so.
"""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import IO

from brianlearn.brian.cpp.building import compile_jobs
from brianlearn.brian.cpp.compile import complaint, run_parallel, warn_of_fallback
from brianlearn.errors import DeviceError
from brianlearn.machine.child import call
from brianlearn.machine.devices import find_compiler
from brianlearn.machine.genn_setup import genn_folder

__all__ = ["compile_genn_project"]

_KERNELS = "magicnetwork_model_CODE"
#: Written and read once per run: not worth optimising.
_ONCE = ("objects.cpp",)


def compile_genn_project(folder: Path, *, gpu: bool) -> None:
    """Let GeNN generate its kernels and compile the program ``main``.

    Parameters
    ----------
    folder : pathlib.Path
        As `brianlearn.brian.genn.device.generate_project` left it.
    gpu : bool

    Raises
    ------
    DeviceError
        With the end of the output.

    Warns
    -----
    BrianLearnWarning
        With the compiler's message, if the quick way failed and Brian2GeNN's makefile compiled the program.
    """
    genn = genn_folder()
    assert genn is not None
    include = os.pathsep.join([str(folder), str(folder / "brianlib" / "randomkit")])
    generate = [str(genn / "bin" / "genn-buildmodel.sh"), *([] if gpu else ["-c"]), "-i", include]
    log = folder / "compile.log"
    with open(log, "w") as output:
        done = _call([*generate, "magicnetwork_model.cpp"], folder, output)
        if done and not _merged(folder, output):
            said = complaint(log)
            done = _call(["make"], folder, output)
            if done:
                warn_of_fallback("genn" if gpu else "genn-cpu", said)
    if not done or not (folder / "main").exists():
        raise DeviceError(
            "genn" if gpu else "genn-cpu",
            "GeNN's project could not be compiled",
            got=log.read_text(errors="replace")[-3000:],
            expected="a program",
            remedy="brianlearn doctor says whether GeNN, compiler and CUDA are there",
        )


def _call(command: list[str], folder: Path, output: IO[str]) -> bool:
    return call(command, folder, output) == 0


def _merged(folder: Path, output: IO[str]) -> bool:
    """Compile with the code objects in one file."""
    compiler = find_compiler()
    makefile = (folder / "Makefile").read_text()
    flags = re.search(r"^CXXFLAGS\s*\+=(.*)$", makefile, re.MULTILINE)
    files = re.search(r"^main: (.*)$", makefile, re.MULTILINE)
    if compiler is None or flags is None or files is None:
        return False
    optimised = shlex.split(flags[1])
    once = [*(flag for flag in optimised if not flag.startswith("-O")), "-O0"]
    sources = [name for name in files[1].split() if name.endswith((".cpp", ".cc"))]
    parts = [name for name in sources if name.startswith("code_objects/")]
    (folder / "merged.cpp").write_text("".join(f'#include "{name}"\n' for name in parts))
    names = ["merged.cpp", *(name for name in sources if name not in parts)]
    objects = [f"{Path(name).stem}.o" for name in names]
    commands = [
        [compiler, "-c", *(once if name in _ONCE else optimised), name, "-o", made]
        for name, made in zip(names, objects, strict=True)
    ]
    link = [compiler, *objects, "-o", "main", f"-L{_KERNELS}", "-lrunner", f"-Wl,-rpath,{_KERNELS}"]
    with compile_jobs() as jobs:
        return (
            _call(["make", f"-j{jobs}", "-C", _KERNELS], folder, output)
            and run_parallel(commands, jobs, folder, output)
            and run_parallel([link], 1, folder, output)
        )
