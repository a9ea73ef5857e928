"""Which samples an experiment trains, validates and tests with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import DataError
from brianlearn.network.inputs import parts_of
from brianlearn.network.samples.samples import Recordings, Samples
from brianlearn.network.samples.targets import check_targets, kind_of
from brianlearn.network.spec import NetworkSpec

if TYPE_CHECKING:
    from brianlearn.data import DataSet, DataSource
    from brianlearn.learning.rules.base import Rule

__all__ = ["Splits", "epoch_order", "split"]

# streams of random numbers from the experiment's seed
_VALIDATION, _ORDER = 1, 2


@dataclass(frozen=True, eq=False)
class Splits:
    """Samples by their use.

    Attributes
    ----------
    name : str or None
        Of the data set.
    train : Samples
        Their ids are their positions in the training set.
    validation : Samples or None
    test : Samples
    fingerprint : str
        Of all values and targets, so that a run is never continued with other data.
    """

    name: str | None
    train: Samples
    validation: Samples | None
    test: Samples
    fingerprint: str

    def check_targets(self, spec: NetworkSpec, rule: Rule) -> None:
        """Check that all samples have targets of the one kind that a rule learns from.

        Parameters
        ----------
        spec : NetworkSpec
        rule : Rule

        Raises
        ------
        DataError
        """
        kinds = {}
        for where, samples in (("training", self.train), ("test", self.test)):
            check_targets(samples.targets, samples.ids, spec, rule.takes, rule.taker)
            kinds[where] = kind_of(samples.targets)
        if len(set(kinds.values())) > 1:
            raise DataError(
                "Experiment",
                "training and test samples have targets of two kinds",
                got=f"{kinds['training']} to train with, {kinds['test']} to test with",
                expected="labels (n,), values (n, out) or (n, n_steps, out), or spike trains in both",
            )


def split(
    data: str | DataSource | DataSet | tuple[Samples, Samples],
    spec: NetworkSpec,
    *,
    validation: int,
    limit: int | None,
    test_limit: int | None,
    seed: int,
) -> Splits:
    """Load the data, take the limits and hold out the validation samples.

    Parameters
    ----------
    data : str, DataSource, DataSet or (Samples, Samples)
        The name of a data set, with or without options, a data set, or training and test samples.
    spec : NetworkSpec
        The network that the samples must fit.
    validation : int
        Number of training samples that are held out, drawn by ``seed``.
    limit, test_limit : int or None
        Use only the first so many training (test) samples.
    seed : int

    Returns
    -------
    Splits

    Raises
    ------
    DataError, ShapeError
        Data that are missing, do not fit the network, or are too few.
    """
    name, train, test = _load(data, spec)
    train = Samples(train.inputs, train.targets)[:limit]  # ids: positions in the training set
    test = test[:test_limit]
    for where, samples in (("training", train), ("test", test)):
        if len(samples) == 0:
            raise DataError("Experiment", f"there are no {where} samples", expected="at least one")
        samples.check(spec, labels=True)
    train, test = train.on_grid(spec), test.on_grid(spec)
    if not 0 <= validation < len(train):
        raise DataError(
            "Experiment",
            "too many validation samples",
            got=f"validation={validation} of {len(train)} training samples",
            expected=f"at most {len(train) - 1}",
        )
    fingerprint = _fingerprint(train, test)
    if not validation:
        return Splits(name, train, None, test, fingerprint)
    held_out = np.zeros(len(train), bool)
    held_out[np.random.default_rng([seed, _VALIDATION]).permutation(len(train))[:validation]] = True
    return Splits(name, train[np.flatnonzero(~held_out)], train[np.flatnonzero(held_out)], test, fingerprint)


def epoch_order(n: int, seed: int, epoch: int) -> np.ndarray:
    """The order of n training samples in an epoch (from 0): depends on seed and epoch only."""
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(n)


def _load(data: Any, spec: NetworkSpec) -> tuple[str | None, Samples, Samples]:
    from brianlearn.data import DataSet, DataSource, load

    if isinstance(data, str):
        data = load(data, dt=spec.dt)
    source = data if isinstance(data, DataSource) else None
    if source is not None:
        data = source.load(dt=spec.dt)
    if isinstance(data, DataSet):
        return data.name, data.train, data.test
    if isinstance(data, tuple) and len(data) == 2 and all(isinstance(part, Samples) for part in data):
        return None, data[0], data[1]
    if source is not None:
        raise DataError(
            type(source).__name__,
            "load() gives no data",
            got=repr(data)[:200],
            expected="a DataSet, or (training Samples, test Samples)",
        )
    raise DataError(
        "Experiment",
        "data is of the wrong type",
        got=repr(data),
        expected="the name of a data set, a DataSource, a DataSet, or (training Samples, test Samples)",
    )


def _fingerprint(*parts: Samples) -> str:
    digest = hashlib.sha256()
    for samples in parts:
        arrays = []
        for name, inputs in parts_of(samples.inputs).items():
            digest.update(name.encode())
            if isinstance(inputs, Recordings):
                digest.update(inputs.digest())
            else:
                arrays.append(inputs)
        for array in (*arrays, samples.targets):
            digest.update(f"{array.dtype} {array.shape} ".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:32]
