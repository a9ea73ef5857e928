"""A spike sequence for each stimulus: eight stimuli, and eight sequences of ten neurons as the answers; seconds.

As a network that controls behaviour does: what it hears is a pattern of spikes, and what it says is which motor neuron
fires when. The targets are spike trains of every single sample, `Samples(inputs, [[(neuron, time), ...], ...])`.

``python network_specs/spike_sequence.py`` trains, prints how far the answers to new, jittered stimuli are from the
sequences before and after (van Rossum, and Victor and Purpura), and draws them into the run folder, ``sequences.png``.
"""

import argparse
import dataclasses

import numpy as np
from brian2 import ms
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import brianlearn as bl
from brianlearn.report.plots import save_figure

STIMULI, MOTOR, INPUTS, STEPS = 8, 10, 60, 80


def sequences(seed: int) -> list[list[tuple[int, float]]]:
    """Of each stimulus: all motor neurons, each once, in an order of its own, from 8 ms on; (neuron, ms)."""
    rng = np.random.default_rng([seed, 1])
    when = np.linspace(8, STEPS - 6, MOTOR).round()
    return [list(zip(rng.permutation(MOTOR).tolist(), when.tolist(), strict=True)) for _ in range(STIMULI)]


def samples(n: int, seed: int, jitter: float) -> bl.Samples:
    """Stimuli in turn: templates of which every spike is moved by a normal deviate of ``jitter`` ms."""
    templates, rng = np.random.default_rng([seed, 2]), np.random.default_rng([seed, 3, n])
    spikes = [np.nonzero(templates.random((STEPS, INPUTS)) < 0.04) for _ in range(STIMULI)]
    answers = [[(neuron, time * ms) for neuron, time in sequence] for sequence in sequences(seed)]
    inputs = []
    for k in range(n):
        step, neuron = spikes[k % STIMULI]
        moved = np.clip(step + rng.normal(0, jitter, len(step)), 0, STEPS - 1)
        inputs.append((neuron, moved * ms))
    events = bl.Events.from_times(inputs, dt=1 * ms, shape=(INPUTS,))
    return bl.Samples(events, [answers[k % STIMULI] for k in range(n)])


@dataclasses.dataclass(frozen=True)
class Sequences(bl.DataSource):
    """Jittered stimuli, and the sequences that answer them."""

    seed: int = 0
    jitter: float = 1.0

    def load(self, dt=None):
        return samples(160, self.seed, self.jitter), samples(80, self.seed, self.jitter)


def experiment(jitter: float = 1.0) -> bl.Experiment:
    """60-150-10 neurons, of which the 150 hear themselves; van Rossum's distance.

    Parameters
    ----------
    jitter : float
        Standard deviation of the times of the stimuli's spikes, in ms.
    """
    neuron = bl.SequenceLIF(tau_m=8 * ms, tau_s=2 * ms)
    populations = [
        bl.Population("stimulus", (INPUTS,), bl.Spikes()),
        bl.Population("hidden", 150, neuron),
        bl.Population("motor", MOTOR, neuron),
    ]
    projections = [
        bl.Projection("feed", "stimulus", "hidden", weights=bl.Normal(2.0)),
        bl.Projection("recur", "hidden", "hidden", weights=bl.Normal(0.5), delay=1 * ms),
        bl.Projection("command", "hidden", "motor", weights=bl.Normal(1.0)),
    ]
    epochs = 100
    return bl.Experiment(
        bl.NetworkSpec(populations=populations, projections=projections, duration=STEPS * ms),
        rule=bl.STBP(bl.VanRossum(5 * ms)),
        optimiser=bl.Adam(3e-3, schedule=bl.Cosine(epochs)),
        data=Sequences(jitter=jitter),
        epochs=epochs,
        batch_size=16,
    )


def answers(setup: bl.Experiment, weights: dict[str, np.ndarray] | None, test: bl.Samples) -> np.ndarray:
    """What the motor neurons fire, bool (n, steps, neurons); of the untrained network without weights."""
    learner = bl.Learner(setup.spec, setup.rule, seed=setup.seed)
    return learner.infer(learner.init(weights), test).predictions


def distances(fired: np.ndarray, wanted: np.ndarray) -> dict[str, float]:
    """Means over the samples."""
    return {
        "van Rossum (5 ms)": float(bl.van_rossum(fired, wanted, dt=1 * ms, tau=5 * ms).mean()),
        "Victor-Purpura (1/(5 ms))": float(bl.victor_purpura(fired, wanted, cost=1 / (5 * ms), dt=1 * ms).mean()),
    }


def draw(ax: Axes, fired: np.ndarray, wanted: np.ndarray) -> None:
    """The answers to one stimulus of each kind, side by side, with the sequences around them."""
    for k in range(STIMULI):
        for trains, look in ((wanted, dict(marker="o", ms=7, mfc="none", mec="#D55E00")), (fired, dict(marker="."))):
            step, neuron = np.nonzero(trains[k])
            ax.plot(k * STEPS + step, neuron, ls="", color="#0072B2", **look)
        ax.axvline((k + 1) * STEPS - 0.5, lw=0.5, color="0.8")
    ax.set_xticks((np.arange(STIMULI) + 0.5) * STEPS, [f"stimulus {k}" for k in range(STIMULI)])
    ax.set_ylabel("motor neuron")


def run(epochs: int | None = None, runs: str = "runs", jitter: float = 1.0, seed: int = 0) -> bl.Result:
    """Train, print the distances, and draw the picture."""
    setup = experiment(jitter)
    setup = dataclasses.replace(setup, name="spike_sequence", runs=runs, seed=seed, epochs=epochs or setup.epochs)
    result = setup.run()
    test = setup.data.load()[1].on_grid(setup.spec)
    figure = Figure(figsize=(13, 6.5), layout="constrained")
    for ax, when, weights in zip(figure.subplots(2), ("before", "after"), (None, result.weights), strict=True):
        fired = answers(setup, weights, test)
        found = distances(fired, test.targets)
        text = f"{when}: " + ", ".join(f"{name} {value:.2f}" for name, value in found.items())
        print(text)
        draw(ax, fired, test.targets)
        ax.set_title(f"{text} (new stimuli; o wanted, . fired)", fontsize=10, loc="left")
    save_figure(figure, result.run / "sequences.png")
    print(f"sequences: {result.run / 'sequences.png'}")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, help="presentations of the training set")
    parser.add_argument("--runs", default="runs", help="folder that the run folder goes into")
    parser.add_argument("--jitter", type=float, default=1.0, help="of the stimuli's spikes, in ms")
    parser.add_argument("--seed", type=int, default=0, help="of the weights")
    options = parser.parse_args()
    run(options.epochs, options.runs, options.jitter, options.seed)
