"""Reward: one number for the whole network, from its outputs and what was wanted, as a text or a function."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.variables import Variable
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.units.fundamentalunits import DIMENSIONLESS, DimensionMismatchError, get_dimensions
from brian2.utils.stringtools import get_identifiers

from brianlearn.citing import papers
from brianlearn.errors import EquationError, RuleError, SpecError, UnitError, did_you_mean
from brianlearn.learning.functions import know_function
from brianlearn.learning.rules.synapse_text import brian_names
from brianlearn.network.checks import is_number
from brianlearn.network.samples.samples import Samples
from brianlearn.network.storable import Storable
from brianlearn.network.taking import take_quantities
from brianlearn.network.unit_names import unit_name

__all__ = ["GIVEN", "Reward", "scalar_constants", "with_constants"]

#: What a reward can be computed from.
GIVEN = {
    "correct": "1 if the prediction of the trial so far is its label, else 0",
    "label_output": "the output of the label's class in this step: its readout, or its spikes (0 or 1) without one",
    "all_outputs": "the outputs of this step, summed over all classes",
    "label_mean": "the mean of label_output over the steps of the trial so far, without the burn-in",
    "all_mean": "the mean of all_outputs, likewise",
    "last": "1 in the last step of a trial, else 0",
}
#: What its group has besides.
_OWN = ("reward", "third", "mean", "ahead", "seen", "age", "label_sum", "all_sum", "t", "dt", "i", "N")


@dataclass(frozen=True, eq=False)
class Reward(Storable):
    """A third factor that all neurons hear: L = reward - baseline.

    It is computed whenever the rule's ``update`` runs, in every step or at the end of a trial. Outputs are those of the
    readout, or without one the spikes of the last layer, a neuron per class.

    Parameters
    ----------
    value : str or callable, optional
        An expression over ``correct``, ``label_output``, ``all_outputs``, ``label_mean``, ``all_mean``, ``last`` and
        the constants; a number without a unit, computed inside the program that runs. +1 for a right and -1 for a wrong
        prediction where it is not given.

        Or a function reward(outputs, sample) that returns one number. ``outputs``, float64 of shape (steps, n_outputs),
        are those of the trial from its first step to this one, burn-in included: values of the readout, or spikes as 0
        and 1. ``sample`` is the `Samples` of this trial alone, with targets of any kind or without. It is called while
        there is learning, by Python: on the devices numpy and cython. A function at the top level of a script or module
        can be stored.
    baseline : float, optional
        In (0, 1]: from the reward a running mean is taken away, mean += baseline*(reward - mean) after each time that
        it is computed while learning. The mean starts at 0, and run folders and ``--resume`` carry it on.
    constants : mapping, optional
        Values of the names used in the text, plain numbers.

    Raises
    ------
    EquationError, UnitError, RuleError
    SpecError
        A text that cannot be read, a function that does not take (outputs, sample), a baseline that is no number in
        (0, 1].

    References
    ----------
    N. Frémaux, W. Gerstner, Neuromodulated spike-timing-dependent plasticity, and theory of three-factor learning
    rules, Frontiers in Neural Circuits 9, 85, 2016.

    Examples
    --------
    >>> import brianlearn as bl
    >>> bl.Reward().value
    '2*correct - 1'
    >>> pulse = bl.Reward("last*gain*(2*correct - 1)", constants=dict(gain=0.5))
    >>> def closeness(outputs, sample):
    ...     return -abs(outputs[-1] - sample.targets[0]).sum()
    >>> bl.Reward(closeness).function is closeness
    True
    """

    references = (papers.THREE_FACTORS, papers.REWARDED_STDP, papers.DISTAL_REWARD)

    value: str | Callable[[np.ndarray, Samples], Any] = "2*correct - 1"
    baseline: float | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)

    error_kind = RuleError

    def __post_init__(self) -> None:
        if not isinstance(self.value, str):
            self._check_function()
        if self.baseline is not None and not (is_number(self.baseline) and 0 < self.baseline <= 1):
            raise RuleError(
                "Reward", "baseline is wrong", got=repr(self.baseline), expected="None or a number in (0, 1]"
            )
        object.__setattr__(self, "constants", scalar_constants("Reward", self.constants))
        self._check_constants()
        if isinstance(self.value, str):
            self._check_value(self.value)
        else:
            know_function(self.value)

    @property
    def function(self) -> Callable[[np.ndarray, Samples], Any] | None:
        """The function, where it is one."""
        return None if isinstance(self.value, str) else self.value

    @property
    def names(self) -> set[str]:
        """The names that the text uses; none of a function."""
        return get_identifiers(self.value) if isinstance(self.value, str) else set()

    def with_constants(self, **constants: Any) -> Reward:
        """A copy with other values of some constants.

        Parameters
        ----------
        **constants : float
            Name -> value.

        Returns
        -------
        Reward

        Raises
        ------
        SpecError
            If there is no constant of that name.
        """
        return with_constants(self, "Reward", constants)

    def _check_constants(self) -> None:
        for name, value in self.constants.items():
            if name in GIVEN or name in _OWN:
                raise EquationError(
                    "Reward",
                    f"the constant {name!r} has a name that means something else",
                    got=name,
                    remedy="rename it",
                )
            if get_dimensions(value) is not DIMENSIONLESS:
                raise UnitError(
                    "Reward", f"the constant {name!r} has a unit", got=str(value), expected="a plain number"
                )
        unused = sorted(set(self.constants) - self.names)
        if unused:
            raise EquationError(
                "Reward",
                "a constant is not used" if self.function is None else "constants are those of a text",
                got=", ".join(map(repr, unused)),
                expected=f"names of {self.value!r}" if self.function is None else "a function has its own",
                remedy=did_you_mean(unused[0], self.names) or "leave it out",
            )

    def _check_function(self) -> None:
        expected = "a text such as '2*correct - 1', or a function reward(outputs, sample)"
        if not callable(self.value):
            raise SpecError("Reward", "value is not text, nor a function", got=repr(self.value), expected=expected)
        try:
            inspect.signature(self.value).bind("outputs", "sample")
        except (TypeError, ValueError) as error:  # what Python cannot look into has no signature
            raise SpecError(
                "Reward",
                "the function does not take (outputs, sample)",
                got=f"{self.value!r}: {error}",
                expected=expected,
            ) from None

    def _check_value(self, value: str) -> None:
        used, mine = self.names, {*GIVEN, *self.constants}
        random = sorted(n for n in used & set(DEFAULT_FUNCTIONS) if not DEFAULT_FUNCTIONS[n].stateless)
        unknown = sorted(used - mine - set(brian_names(value)) - {"and", "or", "not", "True", "False"})
        if random or unknown:
            name = (unknown or random)[0]
            raise EquationError(
                "Reward",
                "a random reward could not be repeated" if random and not unknown else "unknown name in the reward",
                got=f"{name!r} in {value!r}",
                expected=", ".join(sorted(mine)),
                remedy=did_you_mean(name, mine) or "add it to constants, or correct the spelling",
            )
        known: dict[str, Any] = {name: Variable(name, dimensions=DIMENSIONLESS) for name in mine}
        try:
            got = parse_expression_dimensions(value, {**known, **brian_names(value)})
        except DimensionMismatchError as error:
            raise UnitError("Reward", f"units do not fit inside {value!r}", remedy=error.desc) from None
        except Exception as error:
            raise EquationError(
                "Reward",
                "the reward cannot be read",
                got=repr(value),
                expected="one expression such as '2*correct - 1'",
                remedy=f"Brian2 says: {error}",
            ) from None
        if got is not DIMENSIONLESS:
            raise UnitError("Reward", "the reward has a unit", got=unit_name(got), expected="a plain number")


def scalar_constants(owner: str, constants: Any) -> dict[str, Any]:
    """Constants, each one finite number with or without a unit.

    Raises
    ------
    SpecError, UnitError
    """
    if not isinstance(constants, Mapping):
        raise SpecError(
            owner, "constants is not a mapping", got=repr(constants), expected="constants=dict(tau_pre=20*ms)"
        )
    taken = take_quantities(owner, constants)
    for name, value in taken.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise SpecError(owner, "a constant has no name", got=repr(name), expected="e.g. tau_pre")
        try:
            number = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            number = np.asarray(np.nan)
        if number.ndim or isinstance(value, bool) or not np.isfinite(number):
            raise SpecError(
                owner, f"constant {name!r} is wrong", got=repr(value), expected="one finite number or quantity"
            )
    return dict(taken)


def with_constants(part: Any, owner: str, constants: Mapping[str, Any]) -> Any:
    """A copy of a dataclass that has ``constants``, with other values of some."""
    unknown = sorted(set(constants) - set(part.constants))
    if unknown:
        raise SpecError(
            owner,
            "no such constant",
            got=", ".join(unknown),
            expected=", ".join(sorted(part.constants)) or "there is none",
            remedy=did_you_mean(unknown[0], part.constants),
        )
    return dataclasses.replace(part, constants={**part.constants, **constants})
