"""Random numbers as pure functions of where they are drawn, with numpy.

The generator is Philox4x32-10 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011): four random words
for each counter. Integers and uniform numbers are the same to the bit on every device; normal and Poisson numbers go
through log, cos and exp, whose last bit may differ from one mathematical library to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["INCREMENTS", "MULTIPLIERS", "ROUNDS", "Where", "normal", "philox", "poisson", "uniform"]

#: Of Philox4x32-10.
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
INCREMENTS = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10


def philox(key: Any, counter: Any) -> list[np.ndarray]:
    """Four random words for a key and a counter, Philox4x32-10.

    Parameters
    ----------
    key : sequence of 2 integers or arrays
        32 bits each; arrays are broadcast.
    counter : sequence of 4 integers or arrays
        32 bits each.

    Returns
    -------
    list of numpy.ndarray of uint64
        Four words of 32 bits.
    """
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    k = [np.asarray(word).astype(np.uint64) & low for word in key]
    c = [np.asarray(word).astype(np.uint64) & low for word in counter]
    m = [np.uint64(word) for word in MULTIPLIERS]
    for _ in range(ROUNDS):
        first, second = m[0] * c[0], m[1] * c[2]
        c = [(second >> shift) ^ c[1] ^ k[0], second & low, (first >> shift) ^ c[3] ^ k[1], first & low]
        k = [(word + np.uint64(by)) & low for word, by in zip(k, INCREMENTS, strict=True)]
    return c


#: The distance of the uniform numbers.
_BIT = 2.0**-53


#: key_0, key_1, step of the run, steps of a trial, neuron, which call: the arguments of all functions.
Where = tuple[Any, ...]


def _uniforms(where: Where, attempt: Any = 0) -> list[np.ndarray]:
    """Two multiples of 2^-53 in [0, 1)."""
    key_0, key_1, step, n_steps, i, call = where
    words = philox((key_0, key_1), (i, np.asarray(step) % n_steps, call, attempt))
    high = [(word >> np.uint64(5)).astype(float) * 2.0**26 for word in words[::2]]
    return [(h + (word >> np.uint64(6)).astype(float)) * _BIT for h, word in zip(high, words[1::2], strict=True)]


def uniform(*where: Any) -> np.ndarray:
    """Multiples of 2^-53 in [0, 1); ``where``: `Where`."""
    return _uniforms(where)[0]


def normal(*where: Any) -> np.ndarray:
    """Standard normal numbers, by the transformation of Box and Muller (1958); ``where``: `Where`."""
    u, v = _uniforms(where)
    return np.sqrt(-2.0 * np.log(u + _BIT)) * np.cos(2.0 * np.pi * v)


#: From this mean on, Poisson numbers come from transformed rejection; from `_MOST` on no integer of Brian2 holds them.
_MANY, _MOST = 10.0, 1e9


def poisson(*arguments: Any) -> np.ndarray:
    """Integers by inversion where the mean is small, else by transformed rejection (Hormann 1993, algorithm PTRS).

    Arguments: `Where`, and the mean.
    """
    arrays = np.broadcast_arrays(*arguments)
    *where, mean = (array.ravel() for array in arrays)
    mean = mean.astype(float)
    result = np.zeros(mean.shape, np.int32)
    result[~(mean < _MOST)] = np.iinfo(np.int32).max
    for chosen, draw in (((mean > 0) & (mean < _MANY), _few), ((mean >= _MANY) & (mean < _MOST), _many)):
        result[chosen] = draw(tuple(array[chosen] for array in where), mean[chosen])
    return result.reshape(arrays[0].shape)


def _few(where: Where, mean: np.ndarray) -> np.ndarray:
    u, p, count = _uniforms(where)[0], np.exp(-mean), np.zeros(mean.shape)
    total = p.copy()
    while np.any(more := (u > total) & (count < 1000)):
        count += more
        p = np.where(more, p * mean / np.maximum(count, 1), p)
        total = np.where(more, total + p, total)
    return count


def _many(where: Where, mean: np.ndarray) -> np.ndarray:
    from scipy.special import gammaln

    b = 0.931 + 2.53 * np.sqrt(mean)
    a, inverse_alpha = -0.059 + 0.02483 * b, 1.1239 + 1.1328 / (b - 3.4)
    inside = 0.9277 - 3.6224 / (b - 2.0)
    result, pending, attempt = np.zeros(mean.shape), np.ones(mean.shape, bool), 0
    while pending.any():
        u, v = _uniforms(where, attempt)
        u = u - 0.5
        us = 0.5 - np.abs(u) + _BIT
        k = np.floor((2.0 * a / us + b) * u + mean + 0.43)
        left = np.log(v + _BIT) + np.log(inverse_alpha) - np.log(a / (us * us) + b)
        below = left <= k * np.log(mean) - mean - gammaln(np.maximum(k, 0.0) + 1.0)
        good = ((us >= 0.07) & (v <= inside)) | ((k >= 0) & ~((us < 0.013) & (v > us)) & below)
        result = np.where(pending & good, k, result)
        pending, attempt = pending & ~good, attempt + 1
    return result
