"""A network of two populations in plain numpy, whose spikes are smooth, written from the equations alone.

A spike is a step function of x. Around the trajectory of the real network, which fired or not (``fired``) at x0, it is
replaced by fired + S(x) - S(x0), where S is the antiderivative of the surrogate derivative: at that trajectory the
value is the same, and the derivative is the surrogate. So central differences of this network are what back-propagation
with surrogate derivatives computes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import expm

#: Seconds.
DT = 1e-3
#: Slope of the fast sigmoid 1/(1 + SLOPE |x|)^2.
SLOPE = 3.0

State = dict[str, np.ndarray]
Constants = Mapping[str, Any]


def antiderivative(x: np.ndarray) -> np.ndarray:
    return x / (1 + SLOPE * np.abs(x))


@dataclass(frozen=True)
class Model:
    """Equations of one neuron: the step of its states, x, and what a reset leaves."""

    step: Callable[[State, Constants, Any], State]
    distance: Callable[[State, Constants], Any]
    reset: Callable[[State, Constants], State]
    states: tuple[str, ...]
    input: str
    scale: float = 1.0
    refractory: int = 0


def linear(rows: Callable[[Constants], Any], names: tuple[str, ...], frozen: str = "") -> Callable[..., State]:
    """The exact step of dx/dt = A x + b, one matrix exponential for each neuron."""

    def step(state: State, c: Constants, ready: Any) -> State:
        n = len(next(iter(state.values())))
        found = {name: np.zeros(n) for name in names}
        for k in range(n):
            own = {
                key: (np.ravel(value)[k] if np.size(value) > 1 else float(np.ravel(value)[0]))
                for key, value in c.items()
            }
            matrix = np.zeros((len(names) + 1, len(names) + 1))
            matrix[:-1] = rows(own)
            if frozen and not ready[k]:
                matrix[names.index(frozen)] = 0
            after = expm(matrix * DT) @ np.array([*(state[name][k] for name in names), 1.0])
            for name, value in zip(names, after, strict=False):
                found[name][k] = value
        return found

    return step


def explicit(slope: Callable[[State, Constants], State], method: str) -> Callable[..., State]:
    """A Runge-Kutta step; Brian2's rk2 is the midpoint rule."""

    def moved(state: State, k: State, by: float) -> State:
        return {name: state[name] + by * k[name] for name in state}

    def step(state: State, c: Constants, ready: Any) -> State:
        k1 = slope(state, c)
        if method == "euler":
            return moved(state, k1, DT)
        k2 = slope(moved(state, k1, DT / 2), c)
        if method == "rk2":
            return moved(state, k2, DT)
        k3 = slope(moved(state, k2, DT / 2), c)
        k4 = slope(moved(state, k3, DT), c)
        return {name: state[name] + DT / 6 * (k1[name] + 2 * k2[name] + 2 * k3[name] + k4[name]) for name in state}

    return step


def run(
    model: Model,
    constants: Mapping[str, Constants],
    weights: Mapping[str, np.ndarray],
    spikes: np.ndarray,
    *,
    timing: str,
    kept: bool,
    base: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] | None = None,
) -> tuple[np.ndarray, dict[tuple[str, int], tuple[np.ndarray, np.ndarray]]]:
    """Populations a and b: input -> a -> b, and b -> a after one step (with ``weights["back"]``); readout of b.

    Without ``base`` spikes are real, and what is returned beside the readout (T, classes) is the base of smooth ones.
    """
    sizes = {"a": len(weights["a"]), "b": len(weights["b"])}
    states = {p: {name: np.zeros(n) for name in model.states} for p, n in sizes.items()}
    since = {p: np.full(n, 10**9) for p, n in sizes.items()}
    sent = {p: np.zeros(n) for p, n in sizes.items()}
    found: dict[tuple[str, int], tuple[np.ndarray, np.ndarray]] = {}
    readout = []

    def fire(p: str, t: int) -> tuple[np.ndarray, np.ndarray]:
        x = model.distance(states[p], constants[p]) / model.scale
        ready = since[p] >= max(1, model.refractory)
        if base is None:
            fired = ((x > 0) & ready).astype(float)
            found[p, t] = fired, x
            smooth = fired
        else:
            fired, x0 = base[p, t]
            smooth = fired + ready * (antiderivative(x) - antiderivative(x0))
        since[p] = np.where(fired > 0, 1, since[p] + 1)
        return smooth, fired

    def reset(p: str, smooth: np.ndarray, fired: np.ndarray) -> None:
        part = smooth if kept else fired
        for name, value in model.reset(states[p], constants[p]).items():
            states[p][name] = part * value + (1 - part) * states[p][name]

    for time, given in enumerate(spikes):
        arriving = {"a": weights["a"] @ given}
        if "back" in weights:
            arriving["a"] = arriving["a"] + weights["back"] @ sent["b"]
        now: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        for p in ("a", "b"):
            ready = since[p] >= max(1, model.refractory)
            if timing == "same_step":
                if p == "b":
                    arriving["b"] = weights["b"] @ now["a"][0]
                states[p][model.input] = states[p][model.input] + arriving[p]
            states[p] = model.step(states[p], constants[p], ready)
            now[p] = fire(p, time)
            if timing == "same_step":
                reset(p, *now[p])
        if timing == "brian2":
            arriving = {"a": weights["a"] @ given, "b": weights["b"] @ now["a"][0]}
            if "back" in weights:
                arriving["a"] = arriving["a"] + weights["back"] @ sent["b"]
            for p in ("a", "b"):
                states[p][model.input] = states[p][model.input] + arriving[p]
                reset(p, *now[p])
        sent = {p: smooth for p, (smooth, _) in now.items()}
        readout.append(weights["readout"] @ now["b"][0])
    return np.array(readout), found
