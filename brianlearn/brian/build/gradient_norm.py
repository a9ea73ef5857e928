"""The norm of all gradients together, for optimisers that clip it.

One neuron holds a sum of squares for each layer, which synapses from the layer's weights add up right before the
optimiser's step; all groups of weights read the sums. Mirror weights read those of the forward ones, so that both
change by the same amount.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Clock, NeuronGroup, Synapses, linked_var

from brianlearn.brian.build.optimisers import mean_gradient
from brianlearn.learning.optimisers import Optimiser

__all__ = ["GradientNorm"]


class GradientNorm:
    """The sums of squares of the gradients of all learned layers.

    Parameters
    ----------
    layers : list of str
        Those that are learned.
    optimiser : Optimiser
    count : str
        Expression for the number of samples in the gradient.
    slot : (brian2.Clock, str, int)
        Clock, slot and order of the optimiser.
    namespace : dict
        What ``count`` needs.

    Attributes
    ----------
    group : brian2.NeuronGroup
        The neuron.
    """

    def __init__(
        self,
        layers: list[str],
        optimiser: Optimiser,
        count: str,
        slot: tuple[Clock, str, int],
        namespace: dict[str, Any],
    ) -> None:
        self._optimiser, self._count, self._namespace = optimiser, count, namespace
        self._clock, self._when, self._order = slot
        self.names = [f"squares_{name}" for name in layers]
        model = "\n".join(f"{name} : 1" for name in self.names)
        # sums over all weights: in single precision they would lose digits
        dtype = dict.fromkeys(self.names, np.float64)
        self.group = NeuronGroup(1, model, name="gradient_norm", clock=self._clock, dtype=dtype)

    @property
    def model(self) -> list[str]:
        """What a group of weights declares to read the sums."""
        return [f"{name} : 1 (linked)" for name in self.names]

    def link(self, weights: NeuronGroup) -> None:
        """Let a group of weights read the sums."""
        for name in self.names:
            setattr(weights, name, linked_var(self.group, name))

    def add_up(self, layer: str, weights: NeuronGroup, scale: float) -> Synapses:
        """Synapses that add up the squares of a layer's gradients.

        Parameters
        ----------
        layer : str
        weights : brian2.NeuronGroup
        scale : float
            2/n_l^R, which makes the accumulated sum a gradient.
        """
        name, mean = f"squares_{layer}", mean_gradient(self._optimiser, scale, self._count, "gradient_pre")
        synapses = Synapses(
            weights,
            self.group,
            f"{name}_post = ({mean})**2 : 1 (summed)",
            name=name,
            clock=self._clock,
            namespace=dict(self._namespace),
        )
        synapses.connect()
        updater = synapses.summed_updaters[f"{name}_post"]
        # after the gradients of all parts and processes are added up, which is a whole number before the optimiser
        updater.when, updater.order = self._when, self._order - 0.5
        return synapses
