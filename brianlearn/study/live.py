"""Where a study is, while it runs: one line at a time, or a live table, on a terminal or in a notebook.

Lines and the table of a terminal go to stderr.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from brianlearn.machine.notebook import NotebookOutput, in_notebook
from brianlearn.study.executor import Outcome

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Display", "LineDisplay", "LiveDisplay", "NotebookDisplay", "choose_display", "clock"]

#: Seconds between two lines of a log.
EVERY = 10.0


def clock(seconds: float) -> str:
    """A duration as people write it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Display:
    """Counts what has ended; this base class keeps silent.

    Parameters
    ----------
    before : dict
        State -> trials that had ended before.
    metric, direction : str
        What "best" means.
    labels : callable
        Index of a trial -> its parameters, as text.
    """

    def __init__(self, before: Counter[str], metric: str, direction: str, labels: Any) -> None:
        self.counts, self.metric, self.direction, self._label = Counter(before), metric, direction, labels
        self.builds: set[str] = set()
        self.best: tuple[float, int] | None = None
        self.address: str | None = None
        self._began, self._now = time.monotonic(), 0
        self._running = self._capacity = self._total = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def note(self, text: str) -> None:
        """Something worth a line."""

    def running(self, n: int, capacity: int, total: int) -> None:
        """So many trials run now, of so many in all."""
        self._running, self._capacity, self._total = n, capacity, total

    def ended(self, outcome: Outcome) -> None:
        """A trial has ended."""
        self.counts[outcome.state] += 1
        self._now += 1
        self._running -= 1
        self.builds |= set(outcome.builds)
        value = outcome.metrics.get(self.metric)
        if outcome.state == "done" and isinstance(value, int | float):
            better = self.best is None or (
                value > self.best[0] if self.direction == "maximize" else value < self.best[0]
            )
            if better:
                self.best = float(value), outcome.index

    @property
    def left(self) -> float | None:
        """Seconds that are left, from what the trials of this call took; None where nothing is known."""
        waiting = self._total - sum(self.counts[state] for state in ("done", "failed", "stopped"))
        if not self._now or waiting < 0:
            return None
        return waiting * (time.monotonic() - self._began) / self._now

    def summary(self) -> str:
        """Where it is, in one line."""
        parts = [f"{self.counts['done']} of {self._total} done"]
        parts += [f"{self.counts[s]} {s}" for s in ("stopped", "failed", "lost") if self.counts[s]]
        parts += [f"{self._running} running", f"{len(self.builds)} builds"]
        if self.best is not None:
            parts.append(f"best {self.metric} {self.best[0]:.4g} ({self._label(self.best[1])})")
        if self.left is not None and self._running:
            parts.append(f"{clock(self.left)} left")
        return ", ".join(parts)


class LineDisplay(Display):
    """A plain line now and then: for logs and pipes."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._said = 0.0

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def ended(self, outcome: Outcome) -> None:
        super().ended(outcome)
        if outcome.state in ("failed", "lost"):
            self.note(f"trial {outcome.index} ({self._label(outcome.index)}) {outcome.state}: {outcome.error}")
        if time.monotonic() - self._said > EVERY:
            self._said = time.monotonic()
            self.note(self.summary())

    def __exit__(self, *error: Any) -> None:
        self.note(self.summary())


class LiveDisplay(Display):
    """A table that is drawn anew: done, running, failed, best so far, time left, builds."""

    def __init__(self, *arguments: Any) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(*arguments)
        self._live = Live(self._table(), console=Console(stderr=True), refresh_per_second=4, transient=False)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._live.update(self._table(), refresh=True)
        self._live.stop()

    def note(self, text: str) -> None:
        self._live.console.print(text, highlight=False, markup=False)

    def running(self, n: int, capacity: int, total: int) -> None:
        super().running(n, capacity, total)
        self._live.update(self._table())

    def ended(self, outcome: Outcome) -> None:
        super().ended(outcome)
        if outcome.state in ("failed", "lost"):
            self.note(f"trial {outcome.index} ({self._label(outcome.index)}) {outcome.state}: {outcome.error}")
        self._live.update(self._table())

    def _table(self) -> Table:
        from rich.progress_bar import ProgressBar
        from rich.table import Table

        table = Table(show_header=False, box=None, pad_edge=False)
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        ended = sum(self.counts[state] for state in ("done", "failed", "stopped"))
        table.add_row("trials", ProgressBar(total=max(self._total, 1), completed=ended, width=40))
        table.add_row("done", f"{self.counts['done']} of {self._total}")
        table.add_row("running", f"{self._running} of {self._capacity} workers")
        for state in ("stopped", "failed", "lost"):
            if self.counts[state]:
                table.add_row(state, f"[{'yellow' if state == 'stopped' else 'red'}]{self.counts[state]}[/]")
        if self.best is not None:
            table.add_row("best", f"{self.metric} {self.best[0]:.4g}  ({self._label(self.best[1])})")
        table.add_row("builds", str(len(self.builds)))
        if self.left is not None:
            table.add_row("time left", clock(self.left))
        if self.address:
            table.add_row("dashboard", self.address)
        return table


class NotebookDisplay(Display):
    """One output of a notebook's cell, drawn anew: a bar over the trials, and a line for each that failed."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._output, self._lines = NotebookOutput(), list[str]()

    def __exit__(self, *error: Any) -> None:
        self._output.draw([*self._lines, self.summary()])

    def note(self, text: str) -> None:
        self._lines += text.splitlines()
        self._output.draw(self._lines, *self._bar)

    def running(self, n: int, capacity: int, total: int) -> None:
        super().running(n, capacity, total)
        self._output.bar(self._lines, *self._bar)

    def ended(self, outcome: Outcome) -> None:
        super().ended(outcome)
        if outcome.state in ("failed", "lost"):
            self.note(f"trial {outcome.index} ({self._label(outcome.index)}) {outcome.state}: {outcome.error}")
        self._output.bar(self._lines, *self._bar)

    @property
    def _bar(self) -> tuple[str, float]:
        ended = sum(self.counts[state] for state in ("done", "failed", "stopped"))
        return f"trials: {self.summary()}", ended / max(self._total, 1)


def choose_display(progress: bool, *arguments: Any) -> Display:
    """The display that fits: live on a terminal or in a notebook, plain lines elsewhere; none without ``progress``."""
    if not progress:
        return Display(*arguments)
    if in_notebook():
        return NotebookDisplay(*arguments)
    moves = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"  # which has no way to draw a line anew
    return LiveDisplay(*arguments) if moves else LineDisplay(*arguments)
