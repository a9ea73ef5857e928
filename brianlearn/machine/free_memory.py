"""How much memory is free, so that what will not fit is refused before it is begun."""

from __future__ import annotations

from pathlib import Path

__all__ = ["free_memory"]

#: Limit and use of the group of processes, in versions 2 and 1 of Linux's control groups.
_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def free_memory() -> int | None:
    """Bytes that this process can still have; None where the system does not say."""
    known = []
    for line in _text("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            known.append(int(line.split()[1]) * 1024)
    for limit, use in _GROUPS:
        if _text(limit).isdigit() and _text(use).isdigit():
            known.append(max(0, int(_text(limit)) - int(_text(use))))
    return min(known, default=None)


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
