# %% [markdown]
# # 9. A parameter study
#
# How does accuracy depend on the membrane time constant, and is it the same for both rules? A study runs one function
# with many parameters, each trial in a folder of its own. What is killed can go on; what came out is one labelled
# table.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
from brian2 import ms

import brianlearn as bl

# %% [markdown]
# ## The script
#
# What a trial runs is a script that defines `experiment()`, or a function. This writes one beside the notebook.

# %%
SCRIPT = '''
import brianlearn as bl
from brian2 import ms


def experiment():
    """Two layers of leaky neurons on the digits."""
    lif = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0)
    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(64, lif), bl.Dense(32, lif)], bl.Readout(10), duration=20 * ms)
    return bl.Experiment(
        spec, bl.DALTON(), bl.Adam(5e-3), data="digits", epochs=3, batch_size=10, limit=400, engine="discrete"
    )
'''
Path("digits_lif.py").write_text(SCRIPT)
print("digits_lif.py written")

# %% [markdown]
# ## Axes
#
# Two time constants, two rules, two seeds. A name of an axis is a parameter of `experiment`, a setting of the
# experiment, a constant of the neurons, or a path into its parts.

# %%
study = bl.Study(
    "digits_lif.py",
    axes={"tau_m": [5, 10, 20, 40] * ms, "tau_s": [2, 5, 10] * ms, "rule": ["dalton", "tfr"], "seed": range(2)},
    where="tau_s < tau_m",
    keep="metrics",
)
print(len(study.points()), "trials, such as", study.points()[0])

# %%
study.run(workers=2, progress=False)
status = study.status()
print(f"{status.done} of {status.total} done, {status.failed} failed")

# %% [markdown]
# ## The table
#
# `results()` has a row for each trial, `summary()` means and spread over seeds, as xarray with the axes by name.

# %%
summary = study.summary()
summary["test_accuracy_mean"].sel(rule="dalton").round(3)

# %%
figure, axes = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
for ax, rule in zip(axes, ("dalton", "tfr"), strict=True):
    bl.plot.heat_map(study, "test_accuracy", x="tau_m", y="tau_s", select={"rule": rule}, ax=ax)
    ax.set_title(rule, pad=16)

# %% [markdown]
# What `where` left out stays white. And as lines, with single trials:

# %%
from brianlearn.report import plot_lines

plot_lines(study, "test_accuracy", x="tau_m", lines="rule", over=("seed", "tau_s"))

# %% [markdown]
# ## How sure can one be?
#
# Two seeds are few. The spread between seeds beside the spread between settings:

# %%
accuracy = study.results()["test_accuracy"]
print(f"standard deviation over seeds, mean of all settings: {float(accuracy.std('seed').mean()):.3f}")
print(f"standard deviation over settings, mean of the seeds: {float(accuracy.mean('seed').std()):.3f}")

# %% [markdown]
# ## What else
#
# * Random, Sobol and Latin hypercube points, a search with Optuna, successive halving, Dask clusters:
#   [studies](../studies.md).
# * Noise, quantised weights, silenced neurons, depth, time steps: [one call each](../study_kinds.md).
# * `brianlearn study status FOLDER`, `resume`, `results --to results.csv`, `report`: the same from the command line.
