"""`brianlearn export`: a folder that builds and runs without Python, and fires what the engine fires."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms
from cases import CASES, CONDUCTANCE, EIF, dense, two_convolutions
from typer.testing import CliRunner

from brianlearn.brian.export.project import export_project
from brianlearn.cli import app
from brianlearn.errors import BrianLearnError, RuleError, SpecError
from brianlearn.learning import initial_weights
from brianlearn.machine.genn_setup import genn_requirements
from brianlearn.network import DirectCurrent, Input, NetworkSpec, Raster, Samples
from brianlearn.training.learner import Learner

MISSING = [r.found for r in genn_requirements() if not r.ok and not r.gpu]
needs_genn = pytest.mark.skipif(bool(MISSING), reason=f"GeNN cannot run here: {'; '.join(MISSING)} (brianlearn doctor)")


def write_spikes(raster: Raster, path: Path) -> None:
    np.savetxt(path, np.stack([raster.trial, raster.step, raster.neuron], axis=1), fmt="%d")


def read_spikes(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Spikes (trials, steps, *layer shape) from the program's file."""
    fired = np.zeros((shape[0], shape[1], int(np.prod(shape[2:]))), bool)
    found = np.loadtxt(path, dtype=int, ndmin=2).reshape(-1, 3)
    fired[found[:, 0], found[:, 1], found[:, 2]] = True
    return fired.reshape(shape)


def run(folder: Path, spikes: Path, output: Path, trials: int, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run an exported program with nothing of Python in its environment."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "GENN_PATH", "HOME")}
    command = [str(folder / "run.sh"), str(spikes), str(output), str(trials)]
    return subprocess.run(command, env=kept, capture_output=True, text=True, check=check, timeout=600)


def check_export(spec: NetworkSpec, to: str, device: str, tmp_path: Path) -> None:
    weights = initial_weights(spec, seed=3)
    rng = np.random.default_rng(7)
    values = rng.uniform(0, 0.7, (6, *spec.input.shape))
    values[-1] = 0  # a last trial without a spike
    learner = Learner(spec, device=device, dtype="float64")
    activity = learner.infer(learner.init(weights), Samples(values, np.zeros(6, int)), record=("spikes",))
    folder = export_project(spec, weights, tmp_path / "network", to=to, dtype="float64")
    write_spikes(activity.spikes["input"], tmp_path / "spikes.txt")
    moved = folder.rename(tmp_path / "elsewhere")  # the folder depends on no path
    for attempt in ("one", "two"):  # the second run builds nothing
        run(moved, tmp_path / "spikes.txt", tmp_path / attempt, 6)
        for name, raster in activity.spikes.items():
            expected = raster.dense()
            assert expected.any(), f"{name} is silent"
            found = read_spikes(tmp_path / attempt / f"spikes_{name}.txt", expected.shape)
            assert np.array_equal(found, expected), name
        logits = np.loadtxt(tmp_path / attempt / "logits.txt")
        np.testing.assert_array_equal(logits[:, 0], np.arange(6))
        np.testing.assert_allclose(logits[:, 1:], activity.logits, rtol=0, atol=1e-12)
    texts = [
        p
        for p in moved.rglob("*")
        if (p.is_file() and p.suffix in (".md", ".sh", ".cpp", ".h")) or p.name == "makefile"
    ]
    for path in texts:
        assert str(tmp_path) not in path.read_text(errors="replace"), path


def late(spec: NetworkSpec) -> NetworkSpec:
    return dataclasses.replace(spec, timing="pipelined")


CPP: dict[str, NetworkSpec] = {
    "mixed-neurons": dense(EIF, CONDUCTANCE, burn_in=3 * ms),
    "conv-conv": two_convolutions(),
    "pipelined": late(CASES["frozen-while-refractory"].spec),
}


@pytest.mark.slow
@pytest.mark.cpp_standalone
def test_cpp_fires_what_the_engine_fires(tmp_path: Path) -> None:
    check_export(CPP["conv-conv"], "cpp", "numpy", tmp_path)


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("name", ["mixed-neurons", "pipelined"])
def test_other_networks_as_cpp(name: str, tmp_path: Path) -> None:
    check_export(CPP[name], "cpp", "numpy", tmp_path)


@pytest.mark.genn
@pytest.mark.slow
@needs_genn
@pytest.mark.parametrize("name", CPP)
def test_genn_fires_what_the_engine_fires(name: str, tmp_path: Path) -> None:
    check_export(late(CPP[name]), "genn", "numpy", tmp_path)


def trained_run(tmp_path: Path) -> Path:
    """The folder of a run of a small network that the command line has trained."""
    script = tmp_path / "network.py"
    script.write_text(
        "import brianlearn as bl\nfrom brian2 import ms\n"
        "def experiment():\n"
        "    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(6, bl.CubaLIF(R=4.0))], bl.Readout(10),\n"
        "                          duration=5*ms)\n"
        "    return bl.Experiment(spec, bl.TFR(), bl.SGD(0.1), data='digits', epochs=1, limit=4, test_limit=2,\n"
        "                         device='numpy')\n"
    )
    result = CliRunner().invoke(app, ["train", str(script), "--runs", str(tmp_path / "runs"), "--json"])
    assert result.exit_code == 0, result.output
    (trained,) = (tmp_path / "runs").glob("*/")
    return trained


@pytest.mark.cpp_standalone
def test_a_run_is_exported_and_wrong_spikes_are_named(tmp_path: Path) -> None:
    call, trained = CliRunner().invoke, trained_run(tmp_path)
    target = tmp_path / "program"
    result = call(app, ["export", str(trained), "--to", "cpp", str(target)])
    assert result.exit_code == 0, result.output
    assert "run.sh" in result.output and (target / "README.md").read_text().startswith("# A spiking network")
    assert not list(tmp_path.glob(".program*")), "nothing half written stays"
    again = call(app, ["export", str(trained), "--to", "cpp", str(target)])
    assert again.exit_code == 1 and "exists already" in again.output
    spikes = tmp_path / "spikes.txt"
    for text, message in (("0 5 0\n", "out of range: 0 5 0"), ("0 1 64\n", "neuron below 64"), ("0 1 x\n", "line 1")):
        spikes.write_text(text)
        done = run(target, spikes, tmp_path / "output", 1, check=False)
        assert done.returncode and message in done.stderr + done.stdout, text
    spikes.write_text("")
    run(target, spikes, tmp_path / "output", 2)
    assert (tmp_path / "output" / "spikes_dense1.txt").read_text() == ""
    assert len((tmp_path / "output" / "logits.txt").read_text().splitlines()) == 2


REFUSED: dict[str, Any] = {
    "target": (dense(), "rust", RuleError, "'cpp' or 'genn'"),
    "direct current": (dense(input=Input((12,), DirectCurrent())), "cpp", RuleError, "direct current"),
    "timing": (dense(), "genn", SpecError, "--timing pipelined"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str, tmp_path: Path) -> None:
    spec, to, kind, message = REFUSED[name]
    with pytest.raises(kind, match=message):
        export_project(spec, initial_weights(spec), tmp_path / "x", to=to)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrianLearnError, match=r"exists already|brian2|C\+\+ compiler"):
        export_project(dense(), initial_weights(dense()), tmp_path, to="cpp")
    assert not list(tmp_path.iterdir())
