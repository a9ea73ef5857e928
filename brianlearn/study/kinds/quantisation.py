"""Quantised weights: how many bits a trained network needs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from brianlearn.study.kinds.base import Values, axis
from brianlearn.study.kinds.tested import subject_of, tested
from brianlearn.study.study import Study

__all__ = ["quantisation", "quantised"]


def quantisation(
    run: str | os.PathLike[str],
    bits: Values = (1, 2, 3, 4, 5, 6, 7, 8),
    engine: str | None = None,
    device: str | None = None,
    limit: int | None = None,
) -> Study:
    """How many bits the weights of a trained network need.

    The weights of each layer, the readout too, are rounded to a symmetric uniform grid, see `quantised`.

    Parameters
    ----------
    run : path-like
        The run folder.
    bits : sequence of int or str, optional
    engine, device, limit : optional
        As in `evaluate`.

    Returns
    -------
    Study
        Axis ``bits``; metrics as `Tested.measure`, and ``weight_error``, the root mean square of the rounding over that
        of the weights.

    Raises
    ------
    RunFolderError, SpecError, RuleError
        As `robustness`.
    """
    subject, _ = subject_of(run, engine, device, limit)
    return Study(
        quantisation_trial,
        {"bits": axis("bits", bits, low=1, high=32, whole=True)},
        fixed={"subject": subject},
        name="quantisation",
    )


def quantisation_trial(subject: Mapping[str, Any], bits: int) -> dict[str, Any]:
    """One trial of `quantisation`."""
    network = tested(subject)
    before = {p.name: network.weights[p.name] for p in network.projections}
    after = {name: quantised(array, bits) for name, array in before.items()}
    error = sum(float(np.sum((after[name] - before[name]) ** 2)) for name in before)
    power = sum(float(np.sum(np.square(array, dtype=float))) for array in before.values())
    return network.measure(network.weights | after) | {"weight_error": float(np.sqrt(error / power)) if power else 0.0}


def quantised(weights: np.ndarray, bits: int) -> np.ndarray:
    """Weights on a symmetric uniform grid.

    With b >= 2 bits, the 2^b - 1 values k D, k = -(2^(b-1) - 1), ..., 2^(b-1) - 1, with D = max|w| / (2^(b-1) - 1);
    each weight goes to the nearest (the range without -2^(b-1) of Jacob et al. 2018, arXiv:1712.05877). With one bit
    sign(w) mean|w|, which is nearest to w in the mean square (Rastegari et al. 2016, arXiv:1603.05279).

    Parameters
    ----------
    weights : numpy.ndarray
    bits : int

    Returns
    -------
    numpy.ndarray of float64
    """
    weights = np.asarray(weights, float)
    if bits == 1:
        return np.where(weights < 0, -1.0, 1.0) * np.mean(np.abs(weights))
    largest = float(np.max(np.abs(weights), initial=0.0))
    if largest == 0.0:
        return weights.copy()
    step = largest / (2 ** (bits - 1) - 1)
    return np.rint(weights / step) * step
