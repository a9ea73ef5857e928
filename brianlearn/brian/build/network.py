"""From a spec and a rule to Brian2 objects.

Names are those of docs/rules.md: psi (surrogate derivative), gate, L (third factor), delta = psi*L (the error that goes
down), delta_gated = gate*delta (what changes weights), gradient (summed over events).
"""

from __future__ import annotations

from brianlearn.brian.build import (
    conv_loops,  # noqa: F401 - the loops of kinds of connections
    dense_loops,  # noqa: F401 - the loops of kinds of connections
)
from brianlearn.brian.build.frame import BrianNetwork
from brianlearn.brian.build.readouts import Readouts

__all__ = ["Builder"]


class Builder(Readouts):
    """Builds the objects of one network with same-step timing, or that of Brian2, part by part."""

    def build(self) -> BrianNetwork:
        net = self.net
        for given in self.spec.graph.sources:
            self._encoder(given)
        for population in self.spec.neurons if self.spec.graph.cycle else ():  # sources of others, all of them
            self._neurons(population)
        for population in self.spec.neurons:
            if population.name not in net.groups:
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
