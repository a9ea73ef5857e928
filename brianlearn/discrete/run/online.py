"""Learning in every time step: weights change within the trial, so that time runs outside the layers.

The same steps add up the gradient of a batch in memory that does not grow with the length of a trial (`gradients`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.maps.base import SynapticMap, arrive, at_port, unflatten
from brianlearn.discrete.run.batch import BatchRecord
from brianlearn.discrete.run.error_paths import readout_weights, total
from brianlearn.discrete.run.network import DiscreteNetwork
from brianlearn.discrete.run.targets import output_target
from brianlearn.discrete.run.three_factor import layer_masks, wanted_factors
from brianlearn.discrete.run.trains import Trains, given_trains
from brianlearn.discrete.step.stepper import Stepper
from brianlearn.learning.rules.paths import Fixed, readout_groups, transposed
from brianlearn.learning.rules.three_factor import ThreeFactorRule
from brianlearn.network.population import Population
from brianlearn.network.spec import Projection

__all__ = ["gradients", "learn_batch"]

#: Multiplications of all forward maps in one step below which one thread computes. Threads that meet after every
#: operation of some 100 us gain little, and where they share their cores with other programs they lose a factor of ten.
SHORT_STEP = 10**8

#: Values of an input that are unpacked at a time.
UNPACKED = 2**18

#: Changes the network's parameters in place, given the mean gradient of this step.
Apply = Callable[[Mapping[str, torch.Tensor]], None]


def learn_batch(
    network: DiscreteNetwork,
    rule: ThreeFactorRule,
    readouts: Mapping[str, torch.Tensor],
    inputs: Any,
    labels: torch.Tensor,
    keys: np.ndarray,
    apply: Apply,
) -> BatchRecord:
    """Present a batch once, with one optimiser step in every time step after the burn-in.

    States are carried on from step to step; no gradient goes through them.

    Parameters
    ----------
    network, rule, readouts, inputs, labels, keys
        As in `brianlearn.discrete.run.three_factor.gradients`; the rule with ``credit="online"``.
    apply : callable
        Given the gradient of a step, by layer name, it changes the network's parameters in place.

    Returns
    -------
    BatchRecord
    """
    with torch.no_grad(), _threads(network, len(labels)):
        kinds = {"pipelined": _Pipelined, "brian2": _AsBrian2}
        return kinds.get(network.spec.timing, _Online)(network, rule, readouts, inputs, labels, keys).run(apply)


def gradients(
    network: DiscreteNetwork,
    rule: ThreeFactorRule,
    readouts: Mapping[str, torch.Tensor],
    inputs: Any,
    labels: torch.Tensor,
    keys: np.ndarray,
) -> tuple[dict[str, torch.Tensor], BatchRecord]:
    """The mean gradient of a batch, step by step: that of `three_factor.gradients`, in memory that is constant in T.

    Parameters
    ----------
    network, rule, readouts, inputs, labels, keys
        As there; the rule with ``credit="online"``, which looks at one step at a time.

    Returns
    -------
    gradients : dict
        Name of a learned layer -> tensor of the weights' shape.
    record : BatchRecord
    """
    total: dict[str, torch.Tensor] = {}

    def add(found: Mapping[str, torch.Tensor]) -> None:
        for name, g in found.items():
            total[name] = total[name].add_(g) if name in total else g.clone()

    record = learn_batch(network, rule, readouts, inputs, labels, keys, add)
    return total, record


@contextmanager
def _threads(network: DiscreteNetwork, samples: int) -> Iterator[None]:
    """One thread where steps are short; torch's own number comes back afterwards."""
    before = torch.get_num_threads()
    work = samples * sum(network.synaptic_map(p.name).multiplications for p in network.spec.pathways)
    if work < SHORT_STEP:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(eq=False)
class _Arrival:
    """What one projection brings to a population; ``source`` is what changes weights, shape (1, samples, *in_shape)."""

    p: Projection
    synapses: SynapticMap
    weight: torch.Tensor
    source: torch.Tensor | None = None
    trace: Stepper | None = None
    delivered: torch.Tensor | None = None  # in the step before, where neurons hear it in this one


@dataclass(eq=False)
class _Layer:
    """One population in the middle of a trial; neurons in the order of memory."""

    p: Population
    arrivals: list[_Arrival]
    scale: float
    reorder: bool
    channels_last: bool = False
    neurons: Stepper | None = None
    masks: torch.Tensor | None = None  # of all steps, where they differ
    mask: torch.Tensor | None = None  # of this step
    read: dict[str, torch.Tensor] = field(default_factory=dict)  # readout -> weights from here
    fixed: dict[str, torch.Tensor] = field(default_factory=dict)  # weights of its paths from readouts
    values: Mapping[str, torch.Tensor] | None = None
    waiting: torch.Tensor | None = None  # what was delivered after the threshold, for the next step

    @property
    def psi(self) -> torch.Tensor:
        """The surrogate derivative that errors take down."""
        assert self.values is not None
        return self.values.get("psi", self.values["psi_gated"])


class _Source:
    """What an input sends in one step after the other; some steps are unpacked at a time.

    Parameters
    ----------
    trains : Trains
    channels_last : bool
        Whether each step lies in memory as a convolution reads it, (height, width, channels).
    """

    def __init__(self, trains: Trains, *, channels_last: bool) -> None:
        self.trains, self._last = trains, channels_last
        self._length = max(1, UNPACKED // (trains.samples * trains.n))
        self._part, self._begin, self._end = torch.empty(0), 0, 0

    def at(self, t: int) -> torch.Tensor:
        """What is sent in a step, shape (samples, *shape)."""
        if not self._begin <= t < self._end:
            self._begin, self._end = t, min(t + self._length, self.trains.steps)
            part = self.trains.part(self._begin, self._end)
            if len(part) != self._end - self._begin:  # the same in every step
                self._begin, self._end = 0, self.trains.steps
            if self._last:
                part = part.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
            self._part = part
        return self._part[min(t - self._begin, len(self._part) - 1)]


class _Online:
    """The state of one batch."""

    def __init__(
        self,
        network: DiscreteNetwork,
        rule: ThreeFactorRule,
        readouts: Mapping[str, torch.Tensor],
        inputs: Any,
        labels: torch.Tensor,
        keys: np.ndarray,
    ) -> None:
        spec = network.spec
        self.network, self.rule, self.readouts, self.keys = network, rule, readouts, keys
        self.draws = network.draws(len(labels), keys)
        self.steps, self.burn_in = spec.n_steps, rule.burn_in_steps(spec)
        like, self.samples = next(network.parameters()).detach(), len(labels)
        self.sources = {}
        for name, trains in given_trains(spec, inputs, self.samples, like, keys).items():
            convolved = any(network.synaptic_map(q.name).is_conv for q in spec.pathways if q.source == name)
            self.sources[name] = _Source(trains, channels_last=convolved and trains.shape[0] > 1)
        targets = output_target(labels, like, spec.classes)
        self.targets = targets if targets.ndim == 3 else None  # of all steps, where they differ
        self.target = targets[0] if targets.ndim == 3 else targets  # of this step
        self.paths = rule.paths(spec)
        self.onto_readouts = readout_groups(spec, self.paths)
        self.decays = {name: self._decay(name) for name in self.onto_readouts}
        self.leaks: dict[str, torch.Tensor] = {}
        self.layers = []
        factors = rule.scale(spec)
        for p in spec.neurons:
            above = [q for q in spec.projections if q.source == p.name]
            # a dense layer above reads neurons in the order of its weights: reorder the fewer of both
            dense = any(len(q.weight_shape) == 2 and self.samples < q.n_post for q in above)
            arrivals = [
                _Arrival(q, network.synaptic_map(q.name), network.get_parameter(q.weights_of).detach())
                for q in spec.pathways_onto(p.name)
            ]
            scale = float(Fraction(factors[p.name]) / self.samples) if p.name in factors else 0.0
            self.layers.append(_Layer(p, arrivals, scale, dense))
        self.down = transposed(self.paths)
        longest: dict[str, int] = {}
        for q in spec.projections:
            if q.delayed:
                longest[q.source] = max(longest.get(q.source, 0), q.delay_steps(spec.dt))
        self.past = {name: deque[torch.Tensor](maxlen=steps) for name, steps in longest.items()}
        self.given = [  # what reaches readouts from inputs
            (name, q.source, readout_weights(network, readouts, q, channels_last=False))
            for name, onto in self.onto_readouts.items()
            for q in onto
            if q.source in self.sources
        ]
        self.arrivals = {arrival.p.name: (layer, arrival) for layer in self.layers for arrival in layer.arrivals}

    def _decay(self, readout: str) -> float:
        """By what a readout is multiplied in each step; a rule's own are like the network's first."""
        graph = self.network.spec.graph
        tau = graph.tau_of(readout if readout in graph.by_name else self.network.spec.output)
        return 0.0 if tau is None else float(np.exp(-float(self.network.spec.dt) / float(tau)))

    def _aim(self, t: int) -> None:
        """Take the target of a step."""
        if self.targets is not None:
            self.target = self.targets[t]

    def run(self, apply: Apply) -> BatchRecord:
        """All steps."""
        spec, measured = self.network.spec, self.network.spec.burn_in_steps
        logits, loss = torch.zeros_like(self.target), torch.zeros_like(self.target)
        counts = {p.name: self.target.new_zeros(self.samples) for p in spec.neurons}
        for t in range(self.steps):
            self._aim(t)
            self._forward(t)
            errors = {name: y - self.target for name, y in self.leaks.items()}
            y = self.leaks[spec.output]
            if t >= measured:
                logits += y
                loss += (y - self.target).square_()
            for layer in self.layers:
                assert layer.values is not None
                counts[layer.p.name] += layer.values["spike"].sum(dim=1)
            if t >= self.burn_in:
                apply(self._gradients(errors))
        return self._record(logits, loss, counts)

    def _record(self, logits: torch.Tensor, loss: torch.Tensor, counts: dict[str, torch.Tensor]) -> BatchRecord:
        """What was measured, from sums over the steps after the burn-in, and spikes of all."""
        given = {}
        for p in self.network.spec.graph.inputs:
            given[p.name] = self.sources[p.name].trains.counts()
        steps = self.steps - self.network.spec.burn_in_steps
        return BatchRecord(logits / steps, loss.mean(dim=1) / steps, {**given, **counts})

    def _start(self, layer: _Layer, delivered: torch.Tensor) -> Stepper:
        """What a population needs, when it is known how its neurons lie in memory."""
        recurrence, p, last = self.network.recurrence(layer.p.name), layer.p, layer.channels_last
        names = ("spike", *wanted_factors(self.network, self.rule, p))
        layer.masks = layer_masks(self.network, p, self.samples, delivered, self.keys, channels_last=last)
        for name, onto in self.onto_readouts.items():
            for q in onto:
                if q.source == p.name:
                    layer.read[name] = readout_weights(self.network, self.readouts, q, channels_last=last)
        for path in self.paths.get(p.name, ()):
            if isinstance(path, Fixed):
                weights = readout_weights(self.network, self.readouts, path.weights, channels_last=last)
                layer.fixed[path.name] = weights
        for arrival in layer.arrivals if self.rule.eligibility == "trace" else ():
            response = self.network.trace(arrival.p.name)
            like = delivered.new_empty(self.samples, arrival.p.n_pre)
            arrival.trace = response.stepper((response.program.membrane,), self.samples, like, channels_last=False)
        return recurrence.stepper(names, self.samples, delivered, channels_last=last, draws=self.draws.get(p.name))

    def _delivered(self, layer: _Layer, heard: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What reaches a population in a step; ``heard``: what others send, by name, shape (samples, *shape)."""
        parts = []
        for arrival in layer.arrivals:
            arrival.source = self._heard(arrival.p, heard).unsqueeze(0)
            parts.append(arrival.synapses(arrival.source, arrival.weight))
        sums, last = arrive(parts, [arrival.p for arrival in layer.arrivals], layer.p)
        if last and layer.reorder:
            delivered, last = unflatten(sums, layer.p.shape, True)[0].flatten(1), False
        else:
            delivered = sums[0]
        layer.channels_last = last
        return delivered

    def _heard(self, p: Projection, heard: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """What arrives through a projection in this step, shape (samples, *in_shape)."""
        delay = p.delay_steps(self.network.spec.dt)
        if not delay:
            return heard[p.source]
        past = self.past[p.source]  # the step before is the last one
        if delay <= len(past):
            return past[-delay]
        return self.target.new_zeros(self.samples, *p.in_shape)

    def _forward(self, t: int) -> None:
        """Step t of all populations."""
        heard = {name: source.at(t) for name, source in self.sources.items()}
        read: set[str] = set()
        for name, source, weight in self.given:
            self._read_in(name, heard[source].flatten(1), weight, first=name not in read)
            read.add(name)
        self._fire(t, heard, read)
        for name, past in self.past.items():
            past.append(heard[name].clone())  # the next step overwrites it

    def _fire(self, t: int, heard: dict[str, torch.Tensor], read: set[str]) -> None:
        """Step t of the populations that fire: one after the other, each with what those before it sent."""
        for layer in self.layers:
            self._run(t, layer, self._delivered(layer, heard), heard, read)
            for arrival in layer.arrivals:
                self._follow(arrival)

    def _run(
        self, t: int, layer: _Layer, delivered: torch.Tensor, heard: dict[str, torch.Tensor], read: set[str]
    ) -> None:
        """One population: its spikes, and what readouts and others hear of them."""
        if layer.neurons is None:
            layer.neurons = self._start(layer, delivered)
        layer.values = layer.neurons(delivered)
        spikes = layer.values["spike"]
        if layer.masks is not None:
            layer.mask = layer.masks[t] if layer.masks.ndim == 3 else layer.masks
        seen = spikes if layer.mask is None else spikes * layer.mask
        for name, weight in layer.read.items():
            self._read_in(name, seen, weight, first=name not in read)
            read.add(name)
        heard[layer.p.name] = unflatten(seen.unsqueeze(0), layer.p.shape, layer.channels_last)[0]

    def _follow(self, arrival: _Arrival) -> None:
        """Put the trace of what came through a projection in the place of it, where the rule learns with traces."""
        if arrival.trace is not None:
            assert arrival.source is not None
            flat = arrival.source.flatten(2)[0].contiguous()
            trace = arrival.trace(flat)[arrival.trace.program.membrane]
            arrival.source = trace.view(1, self.samples, *arrival.p.in_shape)

    def _read_in(self, name: str, spikes: torch.Tensor, weight: torch.Tensor, *, first: bool) -> None:
        """Add to a readout what one population sends; the ``first`` of a step lets it decay."""
        leak = self.leaks.get(name)
        if leak is None:
            leak = self.target.new_zeros(self.target.shape)
        self.leaks[name] = torch.addmm(leak, spikes, weight.T, beta=self.decays[name] if first else 1.0)

    def _gradients(self, errors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The mean gradient of this step, by projection."""
        found: dict[str, torch.Tensor] = {}
        deltas: dict[str, torch.Tensor] = {}
        for layer in reversed(self.layers):
            parts = self._parts(layer, errors, deltas)
            if not parts:
                continue
            factor = total(parts)
            assert layer.values is not None
            if layer.mask is not None:
                factor.mul_(layer.mask)
            gated = layer.values["psi_gated"] * factor
            error = gated.mul_(layer.scale).unsqueeze(0)
            for arrival in layer.arrivals:
                if arrival.p.learned:
                    assert arrival.source is not None
                    g = arrival.synapses.weight_gradient(error, arrival.source, channels_last=layer.channels_last)
                    name = arrival.p.weights_of
                    found[name] = found[name].add_(g) if name in found else g
            if any(arrival.p.name in self.down for arrival in layer.arrivals):
                deltas[layer.p.name] = layer.psi * factor
        return {p.name: found[p.name] for p in self.network.spec.projections if p.name in found}

    def _parts(
        self, layer: _Layer, errors: Mapping[str, torch.Tensor], deltas: Mapping[str, torch.Tensor]
    ) -> list[torch.Tensor]:
        """What each error path brings to a population; ``deltas``: psi L of those above it."""
        parts = []
        for path in self.paths.get(layer.p.name, ()):
            if isinstance(path, Fixed):
                parts.append(errors[path.readout] @ layer.fixed[path.name])
                continue
            above, arrival = self.arrivals[path.projection]
            down = arrival.synapses.transpose(
                deltas[above.p.name].unsqueeze(0),
                arrival.weight,
                channels_last=above.channels_last,
                source_last=layer.channels_last,
            )
            parts.append(down[0])
        return parts


class _AsBrian2(_Online):
    """The state of one batch under the timing of Brian2: spikes are delivered when all have fired."""

    def _fire(self, t: int, heard: dict[str, torch.Tensor], read: set[str]) -> None:
        if t == 0:
            self._rest(heard)
        for layer in self.layers:
            assert layer.waiting is not None
            self._run(t, layer, layer.waiting, heard, read)
            for arrival in layer.arrivals:
                arrival.source = arrival.delivered
                self._follow(arrival)
        for layer in self.layers:
            traces = [arrival.source for arrival in layer.arrivals]
            layer.waiting = self._delivered(layer, heard)
            for arrival, trace in zip(layer.arrivals, traces, strict=True):
                if arrival.trace is not None:
                    assert arrival.source is not None
                    arrival.delivered, arrival.source = arrival.source.clone(), trace  # the next step overwrites it

    def _rest(self, heard: Mapping[str, torch.Tensor]) -> None:
        """The state before the first step: nothing was delivered, in the memory layout that it will have."""
        silent = {name: torch.zeros_like(sent) for name, sent in heard.items()}
        silent |= {layer.p.name: self.target.new_zeros(self.samples, *layer.p.shape) for layer in self.layers}
        for layer in self.layers:
            layer.waiting = torch.zeros_like(self._delivered(layer, silent))
            waiting = at_port(layer.waiting.unsqueeze(0), 0)
            silent[layer.p.name] = unflatten(waiting, layer.p.shape, layer.channels_last)[0]
            for arrival in layer.arrivals:
                arrival.delivered = arrival.source


class _Pipelined(_Online):
    """The state of one batch under pipelined timing: what comes from another layer is of the step before.

    Attributes
    ----------
    heard : dict
        Population -> spikes of the step before, shape (samples, *shape).
    delta, gated : dict
        Population -> stored error, and what of it changes weights, shape (samples, neurons).
    errors : dict
        Readout -> its error, shape (samples, classes).
    """

    def run(self, apply: Apply) -> BatchRecord:
        spec, measured = self.network.spec, self.network.spec.burn_in_steps
        self._rest()
        logits, loss = torch.zeros_like(self.target), torch.zeros_like(self.target)
        counts = {p.name: self.target.new_zeros(self.samples) for p in spec.neurons}
        for t in range(self.steps):
            self._aim(t)
            factors = self._factors()
            delivered = [self._delivered(layer, self.heard).contiguous() for layer in self.layers]
            if t >= self.burn_in:
                apply(self._changes())
            self._store(factors)
            y = self._read(learning=t >= self.burn_in)
            if t >= measured:
                logits += y
                loss += (y - self.target).square_()
            self.heard |= {name: source.at(t) for name, source in self.sources.items()}
            for layer, sums in zip(self.layers, delivered, strict=True):
                assert layer.neurons is not None
                layer.values = layer.neurons(sums)
                spikes = layer.values["spike"]
                self.heard[layer.p.name] = unflatten(spikes.unsqueeze(0), layer.p.shape, layer.channels_last)[0]
                counts[layer.p.name] += spikes.sum(dim=1)
        return self._record(logits, loss, counts)

    def _rest(self) -> None:
        """The state before the first step: no spikes and no errors, in the memory layout that they will have."""
        self.heard = {name: torch.zeros_like(source.at(0)) for name, source in self.sources.items()}
        self.delta, self.gated = {}, {}
        for layer in self.layers:
            delivered = self._delivered(layer, self.heard).contiguous()
            layer.neurons = self._start(layer, delivered)
            zeros = torch.zeros_like(delivered)
            layer.values = dict.fromkeys(("spike", *wanted_factors(self.network, self.rule, layer.p)), zeros)
            self.heard[layer.p.name] = unflatten(zeros.unsqueeze(0), layer.p.shape, layer.channels_last)[0]
            self.delta[layer.p.name] = self.gated[layer.p.name] = zeros
        self.errors = {name: torch.zeros_like(self.target) for name in self.onto_readouts}

    def _factors(self) -> dict[str, torch.Tensor]:
        """L of every layer that has a path, from the errors of the step before."""
        found = {}
        for layer in self.layers:
            parts = self._parts(layer, self.errors, self.delta)
            if parts:
                found[layer.p.name] = total(parts)
        return found

    def _changes(self) -> dict[str, torch.Tensor]:
        """The mean gradient of this step, by layer, from the stored errors."""
        found = {}
        for layer in self.layers:
            (arrival,) = layer.arrivals
            assert arrival.source is not None
            if arrival.p.learned:
                found[arrival.p.name] = arrival.synapses.weight_gradient(
                    (self.gated[layer.p.name] * layer.scale).unsqueeze(0),
                    arrival.source,
                    channels_last=layer.channels_last,
                )
        return found

    def _store(self, factors: Mapping[str, torch.Tensor]) -> None:
        """The stored errors of this step, with psi and gate of the step before."""
        for layer in self.layers:
            if layer.p.name in factors:
                assert layer.values is not None
                factor = factors[layer.p.name]
                self.gated[layer.p.name] = layer.values["psi_gated"] * factor
                self.delta[layer.p.name] = layer.psi * factor

    def _read(self, *, learning: bool) -> torch.Tensor:
        """The network's readout, and the errors of all readouts; they are zero during the burn-in."""
        for layer in self.layers:
            assert layer.values is not None
            for name, weight in layer.read.items():
                self._read_in(name, layer.values["spike"], weight, first=True)
                self.errors[name] = (self.leaks[name] - self.target) * float(learning)
        return self.leaks[self.network.spec.output]
