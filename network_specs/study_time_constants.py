"""How accuracy and rates depend on the membrane and synaptic time constants, for DALTON and TFR.

``python network_specs/study_time_constants.py --workers 2``, or the same after ``brianlearn study``; one program serves
all trials of a rule. ``--axis tau_m=5ms,50ms`` takes other values, and ``--fix rule=tfr`` one rule alone;
``brianlearn study report FOLDER`` draws what came out.
"""

from typing import Any

from brian2 import ms

import brianlearn as bl


def experiment(tau_m: Any = 20 * ms, tau_s: Any = 5 * ms) -> bl.Experiment:
    """DALTON on digits, leaky neurons with exponential synapses."""
    neuron = bl.CubaLIF(tau_m=tau_m, tau_s=tau_s, R=4.0)
    spec = bl.NetworkSpec(
        input=bl.Input((1, 8, 8)),
        layers=[bl.Dense(64, neuron), bl.Dense(64, neuron)],
        readout=bl.Readout(10),
        duration=20 * ms,
    )
    return bl.Experiment(
        spec, rule=bl.DALTON(), optimiser=bl.Adam(2e-3), data="digits", epochs=5, batch_size=20, engine="brian"
    )


def study() -> bl.Study:
    """Two time constants, two rules, three seeds."""
    axes = {
        "tau_m": bl.log_space(5 * ms, 40 * ms, 4),
        "tau_s": [1, 2, 5, 10] * ms,
        "rule": ["dalton", "tfr"],
        "seed": range(3),
    }
    return bl.Study(experiment, axes, name="time-constants")


if __name__ == "__main__":
    bl.main(study)
