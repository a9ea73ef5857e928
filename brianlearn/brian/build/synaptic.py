"""A synaptic rule's texts as Brian2 objects: one Synapses object per projection beside the one that delivers spikes.

The names that users give in their texts get a suffix, because Brian2 refuses synaptic variables that are called as one
of a neuron's; what a text does to ``weight`` and ``gradient`` is written anew so that it happens only while there is
learning, within the bounds, and with the factor of a pool.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2 import Clock, NeuronGroup, Synapses
from brian2.equations.equations import DIFFERENTIAL_EQUATION, SUBEXPRESSION, SingleEquation
from brian2.utils.stringtools import word_substitute

from brianlearn.brian.build.frame import place
from brianlearn.brian.build.network import Builder
from brianlearn.brian.build.plan import Plan
from brianlearn.brian.build.reward import RewardSlots, outputs_of_layer, outputs_of_readout, reward_parts
from brianlearn.brian.build.reward_function import RewardFunction
from brianlearn.brian.build.shared_weights import connect_shared
from brianlearn.learning.rules.reward import Reward
from brianlearn.learning.rules.synapse_text import OF_NEURONS, Statement
from brianlearn.learning.rules.synaptic import REWARD_GROUP, SynapticRule
from brianlearn.network.neurons.equations import unit_text
from brianlearn.network.spec import Projection

__all__ = ["SynapticBuilder", "run_inputs", "weight_inputs"]

#: What the users' own names end with in Brian2.
_OWN = "_synapse"
_RATE = f"learning_rate{_OWN}"
#: Orders in the slot "start" of what belongs to the end of a trial; the optimiser of a batch comes after them.
_HEAR, _UPDATE = -12, -11


class SynapticBuilder(Builder):
    """Builds the objects of a network that learns by a synaptic rule."""

    def __init__(self, plan: Plan, standalone: bool) -> None:
        assert plan.synaptic is not None
        self.own: SynapticRule = plan.synaptic
        super().__init__(plan, standalone)

    def _timed_rows(self) -> dict[str, tuple[tuple[int, ...], float]]:
        rows, trial = super()._timed_rows(), self.n_steps * self.dt
        rows["trial_learning"] = ((self.plan.capacity_trials + 1,), trial)
        if self.own.reward is not None:
            rows["label"] = ((self.plan.capacity_trials + 1,), trial)
        return rows

    def _deliverer_learns(self, p: Projection) -> bool:
        return False

    def _weights(self, p: Projection, *, learned: bool, prefix: str = "") -> NeuronGroup:
        group = super()._weights(p, learned=learned, prefix=prefix)
        bounded = self._bounded("weight")
        if learned and not self.plan.direct and bounded != "weight":
            clock, when, order = self._update_slot()
            code = f"changed = int({self._count()} > 0)\nweight = changed*{bounded} + (1 - changed)*weight"
            self._regularly(group, code, when, "bounds", order=order + 1, clock=clock)
        return group

    def _signals(self) -> None:
        if self.own.reward is not None:
            self._reward(self.own.reward)
        for p in self.plan.learned:
            self._plastic(p)

    # third factor -----------------------------------------------------------------------------------------------------

    def _on(self, *, of_trial: bool) -> str:
        """1 where there is learning: in this step, or in the trial that has just ended."""
        return "trial_learning(t)" if of_trial else "learning(t)"

    def _reward(self, reward: Reward) -> None:
        """The group of the reward, and the third factor of every layer."""
        net, of_trial = self.net, self.own.every == "trial"
        slots = RewardSlots(
            clock=net.clock,
            trial_clock=net.trial_clock,
            every=self.own.every,
            learning=self._on(of_trial=of_trial),
            measured="measured(t)" if self.spec.burn_in_steps else "1",
            n_steps=self.n_steps,
            namespace=dict(net.timed),
        )
        output, is_readout = net.groups[self.spec.output], bool(self.spec.graph.readouts)
        if reward.function is not None:
            net.reward_function = RewardFunction(reward, output, is_readout, slots)
            parts = [net.reward_function.group]
        else:
            outputs = (outputs_of_readout if is_readout else outputs_of_layer)(output, slots)
            parts = [*outputs, *reward_parts(reward, outputs[0], slots)]
        for part in parts:
            (net.synapses if isinstance(part, Synapses) else net.groups)[part.name] = part
        for p in self.spec.neurons:
            group = net.groups[p.name]
            group.variables.add_reference("third_factor_of_all", net.groups[REWARD_GROUP], "third", index="0")
            if of_trial:
                masked = "*dropout_mask" if p.name in self.plan.dropout_rates else ""
                code, when, order, clock = "L = third_factor_of_all\n", "start", _HEAR, net.trial_clock
                code += f"delta = psi*L{masked}"
            else:
                code, when, order, clock = "L = third_factor_of_all", f"{p.name}_feedback", 0, net.clock
            self._regularly(group, code, when, "third_factor", order=order, clock=clock)

    # synapses ---------------------------------------------------------------------------------------------------------

    def _plastic(self, p: Projection) -> None:
        """The synapses of p that learn."""
        text, c = self.own.text, p.connectivity
        names = self._names(p)
        own_weights = np.array_equal(c.weight, np.arange(p.n_weights))
        lines = [_equation(eq, names) for eq in text.equations.values()]
        lines += [f"{names[n]} : {unit_text(dim)} (shared, constant)" for n, dim in text.constants.items()]
        lines += [f"{_RATE} : 1 (shared, constant)", *([] if own_weights else ["weight_index : integer (constant)"])]
        code = {
            name: "\n".join(
                self._written(p, s, names, of_trial=name == "update" and self.own.every == "trial") for s in found
            )
            for name, found in text.statements.items()
        }
        synapses = PlasticSynapses(
            self.net.groups[self.plan.heard_as(p)],
            self.net.groups[p.target],
            "\n".join(lines),
            on_pre={"learn_pre": code["on_pre"]} if code["on_pre"] else None,
            on_post={"learn_post": code["on_post"]} if code["on_post"] else None,
            method=text.method,
            name=f"plastic_{p.name}",
            clock=self.net.clock,
            namespace=dict(self.net.timed),
        )
        if self.own.reward is not None:
            for owner in (synapses, *synapses._pathways):
                owner.variables.add_reference(f"reward{_OWN}", self.net.groups[REWARD_GROUP], "reward", index="0")
        shared = tuple(sorted({"weight", *text.writes}))
        connect_shared(
            synapses, self.net.weights[p.name], shared, self._heard_from(p), c.post, None if own_weights else c.weight
        )
        for order, name in enumerate(("learn_pre", "learn_post")):
            if hasattr(synapses, name):
                place(getattr(synapses, name), "plasticity", order)
        self._start_synapses(synapses, names)
        if code["update"]:
            trial: tuple[Clock, str, int] = (self.net.trial_clock, "start", _UPDATE)
            clock, when, order = trial if self.own.every == "trial" else (self.net.clock, "plasticity", 2)
            synapses.run_regularly(code["update"], clock=clock, when=when, order=order, name=f"{synapses.name}_update")
        self.net.synapses[synapses.name] = synapses

    def _start_synapses(self, synapses: Synapses, names: Mapping[str, str]) -> None:
        """The state of synapses at the start of a trial."""
        start = []
        for name, eq in self.own.text.states.items():
            value = repr(float(np.asarray(self.own.initial.get(name, 0.0))))
            unit = unit_text(eq.dim)
            start.append(f"{names[name]} = {value}" + ("" if unit == "1" else f"*({unit})"))
        if synapses.event_driven is not None:
            start.append("lastupdate = t")
        if start:
            name = f"{synapses.name}_trial"
            synapses.run_regularly("\n".join(start), clock=self.net.trial_clock, when="start", name=name)

    def _names(self, p: Projection) -> dict[str, str]:
        """What the names of the users' texts are called in Brian2."""
        text = self.own.text
        assigned = {s.variable for found in text.statements.values() for s in found} - {"weight", "gradient"}
        names = {name: f"{name}{_OWN}" for name in (*text.equations, *text.constants, *assigned)}
        names |= {name: f"{name}_post" for name in OF_NEURONS}
        if self.steps[p.target].floor is None:
            names |= {"gate": "1.0", "gate_post": "1.0"}
        carried = self._carries(self.plan.heard_as(p))
        names |= {
            "spike_pre": f"{carried}_pre" if carried else "1.0",
            "scale": repr(self.plan.gradient_scale(p.target)),
        }
        return {**names, "learning_rate": _RATE, "reward": f"reward{_OWN}"}

    def _written(self, p: Projection, statement: Statement, names: Mapping[str, str], *, of_trial: bool) -> str:
        """A statement as it runs."""
        on, operation = self._on(of_trial=of_trial), statement.operation
        variable, value = statement.variable, word_substitute(statement.expression, dict(names))
        if variable == "gradient":
            factor = "" if p.connectivity.factor == 1.0 else f"*{p.connectivity.factor!r}"
            return f"gradient {operation} {on}{factor}*({value})"
        if variable != "weight":
            return f"{names[variable]} {operation} {value}"
        if operation in ("+=", "-=") and self._bounded("weight") == "weight":
            return f"weight {operation} {on}*({value})"
        changed = value if operation == "=" else f"weight {operation[0]} ({value})"
        return f"weight = {on}*{self._bounded(f'({changed})')} + (1 - {on})*weight"

    def _bounded(self, text: str) -> str:
        low, high = self.own.w_min, self.own.w_max
        if low is None and high is None:
            return text
        bounds = [str(default) if b is None else repr(float(b)) for b, default in ((low, "-inf"), (high, "inf"))]
        return f"clip({text}, {bounds[0]}, {bounds[1]})"


class PlasticSynapses(Synapses):
    """Synapses whose variables are looked at after a run in any precision."""

    def _check_for_invalid_values(self, k: str, v: Any) -> None:
        with np.errstate(over="ignore"):  # Brian2 compares with 1e50, which single precision does not have
            super()._check_for_invalid_values(k, v)


def _equation(eq: SingleEquation, names: Mapping[str, str]) -> str:
    flags, unit, name = f" ({', '.join(eq.flags)})" if eq.flags else "", unit_text(eq.dim), names[eq.varname]
    code = "" if eq.expr is None else word_substitute(eq.expr.code, dict(names))
    left = {DIFFERENTIAL_EQUATION: f"d{name}/dt = ", SUBEXPRESSION: f"{name} = "}.get(eq.type, name)
    return f"{left}{code} : {unit}{flags}"


def run_inputs(plan: Plan, labels: np.ndarray | None, trials: np.ndarray, *, learning: bool) -> dict[str, np.ndarray]:
    """Arrays of one run of a chunk that a synaptic rule adds to those of all rules.

    Parameters
    ----------
    plan : Plan
    labels : numpy.ndarray of int or None
        Of the samples.
    trials : numpy.ndarray of int
        The trial of each sample.
    learning : bool
    """
    rule, size = plan.synaptic, plan.capacity_trials + 1
    assert rule is not None
    ended, result = np.zeros(size), {}
    # element k belongs to the start of trial k, which ends trial k-1
    ended[trials + 1] = float(learning)
    result["trial_learning"] = ended
    if rule.reward is not None:
        result["label"] = np.zeros(size)
        result["label"][trials] = 0 if labels is None else labels
        constants: dict[str, Any] = dict(rule.reward.constants)
        if rule.reward.baseline is not None:
            constants["baseline"] = rule.reward.baseline
        result |= {f"{REWARD_GROUP}.{name}": np.asarray(float(value)) for name, value in constants.items()}
    return result


def weight_inputs(plan: Plan, p: Projection, rate: float) -> dict[str, np.ndarray]:
    """What the learning synapses of a projection read: the learning rate and the constants, in base units."""
    rule, group = plan.synaptic, f"plastic_{p.name}"
    assert rule is not None
    values = {f"{name}{_OWN}": np.asarray(float(np.asarray(value))) for name, value in rule.constants.items()}
    return {f"{group}.{name}": value for name, value in ({_RATE: np.asarray(rate)} | values).items()}
