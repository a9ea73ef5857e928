"""Silenced neurons: how much of a trained network can be lost."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from brianlearn.errors import SpecError
from brianlearn.network.spec import NetworkSpec, Projection
from brianlearn.study.kinds.base import Values, axis, stream
from brianlearn.study.kinds.tested import subject_of, tested
from brianlearn.study.study import Study

__all__ = ["silenced", "without_neurons"]


def silenced(
    run: str | os.PathLike[str],
    fractions: Values = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9),
    seeds: Values = (0, 1, 2, 3, 4),
    engine: str | None = None,
    device: str | None = None,
    limit: int | None = None,
) -> Study:
    """What is left of a trained network when some of its neurons are silent.

    In each hidden layer a fraction of the neurons is drawn, and their outgoing weights are set to 0. Where the next
    layer is a convolution, whose weights all neurons of a channel share, whole channels are drawn. A larger fraction
    silences all that a smaller one does, with the same seed.

    Parameters
    ----------
    run : path-like
        The run folder.
    fractions : sequence of float or str, optional
        Between 0 and 1; round(fraction n) of n neurons (channels) are silenced.
    seeds : sequence of int or str, optional
        Of the choice.
    engine, device, limit : optional
        As in `evaluate`.

    Returns
    -------
    Study
        Axes ``fraction`` and ``seed``; metrics as `Tested.measure`. Rates include the neurons that nobody hears.

    Raises
    ------
    RunFolderError, SpecError, RuleError
        As `robustness`; a network without hidden layers.
    """
    subject, trained = subject_of(run, engine, device, limit)
    if not _hidden(trained.spec):
        raise SpecError("silenced", "the network has no hidden layer", expected="a layer or a readout behind another")
    axes = {
        "fraction": axis("fraction", fractions, low=0.0, high=1.0),
        "seed": axis("seed", seeds, low=0, whole=True),
    }
    return Study(silenced_trial, axes, fixed={"subject": subject}, name="silenced")


def silenced_trial(subject: Mapping[str, Any], fraction: float, seed: int = 0) -> dict[str, Any]:
    """One trial of `silenced`."""
    network = tested(subject)
    return network.measure(without_neurons(network.spec, network.weights, fraction, seed))


def _hidden(spec: NetworkSpec) -> list[tuple[Projection, Projection]]:
    """Hidden layers, each with the layer that it projects to."""
    spec.check_chain("silenced")
    chain = [q for q in (*spec.projections, *spec.readout_projections) if not q.is_bias]
    return list(pairwise(chain))


def without_neurons(
    spec: NetworkSpec, weights: Mapping[str, np.ndarray], fraction: float, seed: int
) -> dict[str, np.ndarray]:
    """Weights in which a fraction of each hidden layer's neurons has none outgoing.

    Parameters
    ----------
    spec : NetworkSpec
    weights : mapping
        Layer name -> array.
    fraction : float
    seed : int

    Returns
    -------
    dict
        All weights; those that change are copies.
    """
    made = dict(weights)
    for layer, following in _hidden(spec):
        array = np.array(made[following.name])
        # the second axis of dense weights are the neurons before them, that of kernels the channels
        n = array.shape[1]
        order = stream(seed, "silenced", layer.name).permutation(n)
        array[:, order[: round(fraction * n)]] = 0.0
        made[following.name] = array
    return made
