"""The recurrence of a layer over a whole sequence, with whatever runs it: fused kernels or plain torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.step.derived import Derived
from brianlearn.discrete.step.draws import Draws, with_draws
from brianlearn.discrete.step.kernels import Kernels, have_numba
from brianlearn.discrete.step.plain import run_plain, tensors
from brianlearn.discrete.step.program import Program
from brianlearn.discrete.step.stepper import Stepper

__all__ = ["Passage", "Recurrence"]


@dataclass(frozen=True, eq=False)
class Passage:
    """A sequence that ran for a local rule. No tensor carries a gradient.

    Attributes
    ----------
    values : dict
        ``"spike"`` and what was asked for -> tensor, shape (steps, samples, neurons).
    pull_back : callable
        d loss/d spike -> d loss/d delivered, of its shape, through the states of the layer (for ``save=True``).
    """

    values: dict[str, torch.Tensor]
    pull_back: Callable[[torch.Tensor], torch.Tensor]


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
    derived : Derived, optional
        The constants of the program that follow from learned ones.
    parameter : callable, optional
        Key of what is learned -> its tensor.
    """

    def __init__(
        self,
        program: Program,
        shape: tuple[int, ...],
        *,
        reset_kept: bool = False,
        kernels: bool = True,
        derived: Derived | None = None,
        parameter: Callable[[str], torch.Tensor] | None = None,
    ) -> None:
        self.program, self.shape, self.reset_kept = program, shape, reset_kept
        self._derived, self._parameter = derived, parameter
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

    def has_kernels(self, like: torch.Tensor) -> bool:
        """Whether kernels run where a tensor is, in its precision."""
        return self.use_kernels and like.device.type == "cpu" and like.dtype in (torch.float32, torch.float64)

    @cached_property
    def local_program(self) -> Program:
        """The program for local rules: with psi and psi gate, where neurons fire."""
        return self.program if self.program.spike is None else self.program.with_factors()

    def kernels_with_factors(self, dtype: torch.dtype) -> Kernels:
        """The kernels for local rules, which store psi and psi gate."""
        name = str(dtype).removeprefix("torch.")
        key = (f"{name}, factors", False)
        if key not in self._kernels:
            self._kernels[key] = Kernels(self.local_program, name, reset_kept=self.reset_kept, membrane=False)
        return self._kernels[key]

    def _order(self, channels_last: bool) -> np.ndarray | None:
        """Which neuron lies at each place in memory; None for the order of the population."""
        return np.arange(np.prod(self.shape)).reshape(self.shape).transpose(1, 2, 0).ravel() if channels_last else None

    def draws(self, draws: Draws | None, *, channels_last: bool) -> Draws | None:
        """The draws of neurons in the order of memory; None for a program without."""
        if not self.program.draws:
            return None
        assert draws is not None
        order = self._order(channels_last)
        return draws if order is None else draws.reordered(order)

    def derived(self, samples: int, *, channels_last: bool = False) -> dict[str, torch.Tensor]:
        """Constants that follow from learned ones, with a gradient: name -> tensor (samples*neurons,).

        Parameters
        ----------
        samples : int
        channels_last : bool
            Whether neurons lie in memory as (height, width, channels).

        Returns
        -------
        dict of str to torch.Tensor
        """
        if self._derived is None:
            return {}
        assert self._parameter is not None
        found, order = self._derived.tensors([self._parameter(key) for key in self._derived.keys]), None
        if channels_last:
            order = torch.from_numpy(self._order(True))
        return {
            name: (value if order is None else value[order.to(value.device)]).repeat(samples)
            for name, value in found.items()
        }

    def learned_values(self) -> dict[str, np.ndarray]:
        """Learned constants as they are now, base units, shape () or (neurons,)."""
        if self._derived is None:
            return {}
        assert self._parameter is not None
        return self._derived.given([self._parameter(key) for key in self._derived.keys])

    def constants(
        self,
        samples: int,
        like: torch.Tensor,
        *,
        fused: bool,
        channels_last: bool = False,
        derived: Mapping[str, torch.Tensor] | None = None,
    ) -> Any:
        """The values of constants, for kernels or for plain torch; ``derived``: from `derived`, else as they are."""
        made = self._fixed(samples, like, fused=fused, channels_last=channels_last)
        if not self.program.derived:
            return made
        if derived is None:
            derived = self.derived(samples, channels_last=channels_last)
        if fused:
            return self.kernels(str(like.dtype).removeprefix("torch.")).with_derived(made, derived)
        return {**made, **derived}

    def _fixed(self, samples: int, like: torch.Tensor, *, fused: bool, channels_last: bool) -> Any:
        """The values of constants that nobody changes."""
        key = (samples, like.dtype, like.device, channels_last, fused)
        if key not in self._constants:
            order = self._order(channels_last)
            if len(self._constants) > 8:
                self._constants.clear()
            if fused:
                made: Any = self.kernels(str(like.dtype).removeprefix("torch.")).constants(samples, order)
            else:
                made = tensors(self.program, samples, order, like.dtype, like.device)
            self._constants[key] = made
        return self._constants[key]

    def __call__(
        self,
        delivered: torch.Tensor,
        *,
        channels_last: bool = False,
        membrane: bool = False,
        overwrite: bool = False,
        draws: Draws | None = None,
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Run a sequence.

        Parameters
        ----------
        delivered : torch.Tensor, shape (steps, samples, neurons), or (steps, ports, samples, neurons)
            What arrives in every step. Contiguous.
        channels_last : bool
            Whether neurons lie in memory as (height, width, channels).
        membrane : bool
            Whether to return the membrane.
        overwrite : bool
            Whether the memory of ``delivered`` may be used again: nobody else reads it, now or in a backward pass.
        draws : Draws, optional
            Where neurons draw random numbers, in the order of the population.

        Returns
        -------
        spikes, membrane : torch.Tensor or None, shape (steps, samples, neurons)
        """
        samples = delivered.shape[-2]
        flat = delivered.flatten(1).contiguous()
        fused = self.has_kernels(flat)
        derived = self.derived(samples, channels_last=channels_last)
        constants = self.constants(samples, flat, channels_last=channels_last, fused=fused, derived=derived)
        drawn = self.draws(draws, channels_last=channels_last)
        if fused:
            constants = with_draws(constants, drawn)
            dtype = str(flat.dtype).removeprefix("torch.")
            wanted = membrane or self.program.spike is None
            kernels = self.kernels(dtype, membrane=wanted)
            results = _Fused.apply(flat, kernels, constants, overwrite, tuple(derived), *derived.values())
            named = dict(zip(kernels.outputs, results, strict=True))
            spikes, value = named.get("spike"), named.get(self.program.membrane)
        else:
            spikes, value = run_plain(self.program, flat, constants, reset_kept=self.reset_kept, draws=drawn)
        shape = delivered.shape[0], *delivered.shape[-2:]
        shaped = [None if x is None else x.view(shape) for x in (spikes, value)]
        return shaped[0], shaped[1] if membrane or self.program.spike is None else None

    def factors(
        self,
        delivered: torch.Tensor,
        names: Sequence[str],
        *,
        channels_last: bool = False,
        save: bool = False,
        draws: Draws | None = None,
    ) -> Passage:
        """Run a sequence for a local rule, and overwrite ``delivered``.

        Parameters
        ----------
        delivered : torch.Tensor, shape (steps, samples, neurons), or (steps, ports, samples, neurons)
            Contiguous, and nobody else's.
        names : sequence of str
            What is wanted beside the spikes, where there are some: the surrogate derivative ``"psi"``, and times the
            floor's gate ``"psi_gated"``; states at the end of the step (`brianlearn.discrete.step.program.at_end`).
        channels_last : bool
            Whether neurons lie in memory as (height, width, channels).
        save : bool
            Whether `Passage.pull_back` will be called.
        draws : Draws, optional
            As in `__call__`.
        """
        arrived, shape = delivered.shape, (delivered.shape[0], *delivered.shape[-2:])
        flat = delivered.detach().flatten(1)
        fused = self.has_kernels(flat)
        constants = self.constants(shape[1], flat, channels_last=channels_last, fused=fused)
        drawn = self.draws(draws, channels_last=channels_last)
        program, spiking = self.local_program, self.program.spike is not None
        if fused:
            constants = with_draws(constants, drawn)
            kernels = self.kernels_with_factors(flat.dtype)
            stored = kernels.forward(flat, constants, save=save, overwrite=True, record=names)

            def pull_back(error: torch.Tensor) -> torch.Tensor:
                return kernels.backward(stored | {"grad_out_spike": error.flatten(1)}, constants).view(arrived)

            values = stored
        else:
            record: dict[str, list[torch.Tensor]] = {name: [] for name in names}
            with torch.set_grad_enabled(save):
                flat.requires_grad_(save)
                spikes, _ = run_plain(program, flat, constants, reset_kept=self.reset_kept, record=record, draws=drawn)

            def pull_back(error: torch.Tensor) -> torch.Tensor:
                assert spikes is not None
                return torch.autograd.grad(spikes, flat, error.flatten(1))[0].view(arrived)

            values = {name: torch.stack(steps) for name, steps in record.items()}
            if spikes is not None:
                values["spike"] = spikes.detach()
        kept = ("spike", *names) if spiking else names
        return Passage({name: values[name].view(shape) for name in kept}, pull_back)

    def stepper(
        self,
        names: Sequence[str],
        samples: int,
        like: torch.Tensor,
        *,
        channels_last: bool,
        draws: Draws | None = None,
    ) -> Stepper:
        """Start trials that are run step by step; parameters as in `factors`, and number of samples."""
        program = self.local_program
        fused = self.has_kernels(like)
        constants = self.constants(samples, like, channels_last=channels_last, fused=fused)
        drawn = self.draws(draws, channels_last=channels_last)
        order = self._order(channels_last)
        return Stepper(program, names, constants, like, fused=fused, draws=drawn, order=order)


class _Fused(torch.autograd.Function):
    """The kernels as one operation of torch."""

    @staticmethod
    def forward(
        ctx: Any,
        delivered: torch.Tensor,
        kernels: Kernels,
        constants: Any,
        overwrite: bool,
        derived: tuple[str, ...],
        *values: torch.Tensor,
    ) -> tuple[torch.Tensor, ...]:
        save = any(ctx.needs_input_grad)
        stored = kernels.forward(delivered, constants, save=save, overwrite=overwrite)
        ctx.kernels, ctx.constants, ctx.derived = kernels, constants, derived
        if save:
            ctx.names = [name for name in kernels.arrays if name in stored]
            ctx.save_for_backward(*(stored[name] for name in ctx.names))
            ctx.set_materialize_grads(False)
        return tuple(stored[name] for name in kernels.outputs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        if all(g is None for g in grads):
            return (None,) * (5 + len(ctx.derived))
        kernels: Kernels = ctx.kernels
        arrays = dict(zip(ctx.names, ctx.saved_tensors, strict=True))
        like = next(g for g in grads if g is not None)
        names = ["grad_out_spike" if name == "spike" else "grad_out_membrane" for name in kernels.outputs]
        for name, grad in zip(names, grads, strict=True):
            arrays[name] = torch.zeros_like(like) if grad is None else grad.contiguous()
        sums = kernels.sums(like.shape[1])
        delivered = kernels.backward(arrays, ctx.constants, sums)
        return delivered, None, None, None, None, *(sums.get(name) for name in ctx.derived)
