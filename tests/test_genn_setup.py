"""What the devices of GeNN need and refuse: said exactly, on any machine, with or without GeNN."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms
from cases import STRONG, dense, one_convolution

import brianlearn.machine.genn_setup as setup
from brianlearn.brian.engine import BrianEngine
from brianlearn.brian.genn.network import synapse_weights
from brianlearn.errors import DeviceError, RuleError, SpecError
from brianlearn.learning import DALTON, SGD, TFR, Adam
from brianlearn.machine.doctor import examine
from brianlearn.network import Conv, CubaLIF, Dense, DirectCurrent, Input, NetworkSpec, Neuron, PoissonEncoder, Readout
from brianlearn.training.learner import Learner

VERSIONS = {"brian2": "2.5.4", "brian2genn": "1.7.0", "numpy": "1.26.4", "setuptools": "65.5.0"}


def late(spec: NetworkSpec) -> NetworkSpec:
    return dataclasses.replace(spec, timing="pipelined")


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine on which nothing is missing, as far as can be seen without running it."""
    genn = tmp_path / "genn"
    (genn / "bin").mkdir(parents=True)
    (genn / "bin" / "genn-buildmodel.sh").write_text("")
    (genn / "version.txt").write_text("4.9.0\n")
    cuda = tmp_path / "cuda" / "bin"
    cuda.mkdir(parents=True)
    (cuda / "nvcc").write_text("")
    monkeypatch.setenv("GENN_PATH", str(genn))
    monkeypatch.setenv("CUDA_PATH", str(cuda.parent))
    monkeypatch.setattr(setup, "package_version", VERSIONS.get)
    monkeypatch.setattr(setup.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(setup.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(setup.sys, "platform", "linux")
    return tmp_path


def test_nothing_is_missing(complete: Path) -> None:
    for device in setup.GENN_DEVICES:
        setup.check_genn(device)
    assert all(requirement.ok for requirement in setup.genn_requirements())


MISSING = {
    "no brian2genn": ({"brian2genn": None}, {}, "brian2genn is missing[\\s\\S]*not installed[\\s\\S]*make venv-genn"),
    "new brian2": ({"brian2": "2.9.0"}, {}, "brian2 2.9.0[\\s\\S]*brian2 below 2.6[\\s\\S]*make venv-genn"),
    "new numpy": ({"numpy": "2.3.5"}, {}, "numpy 2.3.5[\\s\\S]*numpy below 2"),
    "GENN_PATH unset": ({}, {"GENN_PATH": None}, "GENN_PATH is not set[\\s\\S]*GeNN 4.9.0"),
    "GENN_PATH wrong": ({}, {"GENN_PATH": "/nowhere"}, "GENN_PATH=/nowhere: no such folder"),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_named(name: str, complete: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    versions, environment, message = MISSING[name]
    monkeypatch.setattr(setup, "package_version", {**VERSIONS, **versions}.get)
    for variable, value in environment.items():
        if value is None:
            monkeypatch.delenv(variable)
        else:
            monkeypatch.setenv(variable, value)
    for device in setup.GENN_DEVICES:
        with pytest.raises(DeviceError, match=message) as error:
            setup.check_genn(device)
        assert error.value.remedy and device in error.value.subject


@pytest.mark.parametrize("version", ["5.1.0", "3.2.0"])
def test_other_versions_of_genn_are_refused(version: str, complete: Path) -> None:
    (complete / "genn" / "version.txt").write_text(version)
    with pytest.raises(DeviceError, match=f"GeNN {version} in .*"):
        setup.check_genn("genn-cpu")


def test_only_the_gpu_device_needs_cuda(complete: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for unset in (lambda: monkeypatch.delenv("CUDA_PATH"), lambda: monkeypatch.setenv("CUDA_PATH", "/nowhere")):
        unset()
        setup.check_genn("genn-cpu")
        with pytest.raises(DeviceError, match=r"CUDA is missing[\s\S]*CUDA_PATH[\s\S]*genn-cpu"):
            setup.check_genn("genn")


def test_doctor_lists_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENN_PATH", raising=False)
    monkeypatch.delenv("CUDA_PATH", raising=False)
    found = {finding.name: finding for finding in examine()}
    assert not found["GeNN"].ok and not found["CUDA"].ok
    for device in setup.GENN_DEVICES:
        finding = found[f"device {device}"]
        assert not finding.ok and "GENN_PATH is not set" in finding.found and "GeNN 4.9.0" in finding.remedy
    assert "CUDA_PATH" in found["device genn"].found and "CUDA" not in found["device genn-cpu"].found


# what is refused, whatever is installed -------------------------------------------------------------------------------

NOISY = Neuron(
    "dv/dt = -v/tau + 0.1*xi*tau**-0.5 : 1", "v > 1", "v = 0", "v", constants=dict(tau=10 * ms), method="euler"
)
LEARNING_CONV = late(one_convolution())
REFUSED: dict[str, Any] = {
    "timing": (dense(), DALTON(), SGD(1e-2), SpecError, "--timing pipelined"),
    "direct current": (late(dense(input=Input((12,), DirectCurrent()))), None, None, SpecError, "DirectCurrent"),
    "noise": (late(dense(NOISY)), None, None, SpecError, "layer dense1[\\s\\S]*no seed"),
    "optimiser": (late(dense()), DALTON(), Adam(1e-3), RuleError, "Adam[\\s\\S]*SGD[\\s\\S]*cpp_standalone"),
    "convolution": (LEARNING_CONV, TFR(), SGD(1e-2), RuleError, "layer conv1[\\s\\S]*learning_rate_scale"),
}


@pytest.mark.parametrize("device", setup.GENN_DEVICES)
@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str, device: str) -> None:
    spec, rule, optimiser, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message) as error:
        Learner(spec, rule, optimiser, device=device)
    assert device in error.value.subject and error.value.expected and error.value.remedy


def test_a_machine_without_genn_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GENN_PATH", raising=False)
    with pytest.raises(DeviceError, match="device 'genn-cpu'"):
        Learner(late(dense()), DALTON(), SGD(1e-2), device="genn-cpu")


# synapses that share no weights ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", [1, 2])
def test_expanded_synapses_are_the_linear_map(pool: int) -> None:
    spec = NetworkSpec(
        Input((2, 7, 6)),
        [Conv(3, 3, CubaLIF(), padding=1, pool=pool), Dense(4, CubaLIF(), weights=STRONG)],
        Readout(3),
        duration=5 * ms,
    )
    conv = spec.projections[0]
    rng = np.random.default_rng(0)
    packed = rng.normal(size=conv.n_weights)
    c = conv.connectivity
    expected = np.zeros((conv.n_pre, conv.n_post))
    np.add.at(expected, (c.pre, c.post), packed[c.weight] * c.factor)
    weights = synapse_weights(conv)
    found = np.zeros_like(expected)
    assert len(set(zip(weights.pre, weights.post, strict=True))) == weights.n_synapses, "one synapse for each pair"
    found[weights.pre, weights.post] = weights.expand(packed)
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_mirror_synapses_have_the_same_weights_in_their_own_order() -> None:
    p = dense().projections[1]
    packed = np.arange(float(p.n_weights))
    mirror = synapse_weights(p, back=True)
    forward = synapse_weights(p).expand(packed).reshape(p.n_pre, p.n_post)
    np.testing.assert_array_equal(mirror.expand(packed).reshape(p.n_post, p.n_pre), forward.T)
    np.testing.assert_array_equal(mirror.collect(mirror.expand(packed)), packed)


def test_engine_is_told_of_the_device_by_name() -> None:
    with pytest.raises(SpecError, match="device 'genn'"):
        BrianEngine(dense(), None, SGD(1e-2), device="genn", dtype="float32", batch_size=1)


def test_bernoulli_spikes_are_a_list() -> None:
    from brianlearn.brian.build.plan import Plan
    from brianlearn.brian.run.feed import inputs
    from brianlearn.learning import initial_weights
    from brianlearn.learning.state import LearnerState
    from brianlearn.network import Samples

    spec = late(dense(input=Input((12,), PoissonEncoder(0.5))))
    state = LearnerState(initial_weights(spec))
    samples = Samples(np.random.default_rng(0).uniform(0, 1, (4, 12)), np.zeros(4, int))
    listed = inputs(Plan(spec, None, SGD(1e-2), 1, 6, "float64", expanded=True), state, samples, learning=False)
    raster = np.zeros((4 * spec.n_steps, 12), bool)
    raster[listed["input.timebins"], listed["input.neurons"]] = True
    drawn = spec.input.encoder.raster(samples.inputs, spec.n_steps, state.sample_keys(samples.ids, learning=False))
    np.testing.assert_array_equal(raster, drawn.reshape(raster.shape))
    assert np.all(np.diff(listed["input.timebins"]) >= 0)
