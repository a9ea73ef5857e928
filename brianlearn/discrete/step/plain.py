"""The same program with plain torch operations, one time step after the other: the reference, and any device."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.step.draws import Draws
from brianlearn.discrete.step.expressions import Assign, elementwise, expression
from brianlearn.discrete.step.program import DELIVERED, Program, at_end
from brianlearn.network.neurons.neuron import initial_name
from brianlearn.network.neurons.statements import FUNCTIONS

__all__ = ["evaluate", "functions", "number_functions", "plain_start", "plain_step", "run_plain", "tensors"]


class _Spike(torch.autograd.Function):
    """A step function of x whose derivative is the surrogate psi."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, fired: torch.Tensor, psi: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(psi)
        return fired.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (psi,) = ctx.saved_tensors
        return grads[0] * psi, None, None


def _exprel(x: torch.Tensor) -> torch.Tensor:
    small = x.abs() < 1e-16
    safe = torch.where(small, torch.ones_like(x), x)
    return torch.where(small, torch.ones_like(x), torch.expm1(safe) / safe)


def _clip(x: torch.Tensor, low: Any, high: Any) -> torch.Tensor:
    return torch.clamp(x, torch.as_tensor(low, dtype=x.dtype, device=x.device), torch.as_tensor(high).to(x))


@lru_cache
def functions(dtype: torch.dtype) -> dict[str, Any]:
    """The functions of expressions, on tensors."""

    def where(condition: torch.Tensor, a: Any, b: Any) -> torch.Tensor:
        if not isinstance(a, torch.Tensor):  # of two numbers, torch would make a tensor of the default type
            a = torch.as_tensor(a, dtype=dtype, device=condition.device)
        return torch.where(condition, a, b)

    plain = "exp expm1 log log10 log1p sqrt sin cos tan sinh cosh tanh arcsin arccos arctan abs sign floor ceil"
    return {
        "__builtins__": {"__import__": __import__},  # what torch loads when a device first needs it
        **{name: getattr(torch, name) for name in [*plain.split(), "logical_and", "logical_or", "logical_not"]},
        "where": where,
        "exprel": _exprel,
        "clip": _clip,
        "at_least": lambda x, low: where(x >= low, x, low),
        "int": torch.trunc,
    }


@lru_cache
def number_functions(dtype: torch.dtype) -> dict[str, Any]:
    """Functions of tensors, or of numbers alone such as the learning rate."""
    of_tensors = dict(functions(dtype))

    def either(name: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if any(isinstance(argument, torch.Tensor) for argument in arguments):
                return of_tensors[name](*arguments)
            with np.errstate(all="ignore"):
                return float((int if name == "int" else getattr(np, name))(*arguments))

        return call

    of_tensors["int"] = lambda x: x.to(dtype) if x.dtype is torch.bool else torch.trunc(x)
    return {**of_tensors, **{name: either(name) for name in FUNCTIONS}}


@lru_cache(maxsize=4096)
def _code(text: str) -> CodeType:
    return compile(elementwise(expression(text)), "<neuron>", "eval")


def _value(node: ast.expr, values: dict[str, Any]) -> Any:
    return eval(_code(ast.unparse(node)), functions(values[DELIVERED].dtype), values)


def evaluate(node: ast.expr, values: Mapping[str, Any], dtype: torch.dtype) -> torch.Tensor:
    """An expression of tensors and numbers."""
    return eval(_code(ast.unparse(node)), functions(dtype), dict(values))


def _run(statements: Sequence[Assign], values: dict[str, Any]) -> None:
    for statement in statements:
        values[statement.target] = _value(statement.value, values)


def tensors(
    program: Program, repeats: int, order: np.ndarray | None, dtype: torch.dtype, device: torch.device
) -> dict[str, Any]:
    """The program's constants: numbers, and tensors (samples * neurons,) where there is one value per neuron."""
    result: dict[str, Any] = {}
    for name, value in program.constants.items():
        if value.ndim == 0:
            result[name] = float(value)
        else:
            field = torch.as_tensor(value if order is None else value[order], dtype=dtype, device=device)
            result[name] = field.repeat(repeats)
    return result


def run_plain(
    program: Program,
    delivered: torch.Tensor,
    constants: Mapping[str, Any],
    *,
    reset_kept: bool,
    record: Mapping[str, list[torch.Tensor]] | None = None,
    draws: Draws | None = None,
) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Run a sequence.

    Parameters
    ----------
    program : Program
    delivered : torch.Tensor, shape (steps, neurons), or (steps, ports*neurons)
    constants : mapping
        From `tensors`.
    reset_kept : bool
        Whether the spike that resets passes gradient.
    record : mapping, optional
        Names of the program -> lists, which their values are appended to, one tensor (neurons,) per step.
    draws : Draws, optional
        Of a program that draws random numbers.

    Returns
    -------
    spikes : torch.Tensor, shape (steps, neurons), or None
        None for a filter.
    membrane : torch.Tensor, shape (steps, neurons)
        Before the reset.
    """
    like = delivered[0, : delivered.shape[1] // program.ports]
    state, since = plain_start(program, like)
    each = {s: constants[initial_name(s)] for s, value in program.initial.items() if isinstance(value, np.ndarray)}
    state |= each  # in the order of memory
    spikes, membranes = [], []
    for t, x in enumerate(delivered):
        drawn = constants if draws is None else {**constants, **draws.functions(t, like)}
        values, state, since = plain_step(program, x, drawn, state, since, reset_kept=reset_kept)
        membranes.append(values[program.membrane])
        for name, kept in (record or {}).items():
            kept.append(torch.as_tensor(values[name]).detach().expand_as(like))
        if program.spike is not None:
            spikes.append(values["spike"])
    return torch.stack(spikes) if spikes else None, torch.stack(membranes)


def plain_start(
    program: Program, like: torch.Tensor, order: np.ndarray | None = None
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """State variables, and steps since the last spike, at the start of a trial.

    ``like``: shape (samples*neurons,); ``order``: which neuron lies at each place in memory.
    """
    state = {}
    for s in program.states:
        value = program.initial[s]
        if isinstance(value, np.ndarray):
            each = torch.as_tensor(value if order is None else value[order]).to(like)
            state[s] = each.repeat(like.numel() // each.numel())
        else:
            state[s] = torch.full_like(like, value)
    return state, torch.full(like.shape, 1 << 30, dtype=torch.int32, device=like.device)


def plain_step(
    program: Program,
    x: torch.Tensor,
    constants: Mapping[str, Any],
    state: Mapping[str, torch.Tensor],
    since: torch.Tensor,
    *,
    reset_kept: bool,
) -> tuple[dict[str, Any], dict[str, torch.Tensor], torch.Tensor]:
    """One step: all values by name (``"spike"`` among them), the new state and the steps since the last spike.

    ``x``: what arrives, shape (neurons,) or (ports*neurons,).
    ``constants``: also the functions that draw (`Draws.functions`).
    """
    values: dict[str, Any] = {**constants, "not_refractory": since >= program.refractory_steps}
    values |= zip(program.inputs, x.view(program.ports, -1), strict=True) if program.ports > 1 else {DELIVERED: x}
    x = values[DELIVERED]
    values |= {name: state[s] for s, name in program.states.items()}
    _run(program.body, values)
    new = {s: _value(before, values) for s, before in program.before.items()}
    spike = program.spike
    if spike is not None:
        fired = _value(spike.fires, values)
        with torch.no_grad():
            psi = _value(spike.psi, values)
        out = values["spike"] = _Spike.apply(values[spike.distance], fired, psi)
        _run(spike.reset, values)
        for s, after in spike.after.items():
            reset = torch.as_tensor(_value(after, values), dtype=x.dtype, device=x.device)
            if reset_kept:  # adds 0, with a gradient
                step = (out - out.detach()) * (reset - new[s]).detach()
                new[s] = torch.where(fired, reset, new[s]) + step
            else:
                new[s] = torch.where(fired, reset, new[s])
        since = torch.where(fired, torch.ones_like(since), since + 1)
    new = {s: torch.as_tensor(value, dtype=x.dtype, device=x.device).expand_as(x) for s, value in new.items()}
    values |= {at_end(s): value for s, value in new.items()}
    return values, new, since
