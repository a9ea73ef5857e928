"""A checkpoint: all that learning needs to go on, bit for bit, from the end of a chunk of samples."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brianlearn.errors import RunFolderError
from brianlearn.learning.state import LearnerState
from brianlearn.network.checks import is_number
from brianlearn.training.files import parse_json, read_arrays, write_arrays
from brianlearn.training.learner import Metrics
from brianlearn.training.regression import Regression
from brianlearn.training.scores import kind_of_scores

__all__ = ["Checkpoint"]

#: Version of the layout of the file.
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """The state of learning between two chunks.

    No random state is stored, because there is none: random numbers come from (seed, epoch, sample).

    Attributes
    ----------
    state : LearnerState
        ``state.epoch`` is the current epoch, from 0.
    chunk : int
        Chunks of this epoch that are learned.
    parts : tuple of Metrics
        What they measured.
    """

    state: LearnerState
    chunk: int = 0
    parts: tuple[Metrics, ...] = ()

    def save(self, path: Path) -> None:
        """Write the file, replacing an earlier one in one step.

        Parameters
        ----------
        path : pathlib.Path

        Raises
        ------
        RunFolderError
        """
        state = self.state
        header = {
            "format": FORMAT,
            "epoch": state.epoch,
            "chunk": self.chunk,
            "steps": state.steps,
            "samples_seen": state.samples_seen,
            "seed": state.seed,
            "parts": [_stored(part) for part in self.parts],
        }
        arrays = {"header": np.array(json.dumps(header))}
        arrays |= {f"weights/{name}": array for name, array in state.weights.items()}
        for name, slots in state.optimiser.items():
            arrays |= {f"optimiser/{name}/{slot}": array for slot, array in slots.items()}
        arrays |= {f"rule/{name}": array for name, array in state.rule.items()}
        write_arrays(path, arrays)

    @staticmethod
    def load(path: Path) -> Checkpoint:
        """Read the file.

        Parameters
        ----------
        path : pathlib.Path

        Returns
        -------
        Checkpoint

        Raises
        ------
        RunFolderError
            If it is missing or damaged.
        """
        arrays = read_arrays(path)
        try:
            header = parse_json(str(arrays.pop("header")).encode())
            if header["format"] != FORMAT:
                raise ValueError(f"format {header['format']} instead of {FORMAT}")
            weights: dict[str, np.ndarray] = {}
            optimiser: dict[str, dict[str, np.ndarray]] = {}
            rule: dict[str, np.ndarray] = {}
            for key, array in arrays.items():
                match key.split("/"):
                    case ["weights", name]:
                        weights[name] = array
                    case ["optimiser", name, slot]:
                        optimiser.setdefault(name, {})[slot] = array
                    case ["rule", name]:
                        rule[name] = array
                    case _:
                        raise ValueError(f"unknown array {key!r}")
            counters = {name: _count(header[name], name) for name in ("steps", "samples_seen", "epoch", "seed")}
            parts = tuple(_metrics(part) for part in header["parts"])
            _check_slots({**optimiser, "the rule": rule})
            state = LearnerState(weights, optimiser, rule=rule, **counters)
            return Checkpoint(state, _count(header["chunk"], "chunk"), parts)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise RunFolderError(
                str(path),
                "the checkpoint is damaged",
                got=f"{type(error).__name__}: {error}",
                expected="a checkpoint as `brianlearn train` writes it",
                remedy="start the run again, or restore the file from a copy",
            ) from error


def _count(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(f"{name} = {str(value)[:80]}")
    return value


#: Fields of which a chunk has one, as its targets are.
_OF_KINDS = ("accuracy", "regression", "van_rossum")


def _stored(part: Metrics) -> dict[str, Any]:
    """What a chunk measured, as what JSON can hold: accuracy, or what there is of values or trains in its place."""
    found = dataclasses.asdict(part)
    kept = {"mse": "regression"}.get(kind := kind_of_scores(part)[0], kind)
    return {name: value for name, value in found.items() if name == kept or name not in _OF_KINDS}


def _metrics(part: Any) -> Metrics:
    """What a chunk measured, with numbers where they should be."""
    if "regression" in part:
        regression = Regression(**part["regression"])
        regression = dataclasses.replace(regression, mean=tuple(regression.mean), spread=tuple(regression.spread))
        sums = [regression.squared_error, *regression.mean, *regression.spread]
        if _count(regression.count, "count") < 1 or not all(is_number(n) for n in sums) or len(sums) % 2 == 0:
            raise ValueError(f"parts: {str(part)[:80]}")
        metrics = Metrics(**{**part, "accuracy": math.nan, "regression": regression})
        numbers = [metrics.loss, metrics.seconds, *metrics.firing_rates.values()]
    elif "van_rossum" in part:
        metrics = Metrics(**{**part, "accuracy": math.nan})
        numbers = [part["van_rossum"], metrics.loss, metrics.seconds, *metrics.firing_rates.values()]
    else:
        metrics = Metrics(**part)
        numbers = [metrics.accuracy, metrics.loss, metrics.seconds, *metrics.firing_rates.values()]
    if _count(metrics.samples, "samples") < 1 or not all(is_number(n) for n in numbers):
        raise ValueError(f"parts: {str(part)[:80]}")
    return metrics


def _check_slots(optimiser: dict[str, dict[str, np.ndarray]]) -> None:
    for name, slots in optimiser.items():
        for slot, array in slots.items():
            if array.dtype.kind != "f" or not np.isfinite(array).all():
                raise ValueError(f"{slot} of {name}: {array.dtype} {array.shape}")
