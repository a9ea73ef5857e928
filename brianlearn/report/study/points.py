"""Points of a study: trials that differ in their seeds alone, taken together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brianlearn.errors import DataError
from brianlearn.report.study.mean import Mean
from brianlearn.report.study.table import StudyTable

__all__ = ["Points"]


@dataclass(frozen=True)
class Points:
    """Points of a study: trials that differ in their seeds alone, taken together.

    Attributes
    ----------
    first : numpy.ndarray of int
        A trial of each, as a row of the table.
    values : dict
        Metric -> mean over the trials.
    """

    first: np.ndarray
    values: dict[str, np.ndarray]
    members: list[np.ndarray]

    @staticmethod
    def of(
        table: StudyTable,
        metrics: Sequence[str],
        over: str | Sequence[str] | None,
        select: Mapping[str, Any] | None,
        subject: str,
    ) -> Points:
        columns = {name: table.values(name, subject) for name in metrics}
        repeated = table.repeated(over, subject)
        groups = list(table.groups([n for n in table.axes if n not in repeated], table.rows(select, subject)).values())
        if not groups:
            raise DataError(subject, "there is no trial to draw", got=f"select={dict(select or {})}")
        values = {
            name: np.array([float(Mean.rows(table, name, column, rows).mean) for rows in groups])
            for name, column in columns.items()
        }
        return Points(np.array([rows[0] for rows in groups]), values, groups)
