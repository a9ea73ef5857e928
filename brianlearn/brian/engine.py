"""The Brian2 engine: chunks of trials on a device."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Protocol

import numpy as np

from brianlearn.brian.compiler import resolve_device
from brianlearn.brian.feed import collect, inputs, new_state, trials_to_run
from brianlearn.brian.plan import Plan
from brianlearn.brian.runtime import RuntimeDevice
from brianlearn.brian.standalone import StandaloneDevice
from brianlearn.brian.statements import coefficient_name, trace_name
from brianlearn.errors import RuleError
from brianlearn.rules.eligibility import linear_response
from brianlearn.rules.engine import TrialRecord
from brianlearn.rules.optimisers import Optimiser
from brianlearn.rules.state import LearnerState
from brianlearn.rules.three_factor import ThreeFactorRule
from brianlearn.spec.layers import Layer
from brianlearn.spec.network import NetworkSpec
from brianlearn.spec.samples import Samples

__all__ = ["BrianEngine", "refuse"]

#: Input arrays of one chunk take at most this many bytes.
CHUNK_BYTES = 64 * 2**20
#: No chunk is longer, nor has more synapses x steps: checkpoints and progress come at chunk ends.
CHUNK_TRIALS = 1000
CHUNK_WORK = 4 * 10**9


class Device(Protocol):
    """Runs a plan: arrays in, arrays out."""

    def run(self, values: dict[str, np.ndarray], n_trials: int) -> dict[str, np.ndarray]:
        """Run ``n_trials`` trials and one step more."""
        ...


class BrianEngine:
    """Runs and teaches a network as Brian2 objects (see `brianlearn.rules.engine.Engine`).

    Parameters
    ----------
    spec : NetworkSpec
    rule : ThreeFactorRule or None
    optimiser : Optimiser
    device : str
        See `brianlearn.brian.compiler.resolve_device`.
    dtype : str
    batch_size : int
    chunk_size : int or None
        Rounded up to whole batches.

    Raises
    ------
    RuleError
        What this engine cannot run, by name.
    DeviceError
        A device that this machine cannot run.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        rule: ThreeFactorRule | None,
        optimiser: Optimiser,
        *,
        device: str,
        dtype: str,
        batch_size: int,
        chunk_size: int | None = None,
    ) -> None:
        self.device = resolve_device(device)
        refuse(spec, rule, batch_size)
        wanted = chunk_size or _default_chunk(spec)
        self.chunk_size = max(1, -(-wanted // batch_size)) * batch_size
        self._plan = Plan(spec, rule, optimiser, batch_size, self.chunk_size, dtype)
        self._built: dict[tuple[str, ...], tuple[Plan, Device]] = {}

    def _device(self, record: tuple[str, ...]) -> tuple[Plan, Device]:
        """The network that records ``record``; evaluation without recording shares the one that learns."""
        if record not in self._built:
            plan = dataclasses.replace(self._plan, rule=None if record else self._plan.rule, record=record)
            standalone = self.device == "cpp_standalone"
            self._built[record] = plan, StandaloneDevice(plan) if standalone else RuntimeDevice(plan, self.device)
        return self._built[record]

    def learn(self, state: LearnerState, samples: Samples, learning_rate: float) -> tuple[LearnerState, TrialRecord]:
        plan, device = self._device(())
        values = inputs(plan, state, samples, learning=True, learning_rate=learning_rate)
        n = len(samples)
        outputs = device.run(values, trials_to_run(plan, n, learning=True))
        return new_state(plan, state, outputs, n), collect(plan, outputs, n)

    def infer(self, state: LearnerState, samples: Samples, record: tuple[str, ...]) -> TrialRecord:
        plan, device = self._device(tuple(sorted(set(record))))
        outputs = device.run(inputs(plan, state, samples, learning=False), len(samples))
        return collect(plan, outputs, len(samples))


def _default_chunk(spec: NetworkSpec) -> int:
    size = int(np.prod(spec.input.shape)) * 8 * (spec.n_steps if spec.input.encoder.precomputed else 1)
    work = spec.n_steps * sum(len(p.connectivity.pre) for p in spec.projections)
    return int(np.clip(min(CHUNK_BYTES // size, max(CHUNK_WORK // work, 50)), 1, CHUNK_TRIALS))


def refuse(spec: NetworkSpec, rule: ThreeFactorRule | None, batch_size: int) -> None:
    """Refuse by name what the engine cannot run.

    Raises
    ------
    RuleError
    """
    if spec.timing != "same_step":
        raise RuleError(
            "engine 'brian'",
            "this timing is not available",
            got=f"timing={spec.timing!r}",
            expected="timing='same_step'",
        )
    if rule is not None and rule.update == "step" and batch_size != 1:
        raise RuleError(
            "engine 'brian'",
            "update='step' changes weights within a trial, so trials cannot share a batch",
            got=f"batch_size={batch_size}",
            expected="batch_size=1",
            remedy="use update='batch', or engine='discrete'",
        )
    if rule is not None and rule.credit != "online":
        raise RuleError(
            f"engine 'brian', rule {rule.name!r}",
            "this engine learns event by event and cannot propagate errors back through time",
            got=f"credit={rule.credit!r}",
            expected="credit='online'",
            remedy="use engine='discrete'; the weights then run in Brian2",
        )
    if rule is not None and rule.eligibility == "trace":
        _refuse_names(spec)


def _refuse_names(spec: NetworkSpec) -> None:
    """Refuse neurons with a variable of their own that has the name of a trace."""
    for below, p in pairwise(spec.projections):
        assert isinstance(below.layer, Layer)
        response = linear_response(p, float(spec.dt))
        ours = {*map(trace_name, response.states), *(coefficient_name(*pair) for pair in response.coefficients)}
        parsed = below.layer.neuron.parsed
        taken = sorted(ours & {*parsed.equations.names, *parsed.constants})
        if taken:
            raise RuleError(
                f"engine 'brian', layer {below.name}",
                "the neuron has variables with the names of the traces of its spikes",
                got=", ".join(taken),
                expected=f"names other than {', '.join(sorted(ours))}",
                remedy="rename them, or use eligibility='spike'",
            )
