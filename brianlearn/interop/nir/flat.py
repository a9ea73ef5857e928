"""A NIR graph without graphs in it: every node by its path, ``"outer/inner"``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from brianlearn.errors import DataError

__all__ = ["Flat", "flat", "kind_of"]


def kind_of(node: Any) -> str:
    """The kind of a NIR node, as files name it."""
    return type(node).__name__


@dataclass(frozen=True)
class Flat:
    """Nodes and edges of a graph and of those nested in it.

    Attributes
    ----------
    nodes : dict
        Path -> node, without graphs.
    edges : list of (str, str)
        Between paths.
    ports : frozenset of str
        Inputs and outputs of nested graphs, through which signals pass as they are.
    """

    nodes: dict[str, Any]
    edges: list[tuple[str, str]]
    ports: frozenset[str]

    def behind(self, name: str) -> list[str]:
        """The nodes to which a node leads, in the order of the edges."""
        return [b for a, b in self.edges if a == name]

    def before(self, name: str) -> list[str]:
        """The nodes that lead to a node, in the order of the edges."""
        return [a for a, b in self.edges if b == name]

    def of_kind(self, kind: str) -> list[str]:
        """Nodes of a kind, ports left out."""
        return [name for name, node in self.nodes.items() if kind_of(node) == kind and name not in self.ports]


def flat(graph: Any) -> Flat:
    """The nodes of a graph and of the graphs in it.

    Parameters
    ----------
    graph : nir.NIRGraph

    Returns
    -------
    Flat

    Raises
    ------
    DataError
        Edges between what is no node; nested graphs without an input or output.
    """
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    ports: set[str] = set()
    _add(graph, "", nodes, edges, ports)
    return Flat(nodes, list(dict.fromkeys(edges)), frozenset(ports))


def _add(graph: Any, prefix: str, nodes: dict[str, Any], edges: list[tuple[str, str]], ports: set[str]) -> None:
    inside: dict[str, Any] = {}
    for name, node in graph.nodes.items():
        path = prefix + str(name)
        if kind_of(node) == "NIRGraph":
            inside[name] = node
            _add(node, f"{path}/", nodes, edges, ports)
            ports.update(_ends(node, path, "Input"), _ends(node, path, "Output"))
        else:
            nodes[path] = node
    for a, b in graph.edges:
        for name in (a, b):
            if name not in graph.nodes:
                raise DataError(
                    f"edge {prefix}{a} -> {prefix}{b}",
                    "it names no node",
                    got=repr(name),
                    expected=", ".join(map(str, graph.nodes)),
                )
        starts = _ends(inside[a], prefix + a, "Output") if a in inside else [prefix + a]
        ends = _ends(inside[b], prefix + b, "Input") if b in inside else [prefix + b]
        edges.extend((start, end) for start in starts for end in ends)


def _ends(graph: Any, path: str, kind: str) -> list[str]:
    """The inputs or outputs of a nested graph."""
    found = list(_named(graph, path, kind))
    if not found:
        raise DataError(
            f"graph {path!r}",
            f"it has no {kind.lower()}, and is part of another one",
            got=", ".join(map(kind_of, graph.nodes.values())) or "no nodes",
            expected=f"a nir.{kind} node",
        )
    return found


def _named(graph: Any, path: str, kind: str) -> Iterator[str]:
    for name, node in graph.nodes.items():
        if kind_of(node) == kind:
            yield f"{path}/{name}"
