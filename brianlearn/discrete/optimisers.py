"""Optimisers on tensors, with the arithmetic and the state of `brianlearn.rules.optimisers`.

Not torch's own: a learner's state must go on in either engine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from brianlearn.rules.optimisers import SGD, Adam, Momentum, Optimiser

__all__ = ["TensorOptimiser"]


class TensorOptimiser:
    """Changes weights in place.

    Parameters
    ----------
    optimiser : Optimiser
    weights : mapping
        Layer name -> tensor.
    slots : mapping
        Layer name -> slot -> tensor, changed in place.
    rates : mapping
        Layer name -> learning rate.
    steps : int
        Weight updates since the optimiser's state was created.
    """

    def __init__(
        self,
        optimiser: Optimiser,
        weights: Mapping[str, torch.Tensor],
        slots: Mapping[str, Mapping[str, torch.Tensor]],
        rates: Mapping[str, float],
        steps: int,
    ) -> None:
        if not isinstance(optimiser, SGD | Momentum | Adam):
            raise TypeError(f"no arithmetic for {type(optimiser).__name__}")
        self.optimiser, self.weights, self.slots, self.rates, self.steps = optimiser, weights, slots, rates, steps

    @torch.no_grad()
    def step(self, gradients: Mapping[str, torch.Tensor]) -> None:
        """One weight update.

        Parameters
        ----------
        gradients : mapping
            Layer name -> mean gradient of the batch.
        """
        self.steps += 1
        for name, g in gradients.items():
            self._change(self.weights[name], g, self.slots.get(name, {}), self.rates[name])

    def _change(self, w: torch.Tensor, g: torch.Tensor, slots: Mapping[str, torch.Tensor], rate: float) -> None:
        optimiser = self.optimiser
        if isinstance(optimiser, Momentum):
            g = slots["m"].mul_(optimiser.momentum).add_(g)
        if not isinstance(optimiser, Adam):
            w.sub_(g, alpha=_held(rate, w))
            return
        beta1, beta2, k = optimiser.beta1, optimiser.beta2, self.steps
        m = slots["m"].mul_(beta1).add_(g, alpha=1 - beta1)
        v = slots["v"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
        root = (v / (1 - beta2**k)).sqrt_().add_(_held(optimiser.eps, w))
        w.addcdiv_(m, root, value=_held(-rate / (1 - beta1**k), w))


def _held(value: float, like: torch.Tensor) -> float:
    """The number, or infinity where the tensor's type does not reach it, of which torch would make an error.

    The weights are then not finite any more, which the learner names.
    """
    return value if abs(value) <= torch.finfo(like.dtype).max else math.copysign(math.inf, value)
