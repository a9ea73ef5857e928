"""The picture in every run folder: how it learned, how much each layer fires, and what it does with one sample."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from brianlearn.errors import BrianLearnError
from brianlearn.network.samples.samples import Activity, Samples
from brianlearn.network.spec import NetworkSpec
from brianlearn.plot.labels import rule_name
from brianlearn.plot.learning import learning_curve
from brianlearn.plot.rates import rates
from brianlearn.plot.spikes import raster
from brianlearn.plot.style import FAINT, save_figure
from brianlearn.training.learner import Learner
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.watch import Watch

__all__ = ["FILE", "wanted", "write_picture"]

FILE = "overview.png"
#: Synapses up to which Brian2 runs one sample in Python in about a second; more are left to the discrete engine.
FEW = 2_000_000
#: Rows of a layer in the raster.
ROWS = 128


def wanted() -> bool:
    """Whether runs get a picture: yes, unless the environment says ``BRIANLEARN_PICTURES=0``."""
    return os.environ.get("BRIANLEARN_PICTURES", "1") != "0"


def write_picture(
    folder: RunFolder, spec: NetworkSpec, weights: Mapping[str, np.ndarray], samples: Samples, dtype: str
) -> Path:
    """Draw ``overview.png`` of a run: its learning curve, the mean rates of its layers, and a raster.

    Parameters
    ----------
    folder : RunFolder
        With at least one finished epoch.
    spec : NetworkSpec
    weights : mapping
        At the end.
    samples : Samples
        The first of them is run for the raster.
    dtype : {"float32", "float64"}

    Returns
    -------
    pathlib.Path

    Raises
    ------
    RunFolderError
        If the file cannot be written.
    """
    figure = Figure(figsize=(11, 6), layout="constrained")
    left, right = np.ravel(np.asarray(figure.subfigures(1, 2, width_ratios=[1, 1.25])))
    above, below = left.subplots(2, 1)
    learning_curve({rule_name(folder.config()): str(folder.path)}, ax=above)
    metrics = folder.metrics()
    rates(metrics, layers=[n for n in metrics[0]["firing_rates_hz"] if n not in spec.graph.currents], ax=below)
    ax = right.subplots()
    try:
        activity = _one_sample(spec, weights, samples, dtype)
    except BrianLearnError as error:  # said in the place of the raster
        ax.set_axis_off()
        ax.text(0.5, 0.5, f"no raster:\n{error}", ha="center", va="center", fontsize=8, color=FAINT, wrap=True)
    else:
        raster(activity, neurons=ROWS, title=_title(activity, samples), ax=ax)
    save_figure(figure, folder.path / FILE)
    return folder.path / FILE


def _one_sample(spec: NetworkSpec, weights: Mapping[str, np.ndarray], samples: Samples, dtype: str) -> Activity:
    """The spikes of the first sample, on what needs no compiler: all engines and devices fire the same ones."""
    synapses = sum(q.connectivity.n_synapses for q in spec.projections)
    places = [("brian", "numpy"), ("discrete", "cpu")]
    if synapses > FEW or "torch" in sys.modules:
        places.reverse()
    own = {q.name for q in (*spec.projections, *spec.readout_projections)}
    own |= {one.key for one in spec.learned_constants} | set(spec.learned_delays)
    for k, (engine, device) in enumerate(places):
        try:
            learner = Learner(spec, engine=engine, device=device, dtype=dtype, chunk_size=1)
            learner.watch = Watch(each_call=False)
            state = learner.init({name: array for name, array in weights.items() if name in own})
            return learner.infer(state, samples[:1], record="spikes")
        except BrianLearnError:
            if k or synapses > FEW:  # Brian2 in Python would need minutes, and the memory of a list of all synapses
                raise
    raise AssertionError("one of the engines runs it, or raises")


def _title(activity: Activity, samples: Samples) -> str:
    if samples.labels is None:
        return "the first test sample"
    label, taken = int(np.asarray(samples.labels)[0]), int(activity.predictions[0])
    return f"the first test sample: a {label}" + ("" if label == taken else f", taken for a {taken}")
