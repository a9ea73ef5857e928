"""A balanced network keeps a pattern in mind: 400 excitatory and 100 inhibitory neurons hear a cue, and go on; minutes.

Neurons connect at random, one pair in ten, with delays; Dale's law holds before and after learning; a background of
Poisson spikes never ends. One of four cues is heard for 70 ms. From then on three outputs have to stay at its pattern,
for 250 ms in which nothing tells the cues apart: the network has to learn to keep up activity of its own.

``python network_specs/balanced_ei.py`` teaches it with BPTT and with e-prop, prints how well the patterns are kept, and
draws spikes and outputs. ``brianlearn train network_specs/balanced_ei.py`` trains with one: ``--method bptt`` or
``eprop``; ``--no-recurrent`` leaves out what excitatory neurons send one another.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np
from brian2 import Hz, ms
from matplotlib.figure import Figure

import brianlearn as bl
from brianlearn.report.plots import save_figure

BEFORE, CUE, DELAY = 30, 70, 250  # ms
DT = 2  # ms
STEPS = (BEFORE + CUE + DELAY) // DT
GROUP = 20  # neurons that fire for a cue
PATTERNS = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
Method = Literal["bptt", "eprop"]
RULES: dict[Method, tuple[bl.Rule, float]] = {
    "bptt": (bl.SurrogateBPTT(bl.MSE(), train_readout=True), 1e-3),
    "eprop": (bl.EProp(), 5e-3),
}


def trials(n: int, seed: int) -> tuple[bl.Samples, np.ndarray]:
    """Spikes of cues, each neuron of a group at 100 Hz; wanted outputs; which cue it was."""
    rng = np.random.default_rng([seed, n])
    cue = rng.integers(0, len(PATTERNS), n)
    heard = np.zeros((n, STEPS, len(PATTERNS) * GROUP), bool)
    on = np.arange(len(PATTERNS) * GROUP) // GROUP == cue[:, None]
    start, end = BEFORE // DT, (BEFORE + CUE) // DT
    heard[:, start:end] = on[:, None] & (rng.random((n, end - start, on.shape[1])) < 0.1 * DT)
    return bl.Samples(bl.Events.from_dense(heard, axes="BTN"), PATTERNS[cue].astype(float)), cue


@dataclasses.dataclass(frozen=True)
class CuedPatterns(bl.DataSource):
    """Trials to learn from and others to test with."""

    n: int = 256
    n_test: int = 128
    seed: int = 0

    def load(self, dt=None):
        return trials(self.n, self.seed)[0], trials(self.n_test, self.seed + 1)[0]


def experiment(method: Method = "bptt", recurrent: bool = True, excitatory: int = 400) -> bl.Experiment:
    """A network whose excitation and inhibition cancel before it learns.

    Parameters
    ----------
    method : str
        ``"bptt"``, or ``"eprop"``, which leaves the readout as it was drawn.
    recurrent : bool
        Whether excitatory neurons hear one another.
    excitatory : int
        Neurons; inhibitory ones are a quarter of them.
    """
    populations = [
        bl.Population("cues", (len(PATTERNS) * GROUP,), bl.Spikes()),
        bl.Population("background", 100, bl.PoissonBackground(20 * Hz)),
        bl.Population("excitatory", excitatory, bl.CubaLIF(R=0.25, tau_s=100 * ms, refractory=2 * ms)),
        bl.Population("inhibitory", excitatory // 4, bl.CubaLIF(R=4.0, tau_m=10 * ms)),
        bl.Population("outputs", 3, bl.LinearReadout(tau=20 * ms)),
    ]
    sparse = bl.Sparse(0.1)
    plus, minus = "excitatory", "inhibitory"
    projections = [
        bl.Projection("hear", "cues", plus, sparse, bl.Normal(0.6), sign=plus),
        bl.Projection("disturb_e", "background", plus, sparse, bl.Normal(0.6), sign=plus, learned=False),
        bl.Projection("disturb_i", "background", minus, sparse, bl.Normal(0.6), sign=plus, learned=False),
        bl.Projection("ei", plus, minus, sparse, bl.Normal(0.5), delay=2 * ms, sign=plus),
        bl.Projection("ie", minus, plus, sparse, bl.Normal(0.5), delay=2 * ms, sign=minus),
        bl.Projection("ii", minus, minus, sparse, bl.Normal(0.5), delay=2 * ms, sign=minus),
        bl.Projection("out", plus, "outputs", weights=bl.Uniform(0.1)),
    ]
    if recurrent:
        projections.append(bl.Projection("ee", plus, plus, sparse, bl.Normal(0.4), delay=2 * ms, sign=plus))
    spec = bl.NetworkSpec(
        populations=populations,
        projections=projections,
        dt=DT * ms,
        duration=STEPS * DT * ms,
        burn_in=(BEFORE + CUE) * ms,
    )
    (rule, rate), epochs = RULES[method], 6
    return bl.Experiment(
        spec,
        rule=rule,
        optimiser=bl.Adam(rate, schedule=bl.Cosine(epochs), clip_norm=1.0 if method == "bptt" else None),
        data=CuedPatterns(),
        epochs=epochs,
        batch_size=16,
        engine="discrete",
    )


def kept(outputs: np.ndarray, cue: np.ndarray) -> float:
    """Share of trials whose outputs are nearest to the pattern of their cue, in the mean of the last 100 ms."""
    last = outputs[:, -100 // DT :].mean(axis=1)
    return float((((last[:, None] - PATTERNS) ** 2).sum(axis=2).argmin(axis=1) == cue).mean())


def run(
    epochs: int | None = None, runs: str = "runs", seed: int = 0, excitatory: int = 400
) -> dict[str, tuple[float, float]]:
    """Train with both methods, print how well patterns are kept, and draw spikes and outputs of four trials."""
    samples, cue = trials(CuedPatterns().n_test, CuedPatterns().seed + 1)
    found: dict[str, tuple[float, float]] = {}
    shown = [int(np.flatnonzero(cue == k)[0]) for k in range(len(PATTERNS))]
    figure = Figure(figsize=(10, 6), layout="constrained")
    axes = figure.subplots(3, len(shown), sharex=True, sharey="row", squeeze=False)
    for row, method in enumerate(RULES):
        setup = experiment(method, excitatory=excitatory)
        setup = dataclasses.replace(
            setup, runs=runs, seed=seed, epochs=epochs or setup.epochs, name=f"balanced_{method}"
        )
        result = setup.run()
        learner = bl.Learner(setup.spec, setup.rule, engine="discrete", seed=seed)
        activity = learner.infer(learner.init(result.weights), samples, record=["readout", "spikes"])
        assert activity.readout is not None and result.test_r2 is not None
        found[method] = 1 - result.test_r2, kept(np.asarray(activity.readout), cue)
        print(f"{method}: normalised squared error {found[method][0]:.3f}, {found[method][1]:.1%} kept to the end")
        raster = activity.spikes["excitatory"]
        for column, trial in enumerate(shown):
            axes[row + 1, column].plot(DT * np.arange(STEPS), np.asarray(activity.readout)[trial], lw=1)
            if row == 0:
                of_trial = raster.trial == trial
                axes[0, column].plot(DT * raster.step[of_trial], raster.neuron[of_trial], "k.", ms=1)
                axes[0, column].set_title(f"cue {column}: {' '.join(f'{v:+d}' for v in PATTERNS[column])}")
        axes[row + 1, 0].set_ylabel(f"outputs, {method}")
    axes[0, 0].set_ylabel("excitatory neurons")
    for ax in axes[-1]:
        ax.set_xlabel("time in ms")
    save_figure(figure, Path(runs) / "balanced_ei.png")
    print(f"spikes and outputs: {Path(runs) / 'balanced_ei.png'}")
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, help="presentations of the training trials")
    parser.add_argument("--runs", default="runs", help="folder that the run folders go into")
    parser.add_argument("--seed", type=int, default=0, help="of the weights")
    options = parser.parse_args()
    run(options.epochs, options.runs, options.seed)
