"""Uncaught errors of ours in a script: the error alone, as Python prints it.

Brian2 puts an exception hook of its own into place when it is imported, which announces every uncaught error as
unexpected, asks for a report of a bug, and keeps its log and a copy of the script. For errors of ours none of that is
meant: they say what was got and what to do. All other errors go to Brian2's hook, as before.
"""

from __future__ import annotations

import sys
import sysconfig
import threading
import traceback
from pathlib import Path
from types import TracebackType

from brianlearn.errors import BrianLearnError, BrianLearnWarning

__all__ = ["install"]


#: Files that are between the user's line and the error: this package, the environment's, Python's own, generated code.
_BETWEEN = (str(Path(__file__).parent), *set(sysconfig.get_paths().values()) - {sysconfig.get_path("data")}, "<")


def install() -> None:
    """Put the hooks before those that are there: called again once Brian2, which has one too, is imported."""
    script, thread = sys.excepthook, threading.excepthook
    if not hasattr(script, "of_brianlearn"):

        def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            if _is_ours(error):
                _print(error, trace)
            else:
                script(kind, error, trace)

        hook.of_brianlearn = True  # type: ignore[attr-defined]
        sys.excepthook = hook
    if not hasattr(thread, "of_brianlearn"):

        def thread_hook(args: threading.ExceptHookArgs) -> None:
            if args.exc_value is not None and _is_ours(args.exc_value):
                _print(args.exc_value, args.exc_traceback, f" in {args.thread.name}" if args.thread else "")
            else:
                thread(args)

        thread_hook.of_brianlearn = True  # type: ignore[attr-defined]
        threading.excepthook = thread_hook


def _is_ours(error: BaseException) -> bool:
    """Whether an error is one of ours; of a group, whether all are."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_ours(each) for each in error.exceptions)
    return isinstance(error, BrianLearnError | BrianLearnWarning)


def _print(error: BaseException, trace: TracebackType | None, where: str = "") -> None:
    """Print an error on stderr: the line of the user's own code that led to it, its kind, and what it says."""
    if sys.stderr is None:
        return
    own = [f for f in traceback.extract_tb(trace) if not f.filename.startswith(_BETWEEN)]
    lines = [f'File "{own[-1].filename}", line {own[-1].lineno}{where}'] if own else []
    for each in error.exceptions if isinstance(error, BaseExceptionGroup) else [error]:
        lines += [f"{type(each).__name__}: {each}", *getattr(each, "__notes__", [])]
    print("\n".join(lines), file=sys.stderr, flush=True)
