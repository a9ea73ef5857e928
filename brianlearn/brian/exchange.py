"""Several processes of one standalone program that learn a batch together.

Every process runs its share of the trials of a batch. Before the optimiser's step all of them put their gradients into
memory that they share, wait for each other, and add up all shares in the same order: each then takes the same step on
its own weights, which stay equal to the last bit. No process is started or stopped in between.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

import numpy as np
from brian2 import Function, NeuronGroup

from brianlearn.brian.network import BrianNetwork
from brianlearn.brian.scratch import scratch_folder

__all__ = ["VARIABLE", "add_exchange", "shared_memory"]

#: Environment variable that tells a process where the memory is, which share is its own, and of how many.
VARIABLE = "BRIANLEARN_EXCHANGE"
_HEADER = 64

_CODE = """
inline double exchange_gradients(double count) {
    static std::atomic<int32_t>* arrived = nullptr;
    static $real* shared = nullptr;
    static int rank = 0, workers = 1;
    static const pid_t parent = getppid();
    if (count == 0) return count;
    if (shared == nullptr) {
        const char* text = std::getenv("$variable");
        char path[4096];
        if (text == nullptr || std::sscanf(text, "%d/%d:%4095[^\\n]", &rank, &workers, path) != 3) {
            std::fprintf(stderr, "Error: $variable is not set\\n");
            std::_Exit(1);
        }
        const int file = open(path, O_RDWR);
        const size_t length = $header + (size_t) workers*$size*sizeof($real);
        void* memory = file < 0 ? MAP_FAILED : mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (memory == MAP_FAILED) {
            std::fprintf(stderr, "Error: cannot map %s\\n", path);
            std::_Exit(1);
        }
        arrived = (std::atomic<int32_t>*) memory;
        shared = ($real*) ((char*) memory + $header);
    }
    $real* mine = shared + (size_t) rank*$size;
    static int32_t meetings = 0;
    const auto meet = [&]() {
        arrived->fetch_add(1);
        meetings++;
        for (int tries = 1; arrived->load() < meetings*workers; tries++) {
            if (tries % 64 == 0) sched_yield();
            if (tries % 65536 == 0 && getppid() != parent) std::_Exit(1);  // whoever waits for the result is gone
        }
    };
    $copies
    meet();
    $sums
    meet();  // nobody writes while another one reads
    return count;
}
"""

_COPY = "std::copy(brian::$array, brian::$array + $n, mine + $at);"

_SUM = """{
        $real* __restrict sum = brian::$array;
        std::copy(shared + $at, shared + $at + $n, sum);
        for (int other = 1; other < workers; other++) {
            const $real* __restrict part = shared + (size_t) other*$size + $at;
            for (int j = 0; j < $n; j++) sum[j] += part[j];
        }
    }"""

_HEADERS = ["<atomic>", "<cstdio>", "<cstdlib>", "<fcntl.h>", "<sched.h>", "<sys/mman.h>", "<unistd.h>"]


def _gradients(net: BrianNetwork) -> dict[str, int]:
    """Groups whose ``gradient`` an optimiser uses, and their sizes."""
    groups = {group.name: int(group.N) for group in net.weights.values() if "gradient" in group.variables}
    return {name: n for name, n in groups.items() if name.startswith("w_")}


def add_exchange(net: BrianNetwork) -> None:
    """Add the exchange of gradients to a network, right before its optimiser's step.

    Parameters
    ----------
    net : BrianNetwork
        Built for the share of one process: its batch size is the trials of a batch in one process.
    """
    real = "float" if net.plan.dtype == "float32" else "double"
    groups = _gradients(net)
    names = {"real": real, "size": sum(groups.values()), "header": _HEADER, "variable": VARIABLE}
    copies, sums, at = [], [], 0
    for name, n in groups.items():
        place = {**names, "array": f"_array_{name}_gradient", "n": n, "at": at}
        copies.append(Template(_COPY).substitute(place))
        sums.append(Template(_SUM).substitute(place))
        at += n
    code = Template(_CODE).substitute(names, copies="\n    ".join(copies), sums="\n    ".join(sums))
    exchange = Function(None, arg_units=[1], return_unit=1, arg_types=["float"], return_type="float", stateless=False)
    exchange.implementations.add_implementation(
        "cpp", code, name="exchange_gradients", compiler_kwds={"headers": _HEADERS}
    )
    namespace = {"exchange_gradients": exchange, "batch_count": net.timed["batch_count"]}
    group = NeuronGroup(1, "done : 1", name="exchange", clock=net.clock, namespace=namespace)
    group.run_regularly(
        "done = exchange_gradients(batch_count(t))", clock=net.batch_clock, when="start", order=-6, name="exchange_run"
    )
    net.groups["exchange"] = group
    net.network.add(group)


@contextmanager
def shared_memory(n_weights: int, dtype: str, workers: int) -> Iterator[list[str]]:
    """A file that ``workers`` processes map, for gradients of ``n_weights`` values.

    Yields
    ------
    list of str
        The value of `VARIABLE` for each process.
    """
    size = _HEADER + workers * n_weights * np.dtype(dtype).itemsize
    handle, name = tempfile.mkstemp(prefix="brianlearn-exchange-", dir=scratch_folder(size))
    try:
        os.truncate(handle, size)
        os.close(handle)
        yield [f"{rank}/{workers}:{name}" for rank in range(workers)]
    finally:
        Path(name).unlink()
