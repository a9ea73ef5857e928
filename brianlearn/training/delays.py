"""The engine of networks with learned delays: rounded delays for all but learning them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from threading import Lock

import numpy as np

from brianlearn.learning.delays import rounded, without_delays
from brianlearn.learning.engine import Engine, TrialRecord
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.state import LearnerState
from brianlearn.learning.weights import initial_weights
from brianlearn.network.learned_delays import UNIT
from brianlearn.network.record import Tap
from brianlearn.network.samples.samples import Samples
from brianlearn.network.spec import NetworkSpec

__all__ = ["DelaysEngine"]


class DelaysEngine:
    """Runs a network with the delays of a state on the time grid, as any network with fixed delays.

    In epochs in which the rule learns delays, the network with spread weights runs in its place. Delays that come to
    rest lie on the grid in the state too.

    Parameters
    ----------
    spec : NetworkSpec
        With learned delays.
    rule : Rule or None
    make : callable
        Network -> the engine that runs it.

    Attributes
    ----------
    chunk_size, device
        See `brianlearn.learning.engine.Engine`.
    """

    def __init__(self, spec: NetworkSpec, rule: Rule | None, make: Callable[[NetworkSpec], Engine]) -> None:
        self._spec, self._make, self._lock = spec, make, Lock()
        learned = () if rule is None else rule.learned(spec)
        self._learned = {name: q.delay for name, q in spec.learned_delays.items() if name in learned}
        self._made: dict[tuple[str, ...], tuple[object, Engine]] = {}
        first = self._of(initial_weights(spec), ())  # which refuses what it cannot run
        self.chunk_size, self.device = first.chunk_size, first.device

    def _of(self, weights: Mapping[str, np.ndarray], spread: tuple[str, ...]) -> Engine:
        """The engine for these delays, of which some are spread; the last one is kept."""
        fixed = {name: q for name, q in self._spec.learned_delays.items() if name not in spread}
        steps = {name: q.delay.rounded(weights[name], self._spec.dt).tobytes() for name, q in fixed.items()}
        with self._lock:
            if self._made.get(spread, (None,))[0] != steps:
                self._made[spread] = steps, self._make(rounded(self._spec, weights, spread)[0])
            return self._made[spread][1]

    def infer(self, state: LearnerState, samples: Samples, record: tuple[Tap, ...]) -> TrialRecord:
        """Run samples with rounded delays; see `Engine`.

        Parameters
        ----------
        state : LearnerState
        samples : Samples
        record : tuple of Tap

        Returns
        -------
        TrialRecord
        """
        return self._of(state.weights, ()).infer(self._without(state, self._spec.learned_delays), samples, record)

    def learn(self, state: LearnerState, samples: Samples, learning_rate: float) -> tuple[LearnerState, TrialRecord]:
        """Learn, with spread weights where delays do; see `Engine`.

        Parameters
        ----------
        state : LearnerState
        samples : Samples
        learning_rate : float
            That of the epoch.

        Returns
        -------
        state : LearnerState
        record : TrialRecord
        """
        spread = tuple(name for name, d in self._learned.items() if d.width(state.epoch, self._spec.dt) > 0)
        fixed = {name: q for name, q in self._spec.learned_delays.items() if name not in spread}
        engine = self._of(state.weights, spread)
        new, record = engine.learn(self._without(state, fixed), samples, learning_rate)
        kept = {name: self._at_rest(name, state.weights[name]) for name in fixed}
        slots = {name: state.optimiser[name] for name in fixed if name in state.optimiser}
        new = dataclasses.replace(new, weights={**new.weights, **kept}, optimiser={**new.optimiser, **slots})
        return new, record

    def _at_rest(self, name: str, delays: np.ndarray) -> np.ndarray:
        """Delays that stay: on the grid where they have been learned, else as they are."""
        if name not in self._learned:
            return delays
        steps = self._learned[name].rounded(delays, self._spec.dt)
        return (steps * (float(self._spec.dt) / UNIT)).astype(delays.dtype)

    @staticmethod
    def _without(state: LearnerState, names: Mapping[str, object]) -> LearnerState:
        """What an engine knows that has these delays fixed."""
        weights, slots = without_delays(state.weights, names), without_delays(state.optimiser, names)
        return dataclasses.replace(state, weights=weights, optimiser=slots)
