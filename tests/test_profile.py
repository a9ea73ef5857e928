"""Where the time goes, by object."""

from __future__ import annotations

import json

import numpy as np
import pytest
from cases import one_convolution
from typer.testing import CliRunner

from brianlearn.cli import app
from brianlearn.learning import DALTON
from brianlearn.network import Samples
from brianlearn.training import Experiment
from brianlearn.training.profile import profile


@pytest.mark.parametrize("device", ["numpy", pytest.param("cpp_standalone", marks=pytest.mark.cpp_standalone)])
def test_every_object_is_measured(device: str) -> None:
    spec = one_convolution()
    samples = Samples(np.random.default_rng(0).uniform(0, 1, (6, *spec.input.shape)), np.arange(6) % 4)
    found = profile(Experiment(spec, DALTON(), data=(samples, samples), batch_size=2, device=device), samples=4)
    assert found.samples == 4
    assert sum(part.share for part in found.parts) == pytest.approx(1)
    assert 0 < found.overhead < 1
    layers = {part.layer for part in found.parts}
    assert {"input", "conv1", "dense1", "dense2", "readout"} <= layers
    times = {part.name: part.milliseconds for part in found.parts}
    assert any(name.startswith("synapses_conv1") and ms > 0 for name, ms in times.items())
    # independently: one spike of an input pixel in the middle reaches all 3 channels through all 9 kernel positions
    spikes = found.synaptic_events["dense1"] / 8
    assert found.firing_rates["conv1"] == pytest.approx(spikes / (spec.projections[0].n_post * 15e-3))
    assert found.weight_bytes == 4 * (
        sum(np.prod(p.weight_shape) for p in spec.projections) * 4 + np.prod(spec.readout_projection.weight_shape)
    )


def test_on_the_command_line(tmp_path, monkeypatch) -> None:
    script = tmp_path / "net.py"
    script.write_text(
        "import brianlearn as bl\nfrom brian2 import ms\n"
        "def experiment():\n"
        "    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(5, bl.DaltonIF())], bl.Readout(10), duration=4*ms)\n"
        "    return bl.Experiment(spec, bl.DALTON(), data='digits', batch_size=2, device='numpy')\n"
    )
    monkeypatch.setenv("COLUMNS", "120")
    runner = CliRunner()
    done = runner.invoke(app, ["profile", str(script), "--samples", "4", "--show", "3"])
    assert done.exit_code == 0, done.output
    assert "samples/s" in done.output and "others" in done.output
    done = runner.invoke(app, ["profile", str(script), "--samples", "4", "--json"])
    assert json.loads(done.output.splitlines()[-1])["device"] == "numpy"
