"""A layer of neurons that is run step by step, because something changes between the steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.step.draws import Draws, with_draws
from brianlearn.discrete.step.kernels import StepKernel
from brianlearn.discrete.step.plain import plain_start, plain_step
from brianlearn.discrete.step.program import Program

__all__ = ["Stepper"]


class Stepper:
    """The states of a layer from the start of a trial on. Nothing here carries a gradient.

    Parameters
    ----------
    program : Program
    names : sequence of str
        What every step returns: ``"spike"``, or names of the program.
    constants : list or dict
        For the kernel, or for plain torch.
    like : torch.Tensor, shape (samples, neurons), or (ports, samples, neurons)
        Gives sizes, type and device.
    fused : bool
        Whether a kernel runs it.
    draws : Draws, optional
        Of a program that draws random numbers.
    order : numpy.ndarray of int, optional
        Which neuron lies at each place in memory; that of the population where it is not given.
    """

    def __init__(
        self,
        program: Program,
        names: Sequence[str],
        constants: Any,
        like: torch.Tensor,
        *,
        fused: bool,
        draws: Draws | None = None,
        order: np.ndarray | None = None,
    ) -> None:
        self.program, self.names, self.constants = program, tuple(names), constants
        self._draws, self._step = draws, 0
        self.shape = like.shape[-2:]
        self._like = flat = like.detach().flatten()[: self.shape.numel()]
        self._state, self._since = plain_start(program, flat, order)
        self._kernel = None
        if fused:
            self._kernel = StepKernel(program, str(like.dtype).removeprefix("torch."), self.names)
            self._values = {name: torch.empty_like(flat) for name in self.names}
            since = [self._since.numpy()] if program.refractory else []
            self._arrays: list[np.ndarray] = [a.numpy() for a in self._state.values()]
            self._arrays += [*since, *(value.numpy() for value in self._values.values())]

    def __call__(self, delivered: torch.Tensor) -> dict[str, torch.Tensor]:
        """One step.

        Parameters
        ----------
        delivered : torch.Tensor, shape (samples, neurons), or (ports, samples, neurons)
            Contiguous.

        Returns
        -------
        dict
            Name -> tensor (samples, neurons), which the next step may overwrite.
        """
        flat, t, constants = delivered.flatten(), self._step, self.constants
        self._step += 1
        if self._kernel is not None:
            self._kernel([flat.numpy(), *self._arrays], with_draws(constants, self._draws, t))
            return {name: value.view(self.shape) for name, value in self._values.items()}
        if self._draws is not None:
            constants = {**constants, **self._draws.functions(t, self._like)}
        values, self._state, self._since = plain_step(
            self.program, flat, constants, self._state, self._since, reset_kept=False
        )
        return {name: torch.as_tensor(values[name]).expand_as(self._like).view(self.shape) for name in self.names}
