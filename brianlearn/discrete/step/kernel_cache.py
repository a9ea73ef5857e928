"""Where compiled kernels are kept: the text in the cache folder, beside it what numba has compiled.

A cache that is read-only or full costs time, never a result: what cannot be read or stored is compiled in memory.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from typing import Any

from numba.core.caching import FunctionCache

from brianlearn.machine.cache import cache_folder
from brianlearn.machine.leftovers import owned_path

__all__ = ["keep_compiled", "kernel_module"]


class _Cache(FunctionCache):
    """numba's own, which lets errors of the disk out of the first call of a kernel."""

    @contextmanager
    def _guard_against_spurious_io_errors(self) -> Iterator[None]:
        with suppress(OSError):
            yield


def keep_compiled(dispatcher: Any) -> Any:
    """Let numba keep on the disk what it compiles for a function, where it finds a folder that can be written.

    Parameters
    ----------
    dispatcher : numba function
        Made without ``cache``.

    Returns
    -------
    numba function
        The same one.
    """
    with suppress(RuntimeError):  # "no locator available": nothing can be written, neither here nor for the user
        dispatcher._cache = _Cache(dispatcher.py_func)
    return dispatcher


def kernel_module(source: str) -> ModuleType:
    """A module of ``source``, in the cache folder if it is there or that can be written."""
    name = "brianlearn_kernel_" + hashlib.sha256(source.encode()).hexdigest()[:24]
    path = cache_folder("kernels") / f"{name}.py"
    try:
        if not path.exists():  # numba's own cache belongs to the file's time stamp
            path.parent.mkdir(parents=True, exist_ok=True)
            half = owned_path(path)
            try:
                half.write_text(source, encoding="utf-8")
                os.replace(half, path)
            finally:
                half.unlink(missing_ok=True)
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # numba looks there for the globals of what it has kept
        spec.loader.exec_module(module)
    except OSError:
        module = ModuleType(name)
        exec(compile(source, f"<{name}>", "exec"), module.__dict__)
    return module
