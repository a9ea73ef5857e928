"""What is recorded: which variable, of which layers, neurons and samples; and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brianlearn.errors import SpecError
from brianlearn.network.checks import is_whole

__all__ = ["OfValues", "Record", "Recorded", "Tap", "indices"]


@dataclass(frozen=True, eq=False)
class Record:
    """What to record of a network: one variable, everywhere or in part.

    A name alone, ``record="v"``, is ``Record("v")``: all layers that have the variable, all neurons, samples and steps.

    Parameters
    ----------
    variable : str
        ``"spikes"``; ``"readout"``, the values of readouts; a state variable or subexpression of neurons by its name,
        e.g. ``"v"``; with a rule ``"psi"``, the surrogate derivative, and with a three-factor rule ``"L"``, the third
        factor, and ``"trace_v"`` (``trace_`` and a state variable), the eligibility trace, if it learns with traces;
        ``"weights"`` while learning (docs/recording.md).
    layers : str or sequence of str, optional
        Names of layers (populations); of projections for traces and weights; of readouts for the readout. All that have
        the variable where it is not given.
    neurons : slice, range, or array_like of int or bool, optional
        Flat indices from 0 on, in every one of the layers; or a mask, with one value per neuron. Of weights: along the
        first axis of their array, the neurons (of a convolution the channels) that they lead to. All where it is not
        given.
    samples : slice, range, or array_like of int or bool, optional
        Positions among the samples that are run, from 0 on. All where it is not given.
    every : int, optional
        Values of every so many steps of a trial, the first included; of weights, after every so many updates.

    Raises
    ------
    SpecError
        What can be right in no network.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(8, bl.CubaLIF())], bl.Readout(3), duration=10*ms)
    >>> learner = bl.Learner(spec, device="numpy")
    >>> samples = bl.Samples([[0.2, 0.4, 0.6, 0.8], [0.8, 0.6, 0.4, 0.2]])
    >>> activity = learner.infer(learner.init(), samples, record=["spikes", bl.Record("v", neurons=[0, 5], every=2)])
    >>> v = activity.recorded["v"]["dense1"]
    >>> v.shape  # samples, steps, neurons
    (2, 5, 2)
    >>> v.times
    array([0., 2., 4., 6., 8.]) * msecond
    """

    variable: str
    layers: Any = None
    neurons: Any = None
    samples: Any = None
    every: int = 1

    def __post_init__(self) -> None:
        if not isinstance(self.variable, str) or not self.variable:
            raise SpecError("Record", "the variable is no name", got=repr(self.variable), expected='text, e.g. "v"')
        owner = f"Record({self.variable!r})"
        if self.layers is not None:
            layers = (self.layers,) if isinstance(self.layers, str) else self.layers
            if not isinstance(layers, Sequence | set | frozenset) or not all(isinstance(name, str) for name in layers):
                raise SpecError(owner, "layers are no names", got=repr(self.layers), expected='e.g. ("dense1",)')
            if not layers:
                raise SpecError(owner, "there are no layers", got=repr(self.layers), expected="at least one name")
            object.__setattr__(self, "layers", tuple(dict.fromkeys(layers)))
        if not is_whole(self.every) or self.every < 1:
            raise SpecError(owner, "every is wrong", got=repr(self.every), expected="a whole number >= 1")
        object.__setattr__(self, "every", int(self.every))
        if self.every > 1 and self.variable == "spikes":
            raise SpecError(
                owner, "spikes are recorded in all steps", got=f"every={self.every}", expected="every=1, the default"
            )

    @property
    def owner(self) -> str:
        """How errors name it."""
        return f"Record({self.variable!r})"


def indices(owner: str, name: str, given: Any, n: int, of: str) -> np.ndarray | None:
    """A choice among n things, as their numbers; None for all of them.

    Parameters
    ----------
    owner, name : str
        Whose choice it is, for errors.
    given : slice, range, array_like of int or bool, or None
    n : int
    of : str
        What is chosen from, for errors.

    Returns
    -------
    numpy.ndarray of int64, in the order given, or None

    Raises
    ------
    SpecError
        No whole numbers, a number out of range or given twice, an empty choice.
    """
    if given is None:
        return None
    expected = f"whole numbers from 0 to {n - 1}: {of}"
    if isinstance(given, slice):
        try:
            found = np.arange(n)[given]
        except TypeError:
            raise SpecError(owner, f"{name} are wrong", got=repr(given), expected="a slice of whole numbers") from None
        if not len(found):
            raise SpecError(owner, f"there are no {name}", got=repr(given), expected=expected)
        return found.astype(np.int64)
    try:
        found = np.asarray(given)
    except (TypeError, ValueError, RuntimeError):
        found = np.asarray(None)
    if found.dtype == bool:
        if found.size != n or found.ndim < 1:
            raise SpecError(
                owner, f"the mask of {name} has the wrong length", got=found.shape, expected=f"({n},): {of}"
            )
        found = np.flatnonzero(found)
    found = np.atleast_1d(found)
    if found.size and (found.ndim != 1 or not np.issubdtype(found.dtype, np.integer)):
        raise SpecError(owner, f"{name} are wrong", got=repr(given)[:200], expected=expected)
    if not found.size:
        raise SpecError(owner, f"there are no {name}", got=repr(given)[:200], expected=expected)
    outside = (found < 0) | (found >= n)
    if outside.any():
        raise SpecError(
            owner, f"{name} are out of range", got=f"{int(found[np.argmax(outside)])} among them", expected=expected
        )
    if len(np.unique(found)) < len(found):
        raise SpecError(owner, f"one of the {name} is given twice", got=repr(given)[:200], expected="each once")
    return found.astype(np.int64)


@dataclass(frozen=True)
class Tap:
    """One variable of one layer, as an engine records it.

    Attributes
    ----------
    variable : str
    layer : str
        The population; for traces the projection.
    neurons : tuple of int or None
        Flat indices in rising order; None for all.
    every : int
        Steps from one value to the next.
    """

    variable: str
    layer: str
    neurons: tuple[int, ...] | None = None
    every: int = 1

    @property
    def over_time(self) -> bool:
        """Whether it has a value in every step: all but spikes."""
        return self.variable != "spikes"


class OfValues:
    """What numpy takes for its ``values``."""

    values: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the values."""
        return tuple(self.values.shape)

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: Any) -> Any:
        return self.values[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        array = np.asarray(self.values, dtype=dtype)
        return array.copy() if copy else array


@dataclass(frozen=True, eq=False)
class Recorded(OfValues):
    """One variable of one layer over time.

    Numpy takes it for its values: ``np.asarray(recorded)``, ``recorded[0, :, 3]``.

    Attributes
    ----------
    variable, layer : str
    values : brian2.Quantity or numpy.ndarray, shape (n, T, neurons)
        With the unit of the variable, if it has one. The values of step k are those at its end, after all that happens
        in it: delivery, integration, threshold and reset.
    times : brian2.Quantity, shape (T,)
        Beginnings of the steps, from the start of the trial on: the times of `brian2.StateMonitor`, and of spikes.
    neurons : numpy.ndarray of int, shape (neurons,)
        Flat indices in the layer.
    samples : numpy.ndarray of int, shape (n,)
        Positions among the samples that were run.
    """

    variable: str
    layer: str
    values: Any
    times: Any
    neurons: np.ndarray
    samples: np.ndarray
