"""GeNN builds and runs networks: the same spikes and weights as the numpy reference and Brian2's other devices.

Needs brian2genn and a GeNN that GENN_PATH names (docs/genn.md); skipped without.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from brian2 import get_device, ms, prefs
from cases import CASES, Case, dense, one_convolution, two_convolutions
from test_equality import check_learning, check_spikes
from test_pipelined import DELAYED, LEARNING, TOLERANCE, check_delay, check_twenty_trials, deep, late

from brianlearn.learning import DALTON, SGD, TFR
from brianlearn.machine.genn_setup import genn_requirements
from brianlearn.network import CubaLIF, Events, Input, PoissonEncoder, Samples, Spikes
from brianlearn.training.learner import Learner

MISSING = [r.found for r in genn_requirements() if not r.ok and not r.gpu]
MISSING_GPU = [r.found for r in genn_requirements() if not r.ok]

pytestmark = [
    pytest.mark.genn,
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"GeNN cannot run here: {'; '.join(MISSING)} (brianlearn doctor)"),
]

CPU = "genn-cpu"


@pytest.mark.parametrize("name", LEARNING)
def test_twenty_trials_equal_reference(name: str) -> None:
    check_twenty_trials(LEARNING[name], CPU)


def test_all_devices_of_this_environment_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prefs, "codegen.cpp.extra_compile_args_gcc", ["-w", "-O0"])
    rule = DALTON(update="step")
    case = Case(deep(3), rule, SGD(1e-2), batch=1, n=20)
    found = {}
    for device in ("numpy", "cython", CPU):
        learner = Learner(case.spec, rule, case.optimiser, device=device, dtype="float64", chunk_size=20)
        state, _ = learner.learn(learner.init(case.weights()), case.samples())
        found[device] = state, learner.infer(state, case.samples(), record=("spikes",))
    expected_state, expected = found.pop("numpy")
    for state, activity in found.values():
        for name, weights in expected_state.weights.items():
            np.testing.assert_allclose(state.weights[name], weights, rtol=0, atol=TOLERANCE, err_msg=name)
        for name, raster in expected.spikes.items():
            assert np.array_equal(activity.spikes[name].dense(), raster.dense()), name


@pytest.mark.parametrize("name", ["dense", "frozen-while-refractory", "conv-conv"])
def test_frozen_weights_delay(name: str) -> None:
    check_delay(DELAYED[name], CPU, "numpy")


def pipelined(name: str, **changes: Any) -> Case:
    return dataclasses.replace(CASES[name], spec=late(CASES[name].spec), **changes)


@pytest.mark.parametrize("name", ["burn-in-of-the-rule", "heterogeneous", "adaptive", "leaky-readout", "mixed-neurons"])
def test_mechanisms_equal_reference(name: str) -> None:
    case = pipelined(name, optimiser=SGD(1e-2))
    check_learning(case, CPU)
    check_spikes(case, CPU)


@pytest.mark.parametrize("rule", [TFR, DALTON])
def test_frozen_kernels_feed_layers_that_learn(rule: Any) -> None:
    scale = {"conv1": 0.0, "conv2": 0.0}
    case = Case(late(two_convolutions()), rule(learning_rate_scale=scale), SGD(1e-2))
    check_learning(case, CPU)
    spec = late(one_convolution())
    check_learning(Case(spec, rule(learning_rate_scale={"conv1": 0.0}), SGD(1e-2)), CPU)


def test_spikes_that_are_drawn_or_given_are_a_generator_population() -> None:
    rng = np.random.default_rng(5)
    values = rng.uniform(0, 0.6, (7, 12))
    drawn = late(dense(input=Input((12,), PoissonEncoder(0.8))))
    step, neuron, offsets = [], [], [0]
    for _ in range(7):
        raster = rng.random((15, 12)) < 0.3
        found = np.nonzero(raster)
        step.append(found[0])
        neuron.append(found[1])
        offsets.append(offsets[-1] + len(found[0]))
    events = Events(np.concatenate(step), np.concatenate(neuron), np.array(offsets), (12,))
    given = late(dense(input=Input((12,), Spikes())))
    labels = rng.integers(0, 4, 7)
    for spec, samples in ((drawn, Samples(values, labels)), (given, Samples(events, labels))):
        results = []
        for device in ("numpy", CPU):
            learner = Learner(
                spec, DALTON(update="step"), SGD(1e-2), device=device, dtype="float64", seed=2, chunk_size=3
            )
            state, metrics = learner.learn(learner.init(), samples)
            results.append((state, metrics, learner.infer(state, samples, record=("spikes",))))
        (expected, expected_metrics, activity), (state, metrics, also) = results
        for name, weights in expected.weights.items():
            np.testing.assert_allclose(state.weights[name], weights, rtol=0, atol=TOLERANCE, err_msg=name)
        assert metrics.firing_rates == pytest.approx(expected_metrics.firing_rates)
        assert metrics.loss == pytest.approx(expected_metrics.loss, abs=1e-12)
        for name, raster in activity.spikes.items():
            assert raster.dense().any()
            assert np.array_equal(also.spikes[name].dense(), raster.dense()), name


def test_one_build_serves_other_weights_data_rates_and_constants(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from brianlearn.brian.genn import device as genn

    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path))
    builds, compile_project = [], genn.compile_genn_project
    monkeypatch.setattr(
        genn, "compile_genn_project", lambda folder, gpu: (builds.append(folder), compile_project(folder, gpu=gpu))
    )
    before, schedule = get_device(), list(prefs.core.network.default_schedule)
    samples = Samples(np.random.default_rng(3).uniform(0, 0.6, (7, 12)), np.arange(7) % 4)
    for neuron, rate, seed, n in (
        (CubaLIF(R=4.0), 1e-2, 0, 7),
        (CubaLIF(tau_m=11 * ms, tau_s=11 * ms, R=3.0), 3e-2, 7, 5),
    ):
        results = []
        for device in ("numpy", CPU):
            learner = Learner(
                late(dense(neuron)), DALTON(), SGD(rate), device=device, dtype="float64", batch_size=2, seed=seed,
                chunk_size=4,
            )  # fmt: skip
            state, metrics = learner.learn(learner.init(), samples[:n])
            results.append((state, metrics, learner.infer(state, samples[:n])))
        (expected, expected_metrics, activity), (state, metrics, also) = results
        for name, weights in expected.weights.items():
            np.testing.assert_allclose(state.weights[name], weights, rtol=0, atol=TOLERANCE, err_msg=name)
        assert metrics.loss == pytest.approx(expected_metrics.loss)
        np.testing.assert_allclose(also.logits, activity.logits, rtol=0, atol=TOLERANCE)
    assert len(builds) == 1, "another learning rate, tau, weights or data must not compile again"
    assert get_device() is before and list(prefs.core.network.default_schedule) == schedule
    assert not list((tmp_path / "builds").glob(".*")), "a finished build leaves nothing else"


def test_single_precision() -> None:
    case = LEARNING["dalton-2-step"]
    expected = case.reference()
    learner = Learner(case.spec, case.rule, SGD(1e-2), device=CPU, dtype="float32")
    state, _ = learner.learn(learner.init(case.weights()), case.samples())
    for name, weights in expected.weights.items():
        assert state.weights[name].dtype == np.float32
        np.testing.assert_allclose(state.weights[name], weights, rtol=0, atol=2e-2, err_msg=name)


@pytest.mark.gpu
@pytest.mark.skipif(bool(MISSING_GPU), reason=f"no GPU for GeNN: {'; '.join(MISSING_GPU)}")
@pytest.mark.parametrize("name", ["dalton-3-step", "tfr-2-batch"])
def test_gpu_equals_reference(name: str) -> None:
    # sums over synapses are atomic on the GPU, so that their order and the last bits differ from run to run
    case = LEARNING[name]
    expected = case.reference()
    learner = Learner(case.spec, case.rule, case.optimiser, device="genn", dtype="float64")
    state, _ = learner.learn(learner.init(case.weights()), case.samples())
    for layer, weights in expected.weights.items():
        np.testing.assert_allclose(state.weights[layer], weights, rtol=0, atol=1e-9, err_msg=layer)
    activity = learner.infer(state, case.samples(), record=("spikes",))
    after = reference.run(case.spec, expected.weights, case.samples().inputs, case.samples().labels)
    for layer, raster in activity.spikes.items():
        assert np.array_equal(raster.dense(), after.spikes[layer] != 0), layer
