"""Speed of the Brian2 engine on cpp_standalone: loops against synapses, workers, and how cost grows.

``python benchmarks/brian_engine.py`` (about five minutes). Needs no data: images of uniform noise that make the input
neurons fire at the rate of MNIST's.
"""

from __future__ import annotations

import argparse

import numpy as np
from _measure import interleaved, load
from brian2 import ms
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import brianlearn as bl
from brianlearn.brian.engine import BrianEngine
from brianlearn.learning import LearnerState, ThreeFactorRule
from brianlearn.network import NetworkSpec
from brianlearn.training import Learner

A1, DENSE = "A1: 16c3p2-128-64-10, T=40", "784-512-256-10, T=25"


def networks() -> dict[str, NetworkSpec]:
    """The two networks that are compared."""
    neuron = bl.DaltonIF(tau_s=5 * ms)
    layers = [bl.Conv(16, 3, neuron, pool=2), bl.Dense(128, neuron), bl.Dense(64, neuron)]
    dense = [bl.Dense(512, neuron), bl.Dense(256, neuron)]
    return {
        A1: NetworkSpec(bl.Input((1, 28, 28)), layers, bl.Readout(10), duration=40 * ms),
        DENSE: NetworkSpec(bl.Input((1, 28, 28)), dense, bl.Readout(10), duration=25 * ms),
    }


def images(spec: NetworkSpec, n: int, active: float = 0.19, seed: int = 0) -> bl.Samples:
    """Images with a share ``active`` of bright pixels: input spikes in ``active``/2 of neurons and steps, about."""
    rng = np.random.default_rng(seed)
    values = rng.uniform(0.4, 1.0, (n, *spec.input.shape)) * (rng.random((n, *spec.input.shape)) < active)
    return bl.Samples(values, rng.integers(0, spec.classes, n))


class Job:
    """One engine with something to do."""

    def __init__(
        self, spec: NetworkSpec, rule: ThreeFactorRule, n: int, active: float = 0.19, **options: object
    ) -> None:
        settings = dict(device="cpp_standalone", dtype="float32", batch_size=50, chunk_size=max(n, 50)) | options
        self.engine = BrianEngine(spec, rule, bl.Adam(1e-4), **settings)
        self.samples = images(spec, n, active)
        self.n = n
        learner = Learner(spec, rule, bl.Adam(1e-4), device="numpy", dtype="float32")
        self.state: LearnerState = learner.init()
        self.record = self.engine.infer(self.state, self.samples[:1], ())  # compiles

    def learn(self) -> None:
        _, self.record = self.engine.learn(self.state, self.samples, 1e-4)

    def infer(self) -> None:
        self.record = self.engine.infer(self.state, self.samples, ())


def compare(console: Console, rounds: int, n: int) -> None:
    """Loops against synapses, one worker against two, learning against evaluation."""
    table = Table(title=f"samples/s, float32, batch 50; {load()}", box=SIMPLE_HEAD)
    for column in ("network", "what", "samples/s", "against synapses"):
        table.add_column(column, justify="left" if column in ("network", "what") else "right", no_wrap=True)
    for name, spec in networks().items():
        few = max(50, n // 10 // 50 * 50)
        jobs = {
            "DALTON, Brian2's synapses": Job(spec, bl.DALTON(), few, implementation="synapses"),
            "DALTON, C++ third factor": Job(spec, bl.DALTON(), few, implementation="third_factor"),
            "DALTON": Job(spec, bl.DALTON(), n),
            "DALTON, 2 workers": Job(spec, bl.DALTON(), n, workers=2),
            "TFR": Job(spec, bl.TFR(), n),
        }
        work = {what: job.learn for what, job in jobs.items()}
        work |= {"evaluation": jobs["DALTON"].infer, "evaluation, 2 workers": jobs["DALTON, 2 workers"].infer}
        seconds = interleaved(work, rounds)
        jobs |= {"evaluation": jobs["DALTON"], "evaluation, 2 workers": jobs["DALTON, 2 workers"]}
        speed = {what: jobs[what].n / t for what, t in seconds.items()}
        for what, value in speed.items():
            ratio = value / speed["DALTON, Brian2's synapses"] if "DALTON" in what else float("nan")
            table.add_row(name, what, f"{value:.0f}", f"{ratio:.1f}x" if np.isfinite(ratio) else "")
    console.print(table)


def bandwidth() -> float:
    """Bytes per second that one core reads from memory (float32 scalar product of arrays that no cache holds)."""
    a = np.ones(2**26, np.float32)
    seconds = interleaved({"dot": lambda: np.dot(a[: 2**25], a[2**25 :])}, 5)["dot"]
    return float(a.nbytes / seconds)


def growth(console: Console, rounds: int) -> None:
    """Cost against neurons, steps and rate, and a fit of the cost of a synaptic event and of a feedback synapse."""
    table = Table(title=f"784-n-n/2-10, DALTON, float32; {load()}", box=SIMPLE_HEAD)
    for column in ("n", "steps", "input rate", "samples/s", "events/sample", "ms/sample", "fit"):
        table.add_column(column, justify="right", no_wrap=True)
    neuron = bl.DaltonIF(tau_s=5 * ms)
    settings = [(128, 25, 0.19), (256, 25, 0.19), (512, 25, 0.19), (1024, 25, 0.19)]
    settings += [(512, 10, 0.19), (512, 50, 0.19), (512, 25, 0.06), (512, 25, 0.5)]
    jobs: dict[str, Job] = {}
    for n, steps, active in settings:
        layers = [bl.Dense(n, neuron), bl.Dense(n // 2, neuron)]
        spec = NetworkSpec(bl.Input((1, 28, 28)), layers, bl.Readout(10), duration=steps * ms)
        jobs[f"{n} {steps} {active}"] = Job(spec, bl.DALTON(), 200, active)
    seconds = interleaved({name: job.learn for name, job in jobs.items()}, rounds)
    rows, times, rates = [], [], []
    for (n, steps, _), (name, job) in zip(settings, jobs.items(), strict=True):
        counts = {layer: float(np.mean(c)) for layer, c in job.record.spike_counts.items()}
        events = counts["input"] * n + counts["dense1"] * (n // 2) + counts["dense2"] * 10
        feedback = steps * (n * (n // 2) + (n // 2) * 10)
        rows.append([events, feedback, steps * (784 + n + n // 2), steps])
        times.append(seconds[name] / job.n)
        rates.append(counts["input"] / (784 * steps))
    matrix = np.asarray(rows)
    scale = np.asarray(times)[:, None]
    from scipy.optimize import nnls  # relative errors: every row counts the same

    cost, _ = nnls(matrix / scale, np.ones(len(times)))
    for (n, steps, _), rate, row, t in zip(settings, rates, rows, times, strict=True):
        cells = [n, steps, f"{rate:.2f}/step", f"{1 / t:.0f}", f"{row[0]:.3g}", f"{1e3 * t:.2f}"]
        table.add_row(*map(str, cells), f"{1e3 * float(np.dot(row, cost)):.2f}")
    console.print(table)
    read = bandwidth()
    console.print(
        f"fit: {1e9 * cost[0]:.2f} ns per synaptic event (deliver and learn), {1e9 * cost[1]:.3f} ns per synapse and "
        f"step of feedback, {1e9 * cost[2]:.1f} ns per neuron and step, {1e6 * cost[3]:.1f} us per step"
    )
    console.print(
        f"one core reads {read / 1e9:.1f} GB/s from memory: 4 bytes of a feedback synapse take {4e9 / read:.3f} ns at "
        f"that limit; measured {1e9 * cost[1] / (4e9 / read):.1f} times that (below 1: the caches hold the weights)",
        soft_wrap=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=1000)
    arguments = parser.parse_args()
    console = Console(width=120)
    compare(console, arguments.rounds, arguments.samples)
    growth(console, arguments.rounds)


if __name__ == "__main__":
    main()
