"""Initial weights."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from brianlearn.citing import papers
from brianlearn.errors import ShapeError, SpecError
from brianlearn.network.checks import is_number
from brianlearn.network.samples.arrays import numbers
from brianlearn.network.storable import Storable

if TYPE_CHECKING:
    from brianlearn.network.spec import NetworkSpec, Projection

__all__ = ["Array", "Constant", "Init", "Normal", "Orthogonal", "Scaled", "Uniform"]


class Init(Storable, ABC, abstract=True):
    """Base class of initial weights, for `Dense`, `Conv` and `Readout`.

    A subclass draws an array of a shape. What depends on more than the shape (neuron, time step, name of the layer)
    replaces `of`, which calls `draw`.

    Attributes
    ----------
    needs_neuron : bool
        Of a class: whether it is for spiking neurons alone, which have a membrane and a threshold.
    by_fan_in : bool
        Of a class: whether weights are scaled by the number of weights of a neuron.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import brianlearn as bl
    >>> @dataclass(frozen=True)
    ... class LogNormal(bl.Init):
    ...     '''Positive weights, as of excitatory synapses (Song et al. 2005).'''
    ...     mean: float = -1.0
    ...     spread: float = 0.5
    ...
    ...     def draw(self, rng, shape):
    ...         return rng.lognormal(self.mean, self.spread, shape)
    >>> LogNormal().draw(np.random.default_rng(0), (2, 3)).shape
    (2, 3)
    """

    #: Whether it is for spiking neurons alone, which have a membrane and a threshold.
    needs_neuron: ClassVar[bool] = False
    #: Whether weights are scaled by the number of weights of a neuron, which of sparse connections is no axis of them.
    by_fan_in: ClassVar[bool] = False

    @abstractmethod
    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw an array whose first axis is the output.

        Parameters
        ----------
        rng : numpy.random.Generator
            From the seed and the layer's name.
        shape : tuple of int
            (out, in), or (out, in, kernel, kernel) of a convolution.

        Returns
        -------
        numpy.ndarray
            Finite real numbers of this shape.

        Raises
        ------
        SpecError, ShapeError
            A shape that it cannot draw.
        """

    def of(self, projection: Projection, spec: NetworkSpec, rng: np.random.Generator) -> np.ndarray:
        """The initial weights of one layer of a network.

        Parameters
        ----------
        projection : Projection
        spec : NetworkSpec
        rng : numpy.random.Generator
            From the seed and the layer's name.

        Returns
        -------
        numpy.ndarray
            Of the shape of the projection's weights.

        Raises
        ------
        SpecError, ShapeError
            What the layer cannot have.
        """
        return self.draw(rng, projection.weight_shape)

    def scaled(self, gain: float) -> Init:
        """Initial weights that are ``gain`` times as large.

        Parameters
        ----------
        gain : float

        Returns
        -------
        Init
        """
        return Scaled(self, gain)


@dataclass(frozen=True)
class Scaled(Init):
    """Other initial weights times a number.

    Parameters
    ----------
    init : Init
    gain : float
    """

    init: Init
    gain: float

    @property
    def needs_neuron(self) -> bool:  # type: ignore[override]
        """As the weights that are scaled."""
        return self.init.needs_neuron

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return self.gain * self.init.draw(rng, shape)

    def of(self, projection: Projection, spec: NetworkSpec, rng: np.random.Generator) -> np.ndarray:
        return self.gain * self.init.of(projection, spec, rng)


def _check_scale(owner: object, name: str, value: object, low: float | None = 0.0) -> None:
    if not (is_number(value) and (low is None or value >= low)):
        expected = "a finite number" if low is None else f"a finite number >= {low:g}"
        raise SpecError(type(owner).__name__, f"{name} is wrong", got=repr(value), expected=expected)


@dataclass(frozen=True)
class Normal(Init):
    """Initial weights from N(0, std = scale/sqrt(fan_in)).

    Parameters
    ----------
    scale : float
        Not below 0, dimensionless; divided by the root of the number of weights of a neuron.

    Raises
    ------
    SpecError
        What is no number >= 0.
    """

    scale: float = 2.0
    by_fan_in: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_scale(self, "scale", self.scale)

    def scaled(self, gain: float) -> Init:
        return dataclasses.replace(self, scale=gain * self.scale)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return rng.normal(0.0, self.scale / np.sqrt(np.prod(shape[1:])), shape)


@dataclass(frozen=True)
class Uniform(Init):
    """Initial weights from U(-scale/sqrt(fan_in), scale/sqrt(fan_in)).

    Parameters
    ----------
    scale : float
        Not below 0, dimensionless; divided by the root of the number of weights of a neuron.

    Raises
    ------
    SpecError
        What is no number >= 0.
    """

    scale: float = 1.0
    by_fan_in: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_scale(self, "scale", self.scale)

    def scaled(self, gain: float) -> Init:
        return dataclasses.replace(self, scale=gain * self.scale)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        bound = self.scale / np.sqrt(np.prod(shape[1:]))
        return rng.uniform(-bound, bound, shape)


@dataclass(frozen=True)
class Constant(Init):
    """The same initial weight everywhere.

    Parameters
    ----------
    value : float
        Of every weight, dimensionless.

    Raises
    ------
    SpecError
        What is no number.
    """

    value: float

    def __post_init__(self) -> None:
        _check_scale(self, "value", self.value, None)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, float(self.value))


@dataclass(frozen=True, eq=False)
class Array(Init):
    """Initial weights that are given.

    Parameters
    ----------
    values : array_like
        Of the shape of the layer's weights, (out, in) or (out, in, kernel, kernel); finite.

    Raises
    ------
    SpecError
        What are no finite real numbers.
    ShapeError
        When the network is initialised: the shape of another layer.
    """

    values: Any

    def __post_init__(self) -> None:
        given = numbers("Array", "values", self.values, "finite weights", error=SpecError)
        array = np.array(given, dtype=np.float64)  # a copy: nobody else can change it
        if not np.isfinite(array).all():
            raise SpecError("Array", "values are not finite", got="NaN or infinity", expected="finite weights")
        array.flags.writeable = False
        object.__setattr__(self, "values", array)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        if self.values.shape != tuple(shape):
            raise ShapeError(
                "Array", "the initial weights are of another shape", got=self.values.shape, expected=tuple(shape)
            )
        return self.values.copy()


@dataclass(frozen=True)
class Orthogonal(Init):
    """Rows (or columns, where there are fewer of them) that are orthogonal and of length ``gain``.

    Kernels count as rows of in x kernel x kernel weights.

    Parameters
    ----------
    gain : float
        Not below 0.

    Raises
    ------
    SpecError
        What is no number >= 0.

    References
    ----------
    A. Saxe, J. McClelland, S. Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks, ICLR 2014.
    """

    references = (papers.ORTHOGONAL,)

    gain: float = 1.0

    def __post_init__(self) -> None:
        _check_scale(self, "gain", self.gain)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        rows, columns = shape[0], int(np.prod(shape[1:]))
        q, r = np.linalg.qr(rng.normal(size=(max(rows, columns), min(rows, columns))))
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)  # uniform over all of them: the sign of a factor is free
        return self.gain * (q if rows >= columns else q.T).reshape(shape)
