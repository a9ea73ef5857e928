"""Ctrl-C ends the work at a checkpoint, or at once where it is pressed twice."""

from __future__ import annotations

import os
import signal
import threading
import weakref
from collections.abc import Iterator

import pytest

from brianlearn.training.interrupt import interruptible


class _Thing:
    pass


def _press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """Python's own handler, which a test run in the background does not have; it must be there again afterwards."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler


def test_the_work_goes_on_to_the_next_check() -> None:
    notes: list[str] = []
    with interruptible(notes.append) as check:
        check()
        _press()
        assert "Ctrl-C once more" in notes[0]
        with pytest.raises(KeyboardInterrupt):
            check()


def test_pressed_inside_a_callback_that_would_swallow_the_exception() -> None:
    with interruptible(lambda note: None) as check:
        thing = _Thing()
        watcher = weakref.ref(thing, lambda _: _press())
        del thing
        assert watcher() is None
        with pytest.raises(KeyboardInterrupt):
            check()


def test_pressed_twice_it_ends_at_once() -> None:
    with interruptible(lambda note: None):
        _press()
        with pytest.raises(KeyboardInterrupt):
            _press()


def test_a_handler_of_the_user_stays_in_charge() -> None:
    caught = []
    before = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
    try:
        with interruptible(lambda note: None) as check:
            _press()
            check()
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught == [signal.SIGINT]


def test_outside_the_main_thread() -> None:
    results = []

    def work() -> None:
        with interruptible(lambda note: None) as check:
            check()
            results.append("done")

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == ["done"]
