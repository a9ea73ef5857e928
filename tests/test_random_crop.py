"""Random crops, flips and rotations."""

from __future__ import annotations

import numpy as np
import pytest

import brianlearn as bl
from brianlearn.errors import DataError, ShapeError


@pytest.fixture
def keys() -> np.ndarray:
    return np.random.default_rng(0).integers(2**60, size=(300, 2)).astype(np.uint64)


def test_crops_and_flips(keys: np.ndarray) -> None:
    """Every result is one of the shifted and mirrored images, and each of these comes."""
    image = np.arange(1.0, 25.0).reshape(2, 3, 4)
    samples = bl.Samples(np.broadcast_to(image, (300, 2, 3, 4)), np.zeros(300, int))
    changed = bl.RandomCrop(padding=1, flip=0.5)(samples, keys).inputs
    padded = np.zeros((2, 5, 6))
    padded[:, 1:4, 1:5] = image
    crops = [padded[:, a : a + 3, b : b + 4] for a in range(3) for b in range(3)]
    possible = [*crops, *(crop[:, :, ::-1] for crop in crops)]
    which = [next(k for k, one in enumerate(possible) if np.array_equal(one, found)) for found in changed]
    assert set(which) == set(range(18))
    assert 120 < sum(k >= 9 for k in which) < 180


def test_rotation(keys: np.ndarray) -> None:
    image = np.zeros((1, 9, 9))
    image[0, 4, 1:8] = 1.0  # a horizontal bar through the middle
    samples = bl.Samples(np.broadcast_to(image, (300, 1, 9, 9)), np.zeros(300, int))
    changed = bl.RandomCrop(padding=0, flip=0.0, rotation=45)(samples, keys).inputs[:, 0]
    angles = []
    for found in changed:
        y, x = np.mgrid[-4:5, -4:5]
        angles.append(np.degrees(np.arctan2((found * x * y).sum() * 2, (found * (x**2 - y**2)).sum()) / 2))
    assert np.abs(angles).max() < 46 and np.std(angles) == pytest.approx(45 / np.sqrt(3), rel=0.15)
    assert changed[:, 4, 4] == pytest.approx(np.ones(300)), "the middle stays"


def test_draws_depend_on_the_key_only(keys: np.ndarray) -> None:
    images = np.random.default_rng(1).random((300, 3, 8, 8)).astype(np.float32)
    crop = bl.RandomCrop(rotation=10)
    whole = crop(bl.Samples(images, np.arange(300) % 3), keys)
    part = crop(bl.Samples(images[7:9], [1, 2]), keys[7:9])
    assert np.array_equal(whole.inputs[7:9], part.inputs) and whole.inputs.dtype == np.float32


def test_wrong_arguments(keys: np.ndarray) -> None:
    for wrong in (dict(padding=-1), dict(padding=0.5), dict(flip=2), dict(rotation=-1), dict(rotation=float("nan"))):
        with pytest.raises(DataError, match="is wrong"):
            bl.RandomCrop(**wrong)
    with pytest.raises(DataError, match="events are no images"):
        bl.RandomCrop()(bl.Samples(bl.Events([], [], [0, 0], (2, 2, 2))), keys[:1])
    with pytest.raises(ShapeError, match="no images"):
        bl.RandomCrop()(bl.Samples(np.zeros((1, 5))), keys[:1])
