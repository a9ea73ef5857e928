"""Saying a `BrianLearnWarning`: through Python's ``warnings``, as of the user's own line."""

from __future__ import annotations

import functools
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from brianlearn.errors import BrianLearnWarning

__all__ = ["tell"]

#: Files and generated code that are between the user's line and `tell`.
_OURS = (str(Path(__file__).parent), functools.__file__, "<string>")
#: Python's own; Brian2 puts that of `logging` into its place, whichever of the two is imported first.
_SHOW = getattr(warnings, "_showwarning_orig", warnings.showwarning)


def tell(warning: BrianLearnWarning, *, shown: bool = False) -> None:
    """Warn; filters, recorders and ``-W error`` see it.

    Parameters
    ----------
    warning : BrianLearnWarning
    shown : bool, optional
        Whether a display has shown it already: Python then prints nothing where it would print to stderr.
    """
    with _without_print() if shown else nullcontext():
        warnings.warn(warning, stacklevel=_depth() + 1)


def _depth() -> int:
    """How many frames above the caller of this function the user's code is."""
    frame, depth = sys._getframe(1), 0
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_OURS):
        frame, depth = frame.f_back, depth + 1
    return depth


@contextmanager
def _without_print() -> Iterator[None]:
    """Nothing is printed for warnings of ours by Python, nor by Brian2, which logs the warnings of Python."""
    plain, handler = warnings.formatwarning, _brian2_console()

    def nothing(message: Any, *arguments: Any, **options: Any) -> str:
        own = isinstance(message, BrianLearnWarning)
        return "" if own else plain(message, *arguments, **options)

    if warnings.showwarning is _SHOW:
        warnings.formatwarning = nothing
    if handler is not None:
        handler.addFilter(_is_no_warning)
    try:
        yield
    finally:
        warnings.formatwarning = plain
        if handler is not None:
            handler.removeFilter(_is_no_warning)


def _is_no_warning(record: logging.LogRecord) -> bool:
    return record.name != "py.warnings"


def _brian2_console() -> logging.Handler | None:
    module = sys.modules.get("brian2.utils.logger")
    return None if module is None else module.BrianLogger.console_handler
