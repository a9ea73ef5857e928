"""Testing what a run has learned."""

from __future__ import annotations

import dataclasses
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brianlearn.training.experiment import Experiment
from brianlearn.training.learner import Learner
from brianlearn.training.loop import score
from brianlearn.training.progress import Progress, choose_progress
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.splits import split

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """What a run's weights achieve on its test samples.

    Attributes
    ----------
    run : pathlib.Path
    device : str
    test_accuracy : float
    test_loss : float or None
    samples : int
    samples_per_second : float
        Without the time to build the network.
    """

    run: Path
    device: str
    test_accuracy: float
    test_loss: float | None
    samples: int
    samples_per_second: float

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can hold."""
        return {**dataclasses.asdict(self), "run": str(self.run)}


def evaluate(
    run: str | os.PathLike[str],
    *,
    device: str | None = None,
    limit: int | None = None,
    data: Any = None,
    progress: bool | Progress = True,
) -> Evaluation:
    """Test the weights of a run, finished or not, with its test samples.

    Parameters
    ----------
    run : path-like
        The run folder.
    device : str, optional
        Where to run; as in training where it is not given.
    limit : int, optional
        Use only the first so many test samples; as in training where it is not given.
    data : DataSet or (Samples, Samples), optional
        Needed where the run's data had no name.
    progress : bool or Progress, optional

    Returns
    -------
    Evaluation

    Raises
    ------
    RunFolderError
        No run folder, or a damaged one.
    WeightsError
        Weights of another network.
    DeviceError
        A device that this machine cannot run.
    """
    folder = RunFolder.open(run)
    experiment = Experiment.from_run(run, data)
    changes: dict[str, Any] = {"device": device, "test_limit": limit}
    experiment = dataclasses.replace(experiment, **{k: v for k, v in changes.items() if v is not None})
    weights = folder.weights()
    display = choose_progress(progress)
    with display:
        splits = split(
            experiment.data, experiment.spec, validation=0, limit=1, test_limit=experiment.test_limit, seed=0
        )
        # with the rule, although nothing is learned: the build is then the one of the training
        learner = Learner(
            experiment.spec,
            experiment.rule,
            experiment.optimiser,
            engine=experiment.engine,
            device=experiment.device,
            dtype=experiment.dtype,
            batch_size=experiment.batch_size,
            seed=experiment.seed,
            chunk_size=folder.config()["resolved"]["chunk_size"],
        )
        state = learner.init(weights)
        display.building(learner.device)
        learner.infer(state, splits.test[:1])
        started = time.perf_counter()
        tested = score(learner, state, splits.test, display, "test")
        seconds = time.perf_counter() - started
    return Evaluation(
        folder.path, learner.device, tested.accuracy, tested.loss, tested.samples, tested.samples / seconds
    )
