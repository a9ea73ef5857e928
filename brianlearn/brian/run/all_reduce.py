"""All-reduce: several processes of one standalone program that learn a batch together.

Every process runs its shard of a batch. Before the optimiser's step all of them put their gradients into memory that
they share, wait for each other, and add up all gradients in the same order: each then takes the same step on its own
weights, which stay equal to the last bit. No process is started or stopped in between.
"""

from __future__ import annotations

from pathlib import Path
from string import Template

import numpy as np
from brian2 import Function, NeuronGroup

from brianlearn.brian.build.frame import BrianNetwork
from brianlearn.brian.run.lifeline import PARENT_VARIABLE

__all__ = ["VARIABLE", "add_all_reduce", "shared_memory"]

#: Environment variable that tells a process where the memory is, its rank, and how many there are.
VARIABLE = "BRIANLEARN_ALL_REDUCE"
_HEADER = 64
#: Seconds that a process waits for the others before it gives up: far more than their shards can differ.
_LIMIT = 1800

_CODE = """
inline double all_reduce_gradients(double count) {
    static std::atomic<int32_t>* arrived = nullptr;
    static double* shared = nullptr;
    static int rank = 0, workers = 1;
    static pid_t parent = 0;
    if (count == 0) return count;
    if (shared == nullptr) {
        // not getppid(): whoever waits for the result may be gone by now
        const char* waits = std::getenv("$parent_variable");
        parent = waits == nullptr ? getppid() : (pid_t) std::atoi(waits);
        const char* text = std::getenv("$variable");
        char path[4096];
        if (text == nullptr || std::sscanf(text, "%d/%d:%4095[^\\n]", &rank, &workers, path) != 3) {
            std::fprintf(stderr, "Error: $variable is not set\\n");
            std::_Exit(1);
        }
        const int file = open(path, O_RDWR);
        const size_t length = $header + (size_t) workers*$size*sizeof(double);
        void* memory = file < 0 ? MAP_FAILED : mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (memory == MAP_FAILED) {
            std::fprintf(stderr, "Error: cannot map %s\\n", path);
            std::_Exit(1);
        }
        arrived = (std::atomic<int32_t>*) memory;
        shared = (double*) ((char*) memory + $header);
    }
    double* mine = shared + (size_t) rank*$size;
    static int32_t meetings = 0;
    const auto meet = [&]() {
        arrived->fetch_add(1);
        meetings++;
        const auto since = std::chrono::steady_clock::now();
        for (unsigned tries = 1; arrived->load() < meetings*workers; tries++) {
            if (tries % 64 == 0) sched_yield();
            if (tries % 65536 != 0) continue;
            if (getppid() != parent) std::_Exit(1);
            if (std::chrono::steady_clock::now() - since > std::chrono::seconds($limit)) {
                std::fprintf(stderr, "Error: waited $limit seconds for the other processes\\n");
                std::_Exit(1);
            }
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
        double* __restrict sum = brian::$array;
        std::copy(shared + $at, shared + $at + $n, sum);
        for (int other = 1; other < workers; other++) {
            const double* __restrict part = shared + (size_t) other*$size + $at;
            for (int j = 0; j < $n; j++) sum[j] += part[j];
        }
    }"""

_HEADERS = ["<atomic>", "<chrono>", "<cstdio>", "<cstdlib>", "<fcntl.h>", "<sched.h>", "<sys/mman.h>", "<unistd.h>"]


def _gradients(net: BrianNetwork) -> dict[str, int]:
    """Groups whose ``gradient`` an optimiser uses, and their sizes."""
    groups = {group.name: int(group.N) for group in net.weights.values() if "gradient" in group.variables}
    return {name: n for name, n in groups.items() if name.startswith("w_")}


def add_all_reduce(net: BrianNetwork) -> None:
    """Add the all-reduce of gradients to a network, right before its optimiser's step.

    Parameters
    ----------
    net : BrianNetwork
        Built for the shard of one process: its batch size is the trials of a batch in one process.
    """
    groups = _gradients(net)
    names: dict[str, object] = {"size": sum(groups.values()), "header": _HEADER, "variable": VARIABLE}
    names |= {"parent_variable": PARENT_VARIABLE, "limit": _LIMIT}
    copies, sums, at = [], [], 0
    for name, n in groups.items():
        place = {**names, "array": f"_array_{name}_gradient", "n": n, "at": at}
        copies.append(Template(_COPY).substitute(place))
        sums.append(Template(_SUM).substitute(place))
        at += n
    code = Template(_CODE).substitute(names, copies="\n    ".join(copies), sums="\n    ".join(sums))
    all_reduce = Function(None, arg_units=[1], return_unit=1, arg_types=["float"], return_type="float", stateless=False)
    all_reduce.implementations.add_implementation(
        "cpp", code, name="all_reduce_gradients", compiler_kwds={"headers": _HEADERS}
    )
    namespace = {"all_reduce_gradients": all_reduce, "batch_count": net.timed["batch_count"]}
    group = NeuronGroup(1, "done : 1", name="all_reduce", clock=net.clock, namespace=namespace)
    group.run_regularly(
        "done = all_reduce_gradients(batch_count(t))",
        clock=net.batch_clock,
        when="start",
        order=-6,
        name="all_reduce_run",
    )
    net.groups["all_reduce"] = group
    net.network.add(group)


def shared_memory(folder: Path, n_weights: int, workers: int) -> list[str]:
    """Make a file in ``folder`` that ``workers`` processes map, for gradients of ``n_weights`` doubles.

    Returns
    -------
    list of str
        The value of `VARIABLE` for each process.

    Raises
    ------
    OSError
        A full disk.
    """
    size = _HEADER + workers * n_weights * np.dtype(float).itemsize
    name = folder / "all_reduce"
    name.write_bytes(bytes(size))  # a hole in the file would end the processes with SIGBUS where the disk is full
    return [f"{rank}/{workers}:{name}" for rank in range(workers)]
