"""What a study says of itself while it runs."""

from __future__ import annotations

from collections import Counter

from brianlearn.study.executor import Outcome
from brianlearn.study.live import Display


def test_what_has_ended_does_not_run_any_more() -> None:
    display = Display(Counter({"done": 1}), "test_accuracy", "maximize", lambda index: f"seed={index}")
    display.running(2, 2, 4)
    assert display.summary() == "1 of 4 done, 2 running, 0 builds"
    display.ended(Outcome(1, "done", {"test_accuracy": 0.5}))
    assert display.summary().startswith("2 of 4 done, 1 running, 0 builds, best test_accuracy 0.5 (seed=1), ")
    display.ended(Outcome(2, "failed", error="it failed"))
    assert display.summary().startswith("2 of 4 done, 1 failed, 0 running")
