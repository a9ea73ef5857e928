"""Eligibility traces: presynaptic spikes, filtered by the linear response of the neuron that they reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from brianlearn.errors import RuleError
from brianlearn.network.spec import Projection

__all__ = ["LinearResponse", "linear_response"]


@dataclass(frozen=True)
class LinearResponse:
    """How a layer's membranes respond to one spike of weight 1, without reset, floor and refractoriness.

    One set of trace variables e per presynaptic neuron, in base units divided by ``v_scale``. With a spike s of this
    step, e_input += gain*s; then e <- P e, with the propagator P of the layer's own step. The trace is e_membrane =
    d x/d W, where x = (v - threshold)/v_scale is the argument of the surrogate derivative.

    Attributes
    ----------
    states : tuple of str
        State variables that lie between input and membrane, both included.
    input, membrane : str
    coefficients : dict
        (next, from) -> entry of P, base units; entries that are zero for all constants are left out.
    gain : float
        weight_unit/v_scale in base units.
    """

    states: tuple[str, ...]
    input: str
    membrane: str
    coefficients: Mapping[tuple[str, str], float]
    gain: float

    def row(self, state: str) -> dict[str, float]:
        """The coefficients of the next value of ``state``, by the variable that each multiplies."""
        return {source: value for (target, source), value in self.coefficients.items() if target == state}


def linear_response(p: Projection, dt: float, owner: str = "eligibility='trace'") -> LinearResponse:
    """The linear response of the neurons of one layer.

    Parameters
    ----------
    p : Projection
        A spiking layer.
    dt : float
        Seconds.
    owner : str, optional
        How errors name who needs it.

    Returns
    -------
    LinearResponse

    Raises
    ------
    RuleError
        Neurons without a linear response that is the same for all of a layer, by name.
    """
    neuron, parsed, system = p.layer.neuron, p.layer.neuron.parsed, p.layer.neuron.linear_system
    remedy = "use eligibility='spike'"
    if system is None:
        raise RuleError(
            f"{owner}, layer {p.name}",
            "the neuron has no linear response that a trace could follow",
            got=f"method {neuron.method_used!r}: {' '.join(neuron.equations.split())}",
            expected="equations that are linear in the state variables, stepped by their exact propagator",
            remedy=remedy,
        )
    if parsed.membrane not in system.names:
        raise RuleError(
            f"{owner}, layer {p.name}",
            "the left side of the threshold is no state variable",
            got=neuron.threshold,
            expected=f"one of {', '.join(system.names)}",
            remedy=remedy,
        )
    matrix, _ = system.evaluate({name: value for name, (value, _) in parsed.constants.items()}, dt)
    if matrix.ndim != 2:
        raise RuleError(
            f"{owner}, layer {p.name}",
            "a presynaptic neuron has one trace, and the constants differ from neuron to neuron",
            got=", ".join(name for name, (value, _) in parsed.constants.items() if value.ndim),
            expected="constants with one value per layer",
            remedy=remedy,
        )
    reach, _ = system.pattern()
    first, last = system.names.index(p.input_variable), system.names.index(parsed.membrane)
    between = [i for i in range(len(system.names)) if reach[i, first] and reach[last, i]]
    if last not in between:
        raise RuleError(
            f"{owner}, layer {p.name}",
            "the input variable does not reach the membrane",
            got=f"input {p.input_variable!r}, membrane {parsed.membrane!r}",
            expected="equations that connect them",
            remedy=remedy,
        )
    coefficients = {
        (system.names[i], system.names[j]): float(matrix[i, j]) for i in between for j in between if reach[i, j]
    }
    gain = p.weight_unit / float(np.asarray(neuron.v_scale))
    return LinearResponse(
        tuple(system.names[i] for i in between), p.input_variable, parsed.membrane, coefficients, gain
    )
