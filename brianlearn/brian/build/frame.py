"""What all parts of a network are built in: its Brian2 objects by role, its clocks, and the arrays that a run fills."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import (
    Clock,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    second,
)

from brianlearn.brian.build.gradient_norm import GradientNorm
from brianlearn.brian.build.noise import Noise
from brianlearn.brian.build.plan import Plan, encoder_of
from brianlearn.brian.build.recorder import SpikeRecorder
from brianlearn.brian.build.recording import state_monitors
from brianlearn.brian.build.schedule import Schedule
from brianlearn.brian.build.seeded import FUNCTIONS
from brianlearn.brian.build.spike_input import SpikeFeed, SpikeFeedProgram
from brianlearn.learning.recording import taps_of

if TYPE_CHECKING:
    from brianlearn.brian.build.reward_function import RewardFunction

__all__ = ["BrianNetwork", "Frame", "place"]


@dataclass(eq=False)
class BrianNetwork:
    """Brian2 objects of a network, by role.

    Attributes
    ----------
    network : brian2.Network
    groups : dict
        ``"input"``, spiking layers and readouts -> NeuronGroup.
    weights : dict
        Layer name -> NeuronGroup that holds its weights; mirror weights as ``mirror_<layer>``, effective kernels (of a
        convolution with its pool) as ``effective_<layer>``; parts of a dense layer's gradient as ``parts_<layer>``.
    synapses : dict
        Layer name -> Synapses, or the group of loops that stands for them; mirror synapses as ``mirror_<layer>``.
    timed : dict
        Name -> TimedArray that a chunk of trials fills.
    feeds : dict
        Input -> what fires the spikes that a chunk of trials brings, where the network does not compute them.
    writes_files : bool
        Whether spikes are recorded to files (standalone only).
    reward_function : RewardFunction or None
        What asks a function of the user's for the reward (runtime mode only).
    """

    plan: Plan
    network: Network
    clock: Clock
    trial_clock: Clock
    batch_clock: Clock
    groups: dict[str, NeuronGroup] = field(default_factory=dict)
    weights: dict[str, NeuronGroup] = field(default_factory=dict)
    synapses: dict[str, Synapses | NeuronGroup] = field(default_factory=dict)
    timed: dict[str, TimedArray] = field(default_factory=dict)
    monitors: dict[str, Any] = field(default_factory=dict)
    writes_files: bool = False
    feeds: dict[str, SpikeFeed | SpikeFeedProgram] = field(default_factory=dict)
    reward_function: RewardFunction | None = None

    def add_monitors(self) -> None:
        """Add fresh monitors: trial sums of the readout, population rates, and what the plan records."""
        self.network.remove(*self.monitors.values())
        spec = self.plan.spec
        layers = (*(p.name for p in spec.graph.inputs), *self.plan.layers)
        monitors: dict[str, Any] = {
            f"rate_{name}": PopulationRateMonitor(self.groups[name], name=f"rate_{name}") for name in layers
        }
        if spec.graph.readouts:
            readout = self.groups[spec.output]
            monitors["trials"] = StateMonitor(
                readout,
                ["y_sum", "loss_sum"],
                record=True,
                clock=self.trial_clock,
                when="start",
                order=-10,
                name="trials",
            )
        recorded = dict.fromkeys(
            [*taps_of(self.plan.record, "spikes"), *(() if spec.graph.readouts else (spec.output,))]
        )
        for name in recorded:
            group, monitor = self.groups[name], f"spikes_{name}"
            compact = self.writes_files
            monitors[monitor] = (
                SpikeRecorder(group, monitor, self.clock) if compact else SpikeMonitor(group, name=monitor)
            )
        self.monitors = monitors | state_monitors(self.plan, self.groups, self.clock)
        self.network.add(*self.monitors.values())


def place(obj: Any, when: str, order: int = 0) -> None:
    """Put an object into a slot."""
    obj.when, obj.order = when, order


class Frame:
    """The frame of one network; parts add their objects to `net`."""

    def __init__(self, plan: Plan, standalone: bool) -> None:
        self.plan, self.spec, self.rule = plan, plan.spec, plan.rule
        self.implementation = plan.implementation if standalone else "synapses"
        self.dt, self.n_steps = float(plan.spec.dt), plan.spec.n_steps
        trial = self.n_steps * self.dt
        self.net = BrianNetwork(
            plan,
            self._network(),
            clock=self._step_clock(),
            trial_clock=Clock(dt=trial * second, name="trial_clock"),
            batch_clock=Clock(dt=plan.batch_trials * trial * second, name="batch_clock"),
            writes_files=standalone,
        )
        self.noise = {p.name: Noise(p, self.n_steps) for p in self.spec.neurons}
        self.steps = {name: self.noise[name].step(step) for name, step in plan.steps.items()}
        self.readouts = plan.readouts
        self._norm: GradientNorm | None = None
        for name, (shape, dt) in self._timed_rows().items():
            # one row more than there are trials: the step after the last trial records it and updates the weights
            self.net.timed[name] = TimedArray(np.zeros(shape), dt=dt * second, name=name)

    def _network(self) -> Network:
        """A network without objects, with its slots."""
        network = Network()
        inputs = (p.name for p in self.spec.graph.sources)
        late = {self.plan.heard_as(p): p.source if p.at_once else "" for p in self.plan.delayed}
        network.schedule = Schedule(self.plan.layers, tuple(inputs), late, as_brian2=self.plan.as_brian2).slots()
        return network

    def _step_clock(self) -> Clock:
        """The clock of time steps."""
        return Clock(dt=self.dt * second, name="step_clock")

    def _timed_rows(self) -> dict[str, tuple[tuple[int, ...], float]]:
        """TimedArrays that a chunk of trials fills: shape, and seconds per row."""
        n, steps = self.plan.capacity_trials, self.n_steps
        batches = -(-n // self.plan.batch_trials)
        trial, batch = self.n_steps * self.dt, self.plan.batch_trials * self.n_steps * self.dt
        rows: dict[str, tuple[tuple[int, ...], float]] = {}
        for p in self.spec.graph.inputs:
            if not encoder_of(p).precomputed:
                rows[f"{p.name}_values"] = ((n + 1, p.n), trial)
        if self.readouts and self.plan.targets == "labels":
            rows["label"] = ((n + 1,), trial)
        elif self.readouts:
            stepwise = self.plan.targets == "steps"
            size = (n * steps if stepwise else n) + 1
            rows["target_values"] = ((size, self.spec.classes), self.dt if stepwise else trial)
        if self.spec.burn_in_steps:
            rows["measured"] = ((n * steps + 1,), self.dt)
        if self.rule is not None:
            rows["learning"] = ((n * steps + 1,), self.dt)
            if self.rule.changes == "batch":
                rows["batch_count"] = ((batches + 1,), batch)
            for p in self.spec.neurons:
                if p.name in self.plan.dropout_rates:
                    each = self.plan.drawn_in_steps(p.name)
                    rows[f"dropout_mask_{p.name}"] = ((n * each + 1, p.n), self.dt if each > 1 else trial)
        for noise in self.noise.values():
            if noise:
                rows[noise.name] = ((n + 1, 2), trial)
        return rows

    def _group(self, name: str, n: int, model: Any, **options: Any) -> NeuronGroup:
        options.setdefault("namespace", self.net.timed | FUNCTIONS)
        return NeuronGroup(n, model, name=name, clock=self.net.clock, **options)

    def _double(self, *names: str) -> dict[str, Any] | None:
        """Types of variables that are summed over the steps of trials: in single precision such sums lose digits."""
        return dict.fromkeys(names, np.float64)

    def _regularly(
        self, group: NeuronGroup, code: str, when: str, name: str, order: int = 0, clock: Any = None
    ) -> None:
        group.run_regularly(code, clock=clock or self.net.clock, when=when, order=order, name=f"{group.name}_{name}")

    def _carries(self, source: str) -> str:
        """The variable that a group's events carry: a direct current its value, dropout its mask; else none."""
        late = next((p for p in self.plan.delayed if self.plan.heard_as(p) == source), None)
        if late is not None:
            return "arrived" if self._carries(late.source) else ""
        if source in self.plan.dropout_rates:
            return "dropout_mask"
        population = self.spec.graph.by_name[source]
        return "x" if population.is_input and encoder_of(population).carries_values else ""

    def _amplitude(self, source: str, side: str = "_pre") -> str:
        """Factor on a presynaptic event beside its weight."""
        carried = self._carries(source)
        return f"*{carried}{side}" if carried else ""
