"""Ctrl-C, SIGTERM and SIGHUP: signals that neither get lost nor waste work."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from brianlearn.errors import BrianLearnError

__all__ = ["Terminated", "interruptible", "stoppable"]

#: What ends a process beside Ctrl-C: the polite request of systems and schedulers, and a terminal that is closed.
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(SystemExit):
    """SIGTERM or SIGHUP asked this process to end. Where nothing catches it, Python exits with status 128 + number.

    Parameters
    ----------
    number : int
        The signal.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(128 + number)

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name}"


#: The signal that `stoppable` has got. Python raises an exception wherever it happens to be; inside a destructor or the
#: callback of a weak reference (Brian2 has many of both) it prints it and goes on as if nothing had happened.
_pending: int | None = None


def _raise(number: int, frame: FrameType | None = None) -> None:
    if number == signal.SIGINT:
        signal.default_int_handler(number, frame)
    raise Terminated(number)


def _at_once(number: int, frame: FrameType | None) -> None:
    global _pending
    _pending = number
    _leave_terminal(number)
    _raise(number, frame)


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the work at once, as Ctrl-C does: everything that is open is closed and tidied up.

    Signals that the user handles or ignores (nohup) stay so, and so does everything outside the main thread. Inside
    another `stoppable` it changes nothing.

    Raises
    ------
    Terminated
        When one of them comes.
    """
    global _pending
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {n: signal.SIG_DFL for n in _SIGNALS if signal.getsignal(n) is signal.SIG_DFL}
    for number in before:
        signal.signal(number, _at_once)
    try:
        yield
        if before and _pending is not None:
            _raise(_pending)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if before:
            _pending = None


@contextmanager
def interruptible(notify: Callable[[str], None]) -> Iterator[Callable[[], None]]:
    """Let Ctrl-C, SIGTERM or SIGHUP end the work where it can go on later; a second one ends it at once.

    An exception that is raised at once would lose the work since the last checkpoint.

    Parameters
    ----------
    notify : callable
        Is given what to tell the user.

    Yields
    ------
    callable
        Raises KeyboardInterrupt or `Terminated` if a signal came. To be called wherever the work may end.
    """
    pressed: int | None = None

    def handler(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        _leave_terminal(number)
        if pressed is not None:
            _raise(number, frame)
        pressed = number
        once_more = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        with suppress(OSError):  # a terminal that is closed
            notify(f"stopping at the next checkpoint; {once_more} once more stops at once")

    def check() -> None:
        for number in (pressed, _pending):
            if number is not None:
                _raise(number)

    before = {}
    if threading.current_thread() is threading.main_thread():
        interrupt = signal.getsignal(signal.SIGINT)
        # Brian2's own handler hands on to the one before it; whatever else a user has installed stays in charge
        if getattr(interrupt, "previous_handler", interrupt) is signal.default_int_handler:
            before[signal.SIGINT] = interrupt
        before |= {n: h for n in _SIGNALS if (h := signal.getsignal(n)) in (signal.SIG_DFL, _at_once)}
    for number in before:
        signal.signal(number, handler)
    try:
        yield check
    except BrianLearnError as error:
        if pressed is not None:  # a scheduler sends the signal to the programs that we run, too
            raise (KeyboardInterrupt() if pressed == signal.SIGINT else Terminated(pressed)) from error
        raise
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)


def _leave_terminal(number: int) -> None:
    """After SIGHUP: write nothing more to a terminal that is gone, which would fail."""
    if number != getattr(signal, "SIGHUP", None):
        return
    import termios

    for descriptor in (1, 2):
        try:
            termios.tcgetattr(descriptor)
        except termios.error as error:
            if error.args[0] == errno.EIO:  # it was a terminal; a file or pipe gives ENOTTY
                nothing = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nothing, descriptor)
                os.close(nothing)
