"""Testing what a run has learned."""

from __future__ import annotations

import dataclasses
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brianlearn.training.loop import score
from brianlearn.training.progress import Progress, choose_progress
from brianlearn.training.scores import KINDS, kind_in, scores_of
from brianlearn.training.trained import Trained
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
    test_accuracy : float or None
        From 0 to 1; None of samples with values or spike trains.
    test_loss : float or None
        None where the engine does not measure the loss that was learned with.
    samples : int
    samples_per_second : float
        Without the time to build the network.
    warnings : tuple of str
        What looked wrong, as in `Result`.
    test_mse, test_r2 : float or None
        Mean squared error and R^2 of samples with values.
    test_van_rossum : float or None
        Van Rossum's distance of samples with spike trains, as in `Result`.
    """

    run: Path
    engine: str
    device: str
    test_accuracy: float | None
    test_loss: float | None
    samples: int
    samples_per_second: float
    warnings: tuple[str, ...] = ()
    test_mse: float | None = None
    test_r2: float | None = None
    test_van_rossum: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can hold.

        Returns
        -------
        dict
        """
        fields = dataclasses.asdict(self)
        mine = kind_in(fields, "test")
        other = {f"test_{name}" for kind in KINDS if kind != mine for name in kind}
        fields = {name: value for name, value in fields.items() if name not in other}
        return {**fields, "run": str(self.run)}


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
    timing : {"same_step", "brian2", "pipelined"}, optional
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
    trained = Trained.open(run, engine=engine, device=device, limit=limit, data=data)
    spec = trained.spec if timing is None else dataclasses.replace(trained.spec, timing=timing)
    display = choose_progress(progress)
    with working(), display:
        samples, learner = trained.samples(spec), trained.learner(spec)
        learner.watch = Watch(each_call=False, show=lambda warning: display.warning(str(warning)))
        state = learner.init(trained.weights)
        display.building(learner.device)
        learner.infer(state, samples[:1])
        started = time.perf_counter()
        tested = score(learner, state, samples, display, "test")
        seconds = time.perf_counter() - started
    loss = tested.loss if trained.measures_loss(learner) else None
    return Evaluation(
        trained.folder.path,
        trained.engine,
        learner.device,
        tested.accuracy,
        loss,
        tested.samples,
        tested.samples / seconds,
        tuple(dict.fromkeys([*map(str, spec.warnings), *tested.warnings])),
        **scores_of("test", tested, ("mse", "r2", "van_rossum")),
    )
