"""Back-propagation through long trials, a part of their steps at a time.

A trial runs once without a gradient. What is kept of it are readouts, spikes as bits, and where each part begins: the
states of all neurons. Gradients then come from the last part to the first one. Each part runs again from where it
began, with a gradient of its states too, which the part before it takes up. With parts of sqrt(T) steps, memory grows
with sqrt(T), but for readouts and bits (Chen et al. 2016, Training deep nets with sublinear memory cost,
arXiv:1604.06174), and the forward pass is computed twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from brianlearn.discrete.maps.base import arrive, ports_of, unflatten
from brianlearn.discrete.maps.bits import Bits, weighted
from brianlearn.discrete.run.activity import DiscreteActivity
from brianlearn.discrete.run.batch import BatchRecord
from brianlearn.discrete.run.bptt import scores, total_loss
from brianlearn.discrete.run.component import Component
from brianlearn.discrete.run.losses import TrialLoss
from brianlearn.discrete.run.network import DiscreteNetwork
from brianlearn.discrete.run.passage import Moment
from brianlearn.discrete.run.trains import Trains, given_trains
from brianlearn.discrete.step.plain import plain_start
from brianlearn.learning.rules.base import Rule
from brianlearn.network.population import Population
from brianlearn.network.spec import Projection

__all__ = ["gradients"]


@dataclass(frozen=True, eq=False)
class State:
    """A network between two steps.

    Attributes
    ----------
    states, since : dict
        As in `Moment`.
    fired : dict
        Population -> its spikes in the last steps, as many as its longest delay, shape (steps, B, neurons).
    readouts : dict
        Leaky readout -> its value, shape (B, out).
    """

    states: dict[str, dict[str, torch.Tensor]]
    since: dict[str, torch.Tensor]
    fired: dict[str, torch.Tensor]
    readouts: dict[str, torch.Tensor]

    def tensors(self) -> list[torch.Tensor]:
        """All that may have a gradient, in order."""
        each = [a for by_state in self.states.values() for a in by_state.values()]
        return [*each, *self.fired.values(), *self.readouts.values()]

    def kept(self) -> Kept:
        """The same in less memory."""
        packed = {n: Bits.of(a) if a.device.type == "cpu" else a for n, a in self.fired.items()}
        return Kept(self, packed)


class Kept:
    """Where a part begins, as it is kept: spikes as bits."""

    def __init__(self, state: State, fired: Mapping[str, Bits | torch.Tensor]) -> None:
        self._states, self._since, self._readouts, self._fired = state.states, state.since, state.readouts, fired

    def again(self) -> State:
        """The state, as where a gradient ends."""

        def own(by_name: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            return {name: a.detach().clone().requires_grad_() for name, a in by_name.items()}

        fired = {name: a.dense() if isinstance(a, Bits) else a for name, a in self._fired.items()}
        states = {name: own(by_state) for name, by_state in self._states.items()}
        return State(states, self._since, own(fired), own(self._readouts))


class Segments:
    """One batch of trials, in parts.

    Parameters
    ----------
    network : DiscreteNetwork
    trains : mapping
        Input -> what it sends.
    samples : int
    keys : numpy.ndarray of uint64, shape (B, 2)
    length : int
        Steps of a part.
    """

    def __init__(
        self, network: DiscreteNetwork, trains: Mapping[str, Trains], samples: int, keys: np.ndarray, length: int
    ) -> None:
        self.network, self.trains, self.samples = network, trains, samples
        self.spec = spec = network.spec
        self.like = next(network.parameters()).detach()
        self.edges = [*range(0, spec.n_steps, length), spec.n_steps]
        self.components = [_component(network, names) for names in spec.graph.components]
        self.masks = {p.name: self._mask(p, keys) for p in spec.neurons}
        self.draws = network.draws(samples, keys)
        delays = {q.name: spec.arrival_steps(q) for q in spec.pathways}
        self.delays = delays
        self.longest = {
            p.name: max((delays[q.name] for q in spec.pathways if q.source == p.name), default=0) for p in spec.neurons
        }
        self.decays = {r.name: network.decay(r.name) for r in spec.graph.readouts}

    def _mask(self, p: Population, keys: np.ndarray) -> torch.Tensor | None:
        like = self.like.new_empty(1, self.samples, p.n)
        return self.network.component_mask(p, like, keys)

    def start(self) -> State:
        """Before the first step."""
        states, since, fired = {}, {}, {}
        for p in self.spec.neurons:
            program = self.network.recurrence(p.name).program
            states[p.name], counts = plain_start(program, self.like.new_empty(self.samples * p.n))
            if program.refractory:
                since[p.name] = counts
            if self.longest[p.name]:
                fired[p.name] = self.like.new_zeros(self.longest[p.name], self.samples, p.n)
        leaky = [r for r in self.spec.graph.readouts if self.decays[r.name] is not None]
        return State(states, since, fired, {r.name: self.like.new_zeros(self.samples, r.n) for r in leaky})

    def run(
        self, first: int, last: int, begin: State
    ) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor], State]:
        """The steps ``first:last``: readouts and spikes by name, shape (steps, B, ...), and where they end."""
        steps, network = last - first, self.network
        heard: dict[str, torch.Tensor] = {}  # of populations, from the longest delay before the first step on
        spikes: dict[str, torch.Tensor] = {}
        states: dict[str, dict[str, torch.Tensor]] = {}
        since: dict[str, torch.Tensor] = {}
        draws = {name: drawn.since(first) for name, drawn in self.draws.items()}
        for component in self.components:
            delivered = {name: self._delivered(component, name, first, last, heard) for name in component.names}
            before = {name: self._masked(name, a) for name, a in begin.fired.items() if name in component.names}
            inside = {q.source for q in component.projections}
            moment = Moment(
                {name: begin.states[name] for name in component.names},
                {name: begin.since[name] for name in component.names if name in begin.since},
                {name: a for name, a in before.items() if name in inside},
            )
            weights = network.weights_of(component.projections)
            values, end = component.differentiable(delivered, weights, self.masks, begin=moment, draws=draws)
            states |= end.states
            since |= end.since
            for name in component.names:
                spikes[name] = values[name]["spike"]
                mine = self._masked(name, spikes[name])
                heard[name] = torch.cat([before[name], mine]) if name in before else mine
        fired = {name: torch.cat([a, spikes[name]])[-len(a) :] for name, a in begin.fired.items()}
        readouts = {r.name: self._readout(r.name, first, last, heard, begin) for r in self.spec.graph.readouts}
        at_end = {name: readouts[name][steps - 1] for name in begin.readouts}
        return readouts, spikes, State(states, since, fired, at_end)

    def _masked(self, name: str, spikes: torch.Tensor) -> torch.Tensor:
        mask = self.masks[name]
        return spikes if mask is None else spikes * mask

    def _source(self, q: Projection, first: int, last: int, heard: Mapping[str, torch.Tensor], delay: int) -> Any:
        """What the synapses of a projection see, shape (steps, B, *in_shape), or one step for all."""
        if q.source in self.trains:
            return self.trains[q.source].part(first - delay, last - delay)
        sent = heard[q.source]
        end = len(sent) - delay
        return sent[end - (last - first) : end].unflatten(2, q.in_shape)

    def _delivered(
        self, component: Component, name: str, first: int, last: int, heard: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """What reaches a population from outside its component, (steps, B, neurons) or with ports."""
        p, parts, steps = self.spec.graph.by_name[name], [], last - first
        onto = [q for q in self.spec.pathways_onto(name) if q not in component.projections]
        weights = self.network.weights_of(onto)
        for q in onto:
            source = self._source(q, first, last, heard, self.delays[q.name])
            synapses = self.network.synaptic_map(q.name)
            sums, order = synapses(source, weights[q.name], synapses.lists(source))
            parts.append((sums.expand(steps, *sums.shape[1:]) if len(sums) != steps else sums, order))
        if not parts:
            return self.like.new_zeros(steps, *([ports_of(p)] if ports_of(p) > 1 else []), self.samples, p.n)
        sums, order = arrive(parts, onto, p)
        return unflatten(sums, p.shape, True).flatten(2) if order else sums

    def _readout(
        self, name: str, first: int, last: int, heard: Mapping[str, torch.Tensor], begin: State
    ) -> torch.Tensor:
        """A readout in some steps; its value before them is what it decays from."""
        parts, steps, total = self.spec.onto(name), last - first, None
        for q in parts:
            source = self._source(q, first, last, heard, 0).flatten(2)
            weight = self.network.get_parameter(q.name).view(q.n_post, q.n_pre)
            bits = q.source in self.masks and self.masks[q.source] is None and source.device.type == "cpu"
            sums = (weighted if bits else F.linear)(source, weight)
            total = sums if total is None else total + sums
        assert total is not None
        total = total.expand(steps, *total.shape[1:])
        decay = self.decays[name]
        if decay is None:
            return total
        total = torch.cat([total[:1] + decay * begin.readouts[name], total[1:]])
        return self.network.leaked(name, total)


class _Fired(Mapping[str, torch.Tensor]):
    """Spikes by population, as tensors with a gradient from when they are asked for."""

    def __init__(self, trains: Mapping[str, Trains], neurons: Sequence[str]) -> None:
        self._trains, self._neurons = dict(trains), set(neurons)
        self.asked: dict[str, torch.Tensor] = {}

    def __getitem__(self, name: str) -> torch.Tensor:
        if name not in self.asked:
            trains = self._trains[name]
            found = trains.part(0, trains.steps)
            if name not in self._neurons:
                same = len(found) != trains.steps  # a direct current, as `given_spikes` counts it
                return (found != 0).to(found).expand(trains.steps, *found.shape[1:]) if same else found
            self.asked[name] = found.requires_grad_()
        return self.asked[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._trains)

    def __len__(self) -> int:
        return len(self._trains)


def gradients(
    network: DiscreteNetwork,
    rule: Rule,
    loss: TrialLoss,
    inputs: Any,
    labels: torch.Tensor,
    keys: np.ndarray,
    length: int,
) -> tuple[dict[str, torch.Tensor], BatchRecord]:
    """The gradient of a batch's mean loss.

    Parameters
    ----------
    network, rule, loss, inputs, labels, keys
        As in `brianlearn.discrete.run.bptt.gradients`.
    length : int
        Steps of a part.

    Returns
    -------
    gradients : dict
        Name of a learned layer -> tensor of the weights' shape.
    record : BatchRecord
    """
    spec, samples = network.spec, len(labels)
    like = next(network.parameters()).detach()
    trains = given_trains(spec, inputs, samples, like, keys)
    batch = Segments(network, trains, samples, keys, length)
    fired = {p.name: Trains(spec.n_steps, samples, p.shape, like) for p in spec.neurons}
    readouts = {r.name: like.new_empty(spec.n_steps, samples, r.n) for r in spec.graph.readouts}
    begins, state = [], batch.start()
    with torch.no_grad():
        for a, b in pairwise(batch.edges):
            begins.append(state.kept())
            found, spikes, state = batch.run(a, b, state)
            for name, values in found.items():
                readouts[name][a:b] = values
            for name, values in spikes.items():
                fired[name].put(values, step=a)
        del found, spikes, state
    # losses may ask for spikes, of which all are there as bits
    seen = _Fired({p.name: trains[p.name] for p in spec.graph.inputs} | fired, list(fired))
    others = {name: values.requires_grad_() for name, values in readouts.items()}
    output = others.pop(spec.output, None)
    activity = DiscreteActivity(seen, output, spec.burn_in_steps, others=others)
    losses = total_loss(loss, activity, labels)
    leaves = {**readouts, **seen.asked}
    grads = torch.autograd.grad(losses.mean(), list(leaves.values()), allow_unused=True)
    of_leaf = {name: g for name, g in zip(leaves, grads, strict=True) if g is not None}
    counts = {name: train.counts() for name, train in seen._trains.items()}
    record = BatchRecord(activity.logits.detach(), losses.detach(), counts, scores(activity, labels, spec))
    del activity, losses, leaves, readouts, others, output, seen
    names = rule.learned(spec)
    return _backwards(batch, begins, of_leaf, list(names)), record


def _backwards(
    batch: Segments, begins: list[Kept], of_leaf: Mapping[str, torch.Tensor], names: Sequence[str]
) -> dict[str, torch.Tensor]:
    """Gradients of weights, from those of readouts and spikes, by name; one part after the other from the last one."""
    weights = [batch.network.get_parameter(name) for name in names]
    total = [torch.zeros_like(w) for w in weights]
    later: Sequence[torch.Tensor | None] = [None] * len(batch.start().tensors())
    for a, b in reversed(list(pairwise(batch.edges))):
        begin = begins.pop().again()
        with torch.enable_grad():
            readouts, spikes, end = batch.run(a, b, begin)
        pairs = [(x, of_leaf[name][a:b]) for name, x in {**spikes, **readouts}.items() if name in of_leaf]
        pairs = [(x, g.reshape(x.shape)) for x, g in pairs]
        pairs += [(x, g) for x, g in zip(end.tensors(), later, strict=True) if g is not None]
        pairs = [(x, g) for x, g in pairs if x.requires_grad]
        ends = begin.tensors()
        found = torch.autograd.grad([x for x, _ in pairs], [*weights, *ends], [g for _, g in pairs], allow_unused=True)
        for sum_of, g in zip(total, found, strict=False):
            if g is not None:
                sum_of += g
        later = found[len(weights) :]
        del readouts, spikes, end, pairs, found
    return dict(zip(names, total, strict=True))


def _component(network: DiscreteNetwork, names: Sequence[str]) -> Component:
    """What runs some populations step by step, whether they hear one another or not."""
    found = network.component(names)
    if found is not None:
        return found
    return Component(network.spec, names, {n: network.recurrence(n) for n in names}, {}, kernels=network.uses_kernels)
