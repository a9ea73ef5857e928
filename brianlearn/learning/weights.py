"""Weights: one float array per layer name, initial values and checks."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from brianlearn.errors import WeightsError
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.rules.paths import OF_RULES
from brianlearn.network.learned_constants import LearnedConstant
from brianlearn.network.samples.arrays import numbers
from brianlearn.network.spec import NetworkSpec, Projection

__all__ = ["check_weights", "initial_weights", "weight_shapes"]


def _projections(spec: NetworkSpec, rule: Rule | None) -> list[Projection]:
    result = [*spec.projections, *spec.readout_projections]
    own = {p.name for p in result}
    return result + ([p for p in rule.fixed(spec) if p.name not in own] if rule is not None else [])


def weight_shapes(spec: NetworkSpec, rule: Rule | None = None) -> dict[str, tuple[int, ...]]:
    """Shapes of all weights of a network under a rule.

    Parameters
    ----------
    spec : NetworkSpec
    rule : Rule, optional

    Returns
    -------
    dict
        Layer name -> (out, in) or (out, in, kh, kw). A rule may add fixed weights (``readout_conv1``,
        ``feedback_conv1``, ...). A learned constant is ``<population>.<constant>`` -> (n,), or (1,) for one that the
        population shares. Learned delays are ``<projection>_delay``, of the weights' shape.
    """
    shapes = {p.name: p.weight_shape for p in _projections(spec, rule)}
    shapes |= {name: p.weight_shape for name, p in spec.learned_delays.items()}
    return shapes | {one.key: one.shape for one in spec.learned_constants}


def initial_weights(spec: NetworkSpec, rule: Rule | None = None, seed: int = 0) -> dict[str, np.ndarray]:
    """Random initial weights, float64.

    Each array has its own random stream, from the seed and its name, so that adding a layer or changing the rule
    leaves the others as they are.

    Parameters
    ----------
    spec : NetworkSpec
    rule : Rule, optional
    seed : int

    Returns
    -------
    dict
        Layer name -> array. Learned delays are in ms.

    Raises
    ------
    WeightsError
        What an initialisation draws that is not finite, or of another shape.
    """
    weights = {}
    for p in _projections(spec, rule):
        weights[p.name] = _drawn(p, p.draw(_random(seed, p.name), spec))
    for name, p in spec.learned_delays.items():
        weights[name] = p.delay.draw(_random(seed, name), p.weight_shape)
    return weights | {one.key: one.initial(seed) for one in spec.learned_constants}


def _random(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _drawn(p: Projection, drawn: Any) -> np.ndarray:
    """Initial weights, checked: a class of the user's may have drawn them."""
    owner, shape = f"{type(p.weights).__name__}, layer {p.name}", p.weight_shape
    array = numbers(owner, "the initial weights", drawn, f"finite numbers, shape {shape}", error=WeightsError)
    if array.shape != shape:
        raise WeightsError(owner, "the initial weights have the wrong shape", got=array.shape, expected=shape)
    if not np.isfinite(array).all():
        raise WeightsError(
            owner, "the initial weights are not finite", got="NaN or infinity", expected="finite numbers"
        )
    return array.astype(np.float64, copy=False)


def check_weights(
    spec: NetworkSpec, rule: Rule | None, weights: Mapping[str, np.ndarray], where: str = "weights"
) -> dict[str, np.ndarray]:
    """Weights as arrays of float32 or float64, checked against a network.

    Weights that the rule does not need (those of another rule) are left out.

    Parameters
    ----------
    spec : NetworkSpec
    rule : Rule or None
    weights : mapping
        Layer name -> array.
    where : str
        How errors name them.

    Returns
    -------
    dict of str to numpy.ndarray
        Those that the network and the rule need.

    Raises
    ------
    WeightsError
        Missing or unknown layers, wrong shapes, values that are not finite.
    """
    shapes = weight_shapes(spec, rule)
    missing = sorted(set(shapes) - set(weights))
    unknown = sorted(name for name in set(weights) - set(shapes) if not name.startswith(OF_RULES))
    if missing or unknown:
        raise WeightsError(
            where,
            "these are the weights of another network",
            got=", ".join(f"{k} {np.shape(v)}" for k, v in weights.items()) or "nothing",
            expected=", ".join(f"{k} {v}" for k, v in shapes.items()),
            remedy="load the weights into the network (and rule) that they were trained with",
        )
    result = {}
    signs = {p.name: p.weight_signs for p in (*spec.projections, *spec.readout_projections)}
    constants = {one.key: one for one in spec.learned_constants}
    for name, shape in shapes.items():
        array = numbers(where, f"the weights of {name}", weights[name], f"floats, {shape}", error=WeightsError)
        if array.shape != shape:
            raise WeightsError(
                where,
                f"the weights of {name} have the wrong shape",
                got=array.shape,
                expected=shape,
                remedy="load the weights into the network that they were trained with",
            )
        if not np.issubdtype(array.dtype, np.floating):
            raise WeightsError(where, f"the weights of {name} are not real numbers", got=array.dtype, expected="float")
        if not np.isfinite(array).all():
            index = tuple(int(k) for k in np.argwhere(~np.isfinite(array))[0])
            raise WeightsError(
                where,
                f"the weights of {name} are not finite",
                got=f"{array[index]} at {index}",
                expected="finite numbers",
            )
        _check_signs(where, signs.get(name), array, name)
        if name in constants:
            _check_bounds(where, constants[name], array)
        if name in spec.learned_delays:
            _check_limits(where, spec.learned_delays[name].delay.limits, array, name)
        # half, extended: what the engines do not know
        result[name] = array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
    return result


def _check_limits(where: str, limits: tuple[float, float], array: np.ndarray, name: str) -> None:
    low, high = limits
    outside = (array < low - 1e-6 * high) | (array > high * (1 + 1e-6))  # what float32 makes of the bounds is within
    if outside.any():
        index = tuple(int(k) for k in np.argwhere(outside)[0])
        raise WeightsError(
            where,
            f"{name} does not lie between the bounds of the projection's delays",
            got=f"{array[index]} ms at {index}",
            expected=f"{low:g} ms to {high:g} ms",
        )


def _check_signs(where: str, signs: np.ndarray | None, array: np.ndarray, name: str) -> None:
    if signs is not None and (array * signs < 0).any():
        index = tuple(int(k) for k in np.argwhere(array * signs < 0)[0])
        raise WeightsError(
            where,
            f"the weights of {name} do not have the sign of the projection",
            got=f"{array[index]} at {index}",
            expected=f"{'>= 0' if signs[index] > 0 else '<= 0'} (or 0)",
            remedy="give weights of that sign, or leave sign out of bl.Projection(...)",
        )


def _check_bounds(where: str, one: LearnedConstant, array: np.ndarray) -> None:
    spread = 1e-6 * max(abs(end) for end in (one.low, one.high, 0.0) if np.isfinite(end))  # bounds in float32
    outside = (array < one.low - spread) | (array > one.high + spread)
    if outside.any():
        index = int(np.flatnonzero(outside)[0])
        raise WeightsError(
            where,
            f"the learned constant {one.key} is outside its bounds",
            got=f"{array[index]} at {index}",
            expected=f"{one.low:g} to {one.high:g}: {one.bounds_text()}",
            remedy="give values within the bounds, or change those of bl.Learned(...)",
        )
