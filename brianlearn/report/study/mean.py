"""Mean, spread and confidence of repeated trials."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from brianlearn.report.study.table import StudyTable
from brianlearn.study.results import CONFIDENCE

__all__ = ["Mean"]


@dataclass(frozen=True)
class Mean:
    """Mean and spread of repetitions.

    Attributes
    ----------
    mean, std, low, high : float or numpy.ndarray
        ``std`` is the sample standard deviation, ``low`` and ``high`` the 95 % confidence interval of the mean by
        Student's t; NaN with fewer than two values.
    n : int or numpy.ndarray
        Finite values.
    """

    mean: Any
    std: Any
    low: Any
    high: Any
    n: Any

    @staticmethod
    def of(values: np.ndarray) -> Mean:
        """Of the finite values along the first axis."""
        known = np.isfinite(values)
        n = known.sum(axis=0)
        some, several = np.maximum(n, 1), np.maximum(n - 1, 1)
        mean = np.where(n > 0, np.where(known, values, 0.0).sum(axis=0) / some, np.nan)
        squares = np.where(known, values - np.where(n > 0, mean, 0.0), 0.0) ** 2
        std = np.where(n > 1, np.sqrt(squares.sum(axis=0) / several), np.nan)
        quantile = _student(int(several)) if np.ndim(several) == 0 else np.array([_student(int(k)) for k in several])
        half = quantile * std / np.sqrt(some)
        return Mean(mean, std, mean - half, mean + half, n)

    @staticmethod
    def rows(table: StudyTable, name: str, values: np.ndarray, rows: np.ndarray) -> Mean:
        """Of the trials in ``rows``; of a table that was averaged already, what it says."""
        if name in table.spread and len(rows) == 1:
            std, low, high, n = (part[rows[0]] for part in table.spread[name])
            return Mean(values[rows[0]], np.where(n > 1, std, np.nan), low, high, n)
        return Mean.of(values[rows])


@cache
def _student(freedom: int) -> float:
    """Half the width of the confidence interval, in standard errors."""
    from scipy.stats import t

    return float(t.ppf((1 + CONFIDENCE) / 2, freedom))
