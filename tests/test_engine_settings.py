"""Engines as objects: the same as names and options, in learners, experiments and run folders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.errors import RuleError

SPEC = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(12, bl.CubaLIF(R=4.0))], bl.Readout(10), duration=10 * ms)
DATA = tuple(part[:12] for part in bl.load("digits").split(test=360))


def trained(runs: Path, **options: Any) -> tuple[bl.Result, dict[str, Any]]:
    experiment = bl.Experiment(SPEC, bl.DALTON(), data=DATA, epochs=1, batch_size=4, runs=runs, **options)
    result = experiment.run(progress=False)
    return result, json.loads((result.run / "config.json").read_text())


def test_an_object_is_its_name_and_options(tmp_path: Path) -> None:
    result, config = trained(tmp_path / "a", engine=bl.Brian("numpy"))
    same, as_text = trained(tmp_path / "b", engine="brian", device="numpy")
    assert (config["engine"], config["device"]) == (as_text["engine"], as_text["device"]) == ("brian", "numpy")
    assert (result.test_accuracy, result.test_loss) == (same.test_accuracy, same.test_loss)
    assert bl.Experiment.from_run(result.run, data=DATA).engine == "brian"


def test_options_of_the_discrete_engine(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    result, config = trained(tmp_path / "a", engine=bl.Discrete("cpu", micro_batch=3, kernels=False))
    assert config["engine_options"] == {"micro_batch": 3, "kernels": False}
    learner = bl.Learner(SPEC, bl.DALTON(), engine=bl.Discrete(kernels=False))
    assert not learner.engine._network.uses_kernels
    assert bl.Learner(SPEC, bl.DALTON(), engine="discrete").engine._network.uses_kernels
    assert result.test_accuracy is not None


def test_brian_takes_its_implementation_as_an_option(tmp_path: Path) -> None:
    _, config = trained(tmp_path, engine=bl.Brian("numpy", implementation="synapses"))
    assert config["engine_options"] == {"implementation": "synapses"}


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: bl.Brian(workers=0), "workers"),
        (lambda: bl.Brian(implementation="lops"), "implementation"),
        (lambda: bl.Discrete(micro_batch=True), "micro_batch"),
        (lambda: bl.Discrete(kernels=1), "kernels"),
        (lambda: bl.Discrete(device=3), "device"),
        (lambda: bl.Learner(SPEC, engine=bl.Brian("numpy"), device="cython"), "carries its own"),
        (lambda: bl.Learner(SPEC, engine=bl.Discrete(), engine_options={"micro_batch": 2}), "carries its own"),
        (lambda: bl.Learner(SPEC, engine="brian", device="numpy", engine_options={"micro_batch": 2}), "no such option"),
        (lambda: bl.Learner(SPEC, engine="discrete", engine_options={"microbatch": 2}), "micro_batch"),
    ],
)
def test_wrong_settings_are_named(make: Any, text: str) -> None:
    with pytest.raises(RuleError, match=text):
        make()
