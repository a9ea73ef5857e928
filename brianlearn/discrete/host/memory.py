"""Keeping freed memory, so that large tensors do not come from the system anew in every step."""

from __future__ import annotations

import ctypes
import os
import sys
from functools import lru_cache

__all__ = ["keep_freed_memory"]

#: From <malloc.h>.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


@lru_cache(maxsize=1)
def keep_freed_memory(largest: int) -> bool:
    """Let the C library keep memory that is freed, up to 2 GiB; whether it does.

    The activity of a layer over a whole sequence takes some 30 MiB. glibc gives arrays of that size back to the system
    when they are freed and asks for them again in the next step; the page faults can take a third of a training step.
    Nothing is changed where the user has settings of their own (``MALLOC_...``, ``GLIBC_TUNABLES``), with
    ``BRIANLEARN_MALLOC=default``, or with another C library.

    Parameters
    ----------
    largest : int
        Bytes of the largest arrays that are kept. Freed arrays are cut up for smaller ones, and where arrays are large
        and few, what is left of them can add up to half of all memory.
    """
    chosen = os.environ.get("BRIANLEARN_MALLOC") == "default" or "GLIBC_TUNABLES" in os.environ
    if sys.platform != "linux" or chosen or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_MMAP_THRESHOLD, largest)) and bool(mallopt(_TRIM_THRESHOLD, 2**31 - 1))
