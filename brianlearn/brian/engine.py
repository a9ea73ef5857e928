"""The Brian2 engine: chunks of trials on a device."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Protocol

import numpy as np

from brianlearn.brian.build.noise import SEEDED
from brianlearn.brian.build.plan import Plan, encoder_of, neuron_of
from brianlearn.brian.cpp.standalone import StandaloneDevice
from brianlearn.brian.genn.refusals import refuse_genn, refuse_recording
from brianlearn.brian.run.feed import collect, inputs, new_state, trials_to_run
from brianlearn.brian.run.runtime import RuntimeDevice
from brianlearn.brian.run.shards import gather, shards_of_batches, shards_of_samples
from brianlearn.errors import RuleError, SpecError
from brianlearn.learning.engine import TrialRecord
from brianlearn.learning.engine_settings import IMPLEMENTATIONS
from brianlearn.learning.optimisers import SGD, Optimiser
from brianlearn.learning.recording import taps_of
from brianlearn.learning.rules.local import LocalRule
from brianlearn.learning.state import LearnerState
from brianlearn.machine.devices import resolve_device
from brianlearn.machine.genn_setup import GENN_DEVICES
from brianlearn.network.inputs import values_of
from brianlearn.network.record import Tap
from brianlearn.network.samples.samples import Samples
from brianlearn.network.samples.targets import kind_of
from brianlearn.network.spec import NetworkSpec

__all__ = ["BrianEngine", "refuse"]

#: Input arrays of one chunk take at most this many bytes.
CHUNK_BYTES = 64 * 2**20
#: Share of inputs and steps with a spike that the length of a chunk is planned for, where a run brings a list of them.
LISTED = 0.01
#: Lists of spikes of one run take at most this many bytes, unless those of one batch take more.
SPIKE_BYTES = 128 * 2**20
#: Bytes of a spike that goes in, and of one that is recorded, with what is made of it; and the share of neurons and
#: steps that recordings are planned for.
SPIKE_IN, SPIKE_OUT, ACTIVE = 4, 20, 0.1
#: No chunk is longer, nor has more synapses x steps: checkpoints and progress come at chunk ends, every few seconds. A
#: run of a standalone program costs some 40 ms beside its trials.
CHUNK_TRIALS = 1000
CHUNK_WORK = {"numpy": 10**9, "cython": 4 * 10**9, "cpp_standalone": 5 * 10**10, "genn-cpu": 5 * 10**10, "genn": 10**12}


class Device(Protocol):
    """Runs a plan: arrays in, arrays out.

    Attributes
    ----------
    times : dict
        Object -> seconds in the last run, where the plan says that they are measured.
    """

    times: dict[str, float]

    def run(self, values: dict[str, np.ndarray], n_trials: int) -> dict[str, np.ndarray]:
        """Run ``n_trials`` trials and one step more."""
        ...


class BrianEngine:
    """Runs and teaches a network as Brian2 objects (see `brianlearn.learning.engine.Engine`).

    Parameters
    ----------
    spec : NetworkSpec
    rule : LocalRule or None
    optimiser : Optimiser
    device : str
        See `brianlearn.machine.devices.resolve_device`.
    dtype : str
    batch_size : int
    chunk_size : int or None
        Rounded up to whole batches.
    workers : int
        Processes that share the trials of a batch (cpp_standalone).
    profile : bool
        Whether to measure the time of every object (see `times`).
    implementation : {"loops", "third_factor", "synapses"}
        On cpp_standalone: C++ loops in the place of synapses where possible; the synapses of Brian2 themselves, with
        one C++ function per layer for the third factor; or synapses alone, as on the other devices: the
        reference, several times slower.

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
        rule: LocalRule | None,
        optimiser: Optimiser,
        *,
        device: str,
        dtype: str,
        batch_size: int,
        chunk_size: int | None = None,
        workers: int = 1,
        profile: bool = False,
        implementation: str = "loops",
    ) -> None:
        # first what cannot run on any machine
        if spec.timing == "pipelined" and workers != 1:
            raise RuleError(
                "pipelined timing",
                "it runs in one process",
                got=f"workers={workers}",
                expected="workers=1",
                remedy="use workers=1, or timing='same_step'",
            )
        refuse(spec, rule, batch_size, optimiser, device)
        self.device = resolve_device(device)
        _refuse_function(rule, self.device)
        if profile and self.device in GENN_DEVICES:
            raise RuleError(
                f"device {device!r}",
                "it does not measure the time of objects",
                got="profile",
                expected="numpy, cython or cpp_standalone",
            )
        _refuse_workers(workers, self.device, spec, rule, batch_size)
        if implementation not in IMPLEMENTATIONS:
            raise RuleError(
                "engine 'brian'",
                "unknown implementation",
                got=repr(implementation),
                expected=", ".join(map(repr, IMPLEMENTATIONS)),
            )
        wanted = chunk_size or _default_chunk(spec, self.device)
        self.chunk_size = max(1, -(-wanted // batch_size)) * batch_size
        capacity = self.chunk_size // batch_size * -(-batch_size // workers)
        self._plan = Plan(
            spec,
            rule,
            optimiser,
            batch_size,
            capacity,
            dtype,
            workers=workers,
            profile=profile,
            implementation=implementation,
            expanded=self.device in GENN_DEVICES,
        )
        self._built: dict[tuple[str, tuple[Tap, ...]], tuple[Plan, Device]] = {}

    def _device(self, record: tuple[Tap, ...], samples: Samples | None = None) -> tuple[Plan, Device]:
        """The network that records ``record``, for the targets of samples, or those of before.

        Evaluation without recording shares the one that learns.
        """
        self._aim_at(None if samples is None else samples.targets)
        key = self._plan.targets, record
        if key not in self._built:
            plan = dataclasses.replace(self._plan, record=record)
            if record and not plan.observes:
                plan = dataclasses.replace(plan, rule=None)
            self._built[key] = plan, self._make(plan)
        return self._built[key]

    def _aim_at(self, targets: np.ndarray | None) -> None:
        """Plan for the kind of targets that samples have; without any for that of the samples before."""
        kind = kind_of(targets) or self._plan.targets
        if kind in (self._plan.targets, "trains"):  # trains are compared with recorded spikes
            return
        if self.device in GENN_DEVICES:
            raise RuleError(
                f"device {self.device!r}",
                "it compares readouts with labels alone",
                got=kind,
                expected="labels",
                remedy="use device='cpp_standalone' with timing='pipelined', or engine='discrete'",
            )
        self._plan = dataclasses.replace(self._plan, targets=kind)

    def _make(self, plan: Plan) -> Device:
        if self.device in GENN_DEVICES:
            from brianlearn.brian.genn.device import GennDevice

            return GennDevice(plan, gpu=self.device == "genn")
        if self.device == "cpp_standalone":
            return StandaloneDevice(plan)
        return RuntimeDevice(plan, self.device)

    @property
    def times(self) -> dict[str, float]:
        """Seconds by object of Brian2 in the last run of the network that learns."""
        return self._device(())[1].times

    def learn(self, state: LearnerState, samples: Samples, learning_rate: float) -> tuple[LearnerState, TrialRecord]:
        """Learn from at most ``chunk_size`` samples; see `Engine`.

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

        Raises
        ------
        RuleError
            Targets that the device does not compare readouts with.
        """
        records = []
        for part in parts_by_memory(self._plan, samples, batch=self._plan.batch_size):
            state, record = self._learn(state, samples[part], learning_rate)
            records.append(record)
        return state, TrialRecord.concatenate(records)

    def _learn(self, state: LearnerState, samples: Samples, learning_rate: float) -> tuple[LearnerState, TrialRecord]:
        plan, device = self._device((), samples)
        n = len(samples)
        if plan.workers == 1:
            values = inputs(plan, state, samples, learning=True, learning_rate=learning_rate)
            n_trials = trials_to_run(plan, n, learning=True)
            if plan.reward_function is not None:
                assert isinstance(device, RuntimeDevice)
                outputs = device.learn(values, n_trials, samples)
            else:
                outputs = device.run(values, n_trials)
            return new_state(plan, state, outputs, n), collect(plan, outputs, n)
        assert isinstance(device, StandaloneDevice)
        shards = shards_of_batches(n, plan.batch_size, plan.workers)
        runs = [inputs(plan, state, samples, learning=True, learning_rate=learning_rate, shard=s) for s in shards]
        results = device.run_together(runs, [s.n_trials for s in shards], all_reduce=True)
        records = [collect(plan, result, s.n_trials) for result, s in zip(results, shards, strict=True)]
        return new_state(plan, state, results[0], n), gather(records, shards)

    def infer(self, state: LearnerState, samples: Samples, record: tuple[Tap, ...]) -> TrialRecord:
        """Run at most ``chunk_size`` samples with frozen weights; see `Engine`.

        Parameters
        ----------
        state : LearnerState
        samples : Samples
        record : tuple of Tap
            What is recorded.

        Returns
        -------
        TrialRecord

        Raises
        ------
        SpecError
            What a GeNN device cannot record.
        RuleError
            Targets that the device does not compare readouts with.
        """
        if self.device in GENN_DEVICES:
            refuse_recording(self.device, record)
        parts = parts_by_memory(dataclasses.replace(self._plan, record=record), samples, batch=1)
        return TrialRecord.concatenate([self._infer(state, samples[part], record) for part in parts])

    def _infer(self, state: LearnerState, samples: Samples, record: tuple[Tap, ...]) -> TrialRecord:
        plan, device = self._device(record, samples)
        if plan.workers == 1:
            outputs = device.run(inputs(plan, state, samples, learning=False), len(samples))
            return collect(plan, outputs, len(samples))
        assert isinstance(device, StandaloneDevice)
        shards = shards_of_samples(len(samples), plan.workers)
        runs = [inputs(plan, state, samples, learning=False, shard=s) for s in shards]
        results = device.run_together(runs, [s.n_trials for s in shards])
        return gather([collect(plan, result, s.n_trials) for result, s in zip(results, shards, strict=True)], shards)


def _refuse_workers(workers: int, device: str, spec: NetworkSpec, rule: LocalRule | None, batch_size: int) -> None:
    if workers == 1:
        return
    if device != "cpp_standalone":
        raise RuleError(
            f"device {device!r}",
            "it runs in one process",
            got=f"workers={workers}",
            expected="workers=1",
            remedy="use device='cpp_standalone'",
        )
    if rule is not None and rule.state(spec):
        raise RuleError(
            "workers",
            "the rule carries a value from trial to trial, which processes cannot share",
            got=f"workers={workers} with {', '.join(rule.state(spec))}",
            expected="workers=1, or a reward without a baseline",
        )
    if rule is not None and (rule.changes == "step" or batch_size < workers):
        raise RuleError(
            "workers",
            "a batch cannot be shared",
            got=f"workers={workers} with batch_size={batch_size}, update={rule.changes!r}",
            expected="update='batch' and at least as many samples in a batch",
            remedy="use a larger batch_size, or workers=1",
        )


def parts_by_memory(plan: Plan, samples: Samples, batch: int) -> list[slice]:
    """Parts of a chunk that are run one after the other, so that lists of spikes take little memory; one is the rule.

    What is learned does not depend on how samples are divided, as long as batches stay whole.

    Parameters
    ----------
    plan : Plan
    samples : Samples
    batch : int
        Samples that cannot be divided. A part has one batch at least.

    Returns
    -------
    list of slice
    """
    spec, n = plan.spec, len(samples)
    size = np.zeros(n)
    for p in spec.graph.inputs:
        if encoder_of(p).precomputed:
            size += SPIKE_IN * encoder_of(p).most_spikes(values_of(spec, p.name, samples.inputs), spec.n_steps)
    neurons = sum(spec.graph.by_name[layer].n for layer in taps_of(plan.record, "spikes"))
    size += SPIKE_OUT * ACTIVE * neurons * spec.n_steps
    starts, sum_ = [0], 0.0
    for first in range(0, n, batch):
        more = float(size[first : first + batch].sum())
        if sum_ + more > SPIKE_BYTES and first > starts[-1]:
            starts.append(first)
            sum_ = 0.0
        sum_ += more
    return [slice(start, end) for start, end in pairwise([*starts, n])]


def _default_chunk(spec: NetworkSpec, device: str) -> int:
    # of lists, how many spikes there are is not known yet: where they are more, chunks are run in parts
    size = sum(
        4.0 * spec.n_steps * (1 + LISTED * p.n) if encoder_of(p).precomputed else 8.0 * p.n for p in spec.graph.inputs
    )
    size += sum(8 * p.n * spec.n_steps for p in spec.neurons if p.dropout and p.dropout_every == "step")
    work = spec.n_steps * sum(p.connectivity.n_synapses for p in spec.projections)
    return int(np.clip(min(int(CHUNK_BYTES / size), max(CHUNK_WORK[device] // work, 50)), 1, CHUNK_TRIALS))


def refuse(
    spec: NetworkSpec,
    rule: LocalRule | None,
    batch_size: int,
    optimiser: Optimiser | None = None,
    device: str = "auto",
) -> None:
    """Refuse by name what the engine, or a device of it, cannot run on any machine.

    Raises
    ------
    RuleError, SpecError
    """
    if device in GENN_DEVICES:
        refuse_genn(device, spec, rule, optimiser)
    _refuse_function(rule, device)
    _refuse_random(spec)
    if rule is not None and optimiser is not None:
        rule.check_optimiser(optimiser)
    stepwise = rule is not None and rule.changes == "step"
    others = optimiser is not None and not optimiser.is_plain
    if stepwise and others and spec.timing == "pipelined":
        raise RuleError(
            "engine 'brian', pipelined timing",
            "with update='step' weights change at the spikes themselves, and only SGD without clipping does that",
            got=f"{optimiser} with update='step'",
            expected="SGD",
            remedy="use SGD, or update='batch', or engine='discrete'",
        )
    if rule is not None and rule.changes == "step" and batch_size != 1:
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
        _refuse_names(spec, rule)


def _refuse_function(rule: LocalRule | None, device: str) -> None:
    """Refuse to compile a reward that a function of Python computes."""
    reward = None if rule is None or rule.synaptic is None else rule.synaptic.reward
    if reward is not None and reward.function is not None and device in ("cpp_standalone", *GENN_DEVICES):
        raise RuleError(
            f"device {device!r}, Reward",
            "a compiled program cannot call a function of Python",
            got=repr(reward.value),
            expected="device='numpy' or 'cython', or a reward that is a text, e.g. bl.Reward('2*correct - 1')",
        )


def _refuse_random(spec: NetworkSpec) -> None:
    """Refuse random functions whose numbers would not depend on the seed alone."""
    for p in spec.neurons:
        neuron = neuron_of(p)
        unknown = sorted(set(neuron.random) - set(SEEDED) - neuron.parsed.equations.stochastic_variables)
        if unknown:
            raise SpecError(
                f"engine 'brian', layer {p.name}",
                "a random function has no form with a seed, so that no run could be repeated",
                got=", ".join(f"{name}()" for name in unknown),
                expected=", ".join(["xi", *(f"{name}()" for name in SEEDED)]),
                remedy="write the noise with one of these",
            )


def _refuse_names(spec: NetworkSpec, rule: LocalRule) -> None:
    """Refuse neurons with a variable of their own that has the name of a trace."""
    plan = Plan(spec, rule, SGD(1.0), 1, 1, "float64")
    for p in spec.neurons:
        ours = {variable for trace in plan.traces_of(p.name) for variable in trace.variables}
        parsed = neuron_of(p).parsed
        taken = sorted(ours & {*parsed.equations.names, *parsed.constants})
        if taken:
            raise RuleError(
                f"engine 'brian', layer {p.name}",
                "the neuron has variables with the names of the traces of its spikes",
                got=", ".join(taken),
                expected=f"names other than {', '.join(sorted(ours))}",
                remedy="rename them, or use eligibility='spike'",
            )
