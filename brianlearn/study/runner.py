"""The loop of a study: gives trials to an executor, hears how they ended, and shows where it is."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

from brianlearn.errors import DeviceError
from brianlearn.machine.interrupt import Terminated, interruptible
from brianlearn.study.executor import Executor, Outcome
from brianlearn.study.live import Display
from brianlearn.study.sources import Source

__all__ = ["finite", "run_trials"]

#: Seconds between two looks.
PAUSE = 0.5
#: Trials in a row whose results could not be written, after which a study ends.
DISK_FAILURES = 3


def run_trials(
    source: Source,
    executor: Executor,
    display: Display,
    *,
    retries: int,
    again: Callable[[int], None],
    value: Callable[[Outcome], float | None],
) -> Counter[str]:
    """Run all trials that a source gives.

    Parameters
    ----------
    source : Source
    executor : Executor
    display : Display
    retries : int
        How often a trial is run again that failed or was lost.
    again : callable
        Makes a trial ready to be run again.
    value : callable
        The metric of a trial that has ended; None where it has none.

    Returns
    -------
    collections.Counter
        State -> trials of this call.

    Raises
    ------
    KeyboardInterrupt, Terminated
        Ctrl-C, TERM or HUP, after what ran has ended where it can go on later.
    DeviceError
        If the executor cannot go on, or the disk does not take results any more.
    """
    tries: Counter[int] = Counter()
    waiting: list[int] = []
    ended: Counter[str] = Counter()
    lost_in_a_row = 0
    with interruptible(display.note) as check:
        while True:
            try:
                check()
            except (KeyboardInterrupt, Terminated):
                executor.interrupt()
                _finish(executor, ended, display)  # a second Ctrl-C does not wait for it
                raise
            while executor.running < executor.capacity:
                index = waiting.pop(0) if waiting else source.next()
                if index is None:
                    break
                executor.submit(index)
            display.running(executor.running, executor.capacity, source.total)
            if not executor.running:
                return ended
            for outcome in executor.wait(PAUSE):
                tries[outcome.index] += 1
                if outcome.state in ("failed", "lost") and tries[outcome.index] <= retries:
                    display.note(f"trial {outcome.index} {outcome.state}, again: {outcome.error}")
                    again(outcome.index)
                    waiting.append(outcome.index)
                    continue
                ended[outcome.state] += 1
                display.ended(outcome)
                if outcome.state != "lost":
                    source.told(outcome.index, value(outcome))
                lost_in_a_row = lost_in_a_row + 1 if outcome.state == "lost" and not _died(outcome) else 0
                if lost_in_a_row >= DISK_FAILURES:
                    raise DeviceError(
                        "study",
                        "results cannot be stored",
                        got=outcome.error,
                        expected="a folder that can be written, with space left",
                        remedy="make space, then go on: brianlearn study resume FOLDER",
                    )


def _died(outcome: Outcome) -> bool:
    return "worker" in (outcome.error or "")


def _finish(executor: Executor, ended: Counter[str], display: Display) -> None:
    """Wait for what runs to end at its next checkpoint."""
    while executor.running:
        for outcome in executor.wait(PAUSE):
            ended[outcome.state] += 1
            display.ended(outcome)


def finite(value: Any) -> float | None:
    """A metric as a number; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
