"""The discrete engine: chunks of trials in torch, in batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from itertools import pairwise
from math import ceil, sqrt
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.host.memory import keep_freed_memory
from brianlearn.discrete.options import arithmetic, read_options, resolve_torch_device
from brianlearn.discrete.run import bptt
from brianlearn.discrete.run.activity import DiscreteActivity
from brianlearn.discrete.run.batch import BatchRecord
from brianlearn.discrete.run.bptt import scores, total_loss
from brianlearn.discrete.run.losses import TrialLoss
from brianlearn.discrete.run.network import export
from brianlearn.discrete.run.optimisers import TensorOptimiser
from brianlearn.discrete.run.recording import Watch
from brianlearn.discrete.run.targets import as_tensor
from brianlearn.errors import RuleError
from brianlearn.learning.engine import TrialRecord
from brianlearn.learning.losses import ReadoutMSE
from brianlearn.learning.optimisers import Optimiser
from brianlearn.learning.recording import taps_of
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.rules.three_factor import ThreeFactorRule
from brianlearn.learning.state import LearnerState
from brianlearn.learning.value_losses import MSE
from brianlearn.learning.weights import weight_shapes
from brianlearn.network.record import Tap
from brianlearn.network.samples.samples import Raster, Samples
from brianlearn.network.spec import NetworkSpec

__all__ = ["DiscreteEngine"]

#: Samples from one checkpoint to the next.
CHUNK_TRIALS = 2000
#: Values that all layers hold in all steps of the trials that run at once. Larger batches are divided: what one layer
#: writes the next one then reads from the cache, and memory does not grow with the batch. (Network A1, batch 200, one
#: thread: 0.65 s at once, 0.32 s in parts of 25.)
VALUES_AT_ONCE = {"cpu": 4 * 2**20, "cuda": 2**28}

#: Times as many values where a part of the steps of a trial runs at once, step by step: many trials are worth more then
#: than what lies in the cache. (700-256-20, 5000 steps, batch of 128: see docs/speed.md.)
PART = 4
#: Times as many values where all steps of a network with cycles run at once: a step of few trials is too little work
#: for threads and matrix products. (700-256-20, 250 steps, batch of 128: 1.15 s in parts of 17, 0.31 s at once.)
CYCLES = 8
#: Trials of a network with cycles that are to run at once; where fewer would, they run in parts of their steps.
ENOUGH = 32
#: Bytes of the largest arrays whose memory is kept when they are freed, where trials run in parts.
LARGEST_OF_PARTS = 8 * 2**20
#: Times as many values from which on a trial of a network without cycles runs in parts.
MOST_OF_A_CHAIN = 16

#: inputs, labels, keys -> gradients and record of a batch
Gradients = Callable[[Any, torch.Tensor, np.ndarray], tuple[dict[str, torch.Tensor], BatchRecord]]


class DiscreteEngine:
    """Runs and teaches a network as a torch module (see `brianlearn.learning.engine.Engine`).

    Parameters
    ----------
    spec : NetworkSpec
    rule : Rule or None
    optimiser : Optimiser
    device : str
        Torch's name of a device, or ``"auto"``.
    dtype : str
    batch_size : int
    chunk_size : int or None
        Rounded up to whole batches.
    options : mapping, optional
        Settings of `brianlearn.Discrete`, but for the device.

    Raises
    ------
    RuleError, SpecError
        What this engine cannot run, by name.
    DeviceError
        A device that this machine does not have.
    """

    def __init__(
        self,
        spec: NetworkSpec,
        rule: Rule | None,
        optimiser: Optimiser,
        *,
        device: str = "auto",
        dtype: str = "float32",
        batch_size: int = 1,
        chunk_size: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        place = resolve_torch_device(device)
        self.device = str(place)
        self.chunk_size = max(1, -(-(chunk_size or CHUNK_TRIALS) // batch_size)) * batch_size
        self._options = read_options(options or {}, place)
        self._spec, self._rule, self._optimiser, self._batch_size = spec, rule, optimiser, batch_size
        self._dtype = np.dtype(dtype)
        zeros = {name: np.zeros(shape) for name, shape in weight_shapes(spec).items()}
        zeros |= {one.key: one.initial(seed=0) for one in spec.learned_constants}  # 0 is no time constant
        delays = {name: q.delay.limits for name, q in spec.learned_delays.items()}
        zeros |= {name: np.full(zeros[name].shape, low) for name, (low, _) in delays.items()}
        self._bounds = delays | {one.key: (one.low, one.high) for one in spec.learned_constants}
        reset_path = "detached" if rule is None else rule.reset_path
        self._network = export(
            spec,
            zeros,
            reset_path=reset_path,
            dtype=getattr(torch, dtype),
            kernels=self._options.kernels,
            learn_delays=True,
        ).to(place)
        self._learned = rule.learned(spec) if rule is not None else ()
        for name, parameter in self._network.named_parameters():
            parameter.requires_grad_(name in self._learned)
        self._loss = None
        self._of_rule = rule is not None and rule.loss is not None
        self._of_values = None if spec.readout is None else TrialLoss(MSE(), spec)
        if rule is not None and rule.loss is not None:
            self._loss = TrialLoss(rule.loss, spec)
        elif spec.readout is not None:
            self._loss = TrialLoss(ReadoutMSE(), spec)
        self._at_once = self._options.micro_batch or _trials_at_once(spec, place.type)
        self._parts = self._part_steps()
        self._stepwise = isinstance(rule, ThreeFactorRule) and self._adds_up_steps(rule)
        if self._stepwise:
            self._learned_at_once = self._options.micro_batch or batch_size
        elif self._parts is None:
            self._learned_at_once = self._at_once
        else:
            self._learned_at_once = self._options.micro_batch or _trials_at_once(spec, place.type, self._parts)
            keep_freed_memory(LARGEST_OF_PARTS)

    def learn(self, state: LearnerState, samples: Samples, learning_rate: float) -> tuple[LearnerState, TrialRecord]:
        rule = self._rule
        assert rule is not None
        readouts = self._load(state)
        scale = {name: q.delay.learning_rate_scale for name, q in self._spec.learned_delays.items()}
        scale |= rule.learning_rate_scale
        rates = {name: learning_rate * scale.get(name, 1.0) for name in self._learned}
        slots = {n: {s: self._tensor(a) for s, a in arrays.items()} for n, arrays in state.optimiser.items()}
        weights = {name: self._network.get_parameter(name) for name in self._learned}
        optimiser = TensorOptimiser(self._optimiser, weights, slots, rates, state.steps, self._signs(), self._bounds)
        keys, labels = state.sample_keys(samples.ids, learning=True), as_tensor(samples.targets, self.device)
        gradients = self._gradients(readouts)
        self._network.train()
        self._network.epoch = state.epoch
        records = []
        with arithmetic(self._options.matmul):
            for start in range(0, len(samples), self._batch_size):
                batch = slice(start, min(start + self._batch_size, len(samples)))
                if isinstance(rule, ThreeFactorRule) and rule.update == "step":
                    from brianlearn.discrete.run.online import learn_batch

                    inputs = samples.inputs[batch]
                    records.append(
                        learn_batch(self._network, rule, readouts, inputs, labels[batch], keys[batch], optimiser.step)
                    )
                else:
                    total, parts = self._batch(gradients, samples.inputs, labels, keys, batch)
                    optimiser.step(total)
                    records += parts
        new = dataclasses.replace(
            state,
            weights={**state.weights, **{name: _array(w) for name, w in weights.items()}},
            optimiser={n: {s: _array(a) for s, a in arrays.items()} for n, arrays in slots.items()},
            steps=optimiser.steps,
            samples_seen=state.samples_seen + len(samples),
        )
        return new, _trials(BatchRecord.concatenate(records))

    def gradient(self, state: LearnerState, samples: Samples) -> dict[str, np.ndarray]:
        """The mean gradient of samples as one batch, as `learn` gives it to the optimiser.

        Parameters
        ----------
        state : LearnerState
        samples : Samples
            With targets.

        Returns
        -------
        dict of str to numpy.ndarray
            Name of weights that the rule, one that learns from whole batches, changes -> array of their shape.
        """
        readouts = self._load(state)
        self._network.train()
        self._network.epoch = state.epoch
        keys, labels = state.sample_keys(samples.ids, learning=True), as_tensor(samples.targets, self.device)
        with arithmetic(self._options.matmul):
            whole = slice(0, len(samples))
            found, _ = self._batch(self._gradients(readouts), samples.inputs, labels, keys, whole)
        return {name: _array(g) for name, g in found.items()}

    def infer(self, state: LearnerState, samples: Samples, record: tuple[Tap, ...]) -> TrialRecord:
        watch = Watch(self._network, self._rule, self._load(state), record)
        self._network.eval()
        keys = state.sample_keys(samples.ids, learning=False)
        labels = None if samples.targets is None else as_tensor(samples.targets, self.device)
        records, rasters, recorded, trains = [], [], [], taps_of(record, "spikes")
        with torch.no_grad(), arithmetic(self._options.matmul):
            for start in range(0, len(samples), self._at_once):
                part = slice(start, min(start + self._at_once, len(samples)))
                activity, values = watch.run(samples.inputs[part], None if labels is None else labels[part], keys[part])
                loss, score = torch.zeros(part.stop - part.start), None
                if labels is not None:
                    measured = self._loss if labels.ndim == 1 or self._of_rule else self._of_values
                    loss = loss if measured is None else total_loss(measured, activity, labels[part])
                    score = scores(activity, labels[part], self._spec)
                records.append(BatchRecord.of(activity, loss, score))
                rasters.append(_rasters(activity, trains))
                recorded.append(values)
        spikes = {name: Raster.concatenate([r[name] for r in rasters]) for name in trains}
        over_time = {tap: np.concatenate([values[tap] for values in recorded]) for tap in recorded[0]}
        return _trials(BatchRecord.concatenate(records), spikes, over_time)

    def _part_steps(self) -> int | None:
        """Steps from one checkpoint to the next; None for trials that run as a whole."""
        spec, rule, given = self._spec, self._rule, self._options.checkpoint_steps
        back = rule is not None and rule.loss is not None
        if given is not None and rule is not None and not back:
            raise RuleError(
                "engine_options",
                "checkpoints are an option of back-propagation through time",
                got=f"checkpoint_steps={given} with {type(rule).__name__}",
                expected="SurrogateBPTT or STBP",
                remedy="leave it out: rules that learn in every step keep nothing of the steps before",
            )
        able = spec.timing != "pipelined" and all(not p.dropout or p.dropout_every != "step" for p in spec.neurons)
        if given is not None and not able:
            raise RuleError(
                "engine_options",
                "checkpoints need dropout masks that are drawn once for a trial",
                got=f"checkpoint_steps={given} with dropout_every='step'",
                expected="dropout_every='trial'",
            )
        if given is not None or not back or not able:
            return None if given is None else min(given, spec.n_steps)
        device = self.device.split(":")[0]
        at_once = VALUES_AT_ONCE.get(device, VALUES_AT_ONCE["cuda"])
        if _has_cycles(spec):
            if _trials_at_once(spec, device) >= min(self._options.micro_batch or self._batch_size, ENOUGH):
                return None
        elif spec.n_steps * _values(spec) <= at_once * MOST_OF_A_CHAIN:
            return None
        # sqrt(T) steps of as many trials as are there; more steps where trials are few
        fewest = ceil(sqrt(spec.n_steps))
        trials = min(self._options.micro_batch or self._batch_size, _trials_at_once(spec, device, fewest))
        return min(spec.n_steps, max(fewest, PART * at_once // (trials * _values(spec))))

    def _adds_up_steps(self, rule: ThreeFactorRule) -> bool:
        """Whether gradients of a batch are added up step by step: trials so long that they would not fit at once."""
        device = self.device.split(":")[0]
        at_once = VALUES_AT_ONCE.get(device, VALUES_AT_ONCE["cuda"])
        within_steps = rule.credit == "online" and self._spec.timing != "pipelined"
        return within_steps and self._spec.n_steps * _values(self._spec) > at_once * MOST_OF_A_CHAIN

    def _load(self, state: LearnerState) -> dict[str, torch.Tensor]:
        """Put a state's weights into the module; the rule's other readouts, which are fixed."""
        weights = {name: torch.from_numpy(self._plain(array)) for name, array in state.weights.items()}
        with torch.no_grad():
            for name, parameter in self._network.named_parameters():
                parameter.copy_(weights.pop(name))
        like = next(self._network.parameters())
        return {name: tensor.to(like) for name, tensor in weights.items()}

    def _signs(self) -> dict[str, torch.Tensor]:
        """The signs that learned weights keep, by projection."""
        signs = {p.name: p.weight_signs for p in self._network.spec.projections if p.name in self._learned}
        return {name: self._tensor(array) for name, array in signs.items() if array is not None}

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        """A copy of an optimiser's array where the weights are."""
        return torch.tensor(self._plain(array), device=self.device)

    def _plain(self, array: np.ndarray) -> np.ndarray:
        """In the parameters' type, and as torch takes it: native, writable, without negative strides."""
        return np.require(array, self._dtype, ["C", "W"])

    def _gradients(self, readouts: Mapping[str, torch.Tensor]) -> Gradients:
        """How this rule makes the gradient of a batch."""
        network, rule, loss = self._network, self._rule, self._loss
        if rule is not None and rule.loss is not None:
            assert loss is not None
            parts = self._parts
            if parts is not None:
                from brianlearn.discrete.run import segments

                return lambda inputs, labels, keys: segments.gradients(network, rule, loss, inputs, labels, keys, parts)
            return lambda inputs, labels, keys: bptt.gradients(network, rule, loss, inputs, labels, keys)
        assert isinstance(rule, ThreeFactorRule)
        from brianlearn.discrete.run import online, three_factor

        if self._stepwise:
            return lambda inputs, labels, keys: online.gradients(network, rule, readouts, inputs, labels, keys)
        return lambda inputs, labels, keys: three_factor.gradients(network, rule, readouts, inputs, labels, keys)

    def _batch(
        self, gradients: Gradients, inputs: Any, labels: torch.Tensor, keys: np.ndarray, batch: slice
    ) -> tuple[dict[str, torch.Tensor], list[BatchRecord]]:
        """The mean gradient of a batch, in as many parts as it takes, of about the same size."""
        size = batch.stop - batch.start
        n_parts = -(-size // self._learned_at_once)
        edges = [batch.start + size * k // n_parts for k in range(n_parts + 1)]
        total: dict[str, torch.Tensor] = {}
        records = []
        for first, last in pairwise(edges):
            given = inputs if last - first == len(inputs) else inputs[first:last]  # events would be copied
            found, record = gradients(given, labels[first:last], keys[first:last])
            records.append(record)
            if n_parts == 1:
                return found, records
            for name, g in found.items():
                g.mul_((last - first) / size)
                total[name] = total[name].add_(g) if name in total else g
        return total, records


def _has_cycles(spec: NetworkSpec) -> bool:
    return any(map(spec.graph.is_recurrent, spec.graph.components))


def _values(spec: NetworkSpec) -> int:
    """Values that all populations hold in a step of a trial."""
    return sum(p.n for p in (*spec.graph.inputs, *spec.neurons))


def _trials_at_once(spec: NetworkSpec, device: str, steps: int | None = None) -> int:
    """Trials that run at once; with ``steps``, where that many steps of them do."""
    at_once = VALUES_AT_ONCE.get(device, VALUES_AT_ONCE["cuda"])
    if steps is not None:
        at_once *= PART
    elif device == "cpu" and _has_cycles(spec):
        at_once *= CYCLES
    return max(1, at_once // ((steps or spec.n_steps) * _values(spec)))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return np.array(tensor.detach().cpu().numpy())


def _trials(
    record: BatchRecord,
    spikes: Mapping[str, Raster] | None = None,
    recorded: Mapping[Tap, np.ndarray] | None = None,
) -> TrialRecord:
    counts = {name: np.rint(_array(n)).astype(np.int64) for name, n in record.spike_counts.items()}
    score = None if record.score is None else _array(record.score)
    return TrialRecord(_array(record.logits), _array(record.loss), counts, spikes or {}, recorded or {}, score)


def _rasters(activity: DiscreteActivity, record: Mapping[str, Tap]) -> dict[str, Raster]:
    result = {}
    for name, tap in record.items():
        spikes = activity.spikes[name]
        fired = (spikes != 0).transpose(0, 1).flatten(2).cpu().numpy()
        trial, step, neuron = (index.astype(np.int32) for index in np.nonzero(fired))
        raster = Raster(trial, step, neuron, fired.shape[0], fired.shape[1], tuple(spikes.shape[2:]))
        result[name] = raster.of_neurons(tap.neurons)
    return result
