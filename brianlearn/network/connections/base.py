"""What a kind of connection is: which synapses there are between two populations, and which of them share a weight."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import prod
from typing import ClassVar

import numpy as np

from brianlearn.errors import SpecError
from brianlearn.network.storable import Storable

__all__ = ["Connection", "Shape", "pair", "whole"]

#: Shape of a population: (channels, height, width), or (n,).
Shape = tuple[int, ...]


class Connection(Storable, ABC, abstract=True):
    """Base class of kinds of connections.

    A kind says which synapses there are between a source and a target population, and which weight each of them has;
    many may share one. A kind of one's own defines `weight_shape` and `synapses`, and runs on every engine from that
    list alone; what engines know beyond it of the kinds of this package adds speed.

    Attributes
    ----------
    elsewhere : dict of str to str
        Of a class: options that others have, and where they belong.
    factor : float
        What multiplies every weight, e.g. 1/k^2 of an average over k x k.
    shares_weights : bool
        Of a class: whether several synapses may have one weight.
    bias_by_channel : bool
        Of a class: whether the bias of a projection of this kind is one value per channel, else one per neuron.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> from math import prod
    >>> import numpy as np
    >>> import brianlearn as bl
    >>> @dataclass(frozen=True)
    ... class ToNeighbours(bl.Connection):
    ...     '''Each neuron to those at most ``reach`` behind it; one weight for each distance.'''
    ...     reach: int = 2
    ...
    ...     def weight_shape(self, source, target):
    ...         return (self.reach + 1,)
    ...
    ...     def synapses(self, source, target):
    ...         pre, distance = np.divmod(np.arange(prod(source)*(self.reach + 1)), self.reach + 1)
    ...         return pre, (pre + distance) % prod(target), distance
    >>> ToNeighbours().n_synapses((4,), (4,))
    12
    """

    #: Options of layers, which have neurons, and where they belong.
    elsewhere: ClassVar[dict[str, str]] = dict.fromkeys(
        ("neuron", "dropout", "dropout_every"),
        "a connection has no neurons: bl.Conv and bl.Dense are layers, a connection with the neurons behind it; in a "
        "graph they are those of a bl.Population",
    )
    #: What multiplies every weight, e.g. 1/k^2 of an average over k x k.
    factor: float = 1.0
    #: Whether several synapses may have one weight.
    shares_weights: ClassVar[bool] = True
    #: Whether the bias of a projection of this kind is one value per channel, else one per neuron.
    bias_by_channel: ClassVar[bool] = False

    def target_shape(self, owner: str, source: Shape, name: str = "its source") -> Shape | None:
        """The shape that the target has, where it follows from the source's; None where any target will do.

        Errors name the ``owner`` and the source by its ``name``.

        Parameters
        ----------
        owner : str
        source : tuple of int
            Shape: (channels, height, width), or (n,).
        name : str

        Returns
        -------
        tuple of int, or None

        Raises
        ------
        ShapeError
            A source that cannot be connected in this way.
        """
        return None

    def check(self, owner: str, source: Shape, target: Shape) -> None:
        """Check the shapes of both populations.

        Parameters
        ----------
        owner : str
            How errors name it.
        source, target : tuple of int
            Shapes.

        Raises
        ------
        ShapeError
        """

    @abstractmethod
    def weight_shape(self, source: Shape, target: Shape) -> Shape:
        """Shape of the weights; the first axis is the output's where there is one.

        Parameters
        ----------
        source, target : tuple of int
            Shapes of the populations.

        Returns
        -------
        tuple of int
        """

    @abstractmethod
    def synapses(self, source: Shape, target: Shape) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All synapses, in any order.

        Parameters
        ----------
        source, target : tuple of int
            Shapes of the populations.

        Returns
        -------
        pre, post : numpy.ndarray of int, shape (n_synapses,)
            Flat indices of neurons.
        index : numpy.ndarray of int, shape (n_synapses,)
            Which element of the packed weights (see `pack`) each synapse has.
        """

    def n_synapses(self, source: Shape, target: Shape) -> int:
        """How many synapses there are.

        Parameters
        ----------
        source, target : tuple of int
            Shapes of the populations.

        Returns
        -------
        int
        """
        return len(self.synapses(source, target)[0])

    def fan_out(self, source: Shape, target: Shape) -> np.ndarray:
        """How many synapses each neuron of the source has.

        Parameters
        ----------
        source, target : tuple of int
            Shapes of the populations.

        Returns
        -------
        numpy.ndarray of int, shape (n_pre,)
        """
        return np.bincount(self.synapses(source, target)[0], minlength=prod(source))

    def fan_in(self, source: Shape, target: Shape) -> float:
        """Weights that a neuron of the target has, on average.

        Parameters
        ----------
        source, target : tuple of int
            Shapes of the populations.

        Returns
        -------
        float
        """
        return float(prod(self.weight_shape(source, target)[1:]))

    def draw(self, rng: np.random.Generator, source: Shape, target: Shape) -> np.ndarray:
        """Initial weights where a projection says nothing else: N(0, std = 2/sqrt(fan_in)).

        Parameters
        ----------
        rng : numpy.random.Generator
            From the seed and the projection's name.
        source, target : tuple of int
            Shapes of the populations.

        Returns
        -------
        numpy.ndarray
            Of the shape of the weights.
        """
        return rng.normal(0.0, 2.0 / np.sqrt(self.fan_in(source, target)), self.weight_shape(source, target))

    def describe(self) -> str:
        """The kind in a few words, for tables.

        Returns
        -------
        str
        """
        return type(self).__name__

    def pack(self, weights: np.ndarray) -> np.ndarray:
        """Weights as the flat array that the index of synapses goes into.

        Parameters
        ----------
        weights : numpy.ndarray

        Returns
        -------
        numpy.ndarray, shape (n_weights,)
        """
        return np.ascontiguousarray(weights).ravel()

    def unpack(self, packed: np.ndarray, shape: Shape) -> np.ndarray:
        """Inverse of `pack`, of weights of ``shape``.

        Parameters
        ----------
        packed : numpy.ndarray, shape (n_weights,)
        shape : tuple of int

        Returns
        -------
        numpy.ndarray
        """
        return packed.reshape(shape).copy()


def whole(owner: str, name: str, value: object, low: int) -> int:
    """A whole number >= low, or an error that names it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise SpecError(owner, f"{name} is wrong", got=repr(value), expected=f"a whole number >= {low}")
    return int(value)


def pair(owner: str, name: str, value: object, low: int) -> tuple[int, int]:
    """One whole number for both axes, or one each."""
    values = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(values) != 2:
        raise SpecError(owner, f"{name} is wrong", got=repr(value), expected="a whole number, or two: (height, width)")
    return whole(owner, name, values[0], low), whole(owner, name, values[1], low)
