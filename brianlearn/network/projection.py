"""Projections: the synapses from one population to another."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import ms, second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.errors import ShapeError, SpecError, UnitError, did_you_mean
from brianlearn.network.connections import AllToAll, Bias, Connection
from brianlearn.network.connections.some import Some
from brianlearn.network.connectivity import Connectivity
from brianlearn.network.initial import Constant, Init
from brianlearn.network.learned_delays import LearnedDelays
from brianlearn.network.population import check_name
from brianlearn.network.samples.arrays import numbers
from brianlearn.network.storable import Storable
from brianlearn.network.taking import take_quantity
from brianlearn.network.unit_names import quantity_text

if TYPE_CHECKING:
    from brianlearn.network.connections.base import Shape
    from brianlearn.network.layers import Layer, Readout
    from brianlearn.network.population import Population
    from brianlearn.network.spec import NetworkSpec

__all__ = ["ALWAYS", "Projection", "check_bias"]

#: The population that fires in every step, the source of biases.
ALWAYS = "always"
#: Signs by name.
SIGNS = {"excitatory": 1.0, "inhibitory": -1.0}


def check_bias(owner: str, bias: object) -> None:
    """Refuse what says nothing about a bias."""
    if not isinstance(bias, bool) and (not isinstance(bias, Init) or bias.needs_neuron):
        raise SpecError(
            owner,
            "bias is wrong",
            got=repr(bias),
            expected="True for a learned bias that begins with 0, initial values such as bl.Constant(0.1) or "
            "bl.Uniform(0.1), or False",
        )


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
    sign : {"excitatory", "inhibitory"} or array_like, optional
        Dale's law: weights >= 0, or <= 0; or 1 and -1 for each neuron of the source. Initial weights take the sign, and
        no update changes it: what would cross 0 becomes 0. Weights of either sign where it is not given.
    delay : brian2.Quantity or LearnedDelays, optional
        A whole number of time steps: what arrives in a step was fired that long before, in the same trial. Cycles of
        projections need one. An array of the weights' shape has one for each weight, and so for each synapse but where
        synapses share a weight: (out, in) all to all; by (pre, post) for `Sparse`. `LearnedDelays` are learned beside
        the weights, and have the name ``<name>_delay``.
    variable : str, optional
        The variable of the target that its spikes increment, one of the neuron's ``input``; the first of them where it
        is not given.
    bias : bool or Init, optional
        A learned bias: True for one that begins with 0, or its initial values. It is the weight of a synapse whose
        source fires in every step, one for each neuron of the target, or for each channel where the connection is a
        convolution, and has the name ``<name>_bias``.

    Attributes
    ----------
    layer : Layer, Readout or Population
        What has the neurons of the target. This and the following are known of the projections of a `NetworkSpec`.
    in_shape, out_shape : tuple of int
        Shapes of the two populations.

    Raises
    ------
    SpecError, UnitError
    ShapeError
        Delays of another shape than the weights, when it becomes part of a network.
    """

    name: str
    source: str
    target: str
    connection: Connection = field(default_factory=AllToAll)
    weights: Init | None = None
    learned: bool = True
    delay: Any = field(default_factory=lambda: 0 * ms)
    sign: Any = None
    bias: Init | bool = False
    variable: str | None = None

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
        self._check_delay(owner)
        self._check_sign(owner)
        check_bias(owner, self.bias)
        if self.variable is not None and not isinstance(self.variable, str):
            raise SpecError(
                owner, "variable is no name", got=repr(self.variable), expected="an input variable of the target"
            )

    def _check_delay(self, owner: str) -> None:
        if self.learns_delays:
            return
        object.__setattr__(self, "delay", take_quantity(owner, "delay", self.delay))
        if get_dimensions(self.delay) is not second.dim:
            raise UnitError(
                owner, "delay has no unit of time", got=quantity_text(self.delay), expected="a time, e.g. 2*ms"
            )
        delays = np.asarray(self.delay, float)
        if not delays.size or not np.isfinite(delays).all() or delays.min() < 0:
            raise SpecError(
                owner,
                "delay is wrong",
                got=repr(self.delay)[:200],
                expected="a time, 0*ms or longer, or one for each weight",
            )

    def _check_sign(self, owner: str) -> None:
        if self.sign is None or (isinstance(self.sign, str) and self.sign in SIGNS):
            return
        wrong = dict(got=repr(self.sign), expected=f"{' or '.join(map(repr, SIGNS))}, or 1 and -1 for each source")
        if isinstance(self.sign, str):
            raise SpecError(owner, "sign is unknown", **wrong, remedy=did_you_mean(self.sign, SIGNS))
        signs = numbers(owner, "sign", self.sign, wrong["expected"], error=SpecError)
        if not signs.size or not np.isin(signs, (1, -1)).all():
            raise SpecError(owner, "sign is wrong", **wrong)
        object.__setattr__(self, "sign", signs.astype(np.int8))

    @property
    def is_bias(self) -> bool:
        """Whether it is the bias of another projection (`of_bias`)."""
        return isinstance(self.connection, Bias)

    @property
    def of_bias(self) -> Projection | None:
        """The projection that is the bias, ``<name>_bias``; None without one."""
        if self.bias is False:
            return None
        weights = Constant(0.0) if self.bias is True else self.bias
        connection = Bias(self.connection.bias_by_channel)
        name = f"{self.name}_bias"
        return Projection(name, ALWAYS, self.target, connection, weights, self.learned, variable=self.variable)

    @property
    def learns_delays(self) -> bool:
        """Whether its delays are learned."""
        return isinstance(self.delay, LearnedDelays)

    @property
    def delay_name(self) -> str:
        """The name under which learned delays lie beside the weights."""
        return f"{self.weights_of}_delay"

    @property
    def delays(self) -> np.ndarray:
        """The delays in seconds, of all synapses or of each weight; of learned ones the shortest and the longest."""
        return np.asarray(self.delay.bounds if self.learns_delays else self.delay, float)

    @property
    def delayed(self) -> bool:
        """Whether something that it delivers was fired in an earlier step."""
        return bool(self.delays.max() > 0)

    @property
    def at_once(self) -> bool:
        """Whether something that it delivers was fired in the same step."""
        return bool(self.delays.min() == 0)

    @property
    def delays_differ(self) -> bool:
        """Whether its synapses have different delays."""
        return bool(self.delays.min() != self.delays.max())

    @property
    def delay_text(self) -> str:
        """The delay for people: one time, or the shortest and the longest one."""
        if self.learns_delays:
            low, high = map(quantity_text, self.delay.bounds)
            return f"{low} to {high}, learned"
        if np.ndim(self.delay) == 0:
            return f"{self.delay}"
        low, high = (quantity_text(f(self.delay)) for f in (np.min, np.max))
        return low if not self.delays_differ else f"{low} to {high}"

    def delay_steps(self, dt: Any) -> int:
        """The delay as a number of time steps, the longest one.

        Parameters
        ----------
        dt : brian2.Quantity or float
            A time, or seconds.

        Returns
        -------
        int
        """
        return round(float(self.delays.max()) / float(dt))

    def lags(self, dt: Any) -> np.ndarray:
        """The delay of every packed weight as a number of time steps.

        Parameters
        ----------
        dt : brian2.Quantity or float
            A time, or seconds.

        Returns
        -------
        numpy.ndarray of int64, shape (n_weights,)
        """
        delays = self.delays if self.delays.ndim else np.full(self.weight_shape, float(self.delays))
        return np.round(self.connection.pack(delays) / float(dt)).astype(np.int64)

    def parts(self, dt: Any) -> tuple[Projection, ...]:
        """The projection as several that have one delay each; itself where all delays are the same.

        Parameters
        ----------
        dt : brian2.Quantity or float
            A time, or seconds.

        Returns
        -------
        tuple of Projection
            ``<name>_after_<steps>``, with the weights of the whole (`weights_of`). Of learned delays each has all
            synapses, and its share of their weights (`LearnedDelays`).
        """
        if not self.delays_differ:
            return (self,)
        learned, found = self.learns_delays, []
        lags = np.arange(self.delay.steps(dt)[0], self.delay.steps(dt)[1] + 1) if learned else self.lags(dt)
        for steps in np.unique(lags):
            part = copy.copy(self)
            own: dict[str, Any] = {"name": f"{self.name}_after_{steps}", "delay": steps * float(dt) * second}
            own |= {"_weights_of": self.name, "_learned": self.delay if learned else None}
            own |= {} if learned else {"connection": Some(self.connection, lags == steps)}
            for name in ("connectivity", "weight_signs"):
                part.__dict__.pop(name, None)
            part.__dict__.update(own)
            found.append(part)
        return tuple(found)

    @property
    def weights_of(self) -> str:
        """The projection whose weights it has: its own name but for `parts`."""
        return str(self.__dict__.get("_weights_of", self.name))

    @property
    def shared_by(self) -> LearnedDelays | None:
        """Of a part (`parts`): the learned delays over which the weights are spread."""
        return self.__dict__.get("_learned")

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

        Raises
        ------
        ShapeError
            Shapes that the connection cannot have, and delays of another shape than the weights.
        SpecError
            A variable that is no input variable of the target.
        """
        found = copy.copy(self)
        found.__dict__["_network"] = {"layer": layer, "source": source, "target": target}
        for name in ("connectivity", "weight_signs"):
            found.__dict__.pop(name, None)
        found.connection.check(self.name, source, target)
        given = self.delay.initial if self.learns_delays else self.delay
        if np.ndim(given) and np.shape(given) != found.weight_shape:
            raise ShapeError(
                f"projection {self.name!r}",
                "its delays do not fit its weights",
                got=f"shape {np.shape(given)}",
                expected=f"one time, or one for each weight: shape {found.weight_shape}",
            )
        found.weight_signs  # noqa: B018 - looks, and refuses
        inputs = found._inputs
        if self.variable is not None and self.variable not in inputs:
            raise SpecError(
                f"projection {self.name!r}",
                "the target has no such input variable",
                got=f"variable={self.variable!r}",
                expected=" or ".join(map(repr, inputs)) or "none: readouts take what arrives as it is",
                remedy=did_you_mean(self.variable, inputs) or "name it in the neuron's input=(..., ...)",
            )
        return found

    @property
    def _inputs(self) -> tuple[str, ...]:
        """The input variables of the target; none of a readout."""
        return getattr(getattr(self.layer, "neuron", None), "inputs", ())

    @property
    def input_variable(self) -> str:
        """The variable of the neurons of the target that its spikes increment."""
        return self.variable or self._inputs[0]

    @property
    def port(self) -> int:
        """Which of the input variables of the target that is; 0 of a readout."""
        return self._inputs.index(self.variable) if self.variable else 0

    @property
    def weight_unit(self) -> float:
        """What a weight of 1 adds to it, in base units."""
        return float(np.asarray(self.layer.neuron.unit_of(self.input_variable)))

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

    @cached_property
    def weight_signs(self) -> np.ndarray | None:
        """The sign of every weight, 1 or -1, of their shape; None where weights may have either.

        Raises
        ------
        SpecError
            Signs of another number of sources, or sources of both signs that share a weight.
        """
        if self.sign is None:
            return None
        if isinstance(self.sign, str):
            return np.full(self.weight_shape, SIGNS[self.sign])
        owner, c = f"projection {self.name!r}", self.connectivity
        if self.sign.size != self.n_pre:
            raise SpecError(owner, "sign does not fit its source", got=self.sign.shape, expected=self.in_shape)
        each = self.sign.ravel()[c.pre]
        packed = np.ones(self.n_weights)
        packed[c.weight] = each
        if (packed[c.weight] != each).any():
            raise SpecError(
                owner,
                "sources of both signs share a weight",
                got=f"{self.connection!r} with an array of signs",
                expected="one sign for all that share a weight, or a connection without shared weights",
            )
        return c.unpack(packed)

    def signed(self, weights: np.ndarray) -> np.ndarray:
        """Weights with the sign of the projection, and their own size.

        Parameters
        ----------
        weights : numpy.ndarray

        Returns
        -------
        numpy.ndarray
        """
        return weights if self.weight_signs is None else np.abs(weights) * self.weight_signs

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
            return self.signed(self.connection.draw(rng, self.in_shape, self.out_shape))
        shape, fan_in = self.weight_shape, self.connection.fan_in(self.in_shape, self.out_shape)
        drawn = self.weights.of(self, spec, rng)
        by_shape = prod(shape[1:])  # what distributions take for the number of weights of a neuron
        if fan_in != by_shape and self.weights.by_fan_in:
            drawn = drawn * np.sqrt(by_shape / fan_in)
        return self.signed(drawn)
