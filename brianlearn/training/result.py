"""What a run comes to."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brianlearn.errors import RunFolderError
from brianlearn.network.checks import is_number
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.scores import KINDS, MAIN, kind_in

__all__ = ["Result"]


@dataclass(frozen=True)
class Result:
    """The end of a training run.

    Attributes
    ----------
    run : pathlib.Path
        The run folder.
    rule, device : str
    epochs : int
    train_accuracy : float or None
        While learning, in the last epoch; None of samples with values or spike trains, as all accuracies.
    train_loss : float
        While learning, in the last epoch: that of the rule, or the mean squared error of the readout, in the square of
        its unit.
    validation_accuracy, validation_loss : float or None
        After the last epoch, where samples were held out.
    test_accuracy : float or None
        From 0 to 1.
    test_loss : float or None
        Mean over the test samples.
    samples_per_second : float
        Training samples per second, all epochs together, without the time to build the network.
    build_seconds : float
        Time to make the network ready: code generation and compilation where they were needed.
    seconds : float
        Time to train, all epochs together.
    warnings : tuple of str
        What looked wrong: silent layers, inputs of another scale, a step too long for a time constant, ...
    train_mse, train_r2, validation_mse, validation_r2, test_mse, test_r2 : float or None
        Mean squared error and R^2 of samples with values; R^2 is None where all values are the same.
    train_van_rossum, validation_van_rossum, test_van_rossum : float or None
        Van Rossum's distance of samples with spike trains, the mean over them (`van_rossum`, 5 ms).
    """

    run: Path
    rule: str
    device: str
    epochs: int
    train_accuracy: float | None
    train_loss: float
    validation_accuracy: float | None
    validation_loss: float | None
    test_accuracy: float | None
    test_loss: float | None
    samples_per_second: float
    build_seconds: float
    seconds: float
    warnings: tuple[str, ...] = ()
    train_mse: float | None = None
    train_r2: float | None = None
    validation_mse: float | None = None
    validation_r2: float | None = None
    test_mse: float | None = None
    test_r2: float | None = None
    train_van_rossum: float | None = None
    validation_van_rossum: float | None = None
    test_van_rossum: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "warnings", tuple(self.warnings))  # a list, where it comes from a file

    @property
    def weights(self) -> dict[str, np.ndarray]:
        """The weights at the end: layer name -> array."""
        return RunFolder(self.run).weights()

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """One mapping per epoch, as in ``metrics.jsonl``."""
        return RunFolder(self.run).metrics()

    def to_dict(self) -> dict[str, Any]:
        """As what JSON can hold.

        Returns
        -------
        dict
        """
        return {**self._scored(), "run": str(self.run)}

    def _scored(self) -> dict[str, Any]:
        """All fields but the scores of other kinds of targets."""
        fields = dataclasses.asdict(self)
        mine = kind_in(fields, "test")
        other = tuple(f"_{name}" for kind in KINDS if kind != mine for name in kind)
        return {name: value for name, value in fields.items() if not name.endswith(other)}

    @staticmethod
    def read(folder: RunFolder) -> Result | None:
        """The result of a finished run; None where the run is not finished.

        Parameters
        ----------
        folder : RunFolder

        Returns
        -------
        Result or None

        Raises
        ------
        RunFolderError
            If the file is damaged.
        """
        stored = folder.result()
        if stored is None:
            return None
        try:
            accuracies = dict.fromkeys(("train_accuracy", "validation_accuracy", "test_accuracy"))
            others = accuracies if isinstance(stored, dict) and stored.keys() & _NOT_OF_LABELS else {}
            result = Result(**{**others, **stored, "run": folder.path})
            for part in ("train", "test"):
                if [getattr(result, f"{part}_{name}") is not None for name in MAIN].count(True) != 1:
                    raise TypeError(f"not one of {', '.join(f'{part}_{name}' for name in MAIN)}")
            if kind_in(vars(result), "train") != kind_in(vars(result), "test"):
                raise TypeError("scores of two kinds of targets")
            for field in dataclasses.fields(Result):
                if not _fits(str(field.type), getattr(result, field.name)):
                    raise TypeError(f"{field.name} = {str(getattr(result, field.name))[:80]}")
            return result
        except TypeError as error:
            raise RunFolderError(str(folder.path / "result.json"), "the file is damaged", got=str(error)) from error

    def write(self, folder: RunFolder) -> None:
        """Store it in the run folder.

        Parameters
        ----------
        folder : RunFolder
        """
        folder.write_result({k: v for k, v in self._scored().items() if k != "run"})


_NOT_OF_LABELS = {f"test_{name}" for name in MAIN if name != "accuracy"}


def _fits(kind: str, value: object) -> bool:
    """Whether a value that was stored may be in a field of this type."""
    if kind == "Path":
        return isinstance(value, Path)
    if kind == "str":
        return isinstance(value, str)
    if kind.startswith("tuple"):
        return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    return is_number(value) or (value is None and "None" in kind)
