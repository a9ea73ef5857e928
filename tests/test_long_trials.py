"""Long trials: sums over their steps keep their digits in single precision, and their last step is not lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import Clock, ms

import brianlearn as bl

#: A neuron that fires in every third step, and one that fires seldom; a leaky readout.
WEIGHTS = {"dense1": np.array([[5.0], [0.013]]), "readout": np.array([[0.1, 0.02], [0.03, 0.1]])}
SAMPLES = bl.Samples(np.ones((2, 1)), [0, 1])


def spec_of(steps: int, neuron: Any = None, **options: Any) -> bl.NetworkSpec:
    neuron = neuron or bl.LIF(tau_m=20 * ms, refractory=0.3 * ms)
    readout, dt = bl.Readout(2, tau=10 * ms), 0.1 * ms
    return bl.NetworkSpec(
        bl.Input((1,), bl.DirectCurrent(1.0)), [bl.Dense(2, neuron)], readout, dt=dt, duration=steps * dt, **options
    )


def check_sums(device: str, steps: int, **options: Any) -> None:
    """Mean readout and loss in single precision, against sums in double precision over the same spikes."""
    spec = spec_of(steps, **options)
    learner = bl.Learner(spec, device=device, dtype="float32")
    activity = learner.infer(learner.init(WEIGHTS), SAMPLES, record="spikes")
    fired = activity.spikes["dense1"].dense()[0].astype(float)
    assert fired[:, 0].sum() > steps / 4 and fired[:, 1].sum() > steps / 150
    if spec.timing == "pipelined":
        fired = np.r_[np.zeros((1, 2)), fired[:-1]]
    y, total, squares = np.zeros(2), np.zeros(2), np.zeros((2, 2))
    decay = np.exp(-0.1 / 10)
    for s in fired:
        y = decay * y + WEIGHTS["readout"] @ s
        total += y
        squares += (y - np.eye(2)) ** 2
    assert activity.logits.shape == (2, 2), "the last trial is measured too"
    np.testing.assert_allclose(activity.logits, np.stack([total, total]) / steps, rtol=2e-7)
    assert activity.loss == pytest.approx(squares.mean() / steps, rel=2e-7)


@pytest.mark.parametrize("timing", ["same_step", "pipelined"])
def test_sums_of_the_readout(timing: str) -> None:
    check_sums("numpy", 3000, timing=timing)


@pytest.mark.slow
def test_sums_of_the_readout_in_very_long_trials() -> None:
    """Of more steps than Brian2 tells apart at the end of a run."""
    check_sums("numpy", 12000)


@pytest.mark.slow
@pytest.mark.cpp_standalone
def test_sums_of_the_readout_compiled() -> None:
    check_sums("cpp_standalone", 100_000)


def check_gradient(device: str, rule: Any, neuron: Any = None, steps: int = 3000, **options: Any) -> None:
    """What SGD with a rate of 1 takes from the weights is the gradient; of single against double precision."""
    spec = spec_of(steps, neuron, **options)
    changes = {}
    for dtype in ("float32", "float64"):
        learner = bl.Learner(spec, rule, bl.SGD(1.0), device=device, dtype=dtype, batch_size=2)
        # weights of 0, so that the change itself is all that is stored
        start = learner.init(WEIGHTS | {"dense1": np.zeros((2, 1))})
        changes[dtype] = learner.learn(start, SAMPLES)[0].weights["dense1"]
    assert (np.abs(changes["float64"]) > 1e-3).all()
    np.testing.assert_allclose(changes["float32"], changes["float64"], rtol=5e-7)


RULES = {
    "spike": (bl.TFR(), None, "same_step"),
    "mirror": (bl.DALTON(feedback="mirror"), None, "same_step"),
    "pipelined": (bl.TFR(), None, "pipelined"),
    # the membrane has no leak, so that its trace is a sum over time itself
    "trace": (bl.TFR(eligibility="trace"), bl.DaltonIF(tau_s=1 * ms), "same_step"),
}


@pytest.mark.parametrize("name", RULES)
def test_gradient(name: str) -> None:
    rule, neuron, timing = RULES[name]
    check_gradient("numpy", rule, neuron, timing=timing)


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("name", ["spike", "trace"])
def test_gradient_compiled(name: str) -> None:
    rule, neuron, timing = RULES[name]
    check_gradient("cpp_standalone", rule, neuron, steps=30_000, timing=timing)


def test_the_last_batch_is_learned_whatever_brian2_takes_for_equal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Brian2 ends a clock early where the end is within a part of its step: batches of very many steps."""
    ends: list[tuple[float, float]] = []
    set_interval = Clock.set_interval

    def spy(clock: Clock, start: Any, end: Any) -> None:
        set_interval(clock, start, end)
        ends.append((clock._i_end * float(clock.dt), float(end)))

    monkeypatch.setattr(Clock, "set_interval", spy)
    monkeypatch.setattr(Clock, "epsilon_dt", 0.05)  # 1e-4, for batches of 10000 steps; here of 40
    learner = bl.Learner(spec_of(20), bl.TFR(), bl.SGD(1.0), device="numpy", batch_size=2)
    learner.learn(learner.init(WEIGHTS), SAMPLES)
    assert ends
    for last, end in ends:
        assert last > 40 * 1e-4 + 1e-9 or end < 40 * 1e-4, "the step after the last trial is run by every clock"
