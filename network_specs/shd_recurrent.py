"""Spoken words, as spikes of 700 channels of a cochlea: 256 neurons that hear themselves, and 20 words; minutes.

The network of the Spiking Heidelberg Digits (Cramer et al., IEEE TNNLS 33, 2022), which are used where they are found
(``brianlearn data fetch shd``). Without them it learns ``spoken_words``, which are built in: words of the same vowels
in different orders.

Run it with ``python network_specs/shd_recurrent.py``, ``--method eprop``, and ``--no-recurrent`` for the same network
without its cycle.
"""

from typing import Literal

from brian2 import ms

import brianlearn as bl
from brianlearn.data.shd import SHD, find_heidelberg

RULES = {"bptt": (bl.SurrogateBPTT(bl.CrossEntropy()), 2e-3), "eprop": (bl.EProp(), 5e-3)}


def experiment(
    method: Literal["bptt", "eprop"] = "bptt",
    recurrent: bool = True,
    words: Literal["found", "shd", "spoken_words"] = "found",
    neurons: int = 256,
) -> bl.Experiment:
    """One population, 100 steps of 10 ms.

    Parameters
    ----------
    method : str
        ``"bptt"`` or ``"eprop"``, each with a learning rate of its own.
    recurrent : bool
        Whether the neurons hear themselves.
    words : str
        ``"shd"`` or ``"spoken_words"``; ``"found"``: SHD where it is on this machine.
    neurons : int
        Of the population.
    """
    if words == "found":
        words = "spoken_words" if find_heidelberg(SHD) is None else "shd"
    populations = [
        bl.Population("cochlea", (1, 1, 700), bl.Spikes()),
        bl.Population("hidden", neurons, bl.CubaLIF(tau_m=50 * ms, tau_s=20 * ms)),
        bl.Population("words", 20, bl.LinearReadout(tau=50 * ms)),
    ]
    projections = [
        bl.Projection("feed", "cochlea", "hidden", weights=bl.Normal(4.0)),
        bl.Projection("out", "hidden", "words", weights=bl.Uniform(0.2)),
    ]
    if recurrent:
        projections.append(bl.Projection("recur", "hidden", "hidden", weights=bl.Normal(0.5), delay=10 * ms))
    spec = bl.NetworkSpec(populations=populations, projections=projections, dt=10 * ms, duration=1000 * ms)
    (rule, rate), epochs = RULES[method], 20
    return bl.Experiment(
        spec,
        rule=rule,
        optimiser=bl.Adam(rate, schedule=bl.Cosine(epochs)),
        data=words,
        epochs=epochs,
        batch_size=128 if words == "shd" else 32,
        engine="discrete",
    )


if __name__ == "__main__":
    bl.main(experiment)
