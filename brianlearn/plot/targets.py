"""Outputs beside the targets that they should have."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from brianlearn.errors import DataError
from brianlearn.network.samples.samples import Activity, Samples
from brianlearn.plot.style import FAINT, axes_of, colour, plain

__all__ = ["targets"]

OWNER = "plot.targets"


def targets(
    samples: Samples,
    activity: Activity,
    trial: int = 0,
    *,
    outputs: int = 4,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Values of the readout beside their targets: over the steps of a trial, or one dot for each sample.

    Parameters
    ----------
    samples : Samples
        With values: those of each step (n, steps, out), or one for each sample (n, out).
    activity : Activity
        What the network made of them; for values of each step recorded with ``record="readout"``.
    trial : int, optional
        Which sample is drawn, of targets of each step.
    outputs : int, optional
        Draw at most so many outputs.
    title : str, optional
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        Targets that are no values, or a readout that was not recorded.
    """
    wanted = samples.targets
    if samples.labels is not None or wanted is None or np.asarray(wanted).dtype.kind != "f":
        raise DataError(OWNER, "targets are no values", expected="floats, (n, out) or (n, steps, out)")
    wanted = np.asarray(wanted)
    ax = axes_of(ax, (6.4, 3.4))
    if wanted.ndim == 3:
        if activity.readout is None:
            raise DataError(OWNER, "the readout was not recorded", remedy='learner.infer(..., record="readout")')
        if not 0 <= trial < len(wanted):
            raise DataError(OWNER, "there is no such trial", got=trial, expected=f"0 to {len(wanted) - 1}")
        step = 1.0 if activity.dt is None else float(activity.dt) * 1e3
        found = np.asarray(activity.readout)[trial]
        times = np.arange(len(found)) * step
        for k in range(min(outputs, wanted.shape[2])):
            ax.plot(times, wanted[trial, :, k], "--", color=colour(k), lw=1.0, alpha=0.8)
            ax.plot(times, found[:, k], color=colour(k), lw=1.4, label=f"output {k}")
        ax.plot([], [], "--", color=FAINT, label="target")
        ax.set_xlabel("time step" if activity.dt is None else "time (ms)")
        ax.set_ylabel("readout")
    else:
        for k in range(min(outputs, wanted.shape[1])):
            ax.plot(wanted[:, k], np.asarray(activity.logits)[:, k], ".", color=colour(k), label=f"output {k}")
        ends = [float(wanted.min()), float(wanted.max())]
        ax.plot(ends, ends, "--", color=FAINT, lw=1.0, label="equal")
        ax.set_xlabel("target")
        ax.set_ylabel("output")
    ax.legend(frameon=False, fontsize=8)
    if title is not None:
        ax.set_title(title)
    plain(ax)
    return ax
