"""What goes into a run and what comes out, as plain arrays by name; devices only move them.

Inputs are named ``group.variable`` for state variables and by their name for TimedArrays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from brianlearn.brian.build.noise import Noise, noise_keys
from brianlearn.brian.build.plan import Plan, encoder_of
from brianlearn.brian.build.recorder import steps_of_spikes
from brianlearn.brian.build.recording import over_time
from brianlearn.brian.build.spike_input import list_names
from brianlearn.brian.build.synaptic import run_inputs, weight_inputs
from brianlearn.brian.run.shards import Shard
from brianlearn.errors import BrianLearnError, DeviceError
from brianlearn.learning.dropout import draw_dropout_mask
from brianlearn.learning.engine import TrialRecord
from brianlearn.learning.recording import taps_of
from brianlearn.learning.rules.paths import Fixed
from brianlearn.learning.state import LearnerState
from brianlearn.network.inputs import keys_of, values_of
from brianlearn.network.population import Population
from brianlearn.network.samples.samples import Raster, Recordings, Samples

__all__ = [
    "Outputs",
    "collect",
    "constants",
    "inputs",
    "mirrored",
    "new_state",
    "noise_inputs",
    "output_names",
    "trials_to_run",
    "weights",
]

#: Arrays that a run leaves behind, by name (see `collect`).
Outputs = Mapping[str, np.ndarray]

#: Last digits by which mirror weights may leave their forward weights within a run of some thousand updates.
ROUNDING = 1e4


def trials_to_run(plan: Plan, n: int, *, learning: bool) -> int:
    """Trials that a run of n samples takes: whole batches if it learns, because batches end with an update."""
    if not learning or plan.rule is None or plan.rule.changes == "step":
        return n
    return -(-n // plan.batch_trials) * plan.batch_trials


def constants(plan: Plan, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Parameters of neurons and readouts: constants, learned ones among the weights, and propagator coefficients."""
    values = {}
    for name, step in (plan.steps_with(weights) if plan.spec.learned_constants else plan.steps).items():
        for parameter in step.parameters:
            values[f"{name}.{parameter.name}"] = np.ravel(parameter.value) if parameter.value.ndim else parameter.value
    for trace in plan.traces.values():
        coefficients = trace.response.coefficients.items()
        values |= {f"{trace.source}.{trace.coefficient(*pair)}": np.asarray(v) for pair, v in coefficients}
    graph = plan.spec.graph
    for name in plan.readouts:
        tau = graph.tau_of(name if name in graph.by_name else plan.spec.output)
        if tau is not None:
            values[f"{name}.decay"] = np.asarray(np.exp(-float(plan.spec.dt) / float(tau)))
    return values


def _fill(shape: tuple[int, ...], rows: np.ndarray, trials: np.ndarray) -> np.ndarray:
    """An array with ``rows``, the same number for every sample, at the places of the samples' trials."""
    full = np.zeros(shape)
    if not len(trials):
        return full
    each = len(rows) // len(trials)
    full[(trials[:, None] * each + np.arange(each)).ravel()] = rows
    return full


def inputs(
    plan: Plan,
    state: LearnerState,
    samples: Samples,
    *,
    learning: bool,
    learning_rate: float = 0.0,
    shard: Shard | None = None,
) -> dict[str, np.ndarray]:
    """All arrays of one run of a chunk of samples.

    Parameters
    ----------
    plan : Plan
    state : LearnerState
    samples : Samples
        At most ``plan.capacity`` for one process.
    learning : bool
        Whether weights change; without it the same network evaluates.
    learning_rate : float
        Of this epoch.
    shard : Shard, optional
        Which of the samples a process runs, and when; all of them where it is not given.

    Returns
    -------
    dict
        Name -> array, float64; state variables in base units. Input spikes are lists, of int32 (`list_names` of
        `brianlearn.brian.build.spike_input`); for GeNN, the step of the run and the neuron of each.
    """
    spec, total = plan.spec, len(samples)
    if shard is None:
        shard = Shard(np.arange(total), np.arange(total), total)
    samples, trials = samples[shard.samples], shard.trials
    n = len(samples)
    capacity, steps = plan.capacity_trials, spec.n_steps
    result = constants(plan, state.weights)
    for p in spec.graph.inputs:
        if encoder_of(p).precomputed:
            result |= _input_spikes(plan, p, state, samples, trials, learning=learning)
        else:
            values = np.asarray(values_of(spec, p.name, samples.inputs)).reshape(n, p.n)
            result[f"{p.name}_values"] = _fill((capacity + 1, p.n), values, trials)
    if spec.readout is not None and plan.targets == "labels":
        labels = np.zeros(n) if samples.labels is None else samples.labels
        result["label"] = _fill((capacity + 1,), labels, trials)
    elif plan.readouts:
        each = steps if plan.targets == "steps" else 1
        values = np.zeros((n * each, spec.classes))
        if samples.targets is not None:
            values = np.asarray(samples.targets, float).reshape(n * each, spec.classes)
        result["target_values"] = _fill((capacity * each + 1, spec.classes), values, trials)
    if spec.burn_in_steps and not plan.pipelined:
        trial = np.r_[np.zeros(spec.burn_in_steps), np.ones(steps - spec.burn_in_steps)]
        result["measured"] = _fill((capacity * steps + 1,), np.tile(trial, n), trials)
    if plan.rule is not None:
        # what is only looked at has its errors, and no weight that changes
        result |= _learning_inputs(plan, trials, total, learning=learning or plan.observes)
        result |= _masks(plan, state, samples, trials, learning=learning)
    if plan.synaptic is not None:
        result |= run_inputs(plan, samples.labels, trials, learning=learning)
    result |= noise_inputs(plan, state.sample_keys(samples.ids, learning=learning), trials)
    result |= weights(plan, state, learning_rate if learning else 0.0)
    return result


def _input_spikes(
    plan: Plan, p: Population, state: LearnerState, samples: Samples, trials: np.ndarray, *, learning: bool
) -> dict[str, np.ndarray]:
    """Spikes of an input as a list, in the order of time and then of neurons."""
    steps, inputs = plan.spec.n_steps, values_of(plan.spec, p.name, samples.inputs)
    values = inputs if isinstance(inputs, Recordings) else np.asarray(inputs).reshape(len(samples), -1)
    keys = keys_of(plan.spec, p.name, state.sample_keys(samples.ids, learning=learning))
    counts, neurons = np.zeros((plan.capacity_trials * steps + 1), np.int32), [np.zeros(0, np.int32)]
    # trials are in rising order
    for trial, (step, neuron) in zip(trials, encoder_of(p).spikes(values, steps, keys), strict=True):
        counts[trial * steps : (trial + 1) * steps] = np.bincount(step, minlength=steps)
        neurons.append(neuron.astype(np.int32))
    if plan.expanded:
        return {f"{p.name}.timebins": steps_of_spikes(counts), f"{p.name}.neurons": np.concatenate(neurons)}
    return dict(zip(list_names(p.name), (np.concatenate(neurons), counts), strict=True))


def _learning_inputs(plan: Plan, trials: np.ndarray, total: int, *, learning: bool) -> dict[str, np.ndarray]:
    assert plan.rule is not None
    spec, capacity, steps = plan.spec, plan.capacity_trials, plan.spec.n_steps
    burn_in = plan.rule.burn_in_steps(spec)
    # under pipelined timing the network itself counts the steps of a trial
    trial = np.array([1.0]) if plan.pipelined else np.r_[np.zeros(burn_in), np.ones(steps - burn_in)]
    trial = trial * learning
    steps = len(trial)
    result = {"learning": _fill((capacity * steps + 1,), np.tile(trial, len(trials)), trials)}
    if plan.rule.changes == "batch":
        counts = np.zeros(capacity // plan.batch_trials + 1)
        if learning:
            # element k belongs to the update at the start of batch k, which ends batch k-1
            full, rest = divmod(total, plan.batch_size)
            counts[1 : full + 1] = plan.batch_size
            if rest:
                counts[full + 1] = rest
        result["batch_count"] = counts
    return result


def _masks(
    plan: Plan, state: LearnerState, samples: Samples, trials: np.ndarray, *, learning: bool
) -> dict[str, np.ndarray]:
    """What others see of a neuron's spikes, as a factor: 0, or 1/(1 - rate) so that the mean stays."""
    result, keys = {}, state.sample_keys(samples.ids, learning=learning)
    for p in plan.spec.neurons:
        if p.name in plan.dropout_rates:
            each, rate = plan.drawn_in_steps(p.name), plan.dropout_rates[p.name]
            masks = np.ones((plan.capacity_trials * each + 1, p.n))
            if learning:
                drawn = draw_dropout_mask(rate, p.name, (each, p.n), keys) / (1.0 - rate)
                masks[(trials[:, None] * each + np.arange(each)).ravel()] = drawn.reshape(-1, p.n)
            result[f"dropout_mask_{p.name}"] = masks
    return result


def noise_inputs(plan: Plan, keys: np.ndarray, trials: np.ndarray) -> dict[str, np.ndarray]:
    """Keys of the random numbers of neurons, for each trial.

    Parameters
    ----------
    plan : Plan
    keys : numpy.ndarray of uint64, shape (n, 2)
        One random key per presentation.
    trials : numpy.ndarray of int, shape (n,)
        The trial of each.
    """
    result = {}
    for p in plan.spec.neurons:
        noise = Noise(p, plan.spec.n_steps)
        if noise:
            result[noise.name] = _fill((plan.capacity_trials + 1, 2), noise_keys(p.name, keys), trials)
    return result


def weights(plan: Plan, state: LearnerState, learning_rate: float = 0.0) -> dict[str, np.ndarray]:
    """Weights, learning rates and the optimiser's state."""
    spec, rule = plan.spec, plan.rule
    result: dict[str, np.ndarray] = {}
    for p in [*spec.projections, *plan.onto_readouts, *plan.feedback]:
        result[f"w_{p.name}.weight"] = p.connectivity.pack(state.weights[p.name])
    if rule is None:
        return result
    for p in plan.learned:
        rate = learning_rate * plan.learning_rate_factor(p.name)
        if p.weight_signs is not None:
            result[f"w_{p.name}.dale"] = p.connectivity.pack(p.weight_signs)
        if plan.synaptic is not None:
            result |= weight_inputs(plan, p, rate)
        elif plan.direct:
            result[f"synapses_{p.name}.eta"] = np.asarray(rate * plan.gradient_scale(p.target))
        if plan.direct:
            continue
        group = f"w_{p.name}"
        result[f"{group}.gradient"] = np.zeros(p.n_weights)
        result[f"{group}.lr"] = np.asarray(rate)
        result[f"{group}.k"] = np.asarray(float(state.steps))
        for slot in plan.optimiser.slots:
            result[f"{group}.{slot}"] = p.connectivity.pack(state.optimiser[p.name][slot])
    result |= state.rule
    if plan.mirrors:
        for name in mirrored(plan):
            result |= _mirror_copy(result, name)
    return result


def mirrored(plan: Plan) -> list[str]:
    """Names of the weights that have mirror synapses."""
    # below frozen layers nothing learns, and no error need go there
    paths = [path for found in plan.paths.values() for path in found]
    down = [path.name for path in paths if not isinstance(path, Fixed)]
    return [*down, *(path.name for path in paths if isinstance(path, Fixed))]


def _mirror_copy(values: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    old = {f"w_{name}.": f"w_mirror_{name}.", f"synapses_{name}.eta": f"mirror_{name}.eta"}
    return {
        new + key[len(start) :]: v for start, new in old.items() for key, v in values.items() if key.startswith(start)
    }


def new_state(plan: Plan, state: LearnerState, outputs: Outputs, n: int) -> LearnerState:
    """The learner's state after a run.

    Parameters
    ----------
    plan : Plan
    state : LearnerState
        Before the run.
    outputs : mapping
        ``w_<layer>.weight`` and the optimiser's slots.
    n : int
        Samples of the run.
    """
    assert plan.rule is not None
    for name in _learned_mirrors(plan):
        forward, mirror = outputs[f"w_{name}.weight"], outputs[f"w_mirror_{name}.weight"]
        # a compiler may round the sums of the two in different ways; each run begins with equal ones
        near = ROUNDING * np.finfo(forward.dtype).eps * np.abs(forward).max(initial=0.0)
        if not np.allclose(forward, mirror, rtol=0.0, atol=near, equal_nan=True):
            raise BrianLearnError(
                name,
                "mirror weights left their forward weights: this is a defect of the engine",
                got=f"largest difference {np.abs(forward - mirror).max()}",
                expected=f"equality but for rounding, {near:.1e}",
                remedy="use feedback='forward', and report it with the network that shows it",
            )
    learned, slots = dict(state.weights), {name: dict(arrays) for name, arrays in state.optimiser.items()}
    for p in plan.learned:
        learned[p.name] = p.connectivity.unpack(outputs[f"w_{p.name}.weight"])
        for slot in plan.optimiser.slots:
            slots[p.name][slot] = p.connectivity.unpack(outputs[f"w_{p.name}.{slot}"])
    updates = -(-n // plan.batch_size) if plan.rule.changes == "batch" else n * plan.rule.updates(plan.spec)
    return dataclasses.replace(
        state,
        weights=learned,
        optimiser=slots,
        steps=state.steps + updates,
        samples_seen=state.samples_seen + n,
        rule={name: np.array(outputs[name]) for name in state.rule},
    )


def output_names(plan: Plan) -> list[str]:
    """State variables that are read after a run."""
    names = []
    if plan.rule is not None:
        for p in plan.learned:
            names += [f"w_{p.name}.{v}" for v in ("weight", *(() if plan.direct else plan.optimiser.slots))]
        names += [f"w_mirror_{name}.weight" for name in _learned_mirrors(plan)]
        names += list(plan.rule.state(plan.spec))
    return names


def _learned_mirrors(plan: Plan) -> list[str]:
    if not plan.mirrors:
        return []
    learned = {p.name for p in plan.learned}
    return [name for name in mirrored(plan) if name in learned]


def collect(plan: Plan, outputs: Outputs, n: int) -> TrialRecord:
    """Sort what monitors recorded into trials.

    Parameters
    ----------
    plan : Plan
    outputs : mapping
        ``rate_<layer>`` (steps,) in Hz; ``trials.y_sum`` and ``trials.loss_sum`` (trial starts, classes);
        ``record_<variable>_<layer>.<variable>`` (steps, neurons); ``spikes_<layer>.i`` (spikes,) with ``.t`` (spikes,)
        in seconds, or with the number of spikes ``.n`` (steps,).
    n : int
        Trials to keep; runs are at least one step longer.
    """
    spec, dt = plan.spec, float(plan.spec.dt)
    steps = spec.n_steps
    firing = [*spec.graph.inputs, *spec.neurons]
    sizes, shapes = {p.name: p.n for p in firing}, {p.name: p.shape for p in firing}
    counts, spikes = {}, {}
    for name, size in sizes.items():
        per_step = np.rint(outputs[f"rate_{name}"][: n * steps] * dt * size).astype(np.int64)
        counts[name] = per_step.reshape(n, steps).sum(axis=1)
        if f"spikes_{name}.i" in outputs:
            if f"spikes_{name}.n" in outputs:
                at = steps_of_spikes(outputs[f"spikes_{name}.n"])
                if len(at) != len(outputs[f"spikes_{name}.i"]):
                    raise DeviceError(
                        name,
                        "the recorded spikes were cut short",
                        got=f"{len(outputs[f'spikes_{name}.i'])} spikes",
                        expected=f"{len(at)}",
                        remedy="free space where programs write their results, or set BRIANLEARN_SCRATCH to another "
                        "folder",
                    )
            else:
                at = np.rint(outputs[f"spikes_{name}.t"] / dt).astype(np.int32)
            keep = at < n * steps
            trial, step = np.divmod(at[keep], np.int32(steps))
            neuron = outputs[f"spikes_{name}.i"][keep].astype(np.int32)
            spikes[name] = Raster(trial, step, neuron, n, steps, shapes[name])
    if spec.readout is None:
        last = spikes[spec.output]
        logits = np.zeros((n, spec.classes))
        late = last.step >= spec.burn_in_steps
        np.add.at(logits, (last.trial[late], last.neuron[late]), 1.0)
        loss = np.zeros(n)
    else:
        measured = steps - spec.burn_in_steps
        # the first row was recorded before the first trial
        logits = outputs["trials.y_sum"][1 : n + 1].astype(float) / measured
        loss = outputs["trials.loss_sum"][1 : n + 1].astype(float).mean(axis=1) / measured
    kept = {name: spikes[name].of_neurons(tap.neurons) for name, tap in taps_of(plan.record, "spikes").items()}
    return TrialRecord(logits, loss, counts, kept, over_time(plan, outputs, n))
