"""A label that is only in spike timing: losses on rates cannot learn it, spike sequences as labels can.

Every input neuron fires exactly once in every trial: some at a step that depends on the class, give or take one, the
others always at the same, as a clock. Every output neuron should fire exactly four spikes in every trial: the label's
neuron early, the others late. So neither the rates of the input nor those of the output say anything about the class.

``python network_specs/timing_matters.py`` trains the same network with two losses on spike trains (van Rossum's
distance, Hamming's) and with two on rates: the spike counts of the same targets, which are the same for every class;
and the rates of STBP, which ask for another output, the label's neuron in every step. It takes a minute, prints how
often the target trains nearest to the output are those of the label, and how far from them the output is, relative to
silence; and draws the output into ``timing.png`` in the run folder of the first. ``brianlearn train
network_specs/timing_matters.py`` trains with one loss; the accuracy that it prints compares spike counts, and means
nothing here.
"""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from brian2 import ms
from matplotlib.figure import Figure

import brianlearn as bl
from brianlearn.report.plots import save_figure

CLASSES, STEPS = 4, 54
#: Input neurons that know the class, and others that only tell the time: each fires at the same step of every trial.
SIGNAL, CLOCK = 60, 54
INPUTS = SIGNAL + CLOCK
#: What knows the class fires in the first 30 steps. Early and late output spikes, as many:
EARLY, LATE = np.zeros(STEPS, int), np.zeros(STEPS, int)
EARLY[[32, 34, 36, 38]] = 1
LATE[[44, 46, 48, 50]] = 1
TARGETS = bl.Targets(label=bl.Pattern(EARLY), others=bl.Pattern(LATE))
TAU = 3 * ms
LOSSES: dict[str, bl.Loss] = {
    "van Rossum": bl.VanRossum(TAU, TARGETS),
    "Hamming": bl.Hamming(TARGETS),
    "spike counts": bl.SpikeCount(desired=4, undesired=4),
    "rates": bl.RateMSE(),
}


def task(n: int, seed: int) -> bl.Samples:
    """``n`` trials: spike times of the class's template, each moved by -1, 0 or 1 step."""
    template = np.random.default_rng(0).integers(2, 28, (CLASSES, SIGNAL))
    rng = np.random.default_rng([1, seed])
    labels = rng.integers(CLASSES, size=n)
    times = template[labels] + rng.integers(-1, 2, (n, SIGNAL))
    times = np.concatenate([times, np.tile(np.arange(CLOCK) * STEPS // CLOCK, (n, 1))], axis=1)
    order = np.argsort(times, axis=1, kind="stable")
    step, neuron = np.take_along_axis(times, order, axis=1), order
    offsets = INPUTS * np.arange(n + 1)
    return bl.Samples(bl.Events(step.ravel(), neuron.ravel(), offsets, (INPUTS,)), labels)


def experiment() -> bl.Experiment:
    """60-200-4 neurons, van Rossum's distance."""
    neuron = bl.SequenceLIF(tau_m=20 * ms, tau_s=4 * ms)
    spec = bl.NetworkSpec(
        input=bl.Input(shape=(INPUTS,), encoder=bl.Spikes()),
        layers=[bl.Dense(200, neuron, weights=bl.Normal(4.0)), bl.Dense(CLASSES, neuron, weights=bl.Normal(2.0))],
        readout=None,
        duration=STEPS * ms,
    )
    return bl.Experiment(
        spec,
        rule=bl.STBP(loss=LOSSES["van Rossum"]),
        optimiser=bl.Adam(3e-3, halve_every=10),
        data=(task(1000, 0), task(500, 1)),
        epochs=30,
        batch_size=20,
    )


def filtered(trains: np.ndarray) -> np.ndarray:
    """Spike trains, time last, after the kernel of van Rossum's distance."""
    result, keep = np.zeros(trains.shape), 1 - float(1 * ms) / float(TAU)
    for t in range(trains.shape[-1]):
        result[..., t] = (keep * result[..., t - 1] if t else 0.0) + (1 - keep) * trains[..., t]
    return result


def distances(spec: bl.NetworkSpec, output: np.ndarray) -> np.ndarray:
    """Van Rossum's distance of outputs, shape (n, steps, neurons), to the targets of every label, (n, classes).

    Relative to that of no spike at all.
    """
    found, wanted = filtered(output.swapaxes(1, 2)), filtered(TARGETS.trains(spec))
    return ((found[:, None] - wanted[None]) ** 2).sum(axis=(2, 3)) / (wanted**2).sum(axis=(1, 2))


def run(epochs: int | None = None, runs: str = "runs", seed: int = 0) -> dict[str, tuple[float, float]]:
    """Train with every loss.

    Returns
    -------
    dict
        Loss -> share of test trials whose output is nearest to the label's targets, and mean distance from these.
    """
    first = experiment()
    first = dataclasses.replace(first, epochs=epochs or first.epochs, runs=runs, seed=seed)
    test = first.data[1]
    shown = [int(np.flatnonzero(test.labels == k)[0]) for k in range(CLASSES)]
    figure = Figure(figsize=(10, 7), layout="constrained")
    scores, folder = {}, Path()
    for ax, (name, loss) in zip(figure.subplots(len(LOSSES), sharex=True), LOSSES.items(), strict=True):
        setup = dataclasses.replace(first, rule=bl.STBP(loss=loss), name=f"timing-{name.replace(' ', '-')}")
        result = setup.run()
        folder = result.run if name == "van Rossum" else folder
        learner = bl.Learner(setup.spec, setup.rule, batch_size=len(test))
        raster = learner.infer(learner.init(result.weights), test, record="spikes").spikes["dense2"]
        output = raster.dense()
        apart = distances(setup.spec, output)
        right = float(np.mean(apart.argmin(axis=1) == test.labels))
        scores[name] = right, float(apart[np.arange(len(test)), test.labels].mean())
        text = f"{name}: nearest to the label's targets {right:.1%}, distance {scores[name][1]:.2f}"
        print(f"{text}, {output.sum(axis=1).mean():.1f} spikes per output neuron and trial")
        for k, trial in enumerate(shown):
            step, neuron = np.nonzero(output[trial])
            ax.plot(k * STEPS + step, neuron, "|", ms=9, mew=1.6, color="#0072B2")
            wanted = TARGETS.trains(setup.spec)[test.labels[trial]]
            neuron, step = np.nonzero(wanted)
            ax.plot(k * STEPS + step, neuron, "o", ms=9, mfc="none", mew=0.8, color="#D55E00")
            ax.axvline((k + 1) * STEPS - 0.5, lw=0.5, color="0.8")
        ax.set_title(f"{text} (o target, | spike)", fontsize=10, loc="left")
        ax.set_yticks(range(CLASSES))
        ax.set_ylim(-0.6, CLASSES - 0.4)
        ax.set_ylabel("output")
    ax.set_xlim(-0.5, CLASSES * STEPS - 0.5)
    ax.set_xticks((np.arange(CLASSES) + 0.5) * STEPS, [f"a trial of class {k}" for k in range(CLASSES)])
    save_figure(figure, folder / "timing.png")
    print(f"chance is {1 / CLASSES:.0%}; outputs and targets: {folder / 'timing.png'}")
    return scores


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, help="presentations of the training set")
    parser.add_argument("--seed", type=int, default=0, help="of all random numbers")
    parser.add_argument("--runs", default="runs", help="folder that the run folders go into")
    options = parser.parse_args()
    run(options.epochs, options.runs, options.seed)
