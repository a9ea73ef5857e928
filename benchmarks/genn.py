"""GeNN's CPU backend against Brian2's standalone C++: time per 1000 steps of 784-512-256-10, learning with DALTON.

Each device needs an environment of its own (`make venv-genn`, and GENN_PATH), so that this script starts one process
per measurement, the devices in turn. What a program takes to start is left out: a run of 60 trials minus one of 20.

    python benchmarks/genn.py [--repeats 5] [--dtype float32]
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

from _measure import load

ROOT = Path(__file__).parent.parent
#: Device -> the interpreter of its environment.
DEVICES = {"cpp_standalone": ROOT / ".venv/bin/python", "genn-cpu": ROOT / ".venv-genn/bin/python"}
STEPS = 50
FEW, MANY = 20, 60


def measure(device: str, dtype: str) -> dict[str, float]:
    """One measurement, in the environment of the device."""
    import numpy as np
    from brian2 import ms

    import brianlearn as bl

    lif = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0)
    layers = [bl.Dense(512, lif, weights=bl.Normal(3.0)), bl.Dense(256, lif, weights=bl.Normal(3.0))]
    spec = bl.NetworkSpec(bl.Input((784,)), layers, bl.Readout(10), duration=STEPS * ms, timing="pipelined")
    rng = np.random.default_rng(0)
    samples = bl.Samples(rng.random((MANY, 784)) * 0.12, rng.integers(0, 10, MANY))
    learner = bl.Learner(spec, bl.DALTON(update="step"), bl.SGD(1e-4), device=device, dtype=dtype, chunk_size=MANY)
    state = learner.init()
    learner.learn(state, samples[:1])  # compiles, where there is no program yet
    seconds = {}
    for n in (FEW, MANY):
        started = time.perf_counter()
        new, metrics = learner.learn(state, samples[:n])
        seconds[n] = time.perf_counter() - started
    moved = max(float(np.abs(new.weights[name] - w).max()) for name, w in state.weights.items())
    steps = (MANY - FEW) * STEPS
    return {
        "seconds": (seconds[MANY] - seconds[FEW]) / steps * 1000,
        "start": seconds[FEW] - (seconds[MANY] - seconds[FEW]) * FEW / (MANY - FEW),
        "moved": moved,
        **{f"rate {name}": rate for name, rate in metrics.firing_rates.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure, options.dtype)))
        return
    missing = [str(path) for path in DEVICES.values() if not path.exists()]
    if missing or not os.environ.get("GENN_PATH"):
        print(f"left out: no {', '.join(missing) or 'GENN_PATH'} (make venv-genn; docs/genn.md)")
        return
    found: dict[str, list[dict[str, float]]] = {device: [] for device in DEVICES}
    for _ in range(options.repeats):
        for device, python in DEVICES.items():
            command = [str(python), __file__, "--measure", device, "--dtype", options.dtype]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stderr)
            found[device].append(json.loads(done.stdout.splitlines()[-1]))
    for device, results in found.items():
        seconds = [r["seconds"] for r in results]
        start = statistics.median(r["start"] for r in results)
        rates = ", ".join(f"{k[5:]} {v:.1f} Hz" for k, v in results[0].items() if k.startswith("rate"))
        print(
            f"{device:15s} {statistics.median(seconds):.4f} s per 1000 steps "
            f"({min(seconds):.4f} to {max(seconds):.4f}), a run starts in {start:.2f} s; {rates}; "
            f"largest change of a weight {results[0]['moved']:.2g}"
        )
    pairs = zip(found["genn-cpu"], found["cpp_standalone"], strict=True)
    ratios = [genn["seconds"] / cpp["seconds"] for genn, cpp in pairs]
    print(
        f"genn-cpu / cpp_standalone: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
        f"of {options.repeats} pairs, {options.dtype}; {load()}"
    )


if __name__ == "__main__":
    main()
