"""The learner: (state, samples) -> (state, metrics), on any engine and device."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from brianlearn.docstrings import show_inherited_fields
from brianlearn.errors import BrianLearnError, NonFiniteError, RuleError, WeightsError
from brianlearn.learning.engine import TrialRecord
from brianlearn.learning.engine_settings import EngineSettings, settled
from brianlearn.learning.optimisers import Adam, Optimiser
from brianlearn.learning.recording import wanted
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.rules.paths import OF_RULES
from brianlearn.learning.state import LearnerState
from brianlearn.learning.weights import check_weights, initial_weights
from brianlearn.network.checks import is_whole
from brianlearn.network.record import Record
from brianlearn.network.samples.samples import Activity, Samples
from brianlearn.network.samples.targets import kind_of
from brianlearn.network.spec import NetworkSpec
from brianlearn.training.engines import choose_engine, make_engine
from brianlearn.training.output_trains import OutputTrains
from brianlearn.training.recording import Gathered, as_slice
from brianlearn.training.regression import Regression
from brianlearn.training.watch import ENOUGH, Watch, constant_readout, firing_warnings, input_warnings
from brianlearn.training.weight_history import WeightHistories, WeightHistory

__all__ = ["Learner", "Metrics", "RecordedMetrics"]

DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Metrics:
    """What a call of `Learner.learn` measured, while it learned.

    Attributes
    ----------
    samples : int
    accuracy, loss : float
        Of the predictions made during learning; the loss is the rule's, for three-factor rules as in `Activity`. NaN
        without targets; of samples with values or spike trains, which have no accuracy, that is NaN.
    firing_rates : dict
        Layer name -> mean rate in Hz per neuron, the input included.
    seconds : float
        Wall time.
    regression : Regression or None
        Mean squared error and R^2 of samples with values.
    van_rossum : float or None
        Of samples with spike trains: the mean distance of the output's trains from them (`van_rossum`, 5 ms).
    """

    samples: int
    accuracy: float
    loss: float
    firing_rates: Mapping[str, float]
    seconds: float
    regression: Regression | None = field(default=None, kw_only=True)
    van_rossum: float | None = field(default=None, kw_only=True)

    @property
    def mse(self) -> float | None:
        """Mean squared error of samples with values."""
        return None if self.regression is None else self.regression.mse

    @property
    def r2(self) -> float | None:
        """R^2 of samples with values; None of values that are all the same."""
        return None if self.regression is None else self.regression.r2

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        show_inherited_fields(cls)

    @staticmethod
    def merge(parts: list[Metrics]) -> Metrics:
        """Metrics of several calls together.

        Parameters
        ----------
        parts : list of Metrics

        Returns
        -------
        Metrics
            Means over all samples, and the seconds of all.
        """
        n = sum(p.samples for p in parts)
        weights = [p.samples / n for p in parts]
        rates = {
            k: sum(w * p.firing_rates[k] for w, p in zip(weights, parts, strict=True)) for k in parts[0].firing_rates
        }
        distances = [p.van_rossum for p in parts if p.van_rossum is not None]
        return Metrics(
            n,
            sum(w * p.accuracy for w, p in zip(weights, parts, strict=True)),
            sum(w * p.loss for w, p in zip(weights, parts, strict=True)),
            rates,
            sum(p.seconds for p in parts),
            regression=Regression.merge([p.regression for p in parts]),
            van_rossum=sum(w * d for w, d in zip(weights, distances, strict=True)) if distances else None,
        )


@dataclass(frozen=True)
class RecordedMetrics(Metrics):
    """`Metrics` with the weights that were recorded.

    Attributes
    ----------
    weights : dict
        Name of weights -> `WeightHistory`.
    """

    weights: Mapping[str, WeightHistory]


class Learner:
    """Runs and teaches a network.

    Parameters
    ----------
    spec : NetworkSpec
    rule : Rule, optional
        Without one the learner only infers.
    optimiser : Optimiser, optional
        ``Adam(1e-3)`` where it is not given.
    engine : {"auto", "brian", "discrete"}, `Brian` or `Discrete`
        ``"brian"``: event-driven Brian2 network. ``"discrete"``: its discrete-time equivalent in torch, whole batches
        at once. ``"auto"``: Brian2 wherever it can run the rule, unless ``device`` is one of torch's. An object carries
        device, workers and options of its own.
    device : str
        Of Brian2: ``"cpp_standalone"`` (compiled C++), ``"cython"``, ``"numpy"``; ``"runtime"`` is cython where a
        compiler is found, else numpy; ``"auto"`` is cpp_standalone where a compiler is found, else numpy; ``"genn"``
        and ``"genn-cpu"`` run GeNN on a GPU and a CPU (docs/genn.md). Of the
        discrete engine: torch's names (``"cpu"``, ``"cuda"``, ``"cuda:1"``); ``"auto"`` is cuda where there is one.
    dtype : {"float32", "float64"}
    batch_size : int
        Samples per weight update.
    seed : int
        Of the initial weights and all random numbers.
    chunk_size : int, optional
        Samples per run of the engine; chosen from memory where it is not given.
    workers : int, optional
        Processes that share the trials of a batch, and the samples of an evaluation (cpp_standalone).
    engine_options : mapping, optional
        Settings of `Discrete` (``micro_batch``, ``matmul``, ``kernels``) or `Brian` (``implementation``).

    Raises
    ------
    RuleError
        Sizes and types that are wrong; what the engine or the device cannot run, by name.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> layers = [bl.Dense(20, bl.DaltonIF())]
    >>> spec = bl.NetworkSpec(bl.Input((1, 8, 8)), layers, bl.Readout(10), duration=10*ms)
    >>> learner = bl.Learner(spec, bl.DALTON(), device="numpy")
    >>> state = learner.init()
    >>> train, test = bl.load("digits").split(test=360)
    >>> state, metrics = learner.learn(state, train[:8])
    >>> activity = learner.infer(state, test[:8])
    >>> activity.predictions.shape
    (8,)
    """

    def __init__(
        self,
        spec: NetworkSpec,
        rule: Rule | None = None,
        optimiser: Optimiser | None = None,
        *,
        engine: str | EngineSettings = "auto",
        device: str = "auto",
        dtype: str = "float32",
        batch_size: int = 1,
        seed: int = 0,
        chunk_size: int | None = None,
        workers: int = 1,
        engine_options: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(spec, NetworkSpec):
            raise RuleError("Learner", "spec is of the wrong type", got=repr(spec), expected="a NetworkSpec")
        for name, value in (("batch_size", batch_size), ("chunk_size", chunk_size), ("workers", workers)):
            if value is not None and not (is_whole(value) and value >= 1):
                raise RuleError("Learner", f"{name} is wrong", got=repr(value), expected="a whole number >= 1")
        if not is_whole(seed) or seed < 0:
            raise RuleError("Learner", "seed is wrong", got=repr(seed), expected="a whole number >= 0")
        batch_size, workers, seed = int(batch_size), int(workers), int(seed)  # numpy's integers are not in JSON
        chunk_size = None if chunk_size is None else int(chunk_size)
        if dtype not in DTYPES:
            raise RuleError("Learner", "unknown dtype", got=repr(dtype), expected=" or ".join(DTYPES))
        name, device, workers, options = settled("Learner", engine, device, workers, engine_options)
        if rule is not None:
            if not isinstance(rule, Rule):
                raise RuleError(
                    "Learner", "rule is of the wrong type", got=repr(rule), expected="a rule, e.g. bl.DALTON()"
                )
            rule.check(spec, batch_size)
        if optimiser is not None and not isinstance(optimiser, Optimiser):
            raise RuleError(
                "Learner", "optimiser is of the wrong type", got=repr(optimiser), expected="e.g. bl.Adam(1e-3)"
            )
        self.spec, self.rule, self.optimiser = spec, rule, optimiser or Adam()
        self.dtype, self.batch_size, self.seed = dtype, batch_size, seed
        self.watch = Watch()
        self.engine_name = choose_engine(name, rule, device)
        self.engine = make_engine(
            self.engine_name,
            spec,
            rule,
            self.optimiser,
            device=device,
            dtype=dtype,
            batch_size=batch_size,
            chunk_size=chunk_size,
            workers=workers,
            options=options,
        )

    @property
    def device(self) -> str:
        """The device that runs."""
        return self.engine.device

    def init(self, weights: Mapping[str, Any] | None = None) -> LearnerState:
        """The state before learning.

        Parameters
        ----------
        weights : mapping, optional
            Layer name -> array; layers that are not given start as the spec says, from the learner's seed. A mapping
            must not name layers that the network does not have.

        Returns
        -------
        LearnerState

        Raises
        ------
        WeightsError
        """
        start: dict[str, Any] = dict(initial_weights(self.spec, self.rule, self.seed))
        if weights is not None:
            start = {**{k: v for k, v in start.items() if k.startswith(OF_RULES)}, **weights}
        checked = check_weights(self.spec, self.rule, start)
        for name, array in checked.items():
            largest = np.finfo(self.dtype).max
            if np.abs(array).max(initial=0.0) > largest:
                raise WeightsError(
                    "weights",
                    f"the weights of {name} are too large for {self.dtype}",
                    got=f"up to {np.abs(array).max():g}",
                    expected=f"at most {largest:g}",
                )
        arrays = {name: np.array(array, dtype=self.dtype) for name, array in checked.items()}
        learned = self.rule.learned(self.spec) if self.rule is not None else ()
        slots = {name: {slot: np.zeros_like(arrays[name]) for slot in self.optimiser.slots} for name in learned}
        own = {} if self.rule is None else self.rule.state(self.spec)
        return LearnerState(arrays, slots if self.optimiser.slots else {}, seed=self.seed, rule=own)

    def chunks(self, n: int) -> Iterator[slice]:
        """Slices of at most ``chunk_size`` samples that cover n samples, in whole batches but for the last.

        Parameters
        ----------
        n : int

        Returns
        -------
        iterator of slice
        """
        size = self.engine.chunk_size
        for start in range(0, n, size):
            yield slice(start, min(start + size, n))

    def learn(
        self, state: LearnerState, samples: Samples, record: str | Record | Sequence[str | Record] = ()
    ) -> tuple[LearnerState, Metrics]:
        """Learn from samples, in their order, in batches of ``batch_size``.

        Parameters
        ----------
        state : LearnerState
        samples : Samples
            With labels, if the rule needs them. A last partial batch is a batch of its own.
        record : str, Record, or sequence of these
            ``"weights"``: those that learn, before the first batch and after each; a `Record` for some layers, some of
            their rows, or every so many batches (docs/recording.md). What is learned stays the same.

        Returns
        -------
        state : LearnerState
            The new one; the old one stays valid.
        metrics : Metrics
            `RecordedMetrics` with a record.

        Raises
        ------
        SpecError
            Records of what there is not, by name.
        RuleError, WeightsError
            If the learner has no rule.
        NonFiniteError
            If a weight or a readout is not finite any more, naming the layer and the step. ``state`` is then the
            last good one.
        BrianLearnError
            No samples; recordings that do not fit into memory.
        """
        if self.rule is None:
            raise RuleError("Learner", "there is no rule to learn with", expected="Learner(spec, bl.DALTON(), ...)")
        needed = samples.targets is not None or self.rule.needs_labels()
        samples.check(self.spec, labels=needed, takes=self.rule.takes, owner=self.rule.taker)
        if len(samples) == 0:
            raise BrianLearnError("Learner", "there are no samples to learn from", got="0 samples")
        samples = samples.on_grid(self.spec)
        rate, first = self.optimiser.rate_at(state.epoch), state.steps == 0
        histories = WeightHistories(record, self.spec, self.rule, state, len(samples), self.batch_size)
        parts = []
        for chunk in histories.parts(self.engine.chunk_size):
            started = time.perf_counter()
            new, measured = self.engine.learn(state, samples[chunk], rate)
            if not _finite(new, measured):
                raise self._locate(state, samples[chunk], rate)
            state = new
            histories.note(chunk.stop, state)
            parts.append(self._metrics(measured, samples[chunk], time.perf_counter() - started))
        metrics = Metrics.merge(parts)
        if self.watch.each_call:
            if first:
                self.watch.start = metrics.loss
            firing = firing_warnings(self.spec, metrics.firing_rates) if len(samples) >= ENOUGH else []
            loss = [] if samples.targets is None else self.watch.loss(metrics.loss)
            self.watch.say([*input_warnings(self.spec, samples), *firing, *loss])
        if histories:
            metrics = RecordedMetrics(**vars(metrics), weights=histories.histories)
        return state, metrics

    def infer(
        self, state: LearnerState, samples: Samples, record: str | Record | Sequence[str | Record] = ()
    ) -> Activity:
        """Run samples with frozen weights.

        Parameters
        ----------
        state : LearnerState
        samples : Samples
            Labels are optional.
        record : str, Record, or sequence of these
            What to keep beside the predictions: ``"spikes"``, ``"readout"``, any state variable such as ``"v"``, and
            what the rule has: ``"psi"``, ``"L"`` and traces, with the errors of these samples (docs/recording.md). A
            name stands for all layers, neurons and samples; a `Record` for some of them.

        Returns
        -------
        Activity

        Raises
        ------
        SpecError
            Variables, layers, neurons and samples that there are not, by name.
        NonFiniteError
            If a readout is not finite, naming the layer and the step.
        BrianLearnError
            No samples; recordings that do not fit into memory.
        """
        targeted, rule = samples.targets is not None, self.rule
        if rule is None:
            samples.check(self.spec, labels=targeted)
        else:
            samples.check(self.spec, labels=targeted, takes=rule.takes, owner=rule.taker)
        if len(samples) == 0:
            raise BrianLearnError("Learner", "there are no samples to infer", got="0 samples")
        samples = samples.on_grid(self.spec)
        check_weights(self.spec, self.rule, state.weights, "state.weights")
        found = wanted("Learner.infer", record, self.spec, self.rule, len(samples), labels=targeted)
        gathered = Gathered("Learner.infer", found, self.spec, len(samples), self.dtype)
        output = OutputTrains(self.spec, len(samples)) if kind_of(samples.targets) == "trains" else None
        parts = []
        for positions, taps in gathered.parts(self.engine.chunk_size):
            part = samples[as_slice(positions)]
            measured = self.engine.infer(state, part, taps if output is None else output.taps(taps))
            parts.append(measured if output is None else output.add(positions, measured, taps))
            gathered.add(positions, parts[-1])
        activity = self._activity(gathered, parts, samples)
        if output is not None:
            distance = float(output.distances(samples).mean())
            activity = dataclasses.replace(activity, predictions=output.trains, van_rossum=distance)
        if self.watch.each_call:
            constant = constant_readout(self.spec, samples, activity.logits)
            firing = firing_warnings(self.spec, activity.firing_rates) if len(samples) >= ENOUGH else []
            self.watch.say([*input_warnings(self.spec, samples), *firing, *constant])
        return activity

    def _rates(self, record: TrialRecord) -> dict[str, float]:
        sizes = {p.name: p.n for p in (*self.spec.graph.inputs, *self.spec.neurons)}
        duration = float(self.spec.duration)
        return {name: float(np.mean(n)) / (sizes[name] * duration) for name, n in record.spike_counts.items()}

    def _metrics(self, record: TrialRecord, samples: Samples, seconds: float) -> Metrics:
        accuracy = loss = math.nan
        if samples.labels is not None:
            accuracy = float(np.mean(record.logits.argmax(axis=1) == samples.labels))
        if samples.targets is not None:
            loss = float(np.mean(record.loss))
        scores: dict[str, Any] = {"regression": Regression.of(record, samples, self.spec)}
        if kind_of(samples.targets) == "trains" and record.score is not None:
            scores["van_rossum"] = float(record.score.mean())
        return Metrics(len(samples), accuracy, loss, self._rates(record), seconds, **scores)

    def _activity(self, gathered: Gathered, parts: list[TrialRecord], samples: Samples) -> Activity:
        merged, recorded = gathered.in_order(parts), gathered.recorded
        readout = recorded.get("readout", {}).get(self.spec.output)
        labelled, targeted = samples.labels is not None, samples.targets is not None
        predictions = merged.logits.argmax(axis=1) if labelled or not targeted else merged.logits
        regression = Regression.of(merged, samples, self.spec)
        return Activity(
            predictions=predictions,
            logits=merged.logits,
            firing_rates=self._rates(merged),
            spikes=gathered.spikes,
            readout=None if readout is None else readout.values,
            accuracy=float(np.mean(predictions == samples.labels)) if labelled else None,
            loss=float(np.mean(merged.loss)) if targeted and self._has_loss else None,
            mse=None if regression is None else regression.mse,
            r2=None if regression is None else regression.r2,
            recorded=recorded,
            dt=self.spec.dt,
            duration=self.spec.duration,
            currents=self.spec.graph.currents,
        )

    @property
    def _has_loss(self) -> bool:
        """Whether inference measures a loss: that of the rule, else the readout's."""
        rule_has_one = self.engine_name == "discrete" and self.rule is not None and self.rule.loss is not None
        return rule_has_one or self.spec.readout is not None

    def _locate(self, state: LearnerState, samples: Samples, rate: float) -> NonFiniteError:
        """Name the update that made something non-finite, by running ever shorter starts of the chunk again."""
        n_batches = -(-len(samples) // self.batch_size)
        good, bad = 0, n_batches
        culprit = (state, TrialRecord(np.zeros(0), np.zeros(0), {}))
        while bad - good > 1:
            middle = (good + bad) // 2
            result = self.engine.learn(state, samples[: middle * self.batch_size], rate)
            if _finite(*result):
                good = middle
            else:
                bad, culprit = middle, result
        if bad == n_batches:
            culprit = self.engine.learn(state, samples, rate)
        layer = next((name for name, w in culprit[0].weights.items() if not np.isfinite(_norm(w))), "readout")
        first, last = good * self.batch_size, min(bad * self.batch_size, len(samples)) - 1
        return NonFiniteError(
            layer,
            "learning stopped: a value is not finite any more",
            got=f"NaN or infinity in {layer} after weight update {state.steps + bad} (epoch {state.epoch}, "
            f"samples {state.samples_seen + first} to {state.samples_seen + last}, "
            f"ids {samples.ids[first : last + 1].tolist()})",
            expected="finite weights and readouts",
            remedy="lower the learning rate, or look at these samples; the state before this chunk is unharmed",
        )


def _norm(weights: np.ndarray) -> np.ndarray:
    """Of one layer, in the type of its weights: weights of which it is too large are as good as infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(np.linalg.norm(weights))


def _finite(state: LearnerState, record: TrialRecord) -> bool:
    slots = [a for slots in state.optimiser.values() for a in slots.values()]
    arrays = [*map(_norm, state.weights.values()), *slots, *state.rule.values()]
    with np.errstate(over="ignore"):
        loss = np.mean(record.loss) if len(record.loss) else np.zeros(())  # finite ones may have a mean that is not
    return all(np.isfinite(a).all() for a in [*arrays, record.logits, record.loss, loss])
