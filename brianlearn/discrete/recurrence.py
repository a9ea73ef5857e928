"""The recurrence of a layer over a whole sequence, with whatever runs it: fused kernels or plain torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from brianlearn.discrete.kernels import Kernels, have_numba
from brianlearn.discrete.plain import run_plain, tensors
from brianlearn.discrete.program import Program

__all__ = ["Recurrence"]


class Recurrence:
    """Runs the program of one layer.

    Parameters
    ----------
    program : Program
    shape : tuple of int
        Shape of the layer: (neurons,) or (channels, height, width).
    reset_kept : bool
        Whether the spike that resets passes gradient.
    kernels : bool
        Whether to use fused kernels where there are some: on the CPU in single and double precision, with numba.
    """

    def __init__(
        self, program: Program, shape: tuple[int, ...], *, reset_kept: bool = False, kernels: bool = True
    ) -> None:
        self.program, self.shape, self.reset_kept = program, shape, reset_kept
        self.use_kernels = kernels and have_numba()
        self._kernels: dict[tuple[str, bool], Kernels] = {}
        self._constants: dict[tuple[object, ...], Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kernels": {}, "_constants": {}}

    def kernels(self, dtype: str, *, membrane: bool = False) -> Kernels:
        """The kernels for a precision, ``"float32"`` or ``"float64"``."""
        if (dtype, membrane) not in self._kernels:
            self._kernels[dtype, membrane] = Kernels(self.program, dtype, reset_kept=self.reset_kept, membrane=membrane)
        return self._kernels[dtype, membrane]

    def __call__(
        self, delivered: torch.Tensor, *, channels_last: bool = False, membrane: bool = False, overwrite: bool = False
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Run a sequence.

        Parameters
        ----------
        delivered : torch.Tensor, shape (steps, samples, neurons)
            What arrives in every step. Contiguous.
        channels_last : bool
            Whether neurons lie in memory as (height, width, channels).
        membrane : bool
            Whether to return the membrane.
        overwrite : bool
            Whether the memory of ``delivered`` may be used again: nobody else reads it, now or in a backward pass.

        Returns
        -------
        spikes, membrane : torch.Tensor or None, shape of ``delivered``
        """
        samples = delivered.shape[1]
        flat = delivered.flatten(1).contiguous()
        fused = self.use_kernels and flat.device.type == "cpu" and flat.dtype in (torch.float32, torch.float64)
        constants = self._values(samples, flat, channels_last=channels_last, fused=fused)
        if fused:
            dtype = str(flat.dtype).removeprefix("torch.")
            wanted = membrane or self.program.spike is None
            kernels = self.kernels(dtype, membrane=wanted)
            results = _Fused.apply(flat, kernels, constants, overwrite)
            named = dict(zip(kernels.outputs, results, strict=True))
            spikes, value = named.get("spike"), named.get(self.program.membrane)
        else:
            spikes, value = run_plain(self.program, flat, constants, reset_kept=self.reset_kept)
        shaped = [None if x is None else x.view(delivered.shape) for x in (spikes, value)]
        return shaped[0], shaped[1] if membrane or self.program.spike is None else None

    def _values(self, samples: int, like: torch.Tensor, *, channels_last: bool, fused: bool) -> Any:
        key = (samples, like.dtype, like.device, channels_last, fused)
        if key not in self._constants:
            order = None
            if channels_last:
                order = np.arange(np.prod(self.shape)).reshape(self.shape).transpose(1, 2, 0).ravel()
            if len(self._constants) > 8:
                self._constants.clear()
            if fused:
                made: Any = self.kernels(str(like.dtype).removeprefix("torch.")).constants(samples, order)
            else:
                made = tensors(self.program, samples, order, like.dtype, like.device)
            self._constants[key] = made
        return self._constants[key]


class _Fused(torch.autograd.Function):
    """The kernels as one operation of torch."""

    @staticmethod
    def forward(
        ctx: Any, delivered: torch.Tensor, kernels: Kernels, constants: Any, overwrite: bool
    ) -> tuple[torch.Tensor, ...]:
        save = ctx.needs_input_grad[0]
        stored = kernels.forward(delivered, constants, save=save, overwrite=overwrite)
        ctx.kernels, ctx.constants = kernels, constants
        if save:
            ctx.names = [name for name in kernels.arrays if name in stored]
            ctx.save_for_backward(*(stored[name] for name in ctx.names))
            ctx.set_materialize_grads(False)
        return tuple(stored[name] for name in kernels.outputs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, None, None, None]:
        if all(g is None for g in grads):
            return None, None, None, None
        kernels: Kernels = ctx.kernels
        arrays = dict(zip(ctx.names, ctx.saved_tensors, strict=True))
        like = next(g for g in grads if g is not None)
        names = ["grad_out_spike" if name == "spike" else "grad_out_membrane" for name in kernels.outputs]
        for name, grad in zip(names, grads, strict=True):
            arrays[name] = torch.zeros_like(like) if grad is None else grad.contiguous()
        return kernels.backward(arrays, ctx.constants), None, None, None
