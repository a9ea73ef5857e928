"""How what cannot be adopted is named."""

from __future__ import annotations

from typing import Any

from brianlearn.errors import SpecError

__all__ = ["refused"]


def refused(obj: Any, why: str, *, line: str, expected: str, remedy: str | None = None) -> SpecError:
    """The refusal of a Brian2 object, with the line that could not be read.

    Parameters
    ----------
    obj : brian2.core.names.Nameable or str
    why : str
    line : str
        What was read.
    expected : str
    remedy : str, optional

    Returns
    -------
    SpecError
    """
    owner = obj if isinstance(obj, str) else f"adopt: {type(obj).__name__} {obj.name!r}"
    return SpecError(owner, why, got=line, expected=expected, remedy=remedy)
