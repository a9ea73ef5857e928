"""A network as plain Brian2 objects, described: groups, synapses, and the slots in which they run.

`brianlearn.brian.export.plain_objects` makes the objects, `brianlearn.brian.export.plain_script` writes a script that
makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2 import Quantity, second
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.utils.stringtools import get_identifiers

from brianlearn.brian.build.schedule import Schedule
from brianlearn.errors import DataError, SpecError
from brianlearn.learning.delays import rounded
from brianlearn.learning.rules.paths import OF_RULES
from brianlearn.learning.state import LearnerState
from brianlearn.learning.weights import check_weights
from brianlearn.network.encoders import Encoder
from brianlearn.network.inputs import keys_of, values_of
from brianlearn.network.neurons.equations import unit_text
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.neurons.statements import expression, plain_text, substitute
from brianlearn.network.neurons.step import neuron_step
from brianlearn.network.population import LinearReadout, Population
from brianlearn.network.samples.events import Recordings
from brianlearn.network.samples.samples import Samples
from brianlearn.network.spec import NetworkSpec, Projection

__all__ = ["PlainGroup", "PlainNetwork", "PlainSynapses", "Regular", "plain_network"]

#: How near, as a part of their size, two eigenvalues of linear equations may be for Brian2's symbolic solution, which
#: divides by their difference.
APART = 1e-3


@dataclass(frozen=True, eq=False)
class Regular:
    """Statements of a group that run in every step."""

    code: str
    when: str
    order: int = 0


@dataclass(eq=False)
class PlainGroup:
    """A NeuronGroup, or a SpikeGeneratorGroup where it has ``spikes``.

    Attributes
    ----------
    name : str
    n : int
    about : str
        What it is, for readers.
    model : str
        Equations.
    threshold, reset : str
        Empty without spikes, or a reset.
    refractory : brian2.Quantity or None
    method : str or None
        Of integration.
    constants : dict
        Name -> quantity, of its namespace.
    values : dict
        Variable -> quantity or array with one value for each neuron, at the start.
    regular : list of Regular
    when : dict
        ``"state_updater"``, ``"threshold"``, ``"reset"`` -> slot; empty for Brian2's own.
    spikes : tuple of (numpy.ndarray, numpy.ndarray) or None
        Neurons and steps.
    """

    name: str
    n: int
    about: str
    model: str = ""
    threshold: str = ""
    reset: str = ""
    refractory: Any = None
    method: str | None = None
    constants: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    regular: list[Regular] = field(default_factory=list)
    when: dict[str, str] = field(default_factory=dict)
    spikes: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True, eq=False)
class PlainSynapses:
    """A Synapses object whose synapses have a weight each.

    Attributes
    ----------
    name, source, target : str
    on_pre : str
    weight : str
        Name of the synaptic variable: ``w``, unless the target has one of that name.
    unit : str
        Of the weights.
    pre, post : numpy.ndarray of int
    weights : numpy.ndarray
        Of each synapse, base units.
    delay : numpy.ndarray of int
        In steps, of each synapse.
    when : str
        Slot; empty for Brian2's own.
    """

    name: str
    source: str
    target: str
    on_pre: str
    weight: str
    unit: str
    pre: np.ndarray
    post: np.ndarray
    weights: np.ndarray
    delay: np.ndarray
    when: str


@dataclass(frozen=True, eq=False)
class PlainNetwork:
    """All of it.

    Attributes
    ----------
    dt, duration : brian2.Quantity
    groups : list of PlainGroup
    synapses : list of PlainSynapses
    schedule : list of str or None
        Slots; None for Brian2's own.
    """

    dt: Any
    duration: Any
    groups: list[PlainGroup]
    synapses: list[PlainSynapses]
    schedule: list[str] | None


def plain_network(
    spec: NetworkSpec, weights: Mapping[str, np.ndarray], samples: Samples | None = None, seed: int = 0
) -> PlainNetwork:
    """Describe a network as plain Brian2 objects.

    Parameters
    ----------
    spec : NetworkSpec
    weights : mapping
        Projection -> array.
    samples : Samples, optional
        One sample, which the inputs present.
    seed : int
        Of encoders that draw.

    Returns
    -------
    PlainNetwork

    Raises
    ------
    SpecError, WeightsError, DataError
        What plain objects cannot do, by name.
    """
    if spec.timing == "pipelined":
        raise SpecError(
            "to_brian2",
            "pipelined timing has no plain form",
            got="timing='pipelined'",
            expected="timing='same_step' or 'brian2'",
        )
    for p in spec.neurons:
        assert isinstance(p.neuron, Neuron)
        if p.neuron.random or p.neuron.parsed.equations.is_stochastic:
            raise SpecError(
                f"population {p.name!r}",
                "plain Brian2 draws other random numbers, and would fire other spikes",
                got=p.neuron.equations.strip(),
                expected="neurons without noise",
                remedy="leave the noise out of a copy of the network, and add it to the plain groups",
            )
    if samples is not None and len(samples) != 1:
        raise DataError(
            "to_brian2",
            "plain objects present one sample",
            got=f"{len(samples)} samples",
            expected="samples[k : k + 1]",
        )
    if samples is not None:
        samples.check(spec, labels=False)
    found = check_weights(spec, None, {n: np.asarray(w) for n, w in weights.items() if not n.startswith(OF_RULES)})
    fixed, found = rounded(spec.with_learned_constants(found), found)
    return _Description(fixed, found, samples, seed).network()


class _Description:
    """Collects the parts."""

    def __init__(
        self, spec: NetworkSpec, weights: Mapping[str, np.ndarray], samples: Samples | None, seed: int
    ) -> None:
        self.spec, self.weights, self.samples = spec, weights, samples
        self.dt = float(spec.dt)
        self.keys = None if samples is None else LearnerState({}, seed=seed).sample_keys(samples.ids, learning=False)
        self.same_step = spec.timing == "same_step"
        self.order = [p.name for p in (*spec.graph.sources, *spec.neurons)]

    def network(self) -> PlainNetwork:
        spec = self.spec
        groups = [self._input(p) for p in spec.graph.sources]
        groups += [self._neurons(p) for p in spec.neurons]
        groups += [self._readout(p) for p in spec.graph.readouts]
        synapses = [self._synapses(q) for q in (*spec.projections, *spec.readout_projections)]
        schedule = None
        if self.same_step:
            slots = Schedule(tuple(p.name for p in spec.neurons), tuple(p.name for p in spec.graph.sources)).slots()
            of_learning = ("readout_error", "plasticity", "optimise")
            schedule = [s for s in slots if s not in of_learning and not s.endswith("_feedback")]
        return PlainNetwork(spec.dt, spec.duration, groups, synapses, schedule)

    def _slot(self, name: str, part: str, own: str) -> str:
        return f"{name}_{part}" if self.same_step else own

    def _fires(self, name: str) -> dict[str, str]:
        parts = {"state_updater": "integrate", "threshold": "threshold", "reset": "reset"}
        return {what: f"{name}_{part}" for what, part in parts.items()} if self.same_step else {}

    def _input(self, p: Population) -> PlainGroup:
        encoder, values = p.neuron, None
        assert isinstance(encoder, Encoder)
        made = PlainGroup(p.name, p.n, f"encoder {type(encoder).__name__}", when=self._fires(p.name))
        if self.samples is not None and not encoder.makes_its_own:
            values = values_of(self.spec, p.name, self.samples.inputs)
        elif encoder.makes_its_own:
            given = np.zeros((1, 1)) if self.samples is None else self.samples.inputs
            values = values_of(self.spec, p.name, given)
        if encoder.precomputed:
            made.spikes = np.zeros(0, int), np.zeros(0, int)
            if values is not None and self.keys is not None:
                values = values if isinstance(values, Recordings) else np.asarray(values).reshape(1, -1)
                keys = keys_of(self.spec, p.name, self.keys)
                ((step, neuron),) = encoder.spikes(values, self.spec.n_steps, keys)
                made.spikes = np.asarray(neuron), np.asarray(step)
            return made
        text = encoder.text()
        made.model = "\n".join(f"{name} : 1" for name in ("x", *text.states))
        made.threshold, made.reset = text.threshold, text.reset
        if text.update:
            made.regular.append(Regular(text.update, self._slot(p.name, "integrate", "groups")))
        if values is not None:
            drive = plain_text(substitute(expression(text.drive), {"x": expression("given")}))
            x = np.broadcast_to(eval(drive, {"given": np.asarray(values, float).ravel()}), (p.n,))
            made.values["x"] = np.array(x)
        return made

    def _neurons(self, p: Population) -> PlainGroup:
        neuron = p.neuron
        assert isinstance(neuron, Neuron)
        made = PlainGroup(
            p.name,
            p.n,
            "neurons",
            neuron.equations.strip(),
            neuron.threshold,
            neuron.reset,
            neuron.refractory,
            neuron.method_used,
            when=self._fires(p.name),
        )
        parsed, slot = neuron.parsed, self._slot(p.name, "integrate", "groups")
        declared = set(parsed.equations.names)
        for name, (value, dim) in parsed.constants.items():
            quantity = Quantity(value, dim=dim) if unit_text(dim) != "1" else value
            if name in declared or value.ndim:
                made.values[name] = quantity
                if name not in declared:
                    made.model += f"\n{name} : {unit_text(dim)} (constant)"
            else:
                made.constants[name] = quantity
        if neuron.method_used == "exact" and not _solved(neuron, self.dt):
            step = neuron_step(neuron, self.dt)
            assert step.update is not None
            lines = [f"{name} : {unit_text(parsed.dimensions[name])}" for name in parsed.state_names]
            texts = [str(parsed.equations[name]) for name in parsed.equations.subexpr_names]
            lines += [*texts, *(parameter.declaration for parameter in step.parameters)]
            made.model, made.method, made.constants = "\n".join(lines), None, {}
            made.values = {q.name: Quantity(q.value, dim=q.dimensions) for q in step.parameters}
            made.regular.append(Regular(step.update, slot))
        for name, value in neuron.initial.items():
            made.values[name] = value
        if neuron.floor is not None:
            v = parsed.membrane
            dim = parsed.dimensions[v]
            unit = "" if unit_text(dim) == "1" else f"*{unit_text(dim)}"
            low = f"{float(np.asarray(neuron.floor))!r}{unit}"
            made.regular.append(Regular(f"{v} = clip({v}, {low}, inf{unit})", slot, 1))
        if self.same_step and neuron.refractory is not None and "unless refractory" in neuron.equations:
            # deliveries come before the state update, which decides this in Brian2
            code = f"not_refractory = timestep(t - lastspike, dt) >= timestep({float(neuron.refractory)!r}*second, dt)"
            made.regular.append(Regular(code, f"{p.name}_deliver", -1))
        return made

    def _readout(self, p: Population) -> PlainGroup:
        tau = p.neuron.tau if isinstance(p.neuron, LinearReadout) else None
        slot = "readout_decay" if self.same_step else "groups"
        made = PlainGroup(p.name, p.n, "its y is what the network says")
        if tau is None:
            made.model = "y : 1"
            made.regular.append(Regular("y = 0", slot))
        else:
            made.model, made.method, made.constants = "dy/dt = -y/tau : 1", "exact", {"tau": tau}
            made.when = {"state_updater": slot} if self.same_step else {}
        return made

    def _synapses(self, q: Projection) -> PlainSynapses:
        c, target = q.connectivity, self.spec.graph.by_name[q.target]
        weights = q.connectivity.pack(np.asarray(self.weights[q.name], float))[c.weight] * c.factor
        variable, unit, when, weight = "y", "1", "readout_deliver", "w"
        if isinstance(target.neuron, Neuron):
            neuron = target.neuron
            variable, unit = q.input_variable, unit_text(neuron.parsed.dimensions[q.input_variable])
            weights, when = weights * q.weight_unit, f"{q.target}_deliver"
            while weight in neuron.parsed.equations.names or weight in neuron.constants:  # Brian2 refuses it, or
                weight += "_syn"  # would mistake one for the other
        source = self.spec.graph.by_name[q.source].neuron
        amplitude = "*x_pre" if isinstance(source, Encoder) and source.carries_values else ""
        steps = q.lags(self.dt * second)[c.weight]
        if self.same_step and q.target in self.order and self.order.index(q.source) >= self.order.index(q.target):
            steps = steps - 1  # spikes of the step before are delivered, the source fires later in the step
        return PlainSynapses(
            q.name,
            q.source,
            q.target,
            f"{variable}_post += {weight}{amplitude}",
            weight,
            unit,
            np.asarray(c.pre),
            np.asarray(c.post),
            weights,
            steps,
            when if self.same_step else "",
        )


def _solved(neuron: Neuron, dt: float) -> bool:
    """Whether Brian2's symbolic solution of linear equations has numbers that can be trusted."""
    system, equations = neuron.linear_system, neuron.parsed.equations
    assert system is not None
    used = set().union(*(get_identifiers(eq.expr.code) for eq in equations.values() if eq.expr is not None))
    if used & {"dt", "t", "i", *DEFAULT_FUNCTIONS}:  # Brian2 takes names of constants alone
        return False
    matrix, _ = system.evaluate({name: value for name, (value, _) in neuron.parsed.constants.items()}, dt)
    for each in matrix.reshape(-1, *matrix.shape[-2:]):
        rates = np.log(np.linalg.eigvals(each).astype(complex)) / dt
        for k, rate in enumerate(rates):
            if (np.abs(rates[:k] - rate) <= APART * np.maximum(np.abs(rate), np.abs(rates[:k]))).any():
                return False
            if abs(rate) < 1e-9 / dt:  # a matrix that cannot be inverted
                return False
    return True
