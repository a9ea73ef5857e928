"""Weights that are spread over delays, while these are learned."""

from __future__ import annotations

from typing import Any

import torch

from brianlearn.network.learned_delays import UNIT, LearnedDelays

__all__ = ["shares_of"]


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
