"""Accuracy against depth: TFR, DALTON and surrogate BPTT on the same networks, the same data and the same seeds.

``python network_specs/depth_study.py`` trains dense networks of one to five hidden layers on the digits, three seeds
each, prints the test accuracies and draws them into ``runs/depth_study.png``. ``--dataset mnist --limit 6000`` takes
another data set; ``--width``, ``--depths``, ``--epochs`` and ``--seeds`` change the rest. DALTON and TFR learn through
time, with one update per batch, as surrogate BPTT does, all with the same optimiser.

``brianlearn train network_specs/depth_study.py --depth 4 --rule tfr`` trains one of the networks.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
from brian2 import ms
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

import brianlearn as bl
from brianlearn.report.plots import COLOURS, save_figure
from brianlearn.training.splits import epoch_order

RULES: dict[str, bl.Rule] = {
    "surrogate BPTT": bl.SurrogateBPTT(),
    "DALTON": bl.DALTON(credit="through_time"),
    "TFR": bl.TFR(credit="through_time"),
}


def experiment(dataset: str = "digits", depth: int = 3, width: int = 64, steps: int = 20) -> bl.Experiment:
    """DALTON on a dense network of ``depth`` hidden layers."""
    data = bl.load(dataset)
    neuron = bl.DaltonIF(tau_s=1 * ms)
    spec = bl.NetworkSpec(
        input=bl.Input(data.shape, encoder=bl.IntegrateAndFire(gain=1)),
        layers=[bl.Dense(width, neuron) for _ in range(depth)],
        readout=bl.Readout(len(data.classes)),
        duration=steps * ms,
    )
    return bl.Experiment(
        spec,
        rule=RULES["DALTON"],
        optimiser=bl.Adam(2e-3, reset_each_epoch=True),
        data=data,
        epochs=20,
        batch_size=20,
        engine="discrete",
        name=f"depth-{depth}",
    )


def accuracy(setup: bl.Experiment, limit: int | None) -> float:
    """Test accuracy after the last epoch."""
    learner = bl.Learner(
        setup.spec,
        setup.rule,
        setup.optimiser,
        engine=setup.engine,
        batch_size=setup.batch_size,
        seed=setup.seed,
    )
    train, state = setup.data.train[:limit], learner.init()
    for epoch in range(setup.epochs):
        state, _ = learner.learn(state, train[epoch_order(len(train), setup.seed, epoch)])
        state = state.next_epoch(setup.optimiser)
    return learner.infer(state, setup.data.test).accuracy


def draw(found: dict[str, dict[int, list[float]]], title: str, path: Path) -> None:
    """Mean and each seed, against depth."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    ax = figure.subplots()
    for k, (colour, (name, by_depth)) in enumerate(zip(COLOURS, found.items(), strict=False)):
        depths = np.array(list(by_depth))
        ax.plot(depths, [np.mean(by_depth[d]) for d in depths], "o-", color=colour, label=name)
        for depth, values in by_depth.items():
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
    parser.add_argument("--out", type=Path, default=Path("runs/depth_study.png"), help="the figure; a .json beside it")
    options = parser.parse_args()
    found: dict[str, dict[int, list[float]]] = {name: {} for name in RULES}
    for depth in options.depths:
        setup = experiment(options.dataset, depth, options.width, options.steps)
        for name, rule in RULES.items():
            started = time.perf_counter()
            found[name][depth] = [
                accuracy(
                    dataclasses.replace(
                        setup,
                        rule=rule,
                        seed=seed,
                        epochs=options.epochs,
                        optimiser=dataclasses.replace(setup.optimiser, learning_rate=options.learning_rate),
                    ),
                    options.limit,
                )
                for seed in options.seeds
            ]
            values = found[name][depth]
            seconds = (time.perf_counter() - started) / len(values)
            print(
                f"{depth} hidden, {name:15} {np.mean(values):.1%}  ({', '.join(f'{v:.1%}' for v in values)}), "
                f"{seconds:.0f} s each",
                flush=True,
            )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    title = f"{options.dataset}, hidden layers of {options.width}, {options.epochs} epochs, {len(options.seeds)} seeds"
    draw(found, title, options.out)
    options.out.with_suffix(".json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(f"figure: {options.out}")


if __name__ == "__main__":
    main()
