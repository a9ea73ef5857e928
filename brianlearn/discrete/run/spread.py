"""Weights that are spread over delays, while these are learned."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import torch

from brianlearn.discrete.maps.base import EventMap, Listed, SynapticMap, unflatten
from brianlearn.discrete.run.component import after
from brianlearn.network.learned_delays import UNIT, LearnedDelays

__all__ = ["shares_of", "spread_sums"]


def shares_of(delays: LearnedDelays, values: torch.Tensor, dt: Any, width: float) -> torch.Tensor:
    """The share of each weight that arrives after each delay.

    Parameters
    ----------
    delays : LearnedDelays
    values : torch.Tensor
        Learned delays in ms, of the weights' shape.
    dt : brian2.Quantity or float
        A time, or seconds.
    width : float
        Of the spread, in steps; 0: all of it after the rounded delay, without a derivative.

    Returns
    -------
    torch.Tensor, shape (delays between the bounds, *the weights' shape)
        Its sum over delays is 1.
    """
    low, high = delays.steps(dt)
    lags = torch.arange(low, high + 1, dtype=values.dtype, device=values.device).view(-1, *[1] * values.ndim)
    if not width:
        steps = torch.from_numpy(delays.rounded(values.detach().cpu().numpy(), dt))
        return (lags == steps.to(lags)).to(values.dtype)
    distance = (lags - values * (UNIT / float(dt))) / width
    return torch.softmax(-0.5 * distance.square(), dim=0)


def spread_sums(
    source: torch.Tensor, weights: Sequence[torch.Tensor], synapses: SynapticMap, first: int, steps: int
) -> tuple[torch.Tensor, bool]:
    """What arrives of a projection whose weights are spread over consecutive delays.

    Parameters
    ----------
    source : torch.Tensor, shape (T, B, *in_shape), or (1, B, *in_shape) for what is the same in every step
        Presynaptic spikes when they are fired.
    weights : sequence of torch.Tensor
        What arrives after each delay.
    synapses : SynapticMap
    first : int
        The shortest delay in steps.
    steps : int
        T.

    Returns
    -------
    delivered : torch.Tensor, shape (T, B, neurons)
    channels_last : bool
        Whether neurons are in the order (height, width, channels).
    """
    listed = synapses.lists(source) if len(source) == steps else None
    if listed is not None and isinstance(synapses, EventMap):
        return _ByEvents.apply(source, synapses, listed, first, *weights), synapses.is_conv
    each = [synapses(source, weight) for weight in weights]
    total = after(each[0][0], first, steps)
    for lag, (sums, _) in enumerate(each[1:], first + 1):
        total = total + after(sums, lag, steps)
    return total, each[0][1]


class _ByEvents(torch.autograd.Function):
    """The same from lists of spikes, which are made once for all delays; sums need no memory of their own."""

    @staticmethod
    def forward(
        ctx: Any, source: torch.Tensor, synapses: EventMap, listed: Listed, first: int, *weights: torch.Tensor
    ) -> torch.Tensor:
        ctx.synapses, ctx.listed, ctx.first = synapses, listed, first
        ctx.save_for_backward(*weights)
        steps, samples = source.shape[:2]
        total = source.new_zeros(steps, samples, prod(synapses.out_shape))
        for lag, weight in enumerate(weights[: max(0, steps - first)], first):
            sums = synapses.follow(listed, weight).view(total.shape)
            total[lag:] += sums[: steps - lag]
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        synapses, listed, weights = ctx.synapses, ctx.listed, ctx.saved_tensors
        source: torch.Tensor | None = None
        found: list[torch.Tensor | None] = []
        for k, weight in enumerate(weights):
            lag = min(ctx.first + k, len(error))
            when_fired = torch.cat([error[lag:], error.new_zeros(lag, *error.shape[1:])])
            wanted = ctx.needs_input_grad[4 + k]
            found.append(synapses.gradient_of(listed, when_fired.flatten(0, 1)) if wanted else None)
            if ctx.needs_input_grad[0]:
                last = listed.channels_last
                back = synapses.transpose(when_fired, weight, channels_last=synapses.is_conv, source_last=last)
                source = back if source is None else source + back
        if source is not None:
            source = unflatten(source, synapses.in_shape, listed.channels_last)
        return source, None, None, None, *found
