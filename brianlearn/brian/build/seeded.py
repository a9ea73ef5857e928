"""Random numbers as pure functions of where they are drawn, for numpy, Cython and C++.

The generator is Philox4x32-10 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011): four random words
for each counter. Integers and uniform numbers are the same to the bit on every device; normal and Poisson numbers go
through log, cos and exp, whose last bit may differ from one mathematical library to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from brian2 import Function

__all__ = ["FUNCTIONS", "philox"]

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_INCREMENTS = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


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
    m = [np.uint64(word) for word in _MULTIPLIERS]
    for _ in range(_ROUNDS):
        first, second = m[0] * c[0], m[1] * c[2]
        c = [(second >> shift) ^ c[1] ^ k[0], second & low, (first >> shift) ^ c[3] ^ k[1], first & low]
        k = [(word + np.uint64(by)) & low for word, by in zip(k, _INCREMENTS, strict=True)]
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


def _uniform(*where: Any) -> np.ndarray:
    return _uniforms(where)[0]


def _normal(*where: Any) -> np.ndarray:
    """By the transformation of Box and Muller (1958)."""
    u, v = _uniforms(where)
    return np.sqrt(-2.0 * np.log(u + _BIT)) * np.cos(2.0 * np.pi * v)


#: From this mean on, Poisson numbers come from transformed rejection; from `_MOST` on no integer of Brian2 holds them.
_MANY, _MOST = 10.0, 1e9


def _poisson(*arguments: Any) -> np.ndarray:
    """By inversion where the mean is small, else by transformed rejection (Hormann 1993, algorithm PTRS)."""
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


_CPP = """
static inline void seeded_words(double* u, double* v, uint32_t k0, uint32_t k1, uint32_t c0, uint32_t c1, uint32_t c2,
                                uint32_t c3) {
    for (int round = 0; round < 10; round++) {
        const uint64_t first = (uint64_t) 0xD2511F53u*c0, second = (uint64_t) 0xCD9E8D57u*c2;
        c0 = (uint32_t) (second >> 32) ^ c1 ^ k0;
        c2 = (uint32_t) (first >> 32) ^ c3 ^ k1;
        c1 = (uint32_t) second;
        c3 = (uint32_t) first;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    *u = ((double) (c0 >> 5)*67108864.0 + (double) (c1 >> 6))*(1.0/9007199254740992.0);
    *v = ((double) (c2 >> 5)*67108864.0 + (double) (c3 >> 6))*(1.0/9007199254740992.0);
}
"""

_CPP_UNIFORM = """
static inline double seeded_uniform(int32_t key_0, int32_t key_1, int64_t step, int64_t n_steps, int32_t i,
                                    int32_t call) {
    double u, v;
    seeded_words(&u, &v, key_0, key_1, i, (uint32_t) (step % n_steps), call, 0);
    return u;
}
"""

_CPP_NORMAL = """
static inline double seeded_normal(int32_t key_0, int32_t key_1, int64_t step, int64_t n_steps, int32_t i,
                                   int32_t call) {
    double u, v;
    seeded_words(&u, &v, key_0, key_1, i, (uint32_t) (step % n_steps), call, 0);
    return std::sqrt(-2.0*std::log(u + 1.0/9007199254740992.0))*std::cos(6.283185307179586*v);
}
"""

_CPP_POISSON = """
static inline int32_t seeded_poisson(int32_t key_0, int32_t key_1, int64_t step, int64_t n_steps, int32_t i,
                                     int32_t call, double mean) {
    double u, v;
    const uint32_t at = (uint32_t) (step % n_steps);
    if (!(mean < 1e9)) return 2147483647;
    if (!(mean > 0)) return 0;
    if (mean < 10.0) {
        seeded_words(&u, &v, key_0, key_1, i, at, call, 0);
        int32_t count = 0;
        double p = std::exp(-mean), total = p;
        while (u > total && count < 1000) {
            count++;
            p *= mean/count;
            total += p;
        }
        return count;
    }
    const double b = 0.931 + 2.53*std::sqrt(mean), a = -0.059 + 0.02483*b;
    const double inverse_alpha = 1.1239 + 1.1328/(b - 3.4), inside = 0.9277 - 3.6224/(b - 2.0);
    for (uint32_t attempt = 0;; attempt++) {
        seeded_words(&u, &v, key_0, key_1, i, at, call, attempt);
        u -= 0.5;
        const double us = 0.5 - std::fabs(u) + 1.0/9007199254740992.0;
        const double k = std::floor((2.0*a/us + b)*u + mean + 0.43);
        if (us >= 0.07 && v <= inside) return (int32_t) k;
        if (k < 0 || (us < 0.013 && v > us)) continue;
        if (std::log(v + 1.0/9007199254740992.0) + std::log(inverse_alpha) - std::log(a/(us*us) + b)
                <= k*std::log(mean) - mean - std::lgamma(k + 1.0)) return (int32_t) k;
    }
}
"""

_HEADERS = ["<cmath>", "<cstdint>"]


#: A C++ declaration for Cython, in whose modules functions share what they depend on.
_CYTHON = """cdef extern from *:
    \"\"\"
#include <cmath>
#include <cstdint>
#ifndef BRIANLEARN_SEEDED_WORDS
#define BRIANLEARN_SEEDED_WORDS
{words}
#endif
{code}
    \"\"\"
    {kind} {name}(int, int, long long, long long, int, int{more})
"""


def _words() -> Function:
    """What the functions share in C++."""
    words = Function(None, arg_units=[1], arg_types=["float"], return_unit=1, return_type="float")
    words.implementations.add_implementation("cpp", _CPP, name="seeded_words", compiler_kwds={"headers": _HEADERS})
    return words


def _function(name: str, numpy: Any, code: str, *, integer: bool = False, mean: bool = False) -> Function:
    kinds = ["integer"] * 6 + ["float"] * mean
    # a function of its arguments alone: evaluated twice in a step, it gives the same number twice
    function = Function(
        numpy,
        arg_units=[1] * len(kinds),
        arg_types=kinds,
        return_unit=1,
        return_type="integer" if integer else "float",
        stateless=True,
    )
    function.implementations.add_implementation(
        "cpp", code, dependencies={"seeded_words": _words()}, name=name, compiler_kwds={"headers": _HEADERS}
    )
    kind, more = "int" if integer else "double", ", double" if mean else ""
    function.implementations.add_implementation(
        "cython", _CYTHON.format(words=_CPP, code=code, kind=kind, name=name, more=more), name=name
    )
    return function


#: What statements with noise call, by name.
FUNCTIONS = {
    "seeded_uniform": _function("seeded_uniform", _uniform, _CPP_UNIFORM),
    "seeded_normal": _function("seeded_normal", _normal, _CPP_NORMAL),
    "seeded_poisson": _function("seeded_poisson", _poisson, _CPP_POISSON, integer=True, mean=True),
}
