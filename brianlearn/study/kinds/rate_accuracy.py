"""The trade-off between firing rate and accuracy: how few spikes a network can learn with."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import DataError, SpecError
from brianlearn.network.spec import NetworkSpec
from brianlearn.study.axes import Axis, parse_axis
from brianlearn.study.kinds.base import Values, axis
from brianlearn.study.kinds.thresholds import threshold_distance, with_shifted_thresholds
from brianlearn.study.kinds.trainable import experiment_of, settings_of, source_of
from brianlearn.study.parameters import with_parameters
from brianlearn.study.study import Study
from brianlearn.training.experiment import Experiment

if TYPE_CHECKING:
    import xarray

__all__ = ["pareto", "rate_accuracy", "with_gain"]


def rate_accuracy(
    script: Any,
    gains: Values = (0.5, 0.7, 1.0, 1.4, 2.0),
    thresholds: Values = (1.0,),
    seeds: Values = (0, 1, 2),
    parameter: str | None = None,
    values: Values | None = None,
    epochs: int | None = None,
    limit: int | None = None,
    options: Mapping[str, Any] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> Study:
    """How few spikes a network can learn with: it is trained at several levels of activity.

    Parameters
    ----------
    script : path-like, callable or Experiment
        A script with ``experiment()``, such a function, a run folder or an experiment.
    gains : sequence of float or str, optional
        Factors of the initial weights of the spiking layers.
    thresholds : sequence of float or str, optional
        Factors of the distance from where the membrane starts to the threshold.
    seeds : sequence of int or str, optional
    parameter : str, optional
        Another parameter that changes the activity, such as ``"input.encoder.gain"``, see `with_parameters`.
    values : sequence or str, optional
        Its values.
    epochs, limit : int, optional
        As in `Experiment`; those of the script where they are not given.
    options : mapping, optional
        Other arguments of the script's ``experiment()``.
    parameters : mapping, optional
        Other settings, see `with_parameters`.

    Returns
    -------
    Study
        Axes ``gain``, ``threshold``, the parameter, and ``seed``; see `pareto` for its result.

    Raises
    ------
    SpecError, RuleError, RunFolderError
        What cannot be trained, each named, before anything runs.
    """
    source = source_of(script, options)
    axes = {
        "gain": axis("gain", gains, low=0.0, open_low=True),
        "threshold": axis("threshold", thresholds, low=0.0, open_low=True),
    }
    if (parameter is None) != (values is None):
        raise SpecError("rate_accuracy", "one of parameter and values is missing", expected="both, or none")
    if parameter is not None:
        if parameter in (*axes, "seed"):
            raise SpecError("rate_accuracy", "the parameter is an axis already", got=parameter, expected="another one")
        text = isinstance(values, str)
        axes[parameter] = parse_axis(f"{parameter}={values}") if text else Axis.make(parameter, values)
    axes["seed"] = axis("seed", seeds, low=0, whole=True)
    fixed = settings_of(epochs, limit, parameters)
    shifted = tuple(map(float, axes["threshold"].values)) != (1.0,)
    if not shifted:
        del axes["threshold"]
    study = Study(active_experiment, axes, fixed={"source": source, **fixed}, name="rate-accuracy")
    experiment = with_parameters(active_experiment(source, 1.0), fixed)
    if shifted:
        for name, part in experiment.spec.parts.items():
            threshold_distance(part.neuron, name)  # refuses what has none
    if parameter is not None:
        for value in study.axes[parameter].values:
            with_parameters(experiment, {parameter: value})
    return study


def active_experiment(source: Mapping[str, Any], gain: float, threshold: float | None = None) -> Experiment:
    """One trial of `rate_accuracy`, before other parameters are put in."""
    experiment = experiment_of(source)
    spec = with_gain(experiment.spec, gain)
    if threshold is not None:
        spec = with_shifted_thresholds(spec, dict.fromkeys(spec.parts, threshold))
    return dataclasses.replace(experiment, spec=spec)


def with_gain(spec: NetworkSpec, gain: float) -> NetworkSpec:
    """The network with the initial weights of its spiking layers ``gain`` times as large."""
    spec.check_chain("rate_accuracy, gain")
    layers = [
        dataclasses.replace(layer, weights=layer.weights.scaled(gain))  # type: ignore[type-var]
        for layer in spec.layers
    ]
    return dataclasses.replace(spec, layers=layers)


def pareto(
    results: xarray.Dataset, cost: str = "firing_rate", gain: str = "test_accuracy", over: str | None = "seed"
) -> xarray.Dataset:
    """The points than which no other is both cheaper and better.

    Parameters
    ----------
    results : xarray.Dataset
        Of any study.
    cost : str, optional
        The metric of which less is better.
    gain : str, optional
        The metric of which more is better.
    over : str or None, optional
        The axis over which both are averaged first.

    Returns
    -------
    xarray.Dataset
        Along ``point``, from the cheapest on: both metrics, and the coordinates of each point. Points without a number
        are left out.

    Raises
    ------
    DataError
        If there are no such metrics.
    """
    missing = [name for name in (cost, gain) if name not in results or results[name].dtype.kind not in "fiu"]
    if missing:
        numbers = sorted(str(name) for name, v in results.data_vars.items() if v.dtype.kind in "fiu")
        raise DataError(
            "pareto", "there is no such number in the results", got=", ".join(missing), expected=", ".join(numbers)
        )
    both = results[[cost, gain]]
    if over is not None and over in both.dims:
        both = both.mean(over, keep_attrs=True)
    # not its index: a point may have any coordinates, and a grid is one point after another
    flat = both.stack(point=both[cost].dims, create_index=False)
    costs, gains = flat[cost].values.astype(float), flat[gain].values.astype(float)
    known = np.flatnonzero(np.isfinite(costs) & np.isfinite(gains))
    order = known[np.lexsort((-gains[known], costs[known]))]
    kept, best = [], -np.inf
    for k in order:
        if gains[k] > best:
            kept.append(int(k))
            best = gains[k]
    return flat.isel(point=kept)
