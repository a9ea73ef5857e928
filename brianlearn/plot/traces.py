"""What happens in a trial step by step: membranes, surrogate derivatives, third factors, eligibility traces."""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import ms
from brian2.units.fundamentalunits import DIMENSIONLESS, Quantity
from matplotlib.axes import Axes

from brianlearn.errors import DataError
from brianlearn.network.record import Recorded
from brianlearn.network.samples.samples import Activity
from brianlearn.plot.choices import layer_of, position_of, some_of
from brianlearn.plot.style import FAINT, axes_of, colour, plain

__all__ = ["eligibility", "membranes", "surrogate", "third_factor"]

#: Neurons up to which each gets a line; of more an image is drawn.
LINES = 6
#: Distance of the title in points; ticks of spikes stand between it and the axes.
TITLE = 6.0


def membranes(
    activity: Activity,
    layer: str | None = None,
    trial: int = 0,
    *,
    variable: str = "v",
    neurons: Any = 4,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Membrane potentials, or another state variable, of some neurons over one trial; ticks above are their spikes.

    Parameters
    ----------
    activity : Activity
        From ``learner.infer(state, samples, record=["spikes", "v"])``.
    layer : str, optional
        The first of which the variable was recorded where it is not given.
    trial : int, optional
        Position among the samples that were run.
    variable : str, optional
    neurons : int or sequence of int, optional
        How many, evenly spaced among those that were recorded; or which.
    title : str, optional
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        A variable, layer, trial or neuron that was not recorded.
    """
    return _draw("plot.membranes", activity, variable, layer, trial, neurons, title, ax, variable)


def surrogate(
    activity: Activity,
    layer: str | None = None,
    trial: int = 0,
    *,
    neurons: Any = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Surrogate derivatives psi over one trial: how much a neuron learns from what reaches it in a step.

    Parameters
    ----------
    activity : Activity
        From ``learner.infer(state, samples, record="psi")`` of a learner with a rule.
    layer : str, optional
        The first that was recorded where it is not given.
    trial : int, optional
        Position among the samples that were run.
    neurons : int or sequence of int, optional
        How many, evenly spaced among those that were recorded; or which. All where it is not given; of more than six an
        image is drawn.
    title : str, optional
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        Nothing recorded, or no such layer, trial or neuron.
    """
    return _draw("plot.surrogate", activity, "psi", layer, trial, neurons, title, ax, "surrogate derivative psi")


def third_factor(
    activity: Activity,
    layer: str | None = None,
    trial: int = 0,
    *,
    neurons: Any = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The third factor L over one trial: what the rule broadcasts to each neuron of a layer.

    Parameters
    ----------
    activity : Activity
        From ``learner.infer(state, samples, record="L")`` of a learner with a three-factor rule, samples with labels.
    layer : str, optional
        The first that was recorded where it is not given.
    trial : int, optional
        Position among the samples that were run.
    neurons : int or sequence of int, optional
        How many, evenly spaced among those that were recorded; or which. All where it is not given; of more than six an
        image is drawn.
    title : str, optional
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        Nothing recorded, or no such layer, trial or neuron.
    """
    return _draw("plot.third_factor", activity, "L", layer, trial, neurons, title, ax, "third factor L")


def eligibility(
    activity: Activity,
    projection: str | None = None,
    trial: int = 0,
    *,
    neurons: Any = None,
    title: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Eligibility traces over one trial: the presynaptic factor of a projection's synapses.

    Parameters
    ----------
    activity : Activity
        From ``learner.infer(state, samples, record="trace_v")`` of a learner whose rule has ``eligibility="trace"``.
    projection : str, optional
        The first that was recorded where it is not given.
    trial : int, optional
        Position among the samples that were run.
    neurons : int or sequence of int, optional
        How many, evenly spaced among those that were recorded; or which. All where it is not given; of more than six an
        image is drawn.
    title : str, optional
    ax : matplotlib.axes.Axes, optional

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        Nothing recorded, or no such projection, trial or neuron.
    """
    traces = [name for name in activity.recorded if name.startswith("trace_")]
    name = traces[0] if traces else "trace_v"
    return _draw("plot.eligibility", activity, name, projection, trial, neurons, title, ax, "eligibility trace")


def _draw(
    owner: str,
    activity: Activity,
    variable: str,
    layer: str | None,
    trial: int,
    neurons: Any,
    title: str | None,
    ax: Axes | None,
    label: str,
) -> Axes:
    if not isinstance(activity, Activity):
        expected = "what learner.infer(state, samples, record=...) returns"
        raise DataError(owner, "this is no activity", got=type(activity).__name__, expected=expected)
    if not activity.recorded.get(variable):
        raise DataError(
            owner,
            f"{variable!r} was not recorded",
            got=", ".join(activity.recorded) or "no recording",
            remedy=f"record it: learner.infer(state, samples, record={variable!r})",
        )
    layers = activity.recorded[variable]
    name = layer_of(owner, layers, layer)
    recorded = layers[name]
    row = position_of(owner, recorded.samples, trial, name)
    shown = _neurons(owner, recorded, neurons)
    values, unit = _in_unit(recorded.values[row][:, shown])
    times = np.asarray(recorded.times / ms)
    label = f"{label} ({unit})" if unit else label
    ax = axes_of(ax, (6.4, 2.6))
    if len(shown) > LINES:
        _image(ax, times, values, recorded.neurons[shown], label, name)
    else:
        _lines(ax, times, values, recorded.neurons[shown], label)
        _mark(ax, activity, name, trial, recorded.neurons[shown])
    ax.set_xlabel("time (ms)")
    ax.set_title(name if title is None else title, pad=TITLE if len(shown) > LINES else TITLE + 3 * len(shown))
    return ax


def _neurons(owner: str, recorded: Recorded, neurons: Any) -> np.ndarray:
    """Columns of a recording."""
    if neurons is None or (isinstance(neurons, int | np.integer) and not isinstance(neurons, bool)):
        return some_of(len(recorded.neurons), None if neurons is None else int(neurons))
    return np.array([position_of(owner, recorded.neurons, k, f"{recorded.layer}'s neurons") for k in neurons])


def _in_unit(values: Any) -> tuple[np.ndarray, str]:
    """Numbers, and their unit as a text: that in which the largest reads well."""
    if not isinstance(values, Quantity) or values.dim is DIMENSIONLESS:
        return np.asarray(values, float), ""
    unit = values.get_best_unit()
    return np.asarray(values / unit, float), str(unit)


def _lines(ax: Axes, times: np.ndarray, values: np.ndarray, neurons: np.ndarray, label: str) -> None:
    for k, neuron in enumerate(neurons):
        ax.step(times, values[:, k], where="post", color=colour(k), lw=1.2, label=f"neuron {neuron}")
    ax.axhline(0, color="0.7", lw=0.6, zorder=0)
    ax.set_ylabel(label)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
    plain(ax)


def _mark(ax: Axes, activity: Activity, layer: str, trial: int, neurons: np.ndarray) -> None:
    """Ticks above the axes where the neurons fire."""
    one = activity.spikes.get(layer)
    if one is None or (one.samples is not None and trial not in one.samples):
        return
    number = position_of("plot", one.n_trials if one.samples is None else one.samples, trial, layer)
    step = 1.0 if activity.dt is None else float(activity.dt) * 1e3
    for k, neuron in enumerate(neurons):
        fired = one.step[(one.trial == number) & (one.neuron == neuron)] * step
        low = 1.0 + 0.035 * k
        ax.vlines(fired, low, low + 0.03, transform=ax.get_xaxis_transform(), color=colour(k), lw=1.2, clip_on=False)


def _image(ax: Axes, times: np.ndarray, values: np.ndarray, neurons: np.ndarray, label: str, name: str) -> None:
    signed = bool((values < 0).any())
    top = float(np.abs(values).max()) or 1.0
    step = times[1] - times[0] if len(times) > 1 else 1.0
    extent = (times[0], times[-1] + step, -0.5, len(neurons) - 0.5)
    drawn = ax.imshow(
        values.T,
        aspect="auto",
        origin="lower",
        extent=extent,
        interpolation="nearest",
        cmap="PuOr_r" if signed else "cividis",
        vmin=-top if signed else 0.0,
        vmax=top,
    )
    ax.set_ylabel("neuron")
    places = ax.get_yticks()
    kept = [int(p) for p in places if 0 <= p < len(neurons) and p == int(p)]
    ax.set_yticks(kept, [str(neurons[k]) for k in kept])
    figure = ax.get_figure()
    assert figure is not None
    bar = figure.colorbar(drawn, ax=ax, pad=0.02, aspect=18)
    bar.outline.set_visible(False)
    bar.set_label(label)
    ax.spines[:].set_color(FAINT)
