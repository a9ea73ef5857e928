"""How well outputs meet values: mean squared error and R^2, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from brianlearn.learning.engine import TrialRecord
from brianlearn.network.samples.samples import Samples
from brianlearn.network.samples.targets import kind_of
from brianlearn.network.spec import NetworkSpec

__all__ = ["Regression"]


@dataclass(frozen=True)
class Regression:
    """Sums from which mean squared error and R^2 follow, of samples with values.

    Values of samples are compared with the mean readout over the steps after the burn-in, values of steps with the
    readout of each of these steps.

    Attributes
    ----------
    count : int
        Values of each output.
    squared_error : float
        The sum of squared errors, all outputs together.
    mean : tuple of float
        Of the values of each output.
    spread : tuple of float
        The sum of squared differences of each output's values from their mean.
    """

    count: int
    squared_error: float
    mean: tuple[float, ...]
    spread: tuple[float, ...]

    @property
    def mse(self) -> float:
        """Mean squared error, over outputs too."""
        return self.squared_error / (self.count * len(self.mean))

    @property
    def r2(self) -> float | None:
        """1 - squared error / spread of the values, all outputs together; None of values that are all the same."""
        total = sum(self.spread)
        return 1.0 - self.squared_error / total if total > 0 else None

    @staticmethod
    def of(record: TrialRecord, samples: Samples, spec: NetworkSpec) -> Regression | None:
        """What an engine measured of samples; None of samples without values, or where no output was compared.

        Parameters
        ----------
        record : TrialRecord
            Of all the samples, in their order.
        samples : Samples
        spec : NetworkSpec
        """
        if kind_of(samples.targets) not in ("values", "steps"):
            return None
        if samples.targets.ndim == 2:
            return Regression.of_mse(float(np.square(record.logits - samples.targets).mean(dtype=float)), samples, spec)
        if record.score is None and spec.readout is None:
            return None
        each = record.loss if record.score is None else record.score
        return Regression.of_mse(float(each.mean(dtype=float)), samples, spec)

    @staticmethod
    def of_mse(mse: float, samples: Samples, spec: NetworkSpec) -> Regression:
        """Of samples with values whose mean squared error is known.

        Parameters
        ----------
        mse : float
        samples : Samples
        spec : NetworkSpec
        """
        values = np.asarray(samples.targets, float)
        if values.ndim == 3:
            values = values[:, spec.burn_in_steps :].reshape(-1, values.shape[2])
        mean = values.mean(axis=0)
        spread = np.square(values - mean).sum(axis=0)
        return Regression(len(values), mse * values.size, tuple(mean.tolist()), tuple(spread.tolist()))

    @staticmethod
    def merge(parts: Sequence[Regression | None]) -> Regression | None:
        """Of several parts together (Chan, Golub and LeVeque 1983); None where one of them has none.

        Parameters
        ----------
        parts : sequence of Regression or None
        """
        known = [part for part in parts if part is not None]
        if not known or len(known) < len(parts):
            return None
        n = sum(part.count for part in known)
        means = np.array([part.mean for part in known])
        counts = np.array([part.count for part in known], float)[:, None]
        mean = (counts * means).sum(axis=0) / n
        spread = np.sum([part.spread for part in known], axis=0) + (counts * np.square(means - mean)).sum(axis=0)
        error = sum(part.squared_error for part in known)
        return Regression(n, error, tuple(mean.tolist()), tuple(spread.tolist()))
