"""The training loop: chunk by chunk through the epochs, a checkpoint after each."""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from brianlearn.data.augment import Augmentation
from brianlearn.errors import NonFiniteError
from brianlearn.learning.state import LearnerState
from brianlearn.network.samples.samples import Samples
from brianlearn.training.callbacks import Callbacks
from brianlearn.training.checkpoint import Checkpoint
from brianlearn.training.learner import Learner, Metrics
from brianlearn.training.progress import Progress
from brianlearn.training.regression import Regression
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.scores import kind_of_scores, scores_of
from brianlearn.training.splits import Splits, epoch_order
from brianlearn.training.watch import ENOUGH, constant_readout, firing_warnings, input_warnings

__all__ = ["Score", "score", "train"]


@dataclasses.dataclass(frozen=True)
class Score:
    """Accuracy and loss with frozen weights.

    Attributes
    ----------
    accuracy : float or None
        None of samples with values or spike trains.
    loss : float or None
        As `Activity.loss`; None where none is measured.
    samples : int
    warnings : tuple of str
        What looks wrong.
    regression : Regression or None
        Of samples with values.
    van_rossum : float or None
        Of samples with spike trains.
    """

    accuracy: float | None
    loss: float | None
    samples: int
    warnings: tuple[str, ...] = ()
    regression: Regression | None = None
    van_rossum: float | None = None


def _go_on() -> None:
    pass


def train(
    learner: Learner,
    splits: Splits,
    folder: RunFolder,
    checkpoint: Checkpoint,
    epochs: int,
    display: Progress,
    augment: Augmentation | None = None,
    check: Callable[[], None] = _go_on,
    callbacks: Callbacks | None = None,
) -> LearnerState:
    """Train from a checkpoint to the end of the last epoch.

    Everything that happens depends on the checkpoint and the arguments only, so that a run that was cut off anywhere
    continues bit for bit.

    Parameters
    ----------
    learner : Learner
    splits : Splits
    folder : RunFolder
        Takes a checkpoint after every chunk of samples and a line of metrics after every epoch.
    checkpoint : Checkpoint
    epochs : int
        Number of epochs from the very start.
    display : Progress
    augment : Augmentation, optional
        Changes the training samples of each epoch.
    check : callable, optional
        Called after every checkpoint; what it raises ends the training (see `interruptible`).
    callbacks : Callbacks, optional
        Told of every chunk and epoch, after its checkpoint.

    Returns
    -------
    LearnerState

    Raises
    ------
    NonFiniteError
        If a weight or readout is not finite any more. The folder keeps the last good checkpoint.
    RunFolderError
        If the folder cannot be written.
    """
    told = callbacks or Callbacks()
    n = len(splits.train)
    chunks = list(learner.chunks(n))
    state, first, parts = checkpoint.state, checkpoint.chunk, list(checkpoint.parts)
    while state.epoch < epochs:
        order = epoch_order(n, state.seed, state.epoch)
        display.learning(state.epoch, epochs, n, chunks[first - 1].stop if first else 0)
        prepared = _prepared(splits.train, [order[chunk] for chunk in chunks[first:]], augment, state)
        for k, samples in enumerate(prepared, start=first):
            state, measured = learner.learn(state, samples)
            parts.append(measured)
            folder.write_checkpoint(Checkpoint(state, k + 1, tuple(parts)))
            display.learned(chunks[k].stop, Metrics.merge(parts))
            told.chunk(measured, state)
            check()
        validation = None
        if splits.validation is not None:
            validation = score(learner, state, splits.validation, display, "validation", check)
        line = _line(learner, state, Metrics.merge(parts), validation)
        line["warnings"] = _warnings(learner, parts, validation)
        # the line first: cut off in between, the line is dropped and the epoch's end done again
        folder.append_metrics(line)
        state, first, parts = state.next_epoch(learner.optimiser), 0, []
        folder.write_checkpoint(Checkpoint(state))
        display.epoch(line, epochs)
        told.epoch(line, state)
    return state


def _prepared(
    train: Samples, parts: list[np.ndarray], augment: Augmentation | None, state: LearnerState
) -> Iterator[Samples]:
    """The samples of each part of an epoch; a part is made ready while the one before it is learned."""

    def make(part: np.ndarray) -> Samples:
        samples = train[part]
        return samples if augment is None else augment.changed(samples, state.sample_keys(samples.ids, learning=True))

    with ThreadPoolExecutor(1, thread_name_prefix="brianlearn-samples") as pool:
        waiting: deque[Future[Samples]] = deque()
        for part in parts:
            waiting.append(pool.submit(make, part))
            if len(waiting) > 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def score(
    learner: Learner,
    state: LearnerState,
    samples: Samples,
    display: Progress,
    what: str,
    check: Callable[[], None] = _go_on,
) -> Score:
    """Run samples with frozen weights, chunk by chunk.

    Parameters
    ----------
    learner : Learner
    state : LearnerState
    samples : Samples
        With targets.
    display : Progress
    what : str
        How the display names the samples.
    check : callable, optional
        Called after every chunk; what it raises ends the scoring.

    Returns
    -------
    Score

    Raises
    ------
    NonFiniteError
        If the loss is not finite.
    """
    correct, loss = 0, 0.0
    rates: dict[str, float] = {}
    first, constant = np.zeros(0), True
    regressions, distance = [], 0.0
    display.testing(what, len(samples), 0)
    for chunk in learner.chunks(len(samples)):
        part = samples[chunk]
        activity = learner.infer(state, part)
        if chunk.start == 0:
            first = activity.logits[0]
        constant = constant and bool((activity.logits == first).all())
        for name, rate in activity.firing_rates.items():
            rates[name] = rates.get(name, 0.0) + rate * len(part) / len(samples)
        if part.labels is not None:
            correct += int(np.sum(activity.predictions == part.labels))
        elif activity.mse is not None:
            regressions.append(Regression.of_mse(activity.mse, part, learner.spec))
        distance += len(part) * (activity.van_rossum or 0.0)
        loss += len(part) * (activity.loss or 0.0)
        display.testing(what, len(samples), chunk.stop)
        check()
    n = len(samples)
    if not np.isfinite(loss):
        raise NonFiniteError(
            "readout", f"the loss of the {what} samples is not finite", got=loss, expected="a finite loss"
        )
    found = firing_warnings(learner.spec, rates) if n >= ENOUGH else []
    if constant:
        found += constant_readout(learner.spec, samples, np.broadcast_to(first, (n, len(first))))
    texts = learner.watch.say([*input_warnings(learner.spec, samples), *found])
    accuracy = None if samples.labels is None else correct / n
    found_loss = None if activity.loss is None else loss / n
    found_distance = None if activity.van_rossum is None else distance / n
    return Score(accuracy, found_loss, n, tuple(texts), Regression.merge(regressions), found_distance)


def _warnings(learner: Learner, parts: list[Metrics], validation: Score | None) -> list[str]:
    """What looks wrong in an epoch, each cause once."""
    rates, highest = Metrics.merge(parts).firing_rates, max(part.loss for part in parts)
    found = [*firing_warnings(learner.spec, rates), *learner.watch.loss(highest)]
    return list(dict.fromkeys([*learner.watch.say(found), *(validation.warnings if validation else ())]))


def _line(learner: Learner, state: LearnerState, metrics: Metrics, validation: Score | None) -> dict[str, Any]:
    """What ``metrics.jsonl`` says about an epoch."""
    kind = kind_of_scores(metrics)
    return {
        "epoch": state.epoch + 1,
        "samples": metrics.samples,
        **scores_of("train", metrics, kind),
        "train_loss": metrics.loss,
        **scores_of("validation", validation, kind),
        "validation_loss": validation.loss if validation else None,
        "learning_rate": learner.optimiser.rate_at(state.epoch),
        "firing_rates_hz": dict(metrics.firing_rates),
        "weight_norms": {name: float(np.linalg.norm(array)) for name, array in state.weights.items()},
        "samples_per_second": metrics.samples / metrics.seconds,
        "seconds": metrics.seconds,
    }
