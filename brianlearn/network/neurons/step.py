"""One time step of a neuron, as the statements that every engine runs.

Order (see docs/schedule.md): spikes are delivered onto the input variable; then, here: state update, optional floor
with its gate, surrogate derivative psi (before the reset); then threshold and reset.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from brian2.units.fundamentalunits import Dimension, get_dimensions
from brian2.utils.stringtools import get_identifiers

from brianlearn.network.neurons.equations import unit_text
from brianlearn.network.neurons.neuron import Neuron, initial_name

__all__ = ["NeuronStep", "Parameter", "neuron_step"]


@dataclass(frozen=True)
class Parameter:
    """A number that a step reads and that can change without new code.

    Attributes
    ----------
    name : str
    dimensions : brian2 Dimension
    value : numpy.ndarray
        Base units; shape () or (n_neurons,).
    """

    name: str
    dimensions: Dimension
    value: np.ndarray

    @property
    def shared(self) -> bool:
        """Whether all neurons have the same value."""
        return self.value.ndim == 0

    @property
    def declaration(self) -> str:
        """The line that declares it in Brian2 equations."""
        flags = "(shared, constant)" if self.shared else "(constant)"
        return f"{self.name} : {unit_text(self.dimensions)} {flags}"


@dataclass(frozen=True)
class NeuronStep:
    """The statements of one time step of a neuron.

    Attributes
    ----------
    parameters : tuple of Parameter
        Propagator coefficients (exact method) and the constants that the texts use.
    update : str or None
        The exact propagator as statements; None where Brian2's own state updater does it.
    refractory : str or None
        The statement that decides, at the start of the step, which neurons are refractory.
    floor : str or None
        The floor and its gate.
    psi : str
        The surrogate derivative.
    reset_trial : str
        The statements that bring the state variables back to their initial values.
    """

    parameters: tuple[Parameter, ...]
    update: str | None
    refractory: str | None
    floor: str | None
    psi: str
    reset_trial: str


def _literal(value: object, dimensions: Dimension) -> str:
    number = repr(float(np.asarray(value)))
    unit = unit_text(dimensions)
    return number if unit == "1" else f"{number}*({unit})"


def neuron_step(neuron: Neuron, dt: float, constants: Mapping[str, np.ndarray] | None = None) -> NeuronStep:
    """The step of ``neuron`` for a time step of ``dt`` seconds.

    Parameters
    ----------
    neuron : Neuron
    dt : float
        Seconds.
    constants : mapping, optional
        Other values of some constants, base units: shape () or (n_neurons,).

    Returns
    -------
    NeuronStep
    """
    parsed = neuron.parsed
    values = {name: (constants or {}).get(name, value) for name, (value, _) in parsed.constants.items()}
    exact = neuron.method_used == "exact"
    refractory = None
    if neuron.refractory is not None:
        period = float(neuron.refractory)
        refractory = f"not_refractory = timestep(t - lastspike, dt) >= timestep({period!r}*second, dt)"
    parameters, update = _exact_update(neuron, dt, values) if exact else ([], None)
    texts = [neuron.threshold, neuron.reset, *([] if exact else [str(e) for e in parsed.equations.values()])]
    names = set().union(*(get_identifiers(text) for text in texts))
    if exact:  # subexpressions stay in the group and may be used by threshold and reset
        names |= set().union(
            *(get_identifiers(parsed.equations[n].expr.code) for n in parsed.equations.subexpr_names), set()
        )
    parameters += [Parameter(name, dim, values[name]) for name, (_, dim) in parsed.constants.items() if name in names]
    for name in parsed.state_names:
        if neuron.initial_of(name).ndim:
            parameters.append(Parameter(initial_name(name), parsed.dimensions[name], neuron.initial_of(name)))
    floor = None
    if neuron.floor is not None:
        v = parsed.membrane
        dim = parsed.dimensions[v]
        low = _literal(neuron.floor, dim)
        unit = unit_text(dim)
        top = "inf" if unit == "1" else f"inf*({unit})"
        floor = f"gate = int({v} >= {low})\n{v} = clip({v}, {low}, {top})"
    return NeuronStep(tuple(parameters), update, refractory, floor, _psi(neuron), _reset_trial(neuron))


def _psi(neuron: Neuron) -> str:
    parsed = neuron.parsed
    distance = f"{parsed.membrane} - ({parsed.threshold})"
    scale = float(np.asarray(neuron.v_scale))
    dim = get_dimensions(neuron.v_scale)
    x = (
        f"x_psi = {distance}"
        if scale == 1.0 and unit_text(dim) == "1"
        else f"x_psi = ({distance})/({_literal(scale, dim)})"
    )
    psi = neuron.surrogate.expression("x_psi")
    if neuron.refractory is not None:  # a refractory neuron cannot spike: its spike does not depend on v
        psi = f"int(not_refractory)*({psi})"
    return f"{x}\npsi = {psi}"


def _reset_trial(neuron: Neuron) -> str:
    parsed = neuron.parsed
    lines = []
    for name in parsed.state_names:
        value = neuron.initial_of(name)
        lines.append(f"{name} = {initial_name(name) if value.ndim else _literal(value, parsed.dimensions[name])}")
    return "\n".join(lines)


def _exact_update(neuron: Neuron, dt: float, values: Mapping[str, np.ndarray]) -> tuple[list[Parameter], str]:
    system = neuron.linear_system
    assert system is not None
    parsed = neuron.parsed
    dims = [parsed.dimensions[name] for name in system.names]
    parameters: list[Parameter] = []

    def rows(prefix: str, refractory: bool, wanted: list[int]) -> dict[int, str]:
        if not wanted:
            return {}
        matrix, drive = system.evaluate(values, dt, refractory)
        reach, driven = system.pattern(refractory)
        texts = {}
        for i in wanted:
            if refractory and system.frozen[i]:
                texts[i] = system.names[i]
                continue
            terms = []
            for j, name in enumerate(system.names):
                if reach[i, j]:
                    coefficient = f"{prefix}_{system.names[i]}_{name}"
                    parameters.append(Parameter(coefficient, dims[i] / dims[j], matrix[..., i, j]))
                    terms.append(f"{coefficient}*{name}")
            if driven[i]:
                constant = f"{prefix}_{system.names[i]}"
                parameters.append(Parameter(constant, dims[i], drive[..., i]))
                terms.append(constant)
            texts[i] = " + ".join(terms)
        return texts

    n = range(len(system.names))
    moving = [i for i in n if any(system.coefficients[i, j] != 0 for j in n) or system.constants[i] != 0]
    free = rows("P", False, moving)
    frozen_names = [i for i in n if system.frozen[i]]
    reach, _ = system.pattern()
    touched = [i for i in moving if any(reach[i, j] for j in frozen_names)]
    held = rows("F", True, touched)
    lines = [f"{system.names[i]}_next = {text}" for i, text in free.items()]
    if held:
        lines.append("active = int(not_refractory)")
        lines += [f"{system.names[i]}_held = {text}" for i, text in held.items()]
    for i in moving:
        name = system.names[i]
        blend = f"active*{name}_next + (1 - active)*{name}_held" if i in held else f"{name}_next"
        lines.append(f"{name} = {blend}")
    return parameters, "\n".join(lines)
