"""The loops of a convolution with its average pool (see `brianlearn.brian.build.loops`).

Both together are one convolution with the effective kernel

    effective[A, B] = (1/pool^2) sum_{q, r < pool} kernel[A - q stride, B - r stride]

of size K = kernel + (pool - 1) stride and stride S = pool stride, through which a presynaptic spike reaches far fewer
neurons. Spikes use and change effective kernels; what they changed goes back to the shared kernel, through the
transpose of the same sum, before the optimiser's step, and the effective kernels are made anew after it. Effective
kernels are stored with the output channels last (and, for the feedback, with the input channels last): these are the
inner loops.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from brian2 import Clock, NeuronGroup

from brianlearn.brian.build.loops import Loop, LoopGroup, Slots, register_loops
from brianlearn.network.connections import Conv2d
from brianlearn.network.spec import Projection

__all__ = ["ConvGeometry", "conv_loops"]

_REFRESH = """
    const auto* weights = brian::_array_w_${name}_weight;
    auto* effective = brian::_array_effective_${name}_weight;
    std::fill(effective, effective + $effective_size, ($real) 0);
    for (int o = 0; o < $c_out; o++) for (int c = 0; c < $c_in; c++)
    for (int a = 0; a < $kernel; a++) for (int b = 0; b < $kernel; b++) {
        const $real value = ($real) $factor*weights[((o*$c_in + c)*$kernel + a)*$kernel + b];
        for (int q = 0; q < $pool; q++) for (int r = 0; r < $pool; r++)
            effective[((c*$K + a + q*$stride)*$K + b + r*$stride)*$c_out + o] += value;
    }
"""

#: The same, with the input channels last.
_TRANSPOSE = """    auto* transposed = brian::_array_effective_${name}_transposed;
    for (int c = 0; c < $c_in; c++) for (int ab = 0; ab < $K*$K; ab++) for (int o = 0; o < $c_out; o++)
        transposed[(ab*$c_out + o)*$c_in + c] = effective[(c*$K*$K + ab)*$c_out + o];
"""

_SPIKES = """
    const int32_t* __restrict spikes = brian::_array_${source}__spikespace;
    for (int k = 0; k < spikes[$n_pre]; k++) {
        const int i = spikes[k];"""

_TRACES = """
    const auto* __restrict trace = brian::_array_${source}_${trace};
    for (int i = 0; i < $n_pre; i++) {
        if (trace[i] == 0) continue;"""


def _reach(sources: str, amount: str, inner: str) -> str:
    """A loop over sources, and over the output positions that each reaches.

    ``inner`` uses ``row`` of the effective kernel and ``position`` of the output, both with the output channels last.
    """
    return f"""{sources}
        const int c = i/$in_positions, at = i - c*$in_positions;
        const int y = at/$width + $padding, x = at - at/$width*$width + $padding;
        const int y_first = y < $K ? 0 : (y - $K)/$S + 1, y_last = std::min(y/$S, $rows - 1);
        const int x_first = x < $K ? 0 : (x - $K)/$S + 1, x_last = std::min(x/$S, $cols - 1);
        const $real amount = ($real) {amount};
        for (int oy = y_first; oy <= y_last; oy++) for (int ox = x_first; ox <= x_last; ox++) {{
            const size_t row = (size_t) ((c*$K + y - oy*$S)*$K + x - ox*$S)*$c_out;
            const size_t position = (size_t) (oy*$cols + ox)*$c_out;
            for (int o = 0; o < $c_out; o++) {inner}
        }}
    }}
"""


_DELIVER = (
    """
    static $real sums[$n_post];
    const auto* effective = brian::_array_effective_${name}_weight;
    std::fill(sums, sums + $n_post, ($real) 0);
"""
    + _reach(_SPIKES, "$scale$amplitude", "sums[position + o] += amount*effective[row + o];")
    + """
    auto* __restrict target = brian::_array_${target}_${variable};
    for (int o = 0; o < $c_out; o++)
        for (int p = 0; p < $positions; p++) target[o*$positions + p] += sums[p*$c_out + o];
"""
)

_ERRORS = """
    static $real errors[$n_post];
    const auto* __restrict error = brian::_array_${target}_$$error_name;
    for (int o = 0; o < $c_out; o++)
        for (int p = 0; p < $positions; p++) errors[p*$c_out + o] = error[o*$positions + p];
"""

_LEARN = """
    if (learning == 0) return learning;
    auto* changed = brian::_array_effective_${name}_gradient;""" + _ERRORS.replace("$$error_name", "$error")
_CHANGE = "changed[row + o] += amount*errors[position + o];"
_LEARN_BY_SPIKE = _LEARN + _reach(_SPIKES, "1$amplitude", _CHANGE)
_LEARN_BY_TRACE = _LEARN + _reach(_TRACES, "trace[i]", _CHANGE)

#: What the effective kernels gathered, to the kernels that they share.
_FOLD = """
    auto* __restrict target = brian::_array_w_${name}_${changed};
    auto* __restrict gathered = brian::_array_effective_${name}_gradient;
    for (int o = 0; o < $c_out; o++) for (int c = 0; c < $c_in; c++)
    for (int a = 0; a < $kernel; a++) for (int b = 0; b < $kernel; b++) {
        auto sum = gathered[0];
        sum = 0;
        for (int q = 0; q < $pool; q++) for (int r = 0; r < $pool; r++)
            sum += gathered[((c*$K + a + q*$stride)*$K + b + r*$stride)*$c_out + o];
        target[((o*$c_in + c)*$kernel + a)*$kernel + b] += ($real) ($rate*$factor)*sum;
    }
    std::fill(gathered, gathered + $effective_size, ($real) 0);
"""

_FEEDBACK = (
    """
    auto* __restrict third_factor = brian::_array_${source}_${third_factor};
    if (learning == 0) {
        std::fill(third_factor, third_factor + $n_pre, ($real) 0);
        return learning;
    }
    static $real sums[$n_pre];
    std::fill(sums, sums + $n_pre, ($real) 0);
    const auto* transposed = brian::_array_effective_${name}_transposed;"""
    + _ERRORS.replace("$$error_name", "$error_down")
    + """
    for (int a = 0; a < $K; a++) for (int b = 0; b < $K; b++) {
        const auto* block = transposed + (size_t) (a*$K + b)*$c_out*$c_in;
        for (int oy = 0; oy < $rows; oy++) for (int ox = 0; ox < $cols; ox++) {
            const int y = oy*$S + a - $padding, x = ox*$S + b - $padding;
            if (y < 0 || y >= $height || x < 0 || x >= $width) continue;
            const $real* delta = errors + (oy*$cols + ox)*$c_out;
            $real sum[$c_in] = {};
            for (int o = 0; o < $c_out; o++)
                for (int c = 0; c < $c_in; c++) sum[c] += delta[o]*block[o*$c_in + c];
            $real* __restrict place = sums + (y*$width + x)*$c_in;
            for (int c = 0; c < $c_in; c++) place[c] += sum[c];
        }
    }
    for (int c = 0; c < $c_in; c++) for (int p = 0; p < $in_positions; p++)
        third_factor[c*$in_positions + p] = sums[p*$c_in + c];
"""
)


class ConvGeometry:
    """Sizes of a convolution with its pool.

    Parameters
    ----------
    layer : Conv2d
        A plain one.
    in_shape, out_shape : tuple of int
        (channels, height, width).

    Attributes
    ----------
    names : dict
        What the templates' names stand for.
    """

    def __init__(self, layer: Conv2d, in_shape: tuple[int, ...], out_shape: tuple[int, ...]) -> None:
        c_in, height, width = in_shape
        c_out, rows, cols = out_shape
        (kernel, _), (stride, _), (padding, _), _ = layer.sides
        k = kernel + (layer.pool - 1) * stride
        self.layer, self.kernel, self.size = layer, kernel, c_in * k * k * c_out
        self.names: dict[str, Any] = {
            **dict(c_in=c_in, height=height, width=width, in_positions=height * width),
            **dict(c_out=c_out, rows=rows, cols=cols, positions=rows * cols),
            **dict(kernel=kernel, stride=stride, padding=padding, pool=layer.pool),
            **dict(K=k, S=stride * layer.pool, effective_size=self.size, factor=repr(1.0 / layer.pool**2)),
        }

    @property
    def merges_well(self) -> bool:
        """Whether the effective kernel has no more elements than there are ways through the pool."""
        return self.names["K"] <= self.kernel * self.layer.pool


def conv_loops(
    names: Mapping[str, Any], slots: Slots, geometry: ConvGeometry, trial_clock: Clock
) -> tuple[LoopGroup, NeuronGroup]:
    """The group that runs the loops of a convolution, and the group that holds its effective kernels.

    Parameters
    ----------
    names : mapping
        As for `dense_loops`.
    slots : Slots
    geometry : ConvGeometry
    trial_clock : brian2.Clock

    Returns
    -------
    loops : LoopGroup
    effective : NeuronGroup
    """
    learns, back = slots.learn is not None, slots.feedback is not None
    refresh = _REFRESH + (_TRANSPOSE if back else "")
    clock, when, order = slots.update
    # the first step of a trial is the first of a run as well
    loops = [Loop("begin", refresh, "start", -4, trial_clock)]
    if slots.deliver is not None:
        loops.append(Loop("deliver", _DELIVER, slots.deliver))
    if learns:
        learn = _LEARN_BY_SPIKE if slots.trace is None else _LEARN_BY_TRACE
        loops.append(Loop("learn", learn, slots.learn or "", needs_learning=True))
        if slots.direct:
            loops.append(Loop("fold", "    if (learning == 0) return learning;" + _FOLD, when, order - 2, clock, True))
        else:
            loops.append(Loop("fold", _FOLD, when, order - 2, clock))
    if when != "start" and (learns or slots.deliver is None):
        loops.append(Loop("refresh", refresh, when, order + 1, clock))
    if back:
        assert slots.feedback is not None
        loops.append(Loop("feedback", _FEEDBACK, slots.feedback[0], needs_learning=True))
    model = "weight : 1" + ("\ngradient : 1" if learns else "") + ("\ntransposed : 1" if back else "")
    # as the gradient that it goes to; what a step changes at once is no sum over time
    dtype = {} if slots.direct else {"gradient": np.float64}
    effective = NeuronGroup(geometry.size, model, name=f"effective_{names['name']}", clock=slots.clock, dtype=dtype)
    return LoopGroup(names["name"], slots, loops, {**geometry.names, **names}), effective


def _connection(p: Projection) -> Conv2d:
    """The convolution: loops are made by exact kind."""
    return cast("Conv2d", p.connection)


def _fits(p: Projection) -> bool:
    return _connection(p).plain and ConvGeometry(_connection(p), p.in_shape, p.out_shape).merges_well


def _make(
    p: Projection, names: Mapping[str, Any], slots: Slots, trial_clock: Clock
) -> tuple[LoopGroup, dict[str, NeuronGroup]]:
    loops, effective = conv_loops(names, slots, ConvGeometry(_connection(p), p.in_shape, p.out_shape), trial_clock)
    return loops, {f"effective_{p.name}": effective}


register_loops(Conv2d, _fits, _make)
