"""What goes into a network and what comes out: samples, events, spike rasters, activity."""

from __future__ import annotations

import hashlib
import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from brianlearn.errors import DataError, ShapeError
from brianlearn.spec.arrays import integers, numbers
from brianlearn.spec.encoders import Spikes
from brianlearn.spec.network import NetworkSpec

__all__ = ["Activity", "Events", "Raster", "Recordings", "Samples"]

#: Of an event: durations, and differences of steps, stay inside of int64.
LAST_STEP = 2**62


class Recordings(ABC):
    """Base class of input spikes that are given: `Events` in memory, or recordings that stay on disk until they run.

    Attributes
    ----------
    shape : tuple of int
        Shape of the input, (channels, height, width).
    """

    shape: tuple[int, ...]

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: Any) -> Recordings: ...

    @property
    @abstractmethod
    def durations(self) -> np.ndarray:
        """Time steps up to the last event of each recording, int64 (n,); 0 where there is none."""

    @abstractmethod
    def window(self, start: np.ndarray) -> Recordings:
        """The recordings from time step ``start``, shape (n,), on; earlier events are left out."""

    @abstractmethod
    def dense(self, n_steps: int) -> np.ndarray:
        """Spikes as bool, shape (n, n_steps, n_inputs); later events are left out."""

    @abstractmethod
    def load(self) -> Events:
        """All events, in memory."""

    @abstractmethod
    def digest(self) -> bytes:
        """A checksum of all events."""


@dataclass(frozen=True, eq=False)
class Events(Recordings):
    """Input spikes of n samples in memory, binned at the network's time step.

    An input may have several events in one step: one spike for the encoder `Spikes`, and as many for `IntegrateEvents`.

    Attributes
    ----------
    step : numpy.ndarray of int64, shape (n_events,)
        Time step inside the trial. May be given in any type of integers, as may the next two.
    neuron : numpy.ndarray of int64, shape (n_events,)
        Flat index into ``shape``.
    offsets : numpy.ndarray of int64, shape (n + 1,)
        Events of sample k are ``offsets[k]:offsets[k + 1]``.
    shape : tuple of int
        Shape of the input, (channels, height, width).

    Raises
    ------
    DataError, ShapeError
        What are no integers, or out of range; offsets that fall.
    """

    step: np.ndarray
    neuron: np.ndarray
    offsets: np.ndarray
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        try:
            shape = tuple(operator.index(n) for n in self.shape)
        except TypeError:
            shape = ()
        if not shape or min(shape) < 1:
            raise ShapeError("Events", "shape is wrong", got=repr(self.shape), expected="(channels, height, width)")
        object.__setattr__(self, "shape", shape)
        for name in ("step", "neuron", "offsets"):
            object.__setattr__(self, name, integers("Events", name, getattr(self, name), "an array of int"))
        step, neuron, offsets = self.step, self.neuron, self.offsets
        if step.shape != neuron.shape or step.ndim != 1:
            raise DataError("Events", "step and neuron differ in shape", got=f"{step.shape} and {neuron.shape}")
        if (
            offsets.ndim != 1
            or len(offsets) < 1
            or offsets[0] != 0
            or offsets[-1] != len(step)
            or np.any(offsets[1:] < offsets[:-1])
        ):
            raise DataError(
                "Events", "offsets do not divide the events", expected="0 <= ... <= number of events, rising"
            )
        size = math.prod(shape)
        if len(step) and (step.min() < 0 or step.max() > LAST_STEP or neuron.min() < 0 or neuron.max() >= size):
            raise DataError(
                "Events",
                "an event is out of range",
                got=f"steps {step.min()} to {step.max()}, neurons {neuron.min()} to {neuron.max()}",
                expected=f"steps 0 to {LAST_STEP}, neurons 0 to {size - 1} (shape {self.shape})",
            )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: Any) -> Events:
        chosen = np.arange(len(self))[index]
        parts = [np.arange(self.offsets[k], self.offsets[k + 1]) for k in chosen]
        rows = np.concatenate(parts) if parts else np.zeros(0, int)
        offsets = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
        return Events(self.step[rows], self.neuron[rows], offsets, self.shape)

    @property
    def durations(self) -> np.ndarray:
        result = np.zeros(len(self), np.int64)
        np.maximum.at(result, self._sample(), self.step + 1)
        return result

    def window(self, start: np.ndarray) -> Events:
        sample = self._sample()
        step = self.step - np.asarray(start, np.int64)[sample]
        kept = step >= 0
        offsets = np.searchsorted(sample[kept], np.arange(len(self) + 1))
        return Events(step[kept], self.neuron[kept], offsets, self.shape)

    def load(self) -> Events:
        return self

    def digest(self) -> bytes:
        found = hashlib.sha256(repr(tuple(self.shape)).encode())
        for array in (self.step, self.neuron, self.offsets):
            found.update(f"{array.dtype} {array.shape} ".encode())
            found.update(np.ascontiguousarray(array).data)
        return found.digest()

    def _sample(self) -> np.ndarray:
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    def dense(self, n_steps: int) -> np.ndarray:
        result = np.zeros((len(self), n_steps, int(np.prod(self.shape))), bool)
        sample = self._sample()
        inside = self.step < n_steps
        result[sample[inside], self.step[inside], self.neuron[inside]] = True
        return result


def _whole_labels(labels: np.ndarray) -> np.ndarray:
    """Labels as integers, where they are whole numbers with a point."""
    if labels.size and np.issubdtype(labels.dtype, np.floating) and np.isfinite(labels).all():
        whole = labels.astype(np.int64)
        return whole if (whole == labels).all() else labels
    return labels


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs with labels.

    Parameters
    ----------
    inputs : array_like or Recordings
        Values, shape (n, *input shape), finite, as an array of any layout or a tensor; or `Events`, or recordings on
        disk.
    labels : array_like of int, shape (n,), optional
        Classes from 0 on. Learning and accuracy need them.
    ids : array_like of int, shape (n,), optional
        Identifies each presentation for random encoders and dropout; 0..n-1 where not given.
    """

    inputs: Any
    labels: Any = None
    ids: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.inputs, Recordings):
            values = numbers("Samples", "inputs", self.inputs, "an array (n, ...)")
            values = values if values.dtype in (np.float32, np.float64, np.uint8) else values.astype(float)
            if values.ndim < 2:
                raise DataError("Samples", "inputs have the wrong shape", got=values.shape, expected="(n, ...)")
            object.__setattr__(self, "inputs", values)
        n = len(self.inputs)
        if self.labels is not None:
            labels = _whole_labels(_given("labels", self.labels, n))
            if labels.shape != (n,) or not (np.issubdtype(labels.dtype, np.integer)):
                raise DataError(
                    "Samples",
                    "labels have the wrong shape or type",
                    got=f"{labels.dtype} {labels.shape}",
                    expected=f"integers, shape ({n},)",
                    remedy="of one-hot labels take argmax(axis=1), of a column its values labels[:, 0]"
                    if labels.ndim == 2
                    else None,
                )
            object.__setattr__(self, "labels", integers("Samples", "labels", labels, "classes from 0 on"))
        ids = np.arange(n) if self.ids is None else _given("ids", self.ids, n)
        if ids.shape != (n,) or (n and not np.issubdtype(ids.dtype, np.integer)):
            raise DataError(
                "Samples",
                "ids have the wrong shape or type",
                got=f"{ids.dtype} {ids.shape}",
                expected=f"integers, shape ({n},)",
            )
        object.__setattr__(self, "ids", ids.astype(np.int64))

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: Any) -> Samples:
        labels = None if self.labels is None else self.labels[index]
        return Samples(self.inputs[index], labels, self.ids[index])

    def check(self, spec: NetworkSpec, *, labels: bool) -> None:
        """Check against a network.

        Parameters
        ----------
        spec : NetworkSpec
        labels : bool
            Whether labels are needed.

        Raises
        ------
        ShapeError, DataError
            Wrong shapes, labels out of range, values that are not finite (naming the sample).
        """
        if isinstance(self.inputs, Recordings) != isinstance(spec.input.encoder, Spikes):
            raise DataError(
                "Samples",
                "inputs and encoder do not fit",
                got=f"{type(self.inputs).__name__} for encoder {type(spec.input.encoder).__name__}",
                expected="Events with the encoders Spikes() and IntegrateEvents(), values with the others",
            )
        shape = self.inputs.shape if isinstance(self.inputs, Recordings) else self.inputs.shape[1:]
        if tuple(shape) != spec.input.shape:
            raise ShapeError("Samples", "inputs do not fit the network", got=shape, expected=spec.input.shape)
        if not isinstance(self.inputs, Recordings) and self.inputs.dtype != np.uint8:
            bad = ~np.isfinite(self.inputs).all(axis=tuple(range(1, self.inputs.ndim)))
            if bad.any():
                k = int(np.argmax(bad))
                raise DataError(
                    "Samples",
                    "an input is not finite",
                    got=f"NaN or infinity in sample {int(self.ids[k])} (position {k}), {int(bad.sum())} samples in all",
                    expected="finite values",
                )
        if labels:
            if self.labels is None:
                raise DataError("Samples", "there are no labels", expected="labels=..., integers from 0 on")
            bad = (self.labels < 0) | (self.labels >= spec.classes)
            if bad.any():
                k = int(np.argmax(bad))
                raise DataError(
                    "Samples",
                    "a label is out of range",
                    got=f"label {int(self.labels[k])} of sample {int(self.ids[k])} (position {k})",
                    expected=f"0 to {spec.classes - 1}: the output has {spec.classes} classes",
                    remedy="correct the labels, or give the readout more classes",
                )


def _given(name: str, value: Any, n: int) -> np.ndarray:
    return numbers("Samples", name, value, f"integers, shape ({n},)", problem=f"{name} have the wrong shape or type")


@dataclass(frozen=True, eq=False)
class Raster:
    """Spike trains of one layer.

    Attributes
    ----------
    trial, step, neuron : numpy.ndarray of int32, shape (n_spikes,)
        Sorted by trial, then step, then neuron.
    n_trials, n_steps : int
    shape : tuple of int
        Shape of the layer; ``neuron`` is the flat index.
    """

    trial: np.ndarray
    step: np.ndarray
    neuron: np.ndarray
    n_trials: int
    n_steps: int
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.trial)

    def dense(self) -> np.ndarray:
        """Spikes as bool, shape (n_trials, n_steps, *shape)."""
        result = np.zeros((self.n_trials, self.n_steps, int(np.prod(self.shape))), bool)
        result[self.trial, self.step, self.neuron] = True
        return result.reshape(self.n_trials, self.n_steps, *self.shape)

    @staticmethod
    def concatenate(rasters: Sequence[Raster]) -> Raster:
        """One raster from consecutive ones of the same layer."""
        shift = np.cumsum([0, *[r.n_trials for r in rasters]])
        trial = np.concatenate([r.trial + s for r, s in zip(rasters, shift, strict=False)])
        step = np.concatenate([r.step for r in rasters])
        neuron = np.concatenate([r.neuron for r in rasters])
        first = rasters[0]
        return Raster(trial, step, neuron, int(shift[-1]), first.n_steps, first.shape)


@dataclass(frozen=True, eq=False)
class Activity:
    """What a network did.

    Attributes
    ----------
    predictions : numpy.ndarray of int, shape (n,)
    logits : numpy.ndarray, shape (n, classes)
        Mean readout over the steps after the burn-in (spike counts of a network without readout).
    firing_rates : dict
        Layer name -> mean rate in Hz per neuron, the input included.
    spikes : dict
        Layer name -> `Raster`, where recorded.
    readout : numpy.ndarray, shape (n, n_steps, classes), or None
        The readout over time, where recorded.
    accuracy, loss : float or None
        Against the labels, where the samples have them. The loss is the mean squared error of the readout against
        the one-hot label, mean over steps after the burn-in, classes and samples; in the discrete engine, with a
        back-propagation rule, that of the rule.
    """

    predictions: np.ndarray
    logits: np.ndarray
    firing_rates: Mapping[str, float]
    spikes: Mapping[str, Raster] = field(default_factory=dict)
    readout: np.ndarray | None = None
    accuracy: float | None = None
    loss: float | None = None
