"""Layers: what connects to what, with which neuron."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brianlearn.errors import SpecError
from brianlearn.network.checks import is_number
from brianlearn.network.connections import AllToAll, Connection, Conv2d
from brianlearn.network.connections.base import whole
from brianlearn.network.encoders import Encoder, IntegrateAndFireEncoder
from brianlearn.network.initial import Init, Normal, Uniform
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.population import Population, readout_tau
from brianlearn.network.projection import check_bias
from brianlearn.network.storable import Storable

__all__ = ["Conv", "Dense", "Input", "Layer", "Readout"]


@dataclass(frozen=True)
class Input(Storable):
    """The input of a network.

    Parameters
    ----------
    shape : tuple of int
        (channels, height, width), or (n,) for vectors.
    encoder : Encoder
        How values become spikes.

    Raises
    ------
    SpecError
        A shape that is none; what is no encoder.
    """

    shape: tuple[int, ...]
    encoder: Encoder = IntegrateAndFireEncoder()

    def __post_init__(self) -> None:
        shape = tuple(self.shape) if isinstance(self.shape, Sequence | np.ndarray) else (self.shape,)
        object.__setattr__(self, "shape", tuple(whole("Input", "shape", n, 1) for n in shape))
        if not shape:
            raise SpecError("Input", "shape is empty", expected="e.g. (1, 28, 28)")
        if not isinstance(self.encoder, Encoder):
            raise SpecError("Input", "encoder is of the wrong type", got=repr(self.encoder), expected="an Encoder")
        self.encoder.check()


def _check_weights(owner: str, weights: object) -> None:
    if not isinstance(weights, Init):
        raise SpecError(
            owner,
            "weights is of the wrong type",
            got=repr(weights),
            expected="initial weights: Normal(...), Uniform(...), Array(values), or an object of a subclass of bl.Init",
        )


class Layer(Storable, abstract=True):
    """Base class of layers of spiking neurons.

    A subclass of `Dense` or `Conv` is a layer with defaults of one's own; any other says its ``connection``, and its
    ``shape`` where that does not follow from it.

    Attributes
    ----------
    neuron : Neuron
    dropout : float
        Probability in [0, 1) that a neuron is silent, while the network learns.
    dropout_every : {"trial", "step"}
        How long a mask lasts.
    name : str or None
        That of its population, projection and weights; by its kind and place where it is None.
    weights : Init
    bias : bool or Init
        Whether its neurons have a learned bias, and how it begins (`Projection`).
    kind : str
        Of a class: how names begin.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import brianlearn as bl
    >>> @dataclass(frozen=True, eq=False)
    ... class Hidden(bl.Dense):
    ...     '''A layer of the neurons that are used throughout.'''
    ...     neuron: bl.Neuron = bl.CubaLIF(R=2.0)
    ...     weights: bl.Init = bl.Normal(3.0)
    >>> Hidden(20, dropout=0.1).neuron.input
    'I'
    """

    neuron: Neuron
    dropout: float
    dropout_every: str
    name: str | None
    weights: Init
    kind: str
    bias: Init | bool = False

    @property
    def connection(self) -> Connection:
        """The kind of its connection.

        Raises
        ------
        SpecError
            A layer that does not say it.
        """
        raise SpecError(
            type(self).__name__,
            "the layer does not say how it is connected",
            got="no property `connection`",
            expected="a subclass of bl.Dense or bl.Conv, or a property that returns a kind, e.g. bl.OneToOne()",
        )

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Its shape, where the connection does not say it."""
        return None

    def population(self, name: str) -> Population:
        """Its neurons.

        Parameters
        ----------
        name : str

        Returns
        -------
        Population
        """
        return Population(name, self.shape, self.neuron, self.dropout, self.dropout_every)

    def _check(self) -> None:
        owner = self.name or type(self).__name__
        if not isinstance(self.neuron, Neuron):
            raise SpecError(
                owner, "neuron is of the wrong type", got=repr(self.neuron), expected="a Neuron, e.g. bl.CubaLIF()"
            )
        if not (is_number(self.dropout) and 0 <= self.dropout < 1):
            raise SpecError(owner, "dropout is wrong", got=self.dropout, expected="a probability in [0, 1)")
        if self.dropout_every not in ("trial", "step"):
            raise SpecError(owner, "dropout_every is wrong", got=repr(self.dropout_every), expected="'trial' or 'step'")
        _check_weights(owner, self.weights)
        check_bias(owner, self.bias)
        if self.name is not None and (not self.name.isidentifier() or self.name.startswith(("_", "readout", "input"))):
            raise SpecError(
                owner,
                "the layer's name cannot be used",
                got=repr(self.name),
                expected="letters, digits and '_', not starting with '_', 'readout' or 'input'",
            )


@dataclass(frozen=True, eq=False)
class Dense(Layer):
    """All-to-all connections onto a population of neurons.

    Parameters
    ----------
    size : int
        Number of neurons.
    neuron : Neuron
    dropout : float, optional
        Probability with which a neuron's spikes are dropped while learning.
    weights : Init, optional
        Initial weights; shape (size, n_in).
    name : str, optional
        ``dense1``, ``dense2``, ... where it is not given.
    dropout_every : {"trial", "step"}, optional
        Whether the neurons that are dropped are drawn once for a whole trial, or anew in each of its steps.
    bias : bool or Init, optional
        A learned bias for each neuron: True for one that begins with 0, or its initial values.

    Raises
    ------
    SpecError
        A size that is no whole number >= 1; options of the wrong type.
    """

    size: int
    neuron: Neuron
    dropout: float = 0.0
    weights: Init = Normal(2.0)
    name: str | None = None
    dropout_every: str = "trial"
    bias: Init | bool = False
    kind = "dense"

    def __post_init__(self) -> None:
        whole(self.name or "Dense", "size", self.size, 1)
        self._check()

    @property
    def connection(self) -> Connection:
        return AllToAll()

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.size,)


@dataclass(frozen=True, eq=False)
class Conv(Layer):
    """A convolution, optionally average-pooled, onto a population of neurons (convolution -> pool -> neuron).

    Parameters
    ----------
    channels : int
        Output channels.
    kernel : int
        Side of the square kernel.
    neuron : Neuron
    stride : int, optional
        Of the kernel, in both directions.
    padding : int, optional
        Zeros added on each side.
    pool : int, optional
        Side of the average pool on the synaptic input; a rest that does not fill a window is left out.
    dropout : float, optional
        Probability in [0, 1) that a neuron is silent, while the network learns.
    dropout_every : {"trial", "step"}, optional
        How long a dropout mask lasts.
    weights : Init, optional
        Initial kernels; shape (channels, in, kernel, kernel).
    name : str, optional
        ``conv1``, ``conv2``, ... where it is not given.
    bias : bool or Init, optional
        A learned bias for each channel: True for one that begins with 0, or its initial values.

    Raises
    ------
    SpecError
        Numbers that are not whole, or too small; options of the wrong type.
    """

    channels: int
    kernel: int
    neuron: Neuron
    stride: int = 1
    padding: int = 0
    pool: int = 1
    dropout: float = 0.0
    weights: Init = Uniform(1.0)
    name: str | None = None
    dropout_every: str = "trial"
    bias: Init | bool = False
    kind = "conv"

    def __post_init__(self) -> None:
        owner = self.name or "Conv"
        for field in ("channels", "kernel", "stride", "pool"):
            whole(owner, field, getattr(self, field), 1)
        whole(owner, "padding", self.padding, 0)
        self._check()

    @property
    def connection(self) -> Connection:
        return Conv2d(self.channels, self.kernel, self.stride, self.padding, pool=self.pool)


@dataclass(frozen=True, eq=False)
class Readout(Storable):
    """A linear readout without spikes: y[t] = R s[t], or leaky, y[t] = exp(-dt/tau) y[t-1] + R s[t].

    Parameters
    ----------
    classes : int
        Number of outputs, at least 1.
    tau : brian2.Quantity, optional
        Time constant of a leaky readout; memoryless where it is not given.
    weights : Init, optional
        Initial weights; shape (classes, n_in).
    bias : bool or Init, optional
        A bias for each output: True for one that begins with 0, or its initial values. Rules that leave the readout as
        it is leave it, too.

    Raises
    ------
    SpecError
        A size that is no whole number >= 1; what is no time constant.
    """

    classes: int
    tau: Any = None
    weights: Init = Uniform(1.0)
    bias: Init | bool = False

    def __post_init__(self) -> None:
        whole("readout", "classes", self.classes, 1)
        _check_weights("readout", self.weights)
        check_bias("readout", self.bias)
        if self.weights.needs_neuron:
            raise SpecError(
                "readout",
                "these initial weights are for neurons, with a membrane and a threshold",
                got=repr(self.weights),
                expected="e.g. Uniform(1.0)",
            )
        object.__setattr__(self, "tau", readout_tau(self.tau))
