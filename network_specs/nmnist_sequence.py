"""N-MNIST with a spike sequence as the label: 12C5-P2-64C5-P2-10, 25 steps of 12 ms, sequence-label STBP.

The label's output neuron should fire in every step, the others never. Run it with
``python network_specs/nmnist_sequence.py --loss hamming`` (van Rossum's distance is the default). It takes the
recordings that are there, all of N-MNIST or a part, from ``$BRIANLEARN_DATA/NMNIST``.
"""

from brian2 import ms

import brianlearn as bl


def experiment() -> bl.Experiment:
    """Postsynaptic potentials of 36 ms, membranes of 60 ms: 3 and 5 steps."""
    neuron = bl.SequenceLIF(tau_m=60 * ms, tau_s=36 * ms)
    spec = bl.NetworkSpec(
        input=bl.Input(shape=(2, 34, 34), encoder=bl.Spikes()),
        layers=[
            bl.Conv(12, kernel=5, neuron=neuron, pool=2, weights=bl.Normal(2.0)),
            bl.Conv(64, kernel=5, neuron=neuron, pool=2, weights=bl.Normal(3.0)),
            bl.Dense(10, neuron, weights=bl.Normal(1.0)),
        ],
        readout=None,
        dt=12 * ms,
        duration=300 * ms,
    )
    rule = bl.STBP(loss=bl.VanRossum(tau=36 * ms))
    return bl.Experiment(spec, rule=rule, optimiser=bl.Adam(1e-3), data="nmnist", epochs=20, batch_size=20)


if __name__ == "__main__":
    bl.main(experiment)
