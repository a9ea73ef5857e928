"""Pipelined timing: a spike of step t reaches the next layer in step t+1.

The formulation is the one that every device of Brian2 can run, GeNN included: default slots in GeNN's order, one state
update per neuron, one presynaptic and one postsynaptic pathway per synapse, sums onto the postsynaptic side only. One
step is

    start        at the start of a trial: state variables and stored errors return to their initial values
    synapses     L = sum of mirror weights x stored errors of the layer above;
                 the spikes of the step before deliver, and change weights by the stored error
    groups       delta = L psi, with the psi of the step before; then state update, floor, gate, psi
    thresholds, resets

Nothing goes from one trial to the next: in the first step of a trial what arrives is left out and the stored errors are
zero, so that the last spikes of the trial before have no effect.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2 import Equations, Network, NeuronGroup, Synapses

from brianlearn.brian.build.frame import place
from brianlearn.brian.build.network import Builder
from brianlearn.brian.build.plan import encoder_of, neuron_of
from brianlearn.brian.build.populations import start_of_input
from brianlearn.brian.build.projections import frozen
from brianlearn.brian.build.shared_weights import connect_shared
from brianlearn.brian.build.statements import group_equations, pooled
from brianlearn.network.neurons.equations import unit_text
from brianlearn.network.population import Population
from brianlearn.network.spec import Projection

__all__ = ["SLOTS", "PipelinedBuilder"]

#: The order of Brian2's own slots; that of GeNN.
SLOTS = ("start", "synapses", "groups", "thresholds", "resets", "end")

#: Steps since the trial began. Also the one differential equation without which Brian2 updates no state.
AGE = "dage/dt = 1/dt : 1"
#: What arrived in this step; in the first of a trial it belongs to the trial before.
ARRIVED = "int(age > 0.5)*received"


class PipelinedBuilder(Builder):
    """Builds the objects of one network with pipelined timing."""

    def _network(self) -> Network:
        network = Network()
        network.schedule = list(SLOTS)
        return network

    def _timed_rows(self) -> dict[str, tuple[tuple[int, ...], float]]:
        rows = super()._timed_rows()
        rows.pop("measured", None)
        if "learning" in rows:
            rows["learning"] = ((self.plan.capacity_trials + 1,), self.n_steps * self.dt)
        return rows

    def _regularly(self, group: Any, code: str, when: str, name: str, order: int = 0, clock: Any = None) -> None:
        # GeNN's interface knows operations of this kind by their name
        super()._regularly(group, code, when, f"run_regularly_{name}", order, clock)

    def _updated(self, name: str, n: int, model: Any, code: str, **options: Any) -> NeuronGroup:
        """A group whose state update is ``code``."""
        equations = (Equations(model) if isinstance(model, str) else model) + Equations(AGE)

        def update(*_: Any, **__: Any) -> str:
            return f"{code}\nage = age + 1"

        return self._group(name, n, equations, method=update, **options)

    # input ----------------------------------------------------------------------------------------------------------

    def _encoder(self, p: Population) -> None:
        encoder, name, n, trial = encoder_of(p), p.name, p.n, self.net.trial_clock
        if not encoder.precomputed:
            text = encoder.text()
            model = "\n".join(f"{variable} : 1" for variable in ("x", *text.states))
            fires: dict[str, Any] = dict(threshold=text.threshold, reset=text.reset)
            if text.update:
                group = self._updated(name, n, model, text.update, **fires)
            else:
                group = self._group(name, n, model, **fires)
            self._regularly(group, start_of_input(text, name), "start", "trial", clock=trial)
        else:
            group = self._group(name, n, "", threshold="False", reset="")
            self._fed(group, "thresholds")
        self.net.groups[name] = group

    # layers ---------------------------------------------------------------------------------------------------------

    def _learns(self, p: Population) -> bool:
        """Whether errors reach a population."""
        return self.rule is not None and p.name not in self.plan.frozen

    def _neurons(self, p: Population) -> None:
        neuron, step = neuron_of(p), self.steps[p.name]
        learning = self._learns(p)
        lines = []
        if learning:
            lines += [*self._summed_errors(p), "delta = psi*L"]
            lines += ["delta_gated = gate*delta"] if step.floor is not None else []
        lines += [self._delivery(p), "received = 0"]
        noise = self.noise[p.name]
        lines.append(step.update if step.update is not None else noise.update(inlined=True))
        lines += [step.floor] if step.floor is not None else []
        lines += [step.psi] if learning else []
        options: dict[str, Any] = dict(threshold=noise.threshold, reset=noise.reset)
        if neuron.refractory is not None:
            options["refractory"] = neuron.refractory
        errors = self.plan.error_variables(p.name).values()
        model = group_equations(p, step, noise, learning=learning, errors=errors) + Equations("received : 1")
        group = self._updated(p.name, p.n, model, "\n".join(lines), **options)
        self._start_of_trial(p, group)
        if step.refractory is not None:
            ready = "not_refractory = True\nlastspike = -10000*second"
            # before the rest of the reset: Brian2 writes variables (unless refractory) only where not_refractory
            self._regularly(group, ready, "start", "ready", order=-1, clock=self.net.trial_clock)
        reset = [step.reset_trial, "received = 0", "age = 0"]
        if learning:
            reset += ["psi = 0", "delta = 0", *(["delta_gated = 0"] if step.floor is not None else [])]
        self._regularly(group, "\n".join(reset), "start", "trial", clock=self.net.trial_clock)
        self.net.groups[p.name] = group

    def _delivery(self, p: Population) -> str:
        """What arrived is added to the input variable."""
        neuron = neuron_of(p)
        (variable,) = neuron.inputs
        scale, unit = float(np.asarray(neuron.weight_unit)), unit_text(neuron.parsed.dimensions[variable])
        text = f"{variable} = {variable} + {ARRIVED}"
        text += "" if scale == 1.0 else f"*{scale!r}"
        text += "" if unit == "1" else f"*({unit})"
        return text + ("*int(not_refractory)" if frozen(p) else "")

    # weights --------------------------------------------------------------------------------------------------------

    def _forward(self, p: Projection) -> None:
        deliver = f"received_post += {pooled('weight', p)}{self._amplitude(p.source)}"
        change = self._change(p, "post", "pre") if self._teaches(p) else None
        # within one event, synapses that share a weight must all have delivered before one of them changes it
        apart = change is not None and self.plan.direct and not self.plan.expanded
        on_pre: dict[str, str] = {"pre": deliver}
        if apart:
            on_pre["learn"] = str(change)
        elif change is not None:
            on_pre["pre"] = f"{deliver}\n{change}"
        synapses = self._synapses(
            p, p.source, p.target, f"synapses_{p.name}", on_pre=on_pre, learned=change is not None
        )
        if apart:
            synapses.learn.order = 1

    def _synapses(
        self,
        p: Projection,
        source: str,
        target: str,
        name: str,
        *,
        learned: bool,
        lines: tuple[str, ...] = (),
        on_pre: Mapping[str, str] | None = None,
        on_post: str | None = None,
    ) -> Synapses:
        """Synapses with the weights of p, between its two groups in either direction."""
        back = target == p.source
        changed = ("weight",) if self.plan.direct or not learned else ("weight", "gradient")
        model = ["weight_index : integer (constant)", *lines]
        model += ["eta : 1 (shared, constant)"] if learned and self.plan.direct else []
        synapses = Synapses(
            self.net.groups[source],
            self.net.groups[target],
            "\n".join(model),
            on_pre=None if on_pre is None else dict(on_pre),
            on_post=on_post,
            name=name,
            clock=self.net.clock,
        )
        c = p.connectivity
        weights = self.net.weights[f"mirror_{p.name}" if back else p.name]
        # the same list of synapses in the same order: the same events then add in the same order, to the last bit
        pre, post = (c.post, c.pre) if back else (c.pre, c.post)
        connect_shared(synapses, weights, changed, pre, post, c.weight)
        self.net.synapses[f"mirror_{p.name}" if back else p.name] = synapses
        return synapses

    # third factor ---------------------------------------------------------------------------------------------------

    def _feedback(self, p: Population) -> None:
        if not self._learns(p):
            return
        self._mirrors(p)

    def _error_weights(self, p: Projection) -> None:
        self._weights(p, learned=False)

    def _mirror(self, p: Projection, above: str, error: str, *, learned: bool) -> None:
        """Synapses from a group above down to the source of p, with weights of their own."""
        self._weights(p, learned=learned, prefix="mirror_")
        synapses = self._synapses(
            p,
            above,
            p.source,
            f"mirror_{p.name}",
            learned=learned,
            lines=(f"{self._error_variable(p)}_post = {pooled('weight', p)}*{error}_pre : 1 (summed)",),
            on_post=self._change(p, "pre", "post") if learned else None,
        )
        for updater in synapses.summed_updaters.values():
            place(updater, "before_synapses")

    # readout --------------------------------------------------------------------------------------------------------

    def _readout(self, name: str, n: int) -> None:
        leaky, own, learning = self._tau(name) is not None, name == self.spec.output, self.rule is not None
        lines = ["y : 1", "received : 1", "target : 1"]
        lines += ["err : 1", "learns : 1"] if learning else []
        lines += ["decay : 1 (shared, constant)"] if leaky else []
        lines += ["y_sum : 1", "loss_sum : 1"] if own else []
        code = [f"y = {'decay*y + ' if leaky else ''}{ARRIVED}", "received = 0"]
        if learning:
            assert self.rule is not None
            code.append(f"err = learns*{_from_step(self.rule.burn_in_steps(self.spec))}(y - target)")
        if own:
            measured = _from_step(self.spec.burn_in_steps)
            code += [f"y_sum = y_sum + {measured}y", f"loss_sum = loss_sum + {measured}(y - target)**2"]
        dtype = self._double("y", "decay", "y_sum", "loss_sum")
        group = self._updated(name, n, "\n".join(lines), "\n".join(code), dtype=dtype)
        once, always = self._target()
        if always:
            self._regularly(group, "\n".join(always), "start", "target")
        start = [*once, "y = 0", "received = 0", "age = 0"]
        start += ["learns = learning(t)", "err = 0"] if learning else []
        start += ["y_sum = 0", "loss_sum = 0"] if own else []
        self._regularly(group, "\n".join(start), "start", "trial", clock=self.net.trial_clock)
        self.net.groups[name] = group

    def _read(self, p: Projection) -> None:
        on_pre = {"pre": f"received_post += weight{self._amplitude(p.source)}"}
        self._synapses(p, p.source, p.target, f"synapses_{p.name}", on_pre=on_pre, learned=False)


def _from_step(step: int) -> str:
    """A factor that is 1 from a step of the trial on, and 0 before."""
    return f"int(age > {step - 0.5!r})*" if step else ""
