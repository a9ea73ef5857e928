"""A parameter study: one function, many parameters, nothing lost."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import RunFolderError, SpecError, did_you_mean
from brianlearn.machine.cores import core_count
from brianlearn.machine.environment import versions
from brianlearn.machine.leftovers import remove_leftovers
from brianlearn.scripts.options import choices
from brianlearn.study.axes import Axis, Span
from brianlearn.study.condition import condition
from brianlearn.study.executor import Executor, Outcome
from brianlearn.study.folder import FINISHED, StudyFolder
from brianlearn.study.live import choose_display
from brianlearn.study.reporting import SuccessiveHalving
from brianlearn.study.runner import finite, run_trials
from brianlearn.study.samplers import REPEATED, SAMPLERS, Point, points
from brianlearn.study.sources import Planned, Search, Source
from brianlearn.study.task import Task
from brianlearn.study.trial import KEEP
from brianlearn.study.values import text
from brianlearn.training.lock import locked
from brianlearn.training.serialise import from_dict, to_dict
from brianlearn.work import working

if TYPE_CHECKING:
    import xarray

__all__ = ["Status", "Study"]

DIRECTIONS = ("maximize", "minimize")
#: What can be one of the values of a Literal.
_LITERAL = (str, int, float, np.generic, type(None))


@dataclass(frozen=True)
class Status:
    """Where a study is.

    Attributes
    ----------
    folder : pathlib.Path
    total : int
        Trials in all; of a search, its budget.
    done, failed, stopped : int
        Trials that ended so; ``missing`` are all others.
    best : tuple of (int, float) or None
        Index and metric of the best finished trial.
    errors : dict
        Error -> how many trials ended with it.
    builds : int
        Programs that were compiled.
    """

    folder: Path
    total: int
    done: int
    failed: int
    stopped: int
    best: tuple[int, float] | None = None
    errors: Mapping[str, int] = field(default_factory=dict)
    builds: int = 0

    @property
    def missing(self) -> int:
        """Trials that ``resume`` would run."""
        return self.total - self.done - self.failed - self.stopped

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can hold.

        Returns
        -------
        dict
        """
        return {**dataclasses.asdict(self), "folder": str(self.folder), "missing": self.missing}


@dataclass(frozen=True, eq=False)
class Study:
    """Runs a function with many parameters, each combination in a folder of its own.

    Parameters
    ----------
    function : callable or path-like
        A function at the top level of a script or module, or a script that defines ``trial()`` or ``experiment()``. It
        returns an `Experiment`, which is trained, or a dict of what it measured: numbers, texts, quantities, arrays.
    axes : mapping
        Name -> values: a list, a range, a quantity array (``[5, 10, 20]*ms``), `log_space` or `linear_space`. A name is
        a parameter of the function; or, where it returns an `Experiment`, whatever `with_parameters` takes:
        ``rule``, ``learning_rate``, ``seed``, ``tau_m``, ``layer.size``, ...
    sampler : {"grid", "random", "sobol", "latin-hypercube", "saltelli", "morris", "search"}, optional
        All combinations; points drawn from the axes (`scipy.stats.qmc`); those that an analysis of sensitivity needs
        (SALib); or a search for the best (Optuna). All but the grid need a budget, and try each point with every value
        of the axis ``seed``.
    where : str or callable, optional
        Which combinations are tried: ``"tau_s < tau_m"``, or a function of a dict.
    budget : int, optional
        Number of points.
    seed : int, optional
        Of the sampler.
    metric : str, optional
        What is best: ``test_accuracy`` of experiments where it is not given.
    direction : {"maximize", "minimize"}, optional
    stop : SuccessiveHalving, optional
        Ends trials early that are far behind others.
    keep : {"weights", "metrics", "all"}, optional
        What stays of an experiment's run folder beside its metrics: the weights at the end, nothing, or the last
        checkpoint too.
    fixed : mapping, optional
        Parameters that are the same in all trials.
    name : str, optional
        Part of the folder's name; that of the function where it is not given.

    Raises
    ------
    SpecError, UnitError
        Axes or settings that cannot be right, each named.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> study = bl.Study("network_specs/digits.py", axes={"tau_m": [10, 20]*ms, "seed": range(3)})  # doctest: +SKIP
    >>> study.run(workers=2)  # doctest: +SKIP
    >>> study.results()["test_accuracy"].mean("seed")  # doctest: +SKIP
    """

    function: Callable[..., Any] | str | os.PathLike[str]
    axes: Mapping[str, Any]
    sampler: str = "grid"
    where: str | Callable[[Point], bool] | None = None
    budget: int | None = None
    seed: int = 0
    metric: str = "test_accuracy"
    direction: str = "maximize"
    stop: SuccessiveHalving | None = None
    keep: str = "weights"
    fixed: Mapping[str, Any] = field(default_factory=dict)
    name: str | None = None
    _folder: list[StudyFolder] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.axes, Mapping) or not self.axes:
            raise SpecError("Study", "there are no axes", got=repr(self.axes), expected="e.g. {'tau_m': [5, 10]*ms}")
        made = {name: v if isinstance(v, Axis) else Axis.make(name, v) for name, v in self.axes.items()}
        object.__setattr__(self, "axes", made)
        for name, known in (("sampler", SAMPLERS), ("direction", DIRECTIONS), ("keep", KEEP)):
            if getattr(self, name) not in known:
                raise SpecError(
                    "Study", f"unknown {name}", got=repr(getattr(self, name)), expected=", ".join(map(repr, known))
                )
        for name, value, low in (("budget", self.budget, 1), ("seed", self.seed, 0)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < low):
                raise SpecError("Study", f"{name} is wrong", got=repr(value), expected=f"a whole number >= {low}")
        if self.sampler != "grid" and self.budget is None:
            raise SpecError("Study", f"the sampler {self.sampler!r} needs a budget", expected="budget=..., in points")
        if self.stop is not None and not isinstance(self.stop, SuccessiveHalving):
            raise SpecError("Study", "stop is of the wrong type", got=repr(self.stop), expected="SuccessiveHalving()")
        both = sorted(set(self.fixed) & set(self.axes))
        if both:
            raise SpecError("Study", "these are fixed and axes", got=", ".join(both), expected="one of the two")
        if isinstance(self.where, str):
            condition(self.where, list(self.axes))
        elif self.where is not None and not callable(self.where):
            raise SpecError(
                "Study", "where is of the wrong type", got=repr(self.where), expected="a text or a function"
            )

    # the folder -----------------------------------------------------------------------------------------------------

    @staticmethod
    def open(folder: str | os.PathLike[str]) -> Study:
        """The study of a folder, to go on with it or to look at it.

        Parameters
        ----------
        folder : path-like

        Returns
        -------
        Study

        Raises
        ------
        RunFolderError
            If there is none, or it is damaged.
        """
        found = StudyFolder.open(folder)
        stored = found.description()
        where = f"{found.path}/study.json"
        try:
            axes = {
                name: Axis(
                    name,
                    tuple(from_dict(axis["values"], where)),
                    None if axis["span"] is None else Span(**from_dict(axis["span"], where)),
                )
                for name, axis in stored["axes"].items()
            }
            settings = {name: stored[name] for name in _PLAIN}
            task = Task(**stored["task"])
            stop = None if stored["stop"] is None else SuccessiveHalving(**stored["stop"])
            fixed = from_dict(stored["fixed"], where)
        except (KeyError, TypeError, AttributeError) as error:
            raise RunFolderError(where, "the file is damaged", got=f"{type(error).__name__}: {error}") from error
        made = Study(task, axes, stop=stop, fixed=fixed, **settings)  # type: ignore[arg-type]
        made._folder.append(found)
        return made

    @property
    def folder(self) -> Path:
        """The study's folder.

        Raises
        ------
        RunFolderError
            Before it has run.
        """
        return self._open().path

    def _open(self) -> StudyFolder:
        if not self._folder:
            raise RunFolderError(
                "Study", "it has no folder yet", expected="study.run(), or Study.open(FOLDER) for an earlier one"
            )
        return self._folder[0]

    @property
    def task(self) -> Task:
        """The function, by where it is."""
        return self.function if isinstance(self.function, Task) else Task.of(self.function)  # type: ignore[arg-type]

    def _accepts(self) -> Callable[[Point], bool] | None:
        if isinstance(self.where, str):
            return condition(self.where, list(self.axes))
        return self.where

    def points(self) -> list[Point]:
        """The points that it tries; not for a search, which finds them one by one.

        Returns
        -------
        list of dict
            Axis name -> value.
        """
        return points(list(self.axes.values()), self.sampler, self.budget, self._accepts(), self.seed)

    def _begin(self, folder: str | os.PathLike[str] | None, runs: str | os.PathLike[str]) -> StudyFolder:
        task = self.task
        self._check_parameters(task)
        planned = [] if self.sampler == "search" else self.points()
        if self.sampler != "search" and not planned:
            raise SpecError("Study", "there is no point to try", got=f"where={self.where!r}", expected="at least one")
        made = StudyFolder.create(folder, runs, self.name or Path(task.script or task.name).stem)
        made.add(planned)
        plain = {name: getattr(self, name) for name in _PLAIN}
        if callable(plain["where"]):
            plain["where"] = None  # the plan says what it accepted
        made.write_description(
            {
                "task": dataclasses.asdict(task),
                "source": task.digest(),
                "axes": {name: _stored(axis) for name, axis in self.axes.items()},
                "stop": None if self.stop is None else dataclasses.asdict(self.stop),
                "fixed": to_dict(dict(self.fixed)),
                "versions": versions(),
                **plain,
            }
        )
        return made

    def _check_parameters(self, task: Task) -> None:
        """Refuse a function that cannot be called, before anything is written."""
        needed = [
            name
            for name, p in task.parameters().items()
            if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        ]
        missing = [name for name in needed if name not in self.axes and name not in self.fixed]
        if missing:
            raise SpecError(
                f"{task.name}()",
                "a parameter of the function has no value",
                got=", ".join(missing),
                expected="an axis, fixed={...}, or a default in the function",
            )
        given = {name: axis.values for name, axis in self.axes.items()}
        given |= {name: (value,) for name, value in self.fixed.items()}
        for name, known in choices(task.function()).items():
            wrong = [v for v in given.get(name, ()) if not isinstance(v, _LITERAL) or v not in known]
            if wrong:
                raise SpecError(
                    f"{task.name}()",
                    f"its parameter {name!r} does not take this value",
                    got=", ".join(map(repr, wrong)),
                    expected=", ".join(map(repr, known)),
                    remedy=did_you_mean(wrong[0], map(str, known)),
                )

    # running --------------------------------------------------------------------------------------------------------

    def run(
        self,
        workers: int | None = None,
        *,
        scheduler: str | None = None,
        folder: str | os.PathLike[str] | None = None,
        runs: str | os.PathLike[str] = "runs",
        retries: int = 0,
        progress: bool = True,
    ) -> Status:
        """Run all trials, each in a folder of its own.

        Parameters
        ----------
        workers : int, optional
            Processes of this machine; one per core where it is not given.
        scheduler : str, optional
            Address of a Dask scheduler, whose workers run the trials instead; they need the same file system.
        folder : path-like, optional
            Of the study: new, or empty. ``runs/<date>-<time>-study-<name>`` where it is not given.
        runs : path-like, optional
        retries : int, optional
            How often a trial is run again at once that failed, or whose worker died.
        progress : bool, optional

        Returns
        -------
        Status

        Raises
        ------
        SpecError
            A function that cannot be run, before anything is written.
        RunFolderError
            A folder that cannot be written, or that another process works in.
        DeviceError
            Workers that die again and again; no scheduler.
        KeyboardInterrupt
            Ctrl-C: trials end at their next checkpoint, and `resume` goes on.
        """
        if self._folder:
            raise RunFolderError(
                str(self.folder), "this study has run already", expected="study.resume(), or a new Study"
            )
        self._folder.append(self._begin(folder, runs))
        return self._run(workers, scheduler, retries, progress)

    def resume(
        self,
        workers: int | None = None,
        *,
        scheduler: str | None = None,
        retries: int = 0,
        again: bool = False,
        progress: bool = True,
    ) -> Status:
        """Run what is missing, and nothing twice.

        Parameters
        ----------
        workers, scheduler, retries, progress : optional
            As in `run`.
        again : bool, optional
            Whether trials that failed are run again too.

        Returns
        -------
        Status

        Raises
        ------
        SpecError
            Numbers that are not whole, or too small.
        RunFolderError
            A study that has no folder yet, or a damaged one.
        """
        folder = self._open()
        if again:
            for index, state in folder.states().items():
                if state == "failed":
                    _ready(folder, index)
        return self._run(workers, scheduler, retries, progress)

    def _run(self, workers: int | None, scheduler: str | None, retries: int, progress: bool) -> Status:
        for name, value, low in (("workers", workers, 1), ("retries", retries, 0)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < low):
                raise SpecError("Study", f"{name} is wrong", got=repr(value), expected=f"a whole number >= {low}")
        folder = self._open()
        with working(), locked(folder.path):
            remove_leftovers([folder.path])
            states = folder.states()
            source = self._source(folder, states)
            before = Counter(states.values())
            labels = lambda index: ", ".join(f"{n}={text(v)}" for n, v in folder.plan()[index].items())  # noqa: E731
            display = choose_display(progress, before, self.metric, self.direction, labels)
            with display:
                display.note(f"study in {folder.path}: {source.total} trials, {sum(before.values())} finished before")
                with self._executor(scheduler, workers) as executor:
                    display.address = executor.address
                    run_trials(
                        source,
                        executor,
                        display,
                        retries=retries,
                        again=lambda index: _ready(folder, index),
                        value=self._value,
                    )
        return self.status()

    def _executor(self, scheduler: str | None, workers: int | None) -> Executor:
        if scheduler is not None:
            from brianlearn.study.cluster import ClusterExecutor

            return ClusterExecutor(self.folder, scheduler)
        from brianlearn.study.local import LocalExecutor

        return LocalExecutor(self.folder, workers or core_count())

    def _source(self, folder: StudyFolder, states: Mapping[int, str]) -> Source:
        if self.sampler != "search":
            return Planned((i for i in range(len(folder.plan())) if i not in states), len(folder.plan()))
        assert self.budget is not None
        ended = {index: finite(record["metrics"].get(self.metric)) for index, record in folder.records().items()}
        axes = list(self.axes.values())
        return Search(folder, axes, self.budget, self.direction, self.seed, self._accepts(), ended)

    def _value(self, outcome: Outcome) -> float | None:
        return finite(outcome.metrics.get(self.metric)) if outcome.state == "done" else None

    # looking --------------------------------------------------------------------------------------------------------

    def status(self) -> Status:
        """How many trials are done, failed, missing; the best one; errors by kind.

        Returns
        -------
        Status

        Raises
        ------
        RunFolderError
            A study that has no folder yet, or a damaged one.
        """
        folder = self._open()
        records = folder.records()
        total = len(folder.plan())
        if self.sampler == "search" and self.budget is not None:
            repeated = self.axes.get(REPEATED)
            total = max(total, self.budget * (len(repeated.values) if repeated is not None else 1))
        best: tuple[int, float] | None = None
        errors: Counter[str] = Counter()
        builds: set[str] = set()
        for index, record in records.items():
            builds |= set(record.get("builds") or ())
            if record["state"] == "failed":
                errors[str(record.get("error"))] += 1
            value = finite(record["metrics"].get(self.metric)) if record["state"] == "done" else None
            if value is not None and (
                best is None or (value > best[1] if self.direction == "maximize" else value < best[1])
            ):
                best = index, value
        counts = {state: sum(r["state"] == state for r in records.values()) for state in FINISHED}
        return Status(folder.path, total, best=best, errors=dict(errors), builds=len(builds), **counts)

    def parameters(self, index: int) -> Point:
        """The parameters of a trial: axis name -> value.

        Parameters
        ----------
        index : int
            Of the trial.

        Returns
        -------
        dict

        Raises
        ------
        RunFolderError
            A study that has no folder yet, or no such trial.
        """
        return dict(self._open().plan()[index])

    def results(self) -> xarray.Dataset:
        """What came out, as a table with labelled axes; see `brianlearn.study.results.dataset`.

        Returns
        -------
        xarray.Dataset

        Raises
        ------
        RunFolderError
            A study that has no folder yet, or a damaged one.
        """
        from brianlearn.study.results import dataset

        return dataset(self._open(), list(self.axes.values()), grid=self.sampler == "grid")

    def summary(self, over: str = REPEATED) -> xarray.Dataset:
        """Mean, spread and confidence over seeds; see `brianlearn.study.results.summary`.

        Parameters
        ----------
        over : str
            The axis that is averaged over.

        Returns
        -------
        xarray.Dataset
        """
        from brianlearn.study.results import summary

        return summary(self.results(), over)

    def to(self, path: str | os.PathLike[str]) -> Path:
        """Write the results as ``.csv``, ``.nc`` (netCDF) or ``.parquet``; see `brianlearn.study.results.write`.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        pathlib.Path
        """
        from brianlearn.study.results import write

        return write(self.results(), Path(path))

    def sensitivity(self, metric: str | None = None, method: str = "sobol", seed: int = 0) -> xarray.Dataset:
        """How much each axis matters; see `brianlearn.study.sensitivity.sensitivity`.

        Parameters
        ----------
        metric : str, optional
            The study's own where it is not given.
        method : str
        seed : int

        Returns
        -------
        xarray.Dataset
        """
        from brianlearn.study.sensitivity import sensitivity

        return sensitivity(self, metric or self.metric, method, seed)

    def to_sbi(self, metrics: Sequence[str]) -> tuple[Any, Any]:
        """Parameters and measurements as arrays (theta, x), for simulation-based inference.

        Parameters
        ----------
        metrics : sequence of str

        Returns
        -------
        theta : numpy.ndarray, shape (n, axes)
            In the units of the axes; numeric axes, without the seed.
        x : numpy.ndarray, shape (n, metrics)
            Finished trials only; NaN where a metric is no finite number there.

        Raises
        ------
        RunFolderError
            A study that has no folder yet, or a damaged one.
        """
        from brianlearn.study.results import to_arrays

        return to_arrays(self._open(), list(self.axes.values()), list(metrics))

    def report(self) -> Path:
        """Draw the study's pictures and a page that shows them; see `brianlearn.report.study.page.write_report`.

        Returns
        -------
        pathlib.Path
        """
        from brianlearn.report.study.page import write_report

        return write_report(self)


#: Settings that are stored as they are.
_PLAIN = ("sampler", "where", "budget", "seed", "metric", "direction", "keep", "name")


def _stored(axis: Axis) -> dict[str, Any]:
    span = None if axis.span is None else {f.name: getattr(axis.span, f.name) for f in dataclasses.fields(axis.span)}
    return {"values": to_dict(list(axis.values)), "span": to_dict(span)}


def _ready(folder: StudyFolder, index: int) -> None:
    """Let a failed trial run again."""
    (folder.trial(index).path / "failed.json").unlink(missing_ok=True)
