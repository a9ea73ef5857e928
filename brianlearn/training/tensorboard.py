"""A run as TensorBoard draws it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import BrianLearnError, RuleError
from brianlearn.learning.state import LearnerState
from brianlearn.network.checks import is_number
from brianlearn.training.callbacks import Callback
from brianlearn.training.learner import Metrics

if TYPE_CHECKING:
    from brianlearn.training.experiment import Experiment
    from brianlearn.training.result import Result

__all__ = ["TensorBoard"]


class TensorBoard(Callback):
    """Writes event files that ``tensorboard --logdir FOLDER`` shows; several runs may share a folder.

    The horizontal axis is the number of samples learned. ``chunk/...`` is measured after every chunk of samples,
    ``train/...`` and ``validation/...`` after every epoch, like rates of layers (Hz), norms and histograms of weights;
    ``test/...`` at the end. A run that goes on continues its curves, and takes the place of what was written after its
    last checkpoint. It needs torch and the package tensorboard.

    Parameters
    ----------
    folder : path-like
        Each run gets a folder of its own in it, with the name of its run folder.
    histograms : bool, optional
        Whether to write histograms of weights.

    Raises
    ------
    RuleError
        A folder that is none.
    BrianLearnError
        Without torch or tensorboard.

    Examples
    --------
    >>> import brianlearn as bl
    >>> board = bl.TensorBoard("tensorboard")  # doctest: +SKIP
    >>> bl.Experiment(spec, bl.DALTON()).run(callbacks=[board])  # doctest: +SKIP
    """

    def __init__(self, folder: str | os.PathLike[str], *, histograms: bool = True) -> None:
        if not isinstance(folder, str | os.PathLike):
            raise RuleError("TensorBoard", "folder is wrong", got=repr(folder), expected="the path of a folder")
        if not isinstance(histograms, bool):
            raise RuleError("TensorBoard", "histograms is wrong", got=repr(histograms), expected="True or False")
        lacking = [name for name in ("torch", "tensorboard") if importlib.util.find_spec(name) is None]
        if lacking:  # said before anything has begun
            raise BrianLearnError(
                "TensorBoard",
                "its event files cannot be written",
                got=f"no {' and no '.join(lacking)}",
                expected="torch and tensorboard",
                remedy=f"pip install {' '.join(lacking)}",
            )
        self.folder, self.histograms = Path(folder), histograms
        self._writer: Any = None
        self._last = 0

    def __repr__(self) -> str:
        return f"TensorBoard({str(self.folder)!r}{'' if self.histograms else ', histograms=False'})"

    def begin(self, run: Path, experiment: Experiment, state: LearnerState) -> None:
        """Open the event file.

        Parameters
        ----------
        run : pathlib.Path
        experiment : Experiment
        state : LearnerState
        """
        from torch.utils.tensorboard import SummaryWriter

        # what an earlier process wrote after the checkpoint from which this one goes on is not shown any more
        purge = state.samples_seen + 1 if state.samples_seen else None
        self._last = state.samples_seen
        self._writer = SummaryWriter(str(self.folder / Path(run).name), purge_step=purge)
        if not state.samples_seen:
            lines = [f"    {line}" for line in experiment.spec.describe().splitlines()]  # Markdown's fixed width
            self._writer.add_text("network", "\n".join(lines), 0)
            self._weights(state)

    def chunk(self, metrics: Metrics, state: LearnerState) -> None:
        """Write what a chunk measured.

        Parameters
        ----------
        metrics : Metrics
        state : LearnerState
        """
        speed = metrics.samples / metrics.seconds if metrics.seconds else None
        found = {"loss": metrics.loss, "accuracy": metrics.accuracy, "mse": metrics.mse, "samples_per_second": speed}
        self._scalars({f"chunk/{name}": value for name, value in found.items()}, state.samples_seen)

    def epoch(self, line: Mapping[str, Any], state: LearnerState) -> None:
        """Write what an epoch measured.

        Parameters
        ----------
        line : mapping
        state : LearnerState
        """
        found: dict[str, Any] = {"learning_rate": line["learning_rate"]}
        for part in ("train", "validation"):
            start = f"{part}_"
            found |= {f"{part}/{name[len(start) :]}": line[name] for name in line if name.startswith(start)}
        found |= {f"firing_rate_hz/{name}": rate for name, rate in line["firing_rates_hz"].items()}
        found |= {f"weight_norm/{name}": norm for name, norm in line["weight_norms"].items()}
        self._scalars(found, state.samples_seen)
        self._weights(state)
        self._writer.flush()

    def end(self, result: Result | None) -> None:
        """Write the test's scores and close the file.

        Parameters
        ----------
        result : Result or None
        """
        if self._writer is None:
            return
        if result is not None:
            scores = {n: v for n, v in result.to_dict().items() if n.startswith("test_")}
            self._scalars({f"test/{name[len('test_') :]}": value for name, value in scores.items()}, self._last)
        self._writer.close()
        self._writer = None

    def _scalars(self, values: Mapping[str, Any], samples: int) -> None:
        self._last = samples
        for name, value in values.items():
            if is_number(value):
                self._writer.add_scalar(name, value, samples)

    def _weights(self, state: LearnerState) -> None:
        for name, array in state.weights.items() if self.histograms else ():
            self._writer.add_histogram(f"weights/{name}", np.asarray(array), state.samples_seen)
