"""Words that only memory tells apart, heard without a cycle: neurons learn how long they remember; minutes.

The words of ``spoken_words`` are made of the same vowels in different orders, with pauses between them. A population
that does not hear itself forgets within its time constants. Each neuron has its own two here, and learns them beside
the weights: ``python network_specs/learned_time_constants.py``. With ``--time-constants drawn`` they stay as they were
drawn, between 10 and 1000 ms, and with ``--time-constants short`` all are 20 and 10 ms.
"""

from typing import Literal

from brian2 import ms

import brianlearn as bl

BOUNDS = {"tau_m": (10 * ms, 1000 * ms), "tau_s": (5 * ms, 500 * ms)}


def experiment(time_constants: Literal["learned", "drawn", "short"] = "learned", neurons: int = 128) -> bl.Experiment:
    """One population, 100 steps of 10 ms, and a readout that forgets in 50 ms.

    Parameters
    ----------
    time_constants : str
        Of membranes and synapses: ``"learned"`` from where they were drawn, ``"drawn"`` and fixed, or ``"short"``.
    neurons : int
        Of the population.
    """
    learn = [bl.Learned(name, per="neuron", bounds=ends, initial="log-uniform") for name, ends in BOUNDS.items()]
    rate = {"learned": 10.0, "drawn": 0.0}.get(time_constants)
    neuron = bl.CubaLIF(tau_m=20 * ms, tau_s=10 * ms, R=3.0, learn=() if rate is None else learn)
    populations = [
        bl.Population("cochlea", (1, 1, 700), bl.Spikes()),
        bl.Population("hidden", neurons, neuron),
        bl.Population("words", 20, bl.LinearReadout(tau=50 * ms)),
    ]
    projections = [
        bl.Projection("feed", "cochlea", "hidden", weights=bl.Normal(4.0)),
        bl.Projection("out", "hidden", "words", weights=bl.Uniform(0.2)),
    ]
    spec = bl.NetworkSpec(populations=populations, projections=projections, dt=10 * ms, duration=1000 * ms)
    epochs = 20
    scale = {} if rate is None else {f"hidden.{name}": rate for name in BOUNDS}
    return bl.Experiment(
        spec,
        rule=bl.SurrogateBPTT(bl.CrossEntropy(), learning_rate_scale=scale),
        optimiser=bl.Adam(2e-3, schedule=bl.Cosine(epochs)),
        data="spoken_words",
        epochs=epochs,
        batch_size=32,
        engine="discrete",
    )


if __name__ == "__main__":
    bl.main(experiment)
