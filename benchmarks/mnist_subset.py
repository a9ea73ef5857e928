"""Accuracy per epoch on a fixed part of MNIST, for surrogate BPTT, DALTON and TFR.

``python benchmarks/mnist_subset.py A1 A2``. A1: the first 6000 training images in official order; A2 (with its
dropout): the first 3000. Tested on the first 1000 test images after every epoch. T = 40, integrate-and-fire encoder of
gain 1, the paper's neuron with a synaptic time constant of 5 ms, Adam 1e-3 that is created anew each epoch, batches of
100 in an order of each epoch's own, seeds 0 and 1. As in the paper's program, dropout draws its neurons anew in each
step; ``--dropout-every trial`` draws them once per trial. DALTON and TFR learn through time (one update per batch);
with ``--online`` event by event (the update is once per batch there too). Needs MNIST: downloaded, or under
BRIANLEARN_DATA.
"""

from __future__ import annotations

import argparse
import time

from _measure import load
from brian2 import ms
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

import brianlearn as bl
from brianlearn.learning import Rule
from brianlearn.network.layers import Layer
from brianlearn.training.splits import epoch_order


def layers(arch: str, dropout_every: str) -> list[Layer]:
    """The layers of the paper's networks A1 and A2."""
    neuron = bl.DaltonIF(tau_s=5 * ms)
    if arch == "A1":
        return [bl.Conv(16, 3, neuron, pool=2), bl.Dense(128, neuron), bl.Dense(64, neuron)]
    convolutions: list[Layer] = [
        bl.Conv(32, kernel, neuron, pool=2, dropout=0.1, dropout_every=dropout_every) for kernel in (7, 5)
    ]
    return [*convolutions, bl.Dense(512, neuron), bl.Dense(128, neuron)]


def accuracies(
    arch: str, rule: Rule, seed: int, epochs: int, engine: str, dropout_every: str
) -> tuple[list[float], float]:
    """Test accuracy after each epoch, and training samples per second."""
    encoder = bl.IntegrateAndFireEncoder(gain=1)
    spec = bl.NetworkSpec(bl.Input((1, 28, 28), encoder), layers(arch, dropout_every), bl.Readout(10), duration=40 * ms)
    optimiser = bl.Adam(1e-3, reset_each_epoch=True)
    learner = bl.Learner(spec, rule, optimiser, engine=engine, batch_size=100, seed=seed)
    data = bl.load("mnist")
    train, test = data.train[: 6000 if arch == "A1" else 3000], data.test[:1000]
    state, found, seconds = learner.init(), [], 0.0
    for epoch in range(epochs):
        started = time.perf_counter()
        state, _ = learner.learn(state, train[epoch_order(len(train), seed, epoch)])
        seconds += time.perf_counter() - started
        accuracy = learner.infer(state, test).accuracy
        assert accuracy is not None
        found.append(accuracy)
        state = state.next_epoch(optimiser)
    return found, epochs * len(train) / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("archs", nargs="*", default=["A1", "A2"], choices=["A1", "A2"])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1])
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--dropout-every", choices=["step", "trial"], default="step", help="of A2")
    parser.add_argument("--online", action="store_true", help="presynaptic spikes of the step instead of through time")
    arguments = parser.parse_args()
    credit = "online" if arguments.online else "through_time"
    rules: list[Rule] = [bl.SurrogateBPTT(), bl.DALTON(credit=credit), bl.TFR(credit=credit)]
    console = Console(width=110)
    for arch in arguments.archs:
        table = Table(title=f"{arch}, test accuracy after each epoch; {load()}", box=SIMPLE_HEAD)
        for column in ("rule", "seed", *(str(k + 1) for k in range(arguments.epochs)), "samples/s"):
            table.add_column(column, justify="left" if column == "rule" else "right", no_wrap=True)
        for rule in rules:
            for seed in arguments.seeds:
                found, speed = accuracies(arch, rule, seed, arguments.epochs, "discrete", arguments.dropout_every)
                row = [rule.name, str(seed), *(f"{a:.1%}" for a in found), f"{speed:.0f}"]
                console.print(arch, *row, highlight=False)
                table.add_row(*row)
        console.print(table)


if __name__ == "__main__":
    main()
