"""A training step of STBP-like learning against snnTorch 1.0, SpikingJelly 2.0 and Norse 1.1, and against the limit.

``python benchmarks/peers.py`` (about five minutes). The libraries are installed into an environment of their own, which
is kept in the cache folder. Every library trains the same network (convolution, average pool, neuron; then dense
layers; a linear readout of the last layer's spikes, averaged over time) on the same spikes with the same loss and with
Adam; all live at the same time and take their steps in turn.

What differs, and is not made equal: brianlearn, snnTorch (Synaptic) and Norse have a synaptic current, SpikingJelly's
LIFNode has none and so has less to do. SpikingJelly and brianlearn apply a synaptic map to all time steps at once;
snnTorch and Norse are run as their documentation does, step by step. brianlearn folds the average pool into the
convolution; users of the others could do that by hand. brianlearn makes the C library keep freed memory, and OpenMP's
threads sleep while they wait; ``--keep`` gives the others the same settings (by environment variables).

Inputs fire in a tenth of all steps. brianlearn's weights are scaled until every layer does so as well, at least: its
sums follow lists of spikes, and its speed depends on their number. A step of the others costs the same at all rates.

The limit: floating-point operations of the matrix products, pools folded, over the speed of a large matrix product that
is measured in the same run. It counts the zeros of spike trains, which brianlearn leaves out.

Memory: the peak of the process, and how much of it came after the module was built: Brian2 and a compiler are loaded
beside torch in brianlearn's.

``--device cuda`` trains on a GPU, where memory is what torch took of it and the limit is that of the GPU's products in
the precision that torch uses by default. A library that is not installed, or fails, is said in the table. ``--python``
names an interpreter that has the libraries, and nothing is installed then; ``--json`` writes the numbers to a file.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from _measure import load
from _networks import NETWORKS
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from brianlearn.machine.cache import cache_folder

PEERS = {"snntorch": "1.0.0", "spikingjelly": "2.0.0", "norse": "1.1.0"}
#: What brianlearn.discrete.host.memory and brianlearn.discrete.host.waiting set, for other programs.
KEEP = {"OMP_WAIT_POLICY": "PASSIVE", "MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
WORKER = Path(__file__).with_name("_training_step.py")


def environment(console: Console) -> Path:
    """The Python of an environment with all peers, made if it is missing."""
    folder = cache_folder("peers")
    python, complete = folder / "bin" / "python", folder / "complete"
    wanted = " ".join(f"{name}=={version}" for name, version in PEERS.items())
    if not complete.exists() or complete.read_text() != wanted:
        console.print(f"installing {wanted} (minutes)")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        torch_version = torch.__version__.split("+")[0]
        packages = [f"torch=={torch_version}", "numpy<2.4", *wanted.split()]
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
        complete.write_text(wanted)
    return python


class Worker:
    """A process that takes training steps."""

    def __init__(self, python: Path | str, library: str, network: str, threads: int, keep: bool, device: str) -> None:
        command = [str(python), str(WORKER), library, network, str(threads), device]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | (KEEP if keep else {}),
        )
        self.answer()

    def answer(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word = line.strip()
            if word == "ready" or word.replace(".", "").replace("e-", "").isdigit():
                return word
        assert self.process.stderr is not None
        raise RuntimeError(self.process.stderr.read().strip()[-2000:] or "it ended without a word")

    def ask(self, line: str) -> float:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return float(self.answer())


def sgemm(threads: int, device: str) -> float:
    """Floating-point operations per second of a large matrix product."""
    torch.set_num_threads(threads)
    n = 2048 if device == "cpu" else 8192
    a = torch.rand(n, n, device=device)
    (a @ a).sum().item()  # the sum of what a GPU makes is there when the product is
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        product = a @ a
        if device != "cpu":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - started)
        del product
    return 2 * n**3 / statistics.median(seconds)


def compare(
    console: Console, name: str, python: Path, rounds: int, threads: int, keep: bool, device: str = "cpu"
) -> dict[str, Any]:
    """One network, all libraries; the numbers by library."""
    network = NETWORKS[name]
    workers: dict[str, Worker] = {}
    failed: dict[str, str] = {}
    for library in ("brianlearn", *PEERS):
        interpreter = sys.executable if library == "brianlearn" else python
        try:
            workers[library] = Worker(interpreter, library, name, threads, keep, device)
        except RuntimeError as error:
            failed[library] = str(error).splitlines()[-1]
    seconds: dict[str, list[float]] = {library: [] for library in workers}
    speeds = []
    for _ in range(rounds):
        for library, worker in workers.items():
            seconds[library].append(worker.ask("step"))
        speeds.append(sgemm(threads, device))
    memory = {library: worker.ask("end") for library, worker in workers.items()}
    built = {library: float(worker.answer()) for library, worker in workers.items()}
    limit = network.flops() / statistics.median(speeds)
    median = {library: statistics.median(values) for library, values in seconds.items()}
    where = f"{threads} threads" if device == "cpu" else torch.cuda.get_device_name()
    table = Table(title=f"{network.title}; {where}, {rounds} rounds, {load()}", box=SIMPLE_HEAD)
    for column in ("library", "ms/step", "brianlearn is", "of the limit", "peak MiB", "from training"):
        table.add_column(column, justify="left" if column == "library" else "right", no_wrap=True)
    for library, t in median.items():
        known = library != "brianlearn" and "brianlearn" in median
        ratio = f"{t / median['brianlearn']:.2f}x faster" if known else ""
        title = f"{library} {PEERS.get(library, '')}"
        mib = f"{memory[library]:.0f}", f"{memory[library] - built[library]:.0f}"
        table.add_row(title, f"{1e3 * t:.3g}", ratio, f"{t / limit:.1f}x", *mib)
    table.add_row(f"limit ({statistics.median(speeds) / 1e9:.0f} GFLOP/s)", f"{1e3 * limit:.3g}", "", "1.0x", "", "")
    console.print(table)
    for library, why in failed.items():
        console.print(f"{library} is left out: {why}", markup=False)
    return {
        "network": network.title,
        "device": device,
        "seconds": median,
        "limit": limit,
        "peak_mib": memory,
        "from_training_mib": {library: memory[library] - built[library] for library in memory},
        "failed": failed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = [name for name in NETWORKS if name != "tiny"]
    parser.add_argument("networks", nargs="*", default=default, help=", ".join(NETWORKS))
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--keep", action="store_true", help="all libraries keep freed memory and wait passively")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--python", type=Path, help="an interpreter that has the other libraries")
    parser.add_argument("--json", type=Path, help="a file for the numbers, written anew after each network")
    arguments = parser.parse_args()
    console = Console(width=120)
    python = arguments.python or environment(console)
    found = {}
    for name in arguments.networks:
        found[name] = compare(
            console, name, python, arguments.rounds, arguments.threads, arguments.keep, arguments.device
        )
        if arguments.json:
            arguments.json.write_text(json.dumps(found, indent=1))
    if not any("brianlearn" in numbers["seconds"] for numbers in found.values()):
        sys.exit("brianlearn itself could not be measured")


if __name__ == "__main__":
    main()
