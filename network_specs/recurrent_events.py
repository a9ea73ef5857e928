"""Digits before an event camera: excitatory neurons that hear themselves, and one another through inhibitory ones.

Run it with ``python network_specs/recurrent_events.py`` (BPTT), ``--method eprop`` (random feedback), ``--method tfr``
(with traces), and ``--no-recurrent`` for the same network without its cycles.
"""

from typing import Literal

from brian2 import ms

import brianlearn as bl

RULES = {"bptt": bl.SurrogateBPTT(), "eprop": bl.EProp(), "tfr": bl.TFR(eligibility="trace")}


def experiment(recurrent: bool = True, method: Literal["bptt", "eprop", "tfr"] = "bptt") -> bl.Experiment:
    """100 excitatory and 25 inhibitory neurons; cycles have delays of 1 and 2 ms, and signs.

    Parameters
    ----------
    recurrent : bool
        Whether there are cycles.
    method : str
        ``"bptt"``, ``"eprop"``, or ``"tfr"`` with eligibility traces.
    """
    neuron = bl.CubaLIF(R=4.0)
    populations = [
        bl.Population("input", (2, 16, 16), bl.Spikes()),
        bl.Population("excitatory", 100, neuron),
        bl.Population("inhibitory", 25, bl.CubaLIF(R=4.0, tau_m=10 * ms)),
        bl.Population("readout", 10, bl.LinearReadout(tau=20 * ms)),
    ]
    projections = [
        bl.Projection("feed", "input", "excitatory", weights=bl.Normal(2.0)),
        bl.Projection("drive", "excitatory", "inhibitory", sign="excitatory"),
        bl.Projection("out", "excitatory", "readout", weights=bl.Uniform(0.2)),
        bl.Projection("out_inhibitory", "inhibitory", "readout", weights=bl.Uniform(0.2)),
    ]
    if recurrent:
        projections += [
            bl.Projection("recur", "excitatory", "excitatory", bl.Sparse(0.2), bl.Normal(0.5), delay=2 * ms),
            bl.Projection("inhibit", "inhibitory", "excitatory", delay=1 * ms, sign="inhibitory"),
        ]
    spec = bl.NetworkSpec(populations=populations, projections=projections, duration=60 * ms)
    return bl.Experiment(
        spec,
        rule=RULES[method],
        optimiser=bl.Adam(2e-3),
        data="digits_events",
        epochs=20,
        batch_size=32,
        engine="discrete",
    )


if __name__ == "__main__":
    bl.main(experiment)
