"""MNIST with surrogate-gradient back-propagation through time: the layers of A1, leaky neurons, cross-entropy.

Run it with ``python network_specs/mnist_bptt.py`` (three epochs, some minutes).
"""

from brian2 import ms

import brianlearn as bl


def experiment() -> bl.Experiment:
    """Membranes of 20 ms, synapses of 5 ms, a wide surrogate; the learning rate halves after each epoch."""
    neuron = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0, surrogate=bl.FastSigmoid(slope=2))
    spec = bl.NetworkSpec(
        input=bl.Input(shape=(1, 28, 28), encoder=bl.IntegrateAndFire(gain=2)),
        layers=[bl.Conv(16, kernel=3, neuron=neuron, pool=2), bl.Dense(128, neuron), bl.Dense(64, neuron)],
        readout=bl.Readout(10),
        duration=40 * ms,
    )
    rule = bl.SurrogateBPTT(loss=bl.CrossEntropy())
    optimiser = bl.Adam(3e-3, halve_every=1)
    return bl.Experiment(spec, rule=rule, optimiser=optimiser, data="mnist", epochs=3, batch_size=32)


if __name__ == "__main__":
    bl.main(experiment)
