"""Loops over the spikes of one time step: what they add to their targets, and what errors add to sources."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from brianlearn.discrete.maps.vectors import accumulate
from brianlearn.discrete.step.kernel_cache import keep_compiled

__all__ = ["add_rows", "add_synapses", "add_synapses_back", "synapse_gradient"]

Array = Any  # numba's arrays are numpy's
#: Samples side by side: numbers in a vector.
TOGETHER = 8


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
    """``out[b, post[e]] += spikes[b, i]*weight[e]`` for the synapses ``starts[i]:starts[i + 1]`` of what spiked."""
    for b in range(first, last):
        for i in range(spikes.shape[1]):
            x = spikes[b, i]
            if x != 0:
                for e in range(starts[i], starts[i + 1]):
                    out[b, post[e]] += x * weight[e]


@keep_compiled
@njit(nogil=True)
def add_synapses_back(
    error: Array, starts: Array, post: Array, weight: Array, out: Array, first: int, last: int
) -> None:
    """``out[b, i] += sum over the synapses e of i of weight[e]*error[b, post[e]]``, samples ``first:last``.

    Eight samples at a time, side by side, so that each synapse is one vector operation.
    """
    n_post = error.shape[1]
    errors, sums = np.empty(n_post * TOGETHER, error.dtype), np.empty(TOGETHER, error.dtype)
    for block in range(first, last, TOGETHER):
        n = min(TOGETHER, last - block)
        for b in range(TOGETHER):
            for j in range(n_post):
                errors[j * TOGETHER + b] = error[block + b, j] if b < n else 0
        for i in range(out.shape[1]):
            for b in range(TOGETHER):
                sums[b] = out[block + b, i] if b < n else 0
            accumulate(sums, 0, errors, 0, post, weight, starts[i], starts[i + 1], 1)
            for b in range(n):
                out[block + b, i] = sums[b]


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
                for e in range(starts[i], starts[i + 1]):
                    out[e] += x * errors[post[e]]
