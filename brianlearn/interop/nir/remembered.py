"""What a round trip keeps: the network in a graph's metadata, and the graph from which a network came.

Both are taken for what they say only where they are still true: the network of the metadata must be written as exactly
the nodes and edges of the graph, and the graph that is remembered must be read as exactly the network.
"""

from __future__ import annotations

import copy
import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from brianlearn.errors import BrianLearnError, BrianLearnWarning
from brianlearn.interop.nir.flat import Flat, flat, kind_of
from brianlearn.interop.nir.layout import Layout
from brianlearn.interop.nir.reader import Options, Read, read
from brianlearn.network.spec import NetworkSpec
from brianlearn.telling import tell
from brianlearn.training.serialise import from_dict, to_dict

__all__ = ["rebuilt", "remember", "restored", "said", "signed"]

#: The entry of a graph's metadata, and the attribute of a network's graph.
KEY, _ATTRIBUTE = "brianlearn", "_nir"


@dataclasses.dataclass(frozen=True, eq=False)
class _Remembered:
    graph: Any
    content: Read
    options: Options


# the network in the metadata -----------------------------------------------------------------------------------------


def signed(graph: Any, spec: NetworkSpec, dt: float, discretisation: str, soft_reset: bool) -> None:
    """Put the network into a graph's metadata, where files can hold it."""
    content: dict[str, Any] = {"dt": dt, "discretisation": discretisation, "soft_reset": soft_reset}
    content["duration"] = dt * spec.n_steps
    try:
        content["spec"] = to_dict(_without_arrays(spec))
    except BrianLearnError:  # of classes that no file holds: the nodes say all that others can read
        tell(
            BrianLearnWarning(
                "to_nir",
                "the graph is written without its metadata, from which from_nir has surrogates and encoders: the "
                "network has a part of a class that no file can hold",
            )
        )
    graph.metadata[KEY] = json.dumps(content)


def _without_arrays(spec: NetworkSpec) -> NetworkSpec:
    """Without initial weights, which may be arrays as large as the weights."""
    if spec.declared is None:
        return spec
    bare = [
        dataclasses.replace(q, weights=None, bias=q.bias if isinstance(q.bias, bool) else True)
        for q in spec.declared.projections
    ]
    return dataclasses.replace(spec, declared=dataclasses.replace(spec.declared, projections=bare))


def said(graph: Any) -> dict[str, Any]:
    """What a graph's metadata say of a network; empty where they say nothing."""
    text = getattr(graph, "metadata", None) or {}
    text = text.get(KEY) if isinstance(text, Mapping) else None
    if not isinstance(text, str | bytes):
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        tell(BrianLearnWarning("from_nir", "the metadata of brianlearn in this graph cannot be read, and are left out"))
        return {}
    return found


def restored(
    graph: Any, dt: float | None, discretisation: str | None, soft_reset: bool | None, at_rest: bool | None
) -> tuple[NetworkSpec, dict[str, np.ndarray]] | None:
    """The network of the metadata with the weights of the nodes; None where the graph says something else."""
    kept = said(graph)
    asked = {"dt": dt, "discretisation": discretisation, "soft_reset": soft_reset}
    asked["at_rest"] = at_rest or None  # potentials of a network that was written count from its start
    if "spec" not in kept or any(value is not None and value != kept.get(name) for name, value in asked.items()):
        return None
    try:
        spec = from_dict(kept["spec"], "the metadata of a NIR graph")
        layout = Layout(spec, kept["dt"], kept["discretisation"], "neurons", kept["soft_reset"])
        weights = layout.weights_in(graph.nodes)
        if weights is not None and same_nodes(flat(layout.graph(weights)), flat(graph)):
            return spec, weights
        why = "its nodes were changed"
    except (BrianLearnError, KeyError, TypeError, AttributeError) as error:
        why = " ".join(str(error).split())
    tell(
        BrianLearnWarning(
            "from_nir",
            f"the network in the metadata of this graph is not that of its nodes, which are read instead ({why})",
        )
    )
    return None


def same_nodes(a: Flat, b: Flat) -> bool:
    """Whether two graphs have the same nodes, with the same numbers, and the same edges."""
    if a.nodes.keys() != b.nodes.keys() or set(a.edges) != set(b.edges):
        return False
    return all(_same_node(node, b.nodes[name]) for name, node in a.nodes.items())


def _same_node(a: Any, b: Any) -> bool:
    if kind_of(a) != kind_of(b):
        return False
    one, other = ({k: v for k, v in node.to_dict().items() if k != "metadata"} for node in (a, b))
    return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)


def _same(a: Any, b: Any) -> bool:
    if a is None or b is None or isinstance(a, str | bytes) or isinstance(b, str | bytes):
        return bool(a == b)
    return np.array_equal(np.asarray(a), np.asarray(b))


# the graph of a network ----------------------------------------------------------------------------------------------


def remember(spec: NetworkSpec, graph: Any, content: Read, options: Options) -> None:
    """Let a network know the graph from which it came; copies of it that change no population or projection do, too."""
    spec.graph.__dict__[_ATTRIBUTE] = _Remembered(copy.deepcopy(graph), content, options)


def rebuilt(
    spec: NetworkSpec, weights: Mapping[str, np.ndarray], dt: float, discretisation: str, gains: str, soft_reset: bool
) -> Any:
    """The graph from which a network came, with these weights; None where the network is another one now."""
    kept: _Remembered | None = spec.graph.__dict__.get(_ATTRIBUTE)
    if kept is None or gains != "neurons":
        return None
    o = kept.options
    if (dt, discretisation, soft_reset) != (o.dt, o.discretisation, o.soft_reset) or float(spec.dt) != o.dt:
        return None
    graph = copy.deepcopy(kept.graph)
    nodes = flat(graph).nodes
    for name, projection in kept.content.nodes.items():
        if projection in weights:
            _fill(nodes[name], weights[projection], weights.get(f"{projection}_bias"))
    if not _says(read(flat(graph), o), spec, weights):
        return None
    options = {"dt": dt, "discretisation": discretisation, "soft_reset": soft_reset, "at_rest": o.at_rest}
    graph.metadata[KEY] = json.dumps(options | {"duration": dt * spec.n_steps})
    return graph


def _fill(node: Any, weights: np.ndarray, bias: np.ndarray | None) -> None:
    """Put weights into a node."""
    field = next(f for f in ("weight", "scale", "kernel_size") if hasattr(node, f))
    if field != "kernel_size":
        setattr(node, field, np.asarray(weights).reshape(np.shape(getattr(node, field))))
    if bias is not None and getattr(node, "bias", None) is not None:
        node.bias = np.asarray(bias).reshape(np.shape(node.bias))


def _says(content: Read, spec: NetworkSpec, weights: Mapping[str, np.ndarray]) -> bool:
    """Whether what was read is this network with these weights."""
    mine = {p.name: p for p in spec.populations}
    if {p.name for p in content.populations} != mine.keys() or content.weights.keys() != weights.keys():
        return False
    for p in content.populations:
        if p.is_input or p.shape != mine[p.name].shape:
            if p.is_input and p.shape == mine[p.name].shape and mine[p.name].is_input:
                continue
            return False
        if _bare(p.neuron) != _bare(mine[p.name].neuron):
            return False
    every = {q.name: q for q in (*spec.projections, *spec.readout_projections) if not q.is_bias}
    if {q.name for q in content.projections} != every.keys():
        return False
    return all(_same_projection(q, every[q.name]) for q in content.projections) and all(
        np.array_equal(weights[name], given) for name, given in content.weights.items()
    )


def _same_projection(a: Any, b: Any) -> bool:
    ends = (a.source, a.target) == (b.source, b.target)
    return ends and to_dict(a.connection) == to_dict(b.connection) and np.array_equal(a.delays, b.delays)


def _bare(neuron: Any) -> Any:
    """What decides about spikes: all but the surrogate and what is learned."""
    found = to_dict(neuron)
    return {k: v for k, v in found.items() if k not in ("surrogate", "learn", "v_scale")}
