"""Run folders that version 0.1 made, for each engine: they open, are evaluated, and go on bit for bit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import brianlearn as bl
from brianlearn.training import RunFolder

OLD = Path(__file__).parent / "data" / "v0.1"
CASES = ("brian", "discrete", "bptt")


def _ready(name: str) -> None:
    if name != "brian":
        pytest.importorskip("torch")
        pytest.importorskip("numba")


@pytest.mark.parametrize("name", CASES)
def test_a_run_that_was_cut_off_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    _ready(name)
    run = tmp_path / "run"
    shutil.copytree(OLD / f"{name}-cut-off", run)
    result = bl.Experiment.from_run(run).run(resume=run, progress=False)
    with np.load(run / "weights.npz") as found, np.load(OLD / f"{name}-finished" / "weights.npz") as expected:
        assert sorted(found.files) == sorted(expected.files)
        for layer in expected.files:
            assert found[layer].dtype == expected[layer].dtype
            np.testing.assert_array_equal(found[layer], expected[layer], err_msg=layer)
    then = json.loads((OLD / f"{name}-finished" / "result.json").read_text())
    assert (result.test_accuracy, result.test_loss) == (then["test_accuracy"], then["test_loss"])


@pytest.mark.parametrize("name", CASES)
def test_a_finished_run_opens_and_is_evaluated(name: str) -> None:
    _ready(name)
    run = OLD / f"{name}-finished"
    experiment = bl.Experiment.from_run(run)
    assert [p.name for p in experiment.spec.populations] == ["input", "conv1", "dense1", "readout"]
    assert RunFolder.open(run).config()["engine"] == experiment.engine
    found, then = bl.evaluate(run), json.loads((run / "result.json").read_text())
    assert (found.test_accuracy, found.test_loss) == (then["test_accuracy"], then["test_loss"])
