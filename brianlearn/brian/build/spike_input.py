"""Input spikes as a list: what is given to a run, and how a network fires it, on every device.

A run brings two arrays of int32 for each input: ``input.i``, the neurons that fire, in the order of time and then of
neurons; and ``input.n``, how many fire in each step (as a `SpikeRecorder` writes them). A group without a threshold
of its own has them put into its list of spikes, step by step: in runtime mode by Python, in a standalone program by a
C++ function that reads them from files as it goes, and so never holds more than one step of them.
"""

from __future__ import annotations

from string import Template

import numpy as np
from brian2 import Clock, Function, NetworkOperation, NeuronGroup

__all__ = ["SpikeFeed", "SpikeFeedProgram", "fires_a_list", "list_names"]


def list_names(group: str) -> tuple[str, str]:
    """Names of the two arrays of an input: neurons, and how many of them fire in each step."""
    return f"{group}.i", f"{group}.n"


#: A program runs in another folder than its files; its folder for results is beside them.
_CODE = Template("""
inline double feed_$source(double x) {
    static FILE* neurons = std::fopen((brian::results_dir + "../$neurons.bin").c_str(), "rb");
    static FILE* counts = std::fopen((brian::results_dir + "../$counts.bin").c_str(), "rb");
    int32_t* spikes = brian::_array_${source}__spikespace;
    int32_t n = 0;
    if (neurons == nullptr || counts == nullptr || std::fread(&n, sizeof(int32_t), 1, counts) != 1 || n < 0 || n > $size
        || std::fread(spikes, sizeof(int32_t), n, neurons) != (size_t) n) {
        std::fprintf(stderr, "Error: the input spikes of a step cannot be read\\n");
        std::_Exit(1);
    }
    spikes[$size] = n;
    return x;
}
""")


def fires_a_list(group: NeuronGroup) -> None:
    """Take a group's threshold out of every step: a feed says which of its neurons fire."""
    group.thresholder["spike"].active = False


class SpikeFeed(NetworkOperation):
    """Fires a list of spikes in runtime mode.

    Parameters
    ----------
    group : brian2.NeuronGroup
    clock : brian2.Clock
    when : str
        The slot of the group's threshold.
    """

    #: What is described of it.
    abstract_code = "spike where the list of input spikes says so"

    def __init__(self, group: NeuronGroup, clock: Clock, when: str) -> None:
        super().__init__(self._step, clock=clock, when=when, name=f"{group.name}_feed")
        self._spikes = group.variables["_spikespace"].get_value()
        self.load(np.zeros(0, np.int32), np.zeros(0, np.int32))

    def load(self, neurons: np.ndarray, counts: np.ndarray) -> None:
        """Take the list of a run, which begins at its first step."""
        self._neurons, self._ends, self._at = neurons, np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]), 0

    def _step(self) -> None:
        start, end = self._ends[self._at : self._at + 2] if self._at < len(self._ends) - 1 else (0, 0)
        self._spikes[: end - start] = self._neurons[start:end]
        self._spikes[-1] = end - start
        self._at += 1


class SpikeFeedProgram(NeuronGroup):
    """Fires a list of spikes in a standalone program.

    Parameters
    ----------
    group : brian2.NeuronGroup
    clock : brian2.Clock
    when : str
        The slot of the group's threshold.
    """

    def __init__(self, group: NeuronGroup, clock: Clock, when: str) -> None:
        neurons, counts = list_names(group.name)
        code = _CODE.substitute(source=group.name, size=int(group.N), neurons=neurons, counts=counts)
        feed = Function(None, arg_units=[1], return_unit=1, arg_types=["float"], return_type="float", stateless=False)
        headers = ["<cstdio>", "<cstdlib>", "<string>"]
        feed.implementations.add_implementation(
            "cpp", code, name=f"feed_{group.name}", compiler_kwds={"headers": headers}
        )
        name = f"{group.name}_feed"
        super().__init__(1, "done : 1", name=name, clock=clock, namespace={f"feed_{group.name}": feed})
        self.run_regularly(f"done = feed_{group.name}(done)", clock=clock, when=when, name=f"{name}_step")
