"""How a run reports while it runs: silent, one line per epoch, or a live display, on a terminal or in a notebook.

Lines and the display of a terminal go to stderr.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from brianlearn.machine.notebook import NotebookOutput, in_notebook
from brianlearn.training.learner import Metrics

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "LineProgress",
    "LiveProgress",
    "NotebookProgress",
    "Progress",
    "choose_progress",
    "epoch_line",
    "scored",
]


class Progress:
    """What the training loop tells; this base class keeps silent.

    A context manager: leaving it ends the display. To report otherwise, override what you need and give an instance to
    ``Experiment.run(progress=...)``.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def note(self, text: str) -> None:
        """Something worth a line.

        Parameters
        ----------
        text : str
        """

    def warning(self, text: str) -> bool:
        """Something that looks wrong, though nothing fails; whether it is shown (else Python prints it).

        Parameters
        ----------
        text : str

        Returns
        -------
        bool
        """
        self.note(f"warning: {text}")
        return type(self).note is not Progress.note

    def building(self, device: str) -> None:
        """The network is being made ready, on a device that may have to compile it first.

        Parameters
        ----------
        device : str
        """

    def learning(self, epoch: int, epochs: int, samples: int, done: int) -> None:
        """Epoch ``epoch`` (from 0) of ``epochs`` begins, or continues after ``done`` of its ``samples``.

        Parameters
        ----------
        epoch : int
        epochs : int
        samples : int
            Of an epoch.
        done : int
        """

    def learned(self, done: int, running: Metrics) -> None:
        """``done`` samples of the epoch are learned; ``running`` measures them all.

        Parameters
        ----------
        done : int
        running : Metrics
        """

    def epoch(self, line: dict[str, Any], epochs: int) -> None:
        """An epoch is finished; ``line`` is what ``metrics.jsonl`` says about it.

        Parameters
        ----------
        line : dict
        epochs : int
        """

    def testing(self, what: str, samples: int, done: int) -> None:
        """``done`` of ``samples`` samples have run with frozen weights; ``what`` is "validation" or "test".

        Parameters
        ----------
        what : {"validation", "test"}
        samples : int
        done : int
        """


def scored(line: Mapping[str, Any], part: str) -> str:
    """The scores of a part of the data, for people: accuracy, mean squared error and R^2, or van Rossum's distance.

    "" where there are none.

    Parameters
    ----------
    line : mapping
        From ``metrics.jsonl``, or the fields of a `Result`.
    part : {"train", "validation", "test"}
    """
    if line.get(f"{part}_accuracy") is not None:
        return f"accuracy {line[f'{part}_accuracy']:.2%}"
    if line.get(f"{part}_van_rossum") is not None:
        return f"distance {line[f'{part}_van_rossum']:.4g} (van Rossum)"
    mse, r2 = line.get(f"{part}_mse"), line.get(f"{part}_r2")
    return "" if mse is None else f"mse {mse:.4g}" + ("" if r2 is None else f", R^2 {r2:.4f}")


def epoch_line(line: dict[str, Any], epochs: int) -> str:
    """One epoch in one line, for people."""
    text = f"epoch {line['epoch']}/{epochs}: train {scored(line, 'train')}, loss {line['train_loss']:.4g}"
    held_out = scored(line, "validation")
    text += f", validation {held_out}" if held_out else ""
    return f"{text}, {line['samples_per_second']:.0f} samples/s, {line['seconds']:.1f} s"


class LineProgress(Progress):
    """One plain line per epoch: for logs and pipes."""

    def note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def building(self, device: str) -> None:
        if device != "numpy":
            self.note(f"making the network ready on {device} (compiles the first time)")

    def epoch(self, line: dict[str, Any], epochs: int) -> None:
        self.note(epoch_line(line, epochs))


class LiveProgress(Progress):
    """A bar over the samples of the epoch, with samples/s, time left, running accuracy and loss; one line per epoch.

    Parameters
    ----------
    console : rich.console.Console, optional
        stderr where it is not given.
    """

    def __init__(self, console: Console | None = None) -> None:
        from rich import progress
        from rich.console import Console

        self._bar = progress.Progress(
            progress.SpinnerColumn(),
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=None),
            progress.TextColumn("{task.fields[status]}"),
            console=console or Console(stderr=True),
            transient=True,
            expand=True,
        )
        self._task = self._bar.add_task("", total=None, status="", visible=False)
        self._where = ""
        self._samples = self._left = 0
        self._learned, self._seconds = 0, 0.0  # by this process, not before a resume
        self._last: tuple[int, float] = (0, 0.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def _show(self, description: str, total: int | None, done: int, status: str) -> None:
        self._bar.update(
            self._task, description=description, total=total, completed=done, status=status, visible=True, refresh=True
        )

    def note(self, text: str) -> None:
        self._bar.console.print(text, highlight=False, markup=False)

    def building(self, device: str) -> None:
        what = "making the network ready" if device == "numpy" else f"compiling for {device} (up to a minute, once)"
        self._show(what, None, 0, "")

    def learning(self, epoch: int, epochs: int, samples: int, done: int) -> None:
        self._where, self._samples = f"epoch {epoch + 1}/{epochs}", samples
        self._left = (epochs - epoch - 1) * samples
        self._last = (done, time.perf_counter())
        self._show(self._where, samples, done, "")

    def learned(self, done: int, running: Metrics) -> None:
        now = time.perf_counter()
        self._learned += done - self._last[0]
        self._seconds += now - self._last[1]
        self._last = (done, now)
        rate = self._learned / max(self._seconds, 1e-9)
        left = (self._left + self._samples - done) / max(rate, 1e-9)
        speed = f"{done / self._samples:.0%}  {rate:.0f} samples/s  {_clock(left)} left"
        status = f"{speed}  {_score(running)}  loss {running.loss:.4g}"
        self._show(self._where, self._samples, done, status)

    def epoch(self, line: dict[str, Any], epochs: int) -> None:
        self.note(epoch_line(line, epochs))

    def testing(self, what: str, samples: int, done: int) -> None:
        self._show(what, samples, done, f"{done}/{samples}")


def _score(running: Metrics) -> str:
    if running.van_rossum is not None:
        return f"distance {running.van_rossum:.4g}"
    return f"accuracy {running.accuracy:.1%}" if running.mse is None else f"mse {running.mse:.4g}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class NotebookProgress(Progress):
    """One output of a notebook's cell, drawn anew: a bar over the samples of the epoch, and a line per epoch.

    What is left when the run has ended are the lines.
    """

    def __init__(self) -> None:
        self._output, self._lines = NotebookOutput(), list[str]()
        self._where, self._samples = "", 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._output.shown:
            self._output.draw(self._lines)

    def note(self, text: str) -> None:
        self._lines += text.splitlines()
        self._output.draw(self._lines)

    def building(self, device: str) -> None:
        if device != "numpy":
            self._output.bar(self._lines, f"making the network ready on {device} (compiles the first time)", None)

    def learning(self, epoch: int, epochs: int, samples: int, done: int) -> None:
        self._where, self._samples = f"epoch {epoch + 1}/{epochs}", samples
        self._output.bar(self._lines, f"{self._where}: {done} of {samples} samples", done / samples)

    def learned(self, done: int, running: Metrics) -> None:
        text = f"{self._where}: {done} of {self._samples} samples, {_score(running)}, loss {running.loss:.4g}"
        self._output.bar(self._lines, text, done / self._samples)

    def epoch(self, line: dict[str, Any], epochs: int) -> None:
        self.note(epoch_line(line, epochs))

    def testing(self, what: str, samples: int, done: int) -> None:
        self._output.bar(self._lines, f"{what}: {done} of {samples} samples", done / samples)


def choose_progress(progress: bool | Progress) -> Progress:
    """The display that fits: live on a terminal and in a notebook, plain lines elsewhere.

    Parameters
    ----------
    progress : bool or Progress
        False keeps silent; a `Progress` is taken as it is.
    """
    if isinstance(progress, Progress):
        return progress
    if not progress:
        return Progress()
    if in_notebook():
        return NotebookProgress()
    moves = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"  # which has no way to draw a line anew
    return LiveProgress() if moves else LineProgress()
