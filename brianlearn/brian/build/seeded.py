"""Random numbers as pure functions of where they are drawn (`brianlearn.network.neurons.philox`), for Brian2's devices.

The generator is Philox4x32-10 (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011): four random words
for each counter. Integers and uniform numbers are the same to the bit on every device; normal and Poisson numbers go
through log, cos and exp, whose last bit may differ from one mathematical library to the next.
"""

from __future__ import annotations

from typing import Any

from brian2 import Function

from brianlearn.network.neurons.philox import normal as _normal
from brianlearn.network.neurons.philox import philox
from brianlearn.network.neurons.philox import poisson as _poisson
from brianlearn.network.neurons.philox import uniform as _uniform

__all__ = ["FUNCTIONS", "philox"]

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
