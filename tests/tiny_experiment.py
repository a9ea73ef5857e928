"""A network script that trains in a second or two on the device numpy; the tests also run it as a user would."""

import numpy as np
from brian2 import ms

import brianlearn as bl


def samples() -> tuple[bl.Samples, bl.Samples]:
    values = np.random.default_rng(1).random((16, 4))
    labels = (values[:, 0] > values[:, 1]).astype(int)
    return bl.Samples(values[:12], labels[:12]), bl.Samples(values[12:], labels[12:])


def experiment() -> bl.Experiment:
    spec = bl.NetworkSpec(
        bl.Input((4,), bl.PoissonEncoder()), [bl.Dense(5, bl.CubaLIF(tau_m=10 * ms))], bl.Readout(2), duration=4 * ms
    )
    return bl.Experiment(
        spec,
        bl.DALTON(),
        bl.Adam(0.01),
        data=samples(),
        epochs=2,
        batch_size=2,
        chunk_size=6,
        validation=2,
        device="numpy",
    )


if __name__ == "__main__":
    bl.main(experiment)
