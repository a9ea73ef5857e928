"""Losses of trials, and their gradients, against their definitions in numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, ms

import brianlearn as bl
from brianlearn.errors import RuleError
from brianlearn.learning.losses import CrossEntropy, Hamming, Loss, RateMSE, ReadoutMSE, SpikeCount, VanRossum
from brianlearn.learning.targets import FirstSpike, Regular, Targets
from brianlearn.network import LIF, Dense, Input, NetworkSpec, Readout

torch = pytest.importorskip("torch")

from brianlearn.discrete import DiscreteActivity  # noqa: E402
from brianlearn.discrete.run.losses import TrialLoss  # noqa: E402

STEPS, TRIALS, CLASSES, BURN_IN = 12, 5, 3, 3
TARGETS = Targets(Regular(500 * Hz), FirstSpike(4 * ms))


def one(loss: Loss, spikes: np.ndarray, readout: np.ndarray, label: int) -> float:
    """The definition, for one trial; spikes and readout (T, classes)."""
    late = slice(BURN_IN, None)
    steps = STEPS - BURN_IN
    y = np.arange(CLASSES) == label
    counts = spikes[late].sum(axis=0)
    if isinstance(loss, VanRossum | Hamming):
        target = np.zeros((STEPS, CLASSES))
        target[4, ~y] = 1
        target[1::2, label] = 1
        if isinstance(loss, Hamming):
            return float(np.abs(spikes - target)[late].sum())
        c = 1 - 1 / 4 if loss.kernel == "euler" else np.exp(-1 / 4)
        kernel = (1 - c) * c ** np.arange(STEPS)
        filtered = [
            np.stack([np.convolve(train, kernel)[:STEPS] for train in trains.T], axis=1) for trains in (spikes, target)
        ]
        return float(0.5 * ((filtered[0] - filtered[1])[late] ** 2).sum())
    if isinstance(loss, SpikeCount):
        return float(((counts - np.where(y, loss.desired, loss.undesired)) ** 2).sum() / (2 * steps))
    if isinstance(loss, RateMSE):
        return float(0.5 * ((y - counts / steps) ** 2).sum())
    if isinstance(loss, ReadoutMSE):
        return float(((readout[late] - y) ** 2).mean())
    assert isinstance(loss, CrossEntropy)
    wanted = loss.label_smoothing / CLASSES + (1 - loss.label_smoothing) * (np.arange(CLASSES) == label)
    each = readout[late] if loss.every_step else readout[late].mean(axis=0, keepdims=True)
    return float(np.mean([wanted @ (np.log(np.exp(logits).sum()) - logits) for logits in each]))


LOSSES = [
    VanRossum(4 * ms, TARGETS),
    VanRossum(4 * ms, TARGETS, kernel="exact"),
    Hamming(TARGETS),
    SpikeCount(6, 1.5),
    RateMSE(),
    ReadoutMSE(),
    CrossEntropy(),
    CrossEntropy(label_smoothing=0.2),
    CrossEntropy(label_smoothing=0.1, every_step=True),
]


def case(loss: Loss) -> tuple[NetworkSpec, Any, Any, Any]:
    rng = np.random.default_rng(1)
    spec = NetworkSpec(
        Input((4,)),
        [Dense(CLASSES, LIF())],
        None if loss.output == "spikes" else Readout(CLASSES),
        duration=STEPS * ms,
        burn_in=BURN_IN * ms,
    )
    spikes = torch.tensor((rng.random((STEPS, TRIALS, CLASSES)) < 0.4) * 1.0, requires_grad=True)
    readout = torch.tensor(rng.normal(size=(STEPS, TRIALS, CLASSES)), requires_grad=True)
    return spec, spikes, readout, rng.integers(0, CLASSES, TRIALS)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
def test_values_and_derivatives(loss: Loss) -> None:
    spec, spikes, readout, labels = case(loss)
    given = None if spec.readout is None else readout
    activity = DiscreteActivity({"input": spikes, "dense1": spikes}, given, spec.burn_in_steps)
    found = TrialLoss(loss, spec)(activity, torch.tensor(labels))
    s, r = spikes.detach().numpy(), readout.detach().numpy()
    expected = [one(loss, s[:, b], r[:, b], labels[b]) for b in range(TRIALS)]
    assert np.abs(found.detach().numpy() - expected).max() < 1e-12

    found.sum().backward()
    of = spikes if spec.readout is None else readout
    assert not of.grad[:BURN_IN].any() or isinstance(loss, VanRossum), "nothing is asked of the burn-in"
    if isinstance(loss, Hamming):
        target = TARGETS.trains(spec)[labels].transpose(2, 0, 1)
        assert np.array_equal(of.grad[BURN_IN:].numpy(), np.sign(s - target)[BURN_IN:])
        return
    h = 1e-5
    for t, b, i in ((BURN_IN, 0, 0), (7, 1, 2), (STEPS - 1, 4, 1), (0, 2, 1)):
        change = np.zeros_like(s)
        change[t, b, i] = h
        x = (change, 0) if spec.readout is None else (0, change)
        up, down = (one(loss, (s + k * x[0])[:, b], (r + k * x[1])[:, b], labels[b]) for k in (1, -1))
        assert of.grad[t, b, i].item() == pytest.approx((up - down) / (2 * h), abs=1e-8)


def test_cross_entropy_of_spike_counts() -> None:
    spec, spikes, _, labels = case(Hamming())
    activity = DiscreteActivity({"dense1": spikes}, None, BURN_IN)
    found = TrialLoss(CrossEntropy(), spec)(activity, torch.tensor(labels)).detach().numpy()
    counts = spikes.detach().numpy()[BURN_IN:].sum(axis=0)
    expected = np.log(np.exp(counts).sum(axis=1)) - counts[np.arange(TRIALS), labels]
    assert np.abs(found - expected).max() < 1e-12


def test_other_precision() -> None:
    """Targets follow the type of the spikes."""
    spec, spikes, _, labels = case(Hamming())
    loss = TrialLoss(Hamming(), spec)
    for dtype in (torch.float32, torch.float64):
        activity = DiscreteActivity({"dense1": spikes.detach().to(dtype)}, None, 0)
        assert loss(activity, torch.tensor(labels)).dtype == dtype


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, float("nan"), "much"])
def test_wrong_smoothing(smoothing: Any) -> None:
    with pytest.raises(RuleError, match="label_smoothing is wrong"):
        CrossEntropy(label_smoothing=smoothing)


def test_cross_entropy_in_every_step_needs_a_readout() -> None:
    with pytest.raises(RuleError, match="every_step is wrong"):
        CrossEntropy(every_step=1)  # type: ignore[arg-type]
    spec, *_ = case(Hamming())
    with pytest.raises(RuleError, match="the network has none"):
        CrossEntropy(every_step=True).check(spec)


# losses of one's own ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AbsoluteError(Loss):
    weight: float = 1.0
    name = "absolute"
    output = "readout"

    def of_trials(self, activity, labels, spec):
        wanted = torch.nn.functional.one_hot(labels, spec.classes)
        return self.weight * (activity.logits - wanted).abs().mean(dim=1)


def test_a_loss_of_ones_own_is_followed() -> None:
    """Learning with it goes down its own gradient, by central differences in a weight of the readout."""
    layers = [bl.Dense(6, bl.CubaLIF(R=8.0), weights=bl.Normal(3.0))]
    spec = bl.NetworkSpec(bl.Input((5,)), layers, bl.Readout(3), duration=8 * ms)
    rule = bl.SurrogateBPTT(loss=AbsoluteError(2.0))
    learner = bl.Learner(spec, rule, bl.SGD(1.0), dtype="float64", batch_size=4)
    rng = np.random.default_rng(0)
    samples = bl.Samples(rng.random((4, 5)), np.array([0, 1, 2, 1]))
    state = learner.init()
    new, measured = learner.learn(state, samples)
    change = state.weights["readout"] - new.weights["readout"]
    index = np.unravel_index(np.abs(change).argmax(), change.shape)

    def loss(shift: float) -> float:
        weights = {name: array.copy() for name, array in state.weights.items()}
        weights["readout"][index] += shift
        found = learner.infer(learner.init(weights), samples).loss
        assert found is not None
        return found

    assert measured.loss == pytest.approx(loss(0.0))
    slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
    assert abs(slope) > 1e-3
    assert change[index] == pytest.approx(slope, rel=1e-6)


@dataclass(frozen=True)
class Faulty(Loss):
    how: str = "scalar"
    name = "faulty"

    def of_trials(self, activity, labels, spec):
        right = activity.logits.mean(dim=1)
        return {
            "scalar": right.mean(),
            "numpy": right.detach().numpy(),
            "classes": activity.logits,
            "integers": activity.predictions,
            "detached": right.detach(),
            "none": None,
        }[self.how]


@pytest.mark.parametrize("how", ["scalar", "numpy", "classes", "integers", "detached", "none"])
def test_a_loss_that_is_none_is_named(how: str) -> None:
    spec = bl.NetworkSpec(bl.Input((5,)), [bl.Dense(6, bl.CubaLIF())], bl.Readout(3), duration=8 * ms)
    learner = bl.Learner(spec, bl.SurrogateBPTT(loss=Faulty(how)), batch_size=2)
    with pytest.raises(bl.RuleError, match=r"Faulty: (of_trials|no gradient)"):
        learner.learn(learner.init(), bl.Samples(np.ones((2, 5)), [0, 1]))


def test_a_loss_without_its_method_says_so() -> None:
    @dataclass(frozen=True)
    class L1(Loss):
        name = "l1"

    with pytest.raises(bl.RuleError, match=r"L1: the class is abstract(.|\n)*of_trials"):
        L1()
