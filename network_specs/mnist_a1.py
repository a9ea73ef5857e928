"""Network A1 of the DALTON paper on MNIST, with the paper's training recipe.

Run it with ``python network_specs/mnist_a1.py --limit 6000 --epochs 1``.
"""

from brian2 import ms

import brianlearn as bl


def experiment() -> bl.Experiment:
    """A1: 16 kernels of 3 x 3, average pool of 2, 128 and 64 neurons."""
    neuron = bl.DaltonIF(tau_s=5 * ms)
    spec = bl.NetworkSpec(
        input=bl.Input(shape=(1, 28, 28), encoder=bl.IntegrateAndFireEncoder(gain=1)),
        layers=[bl.Conv(16, kernel=3, neuron=neuron, pool=2), bl.Dense(128, neuron), bl.Dense(64, neuron)],
        readout=bl.Readout(10),
        duration=40 * ms,
    )
    optimiser = bl.Adam(1e-3, reset_each_epoch=True, halve_every=30)
    return bl.Experiment(spec, rule=bl.DALTON(), optimiser=optimiser, data="mnist", epochs=5, batch_size=50)


if __name__ == "__main__":
    bl.main(experiment)
