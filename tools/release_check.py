"""Whether this clone can be released: wheel and sdist, built, looked into, and used in clean environments.

    make release-check                                   # on Python 3.11, 3.12 and 3.13
    python tools/release_check.py --pythons 3.12         # on some
    python tools/release_check.py --keep dist            # and keep what was built

It needs the packages build and twine, and a package index from which pip gets what brianlearn needs; torch is left out.
Every check says what it found. The exit status is 0 if all passed.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Callable
from email.parser import Parser
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13")
#: Environment in which nothing of this clone, or of what the user has installed for himself, can be imported by chance.
CLEAN = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "BRIANLEARN", "VIRTUAL_ENV"))}


class Failed(Exception):
    """A check found something wrong."""


def run(*command: object, cwd: Path | None = None, timeout: float = 1200) -> str:
    """What a command prints; `Failed` with all of it where it fails."""
    call = [str(part) for part in command]
    done = subprocess.run(
        call,
        cwd=cwd,
        env=CLEAN | {"PYTHONNOUSERSITE": "1"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise Failed(f"{' '.join(call)}: exit status {done.returncode}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def tracked(folder: str = "") -> list[str]:
    """Files of the clone, those that are new and not ignored included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", folder or "."]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in found if name and (ROOT / name).is_file()]


def version() -> str:
    """That of pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def versions_agree() -> str:
    """pyproject.toml, the package, the citation and the changelog name one version."""
    wanted = version()
    tree = ast.parse((ROOT / "brianlearn" / "__init__.py").read_text(encoding="utf-8"))
    values = {
        ast.unparse(node.targets[0]): node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }
    cited = re.search(
        r"^version: *['\"]?([^'\"\n]+)", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE
    )
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = {
        "brianlearn.__version__": values.get("__version__"),
        "CITATION.cff": cited[1] if cited else None,
        "CHANGELOG.md": wanted
        if re.search(rf"^## \[{re.escape(wanted)}\] - \d{{4}}-\d\d-\d\d$", changes, re.M)
        else None,
    }
    if wrong := {name: value for name, value in found.items() if value != wanted}:
        raise Failed(
            f"pyproject.toml says {wanted}; {', '.join(f'{name} says {value}' for name, value in wrong.items())}"
        )
    return wanted


def built(place: Path) -> str:
    """Both packages, from the files of the clone alone."""
    source = place / "source"
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    run(sys.executable, "-m", "build", "--outdir", place / "dist", source)
    found = sorted(path for path in (place / "dist").iterdir())
    if [path.suffix for path in found] != [".whl", ".gz"] or any(version() not in path.name for path in found):
        raise Failed(f"built {', '.join(path.name for path in found)}")
    return ", ".join(f"{path.name} ({path.stat().st_size / 1024:.0f} KiB)" for path in found)


def described(place: Path) -> str:
    """What an index shows of them, by twine."""
    run(sys.executable, "-m", "twine", "check", "--strict", *sorted((place / "dist").iterdir()))
    (wheel,) = (place / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(name).decode())
    asked = [text for text in metadata.get_all("Requires-Dist", []) if "extra ==" not in text]
    if heavy := [text for text in asked if re.match(r"(torch|numba|tonic|distributed|dask|nir)\b", text)]:
        raise Failed(f"the package itself needs {', '.join(heavy)}")
    return (
        f"needs {len(asked)} packages, Python {metadata['Requires-Python']}, licence {metadata['License-Expression']}"
    )


def complete(place: Path) -> str:
    """Every file of the package is in the wheel, and every file of the clone in the sdist."""
    (wheel,), (sdist,) = (place / "dist").glob("*.whl"), (place / "dist").glob("*.tar.gz")
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = set(tracked("brianlearn"))
    wanted |= {f"brianlearn/{name}" for name in tracked("network_specs") if name.endswith(".py")}
    if lacking := sorted(wanted - held):
        raise Failed(f"the wheel lacks {', '.join(lacking)}: see package-data in pyproject.toml")
    if more := sorted(name for name in held - wanted if ".dist-info/" not in name):
        raise Failed(f"the wheel holds {', '.join(more[:10])}, which is not in the clone")
    with tarfile.open(sdist) as archive:
        packed = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    if lacking := sorted(set(tracked()) - packed):
        raise Failed(f"the sdist lacks {', '.join(lacking)}: see MANIFEST.in")
    data = sorted(name for name in wanted if not name.endswith(".py"))
    return f"{len(wanted)} files in the wheel, of which {len(data)} are data; {len(packed)} in the sdist"


IMPORTED = """
import importlib.util, json, sys, time
began = time.perf_counter()
import brianlearn as bl
seconds = time.perf_counter() - began
heavy = sorted({"torch", "tonic", "dask", "distributed", "numba"} & set(sys.modules))
bl.NetworkSpec, bl.Experiment, bl.DALTON, bl.certify
print(json.dumps([bl.__version__, bl.__file__, seconds, heavy, importlib.util.find_spec("torch") is not None]))
"""
#: Small enough for numpy: what is tested is the package, not the machine.
TINY = ["--device", "numpy", "--epochs", "1", "--limit", "20", "--test-limit", "10"]


def used(place: Path, name: str, package: Path) -> str:
    """A package in a clean environment of a Python, outside of the clone."""
    began = time.perf_counter()
    interpreter = subprocess.run([ROOT / "tools/find_python.sh", name], capture_output=True, text=True, check=False)
    if interpreter.returncode:
        raise Failed(interpreter.stderr.strip())
    kind = "wheel" if package.suffix == ".whl" else "sdist"
    folder, elsewhere = place / f"{kind}-{name}", place / f"{kind}-{name}-elsewhere"
    elsewhere.mkdir()
    run(interpreter.stdout.strip(), "-m", "venv", folder)
    python, command = folder / "bin/python", folder / "bin/brianlearn"
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package)
    found = json.loads(run(python, "-c", IMPORTED, cwd=elsewhere))
    if found[0] != version() or not Path(found[1]).is_relative_to(folder) or found[3] or found[4]:
        raise Failed(f"version {found[0]} from {found[1]}; imported {found[3]}; torch installed: {found[4]}")
    if run(command, "--version", cwd=elsewhere) != f"brianlearn {version()}\n":
        raise Failed("brianlearn --version says another version")
    told = run(command, "doctor", cwd=elsewhere)
    if "numpy" not in told:
        raise Failed(f"doctor says nothing of numpy: {told[:500]}")
    examples = {
        Path(each["path"]).stem
        for each in json.loads(run(command, "examples", "--json", cwd=elsewhere).splitlines()[-1])
    }
    scripts = {Path(script).stem for script in tracked("network_specs") if script.endswith(".py")}
    if examples != scripts:
        raise Failed(f"examples: {sorted(examples ^ scripts)} are not in both")
    lines = run(command, "demo", *TINY, "--runs", elsewhere / "runs", "--json", cwd=elsewhere).splitlines()[-2:]
    results = [json.loads(line) for line in lines]
    if [each["rule"] for each in results] != ["dalton", "tfr"] or not (elsewhere / "runs/demo.png").is_file():
        raise Failed(f"demo: {lines}")
    certified = run(command, "certify", results[0]["run"], "--samples", "2", "--json", cwd=elsewhere)
    verdict = json.loads(certified.splitlines()[-1])["verdict"]
    packages = run(python, "-c", "import brian2, numpy; print(brian2.__version__, numpy.__version__)", cwd=elsewhere)
    brian, numpy = packages.split()
    return (
        f"Brian2 {brian}, numpy {numpy}; import {found[2]:.2f} s, doctor, {len(examples)} examples, demo, "
        f"certificate {verdict}; {time.perf_counter() - began:.0f} s"
    )


def check(what: str, ask: Callable[[], str]) -> bool:
    """Say how a check went."""
    try:
        text, passed = ask(), True
    except (Failed, subprocess.TimeoutExpired) as error:
        text, passed = str(error), False
    print(f"{'passed' if passed else 'FAILED':>7}  {what}: {text}", flush=True)
    return passed


def main() -> int:
    """Run all checks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pythons", nargs="+", default=list(PYTHONS), help="versions, e.g. 3.11 3.12")
    parser.add_argument("--keep", type=Path, help="a folder for what was built, if all checks pass")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="brianlearn-release-") as name:
        place = Path(name)
        passed = [check("versions agree", versions_agree), check("packages build", lambda: built(place))]
        if all(passed):
            passed += [check("twine", lambda: described(place)), check("contents", lambda: complete(place))]
            (wheel,), (sdist,) = (place / "dist").glob("*.whl"), (place / "dist").glob("*.tar.gz")
            for python in options.pythons:
                passed.append(check(f"wheel on Python {python}", lambda p=python: used(place, p, wheel)))
            newest = options.pythons[-1]
            passed.append(check(f"sdist on Python {newest}", lambda: used(place, newest, sdist)))
        if all(passed) and options.keep is not None:
            shutil.copytree(place / "dist", options.keep, dirs_exist_ok=True)
    print("all checks passed" if all(passed) else f"{passed.count(False)} checks failed")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
