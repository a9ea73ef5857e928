"""What a run depends on beside its configuration: versions, machine, compiler."""

from __future__ import annotations

import importlib.metadata
import platform

__all__ = ["package_version", "versions"]


def package_version(name: str) -> str | None:
    """Version of an installed package, without importing it; None where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str | None]:
    """Versions of everything that can change a result.

    Returns
    -------
    dict
        Name -> version; None where it is not installed.
    """
    import brianlearn
    from brianlearn.machine.devices import compiler_version

    names = ("brian2", "brian2genn", "numpy", "scipy", "cython", "torch", "numba")
    packages = {name: package_version(name) for name in names}
    return {
        "brianlearn": brianlearn.__version__,
        "python": platform.python_version(),
        **packages,
        "platform": platform.platform(),
        "processor": platform.machine(),
        "compiler": compiler_version() or None,
    }
