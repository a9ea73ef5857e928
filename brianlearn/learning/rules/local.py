"""Rules that learn step by step from what is there in that step: what an event-driven engine asks of them."""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction
from typing import TYPE_CHECKING, Any, ClassVar

from brian2 import second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.errors import RuleError
from brianlearn.learning.optimisers import Optimiser
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.rules.eligibility import linear_response
from brianlearn.learning.rules.paths import Paths, fixed_weights, readouts_of
from brianlearn.network.spec import NetworkSpec, Projection

if TYPE_CHECKING:
    from brianlearn.learning.rules.synaptic import SynapticRule

__all__ = ["LocalRule", "choice"]


class LocalRule(Rule, abstract=True):
    """Base class of the rules that a network of Brian2 can follow while it runs.

    Attributes
    ----------
    eligibility : {"spike", "trace"}
        The presynaptic factor (see `ThreeFactorRule`).
    credit : {"online", "through_time"}
        Which steps share in an error.
    feedback : {"forward", "mirror"}
        What carries errors backwards.
    burn_in : brian2.Quantity or None
        Start of a trial without learning; the network's burn-in where it is None.
    """

    eligibility: Any
    credit: Any
    feedback: Any
    burn_in: Any

    engines: ClassVar[Any] = ("brian", "discrete")

    @property
    @abstractmethod
    def changes(self) -> str:
        """When weights change: after every ``"batch"``, by the optimiser, or within a trial, in a ``"step"``."""

    @abstractmethod
    def direct(self, optimiser: Optimiser) -> bool:
        """Whether events change the weights themselves, without a gradient that an optimiser follows.

        Parameters
        ----------
        optimiser : Optimiser

        Returns
        -------
        bool
        """

    @property
    def synaptic(self) -> SynapticRule | None:
        """The rule itself, where it is texts of synapses."""
        return None

    @abstractmethod
    def paths(self, spec: NetworkSpec) -> Paths:
        """From where the third factor of each layer comes: layer -> its error paths.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        dict of str to tuple of Fixed or Transpose
        """

    @abstractmethod
    def scale(self, spec: NetworkSpec) -> dict[str, Fraction]:
        """The factor of each layer's gradient.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        dict of str to fractions.Fraction
            Exact, so that engines of any precision round it alike.
        """

    def check_optimiser(self, optimiser: Optimiser) -> None:
        """Refuse an optimiser that the rule would not use as it is meant.

        Parameters
        ----------
        optimiser : Optimiser

        Raises
        ------
        RuleError
        """

    def updates(self, spec: NetworkSpec) -> int:
        """Weight updates in a trial, of a rule that changes weights within one.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        int
        """
        return spec.n_steps - self.burn_in_steps(spec)

    def readouts(self, spec: NetworkSpec) -> dict[str, Projection]:
        return readouts_of(self.paths(spec))

    def fixed(self, spec: NetworkSpec) -> list[Projection]:
        return fixed_weights(self.paths(spec))

    def variables(self, spec: NetworkSpec) -> dict[str, tuple[str, ...]]:
        """``psi``; ``L`` where error paths end; the traces of projections, where the rule learns with traces."""
        paths = self.paths(spec)
        found = super().variables(spec) | {"L": tuple(p.name for p in spec.neurons if paths.get(p.name))}
        for p in spec.projections if self.eligibility == "trace" else ():
            for state in linear_response(p, float(spec.dt)).states:
                found[f"trace_{state}"] = (*found.get(f"trace_{state}", ()), p.name)
        return found

    def burn_in_steps(self, spec: NetworkSpec) -> int:
        """Time steps at the start of a trial without learning.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        int
        """
        if self.burn_in is None:
            return spec.burn_in_steps
        return round(float(self.burn_in) / float(spec.dt))

    def _check_options(self) -> None:
        """Check the options that local rules share, when a rule is made."""
        if self.burn_in is not None and (
            get_dimensions(self.burn_in) is not second.dim or not float(self.burn_in) >= 0
        ):
            raise RuleError(
                type(self).__name__, "burn_in is wrong", got=repr(self.burn_in), expected="a time, e.g. 5*ms"
            )
        self._check_learning_rate_scale()

    def _check_burn_in(self, spec: NetworkSpec) -> None:
        """Check the burn-in against a network's steps."""
        owner = type(self).__name__
        if self.burn_in is not None:
            steps = float(self.burn_in) / float(spec.dt)
            if abs(steps - round(steps)) > 1e-6 * max(1.0, steps):
                raise RuleError(
                    owner,
                    "burn_in is not a whole number of time steps",
                    got=f"{self.burn_in} with dt = {spec.dt}",
                    expected=f"a multiple of {spec.dt}",
                )
        if not self.burn_in_steps(spec) < spec.n_steps:
            raise RuleError(
                owner, "burn_in leaves no step to learn in", got=self.burn_in, expected=f"less than {spec.duration}"
            )


def choice(owner: object, name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Refuse an option that is none of ``allowed``."""
    if value not in allowed:
        raise RuleError(
            type(owner).__name__, f"{name} is wrong", got=repr(value), expected=" or ".join(map(repr, allowed))
        )
