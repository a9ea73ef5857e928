"""From a spec and a rule to Brian2 objects.

Names are those of docs/rules.md: psi (surrogate derivative), gate, L (third factor), delta = psi*L (the error that goes
down), delta_gated = gate*delta (what changes weights), gradient (summed over events).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2 import (
    Clock,
    Equations,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    second,
)

from brianlearn.brian.build import (
    conv_loops,  # noqa: F401 - the loops of kinds of connections
    dense_loops,  # noqa: F401 - the loops of kinds of connections
)
from brianlearn.brian.build.gradient_norm import GradientNorm
from brianlearn.brian.build.loops import Slots, loops_of
from brianlearn.brian.build.noise import Noise
from brianlearn.brian.build.optimisers import FUNCTIONS as OPTIMISER_FUNCTIONS
from brianlearn.brian.build.optimisers import update_statements
from brianlearn.brian.build.plan import Plan, encoder_of, neuron_of
from brianlearn.brian.build.recorder import SpikeRecorder
from brianlearn.brian.build.recording import state_monitors
from brianlearn.brian.build.schedule import Schedule
from brianlearn.brian.build.seeded import FUNCTIONS
from brianlearn.brian.build.shared_weights import connect_shared
from brianlearn.brian.build.spike_input import SpikeFeed, SpikeFeedProgram, fires_a_list
from brianlearn.brian.build.statements import (
    deliver_expression,
    group_equations,
    integrate_statements,
    plasticity_signal,
    pooled,
)
from brianlearn.learning.recording import taps_of
from brianlearn.learning.rules.paths import Fixed
from brianlearn.network.encoders import EncoderText
from brianlearn.network.neurons.statements import expression, plain_text, substitute
from brianlearn.network.population import Population
from brianlearn.network.spec import Projection

__all__ = ["BrianNetwork", "Builder", "frozen", "place", "start_of_input"]


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


def start_of_input(text: EncoderText, name: str) -> str:
    """Statements that an encoder begins a trial with."""
    drive = plain_text(substitute(expression(text.drive), {"x": expression(f"{name}_values(t, i)")}))
    return "\n".join([f"x = {drive}", *(f"{name} = 0" for name in text.states)])


class Builder:
    """Builds the objects of one network with same-step timing, part by part."""

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
        inputs, late = (p.name for p in self.spec.graph.inputs), map(self.plan.heard_as, self.plan.delayed)
        network.schedule = Schedule(self.plan.layers, tuple(inputs), tuple(late)).slots()
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
        if self.readouts:
            rows["label"] = ((n + 1,), trial)
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

    def build(self) -> BrianNetwork:
        net = self.net
        for given in self.spec.graph.inputs:
            self._encoder(given)
        for population in self.spec.neurons:
            self._neurons(population)
            for p in self.spec.onto(population.name):
                if not p.delayed:
                    self._weights(p, learned=self._teaches(p))
                    self._forward(p)
        for p in self.plan.delayed:  # whose sources are all there now
            self._late(p)
            self._weights(p, learned=self._teaches(p))
            self._forward(p)
        for name, onto in self.readouts.items():
            self._readout(name, onto[0].n_post)
            for p in onto:
                self._weights(p, learned=False)
                self._read(p)
        if self.rule is not None:
            self._signals()
            for p in self.plan.feedback:
                self._error_weights(p)
            for population in reversed(self.spec.neurons):
                self._feedback(population)
        objects = [*net.groups.values(), *net.weights.values(), *net.synapses.values()]
        net.network.add(*objects, *net.feeds.values())
        net.add_monitors()
        return net

    def _signals(self) -> None:
        """What a rule needs beside error paths."""

    def _deliverer_learns(self, p: Projection) -> bool:
        """Whether the synapses of p that deliver spikes are also those that learn."""
        return self._teaches(p)

    def _teaches(self, p: Projection) -> bool:
        """Whether the weights of p are learned."""
        return any(p.name == q.name for q in self.plan.learned)

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

    # input ----------------------------------------------------------------------------------------------------------

    def _encoder(self, p: Population) -> None:
        """One input."""
        encoder, name = encoder_of(p), p.name
        if not encoder.precomputed:
            text = encoder.text()
            model = "\n".join(f"{variable} : 1" for variable in ("x", *text.states))
            group = self._source(name, p.n, model, threshold=text.threshold, reset=text.reset)
            self._regularly(group, start_of_input(text, name), "start", "trial", clock=self.net.trial_clock)
            if text.update:
                self._regularly(group, text.update, f"{name}_integrate", "integrate")
        else:
            group = self._source(name, p.n, "", threshold="False", reset="")
            self._fed(group, f"{name}_threshold")
        self._placed(name, group)

    def _fed(self, group: NeuronGroup, when: str) -> None:
        """Let a group fire the list of spikes that a run brings, in slot ``when``."""
        fires_a_list(group)
        kind = SpikeFeedProgram if self.net.writes_files else SpikeFeed
        self.net.feeds[group.name] = kind(group, self.net.clock, when)

    def _generator(self, p: Population) -> SpikeGeneratorGroup:
        """A population that fires the spikes of a list, which a run brings."""
        return SpikeGeneratorGroup(p.n, [0], [0] * second, name=p.name, clock=self.net.clock)

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

    def _source(self, name: str, n: int, model: Any, *, reset: str, **options: Any) -> NeuronGroup:
        """A group of neurons that fire; with the traces of their spikes, where projections learn from them."""
        traces = self.plan.traces_of(name)
        if traces:
            model = Equations(model) if isinstance(model, str) else model
            model = model + Equations("\n".join(trace.equations for trace in traces))
            options["dtype"] = self._double(*(variable for trace in traces for variable in trace.variables))
            deliveries = [trace.delivery(self._amplitude(name, side="")) for trace in traces]
            reset = "\n".join([*(line.strip() for line in reset.splitlines()), *deliveries])
            options["events"] = {trace.event: f"{trace.variable} != 0" for trace in traces}
        return self._group(name, n, model, reset=reset, **options)

    def _placed(self, name: str, group: NeuronGroup) -> None:
        """Put threshold, reset and traces of a group that fires into their slots."""
        place(group.thresholder["spike"], f"{name}_threshold")
        if group.event_codes["spike"].strip():
            place(group.resetter["spike"], f"{name}_reset")
        for trace in self.plan.traces_of(name):
            above, which = trace.projection.target, f"_{trace.suffix}" if trace.suffix else ""
            zero = "\n".join(f"{state} = 0" for state in trace.states)
            self._regularly(group, zero, "start", f"trial_traces{which}", clock=self.net.trial_clock)
            self._regularly(group, trace.statements, f"{above}_integrate", f"traces{which}")
            place(group.thresholder[trace.event], f"{above}_threshold")
        self.net.groups[name] = group

    # layers ---------------------------------------------------------------------------------------------------------

    def _neurons(self, p: Population) -> None:
        neuron, step = neuron_of(p), self.steps[p.name]
        noise = self.noise[p.name]
        errors = self.plan.error_variables(p.name).values()
        model = group_equations(p, step, noise, learning=self.rule is not None, errors=errors)
        dropped = p.name in self.plan.dropout_rates
        if dropped:
            model = model + Equations("dropout_mask : 1")
        options: dict[str, Any] = dict(threshold=noise.threshold, reset=noise.reset)
        if neuron.refractory is not None:
            options["refractory"] = neuron.refractory
        if step.update is None:
            options["method"] = noise.method
        group = self._source(p.name, p.n, model, **options)
        self._start_of_trial(p, group)
        if step.refractory is not None:
            self._regularly(group, step.refractory, f"{p.name}_deliver", "refractory", order=-1)
            ready = "not_refractory = True\nlastspike = -10000*second"
            # before the rest of the reset: Brian2 writes variables (unless refractory) only where not_refractory
            self._regularly(group, ready, "start", "ready", order=-1, clock=self.net.trial_clock)
        self._regularly(group, step.reset_trial, "start", "trial", clock=self.net.trial_clock)
        if dropped:
            clock = self.net.clock if self.plan.drawn_in_steps(p.name) > 1 else self.net.trial_clock
            self._regularly(group, f"dropout_mask = dropout_mask_{p.name}(t, i)", "start", "mask", order=1, clock=clock)
        place(group.state_updater, f"{p.name}_integrate", -1)
        code = integrate_statements(step, learning=self.rule is not None)
        if code:
            self._regularly(group, code, f"{p.name}_integrate", "integrate")
        self._placed(p.name, group)

    def _start_of_trial(self, p: Population, group: NeuronGroup) -> None:
        """The key of the trial's random numbers; after it and the trial's reset, what is held for a step."""
        if self.noise[p.name]:
            self._regularly(group, self.noise[p.name].start, "start", "noise", order=1, clock=self.net.trial_clock)
        if group.subexpression_updater is not None:
            place(group.subexpression_updater, "start", 2)

    def _late(self, p: Projection) -> None:
        """The group that fires what the source of p fired a delay ago, in the same trial.

        Spikes arrive at the end of the step before, one to one; what was fired in the trial before arrives in the
        first steps of a trial, and is dropped.
        """
        name, steps = self.plan.heard_as(p), p.delay_steps(self.spec.dt)
        group = self._source(name, p.n_pre, "arrived : 1\nsince_start : 1 (shared)", threshold="arrived != 0", reset="")
        self._placed(name, group)
        self._regularly(group, "since_start = 0\narrived = 0", "start", "trial", clock=self.net.trial_clock)
        self._regularly(group, "arrived = 0", "end", "forget", order=-2)
        self._regularly(group, "since_start += 1", "end", "count", order=2)
        carried = self._carries(p.source)
        amount = f"{carried}_pre" if carried else "1"
        if (
            carried == "dropout_mask" and self.plan.drawn_in_steps(p.source) > 1
        ):  # the mask of the step in which it was fired
            amount = f"dropout_mask_{p.source}(t - {steps - 1}*{self.dt!r}*second, i)"
        line = Synapses(
            self.net.groups[p.source],
            group,
            on_pre=f"arrived_post = {amount}*int(since_start_post >= {steps - 1})",
            delay=(steps - 1) * self.spec.dt,
            name=f"line_{p.name}",
            clock=self.net.clock,
            namespace=dict(self.net.timed),
        )
        line.connect(j="i")
        place(line.pre, "end", -1)
        self.net.synapses[line.name] = line

    # weights --------------------------------------------------------------------------------------------------------

    def _weights(self, p: Projection, *, learned: bool, prefix: str = "") -> NeuronGroup:
        """The group that holds a layer's weights, with the optimiser if they are learned."""
        plan = self.plan
        accumulate = learned and not plan.direct
        lines, norm = ["weight : 1"], self._gradient_norm() if accumulate else None
        if accumulate:
            slots = plan.optimiser.slots
            lines += [] if norm is None else norm.model
            lines += ["gradient : 1", *(f"{slot} : 1" for slot in slots), "lr : 1 (shared)", "k : 1 (shared)"]
        lines += ["dale : 1"] if learned and p.sign is not None else []
        # the update counter in double precision too: 1 - beta2**k cancels in single
        dtype = self._double("gradient", "k") if accumulate else None
        functions = self.net.timed | FUNCTIONS | OPTIMISER_FUNCTIONS
        group = self._group(f"w_{prefix}{p.name}", p.n_weights, "\n".join(lines), dtype=dtype, namespace=functions)
        if accumulate:
            scale = plan.gradient_scale(p.target)
            clock, when, order = self._update_slot()
            code = update_statements(plan.optimiser, scale, self._count(), () if norm is None else norm.names)
            self._regularly(group, code, when, "update", order=order, clock=clock)
            if norm is not None:
                norm.link(group)
                if not prefix:
                    self.net.synapses[f"squares_{p.name}"] = norm.add_up(p.name, group, scale)
        if learned and p.sign is not None:
            clock, when, order = self._update_slot()
            self._regularly(group, "weight = weight*int(weight*dale > 0)", when, "sign", order=order + 1, clock=clock)
        self.net.weights[f"{prefix}{p.name}"] = group
        return group

    def _count(self) -> str:
        """Expression for the number of samples in the gradient; 0 where nothing is updated."""
        return "learning(t)" if self.rule is not None and self.rule.changes == "step" else "batch_count(t)"

    def _gradient_norm(self) -> GradientNorm | None:
        """What sums the squares of all gradients, where the optimiser clips their norm."""
        if self.plan.optimiser.clip_norm is not None and self._norm is None:
            layers = [p.name for p in self.plan.learned]
            self._norm = GradientNorm(layers, self.plan.optimiser, self._count(), self._update_slot(), self.net.timed)
            self.net.groups["gradient_norm"] = self._norm.group
        return self._norm

    def _has_loops(self, p: Projection) -> bool:
        """Whether C++ loops stand for the synapses of p."""
        if self.implementation != "loops" or not self._has_third_factor(p):
            return False
        # synapses onto a frozen variable look at every target's refractoriness
        return p.target in self.readouts or not frozen(p)

    def _has_third_factor(self, p: Projection) -> bool:
        """Whether a C++ function takes errors down through p."""
        if self.implementation == "synapses" or (self.rule is not None and self.rule.feedback != "forward"):
            return False
        return loops_of(p) is not None

    def _add_loops(
        self, p: Projection, slots: Slots, variable: str = "", scale: float = 1.0, target: str | None = None
    ) -> None:
        """The loops of p: in the place of its synapses, or for the third factor alone."""
        heard = self.plan.heard_as(p)
        carried = self._carries(heard)
        names = {
            **dict(name=p.name, source=heard, target=target or p.target, n_pre=p.n_pre, n_post=p.n_post),
            **dict(variable=variable, scale=repr(scale), third_factor=self._error_variable(p)),
            "amplitude": f"*brian::_array_{heard}_{carried}[spikes[k]]" if carried else "",
            "real": "float" if self.plan.dtype == "float32" else "double",
        }
        loops = loops_of(p)
        assert loops is not None
        group, others = loops(p, names, slots, self.net.trial_clock)
        self.net.weights |= others
        if slots.deliver is None:
            self.net.groups[group.name] = group
        else:
            self.net.synapses[p.name] = group

    def _error_variable(self, p: Projection) -> str:
        """The variable of p's source that the errors sum into which come down through p."""
        return self.plan.error_variables(p.source).get(p.name, "L")

    def _add_third_factor(self, p: Projection, error: str, target: str | None = None) -> None:
        """The C++ function that takes ``error`` down through p, whose synapses do the rest."""
        slots = Slots(
            self.net.clock,
            deliver=None,
            update=self._update_slot(),
            feedback=(f"{p.source}_feedback", error),
            learning=self.net.timed.get("learning"),
        )
        self._add_loops(p, slots, target=target)

    def _forward_loops(self, p: Projection) -> None:
        neuron, trace = neuron_of(p), self.plan.traces.get(p.name)
        back = self.rule is not None and self._feeds_forward_back(p)
        slots = Slots(
            self.net.clock,
            deliver=f"{p.target}_deliver",
            update=self._update_slot(),
            learn="plasticity" if self._deliverer_learns(p) else None,
            direct=self.plan.direct,
            error=plasticity_signal(self.steps[p.target]),
            feedback=(f"{p.source}_feedback", "delta") if back else None,
            learning=self.net.timed.get("learning"),
            trace=None if trace is None else trace.variable,
        )
        self._add_loops(p, slots, neuron.input, float(np.asarray(neuron.weight_unit)))

    def _update_slot(self) -> tuple[Clock, str, int]:
        """When weights are updated: clock, slot and order."""
        if self.rule is not None and self.rule.changes == "batch":
            return self.net.batch_clock, "start", -5
        return self.net.clock, "optimise", 0

    def _forward(self, p: Projection) -> None:
        if self._has_loops(p):
            self._forward_loops(p)
            return
        neuron, heard = neuron_of(p), self.plan.heard_as(p)
        amplitude = self._amplitude(heard)
        on_pre = {"deliver": f"{neuron.input}_post += {deliver_expression(p)}{amplitude}"}
        names, model = ["weight"], ["weight_index : integer (constant)"]
        learning = self._deliverer_learns(p)
        if learning:
            on_pre["learn"] = self._change(p, "post", "pre")
            names += [] if self.plan.direct else ["gradient"]
            model += ["eta : 1 (shared, constant)"] if self.plan.direct else []
        back = self.rule is not None and self._feeds_forward_back(p)
        if back and self._has_third_factor(p):
            self._add_third_factor(p, "delta")
        elif back:
            model.append(f"{self._error_variable(p)}_pre = {pooled('weight', p)}*delta_post : 1 (summed)")
        source, target = self.net.groups[heard], self.net.groups[p.target]
        synapses = Synapses(
            source,
            target,
            "\n".join(model),
            on_pre=on_pre,
            on_event=self._on_event(p, on_pre),
            name=f"synapses_{p.name}",
            clock=self.net.clock,
        )
        c = p.connectivity
        connect_shared(synapses, self.net.weights[p.name], tuple(names), c.pre, c.post, c.weight)
        place(synapses.deliver, f"{p.target}_deliver")
        if learning:
            place(synapses.learn, "plasticity")
        self._place_feedback(synapses, p.source)
        self.net.synapses[p.name] = synapses

    def _place_feedback(self, synapses: Synapses, layer: str) -> None:
        """Put the sum of errors onto a layer into its slot, where the synapses have one."""
        for updater in synapses.summed_updaters.values():
            place(updater, f"{layer}_feedback")

    def _change(self, p: Projection, side: str, source_side: str) -> str:
        """What a presynaptic event does to its weight: lower it, or add to the gradient."""
        error = f"{plasticity_signal(self.steps[p.target])}_{side}"
        trace = self.plan.traces.get(p.name)
        if trace is not None:
            error += f"*{trace.variable}_{source_side}"
        else:
            error += self._amplitude(self.plan.heard_as(p), f"_{source_side}")
        return f"weight -= {pooled('eta', p)}*{error}" if self.plan.direct else f"gradient += {pooled('', p)}{error}"

    def _on_event(self, p: Projection, pathways: Mapping[str, str]) -> dict[str, str]:
        """The presynaptic event of each pathway: spikes deliver; a trace that is not zero changes weights."""
        trace = self.plan.traces.get(p.name)
        return {name: trace.event if name == "learn" and trace is not None else "spike" for name in pathways}

    # third factor ---------------------------------------------------------------------------------------------------

    def _feeds_forward_back(self, p: Projection) -> bool:
        """Whether the synapses of p carry errors down to p's source themselves."""
        assert self.rule is not None
        return p.name in self.plan.transposed and self.rule.feedback == "forward"

    def _feedback(self, p: Population) -> None:
        """The third factor of population p, and what follows from it."""
        assert self.rule is not None
        if self.rule.feedback == "mirror":
            self._mirrors(p)
        masked = "*dropout_mask" if p.name in self.plan.dropout_rates else ""
        lines = [*self._summed_errors(p), f"delta = psi*L{masked}"]
        lines += ["delta_gated = gate*delta"] if self.steps[p.name].floor is not None else []
        self._regularly(self.net.groups[p.name], "\n".join(lines), f"{p.name}_feedback", "delta", order=1)

    def _summed_errors(self, p: Population) -> list[str]:
        """The statement that sums what several error paths bring."""
        errors = list(self.plan.error_variables(p.name).values())
        return [f"L = {' + '.join(errors)}"] if len(errors) > 1 else []

    def _mirrors(self, p: Population) -> None:
        """Synapses of their own for all error paths of population p."""
        for path in self.plan.paths.get(p.name, ()):
            above, error = self.plan.error_of(p.name, path.name)
            if isinstance(path, Fixed):
                self._mirror(path.weights, above, error, learned=False)
            else:
                down = self.plan.onto[path.projection]
                self._mirror(down, above, error, learned=self._teaches(down))

    def _error_weights(self, p: Projection) -> None:
        """Fixed weights that carry errors alone, from a readout down to the source of p."""
        self._weights(p, learned=False)
        assert self.rule is not None
        if self.rule.feedback == "mirror":
            return
        readout, error = self.plan.error_of(p.source, p.name)
        if self._has_third_factor(p):
            self._add_third_factor(p, error, target=readout)
            return
        synapses = Synapses(
            self.net.groups[p.source],
            self.net.groups[readout],
            f"weight_index : integer (constant)\n{self._error_variable(p)}_pre = weight*{error}_post : 1 (summed)",
            name=f"synapses_{p.name}",
            clock=self.net.clock,
        )
        c = p.connectivity
        connect_shared(synapses, self.net.weights[p.name], ("weight",), c.pre, c.post, c.weight)
        self._place_feedback(synapses, p.source)
        self.net.synapses[p.name] = synapses

    def _mirror(self, p: Projection, above: str, error: str, *, learned: bool) -> None:
        """Synapses from a group above down to the source of p, with weights of their own."""
        weights = self._weights(p, learned=learned, prefix="mirror_")
        variable = self._error_variable(p)
        model = [
            "weight_index : integer (constant)",
            f"{variable}_post = {pooled('weight', p)}*{error}_pre : 1 (summed)",
        ]
        names, on_post = ["weight"], None
        if learned:
            on_post = {"learn": self._change(p, "pre", "post")}
            names += [] if self.plan.direct else ["gradient"]
            model += ["eta : 1 (shared, constant)"] if self.plan.direct else []
        synapses = Synapses(
            self.net.groups[above],
            self.net.groups[p.source],
            "\n".join(model),
            on_post=on_post,
            on_event=self._on_event(p, on_post or {}),
            name=f"mirror_{p.name}",
            clock=self.net.clock,
        )
        c = p.connectivity
        # the same list of synapses in the same order: the same events then add in the same order, to the last bit
        connect_shared(synapses, weights, tuple(names), c.post, c.pre, c.weight)
        self._place_feedback(synapses, p.source)
        if learned:
            place(synapses.learn, "plasticity", 1)
        self.net.synapses[f"mirror_{p.name}"] = synapses

    # readout --------------------------------------------------------------------------------------------------------

    def _tau(self, readout: str) -> Any:
        """The time constant of a readout; one of a rule's own is like the network's first."""
        graph = self.spec.graph
        return graph.tau_of(readout if readout in graph.by_name else self.spec.output)

    def _readout(self, name: str, n: int) -> None:
        """A readout; the one that makes predictions also sums what the metrics need."""
        leaky, own, learning = self._tau(name) is not None, name == self.spec.output, self.rule is not None
        lines = ["y : 1", "target : 1"]
        lines += ["err : 1"] if learning else []
        lines += ["decay : 1 (shared, constant)"] if leaky else []
        lines += ["y_sum : 1", "loss_sum : 1"] if own else []
        dtype = self._double("y", "decay", "y_sum", "loss_sum")
        group = self._group(name, n, "\n".join(lines), dtype=dtype)
        start = ["target = int(abs(label(t) - i) < 0.5)", "y = 0", *(["y_sum = 0", "loss_sum = 0"] if own else [])]
        self._regularly(group, "\n".join(start), "start", "trial", clock=self.net.trial_clock)
        self._regularly(group, "y = decay*y" if leaky else "y = 0", "readout_decay", "decay")
        error = ["err = learning(t)*(y - target)"] if learning else []
        measured = "measured(t)*" if self.spec.burn_in_steps else ""
        error += [f"y_sum += {measured}y", f"loss_sum += {measured}(y - target)**2"] if own else []
        if error:
            self._regularly(group, "\n".join(error), "readout_error", "error")
        self.net.groups[name] = group

    def _read(self, p: Projection) -> None:
        """What one population sends to a readout, and the error that goes back through the same weights."""
        model = ["weight_index : integer (constant)"]
        forward = self.rule is not None and self.rule.feedback == "forward"
        back = forward and p.name in self.plan.error_variables(p.source)
        if self._has_loops(p):
            slots = Slots(
                self.net.clock,
                deliver="readout_deliver",
                update=self._update_slot(),
                feedback=(f"{p.source}_feedback", "err") if back else None,
                learning=self.net.timed.get("learning"),
            )
            self._add_loops(p, slots, "y")
            return
        if back and self._has_third_factor(p):
            self._add_third_factor(p, "err")
        elif back:
            model.append(f"{self._error_variable(p)}_pre = weight*err_post : 1 (summed)")
        synapses = Synapses(
            self.net.groups[p.source],
            self.net.groups[p.target],
            "\n".join(model),
            on_pre={"deliver": f"y_post += weight{self._amplitude(p.source)}"},
            name=f"synapses_{p.name}",
            clock=self.net.clock,
        )
        c = p.connectivity
        connect_shared(synapses, self.net.weights[p.name], ("weight",), c.pre, c.post, c.weight)
        place(synapses.deliver, "readout_deliver")
        self._place_feedback(synapses, p.source)
        self.net.synapses[p.name] = synapses


def frozen(p: Projection | Population) -> bool:
    """Whether the input variable of a population stands still while a neuron is refractory."""
    neuron = neuron_of(p)
    return "unless refractory" in neuron.parsed.equations[neuron.input].flags
