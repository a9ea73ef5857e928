"""Encoders: what they draw, that it does not depend on how samples are grouped, and wrong parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.errors import SpecError
from brianlearn.learning import LearnerState
from brianlearn.network import (
    DirectCurrent,
    Encoder,
    Events,
    IntegrateAndFireEncoder,
    IntegrateEvents,
    PoissonEncoder,
    Spikes,
    TimeToFirstSpikeEncoder,
)


def keys(n, seed=0, epoch=0, learning=True):
    return LearnerState({}, seed=seed, epoch=epoch).sample_keys(np.arange(n), learning=learning)


def test_which_encoders_are_drawn_beforehand():
    encoders = (
        IntegrateAndFireEncoder(),
        DirectCurrent(),
        PoissonEncoder(),
        TimeToFirstSpikeEncoder(),
        Spikes(),
        IntegrateEvents(),
    )
    assert [e.precomputed for e in encoders] == [False, False, True, True, True, True]
    with pytest.raises(TypeError, match="computed by the engine"):
        IntegrateAndFireEncoder().raster(np.zeros((1, 2)), 3, keys(1))


def test_bernoulli_rate():
    values = np.array([[0.0, 0.1, 0.5, 0.8, 2.0, -1.0]])
    spikes = PoissonEncoder(gain=0.5).raster(values, 40000, keys(1))
    assert spikes.shape == (1, 40000, 6)
    assert spikes.dtype == bool
    np.testing.assert_allclose(spikes.mean(axis=(0, 1)), [0, 0.05, 0.25, 0.4, 1, 0], atol=0.01)


def test_bernoulli_spikes_belong_to_the_presentation():
    """The same sample, seed and epoch give the same spikes, alone or among others; another epoch gives others."""
    values, encoder = np.full((4, 30), 0.5), PoissonEncoder()
    together = encoder.raster(values, 20, keys(4))
    alone = np.concatenate([encoder.raster(values[k : k + 1], 20, keys(4)[k : k + 1]) for k in range(4)])
    np.testing.assert_array_equal(together, alone)
    assert not np.array_equal(together[0], together[1])
    for other in (keys(4, seed=1), keys(4, epoch=1), keys(4, learning=False)):
        assert not np.array_equal(together, encoder.raster(values, 20, other))
    same = encoder.raster(values, 20, keys(4, epoch=7, learning=False))
    np.testing.assert_array_equal(same, encoder.raster(values, 20, keys(4, learning=False)))  # evaluation repeats


def test_latency():
    values = np.array([[1.0, 0.5, 0.0, 0.24, 3.0, 1e-9]])
    spikes = TimeToFirstSpikeEncoder().raster(values, 11, keys(1))
    assert spikes.sum(axis=1).tolist() == [[1, 1, 0, 1, 1, 1]]
    assert spikes[0].argmax(axis=0).tolist() == [0, 5, 0, 8, 0, 10]
    assert TimeToFirstSpikeEncoder(threshold=0.3).raster(values, 11, keys(1)).sum() == 3


def some_events(n=3, steps=30, shape=(2, 3, 2), seed=0):
    """Events in which an input often has several in one step, some of them after the end of a trial."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(60, 200, n)
    step = np.concatenate([np.sort(rng.integers(0, steps + 5, size)) for size in sizes])
    neuron = rng.integers(0, np.prod(shape), len(step))
    return Events(step, neuron, np.cumsum([0, *sizes]), shape)


@pytest.mark.parametrize(("gain", "bias"), [(1.0, 0.0), (2.0, 0.0), (0.3, 0.0), (0.4, 0.13), (1.0, -0.1)])
def test_integrated_events_against_a_loop(gain, bias):
    events, steps = some_events(), 30
    spikes = IntegrateEvents(gain, bias).raster(events, steps, keys(3))
    assert spikes.shape == (3, steps, 12) and 50 < spikes.sum() < len(events.step)
    for k in range(3):
        mine = slice(events.offsets[k], events.offsets[k + 1])
        for i in range(12):
            v = 0.0
            for t in range(steps):
                v += gain * np.sum((events.step[mine] == t) & (events.neuron[mine] == i)) + bias
                assert spikes[k, t, i] == (v > 1)
                v = 0.0 if v > 1 else v


def test_a_large_gain_makes_each_event_a_spike():
    events = some_events()
    assert np.array_equal(IntegrateEvents(1.5).raster(events, 30, keys(3)), Spikes().raster(events, 30, keys(3)))


def test_integrated_events_as_a_tensor():
    torch = pytest.importorskip("torch")
    from brianlearn.discrete.step.encoding import encode
    from brianlearn.network import DaltonIF, Dense, Input, NetworkSpec, Readout

    events, steps = some_events(), 30
    encoder = IntegrateEvents(0.4, 0.05)
    spec = NetworkSpec(Input(events.shape, encoder), [Dense(2, DaltonIF())], Readout(2), duration=steps * ms)
    count = np.zeros((steps, 3, 12))
    inside = events.step < steps
    sample = np.repeat(np.arange(3), np.diff(events.offsets))
    np.add.at(count, (events.step[inside], sample[inside], events.neuron[inside]), 1)
    like = torch.zeros((), dtype=torch.float32)
    a = encode(spec, torch.from_numpy(count.reshape(steps, 3, 2, 3, 2)), like, None)
    b = encode(spec, events, like, None)
    assert a.dtype == b.dtype == torch.float32 and torch.equal(a, b) and a.sum() > 50


@pytest.mark.parametrize(
    ("make", "subject"),
    [
        (lambda: IntegrateAndFireEncoder(gain=0), "IntegrateAndFireEncoder"),
        (lambda: IntegrateAndFireEncoder(gain=-1.0), "IntegrateAndFireEncoder"),
        (lambda: IntegrateAndFireEncoder(bias=np.nan), "IntegrateAndFireEncoder"),
        (lambda: IntegrateAndFireEncoder(gain=1 * ms), "IntegrateAndFireEncoder"),
        (lambda: IntegrateEvents(gain=0), "IntegrateEvents"),
        (lambda: IntegrateEvents(bias="1"), "IntegrateEvents"),
        (lambda: DirectCurrent(gain="1"), "DirectCurrent"),
        (lambda: PoissonEncoder(gain=np.inf), "PoissonEncoder"),
        (lambda: TimeToFirstSpikeEncoder(threshold=None), "TimeToFirstSpikeEncoder"),
    ],
)
def test_wrong_parameters(make, subject):
    with pytest.raises(SpecError, match="is wrong") as info:
        make()
    assert info.value.subject == subject
    assert "finite number" in info.value.expected


def test_encoders_are_values():
    assert IntegrateAndFireEncoder(1.0) == IntegrateAndFireEncoder()
    assert IntegrateAndFireEncoder(2.0) != IntegrateAndFireEncoder()
    assert all(
        isinstance(e, Encoder)
        for e in (IntegrateAndFireEncoder(), DirectCurrent(), PoissonEncoder(), TimeToFirstSpikeEncoder(), Spikes())
    )


# encoders of one's own ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leaky(bl.Encoder):
    """Each kind of name and statement of a text."""

    keep: float = 0.9
    floor: float = -0.5
    states = ("v", "count")
    drive = "2*x - floor/10"
    update = """
        v = keep*v + x
        v = clip(v, floor, 10)
        count += int(v > 1)
    """
    fires = "v > 1 + 0.1*count"
    reset = """
        v -= 1
    """


def leaky(values: np.ndarray, steps: int) -> np.ndarray:
    v, count = np.zeros(values.shape), np.zeros(values.shape)
    spikes = []
    for _ in range(steps):
        v = np.clip(0.9 * v + 2 * values + 0.05, -0.5, 10)
        count = count + (v > 1)
        fired = v > 1 + 0.1 * count
        v = np.where(fired, v - 1, v)
        spikes.append(fired)
    return np.stack(spikes, axis=1)


@dataclass(frozen=True)
class First(bl.Encoder):
    """Spikes in the first steps, as many as the value says."""

    most: int = 6
    precomputed = True

    def raster(self, values, n_steps, seeds):
        return np.arange(n_steps)[None, :, None] < np.rint(self.most * values)[:, None, :]


def first(values: np.ndarray, steps: int) -> np.ndarray:
    spikes = np.zeros((len(values), steps, values.shape[1]), bool)
    for k, sample in enumerate(values):
        for i, x in enumerate(sample):
            spikes[k, : round(6 * x), i] = True
    return spikes


@pytest.mark.parametrize("timing", ["same_step", "pipelined"])
@pytest.mark.parametrize(("encoder", "expected"), [(Leaky(), leaky), (First(), first)], ids=["text", "raster"])
@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_an_encoder_of_ones_own_fires_its_spikes(encoder, expected, device, timing):
    if device == "cpu":
        pytest.importorskip("torch")
    spec = bl.NetworkSpec(
        bl.Input((5,), encoder), [bl.Dense(3, bl.CubaLIF())], bl.Readout(2), duration=15 * ms, timing=timing
    )
    values = np.random.default_rng(4).random((4, 5)) - 0.1
    values = values if isinstance(encoder, Leaky) else np.abs(values)
    learner = bl.Learner(spec, device=device, dtype="float64")
    activity = learner.infer(learner.init(), bl.Samples(values, [0, 1, 0, 1]), record=("spikes",))
    found = activity.spikes["input"].dense()
    assert 0 < found.mean() < 1
    np.testing.assert_array_equal(found, expected(values, 15))


@dataclass(frozen=True)
class Wrong(bl.Encoder):
    what: str = "floats"
    precomputed = True

    def raster(self, values, n_steps, seeds):
        shape = (len(values), n_steps, values.shape[1])
        return {
            "floats": np.zeros(shape),
            "shape": np.zeros(shape[:2], bool),
            "list": [[[False]]],
            "none": None,
        }[self.what]


@pytest.mark.parametrize("device", ["numpy", "cpu"])
@pytest.mark.parametrize("what", ["floats", "shape", "list", "none"])
def test_what_is_no_raster_is_named(what, device):
    if device == "cpu":
        pytest.importorskip("torch")
    spec = bl.NetworkSpec(bl.Input((5,), Wrong(what)), [bl.Dense(3, bl.CubaLIF())], bl.Readout(2), duration=5 * ms)
    learner = bl.Learner(spec, device=device)
    with pytest.raises(bl.SpecError, match=r"Wrong: raster\(\) gives no spikes"):
        learner.infer(learner.init(), bl.Samples(np.ones((2, 5))))


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        ({}, "does not say when an input fires"),
        (dict(precomputed=True), "has no method raster"),
        (dict(fires="v > 1"), "fires uses an unknown name 'v'"),
        (dict(fires="x > 1", update="v = v + x"), "update changes 'v'"),
        (dict(fires="x > 1", update="x = 2*x"), "update changes 'x'"),
        (dict(fires="v > 1", states=("v",), update="v = v + y"), "update uses an unknown name 'y'"),
        (dict(fires="v > 1", states=("v",), reset="v = open(1)"), "reset calls a function"),
        (dict(fires="v >", states=("v",)), "fires cannot be read"),
        (dict(fires="v > 1", states=("v",), update=3), "update cannot be read"),
    ],
)
def test_texts_that_cannot_be_right_are_named(texts, problem):
    kind = type("Mine", (bl.Encoder,), texts)
    with pytest.raises(bl.SpecError, match=f"Mine: .*{problem}"):
        bl.Input((3,), kind())
