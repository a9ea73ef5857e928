"""Draws docs/figures/recording.png: membrane, surrogate derivative and third factor of one neuron over one trial."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from brian2 import ms, mV
from matplotlib.figure import Figure

import brianlearn as bl

LIF = bl.Neuron(
    """dv/dt = (R*I - v)/tau_m : volt
       dI/dt = -I/tau_s : 1""",
    threshold="v > 20*mV",
    reset="v = 0*mV",
    input="I",
    constants=dict(tau_m=20 * ms, tau_s=5 * ms, R=60 * mV),
    v_scale=20 * mV,
)
COLOURS = {"v": "#0072B2", "psi": "#009E73", "L": "#D55E00"}


def main() -> None:
    """Look at a neuron that fires about eight times, in a network that has learned a little."""
    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(30, LIF), bl.Dense(20, LIF)], bl.Readout(10), duration=60 * ms)
    train, test = bl.load("digits").split(test=360)
    learner = bl.Learner(spec, bl.DALTON(), bl.Adam(1e-3), device="numpy", dtype="float64", batch_size=10)
    state, _ = learner.learn(learner.init(), train[:200])
    activity = learner.infer(state, test[:1], record=["spikes", bl.Record("v", "dense1"), "psi", "L"])
    raster = activity.spikes["dense1"]
    neuron = int(np.abs(np.bincount(raster.neuron, minlength=30) - 8).argmin())
    fired = raster.step[raster.neuron == neuron] * float(spec.dt / ms)

    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.subplots(3, sharex=True)
    labels = {"v": "v (mV)", "psi": "psi", "L": "L"}
    for ax, (name, label) in zip(axes, labels.items(), strict=True):
        recorded = activity.recorded[name]["dense1"]
        values = recorded[0, :, neuron]
        ax.step(recorded.times / ms, values / mV if name == "v" else values, where="post", color=COLOURS[name])
        ax.vlines(fired, 0, 1, transform=ax.get_xaxis_transform(), color="0.8", lw=0.8, zorder=0)
        ax.set_ylabel(label)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].axhline(20, color="0.5", lw=0.8, ls="--")
    axes[2].axhline(0, color="0.5", lw=0.8)
    axes[2].set_xlabel("time (ms)")
    axes[0].set_title(f"neuron {neuron} of dense1; grey: its spikes; dashed: threshold", fontsize=9)
    figure.savefig(Path(__file__).with_suffix(".png"), dpi=120)


if __name__ == "__main__":
    main()
