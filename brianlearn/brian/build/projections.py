"""Projections as Brian2 synapses, or the loops that stand for them: delivery, delays, what events do to weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from brian2 import (
    Synapses,
    second,
)

from brianlearn.brian.build.frame import place
from brianlearn.brian.build.loops import Slots, loops_of
from brianlearn.brian.build.plan import neuron_of
from brianlearn.brian.build.shared_weights import connect_shared
from brianlearn.brian.build.statements import (
    deliver_expression,
    plasticity_signal,
    pooled,
)
from brianlearn.brian.build.weights import Weights
from brianlearn.network.population import Population
from brianlearn.network.spec import Projection

__all__ = ["Projections", "frozen"]


class Projections(Weights):
    """Builds what takes spikes from one population to another, and what learns."""

    def _deliverer_learns(self, p: Projection) -> bool:
        """Whether the synapses of p that deliver spikes are also those that learn."""
        return self._teaches(p)

    def _late(self, p: Projection) -> None:
        """The group that fires what the source of p fired a delay ago, in the same trial.

        Spikes arrive at the end of the step before, one to one; what was fired in the trial before arrives in the
        first steps of a trial, and is dropped. Where delays differ, it has a neuron for each of them and each source.
        """
        name, steps = self.plan.heard_as(p), p.delay_steps(self.spec.dt)
        lags = self.plan.lags(p)
        model = "arrived : 1\nsince_start : 1 (shared)" + ("\nlag : integer (constant)" if lags is not None else "")
        n = p.n_pre * (1 if lags is None else len(lags))
        group = self._source(name, n, model, threshold="arrived != 0", reset="")
        self._placed(name, group)
        self._regularly(group, "since_start = 0\narrived = 0", "start", "trial", clock=self.net.trial_clock)
        self._regularly(group, "arrived = 0", "end", "forget", order=-2)
        self._regularly(group, "since_start += 1", "end", "count", order=2)
        carried = self._carries(p.source)
        amount = f"{carried}_pre" if carried else "1"
        # at the end of a step for the next one; within the step, where some take no time
        since, when = (f"{steps - 1}", ("end", -1)) if lags is None else ("lag_post", (f"{name}_arrive", 0))
        if lags is not None and lags[0] > 0:
            since, when = "(lag_post - 1)", ("end", -1)
        if carried == "dropout_mask" and self.plan.drawn_in_steps(p.source) > 1:
            # the mask of the step in which it was fired
            amount = f"dropout_mask_{p.source}(t - {since}*{self.dt!r}*second, i)"
        line = Synapses(
            self.net.groups[p.source],
            group,
            on_pre=f"arrived_post = {amount}*int(since_start_post >= {since})",
            delay=(steps - 1) * self.spec.dt if lags is None else None,
            name=f"line_{p.name}",
            clock=self.net.clock,
            namespace=dict(self.net.timed),
        )
        if lags is None:
            line.connect(j="i")
        else:
            late = np.arange(n)
            line.connect(i=late // len(lags), j=late)
            group.lag = lags[late % len(lags)]
            before = 1 if when[0] == "end" else 0
            line.pre.delay = (lags[late % len(lags)] - before) * self.dt * second
        place(line.pre, *when)
        self.net.synapses[line.name] = line

    def _heard_from(self, p: Projection) -> np.ndarray:
        """The neuron of `Plan.heard_as` that each synapse of p sees."""
        lags, c = self.plan.lags(p), p.connectivity
        if lags is None:
            return c.pre
        return c.pre * len(lags) + np.searchsorted(lags, p.lags(self.spec.dt)[c.weight])

    def _has_loops(self, p: Projection) -> bool:
        """Whether C++ loops stand for the synapses of p."""
        if self.implementation != "loops" or p.delays_differ or not self._has_third_factor(p):
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

    def _forward_loops(self, p: Projection) -> None:
        trace = self.plan.traces.get(p.name)
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
        self._add_loops(p, slots, p.input_variable, p.weight_unit)

    def _forward(self, p: Projection) -> None:
        if self._has_loops(p):
            self._forward_loops(p)
            return
        heard = self.plan.heard_as(p)
        amplitude = self._amplitude(heard)
        on_pre = {"deliver": f"{p.input_variable}_post += {deliver_expression(p)}{amplitude}"}
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
        connect_shared(synapses, self.net.weights[p.name], tuple(names), self._heard_from(p), c.post, c.weight)
        place(synapses.deliver, f"{p.target}_deliver")
        if learning:
            place(synapses.learn, "plasticity")
        self._place_feedback(synapses, p.source)
        self.net.synapses[p.name] = synapses

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

    def _place_feedback(self, synapses: Synapses, layer: str) -> None:
        """Put the sum of errors onto a layer into its slot, where the synapses have one."""
        for updater in synapses.summed_updaters.values():
            place(updater, f"{layer}_feedback")

    def _feeds_forward_back(self, p: Projection) -> bool:
        """Whether the synapses of p carry errors down to p's source themselves."""
        assert self.rule is not None
        return p.name in self.plan.transposed and self.rule.feedback == "forward"


def frozen(p: Projection | Population) -> bool:
    """Whether the input variable of a projection, or of a population, stands still while a neuron is refractory."""
    neuron = neuron_of(p)
    variable = p.input_variable if isinstance(p, Projection) else neuron.inputs[0]
    return "unless refractory" in neuron.parsed.equations[variable].flags
