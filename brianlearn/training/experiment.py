"""An experiment: a network, a rule and data, trained into a run folder from which it can always go on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.data.augment import Augmentation
from brianlearn.data.source import DataSource
from brianlearn.errors import BrianLearnError, RuleError, RunFolderError
from brianlearn.learning.engine_settings import settled
from brianlearn.learning.optimisers import Adam, Optimiser
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.rules.three_factor import DALTON
from brianlearn.network.samples.samples import Samples
from brianlearn.network.spec import NetworkSpec
from brianlearn.training.callbacks import Callback, Callbacks
from brianlearn.training.engines import check_engine
from brianlearn.training.learner import DTYPES
from brianlearn.training.loading import refuse_while_loading
from brianlearn.training.progress import Progress, choose_progress
from brianlearn.training.result import Result
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.serialise import from_dict, to_dict
from brianlearn.training.session import Session, begin, proceed
from brianlearn.training.splits import split
from brianlearn.work import working

if TYPE_CHECKING:
    from brianlearn.data import DataSet

__all__ = ["Experiment"]


@dataclass(frozen=True, eq=False)
class Experiment:
    """Trains a network and keeps everything in a run folder.

    Parameters
    ----------
    spec : NetworkSpec
    rule : Rule, optional
    optimiser : Optimiser, optional
    data : str, DataSource, DataSet or (Samples, Samples), optional
        The name of a data set (see `brianlearn.load`), a name with options, a data set, or training and test samples.
    epochs : int, optional
        Presentations of the whole training set, each in an order of its own.
    batch_size : int, optional
        Samples per weight update.
    device, dtype : str, optional
        As in `Learner`.
    seed : int, optional
        Of the initial weights, the order of the samples, the validation samples and random encoders.
    augment : Augmentation, optional
        Random changes of the training samples, new in every epoch.
    validation : int, optional
        Number of training samples that are held out and tested after each epoch.
    limit, test_limit : int, optional
        Use only the first so many training (test) samples.
    chunk_size : int, optional
        Samples from one checkpoint to the next; chosen by the engine where it is not given.
    runs : path-like, optional
        Where the run folder goes.
    name : str, optional
        Part of the run folder's name; that of the data where it is not given.
    engine : {"auto", "brian", "discrete"}, `Brian` or `Discrete`, optional
    workers : int, optional
    engine_options : mapping, optional
        As in `Learner`.

    Raises
    ------
    RuleError
        Arguments that cannot be right, each named.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(20, bl.DaltonIF())], bl.Readout(10), duration=10*ms)
    >>> result = bl.Experiment(spec, bl.DALTON(), bl.Adam(0.003), "digits", epochs=5).run()  # doctest: +SKIP
    >>> result.test_accuracy  # doctest: +SKIP
    0.9
    """

    spec: NetworkSpec
    rule: Rule = field(default_factory=DALTON)
    optimiser: Optimiser = field(default_factory=Adam)
    data: str | DataSource | DataSet | tuple[Samples, Samples] = "digits"
    epochs: int = 10
    batch_size: int = 1
    device: str = "auto"
    dtype: str = "float32"
    seed: int = 0
    augment: Augmentation | None = None
    validation: int = 0
    limit: int | None = None
    test_limit: int | None = None
    chunk_size: int | None = None
    runs: str | os.PathLike[str] = "runs"
    name: str | None = None
    engine: Any = "auto"
    workers: int = 1
    engine_options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, kind, example in (
            ("spec", NetworkSpec, "a NetworkSpec"),
            ("rule", Rule, "a rule, e.g. bl.DALTON()"),
            ("optimiser", Optimiser, "an optimiser, e.g. bl.Adam(1e-3)"),
            ("device", str, "the name of a device"),
            ("engine_options", Mapping, "a mapping, e.g. {'micro_batch': 50}"),
        ):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise RuleError("Experiment", f"{name} is of the wrong type", got=repr(value), expected=example)
        if self.augment is not None and not isinstance(self.augment, Augmentation):
            raise RuleError(
                "Experiment",
                "augment is of the wrong type",
                got=repr(self.augment),
                expected="None, RandomAffine(...), RandomCrop(...), RandomWindow(...), or an object of a subclass of "
                "bl.Augmentation",
            )
        names = ("engine", "device", "workers", "engine_options")
        given = (getattr(self, name) for name in names)
        for name, value in zip(names, settled("Experiment", *given), strict=True):  # run folders hold names
            object.__setattr__(self, name, value)
        for name, low in (("epochs", 1), ("batch_size", 1), ("workers", 1), ("seed", 0), ("validation", 0)):
            self._whole(name, low)
        for name in ("limit", "test_limit", "chunk_size"):
            if getattr(self, name) is not None:
                self._whole(name, 1)
        if self.dtype not in DTYPES:
            raise RuleError("Experiment", "unknown dtype", got=repr(self.dtype), expected=" or ".join(DTYPES))
        self.rule.check(self.spec, self.batch_size)
        check_engine(self.engine, self.spec, self.rule, self.device, self.batch_size, self.workers, self.optimiser)

    def _whole(self, name: str, low: int) -> None:
        value = getattr(self, name)
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
            raise RuleError("Experiment", f"{name} is wrong", got=repr(value), expected=f"a whole number >= {low}")
        object.__setattr__(self, name, int(value))

    @classmethod
    def from_run(cls, run: str | os.PathLike[str], data: Any = None) -> Experiment:
        """The experiment of a run folder, to run it again or to go on with it.

        Parameters
        ----------
        run : path-like
        data : DataSet or (Samples, Samples), optional
            Needed where the run's data had no name.

        Returns
        -------
        Experiment

        Raises
        ------
        RunFolderError
            No run folder, a damaged one, or data without a name.
        """
        folder = RunFolder.open(run)
        config = folder.config()
        try:
            settings = {name: config[name] for name in _PLAIN} | {
                name: config["data"][name] for name in ("validation", "limit", "test_limit")
            }
            parts = {name: from_dict(config[name], f"{folder.path}/config.json") for name in _OBJECTS}
            data_name = config["data"]["name"]
            if "source" in config["data"]:
                data_name = from_dict(config["data"]["source"], f"{folder.path}/config.json")
        except (KeyError, TypeError, RecursionError) as error:
            raise RunFolderError(
                f"{folder.path}/config.json", "the file is damaged", got=f"{type(error).__name__}: {error}"
            ) from error
        if data is None and data_name is None:
            raise RunFolderError(
                str(folder.path),
                "the run was trained with samples that have no name",
                got="data=(Samples, Samples)",
                expected="the same samples again",
                remedy=f"in Python: Experiment.from_run({str(folder.path)!r}, data=(train, test))",
            )
        return cls(**parts, **settings, data=data_name if data is None else data, runs=folder.path.parent)

    def settings(self) -> dict[str, Any]:
        """Everything but the samples that is needed to run it again, as what JSON can hold.

        Returns
        -------
        dict
        """
        data = {name: getattr(self, name) for name in ("validation", "limit", "test_limit")}
        if isinstance(self.data, DataSource):
            data["source"] = to_dict(self.data)
        return {
            **{name: getattr(self, name) for name in _PLAIN},
            "data": {"name": self.data if isinstance(self.data, str) else getattr(self.data, "name", None), **data},
            **{name: to_dict(getattr(self, name)) for name in _OBJECTS},
        }

    def run(
        self,
        resume: str | os.PathLike[str] | None = None,
        progress: bool | Progress = True,
        callbacks: Iterable[Callback] = (),
        *,
        picture: bool = True,
    ) -> Result:
        """Train, test, and write the run folder.

        Parameters
        ----------
        resume : path-like, optional
            The folder of an earlier run of this experiment, which goes on where it was cut off, bit for bit as if it
            had not been. ``epochs`` may be larger than it was, and the optimiser's ``learning_rate`` another one, which
            config.json then records under ``history``. A finished run is not trained again.
        progress : bool or Progress, optional
            Whether to report: a live display on a terminal, one that is drawn anew in a notebook, one line per epoch
            elsewhere, to stderr.
        callbacks : iterable of Callback, optional
            What hears of every chunk of samples and every epoch, e.g. ``[bl.TensorBoard("tensorboard")]``.
        picture : bool, optional
            Whether to draw ``overview.png`` into the run folder at the end: learning curve, rates, a raster. The
            environment ``BRIANLEARN_PICTURES=0`` says no for all runs.

        Returns
        -------
        Result

        Raises
        ------
        RuleError
            What is no callback.
        BrianLearnError
            A callback that failed, by its name; the run goes on from its last checkpoint.
        DataError, ShapeError
            Data that are missing or do not fit the network.
        RunFolderError
            A folder that cannot be written; to resume: no run folder, a damaged one, that of another experiment, or one
            that another process writes into.
        DeviceError
            A device that this machine cannot run, or a failed build.
        NonFiniteError
            A weight or readout that is not finite any more. The last good checkpoint is kept.
        KeyboardInterrupt, Terminated
            Ctrl-C; SIGTERM or SIGHUP. The last checkpoint is kept, and the display says how to go on.
        """
        refuse_while_loading()
        told, display = Callbacks(callbacks), choose_progress(progress)
        with working(), display:
            splits = split(
                self.data,
                self.spec,
                validation=self.validation,
                limit=self.limit,
                test_limit=self.test_limit,
                seed=self.seed,
            )
            splits.check_targets(self.spec, self.rule)
            session = begin(self, splits) if resume is None else proceed(self, splits, resume, display)
            if isinstance(session, Result):
                return session
            result = session.run(display, told)
            if picture:
                self._draw(session, display)
            return result

    def _draw(self, session: Session, display: Progress) -> None:
        """The picture in the run folder; the run is finished, and stays so where it cannot be drawn."""
        from brianlearn.report.run.picture import wanted, write_picture

        if not wanted():
            return
        try:
            write_picture(session.folder, self.spec, session.folder.weights(), session.splits.test[:1], self.dtype)
        except BrianLearnError as error:
            display.warning(f"the picture of the run could not be drawn: {error}")


#: Settings that are stored by their fields.
_OBJECTS = ("augment", "rule", "optimiser", "spec", "engine_options")
#: Settings that are stored as they are.
_PLAIN = ("name", "engine", "device", "dtype", "seed", "epochs", "batch_size", "chunk_size", "workers")
