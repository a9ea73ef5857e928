"""Dropout masks: which neurons pass in a trial or step, from the trial's random key, the same for every engine."""

from __future__ import annotations

import zlib

import numpy as np

__all__ = ["draw_dropout_mask"]


def draw_dropout_mask(rate: float, name: str, shape: tuple[int, ...], keys: np.ndarray) -> np.ndarray:
    """Which neurons of a layer pass in each trial, or in each of its steps.

    Parameters
    ----------
    rate : float
        Probability with which a neuron is silent.
    name : str
        Of the layer: each has a random stream of its own.
    shape : tuple of int
        Of the layer; (steps, *shape) where a mask is drawn in every step.
    keys : numpy.ndarray of uint64, shape (n, 2)
        One random key per presentation (`LearnerState.sample_keys`).

    Returns
    -------
    numpy.ndarray of bool, shape (n, *shape)
    """
    stream = np.uint64(zlib.crc32(name.encode())) << np.uint64(32)
    draws = [np.random.Generator(np.random.Philox(key=[k[0], k[1] ^ stream])).random(shape) for k in keys]
    return np.stack(draws) >= rate
