"""`brianlearn verify`: both engines agree, and where they do not, it says where."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms
from typer.testing import CliRunner

import brianlearn as bl
from brianlearn.cli import app
from brianlearn.learning import initial_weights
from brianlearn.training.verify import verify

torch = pytest.importorskip("torch")

import brianlearn.discrete  # noqa: E402

SCRIPT = """
import brianlearn as bl
from brian2 import ms

def experiment():
    neuron = bl.DaltonIF()
    layers = [bl.Conv(2, 3, neuron, pool=2), bl.Dense(12, neuron, weights=bl.Normal(3.0))]
    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), layers, bl.Readout(10), duration=10 * ms)
    return bl.Experiment(spec, bl.TFR(), bl.Adam(0.01), data="digits", epochs=1, batch_size=4, device="numpy")

if __name__ == "__main__":
    bl.main(experiment)
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "network.py"
    path.write_text(SCRIPT)
    return path


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["verify", *map(str, arguments), "--device", "numpy", "--samples", "3"])


def spec_of(layers: list[bl.Dense]) -> bl.NetworkSpec:
    return bl.NetworkSpec(bl.Input((1, 8, 8)), layers, bl.Readout(10), duration=15 * ms)


def test_the_engines_agree_on_digits(script: Path) -> None:
    result = call(script, "--json", "--rule", "dalton")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["agrees"] and found["samples"] == 3 and found["rule"] == "dalton"
    assert found["spikes"] > 500 and set(found["mismatches"].values()) == {0}
    assert found["readout_difference"] < 1e-12
    assert set(found["weight_differences"]) == {"conv1", "dense1"}
    assert max(found["weight_differences"].values()) < 1e-10


def test_a_run_is_verified_with_its_weights(script: Path, tmp_path: Path) -> None:
    options = ["--limit", "8", "--test-limit", "2", "--runs", str(tmp_path), "--json"]
    trained = CliRunner().invoke(app, ["train", str(script), *options])
    run = json.loads(trained.stdout.splitlines()[-1])["run"]
    plain, learning = call(run), call(run, "--rule", "tfr")
    for result in (plain, learning):
        assert result.exit_code == 0, result.output
        assert "the engines agree" in result.output
    assert "one batch of tfr" in learning.output


def test_a_wrong_weight_is_found_and_named() -> None:
    neuron = bl.DaltonIF()
    spec = spec_of([bl.Dense(12, neuron), bl.Dense(8, neuron), bl.Dense(6, neuron)])
    weights, samples = initial_weights(spec), bl.load("digits").test[:25]
    module = bl.export(spec, weights, dtype=torch.float64)
    with torch.no_grad():
        module.dense2[3] += 2.0
    found = verify(spec, weights, samples, device="numpy", module=module)
    assert not found.agrees
    assert found.unequal_weights == ("dense2",)
    assert found.mismatches["input"] == found.mismatches["dense1"] == 0 < found.mismatches["dense2"]
    first = found.first
    assert first is not None and (first.layer, first.neuron) == ("dense2", 3)
    with torch.no_grad():
        activity = module(samples.inputs[first.sample : first.sample + 1], record=("membranes",))
    membrane = float(activity.membranes["dense2"][first.step, 0, 3])
    assert first.margin == pytest.approx(membrane - 1, abs=1e-12)
    assert (first.fired_in == "discrete") == (membrane > 1)
    assert any("neuron 3 of dense2" in text for _, text in found.rows())


def test_a_mismatch_is_an_exit_status(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = brianlearn.discrete.export

    def wrong(spec: Any, weights: Any, **options: Any) -> Any:
        return export(spec, {**weights, "dense1": weights["dense1"] + 0.1}, **options)

    monkeypatch.setattr(brianlearn.discrete, "export", wrong)
    result = call(script)
    assert result.exit_code == 1
    assert "first mismatch" in result.output and "dense1" in result.output and "DIFFER" in result.output


def test_a_readout_that_differs_is_no_agreement() -> None:
    spec = spec_of([bl.Dense(12, bl.DaltonIF())])
    weights = initial_weights(spec)
    module = bl.export(spec, {**weights, "readout": weights["readout"] + 1e-6}, dtype=torch.float64)
    found = verify(spec, weights, bl.load("digits").test[:2], device="numpy", module=module)
    assert not any(found.mismatches.values()) and not found.agrees and found.first is None
    assert found.readout_difference is not None and 1e-7 < found.readout_difference < 1e-3


def test_what_only_one_engine_runs_is_refused(script: Path) -> None:
    refused = call(script, "--rule", "bptt")
    assert refused.exit_code == 1 and "discrete" in refused.output
    timed = bl.LIF(equations="dv/dt = -v/tau_m + 0.1*sin(t/tau_m)/tau_m : 1", method="euler")
    spec = spec_of([bl.Dense(5, timed)])
    with pytest.raises(bl.BrianLearnError, match="depends on the time since the start of the run"):
        verify(spec, initial_weights(spec), bl.load("digits").test[:2], device="numpy")
    with pytest.raises(bl.BrianLearnError, match="no samples"):
        verify(spec, {}, bl.Samples(np.zeros((0, 1, 8, 8))), device="numpy")
