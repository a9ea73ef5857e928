# %% [markdown]
# # 5. STBP, and a spike sequence as the label
#
# Back-propagation through time needs no readout and no rate: the label can be a spike train. Here each of ten digits
# has a rhythm, and the output neuron of the digit is to fire just that, while the others are silent.

# %%
import matplotlib.pyplot as plt
import numpy as np
from brian2 import ms

import brianlearn as bl

STEPS = 30
rhythms = np.zeros((10, STEPS), int)
for k in range(10):
    rhythms[k, 4 + k // 3 + (4 + k % 3) * np.arange(4)] = 1  # four spikes, 4 to 6 ms apart, from 4 to 7 ms on
targets = bl.Targets(label=bl.Pattern(rhythms), others=bl.Silence())
figure, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
ax.eventplot([np.flatnonzero(row) for row in rhythms], lineoffsets=range(10), linelengths=0.7)
ax.set(xlabel="time (ms)", ylabel="digit", yticks=range(10), title="what its neuron is to fire")

# %% [markdown]
# Every rhythm has four spikes. So a spike count cannot tell which digit it was: the time of the spikes is all that
# there is.
#
# ## The distance of two spike trains
#
# Van Rossum's: both trains become sums of exponential kernels, and the loss is the squared difference over time. The
# time constant says how late is late: a missing spike costs 1/2, one that comes 1 ms late
# `1 - exp(-1 ms/tau)`.

# %%
late, missing = rhythms[0].copy(), rhythms[0].copy()
late[4], late[5] = 0, 1
missing[4] = 0
one, other = rhythms[0][None, :, None], np.stack([late, missing])[..., None]
for tau in (2 * ms, 10 * ms):
    costs = bl.van_rossum(other, np.repeat(one, 2, axis=0), dt=1 * ms, tau=tau)
    print(f"tau = {tau}: 1 ms late {costs[0]:.2f}, missing {costs[1]:.2f}")

# %% [markdown]
# ## Images as spikes
#
# In step `t` a pixel `x` fires if `0.6 x` is above a threshold that was drawn once. Every step shows another part of
# the image, always the same one, so the network can tell the time.


# %%
def spikes(images):
    thresholds = np.random.default_rng(1).random((STEPS, 64))
    fired = thresholds < 0.6 * images.inputs.reshape(len(images), 1, 64)
    events = bl.Events.from_dense(fired.reshape(len(images), STEPS, 1, 8, 8).astype(int), axes="BTCHW")
    return bl.Samples(events, images.labels)


digits = bl.load("digits")
train, test = spikes(digits.train[:800]), spikes(digits.test)

# %% [markdown]
# ## The network
#
# `SequenceLIF` is the neuron of the sequence-label paper: postsynaptic potentials and a membrane, by Euler's factors.
# There is no readout; the last layer is the answer.

# %%
neuron = bl.SequenceLIF(tau_m=4 * ms, tau_s=1 * ms)
spec = bl.NetworkSpec(
    bl.Input((1, 8, 8), bl.Spikes()),
    [bl.Dense(256, neuron), bl.Dense(10, neuron, weights=bl.Normal(1.0))],
    readout=None,
    duration=STEPS * ms,
)
rule = bl.STBP(loss=bl.VanRossum(2 * ms, targets))
learner = bl.Learner(spec, rule, bl.Adam(3e-3), batch_size=20)
state = learner.init()
before = learner.infer(state, test, record="spikes")

# %%
losses = []
for epoch in range(12):
    state, metrics = learner.learn(state, train)
    losses.append(metrics.loss)
    if epoch % 3 == 2:
        print(f"epoch {epoch + 1}: loss {metrics.loss:.3f}, {metrics.accuracy:.0%} nearest to the right rhythm")
after = learner.infer(state, test, record="spikes")
print(f"{len(test)} new digits: loss {before.loss:.2f} before, {after.loss:.2f} after; {after.accuracy:.0%} right")

# %% [markdown]
# ## Before and after
#
# One new digit of each class, side by side. Circles are what is wanted, dots what was fired.

# %%
chosen = [int(np.flatnonzero(test.labels == k)[0]) for k in range(10)]
figure, axes = plt.subplots(2, 1, figsize=(11, 5.4), layout="constrained", sharex=True)
for ax, activity, title in zip(axes, (before, after), ("before", "after"), strict=True):
    raster = activity.spikes["dense2"].dense()
    for place, sample in enumerate(chosen):
        ax.plot(place * STEPS + np.flatnonzero(rhythms[place]), [place] * 4, "o", ms=7, mfc="none", mec="#D55E00")
        step, fired = np.nonzero(raster[sample])
        ax.plot(place * STEPS + step, fired, ".", ms=4, color="#0072B2")
        ax.axvline((place + 1) * STEPS - 0.5, lw=0.5, color="0.8")
    ax.set(title=title, ylabel="output neuron", yticks=range(10))
axes[1].set_xticks((np.arange(10) + 0.5) * STEPS, [f"a {k}" for k in range(10)])

# %% [markdown]
# ## What the gradient is
#
# STBP takes the full derivative of the recurrence, the reset included (`reset_path="kept"`): two quantities go
# backwards in time, one for the postsynaptic potentials and one for the membrane. The recursion is written out in
# `bl.STBP`'s docstring, and the engine agrees with torch's autograd to 1e-10.

# %%
print(bl.STBP.__doc__.split("Parameters")[0])

# %% [markdown]
# ## Other labels of this kind
#
# `bl.Hamming` counts the steps that differ; `bl.FirstSpike` and `bl.Regular` are other target trains; spike trains of
# every single sample are targets too: `bl.Samples(inputs, trains)` ([targets](../targets.md),
# [back-propagation](../stbp.md)). The weights run in Brian2 as they are: `brianlearn evaluate RUN --engine brian`.

# %%
brian = bl.Learner(spec, device="numpy", dtype="float64")
same = brian.infer(brian.init(state.weights), test[:5], record="spikes").spikes["dense2"].dense()
print("spikes that differ in Brian2:", int((same != after.spikes["dense2"].dense()[:5]).sum()), "of", int(same.sum()))
