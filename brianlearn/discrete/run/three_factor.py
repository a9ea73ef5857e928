"""Gradients of three-factor rules, for a whole batch at once.

All factors of a step are there within the step, and weights stay as they are: all layers run forwards over the whole
sequence, errors go down for all steps at once, and a weight gradient is one product over the merged axis of time and
samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.maps.base import Listed, SynapticMap, arrive, at_port, unflatten
from brianlearn.discrete.run import pipelined
from brianlearn.discrete.run.activity import DiscreteActivity
from brianlearn.discrete.run.batch import BatchRecord
from brianlearn.discrete.run.component import Component, after
from brianlearn.discrete.run.error_paths import fixed_tensors, readout_errors, total
from brianlearn.discrete.run.network import DiscreteNetwork
from brianlearn.discrete.run.targets import output_target, squared_error
from brianlearn.discrete.step.draws import Draws
from brianlearn.discrete.step.encoding import dropout_mask, encode_all, given_spikes
from brianlearn.discrete.step.program import at_end
from brianlearn.discrete.step.recurrence import Passage
from brianlearn.learning.rules.paths import Fixed, transposed
from brianlearn.learning.rules.three_factor import ThreeFactorRule
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.population import Population
from brianlearn.network.spec import Projection

__all__ = ["forward", "gradients", "layer_masks", "third_factors", "traces", "wanted_factors"]


@dataclass(frozen=True, eq=False)
class Arrival:
    """What one projection brought to a population in a batch.

    Attributes
    ----------
    p : Projection
    synapses : SynapticMap
    source : torch.Tensor, shape (T, B, *in_shape)
        What its synapses saw, the presynaptic factor x_p of local rules; (1, B, *in_shape) for a direct current.
    listed : Listed or None
        The same in lists.
    heard : torch.Tensor, shape (T, B, *in_shape)
        What of it the neurons had heard when they were integrated: under the timing ``"brian2"`` that of the step
        before, otherwise the same.
    """

    p: Projection
    synapses: SynapticMap
    source: torch.Tensor
    listed: Listed | None
    heard: torch.Tensor

    @classmethod
    def of(cls, network: DiscreteNetwork, q: Projection, sent: torch.Tensor) -> Arrival:
        """What a projection brings of what its source ``sent``, shape (T, B, *in_shape) or (1, B, *in_shape)."""
        spec, synapses = network.spec, network.synaptic_map(q.name)
        delay, until = q.delay_steps(spec.dt), spec.arrival_steps(q)
        source = after(sent, delay, spec.n_steps)
        heard = source if until == delay else after(sent, until, spec.n_steps)
        return cls(q, synapses, source, synapses.lists(source), heard)

    def delivered(self, weight: torch.Tensor) -> tuple[torch.Tensor, bool]:
        """What reaches the population in every step, and its order in memory."""
        listed = self.listed if self.heard is self.source else self.synapses.lists(self.heard)
        return self.synapses(self.heard, weight, listed)


@dataclass(frozen=True, eq=False)
class PopulationRun:
    """What one population did in a batch.

    Attributes
    ----------
    p : Population
    arrivals : list of Arrival
    channels_last : bool
        Whether its neurons lie in memory as (height, width, channels).
    passage : Passage
        Spikes and factors, shape (T, B, neurons) in the order of memory.
    mask : torch.Tensor, shape (B, neurons) or (T, B, neurons), or None
        What its spikes are multiplied by on their way to others, in the order of memory.
    """

    p: Population
    arrivals: list[Arrival]
    channels_last: bool
    passage: Passage
    mask: torch.Tensor | None

    @property
    def heard(self) -> torch.Tensor:
        """The population's spikes as others see them, shape (T, B, neurons) in the order of memory."""
        spikes = self.passage.values["spike"]
        return spikes if self.mask is None else spikes * self.mask

    @property
    def psi(self) -> torch.Tensor:
        """The surrogate derivative that errors take down."""
        return self.passage.values["psi" if "psi" in self.passage.values else "psi_gated"]


def gradients(
    network: DiscreteNetwork,
    rule: ThreeFactorRule,
    readouts: Mapping[str, torch.Tensor],
    inputs: Any,
    labels: torch.Tensor,
    keys: np.ndarray,
) -> tuple[dict[str, torch.Tensor], BatchRecord]:
    """The mean gradient of a batch, g_l of docs/rules.md.

    Parameters
    ----------
    network : DiscreteNetwork
        Exported with ``reset_path="detached"``; dropout acts in its training mode.
    rule : ThreeFactorRule
        With ``update="batch"``. Mirror synapses carry what forward synapses carry: ``feedback`` changes nothing here.
    readouts : mapping
        The rule's fixed weights (``readout_<layer>``, ...), shape (classes, neurons), beside the network's readout.
    inputs : array_like, shape (B, *input shape), or Events
    labels : torch.Tensor of int, shape (B,), or of values, shape (B, out) or (B, T, out)
    keys : numpy.ndarray of uint64, shape (B, 2)
        One random key per presentation.

    Returns
    -------
    gradients : dict
        Name of a learned layer -> tensor of the weights' shape.
    record : BatchRecord
    """
    with torch.no_grad():
        runs, spikes, heard = forward(
            network, lambda p: wanted_factors(network, rule, p), inputs, keys, save=rule.credit == "through_time"
        )
        target = output_target(labels, runs[-1].passage.values["spike"], network.spec.classes)
        weights = fixed_tensors(network, rule, readouts, runs)
        gradient = pipelined.gradient if network.pipelined else _gradient
        factors, readout = third_factors(network, rule, weights, runs, target, heard)
        found: dict[str, torch.Tensor] = {}
        for run in runs:
            found |= gradient(network, rule, run, factors[run.p.name]) if run.p.name in factors else {}
        activity = DiscreteActivity(spikes, readout, network.spec.burn_in_steps)
        loss = squared_error(readout, target, network.spec.burn_in_steps)
    return found, BatchRecord.of(activity, loss)


def wanted_factors(network: DiscreteNetwork, rule: ThreeFactorRule, p: Population) -> tuple[str, ...]:
    """What a population computes beside its spikes: psi for errors that go down, psi gate for what changes weights."""
    below = transposed(rule.paths(network.spec))
    down = any(q.name in below for q in network.spec.onto(p.name))
    if rule.credit == "through_time":  # the floor's gate is in the derivative of the step
        return ("psi",) if down else ()
    assert isinstance(p.neuron, Neuron)
    return ("psi", "psi_gated") if down and p.neuron.floor is not None else ("psi_gated",)


def layer_masks(
    network: DiscreteNetwork, p: Population, samples: int, like: torch.Tensor, keys: np.ndarray, *, channels_last: bool
) -> torch.Tensor | None:
    """The dropout mask of one population, neurons in the order of memory; None without dropout.

    Shape (samples, neurons), or (steps, samples, neurons) where a mask is drawn in every step.
    """
    mask = dropout_mask(p, network.spec.n_steps, samples, like, keys) if network.training else None
    if mask is None:
        return None
    return (mask.movedim(-3, -1) if channels_last else mask).flatten(-len(p.shape))


def forward(
    network: DiscreteNetwork,
    names: Callable[[Population], Sequence[str]],
    inputs: Any,
    keys: np.ndarray,
    *,
    save: bool = False,
) -> tuple[list[PopulationRun], dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """All populations over the whole sequence.

    Parameters
    ----------
    network : DiscreteNetwork
    names : callable
        Population -> what is wanted of it beside its spikes (`Recurrence.factors`).
    inputs : array_like, shape (B, *input shape), or Events
    keys : numpy.ndarray of uint64, shape (B, 2)
    save : bool
        Whether errors will be pulled back through time.

    Returns
    -------
    runs : list of PopulationRun
    spikes : dict
        Population -> its spikes, shape (T, B, *shape).
    heard : dict
        The same as others hear them.
    """
    spec = network.spec
    heard = encode_all(spec, inputs, next(network.parameters()), keys)
    spikes = given_spikes(spec, heard)
    draws = network.draws(len(keys), keys)
    runs: list[PopulationRun] = []
    for together in spec.graph.components:
        component = network.component(together)
        if component is not None:
            found = _together(network, names, component, heard, keys, draws)
        else:
            alone = [spec.graph.by_name[name] for name in together]
            found = [_alone(network, names, p, heard, keys, draws.get(p.name), save=save) for p in alone]
        for run in found:
            runs.append(run)
            spikes[run.p.name] = unflatten(run.passage.values["spike"], run.p.shape, run.channels_last)
            heard[run.p.name] = unflatten(run.heard, run.p.shape, run.channels_last)
    return runs, spikes, heard


def third_factors(
    network: DiscreteNetwork,
    rule: ThreeFactorRule,
    weights: Mapping[str, torch.Tensor],
    runs: list[PopulationRun],
    target: torch.Tensor,
    heard: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """L of every population, shape (learning steps, B, neurons) in the order of memory, and the network's output."""
    found = pipelined.third_factors if network.pipelined else _third_factors
    return found(network, rule, weights, runs, target, heard)


def _alone(
    network: DiscreteNetwork,
    names: Callable[[Population], Sequence[str]],
    p: Population,
    heard: Mapping[str, torch.Tensor],
    keys: np.ndarray,
    draws: Draws | None,
    *,
    save: bool,
) -> PopulationRun:
    """A population that does not hear itself, over the whole sequence; ``heard``: spikes of the others."""
    steps, arrivals, parts = network.spec.n_steps, [], []
    for q in network.spec.pathways_onto(p.name):
        arrivals.append(Arrival.of(network, q, heard[q.source]))
        delivered, last = arrivals[-1].delivered(network.get_parameter(q.weights_of).detach())
        if len(delivered) != steps:  # a direct current is the same in every step
            delivered = delivered.expand(steps, *delivered.shape[1:]).contiguous()
        parts.append((delivered, last))
    delivered, last = arrive(parts, [arrival.p for arrival in arrivals], p)
    if network.pipelined:
        delivered = pipelined.later(delivered)
    passage = network.recurrence(p.name).factors(delivered, names(p), channels_last=last, save=save, draws=draws)
    fired = passage.values["spike"]
    mask = layer_masks(network, p, fired.shape[1], fired, keys, channels_last=last)
    return PopulationRun(p, arrivals, last, passage, mask)


def _together(
    network: DiscreteNetwork,
    names: Callable[[Population], Sequence[str]],
    component: Component,
    heard: Mapping[str, torch.Tensor],
    keys: np.ndarray,
    draws: Mapping[str, Draws],
) -> list[PopulationRun]:
    """Populations that hear one another, over the whole sequence; ``heard``: spikes of the others."""
    spec = network.spec
    populations = [spec.graph.by_name[name] for name in component.names]
    delivered = {p.name: network.from_outside(component, p, heard) for p in populations}
    masks = {p.name: network.component_mask(p, delivered[p.name], keys) for p in populations}
    weights = {q.name: network.get_parameter(q.weights_of).detach() for q in component.projections}
    wanted = {p.name: names(p) for p in populations}
    values = component.run(delivered, weights, masks, wanted, draws)
    runs = [PopulationRun(p, [], False, Passage(values[p.name], _no_way_back), masks[p.name]) for p in populations]
    every = {**heard, **{run.p.name: run.heard.unflatten(2, run.p.shape) for run in runs}}
    for run in runs:
        for q in spec.pathways_onto(run.p.name):
            run.arrivals.append(Arrival.of(network, q, every[q.source]))
    return runs


def _no_way_back(error: torch.Tensor) -> torch.Tensor:
    """Errors of rules that look at one step alone do not go through the states of neurons."""
    raise AssertionError(error.shape)


def _third_factors(
    network: DiscreteNetwork,
    rule: ThreeFactorRule,
    weights: Mapping[str, torch.Tensor],
    runs: list[PopulationRun],
    target: torch.Tensor,
    heard: Mapping[str, torch.Tensor],
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """L of every population, shape (learning steps, B, neurons) in the order of memory, and the network's output."""
    burn_in, paths = rule.burn_in_steps(network.spec), rule.paths(network.spec)
    errors, output = readout_errors(network, rule, weights, runs, target, heard)
    factors: dict[str, torch.Tensor] = {}
    arrivals = {arrival.p.name: (run, arrival) for run in runs for arrival in run.arrivals}
    for run in reversed(runs):
        parts = []
        for path in paths.get(run.p.name, ()):
            if isinstance(path, Fixed):
                parts.append(torch.matmul(errors[path.readout][burn_in:], weights[path.name]))
                continue
            above, arrival = arrivals[path.projection]
            down = arrival.synapses.transpose(
                above.psi[burn_in:] * factors[above.p.name],
                network.get_parameter(path.projection).detach(),
                channels_last=above.channels_last,
                source_last=run.channels_last,
            )
            parts.append(down)
        if not parts:
            continue
        factor = factors[run.p.name] = total(parts)
        if run.mask is not None:
            factor.mul_(run.mask if run.mask.ndim == 2 else run.mask[burn_in:])
    return factors, output


def _gradient(
    network: DiscreteNetwork, rule: ThreeFactorRule, run: PopulationRun, factor: torch.Tensor
) -> dict[str, torch.Tensor]:
    """The gradients of all projections onto a population, from its third factor."""
    spec = network.spec
    burn_in, samples = rule.burn_in_steps(spec), factor.shape[1]
    scale = float(Fraction(rule.scale(spec)[run.p.name]) / samples)
    if rule.credit == "through_time":
        scale /= len(factor)
        if burn_in:
            factor = torch.cat([factor.new_zeros(burn_in, *factor.shape[1:]), factor])
        error = run.passage.pull_back(factor)
    else:
        error = factor.mul_(run.passage.values["psi_gated"][burn_in:])
    found: dict[str, torch.Tensor] = {}
    for arrival in run.arrivals:
        source, listed, mine = arrival.source, arrival.listed, at_port(error, arrival.p.port).contiguous()
        if rule.credit == "through_time" and arrival.heard is not source:
            source, listed = arrival.heard, None
        if rule.credit == "online":
            if rule.eligibility == "trace":
                source, listed = traces(network, arrival)[0], None
            if len(source) > 1 and burn_in:
                source = source[burn_in:]
                listed = listed and Listed(listed.lists.rows_from(burn_in * samples), listed.channels_last)
        if len(source) == 1:  # the same in every step
            mine = mine.sum(dim=0, keepdim=True)
        if arrival.p.learned:
            g = arrival.synapses.weight_gradient(mine, source, channels_last=run.channels_last, listed=listed)
            name = arrival.p.weights_of
            found[name] = found[name].add_(g.mul_(scale)) if name in found else g.mul_(scale)
    return found


def traces(network: DiscreteNetwork, arrival: Arrival, states: Sequence[str] | None = None) -> list[torch.Tensor]:
    """Traces of what came through a projection, shape (T, B, *in_shape): the membrane's, or of some states."""
    steps, source = network.spec.n_steps, arrival.heard
    if len(source) != steps:
        source = source.expand(steps, *source.shape[1:])
    last = source.ndim == 5 and not source.is_contiguous() and len(arrival.heard) == steps
    flat = (source.permute(0, 1, 3, 4, 2) if last else source).flatten(2).contiguous()
    response = network.trace(arrival.p.name)
    if states is None:
        trace = response(flat)[1]
        assert trace is not None
        found = [trace]
    else:
        values = response.factors(flat.clone(), [at_end(f"trace_{state}") for state in states]).values
        found = list(values.values())
    return [unflatten(trace, arrival.p.in_shape, last) for trace in found]
