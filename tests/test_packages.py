"""What is in the packages that people install: a wheel with the examples, an sdist with all that its tests need."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPECS = ROOT / "network_specs"
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]

pytestmark = pytest.mark.slow


def tracked_files() -> list[str]:
    """What a clone holds, with what is new and not ignored."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [name for name in found if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the clone alone: nothing that was built in it before can get into a package."""
    pytest.importorskip("setuptools", minversion="64")
    source = tmp_path_factory.mktemp("clone")
    for name in tracked_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    return source


def test_a_wheel_brings_the_examples(clone: Path, tmp_path: Path) -> None:
    """Installed into a folder of its own, and asked from there."""
    build = [*PIP, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", str(tmp_path), str(clone)]
    subprocess.run(build, check=True, timeout=300)
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if "network_specs/" in name}
    assert held == {f"brianlearn/network_specs/{path.name}" for path in SPECS.glob("*.py")}
    subprocess.run([*PIP, "install", "--no-deps", "--no-index", "-t", str(tmp_path / "site"), str(wheel)], check=True)
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from brianlearn.cli import app; app()"
    command = [sys.executable, "-I", "-c", code, str(tmp_path / "site"), "examples", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True, cwd=tmp_path)
    assert {Path(each["path"]) for each in json.loads(done.stdout)} == {tmp_path / "site" / name for name in held}


def test_an_sdist_holds_all_that_its_tests_need(clone: Path, tmp_path: Path) -> None:
    code = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=clone, check=True, capture_output=True, timeout=300)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (unpacked,) = (path for path in tmp_path.iterdir() if path.is_dir())
    lacking = [name for name in tracked_files() if not (unpacked / name).is_file()]
    assert not lacking, f"MANIFEST.in leaves out {lacking}"
    # tests that read files beside the package: README, examples, pages, tools, scripts of the tests
    tests = ["test_scripts.py", "test_docs.py", "test_gpu_script.py", "test_import.py", "test_neuron.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow and not cpp_standalone"]
    command += [f"tests/{name}" for name in tests]
    done = subprocess.run(
        command,
        cwd=unpacked,
        env=os.environ | {"PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
