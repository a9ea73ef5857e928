"""How the benchmarks measure: everything in turn, medians, and the machine's load beside the numbers."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping


def load() -> str:
    """Cores, and how many processes wanted one in the last minute."""
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def interleaved(work: Mapping[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """Median seconds of each piece of work; one after the other, ``rounds`` times, so that noise meets all of them."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, run in work.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seconds.items()}
