"""The pictures of a run by name, for the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brianlearn import plot
from brianlearn.errors import DataError, did_you_mean
from brianlearn.learning.recording import recordable
from brianlearn.network.samples.samples import Activity
from brianlearn.plot.network import network_size
from brianlearn.report.run.view import SPIKES, RunView

__all__ = ["KINDS", "Options", "draw"]


@dataclass(frozen=True)
class Options:
    """What is drawn of a run.

    Attributes
    ----------
    layer : str or None
        Layer, projection or weights; the first that there is where it is not given.
    sample : int
        Test sample, from 0 on.
    neurons : int or None
        How many.
    others : tuple of path-like
        More runs, for learning curves.
    """

    layer: str | None = None
    sample: int = 0
    neurons: int | None = None
    others: tuple[Any, ...] = ()


def draw(view: RunView, kind: str, options: Options) -> Figure:
    """A picture of a run.

    Parameters
    ----------
    view : RunView
    kind : str
        One of `KINDS`.
    options : Options

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        No such kind; what the run does not have.
    """
    if kind not in KINDS:
        raise DataError(
            "plot",
            "there is no such picture",
            got=repr(kind),
            expected=", ".join(KINDS),
            remedy=did_you_mean(kind, KINDS),
        )
    size = network_size(view.spec) if kind == "network" else (6.8, 4.2)
    figure = Figure(figsize=size, layout="constrained")
    KINDS[kind](view, options, figure.subplots())
    return figure


def _recorded(view: RunView, options: Options, variable: str) -> Activity:
    """One test sample, a variable recorded, which becomes trial 0."""
    learner, state, samples = view.ready
    if not 0 <= options.sample < len(samples):
        raise DataError("plot", "there is no such test sample", got=options.sample, expected=f"0 to {len(samples) - 1}")
    if variable != "spikes" and variable not in recordable(view.spec, learner.rule):
        known = ", ".join(recordable(view.spec, learner.rule))
        raise DataError("plot", f"this network with its rule has no {variable!r}", expected=f"one of {known}")
    record = ["spikes", variable] if variable != "spikes" else ["spikes"]
    return learner.infer(state, samples[options.sample : options.sample + 1], record=record)


def _raster(view: RunView, options: Options, ax: Axes) -> None:
    plot.raster(_recorded(view, options, "spikes"), layers=options.layer, neurons=options.neurons, ax=ax)


def _membranes(view: RunView, options: Options, ax: Axes) -> None:
    layers = {name: variable for variable, names in view.membranes.items() for name in names}
    layer = options.layer or next(iter(layers), None)
    variable = layers.get(layer or "", "v")
    plot.membranes(_recorded(view, options, variable), layer, variable=variable, neurons=options.neurons or 4, ax=ax)


def _trace(function: Callable[..., Axes], variable: str) -> Callable[[RunView, Options, Axes], None]:
    def draw(view: RunView, options: Options, ax: Axes) -> None:
        function(_recorded(view, options, variable), options.layer, neurons=options.neurons, ax=ax)

    return draw


def _eligibility(view: RunView, options: Options, ax: Axes) -> None:
    known = [name for name in recordable(view.spec, view.ready[0].rule) if name.startswith("trace_")]
    if not known:
        raise DataError("plot", "this rule has no eligibility traces", expected='a rule with eligibility="trace"')
    plot.eligibility(_recorded(view, options, known[0]), options.layer, neurons=options.neurons, ax=ax)


def _weights_of(view: RunView, options: Options) -> str:
    layer = options.layer or next(iter(view.weights))
    if layer not in view.weights:
        raise DataError("plot", "there are no such weights", got=repr(layer), expected=", ".join(view.weights))
    return layer


def _kernels(view: RunView, options: Options, ax: Axes) -> None:
    layer = _weights_of(view, options)
    source = next((q.in_shape for q in view.spec.projections if q.name == layer), None)
    array = view.weights[layer]
    plot.kernels(array, source if array.ndim == 2 else None, most=options.neurons or 64, title=layer, ax=ax)


def _weights(view: RunView, options: Options, ax: Axes) -> None:
    layer = _weights_of(view, options)
    plot.weight_histogram(view.weights[layer], view.initial_weights.get(layer), title=layer, ax=ax)


def _learning_curve(view: RunView, options: Options, ax: Axes) -> None:
    if options.others:
        plot.learning_curve([view.folder.path, *options.others], ax=ax)
    else:
        plot.learning_curve({view.rule_name: view.folder.path}, ax=ax)


def _confusion(view: RunView, options: Options, ax: Axes) -> None:
    plot.confusion(view.ready[2], view.tested, ax=ax)


def _targets(view: RunView, options: Options, ax: Axes) -> None:
    learner, state, samples = view.ready
    if np.ndim(samples.targets) == 3:
        samples = samples[options.sample : options.sample + 1]
    plot.targets(samples, learner.infer(state, samples, record="readout"), ax=ax)


def _network(view: RunView, options: Options, ax: Axes) -> None:
    plot.network(view.spec, ax=ax)


def _rates(view: RunView, options: Options, ax: Axes) -> None:
    known = view.metrics[0]["firing_rates_hz"] if view.metrics else ()
    plot.rates(view.metrics, layers=[name for name in known if name not in view.spec.graph.currents], ax=ax)


def _neuron_rates(view: RunView, options: Options, ax: Axes) -> None:
    learner, state, samples = view.ready
    plot.rates(learner.infer(state, samples[:SPIKES], record="spikes"), ax=ax)


#: Name -> what draws it.
KINDS: Mapping[str, Callable[[RunView, Options, Axes], None]] = {
    "raster": _raster,
    "membranes": _membranes,
    "third_factor": _trace(plot.third_factor, "L"),
    "surrogate": _trace(plot.surrogate, "psi"),
    "eligibility": _eligibility,
    "kernels": _kernels,
    "weights": _weights,
    "learning_curve": _learning_curve,
    "confusion": _confusion,
    "targets": _targets,
    "rates": _rates,
    "neuron_rates": _neuron_rates,
    "network": _network,
}
