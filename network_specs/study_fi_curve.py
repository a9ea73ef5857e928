"""The f-I curve of an adaptive exponential neuron, for two strengths of its spike-triggered adaptation.

``python network_specs/study_fi_curve.py`` or ``brianlearn study network_specs/study_fi_curve.py``: one program serves
all currents. Nothing learns here: a trial returns what it measured.

The neuron is the tonic one of Brette & Gerstner (2005, J. Neurophysiol. 94, 3637).
"""

from typing import Any

import numpy as np
from brian2 import Hz, ms, mV, nA, nS, pA, pF

import brianlearn as bl

ADEX = bl.Neuron(
    """dv/dt = (g_L*(E_L - v) + g_L*D_T*exp((v - V_T)/D_T) + I_ext + I - w)/C : volt
       dw/dt = (a*(v - E_L) - w)/tau_w : amp
       dI/dt = -I/tau_s : amp""",
    threshold="v > 20*mV",
    reset="v = E_L; w += b",
    input="I",
    constants=dict(
        C=281 * pF,
        g_L=30 * nS,
        E_L=-70.6 * mV,
        V_T=-50.4 * mV,
        D_T=2 * mV,
        a=4 * nS,
        b=80.5 * pA,
        tau_w=144 * ms,
        tau_s=5 * ms,
        I_ext=0 * pA,
    ),
    initial=dict(v=-70.6 * mV),
    method="exponential_euler",
    v_scale=10 * mV,
    weight_unit=1 * pA,
)


def trial(I_ext: Any = 1 * nA, b: Any = 80.5 * pA, duration: Any = 1000 * ms) -> dict[str, Any]:
    """Rate of the first second, of its last interval, and the adaptation between them."""
    spec = bl.NetworkSpec(bl.Input((1,)), [bl.Dense(1, ADEX)], None, duration=duration, dt=0.1 * ms)
    found = bl.simulate(spec, workers=1)(weights={"dense1": [[0.0]]}, I_ext=I_ext, b=b)
    _, intervals = found.intervals("dense1")
    first, last = (1 / intervals[0], 1 / intervals[-1]) if len(intervals) else (0.0, 0.0)
    return {
        "rate": found.rates["dense1"][0, 0],
        "first_rate": first * Hz,
        "last_rate": last * Hz,
        "adaptation": float(np.divide(first, last)) if last else float("nan"),
    }


def study() -> bl.Study:
    """Thirty currents, with and without spike-triggered adaptation."""
    return bl.Study(trial, {"I_ext": bl.linear_space(0.1 * nA, 3 * nA, 30), "b": [0, 80.5] * pA}, metric="rate")


if __name__ == "__main__":
    bl.main(study)
