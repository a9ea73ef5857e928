"""What every piece of work stands in that may take long: a run, an evaluation, a check, a download."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from brianlearn.machine.interrupt import stoppable
from brianlearn.machine.leftovers import remove_leftovers

__all__ = ["working"]


@contextmanager
def working() -> Iterator[None]:
    """Remove what killed processes left, and let SIGTERM and SIGHUP end the work as Ctrl-C does.

    Raises
    ------
    Terminated
        When one of them comes.
    """
    with stoppable():
        remove_leftovers()
        yield
