"""Brian2's global settings, changed only while they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from brian2 import prefs

__all__ = ["preferences"]


@contextmanager
def preferences(dtype: str, target: str | None = None) -> Iterator[None]:
    """Brian2's preferences for building and running, restored afterwards.

    Parameters
    ----------
    dtype : str
        Type of state variables.
    target : str, optional
        Code generation target in runtime mode, "numpy" or "cython".
    """
    wanted: dict[str, Any] = {
        "core.default_float_dtype": np.dtype(dtype).type,
    }
    if "core.stop_on_keyboard_interrupt" in prefs:  # since Brian2 2.6
        # Brian2 would end a run after the current step without a word, and half a chunk would pass for a whole one
        wanted["core.stop_on_keyboard_interrupt"] = False
    if target is not None:
        wanted["codegen.target"] = target
    before = {name: prefs[name] for name in wanted}
    try:
        for name, value in wanted.items():
            prefs[name] = value
        yield
    finally:
        for name, value in before.items():
            prefs[name] = value
