# %% [markdown]
# # 2. Your Brian2 script, adopted and taught
#
# You have a network in Brian2 and want it to do something. `bl.adopt` reads its objects as they stand, teaches it, and
# writes the weights back into your `Synapses`. The script stays yours.

# %%
import matplotlib.pyplot as plt
import numpy as np
from brian2 import *

import brianlearn as bl

prefs.codegen.target = "numpy"  # compiling takes longer than so small a network
seed(3)

# %% [markdown]
# ## The script
#
# Forty neurons, ten of them inhibitory, hear twenty Poisson inputs and one another. Two neurons are to say which half
# of the inputs is louder. Nothing here is of brianlearn.

# %%
tau_m, tau_e, tau_i = 10 * ms, 3 * ms, 6 * ms
stimulus = PoissonGroup(20, rates="50*Hz + 100*Hz*int(i < 10)", name="stimulus")
neurons = NeuronGroup(
    40,
    """dv/dt = (ge - gi - v)/tau_m : 1 (unless refractory)
       dge/dt = -ge/tau_e : 1
       dgi/dt = -gi/tau_i : 1""",
    threshold="v > 1",
    reset="v = 0",
    refractory=2 * ms,
    method="exact",
    name="neurons",
)
answer = NeuronGroup(
    2,
    "dv/dt = (ge - v)/tau_m : 1\ndge/dt = -ge/tau_e : 1",
    threshold="v > 1",
    reset="v = 0",
    method="exact",
    name="answer",
)
feed = Synapses(stimulus, neurons, "w : 1", on_pre="ge += w", name="feed")
feed.connect(p=0.5)
feed.w = "2*rand()"
inhibition = Synapses(neurons[30:], neurons, "w : 1", on_pre="gi += w", delay=1 * ms, name="inhibition")
inhibition.connect(p=0.3)
inhibition.w = "rand()"
out = Synapses(neurons, answer, "w : 1", on_pre="ge += w", name="out")
out.connect()
out.w = "0.6*rand()"

# %% [markdown]
# ## Adopted
#
# Everything that `run` would read is read: equations, thresholds, resets, refractoriness, methods, synapses, weights,
# delays. The names are those of the script.

# %%
adopted = bl.adopt(duration=60 * ms)
bl.plot.network(adopted.spec)

# %% [markdown]
# Is it the same network? `verify` runs the script's own objects for a trial, takes them back to where they were, and
# compares every spike.

# %%
found = adopted.verify()
print(f"{found.spikes} spikes, {found.mismatches} differ")

# %% [markdown]
# ## What it is to do
#
# Samples of two classes: one half of the inputs fires at 150 Hz, the other at 50 Hz, for 60 ms, in steps of 0.1 ms.

# %%
rng = np.random.default_rng(0)
labels = rng.integers(2, size=160)
loudness = np.full((160, 20), 50.0)
loudness[labels == 0, :10] = loudness[labels == 1, 10:] = 150.0
fired = rng.random((160, 600, 20)) < loudness[:, None, :] * 1e-4
samples = bl.Samples(bl.Events.from_dense(fired.astype(int), axes="BTN"), labels)
train, test = samples[:100], samples[100:]

# %% [markdown]
# ## Taught
#
# Back-propagation through time with a loss on spike counts, on the torch module of the same network.

# %%
learner = bl.Learner(adopted.spec, bl.STBP(bl.SpikeCount()), bl.Adam(0.05), batch_size=20, engine="discrete")
state = learner.init(adopted.weights)
before = learner.infer(state, test, record="spikes")
print(f"before: {before.accuracy:.0%}")
for epoch in range(6):
    state, metrics = learner.learn(state, train)
    print(f"epoch {epoch + 1}: loss {metrics.loss:.5f}, {metrics.accuracy:.0%} right")
after = learner.infer(state, test, record="spikes")
print(f"after: {after.accuracy:.0%} of {len(test)} new trials")

# %%
trial = int(np.flatnonzero(test.labels == 1)[0])
figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", sharey=True)
bl.plot.raster(before, trial, title="before", ax=axes[0])
bl.plot.raster(after, trial, title="after: the second half is louder", ax=axes[1])

# %% [markdown]
# ## Written back
#
# The weights go into `feed.w`, `inhibition.w`, `out.w`. From here on it is plain Brian2 again.

# %%
old = {one.name: np.array(one.w) for one in (feed, inhibition, out)}
adopted.write_back(state)
figure, axes = plt.subplots(1, 3, figsize=(10, 2.6), layout="constrained")
for ax, one in zip(axes, (feed, inhibition, out), strict=True):
    bl.plot.weight_histogram(np.array(one.w), old[one.name], title=f"{one.name}.w", ax=ax)

# %% [markdown]
# Is it right? The script's objects with the new weights against the adopted network, once more:

# %%
found = adopted.verify()
print(f"{found.spikes} spikes, {found.mismatches} differ")

# %%
counter = SpikeMonitor(answer)
run(60 * ms)
print(f"the script's own run, first half louder: {counter.count[0]} and {counter.count[1]} spikes")

# %% [markdown]
# ## Signs, constants and delays
#
# Weights that were excitatory may have changed sign: nothing forbade it. `bl.adopt(..., learn={"neurons": "tau_m"},
# learn_delays={"feed": bl.LearnedDelays((0*ms, 3*ms))})` lets constants of the equations and delays learn beside them.

# %%
print({name: f"{np.mean(state.weights[name] < 0):.0%} negative" for name in ("feed", "inhibition", "out")})

# %% [markdown]
# What can be read and what is refused, with the line that could not be read: [the page on adopted
# scripts](../adopt.md). New objects in place of the old ones: [as plain Brian2](../plain_brian2.md).
