"""Target spike trains: what an output neuron should fire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from brian2 import hertz, second
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.citing import papers
from brianlearn.errors import RuleError
from brianlearn.network.samples.arrays import numbers
from brianlearn.network.spec import NetworkSpec
from brianlearn.network.storable import Storable

__all__ = ["FirstSpike", "Pattern", "Regular", "Silence", "SpikeTrain", "Targets"]


class SpikeTrain(Storable, abstract=True):
    """Base class of target spike trains of a single neuron.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import numpy as np
    >>> import brianlearn as bl
    >>> @dataclass(frozen=True)
    ... class Late(bl.SpikeTrain):
    ...     '''A spike in every step of the second half.'''
    ...
    ...     def steps(self, spec):
    ...         return np.arange(spec.n_steps) >= spec.n_steps//2
    >>> loss = bl.Hamming(bl.Targets(label=Late()))
    """

    error_kind = RuleError

    def steps(self, spec: NetworkSpec) -> np.ndarray:
        """The train at the network's time step.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        numpy.ndarray of bool, shape (n_steps,) or (classes, n_steps)
            With two axes, one train for each class.

        Raises
        ------
        RuleError
            If it does not fit into the network's trials.
        TypeError
            A class that does not say it.
        """
        raise TypeError("SpikeTrain is abstract: use one of its subclasses")


@dataclass(frozen=True)
class Silence(SpikeTrain):
    """No spike."""

    def steps(self, spec: NetworkSpec) -> np.ndarray:
        return np.zeros(spec.n_steps, bool)


@dataclass(frozen=True)
class Regular(SpikeTrain):
    """Spikes at a constant rate, evenly spaced.

    Parameters
    ----------
    rate : brian2.Quantity, optional
        In Hz, at most one spike in each step; a spike in every step where it is not given.

    Raises
    ------
    RuleError
        What is no rate.
    """

    rate: Any = None

    def __post_init__(self) -> None:
        if self.rate is not None and (
            get_dimensions(self.rate) is not hertz.dim or np.ndim(self.rate) or not float(self.rate) >= 0
        ):
            raise RuleError("Regular", "rate is wrong", got=repr(self.rate), expected="a rate, e.g. 200*Hz")

    def steps(self, spec: NetworkSpec) -> np.ndarray:
        per_step = 1.0 if self.rate is None else float(self.rate) * float(spec.dt)
        if per_step > 1.0 + 1e-9:
            raise RuleError(
                "Regular",
                "the rate is more than one spike in each step",
                got=f"{self.rate} with dt = {spec.dt}",
                expected=f"at most {1 / spec.dt}",
            )
        phase = np.floor(np.arange(spec.n_steps + 1) * per_step + 1e-9)
        return np.diff(phase) > 0


@dataclass(frozen=True)
class FirstSpike(SpikeTrain):
    """A single spike.

    Parameters
    ----------
    at : brian2.Quantity
        Its time in the trial.

    Raises
    ------
    RuleError
        What is no time.
    """

    at: Any = field(default_factory=lambda: 0 * second)

    def __post_init__(self) -> None:
        if get_dimensions(self.at) is not second.dim or np.ndim(self.at) or not float(self.at) >= 0:
            raise RuleError("FirstSpike", "at is wrong", got=repr(self.at), expected="a time, e.g. 5*ms")

    def steps(self, spec: NetworkSpec) -> np.ndarray:
        step = round(float(self.at) / float(spec.dt))
        if step >= spec.n_steps:
            raise RuleError(
                "FirstSpike", "the spike comes after the trial", got=self.at, expected=f"less than {spec.duration}"
            )
        return np.arange(spec.n_steps) == step


@dataclass(frozen=True)
class Pattern(SpikeTrain):
    """Spike trains that are written out.

    Parameters
    ----------
    spikes : array_like of 0 and 1, shape (n_steps,) or (classes, n_steps)
        One train for the neuron of every class, or one for each class.

    Raises
    ------
    RuleError
        What is not made of 0 and 1.
    """

    spikes: Any

    def __post_init__(self) -> None:
        spikes = numbers("Pattern", "spikes", self.spikes, "0 and 1", error=RuleError).astype(float)
        if spikes.ndim not in (1, 2) or not spikes.size or not np.isin(spikes, (0, 1)).all():
            raise RuleError(
                "Pattern",
                "spikes is wrong",
                got=f"shape {spikes.shape}" if spikes.ndim else repr(self.spikes),
                expected="0 and 1, shape (n_steps,) or (classes, n_steps)",
            )
        rows = spikes.astype(int).tolist()
        object.__setattr__(self, "spikes", tuple(tuple(r) if isinstance(r, list) else r for r in rows))

    def steps(self, spec: NetworkSpec) -> np.ndarray:
        spikes = np.asarray(self.spikes, bool)
        if spikes.shape not in ((spec.n_steps,), (spec.classes, spec.n_steps)):
            raise RuleError(
                "Pattern",
                "the spikes do not fit the network",
                got=f"shape {spikes.shape}",
                expected=f"shape ({spec.n_steps},) or ({spec.classes}, {spec.n_steps}): "
                f"{spec.n_steps} steps, {spec.classes} outputs",
            )
        return spikes


@dataclass(frozen=True)
class Targets(Storable):
    """What all output neurons should fire, for each label.

    Parameters
    ----------
    label : SpikeTrain
        Of the label's neuron. A `Pattern` may hold one train for each class.
    others : SpikeTrain
        Of the other neurons.

    Raises
    ------
    RuleError
        What is no train.

    References
    ----------
    Z. Wang, Y. Ye, H. Liu, Y. Xu, Y. Fan, W. Wang, Spiking sequence label-based spatio-temporal back-propagation
    algorithm for training deep spiking neural networks, Journal of Electronics & Information Technology 46(6),
    2596-2604, 2024 (in Chinese), doi 10.11999/JEIT230705.
    """

    references = (papers.SEQUENCE_STBP,)

    error_kind = RuleError
    label: SpikeTrain = Regular()
    others: SpikeTrain = Silence()

    def __post_init__(self) -> None:
        for name in ("label", "others"):
            if not isinstance(getattr(self, name), SpikeTrain):
                raise RuleError(
                    "Targets",
                    f"{name} is of the wrong type",
                    got=repr(getattr(self, name)),
                    expected="Regular(...), FirstSpike(...), Pattern(...) or Silence()",
                )

    def trains(self, spec: NetworkSpec) -> np.ndarray:
        """All target trains.

        Parameters
        ----------
        spec : NetworkSpec

        Returns
        -------
        numpy.ndarray of bool, shape (classes, classes, n_steps)
            Label, output neuron, step.

        Raises
        ------
        RuleError
        """
        n = spec.classes
        shape: Sequence[int] = (n, spec.n_steps)
        own = np.broadcast_to(self.label.steps(spec), shape)
        result = np.broadcast_to(self.others.steps(spec), (n, *shape)).copy()
        result[np.arange(n), np.arange(n)] = own
        return result
