# %% [markdown]
# # 3. Three-factor rules, step by step
#
# A synapse changes by three things: what its presynaptic neuron does, how near its postsynaptic neuron is to the
# threshold, and a signal that says whether more of that is wanted. All three are there in the same time step. This
# page records them and multiplies them by hand.
#
#     g_l  +=  2/n_l^R  (psi_l gate_l L_l)[t]  outer  s_{l-1}[t]

# %%
import matplotlib.pyplot as plt
import numpy as np
from brian2 import ms

import brianlearn as bl

lif = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0, surrogate=bl.FastSigmoid(slope=5))
spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(40, lif), bl.Dense(20, lif)], bl.Readout(10), duration=40 * ms)
train, test = bl.load("digits").split(test=360)
learner = bl.Learner(spec, bl.TFR(), bl.SGD(0.1), device="numpy", dtype="float64")
state = learner.init()

# %% [markdown]
# ## One trial, looked into
#
# `record` keeps what happens inside: spikes, the membrane `v`, the surrogate derivative `psi`, the third factor `L`.
# The state does not change.

# %%
one = test[:1]
activity = learner.infer(state, one, record=["spikes", "v", "psi", "L"])
print(f"the label is {one.labels[0]}, the network says {activity.predictions[0]}")
bl.plot.raster(activity)

# %% [markdown]
# ## The first factor: presynaptic spikes
#
# For `dense2` these are the spikes of `dense1`. A synapse whose presynaptic neuron is silent in a step costs nothing
# and learns nothing in it: the rule is event-driven.
#
# ## The second factor: the surrogate derivative
#
# Four neurons of `dense2`: the membrane, and `psi = 1/(1 + 5 |v - 1|)^2` at the membrane before the reset. It is near
# 1 where a little more input would have made a spike, or a little less would have prevented one.

# %%
figure, axes = plt.subplots(2, 1, figsize=(8, 5), layout="constrained", sharex=True)
bl.plot.membranes(activity, "dense2", neurons=4, ax=axes[0])
bl.plot.surrogate(activity, "dense2", neurons=4, ax=axes[1])

# %% [markdown]
# ## The third factor: a broadcast error
#
# Under TFR every layer has a readout of its own, random and fixed. Its error against the label goes back through the
# same weights, to all neurons of the layer at once: `L = R^T (R s - target)`. In a step without a spike
# only the target is left, so that a neuron hears minus its weight to the label.

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
bl.plot.third_factor(activity, "dense1", ax=axes[0])
bl.plot.third_factor(activity, "dense2", ax=axes[1])

# %% [markdown]
# ## By hand
#
# The signal of `dense2`, computed from its spikes, its readout and the label; then the product of the three factors,
# summed over the trial.

# %%
spikes = {
    name: activity.spikes[name].dense()[0].astype(float) for name in ("input", "dense1", "dense2")
}  # (steps, neurons)
R = state.weights["readout"]
target = np.eye(10)[one.labels[0]]
L = (spikes["dense2"] @ R.T - target) @ R
recorded = {name: activity.recorded[name]["dense2"].values[0] for name in ("L", "psi")}
print("third factor, largest difference:", np.abs(L - recorded["L"]).max())

g = 2 / 10 * (recorded["psi"] * recorded["L"]).T @ spikes["dense1"]

# %% [markdown]
# Plain SGD moves the weights by -η g. Does the engine, which runs synapse by synapse and spike by spike, do the
# same?

# %%
after, metrics = learner.learn(state, one)
change = after.weights["dense2"] - state.weights["dense2"]
print("weight change, largest difference:", np.abs(change + 0.1 * g).max(), "of", np.abs(change).max())

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained", sharey=True)
for ax, name, picture in zip(axes, ("by hand, $-\\eta g$", "by the synapses"), (-0.1 * g, change), strict=True):
    shown = ax.imshow(picture, aspect="auto", cmap="PuOr", vmin=-np.abs(g).max() / 10, vmax=np.abs(g).max() / 10)
    ax.set(title=name, xlabel="neuron of dense1")
axes[0].set_ylabel("neuron of dense2")
figure.colorbar(shown, ax=axes, label="change of the weight")

# %% [markdown]
# ## As Brian2 text
#
# Nothing is hidden: `describe` prints what runs at the synapses.

# %%
from brianlearn.brian import describe

text = describe(spec, bl.TFR(), bl.SGD(0.1))
print(text[text.index("  readout_error:") :])

# %% [markdown]
# ## A memory at the synapse: eligibility traces
#
# With `eligibility="trace"` the first factor is not the spike of this step but its trace: what a weight has done to
# the membrane up to now. An error that comes some milliseconds later still finds the synapse.

# %%
trace = bl.Learner(spec, bl.TFR(eligibility="trace"), bl.SGD(0.1), device="numpy", dtype="float64")
traced = trace.infer(state, one, record=["spikes", "trace_v"])
figure, axes = plt.subplots(2, 1, figsize=(8, 5.2), layout="constrained", sharex=True)
bl.plot.raster(traced, layers=["dense1"], ax=axes[0])
bl.plot.eligibility(traced, "dense2", ax=axes[1])

# %% [markdown]
# ## Does it help?
#
# The same network, the same 300 digits shown five times, both first factors; on the torch module, which fires the same
# spikes.

# %%
for eligibility in ("spike", "trace"):
    rule = bl.TFR(eligibility=eligibility)
    fast = bl.Learner(spec, rule, bl.Adam(0.01), engine="discrete", batch_size=10)
    learned = fast.init()
    for epoch in range(5):
        learned, metrics = fast.learn(learned, train[:300])
    new = fast.infer(learned, test).accuracy
    print(f"{eligibility}: {metrics.accuracy:.0%} while learning, {new:.0%} of 360 new digits")

# %% [markdown]
# One run of each says little about the rules; [a study](09_a_parameter_study.ipynb) with several seeds would.
#
# [The page on rules](../rules.md) has all of them in equations. The next tutorial is about where the third factor
# comes from in deep networks: [DALTON and depth](04_dalton_and_depth.ipynb).
