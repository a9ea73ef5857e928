"""How time and memory of a training step grow with steps, neurons and rate, where all neurons hear one another.

``python benchmarks/recurrent.py`` (some minutes). A network 700-N-20 whose N neurons hear one another after one step is
taught by back-propagation through time with a batch of 128 trials, as the engine does it by itself: in micro-batches,
and with checkpoints where trials are long. Each line is a process of its own; one thing grows at a time. Seconds are
the faster one of two batches, after one that compiles. Memory is the peak of the process, and how much of it came after
the learner was built; ``rate`` is the share of steps with a spike, of the inputs and of the neurons.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from _measure import load
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

#: Steps, neurons, rate of the inputs; the first one is what the others differ from in one number.
CASES = [(250, 256, 0.05), (100, 256, 0.05), (1000, 256, 0.05), (5000, 256, 0.05)]
CASES += [(250, 64, 0.05), (250, 1024, 0.05), (250, 256, 0.01), (250, 256, 0.15)]


def peak() -> float:
    """Peak memory of this process until now, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(steps: int, neurons: int, rate: float, trials: int) -> dict[str, float]:
    """One case, in this process."""
    import numpy as np
    from brian2 import ms

    import brianlearn as bl

    cell = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0)
    spec = bl.NetworkSpec(
        populations=[
            bl.Population("input", (700,), bl.Spikes()),
            bl.Population("hidden", neurons, cell),
            bl.Population("out", 20, bl.LinearReadout()),
        ],
        projections=[
            bl.Projection("in1", "input", "hidden", weights=bl.Normal(2.0)),
            bl.Projection("own", "hidden", "hidden", weights=bl.Normal(0.8), delay=1 * ms),
            bl.Projection("to_out", "hidden", "out"),
        ],
        duration=steps * ms,
    )
    rng, n = np.random.default_rng(0), int(rate * steps * 700)
    step, neuron = rng.integers(steps, size=(trials, n)), rng.integers(700, size=(trials, n))
    events = bl.Events(np.sort(step, axis=1).ravel(), neuron.ravel(), np.arange(trials + 1) * n, (700,))
    samples = bl.Samples(events, np.arange(trials) % 20)
    del step, neuron
    learner = bl.Learner(spec, bl.SurrogateBPTT(), bl.Adam(1e-4), engine="discrete", device="cpu", batch_size=trials)
    state, built, seconds = learner.init(), peak(), []
    for _ in range(3):
        started = time.perf_counter()
        state, metrics = learner.learn(state, samples)
        seconds.append(time.perf_counter() - started)
    fired = metrics.firing_rates["hidden"] * 1e-3
    return {"seconds": min(seconds[1:]), "peak": peak(), "training": peak() - built, "fired": fired}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=128, help="in a batch")
    parser.add_argument("--most-steps", type=int, default=5000, help="leave longer trials out")
    parser.add_argument("--case", nargs=3, help="steps, neurons and rate: one case alone, as JSON")
    arguments = parser.parse_args()
    if arguments.case:
        steps, neurons, rate = int(arguments.case[0]), int(arguments.case[1]), float(arguments.case[2])
        print(json.dumps(measure(steps, neurons, rate, arguments.trials)))
        return
    columns = ("steps", "neurons", "rate, input", "rate, neurons", "s per batch", "peak MiB", "from training", "load")
    table = Table(title=f"700-N-20, recurrent, B={arguments.trials}", box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for steps, neurons, rate in CASES:
        if steps > arguments.most_steps:
            continue
        command = [sys.executable, __file__, "--trials", str(arguments.trials), "--case"]
        run = subprocess.run([*command, str(steps), str(neurons), str(rate)], capture_output=True, text=True)
        if run.returncode:
            sys.exit(run.stderr)
        found = json.loads(run.stdout.splitlines()[-1])
        row = f"{steps}", f"{neurons}", f"{rate:g}", f"{found['fired']:.3f}", f"{found['seconds']:.2f}"
        table.add_row(*row, f"{found['peak']:.0f}", f"{found['training']:.0f}", load().split("load ")[1])
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
