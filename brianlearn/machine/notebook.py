"""Where this process runs behind a notebook: one output of a cell that is drawn anew."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from html import escape
from typing import Any

__all__ = ["NotebookOutput", "in_notebook"]

#: Lines that an output keeps.
KEPT = 100
#: Seconds between two pictures of a bar.
EVERY = 0.2


def in_notebook() -> bool:
    """Whether this is the process behind a notebook, which shows what it is given to display."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None


class NotebookOutput:
    """Lines, and below them a bar with a text; as HTML, and as plain text for whatever shows no HTML."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._last, self._drawn = "", 0.0

    @property
    def shown(self) -> bool:
        """Whether there is something."""
        return self._handle is not None

    def bar(self, lines: Sequence[str], text: str, part: float | None) -> None:
        """Draw a bar that may be drawn again soon: some pictures are left out, but for the first of its kind.

        Parameters
        ----------
        lines : sequence of str
        text : str
            Its kind stands before a colon.
        part : float or None
            How much is done, from 0 to 1; None where it is not known.
        """
        kind = text.split(":")[0]
        if kind != self._last or time.perf_counter() - self._drawn > EVERY:
            self._last = kind
            self.draw(lines, text, part)

    def draw(self, lines: Sequence[str], text: str = "", part: float | None = None) -> None:
        """Draw all of it now; ``text`` and ``part`` as in `bar`, which is left out without a text.

        Parameters
        ----------
        lines : sequence of str
        text : str, optional
        part : float, optional
        """
        from IPython.display import display

        self._drawn = time.perf_counter()
        kept = list(lines)[-KEPT:]
        page = "".join(f"<div>{escape(line)}</div>" for line in kept)
        if text:
            value = "" if part is None else f' value="{part:.4f}"'
            page += f"<div><progress{value} style='width: 20em'></progress> {escape(text)}</div>"
        plain = "\n".join([*kept, *([text] if text else [])])
        bundle = {"text/plain": plain, "text/html": f"<div style='font-family: monospace'>{page}</div>"}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)
