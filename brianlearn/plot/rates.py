"""Firing rates."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from brianlearn.errors import DataError
from brianlearn.network.samples.samples import Activity
from brianlearn.plot.choices import layer_of
from brianlearn.plot.style import axes_of, layer_colours, plain
from brianlearn.training.result import Result
from brianlearn.training.run_folder import RunFolder

__all__ = ["neuron_rates", "rates"]

OWNER = "plot.rates"


def neuron_rates(activity: Activity) -> dict[str, np.ndarray]:
    """The mean rate of each neuron over the samples whose spikes were recorded.

    Parameters
    ----------
    activity : Activity
        With recorded spikes.

    Returns
    -------
    dict
        Layer name -> rates in Hz, one per neuron.

    Raises
    ------
    DataError
        No recorded spikes.
    """
    if not activity.spikes:
        raise DataError(
            OWNER, "there are no spikes to count", remedy='record them: learner.infer(state, samples, record="spikes")'
        )
    found = {}
    for name, one in activity.spikes.items():
        counts = np.bincount(one.neuron, minlength=int(np.prod(one.shape)))
        counts = counts if one.neurons is None else counts[one.neurons]
        found[name] = counts / (one.n_trials * float(activity.duration))
    return found


def rates(what: Any, *, layers: Sequence[str] | None = None, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Firing rates: of a run, the mean of each layer by epoch; of an activity, all neurons of each layer in order.

    Parameters
    ----------
    what : path-like, Result, list of metrics, or Activity
        A run folder or its `Result` or `Result.metrics`; or what ``learner.infer(..., record="spikes")`` returns, whose
        neurons are drawn from the most active to the silent ones, with the number of those that never fire. Inputs that
        carry a current do not fire.
    layers : sequence of str, optional
        Those that are drawn; all where it is not given.
    title : str, optional
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        A run without a finished epoch, an activity without spikes; layers that there are not.
    RunFolderError
        No run folder.
    """
    if isinstance(what, Activity):
        found = {name: values for name, values in neuron_rates(what).items() if name not in what.currents}
        ax = _of_neurons(_chosen(found, layers), axes_of(ax, (6.4, 3.6)), list(what.spikes))
    else:
        ax = _by_epoch(_metrics(what), axes_of(ax, (6.4, 3.6)), layers)
    if title is not None:
        ax.set_title(title)
    plain(ax)
    return ax


def _metrics(run: Any) -> Sequence[Mapping[str, Any]]:
    if isinstance(run, Result):
        run = run.run
    metrics = RunFolder.open(run).metrics() if isinstance(run, str | os.PathLike) else run
    if not isinstance(metrics, list) or not metrics:
        raise DataError(OWNER, "there is no finished epoch", got=repr(run)[:100])
    return metrics


def _chosen(found: Mapping[str, Any], layers: Sequence[str] | None) -> dict[str, Any]:
    return dict(found) if layers is None else {n: found[layer_of(OWNER, found, n)] for n in layers}


def _by_epoch(metrics: Sequence[Mapping[str, Any]], ax: Axes, layers: Sequence[str] | None) -> Axes:
    colours = layer_colours(metrics[0]["firing_rates_hz"])
    names = list(_chosen(metrics[0]["firing_rates_hz"], layers))
    epochs = [line["epoch"] for line in metrics]
    for name in names:
        values = [line["firing_rates_hz"][name] for line in metrics]
        ax.plot(epochs, values, "-o", ms=3, color=colours[name], label=name)
    ax.set_xlabel("epoch")
    ax.set_ylabel("mean firing rate (Hz)")
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.legend(frameon=False, fontsize=9, ncols=1 + len(names) // 7)
    ax.grid(alpha=0.3)
    return ax


def _of_neurons(found: Mapping[str, np.ndarray], ax: Axes, names: Sequence[str]) -> Axes:
    colours = layer_colours(names)
    for name, values in found.items():
        share = (np.arange(len(values)) + 0.5) / len(values)
        silent = int((values == 0).sum())
        told = f", {silent} of {len(values)} silent" if silent else ""
        ax.plot(share, np.sort(values)[::-1], color=colours[name], lw=1.6, label=f"{name}{told}")
    ax.set_xlabel("neurons of a layer, the most active first")
    ax.set_ylabel("firing rate (Hz)")
    ax.set_ylim(bottom=0)
    ax.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
    ax.set_xlim(0, 1)
    ax.legend(frameon=False, fontsize=9)
    ax.grid(alpha=0.3)
    return ax
