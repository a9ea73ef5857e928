"""Beginning a run, going on with one, and finishing it: what an experiment does in its run folder."""

from __future__ import annotations

import os
import shlex
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import NonFiniteError, RunFolderError, WeightsError
from brianlearn.learning.weights import check_weights
from brianlearn.machine.environment import versions
from brianlearn.machine.interrupt import Terminated, interruptible
from brianlearn.machine.leftovers import remove_leftovers
from brianlearn.training.callbacks import Callbacks
from brianlearn.training.checkpoint import Checkpoint
from brianlearn.training.learner import Learner
from brianlearn.training.lock import FolderLock
from brianlearn.training.loop import score, train
from brianlearn.training.progress import Progress
from brianlearn.training.result import Result
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.scores import ALL, scores_of
from brianlearn.training.serialise import differences, own_classes
from brianlearn.training.splits import Splits
from brianlearn.training.watch import ENOUGH, Watch, input_warnings

if TYPE_CHECKING:
    from brianlearn.training.experiment import Experiment

__all__ = ["Session", "begin", "learner_of", "proceed"]

#: Parts of config.json that may differ when a run goes on.
FREE = ("format", "resolved", "epochs", "name", "history")
#: The part of config.json that may be changed on purpose when a run goes on; config.json keeps what it was.
RATE = "optimiser.learning_rate"


@dataclass(frozen=True, eq=False)
class Session:
    """A run that is ready to train.

    Attributes
    ----------
    experiment : Experiment
    splits : Splits
    folder : RunFolder
    learner : Learner
    checkpoint : Checkpoint
        Where it starts.
    lock : FolderLock
        Held until the run ends.
    """

    experiment: Experiment
    splits: Splits
    folder: RunFolder
    learner: Learner
    checkpoint: Checkpoint
    lock: FolderLock

    def run(self, display: Progress, callbacks: Callbacks | None = None) -> Result:
        """Train, test and write the result; see `Experiment.run`."""
        looking_on = callbacks or Callbacks()
        try:
            with looking_on.during(self.folder.path, self.experiment, self.checkpoint.state) as ended:
                return ended(self._run(display, looking_on))
        except (KeyboardInterrupt, Terminated):
            with suppress(OSError):  # a terminal that is closed
                display.note(
                    f"stopped; the last checkpoint is kept. Go on with:\n  {_command(self.splits, self.folder)}"
                )
            raise
        except NonFiniteError as error:
            error.add_note(
                f"The last good checkpoint is kept: {self.folder.path / 'checkpoint.npz'}. Go on from it with a "
                "smaller learning rate:\n"
                f"  {_command(self.splits, self.folder)} --learning-rate "
                f"{self.experiment.optimiser.learning_rate / 10:g}"
            )
            raise
        finally:
            self.lock.release()

    def _run(self, display: Progress, callbacks: Callbacks) -> Result:
        learner, splits, folder = self.learner, self.splits, self.folder
        learner.watch = Watch(each_call=False, show=lambda warning: display.warning(str(warning)))
        for warning in learner.spec.warnings:  # Python has said them when the network was declared
            display.warning(str(warning))
        told = [*map(str, learner.spec.warnings), *learner.watch.say(input_warnings(learner.spec, splits.train))]
        display.building(learner.device)
        started = time.perf_counter()
        # engines compile when they first run: one sample, so that this is neither shown nor measured as learning
        learner.infer(self.checkpoint.state, splits.train[:1])
        build_seconds = time.perf_counter() - started
        # of the untrained network, also where the run goes on: what its loss is compared with is then the same
        learner.watch.start = learner.infer(learner.init(), splits.train[: 2 * ENOUGH]).loss
        experiment = self.experiment
        with interruptible(display.note) as check:
            state = train(
                learner,
                splits,
                folder,
                self.checkpoint,
                experiment.epochs,
                display,
                experiment.augment,
                check,
                callbacks,
            )
            tested = score(learner, state, splits.test, display, "test", check)
        folder.write_weights(dict(state.weights))
        metrics = folder.metrics()
        seconds = sum(line["seconds"] for line in metrics)
        last = metrics[-1]
        scores: dict[str, Any] = {
            f"{part}_{score}": last.get(f"{part}_{score}")
            for part in ("train", "validation")
            for score in (*ALL, "loss")
        }
        scores |= scores_of("test", tested)
        result = Result(
            run=folder.path,
            rule=self.experiment.rule.name,
            device=learner.device,
            epochs=self.experiment.epochs,
            **scores,
            test_loss=tested.loss,
            samples_per_second=sum(line["samples"] for line in metrics) / seconds,
            build_seconds=build_seconds,
            seconds=seconds,
            warnings=tuple(
                dict.fromkeys([*told, *(w for line in metrics for w in line.get("warnings", ())), *tested.warnings])
            ),
        )
        result.write(folder)
        return result


def _command(splits: Splits, folder: RunFolder) -> str:
    """What goes on with a run; the script is needed for samples and classes of its own."""
    script = "" if splits.name and not own_classes(folder.config()) else "SCRIPT "
    return f"brianlearn train {script}--resume {shlex.quote(str(folder.path))}"


def begin(experiment: Experiment, splits: Splits) -> Session:
    """A new run folder, and the network in its initial state.

    Raises
    ------
    RunFolderError
        If the folder cannot be written or locked; nothing has been built then.
    RuleError, DeviceError
        What the engine or this machine cannot run; the folder is removed again.
    """
    RunFolder.remove_unbegun(experiment.runs)
    folder = RunFolder.create(experiment.runs, f"{experiment.name or splits.name or 'run'}-{experiment.rule.name}")
    lock = FolderLock(folder.path)
    try:
        lock.take()
        learner = learner_of(experiment, experiment.engine, experiment.device, experiment.chunk_size)
        checkpoint = Checkpoint(learner.init())
        # what the machine chose is stored too: chunks must end at the same samples when the run goes on
        resolved = {"engine": learner.engine_name, "device": learner.device, "chunk_size": learner.engine.chunk_size}
        config = _config(experiment, splits, resolved)
        folder.write_versions(versions())
        folder.write_checkpoint(checkpoint)
        folder.write_config(config)
    except BaseException:
        lock.release()
        folder.discard()
        raise
    return Session(experiment, splits, folder, learner, checkpoint, lock)


def proceed(experiment: Experiment, splits: Splits, run: str | os.PathLike[str], display: Progress) -> Session | Result:
    """Go on with a run from its last checkpoint.

    The learning rate may be another one than before: config.json then says what it was, and up to where.

    Returns
    -------
    Session, or Result
        The result where the run is finished.

    Raises
    ------
    RunFolderError
        No run folder, a damaged one, that of another experiment, or one that another process writes into.
    """
    folder = RunFolder.open(run)
    _check_same(experiment, splits, folder)
    finished = Result.read(folder)
    if finished is not None and finished.epochs == experiment.epochs:
        display.note(f"{folder.path} is finished already: {finished.epochs} epochs")
        return finished
    lock = FolderLock(folder.path)
    lock.take()
    try:
        return _locked(experiment, splits, folder, lock, display)
    except BaseException:
        lock.release()
        raise


def _locked(experiment: Experiment, splits: Splits, folder: RunFolder, lock: FolderLock, display: Progress) -> Session:
    """As `proceed`, with a folder that nobody else writes into."""
    resolved, history = _check_same(experiment, splits, folder)
    checkpoint = _checkpoint(experiment, folder)
    learner = learner_of(experiment, resolved["engine"], resolved["device"], resolved["chunk_size"])
    then, now = folder.versions(), versions()
    changed = [f"{name} was {then[name]}, is {now[name]}" for name in now if name in then and then[name] != now[name]]
    if changed:
        display.note(f"not the same environment, so the run may not go on bit for bit: {', '.join(changed)}")
    done = checkpoint.state.epoch
    rate = _rate(folder.config())
    if rate != experiment.optimiser.learning_rate:
        history = [*history, {"learning_rate": rate, "epoch": done + 1, "samples_seen": checkpoint.state.samples_seen}]
        display.note(f"the learning rate was {rate:g} and is now {experiment.optimiser.learning_rate:g}")
    remove_leftovers([folder.path])
    folder.write_config(_config(experiment, splits, resolved, history))
    folder.unfinish()
    folder.keep_metrics(done)
    if done < experiment.epochs:
        samples = sum(part.samples for part in checkpoint.parts)
        display.note(f"going on with {folder.path}: epoch {done + 1} of {experiment.epochs}, after {samples} samples")
    return Session(experiment, splits, folder, learner, checkpoint, lock)


def learner_of(experiment: Experiment, engine: str, device: str, chunk_size: int | None) -> Learner:
    """The learner of a run, on what its machine chose.

    Parameters
    ----------
    experiment : Experiment
    engine, device : str
    chunk_size : int or None

    Returns
    -------
    Learner
    """
    return Learner(
        experiment.spec,
        experiment.rule,
        experiment.optimiser,
        engine=engine,
        device=device,
        dtype=experiment.dtype,
        batch_size=experiment.batch_size,
        seed=experiment.seed,
        chunk_size=chunk_size,
        workers=experiment.workers,
        engine_options=experiment.engine_options,
    )


def _config(
    experiment: Experiment, splits: Splits, resolved: dict[str, Any], history: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """What config.json holds.

    Parameters
    ----------
    experiment : Experiment
    splits : Splits
    resolved : dict
        What the machine chose.
    history : list of dict, optional
        Earlier learning rates: each with the epoch, and the number of samples learned in all, at which it ended.
    """
    settings = experiment.settings()
    settings["data"] |= {"fingerprint": splits.fingerprint}
    return {**settings, "resolved": resolved, **({"history": history} if history else {})}


def _rate(config: dict[str, Any]) -> float:
    """The learning rate of a config.json, which `_check_same` has found to be like the experiment's."""
    return config["optimiser"].get("learning_rate")


def _check_same(
    experiment: Experiment, splits: Splits, folder: RunFolder
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Check that a run folder is one of this experiment; what its machine chose, and earlier learning rates."""
    stored = folder.config()
    configs = (stored, _config(experiment, splits, {}))
    then, now = ({key: value for key, value in config.items() if key not in FREE} for config in configs)
    changed = [(where, old, new) for where, old, new in differences(then, now) if where != RATE]
    if changed:
        raise RunFolderError(
            str(folder.path),
            "this is a run of another experiment",
            got="; ".join(f"{where} = {new}" for where, _, new in changed),
            expected="; ".join(f"{where} = {old}" for where, old, _ in changed),
            remedy="give the same settings as in the run, or start a new run without resume; "
            "`brianlearn train --resume RUN` without a script takes them all from the run",
        )
    resolved = stored.get("resolved")
    if not isinstance(resolved, dict) or set(resolved) != {"engine", "device", "chunk_size"}:
        raise RunFolderError(f"{folder.path}/config.json", "the file is damaged", got=f"resolved = {resolved!r}")
    history, rate = stored.get("history", []), _rate(stored)
    if not isinstance(history, list) or isinstance(rate, bool) or not isinstance(rate, int | float):
        raise RunFolderError(
            f"{folder.path}/config.json", "the file is damaged", got=f"history = {history!r}, learning rate = {rate!r}"
        )
    return resolved, history


def _checkpoint(experiment: Experiment, folder: RunFolder) -> Checkpoint:
    """The last good checkpoint, checked against the experiment and the metrics."""
    checkpoint = folder.checkpoint()
    where = f"{folder.path}/checkpoint.npz"
    try:
        check_weights(experiment.spec, experiment.rule, checkpoint.state.weights, where)
    except WeightsError as error:
        raise RunFolderError(where, "the checkpoint is damaged", got=error.got, expected=error.expected) from error
    for name, slots in checkpoint.state.optimiser.items():
        shapes = {np.shape(array) for array in (*slots.values(), checkpoint.state.weights.get(name, 0.0))}
        if len(shapes) != 1:
            got = f"arrays of the optimiser for {name}: {', '.join(map(str, sorted(shapes)))}"
            raise RunFolderError(where, "the checkpoint is damaged", got=got, expected="the shape of its weights")
    expected = {name: array.shape for name, array in experiment.rule.state(experiment.spec).items()}
    found = {name: np.shape(array) for name, array in checkpoint.state.rule.items()}
    if found != expected:
        raise RunFolderError(
            where, "the checkpoint is damaged", got=f"state of the rule: {found}", expected=str(expected)
        )
    done = checkpoint.state.epoch
    if done > experiment.epochs or (done == experiment.epochs and checkpoint.chunk):
        raise RunFolderError(
            str(folder.path),
            "the run is further than it should go",
            got=f"{done} epochs finished" + (", and a part of the next" if checkpoint.chunk else ""),
            expected=f"at most {experiment.epochs} epochs",
            remedy="give more epochs",
        )
    epochs = [line["epoch"] for line in folder.metrics() if line["epoch"] <= done]
    if epochs != list(range(1, done + 1)):
        raise RunFolderError(
            f"{folder.path}/metrics.jsonl",
            "the file is damaged",
            got=f"lines for the epochs {epochs}",
            expected=f"one line for each of the {done} finished epochs",
        )
    return checkpoint
