"""Encoders: what they draw, that it does not depend on how samples are grouped, and wrong parameters."""

from __future__ import annotations

import numpy as np
import pytest
from brian2 import ms

from brianlearn.errors import SpecError
from brianlearn.rules import LearnerState
from brianlearn.spec import Bernoulli, DirectCurrent, Encoder, IntegrateAndFire, Latency, Spikes


def keys(n, seed=0, epoch=0, learning=True):
    return LearnerState({}, seed=seed, epoch=epoch).sample_keys(np.arange(n), learning=learning)


def test_which_encoders_are_drawn_beforehand():
    assert [e.precomputed for e in (IntegrateAndFire(), DirectCurrent(), Bernoulli(), Latency(), Spikes())] == [
        False,
        False,
        True,
        True,
        True,
    ]
    with pytest.raises(TypeError, match="computed by the engine"):
        IntegrateAndFire().raster(np.zeros((1, 2)), 3, keys(1))


def test_bernoulli_rate():
    values = np.array([[0.0, 0.1, 0.5, 0.8, 2.0, -1.0]])
    spikes = Bernoulli(gain=0.5).raster(values, 40000, keys(1))
    assert spikes.shape == (1, 40000, 6)
    assert spikes.dtype == bool
    np.testing.assert_allclose(spikes.mean(axis=(0, 1)), [0, 0.05, 0.25, 0.4, 1, 0], atol=0.01)


def test_bernoulli_spikes_belong_to_the_presentation():
    """The same sample, seed and epoch give the same spikes, alone or among others; another epoch gives others."""
    values, encoder = np.full((4, 30), 0.5), Bernoulli()
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
    spikes = Latency().raster(values, 11, keys(1))
    assert spikes.sum(axis=1).tolist() == [[1, 1, 0, 1, 1, 1]]
    assert spikes[0].argmax(axis=0).tolist() == [0, 5, 0, 8, 0, 10]
    assert Latency(threshold=0.3).raster(values, 11, keys(1)).sum() == 3


@pytest.mark.parametrize(
    ("make", "subject"),
    [
        (lambda: IntegrateAndFire(gain=0), "IntegrateAndFire"),
        (lambda: IntegrateAndFire(gain=-1.0), "IntegrateAndFire"),
        (lambda: IntegrateAndFire(bias=np.nan), "IntegrateAndFire"),
        (lambda: IntegrateAndFire(gain=1 * ms), "IntegrateAndFire"),
        (lambda: DirectCurrent(gain="1"), "DirectCurrent"),
        (lambda: Bernoulli(gain=np.inf), "Bernoulli"),
        (lambda: Latency(threshold=None), "Latency"),
    ],
)
def test_wrong_parameters(make, subject):
    with pytest.raises(SpecError, match="is wrong") as info:
        make()
    assert info.value.subject == subject
    assert "finite number" in info.value.expected


def test_encoders_are_values():
    assert IntegrateAndFire(1.0) == IntegrateAndFire()
    assert IntegrateAndFire(2.0) != IntegrateAndFire()
    assert all(isinstance(e, Encoder) for e in (IntegrateAndFire(), DirectCurrent(), Bernoulli(), Latency(), Spikes()))
