"""Compiled programs that end when the process ends that waits for their results.

The statements run before everything else in the program. Linux kills it when the thread ends that started it; as that
may have happened before the program could ask for it, the program also compares the number of its parent with the one
that it was given in its environment. Requests to end (SIGTERM, SIGHUP), which schedulers send to all processes of a
job, are for its parent, which ends it where the work can go on later.
"""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PARENT_VARIABLE", "add_lifeline", "lifeline_environment"]

#: Environment variable with the process id of the parent. A program that is started by hand has none, and is free.
PARENT_VARIABLE = "BRIANLEARN_PARENT"

_CODE = f"""
#include <csignal>
#include <cstdlib>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
namespace {{
struct Lifeline {{
    Lifeline() {{
        const char* parent = std::getenv("{PARENT_VARIABLE}");
        if (parent == nullptr) return;
        std::signal(SIGTERM, SIG_IGN);
        std::signal(SIGHUP, SIG_IGN);
#ifdef __linux__
        prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
        if (getppid() != std::atoi(parent)) std::_Exit(1);
    }}
}} lifeline;
}}
"""


def add_lifeline(folder: Path) -> None:
    """Tie the program of a generated C++ project to its parent.

    Parameters
    ----------
    folder : pathlib.Path
        With ``main.cpp`` in it.
    """
    main = folder / "main.cpp"
    main.write_text(_CODE + main.read_text())


def lifeline_environment() -> dict[str, str]:
    """The environment of a program that is to end with this process."""
    return {**os.environ, PARENT_VARIABLE: str(os.getpid())}
