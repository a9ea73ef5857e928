"""The networks of sequence-label STBP: a spike sequence as the label, learned by back-propagation through time.

Wang, Ye, Liu, Xu, Fan & Wang, Journal of Electronics & Information Technology 46(6), 2024, doi 10.11999/JEIT230705.

``python network_specs/stbp_paper.py --dataset nmnist`` (or mnist_events, cifar10: 12C5-P2-64C5-P2-10; mnist:
15C5-P2-40C5-P2-300-10), 25 steps (``--steps``), 100 epochs. The label's output neuron should fire in every step, the
others never. ``--loss hamming`` in the place of van Rossum's distance; ``--loss rate-mse`` is the loss of the first
STBP paper. Images are random spikes.
"""

from typing import Any, Literal

from brian2 import ms

import brianlearn as bl

STEPS = 25


def experiment(
    dataset: Literal["nmnist", "mnist_events", "cifar10", "mnist"] = "nmnist",
    steps: int = STEPS,
    path: str | None = None,
) -> bl.Experiment:
    """Postsynaptic potentials of 3 steps, membranes of 5 steps."""
    events = dataset in ("nmnist", "mnist_events")
    # recordings of 300 ms in so many steps; images have no time of their own
    dt: Any = 300 / steps * ms if events else 1 * ms
    neuron = bl.SequenceLIF(tau_m=5 * dt, tau_s=3 * dt)
    shape = {"nmnist": (2, 34, 34), "mnist_events": (2, 34, 34), "cifar10": (3, 32, 32), "mnist": (1, 28, 28)}[dataset]
    channels = (15, 40) if dataset == "mnist" else (12, 64)
    # wide enough that spikes reach the output: what is silent in all trials learns slowly
    layers: list[bl.Conv | bl.Dense] = [
        bl.Conv(channels[0], kernel=5, neuron=neuron, pool=2, weights=bl.Normal(2.0)),
        bl.Conv(channels[1], kernel=5, neuron=neuron, pool=2, weights=bl.Normal(3.0)),
    ]
    if dataset == "mnist":
        layers.append(bl.Dense(300, neuron, weights=bl.Normal(3.0)))
    spec = bl.NetworkSpec(
        input=bl.Input(shape, encoder=bl.Spikes() if events else bl.PoissonEncoder(gain=1)),
        layers=[*layers, bl.Dense(10, neuron, weights=bl.Normal(1.0))],
        readout=None,
        dt=dt,
        duration=steps * dt,
    )
    return bl.Experiment(
        spec,
        rule=bl.STBP(loss=bl.VanRossum(tau=3 * dt)),
        optimiser=bl.Adam(1e-3),
        data=bl.DataSource(dataset, path=path),
        epochs=100,
        batch_size=20,
        name=f"stbp-{dataset}",
    )


if __name__ == "__main__":
    bl.main(experiment)
