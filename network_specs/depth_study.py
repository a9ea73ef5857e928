"""Accuracy against depth: TFR, DALTON and surrogate BPTT on the same networks, the same data and the same seeds.

``python network_specs/depth_study.py`` trains dense networks of one to five hidden layers on the digits, three seeds
each, prints the test accuracies and draws them into ``runs/depth_study.png``, with a table beside it. ``--dataset mnist
--limit 6000`` takes another data set; ``--width``, ``--depths``, ``--epochs`` and ``--seeds`` change the rest. DALTON
and TFR learn through time, with one update per batch, as surrogate BPTT does, all with the same optimiser. A study that
was cut off goes on with ``brianlearn study resume FOLDER``, and is drawn with ``--draw FOLDER``.

``brianlearn train network_specs/depth_study.py --depth 4 --rule tfr`` trains one of the networks.
"""

import argparse
from pathlib import Path

import numpy as np
from brian2 import ms
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import brianlearn as bl
from brianlearn.report.plots import COLOURS, save_figure

RULES = {"bptt": "surrogate BPTT", "dalton": "DALTON", "tfr": "TFR"}


def experiment(dataset: str = "digits", depth: int = 3, width: int = 64, steps: int = 20) -> bl.Experiment:
    """DALTON on a dense network of ``depth`` hidden layers."""
    data = bl.load(dataset)
    neuron = bl.DaltonIF(tau_s=1 * ms)
    spec = bl.NetworkSpec(
        input=bl.Input(data.shape, encoder=bl.IntegrateAndFireEncoder(gain=1)),
        layers=[bl.Dense(width, neuron) for _ in range(depth)],
        readout=bl.Readout(len(data.classes)),
        duration=steps * ms,
    )
    return bl.Experiment(
        spec,
        rule=bl.DALTON(credit="through_time"),
        optimiser=bl.Adam(2e-3, reset_each_epoch=True),
        data=data,
        epochs=20,
        batch_size=20,
        engine="discrete",
        name=f"depth-{depth}",
    )


def draw(results, title: str, path: Path) -> None:
    """Mean and each seed, against depth."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    ax = figure.subplots()
    depths = results["depth"].values
    for k, (colour, rule) in enumerate(zip(COLOURS, results["rule"].values, strict=False)):
        accuracy = results["test_accuracy"].sel(rule=rule).transpose("depth", "seed").values
        ax.plot(depths, accuracy.mean(axis=1), "o-", color=colour, label=RULES[str(rule)])
        for depth, values in zip(depths, accuracy, strict=True):
            ax.plot(np.full(len(values), depth + 0.06 * (k - 1)), values, ".", ms=4, color=colour, alpha=0.6)
    ax.set_xticks(depths)
    ax.set_xlabel("hidden layers")
    ax.set_ylabel("test accuracy")
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set_title(title, fontsize=10)
    ax.grid(alpha=0.3)
    ax.legend(frameon=False)
    save_figure(figure, path)


def main() -> None:
    """Train all networks with all rules."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="digits", help="of images")
    parser.add_argument("--depths", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--width", type=int, default=64, help="neurons of each hidden layer")
    parser.add_argument("--steps", type=int, default=20, help="of 1 ms")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--limit", type=int, help="use only the first so many training samples")
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, help="processes; one per core where it is not given")
    parser.add_argument("--out", type=Path, default=Path("runs/depth_study.png"), help="the figure; a .csv beside it")
    parser.add_argument("--draw", type=Path, metavar="FOLDER", help="draw a study that has run already")
    options = parser.parse_args()
    if options.draw is None:
        study = bl.depth(
            experiment,
            options.depths,
            options.seeds,
            tuple(RULES),
            options.epochs,
            options.limit,
            options={"dataset": options.dataset, "width": options.width, "steps": options.steps},
            parameters={"learning_rate": options.learning_rate},
        )
        study.run(options.workers)
    else:
        study = bl.Study.open(options.draw)
    results = study.results()
    for depth in results["depth"].values:
        for rule in results["rule"].values:
            cell = results.sel(depth=depth, rule=rule)
            values, seconds = cell["test_accuracy"].values, float(cell["trial_seconds"].mean())
            each = ", ".join(f"{v:.1%}" for v in values)
            print(f"{depth} hidden, {RULES[str(rule)]:15} {np.mean(values):.1%}  ({each}), {seconds:.0f} s each")
    fixed = study.fixed
    options.out.parent.mkdir(parents=True, exist_ok=True)
    given, seeds = fixed["source"]["options"], len(results["seed"])
    title = f"{given['dataset']}, hidden layers of {given['width']}, {fixed['epochs']} epochs, {seeds} seeds"
    draw(results, title, options.out)
    study.to(options.out.with_suffix(".csv"))
    print(f"figure: {options.out}")


if __name__ == "__main__":
    main()
