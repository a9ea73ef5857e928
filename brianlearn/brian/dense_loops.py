"""The loops of a dense layer (see `brianlearn.brian.loops`).

Its weights, packed by presynaptic neuron, are rows of a matrix. ``deliver`` adds the row of every neuron that spiked,
``learn`` adds the error to that row of the gradient (or changes the weights), ``feedback`` takes the product of every
row with the error of the layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brianlearn.brian.loops import Loop, LoopGroup, Slots

__all__ = ["dense_loops"]

_DELIVER = """
    const int32_t* __restrict spikes = brian::_array_${source}__spikespace;
    const auto* weights = brian::_array_w_${name}_weight;
    auto* __restrict target = brian::_array_${target}_${variable};
    for (int k = 0; k < spikes[$n_pre]; k++) {
        const auto* __restrict row = weights + (size_t) spikes[k]*$n_post;
        const $real amount = ($real) $scale$amplitude;
        for (int j = 0; j < $n_post; j++) target[j] += amount*row[j];
    }
"""

_LEARN = """
    if (learning == 0) return learning;
    const int32_t* __restrict spikes = brian::_array_${source}__spikespace;
    auto* rows = brian::_array_w_${name}_${changed};
    const auto* __restrict error = brian::_array_${target}_${error};
    for (int k = 0; k < spikes[$n_pre]; k++) {
        auto* __restrict row = rows + (size_t) spikes[k]*$n_post;
        const $real amount = ($real) $rate$amplitude;
        for (int j = 0; j < $n_post; j++) row[j] += amount*error[j];
    }
"""

_LEARN_BY_TRACE = """
    if (learning == 0) return learning;
    auto* rows = brian::_array_w_${name}_${changed};
    const auto* __restrict error = brian::_array_${target}_${error};
    const auto* __restrict trace = brian::_array_${source}_${trace};
    for (int i = 0; i < $n_pre; i++) {
        if (trace[i] == 0) continue;
        auto* __restrict row = rows + (size_t) i*$n_post;
        const $real amount = ($real) $rate*trace[i];
        for (int j = 0; j < $n_post; j++) row[j] += amount*error[j];
    }
"""

_FEEDBACK = """
    const auto* weights = brian::_array_w_${name}_weight;
    const auto* __restrict error = brian::_array_${target}_${error_down};
    auto* __restrict third_factor = brian::_array_${source}_L;
    if (learning == 0) {
        std::fill(third_factor, third_factor + $n_pre, ($real) 0);
        return learning;
    }
    int i = 0;
    for (; i + 4 <= $n_pre; i += 4) {  // four sums at once: one alone waits for its own additions
        const auto* __restrict a = weights + (size_t) i*$n_post;
        const auto* __restrict b = a + $n_post;
        const auto* __restrict c = b + $n_post;
        const auto* __restrict d = c + $n_post;
        $real sum_a = 0, sum_b = 0, sum_c = 0, sum_d = 0;
        for (int j = 0; j < $n_post; j++) {
            sum_a += a[j]*error[j];
            sum_b += b[j]*error[j];
            sum_c += c[j]*error[j];
            sum_d += d[j]*error[j];
        }
        third_factor[i] = sum_a;
        third_factor[i + 1] = sum_b;
        third_factor[i + 2] = sum_c;
        third_factor[i + 3] = sum_d;
    }
    for (; i < $n_pre; i++) {
        const auto* __restrict row = weights + (size_t) i*$n_post;
        $real sum = 0;
        for (int j = 0; j < $n_post; j++) sum += row[j]*error[j];
        third_factor[i] = sum;
    }
"""


def dense_loops(names: Mapping[str, Any], slots: Slots) -> LoopGroup:
    """The group that runs the loops of a dense layer.

    Parameters
    ----------
    names : mapping
        What the templates' names stand for: ``name`` (of the projection), ``source`` and ``target`` (groups),
        ``n_pre``, ``n_post``, ``variable`` (what a spike increments in the target), ``scale`` (what a weight of 1
        adds), ``amplitude`` (factor on an event, or nothing), ``real`` (C++ type of what is not summed over time).
    slots : Slots

    Returns
    -------
    LoopGroup
    """
    loops = [] if slots.deliver is None else [Loop("deliver", _DELIVER, slots.deliver)]
    if slots.learn is not None:
        learn = _LEARN if slots.trace is None else _LEARN_BY_TRACE
        loops.append(Loop("learn", learn, slots.learn, needs_learning=True))
    if slots.feedback is not None:
        loops.append(Loop("feedback", _FEEDBACK, slots.feedback[0], needs_learning=True))
    return LoopGroup(names["name"], slots, loops, names)
