"""The loops of a dense layer (see `brianlearn.brian.build.loops`).

Its weights, packed by presynaptic neuron, are rows of a matrix. ``deliver`` adds the row of every neuron that spiked,
``learn`` adds the error to that row of the gradient (or changes the weights), ``feedback`` takes the product of every
row with the error of the layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brian2 import Clock, NeuronGroup

from brianlearn.brian.build.loops import Loop, LoopGroup, Slots, register_loops
from brianlearn.network.connections import AllToAll, Bias
from brianlearn.network.spec import Projection

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

_SPIKES = """
    const int32_t* __restrict spikes = brian::_array_${source}__spikespace;
    for (int k = 0; k < spikes[$n_pre]; k++) {
        const int i = spikes[k];"""

_TRACES = """
    const auto* __restrict trace = brian::_array_${source}_${trace};
    for (int i = 0; i < $n_pre; i++) {
        if (trace[i] == 0) continue;"""


def _learn(sources: str, amount: str, begin: str, row: str, end: str = "") -> str:
    """A loop over sources that adds the error, times ``amount``, to ``row``."""
    return f"""
    if (learning == 0) return learning;
    const auto* __restrict error = brian::_array_${{target}}_${{error}};{begin}{sources}
        auto* __restrict row = {row} + (size_t) i*$n_post;
        const $real amount = ($real) {amount};
        for (int j = 0; j < $n_post; j++) row[j] += amount*error[j];{end}
    }}
"""


_ROWS = """
    auto* rows = brian::_array_w_${name}_${changed};"""

#: With float32 a row adds up some events, before they go to the sum in double precision: an event touches half as much
#: memory.
_BEGIN_PARTS = (
    _ROWS
    + """
    auto* parts = brian::_array_parts_${name}_part;
    static int added[$n_pre];"""
)
_END_PART = """
        if (++added[i] < $most) continue;
        added[i] = 0;
        auto* __restrict whole = rows + (size_t) i*$n_post;
        for (int j = 0; j < $n_post; j++) {
            whole[j] += row[j];
            row[j] = 0;
        }"""

#: What is left of the parts, before the optimiser's step.
_GATHER = (
    _ROWS
    + """
    auto* __restrict parts = brian::_array_parts_${name}_part;
    for (size_t j = 0; j < (size_t) $n_pre*$n_post; j++) {
        rows[j] += parts[j];
        parts[j] = 0;
    }
"""
)
#: Events in a part, whose sum has a relative error of a few 1e-7, however many parts there are. (784-512-256-10
#: with DALTON takes 8 % more time than with sums in single precision alone; with parts of 16 events, or none, 20 %.)
_MOST = 32

_FEEDBACK = """
    const auto* weights = brian::_array_w_${name}_weight;
    const auto* __restrict error = brian::_array_${target}_${error_down};
    auto* __restrict third_factor = brian::_array_${source}_${third_factor};
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


def dense_loops(names: Mapping[str, Any], slots: Slots) -> tuple[LoopGroup, NeuronGroup | None]:
    """The group that runs the loops of a dense layer, and the group that holds parts of its gradient, if it has them.

    Parameters
    ----------
    names : mapping
        What the templates' names stand for: ``name`` (of the projection), ``source`` and ``target`` (groups),
        ``n_pre``, ``n_post``, ``variable`` (what a spike increments in the target), ``scale`` (what a weight of 1
        adds), ``amplitude`` (factor on an event, or nothing), ``real`` (C++ type of what is not summed over time).
    slots : Slots

    Returns
    -------
    loops : LoopGroup
    parts : brian2.NeuronGroup or None
    """
    name, clock, (update_clock, when, order) = names["name"], slots.clock, slots.update
    parts: NeuronGroup | None = None
    loops = [] if slots.deliver is None else [Loop("deliver", _DELIVER, slots.deliver)]
    if slots.learn is not None:
        source = (_SPIKES, "$rate$amplitude") if slots.trace is None else (_TRACES, "$rate*trace[i]")
        # a sum over a batch of trials; what changes in every step is no long sum
        if names["real"] == "float" and when == "start" and not slots.direct:
            learn = _learn(*source, _BEGIN_PARTS, "parts", _END_PART)
            loops.append(Loop("gather", _GATHER, when, order - 2, update_clock))
            parts = NeuronGroup(names["n_pre"] * names["n_post"], "part : 1", name=f"parts_{name}", clock=clock)
        else:
            learn = _learn(*source, _ROWS, "rows")
        loops.append(Loop("learn", learn, slots.learn, needs_learning=True))
    if slots.feedback is not None:
        loops.append(Loop("feedback", _FEEDBACK, slots.feedback[0], needs_learning=True))
    return LoopGroup(name, slots, loops, {**names, "most": _MOST}), parts


def _make(
    p: Projection, names: Mapping[str, Any], slots: Slots, trial_clock: Clock
) -> tuple[LoopGroup, dict[str, NeuronGroup]]:
    loops, parts = dense_loops(names, slots)
    return loops, {} if parts is None else {f"parts_{p.name}": parts}


def _one_each(p: Projection) -> bool:
    """Whether a bias is a row of weights, one for each neuron."""
    assert isinstance(p.connection, Bias)
    return not p.connection.by_channel


register_loops(AllToAll, lambda _: True, _make)
register_loops(Bias, _one_each, _make)
