"""MNIST with STBP: 15C5-P2-40C5-P2-300-10, random spikes as input, 25 steps, mean squared error of the firing rates.

Run it with ``python network_specs/mnist_stbp.py --limit 6000 --epochs 1``; ``--loss van-rossum``, ``hamming``,
``spike-count`` or ``cross-entropy`` minimise something else.
"""

from brian2 import ms

import brianlearn as bl


def experiment() -> bl.Experiment:
    """The neuron of Wu et al. 2018."""
    neuron = bl.STBPNeuron(decay=0.25, v_th=0.5)
    spec = bl.NetworkSpec(
        input=bl.Input(shape=(1, 28, 28), encoder=bl.PoissonEncoder(gain=1)),
        layers=[
            # wide enough that spikes reach the output: the rectangular surrogate is 0 for a silent layer
            bl.Conv(15, kernel=5, neuron=neuron, pool=2, weights=bl.Normal(1.0)),
            bl.Conv(40, kernel=5, neuron=neuron, pool=2, weights=bl.Normal(2.0)),
            bl.Dense(300, neuron, weights=bl.Normal(2.0)),
            bl.Dense(10, neuron, weights=bl.Normal(2.0)),
        ],
        readout=None,
        duration=25 * ms,
    )
    rule = bl.STBP(loss=bl.RateMSE())
    return bl.Experiment(spec, rule=rule, optimiser=bl.Adam(1e-3), data="mnist", epochs=10, batch_size=50)


if __name__ == "__main__":
    bl.main(experiment)
