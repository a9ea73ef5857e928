"""Which process something belongs to, told apart from a later process with the same number.

Folders and files that live no longer than a process carry its `Owner` in their names. A process that is killed cannot
remove them; the next one finds out from the name alone whether their owner is still at work.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Owner", "this_process"]

_TAG = re.compile(r"\bp(\d+)-(\d+)-([0-9a-f]{8})-([0-9a-f]{8})-(\d+)\b")


@dataclass(frozen=True)
class Owner:
    """A process of some machine.

    Attributes
    ----------
    pid : int
    started : int
        When it was started, in clock ticks since the machine was; 0 where the system does not say.
    machine, boot : str
        Of the machine, and of its start; 8 hexadecimal digits each.
    space : int
        The process-id namespace in which ``pid`` counts (containers have their own); 0 where there are none.
    """

    pid: int
    started: int
    machine: str
    boot: str
    space: int

    @property
    def tag(self) -> str:
        """The owner as a part of a file name."""
        return f"p{self.pid}-{self.started}-{self.machine}-{self.boot}-{self.space}"

    @staticmethod
    def find(name: str) -> Owner | None:
        """The owner in a file name; None where there is none."""
        match = _TAG.search(name)
        if match is None:
            return None
        pid, started, machine, boot, space = match.groups()
        return Owner(int(pid), int(started), machine, boot, int(space))

    def is_gone(self, touched: float | None = None) -> bool:
        """Whether the process has certainly ended; False where this machine cannot know.

        Parameters
        ----------
        touched : float, optional
            When it last wrote, in seconds since 1970.
        """
        here = this_process()
        if self.machine != here.machine or sys.platform == "win32":
            return False
        if self.boot != here.boot:
            # an earlier start of this machine; or of another one that is its copy, and shares a disk with it
            return bool(_machine_id()) and (touched is None or touched < _boot_time())
        if self.space != here.space:
            return False
        if here.started:
            return _started(self.pid) != self.started
        try:  # signal 0 only asks
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        return False


def this_process() -> Owner:
    """The process that asks."""
    return _owner(os.getpid())


@functools.lru_cache(maxsize=4)  # by its number: a fork is another process
def _owner(pid: int) -> Owner:
    boot = _read("/proc/sys/kernel/random/boot_id")
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return Owner(pid, _started(pid) or 0, _digest(_machine_id() + platform.node()), _digest(boot), space)


def _started(pid: int) -> int | None:
    """Start of a living process in clock ticks, which unlike a date does not move with the clock; None without one."""
    # after the name, which is in brackets and may hold anything: the state is the first field, the start the 20th
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[19]) if len(fields) > 19 and fields[0] not in "ZX" else None


def _boot_time() -> float:
    """When this machine was started, in seconds since 1970; 0 where it does not say."""
    found = re.search(r"^btime (\d+)$", _read("/proc/stat"), re.MULTILINE)
    return float(found[1]) if found else 0.0


def _machine_id() -> str:
    return _read("/etc/machine-id")


def _read(path: str) -> str:
    try:
        return Path(path).read_text(errors="replace").strip()
    except OSError:
        return ""


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
