"""What the pictures of a study are drawn from: its results as columns, one row per trial."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2.units.fundamentalunits import Quantity

from brianlearn.errors import DataError, did_you_mean
from brianlearn.study.samplers import REPEATED
from brianlearn.study.study import Study
from brianlearn.study.values import common_unit, to_number

if TYPE_CHECKING:
    import xarray

__all__ = ["StudyTable", "TableAxis", "column_label", "study_table", "table_of_results"]

#: Values of a drawn axis above which its points are no levels, but places on a line.
LEVELS = 12
#: Axes that span more than so much are drawn on a logarithmic scale.
DECADE = 10.0
#: Variables of a results table that are no metrics.
OWN = ("state", "error", "trial_index")


@dataclass(frozen=True, eq=False)
class TableAxis:
    """An axis of the study, as it is drawn.

    Attributes
    ----------
    name : str
    unit : str
        Empty where it has none.
    levels : numpy.ndarray
        Its different values: numbers in rising order, or texts in the order of the study.
    log : bool
        Whether it is drawn on a logarithmic scale.
    drawn : bool
        Whether its values were drawn from an interval, so that hardly two trials share one.
    """

    name: str
    unit: str
    levels: np.ndarray
    log: bool
    drawn: bool

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.levels.dtype.kind in "iuf"

    @property
    def label(self) -> str:
        """``tau_m (ms)``."""
        return f"{self.name} ({self.unit})" if self.unit else self.name

    def text(self, code: int, unit: bool = False) -> str:
        """A level as text."""
        level = self.levels[code]
        shown = self._number(float(level)) if self.levels.dtype.kind == "f" else str(level)
        return f"{shown} {self.unit}" if unit and self.unit else shown

    def _number(self, value: float) -> str:
        """In full where that is short, else with as few digits as tell the levels apart, at least three."""
        full = f"{value:.10g}"
        if len(full) <= 6:
            return full
        digits = (3, 4, 6) if not self.drawn else (3,)
        enough = (d for d in digits if len({f"{x:.{d}g}" for x in self.levels.tolist()}) == len(self.levels))
        return f"{value:.{next(enough, 10 if not self.drawn else 3)}g}"

    def code(self, value: Any, subject: str) -> int:
        """The level that a user means: a number in the unit of the axis, a quantity, or a text.

        Raises
        ------
        DataError
            If there is none.
        """
        given = value
        if isinstance(value, Quantity) and self.unit and common_unit([value]):
            value = to_number(value, self.unit)
        if self.numeric and isinstance(value, int | float | np.number):
            near = np.flatnonzero(np.isclose(self.levels, value, rtol=1e-9, atol=0.0))
        else:
            near = np.flatnonzero(self.levels == str(value))
        if not near.size:
            known = [self.text(k, unit=True) for k in range(len(self.levels))]
            raise DataError(
                subject,
                f"the axis {self.name!r} has no such value",
                got=str(given),
                expected=", ".join(known[:20]) + (", ..." if len(known) > 20 else ""),
            )
        return int(near[0])


@dataclass(frozen=True, eq=False)
class StudyTable:
    """The results of a study, one row per trial.

    Attributes
    ----------
    axes : dict
        Name -> `TableAxis`.
    codes : dict
        Name -> index of each trial's level, shape (trials,).
    state : numpy.ndarray of str, shape (trials,)
        ``done``, ``failed``, ``stopped`` or ``missing``.
    number : numpy.ndarray of int, shape (trials,)
        Index of the trial in the study.
    metrics : dict
        Name -> values, shape (trials,); NaN where there is none.
    curves : dict
        Name -> values by epoch, shape (trials, epochs).
    texts : tuple of str
        Results that are no numbers.
    units : dict
        Metric or curve -> unit, where it has one.
    grid : bool
        Whether all trials lie on a grid of the axes.
    direction : str or None
        ``maximize`` or ``minimize``, where the study says so.
    spread : dict
        Of a table that was averaged already: metric or curve -> (std, low, high, n).
    averaged : str
        Of such a table, the axis over which it was averaged.
    """

    axes: Mapping[str, TableAxis]
    codes: Mapping[str, np.ndarray]
    state: np.ndarray
    number: np.ndarray
    metrics: Mapping[str, np.ndarray]
    curves: Mapping[str, np.ndarray]
    texts: tuple[str, ...]
    units: Mapping[str, str]
    grid: bool
    direction: str | None = None
    spread: Mapping[str, tuple[np.ndarray, ...]] = field(default_factory=dict)
    averaged: str = ""

    def axis(self, name: str, subject: str) -> TableAxis:
        """An axis by its name.

        Raises
        ------
        DataError
        """
        if name not in self.axes:
            raise DataError(
                subject,
                "the study has no such axis",
                got=repr(name),
                expected=", ".join(self.axes),
                remedy=did_you_mean(str(name), self.axes),
            )
        return self.axes[name]

    def values(self, name: str, subject: str) -> np.ndarray:
        """A metric of all trials; NaN where a trial did not come to its end.

        Raises
        ------
        DataError
            If there is none of that name.
        """
        if name not in self.metrics:
            raise self._unknown(name, subject, "metric", self.metrics)
        return np.where(self.state == "done", self.metrics[name], np.nan)

    def curve(self, name: str, subject: str) -> np.ndarray:
        """A curve of all trials, also of those that were ended early.

        Raises
        ------
        DataError
            If there is none of that name.
        """
        full = name if name in self.curves else f"{name}_by_epoch"
        if full not in self.curves:
            raise self._unknown(name, subject, "curve", self.curves)
        return self.curves[full]

    def _unknown(self, name: str, subject: str, kind: str, known: Mapping[str, Any]) -> DataError:
        if name in self.texts:
            return DataError(
                subject, f"the {kind} is no number", got=repr(name), expected=", ".join(known) or "numbers"
            )
        return DataError(
            subject,
            f"there is no such {kind} in the results",
            got=repr(name),
            expected=", ".join(known) or f"a study with finished trials and a {kind}",
            remedy=did_you_mean(str(name), known),
        )

    def better(self, direction: str | None, subject: str) -> float:
        """1 where more is better, -1 where less is: as given, else as the study says, else more.

        Raises
        ------
        DataError
        """
        chosen = direction or self.direction or "maximize"
        if chosen not in ("maximize", "minimize"):
            raise DataError(subject, "unknown direction", got=repr(chosen), expected="'maximize' or 'minimize'")
        return 1.0 if chosen == "maximize" else -1.0

    def rows(self, select: Mapping[str, Any] | None, subject: str) -> np.ndarray:
        """Indices of the rows with these values of axes.

        Raises
        ------
        DataError
            An unknown axis or value.
        """
        chosen = np.ones(len(self.state), bool)
        for name, value in (select or {}).items():
            chosen &= self.codes[name] == self.axis(name, subject).code(value, subject)
        return np.flatnonzero(chosen)

    def repeated(self, over: str | Sequence[str] | None, subject: str) -> tuple[str, ...]:
        """The axes over which is averaged; those of the default that the study does not have are left out.

        Raises
        ------
        DataError
        """
        names = (over,) if isinstance(over, str) else tuple(over or ())
        here = tuple(name for name in names if name in self.axes or name not in (REPEATED, self.averaged))
        for name in here:
            self.axis(name, subject)
        return here

    def groups(self, keys: Sequence[str], rows: np.ndarray) -> dict[tuple[int, ...], np.ndarray]:
        """Rows with the same levels of the axes ``keys``, in the order in which they come first."""
        found: dict[tuple[int, ...], list[int]] = {}
        columns = [self.codes[name][rows] for name in keys]
        for k, key in zip(rows, zip(*columns, strict=True) if keys else [()] * len(rows), strict=True):
            found.setdefault(tuple(map(int, key)), []).append(int(k))
        return {key: np.array(value) for key, value in found.items()}

    def point(self, row: int, leave: Sequence[str] = ()) -> str:
        """The parameters of a trial as text, those without its own choice left out: ``tau_m=10 ms, rule=dalton``."""
        return ", ".join(
            f"{name}={axis.text(self.codes[name][row], unit=True)}"
            for name, axis in self.axes.items()
            if name not in leave and len(axis.levels) > 1
        )


def study_table(study: Study | xarray.Dataset | StudyTable, subject: str) -> StudyTable:
    """The table of a study, of its results, or of their summary.

    Parameters
    ----------
    study : Study or xarray.Dataset or StudyTable
        As ``study.results()`` or ``study.summary()`` give it, whole or a part of it.
    subject : str
        Who asks, for errors.

    Returns
    -------
    StudyTable

    Raises
    ------
    DataError
        If it is neither.
    """
    if isinstance(study, StudyTable):
        return study
    if isinstance(study, Study):
        return table_of_results(study, study.results())
    if not all(hasattr(study, name) for name in ("data_vars", "coords", "dims")):
        raise DataError(
            subject,
            "this is no study",
            got=type(study).__name__,
            expected="a bl.Study that has run, study.results() or study.summary()",
        )
    return _table(study, {}, None)


def table_of_results(study: Study, results: xarray.Dataset) -> StudyTable:
    """The table of a study whose results are read already.

    Parameters
    ----------
    study : Study
        For its axes' scales and for what is best.
    results : xarray.Dataset
        ``study.results()``.
    """
    log = {n: axis.span.log for n, axis in study.axes.items() if axis.span is not None}
    return _table(results, log, study.direction)


def _table(results: Any, log: Mapping[str, bool], direction: str | None) -> StudyTable:
    coords = {str(n): c for n, c in results.coords.items() if c.ndim == 1 and n != "trial"}
    dims = tuple(dict.fromkeys(d for c in coords.values() for d in c.dims))
    shape = tuple(results.sizes[d] for d in dims)
    grid = set(dims) <= set(coords)

    def flat(array: Any) -> np.ndarray:
        extra = tuple(d for d in array.dims if d not in dims)
        found = array.transpose(*dims, *extra).values
        return np.asarray(found.reshape(-1, *found.shape[len(shape) :]))

    rows = [n for n, v in results.data_vars.items() if set(dims) <= set(v.dims)]
    number = flat(results["trial_index"]) if "trial_index" in rows else np.arange(int(np.prod(shape)))
    planned = number >= 0
    numeric = {str(n): flat(results[n])[planned].astype(float) for n in rows if results[n].dtype.kind in "fiu"}
    numeric = {n: v for n, v in numeric.items() if n not in OWN}
    units = {str(n): str(v.attrs["units"]) for n, v in results.variables.items() if "units" in v.attrs}
    by_epoch = {n for n in numeric if "epoch" in results[n].dims}
    spread: dict[str, tuple[np.ndarray, ...]] = {}
    if "over" in results.attrs:
        parts = ("std", "low", "high", "n")
        names = [n.removesuffix("_mean") for n in numeric if n.endswith("_mean")]
        names = [n for n in names if all(f"{n}_{part}" in numeric for part in parts)]
        spread = {n: tuple(numeric[f"{n}_{part}"] for part in parts) for n in names}
        units |= {n: units[f"{n}_mean"] for n in names if f"{n}_mean" in units}
        numeric = {n: numeric[f"{n}_mean"] for n in names}
        by_epoch = {n for n in names if "epoch" in results[f"{n}_mean"].dims}
    if "state" in rows:
        state = flat(results["state"])[planned].astype(str)
    else:
        known = np.zeros(int(planned.sum()), bool)
        for values in numeric.values():
            known |= np.isfinite(values).reshape(len(known), -1).any(axis=1)
        state = np.where(known, "done", "missing")
    axes, codes = {}, {}
    for name, coordinate in coords.items():
        column = flat(coordinate.broadcast_like(results[list(dims)]) if grid else coordinate)[planned]
        axes[name], codes[name] = _axis(name, column, units.get(name, ""), log.get(name), grid)
    return StudyTable(
        axes=axes,
        codes=codes,
        state=state,
        number=number[planned],
        metrics={n: v for n, v in numeric.items() if v.ndim == 1},
        curves={n: v for n, v in numeric.items() if v.ndim == 2 and n in by_epoch},
        texts=tuple(str(n) for n in rows if results[n].dtype.kind not in "fiu" and n not in OWN),
        units=units,
        grid=grid,
        direction=direction,
        spread=spread,
        averaged=str(results.attrs.get("over", "")),
    )


def _axis(name: str, column: np.ndarray, unit: str, log: bool | None, grid: bool) -> tuple[TableAxis, np.ndarray]:
    if column.dtype.kind in "iuf":
        levels, codes = np.unique(column, return_inverse=True)
        log = bool(len(levels) > 1 and levels[0] > 0 and (_logarithmic(column, levels) if log is None else log))
    else:
        column = column.astype(str)
        levels = np.array(list(dict.fromkeys(column.tolist())))
        index = {level: k for k, level in enumerate(levels.tolist())}
        codes, log = np.array([index[value] for value in column.tolist()], int), False
    drawn = not grid and column.dtype.kind in "iuf" and len(levels) > LEVELS
    return TableAxis(name, unit, levels, log, drawn), codes


def _logarithmic(column: np.ndarray, levels: np.ndarray) -> bool:
    """Whether values span more than a decade, and are not spread evenly over it."""
    low, high = float(levels[0]), float(levels[-1])
    if high <= DECADE * low:
        return False
    if len(levels) > LEVELS:  # values that were drawn lie about evenly on their scale
        middle = float(np.median(column))
        return abs(np.log(middle) - np.log(low * high) / 2) / np.log(high / low) < abs(middle - (low + high) / 2) / (
            high - low
        )
    steps = np.diff(levels.astype(float))
    return len(levels) == 2 or not np.allclose(steps, steps[0], rtol=1e-6)


def column_label(name: str, units: Mapping[str, str]) -> str:
    """A metric's name for people, with its unit: ``firing rate dense1 (Hz)``."""
    shown = name.removesuffix("_by_epoch").replace("_", " ")
    return f"{shown} ({units[name]})" if units.get(name) else shown
