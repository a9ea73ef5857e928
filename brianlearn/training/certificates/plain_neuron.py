"""Neurons in plain torch, read from their own texts: what certificates compare engines with.

The texts are those that Brian2 runs (`neuron_step`, or Brian2's state updater), evaluated statement by statement on
tensors (samples, neurons) of double precision. Nothing here knows programs, kernels, or their derivatives: torch's
autograd follows the statements, and without it they are functions that differences can be taken of.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np
import torch
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS

from brianlearn.network.neurons import philox
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.neurons.noise import SEEDED, SeededTexts
from brianlearn.network.neurons.statements import assignments, expression
from brianlearn.network.neurons.step import neuron_step
from brianlearn.network.population import Population

__all__ = ["Fired", "PlainNeuron"]

Tensor = torch.Tensor
#: Points and weights by which the integral of a surrogate derivative is computed, between 0 and 1.
_POINTS, _WEIGHTS = (np.polynomial.legendre.leggauss(8)[0] + 1) / 2, np.polynomial.legendre.leggauss(8)[1] / 2


def _double(x: Any) -> Tensor:
    return torch.as_tensor(x, dtype=torch.float64)


def _clip(x: Any, low: Any, high: Any) -> Tensor:
    x, low, high = map(_double, (x, low, high))
    return torch.where(x < low, low, torch.where(x > high, high, x))


def _exprel(x: Tensor) -> Tensor:
    tiny = x.abs() < 1e-16
    safe = torch.where(tiny, torch.ones_like(x), x)
    return torch.where(tiny, torch.ones_like(x), torch.expm1(safe) / safe)


def _of_tensors(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    return lambda *arguments: function(*map(_double, arguments))


def _drawn(function: Callable[..., np.ndarray]) -> Callable[..., Tensor]:
    def call(*where: Any) -> Tensor:
        given = (each.detach().numpy() if isinstance(each, Tensor) else each for each in where)
        return _double(np.asarray(function(*given), np.float64))

    return call


_BY_NAME = (
    "exp expm1 log log10 log1p sqrt sin cos tan sinh cosh tanh arcsin arccos arctan abs sign floor ceil logical_not"
)
_FUNCTIONS: dict[str, Any] = {
    "__builtins__": {"__import__": __import__},  # what torch loads when an operation first needs it
    **{name: _of_tensors(getattr(torch, name)) for name in _BY_NAME.split()},
    "logical_not": torch.logical_not,
    "both": torch.logical_and,
    "either": torch.logical_or,
    "exprel": _of_tensors(_exprel),
    "clip": _clip,
    "int": lambda x: torch.trunc(_double(x)),
    **{
        seeded: _drawn(getattr(philox, name))
        for seeded, name in zip(SEEDED.values(), ("uniform", "normal", "poisson"), strict=True)
    },
}


class _Elementwise(ast.NodeTransformer):
    """``and``, ``or`` and ``not`` of tensors, which Python would want to be one truth value."""

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        first, *others = map(self.visit, node.values)
        name = "both" if isinstance(node.op, ast.And) else "either"
        for other in others:
            first = ast.Call(ast.Name(name, ast.Load()), [first, other], [])
        return first

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.op, ast.Not):
            return ast.Call(ast.Name("logical_not", ast.Load()), [self.visit(node.operand)], [])
        return ast.UnaryOp(node.op, self.visit(node.operand))


@lru_cache(maxsize=4096)
def _code(text: str) -> CodeType:
    tree = ast.Expression(_Elementwise().visit(expression(text)))
    return compile(ast.fix_missing_locations(tree), "<neuron>", "eval")


class _Values(dict[str, Any]):
    """Values by name; subexpressions are computed from what their variables are when they are read."""

    def __init__(self, values: Mapping[str, Any], subexpressions: Mapping[str, str]) -> None:
        super().__init__(values)
        self.subexpressions = subexpressions

    def __missing__(self, name: str) -> Any:
        if name in self.subexpressions:
            return self.value(self.subexpressions[name])
        raise KeyError(name)

    def value(self, text: str) -> Any:
        return eval(_code(text), _FUNCTIONS, self)

    def copied(self) -> _Values:
        return _Values(self, self.subexpressions)


class Fired:
    """What a population did in a step.

    Attributes
    ----------
    spikes : torch.Tensor, shape (samples, neurons)
        0 or 1, with the surrogate as derivative; or smooth around these (`PlainNeuron.fire`).
    fired : torch.Tensor of bool
    x, psi : torch.Tensor
        Distance to the threshold in units of ``v_scale``, and the surrogate derivative there.
    gate : torch.Tensor
        1, or 0 where the floor acted.
    """

    def __init__(self, spikes: Tensor, fired: Tensor, x: Tensor, psi: Tensor, gate: Tensor) -> None:
        self.spikes, self.fired, self.x, self.psi, self.gate = spikes, fired, x, psi, gate


class PlainNeuron:
    """The neurons of one population during a batch of trials.

    Parameters
    ----------
    p : Population
    dt : float
        Seconds.
    samples, n_steps : int
        Trials, and steps of each.
    constants : mapping
        Learned constants, base units.
    noise : numpy.ndarray of int64, shape (samples, 2), or None
        Keys of random numbers.
    pipelined : bool
        Which random numbers of subexpressions an update draws (`SeededTexts.update`).
    """

    def __init__(
        self,
        p: Population,
        dt: float,
        samples: int,
        n_steps: int,
        constants: Mapping[str, np.ndarray],
        noise: np.ndarray | None,
        *,
        pipelined: bool,
    ) -> None:
        neuron = p.neuron
        assert isinstance(neuron, Neuron)
        self.neuron, self._parsed = neuron, neuron.parsed
        texts = SeededTexts(neuron, n_steps)
        step = texts.step(neuron_step(neuron, dt, constants))
        self._exact = step.update is not None
        self._update = step.update if step.update is not None else texts.update(inlined=pipelined)
        self._floor, self._reset = step.floor, texts.reset
        self._distance, self._psi = (next(assignments(line))[1] for line in step.psi.split("\n"))
        membrane, threshold = texts.seeded(f"{self._parsed.membrane}\0{self._parsed.threshold}", "threshold").split(
            "\0"
        )
        self._membrane, self._fires = membrane, f"({membrane}) > ({threshold})"
        period = 0 if neuron.refractory is None else int((float(neuron.refractory) + 1e-3 * dt) / dt)
        self._period = max(1, period)
        self._frozen = set()
        if neuron.refractory is not None:
            flags = {name: self._parsed.equations[name].flags for name in self._parsed.state_names}
            self._frozen = {name for name, each in flags.items() if "unless refractory" in each}
        known: dict[str, Any] = {name: float(unit) for name, unit in DEFAULT_UNITS.items()}
        known |= {name: float(constant.value) for name, constant in DEFAULT_CONSTANTS.items()}
        known |= {name: _double(np.asarray(value, float)) for name, (value, _) in self._parsed.constants.items()}
        known |= {name: _double(np.asarray(value, float)) for name, value in constants.items()}
        known |= {parameter.name: _double(np.ravel(parameter.value)) for parameter in step.parameters}
        known |= {"i": np.arange(p.n), "dt": dt, "N": float(p.n)}
        if noise is not None:
            known |= {f"noise_key_{k}": noise[:, k, None] for k in (0, 1)}
        self._known, self._subexpressions = known, texts.subexpressions
        self._state = self.initial(samples, p.n)
        self._since = torch.full((samples, p.n), 1 << 30)
        self._ready = torch.ones((samples, p.n), dtype=torch.bool)
        self._values = _Values(known, self._subexpressions)

    def initial(self, *shape: int) -> dict[str, Tensor]:
        """State variables at the start of a trial."""
        starts = {name: _double(np.asarray(self.neuron.initial_of(name), float)) for name in self._parsed.state_names}
        return {name: value.expand(shape).clone() for name, value in starts.items()}

    def _run(self, values: _Values, code: str, *, conditional: bool = False) -> None:
        for target, node in assignments(code):
            new = values.value(ast.unparse(node))
            if conditional and target in self._frozen:
                new = torch.where(values["not_refractory"], _double(new), values[target])
            values[target] = new

    def begin(self, t: int) -> None:
        """Start a step: who is refractory, and what is constant over the step."""
        self._ready = self._since >= self._period
        self._values = _Values({**self._known, **self._state}, self._subexpressions)
        self._values |= {"not_refractory": self._ready, "t_in_timesteps": t}
        for name in self.neuron.held:
            self._values[name] = self._values.value(self._subexpressions[name])

    def receive(self, arrived: Sequence[Any]) -> None:
        """Deliver what arrives in this step before it is integrated, one tensor for each input variable."""
        for variable, sums in zip(self.neuron.inputs, arrived, strict=True):
            new = self._values[variable] + sums * float(np.asarray(self.neuron.unit_of(variable)))
            if variable in self._frozen:
                new = torch.where(self._ready, new, self._values[variable])
            self._values[variable] = new

    def fire(self, base: Fired | None = None) -> Fired:
        """Integrate, and compare with the threshold.

        Parameters
        ----------
        base : Fired, optional
            What the real network did. Spikes are then smooth: fired + S(x) - S(x_base), with the integral S of the
            surrogate derivative, and a floor acts where it did: many membranes lie on theirs exactly. Differences of
            this network are what back-propagation with surrogate derivatives computes.
        """
        values = self._values
        self._run(values, self._update, conditional=not self._exact)
        gate = torch.ones_like(self._since, dtype=torch.float64)
        if self._floor is not None and base is None:
            self._run(values, self._floor, conditional=not self._exact)
            gate = _double(values["gate"]).expand(gate.shape)
        elif self._floor is not None and base is not None:
            gate, name = base.gate, self._parsed.membrane
            bounded = torch.where(gate > 0, values[name], float(np.asarray(self.neuron.floor)))
            free = not self._exact and name in self._frozen
            values[name] = torch.where(self._ready, bounded, values[name]) if free else bounded
        x = _double(values.value(ast.unparse(self._distance))).expand(gate.shape)

        def psi(at: Tensor) -> Tensor:
            own = values.copied()
            own["x_psi"] = at
            return _double(own.value(ast.unparse(self._psi))).expand(at.shape)

        with torch.no_grad():
            slope = psi(x)
            fired = values.value(self._fires) & self._ready if base is None else base.fired
        if base is None:
            spikes = fired + slope * (x - x.detach())
        else:
            moved = x - base.x
            spikes = fired + moved * sum(w * psi(base.x + u * moved) for u, w in zip(_POINTS, _WEIGHTS, strict=True))
        return Fired(spikes, fired, x, slope, gate)

    def deliver_after(self, arrived: Sequence[Any], done: Fired) -> None:
        """Deliver after the threshold and before the reset, as Brian2's own schedule does."""
        takes = self._ready & ~done.fired
        for variable, sums in zip(self.neuron.inputs, arrived, strict=True):
            new = self._values[variable] + sums * float(np.asarray(self.neuron.unit_of(variable)))
            if variable in self._frozen:
                new = torch.where(takes, new, self._values[variable])
            self._values[variable] = new

    def reset(self, done: Fired, *, kept: bool) -> None:
        """End a step; ``kept``: the spike that resets passes gradient."""
        after = self._values.copied()
        self._run(after, self._reset)
        part = done.spikes if kept else done.fired.double()
        for name, before in self._state.items():
            value, new = _double(self._values[name]), _double(after[name])
            changed = new is not value
            self._state[name] = (part * new + (1 - part) * value if changed else value).expand(before.shape)
        self._since = torch.where(done.fired, torch.ones_like(self._since), self._since + 1)

    def integrated(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A step of any state, of neurons that are not refractory, without spikes: for eligibility traces."""
        values = _Values({**self._known, **state}, self._subexpressions)
        values["not_refractory"] = torch.ones((), dtype=torch.bool)
        self._run(values, self._update)
        like = next(iter(state.values()))
        return {name: _double(values[name]).expand(like.shape) for name in state}
