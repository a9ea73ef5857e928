"""GeNN against Brian2's standalone C++: time per 1000 steps of 784-512-256-10, learning with DALTON.

Each device needs an environment of its own (`make venv-genn`, and GENN_PATH), so that this script starts one process
per measurement, the devices in turn. What a program takes to start is left out: a run of ``--many`` trials minus one of
``--few``.

    python benchmarks/genn.py [--repeats 5] [--dtype float32] [--devices cpp_standalone genn] [--layers 4096 4096]
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
PYTHONS = {
    "cpp_standalone": ROOT / ".venv/bin/python",
    "genn-cpu": ROOT / ".venv-genn/bin/python",
    "genn": ROOT / ".venv-genn/bin/python",
}
STEPS = 50


def measure(device: str, options: argparse.Namespace) -> dict[str, float]:
    """One measurement, in the environment of the device."""
    import numpy as np
    from brian2 import ms

    import brianlearn as bl

    few, many = options.few, options.many
    lif = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0)
    layers = [bl.Dense(n, lif, weights=bl.Normal(3.0)) for n in options.layers]
    spec = bl.NetworkSpec(bl.Input((784,)), layers, bl.Readout(10), duration=STEPS * ms, timing="pipelined")
    rng = np.random.default_rng(0)
    samples = bl.Samples(rng.random((many, 784)) * 0.12, rng.integers(0, 10, many))
    rule, optimiser = bl.DALTON(update="step"), bl.SGD(1e-4)
    learner = bl.Learner(spec, rule, optimiser, device=device, dtype=options.dtype, chunk_size=many)
    state = learner.init()
    started = time.perf_counter()
    learner.learn(state, samples[:1])  # compiles, where there is no program yet
    built = time.perf_counter() - started
    seconds = {}
    for n in (few, many):
        started = time.perf_counter()
        new, metrics = learner.learn(state, samples[:n])
        seconds[n] = time.perf_counter() - started
    moved = max(float(np.abs(new.weights[name] - w).max()) for name, w in state.weights.items())
    steps = (many - few) * STEPS
    return {
        "seconds": (seconds[many] - seconds[few]) / steps * 1000,
        "start": seconds[few] - (seconds[many] - seconds[few]) * few / (many - few),
        "built": built,
        "moved": moved,
        **{f"rate {name}": rate for name, rate in metrics.firing_rates.items()},
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", default="float32", choices=["float32", "float64"])
    parser.add_argument("--devices", nargs="+", default=["cpp_standalone", "genn-cpu"], choices=list(PYTHONS))
    parser.add_argument("--layers", nargs="+", type=int, default=[512, 256], help="neurons of the hidden layers")
    parser.add_argument("--few", type=int, default=20, help="trials of the short run")
    parser.add_argument("--many", type=int, default=60, help="trials of the long run")
    parser.add_argument("--python", nargs="+", default=[], metavar="DEVICE=PATH", help="other interpreters")
    parser.add_argument("--json", type=Path, help="a file for the numbers, written anew after each measurement")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    return parser.parse_args()


def _show(found: dict[str, list[dict[str, float]]], options: argparse.Namespace) -> None:
    for device, results in found.items():
        seconds = [r["seconds"] for r in results]
        start = statistics.median(r["start"] for r in results)
        rates = ", ".join(f"{k[5:]} {v:.1f} Hz" for k, v in results[0].items() if k.startswith("rate"))
        print(
            f"{device:15s} {statistics.median(seconds):.4f} s per 1000 steps "
            f"({min(seconds):.4f} to {max(seconds):.4f}), a run starts in {start:.2f} s; {rates}; "
            f"largest change of a weight {results[0]['moved']:.2g}"
        )
    first = options.devices[0]
    for device in options.devices[1:]:
        ratios = [ours["seconds"] / theirs["seconds"] for ours, theirs in zip(found[device], found[first], strict=True)]
        print(
            f"{device} / {first}: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) "
            f"of {options.repeats} pairs, {options.dtype}; {load()}"
        )


def main() -> None:
    options = _options()
    if options.measure:
        print(json.dumps(measure(options.measure, options)))
        return
    pythons = PYTHONS | {device: Path(path) for device, _, path in (given.partition("=") for given in options.python)}
    missing = [str(pythons[device]) for device in options.devices if not pythons[device].exists()]
    needs_genn = any(device.startswith("genn") for device in options.devices)
    if missing or (needs_genn and not os.environ.get("GENN_PATH")):
        print(f"left out: no {', '.join(missing) or 'GENN_PATH'} (make venv-genn; docs/genn.md)")
        return
    found: dict[str, list[dict[str, float]]] = {device: [] for device in options.devices}
    settings = ["--dtype", options.dtype, "--few", str(options.few), "--many", str(options.many)]
    settings += ["--layers", *map(str, options.layers)]
    for _ in range(options.repeats):
        for device in options.devices:
            command = [str(pythons[device]), __file__, "--measure", device, *settings]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(f"{device}: {done.stderr.strip()[-2000:]}")
            found[device].append(json.loads(done.stdout.splitlines()[-1]))
            if options.json:
                options.json.write_text(json.dumps(found, indent=1))
    _show(found, options)


if __name__ == "__main__":
    main()
