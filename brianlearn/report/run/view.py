"""A run as reports see it: what its folder holds, and what the trained network does with some test samples."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from brianlearn.errors import BrianLearnError, DataError, RunFolderError
from brianlearn.learning.recording import recordable
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.state import LearnerState
from brianlearn.learning.weights import initial_weights
from brianlearn.network.record import Record
from brianlearn.network.samples.samples import Activity, Samples
from brianlearn.network.spec import NetworkSpec
from brianlearn.plot.labels import rule_name
from brianlearn.training.experiment import Experiment
from brianlearn.training.learner import Learner
from brianlearn.training.profile import Part
from brianlearn.training.result import Result
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.serialise import from_dict
from brianlearn.training.trained import Trained
from brianlearn.training.watch import Watch

__all__ = ["RunView"]

#: What every config.json has.
NEEDED = {"spec", "rule", "optimiser", "data", "seed", "epochs", "batch_size", "dtype", "resolved"}
#: Samples whose spikes are recorded, for rates and energy, and of which everything is.
SPIKES, SHOWN = 100, 3
#: Neurons of a layer of which a membrane, and of which psi and L are recorded.
MEMBRANES, FACTORS = 64, 256


@dataclass
class RunView:
    """A run, finished or not.

    Attributes
    ----------
    folder : RunFolder
    data : DataSet, (Samples, Samples) or None
        Needed to run the network where the run's data had no name.
    samples : int
        Test samples at most that the network runs for the report.
    notes : list of str
        What could not be found out, and why.
    profile_samples : int
        Training samples with which time is measured object by object; 0 for none.
    """

    folder: RunFolder
    data: Any = None
    samples: int = 500
    notes: list[str] = field(default_factory=list)
    profile_samples: int = 0

    @cached_property
    def profile(self) -> tuple[tuple[Part, ...], str] | None:
        """Where the time goes while it learns, measured here, and what was measured; None if nobody asked for it."""
        if not self.profile_samples:
            return None
        experiment = Experiment.from_run(self.folder.path, self.data)
        if self.config["resolved"]["engine"] == "discrete":
            from brianlearn.training.torch_profile import torch_profile

            parts, outside, n = torch_profile(experiment, samples=self.profile_samples)
            what = "Operations of the discrete engine"
        else:
            from brianlearn.training.profile import profile

            found = profile(experiment, samples=self.profile_samples)
            parts, outside, n = found.parts, found.overhead, found.samples
            what = f"Objects of Brian2 on {found.device}"
        return parts, f"{what} while it learns from {n} samples; {outside:.0%} of the time is outside of them"

    @staticmethod
    def open(run: str | os.PathLike[str], *, data: Any = None, samples: int = 500) -> RunView:
        """A run by its folder.

        Raises
        ------
        RunFolderError
            No run folder, or a damaged one.
        """
        folder = RunFolder.open(run)
        lacking = NEEDED - folder.config().keys()
        if lacking or not isinstance(folder.config()["data"], dict):
            got = f"no {', '.join(sorted(lacking))}" if lacking else "data is no object"
            raise RunFolderError(f"{folder.path}/config.json", "the file is damaged", got=got)
        return RunView(folder, data, samples)

    @cached_property
    def config(self) -> dict[str, Any]:
        """What was run."""
        return self.folder.config()

    @cached_property
    def metrics(self) -> list[dict[str, Any]]:
        """One mapping for each finished epoch."""
        return self.folder.metrics()

    @cached_property
    def result(self) -> Result | None:
        """What came out; None where the run is not finished."""
        return Result.read(self.folder)

    @cached_property
    def spec(self) -> NetworkSpec:
        """The network."""
        found: NetworkSpec = from_dict(self.config["spec"], f"{self.folder.path}/config.json")
        return found

    @cached_property
    def rule(self) -> Rule:
        """The rule."""
        found: Rule = from_dict(self.config["rule"], f"{self.folder.path}/config.json")
        return found

    @property
    def rule_name(self) -> str:
        """The rule as people write it."""
        return rule_name(self.config)

    @cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """The weights at the end, or at the last checkpoint."""
        return self.folder.weights()

    @cached_property
    def initial_weights(self) -> dict[str, np.ndarray]:
        """The weights before learning, drawn again from the run's seed."""
        return initial_weights(self.spec, self.rule, int(self.config["seed"]))

    # what the network does --------------------------------------------------------------------------------------------

    @cached_property
    def _trained(self) -> tuple[Learner, LearnerState, Samples] | None:
        """A learner with the weights, and test samples; None where the network cannot be run here."""
        try:
            return self._first_that_runs()
        except BrianLearnError as error:
            self.notes.append(f"The network was not run for this report. {error}")
            return None

    def _first_that_runs(self) -> tuple[Learner, LearnerState, Samples]:
        """On the discrete engine where it can run the network, because it needs no compiler; else in Python."""
        refused = ""
        for engine, device in (("discrete", "cpu"), ("brian", "numpy")):
            try:
                trained = Trained.open(self.folder.path, engine=engine, device=device, data=self.data)
                learner = trained.learner()
            except BrianLearnError as error:
                if engine == "brian":
                    raise
                refused = str(error).splitlines()[0]
                continue
            if refused:
                self.notes.append(
                    f"Samples were run by Brian2 in Python, because the discrete engine refuses: {refused}"
                )
            learner.watch = Watch(each_call=False, show=_nothing)  # warnings of the training are in the report
            most = self.samples if engine == "discrete" else min(self.samples, SPIKES)  # one after another, in Python
            return learner, learner.init(trained.weights), trained.samples()[:most]
        raise AssertionError("one of the engines runs it, or raises")

    @property
    def ready(self) -> tuple[Learner, LearnerState, Samples]:
        """What runs the network here, its trained state, and the test samples.

        Raises
        ------
        DataError
            If the network cannot be run here.
        """
        if self._trained is None:
            raise DataError(str(self.folder.path), "the network cannot be run", got="; ".join(self.notes))
        return self._trained

    @property
    def learner(self) -> Learner | None:
        """What runs the network here."""
        return None if self._trained is None else self._trained[0]

    @property
    def test(self) -> Samples | None:
        """The test samples that are run."""
        return None if self._trained is None else self._trained[2]

    @cached_property
    def tested(self) -> Activity | None:
        """Predictions of the test samples, with the spikes of the first hundred."""
        if self._trained is None:
            return None
        learner, state, samples = self._trained
        spikes = Record("spikes", samples=range(min(SPIKES, len(samples))))
        try:
            return learner.infer(state, samples, record=spikes)
        except BrianLearnError as error:  # weights that are no numbers any more, ...
            self.notes.append(f"The network was not run for this report. {error}")
            return None

    @cached_property
    def shown(self) -> tuple[int, ...]:
        """Samples that are looked at: of those with labels one that is right and one that is wrong among the first."""
        if self.tested is None or self.test is None:
            return ()
        n = min(len(self.test), SPIKES)
        if self.test.labels is None:
            return tuple(range(min(SHOWN, n)))
        right = self.tested.predictions[:n] == self.test.labels[:n]
        first = [int(found[0]) for found in (np.flatnonzero(right), np.flatnonzero(~right)) if len(found)]
        others = [k for k in range(n) if k not in first]
        return tuple([*first, *others][:SHOWN])

    @cached_property
    def recorded(self) -> Activity | None:
        """All that is shown of single samples; of those in `shown`, in their order."""
        if self._trained is None or not self.shown:
            return None
        learner, state, samples = self._trained
        chosen = samples[np.array(self.shown)]
        wanted: list[Any] = ["spikes", "readout"] if self.spec.readout is not None else ["spikes"]
        known = recordable(self.spec, learner.rule)
        for variable, layers, most in (
            *((name, layers, MEMBRANES) for name, layers in self.membranes.items()),
            ("psi", list(known.get("psi", ())), FACTORS),
            ("L", list(known.get("L", ())), FACTORS),
        ):
            extra = [Record(variable, layer, _some(known[variable][layer], most)) for layer in layers]
            if extra and self._can(learner, state, chosen, variable, extra):
                wanted += extra
        return learner.infer(state, chosen, record=wanted)

    def _can(self, learner: Learner, state: LearnerState, chosen: Samples, variable: str, extra: list[Any]) -> bool:
        """Whether an engine records a variable of this network."""
        try:
            learner.infer(state, chosen[:1], record=extra)
        except BrianLearnError as error:
            self.notes.append(f"{variable} is not shown. {error}")
            return False
        return True

    @property
    def membranes(self) -> dict[str, list[str]]:
        """Membrane variable -> layers whose neurons have it."""
        found: dict[str, list[str]] = {}
        for p in self.spec.neurons:
            name = p.neuron.parsed.membrane  # type: ignore[union-attr]
            if name in p.neuron.parsed.state_names:  # type: ignore[union-attr]
                found.setdefault(name, []).append(p.name)
        return found


def _nothing(warning: Any) -> bool:
    """Warnings of the training are in the report; these would repeat them."""
    return False


def _some(n: int, most: int) -> np.ndarray | None:
    return None if n <= most else np.unique(np.linspace(0, n - 1, most).astype(int))
