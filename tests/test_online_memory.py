"""Rules that look at one step at a time take no more memory for longer trials, beyond their inputs as bits."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
from recurrent_reference import samples
from test_recurrent import RULES, loop

import brianlearn as bl

pytest.importorskip("torch")
from brianlearn.discrete import engine

#: Learns from trials of 200 steps, and then of 6000; prints by how many bytes the peak of the process grew.
PROGRAM = """
import sys
import numpy as np
from pathlib import Path
from brian2 import ms
import brianlearn as bl

rules = {
    "dalton": bl.DALTON(update="step"),
    "tfr": bl.TFR(update="step", eligibility="trace"),
    "batch": bl.TFR(eligibility="trace"),
}
rule = rules[sys.argv[1]]
TRIALS, NEURONS = 4, 2000
if rule.update == "batch":  # from fewer values on
    from brianlearn.discrete import engine

    engine.MOST_OF_A_CHAIN = 0

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
@pytest.mark.parametrize("rule", ["dalton", "tfr", "batch"])
def test_memory_does_not_grow_with_steps(rule: str) -> None:
    """As floats, inputs would be 192 MB; as bits they are 6 MB."""
    run = subprocess.run([sys.executable, "-c", PROGRAM, rule], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout.split()[-1]) < 64e6


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
@pytest.mark.parametrize("rule", ["dalton", "tfr-trace", "decolle"])
def test_a_batch_step_by_step_is_the_batch(rule: str, timing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = samples(2)
    spec = dataclasses.replace(loop(dropout=0.3, dropout_every="step"), timing=timing)
    kind = {**RULES, "decolle": bl.DECOLLE()}[rule]
    options = dict(dtype="float64", batch_size=3, engine="discrete", device="cpu")
    found = [bl.Learner(spec, kind, bl.SGD(0.1), **options)]
    monkeypatch.setattr(engine, "MOST_OF_A_CHAIN", 0)
    found.append(bl.Learner(spec, kind, bl.SGD(0.1), **options))
    before = found[0].init()
    weights, again = (learner.learn(before, bl.Samples(x, labels))[0].weights for learner in found)
    for name, w in weights.items():
        assert name.startswith(("readout", "to_out", "local")) or np.abs(w - before.weights[name]).max() > 1e-9, name
        np.testing.assert_allclose(again[name], w, rtol=0, atol=1e-12, err_msg=name)
