"""Heterogeneous neurons: what it does to a trained network that a constant differs between neurons."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from brianlearn.errors import SpecError
from brianlearn.network.spec import NetworkSpec
from brianlearn.study.kinds.base import Values, axis, stream
from brianlearn.study.kinds.tested import subject_of, tested
from brianlearn.study.study import Study

__all__ = ["factors", "heterogeneity", "with_spread"]


def heterogeneity(
    run: str | os.PathLike[str],
    constant: str = "tau_m",
    spread: Values = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
    distribution: Literal["lognormal", "uniform"] = "lognormal",
    seeds: Values = (0, 1, 2, 3, 4),
    engine: str | None = None,
    device: str | None = None,
    limit: int | None = None,
) -> Study:
    """What it does to a trained network that a constant differs from neuron to neuron.

    Each neuron of every layer that has the constant gets its own value; their mean over the layer is kept exactly.

    Parameters
    ----------
    run : path-like
        The run folder.
    constant : str, optional
        A constant of its neurons.
    spread : sequence of float or str, optional
        Standard deviation over mean, of the distribution.
    distribution : {"lognormal", "uniform"}, optional
        A uniform one allows a spread below 1/sqrt(3) = 0.577: values do not change their sign.
    seeds : sequence of int or str, optional
        Of the values. A seed ranks the neurons in the same way for each spread.
    engine, device, limit : optional
        As in `evaluate`.

    Returns
    -------
    Study
        Axes ``spread`` and ``seed``; metrics as `Tested.measure`.

    Raises
    ------
    RunFolderError, SpecError, RuleError
        As `robustness`; a constant that no neuron has, or that is 0.
    """
    subject, trained = subject_of(run, engine, device, limit)
    if distribution not in ("lognormal", "uniform"):
        raise SpecError(
            "heterogeneity", "unknown distribution", got=repr(distribution), expected="'lognormal' or 'uniform'"
        )
    made = axis("spread", spread, low=0.0)
    limit_of_uniform = 1 / math.sqrt(3)
    if distribution == "uniform" and max(map(float, made.values)) >= limit_of_uniform:
        raise SpecError(
            "axis spread",
            "a value is too large for a uniform distribution",
            got=f"{max(map(float, made.values)):g}",
            expected=f"below {limit_of_uniform:.3f}, so that no value reaches 0",
            remedy="distribution='lognormal'",
        )
    with_spread(trained.spec, constant, 0.0, distribution, 0)  # refuses a constant that there is not
    axes = {"spread": made, "seed": axis("seed", seeds, low=0, whole=True)}
    fixed = {"subject": subject, "constant": constant, "distribution": distribution}
    return Study(heterogeneity_trial, axes, fixed=fixed, name=f"heterogeneity-{constant}")


def heterogeneity_trial(
    subject: Mapping[str, Any], constant: str, distribution: str, spread: float, seed: int = 0
) -> dict[str, Any]:
    """One trial of `heterogeneity`."""
    network = tested(subject)
    return network.measure(spec=with_spread(network.spec, constant, spread, distribution, seed))


def factors(n: int, spread: float, distribution: str, rng: np.random.Generator) -> np.ndarray:
    """Positive numbers with a mean of exactly 1, from a distribution of this spread.

    Log-normal: exp(s z - s^2/2), s^2 = ln(1 + spread^2). Uniform: 1 + sqrt(3) spread (2u - 1). Both have mean 1 and
    standard deviation ``spread``; the numbers drawn are then divided by their own mean.

    Parameters
    ----------
    n : int
    spread : float
    distribution : {"lognormal", "uniform"}
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, shape (n,)
    """
    if distribution == "lognormal":
        s = math.sqrt(math.log1p(spread**2))
        drawn = np.exp(s * rng.standard_normal(n) - s**2 / 2)
    else:
        drawn = 1.0 + math.sqrt(3.0) * spread * (2.0 * rng.random(n) - 1.0)
    return drawn / drawn.mean()


def with_spread(spec: NetworkSpec, constant: str, spread: float, distribution: str, seed: int) -> NetworkSpec:
    """The network with one value of a constant per neuron.

    Parameters
    ----------
    spec : NetworkSpec
    constant : str
    spread : float
    distribution : str
        See `factors`.
    seed : int

    Raises
    ------
    SpecError
        A constant that no neuron has, or that is 0.
    """
    known = sorted({name for part in spec.parts.values() for name in part.neuron.constants})
    if constant not in known:
        raise SpecError(
            "heterogeneity",
            "no neuron has this constant",
            got=repr(constant),
            expected=", ".join(known) or "a network whose neurons have constants",
        )
    parts = {}
    for p in spec.neurons:
        part = spec.parts[p.name]
        neuron = part.neuron
        if constant in neuron.constants:
            value = neuron.constants[constant]
            if not np.all(np.asarray(value)):
                raise SpecError(
                    p.name, f"the constant {constant!r} is 0", expected="a value that a spread is relative to"
                )
            drawn = factors(p.n, spread, distribution, stream(seed, f"spread of {constant}", p.name))
            flat = value.reshape(-1) if np.ndim(value) else value
            neuron = neuron.with_constants(**{constant: flat * drawn})
        parts[p.name] = dataclasses.replace(part, neuron=neuron)
    return spec.with_parts(parts)
