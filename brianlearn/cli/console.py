"""Errors on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer
from rich.console import Console

from brianlearn.errors import BrianLearnError
from brianlearn.machine.interrupt import Terminated, stoppable
from brianlearn.scripts.options import ScriptUsageError

__all__ = ["show_error", "user_errors"]


def show_error(error: BrianLearnError) -> None:
    """Print an error that the user can act on, without a traceback."""
    text = "\n".join([str(error), *getattr(error, "__notes__", [])])
    Console(stderr=True, soft_wrap=True).print(text, style="red", markup=False, highlight=False)


@contextmanager
def user_errors() -> Iterator[None]:
    """Print errors that the user can act on, without a traceback, and exit: 1; 2 wrong usage; 128 + number a signal."""
    try:
        with stoppable():
            yield
    except BrianLearnError as error:
        show_error(error)
        raise typer.Exit(1) from None
    except ScriptUsageError as error:
        raise typer.BadParameter(str(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except Terminated as stop:
        with suppress(OSError):  # a terminal that is closed
            Console(stderr=True).print(str(stop), style="yellow")
        raise typer.Exit(128 + stop.number) from None
