"""A trained network in the trials of a study: opened once in a process, measured with other weights or constants."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from brian2 import Hz

from brianlearn.errors import RunFolderError, SpecError
from brianlearn.network.samples.samples import Activity, Samples
from brianlearn.network.spec import NetworkSpec, Projection
from brianlearn.training.learner import Learner
from brianlearn.training.scores import ALL
from brianlearn.training.trained import Trained

__all__ = ["Tested", "rates", "tested"]


class Tested:
    """A trained network, its test samples, and a learner that is kept between trials.

    Parameters
    ----------
    trained : Trained
    """

    def __init__(self, trained: Trained) -> None:
        self.trained = trained

    @property
    def spec(self) -> NetworkSpec:
        """The network as it was trained."""
        return self.trained.spec

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The weights as they were trained; a copy of the mapping."""
        return dict(self.trained.weights)

    @cached_property
    def samples(self) -> Samples:
        """The test samples."""
        return self.trained.samples()

    @cached_property
    def _learner(self) -> Learner:
        return self.trained.learner()

    @property
    def projections(self) -> Iterator[Projection]:
        """The layers whose weights inference uses, the readout last."""
        yield from self.spec.projections
        yield from self.spec.readout_projections

    def measure(
        self, weights: Mapping[str, np.ndarray] | None = None, spec: NetworkSpec | None = None
    ) -> dict[str, Any]:
        """What the network achieves on its test samples.

        Random encoders draw the same spikes in every trial.

        Parameters
        ----------
        weights : mapping, optional
            In the place of the trained ones.
        spec : NetworkSpec, optional
            In the place of the trained one; it takes the same weights and samples.

        Returns
        -------
        dict
            ``test_accuracy``, of samples with values ``test_mse`` and ``test_r2``, with spike trains
            ``test_van_rossum``; ``test_loss``, where the engine measures the loss of the training; ``firing_rate``, the
            mean over all spiking neurons; ``firing_rate_<layer>``, of the input too.
        """
        learner = self._learner if spec is None else self.trained.learner(spec)
        activity = learner.infer(learner.init(self.trained.weights if weights is None else weights), self.samples)
        scores = {f"test_{name}": getattr(activity, name) for name in ALL}
        found: dict[str, Any] = {name: value for name, value in scores.items() if value is not None}
        if activity.loss is not None and self.trained.measures_loss(learner):
            found["test_loss"] = activity.loss
        return found | rates(learner.spec, activity)


def rates(spec: NetworkSpec, activity: Activity) -> dict[str, Any]:
    """Firing rates of a network, as quantities: all spiking neurons together, and each layer."""
    sizes = np.array([p.n for p in spec.neurons])
    each = np.array([activity.firing_rates[p.name] for p in spec.neurons])
    found = {f"firing_rate_{name}": rate * Hz for name, rate in activity.firing_rates.items()}
    return {"firing_rate": float(each @ sizes / sizes.sum()) * Hz} | found


@lru_cache(maxsize=2)
def _opened(run: str, engine: str | None, device: str | None, limit: int | None, digest: str) -> Tested:
    found = Trained.open(run, engine=engine, device=device, limit=limit)
    if found.digest != digest:
        raise RunFolderError(
            run,
            "the run has other weights than when the study began",
            expected="a run that is not trained on",
            remedy="begin a new study",
        )
    return Tested(found.settled())


def tested(subject: Mapping[str, Any]) -> Tested:
    """The network of a study's trials.

    Parameters
    ----------
    subject : mapping
        From `subject_of`.

    Raises
    ------
    RunFolderError
        A run folder that is gone or damaged, or has been trained on since the study began.
    """
    return _opened(**subject)


def subject_of(
    run: str | os.PathLike[str], engine: str | None, device: str | None, limit: int | None
) -> tuple[dict[str, Any], Trained]:
    """What a study stores of a trained network, and the network.

    Raises
    ------
    RunFolderError
        No run folder, a damaged one, or one whose data have no name: other processes could not load them.
    SpecError, RuleError
        Settings that cannot be right.
    """
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise SpecError("study of a run", "limit is wrong", got=repr(limit), expected="a whole number >= 1")
    if not isinstance(run, str | os.PathLike):
        raise SpecError(
            "study of a run", "run is of the wrong type", got=repr(run), expected="the path of a run folder"
        )
    found = Trained.open(run, engine=engine, device=device, limit=limit)
    path = str(Path(run).resolve())
    return {"run": path, "engine": engine, "device": device, "limit": limit, "digest": found.digest}, found.settled()
