"""The Brian2 objects of a network for GeNN.

GeNN has no weights that synapses share and no groups that only hold numbers: every synapse has a weight of its own, a
convolution with its pool is expanded to one synapse for each pair of neurons that it connects, and its kernel cannot
learn. `SynapseWeights` says which element of a layer's weights is that of which synapse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Clock, Network, NeuronGroup, Synapses, defaultclock, second

from brianlearn.brian.build.optimisers import update_statements
from brianlearn.brian.build.pipelined import PipelinedBuilder
from brianlearn.brian.build.plan import Plan, encoder_of
from brianlearn.network.population import Population
from brianlearn.network.spec import Projection

__all__ = ["GennBuilder", "SynapseWeights", "synapse_weights"]


@dataclass(frozen=True, eq=False)
class SynapseWeights:
    """Which weight each synapse has.

    Attributes
    ----------
    name : str
        Of the Synapses.
    pre, post : numpy.ndarray of int, shape (n_synapses,), or None
        The pair of neurons of each synapse; None for all pairs, by presynaptic neuron.
    n_synapses : int
    parts : numpy.ndarray of int
        Elements of the packed weights (`Connectivity.pack`), each of which adds to one synapse.
    synapse : numpy.ndarray of int, shape of ``parts``, or None
        The synapse that each of them adds to; None for ``parts[k]`` to synapse k alone.
    factor : float
        Of the average pool.
    """

    name: str
    pre: np.ndarray | None
    post: np.ndarray | None
    n_synapses: int
    parts: np.ndarray
    synapse: np.ndarray | None = None
    factor: float = 1.0

    def expand(self, packed: np.ndarray) -> np.ndarray:
        """The weight of every synapse, shape (n_synapses,)."""
        if self.synapse is None:
            return packed[self.parts]
        return np.bincount(self.synapse, packed[self.parts], minlength=self.n_synapses) * self.factor

    def collect(self, values: np.ndarray) -> np.ndarray:
        """The packed weights of synapses that share none."""
        assert self.synapse is None
        packed = np.empty_like(values)
        packed[self.parts] = values
        return packed


def synapse_weights(p: Projection, *, back: bool = False) -> SynapseWeights:
    """The synapses of a projection, or the mirror synapses that go back."""
    name = f"mirror_{p.name}" if back else f"synapses_{p.name}"
    if not p.connection.shares_weights:
        order = np.arange(p.n_weights)
        if back:
            order = order.reshape(p.n_pre, p.n_post).T.ravel()
        return SynapseWeights(name, None, None, p.n_weights, order)
    assert not back
    c = p.connectivity
    pairs, synapse = np.unique(c.pre.astype(np.int64) * p.n_post + c.post, return_inverse=True)
    pre, post = np.divmod(pairs, p.n_post)
    return SynapseWeights(name, pre, post, len(pairs), np.asarray(c.weight), np.asarray(synapse), c.factor)


class GennBuilder(PipelinedBuilder):
    """Builds the objects of one network for GeNN."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, standalone=False)

    def _network(self) -> Network:
        return Network()  # GeNN has slots of its own, those of `PipelinedBuilder`

    def _step_clock(self) -> Clock:
        defaultclock.dt = self.dt * second  # the one clock that GeNN has
        return defaultclock

    def _double(self, *names: str) -> dict[str, Any] | None:
        return None  # a model of GeNN has one precision

    def _encoder(self, p: Population) -> None:
        if not encoder_of(p).precomputed:
            super()._encoder(p)
            return
        self.net.groups[p.name] = self._generator(p)

    def _weights(self, p: Projection, *, learned: bool, prefix: str = "") -> NeuronGroup | None:
        return None  # the synapses have them

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
        back = target == p.source
        model = ["weight : 1", *lines]
        if learned:
            model += (
                ["eta : 1 (shared, constant)"] if self.plan.direct else ["gradient : 1", "lr : 1 (shared, constant)"]
            )
        pre = None if on_pre is None else on_pre["pre"]
        if p.connection.shares_weights:
            pre = "received_post += weight"
        synapses = Synapses(
            self.net.groups[source],
            self.net.groups[target],
            "\n".join(model),
            on_pre=pre,
            on_post=on_post,
            name=name,
            clock=self.net.clock,
            namespace=dict(self.net.timed),
        )
        weights = synapse_weights(p, back=back)
        if weights.pre is None:
            synapses.connect()
        else:
            synapses.connect(i=weights.pre, j=weights.post)
        if learned and not self.plan.direct:
            code = update_statements(self.plan.optimiser, self.plan.gradient_scale(p.target), "batch_count(t)")
            clock, when, order = self._update_slot()
            self._regularly(synapses, code, when, "update", order=order, clock=clock)
        self.net.synapses[f"mirror_{p.name}" if back else p.name] = synapses
        return synapses
