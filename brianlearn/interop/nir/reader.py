"""The populations, projections and weights of a NIR graph, read from its nodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from brian2 import second

from brianlearn.errors import SpecError
from brianlearn.interop.nir.closing import closing
from brianlearn.interop.nir.flat import Flat, kind_of
from brianlearn.interop.nir.names import fresh, spec_name
from brianlearn.interop.nir.neuron_nodes import KINDS, neuron_of, parameters_of
from brianlearn.interop.nir.paths import Path, paths, shapes
from brianlearn.interop.nir.stages import Shape, Stage, as_3d, matrix_of, sparse_of
from brianlearn.network.connections import AllToAll, OneToOne
from brianlearn.network.encoders import Encoder, Spikes
from brianlearn.network.initial import Array
from brianlearn.network.neurons.surrogates import FastSigmoid, Surrogate
from brianlearn.network.population import LinearReadout, Population
from brianlearn.network.projection import Projection

__all__ = ["Options", "Read", "encoder_of", "read"]


@dataclass(frozen=True)
class Options:
    """How a graph is read: see `brianlearn.from_nir`."""

    dt: float
    discretisation: str = "exact"
    soft_reset: bool = False
    at_rest: bool = False
    surrogate: Surrogate = field(default_factory=FastSigmoid)


@dataclass(frozen=True, eq=False)
class Read:
    """What a graph says.

    Attributes
    ----------
    populations, projections : list
    weights : dict
        Name of a projection, or of its bias -> array.
    output : str or None
    nodes : dict
        Node whose weights are those of one projection -> the projection.
    """

    populations: list[Population]
    projections: list[Projection]
    weights: dict[str, np.ndarray]
    output: str | None
    nodes: dict[str, str]


def encoder_of(name: str, given: Any) -> Encoder:
    """The encoder of an input: that which is given, or the one of its name; `Spikes` where nothing is.

    Raises
    ------
    SpecError
    """
    if not isinstance(given, Mapping):
        return Spikes() if given is None else given
    if not isinstance(given.get(name), Encoder):
        raise SpecError(
            "from_nir", f"input {name!r} has no encoder", got=", ".join(given), expected="node -> bl.Encoder"
        )
    return given[name]


def read(graph: Flat, options: Options, encoder: Any = None) -> Read:
    """Populations, projections and weights of a graph.

    Parameters
    ----------
    graph : Flat
    options : Options
    encoder : Encoder or mapping, optional

    Returns
    -------
    Read
    """
    return _Reader(graph, options, encoder).read()


class _Reader:
    def __init__(self, graph: Flat, options: Options, encoder: Any) -> None:
        self.graph, self.options, self.encoder = graph, options, encoder
        self.shapes = shapes(graph)
        self.flat_1d = bool(graph.of_kind("Conv1d"))
        heard = list(dict.fromkeys(name for edge in graph.edges for name in edge))  # files keep no order of nodes
        self.inputs = sorted(graph.of_kind("Input"), key=lambda name: heard.index(name) if name in heard else -1)
        order = ["output", *heard]  # the name that `to_nir` gives to the one that makes predictions
        self.outputs = sorted(graph.of_kind("Output"), key=lambda name: order.index(name) if name in order else -1)
        self.ways = list(paths(graph, self.shapes))
        self.onto_outputs = [way for name in self.outputs for way in self.ways if way.target == name]
        self.neurons = [name for name in heard if kind_of(graph.nodes[name]) in KINDS]
        self.weights: dict[str, np.ndarray] = {}
        self.projections: dict[str, Projection] = {}
        self.nodes: dict[str, str] = {}
        self.gains: dict[str, np.ndarray] = {}
        self.extra_bias: dict[str, np.ndarray] = {}
        self.readouts: list[str] = []

    def shape(self, node: str) -> Shape:
        return as_3d(self.shapes[node]) if self.flat_1d else self.shapes[node]

    def read(self) -> Read:
        self._check_ends()
        readouts = self.readouts = self._readouts()
        populations = [Population(spec_name(n), self.shape(n), encoder_of(n, self.encoder)) for n in self.inputs]
        populations += [self._population(name, False) for name in self.neurons if name not in readouts]
        values = [name for name in readouts if name not in self.neurons]
        for name in readouts:
            memoryless = Population(spec_name(name), self.shape(name), LinearReadout())
            populations.append(memoryless if name in values else self._population(name, True))
        ways = [w for w in self.ways if kind_of(self.graph.nodes[w.target]) in KINDS or w.target in values]
        late = self._late(ways)
        biases = self._biases(ways)
        for way in ways:
            self._project(way, late)
        self._place(biases)
        output = None
        if not readouts:
            heard = [w.source for w in self.onto_outputs if w.source in self.neurons]
            output = spec_name(heard[0]) if heard else None
        return Read(populations, list(self.projections.values()), self.weights, output, self.nodes)

    def _check_ends(self) -> None:
        if not self.inputs:
            raise SpecError("from_nir", "the graph has no input", expected="a nir.Input node")
        if not self.neurons:
            raise SpecError(
                "from_nir",
                "there is no neuron in the graph",
                got=", ".join(dict.fromkeys(map(kind_of, self.graph.nodes.values()))),
                expected=", ".join(f"nir.{kind}" for kind in KINDS),
            )
        for way in self.ways:
            source, target = (self.graph.nodes[name] for name in (way.source, way.target))
            if kind_of(source) in KINDS and not KINDS[kind_of(source)].fires and way.target not in self.outputs:
                raise SpecError(
                    f"node {way.source!r}",
                    f"nir.{kind_of(source)} does not spike, and reaches nir.{kind_of(target)} {way.target!r}",
                    got="a value in every step between two neurons",
                    expected="spikes between neurons; nir.LI and nir.CubaLI lead to outputs",
                    remedy="a synaptic current before a neuron is nir.CubaLIF",
                )
            if way.target in self.outputs and any(s.delay is not None and s.delay.any() for s in way.stages):
                raise SpecError(
                    f"output {way.target!r}",
                    "it is reached after a delay",
                    got=", ".join(s.node for s in way.stages if s.delay is not None),
                    expected="a way without a nir.Delay: outputs are read in the step of the spike",
                )
            if kind_of(source) in KINDS and not KINDS[kind_of(source)].fires and way.core:
                raise SpecError(
                    f"node {way.source!r}",
                    f"there are weights between nir.{kind_of(source)} and the output",
                    got=", ".join(s.node for s in way.core),
                    expected="weights before it",
                )

    def _readouts(self) -> list[str]:
        """Nodes that are readouts, if all outputs are: those that hear weighted spikes, and LI with one tau."""
        leaves: list[str] = []
        if not any(KINDS[kind_of(self.graph.nodes[name])].fires for name in self.neurons):
            return leaves  # what would be a readout is all that there is
        for way in self.onto_outputs:
            neuron = self.graph.nodes.get(way.source)
            if way.source in self.inputs:
                raise SpecError(
                    f"output {way.target!r}",
                    "it hears an input without a neuron between",
                    got=way.source,
                    expected="a way through nir.IF, nir.LIF or nir.CubaLIF",
                )
            if way.core:  # weights behind spikes: a readout without a memory
                leaves.append(way.target)
            elif kind_of(neuron) == "LI" and self._is_leaky_readout(way.source):
                leaves.append(way.source)
            elif not KINDS[kind_of(neuron)].fires:
                leaves.append("")
        leaves = list(dict.fromkeys(leaves))
        spiking = [
            w.source
            for w in self.onto_outputs
            if w.target not in leaves
            and KINDS[kind_of(self.graph.nodes[w.source])].fires
            and not any(o.source == w.source and o.target not in self.outputs for o in self.ways)
        ]
        plain = [name for name in leaves if name in self.outputs]
        if plain and (spiking or "" in leaves):
            raise SpecError(
                f"output {plain[0]!r}",
                "it hears weighted spikes, and another output is something else",
                got=", ".join([*plain, *spiking]),
                expected="readouts alone, or spikes alone",
            )
        sizes = {prod(self.shapes[name]) for name in leaves if name}
        if spiking or "" in leaves or (len(sizes) > 1 and not plain):
            return []
        return leaves

    def _is_leaky_readout(self, name: str) -> bool:
        p = parameters_of(name, self.graph.nodes[name], self.shapes[name])
        tau = p["tau"]
        late = any(s.delay is not None and s.delay.any() for w in self.ways if w.target == name for s in w.stages)
        keeps = self.options.discretisation == "exact" or tau[0] > self.options.dt
        from_zero = not (self.options.at_rest and p["v_leak"].any())
        return bool((tau == tau[0]).all()) and not late and keeps and from_zero

    def _population(self, name: str, as_readout: bool) -> Population:
        node, shape = self.graph.nodes[name], self.shapes[name]
        o = self.options
        if as_readout:
            p = parameters_of(name, node, shape)
            tau = float(p["tau"][0])
            keep = float(np.exp(-o.dt / tau)) if o.discretisation == "exact" else 1 - o.dt / tau
            gain = p["r"] * o.dt / tau * (keep if o.discretisation == "exact" else 1.0)
            if not np.allclose(gain, 1.0, rtol=1e-13, atol=0):
                self.gains[name] = gain
            if p["v_leak"].any():
                self.extra_bias[name] = (1 - keep) * p["v_leak"]
            own = tau if o.discretisation == "exact" else -o.dt / np.log(keep)
            return Population(spec_name(name), self.shape(name), LinearReadout(own * second))
        neuron, gains = neuron_of(
            name,
            node,
            shape,
            dt=o.dt,
            discretisation=o.discretisation,
            soft_reset=o.soft_reset,
            at_rest=o.at_rest,
            surrogate=o.surrogate,
        )
        if gains is not None:
            self.gains[name] = gains
        return Population(spec_name(name), self.shape(name), neuron)

    def _late(self, ways: list[Path]) -> set[tuple[str, str]]:
        """Pairs of nodes between which what takes no time takes a step, because it closes a cycle."""
        leads: dict[str, list[str]] = {}
        for way in ways:
            before, after = way.steps(self.options.dt)
            if (before == 0).any() and (after == 0).any():
                leads.setdefault(way.source, []).append(way.target)
        return closing([*self.inputs, *self.neurons], leads)

    def _with_gain(self, way: Path) -> Path:
        gain = self.gains.get(way.target)
        if gain is None:
            return way
        shape = way.stages[-1].target
        return Path(way.source, way.target, (*way.stages, Stage("", shape, shape, OneToOne(), gain)))

    def _project(self, way: Path, late: set[tuple[str, str]]) -> None:
        scaled = self._with_gain(way)
        connection, weights, steps = scaled.with_delays(self.options.dt)
        native = scaled.own(self.options.dt)
        if way.target in self.readouts and not isinstance(connection, AllToAll):  # readouts are reached all to all
            ends = self.shapes[way.source], self.shapes[way.target]
            weights = np.ascontiguousarray(matrix_of(Stage("", *ends, connection, weights)).toarray())
            connection, native = AllToAll(), None
        node = native.node if native is not None else next((s.node for s in reversed(way.core)), None)
        name = fresh(spec_name(node) if node else _between(way), self.projections)
        if (way.source, way.target) in late and np.min(steps) == 0:
            steps = np.maximum(steps, 1)
        if native is not None:
            self.nodes.setdefault(native.node, name)
        delay = steps * self.options.dt * second
        self.projections[name] = Projection(
            name, spec_name(way.source), spec_name(way.target), connection, Array(weights), delay=delay
        )
        self.weights[name] = weights

    def _biases(self, ways: list[Path]) -> dict[str, list[tuple[Path, np.ndarray, bool]]]:
        """Target -> the biases that reach it: the way, the bias at its end, and whether it is that of its own node."""
        found: dict[str, list[tuple[Path, np.ndarray, bool]]] = {}
        seen: set[tuple[str, ...]] = set()
        for way in map(self._with_gain, ways):
            for k, each in enumerate(way.stages):
                rest = (*(s.node for s in way.stages[k:]), way.target)
                bias = each.bias
                if bias is None or rest in seen:
                    continue
                seen.add(rest)
                own, pushed = way.own(self.options.dt) is each, way.pushed(k)
                found.setdefault(way.target, []).append((way, bias if own else pushed, own))
        return found

    def _place(self, biases: Mapping[str, list[tuple[Path, np.ndarray, bool]]]) -> None:
        """Give every bias to a projection onto its target."""
        for target in {*biases, *self.extra_bias}:
            onto = [q for q in self.projections.values() if q.target == spec_name(target)]
            rest: np.ndarray = np.zeros(prod(self.shapes[target])) + self.extra_bias.get(target, 0.0)
            placed: set[str] = set()
            for way, bias, own in biases.get(target, []):
                name = self.nodes.get(way.native.node) if own and way.native is not None else None
                if name is not None and self.projections[name].target == spec_name(target) and name not in placed:
                    placed.add(name)
                    self._bias(name, bias)
                elif own:
                    rest = rest + way.pushed(next(k for k, s in enumerate(way.stages) if s is way.native))
                else:
                    rest = rest + bias
            if rest.any():
                self._add(target, onto, rest)

    def _bias(self, name: str, bias: np.ndarray) -> None:
        self.projections[name] = dataclasses.replace(self.projections[name], bias=Array(bias))
        self.weights[f"{name}_bias"] = bias

    def _add(self, target: str, onto: list[Projection], rest: np.ndarray) -> None:
        """What is left of biases, onto a projection that has room for one value per neuron."""
        names = [q.name for q in onto]
        room = next((n for n in names if not self.projections[n].connection.bias_by_channel), None)
        if room is None:
            room = names[0]
            q, way = self.projections[room], next(w for w in self.ways if w.target == target)
            source, end = self.shapes[way.source], self.shapes[target]
            connection, weights = sparse_of(matrix_of(Stage("", source, end, q.connection, self.weights[room])))
            old = self.weights.pop(f"{room}_bias", None)
            if old is not None:
                rest = rest + np.repeat(old, prod(end) // len(old))
            self.projections[room] = dataclasses.replace(q, connection=connection, weights=Array(weights), bias=False)
            self.weights[room] = weights
            self.nodes = {node: name for node, name in self.nodes.items() if name != room}
        if f"{room}_bias" in self.weights:
            rest = rest + self.weights[f"{room}_bias"]
        self._bias(room, rest)


def _between(way: Path) -> str:
    """The name of a way without a node that has weights."""
    return f"{spec_name(way.source)}_to_{spec_name(way.target)}"
