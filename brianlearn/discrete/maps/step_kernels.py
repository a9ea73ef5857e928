"""Loops over the spikes of one time step: what they add to their targets, and what errors add to sources."""

from __future__ import annotations

from typing import Any

from numba import njit

from brianlearn.discrete.step.kernel_cache import keep_compiled

__all__ = ["add_rows", "add_synapses", "add_synapses_back"]

Array = Any  # numba's arrays are numpy's


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
    """``out[b, i] += sum over the synapses e of i of weight[e]*error[b, post[e]]``, samples ``first:last``."""
    for b in range(first, last):
        for i in range(out.shape[1]):
            total = out[b, i]
            for e in range(starts[i], starts[i + 1]):
                total += weight[e] * error[b, post[e]]
            out[b, i] = total
