"""The text of what runs: equations of neuron groups and statements of synapses."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from brian2 import Equations
from brian2.equations.equations import DIFFERENTIAL_EQUATION, PARAMETER, SUBEXPRESSION, SingleEquation

from brianlearn.brian.noise import Noise
from brianlearn.brian.plan import neuron_of
from brianlearn.rules.eligibility import LinearResponse
from brianlearn.spec.equations import unit_text
from brianlearn.spec.network import Projection
from brianlearn.spec.step import NeuronStep

__all__ = [
    "coefficient_name",
    "deliver_expression",
    "group_equations",
    "integrate_statements",
    "plasticity_signal",
    "pooled",
    "trace_delivery",
    "trace_equations",
    "trace_name",
    "trace_statements",
    "trace_variables",
]


def pooled(text: str, p: Projection) -> str:
    """``text`` times the weight of one way through the average pool."""
    factor = p.connectivity.factor
    if factor == 1.0:
        return text
    return f"{text}*{factor!r}" if text else f"{factor!r}*"


def deliver_expression(p: Projection) -> str:
    """What one presynaptic event adds to the input variable."""
    neuron = neuron_of(p)
    scale = float(np.asarray(neuron.weight_unit))
    unit = unit_text(neuron.parsed.dimensions[neuron.input])
    text = pooled("weight", p)
    text += "" if scale == 1.0 else f"*{scale!r}"
    text += "" if unit == "1" else f"*({unit})"
    frozen = "unless refractory" in neuron.parsed.equations[neuron.input].flags
    # Brian2's own updaters keep the flag, and with it this condition
    return text + ("*int(not_refractory_post)" if frozen and neuron.method_used == "exact" else "")


def plasticity_signal(step: NeuronStep) -> str:
    """The variable that changes weights: delta, gated where the membrane has a floor."""
    return "delta" if step.floor is None else "delta_gated"


def trace_equations(response: LinearResponse) -> str:
    """Variables of presynaptic neurons that follow the response of the layer above to their spikes; plain numbers."""
    names = [trace_name(state) for state in response.states]
    # the next values are variables as well: Brian2 has temporary ones in the network's precision
    lines = [f"{name} : 1" for name in (*names, *(f"{name}_next" for name in names))]
    lines += [f"{coefficient_name(*pair)} : 1 (shared, constant)" for pair in response.coefficients]
    return "\n".join(lines)


def trace_variables(response: LinearResponse) -> list[str]:
    """Names of the variables of `trace_equations`."""
    names = [trace_name(state) for state in response.states]
    coefficients = [coefficient_name(*pair) for pair in response.coefficients]
    return [*names, *(f"{name}_next" for name in names), *coefficients]


def trace_delivery(response: LinearResponse, amplitude: str) -> str:
    """What a presynaptic neuron's own spike adds to its trace; ``amplitude`` is a factor, or empty."""
    return f"{trace_name(response.input)} += {response.gain!r}{amplitude}"


def trace_statements(response: LinearResponse) -> str:
    """One step of the traces: the propagator of the layer above, without its floor and reset."""
    lines = []
    for state in response.states:
        terms = [f"{coefficient_name(state, source)}*{trace_name(source)}" for source in response.row(state)]
        lines.append(f"{trace_name(state)}_next = {' + '.join(terms)}")
    return "\n".join([*lines, *(f"{trace_name(state)} = {trace_name(state)}_next" for state in response.states)])


def trace_name(state: str) -> str:
    """The trace variable that stands for a state variable of the layer above."""
    return f"trace_{state}"


def coefficient_name(target: str, source: str) -> str:
    """The entry of the propagator that takes one trace variable to the next value of another."""
    return f"E_{target}_{source}"


def integrate_statements(step: NeuronStep, *, learning: bool) -> str:
    """What runs in a layer's integrate slot, beside Brian2's own state updater."""
    return "\n".join(s for s in (step.update, step.floor, step.psi if learning else None) if s)


def group_equations(
    p: Projection, step: NeuronStep, noise: Noise, *, learning: bool, errors: Iterable[str] = ("L",)
) -> Equations:
    """The equations of a layer's neuron group.

    With the exact propagator the state variables are parameters that its statements update; otherwise the user's
    differential equations stand as they are: noise in them has its seed from the state updater. ``errors`` are the
    variables that error paths sum into.
    """
    parsed = neuron_of(p).parsed
    subexpressions = [_equation_text(parsed.equations[name]) for name in parsed.equations.subexpr_names]
    lines = [noise.seeded("\n".join(subexpressions), "equations"), *([noise.declarations] if noise else [])]
    if step.update is not None:
        lines += [f"{name} : {unit_text(parsed.dimensions[name])}" for name in parsed.state_names]
        lines += [parameter.declaration for parameter in step.parameters]
    else:
        declared = set(parsed.equations.names)
        lines += [_equation_text(eq) for eq in parsed.equations.values() if eq.type != SUBEXPRESSION]
        lines += [parameter.declaration for parameter in step.parameters if parameter.name not in declared]
    if step.floor is not None:
        lines.append("gate : 1")
    if learning:
        sums = [f"{name} : 1" for name in dict.fromkeys(("L", *errors))]
        lines += ["psi : 1", *sums, "delta : 1", *(["delta_gated : 1"] if step.floor is not None else [])]
    return Equations("\n".join(lines))


def _equation_text(eq: SingleEquation) -> str:
    unit = eq.var_type if eq.var_type != "float" else unit_text(eq.dim)
    flags = f" ({', '.join(eq.flags)})" if eq.flags else ""
    left = {DIFFERENTIAL_EQUATION: f"d{eq.varname}/dt = ", SUBEXPRESSION: f"{eq.varname} = ", PARAMETER: eq.varname}[
        eq.type
    ]
    return f"{left}{eq.expr.code if eq.expr is not None else ''} : {unit}{flags}"
