"""Ways from one population of a NIR graph to the next, through nodes without a state, as one connection each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from brianlearn.errors import DataError, SpecError
from brianlearn.interop.nir.flat import Flat, kind_of
from brianlearn.interop.nir.neuron_nodes import KINDS
from brianlearn.interop.nir.stages import Shape, Stage, as_3d, matrix_of, sparse_of, stage, values
from brianlearn.network.connections import AllToAll, AvgPool2d, Connection, Conv2d, OneToOne, Pooled, Sparse, SumPool2d

__all__ = ["Path", "ends_of", "paths", "shapes"]


def ends_of(graph: Flat) -> list[str]:
    """Where signals come from or end: inputs, neurons and outputs of the whole graph."""
    own = {"Input", "Output", *KINDS}
    return [name for name, node in graph.nodes.items() if name not in graph.ports and kind_of(node) in own]


@dataclass(frozen=True, eq=False)
class Path:
    """One way from a population to another, or to an output.

    Attributes
    ----------
    source, target : str
        Nodes.
    stages : tuple of Stage
    """

    source: str
    target: str
    stages: tuple[Stage, ...]

    @cached_property
    def core(self) -> tuple[Stage, ...]:
        """The stages that are connections."""
        return tuple(s for s in self.stages if s.connection is not None)

    @cached_property
    def _whole(self) -> tuple[Stage, Connection] | None:
        """The one stage that has weights, and the connection that it is with the pools around it."""
        core = list(self.core)
        before = core.pop(0) if len(core) > 1 and _is_pool(core[0]) and core[0].node else None
        if not core or not core[0].node:
            return None
        stage, connection = core[0], core[0].connection
        assert connection is not None
        if len(core) == 2 and isinstance(connection, Conv2d) and _is_pool(core[1]) and len(stage.source) == 3:
            pool = core[1].connection
            assert isinstance(pool, SumPool2d)
            kernel, step, padding, _ = Conv2d(1, pool.kernel, pool.stride or pool.kernel, pool.padding).sides
            average = isinstance(pool, AvgPool2d) and kernel == step and kernel[0] == kernel[1] and padding == (0, 0)
            if not average:
                return None
            sides = (connection.kernel, connection.stride, connection.padding, connection.dilation, connection.groups)
            connection = Conv2d(connection.channels, *sides, pool=kernel[0])
        elif len(core) > 1:
            return None
        if before is None:
            return stage, connection
        if not isinstance(connection, Conv2d | AllToAll) or _is_pool(stage):
            return None
        assert isinstance(before.connection, SumPool2d)
        return stage, Pooled(before.connection, connection)

    @property
    def native(self) -> Stage | None:
        """The stage whose weights are those of the path; None where there are several, or none."""
        return self._whole[0] if self._whole is not None else None

    @cached_property
    def connection(self) -> tuple[Connection, np.ndarray]:
        """What it connects, with which weights; products where several stages have some."""
        core = self.core
        if self._whole is not None:
            return self._whole[1], np.asarray(self._whole[0].weights)
        if len(core) == 1:
            assert core[0].connection is not None
            return core[0].connection, np.asarray(core[0].weights)
        if not core:
            return OneToOne(), np.ones(prod(self.stages[0].source) if self.stages else 1)
        if all(isinstance(s.connection, OneToOne) for s in core):
            return OneToOne(), np.prod([np.asarray(s.weights) for s in core], axis=0)
        return sparse_of(self.matrix(0))

    def matrix(self, first: int) -> Any:
        """The linear map of the stages from one on, as a sparse matrix (targets, sources)."""
        found = None
        for each in self.stages[first:]:
            if each.connection is not None:
                found = matrix_of(each) if found is None else (matrix_of(each) @ found).tocsc()
        return found

    def pushed(self, k: int) -> np.ndarray:
        """What the bias of a stage is at the end of the path."""
        bias, after = self.stages[k].whole_bias, self.matrix(k + 1)
        assert bias is not None
        if bias.any() and any(s.delay is not None and s.delay.any() for s in self.stages[k + 1 :]):
            raise SpecError(
                f"node {self.stages[k].node!r}",
                "a bias is there from the first step on, and cannot be delayed",
                got="a nir.Delay behind it",
                expected="the nir.Delay before it",
            )
        return bias if after is None else after @ bias

    def steps(self, dt: float) -> Any:
        """The delay in time steps: a whole number, or one for each source and one for each target."""
        before, after, seen = np.zeros(1), np.zeros(1), False
        for each in self.stages:
            if each.delay is not None:
                if seen:
                    after = after + each.delay
                else:
                    before = before + each.delay
            elif each.connection is not None:
                if seen and (after != after[0]).any():
                    raise SpecError(
                        f"path from {self.source!r} to {self.target!r}",
                        "a delay between two nodes with weights differs from signal to signal",
                        got=f"{after.min():g} to {after.max():g} s",
                        expected="one delay, or delays at an end of the path",
                    )
                seen = True
                after = after[:1] if len(after) > 1 else after
        return _grid(self, before, dt), _grid(self, after, dt)

    def own(self, dt: float) -> Stage | None:
        """The stage whose weights are those of the path with its delays: `native` where no weights are shared."""
        before, after = self.steps(dt)
        same = bool((before == before[0]).all() and (after == after[0]).all())
        return self.native if same or not self.connection[0].shares_weights else None

    def with_delays(self, dt: float) -> tuple[Connection, np.ndarray, Any]:
        """Connection, weights and delay in steps: a whole number, or one for each weight."""
        connection, weights = self.connection
        before, after = self.steps(dt)
        if (before == before[0]).all() and (after == after[0]).all():
            return connection, weights, int(before[0] + after[0])
        source, target = as_3d(self.stages[0].source), as_3d(self.stages[-1].target)
        if isinstance(connection, OneToOne):
            return connection, weights, before + after
        before, after = (np.broadcast_to(d, prod(shape)) for d, shape in ((before, source), (after, target)))
        if isinstance(connection, AllToAll):
            return connection, weights, before[None, :] + after[:, None]
        if not isinstance(connection, Sparse):  # weights are shared, delays are not
            whole = Stage("", self.stages[0].source, self.stages[-1].target, connection, weights)
            connection, weights = sparse_of(matrix_of(whole))
            if isinstance(connection, AllToAll):
                return connection, weights, before[None, :] + after[:, None]
        pre, post, _ = connection.synapses(source, target)
        return connection, weights, before[pre] + after[post]


def _is_pool(stage: Stage) -> bool:
    return isinstance(stage.connection, SumPool2d)


def _grid(path: Path, delay: np.ndarray, dt: float) -> np.ndarray:
    steps = np.round(delay / dt)
    if (np.abs(delay / dt - steps) > 1e-6 * np.maximum(1.0, steps)).any():
        raise SpecError(
            f"path from {path.source!r} to {path.target!r}",
            "a delay is not a whole number of time steps",
            got=f"{delay.min():g} s" + (f" to {delay.max():g} s" if len(delay) > 1 else "") + f" with dt = {dt:g} s",
            expected=f"a multiple of {dt:g} s",
            remedy="another time step, dt=...",
        )
    return steps.astype(np.int64)


def shapes(graph: Flat) -> dict[str, Shape]:
    """Shapes of what each node gives.

    Raises
    ------
    DataError, ShapeError
        Shapes that do not fit, or are not known; kinds of nodes without a counterpart.
    """
    found: dict[str, Shape] = {}
    for name in graph.of_kind("Input"):
        found[name] = _declared(name, graph.nodes[name].input_type, "input")
    for name, node in graph.nodes.items():
        if kind_of(node) in KINDS and (own := _of_parameters(name, node)) is not None:
            found[name] = own
    waiting = [name for name in graph.nodes if name not in found]
    while waiting:
        ready = [name for name in waiting if any(before in found for before in graph.before(name))]
        if not ready:
            break
        for name in ready:
            node, before = graph.nodes[name], next(b for b in graph.before(name) if b in found)
            found[name] = found[before] if kind_of(node) in KINDS else stage(name, node, found[before]).target
        waiting = [name for name in waiting if name not in found]
    if waiting:
        raise DataError(
            f"node {waiting[0]!r}",
            "nothing reaches it",
            got=f"edges from {', '.join(graph.before(waiting[0])) or 'nowhere'}",
            expected="a way from a nir.Input or from neurons to it",
        )
    return found


def _declared(name: str, given: Any, key: str) -> Shape:
    shape = given.get(key) if isinstance(given, dict) else given
    if shape is None or not np.size(shape):
        raise DataError(f"node {name!r}", "its shape is not known", got=repr(given), expected="nir.Input(shape)")
    return tuple(int(n) for n in np.atleast_1d(values(name, "its shape", shape)))


def _of_parameters(name: str, node: Any) -> Shape | None:
    """The shape of a neuron's parameters; None where they are one number for all neurons, as many files have it."""
    arrays = [
        np.asarray(values(name, f, getattr(node, f)))
        for f in KINDS[kind_of(node)].fields
        if getattr(node, f) is not None
    ]
    largest = max(arrays, key=lambda a: a.size)
    return tuple(largest.shape) if largest.size > 1 else None


def paths(graph: Flat, found: dict[str, Shape]) -> Iterator[Path]:
    """All ways between populations, in the order of the edges.

    Parameters
    ----------
    graph : Flat
    found : dict
        Node -> shape, of `shapes`.

    Yields
    ------
    Path

    Raises
    ------
    SpecError
        A cycle without a neuron in it.
    """
    ends = set(ends_of(graph))
    for source in [name for name in graph.nodes if name in ends and kind_of(graph.nodes[name]) != "Output"]:
        for first in graph.behind(source):
            yield from _from(graph, found, ends, source, first, ())


def _from(
    graph: Flat, found: dict[str, Shape], ends: set[str], source: str, name: str, before: tuple[Stage, ...]
) -> Iterator[Path]:
    shape = before[-1].target if before else found[source]
    if name in ends:
        here = found[name]
        if prod(here) != prod(shape) or (here != shape and 1 not in (len(here), len(shape))):
            raise DataError(
                f"node {name!r}",
                "what reaches it has another shape",
                got=f"{shape} from {before[-1].node if before else source!r}",
                expected=here,
                remedy="put a nir.Flatten before it" if prod(here) == prod(shape) else None,
            )
        yield Path(source, name, before or (Stage("", shape, here),))
        return
    if name in {s.node for s in before}:
        raise SpecError(
            f"node {name!r}",
            "a cycle has no neuron in it",
            got=" -> ".join([s.node for s in before] + [name]),
            expected="a neuron in every cycle",
        )
    made = stage(name, graph.nodes[name], shape)
    for after in graph.behind(name):
        yield from _from(graph, found, ends, source, after, (*before, made))
