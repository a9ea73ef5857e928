"""Ctrl-C that neither gets lost nor wastes work."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interruptible"]


@contextmanager
def interruptible(notify: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Let Ctrl-C end the work where it can go on later; a second Ctrl-C ends it at once.

    Python raises KeyboardInterrupt wherever it happens to be. Inside a destructor or the callback of a weak reference
    (Brian2 has many of both) it prints the exception and goes on as if nothing had happened; elsewhere, the work since
    the last checkpoint is lost.

    Parameters
    ----------
    notify : callable
        Is given what to tell the user.

    Yields
    ------
    callable
        Raises KeyboardInterrupt if Ctrl-C was pressed. To be called wherever the work may end.
    """
    pressed = False

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            signal.default_int_handler(number, frame)
        pressed = True
        notify("stopping at the next checkpoint; Ctrl-C once more stops at once")

    def check() -> None:
        if pressed:
            raise KeyboardInterrupt

    previous = signal.getsignal(signal.SIGINT)
    # Brian2's own handler hands on to the one before it; whatever else a user has installed stays in charge
    last = getattr(previous, "previous_handler", previous)
    mine = threading.current_thread() is threading.main_thread() and last is signal.default_int_handler
    if mine:
        signal.signal(signal.SIGINT, handler)
    try:
        yield check
    finally:
        if mine:
            signal.signal(signal.SIGINT, previous)
