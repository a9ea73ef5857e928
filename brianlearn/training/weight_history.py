"""Weights while they learn: what they are after batches, for layers of one's choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import gcd, prod
from typing import Any

import numpy as np
from brian2 import second

from brianlearn.errors import SpecError, did_you_mean
from brianlearn.learning.recording import OF_LEARNING, records
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.state import LearnerState
from brianlearn.network.record import OfValues, Record, indices
from brianlearn.network.spec import NetworkSpec
from brianlearn.training.recording import check_memory

__all__ = ["WeightHistories", "WeightHistory"]

OWNER = "Learner.learn"


@dataclass(frozen=True, eq=False)
class WeightHistory(OfValues):
    """The weights of one projection over a call of `Learner.learn`.

    Numpy takes it for its values: ``np.asarray(history)``, ``history[-1]``.

    Attributes
    ----------
    layer : str
        Name of the weights.
    values : numpy.ndarray, shape (k, *shape of the weights)
        The first are those before learning.
    batches, samples : numpy.ndarray of int, shape (k,)
        After how many batches, and samples, of this call.
    times : brian2.Quantity, shape (k,)
        The same as time that has passed in the network, one trial after another.
    neurons : numpy.ndarray of int
        The rows that were kept: neurons, or channels of a convolution, that the weights lead to.
    """

    layer: str
    values: np.ndarray
    batches: np.ndarray
    samples: np.ndarray
    times: Any
    neurons: np.ndarray


class WeightHistories:
    """What a call of `Learner.learn` records.

    Parameters
    ----------
    record : str, Record, or sequence of these
    spec : NetworkSpec
    rule : Rule
    state : LearnerState
        Before learning.
    n, batch_size : int
        Samples of the call, and of a batch.

    Raises
    ------
    SpecError
        Other variables, weights and rows that there are not, by name.
    BrianLearnError
        If they would not fit into memory.
    """

    def __init__(
        self, record: Any, spec: NetworkSpec, rule: Rule, state: LearnerState, n: int, batch_size: int
    ) -> None:
        self.spec, self.n, self.batch_size = spec, n, batch_size
        self._rows: dict[str, np.ndarray] = {}
        self._every: dict[str, int] = {}
        for each in records(OWNER, record):
            self._take(each, state.weights, rule.learned(spec))
        n_batches = -(-n // batch_size)
        moments = {name: 1 + n_batches // every for name, every in self._every.items()}
        shapes = {name: (len(rows), *state.weights[name].shape[1:]) for name, rows in self._rows.items()}
        size = sum(moments[name] * prod(shape) * state.weights[name].itemsize for name, shape in shapes.items())
        check_memory(
            OWNER, size, "record fewer layers or rows, or every so many batches: bl.Record('weights', every=100)"
        )
        self._values = {
            name: np.empty((moments[name], *shape), state.weights[name].dtype) for name, shape in shapes.items()
        }
        self.note(0, state)

    def _take(self, record: Record, weights: Mapping[str, np.ndarray], learned: tuple[str, ...]) -> None:
        if record.variable != OF_LEARNING:
            raise SpecError(
                OWNER,
                "only weights are recorded while they learn",
                got=repr(record.variable),
                expected=repr(OF_LEARNING),
                remedy="record it with the weights that there are: learner.infer(state, samples, record=...)",
            )
        if record.samples is not None:
            raise SpecError(
                record.owner,
                "weights are recorded after batches, not in samples",
                got=f"samples={record.samples!r}",
                expected="every=..., a number of batches",
            )
        for name in learned if record.layers is None else record.layers:
            if name not in weights:
                raise SpecError(
                    record.owner,
                    "there are no such weights",
                    got=repr(name),
                    expected=", ".join(weights),
                    remedy=did_you_mean(name, weights),
                )
            if name in self._rows:
                raise SpecError(
                    OWNER,
                    f"the weights of {name} are recorded twice",
                    got=repr(record),
                    expected="one record for each layer",
                )
            length = len(weights[name])
            rows = indices(record.owner, "neurons", record.neurons, length, f"the weights of {name} have {length} rows")
            self._rows[name] = np.arange(length) if rows is None else rows
            self._every[name] = record.every

    def parts(self, chunk_size: int) -> Iterator[slice]:
        """Calls of an engine, which end where weights are kept."""
        step = gcd(*self._every.values()) * self.batch_size if self._every else self.n
        for first in range(0, self.n, step):
            last = min(first + step, self.n)
            for start in range(first, last, chunk_size):
                yield slice(start, min(start + chunk_size, last))

    def __bool__(self) -> bool:
        return bool(self._rows)

    def note(self, done: int, state: LearnerState) -> None:
        """Keep the weights after so many samples, where they are wanted."""
        if done % self.batch_size and done < self.n:
            return
        batches = -(-done // self.batch_size)
        for name, every in self._every.items():
            if batches % every == 0:
                self._values[name][batches // every] = state.weights[name][self._rows[name]]

    @property
    def histories(self) -> dict[str, WeightHistory]:
        """Name of weights -> what they were."""
        found = {}
        for name, values in self._values.items():
            batches = np.arange(len(values)) * self._every[name]
            samples = np.minimum(batches * self.batch_size, self.n)
            times = samples * float(self.spec.duration) * second
            found[name] = WeightHistory(name, values, batches, samples, times, self._rows[name])
        return found
