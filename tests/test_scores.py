"""What a run says of its accuracy and loss, against readouts of the samples with its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.training.splits import split


@pytest.mark.parametrize("engine", [pytest.param("brian", marks=pytest.mark.slow), "discrete"])
def test_scores_are_those_of_the_samples_that_were_held_out(engine: str, tmp_path: Path) -> None:
    """Validation and test samples come in several chunks, the last of another size; losses are means over samples."""
    if engine == "discrete":
        pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    # three kinds of samples with losses of their own: none can stand for another
    values = rng.random((40, 4))
    train = bl.Samples(values[:25], rng.integers(0, 3, 25))
    test = bl.Samples(0.3 * values[25:], rng.integers(0, 3, 15))
    neuron = bl.CubaLIF(tau_m=10 * ms, tau_s=5 * ms, R=4.0)
    spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(8, neuron)], bl.Readout(3), duration=12 * ms, burn_in=2 * ms)
    device = "numpy" if engine == "brian" else "cpu"
    options = dict(engine=engine, device=device, dtype="float64")
    experiment = bl.Experiment(
        spec,
        bl.DALTON(),
        bl.Adam(0.01),
        data=(train, test),
        epochs=1,
        batch_size=4,
        chunk_size=4,
        validation=7,
        runs=tmp_path,
        **options,
    )
    result = experiment.run(progress=False)
    splits = split((train, test), spec, validation=7, limit=None, test_limit=None, seed=0)
    assert splits.validation is not None
    learner = bl.Learner(spec, None, **options)
    weights = learner.init({name: result.weights[name] for name in ("dense1", "readout")})
    scores = {}
    for name, samples in (("validation", splits.validation), ("test", splits.test), ("train", splits.train)):
        activity = learner.infer(weights, samples, record=("readout",))
        assert activity.readout is not None
        readouts = activity.readout[:, 2:]
        targets = np.eye(3)[samples.labels][:, None, :]
        losses = ((readouts - targets) ** 2).mean(axis=(1, 2))
        right = readouts.mean(axis=1).argmax(axis=1) == samples.labels
        scores[name] = right.mean(), losses.mean()
    assert len(splits.validation) == 7
    assert len({round(loss, 6) for _, loss in scores.values()}) == 3
    line = result.metrics[-1]
    assert (line["validation_accuracy"], result.validation_accuracy) == (scores["validation"][0],) * 2
    assert result.test_accuracy == scores["test"][0]
    assert line["validation_loss"] == pytest.approx(scores["validation"][1], rel=1e-9)
    assert result.validation_loss == line["validation_loss"]
    assert result.test_loss == pytest.approx(scores["test"][1], rel=1e-9)
