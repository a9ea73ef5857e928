"""Which trial comes next: the rest of a plan, or what a search asks for."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from brianlearn.errors import DeviceError, SpecError
from brianlearn.study.axes import Axis
from brianlearn.study.folder import StudyFolder
from brianlearn.study.samplers import PATIENCE, REPEATED, Point

__all__ = ["Planned", "Search", "Source"]


class Source(ABC):
    """Gives the indices of trials to run."""

    @abstractmethod
    def next(self) -> int | None:
        """The next trial; None where there is none for now."""

    @abstractmethod
    def told(self, index: int, value: float | None) -> None:
        """A trial has ended, with this value of the metric; None where it has none."""

    @property
    @abstractmethod
    def total(self) -> int:
        """Trials in all."""


class Planned(Source):
    """Trials that are all known.

    Parameters
    ----------
    missing : iterable of int
        Those to run.
    total : int
    """

    def __init__(self, missing: Iterable[int], total: int) -> None:
        self._missing, self._total = deque(missing), total

    def next(self) -> int | None:
        return self._missing.popleft() if self._missing else None

    def told(self, index: int, value: float | None) -> None:
        """Nothing follows from it: the plan stands."""

    @property
    def total(self) -> int:
        return self._total


class Search(Source):
    """Points that Optuna's sampler asks for (a tree-structured Parzen estimator), each with all seeds.

    Optuna keeps nothing: what is known is read from the study's folder and told to it again.

    Parameters
    ----------
    folder : StudyFolder
    axes : sequence of Axis
    budget : int
        Points.
    direction : {"maximize", "minimize"}
    seed : int
    where : callable or None
        Point -> whether it is tried.
    ended : mapping
        Index of a finished trial -> value of the metric, None where it has none.
    """

    def __init__(
        self,
        folder: StudyFolder,
        axes: Sequence[Axis],
        budget: int,
        direction: str,
        seed: int,
        where: Callable[[Point], bool] | None,
        ended: Mapping[int, float | None],
    ) -> None:
        try:
            import optuna
        except ImportError:
            raise DeviceError(
                "sampler 'search'",
                "Optuna is not installed",
                expected="optuna",
                remedy="install optuna, or use sampler='sobol'",
            ) from None
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._folder, self._where, self._budget = optuna, folder, where, budget
        self._axes = [axis for axis in axes if axis.name != REPEATED]
        self._repeats: list[Point] = [
            {REPEATED: value} for axis in axes if axis.name == REPEATED for value in axis.values
        ] or [{}]
        self._distributions = {axis.name: self._distribution(axis) for axis in self._axes}
        # what is drawn depends on how many are known, not on a generator that a crash would set back
        sampler = optuna.samplers.TPESampler(seed=seed + len(folder.plan()), constant_liar=True)
        self._study = optuna.create_study(direction=direction, sampler=sampler)  # type: ignore[arg-type]
        self._trials: dict[int, Any] = {}
        self._values: dict[int, dict[int, float | None]] = {}
        self._waiting: deque[int] = deque()
        self._points = 0
        self._restore(ended)

    def _distribution(self, axis: Axis) -> Any:
        distributions = self._optuna.distributions
        if axis.span is None:
            return distributions.CategoricalDistribution(tuple(range(len(axis.values))))
        low, high = float(axis.span.low), float(axis.span.high)
        if axis.span.whole:
            return distributions.IntDistribution(math.ceil(low), math.floor(high), log=axis.span.log)
        return distributions.FloatDistribution(low, high, log=axis.span.log)

    def _point(self, asked: Mapping[str, Any]) -> Point:
        found: Point = {}
        for axis in self._axes:
            value = asked[axis.name]
            if axis.span is None:
                found[axis.name] = axis.values[value]
            elif isinstance(axis.span.low, int | float):
                found[axis.name] = value
            else:
                found[axis.name] = type(axis.span.low)(value, dim=axis.span.low.dim)
        return found

    def _asked(self, point: Point) -> dict[str, Any]:
        """The inverse of `_point`."""
        found: dict[str, Any] = {}
        for axis in self._axes:
            value = point[axis.name]
            if axis.span is None:
                found[axis.name] = next(k for k, v in enumerate(axis.values) if v == value)
            else:
                low, high = float(axis.span.low), float(axis.span.high)
                found[axis.name] = int(value) if axis.span.whole else min(max(float(value), low), high)
        return found

    def _restore(self, ended: Mapping[int, float | None]) -> None:
        """Tell Optuna what an earlier process has found; let what was cut off run again."""
        plan = self._folder.plan()
        each = len(self._repeats)
        for first in range(0, len(plan), each):
            group = list(range(first, min(first + each, len(plan))))
            if len(group) < each:  # cut off while the plan was written
                done = [{k: v for k, v in plan[i].items() if k in (REPEATED,)} for i in group]
                rest = [r for r in self._repeats if r not in done]
                base = {k: v for k, v in plan[first].items() if k != REPEATED}
                group += self._folder.add([base | r for r in rest])
            self._points += 1
            self._waiting.extend(i for i in group if i not in ended)
            self._values[first] = {i: ended[i] for i in group if i in ended}
            if len(self._values[first]) == each:
                self._add(first)

    def _add(self, first: int) -> None:
        """A finished point of an earlier process."""
        value = _mean(self._values[first].values())
        state = self._optuna.trial.TrialState
        self._study.add_trial(
            self._optuna.trial.create_trial(
                params=self._asked(self._folder.plan()[first]),
                distributions=self._distributions,
                value=value,
                state=state.COMPLETE if value is not None else state.FAIL,
            )
        )

    def next(self) -> int | None:
        if self._waiting:
            return self._waiting.popleft()
        if self._points >= self._budget:
            return None
        for _ in range(PATIENCE):
            trial = self._study.ask(self._distributions)
            point = self._point(trial.params)
            if self._where is None or self._where(point):
                break
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            raise SpecError("Study", "`where` refuses nearly all points", got=f"{PATIENCE} refused in a row")
        indices = self._folder.add([point | repeat for repeat in self._repeats])
        self._points += 1
        self._trials[indices[0]] = trial
        self._values[indices[0]] = {}
        self._waiting.extend(indices)
        return self._waiting.popleft()

    def told(self, index: int, value: float | None) -> None:
        each = len(self._repeats)
        first = index // each * each
        self._values[first][index] = value
        if len(self._values[first]) < each:
            return
        trial = self._trials.pop(first, None)
        if trial is None:
            self._add(first)
            return
        mean = _mean(self._values[first].values())
        if mean is None:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, mean)

    @property
    def total(self) -> int:
        return self._budget * len(self._repeats)


def _mean(values: Iterable[float | None]) -> float | None:
    """The mean over seeds; None where none of them has a value."""
    found = [value for value in values if value is not None and math.isfinite(value)]
    return float(np.mean(found)) if found else None
