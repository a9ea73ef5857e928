"""Where neurons draw random numbers: the keys of trials, and the same numbers in torch and in generated kernels.

A number is a function of the trial's key, the step, the neuron and the place in the neuron's texts
(`brianlearn.network.neurons.philox`), so that nothing is kept: a step that runs again draws the same numbers again.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch

from brianlearn.network.neurons import philox
from brianlearn.network.neurons.noise import SEEDED

__all__ = [
    "DRAWS",
    "KERNEL_ARGUMENTS",
    "Draws",
    "is_draw",
    "kernel_call",
    "kernel_functions",
    "shortened",
    "with_draws",
]

#: Functions that draw. In programs their arguments are which call it is, for Poisson numbers the mean, and how many
#: steps before this one it is of, where it is of another.
DRAWS = tuple(SEEDED.values())
#: What kernels with draws take more: keys and neuron of each place, and the step at which the sequence begins.
KERNEL_ARGUMENTS = ("key_0__", "key_1__", "neuron__", "from__")
_BIT = 2.0**-53


def is_draw(node: ast.AST) -> bool:
    """Whether an expression is the call of a function that draws."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in DRAWS


class _Shorten(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.expr:
        args = [self.visit(a) for a in node.args]
        return ast.Call(node.func, args[5:] if is_draw(node) else args, [])


def shortened(node: ast.expr) -> ast.expr:
    """An expression of Brian2 whose draws have the arguments that they have in programs."""
    return _Shorten().visit(node)


class Draws:
    """The random numbers of one population in a batch.

    Parameters
    ----------
    keys : numpy.ndarray of int64, shape (B, 2)
        Of the trials (`brianlearn.network.neurons.noise.noise_keys`).
    neurons : numpy.ndarray of int
        Which neuron lies at each place in memory.
    first : int
        The step of the trial at which a sequence begins.
    """

    def __init__(self, keys: np.ndarray, neurons: np.ndarray, first: int = 0) -> None:
        self.keys, self.neurons, self.first = keys, neurons, first

    def reordered(self, order: np.ndarray) -> Draws:
        """With neurons in another order in memory."""
        return Draws(self.keys, self.neurons[order], self.first)

    def since(self, first: int) -> Draws:
        """For a sequence that begins at another step."""
        found = Draws(self.keys, self.neurons, first)
        found.arrays = self.arrays
        return found

    @cached_property
    def arrays(self) -> list[np.ndarray]:
        """For kernels: keys and neuron of each place, uint32 (B*neurons,)."""
        places = [np.repeat(self.keys[:, k], len(self.neurons)) for k in (0, 1)]
        return [a.astype(np.uint32) for a in (*places, np.tile(self.neurons, len(self.keys)))]

    @cached_property
    def _tensors(self) -> list[torch.Tensor]:
        return [torch.from_numpy(a.astype(np.int64)) for a in self.arrays]

    def functions(self, t: int, like: torch.Tensor) -> dict[str, Callable[..., torch.Tensor]]:
        """The functions of step ``t`` of the sequence, for plain torch.

        Parameters
        ----------
        t : int
        like : torch.Tensor, shape (B*neurons,)
            Gives type and device.

        Returns
        -------
        dict
            Name -> function of the call's number (and a mean), and of how many steps before.
        """
        now = self.first + t

        def uniforms(call: Any, lag: Any) -> list[torch.Tensor]:
            words = _words([a.to(like.device) for a in self._tensors], _at(now - int(lag)), int(call))
            return [((a >> 5).double() * 2.0**26 + (b >> 6).double()) * _BIT for a, b in (words[:2], words[2:])]

        def uniform(call: Any, lag: Any = 0) -> torch.Tensor:
            return uniforms(call, lag)[0].to(like.dtype)

        def normal(call: Any, lag: Any = 0) -> torch.Tensor:
            u, v = uniforms(call, lag)
            return (torch.sqrt(-2.0 * torch.log(u + _BIT)) * torch.cos(2.0 * math.pi * v)).to(like.dtype)

        def poisson(call: Any, mean: Any, lag: Any = 0) -> torch.Tensor:
            means = torch.as_tensor(mean, dtype=torch.float64).detach().cpu().numpy()
            key_0, key_1, neuron = self.arrays
            drawn = philox.poisson(key_0, key_1, _at(now - int(lag)), 2**32, neuron, int(call), means)
            return torch.from_numpy(drawn).to(like)

        return dict(zip(DRAWS, (uniform, normal, poisson), strict=True))


def _at(step: int) -> int:
    """A step as the generator counts it; the one before the first, of which nothing is used, is the last of all."""
    return step & 0xFFFFFFFF


def _words(where: list[torch.Tensor], step: int, call: int) -> list[torch.Tensor]:
    """`philox.philox` in torch: products of 32 bits, of which the high half is right in signed integers too."""
    low = 0xFFFFFFFF
    k0, k1, neuron = where
    c = [neuron, torch.full_like(neuron, step), torch.full_like(neuron, call), torch.zeros_like(neuron)]
    for _ in range(philox.ROUNDS):
        first, second = philox.MULTIPLIERS[0] * c[0], philox.MULTIPLIERS[1] * c[2]
        c = [(second >> 32 & low) ^ c[1] ^ k0, second & low, (first >> 32 & low) ^ c[3] ^ k1, first & low]
        k0, k1 = (k0 + philox.INCREMENTS[0]) & low, (k1 + philox.INCREMENTS[1]) & low
    return c


def with_draws(constants: list[Any], draws: Draws | None, t: int = 0) -> list[Any]:
    """The last arguments of a kernel that begins at step ``t`` of a sequence."""
    return constants if draws is None else [*constants, *draws.arrays, draws.first + t]


# kernels -------------------------------------------------------------------------------------------------------------


def kernel_call(node: ast.Call, mean: str | None) -> ast.expr:
    """A draw as generated kernels call it, at neuron ``i__`` of a block and step ``at__``; ``mean``: its text."""
    assert isinstance(node.func, ast.Name)
    more, given = "" if mean is None else f", {mean}", 1 if mean is None else 2
    at = "at__" if len(node.args) == given else f"at__ - {ast.unparse(node.args[given])}"
    where = f"key_0_n__[i__], key_1_n__[i__], {at}, neuron_n__[i__], {ast.unparse(node.args[0])}"
    return ast.parse(f"real__({node.func.id}__({where}{more}))", mode="eval").body


def kernel_functions() -> str:
    """The functions that kernels with draws call; the same arithmetic as `philox` and Brian2's compiled devices."""
    return _KERNELS.format(m=philox.MULTIPLIERS, k=philox.INCREMENTS, rounds=philox.ROUNDS)


_KERNELS = """
from math import floor as floor__, lgamma as lgamma__


@njit
def words__(key_0, key_1, step, neuron, call, attempt):
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    k0, k1 = np.uint64(key_0), np.uint64(key_1)
    c0, c1, c2, c3 = np.uint64(neuron), np.uint64(step) & low, np.uint64(call), np.uint64(attempt)
    for _ in range({rounds}):
        first, second = np.uint64({m[0]}) * c0, np.uint64({m[1]}) * c2
        c0, c1 = (second >> shift) ^ c1 ^ k0, second & low
        c2, c3 = (first >> shift) ^ c3 ^ k1, first & low
        k0, k1 = (k0 + np.uint64({k[0]})) & low, (k1 + np.uint64({k[1]})) & low
    u = np.float64(c0 >> np.uint64(5)) * 67108864.0 + np.float64(c1 >> np.uint64(6))
    v = np.float64(c2 >> np.uint64(5)) * 67108864.0 + np.float64(c3 >> np.uint64(6))
    return u * 2.0**-53, v * 2.0**-53


@njit
def seeded_uniform__(key_0, key_1, step, neuron, call):
    return words__(key_0, key_1, step, neuron, call, 0)[0]


@njit(error_model="numpy")
def seeded_normal__(key_0, key_1, step, neuron, call):
    u, v = words__(key_0, key_1, step, neuron, call, 0)
    return sqrt(-2.0 * log(u + 2.0**-53)) * cos(6.283185307179586 * v)


@njit(error_model="numpy")
def seeded_poisson__(key_0, key_1, step, neuron, call, mean):
    mean = np.float64(mean)
    if not mean < 1e9:
        return 2147483647.0
    if not mean > 0.0:
        return 0.0
    if mean < 10.0:
        u = words__(key_0, key_1, step, neuron, call, 0)[0]
        count, p = 0.0, exp(-mean)
        total = p
        while u > total and count < 1000.0:
            count += 1.0
            p *= mean / count
            total += p
        return count
    b = 0.931 + 2.53 * sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha, inside = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2.0)
    attempt = 0
    while True:
        u, v = words__(key_0, key_1, step, neuron, call, attempt)
        attempt += 1
        u -= 0.5
        us = 0.5 - abs(u) + 2.0**-53
        k = floor__((2.0 * a / us + b) * u + mean + 0.43)
        if us >= 0.07 and v <= inside:
            return np.float64(k)
        if k < 0 or (us < 0.013 and v > us):
            continue
        if log(v + 2.0**-53) + log(inverse_alpha) - log(a / (us * us) + b) <= k * log(mean) - mean - lgamma__(k + 1.0):
            return np.float64(k)
"""
