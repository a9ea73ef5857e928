"""Readouts as Brian2 groups, and the synapses that lead to them."""

from __future__ import annotations

from typing import Any

from brian2 import (
    Synapses,
)

from brianlearn.brian.build.error_paths import ErrorPaths
from brianlearn.brian.build.frame import place
from brianlearn.brian.build.loops import Slots
from brianlearn.brian.build.shared_weights import connect_shared
from brianlearn.network.spec import Projection

__all__ = ["Readouts"]


class Readouts(ErrorPaths):
    """Builds readouts."""

    def _tau(self, readout: str) -> Any:
        """The time constant of a readout; one of a rule's own is like the network's first."""
        graph = self.spec.graph
        return graph.tau_of(readout if readout in graph.by_name else self.spec.output)

    def _target(self) -> tuple[list[str], list[str]]:
        """What gives a readout its target: statements at the start of a trial, and in each step."""
        match self.plan.targets:
            case "values":
                return ["target = target_values(t, i)"], []
            case "steps":
                return [], ["target = target_values(t, i)"]
        return ["target = int(abs(label(t) - i) < 0.5)"], []

    def _readout(self, name: str, n: int) -> None:
        """A readout; the one that makes predictions also sums what the metrics need."""
        leaky, own, learning = self._tau(name) is not None, name == self.spec.output, self.rule is not None
        lines = ["y : 1", "target : 1"]
        lines += ["err : 1"] if learning else []
        lines += ["decay : 1 (shared, constant)"] if leaky else []
        lines += ["y_sum : 1", "loss_sum : 1"] if own else []
        dtype = self._double("y", "decay", "y_sum", "loss_sum")
        group = self._group(name, n, "\n".join(lines), dtype=dtype)
        once, always = self._target()
        start = [*once, "y = 0", *(["y_sum = 0", "loss_sum = 0"] if own else [])]
        self._regularly(group, "\n".join(start), "start", "trial", clock=self.net.trial_clock)
        decayed = "y = decay*y" if leaky else "y = 0"
        self._regularly(group, "\n".join([decayed, *always]), "readout_decay", "decay")
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
