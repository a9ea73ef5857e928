# %% [markdown]
# # 8. Event cameras
#
# An event camera sends no images. Each pixel says when it gets brighter or darker, with microseconds of precision. For
# a spiking network this is the natural input: events are spikes. The data here are made by a simulated camera, so
# nothing has to be downloaded; N-MNIST, DVS128 Gesture and CIFAR10-DVS are used in the same way.

# %%
import matplotlib.pyplot as plt
import numpy as np
from brian2 import ms

import brianlearn as bl

# %% [markdown]
# ## A camera
#
# 16 x 16 pixels look at a digit while the gaze makes three saccades. A pixel compares the logarithm of what it sees
# with its memory.

# %%
digits = bl.load("digits")
camera = bl.EventCamera()
(recording,) = camera.record(digits.test.inputs[3:4, 0])
print(f"{len(recording)} events in {recording.time.max() / 1e3:.0f} ms, times in microseconds: {recording.time[:5]}")

figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
axes[0].imshow(digits.test.inputs[3, 0], cmap="gray")
axes[0].set_title("what is there")
for ax, start in zip(axes[1:], (0, 20_000, 40_000), strict=True):
    during = (recording.time >= start) & (recording.time < start + 20_000)
    frame = np.zeros((16, 16))
    seen = recording[during]
    np.add.at(frame, (seen.y, seen.x), np.where(seen.polarity, 1, -1))
    ax.imshow(frame, cmap="PuOr", vmin=-4, vmax=4)
    ax.set_title(f"{start // 1000} to {start // 1000 + 20} ms")
for ax in axes:
    ax.set_xticks([])
    ax.set_yticks([])

# %% [markdown]
# Orange got brighter, violet darker. What does not change is not seen: the camera needs the saccades.
#
# ## The data set
#
# `digits_events` are all 1797 digits before this camera. They are binned at the network's time step; `denoise` drops
# events that no neighbour has preceded.

# %%
raw = bl.load("digits_events", dt=1 * ms)
clean = bl.load("digits_events", dt=1 * ms, denoise=5 * ms)
print(f"shape {raw.shape} (polarity, height, width), {len(raw.train)} + {len(raw.test)} recordings")
per_recording = [len(data.train.inputs.step) / len(data.train) for data in (raw, clean)]
print(f"{per_recording[0]:.0f} events a recording, {per_recording[1]:.0f} after denoising")

# %% [markdown]
# ## A convolutional network
#
# Sixteen kernels over both polarities, a pool, a dense layer. Events reach it as they are: `bl.Spikes()`.

# %%
neuron = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=6.0, surrogate=bl.FastSigmoid(slope=2))
spec = bl.NetworkSpec(
    bl.Input((2, 16, 16), bl.Spikes()),
    [bl.Conv(16, kernel=5, padding=2, pool=2, neuron=neuron), bl.Dense(64, neuron)],
    bl.Readout(10),
    duration=60 * ms,
)
bl.plot.network(spec)

# %%
learner = bl.Learner(spec, bl.DALTON(eligibility="trace"), bl.Adam(3e-3), engine="discrete", batch_size=20)
state = before = learner.init()
for epoch in range(4):
    state, metrics = learner.learn(state, clean.train)
    print(f"epoch {epoch + 1}: {metrics.accuracy:.0%} right while learning")
activity = learner.infer(state, clean.test, record="spikes")
print(f"{activity.accuracy:.1%} of {len(clean.test)} new recordings")

# %%
bl.plot.raster(activity, trial=3, neurons=100)

# %% [markdown]
# The three saccades are three waves of input.

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
bl.plot.kernels(state.weights["conv1"], ax=axes[0])
bl.plot.confusion(clean.test.labels, activity.predictions, ax=axes[1])

# %% [markdown]
# ## When does it know?
#
# The readout is there in every step. Its running mean tells what the network would have said, had the recording ended
# then.

# %%
spoken = learner.infer(state, clean.test, record="readout").readout  # trials, steps, classes
running = np.cumsum(spoken, axis=1).argmax(axis=2)
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot((running == clean.test.labels[:, None]).mean(axis=0))
ax.set(xlabel="ms of the recording", ylabel="accuracy")
right = (running == clean.test.labels[:, None]).mean(axis=0)
print("after 20, 40 and 60 ms:", "  ".join(f"{right[t]:.0%}" for t in (19, 39, 59)))

# %% [markdown]
# ## Robust to noise?
#
# The same weights on recordings that were not denoised:

# %%
noisy = learner.infer(state, raw.test)
print(f"{activity.accuracy:.1%} denoised, {noisy.accuracy:.1%} with the noise")

# %% [markdown]
# Formats (AEDAT 2, 3.1 and 4, N-MNIST's), downsampling, windows as augmentation, recordings that do not fit into
# memory, tonic's data sets: [data](../data.md). `brianlearn data list` says what is on your machine.
