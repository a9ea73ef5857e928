"""Spikes of a standalone program, written to its results folder while it runs.

Brian2's monitor keeps all spikes in memory until the end, 12 bytes each. Here they go to a file at once: the indices of
the neurons, 4 bytes each, and beside it the number of spikes of every step.
"""

from __future__ import annotations

from string import Template

import numpy as np
from brian2 import Clock, Function, NeuronGroup

__all__ = ["SpikeRecorder", "steps_of_spikes"]

_CODE = Template("""
inline double record_$name(double x) {
    static FILE* indices = std::fopen((brian::results_dir + "$name.i").c_str(), "wb");
    static FILE* counts = std::fopen((brian::results_dir + "$name.n").c_str(), "wb");
    if (indices == nullptr || counts == nullptr) {
        std::fprintf(stderr, "Error: cannot write %s$name\\n", brian::results_dir.c_str());
        std::_Exit(1);
    }
    const int32_t* spikes = brian::_array_${source}__spikespace;
    const size_t n = spikes[$size];
    const size_t written = std::fwrite(spikes, sizeof(int32_t), n, indices);
    if (written != n || std::fwrite(spikes + $size, sizeof(int32_t), 1, counts) != 1) {
        std::fprintf(stderr, "Error: the disk is full: %s$name\\n", brian::results_dir.c_str());
        std::_Exit(1);
    }
    return x;
}
""")


class SpikeRecorder(NeuronGroup):
    """Writes the spikes of a group, as files ``<name>.i`` and ``<name>.n`` of int32.

    Parameters
    ----------
    group : brian2.NeuronGroup
    name : str
    clock : brian2.Clock
    """

    def __init__(self, group: NeuronGroup, name: str, clock: Clock) -> None:
        code = _CODE.substitute(name=name, source=group.name, size=int(group.N))
        record = Function(None, arg_units=[1], return_unit=1, arg_types=["float"], return_type="float", stateless=False)
        headers = ["<cstdio>", "<cstdlib>", "<string>"]
        record.implementations.add_implementation(
            "cpp", code, name=f"record_{name}", compiler_kwds={"headers": headers}
        )
        super().__init__(1, "done : 1", name=name, clock=clock, namespace={f"record_{name}": record})
        self.run_regularly(f"done = record_{name}(done)", clock=clock, when="end", name=f"{name}_record")


def steps_of_spikes(counts: np.ndarray) -> np.ndarray:
    """The step of every spike, from the number of spikes in every step."""
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)
