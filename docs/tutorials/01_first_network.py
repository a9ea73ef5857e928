# %% [markdown]
# # 1. A first network in five minutes
#
# You write a neuron as Brian2 equations. You put two layers of it between an image and a readout. You teach it with a
# local rule, and look at what it does. Nothing has to be downloaded or compiled.

# %%
import matplotlib.pyplot as plt
from brian2 import ms

import brianlearn as bl

# %% [markdown]
# ## A neuron
#
# A leaky membrane `v` with a synaptic current `I`. A presynaptic spike adds the weight of its synapse to `input`, here
# `I`. The spike itself has no derivative: the *surrogate* stands for it where a rule asks how near the membrane is to
# its threshold.

# %%
lif = bl.Neuron(
    """dv/dt = (4*I - v)/tau_m : 1
       dI/dt = -I/tau_s : 1""",
    threshold="v > 1",
    reset="v = 0",
    input="I",
    constants=dict(tau_m=20 * ms, tau_s=5 * ms),
    surrogate=bl.FastSigmoid(slope=5),
)
lif.method_used

# %% [markdown]
# The equations are linear, so they are solved exactly; others run by Brian2's own methods.
#
# ## A network
#
# Images of 8 x 8 pixels go in. Each pixel drives an integrate-and-fire neuron, so bright pixels fire often. A trial
# lasts 20 ms, in steps of 1 ms.

# %%
spec = bl.NetworkSpec(
    input=bl.Input(shape=(1, 8, 8)),
    layers=[bl.Dense(128, lif), bl.Dense(64, lif)],
    readout=bl.Readout(10),
    duration=20 * ms,
)
bl.plot.network(spec)

# %% [markdown]
# ## Before learning
#
# `digits` are 1797 handwritten digits that come with scikit-learn. A learner is the network on an engine; its state is
# all that learning changes.

# %%
train, test = bl.load("digits").split(test=360)
learner = bl.Learner(spec, bl.DALTON(), bl.Adam(5e-3), device="numpy", batch_size=10)
before = learner.init()
activity = learner.infer(before, test[:100], record="spikes")
print(f"{activity.accuracy:.0%} of 100 new digits are read right; by chance it would be 10 %")
bl.plot.raster(activity, trial=0)

# %% [markdown]
# ## Learning
#
# DALTON sends errors down through the weights of the layer above, in the same step: no spike train is stored. 400
# digits, shown twice, take some seconds with numpy, which needs no compiler.

# %%
state = before
for epoch in range(2):
    state, metrics = learner.learn(state, train[:400])
    print(f"epoch {epoch + 1}: {metrics.accuracy:.0%} right while learning, loss {metrics.loss:.3f}")

# %%
activity = learner.infer(state, test, record="spikes")
print(f"{activity.accuracy:.1%} of {len(test)} new digits")
ax = bl.plot.confusion(test.labels, activity.predictions)

# %% [markdown]
# The test digits were written by other people than the rest, and 400 are few.
#
# ## More, faster
#
# The same network also runs as a torch module that fires the same spikes, whole batches at once. The learner's state
# goes on there: all 1437 digits, eight times, in seconds. (`pip install torch numba`.)

# %%
faster = bl.Learner(spec, bl.DALTON(), bl.Adam(5e-3), engine="discrete", batch_size=10)
for epoch in range(8):
    state, metrics = faster.learn(state, train)
activity = faster.infer(state, test, record="spikes")
print(f"{metrics.accuracy:.1%} right while learning, {activity.accuracy:.1%} of {len(test)} new digits")

# %% [markdown]
# ## What changed
#
# The first layer's weights onto some of its neurons, as images, and all weights before and after.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
bl.plot.kernels(state.weights["dense1"], (1, 8, 8), most=36, ax=axes[0])
bl.plot.weight_histogram(state.weights["dense1"], before.weights["dense1"], ax=axes[1])

# %%
bl.plot.rates(activity)

# %% [markdown]
# ## The same as an experiment
#
# An `Experiment` does this loop, and keeps all that is needed to run it again in a folder: configuration, weights,
# metrics, pictures. A training that was killed goes on from there (`resume=`), bit for bit.

# %%
experiment = bl.Experiment(spec, bl.DALTON(), bl.Adam(5e-3), data="digits", epochs=6, batch_size=10, engine="discrete")
result = experiment.run(progress=False)
print(f"{result.test_accuracy:.1%} of the test digits after {result.epochs} epochs")
print(sorted(path.name for path in result.run.iterdir()))

# %%
bl.plot.learning_curve(result.run)

# %% [markdown]
# The same from the command line: `brianlearn new my_network.py` writes such a script, and `brianlearn train
# my_network.py` trains it.
#
# ## Where to go from here
#
# * [Your Brian2 script](02_your_brian2_script.ipynb), adopted and taught.
# * [Three-factor rules](03_three_factor_rules.ipynb), step by step.
# * [What runs where](../devices.md): numpy, compiled C++, torch, GPUs.
