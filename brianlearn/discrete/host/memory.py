"""Keeping freed memory, so that large tensors do not come from the system anew in every step."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import cache

__all__ = ["keep_freed_memory"]

#: From <malloc.h>.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


@cache
def keep_freed_memory() -> bool:
    """Let the C library keep memory that is freed, up to 2 GiB; whether it does.

    The activity of a layer over a whole sequence takes some 30 MiB. glibc gives arrays of that size back to the system
    when they are freed and asks for them again in the next step; the page faults can take a third of a training step.
    Nothing is changed where the user has settings of their own (``MALLOC_...``, ``GLIBC_TUNABLES``), with
    ``BRIANLEARN_MALLOC=default``, or with another C library.
    """
    chosen = os.environ.get("BRIANLEARN_MALLOC") == "default" or "GLIBC_TUNABLES" in os.environ
    if sys.platform != "linux" or chosen or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, 2**30)) and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
