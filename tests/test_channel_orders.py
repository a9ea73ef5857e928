"""The built-in task of learned delays: what tells its classes apart, and the script that learns it."""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.data.channel_orders import CHANNELS, CLASSES, Orders
from brianlearn.errors import DataError

SCRIPT = Path(__file__).parents[1] / "network_specs" / "learned_delays.py"


def test_classes_differ_in_the_order_of_channels_alone() -> None:
    data = bl.load("channel_orders", dt=1 * ms)
    assert data.shape == (CHANNELS,) and (len(data.train), len(data.test), len(data.classes)) == (1000, 500, CLASSES)
    assert len(set(data.classes)) == CLASSES and not set(data.train.ids) & set(data.test.ids)
    for samples, each in ((data.train, 100), (data.test, 50)):
        assert (np.bincount(samples.labels) == each).all()
        spikes = samples.inputs.dense(150)
        assert (spikes.sum(axis=1) == 1).all()  # each channel once
        times = spikes.argmax(axis=1)
        gaps = np.diff(np.sort(times, axis=1), axis=1)
        assert gaps.min() >= 6 and gaps.max() <= 18 and abs(gaps.mean() - 12) < 0.1
        found = ["-".join(map(str, order)) for order in times.argsort(axis=1)]
        assert found == [data.classes[label] for label in samples.labels]
        assert samples.inputs.durations.max() < 150
        for k in range(CLASSES):  # when a sample begins tells nothing
            assert times[samples.labels == k].min() < 10 and abs(times.mean() - times[samples.labels == k].mean()) < 3


def test_they_are_the_same_again_and_at_another_step() -> None:
    labels = np.arange(40) % CLASSES
    drawn, again, fine = (Orders().draw(labels, dt) for dt in (1e-3, 1e-3, 0.5e-3))
    assert drawn.digest() == again.digest() != Orders(seed=1).draw(labels, 1e-3).digest()
    assert np.array_equal(fine.step // 2, drawn.step) and np.array_equal(fine.neuron, drawn.neuron)
    exact = Orders(jitter=0.0, onset=0.0).draw(labels, 1e-3)
    np.testing.assert_array_equal(exact.step.reshape(40, CHANNELS), np.tile(6 + 12 * np.arange(CHANNELS), (40, 1)))


@pytest.mark.parametrize("wrong", [dict(gap=0), dict(jitter=-1), dict(onset=-1), dict(seed=-1)])
def test_what_cannot_be(wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=f"{next(iter(wrong))} is out of range"):
        Orders(**wrong)


@pytest.mark.parametrize("delays", ["learned", "random", "zero"])
def test_the_script_trains(delays: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    experiment = runpy.run_path(str(SCRIPT), run_name="test")["experiment"]
    assert bl.load("digits_events", dt=1 * ms).shape == experiment(data="digits_events").spec.populations[0].shape
    made = dataclasses.replace(experiment(delays), epochs=1, limit=100, test_limit=50, runs=tmp_path)
    first = bl.Learner(made.spec, made.rule, engine="discrete").init().weights
    result = made.run(progress=False)
    assert ("up_delay" in result.weights) == (delays != "zero")
    assert not np.array_equal(result.weights["up"], first["up"])
    if delays == "random":
        np.testing.assert_array_equal(result.weights["up_delay"], np.floor(first["up_delay"] + 0.5))
    elif delays == "learned":
        assert not np.array_equal(result.weights["up_delay"], first["up_delay"])


@pytest.mark.slow
def test_delays_tell_the_orders_and_nothing_else_does(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    experiment = runpy.run_path(str(SCRIPT), run_name="test")["experiment"]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a network waits for them
    try:
        found = {
            delays: dataclasses.replace(experiment(delays, neurons=16), runs=tmp_path / delays).run(progress=False)
            for delays in ("learned", "zero")
        }
    finally:
        torch.set_num_threads(threads)
    assert found["learned"].test_accuracy > 0.9 and found["zero"].test_accuracy < 0.2
    spec, test, spikes = experiment(neurons=16).spec, bl.load("channel_orders", dt=1 * ms).test[:20], []
    for options in (dict(engine="brian", device="numpy"), dict(engine="discrete")):
        learner = bl.Learner(spec, dtype="float64", **options)
        state = learner.init(found["learned"].weights)
        spikes.append(learner.infer(state, test, record=("spikes",)).spikes["hidden"])
    assert len(spikes[0]) > 20
    np.testing.assert_array_equal(spikes[0].dense(), spikes[1].dense())
