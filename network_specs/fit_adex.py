"""Recover the parameters of an adaptive exponential neuron from its response to injected currents; ten starts, seconds.

``python network_specs/fit_adex.py`` simulates the neuron of Brette & Gerstner (2005, J. Neurophysiol. 94, 3637) in
plain Brian2, adds noise to the voltage as an amplifier does, forgets its nine parameters, and finds them again from
ten random starts: a table of the errors, their spread over starts, and the time. ``--noise 0.5`` is the noise in mV.
``brianlearn study network_specs/fit_adex.py`` runs the starts as a study, on all cores.
"""

import argparse
from typing import Any

import numpy as np
from brian2 import (
    NeuronGroup,
    Quantity,
    SpikeMonitor,
    StateMonitor,
    TimedArray,
    amp,
    defaultclock,
    ms,
    mV,
    nS,
    pA,
    pF,
    prefs,
    run,
    start_scope,
    volt,
)

import brianlearn as bl

DT = 0.1 * ms
STEPS = 4000
#: Amplitudes of the steps of current, from 50 to 300 ms.
AMPLITUDES = np.array([-200, 200, 400, 600, 800, 1000]) * pA
TRUE = dict(
    C=281 * pF,
    g_L=30 * nS,
    E_L=-70.6 * mV,
    V_T=-50.4 * mV,
    Delta_T=2 * mV,
    a=4 * nS,
    tau_w=144 * ms,
    b=80.5 * pA,
    V_r=-65 * mV,
)
BOUNDS = dict(
    C=(100 * pF, 600 * pF),
    g_L=(10 * nS, 60 * nS),
    E_L=(-80 * mV, -60 * mV),
    V_T=(-60 * mV, -40 * mV),
    Delta_T=(0.5 * mV, 5 * mV),
    a=(-5 * nS, 15 * nS),
    tau_w=(30 * ms, 400 * ms),
    b=(0 * pA, 300 * pA),
    V_r=(-75 * mV, -50 * mV),
)
#: What is fitted. The exponential is limited, so that a membrane that runs ahead of a recorded spike stays finite.
MODEL = """
dv/dt = (g_L*(E_L - v) + g_L*Delta_T*exp(clip((v - V_T)/Delta_T, -50, 8)) + I - w)/C : volt
dw/dt = (a*(clip(v, -200*mV, -30*mV) - E_L) - w)/tau_w : amp
dI/dt = 0*amp/second : amp
"""


def currents() -> Any:
    """Steps of current, shape (sweeps, time steps)."""
    found = np.zeros((len(AMPLITUDES), STEPS))
    found[:, 500:3000] = (AMPLITUDES / amp)[:, None]
    return found * amp


def recorded(noise: Any = 0 * mV) -> bl.Sweeps:
    """The response of the neuron, from plain Brian2; voltages with white noise."""
    start_scope()
    prefs.codegen.target = "numpy"
    defaultclock.dt = DT
    given = TimedArray(np.asarray(currents()).T * amp, dt=DT)
    group = NeuronGroup(
        len(AMPLITUDES),
        """dv/dt = (g_L*(E_L - v) + g_L*Delta_T*exp((v - V_T)/Delta_T) + given(t, i) - w)/C : volt
           dw/dt = (a*(v - E_L) - w)/tau_w : amp""",
        threshold="v > -30*mV",
        reset="v = V_r; w += b",
        method="euler",
        namespace={**TRUE, "given": given},
    )
    group.v = TRUE["E_L"]
    voltage, spikes = StateMonitor(group, "v", record=True, when="thresholds"), SpikeMonitor(group)
    run(STEPS * DT)
    blurred = np.asarray(voltage.v) + float(noise) * np.random.default_rng(0).normal(size=voltage.v.shape)
    return bl.Sweeps(currents(), DT, blurred * volt, [spikes.spike_trains()[k] for k in range(len(AMPLITUDES))])


def neuron() -> bl.Neuron:
    """The model: bounds say what is known of each parameter."""
    middle = {name: (low + high) / 2 for name, (low, high) in BOUNDS.items()}
    return bl.Neuron(
        MODEL,
        threshold="v > -30*mV",
        reset="v = V_r; w += b",
        input="I",
        constants=middle,
        initial=dict(v=TRUE["E_L"]),
        method="euler",
        v_scale=10 * mV,
        weight_unit=1 * pA,
        learn=[bl.Learned(name, bounds=ends) for name, ends in BOUNDS.items()],
    )


def fit(noise: Any = 0.5 * mV, starts: int = 1, seed: int = 0) -> bl.Fit:
    """Random starts, and what each of them came to."""
    return bl.fit(neuron(), recorded(noise), bl.TraceMSE(1 * mV, high=-45 * mV), starts=starts, seed=seed)


def errors(found: bl.Fit) -> dict[str, np.ndarray]:
    """Error of each parameter as a part of its range, by start."""
    return {
        name: np.asarray((values - TRUE[name]) / (BOUNDS[name][1] - BOUNDS[name][0]))
        for name, values in found.constants.items()
    }


def trial(noise: Any = 0.5 * mV, seed: int = 0) -> dict[str, Any]:
    """One start: its parameters, their errors, its loss, and how far its own spikes are from the recorded ones."""
    found = fit(noise, 1, seed)
    measured: dict[str, Any] = {name: values[0] for name, values in found.constants.items()}
    measured |= {f"error_{name}": float(values[0]) for name, values in errors(found).items()}
    return measured | {"loss": float(found.losses[0]), "victor_purpura": float(found.victor_purpura[0])}


def study() -> bl.Study:
    """Ten starts."""
    return bl.Study(trial, {"seed": list(range(10))}, metric="loss", direction="minimize")


def main() -> None:
    """Fit, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--noise", type=float, default=0.5, help="of the voltage, mV")
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = fit(options.noise * mV, options.starts, options.seed)
    print(found.describe())
    print(f"\n{'':8} {'true':>12} {'found':>12} {'error':>9} {'spread':>9}   (% of the range)")
    for name, each in errors(found).items():
        true, best = Quantity(TRUE[name]), found.constants[name][found.best]
        print(f"{name:8} {true!s:>12} {best!s:>12} {100 * each[found.best]:9.4f} {100 * each.std():9.4f}")
    print(
        f"\n{options.starts} starts in {found.seconds.sum():.1f} s, {found.evaluations.sum()} evaluations; "
        f"distance of own spikes (Victor-Purpura) {found.victor_purpura[found.best]:.2f}, "
        f"of {sum(len(times) for times in found.sweeps.spikes)} spikes"
    )


if __name__ == "__main__":
    main()
