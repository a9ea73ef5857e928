"""Groups that hold the weights of projections, with the optimiser that changes them."""

from __future__ import annotations

from brian2 import (
    Clock,
    NeuronGroup,
)

from brianlearn.brian.build.gradient_norm import GradientNorm
from brianlearn.brian.build.optimisers import FUNCTIONS as OPTIMISER_FUNCTIONS
from brianlearn.brian.build.optimisers import update_statements
from brianlearn.brian.build.populations import Populations
from brianlearn.brian.build.seeded import FUNCTIONS
from brianlearn.network.spec import Projection

__all__ = ["Weights"]


class Weights(Populations):
    """Builds the groups that hold weights."""

    def _teaches(self, p: Projection) -> bool:
        """Whether the weights of p are learned."""
        return any(p.name == q.name for q in self.plan.learned)

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

    def _update_slot(self) -> tuple[Clock, str, int]:
        """When weights are updated: clock, slot and order."""
        if self.rule is not None and self.rule.changes == "batch":
            return self.net.batch_clock, "start", -5
        return self.net.clock, "optimise", 0
