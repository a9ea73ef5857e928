"""C++ loops for dense layers in standalone programs.

A dense layer needs no list of synapses: its weights, packed by presynaptic neuron, are rows of a matrix. Three loops do
what the synapses of `brianlearn.brian.network` do: ``deliver`` adds the row of every neuron that spiked, ``learn`` adds
the error to that row of the gradient (or changes the weights), ``feedback`` takes the product of every row with the
error of the layer above. They are functions that Brian2 calls from a group of one element, in the slots of the
synapses that they stand for. The statements of the synapses stay the reference that they are tested against.
"""

from __future__ import annotations

from dataclasses import dataclass

from brian2 import Clock, Function, NeuronGroup

__all__ = ["DenseKernels"]

_SPIKES = """
    const int32_t* __restrict spikes = brian::_array_{source}__spikespace;
    const int n_spikes = spikes[{n_pre}];"""

_DELIVER = """
inline double deliver_{name}(double x) {{{spikes}
    const {real}* weights = brian::_array_w_{name}_weight;
    {real}* __restrict target = brian::_array_{target}_{variable};
    for (int k = 0; k < n_spikes; k++) {{
        const {real}* __restrict row = weights + (size_t) spikes[k]*{n_post};
        const {real} amount = ({real}) {scale}{amplitude};
        for (int j = 0; j < {n_post}; j++) target[j] += amount*row[j];
    }}
    return x;
}}
"""

_LEARN = """
inline double learn_{name}(double x) {{{spikes}
    {real}* rows = brian::_array_w_{name}_{changed};
    const {real}* __restrict error = brian::_array_{target}_{error};
    for (int k = 0; k < n_spikes; k++) {{
        {real}* __restrict row = rows + (size_t) spikes[k]*{n_post};
        const {real} amount = {rate}{amplitude};
        for (int j = 0; j < {n_post}; j++) row[j] += amount*error[j];
    }}
    return x;
}}
"""

_LEARN_BY_TRACE = """
inline double learn_{name}(double x) {{
    {real}* rows = brian::_array_w_{name}_{changed};
    const {real}* __restrict error = brian::_array_{target}_{error};
    const {real}* __restrict trace = brian::_array_{source}_{trace};
    for (int i = 0; i < {n_pre}; i++) {{
        if (trace[i] == 0) continue;
        {real}* __restrict row = rows + (size_t) i*{n_post};
        const {real} amount = {rate}*trace[i];
        for (int j = 0; j < {n_post}; j++) row[j] += amount*error[j];
    }}
    return x;
}}
"""

_FEEDBACK = """
inline double feedback_{name}(double x) {{
    const {real}* weights = brian::_array_w_{name}_weight;
    const {real}* __restrict error = brian::_array_{target}_{error_down};
    {real}* __restrict third_factor = brian::_array_{source}_L;
    int i = 0;
    for (; i + 4 <= {n_pre}; i += 4) {{  // four sums at once: one alone waits for its own additions
        const {real}* __restrict a = weights + (size_t) i*{n_post};
        const {real}* __restrict b = a + {n_post};
        const {real}* __restrict c = b + {n_post};
        const {real}* __restrict d = c + {n_post};
        {real} sum_a = 0, sum_b = 0, sum_c = 0, sum_d = 0;
        for (int j = 0; j < {n_post}; j++) {{
            sum_a += a[j]*error[j];
            sum_b += b[j]*error[j];
            sum_c += c[j]*error[j];
            sum_d += d[j]*error[j];
        }}
        third_factor[i] = sum_a;
        third_factor[i + 1] = sum_b;
        third_factor[i + 2] = sum_c;
        third_factor[i + 3] = sum_d;
    }}
    for (; i < {n_pre}; i++) {{
        const {real}* __restrict row = weights + (size_t) i*{n_post};
        {real} sum = 0;
        for (int j = 0; j < {n_post}; j++) sum += row[j]*error[j];
        third_factor[i] = sum;
    }}
    return x;
}}
"""


@dataclass(frozen=True)
class DenseKernels:
    """The loops of one dense projection.

    Attributes
    ----------
    name : str
        Name of the projection; its weights are in the group ``w_<name>``.
    source, target : str
        Names of the two groups.
    n_pre, n_post : int
    variable : str
        What a spike increments in the target.
    dtype : str
    scale : float
        What a weight of 1 adds.
    carries : str
        Variable of the source that multiplies the weight of its events; none if empty.
    """

    name: str
    source: str
    target: str
    n_pre: int
    n_post: int
    variable: str
    dtype: str
    scale: float = 1.0
    carries: str = ""

    def _code(self, template: str, **names: str) -> str:
        spikes = _SPIKES.format(source=self.source, n_pre=self.n_pre)
        amplitude = f"*brian::_array_{self.source}_{self.carries}[spikes[k]]" if self.carries else ""
        return template.format(
            **{key: getattr(self, key) for key in ("name", "source", "target", "n_pre", "n_post", "variable")},
            real="float" if self.dtype == "float32" else "double",
            scale=repr(self.scale),
            spikes=spikes,
            amplitude=amplitude,
            **names,
        )

    def group(
        self,
        clock: Clock,
        *,
        learned: str | None,
        error: str,
        direct: bool,
        feedback: tuple[str, str] | None,
        trace: str | None = None,
    ) -> NeuronGroup:
        """The group of one element that runs the loops, each in its slot.

        Parameters
        ----------
        clock : brian2.Clock
        learned : str or None
            Slot of ``learn``; None for weights that are fixed.
        error : str
            Variable of the target that changes weights.
        direct : bool
            Whether weights are changed at once, by the learning rate ``eta``, instead of the gradient.
        feedback : (str, str) or None
            Slot of ``feedback`` and the variable of the target that goes down.
        trace : str, optional
            Variable of the source that is the presynaptic factor; its spikes where it is not given.
        """
        name = f"synapses_{self.name}"
        deliver = "readout_deliver" if self.variable == "y" else f"{self.name}_deliver"
        loops = {"deliver": (deliver, self._code(_DELIVER))}
        if learned is not None:
            rate = f"-brian::_array_{name}_eta[0]" if direct else "1"
            changed = "weight" if direct else "gradient"
            template = _LEARN if trace is None else _LEARN_BY_TRACE
            code = self._code(template, error=error, changed=changed, rate=rate, trace=trace or "")
            loops["learn"] = (learned, code)
        if feedback is not None:
            loops["feedback"] = (feedback[0], self._code(_FEEDBACK, error_down=feedback[1]))
        model = "x : 1" + ("\neta : 1 (shared, constant)" if learned is not None and direct else "")
        functions = {f"{loop}_{self.name}": _function(f"{loop}_{self.name}", code) for loop, (_, code) in loops.items()}
        group = NeuronGroup(1, model, name=name, clock=clock, namespace=functions)
        for loop, (slot, _) in loops.items():
            group.run_regularly(f"x = {loop}_{self.name}(x)", clock=clock, when=slot, name=f"{name}_{loop}")
        return group


def _function(name: str, code: str) -> Function:
    function = Function(None, arg_units=[1], return_unit=1, arg_types=["float"], return_type="float", stateless=False)
    function.implementations.add_implementation("cpp", code, name=name)
    return function
