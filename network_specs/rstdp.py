"""Reward-modulated STDP: two noisy patterns, two output neurons, and a reward for every spike; seconds.

No neuron is told what it did wrong: both of them hear one number. Florian (Neural Computation 19, 2007) and Izhikevich
(Cerebral Cortex 17, 2007) write the rule this way, an eligibility c from the order of spikes, and c times the reward.

Run it with ``python network_specs/rstdp.py`` or ``brianlearn train network_specs/rstdp.py``.
"""

import numpy as np
from brian2 import ms

import brianlearn as bl


def samples(n: int, seed: int) -> bl.Samples:
    """Two groups of ten inputs; the label says which of them is more active, among noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    active = np.arange(20)[None, :] // 10 == labels[:, None]
    return bl.Samples(0.03 + 0.2 * active * rng.uniform(0.5, 1.0, (n, 20)), labels)


def experiment() -> bl.Experiment:
    """A reward in every step: +1 for a spike of the label's neuron, -1 for a spike of the other one."""
    rule = bl.SynapticRule(
        model="""dx/dt = -x/tau_pre : 1 (event-driven)
                 dy/dt = -y/tau_post : 1 (event-driven)
                 dc/dt = -c/tau_c : 1 (clock-driven)""",
        on_pre="x += 1; c -= A_minus*y",
        on_post="y += 1; c += A_plus*x",
        update="weight += learning_rate*L*c",
        third_factor=bl.Reward("2*label_output - all_outputs"),
        constants=dict(tau_pre=5 * ms, tau_post=5 * ms, tau_c=0.5 * ms, A_plus=1.0, A_minus=0.1),
        w_min=-0.3,
        w_max=0.3,
    )
    # the neurons fire by themselves, and so try something out whatever their weights are
    neuron = bl.Neuron(
        "dv/dt = (drive - v)/tau_m : 1",
        threshold="v > 1",
        reset="v = 0",
        input="v",
        refractory=2 * ms,
        constants=dict(drive=1.1, tau_m=10 * ms),
    )
    layers = [bl.Dense(2, neuron, weights=bl.Normal(0.3))]
    spec = bl.NetworkSpec(bl.Input((20,), bl.PoissonEncoder()), layers, readout=None, duration=30 * ms)
    return bl.Experiment(
        spec,
        rule,
        bl.SGD(0.01, decay=0.7),
        data=(samples(80, 1), samples(80, 2)),
        epochs=2,
        batch_size=1,
        validation=0,
        device="numpy",
    )


if __name__ == "__main__":
    bl.main(experiment)
