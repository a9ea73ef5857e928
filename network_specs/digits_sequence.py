"""A spike sequence as the label: every digit's output neuron learns a rhythm of its own, the others silence.

``python network_specs/digits_sequence.py`` trains for half a minute, prints how far the output is from its targets
before and after, and draws both into the run folder, ``sequences.png``. With the other options of
``brianlearn train``: ``brianlearn train network_specs/digits_sequence.py --loss hamming --epochs 5``.
"""

import argparse
import dataclasses

import numpy as np
from brian2 import ms
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import brianlearn as bl
from brianlearn.report.plots import save_figure

STEPS = 30
#: Class k fires four spikes, 4 to 6 steps apart, from step 4, 5, 6 or 7 on.
RHYTHMS = np.zeros((10, STEPS), int)
for k in range(10):
    RHYTHMS[k, 4 + k // 3 + (4 + k % 3) * np.arange(4)] = 1
TARGETS = bl.Targets(label=bl.Pattern(RHYTHMS), others=bl.Silence())
TAU = 2 * ms


def spikes(images: bl.Samples) -> bl.Samples:
    """Images as spikes: in step t a pixel x fires if 0.6 x is above a threshold that is drawn once and for all.

    Every step thus shows the network another part of the image, always the same one: it can tell the time.
    """
    thresholds = np.random.default_rng(1).random((STEPS, 64))
    values = images.inputs.reshape(len(images), 1, 64)
    sample, step, neuron = np.nonzero(thresholds < 0.6 * values)
    offsets = np.searchsorted(sample, np.arange(len(images) + 1))
    return bl.Samples(bl.Events(step, neuron, offsets, (1, 8, 8)), images.labels, images.ids)


def experiment() -> bl.Experiment:
    """64-512-10 neurons, van Rossum's distance."""
    neuron = bl.SequenceLIF(tau_m=4 * ms, tau_s=1 * ms)
    spec = bl.NetworkSpec(
        input=bl.Input(shape=(1, 8, 8), encoder=bl.Spikes()),
        layers=[bl.Dense(512, neuron), bl.Dense(10, neuron, weights=bl.Normal(1.0))],
        readout=None,
        duration=STEPS * ms,
    )
    digits = bl.load("digits")
    return bl.Experiment(
        spec,
        rule=bl.STBP(loss=bl.VanRossum(TAU, TARGETS)),
        optimiser=bl.Adam(2e-3, halve_every=8),
        data=(spikes(digits.train), spikes(digits.test)),
        epochs=25,
        batch_size=20,
    )


def distances(spec: bl.NetworkSpec, weights: dict[str, np.ndarray] | None, samples: bl.Samples) -> dict[str, float]:
    """Mean distance of output trains to their targets, and accuracy."""
    found = {}
    for name, loss in (("van Rossum", bl.VanRossum(TAU, TARGETS)), ("Hamming", bl.Hamming(TARGETS))):
        learner = bl.Learner(spec, bl.STBP(loss))
        activity = learner.infer(learner.init(weights), samples)
        assert activity.loss is not None and activity.accuracy is not None
        found |= {name: activity.loss, "accuracy": activity.accuracy}
    return found


def draw(ax: Axes, spec: bl.NetworkSpec, weights: dict[str, np.ndarray] | None, samples: bl.Samples) -> None:
    """Output spikes for one digit of each class, side by side, with the targets around them."""
    learner = bl.Learner(spec, bl.STBP(), batch_size=len(samples))
    raster = learner.infer(learner.init(weights), samples, record="spikes").spikes["dense2"]
    for k, label in enumerate(samples.labels):
        steps = np.flatnonzero(RHYTHMS[label])
        ax.plot(k * STEPS + steps, np.full(len(steps), label), "o", ms=7, mfc="none", mec="#D55E00", mew=1.0)
        ax.axvline((k + 1) * STEPS - 0.5, lw=0.5, color="0.8")
    ax.plot(raster.trial * STEPS + raster.step, raster.neuron, ".", ms=4, color="#0072B2")
    ax.set_yticks(range(10))
    ax.set_xlim(-0.5, len(samples) * STEPS - 0.5)
    ax.set_xticks((np.arange(len(samples)) + 0.5) * STEPS, [f"a {label}" for label in samples.labels])
    ax.set_ylabel("output neuron")


def run(epochs: int | None = None, runs: str = "runs") -> bl.Result:
    """Train, print the distances, and draw the picture."""
    setup = experiment()
    setup = dataclasses.replace(setup, name="digits_sequence", runs=runs, epochs=epochs or setup.epochs)
    result = setup.run()
    test = spikes(bl.load("digits").test)
    one_each = test[[int(np.flatnonzero(test.labels == label)[0]) for label in range(10)]]
    figure = Figure(figsize=(13, 6.5), layout="constrained")
    for ax, when, weights in zip(figure.subplots(2), ("before", "after"), (None, result.weights), strict=True):
        found = distances(setup.spec, weights, test)
        text = f"{when}: " + ", ".join(f"{name} {value:.3g}" for name, value in found.items())
        print(text)
        draw(ax, setup.spec, weights, one_each)
        ax.set_title(f"{text} (test digits; o target, . spike)", fontsize=10, loc="left")
    save_figure(figure, result.run / "sequences.png")
    print(f"output trains and targets: {result.run / 'sequences.png'}")
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, help="presentations of the training set")
    parser.add_argument("--runs", default="runs", help="folder that the run folder goes into")
    options = parser.parse_args()
    run(options.epochs, options.runs)
