"""Pattern generation: a recurrent network that hears a clock produces three traces, sums of sinusoids; two minutes.

A benchmark of e-prop (Bellec et al., Nature Communications 11, 3625, 2020): nothing but the clock tells the network
where in the second it is. Back-propagation through time, and e-prop with random and with symmetric feedback, teach the
same network from the same weights. The readout stays as it was drawn with e-prop.

``python network_specs/pattern_generation.py`` trains with all three, prints their normalised squared errors (1 is that
of the mean of each trace), and draws traces and outputs. ``brianlearn train network_specs/pattern_generation.py``
trains with one of them: ``--method bptt``, ``eprop-symmetric`` or ``eprop-random``.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
from brian2 import ms
from matplotlib.figure import Figure

import brianlearn as bl
from brianlearn.report.plots import save_figure

STEPS = 1000  # of 1 ms
REPEATS = 10  # of the one trial, in an epoch
Method = Literal["bptt", "eprop-symmetric", "eprop-random"]
METHODS: dict[Method, bl.Rule] = {
    "bptt": bl.SurrogateBPTT(bl.MSE(), train_readout=True),
    "eprop-symmetric": bl.EProp(signal="symmetric"),
    "eprop-random": bl.EProp(signal="random"),
}


def traces(seed: int) -> np.ndarray:
    """Three sums of sinusoids of 1, 2, 3 and 5 Hz, with random amplitudes and phases, between -1 and 1."""
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * np.outer(np.arange(STEPS) / 1000, (1, 2, 3, 5))
    amplitude, phase = rng.uniform(0.5, 2, (3, 4)), rng.uniform(0, 2 * np.pi, (3, 4))
    found = (amplitude * np.sin(angle[:, None] + phase)).sum(axis=2)
    return found / np.abs(found).max(axis=0)


def clock(n: int) -> bl.Events:
    """Five groups of four neurons; each fires every 10 ms in its own fifth of the second."""
    step = np.repeat(np.arange(0, STEPS, 10), 4)
    neuron = 4 * (step // 200) + np.tile(np.arange(4), STEPS // 10)
    return bl.Events(np.tile(step, n), np.tile(neuron, n), len(step) * np.arange(n + 1), (20,))


@dataclasses.dataclass(frozen=True)
class Traces(bl.DataSource):
    """One trial, which is repeated, and its traces."""

    seed: int = 0

    def load(self, dt=None):
        wanted = traces(self.seed)[None]
        train = bl.Samples(clock(REPEATS), np.repeat(wanted, REPEATS, axis=0))
        return train, bl.Samples(clock(1), wanted)


def experiment(method: Method = "bptt", neurons: int = 200, data_seed: int = 0) -> bl.Experiment:
    """Two populations that hear themselves, one behind the other.

    Parameters
    ----------
    method : str
        ``"bptt"``, ``"eprop-symmetric"`` or ``"eprop-random"``.
    neurons : int
        Of each population.
    data_seed : int
        Of the traces.
    """
    neuron = bl.LIF(tau_m=20 * ms)
    populations = [
        bl.Population("clock", (20,), bl.Spikes()),
        bl.Population("first", neurons, neuron),
        bl.Population("second", neurons, neuron),
        bl.Population("traces", 3, bl.LinearReadout(tau=20 * ms)),
    ]
    projections = [
        bl.Projection("feed", "clock", "first", weights=bl.Normal(2.0)),
        bl.Projection("recur_first", "first", "first", weights=bl.Normal(0.5), delay=1 * ms),
        bl.Projection("up", "first", "second", weights=bl.Normal(2.0)),
        bl.Projection("recur_second", "second", "second", weights=bl.Normal(0.5), delay=1 * ms),
        bl.Projection("out", "second", "traces", weights=bl.Uniform(0.15)),
    ]
    spec = bl.NetworkSpec(populations=populations, projections=projections, duration=STEPS * ms)
    epochs = 100
    return bl.Experiment(
        spec,
        rule=METHODS[method],
        # gradients through a thousand steps of a recurrent network are now and then ten times as large
        optimiser=bl.Adam(1e-3, schedule=bl.Cosine(epochs), clip_norm=1.0 if method == "bptt" else None),
        data=Traces(data_seed),
        epochs=epochs,
        batch_size=1,
        engine="discrete",
    )


def run(epochs: int | None = None, runs: str = "runs", seed: int = 0, data_seed: int = 0) -> dict[str, float]:
    """Train with all rules, print their errors, and draw what the networks say."""
    wanted, found = traces(data_seed), {}
    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots(3, sharex=True)
    for ax, trace in zip(axes, wanted.T, strict=True):
        ax.plot(trace, color="0.6", lw=3, label="wanted")
    for name in METHODS:
        setup = experiment(name, data_seed=data_seed)
        setup = dataclasses.replace(setup, runs=runs, seed=seed, epochs=epochs or setup.epochs, name=f"pattern_{name}")
        result = setup.run()
        found[name] = 1 - result.test_r2  # of traces whose mean would be 0
        print(f"{name}: normalised squared error {found[name]:.4f}")
        learner = bl.Learner(setup.spec, setup.rule, engine="discrete")
        said = learner.infer(learner.init(result.weights), bl.Samples(clock(1)), record="readout").readout
        assert said is not None
        for ax, trace in zip(axes, np.asarray(said)[0].T, strict=True):
            ax.plot(trace, lw=1, label=name)
    axes[0].legend(frameon=False, ncol=4, loc="lower right")
    axes[-1].set_xlabel("time in ms")
    save_figure(figure, Path(runs) / "pattern_generation.png")
    print(f"traces and outputs: {Path(runs) / 'pattern_generation.png'}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, help="of ten trials each")
    parser.add_argument("--runs", default="runs", help="folder that the run folders go into")
    parser.add_argument("--seed", type=int, default=0, help="of the weights")
    parser.add_argument("--data-seed", type=int, default=0, help="of the traces")
    options = parser.parse_args()
    run(options.epochs, options.runs, options.seed, options.data_seed)
