"""The nodes and edges of a network as a NIR graph, and its weights back from such nodes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from brianlearn.errors import SpecError
from brianlearn.interop.by_trial import package
from brianlearn.interop.nir.closing import closing
from brianlearn.interop.nir.connection_nodes import Writer, as_matrix, matrix_back, writer_of
from brianlearn.interop.nir.discretisation import node_parameters, readout_parameters
from brianlearn.interop.nir.flat import flat, kind_of
from brianlearn.interop.nir.membrane import membrane_of
from brianlearn.interop.nir.names import fresh, nir_name
from brianlearn.interop.nir.paths import shapes
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.population import LinearReadout, Population
from brianlearn.network.projection import Projection
from brianlearn.network.spec import NetworkSpec

__all__ = ["Layout"]


class Layout:
    """Nodes and edges of a network.

    Parameters
    ----------
    spec : NetworkSpec
    dt : float
        Time step of the reader, seconds.
    discretisation, gains, soft_reset : object
        As of `to_nir`.
    """

    def __init__(
        self, spec: NetworkSpec, dt: float, discretisation: str, gains: str = "neurons", soft_reset: bool = False
    ) -> None:
        self.spec, self.dt, self.discretisation = spec, dt, discretisation
        self.gains, self.soft_reset = gains, soft_reset
        if spec.timing == "pipelined":
            raise SpecError(
                "to_nir",
                "pipelined timing has no NIR form",
                got="timing='pipelined'",
                expected="timing='same_step' or 'brian2'",
                remedy="dataclasses.replace(spec, timing='same_step'): with frozen weights it fires the same spikes, "
                "layer l earlier by l steps",
            )
        self.every = [q for q in (*spec.projections, *spec.readout_projections) if not q.is_bias]
        self.populations = {p.name: p for p in spec.populations}
        self.parameters: dict[str, tuple[str, dict[str, np.ndarray]]] = {}
        self.factors: dict[str, np.ndarray] = {}
        for p in spec.neurons:
            self._neuron(p)
        for p in spec.populations:
            if isinstance(p.neuron, LinearReadout) and p.neuron.tau is not None:
                made = readout_parameters(float(p.neuron.tau), p.n, discretisation, float(spec.dt), dt)
                self._take_gain(p.name, "LI", made)
        self.shapes = self._shapes()
        self.node_of = self._names()
        self.implicit = self._implicit()

    # neurons ---------------------------------------------------------------------------------------------------------

    def _neuron(self, p: Population) -> None:
        owner, neuron = f"population {p.name!r}", p.neuron
        assert isinstance(neuron, Neuron)
        onto = [q for q in self.every if q.target == p.name]
        variables = list(dict.fromkeys(q.input_variable for q in onto))
        if len(variables) > 1:
            raise SpecError(
                owner,
                "a neuron of NIR has one input",
                got=f"projections onto {', '.join(variables)}",
                expected="projections onto one variable",
            )
        m = membrane_of(owner, neuron, variables[0], p.n, float(self.spec.dt))
        self._check_timing(owner, neuron, variables[0], onto)
        if m.subtracts and not self.soft_reset:
            raise SpecError(
                owner,
                "NIR resets to a value, and this reset subtracts",
                got=f"reset {neuron.reset!r}",
                expected="e.g. reset 'v = 0'",
                remedy="soft_reset=True writes v_threshold minus what is subtracted, for readers that subtract",
            )
        kind, made = node_parameters(owner, m, self.discretisation, float(self.spec.dt), self.dt)
        self._take_gain(p.name, kind, made)

    def _check_timing(self, owner: str, neuron: Neuron, variable: str, onto: list[Projection]) -> None:
        if self.spec.timing != "brian2":
            return
        if variable == neuron.parsed.membrane:
            raise SpecError(
                owner,
                "under this timing a reset wipes what arrives in its step, which no NIR graph says",
                got=f"timing='brian2', inputs onto {variable}",
                expected="a synaptic current, or timing='same_step'",
            )
        biased = [q.name for q in onto if q.bias is not False]
        if biased:
            raise SpecError(
                owner,
                "under this timing a bias begins in the second step, which no NIR graph says",
                got=f"timing='brian2', bias of {', '.join(biased)}",
                expected="projections without a bias, or timing='same_step'",
            )

    def _take_gain(self, name: str, kind: str, p: dict[str, np.ndarray]) -> None:
        """Move the factor of inputs from the neurons to the weights, where it is wanted there."""
        n = len(p["r"])
        wanted = {"r": np.ones(n), "w_in": np.ones(n)}
        if self.gains == "weights" or kind == "IF":
            tau = p.get("tau_mem", p.get("tau", np.ones(n)))
            wanted = {"r": tau / self.dt, "w_in": p.get("tau_syn", np.ones(n)) / self.dt}
        if self.gains != "neurons":
            factor = np.ones(n)
            for field in {"r", "w_in"} & p.keys():
                factor, p[field] = factor * p[field] / wanted[field], wanted[field]
            self.factors[name] = factor
        self.parameters[name] = kind, p

    # shapes and names ------------------------------------------------------------------------------------------------

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of signals: that of the population, or flat where something flat reaches it."""
        found = {name: tuple(p.shape) for name, p in self.populations.items()}
        for name, p in self.populations.items():
            if isinstance(p.neuron, LinearReadout):
                found[name] = (p.n,)
        changed = True
        while changed:
            changed = False
            for q in self.every:
                flat = (prod(found[q.target]),)
                writes_flat = self.writer(q, found).flat or (
                    not self.writer(q, found).images and found[q.source] != found[q.target]
                )
                if found[q.target] != flat and writes_flat:
                    found[q.target], changed = flat, True
        return found

    def writer(self, q: Projection, shapes: Mapping[str, tuple[int, ...]]) -> Writer:
        """How a projection is written."""
        return writer_of(q, shapes[q.source])

    def _names(self) -> dict[str, str]:
        """Population, or projection behind "->", -> name of its node."""
        found: dict[str, str] = {}
        taken: set[str] = {"output"}
        for name, p in self.populations.items():
            if not (isinstance(p.neuron, LinearReadout) and p.neuron.tau is None):
                found[name] = fresh(nir_name(name).replace("/", "."), taken if name != "output" else ())
                taken.add(found[name])
        for q in self.every:
            plain = nir_name(q.name).replace("/", ".")
            found[f"->{q.name}"] = fresh(plain if plain not in taken else f"weights_{plain}", taken)
            taken.add(found[f"->{q.name}"])
        for name in self._outputs():
            free = "output" not in found.values()
            found[f"{name}->"] = "output" if free else fresh(f"output_{nir_name(name)}".replace("/", "."), taken)
            taken.add(found[f"{name}->"])
        return found

    def _outputs(self) -> list[str]:
        """Populations that are outputs: the readouts, else the output, and what leads to nothing."""
        readouts = [p.name for p in self.spec.graph.readouts]
        if readouts:
            return readouts
        leaves = [p.name for p in self.spec.neurons if not any(q.source == p.name != q.target for q in self.every)]
        return list(dict.fromkeys([self.spec.output, *leaves]))

    # delays ----------------------------------------------------------------------------------------------------------

    def lags(self, q: Projection) -> np.ndarray:
        """Steps that spikes take, of every packed weight."""
        more = self.spec.timing == "brian2" and q.target in {p.name for p in self.spec.neurons}
        return q.lags(self.spec.dt) + int(more)

    def _implicit(self) -> set[str]:
        """Projections with a delay of one step that a cycle says already (`brianlearn.interop.nir.closing`)."""
        lags = {q.name: self.lags(q) for q in self.every}
        chosen = {name for name, lag in lags.items() if (lag == 1).all()}
        own = {q.name for q in self.every if q.source == q.target}
        while True:
            leads: dict[str, list[str]] = {}
            for q in self.every:
                if q.name in chosen or (lags[q.name] == 0).any():
                    leads.setdefault(q.source, []).append(q.target)
            starts = list(dict.fromkeys(q.source for q in self.every))
            inputs = [name for name in starts if self.populations[name].is_input]
            found = closing([*inputs, *starts], leads)
            stays = {q.name for q in self.every if q.name in chosen and (q.source, q.target) in found}
            wrong = any(
                (q.source, q.target) in found and (lags[q.name] == 0).any() for q in self.every if q.name not in chosen
            )
            if wrong:
                stays = chosen & own
            if stays == chosen:
                return chosen
            chosen = stays

    # nodes -----------------------------------------------------------------------------------------------------------

    def graph(self, weights: Mapping[str, np.ndarray]) -> Any:
        """The graph with these weights.

        Parameters
        ----------
        weights : mapping

        Returns
        -------
        nir.NIRGraph
        """
        nir = package("nir", "to_nir")
        nodes: dict[str, Any] = {}
        edges: list[tuple[str, str]] = []
        for name, p in self.populations.items():
            if p.is_input:
                nodes[self.node_of[name]] = nir.Input(np.array(self.shapes[name]))
            elif name in self.parameters:
                kind, parameters = self.parameters[name]
                shaped = {field: value.reshape(self.shapes[name]).copy() for field, value in parameters.items()}
                nodes[self.node_of[name]] = getattr(nir, kind)(**shaped)
        outputs = {}
        for name in self._outputs():
            outputs[name] = self.node_of[f"{name}->"]
        for q in self.every:
            end = self.node_of.get(q.target) or outputs[q.target]
            for chain in self.chains(q, weights[q.name], weights.get(f"{q.name}_bias")):
                nodes |= chain
                names = [self.node_of[q.source], *chain, end]
                edges += list(itertools.pairwise(names))
        for name, node in outputs.items():
            nodes[node] = nir.Output(np.array(self.shapes[name]))
            if name in self.node_of:
                edges.append((self.node_of[name], node))
        return _typed(nir.NIRGraph(nodes, edges, type_check=False))

    def chains(self, q: Projection, weights: np.ndarray, bias: np.ndarray | None) -> list[dict[str, Any]]:
        """The ways of a projection, one for each of its delays: name -> node, in order."""
        base, lags = self.node_of[f"->{q.name}"], self.lags(q)
        factor = self.factors.get(q.target, np.ones(1))
        uniform = (factor == factor[0]).all()
        if uniform and factor[0] != 1:
            weights, bias = weights * factor[0], None if bias is None else bias * factor[0]
        if (lags == lags[0]).all() and uniform:
            steps = 0 if q.name in self.implicit else int(lags[0])
            return [self._chain(q, base, steps, self.writer(q, self.shapes), weights, bias)]
        made = []
        for steps in np.unique(lags):
            part = q.connectivity.unpack(np.where(lags == steps, q.connectivity.pack(weights), 0))
            name = base if (lags == lags[0]).all() else f"{base}_after_{steps}"
            chain = self._chain(q, name, int(steps), Writer(as_matrix, matrix_back, flat=True), part, bias)
            if not uniform:
                chain[name].weight = chain[name].weight * factor[:, None]
                if bias is not None:
                    chain[name].bias = chain[name].bias * factor
            made.append(chain)
            bias = None
        return made

    def _chain(
        self, q: Projection, base: str, steps: int, writer: Writer, weights: np.ndarray, bias: np.ndarray | None
    ) -> dict[str, Any]:
        nir, shape = package("nir", "to_nir"), self.shapes[q.source]
        chain: dict[str, Any] = {}
        if steps:
            chain[f"{base}_delay"] = nir.Delay(np.full(shape, steps * self.dt))
        nodes = writer.write(q, weights, bias, shape)
        takes_flat = hasattr(nodes[""], "weight") and np.ndim(nodes[""].weight) == 2
        if (takes_flat or self.shapes[q.target] != shape) and not writer.images and len(shape) > 1:
            chain[f"{base}_flatten"] = nir.Flatten({"input": np.array(shape)}, start_dim=0, end_dim=-1)
            nodes = writer.write(q, weights, bias, (prod(shape),))
        chain |= {base + suffix: node for suffix, node in nodes.items()}
        if writer.images and not writer.flat and len(self.shapes[q.target]) == 1:
            chain[f"{base}_flatten"] = nir.Flatten({"input": np.array(q.out_shape)}, start_dim=0, end_dim=-1)
        return chain

    def weights_in(self, nodes: Mapping[str, Any]) -> dict[str, np.ndarray] | None:
        """The weights of the network in nodes that may be those of its graph; None where they cannot.

        Parameters
        ----------
        nodes : mapping
            Name -> node.

        Returns
        -------
        dict or None
        """
        found: dict[str, np.ndarray] = {}
        for q in self.every:
            base, lags = self.node_of[f"->{q.name}"], self.lags(q)
            several = not (lags == lags[0]).all()
            bases = [f"{base}_after_{steps}" for steps in np.unique(lags)] if several else [base]
            if any(name not in nodes for name in bases):
                return None
            total: np.ndarray | None = None
            bias: np.ndarray | None = None
            for name in bases:
                mine = {s: nodes[name + s] for s in ("", "_scale", "_pool") if name + s in nodes}
                writer = Writer(as_matrix, matrix_back) if several else self.writer(q, self.shapes)
                try:
                    part, own = writer.back(q, mine)
                except (AttributeError, IndexError, ValueError):  # a node of another kind, or of another shape
                    return None
                total, bias = part if total is None else part + total, own if bias is None else bias
            assert total is not None
            found[q.name] = total
            if q.bias is not False:
                if bias is None:
                    return None
                found[f"{q.name}_bias"] = bias
        return found


def _typed(graph: Any) -> Any:
    """A graph whose nodes know their shapes, also where nir does not infer them."""
    flattened = flat(graph)
    found = shapes(flattened)
    for name, node in flattened.nodes.items():
        before = next(iter(flattened.before(name)), None)
        if kind_of(node) in ("Conv1d", "Conv2d", "SumPool2d", "AvgPool2d") and before is not None:
            node.input_type = {"input": np.array(found[before])}
            node.output_type = {"output": np.array(found[name])}
    return graph
