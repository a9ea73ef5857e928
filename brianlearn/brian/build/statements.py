"""The text of what runs: equations of neuron groups and statements of synapses."""

from __future__ import annotations

from collections.abc import Iterable

from brian2 import Equations
from brian2.equations.equations import DIFFERENTIAL_EQUATION, PARAMETER, SUBEXPRESSION, SingleEquation

from brianlearn.brian.build.noise import Noise
from brianlearn.brian.build.plan import neuron_of
from brianlearn.network.neurons.equations import unit_text
from brianlearn.network.neurons.step import NeuronStep
from brianlearn.network.population import Population
from brianlearn.network.spec import Projection

__all__ = [
    "deliver_expression",
    "equation_text",
    "group_equations",
    "integrate_statements",
    "plasticity_signal",
    "pooled",
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
    scale, unit = p.weight_unit, unit_text(neuron.parsed.dimensions[p.input_variable])
    text = pooled("weight", p)
    text += "" if scale == 1.0 else f"*{scale!r}"
    text += "" if unit == "1" else f"*({unit})"
    frozen = "unless refractory" in neuron.parsed.equations[p.input_variable].flags
    # Brian2's own updaters keep the flag, and with it this condition
    return text + ("*int(not_refractory_post)" if frozen and neuron.method_used == "exact" else "")


def plasticity_signal(step: NeuronStep) -> str:
    """The variable that changes weights: delta, gated where the membrane has a floor."""
    return "delta" if step.floor is None else "delta_gated"


def integrate_statements(step: NeuronStep, *, learning: bool) -> str:
    """What runs in a layer's integrate slot, beside Brian2's own state updater."""
    return "\n".join(s for s in (step.update, step.floor, step.psi if learning else None) if s)


def group_equations(
    p: Population, step: NeuronStep, noise: Noise, *, learning: bool, errors: Iterable[str] = ("L",)
) -> Equations:
    """The equations of a layer's neuron group.

    With the exact propagator the state variables are parameters that its statements update; otherwise the user's
    differential equations stand as they are: noise in them has its seed from the state updater. ``errors`` are the
    variables that error paths sum into.
    """
    parsed = neuron_of(p).parsed
    subexpressions = [equation_text(parsed.equations[name]) for name in parsed.equations.subexpr_names]
    lines = [noise.seeded("\n".join(subexpressions), "equations"), *([noise.declarations] if noise else [])]
    if step.update is not None:
        lines += [f"{name} : {unit_text(parsed.dimensions[name])}" for name in parsed.state_names]
        lines += [parameter.declaration for parameter in step.parameters]
    else:
        declared = set(parsed.equations.names)
        lines += [equation_text(eq) for eq in parsed.equations.values() if eq.type != SUBEXPRESSION]
        lines += [parameter.declaration for parameter in step.parameters if parameter.name not in declared]
    if step.floor is not None:
        lines.append("gate : 1")
    if learning:
        sums = [f"{name} : 1" for name in dict.fromkeys(("L", *errors))]
        lines += ["psi : 1", *sums, "delta : 1", *(["delta_gated : 1"] if step.floor is not None else [])]
    return Equations("\n".join(lines))


def equation_text(eq: SingleEquation, code: str | None = None) -> str:
    """An equation as a line of Brian2; ``code``: another right side."""
    unit = eq.var_type if eq.var_type != "float" else unit_text(eq.dim)
    flags = f" ({', '.join(eq.flags)})" if eq.flags else ""
    left = {DIFFERENTIAL_EQUATION: f"d{eq.varname}/dt = ", SUBEXPRESSION: f"{eq.varname} = ", PARAMETER: eq.varname}[
        eq.type
    ]
    return f"{left}{(code or eq.expr.code) if eq.expr is not None else ''} : {unit}{flags}"
