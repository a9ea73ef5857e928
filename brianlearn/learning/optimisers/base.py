"""What an optimiser is: from the gradient of a batch to a weight change, as one text that both engines run."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from brianlearn.errors import RuleError
from brianlearn.learning.optimisers.schedules import Schedule
from brianlearn.learning.optimisers.update_text import Statement, read_update
from brianlearn.network.checks import is_number, is_whole
from brianlearn.network.storable import Storable

__all__ = ["Optimiser"]


@dataclass(frozen=True)
class Optimiser(Storable, abstract=True):
    """Base class of optimisers.

    A subclass is one text of Brian2 statements, ``update``, which both engines run for every weight, and the names of
    what it keeps from one update to the next, ``slots``. The text knows ``weight``, ``gradient`` (the mean of the
    batch), ``lr`` (the learning rate of the epoch and layer), ``k`` (how many updates there are with this one), the
    slots (0 at first), and the fields of the class by their names.

    Parameters
    ----------
    learning_rate : float
        > 0, dimensionless: weights are plain numbers.
    halve_every : int, optional
        The learning rate is halved every so many epochs.
    reset_each_epoch : bool, optional
        Create the optimiser's state anew at the start of each epoch (the DALTON paper's recipe).
    decay : float, optional
        The learning rate is multiplied by it after every epoch; in (0, 1].
    schedule : Schedule, optional
        The learning rate is multiplied by its factor in each epoch, e.g. ``Cosine(30)``.
    clip_value : float, optional
        No gradient of a weight is larger: g <- min(max(g, -c), c).
    clip_norm : float, optional
        The gradients of all weights together are no longer: g <- g min(1, c/(|g| + 1e-6)), with the Euclidean norm over
        all layers (Pascanu, Mikolov & Bengio 2013); after ``clip_value``.

    Attributes
    ----------
    slots : tuple of str
        Of a class: names of the arrays, of the shape of the weights, that it keeps from one update to the next.
    update : str
        Of a class: the statements of one weight update.

    Raises
    ------
    RuleError
        Parameters that cannot be right; a text that cannot be read, naming the line.

    Examples
    --------
    >>> from dataclasses import dataclass
    >>> import brianlearn as bl
    >>> @dataclass(frozen=True)
    ... class Nesterov(bl.Optimiser):
    ...     '''Nesterov's momentum (Sutskever et al. 2013).'''
    ...     momentum: float = 0.9
    ...     slots = ("m",)
    ...     update = '''
    ...         m = momentum*m + gradient
    ...         weight -= lr*(gradient + momentum*m)
    ...     '''
    >>> Nesterov(0.1, momentum=0.8).rate_at(epoch=3)
    0.1
    """

    learning_rate: float
    halve_every: int | None = None
    reset_each_epoch: bool = False
    decay: float = 1.0
    schedule: Schedule | None = field(default=None, kw_only=True)
    clip_value: float | None = field(default=None, kw_only=True)
    clip_norm: float | None = field(default=None, kw_only=True)

    error_kind = RuleError
    #: Arrays of the shape of the weights that the optimiser keeps, by name.
    slots: ClassVar[tuple[str, ...]] = ()
    #: Brian2 statements of one weight update.
    update: ClassVar[str] = ""

    def __post_init__(self) -> None:
        self._number("learning_rate", 0.0, np.inf)
        if self.halve_every is not None and not (is_whole(self.halve_every) and self.halve_every >= 1):
            raise RuleError(
                type(self).__name__,
                "halve_every is wrong",
                got=self.halve_every,
                expected="None or a whole number >= 1",
            )

        if not (is_number(self.decay) and 0 < self.decay <= 1):
            raise RuleError(
                type(self).__name__, "decay is wrong", got=repr(self.decay), expected="a number in (0, 1], e.g. 0.3"
            )
        if self.schedule is not None and not isinstance(self.schedule, Schedule):
            raise RuleError(
                type(self).__name__,
                "schedule is of the wrong type",
                got=repr(self.schedule),
                expected="a schedule, e.g. bl.Cosine(30)",
            )
        for name in ("clip_value", "clip_norm"):
            if getattr(self, name) is not None:
                self._number(name, 0.0, np.inf)
        self.statements()

    def _number(self, name: str, low: float, high: float, *, closed_low: bool = False) -> None:
        """Check a field: a number in (low, high), or [low, high)."""
        value = getattr(self, name)
        if not (is_number(value) and (low <= value if closed_low else low < value) and value < high):
            bracket = "[" if closed_low else "("
            expected = f"a number in {bracket}{low:g}, {high:g})"
            raise RuleError(type(self).__name__, f"{name} is wrong", got=repr(value), expected=expected)

    def rate_at(self, epoch: int) -> float:
        """Learning rate in an epoch, counted from 0.

        Parameters
        ----------
        epoch : int

        Returns
        -------
        float

        Raises
        ------
        RuleError
            A schedule whose factor is no finite number, or negative.
        """
        halved = 0.5 ** (epoch // self.halve_every) if self.halve_every else 1.0
        rate = self.learning_rate * halved * self.decay**epoch
        if self.schedule is None:
            return rate
        factor = self.schedule.factor(epoch)
        if not (is_number(factor) and factor >= 0):
            raise RuleError(
                type(self.schedule).__name__,
                f"its factor of epoch {epoch} is wrong",
                got=repr(factor),
                expected="a finite number >= 0",
            )
        return rate * float(factor)

    @property
    def clips(self) -> bool:
        """Whether gradients are clipped."""
        return self.clip_value is not None or self.clip_norm is not None

    @property
    def is_plain(self) -> bool:
        """Whether weights change by their gradients times a number, and nothing else: what single spikes can do."""
        return type(self).update == PLAIN and not self.clips

    def statements(self) -> list[Statement]:
        """The text, read and checked, with the numbers of this object in it.

        Returns
        -------
        list of Statement

        Raises
        ------
        RuleError
            A text that cannot be read, naming the line.
        """
        base = {each.name for each in dataclasses.fields(Optimiser)}
        own = {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name not in base}
        constants = {name: _constant(value) for name, value in own.items()}
        numbers = {name: value for name, value in constants.items() if value is not None}
        return read_update(type(self).__name__, self.update, tuple(self.slots), numbers)


#: The text of gradient descent.
PLAIN = "weight -= lr*gradient"


def _constant(value: Any) -> float | None:
    if isinstance(value, bool | np.bool_):
        return float(value)
    return float(value) if is_number(value) else None
