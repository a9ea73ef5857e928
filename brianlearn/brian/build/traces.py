"""Eligibility traces as variables and statements of presynaptic neurons."""

from __future__ import annotations

from dataclasses import dataclass

from brianlearn.learning.rules.eligibility import LinearResponse
from brianlearn.network.spec import Projection

__all__ = ["Trace"]


@dataclass(frozen=True)
class Trace:
    """A trace that presynaptic neurons keep of their spikes, for one projection.

    Attributes
    ----------
    response : LinearResponse
    projection : Projection
    suffix : str
        What its names end with, where the group keeps several.
    source : str
        The group that keeps it.
    before_spike : bool
        Whether spikes of a step are added before anything learns in it, though they are heard in the next one alone.
    """

    response: LinearResponse
    projection: Projection
    suffix: str
    source: str
    before_spike: bool = False

    @property
    def event(self) -> str:
        """The event of a neuron whose trace is not zero."""
        return f"eligible_{self.suffix}" if self.suffix else "eligible"

    @property
    def variable(self) -> str:
        """The variable that is the presynaptic factor."""
        name = self.name(self.response.membrane)
        return f"{name}_next" if self.before_spike else name

    @property
    def states(self) -> tuple[str, ...]:
        """The variables that are carried from step to step."""
        return tuple(self.name(state) for state in self.response.states)

    def name(self, state: str) -> str:
        """The variable that stands for a state variable of the target."""
        return f"trace_{state}_{self.suffix}" if self.suffix else f"trace_{state}"

    def coefficient(self, target: str, source: str) -> str:
        """The entry of the propagator that takes one variable to the next value of another."""
        return f"E_{target}_{source}_{self.suffix}" if self.suffix else f"E_{target}_{source}"

    @property
    def equations(self) -> str:
        """The variables of presynaptic neurons; plain numbers."""
        # the next values are variables as well: Brian2 has temporary ones in the network's precision
        lines = [f"{name} : 1" for name in (*self.states, *(f"{name}_next" for name in self.states))]
        lines += [f"{self.coefficient(*pair)} : 1 (shared, constant)" for pair in self.response.coefficients]
        return "\n".join(lines)

    @property
    def variables(self) -> list[str]:
        """Names of the variables of `equations`."""
        coefficients = [self.coefficient(*pair) for pair in self.response.coefficients]
        return [*self.states, *(f"{name}_next" for name in self.states), *coefficients]

    def delivery(self, amplitude: str) -> str:
        """What a presynaptic neuron's own spike adds to its trace; ``amplitude`` is a factor, or empty."""
        return f"{self.name(self.response.input)} += {self.response.gain!r}{amplitude}"

    @property
    def statements(self) -> str:
        """One step of the traces: the propagator of the target, without its floor and reset."""
        lines = []
        for state in self.response.states:
            row = self.response.row(state)
            terms = [f"{self.coefficient(state, source)}*{self.name(source)}" for source in row]
            lines.append(f"{self.name(state)}_next = {' + '.join(terms)}")
        return "\n".join([*lines, *(f"{name} = {name}_next" for name in self.states)])
