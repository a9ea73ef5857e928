"""Testing what a run has learned."""

from __future__ import annotations

import dataclasses
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brianlearn.errors import RuleError
from brianlearn.rules.base import Rule
from brianlearn.rules.losses import ReadoutMSE
from brianlearn.rules.stbp import BackPropagation
from brianlearn.training.engines import check_engine, choose_engine
from brianlearn.training.experiment import Experiment
from brianlearn.training.learner import Learner
from brianlearn.training.loop import score
from brianlearn.training.progress import Progress, choose_progress
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.splits import split
from brianlearn.training.watch import Watch
from brianlearn.work import working

__all__ = ["Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """What a run's weights achieve on its test samples.

    Attributes
    ----------
    run : pathlib.Path
    engine, device : str
    test_accuracy : float
    test_loss : float or None
        None where the engine does not measure the loss that was learned with.
    samples : int
    samples_per_second : float
        Without the time to build the network.
    warnings : tuple of str
        What looked wrong, as in `Result`.
    """

    run: Path
    engine: str
    device: str
    test_accuracy: float
    test_loss: float | None
    samples: int
    samples_per_second: float
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can hold."""
        return {**dataclasses.asdict(self), "run": str(self.run)}


def evaluate(
    run: str | os.PathLike[str],
    *,
    engine: str | None = None,
    device: str | None = None,
    limit: int | None = None,
    data: Any = None,
    progress: bool | Progress = True,
    timing: str | None = None,
) -> Evaluation:
    """Test the weights of a run, finished or not, with its test samples.

    Parameters
    ----------
    run : path-like
        The run folder.
    engine : {"auto", "brian", "discrete"}, optional
        What runs the network; as in training where it is not given. Weights run on either engine, whatever the rule.
    device : str, optional
        Where to run; as in training where it is not given, but ``"auto"`` on another engine than in training.
    limit : int, optional
        Use only the first so many test samples; as in training where it is not given.
    data : DataSet or (Samples, Samples), optional
        Needed where the run's data had no name.
    progress : bool or Progress, optional
    timing : {"same_step", "pipelined"}, optional
        When spikes reach the next layer; as in training where it is not given.

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
    if limit is not None:
        experiment = dataclasses.replace(experiment, test_limit=limit)
    spec = experiment.spec if timing is None else dataclasses.replace(experiment.spec, timing=timing)
    weights, resolved = folder.weights(), folder.config()["resolved"]
    rule: Rule | None = experiment.rule
    name, place = _where(experiment, resolved["engine"], engine, device)
    same = name == resolved["engine"]
    try:
        check_engine(name, spec, experiment.rule, place, experiment.batch_size, 1, experiment.optimiser)
    except RuleError:  # the weights run without it
        rule = None
    display = choose_progress(progress)
    with working(), display:
        splits = split(experiment.data, spec, validation=0, limit=1, test_limit=experiment.test_limit, seed=0)
        # with the rule, although nothing is learned: the build is then the one of the training
        learner = Learner(
            spec,
            rule,
            experiment.optimiser,
            engine=name,
            device=place,
            dtype=experiment.dtype,
            batch_size=experiment.batch_size,
            seed=experiment.seed,
            chunk_size=resolved["chunk_size"] if same else None,
            workers=experiment.workers if same and place == resolved["device"] else 1,
            engine_options=experiment.engine_options if same else {},
        )
        learner.watch = Watch(each_call=False, show=lambda warning: display.warning(str(warning)))
        state = learner.init(weights)
        display.building(learner.device)
        learner.infer(state, splits.test[:1])
        started = time.perf_counter()
        tested = score(learner, state, splits.test, display, "test")
        seconds = time.perf_counter() - started
    loss = tested.loss
    if (
        rule is None
        and isinstance(experiment.rule, BackPropagation)
        and not isinstance(experiment.rule.loss, ReadoutMSE)
    ):
        loss = None  # of another kind than in training
    return Evaluation(
        folder.path,
        name,
        learner.device,
        tested.accuracy,
        loss,
        tested.samples,
        tested.samples / seconds,
        tuple(dict.fromkeys([*map(str, spec.warnings), *tested.warnings])),
    )


def _where(experiment: Experiment, trained: str, engine: str | None, device: str | None) -> tuple[str, str]:
    """Engine and device, from what was asked for and what trained."""
    if engine is None:
        engine = trained if device in (None, "auto") else "auto"  # a device says which engine is meant
    engine = choose_engine(engine, None, device or "auto")
    if device is None:
        device = experiment.device if engine == trained else "auto"
    return engine, device
