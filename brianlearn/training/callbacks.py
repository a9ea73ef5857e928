"""What a user's own code hears while a run trains: one hook, for loggers and whatever else looks on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brianlearn.errors import BrianLearnError, RuleError
from brianlearn.learning.state import LearnerState
from brianlearn.training.learner import Metrics
from brianlearn.training.result import Result

if TYPE_CHECKING:
    from brianlearn.training.experiment import Experiment

__all__ = ["Callback", "Callbacks"]


class Callback:
    """Hears how a run goes: a base class whose methods do nothing; override those that you need.

    Callbacks are given to ``Experiment.run(callbacks=...)`` and are no part of the experiment: run folders do not name
    them, and a run goes on with others, or without. They look on: what they are given is not to be changed. Each is
    called after the checkpoint that holds what it is told.

    Examples
    --------
    >>> import brianlearn as bl
    >>> class Losses(bl.Callback):
    ...     def __init__(self):
    ...         self.losses = []
    ...
    ...     def epoch(self, line, state):
    ...         self.losses.append(line["train_loss"])
    >>> from brian2 import ms
    >>> spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(9, bl.DaltonIF())], bl.Readout(10), duration=5*ms)
    >>> losses = Losses()
    >>> experiment = bl.Experiment(spec, epochs=2, limit=10, test_limit=5, device="numpy")
    >>> result = experiment.run(callbacks=[losses], progress=False)  # doctest: +SKIP
    >>> len(losses.losses)  # doctest: +SKIP
    2
    """

    def begin(self, run: Path, experiment: Experiment, state: LearnerState) -> None:
        """The run begins, or goes on.

        Parameters
        ----------
        run : pathlib.Path
            The run folder.
        experiment : Experiment
        state : LearnerState
            Where it starts: ``state.samples_seen`` is 0 of a new run, and where the last checkpoint was of one that
            goes on.
        """

    def chunk(self, metrics: Metrics, state: LearnerState) -> None:
        """A chunk of samples is learned.

        Parameters
        ----------
        metrics : Metrics
            Of this chunk.
        state : LearnerState
            After it.
        """

    def epoch(self, line: Mapping[str, Any], state: LearnerState) -> None:
        """An epoch is finished.

        Parameters
        ----------
        line : mapping
            What ``metrics.jsonl`` says about it.
        state : LearnerState
            After it.
        """

    def end(self, result: Result | None) -> None:
        """The run ends.

        Parameters
        ----------
        result : Result or None
            None where it was stopped, or failed.
        """


class Callbacks:
    """Tells several callbacks, in their order; what one of them raises says which one it was.

    Parameters
    ----------
    callbacks : iterable of Callback

    Raises
    ------
    RuleError
        What is no callback.
    """

    def __init__(self, callbacks: Iterable[Callback] = ()) -> None:
        expected = "objects of subclasses of bl.Callback, e.g. callbacks=[bl.TensorBoard('tensorboard')]"
        if isinstance(callbacks, Callback) or not isinstance(callbacks, Iterable):
            raise RuleError("Experiment.run", "callbacks is no list", got=repr(callbacks), expected=expected)
        self._all, self._run = tuple(callbacks), Path()
        for one in self._all:
            if not isinstance(one, Callback):
                raise RuleError("Experiment.run", "this is no callback", got=repr(one), expected=expected)

    @contextmanager
    def during(self, run: Path, experiment: Experiment, state: LearnerState) -> Iterator[Callable[[Result], Result]]:
        """Tell of the begin and the end of a run; what is entered takes the result, and gives it back.

        Every callback that was told of the begin is told of the end, whatever happens in between.
        """
        self._run, results, begun = run, list[Result](), list[Callback]()

        def ended(result: Result) -> Result:
            results.append(result)
            return result

        def end() -> None:
            for one in begun:
                self._tell(one, "end", lambda one: one.end(results[0] if results else None))

        try:
            for one in self._all:
                begun.append(one)
                self._tell(one, "begin", lambda one: one.begin(run, experiment, state))
            yield ended
        except BaseException as error:
            try:
                end()
            except BrianLearnError as another:  # must not hide what ended the run
                error.add_note(str(another))
            raise
        end()

    def chunk(self, metrics: Metrics, state: LearnerState) -> None:
        """As `Callback.chunk`."""
        for each in self._all:
            self._tell(each, "chunk", lambda one: one.chunk(metrics, state))

    def epoch(self, line: Mapping[str, Any], state: LearnerState) -> None:
        """As `Callback.epoch`."""
        for each in self._all:
            self._tell(each, "epoch", lambda one: one.epoch(line, state))

    def _tell(self, callback: Callback, method: str, call: Callable[[Callback], None]) -> None:
        try:
            call(callback)
        except BrianLearnError:
            raise
        except Exception as error:
            raise BrianLearnError(
                f"callback {type(callback).__name__}",
                f"its method {method}() failed",
                got=f"{type(error).__name__}: {error} ({_line_of(error)})",
                expected="a method that looks on and raises nothing",
                remedy=f"mend it, or leave it out; the run is kept in {self._run} and goes on with resume",
            ) from error


def _line_of(error: Exception) -> str:
    """Where an error was raised, in the outermost file that is the callback's own."""
    trace = error.__traceback__
    found = "" if trace is None else f"{trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"
    while trace is not None:
        if trace.tb_frame.f_code.co_filename != __file__:
            return f"{trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return found
