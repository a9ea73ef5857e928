"""Optimisers on tensors, with the arithmetic and the state of `brianlearn.learning.optimisers`.

Not torch's own: a learner's state must go on in either engine. The text of an optimiser runs as it stands, statement by
statement; some texts have a form with fewer passes over memory.
"""

from __future__ import annotations

import ast
import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import CodeType
from typing import Any

import torch

from brianlearn.discrete.step.expressions import elementwise, expression
from brianlearn.discrete.step.plain import number_functions
from brianlearn.learning.optimisers import SGD, Adam, Momentum, Optimiser

__all__ = ["TensorOptimiser"]

Slots = Mapping[str, torch.Tensor]
#: Optimiser, weights, gradient, slots, learning rate, number of the update; changes weights and slots.
Change = Callable[[Any, torch.Tensor, torch.Tensor, Slots, float, int], None]


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
    signs : mapping, optional
        Layer name -> 1 and -1 of the weights' shape, where they have a sign to keep.
    bounds : mapping, optional
        Learned constant, or learned delays -> the least and the largest value. They are no weights, and do not decay as
        these may.
    """

    def __init__(
        self,
        optimiser: Optimiser,
        weights: Mapping[str, torch.Tensor],
        slots: Mapping[str, Slots],
        rates: Mapping[str, float],
        steps: int,
        signs: Mapping[str, torch.Tensor] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
    ) -> None:
        self.optimiser, self.weights, self.slots, self.rates, self.steps = optimiser, weights, slots, rates, steps
        self.signs, self.bounds = signs or {}, bounds or {}
        self._of_weights = self._of_others = optimiser, FUSED.get(type(optimiser).update) or _by_text(optimiser)
        if self.bounds and hasattr(optimiser, "weight_decay"):
            without: dict[str, Any] = {"weight_decay": 0.0}
            plain = dataclasses.replace(optimiser, **without)
            self._of_others = plain, FUSED.get(type(plain).update) or _by_text(plain)

    @torch.no_grad()
    def step(self, gradients: Mapping[str, torch.Tensor]) -> None:
        """One weight update.

        Parameters
        ----------
        gradients : mapping
            Layer name -> mean gradient of the batch.
        """
        self.steps += 1
        for name, g in self._clipped(gradients).items():
            weight = self.weights[name]
            optimiser, change = self._of_others if name in self.bounds else self._of_weights
            change(optimiser, weight, g, self.slots.get(name, {}), self.rates[name], self.steps)
            if name in self.signs:
                weight.mul_(weight * self.signs[name] > 0)
            if name in self.bounds:
                weight.clamp_(*self.bounds[name])

    def _clipped(self, gradients: Mapping[str, torch.Tensor]) -> Mapping[str, torch.Tensor]:
        most, longest = self.optimiser.clip_value, self.optimiser.clip_norm
        if most is not None:
            gradients = {name: g.clamp(-most, most) for name, g in gradients.items()}
        if longest is not None:
            squares = sum(float(g.to(torch.float64).square().sum()) for g in gradients.values())
            factor = min(longest / (math.sqrt(squares) + 1e-6), 1.0)
            gradients = {name: g * factor for name, g in gradients.items()}
        return gradients


# the text of any optimiser ------------------------------------------------------------------------------------------


def _by_text(optimiser: Optimiser) -> Change:
    statements = [(s.target, _code(ast.unparse(s.value))) for s in optimiser.statements()]

    def change(optimiser: Optimiser, w: torch.Tensor, g: torch.Tensor, slots: Slots, rate: float, k: int) -> None:
        kept = {"weight": w, **slots}
        values: dict[str, Any] = {**kept, "gradient": g, "lr": rate, "k": float(k)}
        for target, code in statements:
            values[target] = eval(code, number_functions(w.dtype), values)
        for name, tensor in kept.items():
            if values[name] is not tensor:
                tensor.copy_(torch.as_tensor(values[name], dtype=w.dtype, device=w.device).expand_as(tensor))

    return change


@lru_cache(maxsize=4096)
def _code(text: str) -> CodeType:
    return compile(elementwise(expression(text)), "<optimiser>", "eval")


# forms with fewer passes over memory --------------------------------------------------------------------------------


def _sgd(optimiser: SGD, w: torch.Tensor, g: torch.Tensor, slots: Slots, rate: float, k: int) -> None:
    w.sub_(g, alpha=_held(rate, w))


def _momentum(optimiser: Momentum, w: torch.Tensor, g: torch.Tensor, slots: Slots, rate: float, k: int) -> None:
    w.sub_(slots["m"].mul_(optimiser.momentum).add_(g), alpha=_held(rate, w))


def _adam(optimiser: Adam, w: torch.Tensor, g: torch.Tensor, slots: Slots, rate: float, k: int) -> None:
    beta1, beta2 = optimiser.beta1, optimiser.beta2
    m = slots["m"].mul_(beta1).add_(g, alpha=1 - beta1)
    v = slots["v"].mul_(beta2).addcmul_(g, g, value=1 - beta2)
    root = (v / (1 - beta2**k)).sqrt_().add_(_held(optimiser.eps, w))
    w.addcdiv_(m, root, value=_held(-rate / (1 - beta1**k), w))


#: Text -> what computes the same, within rounding.
FUSED: dict[str, Change] = {SGD.update: _sgd, Momentum.update: _momentum, Adam.update: _adam}


def _held(value: float, like: torch.Tensor) -> float:
    """The number, or infinity where the tensor's type does not reach it, of which torch would make an error.

    The weights are then not finite any more, which the learner names.
    """
    return value if abs(value) <= torch.finfo(like.dtype).max else math.copysign(math.inf, value)
