"""Programs that do not outlive the process that started them: compilers and what they start in turn.

A shell that leads a process group of its own starts the program and waits for the end of a pipe that this process
holds open: when this process ends, however it ends, the system closes the pipe, and the shell kills the group. (Linux
can signal a child when its parent ends, but neither the children of that child nor those of a thread that ends first.)
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

__all__ = ["call", "end", "start"]

_SHELL = Path("/bin/sh")
_GUARD = """
exec 3<&0 </dev/null
{ read -r end <&3; kill -s KILL -- -$$; } &
exec 3<&-
"$@"
status=$?
kill -s KILL $! 2>/dev/null
exit $status
"""


def start(command: list[str], folder: Path, output: IO[Any] | int) -> subprocess.Popen[bytes]:
    """Start a program.

    Parameters
    ----------
    command : list of str
    folder : pathlib.Path
        Where it works, and where it puts its temporary files.
    output : file or int
        Where its output and its errors go.

    Raises
    ------
    OSError
    """
    environment = os.environ | {"TMPDIR": str(folder.resolve())}
    guarded = _SHELL.exists()
    return subprocess.Popen(
        [str(_SHELL), "-c", _GUARD, "guard", *command] if guarded else command,
        cwd=folder,
        stdin=subprocess.PIPE if guarded else subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=guarded,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a program that `start` has started, and all that it has started; one that has ended is left alone."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL) if _SHELL.exists() else process.kill()
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


@contextmanager
def _running(command: list[str], folder: Path, output: IO[Any] | int) -> Iterator[subprocess.Popen[bytes]]:
    process = start(command, folder, output)
    try:
        yield process
    finally:
        end(process)


def call(command: list[str], folder: Path, output: IO[Any] | int) -> int:
    """Run a program to its end; its exit status.

    Raises
    ------
    OSError
    """
    with _running(command, folder, output) as process:
        return process.wait()
