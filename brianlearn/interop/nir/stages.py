"""NIR nodes without a state as stages of a path: what they connect, with which weights, biases and delays.

A new kind is one function and one entry of `STAGES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from brianlearn.errors import DataError, ShapeError
from brianlearn.interop.nir.flat import kind_of
from brianlearn.network.connections import AllToAll, AvgPool2d, Connection, Conv2d, OneToOne, Sparse, SumPool2d

__all__ = ["STAGES", "Stage", "as_3d", "matrix_of", "stage", "values"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Stage:
    """A part of the way from one population to another.

    Attributes
    ----------
    node : str
        The node that it is; empty for one that belongs to the neurons behind it.
    source, target : tuple of int
        Shapes of signals before and after it, as NIR has them.
    connection : Connection or None
        None where signals pass as they are.
    weights : numpy.ndarray or None
        Of the connection.
    bias : numpy.ndarray or None
        One value for each channel of a convolution, else one for each target.
    delay : numpy.ndarray or None
        Seconds, one for each source.
    """

    node: str
    source: Shape
    target: Shape
    connection: Connection | None = None
    weights: np.ndarray | None = None
    bias: np.ndarray | None = None
    delay: np.ndarray | None = None

    @property
    def whole_bias(self) -> np.ndarray | None:
        """The bias with one value for each target, flat."""
        if self.bias is None:
            return None
        shape = (len(self.bias), *(1,) * (len(self.target) - 1)) if isinstance(self.connection, Conv2d) else self.target
        return np.broadcast_to(self.bias.reshape(shape), self.target).ravel()


def as_3d(shape: Shape) -> Shape:
    """(channels, length) as (channels, 1, length), on which convolutions over one axis work; all else as it is."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def matrix_of(stage: Stage) -> Any:
    """The linear map of a stage as a sparse matrix (targets, sources)."""
    from scipy import sparse

    assert stage.connection is not None and stage.weights is not None
    source, target = as_3d(stage.source), as_3d(stage.target)
    pre, post, index = stage.connection.synapses(source, target)
    packed = stage.connection.factor * stage.connection.pack(np.asarray(stage.weights))
    return sparse.csc_array((packed[index], (post, pre)), shape=(prod(target), prod(source)))


def values(name: str, field: str, given: Any) -> np.ndarray:
    """Numbers of a node as an array, checked.

    Raises
    ------
    DataError
    """
    try:
        array = np.asarray(given.detach().cpu() if hasattr(given, "detach") else given)
    except (TypeError, ValueError):
        array = np.asarray(None)
    if array.dtype.kind in "iub":
        array = array.astype(float)
    if array.dtype.kind != "f" or not np.isfinite(array).all():
        what = "NaN or infinity" if array.dtype.kind == "f" else f"{array.dtype} {array.shape}"
        raise DataError(f"node {name!r}", f"{field} are no finite numbers", got=what, expected="finite numbers")
    return array


def stage(name: str, node: Any, source: Shape) -> Stage:
    """A node without a state, between signals of known shapes.

    Parameters
    ----------
    name : str
    node : nir.NIRNode
    source : tuple of int
        Shape of what reaches it.

    Returns
    -------
    Stage

    Raises
    ------
    DataError, ShapeError
        Kinds without a counterpart; numbers and shapes that cannot be right.
    """
    kind = kind_of(node)
    if kind not in STAGES:
        raise DataError(
            f"node {name!r}",
            f"nir.{kind} has no counterpart",
            got=kind,
            expected=", ".join(STAGES),
            remedy=REMEDIES.get(kind, "write the graph with these"),
        )
    return STAGES[kind](name, node, source)


#: What to do about kinds without a counterpart.
REMEDIES = {
    "Threshold": "spikes come of neurons here: write the node and the integrator before it as one nir.IF or nir.LIF",
    "I": "an integrator that does not spike can be read as nir.LI with a long time constant",
}


def _through(name: str, node: Any, source: Shape) -> Stage:
    return Stage(name, source, source)


def _linear(name: str, node: Any, source: Shape) -> Stage:
    weights = values(name, "weights", node.weight)
    *lead, out, n_in = weights.shape
    expected = (*lead, n_in)
    if weights.ndim < 2 or source != expected:
        raise ShapeError(
            f"node {name!r}",
            f"the weights of nir.{kind_of(node)} do not fit what reaches it",
            got=f"weights {weights.shape}, signal {source}",
            expected=f"a signal {expected}",
            remedy="put a nir.Flatten before it" if prod(source) == prod(expected) else None,
        )
    target = (*lead, out)
    bias = values(name, "biases", node.bias).ravel() if kind_of(node) == "Affine" else None
    if bias is not None and len(bias) != prod(target):
        raise ShapeError(f"node {name!r}", "the bias does not fit", got=np.shape(node.bias), expected=target)
    if not lead:
        return Stage(name, source, target, AllToAll(), weights, bias)
    from scipy.sparse import block_diag, csc_array

    blocks = csc_array(block_diag(list(weights.reshape(-1, out, n_in)), format="csc"))
    return Stage(name, source, target, *sparse_of(blocks), bias)


def sparse_of(matrix: Any) -> tuple[Connection, np.ndarray]:
    """A connection of the entries of a sparse matrix (targets, sources), with a weight each; all to all where full."""
    if matrix.nnz == prod(matrix.shape):
        return AllToAll(), np.ascontiguousarray(matrix.toarray())
    matrix.sort_indices()
    if not matrix.nnz:  # a path that carries nothing still is one
        return Sparse(pairs=[(0, 0)]), np.zeros(1)
    return Sparse.from_matrix(matrix), np.asarray(matrix.data)


def _scale(name: str, node: Any, source: Shape) -> Stage:
    scale = values(name, "scales", node.scale)
    try:
        weights = np.broadcast_to(scale, source).ravel().copy()
    except ValueError:
        raise ShapeError(
            f"node {name!r}", "the scale does not fit what reaches it", got=scale.shape, expected=source
        ) from None
    return Stage(name, source, source, OneToOne(), weights)


def _conv2d(name: str, node: Any, source: Shape) -> Stage:
    weights = values(name, "weights", node.weight)
    _axes(name, node, source, 3, weights.ndim, 4)
    sides = (_two(name, "stride", node.stride), _two(name, "dilation", node.dilation))
    padding = _padding(name, node.padding, weights.shape[2:], *sides)
    return _convolution(name, node, source, weights, sides[0], padding, sides[1])


def _conv1d(name: str, node: Any, source: Shape) -> Stage:
    weights = values(name, "weights", node.weight)
    _axes(name, node, source, 2, weights.ndim, 3)
    stride, dilation = (1, _two(name, "stride", node.stride)[1]), (1, _two(name, "dilation", node.dilation)[1])
    padding = _padding(name, node.padding, (1, weights.shape[2]), stride, dilation)
    made = _convolution(name, node, as_3d(source), weights[:, :, None, :], stride, (0, padding[1]), dilation)
    return Stage(name, source, (made.target[0], made.target[2]), made.connection, made.weights, made.bias)


def _convolution(
    name: str,
    node: Any,
    source: Shape,
    weights: np.ndarray,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
) -> Stage:
    channels, groups = weights.shape[0], _whole(name, "groups", node.groups, 1)
    if weights.shape[1] * groups != source[0]:
        raise ShapeError(
            f"node {name!r}",
            "the kernels do not fit the channels of what reaches it",
            got=f"weights {weights.shape}, groups {groups}, signal {source}",
            expected=f"{source[0]} channels",
        )
    connection = Conv2d(channels, weights.shape[2:], stride, padding, dilation, groups)
    bias = None if node.bias is None else values(name, "biases", node.bias).ravel()
    if bias is not None and len(bias) != channels:
        raise ShapeError(f"node {name!r}", "the bias does not fit", got=bias.shape, expected=(channels,))
    target = connection.target_shape(f"node {name!r}", source)
    return Stage(name, source, target, connection, weights, bias if bias is not None and bias.any() else None)


def _pool(kind: type[SumPool2d]) -> Callable[[str, Any, Shape], Stage]:
    def read(name: str, node: Any, source: Shape) -> Stage:
        _axes(name, node, source, 3, 4, 4)
        kernel, stride = (_two(name, field, getattr(node, field)) for field in ("kernel_size", "stride"))
        connection = kind(kernel, stride, _padding(name, node.padding, kernel, stride, (1, 1)))
        return Stage(name, source, connection.target_shape(f"node {name!r}", source), connection, np.ones(1))

    return read


def _flatten(name: str, node: Any, source: Shape) -> Stage:
    first, last = int(np.asarray(node.start_dim)), int(np.asarray(node.end_dim))
    first, last = (k + len(source) if k < 0 else k for k in (first, last))
    if not 0 <= first <= last < len(source):
        raise ShapeError(
            f"node {name!r}",
            "start_dim and end_dim do not fit what reaches it",
            got=f"start_dim {node.start_dim}, end_dim {node.end_dim}, signal {source}",
            expected=f"0 <= start_dim <= end_dim < {len(source)}; there is no axis for batches in NIR",
        )
    return Stage(name, source, (*source[:first], prod(source[first : last + 1]), *source[last + 1 :]))


def _delay(name: str, node: Any, source: Shape) -> Stage:
    delay = values(name, "delays", node.delay)
    if delay.size and delay.min() < 0:
        raise DataError(f"node {name!r}", "a delay is negative", got=delay.min(), expected="seconds >= 0")
    try:
        return Stage(name, source, source, delay=np.broadcast_to(delay, source).ravel().copy())
    except ValueError:
        raise ShapeError(
            f"node {name!r}", "the delays do not fit what reaches it", got=delay.shape, expected=source
        ) from None


def _axes(name: str, node: Any, source: Shape, axes: int, got: int, expected: int) -> None:
    if len(source) != axes or got != expected:
        raise ShapeError(
            f"node {name!r}",
            f"nir.{kind_of(node)} does not fit what reaches it",
            got=f"signal {source}" + (f", weights with {got} axes" if got != expected else ""),
            expected="(channels, height, width)" if axes == 3 else "(channels, length)",
        )


def _whole(name: str, field: str, given: Any, low: int) -> int:
    found = np.asarray(given)
    if found.size != 1 or found.dtype.kind not in "iuf" or found.item() != int(found.item()) or found.item() < low:
        raise DataError(f"node {name!r}", f"{field} is wrong", got=repr(given), expected=f"a whole number >= {low}")
    return int(found.item())


def _two(name: str, field: str, given: Any, low: int = 1) -> tuple[int, int]:
    each = np.atleast_1d(np.asarray(given))
    if each.ndim != 1 or len(each) not in (1, 2):
        raise DataError(f"node {name!r}", f"{field} is wrong", got=repr(given), expected="a whole number, or two")
    return _whole(name, field, each[0], low), _whole(name, field, each[-1], low)


def _padding(
    name: str, given: Any, kernel: Shape, stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[int, int]:
    """Zeros on each side, of what NIR writes as numbers, "same" or "valid"."""
    text = given.decode() if isinstance(given, bytes) else given
    if not isinstance(text, str):
        return _two(name, "padding", given, 0)
    if text == "valid":
        return 0, 0
    both = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
    if text != "same" or stride != (1, 1) or any(n % 2 for n in both):
        raise DataError(
            f"node {name!r}",
            "padding is wrong",
            got=f"{text!r}, kernel {kernel}, stride {stride}, dilation {dilation}",
            expected="numbers, 'valid', or 'same' with a stride of 1 and as many zeros on both sides",
            remedy="an odd kernel, or padding in numbers",
        )
    return both[0] // 2, both[1] // 2


#: Kind of node -> what makes a stage of it.
STAGES: dict[str, Callable[[str, Any, Shape], Stage]] = {
    "Affine": _linear,
    "Linear": _linear,
    "Scale": _scale,
    "Conv1d": _conv1d,
    "Conv2d": _conv2d,
    "SumPool2d": _pool(SumPool2d),
    "AvgPool2d": _pool(AvgPool2d),
    "Flatten": _flatten,
    "Delay": _delay,
    "Input": _through,
    "Output": _through,
}
