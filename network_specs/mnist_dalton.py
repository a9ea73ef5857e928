"""MNIST with DALTON, a recipe chosen on held-out training images: the layers of A1, leaky neurons, traces.

Run it with ``python network_specs/mnist_dalton.py`` (three epochs, some minutes); ``--rule tfr`` has random readouts.
"""

from brian2 import ms

import brianlearn as bl


def experiment() -> bl.Experiment:
    """Membranes of 20 ms, synapses of 5 ms, a wide surrogate; the learning rate halves after each epoch."""
    neuron = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0, surrogate=bl.FastSigmoid(slope=2))
    spec = bl.NetworkSpec(
        input=bl.Input(shape=(1, 28, 28), encoder=bl.IntegrateAndFireEncoder(gain=2)),
        layers=[bl.Conv(16, kernel=3, neuron=neuron, pool=2), bl.Dense(128, neuron), bl.Dense(64, neuron)],
        readout=bl.Readout(10),
        duration=40 * ms,
    )
    rule = bl.DALTON(eligibility="trace")
    optimiser = bl.Adam(4e-3, halve_every=1)
    return bl.Experiment(spec, rule=rule, optimiser=optimiser, data="mnist", epochs=3, batch_size=16, engine="discrete")


if __name__ == "__main__":
    bl.main(experiment)
