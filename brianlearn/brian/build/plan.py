"""What to build: a spec, a rule, and the sizes of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from brianlearn.brian.build.traces import Trace
from brianlearn.learning.optimisers import Optimiser
from brianlearn.learning.recording import needs_rule
from brianlearn.learning.rules.eligibility import linear_response
from brianlearn.learning.rules.local import LocalRule
from brianlearn.learning.rules.paths import Fixed, Paths, fixed_weights, readout_groups, transposed
from brianlearn.learning.rules.synaptic import SynapticRule
from brianlearn.network.encoders import Encoder
from brianlearn.network.learned_constants import constant_values
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.neurons.step import NeuronStep, neuron_step
from brianlearn.network.population import Population
from brianlearn.network.record import Tap
from brianlearn.network.spec import NetworkSpec, Projection

__all__ = ["Plan", "encoder_of", "neuron_of"]


def neuron_of(part: Projection | Population) -> Neuron:
    """The neuron of a population that fires, or of the target of a projection."""
    neuron = part.layer.neuron if isinstance(part, Projection) else part.neuron
    assert isinstance(neuron, Neuron)
    return neuron


def encoder_of(population: Population) -> Encoder:
    """The encoder of an input."""
    encoder = population.neuron
    assert isinstance(encoder, Encoder)
    return encoder


@dataclass(frozen=True, eq=False)
class Plan:
    """What to build.

    Attributes
    ----------
    spec : NetworkSpec
    rule : LocalRule or None
        None builds a network without any learning object.
    optimiser : Optimiser
    batch_size : int
        Samples per weight update.
    capacity : int
        Largest number of trials per run of one process.
    dtype : str
    record : tuple of Tap
        What is recorded beside metrics.
    workers : int
        Processes that share the trials of a batch.
    profile : bool
        Whether the device measures the time of every object.
    implementation : {"loops", "third_factor", "synapses"}
        What a standalone program runs: C++ loops in the place of synapses; synapses, and a C++ function for the third
        factor; or synapses alone. Where loops cannot stand for synapses, ``"loops"`` is ``"third_factor"``.
        Pipelined timing has synapses alone.
    targets : {"labels", "values", "steps"}
        What readouts are compared with: labels, or values of each trial, or of each step.
    expanded : bool
        Whether every synapse has a weight of its own (GeNN), also where a convolution shares them.
    """

    spec: NetworkSpec
    rule: LocalRule | None
    optimiser: Optimiser
    batch_size: int
    capacity: int
    dtype: str
    record: tuple[Tap, ...] = ()
    workers: int = 1
    profile: bool = False
    implementation: str = "loops"
    expanded: bool = False
    targets: str = "labels"

    @property
    def batch_trials(self) -> int:
        """Trials of one batch in one process."""
        return -(-self.batch_size // self.workers)

    @property
    def direct(self) -> bool:
        """Whether events change the weights themselves, without a gradient sum."""
        return self.rule is not None and self.rule.direct(self.optimiser)

    @property
    def synaptic(self) -> SynapticRule | None:
        """The rule, where it is texts of synapses."""
        return None if self.rule is None else self.rule.synaptic

    @property
    def capacity_trials(self) -> int:
        """Largest number of trials per run, whole batches."""
        return -(-self.capacity // self.batch_trials) * self.batch_trials

    @property
    def layers(self) -> tuple[str, ...]:
        """Names of the populations that fire, each behind those that it hears."""
        return tuple(p.name for p in self.spec.neurons)

    @property
    def reward_function(self) -> Callable[..., Any] | None:
        """A function of the user's that computes the reward."""
        reward = None if self.synaptic is None else self.synaptic.reward
        return None if reward is None else reward.function

    def learning_rate_factor(self, layer: str) -> float:
        """Factor on the learning rate of a layer, from the rule's options."""
        return 1.0 if self.rule is None else float(self.rule.learning_rate_scale.get(layer, 1.0))

    def gradient_scale(self, population: str) -> float:
        """What makes the sum over events of what reaches a population a gradient: 2/n_l^R."""
        assert self.rule is not None
        return float(self.rule.scale(self.spec)[population])

    @property
    def pipelined(self) -> bool:
        """Whether a spike reaches the next layer in the next step."""
        return self.spec.timing == "pipelined"

    @property
    def as_brian2(self) -> bool:
        """Whether a time step has the order of Brian2's own schedule."""
        return self.spec.timing == "brian2"

    @property
    def mirrors(self) -> bool:
        """Whether errors go down through mirror synapses; under pipelined timing they always do."""
        return self.rule is not None and (self.pipelined or self.rule.feedback == "mirror")

    @property
    def frozen(self) -> frozenset[str]:
        """Layers whose weights the device cannot change: shared ones, where every synapse has a weight of its own."""
        shared = (p.name for p in self.spec.projections if p.connection.shares_weights)
        return frozenset(shared) if self.expanded else frozenset()

    @cached_property
    def observes(self) -> bool:
        """Whether the rule is there to be recorded alone: errors go down, and no weights change."""
        return self.rule is not None and any(needs_rule(tap, self.rule, self.spec) for tap in self.record)

    @cached_property
    def learned(self) -> tuple[Projection, ...]:
        """Projections whose weights the rule changes."""
        if self.rule is None or self.observes:
            return ()
        return tuple(p for p in self.spec.projections if p.learned and p.name not in self.frozen)

    @cached_property
    def readouts(self) -> dict[str, tuple[Projection, ...]]:
        """Readout -> what reaches it; readouts of frozen layers teach nobody, except the network's own."""
        return readout_groups(self.spec, self.paths)

    @property
    def onto_readouts(self) -> list[Projection]:
        """What reaches readouts."""
        return [p for onto in self.readouts.values() for p in onto]

    @cached_property
    def paths(self) -> Paths:
        """Layer -> the error paths that its third factor adds up; none for frozen layers and without a rule."""
        if self.rule is None:
            return {}
        return {layer: found for layer, found in self.rule.paths(self.spec).items() if layer not in self.frozen}

    @cached_property
    def transposed(self) -> frozenset[str]:
        """Projections that errors go down through."""
        return transposed(self.paths)

    @cached_property
    def feedback(self) -> list[Projection]:
        """Fixed weights that carry errors and read no spikes."""
        readouts = {p.name for p in self.onto_readouts}
        return [p for p in fixed_weights(self.paths) if p.name not in readouts]

    def error_variables(self, layer: str) -> dict[str, str]:
        """Name of the weights of each error path of a layer -> the variable that it sums into: L, if it is alone."""
        found = self.paths.get(layer, ())
        return {path.name: "L" if len(found) == 1 else f"L_{path.name}" for path in found}

    def error_of(self, layer: str, weights: str) -> tuple[str, str]:
        """Where a path's error lies: the group, and its variable."""
        path = next(path for path in self.paths[layer] if path.name == weights)
        if isinstance(path, Fixed):
            return path.readout, "err"
        return self.onto[path.projection].target, "delta"

    @cached_property
    def onto(self) -> dict[str, Projection]:
        """Projections between populations that fire, by name."""
        return {p.name: p for p in self.spec.projections}

    def heard_as(self, p: Projection) -> str:
        """The group whose spikes the synapses of p see: its source, or what repeats it after a delay."""
        return f"late_{p.name}" if p.delayed else p.source

    def lags(self, p: Projection) -> np.ndarray | None:
        """The different delays of a projection in steps, in rising order; None where all are the same."""
        return np.unique(p.lags(self.spec.dt)) if p.delays_differ else None

    @property
    def delayed(self) -> list[Projection]:
        """Projections with a delay."""
        return [p for p in self.spec.projections if p.delayed]

    @cached_property
    def traces(self) -> dict[str, Trace]:
        """Projection -> the trace of its presynaptic spikes, where the rule learns with traces."""
        if self.rule is None or self.rule.eligibility != "trace":
            return {}
        sources = [self.heard_as(p) for p in self.spec.projections]
        return {
            p.name: Trace(
                linear_response(p, float(self.spec.dt)),
                p,
                "" if sources.count(self.heard_as(p)) == 1 else p.name,
                self.heard_as(p),
                self.as_brian2,
            )
            for p in self.spec.projections
        }

    def traces_of(self, source: str) -> list[Trace]:
        """The traces that a presynaptic group keeps."""
        return [trace for trace in self.traces.values() if trace.source == source]

    @cached_property
    def dropout_rates(self) -> dict[str, float]:
        """Layer -> probability with which a neuron is silent, where the network learns with dropout."""
        if self.rule is None:
            return {}
        return {p.name: p.dropout for p in self.spec.neurons if p.dropout}

    def drawn_in_steps(self, name: str) -> int:
        """How often a layer's dropout mask is drawn in a trial: once, or in each of its steps."""
        return self.spec.n_steps if self.spec.graph.by_name[name].dropout_every == "step" else 1

    @cached_property
    def steps(self) -> dict[str, NeuronStep]:
        """The neuron step of every population that fires."""
        return self.steps_with(None)

    def steps_with(self, weights: Mapping[str, np.ndarray] | None) -> dict[str, NeuronStep]:
        """The same with the learned constants that lie among weights; those of the neurons where there are none."""
        dt, learned = float(self.spec.dt), self.spec.learned_constants
        return {
            p.name: neuron_step(neuron_of(p), dt, constant_values(learned, p.name, weights)) for p in self.spec.neurons
        }
