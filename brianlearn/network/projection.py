"""Projections: the synapses from one population to another."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import SpecError
from brianlearn.network.connections import AllToAll, Connection
from brianlearn.network.connectivity import Connectivity
from brianlearn.network.initial import Init
from brianlearn.network.population import check_name
from brianlearn.network.storable import Storable

if TYPE_CHECKING:
    from brianlearn.network.connections.base import Shape
    from brianlearn.network.layers import Layer, Readout
    from brianlearn.network.population import Population
    from brianlearn.network.spec import NetworkSpec

__all__ = ["Projection"]


@dataclass(frozen=True, eq=False)
class Projection(Storable):
    """The synapses from one population to another.

    Parameters
    ----------
    name : str
        Also that of its weights, everywhere: files, state dicts, both engines.
    source, target : str
        Names of populations.
    connection : Connection, optional
        Which synapses there are; all to all where it is not given.
    weights : Init, optional
        Initial weights; those of the kind of connection where it is not given.
    learned : bool, optional
        Whether rules change the weights. Weights onto readouts are a rule's business.

    Attributes
    ----------
    layer : Layer, Readout or Population
        What has the neurons of the target. This and the following are known of the projections of a `NetworkSpec`.
    in_shape, out_shape : tuple of int
        Shapes of the two populations.

    Raises
    ------
    SpecError
    """

    name: str
    source: str
    target: str
    connection: Connection = field(default_factory=AllToAll)
    weights: Init | None = None
    learned: bool = True

    def __post_init__(self) -> None:
        owner = f"projection {self.name!r}"
        check_name(owner, self.name)
        for end in ("source", "target"):
            if not isinstance(getattr(self, end), str):
                raise SpecError(
                    owner, f"{end} is no name", got=repr(getattr(self, end)), expected="the name of a population"
                )
        if not isinstance(self.connection, Connection):
            raise SpecError(
                owner,
                "connection is of the wrong type",
                got=repr(self.connection),
                expected="a kind of connection, e.g. bl.AllToAll() or bl.Sparse(0.1)",
            )
        if self.weights is not None and not isinstance(self.weights, Init):
            raise SpecError(
                owner,
                "weights is of the wrong type",
                got=repr(self.weights),
                expected="bl.Normal(...), bl.Uniform(...)",
            )
        if not isinstance(self.learned, bool):
            raise SpecError(owner, "learned is wrong", got=repr(self.learned), expected="True or False")

    # what is known of the projections of a network -------------------------------------------------------------------

    @property
    def layer(self) -> Any:
        """What has the neurons of the target: a layer, readout or population."""
        return self._placed("layer")

    @property
    def in_shape(self) -> tuple[int, ...]:
        """Shape of the source."""
        return tuple(self._placed("source"))

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of the target."""
        return tuple(self._placed("target"))

    def _placed(self, what: str) -> Any:
        try:
            return self.__dict__["_network"][what]
        except KeyError:
            raise SpecError(
                f"projection {self.name!r}",
                "it is not part of a network yet",
                expected="a projection of spec.projections",
            ) from None

    def placed(self, layer: Layer | Readout | Population, source: Shape, target: Shape) -> Projection:
        """The projection as part of a network, between populations of these shapes.

        Parameters
        ----------
        layer : Layer, Readout or Population
        source, target : tuple of int
            Shapes.

        Returns
        -------
        Projection
        """
        found = copy.copy(self)
        found.__dict__["_network"] = {"layer": layer, "source": source, "target": target}
        found.__dict__.pop("connectivity", None)
        found.connection.check(self.name, source, target)
        return found

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """Shape of the weights: (out, in), (out, in, kh, kw), ..."""
        return self.connection.weight_shape(self.in_shape, self.out_shape)

    @property
    def n_pre(self) -> int:
        """Number of presynaptic neurons."""
        return prod(self.in_shape)

    @property
    def n_post(self) -> int:
        """Number of postsynaptic neurons."""
        return prod(self.out_shape)

    @property
    def n_weights(self) -> int:
        """Number of different weights."""
        return prod(self.weight_shape)

    @cached_property
    def connectivity(self) -> Connectivity:
        """Its synapses; their list is made when it is asked for."""
        return Connectivity(self.connection, self.in_shape, self.out_shape)

    def draw(self, rng: np.random.Generator, spec: NetworkSpec) -> np.ndarray:
        """Initial weights.

        Parameters
        ----------
        rng : numpy.random.Generator
        spec : NetworkSpec

        Returns
        -------
        numpy.ndarray
        """
        if self.weights is None:
            return self.connection.draw(rng, self.in_shape, self.out_shape)
        shape, fan_in = self.weight_shape, self.connection.fan_in(self.in_shape, self.out_shape)
        drawn = self.weights.of(self, spec, rng)
        by_shape = prod(shape[1:])  # what distributions take for the number of weights of a neuron
        if fan_in != by_shape and self.weights.by_fan_in:
            drawn = drawn * np.sqrt(by_shape / fan_in)
        return drawn
