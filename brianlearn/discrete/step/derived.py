"""Constants of a program that follow from learned ones: their values, and gradients back to what is learned.

A program computes beforehand what depends on constants alone, in double precision: coefficients of the exact
propagator, ``exp(-dt/tau_m)``. Where a constant is learned, these values are computed anew for each batch, by the
arithmetic that makes them for the Brian2 engine as well, so that both engines fire the same spikes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.step.expressions import evaluate, expression, gradients, names
from brianlearn.network.learned_constants import LearnedConstant
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.neurons.propagator_gradient import PropagatorGradient
from brianlearn.network.neurons.step import neuron_step

__all__ = ["Derived", "changing_values"]

_SEED = "grad__"


def _coefficients(neuron: Neuron, learned: Sequence[str]) -> dict[str, tuple[bool, int, int]]:
    """Coefficients of the propagator that depend on learned constants -> refractory or not, row, column."""
    system = neuron.linear_system if neuron.method_used == "exact" else None
    if system is None or not learned:
        return {}
    gradient, n, found = PropagatorGradient(system, learned), len(system.names), {}
    for prefix, refractory in (("P", False), ("F", True)):
        if refractory and not any(system.frozen):
            continue
        for i, j in gradient.coefficients(refractory):
            row = f"{prefix}_{system.names[i]}"
            found[row if j == n else f"{row}_{system.names[j]}"] = (refractory, i, j)
    return found


def changing_values(neuron: Neuron) -> set[str]:
    """Learned constants of a neuron, and coefficients of its propagator that depend on them."""
    learned = [one.name for one in neuron.learn]
    return {*learned, *_coefficients(neuron, learned)}


def _exponential(matrices: np.ndarray) -> np.ndarray:
    """Of many small matrices at once; spikes do not depend on it."""
    return torch.linalg.matrix_exp(torch.from_numpy(matrices)).numpy()


class Derived:
    """The constants of one population's program that follow from learned ones.

    Parameters
    ----------
    neuron : Neuron
    dt : float
        Seconds.
    constants : sequence of LearnedConstant
        Of the population.
    expressions, base : mapping
        `Program.derived` and `Program.base`.

    Attributes
    ----------
    keys : list of str
        Of what is learned, among the weights.
    names : list of str
        Of the constants that follow.
    """

    def __init__(
        self,
        neuron: Neuron,
        dt: float,
        constants: Sequence[LearnedConstant],
        expressions: Mapping[str, Any],
        base: Mapping[str, np.ndarray],
    ) -> None:
        self.neuron, self.dt, self.constants = neuron, dt, tuple(constants)
        self.keys, self.names = [one.key for one in constants], list(expressions)
        self._expressions, self._base = dict(expressions), dict(base)
        learned = [one.name for one in constants]
        self._places = _coefficients(neuron, learned)
        system = neuron.linear_system if self._places else None
        self._propagator = None if system is None else PropagatorGradient(system, learned)
        changing = {*learned, *self._places}
        #: Name -> its partial derivatives by changing values, times the gradient that comes from outside.
        self._partials = {
            name: list(gradients(node, expression(_SEED), changing)) for name, node in self._expressions.items()
        }

    def reaches(self, name: str) -> bool:
        """Whether a learned constant has an influence on the program.

        Parameters
        ----------
        name : str

        Returns
        -------
        bool
        """
        used = set().union(*(names(node) for node in self._expressions.values()))
        if name in used:
            return True
        system = self.neuron.linear_system if self._places else None
        if system is None:
            return False
        alone, n = PropagatorGradient(system, [name]), len(system.names)
        of_name = {(r, i, j) for r in (False, True) for i, j in alone.coefficients(r) if i <= n}
        return any(self._places.get(coefficient) in of_name for coefficient in used)

    def values(self, base: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Their values.

        Parameters
        ----------
        base : mapping
            From `read`.

        Returns
        -------
        dict of str to numpy.ndarray
            Base units, shape () or (n,).
        """
        return {name: np.asarray(evaluate(node, base), float) for name, node in self._expressions.items()}

    def read(self, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What expressions read.

        Parameters
        ----------
        given : mapping
            Learned constant -> base units, shape () or (n,).

        Returns
        -------
        dict of str to numpy.ndarray
            Constants and coefficients of the propagator, base units.
        """
        step = neuron_step(self.neuron, self.dt, given)
        now = {p.name: p.value if p.shared else np.ravel(p.value) for p in step.parameters}
        return {**self._base, **{name: np.asarray(now[name], float) for name in self._base.keys() & now.keys()}}

    def pull_back(
        self, given: Mapping[str, np.ndarray], base: Mapping[str, np.ndarray], outside: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """From gradients of the constants that follow to those of the learned ones.

        Parameters
        ----------
        given, base : mapping
            As for `read`, and from it.
        outside : mapping
            Constant that follows -> gradient, shape (n,).

        Returns
        -------
        dict of str to numpy.ndarray
            Learned constant -> gradient, base units, shape () or (n,).
        """
        n = self.constants[0].n
        found = {name: np.zeros(n) for name in (*(one.name for one in self.constants), *self._places)}
        for name, gradient in outside.items():
            for source, partial in self._partials[name]:
                found[source] = found[source] + evaluate(partial, {**base, _SEED: gradient})
        for back in self._through_propagator(given, found):
            for name, gradient in back.items():
                found[name] = found[name] + gradient
        return {one.name: found[one.name] if one.per_neuron else found[one.name].sum() for one in self.constants}

    def _through_propagator(
        self, given: Mapping[str, np.ndarray], found: Mapping[str, np.ndarray]
    ) -> list[dict[str, np.ndarray]]:
        """Gradients of constants from those of coefficients, shape (n,): of both propagators."""
        if self._propagator is None:
            return []
        size, n = len(self._propagator.system.names), self.constants[0].n
        values = {name: value for name, (value, _) in self.neuron.parsed.constants.items()} | dict(given)
        alike = not any(np.ndim(value) for value in values.values())
        result = []
        for kind in (False, True):
            gradient = np.zeros((n, size, size + 1))
            for name, (refractory, i, j) in self._places.items():
                if refractory == kind:
                    gradient[:, i, j] = found[name]
            if not gradient.any():
                continue
            if alike:  # one matrix for all
                back = self._propagator.pull_back(values, self.dt, gradient.sum(axis=0), kind, _exponential)
                result.append({name: np.full(n, value / n) for name, value in back.items()})
            else:
                result.append(self._propagator.pull_back(values, self.dt, gradient, kind, _exponential))
        return result

    def tensors(self, parameters: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        """Their values as tensors, shape (n,), in the type of the parameters, with a gradient.

        Parameters
        ----------
        parameters : sequence of torch.Tensor
            The learned numbers, in the order of `keys`.

        Returns
        -------
        dict of str to torch.Tensor
        """
        return dict(zip(self.names, _Derive.apply(self, *parameters), strict=True))

    def given(self, parameters: Sequence[torch.Tensor]) -> dict[str, np.ndarray]:
        """Learned constants in base units, from their numbers.

        Parameters
        ----------
        parameters : sequence of torch.Tensor

        Returns
        -------
        dict of str to numpy.ndarray
        """
        numbers = [parameter.detach().cpu().numpy() for parameter in parameters]
        return {one.name: one.value(array) for one, array in zip(self.constants, numbers, strict=True)}


class _Derive(torch.autograd.Function):
    """From learned numbers to the constants that follow, as one operation of torch."""

    @staticmethod
    def forward(ctx: Any, derived: Derived, *parameters: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ctx.derived, ctx.given, ctx.like = derived, derived.given(parameters), parameters[0]
        n = derived.constants[0].n
        ctx.base = derived.read(ctx.given)
        values = derived.values(ctx.base)
        return tuple(
            torch.as_tensor(np.array(np.broadcast_to(values[name], (n,))), dtype=ctx.like.dtype, device=ctx.like.device)
            for name in derived.names
        )

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
        derived: Derived = ctx.derived
        outside = {
            name: grad.detach().cpu().numpy().astype(np.float64)
            for name, grad in zip(derived.names, grads, strict=True)
            if grad is not None
        }
        found = derived.pull_back(ctx.given, ctx.base, outside)
        return None, *(
            torch.as_tensor(
                np.reshape(found[one.name] * one.unit, one.shape), dtype=ctx.like.dtype, device=ctx.like.device
            )
            for one in derived.constants
        )
