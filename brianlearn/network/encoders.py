"""Encoders: how input values become presynaptic activity.

An encoder either runs inside the network (``IntegrateAndFireEncoder``, ``DirectCurrent``: the engine computes it from
the values) or is drawn beforehand (``PoissonEncoder``, ``TimeToFirstSpikeEncoder``: `Encoder.raster` gives the spikes,
the same on every engine and device).
``Spikes`` takes inputs that are spikes already, ``IntegrateEvents`` the events of a camera.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from brianlearn.citing import papers
from brianlearn.errors import SpecError
from brianlearn.network.checks import is_number
from brianlearn.network.neurons.statements import TextReader
from brianlearn.network.storable import Storable

if TYPE_CHECKING:
    from brianlearn.network.samples.events import Events, Recordings

__all__ = [
    "DirectCurrent",
    "Encoder",
    "IntegrateAndFireEncoder",
    "IntegrateEvents",
    "PoissonEncoder",
    "Spikes",
    "TimeToFirstSpikeEncoder",
]


#: Membrane potentials of `IntegrateEvents` at once, of several samples: 16 MiB.
_MEMBRANES = 2**21


def _check(owner: object, name: str, value: object, low: float | None = None) -> None:
    if not (is_number(value) and (low is None or value > low)):
        raise SpecError(
            type(owner).__name__,
            f"{name} is wrong",
            got=repr(value),
            expected="a finite number" if low is None else f"a finite number > {low:g}",
        )


@dataclass(frozen=True)
class EncoderText:
    """An encoder that an engine computes, as Brian2 statements over the input value ``x``, with numbers in them.

    Attributes
    ----------
    states : tuple of str
        Variables of each input, 0 at the start of a trial.
    drive : str
        Expression: what ``x`` is during a trial, from the input value ``x``.
    update : str
        Statements of one time step; ``x`` and states.
    threshold : str
        Condition for a spike, after the update.
    reset : str
        Statements for inputs that have fired.
    """

    states: tuple[str, ...]
    drive: str
    update: str
    threshold: str
    reset: str


@lru_cache(maxsize=256)  # an engine asks in every batch
def _read(
    owner: str,
    states: tuple[str, ...],
    numbers: tuple[tuple[str, float], ...],
    drive: str,
    update: str,
    fires: str,
    reset: str,
) -> EncoderText:
    reader = TextReader(owner, ("x", *states), dict(numbers))
    return EncoderText(
        states,
        reader.expression("drive", drive),
        reader.statements("update", update),
        reader.expression("fires", fires),
        reader.statements("reset", reset),
    )


class Encoder(Storable, abstract=True):
    """Base class of encoders.

    A subclass either draws its spikes beforehand (``precomputed = True``, and a method `raster`), or is a small model
    of one input as Brian2 statements, which both engines run step by step: ``states`` (0 at the start of a trial),
    ``update`` (in each step), ``fires`` (the condition for a spike, after the update) and ``reset``, over the input
    value ``x``, the states, and the fields of the class by their names. ``drive`` says what x is, from the value x.

    Attributes
    ----------
    states : tuple of str
        Of a class: variables of each input, 0 at the start of a trial.
    drive : str
        Of a class: expression of what ``x`` is during a trial.
    update : str
        Of a class: statements of one time step.
    fires : str
        Of a class: condition for a spike, after the update.
    reset : str
        Of a class: statements for inputs that have fired.
    makes_its_own : bool
        Of a class: whether it makes spikes without values from samples; those of `own_values` take their place.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import brianlearn as bl
    >>> @dataclass(frozen=True)
    ... class Burst(bl.Encoder):
    ...     '''As many spikes at the start of a trial as the value says, at most ``most``.'''
    ...     most: int = 5
    ...     precomputed = True
    ...
    ...     def raster(self, values, n_steps, seeds):
    ...         count = np.rint(self.most*np.clip(values, 0, 1))
    ...         return np.arange(n_steps)[None, :, None] < count[:, None, :]
    >>> @dataclass(frozen=True)
    ... class Leaky(bl.Encoder):
    ...     '''One leaky integrate-and-fire neuron for each input.'''
    ...     keep: float = 0.9
    ...     states = ("v",)
    ...     update = "v = keep*v + x"
    ...     fires = "v > 1"
    ...     reset = "v = 0"
    >>> Leaky(0.8).text().update
    'v = 0.8*v + x'
    """

    #: Whether spikes are drawn beforehand by `raster` (else the engine computes them from the values).
    precomputed = False
    #: Whether inputs are recordings of spikes, not values.
    takes_recordings = False
    #: Whether it counts the events of recordings instead of taking each step with some as a spike.
    integrates = False
    #: Whether it makes spikes without values from samples: those of `own_values` take their place.
    makes_its_own: ClassVar[bool] = False
    #: Whether what the first layer receives is the value in every step, and no spikes.
    carries_values = False
    #: The mean size of values, and of values times gain, above which they are far outside of what is expected.
    largest_mean = 2.0

    states: ClassVar[tuple[str, ...]] = ()
    drive: ClassVar[str] = "x"
    update: ClassVar[str] = ""
    fires: ClassVar[str] = ""
    reset: ClassVar[str] = ""

    def text(self) -> EncoderText:
        """The statements of an encoder that the engine computes, read and checked, with its numbers in them.

        Returns
        -------
        EncoderText

        Raises
        ------
        SpecError
            Texts that cannot be read, naming the line.
        """
        names = getattr(type(self), "__dataclass_fields__", ())
        values = {name: getattr(self, name) for name in names}
        numbers = {name: float(value) for name, value in values.items() if is_number(value)}
        texts = self.drive, self.update, self.fires, self.reset
        return _read(type(self).__name__, tuple(self.states), tuple(numbers.items()), *texts)

    def check(self) -> None:
        """Check that the encoder says what it does.

        Raises
        ------
        SpecError
        """
        if self.precomputed:
            if type(self).raster is Encoder.raster:
                raise SpecError(
                    type(self).__name__,
                    "it has no method raster, which draws its spikes beforehand",
                    got="precomputed = True",
                    expected="raster(values, n_steps, seeds) -> bool (samples, steps, inputs)",
                    remedy="see the example of brianlearn.Encoder",
                )
        elif not self.fires:
            raise SpecError(
                type(self).__name__,
                "it does not say when an input fires",
                got="no condition `fires`, and precomputed = False",
                expected="the texts update, fires and reset; or precomputed = True and a method raster",
                remedy="see the example of brianlearn.Encoder",
            )
        else:
            self.text()

    def drawn(self, values: Any, n_steps: int, seeds: np.ndarray) -> np.ndarray:
        """What `raster` draws, checked.

        Parameters
        ----------
        values : numpy.ndarray, shape (n_samples, n_inputs), or Recordings
        n_steps : int
        seeds : numpy.ndarray of uint64, shape (n_samples, 2)

        Returns
        -------
        numpy.ndarray of bool, shape (n_samples, n_steps, n_inputs)

        Raises
        ------
        SpecError
            An array of another shape, or of what are no spikes.
        """
        found = self.raster(values, n_steps, seeds)
        inputs = values.shape[1] if isinstance(values, np.ndarray) else int(np.prod(values.shape))
        shape = (len(values), n_steps, inputs)
        if not isinstance(found, np.ndarray) or found.dtype != bool or found.shape != shape:
            got = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
            raise SpecError(
                type(self).__name__, "raster() gives no spikes", got=got, expected=f"an array of bool, shape {shape}"
            )
        return found

    def raster(self, values: Any, n_steps: int, seeds: np.ndarray) -> np.ndarray:
        """Spikes of precomputed encoders.

        Parameters
        ----------
        values : numpy.ndarray, shape (n_samples, n_inputs), or Recordings
            Recordings for ``Spikes`` and ``IntegrateEvents``, values for the others.
        n_steps : int
        seeds : numpy.ndarray of uint64, shape (n_samples, 2)
            One random key per presentation, so that spikes do not depend on how samples are grouped.

        Returns
        -------
        numpy.ndarray of bool, shape (n_samples, n_steps, n_inputs)

        Raises
        ------
        TypeError
            An encoder that the engine computes.
        """
        raise TypeError(f"{type(self).__name__} is computed by the engine")

    def spikes(self, values: Any, n_steps: int, seeds: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The same spikes as a list for each sample, one after the other, without an array of all inputs and steps.

        Parameters
        ----------
        values, n_steps, seeds : object
            As of `raster`.

        Yields
        ------
        step, neuron : numpy.ndarray of int, shape (n_spikes,)
            Of one sample, by step, then neuron. From `raster`, sample by sample, unless a class knows better.
        """
        for k in range(len(values)):
            yield self.drawn(values[k : k + 1], n_steps, seeds[k : k + 1])[0].nonzero()

    def most_spikes(self, values: Any, n_steps: int) -> np.ndarray:
        """How many spikes each sample may have at most, int64 (n_samples,); memory is planned with it.

        Parameters
        ----------
        values, n_steps : object
            As of `raster`.

        Returns
        -------
        numpy.ndarray
        """
        inputs = int(np.prod(values.shape[1:] if isinstance(values, np.ndarray) else values.shape))
        return np.full(len(values), inputs * n_steps)

    def own_values(self, n: int, shape: tuple[int, ...], dt: Any) -> np.ndarray:
        """The values of an encoder that makes spikes of its own, where samples give none.

        Parameters
        ----------
        n : int
            Number of samples.
        shape : tuple of int
            Of the population.
        dt : brian2.Quantity
            Time step.

        Returns
        -------
        numpy.ndarray, shape (n, *shape)

        Raises
        ------
        TypeError
            An encoder of values.
        """
        raise TypeError(f"{type(self).__name__} encodes the values of samples")

    def with_step(self, ratio: float) -> Encoder:
        """The encoder that does the same per time with another time step.

        Parameters
        ----------
        ratio : float
            The new time step over the old one.

        Returns
        -------
        Encoder
            What it adds or draws per step is scaled; what depends on times or single events stays.

        Raises
        ------
        SpecError
            If the encoder does not say.
        """
        raise SpecError(
            type(self).__name__,
            "it does not say what it does with another time step",
            expected="a method with_step(ratio) -> Encoder",
            remedy="write it: what it adds or draws in a step is scaled by the ratio",
        )


@dataclass(frozen=True)
class IntegrateAndFireEncoder(Encoder, stored_as="IntegrateAndFire"):
    """One integrate-and-fire neuron per input (DALTON): v <- v + gain x + bias, spike if v > 1, reset to 0.

    Parameters
    ----------
    gain, bias : float
        Dimensionless, per time step.

    Raises
    ------
    SpecError
        A gain that is no number > 0; a bias that is no number.

    References
    ----------
    R. Gaurav, D. A. Do, T. T. Doan, Y. Yi, DALTON: deep local learning in SNNs via local weights and
    surrogate-derivative transfer, IEEE Transactions on Emerging Topics in Computing 13(3), 2025,
    doi 10.1109/TETC.2024.3440932.
    """

    references = (papers.DALTON,)

    gain: float = 1.0
    bias: float = 0.0

    states: ClassVar[tuple[str, ...]] = ("v",)
    drive: ClassVar[str] = "gain*x + bias"
    update: ClassVar[str] = "v = v + x"
    fires: ClassVar[str] = "v > 1"
    reset: ClassVar[str] = "v = 0"

    def __post_init__(self) -> None:
        _check(self, "gain", self.gain, 0.0)
        _check(self, "bias", self.bias)

    def text(self) -> EncoderText:
        text = super().text()
        return text if self.bias else dataclasses.replace(text, drive=f"{float(self.gain)!r}*x")

    def with_step(self, ratio: float) -> Encoder:
        return dataclasses.replace(self, gain=self.gain * ratio, bias=self.bias * ratio)


@dataclass(frozen=True)
class DirectCurrent(Encoder):
    """The value itself, times ``gain``, is what the first layer receives in every step, weighted by its synapses.

    Parameters
    ----------
    gain : float
        > 0, dimensionless, per time step.

    Raises
    ------
    SpecError
        A gain that is no number > 0.

    References
    ----------
    Y. Wu et al., Direct training for spiking neural networks: faster, larger, better, AAAI 2019.
    """

    references = (papers.DIRECT_TRAINING,)

    gain: float = 1.0
    largest_mean = 10.0  # a current has no natural bound

    carries_values = True
    drive: ClassVar[str] = "gain*x"
    fires: ClassVar[str] = "x != 0"

    def __post_init__(self) -> None:
        _check(self, "gain", self.gain, 0.0)

    def with_step(self, ratio: float) -> Encoder:
        return dataclasses.replace(self, gain=self.gain * ratio)


@dataclass(frozen=True)
class PoissonEncoder(Encoder, stored_as="Bernoulli"):
    """In each step, a spike with probability min(1, max(0, gain x)), independently.

    Parameters
    ----------
    gain : float
        Spike probability per step of an input of 1.

    Raises
    ------
    SpecError
        A gain that is no number > 0.

    References
    ----------
    P. U. Diehl, M. Cook, Unsupervised learning of digit recognition using spike-timing-dependent plasticity, Frontiers
    in Computational Neuroscience 9, 99, 2015.
    """

    references = (papers.POISSON_DIGITS,)

    gain: float = 1.0
    precomputed = True

    def __post_init__(self) -> None:
        _check(self, "gain", self.gain, 0.0)

    def with_step(self, ratio: float) -> Encoder:
        return dataclasses.replace(self, gain=self.gain * ratio)

    def raster(self, values: np.ndarray, n_steps: int, seeds: np.ndarray) -> np.ndarray:
        spikes = np.empty((len(values), n_steps, values.shape[1]), bool)
        for k, (x, key) in enumerate(zip(values, seeds, strict=True)):
            draw = np.random.Generator(np.random.Philox(key=key))
            spikes[k] = draw.random((n_steps, len(x))) < self.gain * x
        return spikes


@dataclass(frozen=True)
class TimeToFirstSpikeEncoder(Encoder, stored_as="Latency"):
    """Time to first spike: an input x > threshold spikes once, in step round((1 - min(x, 1)) (n_steps - 1)).

    Parameters
    ----------
    threshold : float
        Inputs up to this value stay silent.

    Raises
    ------
    SpecError
        What is no number.

    References
    ----------
    S. Thorpe, A. Delorme, R. Van Rullen, Spike-based strategies for rapid processing, Neural Networks 14, 2001.
    """

    references = (papers.FIRST_SPIKES,)

    threshold: float = 0.0
    precomputed = True

    def __post_init__(self) -> None:
        _check(self, "threshold", self.threshold)

    def with_step(self, ratio: float) -> Encoder:
        return self

    def raster(self, values: np.ndarray, n_steps: int, seeds: np.ndarray) -> np.ndarray:
        step = np.rint((1.0 - np.clip(values, 0.0, 1.0)) * (n_steps - 1)).astype(int)
        spikes = step[:, None, :] == np.arange(n_steps)[None, :, None]
        return spikes & (values > self.threshold)[:, None, :]

    def most_spikes(self, values: Any, n_steps: int) -> np.ndarray:
        return super().most_spikes(values, 1)


@dataclass(frozen=True)
class Spikes(Encoder):
    """Inputs that are spikes already: `Events`. Several events of one input in one step are one spike."""

    takes_recordings = True
    precomputed = True

    def with_step(self, ratio: float) -> Encoder:
        return self

    def raster(self, values: Recordings, n_steps: int, seeds: np.ndarray) -> np.ndarray:
        return values.dense(n_steps)

    def spikes(self, values: Recordings, n_steps: int, seeds: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        n_inputs = int(np.prod(values.shape))
        for k in range(len(values)):
            events = values[k : k + 1].load()
            inside = events.step < n_steps
            # several events of one input in a step are one spike
            yield np.divmod(np.unique(events.step[inside] * n_inputs + events.neuron[inside]), n_inputs)

    def most_spikes(self, values: Recordings, n_steps: int) -> np.ndarray:
        return np.minimum(values.n_events, super().most_spikes(values, n_steps))


@dataclass(frozen=True)
class IntegrateEvents(Spikes):
    """One integrate-and-fire neuron per input, driven by its events (DALTON on event cameras).

    In each step v <- v + gain n + bias, with n the input's events in this step; spike if v > 1, reset to 0. With a gain
    of 1 two events make a spike; with more than 1 each does.

    Parameters
    ----------
    gain, bias : float
        Dimensionless, per event and per time step.

    Raises
    ------
    SpecError
        A gain that is no number > 0; a bias that is no number.

    References
    ----------
    R. Gaurav, D. A. Do, T. T. Doan, Y. Yi, DALTON: deep local learning in SNNs via local weights and
    surrogate-derivative transfer, IEEE Transactions on Emerging Topics in Computing 13(3), 2025,
    doi 10.1109/TETC.2024.3440932.
    """

    references = (papers.DALTON,)

    gain: float = 1.0
    bias: float = 0.0

    integrates = True

    def __post_init__(self) -> None:
        _check(self, "gain", self.gain, 0.0)
        _check(self, "bias", self.bias)

    def with_step(self, ratio: float) -> Encoder:
        return dataclasses.replace(self, bias=self.bias * ratio)

    def raster(self, values: Recordings, n_steps: int, seeds: np.ndarray) -> np.ndarray:
        spikes = np.zeros((len(values), n_steps, int(np.prod(values.shape))), bool)
        for k, (step, neuron) in enumerate(self.spikes(values, n_steps, seeds)):
            spikes[k, step, neuron] = True
        return spikes

    def spikes(self, values: Recordings, n_steps: int, seeds: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        n_inputs = int(np.prod(values.shape))
        together = max(1, _MEMBRANES // n_inputs)
        for first in range(0, len(values), together):
            events = values[first : first + together].load()
            sample, step, neuron = self._fired(events, n_steps, n_inputs)
            bounds = np.searchsorted(sample, np.arange(len(events) + 1))
            for start, end in pairwise(bounds):
                yield step[start:end], neuron[start:end]

    def _fired(self, events: Events, n_steps: int, n_inputs: int) -> tuple[np.ndarray, ...]:
        """Sample, step and neuron of every spike, in this order."""
        sample = np.repeat(np.arange(len(events)), np.diff(events.offsets))
        order = np.argsort(events.step, kind="stable")
        cell = (sample * n_inputs + events.neuron)[order]
        first = np.searchsorted(events.step[order], np.arange(n_steps + 1))
        v = np.zeros(len(events) * n_inputs)
        fired = []
        for step in range(n_steps):
            driven, count = np.unique(cell[first[step] : first[step + 1]], return_counts=True)
            if self.bias:  # drives all of them
                drive = np.full(len(v), float(self.bias))
                drive[driven] = self.gain * count + self.bias
                v += drive
                driven = np.arange(len(v))
            else:
                v[driven] += self.gain * count
            fired.append(driven[v[driven] > 1.0])
            v[fired[-1]] = 0.0
        steps = np.repeat(np.arange(n_steps), [len(cells) for cells in fired])
        samples, neurons = np.divmod(np.concatenate(fired), n_inputs)
        order = np.argsort(samples, kind="stable")
        return samples[order], steps[order], neurons[order]

    def most_spikes(self, values: Recordings, n_steps: int) -> np.ndarray:
        return Encoder.most_spikes(self, values, n_steps) if self.bias > 0 else super().most_spikes(values, n_steps)
