"""Targets of batches of trials, as what a readout is to say in each step."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

__all__ = ["as_tensor", "output_target", "squared_error"]


def as_tensor(targets: Any, device: str) -> torch.Tensor:
    """Targets of samples as a tensor: int64 (n,), floats (n, out) or (n, T, out), or bool (n, T, out)."""
    return torch.from_numpy(np.require(targets.view(np.ndarray), None, ["C", "W"])).to(device)


def output_target(targets: torch.Tensor, like: torch.Tensor, classes: int) -> torch.Tensor:
    """What a readout is to say: of labels 1 for that of the label, else 0; or the values.

    Parameters
    ----------
    targets : torch.Tensor, shape (B,), (B, out) or (B, T, out)
    like : torch.Tensor
        Of the type of the readout.
    classes : int

    Returns
    -------
    torch.Tensor, shape (B, out), or (T, B, out) of values that change from step to step
    """
    if targets.ndim == 1:
        return F.one_hot(targets, classes).to(like.dtype)
    values = targets.to(like.dtype)
    return values if values.ndim == 2 else values.transpose(0, 1).contiguous()


def squared_error(readout: torch.Tensor, target: torch.Tensor, burn_in: int) -> torch.Tensor:
    """The mean squared error of each trial, over outputs and steps after the burn-in, shape (B,).

    Parameters
    ----------
    readout : torch.Tensor, shape (T, B, out)
    target : torch.Tensor
        From `output_target`.
    burn_in : int
        In steps.
    """
    late = target[burn_in:] if target.ndim == 3 else target
    return (readout[burn_in:] - late).square_().mean(dim=(0, 2))
