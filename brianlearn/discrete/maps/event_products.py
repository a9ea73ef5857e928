"""Weighted sums of spikes, and gradients of weights, from lists of spikes.

A spike train is mostly zeros, and a matrix product multiplies with every one of them. Here every spike adds a row of
weights. Tiles that fit the second-level cache are copied there, from panels of up to 64 postsynaptic neurons, whose
sums stay in registers. A convolution, folded with its average pool, adds runs of kernel weights to runs of output
cells.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from brianlearn.discrete.host.threads import parallel_for
from brianlearn.discrete.maps.csr_spikes import CSRSpikes

__all__ = ["ConvProduct", "DenseProduct"]

#: Bytes of weights that are read at random: well within the second-level cache of common processors, also where two
#: threads share it. (784 to 512 neurons, two threads, sums and gradient: 17 ms; 19 ms with 128 KiB, 22 with 256 KiB.)
CACHE = 64 * 1024
WIDEST, NARROWEST = 64, 16
#: Numbers in a vector (`brianlearn.discrete.maps.vectors`).
VECTOR = 8
#: Panels for each thread from which on threads share out panels.
PANELS = 4
#: Bytes of patches that are made at a time.
PATCHES = 4 * 2**20


def _panels(n: int) -> np.ndarray:
    """Rows (first neuron, width) of the panels for n neurons; the last may be wider than what is left."""
    panels, first = [], 0
    for width in (WIDEST, WIDEST // 2, NARROWEST):
        while n - first >= width or (width == NARROWEST and n > first):
            panels.append((first, width))
            first += width
    return np.array(panels)


def _on_part(kernel: Callable[..., None], *arguments: Any) -> None:
    """Call a kernel with what `parallel_for` gives, but for the number of the part."""
    kernel(*arguments[:-1])


class DenseProduct:
    """All synapses between two layers.

    Parameters
    ----------
    n_in, n_out : int
    """

    def __init__(self, n_in: int, n_out: int) -> None:
        self.n_in, self.n_out = n_in, n_out
        self.panels = _panels(n_out)
        self.padded = int(self.panels[:, 1].sum())

    def tile(self, dtype: torch.dtype) -> int:
        """Rows of weights that the cache holds."""
        return CACHE // (min(WIDEST, self.padded) * dtype.itemsize) // 64 * 64

    def sums(self, lists: CSRSpikes, weight: torch.Tensor) -> torch.Tensor:
        """``spikes @ weight.T``, shape (rows, n_out).

        Parameters
        ----------
        lists : CSRSpikes
            Of the rows of the spikes, tiles of `tile`.
        weight : torch.Tensor, shape (n_out, n_in)
        """
        weight, panels = weight.detach().contiguous(), self.panels
        columns = self.padded
        if self.n_out >= NARROWEST and self.padded != self.n_out:
            # the last panel begins earlier and makes some sums again, which are the same, instead of going too far
            panels, columns = panels.copy(), self.n_out
            panels[-1, 0] = self.n_out - panels[-1, 1]
        out = weight.new_empty(lists.starts.shape[1], columns)
        self._accumulate(lists, weight, (1, self.n_in), out, panels)
        return out if columns == self.n_out else out[:, : self.n_out].contiguous()

    def gradient(self, lists: CSRSpikes, error: torch.Tensor) -> torch.Tensor:
        """``error.T @ spikes``, shape (n_out, n_in).

        Parameters
        ----------
        lists : CSRSpikes
            Of the rows of the spikes.
        error : torch.Tensor, shape (rows, n_out)
        """
        error = error.detach().contiguous()
        out = error.new_empty(self.n_out, self.n_in)
        columns = lists.by_column(self.tile(error.dtype))
        self._accumulate(columns, error, (self.n_out, 1), out, self.panels, transposed=True)
        return out

    def _accumulate(
        self,
        lists: CSRSpikes,
        matrix: torch.Tensor,
        steps: tuple[int, int],
        out: torch.Tensor,
        panels: np.ndarray,
        *,
        transposed: bool = False,
    ) -> None:
        """For every list, the sum of the rows that it names of a matrix of n_out columns.

        Rows and columns of the matrix are ``steps`` numbers apart in memory.
        """
        from brianlearn.discrete.maps.event_kernels import accumulate_lists

        source, flat = matrix.view(-1).numpy(), out.view(-1).numpy()

        def accumulate(some: np.ndarray, first: int, last: int) -> None:
            accumulate_lists(
                *lists.arrays, lists.tile, source, *steps, self.n_out, some, transposed, flat, out.shape[1], first, last
            )

        n_lists = lists.starts.shape[1]
        if transposed and len(panels) >= PANELS * torch.get_num_threads():
            # what is copied to where it is together is copied once
            parallel_for(lambda a, b, part: accumulate(panels[a:b], 0, n_lists), len(panels))
        else:
            parallel_for(lambda a, b, part: accumulate(panels, a, b), n_lists)


class ConvProduct:
    """A convolution with the average pool behind it, as one convolution of a larger kernel and stride.

    An input in row y and column x reaches the outputs (y + padding - ky)/stride, for all ky that leave no remainder,
    and likewise in x: a square of at most ``taps`` by ``taps`` outputs. Kernel weights lie so that a row of that
    square, with all its channels, is one run of memory, in the order in which the outputs lie.

    Parameters
    ----------
    in_shape, out_shape : tuple of int
        (channels, height, width).
    kernel, stride, padding : int
        Of the folded convolution.
    """

    def __init__(
        self, in_shape: tuple[int, ...], out_shape: tuple[int, ...], kernel: int, stride: int, padding: int
    ) -> None:
        self.in_shape, self.out_shape = in_shape, out_shape
        self.kernel, self.stride, self.padding = kernel, stride, padding
        channels, height, width = out_shape
        self.taps = -(-kernel // stride)
        margin = self.taps - 1
        reach = [(n - 1 + padding) // stride + self.taps for n in in_shape[1:]]
        self.map_shape = (max(reach[0], height + 2 * margin), max(reach[1], width + 2 * margin))
        self.run = -(-self.taps * channels // VECTOR) * VECTOR
        geometry = (*out_shape[1:], channels, *self.map_shape, margin, self.taps, stride * self.run, self.run // VECTOR)
        self._geometry = geometry
        self._addresses = {last: self._make_addresses(last) for last in (False, True)}

    def tile(self, dtype: torch.dtype) -> int:
        """One tile for all inputs."""
        return -(-int(np.prod(self.in_shape)) // 64) * 64

    def _make_addresses(self, channels_last: bool) -> tuple[np.ndarray, np.ndarray]:
        """Of every input, in the order of memory: its first run of weights, and its first output cell."""
        c, y, x = np.indices(self.in_shape)
        y_cell, y_phase = np.divmod(y + self.padding, self.stride)
        x_cell, x_phase = np.divmod(x + self.padding, self.stride)
        tap = ((c * self.stride + y_phase) * self.taps * self.stride + x_phase) * self.run
        cell = (y_cell * self.map_shape[1] + x_cell) * self.out_shape[0]
        order = (1, 2, 0) if channels_last else (0, 1, 2)
        return tap.transpose(order).ravel(), cell.transpose(order).ravel()

    def sums(self, lists: CSRSpikes, kernels: torch.Tensor, *, source_last: bool) -> torch.Tensor:
        """The weighted sums, shape (rows, height*width*channels).

        Parameters
        ----------
        lists : CSRSpikes
        kernels : torch.Tensor, shape (out, in, kernel, kernel)
            Folded.
        source_last : bool
            Whether inputs are in the order (height, width, channels).
        """
        from brianlearn.discrete.maps.event_kernels import convolve

        n = lists.starts.shape[1]
        taps = self._runs(kernels.detach()).numpy()
        out = kernels.new_empty(n, int(np.prod(self.out_shape)))
        flat = out.view(-1).numpy()

        def work(first: int, last: int, part: int) -> None:
            convolve(*lists.arrays, taps, *self._addresses[source_last], flat, self._geometry, first, last)

        parallel_for(work, n)
        return out

    def gradient(self, lists: CSRSpikes, error: torch.Tensor, *, source_last: bool) -> torch.Tensor:
        """The gradient of the folded kernels.

        Parameters
        ----------
        lists : CSRSpikes
        error : torch.Tensor, shape (rows, height*width*channels)
        source_last : bool
        """
        from brianlearn.discrete.maps.event_kernels import convolve_gradient

        n = lists.starts.shape[1]
        flat = error.detach().reshape(-1).numpy()
        size = self.in_shape[0] * self.stride**2 * self.taps * self.run
        parts = np.zeros((torch.get_num_threads(), size), flat.dtype)

        def work(first: int, last: int, part: int) -> None:
            addresses = self._addresses[source_last]
            convolve_gradient(*lists.arrays, parts[part], *addresses, flat, self._geometry, first, last)

        parallel_for(work, n)
        return self._kernels(torch.from_numpy(parts.sum(axis=0)))

    def transpose(self, error: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
        """The transposed map, shape (rows, height*width*channels) of the input.

        Errors have no zeros to leave out. A matrix product makes the patch of every output position, which is added
        where it lies; folded with a pool, that is less work than the transposed convolutions that strides ask for.

        Parameters
        ----------
        error : torch.Tensor, shape (rows, height*width*channels)
        kernels : torch.Tensor, shape (out, in, kernel, kernel)
            Folded.
        """
        from brianlearn.discrete.maps.event_kernels import add_patches

        out_channels, out_height, out_width = self.out_shape
        channels, height, width = self.in_shape
        row = self.kernel * channels
        run = -(-row // VECTOR) * VECTOR
        weights = F.pad(kernels.detach().permute(0, 2, 3, 1).reshape(out_channels, self.kernel, row), (0, run - row))
        weights = weights.reshape(out_channels, self.kernel * run)
        geometry = (out_height, out_width, *self.in_shape, self.kernel, self.stride, self.padding, run)
        rows, positions = len(error), out_height * out_width
        found = error.new_empty(rows, height * width * channels)
        by_position = error.detach().reshape(rows * positions, out_channels)
        step = max(1, PATCHES // (positions * weights.shape[1] * error.element_size()))
        patches = error.new_empty(min(step, rows) * positions, weights.shape[1])
        for start in range(0, rows, step):
            stop = min(start + step, rows)
            part = patches[: (stop - start) * positions]
            torch.mm(by_position[start * positions : stop * positions], weights, out=part)
            work = partial(_on_part, add_patches, part.view(-1).numpy(), found[start:stop].view(-1).numpy(), geometry)
            parallel_for(work, stop - start)
        return found

    def _runs(self, kernels: torch.Tensor) -> torch.Tensor:
        """Kernels (out, in, kernel, kernel) as runs (in, y phase, y tap, x phase, x tap and out), flat."""
        out, channels = kernels.shape[:2]
        s, rest = self.stride, self.taps * self.stride - self.kernel
        full = F.pad(kernels, (0, rest, 0, rest)).view(out, channels, self.taps, s, self.taps, s)
        runs = full.flip(2, 4).permute(1, 3, 2, 5, 4, 0).reshape(channels, s, self.taps, s, self.taps * out)
        return F.pad(runs, (0, self.run - self.taps * out)).flatten()

    def _kernels(self, runs: torch.Tensor) -> torch.Tensor:
        """The transpose of `_runs`."""
        out, channels = self.out_shape[0], self.in_shape[0]
        s = self.stride
        full = runs.view(channels, s, self.taps, s, self.run)[..., : self.taps * out]
        full = full.reshape(channels, s, self.taps, s, self.taps, out).permute(5, 0, 2, 1, 4, 3).flip(2, 4)
        return full.reshape(out, channels, self.taps * s, self.taps * s)[:, :, : self.kernel, : self.kernel]
