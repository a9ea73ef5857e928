"""The network: a chain of layers, or any graph of populations, and time."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from brian2 import ms, second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.errors import (
    ArgumentError,
    BrianLearnWarning,
    ShapeError,
    SpecError,
    UnitError,
    WeightsError,
    did_you_mean,
)
from brianlearn.network.connections.base import Connection
from brianlearn.network.encoders import Encoder
from brianlearn.network.graph import Graph
from brianlearn.network.layers import Input, Layer, Readout
from brianlearn.network.learned_constants import LearnedConstant, learned_constants_of
from brianlearn.network.neurons.dynamics import dynamics_warnings
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.population import LinearReadout, Population
from brianlearn.network.projection import ALWAYS, Projection
from brianlearn.network.storable import Storable
from brianlearn.network.taking import take_quantity
from brianlearn.network.unit_names import quantity_text

__all__ = ["NetworkSpec", "Projection"]

#: The order of what happens in a time step (docs/schedule.md).
TIMINGS = ("same_step", "brian2", "pipelined")


@dataclass(frozen=True, eq=False, init=False)
class NetworkSpec(Storable):
    """A spiking network: a chain of layers, or populations and the projections between them.

    Parameters
    ----------
    input : Input, optional
        With ``layers`` and ``readout``, the short way to a chain: ``NetworkSpec(input, layers, readout, ...)``. Its
        populations are ``input``, the layers by name, and ``readout``; each projection has the name of its target.
    layers : sequence of Dense and Conv, optional
        From the input on; at least one.
    readout : Readout, optional
        Without one, the last layer is the output.
    duration : brian2.Quantity
        Length of a trial (one presentation of one sample), a whole number of steps.
    dt : brian2.Quantity, optional
        Time step.
    burn_in : brian2.Quantity, optional
        Start of a trial that neither the prediction nor the loss uses.
    timing : {"same_step", "brian2", "pipelined"}, optional
        The order within a time step (docs/schedule.md). ``"same_step"``: a spike reaches the next layer within the step
        in which it was fired. ``"brian2"``: the order of Brian2's own schedule; spikes are delivered after all
        thresholds and before all resets, so that what they do is seen in the next step. ``"pipelined"``: all layers
        deliver before they integrate, in the next step (chains only).
    populations, projections : sequence of Population, of Projection
        In the place of a chain: any graph, with a delay in every cycle (but under the timing ``"brian2"``). The first
        readout that is declared is the output that makes predictions; where there is none, the one population that
        leads to nothing.
    output : str, optional
        Without a readout, the population that is the output, where several lead to nothing, or none.
    declared : Graph, optional
        For copies: the populations and projections, checked, of a network that is declared by them.

    Attributes
    ----------
    graph : Graph
        Populations and projections of either form.
    made_from_fields : bool
        Of a class: its ``__init__`` takes its fields, so that files can hold it.

    Raises
    ------
    ShapeError
        Shapes that do not fit, naming the layer or projection.
    SpecError, UnitError
    """

    input: Input
    layers: Sequence[Layer]
    readout: Readout | None
    duration: Any
    dt: Any
    burn_in: Any
    timing: str
    declared: Graph | None
    made_from_fields: ClassVar[bool] = True

    def __init__(
        self,
        input: Input | None = None,
        layers: Sequence[Layer] = (),
        readout: Readout | None = None,
        duration: Any = None,
        dt: Any = 1 * ms,
        burn_in: Any = 0 * ms,
        timing: str = "same_step",
        declared: Graph | None = None,
        *,
        populations: Sequence[Population] | None = None,
        projections: Sequence[Projection] | None = None,
        output: str | None = None,
    ) -> None:
        if duration is None:
            raise ArgumentError(
                "NetworkSpec", "duration is missing", got="no duration", expected="the length of a trial, e.g. 40*ms"
            )
        values: dict[str, Any] = dict(duration=duration, dt=dt, burn_in=burn_in, timing=timing)
        if populations is not None or projections is not None:
            chain = {"input": input, "layers": layers or None, "readout": readout}
            given = [name for name, value in chain.items() if value is not None]
            if given and declared is None:
                raise SpecError(
                    "NetworkSpec",
                    "it is a chain or a graph",
                    got=f"{', '.join(given)} beside populations and projections",
                    expected="input, layers and readout, or populations and projections",
                )
            old_populations, old_projections = (declared.populations, declared.projections) if declared else ((), ())
            declared = Graph(
                old_populations if populations is None else populations,
                old_projections if projections is None else projections,
                output=declared.output if declared is not None and output is None else output,
            )
        elif output is not None:
            raise SpecError(
                "NetworkSpec",
                "output belongs to populations and projections",
                got=f"output={output!r} beside layers",
                expected="the last layer, or the readout, is the output of a chain",
            )
        values["declared"] = declared
        if declared is None:
            values |= dict(input=input, layers=layers, readout=readout)
        else:
            values |= dict(input=None, layers=(), readout=None)
        for name, value in values.items():
            object.__setattr__(self, name, value)
        if declared is None:
            self._check_chain()
        else:
            self._read_graph(declared)
        self._check()

    def _read_graph(self, graph: Graph) -> None:
        """What a chain has as well: the input, and the readout that makes predictions."""
        first = graph.fed[0]
        assert isinstance(first.neuron, Encoder)
        object.__setattr__(self, "input", Input(first.shape, first.neuron))
        if graph.readouts:
            output = graph.readouts[0]
            object.__setattr__(self, "readout", Readout(output.n, graph.tau_of(output.name)))

    def _check_chain(self) -> None:
        if not isinstance(self.layers, Sequence):
            raise SpecError(
                "NetworkSpec", "layers is not a list", got=repr(self.layers), expected="a list such as [bl.Dense(...)]"
            )
        object.__setattr__(self, "layers", tuple(self.layers))
        if not isinstance(self.input, Input):
            raise SpecError("NetworkSpec", "input is of the wrong type", got=repr(self.input), expected="bl.Input(...)")
        if not self.layers:
            raise SpecError("NetworkSpec", "there are no layers", expected="at least one Dense or Conv")
        for layer in self.layers:
            if not isinstance(layer, Layer):
                raise SpecError(
                    "NetworkSpec",
                    "a layer is of the wrong type",
                    got=repr(layer),
                    expected="bl.Dense(...) or bl.Conv(...)",
                    remedy="a connection alone has no neurons: use bl.Conv(...) or bl.Dense(...), or populations and "
                    "projections (docs/networks.md)"
                    if isinstance(layer, Connection)
                    else None,
                )
        if self.readout is not None and not isinstance(self.readout, Readout):
            raise SpecError(
                "NetworkSpec", "readout is of the wrong type", got=repr(self.readout), expected="bl.Readout(classes)"
            )

    def _check(self) -> None:
        if self.timing not in TIMINGS:
            raise SpecError(
                "NetworkSpec",
                "unknown timing",
                got=repr(self.timing),
                expected=" or ".join(TIMINGS),
                remedy=did_you_mean(self.timing, TIMINGS),
            )
        if self.timing != "brian2":
            self.graph.check_cycles()
        for name in ("dt", "duration", "burn_in"):
            value = take_quantity("NetworkSpec", name, getattr(self, name))
            object.__setattr__(self, name, value)
            if get_dimensions(value) is not second.dim:
                raise UnitError(
                    "NetworkSpec",
                    f"{name} has no unit of time",
                    got=quantity_text(value),
                    expected="a time, e.g. 40*ms",
                )
            if np.ndim(value) or not np.isfinite(float(value)):
                raise SpecError("NetworkSpec", f"{name} is wrong", got=repr(value), expected="one finite time")
        if not float(self.dt) > 0:
            raise SpecError("NetworkSpec", "dt is wrong", got=self.dt, expected="a time > 0")
        for name in ("duration", "burn_in"):
            steps = float(getattr(self, name)) / float(self.dt)
            if abs(steps - round(steps)) > 1e-6 * max(1.0, steps):
                raise SpecError(
                    "NetworkSpec",
                    f"{name} is not a whole number of time steps",
                    got=f"{getattr(self, name)} with dt = {self.dt}",
                    expected=f"a multiple of {self.dt}",
                )
        if self.n_steps < 1 or not 0 <= self.burn_in_steps < self.n_steps:
            raise SpecError(
                "NetworkSpec",
                "duration and burn_in do not fit",
                got=f"duration {self.duration}, burn_in {self.burn_in}",
                expected="0 <= burn_in < duration",
            )
        for q in self.graph.projections:
            delays = q.delays / float(self.dt)
            if (np.abs(delays - np.round(delays)) > 1e-6 * np.maximum(1.0, delays)).any():
                raise SpecError(
                    f"projection {q.name!r}",
                    "delay is not a whole number of time steps",
                    got=f"{q.delay_text} with dt = {self.dt}",
                    expected=f"a multiple of {self.dt}",
                )
        for p in self.graph.inputs:
            if isinstance(p.neuron, Encoder) and p.neuron.makes_its_own:
                p.neuron.own_values(1, p.shape, self.dt)  # looks, and refuses
        if self.timing == "pipelined" and not self.is_chain:
            raise SpecError(
                "NetworkSpec",
                "pipelined timing is for chains of layers",
                got="populations that several projections reach or leave, delays, or biases",
                expected="timing='same_step', or 'brian2'",
            )
        for each in self.neurons if self.timing == "pipelined" else ():
            if isinstance(each.neuron, Neuron) and len(each.neuron.inputs) > 1:
                raise SpecError(
                    f"population {each.name!r}",
                    "under pipelined timing a neuron has one input variable",
                    got=f"input={each.neuron.input!r}",
                    expected="one, or timing='same_step' or 'brian2'",
                )
        self._check_neuron_counts()
        self.learned_constants  # noqa: B018 - looks, and refuses
        self.warnings  # noqa: B018 - looks, and refuses or warns

    @cached_property
    def warnings(self) -> tuple[BrianLearnWarning, ...]:
        """What is suspicious about the neurons at this time step; said when the network is declared."""
        return dynamics_warnings(self)

    @property
    def n_steps(self) -> int:
        """Time steps per trial, T."""
        return round(float(self.duration) / float(self.dt))

    @property
    def burn_in_steps(self) -> int:
        """Time steps that prediction and loss leave out."""
        return round(float(self.burn_in) / float(self.dt))

    def arrival_steps(self, projection: Projection) -> int:
        """Steps from the one in which a spike was fired to the one whose integration hears it.

        Parameters
        ----------
        projection : Projection

        Returns
        -------
        int
            The delay; under the timing ``"brian2"`` one more, because spikes are delivered after the integration.
        """
        return projection.delay_steps(self.dt) + (self.timing == "brian2")

    @cached_property
    def pathways(self) -> tuple[Projection, ...]:
        """The `projections`, those whose delays differ in parts that have one each (`Projection.parts`)."""
        return tuple(part for q in self.projections for part in q.parts(self.dt))

    @cached_property
    def learned_delays(self) -> dict[str, Projection]:
        """Name of learned delays beside the weights -> the projection that has them."""
        return {q.delay_name: q for q in self.projections if q.learns_delays}

    def with_delays(self, delays: Mapping[str, Any]) -> NetworkSpec:
        """A copy with fixed delays in the place of learned ones.

        Parameters
        ----------
        delays : mapping
            Name of a projection -> its delay, as `Projection` takes it.

        Returns
        -------
        NetworkSpec
        """
        if self.declared is None or not delays:
            return self
        projections = [
            dataclasses.replace(q, delay=delays[q.name]) if q.name in delays else q for q in self.declared.projections
        ]
        return dataclasses.replace(self, declared=dataclasses.replace(self.declared, projections=projections))

    def pathways_onto(self, population: str) -> tuple[Projection, ...]:
        """The pathways onto a population that fires.

        Parameters
        ----------
        population : str

        Returns
        -------
        tuple of Projection
        """
        return tuple(q for q in self.pathways if q.target == population)

    @cached_property
    def graph(self) -> Graph:
        """Populations and projections, shapes inferred."""
        return self.declared if self.declared is not None else self._chain()

    def _chain(self) -> Graph:
        """The graph of a chain of layers."""
        counts = dict.fromkeys((layer.kind for layer in self.layers), 0)
        populations = [Population("input", self.input.shape, self.input.encoder)]
        projections: list[Projection] = []
        by_name: dict[str, Layer | Readout] = {}
        for layer in self.layers:
            counts[layer.kind] += 1
            name = layer.name or f"{layer.kind}{counts[layer.kind]}"
            if name in by_name:
                raise SpecError(name, "two layers have this name", expected="different names")
            by_name[name] = layer
            source = populations[-1].name
            projections.append(Projection(name, source, name, layer.connection, layer.weights, bias=layer.bias))
            populations.append(layer.population(name))
        if self.readout is not None:
            last, by_name["readout"] = populations[-1].name, self.readout
            projections.append(
                Projection("readout", last, "readout", weights=self.readout.weights, bias=self.readout.bias)
            )
            populations.append(Population("readout", self.readout.classes, LinearReadout(self.readout.tau)))
        return Graph(populations, projections, by_name)

    @cached_property
    def is_chain(self) -> bool:
        """Whether every population hears one projection and leads to one at most, without delays."""
        every = [*self.graph.between_neurons, *self.graph.onto_readouts]
        if any(q.delayed for q in every):
            return False
        sources, targets = [q.source for q in every], [q.target for q in every]
        return len(set(sources)) == len(sources) and len(set(targets)) == len(targets)

    @cached_property
    def populations(self) -> tuple[Population, ...]:
        """All populations, each behind those that it hears."""
        return tuple(p for name, p in self.graph.by_name.items() if name != ALWAYS)

    @cached_property
    def neurons(self) -> tuple[Population, ...]:
        """The populations that fire, inputs left out, each behind those that it hears."""
        return self.graph.neurons

    @cached_property
    def projections(self) -> tuple[Projection, ...]:
        """The projections onto populations that fire, in the order of these; of a chain one for each layer."""
        return self.graph.between_neurons

    @cached_property
    def readout_projections(self) -> tuple[Projection, ...]:
        """The projections onto readouts."""
        return self.graph.onto_readouts

    @property
    def readout_projection(self) -> Projection | None:
        """The projection onto the readout of a chain; None without a readout."""
        return self.graph.onto_readouts[0] if self.graph.onto_readouts else None

    @property
    def output(self) -> str:
        """The population that makes predictions: the first readout, or the one that leads to nothing."""
        if self.graph.readouts:
            return self.graph.readouts[0].name
        if self.graph.output is not None:
            return self.graph.output
        return next(p.name for p in self.neurons if not any(q.source == p.name != q.target for q in self.projections))

    def onto(self, population: str) -> tuple[Projection, ...]:
        """The projections onto a population.

        Parameters
        ----------
        population : str

        Returns
        -------
        tuple of Projection
        """
        return self.graph.onto(population)

    def readout_of(self, layer: Projection | Population, name: str) -> Projection:
        """A readout of the network's kind that looks at ``layer``, a population (or the target of a projection).

        Parameters
        ----------
        layer : Projection or Population
        name : str
            Of the weights: ``readout_<layer>`` or ``feedback_<layer>``.

        Returns
        -------
        Projection

        Raises
        ------
        SpecError
            A network without a readout.
        """
        if self.readout is None:
            raise SpecError("NetworkSpec", "the network has no readout", remedy="give readout=bl.Readout(classes)")
        source = layer.target if isinstance(layer, Projection) else layer.name
        shape = self.graph.by_name[source].shape
        made = Projection(name, source, name, weights=self.readout.weights)
        return made.placed(self.readout, shape, (self.readout.classes,))

    @property
    def classes(self) -> int:
        """Number of classes that the output tells apart."""
        return self.graph.by_name[self.output].n

    def with_constants(self, **constants: Any) -> NetworkSpec:
        """A copy with other values of neuron constants, in every layer whose neuron has them.

        Parameters
        ----------
        **constants : float or brian2.Quantity
            Name -> value.

        Returns
        -------
        NetworkSpec

        Raises
        ------
        SpecError
            If no neuron has a constant of that name.
        """
        known = {name for part in self.parts.values() for name in part.neuron.constants}
        for name in constants:
            if name not in known:
                raise SpecError(
                    "NetworkSpec",
                    f"no neuron has a constant {name!r}",
                    expected=", ".join(sorted(known)) or "none",
                    remedy=did_you_mean(name, known),
                )
        changed = {}
        for name, part in self.parts.items():
            mine = {k: v for k, v in constants.items() if k in part.neuron.constants}
            neuron = part.neuron.with_constants(**mine) if mine else part.neuron
            changed[name] = dataclasses.replace(part, neuron=neuron)
        return self.with_parts(changed)

    @cached_property
    def learned_constants(self) -> tuple[LearnedConstant, ...]:
        """The constants of neurons that back-propagation learns, in the order of the populations."""
        return tuple(one for p in self.neurons for one in learned_constants_of(p, float(self.dt)))

    def values_of_constants(self, weights: Mapping[str, Any]) -> dict[str, Any]:
        """The learned constants with their units.

        Parameters
        ----------
        weights : mapping
            Of this network: what is learned of a constant lies there as a number, ``"<population>.<constant>"``.

        Returns
        -------
        dict
            ``"<population>.<constant>"`` -> quantity, one value or one for each neuron.

        Raises
        ------
        WeightsError
            Weights without one of them.
        """
        for one in self.learned_constants:
            if one.key not in weights:
                raise WeightsError(
                    "weights",
                    "they lack a learned constant",
                    got=", ".join(weights) or "nothing",
                    expected=", ".join(each.key for each in self.learned_constants),
                )
        return {one.key: one.quantity(weights[one.key]) for one in self.learned_constants}

    def with_learned_constants(self, weights: Mapping[str, Any]) -> NetworkSpec:
        """A copy whose neurons have the learned values as their constants, and learn none.

        Parameters
        ----------
        weights : mapping
            Of this network.

        Returns
        -------
        NetworkSpec

        Raises
        ------
        WeightsError
            Weights without one of the learned constants.
        """
        values, changed = self.values_of_constants(weights), {}
        for name, part in self.parts.items():
            mine = {one.name: values[one.key] for one in self.learned_constants if one.population == name}
            if mine:
                neuron = dataclasses.replace(part.neuron, constants={**part.neuron.constants, **mine}, learn=())
                changed[name] = dataclasses.replace(part, neuron=neuron)
        return self.with_parts(changed) if changed else self

    @property
    def parts(self) -> dict[str, Any]:
        """What declares the populations that fire, by their names: the layers of a chain, else the populations."""
        if self.declared is None:
            return {p.name: self.graph.layers[p.name] for p in self.neurons}
        return {p.name: p for p in self.declared.populations if p.is_spiking}

    def with_parts(self, changed: Mapping[str, Any]) -> NetworkSpec:
        """A copy with others in the place of some `parts`.

        Parameters
        ----------
        changed : mapping
            Name of a part -> the other one.

        Returns
        -------
        NetworkSpec
        """
        if self.declared is None:
            return dataclasses.replace(self, layers=[changed.get(name, part) for name, part in self.parts.items()])
        populations = [changed.get(p.name, p) for p in self.declared.populations]
        return dataclasses.replace(self, declared=dataclasses.replace(self.declared, populations=populations))

    def check_chain(self, owner: str) -> None:
        """Refuse what is not declared as a chain of layers.

        Parameters
        ----------
        owner : str
            How the error names what needs a chain.

        Raises
        ------
        SpecError
        """
        if self.declared is not None:
            raise SpecError(
                owner,
                "it is for chains of layers",
                got="a network of populations and projections",
                expected="NetworkSpec(input, layers, readout, ...)",
            )

    def describe(self) -> str:
        """A table of layers, shapes and parameter counts.

        Returns
        -------
        str
        """
        title = "layer" if self.declared is None else "population"
        rows: list[tuple[str, ...]] = [(title, "kind", "shape", "neurons", "weights", "neuron, method")]
        total = neurons = constants = 0
        for population in self.populations:
            name, neuron, onto = population.name, population.neuron, self.onto(population.name)
            count, size = f"{population.n}", "" if population.is_input else f"{sum(p.n_weights for p in onto)}"
            total += sum(p.n_weights for p in onto)
            if isinstance(neuron, Neuron):
                neurons += population.n
                kind, last = (
                    self._kind(population, onto),
                    f"{', '.join(neuron.parsed.state_names)}; {neuron.method_used}",
                )
                mine = [one for one in self.learned_constants if one.population == name]
                constants += sum(one.shape[0] for one in mine)
                last += f"; learns {', '.join(one.text() for one in mine)}" if mine else ""
            elif isinstance(neuron, LinearReadout):
                kind = "memoryless" if neuron.tau is None else f"leaky, tau {neuron.tau}"
                if self.declared is not None:
                    kind = f"{kind}; {', '.join(f'{p.name} from {p.source}' for p in onto)}"
                count = last = ""
            else:
                kind, last = type(neuron).__name__, ""
            rows.append((name, kind, _by(population.shape), count, size, last))
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        timing = self.timing.replace("_", "-")
        lines.insert(
            0, f"{self.n_steps} steps of {self.dt} per trial, burn-in {self.burn_in_steps} steps, {timing} timing"
        )
        lines.append(f"{neurons} neurons, {total} weights" + (f", {constants} learned constants" if constants else ""))
        return "\n".join(lines)

    def _kind(self, population: Population, onto: Sequence[Projection]) -> str:
        """What reaches a population, in a word or a list of projections."""
        if self.declared is None:
            text = ", ".join(p.connection.describe() for p in onto)
        else:
            text = ", ".join(
                f"{p.name}: {p.connection.describe()} from {p.source}" + (f" after {p.delay_text}" if p.delayed else "")
                for p in onto
            )
        every = " in each step" if population.dropout_every == "step" else ""
        return text + (f", dropout {population.dropout:g}{every}" if population.dropout else "")

    def _check_neuron_counts(self) -> None:
        for population in self.neurons:
            assert isinstance(population.neuron, Neuron)
            for name, (value, _) in population.neuron.parsed.constants.items():
                if value.ndim and value.size != population.n:
                    raise ShapeError(
                        population.name,
                        f"constant {name!r} does not have one value per neuron",
                        got=f"{value.size} values, shape {value.shape}",
                        expected=f"one value, or {population.n} values, shape {population.shape}",
                    )
            for name in population.neuron.initial:
                values = population.neuron.initial_of(name)
                if values.ndim and values.size != population.n:
                    raise ShapeError(
                        population.name,
                        f"{name!r} does not have one initial value per neuron",
                        got=f"{values.size} values",
                        expected=f"one value, or {population.n} values",
                    )


def _by(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
