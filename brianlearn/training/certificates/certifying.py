"""Certifying a run: every check that it allows, with what it found."""

from __future__ import annotations

import dataclasses
import datetime
import importlib.util
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import BrianLearnError, DeviceError, NonFiniteError, RuleError, RunFolderError, WeightsError
from brianlearn.learning.optimisers import SGD
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.rules.three_factor import ThreeFactorRule
from brianlearn.learning.weights import weight_shapes
from brianlearn.machine.environment import versions
from brianlearn.network.checks import is_whole
from brianlearn.network.samples.samples import Samples
from brianlearn.training.certificates.certificate import FAILED, NOT_APPLICABLE, PASSED, Certificate, Check
from brianlearn.training.certificates.folder_checks import folder_check
from brianlearn.training.certificates.replay import different, first_rate, replayed, twice
from brianlearn.training.evaluation import evaluate
from brianlearn.training.experiment import Experiment
from brianlearn.training.learner import Learner
from brianlearn.training.lock import locked
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.splits import Splits, split
from brianlearn.training.trained import digest
from brianlearn.work import working

if TYPE_CHECKING:
    from brianlearn.training.certificates.gradients import GradientCase

__all__ = ["certify"]

#: Of the largest change of weights: what may differ between two engines in double precision.
ROUNDING = 1e-9
#: Of the largest entry of a gradient: what single precision may change where all spikes are the same.
SINGLE = 1e-3
#: A membrane that is no further from its threshold lies on it, up to rounding.
ON_THE_THRESHOLD = 1e-12
#: Seconds that the first epoch of a run took, up to which it is trained again.
AFFORDABLE = 60.0
#: How many times as many samples are tried where the gradient of an array of weights is 0.
MORE = (1, 4, 16)
#: Batches that are learned twice, and samples that these have at most.
BATCHES, TWICE = 2, 100
#: Errors that say that what is certified is wrong, and not that it cannot be asked.
WRONG = (WeightsError, NonFiniteError, RunFolderError)
#: Devices of Brian2 that compute in double precision.
DEVICES = ("numpy", "cython", "cpp_standalone")


@working()
def certify(
    run: str | os.PathLike[str],
    *,
    data: Any = None,
    samples: int = 20,
    gradient_samples: int = 4,
    device: str | None = None,
    full: bool = False,
    write: bool = True,
    told: Callable[[Check], object] | None = None,
) -> Certificate:
    """Check a run: its spikes, gradients, bits, files and versions; what it cannot be asked says why.

    Parameters
    ----------
    run : path-like
        The run folder, of a run that is finished or not.
    data : DataSet or (Samples, Samples), optional
        Needed where the run's data had no name.
    samples : int, optional
        Test samples whose spikes both engines are compared on.
    gradient_samples : int, optional
        Training samples of the batch whose gradient is checked.
    device : str, optional
        Of Brian2; that of the run where it trained on one in double or single precision, else ``"numpy"``.
    full : bool, optional
        Train the whole run again, and test it again. The first epoch alone where it is not given, if that took a
        minute at most.
    write : bool, optional
        Whether to write ``certificate.json`` into the folder, which is locked meanwhile: no run can go on in it.
    told : callable, optional
        Is given every check when it is made.

    Returns
    -------
    Certificate

    Raises
    ------
    RunFolderError
        No run folder, a damaged one, data without a name; a folder that cannot be written, or into which another
        process writes.
    RuleError
        Numbers of samples that are none.

    Examples
    --------
    >>> import brianlearn as bl
    >>> certificate = bl.certify("runs/20250101-120000-digits-dalton")  # doctest: +SKIP
    >>> certificate.passed  # doctest: +SKIP
    True
    >>> certificate["spikes"].numbers["mismatches"]  # doctest: +SKIP
    0
    """
    for name, value in (("samples", samples), ("gradient_samples", gradient_samples)):
        if not (is_whole(value) and value >= 1):
            raise RuleError("certify", f"{name} is wrong", got=repr(value), expected="a whole number >= 1")
    started = time.perf_counter()
    folder = RunFolder.open(run)
    with locked(folder.path) if write else nullcontext():
        subject = _Subject.open(run, data, samples, gradient_samples, device, full)
        checks: list[Check] = []
        for make in _CHECKS:
            for check in make(subject):
                checks.append(check)
                if told is not None:
                    told(check)
        made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        seconds = time.perf_counter() - started
        found = Certificate(folder.path, subject.named(), tuple(checks), made, seconds, digest(subject.weights))
        if write:
            found.write()
    return found


@dataclasses.dataclass(eq=False)
class _Subject:
    """A run that is checked."""

    folder: RunFolder
    experiment: Experiment
    splits: Splits
    weights: Mapping[str, np.ndarray]
    config: Mapping[str, Any]
    samples: int
    gradient_samples: int
    device: str
    full: bool

    @classmethod
    def open(
        cls,
        run: str | os.PathLike[str],
        data: Any,
        samples: int,
        gradient_samples: int,
        device: str | None,
        full: bool,
    ) -> _Subject:
        folder = RunFolder.open(Path(run))
        experiment, config = Experiment.from_run(run, data), folder.config()
        limits = {name: getattr(experiment, name) for name in ("validation", "limit", "test_limit", "seed")}
        splits = split(experiment.data, experiment.spec, **limits)
        names = weight_shapes(experiment.spec, experiment.rule)
        weights = {name: w for name, w in folder.checkpoint().state.weights.items() if name in names}
        if (folder.path / "weights.npz").exists():
            weights = {name: w for name, w in folder.weights().items() if name in names}
        if device is None:
            device = config["resolved"]["device"] if config["resolved"]["device"] in DEVICES else "numpy"
        return cls(folder, experiment, splits, weights, config, int(samples), int(gradient_samples), device, full)

    @property
    def rule(self) -> Rule:
        return self.experiment.rule

    @property
    def finished(self) -> bool:
        return (self.folder.path / "result.json").exists()

    def named(self) -> dict[str, str]:
        resolved = self.config["resolved"]
        populations = " - ".join(f"{p.name} {'x'.join(map(str, p.shape))}" for p in self.experiment.spec.populations)
        return {
            "rule": self.rule.name,
            "engine": resolved["engine"],
            "device": resolved["device"],
            "dtype": self.experiment.dtype,
            "network": populations,
            "weights": "those at the end" if self.finished else "those of the last checkpoint",
        }

    @property
    def batch(self) -> Samples:
        """Training samples, as few as are wanted."""
        return self.splits.train[: self.gradient_samples]

    @property
    def same_data(self) -> bool:
        return self.config["data"].get("fingerprint") == self.splits.fingerprint

    @property
    def moved(self) -> list[str]:
        """What of the environment is not what it was."""
        then, now = self.folder.versions(), versions()
        return [f"{name} was {then[name]}, is {now[name]}" for name in now if name in then and then[name] != now[name]]


def _asked(name: str, question: str, ask: Callable[[], tuple[str, str, Mapping[str, Any]]]) -> Check:
    """A check: it fails where weights or files are wrong; what an engine or machine refuses makes it not applicable."""
    try:
        verdict, text, numbers = ask()
    except WRONG as error:
        verdict, text, numbers = FAILED, " ".join(str(error).split()), {}
    except BrianLearnError as error:
        verdict, text, numbers = NOT_APPLICABLE, " ".join(str(error).split()), {}
    return Check(name, question, verdict, text, numbers)


def _without_torch() -> bool:
    return importlib.util.find_spec("torch") is None


NO_TORCH = NOT_APPLICABLE, "torch is not installed: the discrete engine is one side of this", dict[str, Any]()


def _folder(subject: _Subject) -> Iterator[Check]:
    yield _asked("folder", "do the files of the run agree with one another?", lambda: folder_check(subject.folder))
    yield _asked("data", "are these the samples that it was trained with?", lambda: _data(subject))


def _data(subject: _Subject) -> tuple[str, str, Mapping[str, Any]]:
    then, now = subject.config["data"].get("fingerprint"), subject.splits.fingerprint
    numbers = {"then": then, "now": now, "training": len(subject.splits.train), "test": len(subject.splits.test)}
    if then is None:
        return NOT_APPLICABLE, "config.json holds no fingerprint of the data", numbers
    if then != now:
        return FAILED, f"other samples: their fingerprint was {then}, is {now}", numbers
    return (
        PASSED,
        f"{len(subject.splits.train)} training and {len(subject.splits.test)} test samples, the same",
        numbers,
    )


def _spikes(subject: _Subject) -> Iterator[Check]:
    def ask() -> tuple[str, str, Mapping[str, Any]]:
        if _without_torch():
            return NO_TORCH
        from brianlearn.training.verify import verify

        spec = subject.experiment.spec
        own = {name: subject.weights[name] for name in weight_shapes(spec)}
        found = verify(spec, own, subject.splits.test[: subject.samples], device=subject.device)
        wrong = sum(found.mismatches.values())
        numbers = found.to_dict() | {"mismatches_by_layer": dict(found.mismatches), "mismatches": wrong}
        text = f"{found.spikes} spikes of {found.samples} test samples compared, brian on {found.device}: "
        gap = found.readout_difference
        closeness = "" if gap is None else f"; readouts differ by {gap:.2g} at most"
        if not wrong and found.agrees:
            return PASSED, f"{text}all are the same{closeness}", numbers
        if wrong and all(m.margin is not None and abs(m.margin) <= ON_THE_THRESHOLD for m in found.firsts):
            return PASSED, f"{text}{wrong} differ, which begin on the threshold up to rounding: {found.first}", numbers
        where = f"; the first: {found.first}" if found.first is not None else closeness
        return FAILED, f"{text}{wrong} differ{where}", numbers

    yield _asked("spikes", "do both engines fire the same spikes?", ask)


def _engines(subject: _Subject) -> Iterator[Check]:
    def ask() -> tuple[str, str, Mapping[str, Any]]:
        if _without_torch():
            return NO_TORCH
        rule = subject.rule
        if set(rule.engines) < {"brian", "discrete"}:
            return NOT_APPLICABLE, f"{rule.name} learns on the engine {rule.engines[0]} alone", {}
        batch = subject.batch
        optimisers = {"its own optimiser": subject.experiment.optimiser}
        if isinstance(rule, ThreeFactorRule) and rule.update == "batch":
            optimisers = {"the gradient": SGD(1.0), **optimisers}
        else:
            batch = batch[:1]
        numbers: dict[str, Any] = {"samples": len(batch), "device": subject.device}
        worst = 0.0
        for what, optimiser in optimisers.items():
            by_name = _changes(subject, optimiser, batch)
            numbers[what] = by_name
            relative = {name: each["relative"] for name, each in by_name.items()}
            name = _worst(relative)
            worst = worst if name is None else _larger(worst, relative[name])
        if not any(each["largest"] for what in optimisers for each in numbers[what].values()):
            return NOT_APPLICABLE, "no weight changes with these samples", numbers
        text = (
            f"{' and '.join(optimisers)}: changes of {len(by_name)} arrays of weights by {len(batch)} samples differ "
            f"by {worst:.2g} of the largest change at most"
        )
        return PASSED if worst <= ROUNDING else FAILED, text, numbers

    yield _asked("engines", "do both engines change weights alike?", ask)


def _changes(subject: _Subject, optimiser: Any, batch: Samples) -> dict[str, dict[str, float]]:
    """Name of weights -> their largest change, and the difference of the changes on both engines."""
    spec, rule, found = subject.experiment.spec, subject.rule, []
    before: Mapping[str, np.ndarray] = {}
    for engine, device in (("brian", subject.device), ("discrete", "cpu")):
        options: dict[str, Any] = dict(engine=engine, device=device, dtype="float64", batch_size=len(batch))
        learner = Learner(spec, rule, optimiser, seed=subject.experiment.seed, **options)
        state = learner.init(subject.weights)
        before = state.weights
        found.append(learner.learn(state, batch)[0].weights)
    result = {}
    for name in rule.learned(spec):
        brian, discrete = (after[name] - before[name] for after in found)
        largest = float(max(np.abs(brian).max(initial=0.0), np.abs(discrete).max(initial=0.0)))
        difference = float(np.abs(brian - discrete).max(initial=0.0))
        # below what is left of a weight's digits nothing is known of its change
        relative = difference / max(largest, 1e-6)
        result[name] = {"largest": largest, "difference": difference, "relative": relative}
    return result


#: Checks of a gradient, and what they ask.
OF_GRADIENTS = {
    "gradient": "is the gradient that of a plain loop over the equations?",
    "differences": "is the gradient that of finite differences, with smooth spikes?",
    "precision": "is the gradient in single precision that in double precision?",
}


def _gradients(subject: _Subject) -> Iterator[Check]:
    reason, verdict = _no_gradient(subject), NOT_APPLICABLE
    if reason is None:
        resolved = subject.config["resolved"]
        own = resolved["engine"] == "discrete"
        device, options = "cpu", (subject.experiment.engine_options if own else {})
        if own and _has(resolved["device"]):
            device = resolved["device"]
        try:
            case, found = _moving_case(subject, device, options)
        except BrianLearnError as error:
            reason = " ".join(str(error).split())
            verdict = FAILED if isinstance(error, WRONG) else NOT_APPLICABLE
    if reason is not None:
        yield from (Check(name, question, verdict, reason) for name, question in OF_GRADIENTS.items())
        return
    asks = (
        lambda: _against_the_loop(case, found, device),
        lambda: _against_differences(case, found),
        lambda: _single(subject, case, found, device, options),
    )
    for (name, question), ask in zip(OF_GRADIENTS.items(), asks, strict=True):
        yield _asked(name, question, ask)


def _has(device: str) -> bool:
    """Whether this machine has a device of torch: the gradient is checked on the CPU else, which the text says."""
    from brianlearn.discrete.options import resolve_torch_device

    try:
        resolve_torch_device(device)
    except DeviceError:
        return False
    return True


def _moving_case(
    subject: _Subject, device: str, options: Mapping[str, Any]
) -> tuple[GradientCase, Mapping[str, np.ndarray]]:
    """A batch and its gradient; more samples than were asked for where these leave the gradient of an array 0."""
    from brianlearn.training.certificates.gradients import GradientCase
    from brianlearn.training.certificates.plain_network import affordable

    experiment, best = subject.experiment, None
    most = max(1, affordable(experiment.spec))
    for n in dict.fromkeys(min(times * subject.gradient_samples, most) for times in MORE):
        batch = subject.splits.train[:n]
        case = GradientCase.of(experiment.spec, subject.rule, subject.weights, batch, experiment.seed)
        found = case.engine(device, "float64", options)
        still = sum(not np.any(g) for g in found.values())
        if best is None or still < best[0]:
            best = still, case, found
        if not still:
            break
    assert best is not None
    return best[1], best[2]


def _no_gradient(subject: _Subject) -> str | None:
    """Why there is no gradient of a batch to check."""
    rule = subject.rule
    if _without_torch():
        return NO_TORCH[1]
    if rule.loss is None and not isinstance(rule, ThreeFactorRule):
        return f"{rule.name} is a rule of synapses' own statements, which has no gradient"
    if isinstance(rule, ThreeFactorRule) and rule.update == "step":
        return f"{rule.name} changes weights in every step: there is no gradient of a batch"
    return None


def _larger(a: float, b: float) -> float:
    """The larger number; NaN where one is: it is no agreement."""
    return a if a >= b or math.isnan(a) else b


def _worst(relative: Mapping[str, float]) -> str | None:
    """The name with the largest difference, NaN before all others; None of nothing."""
    return max(relative, key=lambda name: math.inf if math.isnan(relative[name]) else relative[name], default=None)


def _against_the_loop(
    case: GradientCase, found: Mapping[str, np.ndarray], device: str
) -> tuple[str, str, Mapping[str, Any]]:
    from brianlearn.training.certificates.gradients import ROUNDING as of_doubles
    from brianlearn.training.certificates.gradients import entries

    by_name = entries(case, found)
    relative = {n: e["difference"] / e["largest"] if e["largest"] else e["difference"] for n, e in by_name.items()}
    numbers = {"samples": len(case.samples), "device": device, "arrays": by_name, "relative": relative}
    still = [name for name, e in by_name.items() if not e["largest"]]
    left_out = sorted(set(found) - set(by_name))
    entries_of = sum(found[name].size for name in by_name)
    worst = _worst(relative)
    if worst is None or len(still) == len(by_name):
        return NOT_APPLICABLE, "the gradient is 0 with these samples and weights, so that nothing is compared", numbers
    text = (
        f"{entries_of} entries of {len(by_name)} arrays, {len(case.samples)} samples, double precision on {device}: "
        f"largest difference {relative[worst]:.2g} of the largest entry ({worst})"
    )
    if still:
        text += f"; nothing learns with these samples in {', '.join(still)}"
    if left_out:
        text += f"; {', '.join(left_out)}: see the finite differences"
    return PASSED if relative[worst] <= of_doubles else FAILED, text, numbers


def _against_differences(case: GradientCase, found: Mapping[str, np.ndarray]) -> tuple[str, str, Mapping[str, Any]]:
    from brianlearn.training.certificates.gradients import OF_DIFFERENCES, slopes

    if case.rule.loss is None:
        return NOT_APPLICABLE, f"{case.rule.name} follows the gradient of no loss; the plain loop states its rule", {}
    by_name = slopes(case, found)
    numbers = {name: dataclasses.asdict(one) | {"relative": one.relative} for name, one in by_name.items()}
    if not by_name:
        return NOT_APPLICABLE, "the gradient is 0 with these samples and weights, so that nothing is compared", {}
    worst = _worst({name: one.relative for name, one in by_name.items()})
    assert worst is not None
    text = (
        f"slopes along one direction in each of {len(by_name)} arrays: largest difference "
        f"{by_name[worst].relative:.2g} of the slope ({worst}: {by_name[worst].engine:.6g} and "
        f"{by_name[worst].differences:.6g})"
    )
    return PASSED if by_name[worst].relative <= OF_DIFFERENCES else FAILED, text, {"slopes": numbers}


def _single(
    subject: _Subject, case: GradientCase, found: Mapping[str, np.ndarray], device: str, options: Mapping[str, Any]
) -> tuple[str, str, Mapping[str, Any]]:
    if subject.experiment.dtype == "float64":
        return NOT_APPLICABLE, "the run was trained in double precision", {}
    if subject.config["resolved"]["engine"] != "discrete":
        return NOT_APPLICABLE, "the run was trained on the engine brian; see `engines`", {}
    matmul = options.get("matmul", "float32")
    now = case.engine(device, "float32", options)
    numbers: dict[str, Any] = {}
    for name, g in found.items():
        largest = float(np.abs(g).max(initial=0.0))
        difference = float(np.abs(now[name] - g).max(initial=0.0))
        numbers[name] = {"largest": largest, "relative": difference / largest if largest else difference}
    worst = _worst({name: each["relative"] for name, each in numbers.items()})
    assert worst is not None
    text = f"largest difference {numbers[worst]['relative']:.2g} of the largest entry ({worst})"
    if numbers[worst]["relative"] <= SINGLE:
        return PASSED, text, {"arrays": numbers}
    if matmul != "float32":
        return NOT_APPLICABLE, f"the run multiplies in {matmul} on purpose; {text}", {"arrays": numbers}
    flipped = _flipped(subject, device, options)
    if flipped:
        return (
            NOT_APPLICABLE,
            f"{flipped} spikes of these samples are others in single precision; {text}",
            {"arrays": numbers},
        )
    return FAILED, f"{text}, although all spikes are the same", {"arrays": numbers}


def _flipped(subject: _Subject, device: str, options: Mapping[str, Any]) -> int:
    """Spikes of the batch that single precision changes."""
    fired = []
    for dtype in ("float32", "float64"):
        learner = Learner(
            subject.experiment.spec, engine="discrete", device=device, dtype=dtype, engine_options=options
        )
        own = {name: subject.weights[name] for name in weight_shapes(subject.experiment.spec)}
        activity = learner.infer(learner.init(own), subject.batch, record="spikes")
        fired.append({name: raster.dense() for name, raster in activity.spikes.items()})
    return sum(int((fired[0][name] != fired[1][name]).sum()) for name in fired[0])


def _bits(subject: _Subject) -> Iterator[Check]:
    yield _asked("determinism", "does the same batch learn the same twice?", lambda: _twice(subject))
    yield _asked("replay", "does training again give the same numbers, bit for bit?", lambda: _replay(subject))


def _twice(subject: _Subject) -> tuple[str, str, Mapping[str, Any]]:
    samples = min(BATCHES * subject.experiment.batch_size, TWICE)
    found = twice(subject.experiment, subject.folder, subject.splits, samples)
    if found["same"]:
        return PASSED, f"{found['samples']} samples: weights, optimiser and loss are the same bits", found
    return FAILED, f"{found['samples']} samples: not the same bits in {', '.join(found['different'])}", found


def _replay(subject: _Subject) -> tuple[str, str, Mapping[str, Any]]:
    if not subject.same_data:
        return NOT_APPLICABLE, "these are not the samples that it was trained with", {}
    lines, (_, changed_after) = subject.folder.metrics(), first_rate(subject.config)
    epochs = len(lines) if subject.full else 1
    if not lines:
        return NOT_APPLICABLE, "metrics.jsonl holds no finished epoch", {}
    per_epoch = lines[0]["samples"]
    if changed_after is not None and changed_after < per_epoch * epochs:
        if changed_after < per_epoch:
            return NOT_APPLICABLE, "its learning rate was changed by hand in the first epoch", {}
        epochs = changed_after // per_epoch
    if not subject.full and lines[0]["seconds"] > AFFORDABLE:
        text = f"its first epoch took {lines[0]['seconds']:.0f} s; full=True (--full) trains it all again"
        return NOT_APPLICABLE, text, {"seconds": lines[0]["seconds"]}
    again, state = replayed(subject.experiment, subject.folder, subject.splits, epochs)
    differ = [
        f"epoch {then['epoch']}: {what}"
        for then, now in zip(lines, again, strict=False)
        for what in different(then, now)
    ]
    checkpoint = subject.folder.checkpoint()
    whole = checkpoint.state.epoch == epochs and checkpoint.chunk == 0
    if whole:
        differ += [
            f"weights of {name}"
            for name, w in checkpoint.state.weights.items()
            if not np.array_equal(w, state.weights[name])
        ]
    numbers: dict[str, Any] = {"epochs": epochs, "of": len(lines), "weights_compared": whole, "different": differ}
    if subject.full and subject.finished:
        differ += _tested(subject)
    what = f"{epochs} of {len(lines)} epochs" + (" and the weights at the end" if whole else "")
    if not differ:
        return PASSED, f"{what}: every number of metrics.jsonl is the same", numbers
    text = f"{what}: {len(differ)} numbers differ, the first: {differ[0]}"
    if subject.moved:
        return NOT_APPLICABLE, f"not the same environment ({', '.join(subject.moved)}), and {text}", numbers
    return FAILED, text, numbers


def _tested(subject: _Subject) -> list[str]:
    """What of the test's scores is not what result.json holds."""
    then = subject.folder.result() or {}
    data = None if isinstance(subject.experiment.data, str) else subject.experiment.data
    now = evaluate(subject.folder.path, data=data, progress=False).to_dict()
    names = [name for name in now if name.startswith("test_") and name in then]
    return [f"{name}: {then[name]} then, {now[name]} now" for name in names if then[name] != now[name]]


def _versions(subject: _Subject) -> Iterator[Check]:
    def ask() -> tuple[str, str, Mapping[str, Any]]:
        then, now = subject.folder.versions(), versions()
        numbers = {"then": then, "now": now}
        if subject.moved:
            return NOT_APPLICABLE, f"another one: {', '.join(subject.moved)}", numbers
        named = ("brianlearn", "python", "numpy", "brian2", "torch", "compiler", "platform")
        known = ", ".join(f"{name} {now[name]}" for name in named if now.get(name))
        return PASSED, f"the same: {known}", numbers

    yield _asked("versions", "is this the environment that trained it?", ask)


_CHECKS: tuple[Callable[[_Subject], Iterator[Check]], ...] = (_folder, _spikes, _engines, _gradients, _bits, _versions)
