"""Lists of spikes: the entries of a matrix of spike trains that are not 0, by rows and by columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from brianlearn.discrete.host.threads import parallel_for

__all__ = ["CSRSpikes", "csr_spikes"]

#: Where more entries than this share are not 0, matrix products are faster.
MOST = 0.25
#: Rows of each thread's part that are looked at to know how many entries there will be.
SAMPLED = 256


@dataclass(frozen=True, eq=False)
class CSRSpikes:
    """The entries of a matrix that are not 0, in lists.

    Attributes
    ----------
    starts, ends : numpy.ndarray of int64, shape (tiles, lists)
        List i holds the entries ``starts[k, i]:ends[k, i]`` for every tile k.
    index : numpy.ndarray of int32
        Column (row) of an entry in lists of rows (columns).
    value : numpy.ndarray
    columns : int
        Columns of the matrix whose rows are listed.
    tile : int
        Columns (rows) in a tile.
    """

    starts: np.ndarray
    ends: np.ndarray
    index: np.ndarray
    value: np.ndarray
    columns: int
    tile: int

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The first arguments of kernels."""
        return self.starts, self.ends, self.index, self.value

    def rows_from(self, first: int) -> CSRSpikes:
        """The lists of the rows from ``first`` on."""
        return CSRSpikes(self.starts[:, first:], self.ends[:, first:], self.index, self.value, self.columns, self.tile)

    def by_column(self, tile: int) -> CSRSpikes:
        """Lists of columns, from lists of rows; tiles of at most ``tile`` rows."""
        from brianlearn.discrete.maps.event_kernels import sort_by_column

        rows = self.starts.shape[1]
        threads = torch.get_num_threads()
        tiles = max(1, min(rows, -(-rows // (tile * threads)) * threads))  # as many for every thread
        tile = -(-rows // tiles)
        tiles = -(-rows // tile)
        counts = np.add.reduceat(self.ends[-1] - self.starts[0], np.arange(0, rows, tile))
        offsets = np.concatenate([[0], np.cumsum(counts)])
        places = np.empty((tiles, self.columns + 1), np.int64)
        index, value = np.empty(offsets[-1], np.int32), np.empty(offsets[-1], self.value.dtype)

        def work(first: int, last: int, part: int) -> None:
            sort_by_column(*self.arrays, offsets, tile, places, index, value, first, last)

        parallel_for(work, tiles)
        return CSRSpikes(places[:, :-1], places[:, 1:], index, value, rows, tile)


def csr_spikes(flat: torch.Tensor, tile: int, most: float = MOST) -> CSRSpikes | None:
    """List the spikes of each row of a matrix.

    Parameters
    ----------
    flat : torch.Tensor, shape (rows, columns)
        Contiguous, float32 or float64, on the CPU.
    tile : int
        Columns per tile, a multiple of 64.
    most : float
        Share of entries.

    Returns
    -------
    CSRSpikes or None
        None where more entries than ``most`` are not 0.
    """
    rows, columns = flat.shape
    at_most = int(most * -(-rows // torch.get_num_threads()) * columns) + columns
    expected = _expected(flat)
    # at first no more memory than it will take: freed memory is kept, so that what is not written is taken as well
    found = _listed(flat, tile, expected) if expected < at_most else None
    return found or _listed(flat, tile, at_most)


def _expected(flat: torch.Tensor) -> int:
    """About how many entries the lists of a thread have, from some of its rows."""
    rows = max(1, -(-len(flat) // torch.get_num_threads()))
    parts = [part[:: max(1, len(part) // SAMPLED)] for part in flat.detach().split(rows)]
    share = max((float(part.count_nonzero()) / max(1, len(part)) for part in parts), default=0.0)
    return int(1.1 * share * rows) + 2 * flat.shape[1] + 64


def _listed(flat: torch.Tensor, tile: int, part_size: int) -> CSRSpikes | None:
    """The lists, if those of each thread have no more than so many entries."""
    from brianlearn.discrete.maps.event_kernels import find_spikes

    rows, columns = flat.shape
    numbers = flat.detach().view(-1).numpy()
    tiles = -(-columns // tile)
    pointers = np.empty((tiles + 1, rows), np.int64)
    threads = torch.get_num_threads()
    # every thread has its own part
    index = np.empty(threads * part_size, np.int32)
    value = np.empty(threads * part_size, numbers.dtype)
    found = [0] * threads

    def work(first: int, last: int, part: int) -> None:
        position = part * part_size
        found[part] = find_spikes(
            numbers, columns, tile, pointers, index, value, position, position + part_size, first, last
        )

    parallel_for(work, rows)
    if min(found) < 0:
        return None
    return CSRSpikes(pointers[:-1], pointers[1:], index, value, columns, tile)
