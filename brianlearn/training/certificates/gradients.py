"""Checks of gradients: those of the discrete engine against the same network in plain torch, and against differences.

A surrogate derivative is no derivative of the spikes, so differences of the real network say nothing. Two things do:
torch's autograd of a plain loop over the same equations, entry by entry; and central differences of a network whose
spikes are smooth around those that were fired, with the integral of the surrogate derivative in place of the step.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.engine import DiscreteEngine
from brianlearn.discrete.run.bptt import total_loss
from brianlearn.discrete.run.losses import TrialLoss
from brianlearn.discrete.run.targets import as_tensor
from brianlearn.learning.delays import rounded
from brianlearn.learning.optimisers import SGD
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.rules.three_factor import ThreeFactorRule
from brianlearn.learning.state import LearnerState
from brianlearn.learning.weights import check_weights
from brianlearn.network.samples.samples import Samples
from brianlearn.network.spec import NetworkSpec
from brianlearn.training.certificates.plain_network import PlainNetwork, PlainRun
from brianlearn.training.certificates.plain_three_factor import three_factor_gradients

__all__ = ["GradientCase", "Slopes", "entries", "slopes"]

#: Relative differences of two gradients in double precision that only rounding makes.
ROUNDING = 1e-9
#: Relative differences that central differences leave.
OF_DIFFERENCES = 1e-5
#: How far weights move for a difference, relative to their size: the best of these counts.
STEPS = (1e-5, 1e-6, 1e-4, 1e-7)


@dataclasses.dataclass(frozen=True, eq=False)
class GradientCase:
    """One batch whose gradient is computed.

    Attributes
    ----------
    spec : NetworkSpec
    rule : Rule
        With a loss, or a `ThreeFactorRule` that learns from batches.
    state : LearnerState
        In double precision; of learned delays those that the epoch spreads.
    samples : Samples
        On the time grid.
    """

    spec: NetworkSpec
    rule: Rule
    state: LearnerState
    samples: Samples

    @classmethod
    def of(cls, spec: NetworkSpec, rule: Rule, weights: Mapping[str, np.ndarray], samples: Samples, seed: int) -> Any:
        """A batch as in the first epoch, in which learned delays are spread.

        Raises
        ------
        WeightsError
            Weights of another network, or that are not finite.
        """
        weights = check_weights(spec, rule, weights)
        still = [name for name, q in spec.learned_delays.items() if not q.delay.width(0, spec.dt)]
        fixed, own = rounded(spec, weights, [name for name in spec.learned_delays if name not in still])
        arrays = {name: np.asarray(w, np.float64) for name, w in own.items()}
        return cls(fixed, rule, LearnerState(arrays, seed=seed), samples.on_grid(fixed))

    @property
    def keys(self) -> np.ndarray:
        """Random keys of the presentations."""
        return self.state.sample_keys(self.samples.ids, learning=True)

    def engine(self, device: str, dtype: str, options: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The gradient that the discrete engine would learn with."""
        n = len(self.samples)
        found = DiscreteEngine(
            self.spec, self.rule, SGD(1.0), device=device, dtype=dtype, batch_size=n, options=options
        )
        weights = {name: w.astype(dtype) for name, w in self.state.weights.items()}
        return found.gradient(dataclasses.replace(self.state, weights=weights), self.samples)

    @property
    def targets(self) -> torch.Tensor:
        """Of the samples."""
        return as_tensor(self.samples.targets, "cpu")

    def tensors(self, *, requires_grad: bool = False) -> dict[str, torch.Tensor]:
        """The weights."""
        return {name: torch.tensor(w, requires_grad=requires_grad) for name, w in self.state.weights.items()}

    def plain(self) -> PlainNetwork:
        """The network as a plain loop, with this batch."""
        return PlainNetwork(self.spec, self.samples.inputs, self.keys, epoch=self.state.epoch, learning=True)

    def loss(self, run: PlainRun) -> torch.Tensor:
        """The mean loss of a run."""
        assert self.rule.loss is not None
        return total_loss(TrialLoss(self.rule.loss, self.spec), run.activity, self.targets).mean()

    @property
    def reset_kept(self) -> bool:
        """Whether the spike that resets passes gradient."""
        return self.rule.reset_path == "kept"

    def smooth_constants(self) -> set[str]:
        """Learned constants, which the plain loop takes as numbers: differences of them alone are compared."""
        return {one.key for one in self.spec.learned_constants}


def entries(case: GradientCase, found: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
    """Every entry of a gradient against the plain loop: name -> largest entry and largest difference.

    Parameters
    ----------
    case : GradientCase
    found : mapping
        From the engine.

    Raises
    ------
    SpecError, RuleError
        What the plain loop cannot run, by name.
    """
    network, constants = case.plain(), case.smooth_constants()
    if isinstance(case.rule, ThreeFactorRule):
        expected = three_factor_gradients(network, case.rule, case.tensors(), case.targets)
    else:
        weights = case.tensors(requires_grad=True)
        names = [name for name in found if name not in constants]
        loss = case.loss(network.run(weights, reset_kept=case.reset_kept))
        each = torch.autograd.grad(loss, [weights[name] for name in names], allow_unused=True)
        expected = {
            name: torch.zeros_like(weights[name]) if g is None else g for name, g in zip(names, each, strict=True)
        }
    return {
        name: {"largest": _largest(g.numpy()), "difference": _largest(found[name] - g.numpy())}
        for name, g in expected.items()
    }


@dataclasses.dataclass(frozen=True)
class Slopes:
    """A slope of the loss along one direction of one array of weights.

    Attributes
    ----------
    engine, differences : float
        From the engine's gradient, and by central differences.
    step : float
        Of the difference that agreed best, relative to the size of the weights.
    """

    engine: float
    differences: float
    step: float

    @property
    def relative(self) -> float:
        """Difference of both, relative to the larger one."""
        scale = max(abs(self.engine), abs(self.differences))
        return abs(self.engine - self.differences) / scale if scale else 0.0


def slopes(case: GradientCase, found: Mapping[str, np.ndarray], seed: int = 0) -> dict[str, Slopes]:
    """Slopes of the smooth loss along a random direction of each array, in which every entry takes part.

    Parameters
    ----------
    case : GradientCase
        Of a rule with a loss.
    found : mapping
        From the engine.
    seed : int
        Of the directions.

    Returns
    -------
    dict of str to Slopes
        Arrays whose gradient is 0 are left out.
    """
    network, weights = case.plain(), case.tensors()
    with torch.no_grad():
        base = network.run(weights, reset_kept=case.reset_kept).done
    result = {}
    for k, (name, gradient) in enumerate(found.items()):
        if not np.any(gradient):
            continue
        drawn = np.random.default_rng([seed, k]).normal(size=gradient.shape)
        # of the gradient's own signs: a sum in which nothing cancels, however small single entries are
        direction = torch.from_numpy(np.abs(drawn) * np.where(gradient < 0, -1.0, 1.0))
        slope = float((direction.numpy() * gradient).sum())
        size = max(float(weights[name].abs().mean()), 1e-3)
        best: Slopes | None = None
        for step in STEPS:
            ends = []
            for sign in (1.0, -1.0):
                moved = {**weights, name: weights[name] + sign * step * size * direction}
                with torch.no_grad():
                    ends.append(float(case.loss(network.run(moved, reset_kept=case.reset_kept, base=base))))
            one = Slopes(slope, (ends[0] - ends[1]) / (2 * step * size), step)
            best = one if best is None or one.relative < best.relative else best
            if best.relative <= OF_DIFFERENCES:
                break
        assert best is not None
        result[name] = best
    return result


def _largest(array: np.ndarray) -> float:
    return float(np.abs(array).max(initial=0.0))
