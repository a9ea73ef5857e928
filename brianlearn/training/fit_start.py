"""One start of a fit, and what a neuron does with its own spikes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Quantity, second
from brian2.units.fundamentalunits import DIMENSIONLESS, get_dimensions

from brianlearn.errors import DataError
from brianlearn.learning.losses import Loss
from brianlearn.learning.optimisers import Optimiser
from brianlearn.learning.trace_mse import TraceMSE
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.samples.sweeps import Sweeps
from brianlearn.network.spec import NetworkSpec

__all__ = ["CELL", "Start", "own_spikes", "start"]

#: The population's name.
CELL = "cell"


@dataclass(frozen=True, eq=False)
class Start:
    """The end of one start."""

    numbers: dict[str, np.ndarray]
    loss: float
    evaluations: int
    seconds: float


def _in_units(neuron: Neuron, sweeps: Sweeps) -> np.ndarray:
    return np.asarray(sweeps.current) / float(np.asarray(neuron.unit_of(neuron.inputs[0])))


def own_spikes(neuron: Neuron, sweeps: Sweeps, spec: NetworkSpec) -> Sweeps:
    """What a neuron does with its own spikes."""
    import torch

    from brianlearn.discrete.run.clamped import Injected

    cell = Injected(spec, recorded=False, parameters={})
    with torch.no_grad():
        spikes, membranes = cell.run(cell.delivered(_in_units(neuron, sweeps), None))
    fired, dim = spikes[:, :, 0].numpy().T > 0, get_dimensions(neuron.v_scale)
    voltage = membranes[:, :, 0].numpy().T.copy()
    return Sweeps(
        sweeps.current,
        sweeps.dt,
        voltage if dim is DIMENSIONLESS else Quantity(voltage, dim=dim),
        [np.flatnonzero(row) * float(sweeps.dt) * second for row in fired],
    )


def start(
    spec: NetworkSpec,
    sweeps: Sweeps,
    loss: TraceMSE | Loss,
    optimiser: Optimiser,
    iterations: int,
    polish: int,
    seed: int,
    recorded: bool,
) -> Start:
    """One start: the optimiser's steps, then L-BFGS-B where the loss is smooth."""
    import torch

    from brianlearn.discrete.run.clamped import Injected
    from brianlearn.discrete.run.optimisers import TensorOptimiser

    began, neuron = time.perf_counter(), spec.neurons[0].neuron
    assert isinstance(neuron, Neuron)
    constants = spec.learned_constants
    numbers = {one.key: torch.tensor(one.initial(seed)).requires_grad_() for one in constants}
    cell = Injected(spec, recorded=recorded, parameters=numbers)
    delivered = cell.delivered(_in_units(neuron, sweeps), sweeps.fired() if recorded else None)
    measure = _measure(loss, sweeps, spec)
    evaluations = 0

    def evaluate() -> tuple[float, dict[str, Any]]:
        nonlocal evaluations
        evaluations += 1
        value = measure(*cell.run(delivered))
        found = torch.autograd.grad(value, list(numbers.values()))
        return float(value.detach()), dict(zip(numbers, found, strict=True))

    best, kept = np.inf, {key: tensor.detach().clone() for key, tensor in numbers.items()}

    def keep(value: float) -> None:
        nonlocal best
        if value < best:
            best = value
            for key, tensor in numbers.items():
                kept[key].copy_(tensor.detach())

    slots = {key: {slot: torch.zeros_like(tensor) for slot in optimiser.slots} for key, tensor in numbers.items()}
    bounds = {one.key: (one.low, one.high) for one in constants}
    steps = TensorOptimiser(optimiser, numbers, slots, {}, 0, bounds=bounds)
    for k in range(iterations):
        value, found = evaluate()
        keep(value)
        # where a membrane has run away there is no gradient: the other sweeps say where to go
        found = {key: torch.nan_to_num(g, nan=0.0, posinf=0.0, neginf=0.0) for key, g in found.items()}
        steps.rates = dict.fromkeys(numbers, optimiser.rate_at(k))
        steps.step(found)
    keep(evaluate()[0])
    if recorded and polish and np.isfinite(best):
        _polish(numbers, kept, bounds, polish, evaluate, keep)
    final = {key: tensor.numpy().copy() for key, tensor in kept.items()}
    return Start(final, best, evaluations, time.perf_counter() - began)


def _polish(
    numbers: Mapping[str, Any],
    kept: Mapping[str, Any],
    bounds: Mapping[str, tuple[float, float]],
    most: int,
    evaluate: Callable[[], tuple[float, dict[str, Any]]],
    keep: Callable[[float], None],
) -> None:
    """L-BFGS-B from the best point so far; each constant is one number."""
    import torch
    from scipy.optimize import minimize

    def at(point: np.ndarray) -> tuple[float, np.ndarray]:
        with torch.no_grad():
            for tensor, number in zip(numbers.values(), point, strict=True):
                tensor.fill_(float(number))
        value, found = evaluate()
        if not np.isfinite(value):
            return 1e30, np.zeros(len(point))
        keep(value)
        return value, np.array([float(g) for g in found.values()])

    start = np.array([float(tensor) for tensor in kept.values()])
    ends = [tuple(None if np.isinf(end) else end for end in bounds[key]) for key in numbers]
    options = {"maxiter": most, "maxcor": 20, "ftol": 1e-15, "gtol": 1e-12}
    minimize(at, start, jac=True, method="L-BFGS-B", bounds=ends, options=options)


def _measure(loss: TraceMSE | Loss, sweeps: Sweeps, spec: NetworkSpec) -> Callable[[Any, Any], Any]:
    """The loss of spikes and membranes, shape (T, n, 1): the mean over sweeps."""
    import torch

    from brianlearn.discrete.run.activity import DiscreteActivity
    from brianlearn.discrete.run.losses import TrialLoss

    if isinstance(loss, TraceMSE):
        low, high = loss.ends()
        wanted = torch.from_numpy(np.clip(np.asarray(sweeps.voltage), low, high).T.copy())[:, :, None]
        counts = torch.from_numpy(loss.counts(sweeps).T.astype(float))[:, :, None]
        if not counts.any():
            raise DataError(
                "fit",
                "no step counts",
                got=f"before={loss.before}, after={loss.after}",
                expected="a shorter before and after",
            )
        unit = float(loss.unit)
        return lambda spikes, membranes: (
            (((membranes.clamp(low, high) - wanted) / unit).square() * counts).sum() / counts.sum()
        )
    of_trains, fired = TrialLoss(loss, spec), torch.from_numpy(sweeps.fired())[:, :, None]
    return lambda spikes, membranes: of_trains(DiscreteActivity({CELL: spikes}, None), fired).mean()
