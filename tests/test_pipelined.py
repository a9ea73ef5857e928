"""Pipelined timing, on every device and in the discrete engine: a spike reaches the next layer one step later.

Learning is compared with the numpy reference, which is written from the equations; with frozen weights, layer l must be
that of same-step timing delayed by l steps.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import reference
from brian2 import ms, prefs
from cases import CASES, STRONG, Case, dense, one_convolution, two_convolutions
from test_equality import check_learning, check_spikes
from typer.testing import CliRunner

from brianlearn.brian import describe
from brianlearn.cli import app
from brianlearn.errors import RuleError
from brianlearn.learning import DALTON, SGD, TFR, Adam, ThreeFactorRule
from brianlearn.network import CubaLIF, Dense, DirectCurrent, Input, NetworkSpec, Readout, Samples
from brianlearn.training.learner import Learner

TOLERANCE = 1e-12


def late(spec: NetworkSpec) -> NetworkSpec:
    return dataclasses.replace(spec, timing="pipelined")


def pipelined(name: str) -> Case:
    case = CASES[name]
    return dataclasses.replace(case, spec=late(case.spec))


def deep(layers: int = 3, **options: Any) -> NetworkSpec:
    """Dense layers that all fire, long enough for the errors to reach the first one."""
    neuron = CubaLIF(R=4.0)
    sizes = [10, 9, 8][:layers]
    return late(
        NetworkSpec(
            **dict(
                input=Input((12,)),
                layers=[Dense(n, neuron, weights=STRONG) for n in sizes],
                readout=Readout(4),
                duration=25 * ms,
            )
            | options
        )
    )


def twenty_trials(layers: int, rule: ThreeFactorRule) -> Case:
    return Case(deep(layers), rule, SGD(1e-2), batch=1, n=20)


def check_twenty_trials(case: Case, device: str, **options: Any) -> None:
    """Weights after 20 trials, to 1e-12, and every spike of the network that they make."""
    expected = case.reference()
    learner = Learner(case.spec, case.rule, case.optimiser, device=device, dtype="float64", chunk_size=8, **options)
    state, _ = learner.learn(learner.init(case.weights()), case.samples())
    for name, weights in expected.weights.items():
        np.testing.assert_allclose(state.weights[name], weights, rtol=0, atol=TOLERANCE, err_msg=name)
    for p in case.spec.projections:
        moved = np.abs(expected.weights[p.name] - case.weights()[p.name]).max()
        assert moved > 1e-4, f"{p.name} moved by {moved} only"
    samples = case.samples()
    activity = learner.infer(state, samples, record=("spikes",))
    after = reference.run(case.spec, expected.weights, samples.inputs, samples.labels, neurons=case.neurons)
    for name, raster in activity.spikes.items():
        assert np.array_equal(raster.dense(), after.spikes[name] != 0), name


LEARNING = {
    f"{rule.name}-{layers}-{rule.update}": twenty_trials(layers, rule)
    for layers in (2, 3)
    for rule in (TFR(update="step"), DALTON(update="step"), TFR(), DALTON())
}
#: Every mechanism that pipelined timing has of its own.
MECHANISMS = [
    "conv-conv-dalton-adam-batch3",
    "conv-tfr-sgd-batch3",
    "mirror-conv",
    "step-sgd-conv-dalton",
    "strided-and-pooled",
    "momentum",
    "burn-in-of-the-rule",
    "leaky-readout",
    "step-leaky-readout",
    "step-burn-in-of-the-rule",
    "learning-rate-scale",
    "direct-current",
    "heterogeneous",
    "adaptive",
    "frozen-delta-synapses",
    "mixed-neurons",
]
REST = [n for n in CASES if n not in MECHANISMS and not n.startswith("trace") and "dropout" not in n]


@pytest.mark.parametrize("name", ["dalton-3-step", "dalton-2-batch", "tfr-3-batch", "tfr-2-step"])
@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_twenty_trials_equal_reference(name: str, device: str) -> None:
    if device == "cpu":
        pytest.importorskip("torch")
    check_twenty_trials(LEARNING[name], device)


@pytest.mark.cpp_standalone
@pytest.mark.parametrize("name", ["tfr-2-batch", pytest.param("dalton-3-step", marks=pytest.mark.slow)])
def test_twenty_trials_compiled(name: str) -> None:
    check_twenty_trials(LEARNING[name], "cpp_standalone")


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("device", ["numpy", "cython", "cpp_standalone"])
@pytest.mark.parametrize("name", LEARNING)
def test_twenty_trials_on_every_device(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prefs, "codegen.cpp.extra_compile_args_gcc", ["-w", "-O0"])
    check_twenty_trials(LEARNING[name], device)


@pytest.mark.parametrize("name", MECHANISMS)
def test_mechanisms_equal_reference(name: str) -> None:
    check_learning(pipelined(name), "numpy")


@pytest.mark.parametrize("name", MECHANISMS)
def test_mechanisms_in_discrete_time_equal_reference(name: str) -> None:
    pytest.importorskip("torch")
    check_learning(pipelined(name), "cpu")
    check_spikes(pipelined(name), "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", REST)
@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_everything_equals_reference(name: str, device: str) -> None:
    if device == "cpu":
        pytest.importorskip("torch")
    case = pipelined(name)
    if device == "numpy" and getattr(case.rule, "changes", None) == "step" and not case.optimiser.is_plain:
        with pytest.raises(RuleError, match="only SGD"):
            check_learning(case, device)
        return
    check_learning(case, device)


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("name", MECHANISMS)
def test_mechanisms_compiled(name: str) -> None:
    check_learning(pipelined(name), "cpp_standalone")
    check_spikes(pipelined(name), "cpp_standalone")


# frozen weights ------------------------------------------------------------------------------------------------------


def check_delay(spec: NetworkSpec, device: str, reference_device: str) -> None:
    """Layer l fires what it fires with same-step timing, l steps later; the readout is one step behind the last."""
    rng = np.random.default_rng(7)
    samples = Samples(rng.uniform(0, 0.9, (20, *spec.input.shape)), rng.integers(0, spec.classes, 20))
    activities = []
    for timing, where in (("same_step", reference_device), ("pipelined", device)):
        learner = Learner(
            dataclasses.replace(spec, timing=timing), device=where, dtype="float64", seed=3, chunk_size=12
        )
        activities.append(learner.infer(learner.init(), samples, record=("spikes", "readout")))
    same, later = activities
    for depth, name in enumerate(["input", *(p.name for p in spec.projections)]):
        expected, found = same.spikes[name].dense(), later.spikes[name].dense()
        assert expected.any(), f"{name} is silent"
        assert not found[:, :depth].any()
        assert np.array_equal(found[:, depth:], expected[:, : spec.n_steps - depth]), name
    depth = len(spec.projections) + 1
    assert same.readout is not None and later.readout is not None
    expected = same.readout[:, : spec.n_steps - depth]
    np.testing.assert_allclose(later.readout[:, depth:], expected, rtol=0, atol=1e-12)


DELAYED = {
    "dense": deep(),
    "refractory": dense(CubaLIF(R=4.0, refractory=3 * ms)),
    "frozen-while-refractory": CASES["frozen-while-refractory"].spec,
    "frozen-delta-synapses": CASES["frozen-delta-synapses"].spec,
    "conv": one_convolution(),
    "conv-conv": two_convolutions(),
    "leaky-readout": CASES["leaky-readout"].spec,
    "direct-current": dense(input=Input((12,), DirectCurrent(gain=0.5))),
}


@pytest.mark.parametrize("name", DELAYED)
@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_frozen_weights_delay(name: str, device: str) -> None:
    if device == "cpu":
        pytest.importorskip("torch")
    check_delay(DELAYED[name], device, "numpy")


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("device", ["cpp_standalone", "cython"])
@pytest.mark.parametrize("name", ["dense", "conv-conv"])
def test_frozen_weights_delay_compiled(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prefs, "codegen.cpp.extra_compile_args_gcc", ["-w", "-O0"])
    check_delay(DELAYED[name], device, "numpy")


def test_nothing_goes_from_one_trial_to_the_next() -> None:
    spec = deep()
    learner = Learner(spec, DALTON(update="step"), SGD(1e-2), device="numpy", dtype="float64")
    rng = np.random.default_rng(1)
    samples = Samples(rng.uniform(0.3, 0.9, (3, 12)), np.array([0, 1, 2]))
    state = learner.init()
    together, _ = learner.learn(state, samples)
    for k in range(3):
        state, _ = learner.learn(state, samples[k : k + 1])
    for name, weights in together.weights.items():
        assert np.array_equal(state.weights[name], weights), name


# what is refused, and the command line -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "spec", "optimiser", "match"),
    [
        (DALTON(eligibility="trace"), deep(), SGD(1e-2), "eligibility='spike'"),
        (TFR(credit="through_time"), deep(), SGD(1e-2), "credit='online'"),
        (DALTON(), late(one_convolution(dropout=0.2)), SGD(1e-2), "dropout"),
        (DALTON(update="step"), deep(), Adam(1e-3), "SGD"),
    ],
)
def test_refused_by_name(rule: ThreeFactorRule, spec: NetworkSpec, optimiser: Any, match: str) -> None:
    with pytest.raises(RuleError, match=f"pipelined timing[\\s\\S]*{match}"):
        Learner(spec, rule, optimiser, device="numpy")


def test_several_processes_are_refused() -> None:
    with pytest.raises(RuleError, match="pipelined timing: it runs in one process"):
        Learner(deep(), DALTON(), device="cpp_standalone", batch_size=4, workers=2)


def test_describe_prints_the_slots() -> None:
    text = describe(deep(), DALTON(update="step"), SGD(1e-2))
    assert "pipelined timing" in text
    slots = [text.index(f"  {slot}:") for slot in ("before_synapses", "synapses", "groups", "thresholds", "resets")]
    assert slots == sorted(slots)
    assert "delta = psi*L" in text and "received_post += weight" in text


SCRIPT = """
import brianlearn as bl
from brian2 import ms

def experiment():
    layers = [bl.Dense(20, bl.CubaLIF(R=4.0), weights=bl.Normal(3.0))]
    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), layers, bl.Readout(10), duration=15 * ms)
    return bl.Experiment(spec, bl.TFR(), bl.SGD(0.1), data="digits", epochs=1, limit=40, test_limit=20, device="numpy")
"""


def test_on_the_command_line(tmp_path: Any) -> None:
    script = tmp_path / "network.py"
    script.write_text(SCRIPT)
    runs = tmp_path / "runs"
    call = CliRunner().invoke
    result = call(app, ["train", str(script), "--timing", "pipelined", "--runs", str(runs), "--json"])
    assert result.exit_code == 0, result.output
    (run,) = runs.glob("*/")
    config = (run / "config.json").read_text()
    assert '"pipelined"' in config
    losses = []
    for timing in ([], ["--timing", "pipelined"], ["--timing", "same-step"]):
        result = call(app, ["evaluate", str(run), "--json", *timing])
        assert result.exit_code == 0, result.output
        losses.append(json.loads(result.stdout)["test_loss"])
    assert losses[0] == losses[1] != losses[2]


def test_verify_compares_pipelined_engines(tmp_path: Any) -> None:
    pytest.importorskip("torch")
    script = tmp_path / "network.py"
    script.write_text(SCRIPT)
    arguments = [str(script), "--timing", "pipelined", "--device", "numpy", "--rule", "dalton", "--samples", "3"]
    result = CliRunner().invoke(app, ["verify", *arguments])
    assert result.exit_code == 0, result.output
    assert "the engines agree" in result.output
