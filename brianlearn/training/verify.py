"""Running both engines on the same weights and inputs, and saying where they differ."""

from __future__ import annotations

import copy
import dataclasses
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import DataError
from brianlearn.learning.optimisers import Adam, Optimiser
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.weights import weight_shapes
from brianlearn.network.samples.samples import Samples
from brianlearn.network.spec import NetworkSpec
from brianlearn.training.engines import choose_engine
from brianlearn.training.experiment import Experiment
from brianlearn.training.learner import Learner
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.splits import split
from brianlearn.work import working

if TYPE_CHECKING:
    from brianlearn.discrete import DiscreteActivity, DiscreteNetwork

__all__ = ["Mismatch", "Verification", "compared", "verify", "verify_experiment"]

#: Readouts and weight changes that differ by no more than this are equal up to rounding.
TOLERANCE = 1e-10
#: Trials that run at once in the discrete engine.
AT_ONCE = 20


@dataclass(frozen=True)
class Mismatch:
    """A neuron that fires in one engine only.

    Attributes
    ----------
    layer : str
    neuron : int
        Flat index.
    step, sample : int
    fired_in : {"brian", "discrete"}
    margin : float or None
        (v - threshold)/v_scale in the discrete engine; rounding decides where it is about 1e-15. None for the input.
    """

    layer: str
    neuron: int
    step: int
    sample: int
    fired_in: str
    margin: float | None

    def __str__(self) -> str:
        where = f"neuron {self.neuron} of {self.layer} in step {self.step} of sample {self.sample}"
        distance = "" if self.margin is None else f", {self.margin:.3g} from its threshold in the discrete engine"
        return f"{where} fires in {self.fired_in} only{distance}"


@dataclass(frozen=True)
class Verification:
    """What a comparison of both engines found, in double precision.

    Attributes
    ----------
    device : str
        Of Brian2.
    samples : int
    spikes : int
        Spikes of the Brian2 network that were compared, the input's included.
    mismatches : dict
        Layer name -> how often a neuron fired in one engine only.
    first : Mismatch or None
        The earliest step, and in it the lowest layer: where the difference comes from.
    readout_difference : float or None
        Largest difference of readouts over time; None without a readout.
    rule : str or None
        What was learned with, if anything.
    weight_differences : dict
        Layer name -> largest difference of weights after one batch.
    unequal_weights : tuple of str
        Layers whose weights were not the same in both engines to begin with.
    firsts : tuple of Mismatch
        The same as ``first`` for every sample in which spikes differ: samples do not know of one another.
    """

    device: str
    samples: int
    spikes: int
    mismatches: Mapping[str, int]
    first: Mismatch | None
    readout_difference: float | None
    rule: str | None = None
    weight_differences: Mapping[str, float] = field(default_factory=dict)
    unequal_weights: tuple[str, ...] = ()
    firsts: tuple[Mismatch, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the engines are equal: every spike, readouts and weights to rounding."""
        differences = [self.readout_difference or 0.0, *self.weight_differences.values()]
        return not any(self.mismatches.values()) and all(d <= TOLERANCE for d in differences)  # NaN is no agreement

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can hold.

        Returns
        -------
        dict
        """
        lists = {"unequal_weights": list(self.unequal_weights), "firsts": [dataclasses.asdict(m) for m in self.firsts]}
        return {**dataclasses.asdict(self), "agrees": self.agrees, **lists}

    def rows(self) -> list[tuple[str, str]]:
        """What was compared and found, as text.

        Returns
        -------
        list of (str, str)
        """
        total = sum(self.mismatches.values())
        rows = [
            ("engines", f"brian on {self.device}, discrete; {self.samples} samples, float64"),
            ("spikes", f"{self.spikes} compared, {total} mismatches"),
        ]
        if total:
            rows.append(("by layer", ", ".join(f"{name}: {n}" for name, n in self.mismatches.items() if n)))
        if self.first is not None:
            rows.append(("first mismatch", str(self.first)))
        if self.unequal_weights:
            rows.append(("unequal weights", ", ".join(self.unequal_weights)))
        if self.readout_difference is not None:
            rows.append(("readout", f"largest difference {self.readout_difference:.2g}"))
        if self.rule is not None:
            found = ", ".join(f"{name}: {d:.2g}" for name, d in self.weight_differences.items())
            rows.append((f"one batch of {self.rule}", f"largest differences of weights {found}"))
        rows.append(("verdict", "the engines agree" if self.agrees else "the engines DIFFER"))
        return rows


@working()
def verify(
    spec: NetworkSpec,
    weights: Mapping[str, np.ndarray],
    samples: Samples,
    *,
    device: str = "auto",
    rule: Rule | None = None,
    optimiser: Optimiser | None = None,
    module: DiscreteNetwork | None = None,
) -> Verification:
    """Run both engines in double precision and compare every spike.

    Parameters
    ----------
    spec : NetworkSpec
    weights : mapping
        Layer name -> array.
    samples : Samples
        With labels, if there is a rule.
    device : str, optional
        Of Brian2.
    rule : Rule, optional
        Both engines also learn these samples as one batch (one sample, for ``update="step"``), and weights are
        compared. A rule that Brian2 runs.
    optimiser : Optimiser, optional
        ``Adam(1e-3)`` where it is not given.
    module : DiscreteNetwork, optional
        Compared, as a copy in double precision, in place of a fresh export of ``spec`` with ``weights``: one that was
        trained or loaded elsewhere.

    Returns
    -------
    Verification

    Raises
    ------
    SpecError, RuleError, DeviceError
        What one of the engines cannot run, by name.
    DataError
        No samples.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> from brianlearn.learning import initial_weights
    >>> spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(9, bl.DaltonIF())], bl.Readout(10), duration=5*ms)
    >>> found = verify(spec, initial_weights(spec), bl.load("digits").test[:2], device="numpy")
    >>> found.agrees
    True
    """
    if len(samples) == 0:
        raise DataError("verify", "there are no samples to compare", expected="at least one")
    samples.check(spec, labels=rule is not None)
    choose_engine("brian", rule, device)
    import torch

    from brianlearn.discrete import export

    if module is None:
        own = {name: weights[name] for name in weight_shapes(spec)}
        module = export(spec, own, dtype=torch.float64)
    network = copy.deepcopy(module).double().eval()
    unequal = [name for name, w in network.weights().items() if not np.array_equal(w, np.asarray(weights[name], float))]
    learner = Learner(spec, engine="brian", device=device, dtype="float64")
    state = learner.init({name: weights[name] for name in weight_shapes(spec)})
    record = ("spikes",) if spec.readout is None else ("spikes", "readout")
    keys = state.sample_keys(samples.ids, learning=False)
    spikes, mismatches, difference = 0, {p.name: 0 for p in (*spec.graph.inputs, *spec.neurons)}, 0.0
    firsts: list[Mismatch] = []
    for start in range(0, len(samples), AT_ONCE):
        part = slice(start, min(start + AT_ONCE, len(samples)))
        activity = learner.infer(state, samples[part], record=record)
        with torch.no_grad():
            found = network(samples.inputs[part], record=("synaptic_input",), keys=keys[part])
        unequal_spikes = {}
        for name, raster in activity.spikes.items():
            brian = raster.dense().reshape(raster.n_trials, raster.n_steps, -1)
            discrete = (found.spikes[name] != 0).transpose(0, 1).flatten(2).numpy()
            unequal_spikes[name] = brian & ~discrete, discrete & ~brian
            mismatches[name] += int((brian != discrete).sum())
            spikes += len(raster)
        firsts += [dataclasses.replace(m, sample=m.sample + start) for m in _firsts(unequal_spikes, network, found)]
        if activity.readout is not None:
            assert found.readout is not None
            gap = float(np.abs(activity.readout - found.readout.transpose(0, 1).numpy()).max())
            difference = difference if gap <= difference else gap  # which may be NaN
    learned = {} if rule is None else _learn(spec, rule, optimiser or Adam(), weights, samples, learner.device)
    return Verification(
        learner.device,
        len(samples),
        spikes,
        mismatches,
        _earliest(firsts, list(mismatches)),
        None if spec.readout is None else difference,
        None if rule is None else rule.name,
        learned,
        tuple(unequal),
        tuple(firsts),
    )


@working()
def verify_experiment(
    experiment: Experiment | str | os.PathLike[str],
    *,
    run: str | os.PathLike[str] | None = None,
    device: str = "auto",
    samples: int = 20,
    learn: bool = False,
) -> Verification:
    """Compare both engines on an experiment's network, or on a run's.

    Parameters
    ----------
    experiment : Experiment or path-like
        An experiment, with its initial weights and the first of its test samples; or a run folder, with its weights.
    run : path-like, optional
        A run folder whose weights an experiment takes.
    device : str, optional
        Of Brian2.
    samples : int, optional
        Test samples to compare.
    learn : bool, optional
        Whether to compare weights too, after these samples as one batch of the experiment's rule.

    Returns
    -------
    Verification

    Raises
    ------
    RunFolderError
        No run folder, or a damaged one.
    SpecError, RuleError, DeviceError
        What one of the engines cannot run, by name.
    """
    if not isinstance(experiment, Experiment):
        run, experiment = experiment, Experiment.from_run(experiment)
    spec, rule = experiment.spec, experiment.rule if learn else None
    weights = None
    if run is not None:
        names = weight_shapes(spec, rule)
        weights = {name: w for name, w in RunFolder.open(run).weights().items() if name in names}
    found = split(experiment.data, spec, validation=0, limit=1, test_limit=samples, seed=0)
    start = Learner(spec, rule, engine="brian", device="numpy", seed=experiment.seed).init(weights).weights
    return verify(spec, start, found.test, device=device, rule=rule, optimiser=experiment.optimiser)


def compared(
    spec: NetworkSpec, weights: Mapping[str, np.ndarray], samples: Samples, fired: Mapping[str, np.ndarray], device: str
) -> Verification:
    """Compare the discrete engine in double precision with spikes that something else fired.

    Parameters
    ----------
    spec : NetworkSpec
    weights : mapping
        Projection -> array.
    samples : Samples
    fired : mapping
        Population -> bool, shape (n_samples, n_steps, neurons).
    device : str
        What fired them.

    Returns
    -------
    Verification
    """
    import torch

    from brianlearn.discrete import export

    network = export(spec, {name: weights[name] for name in weight_shapes(spec)}, dtype=torch.float64).eval()
    with torch.no_grad():
        found = network(samples.inputs, record=("synaptic_input",))
    unequal, mismatches, spikes = {}, {}, 0
    for name, brian in fired.items():
        discrete = (found.spikes[name] != 0).transpose(0, 1).flatten(2).numpy()
        unequal[name] = brian & ~discrete, discrete & ~brian
        mismatches[name], spikes = int((brian != discrete).sum()), spikes + int(brian.sum())
    firsts = _firsts(unequal, network, found)
    return Verification(
        device, len(samples), spikes, mismatches, _earliest(firsts, list(unequal)), None, firsts=tuple(firsts)
    )


def _earliest(firsts: Sequence[Mismatch], layers: Sequence[str]) -> Mismatch | None:
    """That of the earliest step, and in it of the lowest layer; ``layers``: from the lowest to the highest."""
    return min(firsts, key=lambda one: (one.step, layers.index(one.layer)), default=None)


def _firsts(
    unequal: Mapping[str, tuple[np.ndarray, np.ndarray]], network: DiscreteNetwork, activity: DiscreteActivity
) -> list[Mismatch]:
    """The earliest mismatch of every sample that has some, in the lowest layer."""
    candidates: dict[int, list[tuple[int, int, str, int, str]]] = {}
    for depth, (name, (only_brian, only_discrete)) in enumerate(unequal.items()):
        differ = only_brian | only_discrete
        for sample in np.flatnonzero(differ.any(axis=(1, 2))).tolist():
            step, neuron = np.argwhere(differ[sample])[0].tolist()
            fired = "brian" if only_brian[sample, step, neuron] else "discrete"
            candidates.setdefault(sample, []).append((step, depth, name, neuron, fired))
    firsts = []
    for sample, found in sorted(candidates.items()):
        step, _, name, neuron, fired = min(found)
        firsts.append(
            Mismatch(name, neuron, step, sample, fired, _margin(network, activity, name, step, sample, neuron))
        )
    return firsts


def _margin(
    network: DiscreteNetwork, activity: DiscreteActivity, name: str, step: int, sample: int, neuron: int
) -> float | None:
    """How far a membrane was from its threshold; None of an input."""
    p = network.spec.graph.by_name[name]
    if p.is_input:
        return None
    recurrence = network.recurrence(name)
    delivered = activity.synaptic_input[name].flatten(-len(p.shape)).clone()
    assert recurrence.program.spike is not None
    distance = recurrence.program.spike.distance
    return float(recurrence.factors(delivered, [distance]).values[distance][step, sample, neuron])


def _learn(
    spec: NetworkSpec,
    rule: Rule,
    optimiser: Optimiser,
    weights: Mapping[str, np.ndarray],
    samples: Samples,
    device: str,
) -> dict[str, float]:
    """Largest differences of weights after one batch, by layer."""
    batch = samples[:1] if getattr(rule, "update", "batch") == "step" else samples
    learned = []
    for engine, place in (("brian", device), ("discrete", "cpu")):
        learner = Learner(spec, rule, optimiser, engine=engine, device=place, dtype="float64", batch_size=len(batch))
        learned.append(learner.learn(learner.init(weights), batch)[0].weights)
    return {name: float(np.abs(learned[0][name] - learned[1][name]).max()) for name in rule.learned(spec)}
