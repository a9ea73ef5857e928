"""Sharing out work among threads.

Threads of Python, not of OpenMP: torch has a pool of its own, and two pools that spin for work slow each other down.
What they run releases the interpreter lock.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

import torch

__all__ = ["parallel_for"]

#: Whether a thread runs a part already: what it shares out within it, it runs itself.
_here = threading.local()


def parallel_for(work: Callable[[int, int, int], object], total: int, *, block: int = 1) -> None:
    """Call ``work(first, last, part)`` for parts of ``range(total)``, on torch's number of threads at once.

    Within a part of another one, all of it runs at once, in the thread of that part.

    Parameters
    ----------
    work : callable
        ``part`` counts the parts, from 0 on.
    total : int
    block : int
        Parts begin at multiples of it.
    """
    if not total:
        return
    blocks = -(-total // block)
    parts = 1 if getattr(_here, "busy", False) else min(torch.get_num_threads(), blocks)
    if parts == 1:
        work(0, total, 0)
        return
    edges = [min(total, block * (blocks * k // parts)) for k in range(parts + 1)]

    def run(first: int, last: int, part: int) -> None:
        _here.busy = True
        try:
            work(first, last, part)
        finally:
            _here.busy = False

    pool = _pool(os.getpid(), torch.get_num_threads())
    others = [pool.submit(run, a, b, k) for k, (a, b) in list(enumerate(pairwise(edges)))[1:]]
    run(edges[0], edges[1], 0)
    for other in others:
        other.result()


@lru_cache(maxsize=2)
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="brianlearn-kernel")
