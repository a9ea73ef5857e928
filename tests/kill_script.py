"""A network script for tests that kill it: a second or two of learning on any engine and device, in many chunks."""

import numpy as np
from brian2 import ms

import brianlearn as bl


def experiment() -> bl.Experiment:
    rng = np.random.default_rng(1)
    values = rng.random((140, 12))
    labels = (values[:, 0] > values[:, 1]).astype(int)
    spec = bl.NetworkSpec(
        bl.Input((12,), bl.PoissonEncoder()), [bl.Dense(30, bl.CubaLIF(tau_m=10 * ms))], bl.Readout(2), duration=10 * ms
    )
    return bl.Experiment(
        spec,
        bl.DALTON(),
        bl.Adam(0.01),
        data=(bl.Samples(values[:120], labels[:120]), bl.Samples(values[120:], labels[120:])),
        epochs=2,
        batch_size=4,
        chunk_size=20,
        validation=20,
    )


if __name__ == "__main__":
    bl.main(experiment)
