"""Synapse lists of layers: which presynaptic neuron reaches which postsynaptic one through which weight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Connectivity", "convolution", "dense"]


@dataclass(frozen=True)
class Connectivity:
    """A linear map as a list of synapses with shared weights.

    Attributes
    ----------
    pre, post : numpy.ndarray of int32, shape (n_synapses,)
        Flat indices, sorted by ``pre`` and, for one ``pre``, by ``post``.
    weight : numpy.ndarray of int32, shape (n_synapses,)
        Index into the packed weights (see `pack`).
    factor : float
        Constant that multiplies every weight: 1/pool^2.
    n_pre, n_post : int
    weight_shape : tuple of int
        (out, in) or (out, in, kh, kw).
    """

    pre: np.ndarray
    post: np.ndarray
    weight: np.ndarray
    factor: float
    n_pre: int
    n_post: int
    weight_shape: tuple[int, ...]

    def pack(self, weights: np.ndarray) -> np.ndarray:
        """Weights in the order of their use, flat: by presynaptic neuron for a dense layer, as they are for kernels."""
        return np.ascontiguousarray(weights.T if weights.ndim == 2 else weights).ravel()

    def unpack(self, packed: np.ndarray) -> np.ndarray:
        """Inverse of `pack`."""
        if len(self.weight_shape) == 2:
            return np.ascontiguousarray(packed.reshape(self.weight_shape[::-1]).T)
        return packed.reshape(self.weight_shape).copy()


def dense(n_pre: int, n_post: int) -> Connectivity:
    """All to all, weights (n_post, n_pre)."""
    pre = np.repeat(np.arange(n_pre, dtype=np.int32), n_post)
    post = np.tile(np.arange(n_post, dtype=np.int32), n_pre)
    return Connectivity(pre, post, np.arange(len(pre), dtype=np.int32), 1.0, n_pre, n_post, (n_post, n_pre))


def convolution(
    in_shape: tuple[int, int, int], channels: int, kernel: int, stride: int, padding: int, pool: int
) -> Connectivity:
    """Convolution followed by an average pool, as one list of synapses with weights (channels, in, kernel, kernel).

    Synapses from padding zeros are left out. A pair of neurons is connected once for every way through the pool.
    """
    c_in, height, width = in_shape
    rows = ((height + 2 * padding - kernel) // stride + 1) // pool
    cols = ((width + 2 * padding - kernel) // stride + 1) // pool
    axes = [np.arange(n, dtype=np.int32) for n in (channels, rows, cols, c_in, kernel, kernel, pool, pool)]
    o, y, x, c, a, b, q, r = np.meshgrid(*axes, indexing="ij", sparse=True)
    source_y = (y * pool + q) * stride + a - padding
    source_x = (x * pool + r) * stride + b - padding
    inside = (source_y >= 0) & (source_y < height) & (source_x >= 0) & (source_x < width)
    shape = np.broadcast_shapes(o.shape, y.shape, x.shape, c.shape, a.shape, b.shape, q.shape, r.shape)
    inside = np.broadcast_to(inside, shape)
    pre = np.broadcast_to((c * height + source_y) * width + source_x, shape)[inside]
    post = np.broadcast_to((o * rows + y) * cols + x, shape)[inside]
    weight = np.broadcast_to(((o * c_in + c) * kernel + a) * kernel + b, shape)[inside]
    order = np.lexsort((weight, post, pre))
    return Connectivity(
        pre[order],
        post[order],
        weight[order],
        1.0 / pool**2,
        c_in * height * width,
        channels * rows * cols,
        (channels, c_in, kernel, kernel),
    )
