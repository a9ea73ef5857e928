"""Rules that learn in every step take no more memory for longer trials, beyond their inputs as bits."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("torch")

#: Learns from trials of 200 steps, and then of 6000; prints by how many bytes the peak of the process grew.
PROGRAM = """
import sys
import numpy as np
from pathlib import Path
from brian2 import ms
import brianlearn as bl

rule = {"dalton": bl.DALTON(update="step"), "tfr": bl.TFR(update="step", eligibility="trace")}[sys.argv[1]]
TRIALS, NEURONS = 4, 2000

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024

def learn(steps):
    neuron = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0)
    spec = bl.NetworkSpec(
        populations=[
            bl.Population("input", (NEURONS,), bl.Spikes()),
            bl.Population("a", 50, neuron),
            bl.Population("b", 40, neuron),
            bl.Population("out", 3, bl.LinearReadout(tau=20 * ms)),
        ],
        projections=[
            bl.Projection("in1", "input", "a", weights=bl.Normal(4.0)),
            bl.Projection("own", "a", "a", bl.Sparse(0.2), bl.Normal(1.0), delay=3 * ms),
            bl.Projection("up", "a", "b"),
            bl.Projection("to_out", "b", "out"),
        ],
        duration=steps * ms,
    )
    rng, n = np.random.default_rng(0), 2 * steps
    step, neuron = rng.integers(steps, size=(TRIALS, n)), rng.integers(NEURONS, size=(TRIALS, n))
    events = bl.Events(np.sort(step, axis=1).ravel(), neuron.ravel(), np.arange(TRIALS + 1) * n, (NEURONS,))
    learner = bl.Learner(spec, rule, bl.SGD(1e-4), engine="discrete", device="cpu", batch_size=TRIALS)
    learner.learn(learner.init(), bl.Samples(events, np.arange(TRIALS) % 3))

learn(200)
before = peak()
learn(6000)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("rule", ["dalton", "tfr"])
def test_memory_does_not_grow_with_steps(rule: str) -> None:
    """As floats, inputs would be 192 MB; as bits they are 6 MB."""
    run = subprocess.run([sys.executable, "-c", PROGRAM, rule], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout.split()[-1]) < 64e6
