"""Evidence accumulation: cues on the left and on the right, a delay, and the question which were more; a minute.

The task of rodents that Bellec et al. (Nature Communications 11, 3625, 2020) give recurrent networks, shorter here:
three cues of 40 ms, a delay of 200 ms, 50 ms for the answer. No membrane remembers that long (20 ms); thresholds that
adapt do (1 s): neurons that have heard many cues answer the question with fewer spikes.

``python network_specs/evidence_accumulation.py`` compares BPTT and e-prop with adaptive neurons, and e-prop without
adaptation. ``brianlearn train network_specs/evidence_accumulation.py`` trains one: ``--method bptt`` or ``eprop``,
``--no-adaptive``.
"""

import argparse
import dataclasses
from typing import Literal

import numpy as np
from brian2 import Hz, ms

import brianlearn as bl

CUES, ON, OFF, DELAY, ANSWER = 3, 40, 20, 200, 50  # ms
STEPS = CUES * (ON + OFF) + DELAY + ANSWER
GROUP = 10  # neurons that fire for a cue on the left, on the right, and for the question


def trials(n: int, seed: int) -> bl.Samples:
    """Spikes of the cues, each at 150 Hz, and labels: 0 for more cues on the left, 1 on the right."""
    rng = np.random.default_rng([seed, n])
    side = rng.integers(0, 2, (n, CUES))
    rate = np.zeros((n, STEPS, 3))
    for k in range(CUES):
        start = k * (ON + OFF)
        rate[np.arange(n), start : start + ON, :2] = np.eye(2)[side[:, k]][:, None]
    rate[:, -ANSWER:, 2] = 1
    spikes = rng.random((n, STEPS, 3 * GROUP)) < 0.15 * np.repeat(rate, GROUP, axis=2)
    return bl.Samples(bl.Events.from_dense(spikes, axes="BTN"), (side.sum(axis=1) > CUES / 2).astype(int))


@dataclasses.dataclass(frozen=True)
class Cues(bl.DataSource):
    """Trials to learn from and others to test with."""

    n: int = 768
    n_test: int = 512
    seed: int = 0

    def load(self, dt=None):
        return trials(self.n, self.seed), trials(self.n_test, self.seed + 1)


def experiment(method: Literal["eprop", "bptt"] = "eprop", adaptive: bool = True) -> bl.Experiment:
    """100 neurons that hear the cues and themselves; 50 that hear these, and whose spikes are the answer.

    Parameters
    ----------
    method : str
        ``"eprop"`` or ``"bptt"``.
    adaptive : bool
        Whether the thresholds of the 100 adapt.
    """
    regular = bl.LIF(tau_m=20 * ms, refractory=5 * ms)
    memory = bl.AdaptiveLIF(tau_m=20 * ms, tau_a=1000 * ms, beta=0.3, refractory=5 * ms) if adaptive else regular
    populations = [
        bl.Population("cues", (3 * GROUP,), bl.Spikes()),
        bl.Population("noise", 10, bl.PoissonBackground(10 * Hz)),
        bl.Population("memory", 100, memory),
        bl.Population("decision", 50, regular),
        bl.Population("answer", 2, bl.LinearReadout(tau=20 * ms)),
    ]
    projections = [
        bl.Projection("hear", "cues", "memory", weights=bl.Normal(3.0)),
        bl.Projection("disturb", "noise", "memory", weights=bl.Normal(0.5)),
        bl.Projection("recur", "memory", "memory", weights=bl.Normal(0.3), delay=1 * ms),
        bl.Projection("decide", "memory", "decision", weights=bl.Normal(3.0)),
        bl.Projection("compete", "decision", "decision", weights=bl.Normal(0.3), delay=1 * ms),
        bl.Projection("say", "decision", "answer", weights=bl.Uniform(0.3)),
    ]
    spec = bl.NetworkSpec(
        populations=populations, projections=projections, duration=STEPS * ms, burn_in=(STEPS - ANSWER) * ms
    )
    epochs = 10
    schedule = bl.Cosine(epochs)
    back = method == "bptt"
    return bl.Experiment(
        spec,
        rule=bl.SurrogateBPTT(bl.CrossEntropy()) if back else bl.EProp(),
        optimiser=bl.Adam(5e-4, schedule=schedule, clip_norm=0.3) if back else bl.Adam(2e-3, schedule=schedule),
        data=Cues(),
        epochs=epochs,
        batch_size=32,
        engine="discrete",
    )


def run(epochs: int | None = None, runs: str = "runs", seed: int = 0) -> dict[str, float]:
    """Train all three, and print how many of the test trials they answer rightly."""
    found = {}
    compared: list[tuple[str, Literal["eprop", "bptt"], bool]] = [
        ("e-prop", "eprop", True),
        ("BPTT", "bptt", True),
        ("e-prop without adaptation", "eprop", False),
    ]
    for name, method, adaptive in compared:
        setup = experiment(method, adaptive)
        setup = dataclasses.replace(setup, name="evidence", runs=runs, seed=seed, epochs=epochs or setup.epochs)
        result = setup.run()
        found[name] = result.test_accuracy
        print(f"{name}: {result.test_accuracy:.1%} in {result.seconds:.0f} s")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, help="presentations of the training trials")
    parser.add_argument("--runs", default="runs", help="folder that the run folders go into")
    parser.add_argument("--seed", type=int, default=0, help="of the weights")
    options = parser.parse_args()
    run(options.epochs, options.runs, options.seed)
