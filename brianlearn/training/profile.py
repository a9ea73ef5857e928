"""Where the time of the Brian2 engine goes."""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from brianlearn.brian.engine import BrianEngine
from brianlearn.errors import RuleError
from brianlearn.learning.delays import rounded
from brianlearn.learning.rules.local import LocalRule
from brianlearn.network.encoders import Encoder
from brianlearn.network.spec import NetworkSpec
from brianlearn.training.experiment import Experiment
from brianlearn.training.learner import Learner
from brianlearn.training.splits import split
from brianlearn.work import working

__all__ = ["Part", "Profile", "profile"]


@dataclass(frozen=True)
class Part:
    """One object of Brian2.

    Attributes
    ----------
    name : str
        As `brianlearn.brian.describe` prints it.
    layer : str
        The layer that it belongs to; empty for the rest.
    milliseconds : float
        Per sample.
    share : float
        Of the time of all objects.
    """

    name: str
    layer: str
    milliseconds: float
    share: float


@dataclass(frozen=True)
class Profile:
    """Where the time goes while a network learns.

    Attributes
    ----------
    device, dtype : str
    samples : int
    parts : tuple of Part
        The slowest first.
    samples_per_second : float
        Of a whole call of `Learner.learn`, with nothing measured inside.
    overhead : float
        Share of a call, with everything measured, outside of the objects: starting, reading and writing arrays, the
        loop itself.
    synaptic_events : dict
        Layer -> weights that a spike reached, per sample (through the pool once for every way).
    synaptic_events_per_second : float
        Delivered in all layers, at ``samples_per_second``.
    firing_rates : dict
        Layer -> mean rate in Hz.
    weight_bytes, input_bytes : int
        Weights with gradient and optimiser state; the arrays of one chunk of inputs.
    """

    device: str
    dtype: str
    samples: int
    parts: tuple[Part, ...]
    samples_per_second: float
    overhead: float
    synaptic_events: Mapping[str, float]
    synaptic_events_per_second: float
    firing_rates: Mapping[str, float]
    weight_bytes: int
    input_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can hold."""
        return asdict(self)


@working()
def profile(experiment: Experiment, *, samples: int = 200) -> Profile:
    """Measure how long the objects of an experiment's network run.

    Two networks are made: one that measures every object, and one that does not, for the speed.

    Parameters
    ----------
    experiment : Experiment
        For the Brian2 engine.
    samples : int, optional
        Training samples to learn from.

    Returns
    -------
    Profile

    Raises
    ------
    RuleError, DeviceError, DataError
        What the engine, the machine or the data refuse.
    """
    spec, size = experiment.spec, experiment.batch_size
    data = split(experiment.data, spec, limit=samples, validation=0, test_limit=None, seed=experiment.seed).train
    rule = experiment.rule
    if not isinstance(rule, LocalRule):
        raise RuleError(
            "profile",
            "it measures the Brian2 engine, which cannot learn by this rule",
            got=f"rule={rule.name!r}",
            expected="dalton or tfr",
            remedy="--rule dalton; torch's own profiler (torch.profiler) measures the discrete engine",
        )
    options: dict[str, Any] = dict(device=experiment.device, dtype=experiment.dtype, batch_size=size)
    plain = Learner(spec, rule, experiment.optimiser, engine="brian", **options, chunk_size=len(data))
    state = plain.init()
    rate = experiment.optimiser.rate_at(0)
    plain.engine.learn(state, data, rate)  # compiles, and fills the caches
    started = time.perf_counter()
    _, record = plain.engine.learn(state, data, rate)
    seconds = time.perf_counter() - started
    fixed, weights = rounded(spec, state.weights)
    state = dataclasses.replace(state, weights=weights)
    measured = BrianEngine(
        fixed, rule, experiment.optimiser, **options, chunk_size=plain.engine.chunk_size, profile=True
    )
    measured.learn(state, data, rate)
    started = time.perf_counter()
    measured.learn(state, data, rate)
    whole, times = time.perf_counter() - started, measured.times
    total = sum(times.values())
    layers = [p.name for p in spec.populations]
    parts = [
        Part(name, _layer(name, layers), 1000 * t / len(data), t / total)
        for name, t in sorted(times.items(), key=lambda item: -item[1])
    ]
    counts = {name: float(np.mean(n)) for name, n in record.spike_counts.items()}
    events = _synaptic_events(spec, counts)
    arrays = [*state.weights.values(), *(a for slots in state.optimiser.values() for a in slots.values())]
    gradients = sum(state.weights[p.name].nbytes for p in spec.projections)
    return Profile(
        plain.device,
        experiment.dtype,
        len(data),
        tuple(parts),
        len(data) / seconds,
        1 - total / whole,
        events,
        sum(events.values()) * len(data) / seconds,
        {
            name: n / (size_ * float(spec.duration))
            for name, n in counts.items()
            for size_ in [spec.graph.by_name[name].n]
        },
        sum(array.nbytes for array in arrays) + gradients,
        _input_bytes(spec, counts) * plain.engine.chunk_size,
    )


def _input_bytes(spec: NetworkSpec, counts: Mapping[str, float]) -> int:
    """Of one trial: lists of spikes and their number in each step, or values; ``counts``: spikes by population."""
    total = 0
    for p in spec.graph.inputs:
        listed = isinstance(p.neuron, Encoder) and p.neuron.precomputed
        total += round(4 * (counts[p.name] + spec.n_steps)) if listed else 8 * p.n
    return total


def _layer(name: str, layers: list[str]) -> str:
    return next((layer for layer in layers if re.search(rf"(^|_){layer}(_|$)", name)), "")


def _synaptic_events(spec: NetworkSpec, counts: Mapping[str, float]) -> dict[str, float]:
    """Mean number of synaptic events per sample, layer by layer: spikes times mean number of targets."""
    events = {}
    for p in [*spec.projections, *spec.readout_projections]:
        events[p.name] = counts[p.source] * p.connectivity.n_synapses / p.n_pre
    return events
