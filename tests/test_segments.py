"""Back-propagation through long trials in parts: gradients are those of the whole trial."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from brian2 import ms  # noqa: E402
from recurrent_reference import CLASSES, N, T, samples  # noqa: E402
from recurrent_reference import NEURONS as KINDS  # noqa: E402
from test_recurrent import loop  # noqa: E402

import brianlearn as bl  # noqa: E402
from brianlearn.discrete.run import bptt, segments  # noqa: E402
from brianlearn.discrete.run.losses import TrialLoss  # noqa: E402
from brianlearn.errors import RuleError  # noqa: E402


def chain(**options: Any) -> bl.NetworkSpec:
    """Feed-forward, with a convolution and its pool."""
    return bl.NetworkSpec(
        bl.Input((1, 6, 6), bl.IntegrateAndFireEncoder()),
        [bl.Conv(2, 3, KINDS["cuba"], pool=2), bl.Dense(5, KINDS["cuba"], **options)],
        bl.Readout(CLASSES, tau=4 * ms),
        duration=T * ms,
    )


def current() -> bl.NetworkSpec:
    """A direct current, a readout without memory, and a source that its target hears late."""
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (6,), bl.DirectCurrent()),
            bl.Population("first", 8, KINDS["cuba"]),
            bl.Population("out", CLASSES, bl.LinearReadout()),
        ],
        projections=[
            bl.Projection("in1", "input", "first", weights=bl.Normal(1.0), bias=True, delay=2 * ms),
            bl.Projection("self", "first", "first", bl.Sparse(0.5, seed=3), weights=bl.Normal(2.0), delay=4 * ms),
            bl.Projection("to_out", "first", "out", weights=bl.Uniform(1.0)),
        ],
        duration=T * ms,
    )


NETWORKS: dict[str, Any] = {
    "cycles": lambda: loop(),
    "delays of other lengths": lambda: loop(delays=(7, 1, 4)),
    "delays longer than a part": lambda: loop(delays=(11, 6, 9)),
    "dropout": lambda: loop(dropout=0.4),
    "refractory": lambda: loop(bl.CubaLIF(tau_m=20 * ms, tau_s=3 * ms, R=4.0, refractory=3 * ms)),
    "another neuron": lambda: loop(KINDS["adaptive"]),
    "chain": chain,
    "current": current,
}


def both(spec: bl.NetworkSpec, rule: Any, length: int, kernels: bool, targets: Any = None) -> tuple[Any, Any]:
    """Gradients and record, of the whole trial and in parts."""
    x, labels = samples(1)
    if spec.populations[0].shape != (6,):
        x = np.random.default_rng(1).random((N, *spec.populations[0].shape))
    module = bl.export(spec, seed=3, dtype=torch.float64, kernels=kernels, reset_path=rule.reset_path).train()
    given = (module, rule, TrialLoss(rule.loss, spec), x, torch.tensor(labels if targets is None else targets))
    keys = np.arange(2 * N, dtype=np.uint64).reshape(N, 2)
    return bptt.gradients(*given, keys), segments.gradients(*given, keys, length)


def check(whole: Any, parts: Any) -> None:
    (expected, record), (found, mine) = whole, parts
    assert expected.keys() == found.keys()
    assert any(g.abs().max() > 1e-5 for g in expected.values())
    for name, g in expected.items():
        torch.testing.assert_close(found[name], g, rtol=0, atol=1e-10, msg=name)
    torch.testing.assert_close(mine.logits, record.logits, rtol=0, atol=1e-12)
    torch.testing.assert_close(mine.loss, record.loss, rtol=0, atol=1e-12)
    assert mine.spike_counts.keys() == record.spike_counts.keys()
    for name, n in record.spike_counts.items():
        assert torch.equal(mine.spike_counts[name], n), name


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("length", [1, 5, T])
@pytest.mark.parametrize("network", NETWORKS)
def test_parts_have_the_gradient_of_the_whole(network: str, length: int, kernels: bool) -> None:
    check(*both(NETWORKS[network](), bl.SurrogateBPTT(), length, kernels))


def spiking() -> bl.NetworkSpec:
    """Neurons that hear themselves, and an output that spikes."""
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (6,), bl.IntegrateAndFireEncoder()),
            bl.Population("first", 8, KINDS["cuba"]),
            bl.Population("second", CLASSES, KINDS["cuba"]),
        ],
        projections=[
            bl.Projection("in1", "input", "first", weights=bl.Normal(4.0)),
            bl.Projection("self", "first", "first", weights=bl.Normal(3.0), delay=2 * ms),
            bl.Projection("up", "first", "second", weights=bl.Normal(4.0)),
        ],
        duration=T * ms,
    )


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("loss", [None, bl.RateMSE(), bl.VanRossum()])
def test_losses_on_spikes_and_a_reset_that_passes_gradient(loss: Any, kernels: bool) -> None:
    rule = bl.STBP() if loss is None else bl.STBP(loss=loss)
    check(*both(spiking(), rule, 4, kernels))


@pytest.mark.parametrize("kind", ["trains", "values"])
def test_targets_of_every_step(kind: str) -> None:
    drawn = np.random.default_rng(0).random((N, T, CLASSES))
    if kind == "trains":
        whole, parts = both(spiking(), bl.STBP(loss=bl.VanRossum()), 4, True, drawn < 0.2)
    else:
        whole, parts = both(loop(), bl.SurrogateBPTT(loss=bl.MSE()), 4, True, drawn)
    check(whole, parts)
    torch.testing.assert_close(parts[1].score, whole[1].score, rtol=0, atol=1e-12)


def small(rule: Any, **options: Any) -> bl.Learner:
    return bl.Learner(loop(), rule, bl.Adam(1e-2), dtype="float64", batch_size=N, engine=bl.Discrete("cpu", **options))


def learned(learner: bl.Learner) -> dict[str, np.ndarray]:
    x, labels = samples(2)
    return learner.learn(learner.init(), bl.Samples(x, labels))[0].weights


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_the_engine_takes_checkpoints(micro_batch: int | None) -> None:
    expected = learned(small(bl.SurrogateBPTT(), micro_batch=micro_batch))
    found = learned(small(bl.SurrogateBPTT(), micro_batch=micro_batch, checkpoint_steps=4))
    for name, w in expected.items():
        np.testing.assert_allclose(found[name], w, rtol=0, atol=1e-8, err_msg=name)  # Adam divides by gradients


def test_the_engine_decides_by_the_size_of_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    from brianlearn.discrete import engine

    def parts(spec: bl.NetworkSpec, rule: Any = None) -> int | None:
        learner = bl.Learner(spec, rule or bl.SurrogateBPTT(), bl.SGD(1.0), batch_size=N, engine="discrete")
        return learner.engine._parts  # type: ignore[attr-defined]

    assert parts(loop()) is None
    per_step = 6 + 8 + 7
    fits = -(-N * T * per_step // engine.CYCLES)  # all trials of a batch
    monkeypatch.setattr(engine, "VALUES_AT_ONCE", dict.fromkeys(("cpu", "cuda"), fits))
    assert parts(loop()) is None
    monkeypatch.setattr(engine, "VALUES_AT_ONCE", dict.fromkeys(("cpu", "cuda"), fits - per_step))
    found = parts(loop())
    assert found is not None and 4 <= found <= T
    assert parts(loop(), bl.TFR()) is None and parts(loop(dropout=0.3, dropout_every="step")) is None
    assert parts(chain()) is None
    monkeypatch.setattr(engine, "VALUES_AT_ONCE", dict.fromkeys(("cpu", "cuda"), 20))
    assert parts(chain()) == parts(loop()) == 4, "sqrt(14)"


def test_wrong_checkpoints_are_named() -> None:
    for wrong in (0, 2.5, True, "4"):
        with pytest.raises(RuleError, match="checkpoint_steps"):
            bl.Discrete(checkpoint_steps=wrong)  # type: ignore[arg-type]
    with pytest.raises(RuleError, match="option of back-propagation"):
        small(bl.TFR(), checkpoint_steps=4)
    spec = loop(dropout=0.3, dropout_every="step")
    with pytest.raises(RuleError, match="drawn once for a trial"):
        bl.Learner(spec, bl.SurrogateBPTT(), engine=bl.Discrete(checkpoint_steps=4))


#: One batch of 128 trials of 5000 steps, 700-256-20 with all neurons hearing one another; prints the peak memory.
PROGRAM = """
import numpy as np
from pathlib import Path
from brian2 import ms
import brianlearn as bl

STEPS, TRIALS = 5000, 128
spec = bl.NetworkSpec(
    populations=[
        bl.Population("input", (700,), bl.Spikes()),
        bl.Population("hidden", 256, bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0)),
        bl.Population("out", 20, bl.LinearReadout(tau=20 * ms)),
    ],
    projections=[
        bl.Projection("in1", "input", "hidden", weights=bl.Normal(4.0)),
        bl.Projection("own", "hidden", "hidden", weights=bl.Normal(1.0), delay=1 * ms),
        bl.Projection("to_out", "hidden", "out"),
    ],
    duration=STEPS * ms,
)
rng = np.random.default_rng(0)
n = STEPS * 700 // 100
step, neuron = rng.integers(STEPS, size=(TRIALS, n)), rng.integers(700, size=(TRIALS, n))
events = bl.Events(np.sort(step, axis=1).ravel(), neuron.ravel(), np.arange(TRIALS + 1) * n, (700,))
learner = bl.Learner(spec, bl.SurrogateBPTT(), bl.Adam(1e-3), engine="discrete", device="cpu", batch_size=TRIALS)
state, metrics = learner.learn(learner.init(), bl.Samples(events, np.arange(TRIALS) % 20))
assert metrics.firing_rates["hidden"] > 1
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_5000_steps_take_less_than_2_gib() -> None:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout.split()[-1]) < 2**31
