"""Standalone C++: one program for a whole training, kept between runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from brian2 import get_device, ms
from cases import dense, two_convolutions

from brianlearn.brian.build.plan import Plan
from brianlearn.brian.cpp import standalone
from brianlearn.brian.cpp.build_cache import BuildCache, fingerprint
from brianlearn.brian.engine import IMPLEMENTATIONS, BrianEngine
from brianlearn.errors import DeviceError
from brianlearn.learning import DALTON, SGD, TFR, Adam, ThreeFactorRule
from brianlearn.network import CubaLIF, Samples
from brianlearn.training.learner import Learner

pytestmark = pytest.mark.cpp_standalone


def _samples(n: int = 5) -> Samples:
    rng = np.random.default_rng(3)
    return Samples(rng.uniform(0, 0.6, (n, 12)), rng.integers(0, 4, n))


def test_one_build_serves_other_weights_data_rates_and_constants(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path))
    builds = []
    compile_plan = standalone._compile
    monkeypatch.setattr(
        standalone, "_compile", lambda plan, folder: (builds.append(folder), compile_plan(plan, folder))
    )
    before = get_device()

    def run(spec: object, optimiser: object, device: str, seed: int, n: int) -> tuple[object, object, object]:
        learner = Learner(
            spec, DALTON(), optimiser, device=device, dtype="float64", batch_size=2, seed=seed, chunk_size=4
        )
        state, metrics = learner.learn(learner.init(), _samples(n))
        return state, metrics, learner.infer(state, _samples(n))

    settings = [
        (dense(CubaLIF(tau_m=20 * ms, R=4.0)), Adam(1e-3), 0, 5),
        (dense(CubaLIF(tau_m=11 * ms, tau_s=11 * ms, R=3.0)), Adam(2e-2, halve_every=2), 7, 3),
    ]
    for spec, optimiser, seed, n in settings:
        state, metrics, activity = run(spec, optimiser, "cpp_standalone", seed, n)
        expected, expected_metrics, expected_activity = run(spec, optimiser, "numpy", seed, n)
        for name, weights in expected.weights.items():
            np.testing.assert_allclose(state.weights[name], weights, rtol=0, atol=1e-12)
        assert metrics.loss == pytest.approx(expected_metrics.loss)
        assert metrics.firing_rates == expected_metrics.firing_rates
        np.testing.assert_allclose(activity.logits, expected_activity.logits, atol=1e-12)
    assert len(builds) == 1, "another learning rate, tau, weights or data must not compile again"
    assert get_device() is before
    assert not list((tmp_path / "builds").glob(".*")), "a finished build leaves nothing else"


@pytest.mark.parametrize("rule", [DALTON(), pytest.param(TFR(), marks=pytest.mark.slow)], ids=["dalton", "tfr"])
def test_all_implementations_learn_the_same(rule: ThreeFactorRule) -> None:
    spec = two_convolutions()
    rng = np.random.default_rng(3)
    samples = Samples(rng.uniform(0, 0.6, (5, *spec.input.shape)), rng.integers(0, 4, 5))
    start = Learner(spec, rule, Adam(1e-3), device="numpy", dtype="float64").init()
    settings = dict(device="cpp_standalone", dtype="float64", batch_size=2, chunk_size=6)
    results = {}
    for implementation in IMPLEMENTATIONS:
        engine = BrianEngine(spec, rule, Adam(1e-3), implementation=implementation, **settings)
        results[implementation] = engine.learn(start, samples, 1e-3)
    expected, expected_record = results.pop("synapses")
    for state, record in results.values():
        for name, weights in expected.weights.items():
            np.testing.assert_allclose(state.weights[name], weights, rtol=0, atol=1e-12)
            assert name.startswith("readout") or np.abs(weights - start.weights[name]).max() > 1e-4
        for name, counts in expected_record.spike_counts.items():
            np.testing.assert_array_equal(record.spike_counts[name], counts)


def test_what_a_program_depends_on() -> None:
    def name(spec: object = None, rule: object = None, optimiser: object = None, **sizes: object) -> str:
        fields = dict(batch_size=2, capacity=4, dtype="float64") | sizes
        return fingerprint(Plan(spec or dense(), rule or DALTON(), optimiser or Adam(), **fields))

    same = name()
    assert name(dense(CubaLIF(tau_m=3 * ms, R=4.0)), optimiser=Adam(0.5, halve_every=3)) == same
    assert name(rule=DALTON(learning_rate_scale={"dense1": 2.0})) == same
    others = [
        name(rule=TFR()),
        name(rule=DALTON(feedback="mirror")),
        name(optimiser=SGD(1e-3)),
        name(optimiser=Adam(beta1=0.8)),
        name(dense(CubaLIF(R=4.0, refractory=2 * ms))),
        name(dense(duration=16 * ms)),
        name(dtype="float32"),
        name(capacity=6),
        name(batch_size=1),
        name(record=("spikes",)),
    ]
    assert len({same, *others}) == len(others) + 1


def test_interrupted_build_leaves_no_program(tmp_path: Path) -> None:
    cache = BuildCache(tmp_path)

    def interrupted(folder: Path) -> None:
        (folder / "main.cpp").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get("abc", interrupted)
    assert list(tmp_path.iterdir()) == []
    made = cache.get("abc", lambda folder: (folder / "main").write_text("whole"))
    assert (made.folder / "main").read_text() == "whole"
    assert cache.get("abc", interrupted).folder == made.folder


def test_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeviceError, match="BRIANLEARN_CACHE"):
        BuildCache(tmp_path / "file" / "builds").get("abc", lambda folder: None)


def test_compiler_that_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake = tmp_path / "g++"
    fake.write_text("#!/bin/sh\necho 'internal compiler error' >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CXX", str(fake))
    monkeypatch.setenv("PATH", str(tmp_path))
    learner = Learner(dense(), device="cpp_standalone", chunk_size=2)
    with pytest.raises(DeviceError, match=r"compiler failed(.|\n)*internal compiler error(.|\n)*doctor"):
        learner.infer(learner.init(), _samples(2))
    assert list((tmp_path / "cache" / "builds").iterdir()) == []
