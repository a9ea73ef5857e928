"""Inputs that make spikes of their own: a background of Poisson spikes, and what fires in every step (biases)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from brian2 import Hz
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.citing import papers
from brianlearn.errors import SpecError, UnitError
from brianlearn.network.encoders import Encoder, PoissonEncoder
from brianlearn.network.taking import take_quantity
from brianlearn.network.unit_names import quantity_text

__all__ = ["EveryStep", "PoissonBackground"]


@dataclass(frozen=True)
class EveryStep(Encoder):
    """A spike in every step: the source of biases."""

    makes_its_own: ClassVar[bool] = True
    drive: ClassVar[str] = "1.0"
    fires: ClassVar[str] = "x > 0"

    def own_values(self, n: int, shape: tuple[int, ...], dt: Any) -> np.ndarray:
        return np.ones((n, *shape))

    def with_step(self, ratio: float) -> Encoder:
        return self


@dataclass(frozen=True, eq=False)
class PoissonBackground(Encoder):
    """Background activity: each neuron fires by chance, at a rate of its own or the same, whatever the samples are.

    Samples give nothing to such a population. Spikes are drawn from the seed, the epoch and the sample, the same on
    every engine and device; in a step a neuron fires with probability rate dt.

    Parameters
    ----------
    rate : brian2.Quantity
        One frequency >= 0, or an array with one for each neuron.

    Attributes
    ----------
    makes_its_own : bool
        Of the class: it takes no values.

    Raises
    ------
    UnitError
        What is no frequency.
    SpecError
        A rate below 0, or that is not finite; when it is used, one of more than a spike in each time step, or another
        number of rates than of neurons.

    References
    ----------
    N. Brunel, Dynamics of sparsely connected networks of excitatory and inhibitory spiking neurons, Journal of
    Computational Neuroscience 8, 183-208, 2000 (the external input of its networks).

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import Hz
    >>> bl.Population("background", 100, bl.PoissonBackground(8*Hz)).n
    100
    """

    references = (papers.SPARSE_NETWORKS,)

    rate: Any
    makes_its_own: ClassVar[bool] = True
    precomputed = True

    def __post_init__(self) -> None:
        rate = take_quantity("PoissonBackground", "rate", self.rate)
        object.__setattr__(self, "rate", rate)
        if get_dimensions(rate) is not Hz.dim:
            raise UnitError(
                "PoissonBackground", "rate is no frequency", got=quantity_text(rate), expected="e.g. 8*Hz, or an array"
            )
        values = np.asarray(rate, float)
        if not values.size or not np.isfinite(values).all() or (values < 0).any():
            raise SpecError("PoissonBackground", "rate is wrong", got=repr(rate), expected="finite rates >= 0*Hz")

    def own_values(self, n: int, shape: tuple[int, ...], dt: Any) -> np.ndarray:
        """The chance of a spike in a step, of every neuron.

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
        SpecError
            Rates of more than a spike in each step, or of another number than of neurons.
        """
        chance = np.asarray(self.rate, float) * float(dt)
        size = int(np.prod(shape))
        if chance.size not in (1, size):
            raise SpecError(
                "PoissonBackground",
                "rates are not as many as neurons",
                got=f"{chance.size} rates",
                expected=f"one, or {size}, shape {shape}",
            )
        if (chance > 1).any():
            raise SpecError(
                "PoissonBackground",
                "a neuron fires at most once in a time step",
                got=f"up to {float(np.max(np.asarray(self.rate))):g} Hz with dt = {dt}",
                expected=f"at most {1 / float(dt):g} Hz",
                remedy="use more neurons, or a shorter dt",
            )
        return np.broadcast_to(np.broadcast_to(chance.ravel(), (size,)).reshape(shape), (n, *shape))

    def raster(self, values: np.ndarray, n_steps: int, seeds: np.ndarray) -> np.ndarray:
        return PoissonEncoder().raster(values, n_steps, seeds)

    def with_step(self, ratio: float) -> Encoder:
        return self
