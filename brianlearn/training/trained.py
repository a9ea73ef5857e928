"""A trained network, ready to be tested: what a run folder holds, on the engine and device that are asked for."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brianlearn.errors import RuleError
from brianlearn.learning.losses import ReadoutMSE
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.value_losses import MSE
from brianlearn.network.samples.samples import Samples
from brianlearn.network.spec import NetworkSpec
from brianlearn.training.engines import check_engine, choose_engine
from brianlearn.training.experiment import Experiment
from brianlearn.training.learner import Learner
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.splits import split

__all__ = ["Trained", "digest"]


@dataclass(frozen=True, eq=False)
class Trained:
    """A run, and where its weights are tested.

    Attributes
    ----------
    folder : RunFolder
    experiment : Experiment
        ``test_limit`` is the one that is tested with.
    weights : dict
        Layer name -> array.
    engine, device : str
        What runs the network.
    as_trained : bool
        Whether that is the engine which has trained.
    """

    folder: RunFolder
    experiment: Experiment
    weights: Mapping[str, np.ndarray]
    engine: str
    device: str
    as_trained: bool

    @staticmethod
    def open(
        run: str | os.PathLike[str],
        *,
        engine: str | None = None,
        device: str | None = None,
        limit: int | None = None,
        data: Any = None,
    ) -> Trained:
        """The weights of a run, finished or not.

        Parameters
        ----------
        run : path-like
        engine : {"auto", "brian", "discrete"}, optional
            As in training where it is not given.
        device : str, optional
            As in training where it is not given, but ``"auto"`` on another engine than in training.
        limit : int, optional
            Test samples; as in training where it is not given.
        data : DataSet or (Samples, Samples), optional
            Needed where the run's data had no name.

        Raises
        ------
        RunFolderError
            No run folder, or a damaged one.
        RuleError
            An engine or device that there is not.
        """
        folder = RunFolder.open(run)
        experiment = Experiment.from_run(run, data)
        if limit is not None:
            experiment = dataclasses.replace(experiment, test_limit=limit)
        weights, trained_on = folder.weights(), folder.config()["resolved"]["engine"]
        name, place = _where(experiment, trained_on, engine, device)
        return Trained(folder, experiment, weights, name, place, name == trained_on)

    @property
    def spec(self) -> NetworkSpec:
        """The network."""
        return self.experiment.spec

    def settled(self) -> Trained:
        """The same with learned constants as the constants of the neurons: for what changes neurons.

        Returns
        -------
        Trained
            Itself where none was learned.
        """
        keys = {one.key for one in self.spec.learned_constants}
        if not keys:
            return self
        spec, rule = self.spec.with_learned_constants(self.weights), self.experiment.rule
        scale = {name: factor for name, factor in rule.learning_rate_scale.items() if name not in keys}
        if len(scale) < len(rule.learning_rate_scale):
            rule = dataclasses.replace(rule, learning_rate_scale=scale)  # type: ignore[type-var]
        weights = {name: array for name, array in self.weights.items() if name not in keys}
        experiment = dataclasses.replace(self.experiment, spec=spec, rule=rule)
        return dataclasses.replace(self, experiment=experiment, weights=weights)

    @property
    def digest(self) -> str:
        """A name for the weights: other weights have another one."""
        return digest(self.weights)

    def samples(self, spec: NetworkSpec | None = None) -> Samples:
        """The test samples; events in the time steps of ``spec``."""
        experiment = self.experiment
        limits: dict[str, Any] = dict(validation=0, limit=1, test_limit=experiment.test_limit, seed=0)
        return split(experiment.data, spec or self.spec, **limits).test

    def learner(self, spec: NetworkSpec | None = None) -> Learner:
        """A learner for the network, or for another one that takes the same weights.

        It has the rule of the training where the engine runs it, although nothing is learned: the program is then the
        one of the training.

        Raises
        ------
        SpecError, RuleError, DeviceError
            What the engine or this machine cannot run.
        """
        spec = spec or self.spec
        experiment, resolved = self.experiment, self.folder.config()["resolved"]
        rule: Rule | None = experiment.rule
        try:
            check_engine(
                self.engine, spec, experiment.rule, self.device, experiment.batch_size, 1, experiment.optimiser
            )
        except RuleError:  # the weights run without it
            rule = None
        return Learner(
            spec,
            rule,
            experiment.optimiser,
            engine=self.engine,
            device=self.device,
            dtype=experiment.dtype,
            batch_size=experiment.batch_size,
            seed=experiment.seed,
            chunk_size=resolved["chunk_size"] if self.as_trained else None,
            workers=experiment.workers if self.as_trained and self.device == resolved["device"] else 1,
            engine_options=experiment.engine_options if self.as_trained else {},
        )

    def measures_loss(self, learner: Learner) -> bool:
        """Whether the loss that a learner measures is the one of the training."""
        rule = self.experiment.rule
        other = learner.rule is None and rule.loss not in (None, ReadoutMSE(), MSE())
        return not other


def digest(weights: Mapping[str, np.ndarray]) -> str:
    """A name for weights: other weights have another one."""
    found = hashlib.sha256()
    for name, array in sorted(weights.items()):
        found.update(f"{name} {array.dtype} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()[:32]


def _where(experiment: Experiment, trained: str, engine: str | None, device: str | None) -> tuple[str, str]:
    """Engine and device, from what was asked for and what trained."""
    if engine is None:
        engine = trained if device in (None, "auto") else "auto"  # a device says which engine is meant
    engine = choose_engine(engine, None, device or "auto")
    if device is None:
        device = experiment.device if engine == trained else "auto"
    return engine, device
