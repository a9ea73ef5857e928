"""While a network script is loaded, nothing trains: what it trained at import would be trained, and then again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from brianlearn.errors import SpecError

__all__ = ["loading", "refuse_while_loading"]

_script: ContextVar[str | None] = ContextVar("brianlearn_script", default=None)


@contextmanager
def loading(script: str) -> Iterator[None]:
    """The block loads a network script, for its ``experiment()``."""
    token = _script.set(script)
    try:
        yield
    finally:
        _script.reset(token)


def refuse_while_loading() -> None:
    """Refuse to train.

    Raises
    ------
    SpecError
        In a block of `loading`.
    """
    script = _script.get()
    if script is not None:
        raise SpecError(
            script,
            "the script trains while it is loaded",
            got="Experiment.run() outside of a function",
            expected='what trains under `if __name__ == "__main__":`, and a function experiment() that returns '
            "bl.Experiment(...)",
            remedy=f"run it as it is with `python {script}`",
        )
