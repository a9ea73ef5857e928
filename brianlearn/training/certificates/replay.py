"""Training again what a run folder says was trained, and comparing bit by bit."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from brianlearn.learning.state import LearnerState
from brianlearn.training.checkpoint import Checkpoint
from brianlearn.training.experiment import Experiment
from brianlearn.training.learner import Learner
from brianlearn.training.loop import train
from brianlearn.training.progress import Progress
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.session import learner_of
from brianlearn.training.splits import Splits, epoch_order
from brianlearn.training.watch import ENOUGH, Watch

__all__ = ["OF_THE_CLOCK", "different", "first_rate", "replayed", "twice"]

#: What two replays of an epoch may differ in.
OF_THE_CLOCK = {"seconds", "samples_per_second"}


def first_rate(config: Mapping[str, Any]) -> tuple[float, int | None]:
    """The learning rate with which a run began, and after how many samples another one took its place."""
    history = config.get("history") or []
    if not history:
        return config["optimiser"]["learning_rate"], None
    return history[0]["learning_rate"], history[0]["samples_seen"]


def _learner(experiment: Experiment, folder: RunFolder) -> Learner:
    config = folder.config()
    resolved, rate = config["resolved"], first_rate(config)[0]
    optimiser = dataclasses.replace(experiment.optimiser, learning_rate=rate)
    began = dataclasses.replace(experiment, optimiser=optimiser)
    return learner_of(began, resolved["engine"], resolved["device"], resolved["chunk_size"])


def twice(experiment: Experiment, folder: RunFolder, splits: Splits, samples: int) -> dict[str, Any]:
    """The first samples of a run, learned twice: whether weights, optimiser and loss are the same bits.

    Returns
    -------
    dict
        ``samples``, ``same``, and ``different``: the names of what was not.
    """
    learner = _learner(experiment, folder)
    learner.watch = Watch(each_call=False)
    order = epoch_order(len(splits.train), experiment.seed, 0)
    first = splits.train[order[:samples]]
    if experiment.augment is not None:
        first = experiment.augment.changed(first, learner.init().sample_keys(first.ids, learning=True))
    found = [learner.learn(learner.init(), first) for _ in range(2)]
    (a, measured), (b, again) = found
    differ = _differ(a, b) + (["loss"] if measured.loss != again.loss else [])
    return {"samples": len(first), "same": not differ, "different": differ}


def _differ(a: LearnerState, b: LearnerState) -> list[str]:
    names = [name for name in a.weights if not np.array_equal(a.weights[name], b.weights[name], equal_nan=True)]
    for name, slots in a.optimiser.items():
        names += [f"{slot} of {name}" for slot in slots if not np.array_equal(slots[slot], b.optimiser[name][slot])]
    return names


def replayed(
    experiment: Experiment, folder: RunFolder, splits: Splits, epochs: int
) -> tuple[list[dict[str, Any]], LearnerState]:
    """The first epochs of a run, trained again in a folder of their own.

    Returns
    -------
    lines : list of dict
        Of metrics.jsonl.
    state : LearnerState
    """
    learner = _learner(experiment, folder)
    learner.watch = Watch(each_call=False, show=lambda warning: True)
    start = learner.init()
    learner.watch.start = learner.infer(start, splits.train[: 2 * ENOUGH]).loss
    with tempfile.TemporaryDirectory(prefix="brianlearn-certify-") as place:
        own = RunFolder(Path(place))
        state = train(learner, splits, own, Checkpoint(start), epochs, Progress(), experiment.augment)
        return own.metrics(), state


def different(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What of a line of metrics.jsonl is not the same number, as text; of what both lines have."""
    found = []
    for name in then:
        if name in OF_THE_CLOCK or name not in now:
            continue
        old, new = then[name], now[name]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += [
                f"{name} of {key}: {old.get(key)} then, {new.get(key)} now"
                for key in old
                if old.get(key) != new.get(key)
            ]
        elif old != new:
            found.append(f"{name}: {old} then, {new} now")
    return found
