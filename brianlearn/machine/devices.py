"""Which devices this machine can run."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache

from brianlearn.errors import DeviceError, did_you_mean
from brianlearn.machine.environment import package_version
from brianlearn.machine.genn_setup import GENN_DEVICES, check_genn

__all__ = ["DEVICES", "compiler_version", "find_compiler", "has_run_arguments", "resolve_device"]

DEVICES = ("auto", "runtime", "numpy", "cython", "cpp_standalone", *GENN_DEVICES)


def find_compiler() -> str | None:
    """Path of the C++ compiler that Brian2 will call, or None."""
    return shutil.which(os.environ.get("CXX", "g++").split()[0])


def has_run_arguments() -> bool:
    """Whether a standalone program of the installed Brian2 can be run again with other values."""
    version = package_version("brian2") or "0"
    return tuple(int(part) for part in version.split(".")[:2]) >= (2, 6)


@cache
def _version(path: str) -> str:
    return subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.split("\n")[0]


def compiler_version() -> str:
    """The first line of the compiler's own description, empty without a compiler."""
    path = find_compiler()
    return _version(path) if path else ""


def resolve_device(device: str) -> str:
    """The device that runs for a name that the user gave.

    Parameters
    ----------
    device : str
        One of `DEVICES`.

    Returns
    -------
    str
        "numpy", "cython", "cpp_standalone", "genn" or "genn-cpu".

    Raises
    ------
    DeviceError
        Unknown names, devices that need a compiler where there is none, and devices of GeNN where something that they
        need is missing.
    """
    if device not in DEVICES:
        raise DeviceError(
            "device",
            "unknown device",
            got=repr(device),
            expected=", ".join(DEVICES),
            remedy=did_you_mean(device, DEVICES),
        )
    if device in GENN_DEVICES:
        check_genn(device)
        return device
    compiler = find_compiler()
    if device == "auto":
        return "cpp_standalone" if compiler and has_run_arguments() else "numpy"
    if device == "runtime":
        return "cython" if compiler else "numpy"
    if device != "numpy" and compiler is None:
        raise DeviceError(
            device,
            "this machine has no C++ compiler",
            got=f"no {os.environ.get('CXX', 'g++')!r} on the PATH",
            expected="a C++ compiler: g++, or the one that the environment variable CXX names",
            remedy="install one (Debian, Ubuntu: apt-get install g++; macOS: xcode-select --install), "
            "or use device='numpy', which needs none",
        )
    if device == "cpp_standalone" and not has_run_arguments():
        raise DeviceError(
            device,
            "one program cannot run a whole training with this version of Brian2",
            got=f"brian2 {package_version('brian2')}",
            expected="brian2 2.6 or newer, which lets a program run again with other values",
            remedy="use device='genn-cpu', 'cython' or 'numpy' in this environment; or pip install 'brian2>=2.6' "
            "in another one",
        )
    return device
