"""Error paths as Brian2 objects: third factors, what errors become, mirror synapses and fixed feedback."""

from __future__ import annotations

from brian2 import (
    Synapses,
)

from brianlearn.brian.build.frame import place
from brianlearn.brian.build.projections import Projections
from brianlearn.brian.build.shared_weights import connect_shared
from brianlearn.brian.build.statements import (
    pooled,
)
from brianlearn.learning.rules.paths import Fixed
from brianlearn.network.population import Population
from brianlearn.network.spec import Projection

__all__ = ["ErrorPaths"]


class ErrorPaths(Projections):
    """Builds what takes errors down to populations."""

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
