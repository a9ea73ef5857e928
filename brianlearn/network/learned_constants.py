"""The learned constants of a network: their place among the weights, their bounds, their values with units."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Quantity, second
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension

from brianlearn.errors import WeightsError
from brianlearn.network.initial import Init
from brianlearn.network.neurons.learned import LEAST, Learned, keeps_sign, unit_of
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.population import Population
from brianlearn.network.unit_names import quantity_text

__all__ = ["LearnedConstant", "constant_values", "learned_constants_of"]


@dataclass(frozen=True, eq=False)
class LearnedConstant:
    """A learned constant of one population.

    Attributes
    ----------
    population : str
    declared : Learned
    n : int
        Neurons of the population.
    dimensions : brian2 Dimension
    start : numpy.ndarray
        The neuron's constant, base units; shape () or (n,).
    unit : float
        What the number 1 stands for, base units.
    low, high : float
        Bounds, in units; infinite where there is none.
    """

    population: str
    declared: Learned
    n: int
    dimensions: Dimension
    start: np.ndarray
    unit: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """Of the constant."""
        return self.declared.name

    @property
    def key(self) -> str:
        """Its name among the weights."""
        return f"{self.population}.{self.name}"

    @property
    def per_neuron(self) -> bool:
        """Whether each neuron has a value of its own."""
        return self.declared.per == "neuron"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of its numbers among the weights: (n,), or (1,) for one that is shared."""
        return (self.n,) if self.per_neuron else (1,)

    def value(self, numbers: np.ndarray) -> np.ndarray:
        """Numbers among the weights as values in base units, float64; shape (n,), or () for one that is shared."""
        values = np.asarray(numbers, np.float64).reshape(self.shape) * self.unit
        return values if self.per_neuron else values[0]

    def quantity(self, numbers: np.ndarray) -> Any:
        """The same with its unit."""
        found = self.value(numbers)
        value: Any = found if found.ndim else float(found)
        return value if self.dimensions is DIMENSIONLESS else Quantity(value, dim=self.dimensions)

    def initial(self, seed: int) -> np.ndarray:
        """Its first numbers, float64, within the bounds.

        Raises
        ------
        WeightsError
            What an `Init` draws that are no finite numbers of the shape.
        """
        how, rng = self.declared.initial, np.random.default_rng([seed, zlib.crc32(self.key.encode())])
        if isinstance(how, Init):
            drawn = np.asarray(how.draw(rng, self.shape))
            if drawn.shape != self.shape or drawn.dtype.kind not in "fiu" or not np.isfinite(drawn).all():
                raise WeightsError(
                    f"{type(how).__name__}, {self.key}",
                    "the initial values cannot be used",
                    got=f"{drawn.dtype}, shape {drawn.shape}",
                    expected=f"finite numbers, shape {self.shape}",
                )
            return np.clip(drawn.astype(np.float64), self.low, self.high)
        if how == "uniform":
            return rng.uniform(self.low, self.high, self.shape)
        if how == "log-uniform":
            least, most = (float(np.log(end)) for end in sorted((abs(self.low), abs(self.high))))
            return np.clip(np.sign(self.low) * np.exp(rng.uniform(least, most, self.shape)), self.low, self.high)
        return np.broadcast_to(self.start / self.unit, self.shape).astype(np.float64)

    def bounds_text(self) -> str:
        """The bounds with their unit."""
        ends = (end * self.unit for end in (self.low, self.high))
        low, high = (quantity_text(end, self.dimensions) if np.isfinite(end) else "no end" for end in ends)
        return f"{low} to {high}"

    def text(self) -> str:
        """How descriptions of the network name it."""
        return f"{self.name} per neuron" if self.per_neuron else self.name


def learned_constants_of(p: Population, dt: float) -> tuple[LearnedConstant, ...]:
    """The learned constants of a population.

    Parameters
    ----------
    p : Population
    dt : float
        Seconds; a time without bounds stays at least as long, if it is.

    Returns
    -------
    tuple of LearnedConstant
    """
    if not isinstance(p.neuron, Neuron):
        return ()
    found = []
    for one in p.neuron.learn:
        value, dim = p.neuron.parsed.constants[one.name]
        unit = unit_of(p.name, p.neuron, one)
        low, high = -np.inf, np.inf
        if keeps_sign(p.neuron, one.name):
            least = LEAST if dim is not second.dim or (value < dt).any() else dt / unit
            low, high = (least, np.inf) if (value > 0).all() else (-np.inf, -least)
        ends = [None if end is None else float(end) / unit for end in one.ends]
        low, high = (given if given is not None else own for given, own in zip(ends, (low, high), strict=True))
        found.append(LearnedConstant(p.name, one, p.n, dim, np.ravel(value) if value.ndim else value, unit, low, high))
    return tuple(found)


def constant_values(
    constants: tuple[LearnedConstant, ...], population: str, weights: Mapping[str, Any] | None = None
) -> dict[str, np.ndarray]:
    """Values of the learned constants of one population.

    Parameters
    ----------
    constants : tuple of LearnedConstant
        Of a network.
    population : str
    weights : mapping, optional
        Key -> numbers; those of the neuron where they are not given.

    Returns
    -------
    dict of str to numpy.ndarray
        Name -> base units, shape (n,), or () for one that is shared.
    """
    found = {}
    for one in constants:
        if one.population == population:
            values = np.broadcast_to(one.start, one.shape if one.per_neuron else ())
            found[one.name] = values if weights is None else one.value(weights[one.key])
    return found
