"""Loops over the spikes of one time step: what they add to their targets, and what errors add to sources."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from brianlearn.discrete.maps.vectors import CHAINS, WIDTH, accumulate, accumulate_together
from brianlearn.discrete.step.kernel_cache import keep_compiled

__all__ = ["add_lists", "add_rows", "add_synapses", "synapse_gradient"]

Array = Any  # numba's arrays are numpy's
#: Samples side by side: numbers in a vector.
TOGETHER = WIDTH


@keep_compiled
@njit(nogil=True)
def add_lists(
    given: Array, order: Array, starts: Array, index: Array, weight: Array, out: Array, first: int, last: int
) -> None:
    """``out[b, order[k]] += sum over the entries e of list k of weight[e]*given[b, index[e]]``, samples ``first:last``.

    List k has the entries ``starts[k]:starts[k + 1]``. Eight samples are taken at a time, side by side, so that each
    entry is one vector operation, and `CHAINS` lists; those of about the same length should follow one another.
    """
    columns, lists = given.shape[1], order.shape[0]
    table, sums = np.empty(columns * TOGETHER, given.dtype), np.empty(CHAINS * TOGETHER, given.dtype)
    at = np.empty(CHAINS, np.int64)
    for block in range(first, last, TOGETHER):
        n = min(TOGETHER, last - block)
        for b in range(TOGETHER):
            for j in range(columns):
                table[j * TOGETHER + b] = given[block + b, j] if b < n else 0
        for group in range(0, lists, CHAINS):
            width, shortest = min(CHAINS, lists - group), starts[group + 1] - starts[group]
            for c in range(CHAINS):
                k = group + min(c, width - 1)
                at[c] = starts[k]
                shortest = min(shortest, starts[k + 1] - starts[k])
                for b in range(TOGETHER):
                    sums[c * TOGETHER + b] = out[block + b, order[k]] if b < n else 0
            accumulate_together(sums, table, index, weight, at, shortest)
            for c in range(width):
                k = group + c
                accumulate(sums, c * TOGETHER, table, 0, index, weight, at[c] + shortest, starts[k + 1], 1)
                for b in range(n):
                    out[block + b, order[k]] = sums[c * TOGETHER + b]


@keep_compiled
@njit(nogil=True)
def add_rows(spikes: Array, rows: Array, out: Array, first: int, last: int) -> None:
    """``out[b] += spikes[b, i]*rows[i]`` for all i with a spike, samples ``first:last``; a row for every source."""
    n = rows.shape[1]
    for b in range(first, last):
        target = out[b]
        for i in range(spikes.shape[1]):
            x = spikes[b, i]
            if x != 0:
                row = rows[i]
                for k in range(n):
                    target[k] += x * row[k]


@keep_compiled
@njit(nogil=True)
def add_synapses(spikes: Array, starts: Array, post: Array, weight: Array, out: Array, first: int, last: int) -> None:
    """``out[b, post[e]] += spikes[b, i]*weight[e]`` for the synapses ``starts[i]:starts[i + 1]`` of what spiked.

    ``post`` is unsigned: numba then looks for no negative numbers, which takes half as long again.
    """
    for b in range(first, last):
        for i in range(spikes.shape[1]):
            x = spikes[b, i]
            if x != 0:
                for e in range(starts[i], starts[i + 1]):
                    out[b, post[e]] += x * weight[e]


@keep_compiled
@njit(nogil=True)
def synapse_gradient(
    begins: Array,
    ends: Array,
    index: Array,
    value: Array,
    starts: Array,
    post: Array,
    error: Array,
    out: Array,
    first: int,
    last: int,
) -> None:
    """``out[e] += value*error[r, post[e]]`` for the synapses e of all spikes in the lists of the rows ``first:last``.

    ``begins``, ``ends``, ``index`` and ``value`` are those of `brianlearn.discrete.maps.csr_spikes.CSRSpikes`.
    """
    for r in range(first, last):
        errors = error[r]
        for k in range(begins.shape[0]):
            for s in range(begins[k, r], ends[k, r]):
                i, x = index[s], value[s]
                sums, targets = out[starts[i] : starts[i + 1]], post[starts[i] : starts[i + 1]]
                for e in range(np.uint64(len(sums))):
                    sums[e] += x * errors[targets[e]]
