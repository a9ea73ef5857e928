"""Everything that needs an NVIDIA GPU, in one command and in under nine minutes: ``make gpu``.

    python tools/gpu.py                one JSON and one table, in runs/gpu/
    python tools/gpu.py --rehearse     the same on the CPU, with tiny sizes
    python tools/gpu.py --parts        what to carry to a machine without a network, and how to fetch it

It is run by a Python that has PyTorch with CUDA, and makes two environments of its own: ``.venv-gpu``, which sees all
that this Python has installed, and ``.venv-gpu-genn`` with the older Brian2 that Brian2GeNN needs. Wheels are taken
from gpu-parts/ and gpu-parts/genn-wheels/ where those folders are there, else from the package index. Each part has a
time limit of its own, and all of them together have one; a part that fails, takes too long or lacks something is said
in the table, and the others go on. Uses the standard library alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import site
import subprocess
import sys
import sysconfig
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CARRIED = ROOT / "gpu-parts"
GENN_WHEELS = CARRIED / "genn-wheels"
GENN_FOLDER = CARRIED / "genn"
#: Seconds for all parts together.
TOTAL = 530
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
TESTS = ["hypothesis", "pytest", "pytest-timeout"]
NEEDED = [*PROJECT["dependencies"], *TESTS]
#: The libraries that are compared with, and the kernels of the CPU that the GPU is compared with.
OPTIONAL = ["numba", "snntorch==1.0.0", "spikingjelly==2.0.0", "norse==1.1.0"]
#: The environment of GeNN has the versions that Brian2GeNN needs, and no need of plots and data sets.
LEFT_OUT = ("brian2", "matplotlib", "numpy", "pooch", "scikit-learn")
GENN_NEEDED = [
    "brian2==2.5.4",
    "brian2genn==1.7.0",
    *(name for name in PROJECT["optional-dependencies"]["genn"] if not name.startswith("brian2")),
    *(name for name in PROJECT["dependencies"] if not name.startswith(LEFT_OUT)),
    *TESTS,
]
#: GeNN 4.9.0 is written for CUDA 11 and 12. Since 13 this function of the driver has one more parameter.
OLD_CALL = "CHECK_CU_ERRORS(cuCtxCreate(&cuContext, 0, cuDevice));"
NEW_CALL = "CHECK_CU_ERRORS(cuCtxCreate(&cuContext, nullptr, 0, cuDevice));"


@dataclass
class Part:
    """One thing that is run.

    Attributes
    ----------
    name : str
    seconds : int
        Its time limit.
    command : list of str
    missing : str
        Why it cannot be run; empty if it can.
    read : callable
        Given the text that it printed, returns numbers for the JSON and a line for the table.
    environment : dict
        Environment variables that it needs beside those that are set.
    """

    name: str
    seconds: int
    command: list[str]
    missing: str
    read: Callable[[str], tuple[Any, str]]
    environment: dict[str, str] = field(default_factory=dict)


# what is here ---------------------------------------------------------------------------------------------------------


def ask(command: list[str], seconds: int = 60) -> str:
    """What a program prints; empty if it is not there, fails or takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def machine() -> dict[str, Any]:
    """The GPU and the versions that a result depends on."""
    code = "import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available(), sep='\\n')"
    torch = ask([sys.executable, "-c", code]).splitlines()
    return {
        "gpu": ask(["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]),
        "python": platform.python_version(),
        "torch": torch[0] if torch else "",
        "torch_cuda": torch[1] if len(torch) == 3 else "",
        "cuda_works": len(torch) == 3 and torch[2] == "True",
        "nvcc": (ask(["nvcc", "--version"]).splitlines() or [""])[-1],
        "cpus": os.cpu_count(),
        "platform": platform.platform(),
        "commit": ask(["git", "-C", str(ROOT), "rev-parse", "HEAD"]),
    }


def cuda_folder() -> Path | None:
    """The CUDA toolkit: what CUDA_PATH or CUDA_HOME names, where nvcc is, or the usual place."""
    nvcc = shutil.which("nvcc")
    places = [os.environ.get("CUDA_PATH"), os.environ.get("CUDA_HOME")]
    places += [str(Path(nvcc).resolve().parent.parent) if nvcc else None, "/usr/local/cuda"]
    return next((Path(p) for p in places if p and (Path(p) / "bin" / "nvcc").is_file()), None)


def cuda_version(folder: Path) -> int:
    """Major version of a CUDA toolkit, 0 where it does not say."""
    found = re.search(r"release (\d+)\.", ask([str(folder / "bin" / "nvcc"), "--version"]))
    return int(found[1]) if found else 0


# environments ---------------------------------------------------------------------------------------------------------


def pip(python: Path, wheels: Path, packages: list[str], log: Path, *options: str) -> str:
    """Install packages for an interpreter; what went wrong, empty if nothing did."""
    source = ["--no-index", "--find-links", str(wheels)] if wheels.is_dir() else ["--retries", "0", "--timeout", "10"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-compile",
        *source,
        *options,
        *packages,
    ]
    with open(log, "a") as output:
        try:
            done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            return "pip took more than 300 s"
    if done.returncode == 0:
        return ""
    errors = [line for line in log.read_text(errors="replace").splitlines() if "ERROR" in line]
    return errors[0] if errors else f"pip failed, see {log}"


def environment(folder: Path, wheels: Path, packages: list[str], log: Path, *, inherit: bool) -> str:
    """Make an environment; what went wrong, empty if nothing did."""
    if (folder / ".complete").exists():
        return ""
    done = subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--clear", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        return f"python -m venv failed: {(done.stderr or done.stdout).strip()[-300:]}"
    if inherit:  # not --system-site-packages, which would leave out the packages of a Python that is a venv itself
        base = {"base": str(folder), "platbase": str(folder)}
        target = Path(sysconfig.get_path("purelib", "venv", vars=base))
        paths = [path for path in (*site.getsitepackages(), site.getusersitepackages()) if Path(path).is_dir()]
        # with what their own .pth files do: setuptools brings distutils by one
        (target / "parent.pth").write_text("".join(f"import site; site.addsitedir({path!r})\n" for path in paths))
    problem = pip(folder / "bin" / "python", wheels, packages, log)
    if not problem:
        (folder / ".complete").touch()
    return problem


def mend_genn(genn: Path, output: Path) -> Path:
    """A copy of GeNN with the call that CUDA 13 wants, where it has the old one."""
    source = Path("src", "genn", "backends", "cuda", "optimiser.cc")
    if not (genn / source).is_file() or OLD_CALL not in (genn / source).read_text():
        return genn
    copy = output / "genn-for-cuda-13"
    if not copy.exists():
        shutil.copytree(genn, copy, ignore=shutil.ignore_patterns(".git", "obj", "lib"))
    (copy / source).write_text((genn / source).read_text().replace(OLD_CALL, NEW_CALL))
    return copy


# the parts ------------------------------------------------------------------------------------------------------------


def tests(python: Path, name: str, output: Path, *selection: str) -> tuple[list[str], Callable[[str], tuple[Any, str]]]:
    """A command that runs tests, and what reads its result."""
    xml = output / f"{name}.xml"
    xml.unlink(missing_ok=True)
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={xml}", *selection]

    def read(text: str) -> tuple[Any, str]:
        suite = next(iter(ElementTree.parse(xml).getroot().iter("testsuite")))
        n = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
        passed = n["tests"] - n["failures"] - n["errors"] - n["skipped"]
        line = f"{passed} passed, {n['failures'] + n['errors']} failed, {n['skipped']} skipped"
        if not passed and n["skipped"]:
            line += f": {next(suite.iter('skipped')).get('message', '')}"
        failed = [
            f"{case.get('classname')}.{case.get('name')}"
            for case in suite.iter("testcase")
            if case.find("failure") is not None
        ]
        return n | {"passed": passed, "failed": failed}, line

    return command, read


def peers(file: Path) -> Callable[[str], tuple[Any, str]]:
    """What reads the numbers of benchmarks/peers.py."""

    def read(text: str) -> tuple[Any, str]:
        found = json.loads(file.read_text())
        lines = []
        for name, numbers in found.items():
            ours = numbers["seconds"].get("brianlearn")
            others = ", ".join(f"{k} {1e3 * t:.3g}" for k, t in numbers["seconds"].items() if k != "brianlearn")
            lines.append(
                f"{name}: {1e3 * ours:.3g} ms" + (f" ({others})" if others else "") if ours else f"{name}: failed"
            )
        return found, "; ".join(lines)

    return read


def dalton(file: Path) -> Callable[[str], tuple[Any, str]]:
    """What reads the numbers of benchmarks/genn.py."""

    def read(text: str) -> tuple[Any, str]:
        found = json.loads(file.read_text())
        lines = [f"{device} {min(r['seconds'] for r in results):.3g} s" for device, results in found.items() if results]
        return found, "per 1000 steps: " + ", ".join(lines)

    return read


@dataclass
class Place:
    """An interpreter, the environment variables that it needs, and what it lacks."""

    python: Path
    missing: str = ""
    environment: dict[str, str] = field(default_factory=lambda: {"PYTHONPATH": str(ROOT)})


def discrete_place(output: Path) -> Place:
    """Where the discrete engine runs on a GPU, made if it is not there yet."""
    place = Place(ROOT / ".venv-gpu/bin/python")
    place.missing = environment(place.python.parent.parent, CARRIED, NEEDED, output / "pip.log", inherit=True)
    for package in [] if place.missing else OPTIONAL:
        pip(place.python, CARRIED, [package], output / f"pip-{package.split('=')[0]}.log")
    return place


def genn_folder() -> tuple[Path, str]:
    """The folder of GeNN, and what is wrong with it."""
    named = os.environ.get("GENN_PATH")
    genn = Path(named) if named else GENN_FOLDER
    if (genn / "version.txt").is_file():
        return genn, ""
    return genn, f"no GeNN: {'GENN_PATH=' + named if named else 'GENN_PATH is not set, and gpu-parts/genn'} holds none"


def genn_place(output: Path) -> Place:
    """Where GeNN's CUDA backend runs, made if it is not there yet."""
    place = Place(ROOT / ".venv-gpu-genn/bin/python")
    genn, place.missing = genn_folder()
    cuda = cuda_folder()
    if place.missing or cuda is None:
        place.missing = place.missing or "no CUDA toolkit: no nvcc on the PATH, and CUDA_PATH names none"
        return place
    if cuda_version(cuda) >= 13:
        genn = mend_genn(genn, output)
    links = [str(cuda / "lib64"), str(cuda / "lib64" / "stubs"), os.environ.get("LIBRARY_PATH", "")]
    place.environment |= {
        "GENN_PATH": str(genn),
        "CUDA_PATH": str(cuda),
        "LIBRARY_PATH": ":".join(filter(None, links)),
        "BRIANLEARN_CACHE": str(output / "cache"),
    }
    folder = place.python.parent.parent
    place.missing = environment(folder, GENN_WHEELS, GENN_NEEDED, output / "pip-genn.log", inherit=False)
    return place


def rehearsal_places() -> tuple[Place, Place]:
    """The environments that a clone has: one for everything, one for GeNN."""
    genn = Place(ROOT / ".venv-genn/bin/python")
    folder, genn.missing = genn_folder()
    genn.environment["GENN_PATH"] = str(folder)
    if not genn.missing and not genn.python.exists():
        genn.missing = "no environment for GeNN: make venv-genn"
    return Place(Path(sys.executable)), genn


def places(output: Path, here: dict[str, Any], *, rehearse: bool) -> tuple[Place, Place]:
    """Where the discrete engine and Brian2 run, and where GeNN runs."""
    if rehearse:
        return rehearsal_places()
    if not here["cuda_works"]:
        why = "torch sees no GPU" if here["torch"] else f"no torch in {sys.executable}: make gpu PYTHON=..."
        return Place(Path(), why), Place(Path(), why)
    return discrete_place(output), genn_place(output)


def plan(output: Path, discrete: Place, genn: Place, *, rehearse: bool) -> list[Part]:
    """All parts, with what each of them lacks."""
    device, genn_device = ("cpu", "genn-cpu") if rehearse else ("cuda", "genn")
    parts = []
    few = (
        ["-k", "conv-tfr-sgd-batch3 or (spikes and heterogeneous) or (gradients and dense) or goes_on"]
        if rehearse
        else []
    )
    command, read = tests(discrete.python, "discrete", output, "tests/test_cuda.py", *few)
    environment = discrete.environment | {"BRIANLEARN_TEST_DEVICE": device}
    parts.append(Part(f"discrete engine on {device}: tests", 120, command, discrete.missing, read, environment))

    few = ["-k", "test_twenty_trials_equal_reference and dalton-3-step"] if rehearse else ["-m", "gpu"]
    command, read = tests(genn.python, "genn", output, "tests/test_genn.py", *few)
    parts.append(Part(f"{genn_device}: tests", 150, command, genn.missing, read, genn.environment))

    networks, rounds = (["tiny"], "3") if rehearse else (["a1", "events", "dense"], "11")
    file = output / "peers.json"
    file.unlink(missing_ok=True)
    command = [str(discrete.python), "benchmarks/peers.py", *networks, "--rounds", rounds, "--device", device]
    command += ["--python", str(discrete.python), "--json", str(file)]
    parts.append(Part(f"training step on {device}", 90, command, discrete.missing, peers(file), discrete.environment))

    sizes = {"784-512-256-10": ([512, 256], 20, 60, 3, 90), "784-4096-4096-10": ([4096, 4096], 1, 3, 1, 150)}
    if rehearse:
        sizes = {"784-16-8-10": ([16, 8], 1, 2, 1, 150)}
    for name, (layers, short, long, repeats, seconds) in sizes.items():
        file = output / f"dalton-{name}.json"
        file.unlink(missing_ok=True)
        command = [sys.executable, "benchmarks/genn.py", "--devices", "cpp_standalone", genn_device]
        command += ["--layers", *map(str, layers), "--few", str(short), "--many", str(long)]
        command += ["--repeats", str(repeats), "--json", str(file)]
        command += ["--python", f"cpp_standalone={discrete.python}", f"{genn_device}={genn.python}"]
        missing = discrete.missing or genn.missing
        parts.append(Part(f"DALTON {name}: {genn_device}", seconds, command, missing, dalton(file), genn.environment))
    return parts


def run(part: Part, output: Path, left: float) -> dict[str, Any]:
    """Run a part and say how it went."""
    if part.missing:
        return {"state": "missing", "says": part.missing, "seconds": 0.0}
    limit = min(part.seconds, left)
    if limit < 5:
        return {"state": "left out", "says": "no time was left", "seconds": 0.0}
    log = output / (re.sub(r"\W+", "-", part.name) + ".log")
    started = time.monotonic()
    with open(log, "w") as text:
        process = subprocess.Popen(
            part.command, cwd=ROOT, env=os.environ | part.environment, stdout=text, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            status = process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if process.poll() is None:  # with compilers and programs that it has started
                os.killpg(process.pid, 9)
                process.wait()
    said = log.read_text(errors="replace")
    numbers, line = None, ""
    try:
        numbers, line = part.read(said)
    except (OSError, ValueError, LookupError, StopIteration, ElementTree.ParseError):
        line = (said.strip().splitlines() or ["it printed nothing"])[-1][:300]
    if status is None:
        line = f"ended after its {limit:.0f} s; {line}"
    state = "ok" if status == 0 else "too long" if status is None else "failed"
    return {
        "state": state, "says": line, "seconds": round(time.monotonic() - started, 1), "numbers": numbers,
        "log": str(log.relative_to(output)),
    }  # fmt: skip


def table(here: dict[str, Any], found: dict[str, dict[str, Any]]) -> str:
    """The results as a table in Markdown."""
    where = here["gpu"] or "no GPU"
    lines = [
        f"{where}; Python {here['python']}, torch {here['torch'] or 'missing'} (CUDA {here['torch_cuda'] or 'none'})",
        "", "| part | state | seconds | what came out |", "|---|---|---|---|",
    ]  # fmt: skip
    for name, result in found.items():
        lines.append(f"| {name} | {result['state']} | {result['seconds']:.0f} | {result['says'].replace('|', '/')} |")
    return "\n".join(lines) + "\n"


def show_parts() -> None:
    """Print what a machine without a network needs, for the Python that runs this."""
    version = ".".join(platform.python_version_tuple()[:2])
    needed, genn = (shlex.join(names) for names in (NEEDED, GENN_NEEDED))
    print(
        f"""make gpu needs, beside this clone, on a machine with an NVIDIA GPU:

  * a Python {version} with PyTorch for CUDA 12 or 13 (make gpu PYTHON=... names it), g++ and make;
  * for the parts of GeNN also the CUDA toolkit (nvcc).

With a network that is all but GeNN itself. Without one, carry the folder gpu-parts/, filled on a machine with the same
Python {version} and the same kind of processor. What the GPU machine's Python has already can be left out.

  1. python{version} -m pip wheel --wheel-dir gpu-parts {needed}
  2. python{version} -m pip wheel --wheel-dir gpu-parts --no-deps {" ".join(OPTIONAL)}
     (the libraries that are compared with; add what pip then finds missing beside torch, or leave them out)
  3. python{version} -m pip wheel --wheel-dir gpu-parts/genn-wheels {genn}
  4. GeNN 4.9.0 as the folder gpu-parts/genn, or anywhere, with GENN_PATH naming it: https://genn-team.github.io says
     how to get it. For CUDA 13 a copy with one changed call is made.
"""
    )


def main() -> int:
    """Run all parts; 0 if some could be run, and those succeeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="on the CPU, with tiny sizes")
    parser.add_argument("--parts", action="store_true", help="what to carry to a machine without a network")
    parser.add_argument("--output", type=Path, help="folder for results; runs/gpu or runs/gpu-rehearsal if not given")
    options = parser.parse_args()
    if options.parts:
        show_parts()
        return 0
    started = time.monotonic()
    output = (options.output or ROOT / "runs" / ("gpu-rehearsal" if options.rehearse else "gpu")).resolve()
    output.mkdir(parents=True, exist_ok=True)
    here = machine()
    print(f"{here['gpu'] or 'no GPU'}; results go to {output}", flush=True)
    found: dict[str, dict[str, Any]] = {}
    discrete, genn = places(output, here, rehearse=options.rehearse)
    for part in plan(output, discrete, genn, rehearse=options.rehearse):
        print(f"{part.name} (at most {part.seconds} s) ...", flush=True)
        found[part.name] = run(part, output, TOTAL - (time.monotonic() - started))
        # written after every part, so that what is known stays known
        (output / "gpu.json").write_text(json.dumps({"machine": here, "parts": found}, indent=1))
        (output / "gpu.md").write_text(table(here, found))
    print(table(here, found))
    print(f"{time.monotonic() - started:.0f} s; {output / 'gpu.json'}, {output / 'gpu.md'}")
    states = {result["state"] for result in found.values()}
    return int("ok" not in states or bool(states & {"failed", "too long"}))


if __name__ == "__main__":
    sys.exit(main())
