"""The inputs of a user's network: generators of spikes, Poisson groups, and groups that stand for samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2 import PoissonGroup, SpikeGeneratorGroup, second
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS
from brian2.input.timedarray import TimedArray

from brianlearn.brian.adopt.names import quantity
from brianlearn.brian.adopt.refusal import refused

__all__ = ["given_spikes", "rates_of"]


def given_spikes(group: SpikeGeneratorGroup, n_steps: int, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """The steps and neurons of a generator's spikes, as Brian2 puts times into steps.

    Parameters
    ----------
    group : brian2.SpikeGeneratorGroup
    n_steps : int
    dt : float
        Seconds.

    Returns
    -------
    step, neuron : numpy.ndarray of int

    Raises
    ------
    SpecError
        A period.
    """
    period = float(group.variables["period"].get_value()[0])
    if 0 < period < np.inf:
        raise refused(
            group, "it repeats its spikes", line=f"period={period:g}*second", expected="all spikes by their times"
        )
    times = np.array(group.variables["spike_time"].get_value(), float)
    neuron = np.array(group.variables["neuron_index"].get_value(), int)
    step = ((times + 1e-3 * dt) / dt).astype(int)
    return step[step < n_steps], neuron[step < n_steps]


def rates_of(group: PoissonGroup, n_steps: int, dt: float, namespace: Mapping[str, Any]) -> np.ndarray:
    """The rates of a PoissonGroup; in each step Brian2 draws spikes with the probability rate*dt.

    Parameters
    ----------
    group : brian2.PoissonGroup
    n_steps : int
    dt : float
        Seconds.
    namespace : mapping
        Where the script runs.

    Returns
    -------
    numpy.ndarray, shape (n_steps, neurons)
        In Hz.

    Raises
    ------
    SpecError
        Rates that cannot be computed.
    """
    text, n = group._rates, len(group)
    if isinstance(text, str):
        names: dict[str, Any] = dict(DEFAULT_FUNCTIONS.items())
        names |= dict(DEFAULT_UNITS.items())
        names |= {name: constant.value for name, constant in DEFAULT_CONSTANTS.items()}
        names |= {**namespace, **group.namespace, "i": np.arange(n), "N": n, "dt": dt * second}
        names |= {name: _Timed(value, n) for name, value in names.items() if isinstance(value, TimedArray)}
        code = compile(text.strip(), "<rates>", "eval")
        try:
            each = [eval(code, {}, {**names, "t": t * dt * second}) for t in range(n_steps)]
            return np.stack([np.broadcast_to(np.asarray(rate, float), (n,)) for rate in each])
        except Exception as error:
            raise refused(
                group,
                "its rates cannot be computed",
                line=f"rates={text!r}",
                expected="an expression of t, i, constants and timed arrays",
                remedy=f"Python says: {error}",
            ) from None
    return np.broadcast_to(np.asarray(text, float), (n_steps, n))


class _Timed:
    """A timed array that takes a time and, with a second axis, all neurons."""

    def __init__(self, array: TimedArray, n: int) -> None:
        self._array, self._n = array, n

    def __call__(self, t: Any, i: Any = None) -> Any:
        if i is None:
            return self._array(t)
        index = np.broadcast_to(np.asarray(i, int), (self._n,))
        return quantity(np.array([float(np.asarray(self._array(t, k))) for k in index]), self._array.dim)
