"""Spikes whose relative times alone tell the class: delays that learn, delays that do not, and none; a minute.

``channel_orders``: eight channels fire once each, one after the other, every 12 ms; classes are ten orders in which
they do, and the beginning is random. Neurons of the hidden population forget within some 3 ms, and the readout has no
memory: without delays they hear the same in every class.

Run it with ``python network_specs/learned_delays.py``, ``--delays random`` (drawn from the seed, and fixed) and
``--delays zero``. ``--data digits_events`` learns digits before an event camera instead.
"""

from typing import Any, Literal

from brian2 import ms

import brianlearn as bl

#: Data -> shape of the input, time constant of the neurons, length of a trial, longest delay, epochs.
TASKS: dict[str, tuple[tuple[int, ...], Any, Any, Any, int]] = {
    "channel_orders": ((8,), 2 * ms, 150 * ms, 36 * ms, 40),
    "digits_events": ((2, 16, 16), 3 * ms, 80 * ms, 20 * ms, 12),
}


def experiment(
    delays: Literal["learned", "random", "zero"] = "learned",
    data: Literal["channel_orders", "digits_events"] = "channel_orders",
    neurons: int = 8,
) -> bl.Experiment:
    """One hidden population, all to all.

    Parameters
    ----------
    delays : str
        Of the synapses from the input.
    data : str
        What is learned.
    neurons : int
        Of the hidden population.
    """
    shape, tau, duration, longest, epochs = TASKS[data]
    learn = {"learned": 2 * epochs // 3, "random": 0}  # epochs; random ones stay as they are drawn
    delay = bl.LearnedDelays((0 * ms, longest), spread=6 * ms, epochs=learn[delays]) if delays in learn else 0 * ms
    spec = bl.NetworkSpec(
        populations=[
            bl.Population("input", shape, bl.Spikes()),
            bl.Population("hidden", neurons, bl.CubaLIF(tau_m=tau, tau_s=1 * ms, R=1.0)),
            bl.Population("readout", 10, bl.LinearReadout()),
        ],
        projections=[
            bl.Projection("up", "input", "hidden", weights=bl.Normal(6.0), delay=delay),
            bl.Projection("out", "hidden", "readout", weights=bl.Uniform(20.0), bias=True),
        ],
        duration=duration,
    )
    return bl.Experiment(
        spec,
        rule=bl.SurrogateBPTT(bl.CrossEntropy(), learning_rate_scale={"out": 10.0, "out_bias": 10.0}),
        optimiser=bl.Adam(5e-3),
        data=data,
        epochs=epochs,
        batch_size=50,
        engine="discrete",
    )


if __name__ == "__main__":
    bl.main(experiment)
