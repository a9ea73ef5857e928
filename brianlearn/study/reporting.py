"""What a trial says while it runs, and early stopping of those that are far behind."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from brianlearn.citing import papers
from brianlearn.errors import SpecError
from brianlearn.training.files import write_json

__all__ = ["SuccessiveHalving", "TrialStopped", "report", "reporting"]


class TrialStopped(Exception):
    """Ends a trial because others are better; raised by `report`."""


@dataclass(frozen=True)
class SuccessiveHalving:
    """Asynchronous successive halving (Li et al. 2020, "A system for massively parallel hyperparameter tuning").

    Trials are compared after ``minimum``, ``minimum x factor``, ``minimum x factor^2``, ... epochs. A trial goes on if
    it is among the best ``1/factor`` of all that have come as far, itself included; nobody waits for anybody.

    Parameters
    ----------
    minimum : int
        Epochs before the first comparison.
    factor : int
        One of so many trials goes on.
    metric : str, optional
        What is compared: of each epoch's line in ``metrics.jsonl``. ``validation_accuracy`` where samples are held out,
        else ``train_accuracy``, where it is not given. Functions that call `report` are compared by what they report.
    direction : {"maximize", "minimize"}

    Raises
    ------
    SpecError
    """

    references = (papers.HALVING,)

    minimum: int = 1
    factor: int = 3
    metric: str | None = None
    direction: str = "maximize"

    def __post_init__(self) -> None:
        for name, low in (("minimum", 1), ("factor", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise SpecError(
                    "SuccessiveHalving", f"{name} is wrong", got=repr(value), expected=f"a whole number >= {low}"
                )
        if self.direction not in ("maximize", "minimize"):
            raise SpecError(
                "SuccessiveHalving", "unknown direction", got=repr(self.direction), expected="'maximize' or 'minimize'"
            )

    def compares(self, step: int) -> bool:
        """Whether trials are compared after so many epochs.

        Parameters
        ----------
        step : int
            Number of epochs.

        Returns
        -------
        bool
        """
        while step > self.minimum and step % self.factor == 0:
            step //= self.factor
        return step == self.minimum

    def goes_on(self, values: list[float], mine: float) -> bool:
        """Whether a trial is among the best of all that have come as far.

        Parameters
        ----------
        values : list of float
            Of all of them, its own included.
        mine : float

        Returns
        -------
        bool
        """
        if math.isnan(mine):
            return False
        better = sum(v > mine if self.direction == "maximize" else v < mine for v in values if not math.isnan(v))
        return better < max(1, len(values) // self.factor)


#: Called with (step, value); raises `TrialStopped`.
_REPORT: ContextVar[Callable[[int, float], None] | None] = ContextVar("report", default=None)


def report(step: int, value: float) -> None:
    """Say how a trial stands; for functions that do not return an `Experiment`. Outside of a study it does nothing.

    Parameters
    ----------
    step : int
        How far it is, counted from 1.
    value : float
        What the study compares.

    Raises
    ------
    TrialStopped
        If the trial is to end, because others are better. Let it pass.
    """
    hook = _REPORT.get()
    if hook is not None:
        hook(int(step), float(value))


@contextmanager
def reporting(folder: Path, index: int, stop: SuccessiveHalving | None) -> Iterator[None]:
    """Store what a trial reports beside the study, and end it where it is to be ended.

    Parameters
    ----------
    folder : pathlib.Path
        Of the study's reports.
    index : int
        Of the trial.
    stop : SuccessiveHalving or None
    """

    def hook(step: int, value: float) -> None:
        if stop is None or not stop.compares(step):
            return
        place = folder / str(step)
        place.mkdir(parents=True, exist_ok=True)
        write_json(place / f"{index}.json", {"value": value if math.isfinite(value) else None})
        if not stop.goes_on(_values(place), value):
            raise TrialStopped(f"after {step} epochs {value:.4g} is not among the best {1 / stop.factor:.0%}")

    token = _REPORT.set(hook)
    try:
        yield
    finally:
        _REPORT.reset(token)


def _values(place: Path) -> list[float]:
    found = []
    with os.scandir(place) as files:
        for file in files:
            if file.name.endswith(".json") and not file.name.startswith("."):
                value = json.loads(Path(file.path).read_text(encoding="utf-8"))["value"]
                found.append(math.nan if value is None else float(value))
    return found
