"""Populations: neurons of one kind, an encoder's inputs, or a readout without spikes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from brian2 import second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.errors import SpecError, UnitError
from brianlearn.network.checks import is_number
from brianlearn.network.connections.base import whole
from brianlearn.network.encoders import Encoder
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.storable import Storable
from brianlearn.network.taking import take_quantity
from brianlearn.network.unit_names import quantity_text

__all__ = ["LinearReadout", "Population"]

DROPOUT = ("trial", "step")


@dataclass(frozen=True, eq=False)
class LinearReadout(Storable):
    """Units without spikes: y[t] = x[t], the weighted sum of what arrives, or leaky, y[t] = exp(-dt/tau) y[t-1] + x[t].

    Parameters
    ----------
    tau : brian2.Quantity, optional
        Time constant of a leaky readout; memoryless where it is not given.
    """

    tau: Any = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "tau", readout_tau(self.tau))


def readout_tau(tau: Any) -> Any:
    """The time constant of a readout, checked; None stays."""
    if tau is None:
        return None
    tau = take_quantity("readout", "tau", tau)
    if get_dimensions(tau) is not second.dim:
        raise UnitError("readout", "tau has the wrong unit", got=quantity_text(tau), expected="a time, e.g. 10*ms")
    if not float(tau) > 0:
        raise SpecError("readout", "tau is wrong", got=tau, expected="a time > 0")
    return tau


@dataclass(frozen=True, eq=False)
class Population(Storable):
    """Neurons of one kind.

    Parameters
    ----------
    name : str
    shape : int or tuple of int, optional
        (n,), or (channels, height, width). May be left out where a projection onto the population says it: a
        convolution, a pool.
    neuron : Neuron, Encoder or LinearReadout
        What the population is made of: spiking neurons; an input, whose values an encoder turns into spikes; a readout,
        which fires no spikes.
    dropout : float, optional
        Probability with which a neuron's spikes are dropped while learning; spiking neurons only.
    dropout_every : {"trial", "step"}, optional
        Whether the neurons that are dropped are drawn once for a whole trial, or anew in each of its steps.

    Raises
    ------
    SpecError
    """

    name: str
    shape: Any = None
    neuron: Neuron | Encoder | LinearReadout | None = None
    dropout: float = 0.0
    dropout_every: str = "trial"

    def __post_init__(self) -> None:
        owner = f"population {self.name!r}"
        check_name(owner, self.name)
        if isinstance(self.shape, Neuron | Encoder | LinearReadout) and self.neuron is None:
            object.__setattr__(self, "neuron", self.shape)
            object.__setattr__(self, "shape", None)
        if self.shape is not None:
            shape = tuple(self.shape) if isinstance(self.shape, Sequence | np.ndarray) else (self.shape,)
            object.__setattr__(self, "shape", tuple(whole(owner, "shape", n, 1) for n in shape))
            if not self.shape:
                raise SpecError(owner, "shape is empty", expected="e.g. 100 or (1, 28, 28)")
        if not isinstance(self.neuron, Neuron | Encoder | LinearReadout):
            raise SpecError(
                owner,
                "neuron is of the wrong type",
                got=repr(self.neuron),
                expected="a neuron, e.g. bl.CubaLIF(), an encoder, e.g. bl.PoissonEncoder(), or bl.LinearReadout()",
            )
        if self.is_input and self.shape is None:
            raise SpecError(owner, "an input has no shape", expected="bl.Population(name, shape, encoder)")
        if not (is_number(self.dropout) and 0 <= self.dropout < 1):
            raise SpecError(owner, "dropout is wrong", got=self.dropout, expected="a probability in [0, 1)")
        if self.dropout and not self.is_spiking:
            raise SpecError(owner, "only spiking neurons drop out", got=f"dropout={self.dropout}", expected="0")
        if self.dropout_every not in DROPOUT:
            raise SpecError(owner, "dropout_every is wrong", got=repr(self.dropout_every), expected="'trial' or 'step'")

    @property
    def is_input(self) -> bool:
        """Whether it is an input."""
        return isinstance(self.neuron, Encoder)

    @property
    def is_spiking(self) -> bool:
        """Whether it is made of neurons that fire."""
        return isinstance(self.neuron, Neuron)

    @property
    def is_readout(self) -> bool:
        """Whether it is a readout."""
        return isinstance(self.neuron, LinearReadout)

    @property
    def n(self) -> int:
        """Number of neurons, or units."""
        assert self.shape is not None
        return prod(self.shape)


def check_name(owner: str, name: object) -> None:
    """Refuse a name that cannot be that of a population or projection."""
    if not isinstance(name, str) or not name.isidentifier() or name.startswith("_"):
        raise SpecError(
            owner,
            "the name cannot be used",
            got=repr(name),
            expected="letters, digits and '_', starting with a letter",
        )
