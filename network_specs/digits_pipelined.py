"""The 8 x 8 digits of scikit-learn with pipelined timing and SGD, which every device runs, GeNN included.

``python network_specs/digits_pipelined.py --device genn-cpu`` in the environment of `make venv-genn`.
"""

from brian2 import ms

import brianlearn as bl


def experiment() -> bl.Experiment:
    """DALTON on digits, a spike one step per layer."""
    lif = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0)
    spec = bl.NetworkSpec(
        input=bl.Input(shape=(1, 8, 8)),
        layers=[bl.Dense(256, lif), bl.Dense(128, lif)],
        readout=bl.Readout(10),
        duration=30 * ms,
        burn_in=6 * ms,
        timing="pipelined",
    )
    return bl.Experiment(spec, bl.DALTON(), bl.SGD(2.0, halve_every=2), data="digits", epochs=6, batch_size=10)


if __name__ == "__main__":
    bl.main(experiment)
