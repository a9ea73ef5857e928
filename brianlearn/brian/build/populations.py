"""Populations as Brian2 groups: inputs, neurons with their noise and dropout, traces."""

from __future__ import annotations

from typing import Any

from brian2 import (
    Equations,
    NeuronGroup,
    SpikeGeneratorGroup,
    second,
)

from brianlearn.brian.build.frame import Frame, place
from brianlearn.brian.build.plan import encoder_of, neuron_of
from brianlearn.brian.build.spike_input import SpikeFeed, SpikeFeedProgram, fires_a_list
from brianlearn.brian.build.statements import (
    group_equations,
    integrate_statements,
)
from brianlearn.network.encoders import EncoderText
from brianlearn.network.neurons.statements import expression, plain_text, substitute
from brianlearn.network.population import Population

__all__ = ["Populations", "start_of_input"]


def start_of_input(text: EncoderText, name: str) -> str:
    """Statements that an encoder begins a trial with."""
    drive = plain_text(substitute(expression(text.drive), {"x": expression(f"{name}_values(t, i)")}))
    return "\n".join([f"x = {drive}", *(f"{name} = 0" for name in text.states)])


class Populations(Frame):
    """Builds the groups that fire."""

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
            # before anything that writes variables (unless refractory)
            first = (f"{p.name}_integrate", -2) if self.plan.as_brian2 else (f"{p.name}_deliver", -1)
            self._regularly(group, step.refractory, first[0], "refractory", order=first[1])
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
