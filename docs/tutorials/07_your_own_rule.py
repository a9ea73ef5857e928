# %% [markdown]
# # 7. Your own rule
#
# There are two ways to write one. A *three-factor rule* says where the errors of each layer come from; all else is
# common to such rules. A *synaptic rule* is what a synapse does, as text, as you would write it in Brian2. We write
# one of each.

# %%
from dataclasses import dataclass
from typing import ClassVar

import matplotlib.pyplot as plt
import numpy as np
from brian2 import ms

import brianlearn as bl

plt.style.use("tableau-colorblind10")

# %% [markdown]
# ## Errors from two places
#
# TFR teaches each layer by a readout of its own, DALTON by the layer above. This rule does both: one method, `paths`.


# %%
@dataclass(frozen=True, eq=False)
class LocalAndDown(bl.ThreeFactorRule):
    """Errors of a local readout and of the layer above."""

    name: ClassVar[str] = "local-and-down"
    references = (bl.Reference("A. Author", "A rule of two errors", "unpublished", 2026, kind="misc"),)

    def paths(self, spec):
        found = {}
        for p in spec.neurons:
            down = [bl.Transpose(q.name) for q in spec.projections if q.source == p.name]
            own = [bl.Fixed(q, q.target) for q in spec.readout_projections if q.source == p.name]
            local = f"readout_{p.name}"
            found[p.name] = (*down, *(own or [bl.Fixed(spec.readout_of(p, local), local)]))
        return found


# %%
lif = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0)
spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(64, lif), bl.Dense(32, lif)], bl.Readout(10), duration=20 * ms)
for population, paths in LocalAndDown().paths(spec).items():
    print(population, "hears", [path.name if hasattr(path, "name") else path for path in paths])

# %% [markdown]
# It is a rule like any other: on Brian2 and in torch, with the same result.

# %%
train, test = bl.load("digits").split(test=360)
changes = []
for device in ("numpy", "cpu"):
    learner = bl.Learner(spec, LocalAndDown(), bl.SGD(0.1), device=device, dtype="float64", batch_size=10)
    begin = learner.init()
    after, _ = learner.learn(begin, train[:20])
    changes.append(after.weights["dense1"] - begin.weights["dense1"])
print(
    "largest weight change", np.abs(changes[0]).max(), "; the engines differ by", np.abs(changes[0] - changes[1]).max()
)

# %%
figure, ax = plt.subplots(figsize=(6, 3.3), layout="constrained")
for rule in (bl.TFR(), bl.DALTON(), LocalAndDown()):
    scores = []
    for seed in range(3):
        learner = bl.Learner(spec, rule, bl.Adam(5e-3), engine="discrete", batch_size=10, seed=seed)
        state, curve = learner.init(), []
        for epoch in range(5):
            state, _ = learner.learn(state, train[:600])
            curve.append(learner.infer(state, test).accuracy)
        scores.append(curve)
    mean, spread = np.mean(scores, axis=0), np.std(scores, axis=0)
    (line,) = ax.plot(range(1, 6), mean, "o-", ms=4, label=rule.name)
    ax.fill_between(range(1, 6), mean - spread, mean + spread, alpha=0.2, color=line.get_color(), lw=0)
    print(f"{rule.name:15s} {mean[-1]:.1%} ± {spread[-1]:.1%} of 360 new digits, three seeds")
ax.set(xlabel="epoch", ylabel="accuracy", xticks=range(1, 6))
ax.legend(frameon=False)

# %% [markdown]
# ## A rule as text: STDP
#
# The variables `x` and `y` are the traces of the pre- and the postsynaptic spikes. Weights change at once, and there
# are no labels. Does the order of two spikes decide the sign?

# %%
stdp = bl.SynapticRule(
    model="""dx/dt = -x/tau : 1 (event-driven)
             dy/dt = -y/tau : 1 (event-driven)""",
    on_pre="x += 1; weight -= learning_rate*A_minus*y",
    on_post="y += 1; weight += learning_rate*A_plus*x",
    constants=dict(tau=10 * ms, A_plus=0.01, A_minus=0.012),
)
# a second input with a strong, fixed synapse decides when the neuron fires
clamp = bl.NetworkSpec(
    populations=[
        bl.Population("pre", 1, bl.Spikes()),
        bl.Population("teacher", 1, bl.Spikes()),
        bl.Population("post", 1, bl.LIF(tau_m=10 * ms)),
    ],
    projections=[
        bl.Projection("plastic", "pre", "post", weights=bl.Constant(0.1)),
        bl.Projection("drive", "teacher", "post", weights=bl.Constant(2.0), learned=False),
    ],
    duration=80 * ms,
)
learner = bl.Learner(clamp, stdp, bl.SGD(1.0), device="numpy", dtype="float64")
lags, changes = np.arange(-30, 31, 4), []
for lag in lags:
    inputs = {
        name: bl.Events.from_times([([0], [at] * ms)], dt=1 * ms, shape=(1,))
        for name, at in (("pre", 40), ("teacher", 40 + lag))
    }
    begin = learner.init()
    after, _ = learner.learn(begin, bl.Samples(inputs))
    changes.append(float((after.weights["plastic"] - begin.weights["plastic"])[0, 0]))
figure, ax = plt.subplots(figsize=(6, 3.2), layout="constrained")
ax.plot(lags, changes, "o", ms=4, label="the rule, one pair of spikes each")
fine = np.linspace(0, 30, 200)
ax.plot(fine, 0.01 * np.exp(-fine / 10), color="0.5", lw=1)
ax.plot(-fine, -0.012 * np.exp(-fine / 10), color="0.5", lw=1, label="the textbook")
ax.set(xlabel="post - pre (ms)", ylabel="change of the weight")
ax.legend(frameon=False)

# %% [markdown]
# ## A reward that all neurons hear
#
# With `third_factor=bl.Reward(...)` the order of spikes leaves an eligibility `c`, and one number for all neurons
# makes it a weight change. Two noisy patterns, two neurons that fire by themselves, and a reward for every spike of
# the right one.

# %%
rstdp = bl.SynapticRule(
    model="""dx/dt = -x/tau : 1 (event-driven)
             dy/dt = -y/tau : 1 (event-driven)
             dc/dt = -c/tau_c : 1 (clock-driven)""",
    on_pre="x += 1; c -= A_minus*y",
    on_post="y += 1; c += A_plus*x",
    update="weight += learning_rate*L*c",
    third_factor=bl.Reward("2*label_output - all_outputs"),
    constants=dict(tau=5 * ms, tau_c=0.5 * ms, A_plus=1.0, A_minus=0.1),
    w_min=-0.3,
    w_max=0.3,
)
restless = bl.Neuron(
    "dv/dt = (drive - v)/tau_m : 1",
    threshold="v > 1",
    reset="v = 0",
    input="v",
    refractory=2 * ms,
    constants=dict(drive=1.1, tau_m=10 * ms),
)
layers = [bl.Dense(2, restless, weights=bl.Normal(0.3))]
two = bl.NetworkSpec(bl.Input((20,), bl.PoissonEncoder()), layers, readout=None, duration=30 * ms)


def patterns(n, seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    active = np.arange(20)[None, :] // 10 == labels[:, None]
    return bl.Samples(0.03 + 0.2 * active * rng.uniform(0.5, 1.0, (n, 20)), labels)


learner = bl.Learner(two, rstdp, bl.SGD(0.01), device="numpy", dtype="float64")
begin = learner.init()
state, metrics = learner.learn(begin, patterns(120, 1), record=bl.Record("weights", every=20))
new = patterns(80, 2)
print(f"{learner.infer(begin, new).accuracy:.0%} before, {learner.infer(state, new).accuracy:.0%} after 120 trials")
bl.plot.weights(metrics.weights, "dense1", lines=40)

# %% [markdown]
# ## Who is cited
#
# A rule says which papers are behind it, and so can yours.

# %%
print(bl.citation(LocalAndDown()))

# %% [markdown]
# Your own class is stored in run folders, resumes, and works in studies, if it stands at the top level of a script or
# module. [Rules](../own_rule.md), [synaptic rules](../synaptic_rules.md), and what else you can write: losses,
# encoders, connections, optimisers, data, [each in one file](../one_file.md).
