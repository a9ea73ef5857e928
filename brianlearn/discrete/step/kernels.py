"""Compiling, keeping and running fused kernels.

The text of a kernel depends on the neuron's statements and the precision, not on the values of constants: a network
with other time constants runs the same machine code. Modules are written to the cache folder once, where numba keeps
what it compiled beside them.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.host.threads import parallel_for
from brianlearn.discrete.step.adjoint import adjoint
from brianlearn.discrete.step.kernel_source import (
    BLOCK,
    backward_arrays,
    backward_source,
    backward_step_source,
    constant_arguments,
    forward_source,
    header,
    step_source,
)
from brianlearn.discrete.step.program import Program

__all__ = ["Kernels", "StepKernel", "have_numba"]

#: Double precision keeps the order and rounding of every operation, so that spikes equal Brian2's. Single precision may
#: fuse multiplications and additions; freer rules cost digits in exponentials and win no time.
_FASTMATH: dict[str, set[str]] = {"float64": set(), "float32": {"contract", "nsz"}}


@lru_cache(maxsize=1)
def have_numba() -> bool:
    """Whether kernels can be compiled on this machine."""
    return importlib.util.find_spec("numba") is not None


class Kernels:
    """The kernels of one program in one precision.

    Parameters
    ----------
    program : Program
    dtype : str
        ``"float32"`` or ``"float64"``.
    reset_kept : bool
        Whether the spike that resets passes gradient.
    membrane : bool
        Whether the membrane before the reset is an output (and has a gradient).
    """

    def __init__(self, program: Program, dtype: str, *, reset_kept: bool, membrane: bool) -> None:
        self.program, self.dtype, self.membrane = program, dtype, membrane
        self.adjoint = adjoint(program, reset_kept=reset_kept, membrane=membrane)
        outputs = ["spike"] if program.spike is not None else []
        outputs += [program.membrane] if membrane else []
        saved = [*self.adjoint.saved, *(["not_refractory"] if self.adjoint.refractory else [])]
        #: What the forward kernel stores, without and with what the backward kernel needs.
        self.outputs = outputs
        self.stored = [*outputs, *(name for name in saved if name not in outputs)]
        self.arrays = backward_arrays(program, self.adjoint, membrane=membrane)
        self._functions: dict[object, Callable[..., None]] = {}

    def source(self) -> str:
        """The text of the kernels, for training."""
        backward = backward_source(self.program, self.adjoint, membrane=self.membrane)
        forward = forward_source(self.program, self.stored)
        return "\n\n".join([header(self.dtype, draws=self.program.draws), forward, backward])

    def constants(self, repeats: int, order: np.ndarray | None) -> list[Any]:
        """The kernels' last arguments but for draws: scalars, then one value per neuron and sample.

        Parameters
        ----------
        repeats : int
            Samples.
        order : numpy.ndarray of int, optional
            In which order neurons lie in memory.
        """
        real = np.dtype(self.dtype).type
        scalars, fields = constant_arguments(self.program)
        values: list[Any] = [real(self.program.constants[name]) for name in scalars]
        for name in fields:
            value = self.program.constants[name].astype(self.dtype)
            if name in self.program.derived:  # which every batch has its own of
                values.append(value)
                continue
            values.append(np.tile(value if order is None else value[order], repeats))
        return values

    def with_derived(self, constants: Sequence[Any], derived: Mapping[str, torch.Tensor]) -> list[Any]:
        """The same with the values of constants that follow from learned ones, shape (neurons,)."""
        scalars, fields = constant_arguments(self.program)
        values = dict(zip([*scalars, *fields], constants, strict=True))
        return [*(values | {name: value.detach().contiguous().numpy() for name, value in derived.items()}).values()]

    def sums(self, neurons: int) -> dict[str, torch.Tensor]:
        """Zeros for the gradients of constants that follow from learned ones: the backward kernels' last arguments."""
        dtype = getattr(torch, self.dtype)
        return {name: torch.zeros(neurons, dtype=dtype) for name in self.adjoint.constants}

    def forward(
        self,
        delivered: torch.Tensor,
        constants: Sequence[Any],
        *,
        save: bool,
        overwrite: bool = False,
        record: Sequence[str] = (),
    ) -> dict[str, torch.Tensor]:
        """Run a sequence.

        Parameters
        ----------
        delivered : torch.Tensor, shape (steps, neurons), or (steps, ports*neurons)
            Contiguous.
        constants : sequence
            From `constants`.
        save : bool
            Whether to store what `backward` needs.
        overwrite : bool
            Whether the memory of ``delivered`` may be used for what is stored.
        record : sequence of str
            Names of the program that are stored beside the outputs.

        Returns
        -------
        dict
            Name -> tensor (steps, neurons).
        """
        names = tuple(dict.fromkeys([*(self.stored if save else self.outputs), *record]))
        overwrite = overwrite and self.program.ports == 1
        reused = next((n for n in reversed(names) if n != "not_refractory"), None) if overwrite else None
        shape = delivered.shape[0], delivered.shape[1] // self.program.ports
        result = {
            name: delivered.new_empty(shape, dtype=torch.bool if name == "not_refractory" else None)
            for name in names
            if name != reused
        }
        data = delivered.detach()
        arrays = [data.numpy(), *(tensor.numpy() for tensor in result.values())]
        kernel = self._function((names, reused), lambda: forward_source(self.program, names, reused), "forward")
        _parallel(kernel, shape, arrays, constants)
        return result if reused is None else {**result, reused: data}

    def backward(
        self,
        arrays: dict[str, torch.Tensor],
        constants: Sequence[Any],
        sums: Mapping[str, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """The gradient of what was delivered.

        Parameters
        ----------
        arrays : dict
            The stored values, ``grad_out_spike`` and ``grad_out_membrane``: tensors (steps, neurons), contiguous.
        constants : sequence
            From `constants`.
        sums : mapping, optional
            From `sums`; gradients are added.

        Returns
        -------
        torch.Tensor, shape (steps, neurons), or (steps, ports*neurons)
        """
        kernel = self._function(
            "backward", lambda: backward_source(self.program, self.adjoint, membrane=self.membrane), "backward"
        )
        example = arrays["grad_out_membrane" if self.program.spike is None else "grad_out_spike"]
        arrays = arrays | {"grad_delivered": example.new_empty(len(example), self.program.ports * example.shape[1])}
        given = self.sums(example.shape[1]) if sums is None else sums
        last = [*constants, *(given[name].numpy() for name in self.adjoint.constants)]
        _parallel(kernel, example.shape, [arrays[name].detach().numpy() for name in self.arrays], last)
        return arrays["grad_delivered"]

    def steps(self, names: Sequence[str], overwrite: str | None = None) -> StepKernel:
        """The kernel that runs one step and stores ``names``, one of them perhaps where ``delivered`` was."""
        key = ("step", tuple(names), overwrite)
        if key not in self._functions:
            self._functions[key] = StepKernel(self.program, self.dtype, names, overwrite)
        found = self._functions[key]
        assert isinstance(found, StepKernel)
        return found

    def back(
        self,
        arrays: Sequence[np.ndarray],
        constants: Sequence[Any],
        overwrite: str | None = None,
        part: tuple[int, int] | None = None,
    ) -> None:
        """One step backwards.

        Parameters
        ----------
        arrays : sequence of numpy.ndarray, each (neurons,)
            Gradients of states, then `arrays`, the last of which is written (it is (ports*neurons,)).
        constants : sequence
            From `constants`.
        overwrite : str, optional
            One of `arrays` that is written in the place of the last, which is not given then.
        part : tuple of int, optional
            The first of some neurons, and the one after the last; all of them where it is not given.
        """
        kernel = self._function(
            ("back", overwrite),
            lambda: backward_step_source(self.program, self.adjoint, membrane=self.membrane, overwrite=overwrite),
            "backward_step",
        )
        _one_step(kernel, arrays, constants, part, len(arrays[0]))

    def _function(self, key: object, source: Callable[[], str], name: str) -> Callable[..., None]:
        """A compiled kernel; its text is made once, which takes longer than running it on a small layer."""
        if key not in self._functions:
            text = header(self.dtype, draws=self.program.draws) + "\n\n" + source()
            self._functions[key] = _compiled(text, name, self.dtype)
        return self._functions[key]


class StepKernel:
    """The kernel of a single step, which carries states on.

    Parameters
    ----------
    program : Program
    dtype : str
        ``"float32"`` or ``"float64"``.
    outputs : sequence of str
        What is stored: ``"spike"``, or names of the program.
    overwrite : str, optional
        An output that is stored where ``delivered`` was.
    """

    def __init__(self, program: Program, dtype: str, outputs: Sequence[str], overwrite: str | None = None) -> None:
        source = header(dtype, draws=program.draws) + "\n\n" + step_source(program, outputs, overwrite)
        self._kernel, self._ports = _compiled(source, "step", dtype), program.ports

    def __call__(
        self, arrays: Sequence[np.ndarray], constants: Sequence[Any], part: tuple[int, int] | None = None
    ) -> None:
        """Run one step; arrays (neurons,) in the order of `step_source`; ``part``: of which neurons, else of all."""
        _one_step(self._kernel, arrays, constants, part, len(arrays[0]) // self._ports)


# running -------------------------------------------------------------------------------------------------------------


def _parallel(
    kernel: Callable[..., None], shape: Sequence[int], arrays: Sequence[np.ndarray], constants: Sequence[Any]
) -> None:
    """Run a kernel on all neurons, shared out among threads."""
    steps, neurons = shape
    parallel_for(lambda first, last, part: kernel(first, last, steps, *arrays, *constants), neurons, block=BLOCK)


def _one_step(
    kernel: Callable[..., None],
    arrays: Sequence[np.ndarray],
    constants: Sequence[Any],
    part: tuple[int, int] | None,
    neurons: int,
) -> None:
    """Run a kernel of one step on some neurons in this thread, or on all of them, shared out among threads."""
    if part is None:
        _parallel(kernel, (1, neurons), arrays, constants)
    else:
        kernel(*part, 1, *arrays, *constants)


# compiling -----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=256)
def _compiled(source: str, name: str, dtype: str) -> Callable[..., None]:
    from numba import njit

    from brianlearn.discrete.step.kernel_cache import keep_compiled, kernel_module

    module = kernel_module(source)
    compiler = njit(nogil=True, error_model="numpy", fastmath=_FASTMATH[dtype])
    return keep_compiled(compiler(getattr(module, name)))
