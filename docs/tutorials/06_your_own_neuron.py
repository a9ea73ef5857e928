# %% [markdown]
# # 6. Your own neuron
#
# A neuron needs no class: it is Brian2 equations with units, a threshold, a reset, and the variable that spikes
# increment. We write the adaptive exponential neuron in volts and amperes, look at it alone, and teach a network of
# it.

# %%
import matplotlib.pyplot as plt
import numpy as np
from brian2 import ms, mV, nA, nS, pA, pF

import brianlearn as bl

plt.style.use("tableau-colorblind10")

adex = bl.Neuron(
    """dv/dt = (g_L*(E_L - v) + g_L*D_T*exp((v - V_T)/D_T) + I_ext + I - w)/C : volt
       dw/dt = (a*(v - E_L) - w)/tau_w : amp
       dI/dt = -I/tau_s : amp""",
    threshold="v > V_T + 5*D_T",
    reset="v = V_r; w += b",
    input="I",
    constants=dict(
        C=100 * pF,
        g_L=10 * nS,
        E_L=-70 * mV,
        V_T=-50 * mV,
        V_r=-58 * mV,
        D_T=2 * mV,
        a=2 * nS,
        b=30 * pA,
        tau_w=100 * ms,
        tau_s=5 * ms,
        I_ext=0 * pA,
    ),
    initial=dict(v=-70 * mV),
    floor=-90 * mV,  # no inhibition takes the membrane below
    method="exponential_euler",
    v_scale=20 * mV,  # the surrogate derivative takes (v - threshold)/v_scale
    weight_unit=100 * pA,  # what a weight of 1 adds to I
    surrogate=bl.FastSigmoid(slope=5),
)

# %% [markdown]
# ## Mistakes are said at once
#
# Names, units, constants and the threshold are checked when the neuron is written, with what was found and what to do.

# %%
try:
    bl.Neuron("dv/dt = (E_L - v)/tau : volt", "v > 1", "v = E_L", "v", constants=dict(E_L=-70 * mV, tau=10 * ms))
except bl.UnitError as error:
    print(error)

# %% [markdown]
# ## Alone: step currents
#
# `bl.simulate` makes a network a function of its constants. A list is an axis of the result.

# %%
one = bl.NetworkSpec(bl.Input((1,)), [bl.Dense(1, adex)], None, duration=250 * ms, dt=0.1 * ms)
simulation = bl.simulate(one, device="numpy", record=("spikes", "v", "w"))
currents = [300, 500, 700] * pA
found = simulation(weights={"dense1": [[0.0]]}, I_ext=currents)
v, w = (found.recorded[name]["dense1"].values[:, 0, :, 0] for name in ("v", "w"))  # currents, steps
time = np.arange(v.shape[1]) * 0.1

figure, axes = plt.subplots(4, 1, figsize=(9, 5.6), layout="constrained", sharex=True, height_ratios=[1, 1, 1, 1.3])
for k, current in enumerate(currents):
    axes[k].plot(time, v[k] / mV, lw=0.8, color=f"C{k}")
    axes[k].set_ylabel(f"v (mV)\n{current / pA:.0f} pA")
    axes[3].plot(time, w[k] / pA, lw=1)
axes[3].set(xlabel="time (ms)", ylabel="w (pA)")
print("spikes:", [len(found.times("dense1", (k, 0), neuron=0)) for k in range(3)])

# %% [markdown]
# The intervals get longer while `w` grows: adaptation. Its curve of rate against current, with and without the
# spike-triggered part:

# %%
many = bl.simulate(one, device="numpy")(weights={"dense1": [[0.0]]}, I_ext=np.linspace(0, 1, 11) * nA, b=[0, 30] * pA)
figure, ax = plt.subplots(figsize=(5.5, 3.2), layout="constrained")
for k, label in enumerate(("b = 0", "b = 30 pA")):
    ax.plot(np.linspace(0, 1, 11), many.rates["dense1"][:, k, 0, 0], "o-", ms=4, label=label)
ax.set(xlabel="current (nA)", ylabel="rate (Hz)")
ax.legend(frameon=False)

# %% [markdown]
# ## In a network that learns
#
# Any rule takes it, on either engine. Constants may differ from neuron to neuron: here the adaptation.

# %%
varied = adex.with_constants(b=np.linspace(0, 60, 40) * pA)
spec = bl.NetworkSpec(
    bl.Input((1, 8, 8)), [bl.Dense(40, varied, weights=bl.Normal(8.0))], bl.Readout(10), duration=30 * ms, dt=0.5 * ms
)
train, test = bl.load("digits").split(test=360)
learner = bl.Learner(
    spec, bl.TFR(eligibility="spike"), bl.Adam(0.05), engine="discrete", dtype="float64", batch_size=20
)
state = learner.init()
for epoch in range(6):
    state, metrics = learner.learn(state, train[:600])
print(f"{metrics.accuracy:.0%} while learning, {learner.infer(state, test).accuracy:.0%} of 360 new digits")

# %% [markdown]
# ## The same spikes in Brian2
#
# The torch module runs the statements that Brian2 runs. So do they agree?

# %%
brian = bl.Learner(spec, bl.TFR(), device="numpy", dtype="float64")
here = learner.infer(state, test[:10], record=["spikes", "v"])
there = brian.infer(state, test[:10], record=["spikes", "v"])
pair = [activity.spikes["dense1"].dense() for activity in (here, there)]
print(f"{int((pair[0] != pair[1]).sum())} of {int(pair[0].sum())} spikes differ")
difference = np.abs(here.recorded["v"]["dense1"].values - there.recorded["v"]["dense1"].values).max()
print(f"membranes differ by {difference / mV:.1e} mV at most")
bl.plot.membranes(here, "dense1", neurons=3)

# %% [markdown]
# ## A surrogate derivative of your own
#
# A class with one method, an expression that both engines evaluate.

# %%
from dataclasses import dataclass


@dataclass(frozen=True)
class Cauchy(bl.Surrogate):
    """1/(1 + (x/width)^2)."""

    width: float = 0.2

    def expression(self, x):
        return f"1/(1 + ({x}/{self.width!r})**2)"


x = np.linspace(-1.5, 1.5, 301)
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for surrogate in (bl.FastSigmoid(slope=5), bl.Triangular(), bl.Rectangular(), Cauchy()):
    ax.plot(x, surrogate(x), label=repr(surrogate))
ax.set(xlabel="(v - threshold)/v_scale", ylabel="surrogate derivative")
ax.legend(frameon=False, fontsize=8)

# %% [markdown]
# What a step does and in which order, noise, refractoriness, several input variables: [neurons](../neurons.md).
# Constants can learn, too ([learned constants](../learned_constants.md)), or be fitted to recordings
# ([fits](../fitting.md)).
