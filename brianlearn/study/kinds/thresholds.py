"""Thresholds that differ between neurons: a constant that is added to the threshold of a neuron's text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import sympy
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS
from brian2.parsing.sympytools import str_to_sympy
from brian2.units.fundamentalunits import Quantity

from brianlearn.errors import SpecError
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.spec import NetworkSpec

__all__ = ["SHIFT", "shifted", "threshold_distance", "with_shifted_thresholds"]

#: The constant that is added to a threshold.
SHIFT = "threshold_shift"


def threshold_distance(neuron: Neuron, name: str = "neuron") -> Any:
    """How far the membrane is below the threshold at the start of a trial: what a relative change of it refers to.

    1 for ``"v > 1"`` with v = 0; 15 mV for ``"v > -50*mV"`` with ``initial=dict(v=-65*mV)``.

    Parameters
    ----------
    neuron : Neuron
    name : str, optional
        How errors name it.

    Returns
    -------
    brian2.Quantity or numpy.ndarray
        In the membrane's unit; one value, or one per neuron where the threshold has constants that differ.

    Raises
    ------
    SpecError
        If the membrane starts at its threshold or above, or the threshold is no number then.
    """
    parsed = neuron.parsed
    values: dict[str, Any] = {unit: float(value) for unit, value in DEFAULT_UNITS.items()}
    values |= {constant: float(value.value) for constant, value in DEFAULT_CONSTANTS.items()}
    values |= {constant: np.ravel(v) if v.ndim else float(v) for constant, (v, _) in parsed.constants.items()}
    values |= {state: neuron.initial_of(state) for state in parsed.state_names}
    texts = dict(parsed.equations.get_substituted_expressions(parsed.variables, include_subexpressions=True))
    sides = []
    for side in (parsed.threshold, parsed.membrane):
        expression = str_to_sympy(side, parsed.variables)
        for sub in parsed.equations.subexpr_names:
            symbol = sympy.Symbol(sub, real=True)
            if symbol in expression.free_symbols:
                expression = expression.subs(symbol, str_to_sympy(texts[sub].code, parsed.variables))
        unknown = sorted(s.name for s in expression.free_symbols if s.name not in values)
        if unknown or expression.atoms(sympy.core.function.AppliedUndef):
            raise SpecError(
                name,
                "the threshold at the start of a trial is not known",
                got=f"{side}" + (f", with {', '.join(unknown)}" if unknown else ""),
                expected="state variables and constants",
            )
        symbols = sorted(expression.free_symbols, key=str)
        sides.append(sympy.lambdify(symbols, expression, "numpy")(*(values[s.name] for s in symbols)))
    distance = np.asarray(sides[0] - sides[1], float)
    if not np.all(distance > 0):
        raise SpecError(
            name,
            "the membrane does not start below its threshold",
            got=f"{neuron.threshold!r}, {np.min(distance):g} below it (base units)",
            expected="a distance > 0 that a change of the threshold is relative to",
            remedy="say where the membrane starts, e.g. initial=dict(v=-65*mV)",
        )
    dimensions = _membrane_dimensions(neuron)
    return Quantity(distance, dim=dimensions)


def _membrane_dimensions(neuron: Neuron) -> Any:
    from brian2.parsing.expressions import parse_expression_dimensions

    return parse_expression_dimensions(neuron.parsed.membrane, neuron.parsed.variables)


def shifted(neuron: Neuron, shift: Any) -> Neuron:
    """The neuron with ``shift`` added to its threshold.

    Parameters
    ----------
    neuron : Neuron
    shift : float, brian2.Quantity or array
        In the membrane's unit; one value, or one per neuron.

    Returns
    -------
    Neuron
        With a constant `SHIFT`. Networks that differ in its values share one program.

    Raises
    ------
    SpecError
        If the neuron has something of that name already.
    """
    parsed = neuron.parsed
    if SHIFT in parsed.constants or SHIFT in parsed.equations.names:
        raise SpecError("neuron", f"it has {SHIFT!r} already", got=neuron.threshold, expected="a name that is free")
    threshold = f"{parsed.membrane} > ({parsed.threshold}) + {SHIFT}"
    return dataclasses.replace(neuron, threshold=threshold, constants={**neuron.constants, SHIFT: shift})


def with_shifted_thresholds(spec: NetworkSpec, factors: Mapping[str, Any]) -> NetworkSpec:
    """The network with each layer's thresholds at ``factors`` times their distance from where the membrane starts.

    Parameters
    ----------
    spec : NetworkSpec
    factors : mapping
        Layer name -> one number, or one per neuron.
    """
    parts = {}
    for name, part in spec.parts.items():
        neuron = part.neuron
        if name in factors:
            neuron = shifted(neuron, (np.asarray(factors[name]) - 1.0) * threshold_distance(neuron, name))
        parts[name] = dataclasses.replace(part, neuron=neuron)
    return spec.with_parts(parts)
