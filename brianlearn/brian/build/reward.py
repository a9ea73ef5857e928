"""The group that computes a reward, inside the program that runs.

One neuron adds up what the outputs of all classes do, and evaluates the reward's text. A population with a neuron per
class stands between: it reads the readout, or counts the spikes of the last layer, and ranks the classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Clock, NeuronGroup, Synapses

from brianlearn.learning.rules.reward import Reward
from brianlearn.learning.rules.synaptic import OUTPUT_GROUP, REWARD_GROUP

__all__ = ["RewardSlots", "outputs_of_layer", "outputs_of_readout", "reward_parts", "third_factor"]

_OUTPUTS = "now : 1\ntotal : 1\ntarget : 1\nahead : 1"
_DOUBLE = ("now", "total", "target", "ahead")


@dataclass(frozen=True)
class RewardSlots:
    """Where a reward is computed.

    Attributes
    ----------
    clock, trial_clock : brian2.Clock
    every : {"step", "trial"}
    learning : str
        1 where there is learning now, else 0.
    measured : str
        1 in steps after the burn-in, else 0.
    n_steps : int
        Of a trial.
    namespace : dict
        What ``learning``, ``measured`` and ``label`` need.
    """

    clock: Clock
    trial_clock: Clock
    every: str
    learning: str
    measured: str
    n_steps: int
    namespace: dict[str, Any]

    def place(self, obj: Any, order: int) -> None:
        """Put an object into the slot, which has orders from 1 on."""
        # at the end of a trial: before the next one begins, and before the optimiser's step
        obj.when, obj.order = ("readout_error", order) if self.every == "step" else ("start", order - 20)

    @property
    def when(self) -> Clock:
        """The clock of what is computed whenever the reward is."""
        return self.clock if self.every == "step" else self.trial_clock

    def regularly(self, group: NeuronGroup, code: str, order: int, name: str) -> None:
        """Statements whenever the reward is computed."""
        self.place(group.run_regularly(code, clock=self.when, name=f"{group.name}_{name}"), order)


def outputs_of_readout(readout: NeuronGroup, slots: RewardSlots) -> list[Any]:
    """The outputs of all classes, from a readout."""
    group = NeuronGroup(
        readout.N, _OUTPUTS, name=OUTPUT_GROUP, clock=slots.clock, dtype=dict.fromkeys(_DOUBLE, np.float64)
    )
    for name, theirs in (("read_now", "y"), ("read_total", "y_sum"), ("read_target", "target")):
        group.variables.add_reference(name, readout, theirs)
    slots.regularly(group, "now = read_now\ntotal = read_total\ntarget = read_target", 1, "read")
    return [group]


def outputs_of_layer(layer: NeuronGroup, slots: RewardSlots) -> list[Any]:
    """The outputs of all classes: the spikes of a layer with a neuron per class."""
    dtype = dict.fromkeys(_DOUBLE, np.float64)
    group = NeuronGroup(layer.N, _OUTPUTS, name=OUTPUT_GROUP, clock=slots.clock, dtype=dtype, namespace=slots.namespace)
    start = "target = int(abs(label(t) - i) < 0.5)\ntotal = 0"
    group.run_regularly(start, clock=slots.trial_clock, when="start", name=f"{OUTPUT_GROUP}_trial")
    group.run_regularly("now = 0", clock=slots.clock, when="readout_decay", name=f"{OUTPUT_GROUP}_decay")
    added = f"total += {slots.measured}*now"
    group.run_regularly(added, clock=slots.clock, when="readout_error", name=f"{OUTPUT_GROUP}_count")
    spikes = Synapses(layer, group, on_pre={"deliver": "now_post += 1"}, name=f"to_{OUTPUT_GROUP}", clock=slots.clock)
    spikes.connect(j="i")
    spikes.deliver.when = "readout_deliver"
    return [group, spikes]


def reward_parts(reward: Reward, outputs: NeuronGroup, slots: RewardSlots) -> list[Any]:
    """The group of the reward and the synapses that it is computed from.

    Returns
    -------
    list
        The group first. Its variables: ``reward``; ``third``, the third factor, 0 without learning; ``mean``, the
        running mean of the reward.
    """
    sums = {
        "label_output": "target_pre*now_pre",
        "all_outputs": "now_pre",
        "label_sum": "target_pre*total_pre",
        "all_sum": "total_pre",
        "misses": "target_pre*int(ahead_pre > 0.5)",
    }
    lines = [f"{name} : 1" for name in (*sums, "seen", "age", "reward", "third", "mean")]
    lines += [
        "correct = int(misses < 0.5) : 1",
        "label_mean = label_sum/clip(seen, 1, inf) : 1",
        "all_mean = all_sum/clip(seen, 1, inf) : 1",
        f"last = int(age > {slots.n_steps - 0.5!r}) : 1",
        *(f"{name} : 1 (shared, constant)" for name in reward.constants),
    ]
    if reward.baseline is not None:
        lines.append("baseline : 1 (shared, constant)")
    dtype = dict.fromkeys((*sums, "seen", "age", "reward", "third", "mean"), np.float64)
    group = NeuronGroup(
        1, "\n".join(lines), name=REWARD_GROUP, clock=slots.clock, dtype=dtype, namespace=slots.namespace
    )
    regularly: Callable[..., Any] = group.run_regularly
    regularly("seen = 0\nage = 0", clock=slots.trial_clock, when="start", name=f"{REWARD_GROUP}_trial")
    counted = f"seen += {slots.measured}\nage += 1"
    regularly(counted, clock=slots.clock, when="readout_error", name=f"{REWARD_GROUP}_count")
    parts: list[Any] = [group]
    if "correct" in reward.names:
        better = "int(total_pre > total_post) + int(total_pre == total_post)*int(i < j)"
        parts.append(_summed(outputs, outputs, {"ahead": better}, "rank", slots, 2))
    parts.append(_summed(outputs, group, sums, "sum", slots, 3))
    statements = [f"reward = {reward.value}", *third_factor(reward, slots)]
    slots.regularly(group, "\n".join(statements), 4, "reward")
    return parts


def third_factor(reward: Reward, slots: RewardSlots) -> list[str]:
    """Statements that make the third factor of the reward.

    Parameters
    ----------
    reward : Reward
    slots : RewardSlots

    Returns
    -------
    list of str
    """
    if reward.baseline is None:
        return [f"third = {slots.learning}*reward"]
    return [
        f"third = {slots.learning}*(reward - mean)",
        f"mean = mean + {slots.learning}*baseline*(reward - mean)",
    ]


def _summed(
    source: NeuronGroup, target: NeuronGroup, sums: dict[str, str], name: str, slots: RewardSlots, order: int
) -> Synapses:
    model = "\n".join(f"{variable}_post = {text} : 1 (summed)" for variable, text in sums.items())
    synapses = Synapses(source, target, model, name=f"{REWARD_GROUP}_{name}", clock=slots.when)
    synapses.connect()
    for updater in synapses.summed_updaters.values():
        slots.place(updater, order)
    return synapses
