"""Memory and time of learning from event cameras on cpp_standalone: N-MNIST, and DVS128 Gesture at 128 x 128.

``python benchmarks/events_in_brian.py`` (some minutes). Recordings are those under ``$BRIANLEARN_DATA``, as far as they
are there, and else synthetic events of the same number: 4100 in 300 ms of N-MNIST, and 50000 in 500 ms of DVS128
Gesture, whose clips have between 20000 and 50000. Each measurement is a process of its own; the peak of memory is that
of Python and of the program that it starts (on Linux).
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from _measure import load
from brian2 import ms
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import brianlearn as bl


def nmnist(n: int) -> tuple[bl.NetworkSpec, bl.Samples]:
    """N-MNIST, 300 ms in steps of 1 ms."""
    neuron = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0)
    layers = [bl.Conv(8, 5, neuron, pool=2), bl.Dense(64, neuron)]
    spec = bl.NetworkSpec(bl.Input((2, 34, 34), bl.Spikes()), layers, bl.Readout(10), duration=300 * ms)
    folder = os.environ.get("BRIANLEARN_DATA")
    if folder and (Path(folder) / "NMNIST").is_dir():
        train = bl.load("nmnist").train
        return spec, train[np.arange(n) % len(train)]
    return spec, synthetic(n, spec, 4100)


def gesture(n: int) -> tuple[bl.NetworkSpec, bl.Samples]:
    """DVS128 Gesture, 500 ms in steps of 1 ms."""
    neuron = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0)
    layers = [bl.Conv(8, 5, neuron, stride=4), bl.Dense(32, neuron)]
    spec = bl.NetworkSpec(bl.Input((2, 128, 128), bl.Spikes()), layers, bl.Readout(11), duration=500 * ms)
    folder = os.environ.get("BRIANLEARN_DATA")
    if folder and ((Path(folder) / "DvsGesture").is_dir() or (Path(folder) / "DVSGesture").is_dir()):
        train = bl.load("dvs_gesture").train
        return spec, train[np.arange(n) % len(train)]
    return spec, synthetic(n, spec, 50000)


def synthetic(n: int, spec: bl.NetworkSpec, events: int) -> bl.Samples:
    """Events at random times, more of them in the middle of the field than at its margin."""
    rng = np.random.default_rng(0)
    channels, height, width = spec.input.shape
    row, column = (
        np.clip(rng.normal(size / 2, size / 5, n * events), 0, size - 1).astype(int) for size in (height, width)
    )
    neuron = (rng.integers(channels, size=n * events) * height + row) * width + column
    step = rng.integers(spec.n_steps, size=n * events)
    recordings = bl.Events(step, neuron, np.arange(n + 1) * events, spec.input.shape)
    return bl.Samples(recordings, rng.integers(0, spec.classes, n))


SETS = {"N-MNIST": nmnist, "DVS128 Gesture": gesture}


def measure(name: str, device: str, n: int) -> None:
    """In a process of its own: learn a chunk of n trials, and print what that took."""
    spec, samples = SETS[name](n)
    learner = bl.Learner(spec, bl.DALTON(), device=device, engine="brian", batch_size=min(n, 10), chunk_size=n)
    state = learner.init()
    learner.infer(state, samples[:1])  # compiles, with other processes whose memory is not meant
    if os.fork():
        _, status = os.wait()
        sys.exit(os.waitstatus_to_exitcode(status))
    program = Peak()
    started = time.perf_counter()
    new, metrics = learner.learn(state, samples)
    seconds = time.perf_counter() - started
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = sum(float(np.abs(w).sum()) for w in new.weights.values())
    found = dict(python=own, program=program.stop(), seconds=seconds, rate=metrics.firing_rates["input"])
    print(json.dumps(found | {"weights": total}))
    sys.stdout.flush()
    os._exit(0)


class Peak(threading.Thread):
    """Looks at the largest memory of the processes that this one starts; the system's own count includes its own."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.mib, self.done = 0.0, threading.Event()
        self.start()

    def run(self) -> None:
        while not self.done.wait(0.01):
            for process in psutil.Process().children(recursive=True):
                with suppress(OSError, IndexError, ValueError):  # it has ended
                    status = Path(f"/proc/{process.pid}/status").read_text()
                    if "Name:\tmain" in status:
                        self.mib = max(self.mib, int(status.split("VmHWM:")[1].split()[0]) / 1024)

    def stop(self) -> float:
        self.done.set()
        self.join()
        return self.mib


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", choices=SETS)
    parser.add_argument("--device", default="cpp_standalone")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--here", action="store_true", help="measure in this process")
    options = parser.parse_args()
    if options.here:
        measure(options.set, options.device, options.trials)
        return
    table = Table(title=f"a chunk of {options.trials} trials, DALTON, {options.device}; {load()}", box=SIMPLE_HEAD)
    for column in ("data", "Python, MiB", "program, MiB", "together", "seconds", "input, Hz"):
        table.add_column(column, justify="left" if column == "data" else "right", no_wrap=True)
    for name in [options.set] if options.set else SETS:
        command = [sys.executable, __file__, "--here", "--set", name, "--device", options.device]
        run = subprocess.run([*command, "--trials", str(options.trials)], capture_output=True, text=True, check=True)
        found = json.loads(run.stdout.splitlines()[-1])
        both = found["python"] + found["program"]
        numbers = [found["python"], found["program"], both, found["seconds"], found["rate"]]
        table.add_row(name, *(f"{number:.1f}" if number < 100 else f"{number:.0f}" for number in numbers))
    Console().print(table)


if __name__ == "__main__":
    main()
