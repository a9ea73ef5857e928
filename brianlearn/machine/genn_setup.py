"""What the devices "genn" and "genn-cpu" need, and whether it is there. Imports neither Brian2 nor Brian2GeNN."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from brianlearn.errors import DeviceError
from brianlearn.machine.environment import package_version

__all__ = ["GENN_DEVICES", "Requirement", "check_genn", "genn_folder", "genn_requirements"]

GENN_DEVICES = ("genn", "genn-cpu")

_PACKAGES = (
    "make venv-genn in a clone; or pip install 'brian2<2.6' 'brian2genn<1.8' 'cython<3.1' 'numpy<2' "
    "'setuptools<81' beside this package, in an environment of its own"
)
_GENN = "get GeNN 4.9.0 (https://genn-team.github.io) and set GENN_PATH to its folder"


@dataclass(frozen=True)
class Requirement:
    """One thing that GeNN devices need.

    Attributes
    ----------
    name : str
    ok : bool
    found : str
        What is there.
    expected, remedy : str
        What would do, and how to get it.
    gpu : bool
        Whether only the device ``"genn"`` needs it.
    writes : bool
        Whether writing a project needs it; the others compile and run it.
    """

    name: str
    ok: bool
    found: str
    expected: str
    remedy: str
    gpu: bool = False
    writes: bool = False


def genn_folder() -> Path | None:
    """The folder that GENN_PATH names, or None."""
    path = os.environ.get("GENN_PATH")
    return Path(path) if path else None


def genn_requirements() -> list[Requirement]:
    """Everything that GeNN devices need, in the order in which it is installed."""
    return list(_requirements())


def check_genn(device: str, *, generate: bool = False) -> None:
    """Raise an error that names the first thing that a GeNN device lacks.

    Parameters
    ----------
    device : {"genn", "genn-cpu"}
    generate : bool, optional
        Whether a project is to be written only, which needs neither GeNN nor a compiler.

    Raises
    ------
    DeviceError
    """
    for requirement in _requirements():
        if generate and not requirement.writes:
            continue
        if not requirement.ok and (device == "genn" or not requirement.gpu):
            remedy = requirement.remedy
            if requirement.gpu:
                remedy += "; device='genn-cpu' needs no GPU"
            raise DeviceError(
                f"device {device!r}",
                f"{requirement.name} is missing or does not fit",
                got=requirement.found,
                expected=requirement.expected,
                remedy=f"{remedy}. brianlearn doctor lists all that is missing",
            )


def _requirements() -> Iterator[Requirement]:
    yield _package("brian2genn", "1.7", _PACKAGES)
    yield _package("brian2", "below 2.6", _PACKAGES, below=(2, 6))
    yield _package("numpy", "below 2", _PACKAGES, below=(2,))
    there = importlib.util.find_spec("pkg_resources") is not None
    version = package_version("setuptools") or "no setuptools"
    yield Requirement(
        "pkg_resources",
        there,
        "installed" if there else f"not there ({version})",
        "setuptools below 81, which brings it; brian2genn imports it",
        "pip install 'setuptools<81'",
        writes=True,
    )
    compiler = os.environ.get("CXX", "g++").split()[0]
    for program, name in ((compiler, "a C++ compiler"), ("make", "make")):
        path = shutil.which(program)
        yield Requirement(
            name, path is not None, path or f"no {program!r} on the PATH", program, "apt-get install g++ make"
        )
    yield _genn()
    yield _cuda()


def _package(name: str, expected: str, remedy: str, below: tuple[int, ...] | None = None) -> Requirement:
    version = package_version(name)
    ok = version is not None and (below is None or _numbers(version)[: len(below)] < below)
    return Requirement(
        name, ok, f"{name} {version}" if version else "not installed", f"{name} {expected}", remedy, writes=True
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:3])


def _genn() -> Requirement:
    folder = genn_folder()
    expected = "GENN_PATH=folder of GeNN 4.9.0 (4.2.1 or later, but not 5)"
    if folder is None:
        return Requirement("GeNN", False, "GENN_PATH is not set", expected, _GENN)
    if not folder.is_dir():
        return Requirement("GeNN", False, f"GENN_PATH={folder}: no such folder", expected, _GENN)
    file = folder / "version.txt"
    if not file.is_file():
        return Requirement("GeNN", False, f"GENN_PATH={folder}: no version.txt in it", expected, _GENN)
    found = f"GeNN {file.read_text().strip()} in {folder}"
    if not (folder / "bin" / "genn-buildmodel.sh").is_file():
        return Requirement("GeNN", False, f"{found}, without bin/genn-buildmodel.sh", expected, _GENN)
    fits = (4, 2, 1) <= _numbers(file.read_text()) < (5,)
    return Requirement("GeNN", fits, found, expected, _GENN)


def _cuda() -> Requirement:
    """The CUDA toolkit, which compiles for the GPU, and a driver, which runs it."""
    expected = "CUDA_PATH=folder of CUDA 11 or 12, with bin/nvcc in it, and an NVIDIA GPU"
    remedy = "install the CUDA toolkit and set CUDA_PATH (developer.nvidia.com/cuda-toolkit)"
    path = os.environ.get("CUDA_PATH")
    problem = None
    if sys.platform == "darwin":
        problem = "macOS has no CUDA"
    elif not path:
        problem = "CUDA_PATH is not set"
    elif not (Path(path) / "bin" / "nvcc").is_file():
        problem = f"CUDA_PATH={path}: no bin/nvcc in it"
    elif shutil.which("nvidia-smi") is None:
        problem = "no NVIDIA driver: no nvidia-smi on the PATH"
    return Requirement("CUDA", problem is None, problem or f"CUDA in {path}", expected, remedy, gpu=True)
