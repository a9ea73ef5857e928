# %% [markdown]
# # 10. To hardware: NIR, C++, GeNN
#
# A network has learned, and is to run elsewhere: in another simulator, on a chip, as a program without Python. Three
# ways lead out. This page takes each of them as far as a laptop goes, and counts the spikes that differ.

# %%
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import nir
import numpy as np
from brian2 import ms

import brianlearn as bl

plt.style.use("tableau-colorblind10")

# %% [markdown]
# ## A network that has learned
#
# Current-based neurons that reset to 0 have a counterpart everywhere.

# %%
lif = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0)
spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(64, lif), bl.Dense(32, lif)], bl.Readout(10), duration=30 * ms)
experiment = bl.Experiment(
    spec, bl.DALTON(), bl.Adam(5e-3), data="digits", epochs=6, batch_size=10, engine="discrete", dtype="float64"
)
result = experiment.run(progress=False)
weights = result.weights
print(f"{result.test_accuracy:.1%} of the test digits")

test = bl.load("digits").test[:20]
learner = bl.Learner(spec, engine="discrete", dtype="float64")
here = learner.infer(learner.init(weights), test, record=["spikes", "readout"])
spikes = {name: raster.dense().reshape(20, 30, -1) for name, raster in here.spikes.items()}  # trial, step, neuron

# %% [markdown]
# ## How many bits does it need?
#
# Chips have weights of few bits. The same run, its weights rounded:

# %%
bits = bl.quantisation(result.run, bits=(1, 2, 3, 4, 6, 8))
bits.run(progress=False)
accuracy = bits.results()["test_accuracy"]
figure, ax = plt.subplots(figsize=(5.5, 2.8), layout="constrained")
ax.plot(accuracy["bits"], accuracy, "o-")
ax.axhline(result.test_accuracy, color="0.6", lw=1)
ax.set(xlabel="bits of a weight", ylabel="accuracy")
print({int(b): f"{float(a):.1%}" for b, a in zip(accuracy["bits"], accuracy, strict=True)})

# %% [markdown]
# From four bits on little is lost. One bit keeps all signs; with two, which are three levels up to the largest weight,
# most weights are 0.
#
# ## NIR
#
# NIR is a file that simulators and chips read. It holds equations: nodes and the edges between them.

# %%
graph = bl.to_nir(spec, weights, path="digits.nir", discretisation="euler")
for name, node in graph.nodes.items():
    what = node.weight.shape if hasattr(node, "weight") else np.shape(getattr(node, "tau_mem", ()))
    print(f"{name:12s} {type(node).__name__:8s} {what}")
print("edges:", graph.edges)

# %% [markdown]
# It is read back as the same network, weights and all.

# %%
again, read = bl.from_nir("digits.nir")
print("same weights:", all(np.array_equal(read[name], weights[name]) for name in weights))
print("same network:", again.describe() == spec.describe())

# %% [markdown]
# ## Another simulator
#
# Here is one, in plain numpy, of thirty lines: it knows nothing of brianlearn, reads the file with `nir`, and steps the
# equations of NIR by Euler's method, as most simulators do. With `discretisation="euler"` time constants were written
# so that such a step does what the network does.


# %%
def simulate(graph, arriving, dt=1e-3):
    """Spikes of every neuron node, and values at the output; arriving: (steps, inputs) at the node `input`."""
    before = {name: [a for a, b in graph.edges if b == name] for name in graph.nodes}
    order, state, found = [], {}, {}
    while len(order) < len(graph.nodes):
        order += [n for n in graph.nodes if n not in order and all(a in order for a in before[n])]
    for t in range(len(arriving)):
        out = {}
        for name in order:
            node = graph.nodes[name]
            x = arriving[t] if not before[name] else sum(out[a] for a in before[name])
            if isinstance(node, nir.CubaLIF):
                i, v = state.get(name, (0.0, 0.0))
                i = i + dt / node.tau_syn * (-i + node.w_in * x)
                v = v + dt / node.tau_mem * (node.v_leak - v + node.r * i)
                out[name] = (v > node.v_threshold).astype(float)
                state[name] = i, np.where(out[name] > 0, node.v_reset, v)
            elif isinstance(node, nir.Linear | nir.Affine):
                out[name] = node.weight @ x + getattr(node, "bias", 0.0)
            elif isinstance(node, nir.Flatten):
                out[name] = np.ravel(x)
            else:  # Input, Output
                out[name] = x
            found.setdefault(name, []).append(np.ravel(out[name]))
    return {name: np.array(values) for name, values in found.items()}


read = nir.read("digits.nir")
differ, fired = 0, 0
for trial in range(20):
    shown = spikes["input"][trial].astype(float)
    there = simulate(read, shown.reshape(30, *read.nodes["input"].input_type["input"]))
    for name in ("dense1", "dense2"):
        differ += int((there[name] != spikes[name][trial]).sum())
        fired += int(spikes[name][trial].sum())
print(f"{differ} of {fired} spikes differ")

# %% [markdown]
# Written for readers that solve the equations exactly, the same file means something a little different to this one:

# %%
exact = bl.to_nir(spec, weights, discretisation="exact")
other = simulate(exact, spikes["input"][0].astype(float).reshape(30, *exact.nodes["input"].input_type["input"]))
mine, theirs = spikes["dense1"][0], other["dense1"] > 0
figure, ax = plt.subplots(figsize=(8, 3.4), layout="constrained")
both = dict(both=mine & theirs, here=mine & ~theirs, there=theirs & ~mine)
for (name, raster), look in zip(both.items(), (dict(color="0.8"), dict(color="C0"), dict(color="C1")), strict=True):
    step, neuron = np.nonzero(raster)
    ax.plot(step, neuron, "o", ms=3, label={"both": "both", "here": "here alone", "there": "there alone"}[name], **look)
ax.set(xlabel="step", ylabel="neuron of dense1")
ax.legend(frameon=False, ncols=3, loc="upper center", bbox_to_anchor=(0.5, 1.18))
print(int((mine != theirs).sum()), "places differ in the first trial,", int(mine.sum()), "spikes")

# %% [markdown]
# Which simulator reads what, and how many spikes differ: [NIR](../nir.md).
#
# ## A program without Python
#
# `brianlearn export RUN DIR --to cpp` writes a C++ project: spikes go in as a text file, spikes come out as text files.
# Building it takes a compiler and some seconds.

# %%
command = [sys.executable, "-m", "brianlearn", "export", str(result.run), "program", "--to", "cpp"]
subprocess.run(command, check=True, capture_output=True)
print(sorted(path.name for path in Path("program").iterdir()))

trial, step, neuron = np.nonzero(spikes["input"])
np.savetxt("spikes.txt", np.stack([trial, step, neuron], axis=1), fmt="%d")
subprocess.run(["sh", "program/run.sh", "spikes.txt", "output", "20"], check=True, capture_output=True)

fired = np.zeros_like(spikes["dense2"])
fired[tuple(np.loadtxt("output/spikes_dense2.txt", dtype=int).T)] = True
print(int((fired != spikes["dense2"]).sum()), "of", int(fired.sum()), "spikes of dense2 differ")
logits = np.loadtxt("output/logits.txt")[:, 1:]
print("predictions:", logits.argmax(axis=1), "labels:", test.labels)

# %% [markdown]
# ## GeNN, and hardware that passes spikes on in the next step
#
# On GeNN's GPUs, and on chips, a spike reaches the next layer one step later. Such a network has `timing="pipelined"`.
# With the same weights layer l fires what it fired, l steps later:

# %%
late = bl.NetworkSpec(spec.input, spec.layers, spec.readout, duration=33 * ms, timing="pipelined")
pipelined = bl.Learner(late, device="numpy", dtype="float64")
there = pipelined.infer(pipelined.init(weights), test, record=["spikes"])
for layer, lag in (("dense1", 1), ("dense2", 2)):
    raster = there.spikes[layer].dense().reshape(20, 33, -1)
    print(layer, "differs in", int((raster[:, lag : lag + 30] != spikes[layer]).sum()), "places, shifted by", lag)

# %% [markdown]
# `brianlearn export RUN DIR --to genn --timing pipelined` writes it as a project for GeNN, and `device="genn"` trains
# there ([GeNN](../genn.md)). What runs where is in [one table](../devices.md).
