"""Ctrl-C, SIGTERM and SIGHUP end the work at a checkpoint, or at once where they come twice."""

from __future__ import annotations

import os
import signal
import threading
import weakref
from collections.abc import Iterator

import pytest

from brianlearn.errors import DeviceError
from brianlearn.machine.interrupt import Terminated, interruptible, stoppable


class _Thing:
    pass


def _press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """Python's own handler, which a test run in the background does not have; it must be there again afterwards."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    hung_up = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, hung_up)
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


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
class TestTerminated:
    def test_at_once(self, number: int) -> None:
        with pytest.raises(Terminated) as caught, stoppable():
            os.kill(os.getpid(), number)
            pytest.fail("it went on")
        assert caught.value.code == 128 + number
        assert signal.Signals(number).name in str(caught.value)
        assert signal.getsignal(number) is signal.SIG_DFL

    def test_at_the_next_check(self, number: int) -> None:
        notes: list[str] = []
        with pytest.raises(Terminated), stoppable(), interruptible(notes.append) as check:
            os.kill(os.getpid(), number)
            assert "next checkpoint" in notes[0]
            check()
        assert signal.getsignal(number) is signal.SIG_DFL

    def test_twice(self, number: int) -> None:
        with pytest.raises(Terminated), interruptible(lambda note: None):
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)
            pytest.fail("it went on")

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    def test_where_the_exception_is_swallowed(self, number: int) -> None:
        with pytest.raises(Terminated), stoppable():
            thing = _Thing()
            watcher = weakref.ref(thing, lambda _: os.kill(os.getpid(), number))
            del thing
            assert watcher() is None

    def test_one_that_is_ignored_stays_ignored(self, number: int) -> None:
        before = signal.signal(number, signal.SIG_IGN)
        try:
            with stoppable(), interruptible(lambda note: None) as check:
                os.kill(os.getpid(), number)
                check()
        finally:
            signal.signal(number, before)

    def test_a_program_that_the_same_signal_ended(self, number: int) -> None:
        """A scheduler sends it to all processes of a job."""
        with pytest.raises(Terminated), interruptible(lambda note: None):
            os.kill(os.getpid(), number)
            raise DeviceError("cpp_standalone", "the compiled program failed")
