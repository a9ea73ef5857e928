"""MNIST with surrogate-gradient back-propagation through time: the layers of A1, leaky neurons, cross-entropy.

Run it with ``python network_specs/mnist_bptt.py`` (three epochs, some minutes).
"""

from brian2 import ms

import brianlearn as bl


def experiment() -> bl.Experiment:
    """Membranes of 20 ms that a spike lowers by the threshold; a wide surrogate; every step's readout is compared."""
    surrogate = bl.FastSigmoid(slope=2)
    neuron = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0, surrogate=surrogate, reset="v -= 1")
    hidden = [bl.Dense(size, neuron, weights=bl.Normal(0.7)) for size in (128, 64)]
    spec = bl.NetworkSpec(
        input=bl.Input(shape=(1, 28, 28), encoder=bl.IntegrateAndFireEncoder(gain=2)),
        layers=[bl.Conv(16, kernel=3, neuron=neuron, pool=2), *hidden],
        readout=bl.Readout(10),
        duration=40 * ms,
    )
    rule = bl.SurrogateBPTT(loss=bl.CrossEntropy(label_smoothing=0.1, every_step=True))
    optimiser = bl.Adam(2e-3, decay=0.3)
    return bl.Experiment(spec, rule=rule, optimiser=optimiser, data="mnist", epochs=3, batch_size=32)


if __name__ == "__main__":
    bl.main(experiment)
