"""How far a membrane is from a recorded one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from brian2 import ms, mV, second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.citing import papers
from brianlearn.errors import RuleError, UnitError
from brianlearn.network.samples.sweeps import Sweeps
from brianlearn.network.taking import take_quantity
from brianlearn.network.unit_names import kind_text, quantity_text

__all__ = ["TraceMSE"]


@dataclass(frozen=True, eq=False)
class TraceMSE:
    """Mean squared error of membrane traces in a unit, mean over steps of ((v - d)/unit)^2: a loss of `fit`.

    Parameters
    ----------
    unit : brian2.Quantity
        An error that counts 1.
    low, high : brian2.Quantity, optional
        Values beyond count as these, in the model and in the recording: what the peak of a spike looks like says
        nothing about equations that do not describe it.
    before, after : brian2.Quantity, optional
        How long before and after each recorded spike errors do not count.

    Attributes
    ----------
    name : str
        Of the class: how it is called.

    Raises
    ------
    UnitError
        Another unit.
    RuleError
        A unit that is not positive, ends in the wrong order.

    References
    ----------
    C. Rossant, D. F. M. Goodman, B. Fontaine, J. Platkiewicz, A. K. Magnusson, R. Brette, Fitting neuron models to
    spike trains, Frontiers in Neuroscience 5:9, 2011 (with the criterion of spikes; that of traces in the same
    toolbox).
    """

    unit: Any = field(default_factory=lambda: 1 * mV)
    low: Any = None
    high: Any = None
    before: Any = field(default_factory=lambda: 0 * ms)
    after: Any = field(default_factory=lambda: 0 * ms)
    references = (papers.FITTED_TRAINS,)
    name: ClassVar[str] = "trace-mse"

    def __post_init__(self) -> None:
        for name in ("unit", "low", "high", "before", "after"):
            object.__setattr__(self, name, take_quantity("TraceMSE", name, getattr(self, name)))
        dim = get_dimensions(self.unit)
        if np.ndim(self.unit) or not 0 < float(np.asarray(self.unit)) < np.inf:
            raise RuleError("TraceMSE", "unit is wrong", got=self.unit, expected="one value > 0, e.g. 1*mV")
        for name in ("low", "high"):
            value = getattr(self, name)
            if value is not None and get_dimensions(value) is not dim:
                raise UnitError(
                    "TraceMSE", f"{name} has the wrong unit", got=quantity_text(value), expected=kind_text(dim)
                )
        for name in ("before", "after"):
            value = getattr(self, name)
            if get_dimensions(value) is not second.dim or np.ndim(value) or not float(value) >= 0:
                raise UnitError("TraceMSE", f"{name} is wrong", got=quantity_text(value), expected="a time >= 0")
        if self.low is not None and self.high is not None and not float(self.low) < float(self.high):
            raise RuleError(
                "TraceMSE", "low and high are in the wrong order", got=f"{self.low}, {self.high}", expected="low < high"
            )

    def counts(self, sweeps: Sweeps) -> np.ndarray:
        """Which steps count, bool (n, T).

        Parameters
        ----------
        sweeps : Sweeps

        Returns
        -------
        numpy.ndarray
        """
        found = np.ones((len(sweeps), sweeps.n_steps), bool)
        before, after = (round(float(time) / float(sweeps.dt)) for time in (self.before, self.after))
        if not before and not after:
            return found
        for k, steps in enumerate(sweeps.steps()):
            for step in steps:
                found[k, max(0, step - before) : step + after + 1] = False
        return found

    def ends(self) -> tuple[float, float]:
        """The range of values.

        Returns
        -------
        low, high : float
            Base units; infinite where there is no end.
        """
        return (
            -np.inf if self.low is None else float(self.low),
            np.inf if self.high is None else float(self.high),
        )
