"""Learned delays as fixed ones: what all runs that does not learn them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TypeVar

import numpy as np
from brian2 import second

from brianlearn.network.spec import NetworkSpec

__all__ = ["rounded", "without_delays"]

Value = TypeVar("Value")


def rounded(
    spec: NetworkSpec, weights: Mapping[str, np.ndarray], but: Collection[str] = ()
) -> tuple[NetworkSpec, dict[str, np.ndarray]]:
    """The same network with the learned delays of its weights on the time grid, as fixed delays.

    Parameters
    ----------
    spec : NetworkSpec
    weights : mapping
        Name -> array; ``<projection>_delay`` in ms, as `LearnedDelays` keeps them.
    but : collection of str
        Names of delays that stay learned.

    Returns
    -------
    spec : NetworkSpec
        The same object where there is nothing to round.
    weights : dict
        Those of this network: without the delays that are fixed now.
    """
    chosen = {name: q for name, q in spec.learned_delays.items() if name not in but}
    dt = float(spec.dt)
    fixed = {q.name: q.delay.rounded(weights[name], dt) * dt * second for name, q in chosen.items()}
    return spec.with_delays(fixed), without_delays(weights, chosen)


def without_delays(values: Mapping[str, Value], names: Collection[str]) -> dict[str, Value]:
    """What belongs to weights, without that of some delays.

    Parameters
    ----------
    values : mapping
        Name -> value.
    names : collection of str
        Of delays.

    Returns
    -------
    dict
    """
    return {name: value for name, value in values.items() if name not in names}
