"""What goes into a network and what comes out: samples, events, spike rasters, activity."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from brianlearn.errors import DataError, ShapeError
from brianlearn.network.encoders import Encoder
from brianlearn.network.inputs import NamedInputs, inputs_of
from brianlearn.network.population import Population
from brianlearn.network.record import Recorded
from brianlearn.network.samples.arrays import numbers
from brianlearn.network.samples.dense_spikes import batches
from brianlearn.network.samples.events import Events, Recordings
from brianlearn.network.samples.targets import check_targets, is_labels, join_targets, on_grid, take_targets
from brianlearn.network.spec import NetworkSpec

__all__ = ["Activity", "Events", "Raster", "Recordings", "Samples"]


@dataclass(frozen=True, eq=False, init=False)
class Samples:
    """Inputs with targets.

    Parameters
    ----------
    inputs : array_like or Recordings, or dict of these
        Values, shape (n, *input shape), finite, as an array of any layout or a tensor; or `Events`, or recordings on
        disk. For a network with several inputs: population -> one of these.
    targets : array_like, optional
        Labels, integers of shape (n,), classes from 0 on. Or values of the outputs, floats of shape (n, out), the same
        in every step, or (n, n_steps, out). Or spike trains of the output neurons, bool of shape (n, n_steps, out), or
        for each sample a list of (neuron, time with unit). Learning and metrics need them (docs/targets.md).
    ids : array_like of int, shape (n,), optional
        Identifies each presentation for random encoders and dropout; 0..n-1 where not given.
    labels : array_like of int, shape (n,), optional
        Another name for ``targets``, in whose place they stand.

    Raises
    ------
    DataError
        Inputs that are no numbers; targets that are neither labels, values nor spike trains, or not as many.
    UnitError
        Times of target spikes without a unit.
    """

    inputs: Any
    targets: Any
    ids: Any

    def __init__(self, inputs: Any, targets: Any = None, ids: Any = None, *, labels: Any = None) -> None:
        if isinstance(inputs, Mapping):
            inputs = NamedInputs({name: _values(part, f"inputs of {name!r}") for name, part in inputs.items()})
        elif not isinstance(inputs, NamedInputs):
            inputs = _values(inputs, "inputs")
        object.__setattr__(self, "inputs", inputs)
        n = len(inputs)
        if labels is not None:
            targets = labels  # also of a copy, for which dataclasses.replace gives the old targets
        object.__setattr__(self, "targets", None if targets is None else take_targets(targets, n))
        ids = np.arange(n) if ids is None else _given("ids", ids, n)
        if ids.shape != (n,) or (n and not np.issubdtype(ids.dtype, np.integer)):
            raise DataError(
                "Samples",
                "ids have the wrong shape or type",
                got=f"{ids.dtype} {ids.shape}",
                expected=f"integers, shape ({n},)",
            )
        object.__setattr__(self, "ids", ids.astype(np.int64))

    @property
    def labels(self) -> Any:
        """The targets where they are labels, int64 (n,); else None."""
        return self.targets if is_labels(self.targets) else None

    @classmethod
    def from_loader(cls, loader: Any, axes: str = "", labels: bool = True) -> Samples:
        """Spikes, or numbers of events, with labels, from a torch DataLoader.

        Parameters
        ----------
        loader : iterable of (inputs, labels)
            E.g. a ``torch.utils.data.DataLoader`` without shuffling; it is read to its end.
        axes : str
            What the axes of its inputs are, as in `Events.from_dense`, e.g. ``"BTCHW"`` or ``"TBCHW"``. Batches may
            differ in their number of time steps.
        labels : bool, optional
            Whether batches are (inputs, labels), or inputs alone.

        Returns
        -------
        Samples
            With `Events`.

        Raises
        ------
        DataError
            What is no loader, holds nothing, or batches that are something else or of two shapes, each named.

        Examples
        --------
        >>> import numpy as np
        >>> import brianlearn as bl
        >>> batches = [(np.ones((2, 4, 3)), [0, 1]), (np.zeros((1, 6, 3)), [1])]
        >>> samples = bl.Samples.from_loader(batches, axes="BTN")
        >>> len(samples), samples.labels.tolist(), samples.inputs.durations.tolist()
        (3, [0, 1, 1], [4, 4, 0])
        """
        owner = "Samples.from_loader"
        parts: list[Events] = []
        found: list[Any] = []
        for k, (inputs, given) in enumerate(batches(owner, loader, labels)):
            parts.append(Events.from_dense(inputs, axes, f"{owner}, batch {k}"))
            if labels:
                found.append(Samples(parts[-1], given).targets)
        if not parts:
            raise DataError(owner, "the loader holds no batch", expected="batches of (inputs, labels)")
        return cls(Events.concatenate(parts), join_targets(owner, found) if labels else None)

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, index: Any) -> Samples:
        targets = None if self.targets is None else self.targets[index]
        return Samples(self.inputs[index], targets, self.ids[index])

    def check(
        self, spec: NetworkSpec, *, labels: bool, takes: Collection[str] | None = None, owner: str = "Samples"
    ) -> None:
        """Check against a network.

        Parameters
        ----------
        spec : NetworkSpec
        labels : bool
            Whether targets are needed.
        takes : collection of str, optional
            Kinds of targets that a loss or rule takes, ``"labels"``, ``"values"`` and ``"trains"``; any where it is not
            given.
        owner : str, optional
            The loss or rule, for errors.

        Raises
        ------
        ShapeError, DataError
            Wrong shapes, targets of another kind, labels out of range, values that are not finite (naming the sample).
        """
        populations = {p.name: p for p in spec.graph.fed}
        if isinstance(self.inputs, NamedInputs) and self.inputs.parts.keys() != populations.keys():
            raise DataError(
                "Samples",
                "inputs are not those of the network",
                got=", ".join(self.inputs.parts),
                expected=", ".join(populations),
            )
        if len(populations) > 1 and not isinstance(self.inputs, NamedInputs):
            raise DataError(
                "Samples",
                "the network has several inputs",
                got=type(self.inputs).__name__,
                expected=f"a dict: {', '.join(populations)} -> values or events",
            )
        for name, population in populations.items():
            self._check_part(inputs_of(self.inputs, name), population)
        if labels:
            if self.targets is None:
                other = "spike trains" if takes is not None and "trains" in takes else "values"
                remedy = None if takes is None or "labels" in takes else f"Samples(inputs, targets) with {other}"
                raise DataError(
                    "Samples", "there are no labels", expected="labels=..., integers from 0 on", remedy=remedy
                )
            check_targets(self.targets, self.ids, spec, takes, owner)

    def on_grid(self, spec: NetworkSpec) -> Samples:
        """The samples as engines take them: target spikes at times as arrays of bool; themselves where there are none.

        Parameters
        ----------
        spec : NetworkSpec
            That they have been checked against.

        Returns
        -------
        Samples
        """
        targets = on_grid(self.targets, self.ids, spec)
        return self if targets is self.targets else Samples(self.inputs, targets, self.ids)

    def _check_part(self, inputs: Any, population: Population) -> None:
        """Check what one population is given."""
        encoder = population.neuron
        assert isinstance(encoder, Encoder)
        if isinstance(inputs, Recordings) != encoder.takes_recordings:
            raise DataError(
                "Samples",
                "inputs and encoder do not fit",
                got=f"{type(inputs).__name__} for encoder {type(encoder).__name__}",
                expected="Events with the encoders Spikes() and IntegrateEvents(), values with the others",
            )
        shape = inputs.shape if isinstance(inputs, Recordings) else inputs.shape[1:]
        if tuple(shape) != population.shape:
            raise ShapeError("Samples", "inputs do not fit the network", got=shape, expected=population.shape)
        if not isinstance(inputs, Recordings) and inputs.dtype != np.uint8:
            bad = ~np.isfinite(inputs).all(axis=tuple(range(1, inputs.ndim)))
            if bad.any():
                k = int(np.argmax(bad))
                raise DataError(
                    "Samples",
                    "an input is not finite",
                    got=f"NaN or infinity in sample {int(self.ids[k])} (position {k}), {int(bad.sum())} samples in all",
                    expected="finite values",
                )


def _values(inputs: Any, name: str) -> Any:
    """Recordings as they are, or an array of values."""
    if isinstance(inputs, Recordings):
        return inputs
    values = numbers("Samples", name, inputs, "an array (n, ...)")
    values = values if values.dtype in (np.float32, np.float64, np.uint8) else values.astype(float)
    if values.ndim < 2:
        raise DataError("Samples", f"{name} have the wrong shape", got=values.shape, expected="(n, ...)")
    return values


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
    neurons : numpy.ndarray of int or None
        Those that were recorded; None for all.
    samples : numpy.ndarray of int or None
        Of which of the samples that were run each trial is; None for all.
    """

    trial: np.ndarray
    step: np.ndarray
    neuron: np.ndarray
    n_trials: int
    n_steps: int
    shape: tuple[int, ...]
    neurons: np.ndarray | None = None
    samples: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.trial)

    def of_neurons(self, neurons: Sequence[int] | np.ndarray | None) -> Raster:
        """The spikes of some neurons.

        Parameters
        ----------
        neurons : array_like of int or None
            Flat indices in rising order; None for all.

        Returns
        -------
        Raster
        """
        if neurons is None:
            return self
        chosen = np.asarray(neurons)
        wanted = np.zeros(int(np.prod(self.shape)), bool)
        wanted[chosen] = True
        here = wanted[self.neuron]
        parts = {name: getattr(self, name)[here] for name in ("trial", "step", "neuron")}
        return dataclasses.replace(self, **parts, neurons=chosen)

    def of_trials(self, trials: np.ndarray, samples: np.ndarray) -> Raster:
        """The spikes of some trials, which are numbered anew, in the order given.

        Parameters
        ----------
        trials : numpy.ndarray of int
        samples : numpy.ndarray of int
            Which of the samples that were run they are.

        Returns
        -------
        Raster
        """
        number = np.full(self.n_trials, -1, np.int32)
        number[trials] = np.arange(len(trials), dtype=np.int32)
        here = np.flatnonzero(number[self.trial] >= 0)
        here = here[np.argsort(number[self.trial[here]], kind="stable")]
        return dataclasses.replace(
            self,
            trial=number[self.trial[here]],
            step=self.step[here],
            neuron=self.neuron[here],
            n_trials=len(trials),
            samples=samples,
        )

    def dense(self) -> np.ndarray:
        """Spikes as bool, shape (n_trials, n_steps, *shape).

        Returns
        -------
        numpy.ndarray
        """
        result = np.zeros((self.n_trials, self.n_steps, int(np.prod(self.shape))), bool)
        result[self.trial, self.step, self.neuron] = True
        return result.reshape(self.n_trials, self.n_steps, *self.shape)

    @staticmethod
    def concatenate(rasters: Sequence[Raster]) -> Raster:
        """One raster from consecutive ones of the same layer.

        Parameters
        ----------
        rasters : sequence of Raster

        Returns
        -------
        Raster
        """
        shift = np.cumsum([0, *[r.n_trials for r in rasters]])
        trial = np.concatenate([r.trial + s for r, s in zip(rasters, shift, strict=False)])
        step = np.concatenate([r.step for r in rasters])
        neuron = np.concatenate([r.neuron for r in rasters])
        return dataclasses.replace(rasters[0], trial=trial, step=step, neuron=neuron, n_trials=int(shift[-1]))


@dataclass(frozen=True, eq=False)
class Activity:
    """What a network did.

    Attributes
    ----------
    predictions : numpy.ndarray of int, shape (n,)
        The class with the largest logit; of samples with values the logits themselves, (n, out); of samples with spike
        trains those of the output, bool (n, n_steps, out).
    logits : numpy.ndarray, shape (n, classes)
        Mean readout over the steps after the burn-in (spike counts of a network without readout).
    firing_rates : dict
        Layer name -> mean rate in Hz per neuron, the input included.
    spikes : dict
        Layer name -> `Raster`, where recorded.
    readout : numpy.ndarray, shape (n, n_steps, classes), or None
        The readout over time, where recorded.
    recorded : dict
        Variable -> layer -> `Recorded`: all that was recorded over time, the readout included.
    dt, duration : brian2.Quantity or None
        Of the network and its trials.
    accuracy, loss : float or None
        Against the labels, where the samples have them. The loss is the mean squared error of the readout against
        the one-hot label or the values, mean over steps after the burn-in, outputs and samples; in the discrete engine,
        with a back-propagation rule, that of the rule.
    mse, r2 : float or None
        Of samples with values: mean squared error and R^2 of the predictions, or where values change from step to step
        of the readout in each step after the burn-in.
    van_rossum : float or None
        Of samples with spike trains: the mean distance of the output's trains from them (`van_rossum`, 5 ms).
    currents : tuple of str
        Inputs that carry values (`DirectCurrent`): what stands under their names in ``spikes`` and ``firing_rates`` are
        the steps in which the value is not 0.
    """

    predictions: np.ndarray
    logits: np.ndarray
    firing_rates: Mapping[str, float]
    spikes: Mapping[str, Raster] = field(default_factory=dict)
    readout: np.ndarray | None = None
    accuracy: float | None = None
    loss: float | None = None
    recorded: Mapping[str, Mapping[str, Recorded]] = field(default_factory=dict)
    dt: Any = None
    duration: Any = None
    mse: float | None = None
    r2: float | None = None
    van_rossum: float | None = None
    currents: tuple[str, ...] = ()
