"""Loops over lists of spikes: finding spikes, weighted sums, gradients of weights.

A spike that is not there costs nothing. Every kernel works on a part of the rows or columns, so that threads can share
them, and releases the interpreter lock.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from brianlearn.discrete.maps.vectors import accumulate, add_scaled, lowest_bit, nonzero_mask
from brianlearn.discrete.step.kernel_cache import keep_compiled

__all__ = [
    "accumulate_lists",
    "add_patches",
    "convolve",
    "convolve_gradient",
    "copy_panel",
    "find_spikes",
    "sort_by_column",
]

Array = Any  # numba's arrays are numpy's


@keep_compiled
@njit(nogil=True)
def find_spikes(
    flat: Array,
    n: int,
    tile: int,
    pointers: Array,
    index: Array,
    value: Array,
    position: int,
    end: int,
    first: int,
    last: int,
) -> int:
    """List what is not 0 in the rows ``first:last`` of a matrix with n columns.

    ``pointers[k, r]`` becomes the position of the first entry of row r in columns from k*tile on; ``pointers[-1, r]``
    the end of row r. Entries are written from ``position`` on. Returns the position after the last one, or -1 where
    they might not end before ``end``.
    """
    one = np.uint64(1)
    tiles = pointers.shape[0] - 1
    for row in range(first, last):
        if position + n > end:
            return -1
        base = row * n
        for k in range(tiles):
            pointers[k, row] = position
            stop = min((k + 1) * tile, n)
            column = k * tile
            while column + 64 <= stop:
                mask: Any = nonzero_mask(flat, base + column, 8)
                while mask:
                    j = column + lowest_bit(mask)
                    index[position] = j
                    value[position] = flat[base + j]
                    position += 1
                    mask &= mask - one
                column += 64
            for j in range(column, stop):
                x = flat[base + j]
                index[position] = j
                value[position] = x
                position += 1 if x != 0 else 0
        pointers[tiles, row] = position
    return position


@keep_compiled
@njit(nogil=True)
def sort_by_column(
    starts: Array,
    ends: Array,
    index: Array,
    value: Array,
    offsets: Array,
    tile: int,
    places: Array,
    rows: Array,
    values: Array,
    first: int,
    last: int,
) -> None:
    """Sort the entries of lists of rows by their column, within tiles of rows; tiles ``first:last``.

    ``places[k, j]`` becomes the position of the first entry of tile k in column j, ``rows`` and ``values`` the rows and
    values in this order. ``offsets[k]`` is the position of tile k in the sorted lists.
    """
    n_rows, columns = starts.shape[1], places.shape[1] - 1
    for k in range(first, last):
        top, bottom = k * tile, min((k + 1) * tile, n_rows)
        for j in range(columns + 1):
            places[k, j] = 0
        for row in range(top, bottom):
            for e in range(starts[0, row], ends[-1, row]):
                places[k, index[e]] += 1
        total = offsets[k]
        for j in range(columns + 1):
            total += places[k, j]
            places[k, j] = total  # the end of column j; counted down below
        for row in range(bottom - 1, top - 1, -1):
            for e in range(ends[-1, row] - 1, starts[0, row] - 1, -1):
                j = index[e]
                place = places[k, j] - 1
                places[k, j] = place
                rows[place] = row
                values[place] = value[e]


@keep_compiled
@njit(nogil=True)
def copy_panel(
    matrix: Array, row_step: int, column_step: int, top: int, bottom: int, column: int, n: int, width: int, table: Array
) -> None:
    """Rows ``top:bottom`` of ``width`` numbers: ``n`` columns of a matrix from ``column`` on, and zeros."""
    for block in range(top, bottom, 16):
        end = min(block + 16, bottom)
        if column_step == 1:
            for i in range(block, end):
                o, m = (i - top) * width, i * row_step + column
                for k in range(n):
                    table[o + k] = matrix[m + k]
        else:
            for k in range(n):
                m = (column + k) * column_step
                for i in range(block, end):
                    table[(i - top) * width + k] = matrix[m + i * row_step]
        for i in range(block, end):
            for k in range(n, width):
                table[(i - top) * width + k] = 0


@keep_compiled
@njit(nogil=True)
def accumulate_lists(
    starts: Array,
    ends: Array,
    index: Array,
    value: Array,
    tile: int,
    matrix: Array,
    row_step: int,
    column_step: int,
    columns: int,
    panels: Array,
    transposed: bool,
    out: Array,
    stride: int,
    first: int,
    last: int,
) -> None:
    """``out[i] = sum over the entries e of list i of value[e]*matrix[index[e]]`` for lists ``first:last``.

    List i has the entries ``starts[k, i]:ends[k, i]`` for every tile k in turn, which name rows of ``matrix`` from
    ``k*tile`` on. A tile of a panel of columns is copied to where it is together, and all lists are followed there.
    ``panels``: the first column of each and its width, 16, 32 or 64. Rows of ``out`` are ``stride`` apart; it is
    written ``transposed`` if wanted.
    """
    tiles, rows, lists = starts.shape[0], matrix.size // columns, last - first
    widest = panels[:, 1].max()
    table = np.empty(tile * widest, matrix.dtype)
    sums = np.empty(lists * widest if transposed else 0, matrix.dtype)
    for p in range(panels.shape[0]):
        column, width = panels[p, 0], panels[p, 1]
        n = min(width, columns - column)
        in_place = column_step == 1 and row_step == width  # the matrix is one panel
        for k in range(tiles):
            top = k * tile
            if not in_place:
                copy_panel(matrix, row_step, column_step, top, min(top + tile, rows), column, n, width, table)
            source = matrix if in_place else table
            base = 0 if in_place else -top * width
            for i in range(first, last):
                target = sums if transposed else out
                o = (i - first) * width if transposed else i * stride + column
                if k == 0:
                    target[o : o + width] = 0
                a, b = starts[k, i], ends[k, i]
                if width == 64:
                    accumulate(target, o, source, base, index, value, a, b, 8)
                elif width == 32:
                    accumulate(target, o, source, base, index, value, a, b, 4)
                else:
                    accumulate(target, o, source, base, index, value, a, b, 2)
        if transposed:
            for block in range(0, lists, 16):
                for j in range(n):
                    o = (column + j) * stride + first
                    for i in range(block, min(block + 16, lists)):
                        out[o + i] = sums[i * width + j]


@keep_compiled
@njit(nogil=True)
def convolve(
    starts: Array,
    ends: Array,
    index: Array,
    value: Array,
    taps: Array,
    tap_of: Array,
    cell_of: Array,
    out: Array,
    geometry: Array,
    first: int,
    last: int,
) -> None:
    """Weighted sums of a convolution for samples ``first:last``.

    A spike adds ``n_taps`` runs of kernel weights to runs of cells of a map with a margin, ``padded`` wide, from which
    the output is cut. ``tap_of`` and ``cell_of`` say where they begin for every presynaptic neuron; ``geometry``:
    height, width and channels of the output, height and width of the map, margin, taps, distance between runs of
    weights, vectors in a run.
    """
    height, width, channels, map_height, map_width, margin, n_taps, run, vectors = geometry
    padded = np.zeros(map_height * map_width * channels + run, out.dtype)
    row, line = map_width * channels, width * channels
    for i in range(first, last):
        padded[:] = 0
        for k in range(starts.shape[0]):
            for e in range(starts[k, i], ends[k, i]):
                j = index[e]
                cell, tap, x = cell_of[j], tap_of[j], value[e]
                for q in range(n_taps):
                    add_scaled(padded, cell + q * row, taps, tap + q * run, x, vectors)
        for y in range(height):
            a, b = (i * height + y) * line, (y + margin) * row + margin * channels
            out[a : a + line] = padded[b : b + line]


@keep_compiled
@njit(nogil=True)
def convolve_gradient(
    starts: Array,
    ends: Array,
    index: Array,
    value: Array,
    taps: Array,
    tap_of: Array,
    cell_of: Array,
    error: Array,
    geometry: Array,
    first: int,
    last: int,
) -> None:
    """Add errors times presynaptic spikes of samples ``first:last`` to ``taps``; parameters as in `convolve`."""
    height, width, channels, map_height, map_width, margin, n_taps, run, vectors = geometry
    padded = np.zeros(map_height * map_width * channels + run, error.dtype)
    row, line = map_width * channels, width * channels
    for i in range(first, last):
        for y in range(height):
            a, b = (i * height + y) * line, (y + margin) * row + margin * channels
            padded[b : b + line] = error[a : a + line]
        for k in range(starts.shape[0]):
            for e in range(starts[k, i], ends[k, i]):
                j = index[e]
                cell, tap, x = cell_of[j], tap_of[j], value[e]
                for q in range(n_taps):
                    add_scaled(taps, tap + q * run, padded, cell + q * row, x, vectors)


@keep_compiled
@njit(nogil=True)
def add_patches(patches: Array, out: Array, geometry: Array, first: int, last: int) -> None:
    """Add the patches of all output positions where they lie in the input of a convolution, for samples ``first:last``.

    A patch has ``kernel`` runs of ``run`` numbers: a row of the kernel with all input channels, and zeros.
    ``geometry``: height and width of the output; channels, height and width of the input; kernel, stride, padding, run.
    """
    out_height, out_width, channels, height, width, kernel, stride, padding, run = geometry
    row = (width + 2 * padding) * channels
    padded = np.zeros((height + 2 * padding) * row + run, out.dtype)
    one, line = out.dtype.type(1), width * channels
    for i in range(first, last):
        padded[:] = 0
        for y in range(out_height):
            for x in range(out_width):
                patch = ((i * out_height + y) * out_width + x) * kernel * run
                cell = y * stride * row + x * stride * channels
                for k in range(kernel):
                    add_scaled(padded, cell + k * row, patches, patch + k * run, one, run // 8)
        for y in range(height):
            a, b = (i * height + y) * line, (y + padding) * row + padding * channels
            out[a : a + line] = padded[b : b + line]
