"""Robustness: what noise on weights and thresholds costs a trained network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from brianlearn.network.spec import NetworkSpec
from brianlearn.study.kinds.base import Values, axis, stream
from brianlearn.study.kinds.tested import subject_of, tested
from brianlearn.study.kinds.thresholds import threshold_distance, with_shifted_thresholds
from brianlearn.study.study import Study

__all__ = ["noisy_thresholds", "noisy_weights", "robustness"]


def robustness(
    run: str | os.PathLike[str],
    weight_noise: Values = (0.0, 0.05, 0.1, 0.2, 0.4),
    threshold_noise: Values = (0.0, 0.05, 0.1, 0.2, 0.4),
    seeds: Values = (0, 1, 2, 3, 4),
    together: bool = False,
    engine: str | None = None,
    device: str | None = None,
    limit: int | None = None,
) -> Study:
    """What noise on the weights and thresholds of a trained network costs.

    Noise on weights: w + s std(w) z, with the standard deviation over the weights of each layer (the readout is one),
    and z a standard normal number for each weight. Noise on thresholds: each neuron's is theta + s d z, with d the
    distance of the threshold from where the membrane starts (1 of ``"v > 1"``, 15 mV from -65 to -50 mV). A seed draws
    the same z for each s.

    Parameters
    ----------
    run : path-like
        The run folder.
    weight_noise, threshold_noise : sequence of float or str, optional
        Values of s. Where one of them has 0 alone, that noise is left out.
    seeds : sequence of int or str, optional
        Of the noise.
    together : bool, optional
        Whether both are combined (a grid); else each is added alone.
    engine, device, limit : optional
        As in `evaluate`.

    Returns
    -------
    Study
        Axes ``weight_noise``, ``threshold_noise``, ``seed``; metrics as `Tested.measure`.

    Raises
    ------
    RunFolderError
        No run folder, a damaged one, or one of samples without a name.
    SpecError, RuleError
        Settings that cannot be right, each named.

    Examples
    --------
    >>> import brianlearn as bl
    >>> study = bl.robustness("runs/...", weight_noise=[0, 0.1, 0.2], threshold_noise=[0])  # doctest: +SKIP
    >>> study.run()  # doctest: +SKIP
    >>> study.summary()["test_accuracy_mean"]  # doctest: +SKIP
    """
    subject, trained = subject_of(run, engine, device, limit)
    axes = {
        "weight_noise": axis("weight_noise", weight_noise, low=0.0),
        "threshold_noise": axis("threshold_noise", threshold_noise, low=0.0),
        "seed": axis("seed", seeds, low=0, whole=True),
    }
    where = None
    if tuple(map(float, axes["threshold_noise"].values)) == (0.0,):
        del axes["threshold_noise"]
    else:
        for name, part in trained.spec.parts.items():
            threshold_distance(part.neuron, name)  # refuses what has none
        if not together and len(axes["weight_noise"].values) > 1 and len(axes["threshold_noise"].values) > 1:
            where = "weight_noise == 0 or threshold_noise == 0"
    return Study(robustness_trial, axes, where=where, fixed={"subject": subject}, name="robustness")


def robustness_trial(
    subject: Mapping[str, Any], weight_noise: float, threshold_noise: float | None = None, seed: int = 0
) -> dict[str, Any]:
    """One trial of `robustness`."""
    network = tested(subject)
    # where thresholds are noisy in other trials they are an array here too: one program for all
    spec = None if threshold_noise is None else noisy_thresholds(network.spec, threshold_noise, seed)
    names = [p.name for p in network.projections]
    return network.measure(network.weights | noisy_weights(network.weights, weight_noise, seed, names), spec)


def noisy_weights(weights: Mapping[str, Any], noise: float, seed: int, layers: list[str]) -> dict[str, np.ndarray]:
    """Weights of some layers with Gaussian noise.

    Parameters
    ----------
    weights : mapping
        Layer name -> array.
    noise : float
        Standard deviation, relative to that of the layer's weights.
    seed : int
    layers : list of str

    Returns
    -------
    dict
    """
    return {
        name: weights[name]
        + noise * np.std(weights[name]) * stream(seed, "weights", name).standard_normal(weights[name].shape)
        for name in layers
    }


def noisy_thresholds(spec: NetworkSpec, noise: float, seed: int) -> NetworkSpec:
    """The network with Gaussian noise on each neuron's threshold.

    Parameters
    ----------
    spec : NetworkSpec
    noise : float
        Standard deviation, relative to the distance of the threshold from where the membrane starts.
    seed : int
    """
    return with_shifted_thresholds(
        spec,
        {p.name: 1.0 + noise * stream(seed, "thresholds", p.name).standard_normal(p.n) for p in spec.neurons},
    )
