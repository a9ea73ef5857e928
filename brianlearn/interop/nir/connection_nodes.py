"""Connections as NIR nodes, and their weights back from these: one entry of `WRITERS` for each kind.

What has no entry is written as the matrix of its synapses, as any kind of connection can be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brianlearn.errors import SpecError
from brianlearn.interop.by_trial import package
from brianlearn.network.connections import AllToAll, AvgPool2d, Connection, Conv2d, OneToOne, Pooled, SumPool2d
from brianlearn.network.projection import Projection

__all__ = ["WRITERS", "Writer", "as_matrix", "matrix_of_synapses", "writer_of"]

#: What is behind the name of a projection's node -> the node.
Nodes = dict[str, Any]


@dataclass(frozen=True)
class Writer:
    """How a kind of connection is written.

    Attributes
    ----------
    write : callable
        (projection, weights, bias or None, shape of the signal) -> suffix of a name -> node, in the order of the path.
    back : callable
        (projection, suffix -> node) -> weights, bias or None.
    flat : bool
        Whether it gives flat signals, and takes them if not images.
    images : bool
        Whether it takes (channels, height, width), and gives them if not flat.
    """

    write: Callable[[Projection, np.ndarray, np.ndarray | None, tuple[int, ...]], Nodes]
    back: Callable[[Projection, Mapping[str, Any]], tuple[np.ndarray, np.ndarray | None]]
    flat: bool = False
    images: bool = False


def matrix_of_synapses(q: Projection, weights: np.ndarray) -> np.ndarray:
    """The linear map of a projection, (targets, sources)."""
    c, found = q.connectivity, np.zeros((q.n_post, q.n_pre), np.asarray(weights).dtype)
    np.add.at(found, (c.post, c.pre), c.factor * c.pack(np.asarray(weights))[c.weight])
    return found


def _affine(weights: np.ndarray, bias: np.ndarray | None) -> Any:
    nir = package("nir", "to_nir")
    return nir.Linear(weights) if bias is None else nir.Affine(weights, bias)


def _bias(node: Any) -> np.ndarray | None:
    bias = getattr(node, "bias", None)
    return None if bias is None else np.asarray(bias)


def _all(q: Projection, weights: np.ndarray, bias: np.ndarray | None, shape: tuple[int, ...]) -> Nodes:
    return {"": _affine(weights, bias)}


def _all_back(q: Projection, nodes: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    return np.asarray(nodes[""].weight), _bias(nodes[""])


def as_matrix(q: Projection, weights: np.ndarray, bias: np.ndarray | None, shape: tuple[int, ...]) -> Nodes:
    """A projection of any kind as the matrix of its synapses."""
    if bias is not None:
        bias = np.repeat(bias, q.n_post // len(bias))
    return {"": _affine(matrix_of_synapses(q, weights), bias)}


def matrix_back(q: Projection, nodes: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    """Its weights, and the bias."""
    matrix, c = np.asarray(nodes[""].weight), q.connectivity
    packed = np.zeros(q.n_weights, matrix.dtype)
    packed[c.weight] = matrix[c.post, c.pre] / c.factor
    bias = _bias(nodes[""])
    if bias is not None and q.connection.bias_by_channel:
        bias = bias[:: q.n_post // q.out_shape[0]]
    return c.unpack(packed), bias


def _one(q: Projection, weights: np.ndarray, bias: np.ndarray | None, shape: tuple[int, ...]) -> Nodes:
    if bias is not None:
        return as_matrix(q, weights, bias, shape)
    return {"": package("nir", "to_nir").Scale(weights.reshape(shape))}


def _one_back(q: Projection, nodes: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    if not hasattr(nodes[""], "scale"):
        return matrix_back(q, nodes)
    return np.asarray(nodes[""].scale).ravel(), None


def _conv(q: Projection, weights: np.ndarray, bias: np.ndarray | None, shape: tuple[int, ...]) -> Nodes:
    return _conv_nodes(q.connection, weights, bias, shape)


def _conv_nodes(kind: Connection, weights: np.ndarray, bias: np.ndarray | None, shape: tuple[int, ...]) -> Nodes:
    nir = package("nir", "to_nir")
    assert isinstance(kind, Conv2d)
    _, stride, padding, dilation = kind.sides
    zeros = np.zeros(kind.channels, weights.dtype)
    fields = dict(stride=stride, padding=padding, dilation=dilation, groups=kind.groups)
    made: Nodes = {
        "": nir.Conv2d(input_shape=shape[1:], weight=weights, bias=zeros if bias is None else bias, **fields)
    }
    if kind.pool > 1:
        made["_pool"] = _pool_node("AvgPool2d", (kind.pool, kind.pool), (kind.pool, kind.pool), (0, 0))
    return made


def _conv_back(q: Projection, nodes: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    return np.asarray(nodes[""].weight), _bias(nodes[""])


def _pool_node(kind: str, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> Any:
    made = getattr(package("nir", "to_nir"), kind)
    return made(kernel_size=np.array(kernel), stride=np.array(stride), padding=np.array(padding))


def _pool(q: Projection, weights: np.ndarray, bias: np.ndarray | None, shape: tuple[int, ...]) -> Nodes:
    kind = q.connection
    assert isinstance(kind, SumPool2d)
    if bias is not None:
        raise SpecError(
            f"projection {q.name!r}",
            "NIR's pools have no bias",
            got=f"bias={q.bias!r}",
            expected="bias=False",
            remedy="give the bias to another projection onto the same population",
        )
    kernel, stride, padding, _ = Conv2d(1, kind.kernel, kind.stride or kind.kernel, kind.padding).sides
    made: Nodes = {"": _pool_node("AvgPool2d" if isinstance(kind, AvgPool2d) else "SumPool2d", kernel, stride, padding)}
    if weights.item() != 1.0:
        made["_scale"] = package("nir", "to_nir").Scale(np.full(q.out_shape, weights.item(), weights.dtype))
    return made


def _pool_back(q: Projection, nodes: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray | None]:
    return np.asarray(nodes["_scale"].scale).ravel()[:1] if "_scale" in nodes else np.ones(1), None


def _pooled(q: Projection, weights: np.ndarray, bias: np.ndarray | None, shape: tuple[int, ...]) -> Nodes:
    kind = q.connection
    assert isinstance(kind, Pooled)
    kernel, stride, padding, _ = Conv2d(
        1, kind.pool.kernel, kind.pool.stride or kind.pool.kernel, kind.pool.padding
    ).sides
    average = isinstance(kind.pool, AvgPool2d)
    made: Nodes = {"_before": _pool_node("AvgPool2d" if average else "SumPool2d", kernel, stride, padding)}
    between = kind.pool.target_shape(q.name, shape)
    if isinstance(kind.then, AllToAll):
        nir = package("nir", "to_nir")
        made["_flatten"] = nir.Flatten({"input": np.array(between)}, start_dim=0, end_dim=-1)
        return made | _all(q, weights, bias, shape)
    return made | _conv_nodes(kind.then, weights, bias, between)


#: Kind of connection -> how it is written.
WRITERS: dict[type[Connection], Writer] = {
    AllToAll: Writer(_all, _all_back, flat=True),
    OneToOne: Writer(_one, _one_back),
    Conv2d: Writer(_conv, _conv_back, images=True),
    SumPool2d: Writer(_pool, _pool_back, images=True),
    AvgPool2d: Writer(_pool, _pool_back, images=True),
}
_MATRIX = Writer(as_matrix, matrix_back, flat=True)
_POOLED = Writer(_pooled, _all_back, images=True)
_POOLED_FLAT = Writer(_pooled, _all_back, flat=True, images=True)


def writer_of(q: Projection, source: tuple[int, ...]) -> Writer:
    """How a projection of signals of this shape is written; as a matrix where its kind cannot."""
    found = WRITERS.get(type(q.connection), _MATRIX)
    if isinstance(q.connection, Pooled):
        then = type(q.connection.then)
        found = {AllToAll: _POOLED_FLAT, Conv2d: _POOLED}.get(then, _MATRIX)
    if found.images and len(source) != 3:
        return _MATRIX
    return _MATRIX if isinstance(q.connection, OneToOne) and q.bias is not False else found
