"""Studies: what is run, what is stored, what comes out, and what is left after faults."""

from __future__ import annotations

import json
import math
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from brian2 import ms
from scipy.stats import t
from study_functions import experiment, fragile, learner, measure, quadratic, slow

import brianlearn as bl
from brianlearn.errors import RunFolderError, SpecError
from brianlearn.study import Study, SuccessiveHalving
from brianlearn.study.folder import StudyFolder
from brianlearn.study.trial import run_trial

pytestmark = pytest.mark.timeout(300)
FUNCTIONS = Path(__file__).parent / "study_functions.py"


def _run(study: Study, folder: Path, **options: Any) -> Study:
    options = dict(workers=1, progress=False) | options
    study.run(folder=folder, **options)
    return study


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("study") / "measured"
    return _run(Study(measure, {"tau": [5, 10] * ms, "gain": [1.0, 2.0, 4.0], "seed": range(3)}), folder)


def test_results_are_a_labelled_table(measured: Study) -> None:
    pytest.importorskip("xarray")
    found = measured.results()
    assert found["value"].dims == ("tau", "gain", "seed")
    np.testing.assert_array_equal(found["tau"], [5.0, 10.0])
    assert found["tau"].attrs["units"] == "ms"
    assert found["rate"].attrs["units"] == "Hz"
    for tau in (5.0, 10.0):
        for gain in (1.0, 2.0, 4.0):
            for seed in range(3):
                at = found.sel(tau=tau, gain=gain, seed=seed)
                expected = gain * tau + 0.1 * np.random.default_rng(seed).normal()
                assert math.isclose(float(at["value"]), expected, rel_tol=1e-12)
                assert float(at["rate"]) == gain * 10
                assert str(at["label"].item()) == "plain"
                np.testing.assert_array_equal(at["trace"], np.arange(3) * gain)
                assert str(at["state"].item()) == "done"


def test_a_summary_over_seeds(measured: Study) -> None:
    pytest.importorskip("xarray")
    found = measured.summary()
    values = measured.results()["value"].sel(tau=10.0, gain=2.0).values
    at = found.sel(tau=10.0, gain=2.0)
    mean, std = sum(values) / 3, math.sqrt(sum((v - sum(values) / 3) ** 2 for v in values) / 2)
    assert math.isclose(float(at["value_mean"]), mean)
    assert math.isclose(float(at["value_std"]), std)
    half = t.ppf(0.975, 2) * std / math.sqrt(3)
    assert math.isclose(float(at["value_high"]) - float(at["value_low"]), 2 * half)
    assert int(at["value_n"]) == 3


def test_tables_in_files(measured: Study, tmp_path: Path) -> None:
    xr = pytest.importorskip("xarray")
    pytest.importorskip("h5netcdf")
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    table = pd.read_csv(measured.to(tmp_path / "r.csv"), keep_default_na=False)
    assert len(table) == 18
    assert list(table["tau (ms)"][:4]) == [5.0, 5.0, 5.0, 5.0]
    assert list(table["gain"][:4]) == [1.0, 1.0, 1.0, 2.0]
    pd.testing.assert_frame_equal(pd.read_parquet(measured.to(tmp_path / "r.parquet")), table, check_dtype=False)
    with xr.open_dataset(measured.to(tmp_path / "r.nc"), engine="h5netcdf") as again:
        np.testing.assert_array_equal(again["value"], measured.results()["value"])
        assert again["tau"].attrs["units"] == "ms"
    with pytest.raises(bl.DataError, match="no such kind of table"):
        measured.to(tmp_path / "r.xlsx")


def test_folders_say_what_was_run(measured: Study) -> None:
    trial = StudyFolder.open(measured.folder).trial(4)
    assert trial.path.name == "00004-tau=5ms,gain=2,seed=1"
    assert json.loads((trial.path / "parameters.json").read_text())["tau"]["value"] == 0.005
    again = Study.open(measured.folder)
    assert {name: axis.values for name, axis in again.axes.items()} == {
        name: axis.values for name, axis in measured.axes.items()
    }
    assert again.status().done == 18


def test_a_finished_trial_is_not_run_again(measured: Study) -> None:
    file = StudyFolder.open(measured.folder).trial(0).path / "done.json"
    before = file.read_bytes()
    assert run_trial(measured.folder, 0)["state"] == "done"
    assert file.read_bytes() == before


def test_a_study_that_fails_here_and_there(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    study = Study(fragile, {"k": range(6)}, fixed={"folder": str(tmp_path / "notes")})
    found = study.run(workers=2, folder=tmp_path / "s", progress=False)
    # 1 raises; 2 kills its worker, which costs this trial alone; 3 has no disk
    assert (found.done, found.failed, found.missing) == (3, 1, 2)
    assert found.errors == {"ValueError: one is never good": 1}
    record = StudyFolder.open(study.folder).trial(1).record()
    assert "study_functions.py" in record["traceback"]
    again = Study.open(study.folder).resume(workers=1, progress=False)
    assert (again.done, again.failed, again.missing) == (5, 1, 0)
    assert again.best == (5, 0.5)
    assert Study.open(study.folder).resume(workers=1, again=True, progress=False).failed == 1


def test_retries_are_explicit(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    study = Study(fragile, {"k": [1, 2]}, fixed={"folder": str(tmp_path / "notes")})
    found = study.run(workers=1, folder=tmp_path / "s", retries=1, progress=False)
    assert (found.done, found.failed) == (1, 1)


@pytest.mark.slow
def test_an_experiment_is_trained_and_tidied(tmp_path: Path) -> None:
    pytest.importorskip("xarray")
    study = Study(experiment, {"tau_m": [10, 20] * ms, "rule": ["dalton", "tfr"], "layer.size": [6]}, keep="weights")
    found = _run(study, tmp_path / "s").status()
    assert found.done == 4
    results = study.results()
    assert results["test_accuracy"].dims == ("tau_m", "rule", "layer.size")
    assert results["train_accuracy_by_epoch"].sizes["epoch"] == 2
    assert results["firing_rate_dense1"].attrs["units"] == "Hz"
    trial = StudyFolder.open(study.folder).trial(1)
    run = trial.run_folder()
    assert run is not None
    assert (run / "weights.npz").exists()
    assert not (run / "checkpoint.npz").exists()
    with np.load(run / "weights.npz") as weights:
        assert weights["dense1"].shape == (6, 64)
    assert json.loads((run / "config.json").read_text())["rule"]["$type"] == "TFR"
    # the same as the experiment alone
    alone = bl.Experiment(**{**vars(experiment(10 * ms, 6)), "rule": bl.TFR(), "runs": tmp_path / "alone"})
    result = alone.run(progress=False)
    assert float(results["test_accuracy"].sel(tau_m=10.0, rule="tfr").item()) == result.test_accuracy
    assert float(results["test_loss"].sel(tau_m=10.0, rule="tfr").item()) == result.test_loss


def test_an_experiment_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    """Cut off in its first epoch, a trial comes to what it would have come to."""
    from brianlearn.training import LineProgress

    class Cut(LineProgress):
        def learned(self, done: int, running: bl.Metrics) -> None:
            if done == 20:
                raise KeyboardInterrupt

    whole = _run(Study(experiment, {"seed": [3]}, keep="all"), tmp_path / "whole")
    cut = Study(experiment, {"seed": [3]}, keep="all")
    cut._folder.append(cut._begin(tmp_path / "cut", "runs"))
    trial = StudyFolder.open(cut.folder).trial(0)
    trial.begin()
    import dataclasses

    with pytest.raises(KeyboardInterrupt):
        dataclasses.replace(experiment(), seed=3, runs=trial.path).run(progress=Cut())
    assert Study.open(cut.folder).resume(workers=1, progress=False).done == 1
    folders = [StudyFolder.open(s.folder).trial(0).run_folder() for s in (whole, cut)]
    one, two = (np.load(folder / "weights.npz") for folder in folders if folder is not None)
    for name in one.files:
        np.testing.assert_array_equal(one[name], two[name])
    lines = (folders[1] / "metrics.jsonl").read_text().splitlines() if folders[1] else []
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]


def test_successive_halving_ends_those_that_are_behind(tmp_path: Path) -> None:
    axes = {"quality": [0.9, 0.1, 0.2, 0.8, 0.3, 0.05]}
    study = Study(learner, axes, stop=SuccessiveHalving(minimum=1, factor=3))
    found = _run(study, tmp_path / "s").status()
    assert found.stopped >= 3
    assert found.best is not None
    assert study.parameters(found.best[0])["quality"] == 0.9
    states = StudyFolder.open(study.folder).states()
    assert states[0] == "done"  # the first has nobody to be compared with
    assert states[1] == "stopped"
    assert study.resume(workers=1, progress=False).missing == 0


def test_halving_compares_as_the_paper_says() -> None:
    rule = SuccessiveHalving(minimum=2, factor=3)
    assert [step for step in range(1, 60) if rule.compares(step)] == [2, 6, 18, 54]
    assert rule.goes_on([0.1], 0.1)
    assert not rule.goes_on([0.1, 0.2], 0.1)
    assert rule.goes_on([1, 2, 3, 4, 5, 6], 5)
    assert not rule.goes_on([1, 2, 3, 4, 5, 6], 4)
    assert SuccessiveHalving(direction="minimize").goes_on([1, 2, 3], 1)
    assert not rule.goes_on([math.nan], math.nan)


def test_a_search_finds_the_lowest_point_and_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    axes = {"x": bl.linear_space(-1.0, 1.0), "y": bl.log_space(0.1, 100.0), "kind": ["a", "b", "c"], "seed": range(2)}
    options: dict[str, Any] = dict(sampler="search", budget=40, metric="error", direction="minimize")
    study = Study(quadratic, axes, **options)
    found = study.run(workers=2, folder=tmp_path / "s", progress=False)
    assert (found.done, found.total) == (80, 80)
    assert found.best is not None
    assert study.parameters(found.best[0])["kind"] == "b"
    assert found.best[1] < 0.1
    # what is missing is run again, and nothing else
    folder = StudyFolder.open(study.folder)
    for index in (7, 70, 71):
        (folder.trial(index).path / "done.json").unlink()
    again = Study.open(study.folder)
    assert again.status().missing == 3
    assert again.resume(workers=1, progress=False).done == 80
    assert len(StudyFolder.open(study.folder).plan()) == 80


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGKILL, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_study_that_was_stopped_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(FUNCTIONS.read_text())
    command = [sys.executable, "-m", "brianlearn", "study", str(script), "--axis", "k=0:12", "--fix", "seconds=0.3"]
    command += ["--fix", f"folder={tmp_path}", "--workers", "2", "--folder", str(tmp_path / "s")]
    script.write_text(script.read_text() + "\n\ntrial = slow\n")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    finished = tmp_path / "finished"
    deadline = time.monotonic() + 120
    while not finished.exists() or len(finished.read_text().split()) < 3:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    process.wait(60)
    assert process.returncode != 0
    study = Study.open(tmp_path / "s")
    before = study.status()
    assert 2 <= before.done < 12
    assert study.resume(workers=2, progress=False).done == 12
    ran = finished.read_text().split()
    twice = len(ran) - len(set(ran))
    assert sorted(set(map(int, ran))) == list(range(12))
    assert twice <= (2 if number == signal.SIGKILL else 0)  # those that ran when everything was killed


def test_two_processes_cannot_run_one_study(tmp_path: Path) -> None:
    study = _run(Study(slow, {"k": range(2)}, fixed={"seconds": 0.0}), tmp_path / "s")
    from brianlearn.training.lock import locked

    with locked(study.folder), pytest.raises(RunFolderError, match="another run"):
        Study.open(study.folder).resume(workers=1, progress=False)


def chosen(
    method: Literal["bptt", "eprop"] = "bptt", size: Literal[1, 2] | None = None, **other: Any
) -> dict[str, int]:
    return {"value": len(method) + (size or 0)}


def test_values_that_a_parameter_does_not_take(tmp_path: Path) -> None:
    for axes, fixed, said in (
        ({"method": ["bptt", "epropp"]}, {}, r"'method' does not take(.|\n)*'epropp'(.|\n)*did you mean 'eprop'"),
        ({"seed": [1]}, {"size": 3}, r"'size' does not take(.|\n)*got: +3\n +expected: 1, 2, None"),
        ({"size": [1 * ms]}, {}, "'size' does not take"),
        ({"seed": [1]}, {"size": [1, 2]}, "'size' does not take"),
    ):
        with pytest.raises(SpecError, match=said):
            Study(chosen, axes, fixed=fixed).run(workers=1, folder=tmp_path / "refused", progress=False)
        assert not (tmp_path / "refused").exists()
    axes = {"method": ["bptt", "eprop"], "size": [np.int64(1), 2], "tau": [1 * ms]}
    assert Study(chosen, axes).run(workers=1, folder=tmp_path / "a", progress=False).done == 4


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Study(measure, {}), "no axes"),
        (lambda: Study(measure, {"tau": []}), "no values"),
        (lambda: Study(measure, {"tau": [5 * ms, 5 * ms]}), "twice"),
        (lambda: Study(measure, {"tau": [5 * ms, 3.0]}), "one kind"),
        (lambda: Study(measure, {"1x": [1]}), "name of the axis"),
        (lambda: Study(measure, {"gain": [object()]}), "cannot be stored"),
        (lambda: Study(measure, {"gain": [math.nan]}), "not finite"),
        (lambda: Study(measure, {"gain": [1.0]}, sampler="best"), "unknown sampler"),
        (lambda: Study(measure, {"gain": [1.0]}, sampler="sobol"), "needs a budget"),
        (lambda: Study(measure, {"gain": [1.0]}, keep="nothing"), "unknown keep"),
        (lambda: Study(measure, {"gain": [1.0]}, where="gain >"), "cannot be read"),
        (lambda: Study(measure, {"gain": [1.0]}, fixed={"gain": 2.0}), "fixed and axes"),
        (lambda: Study(lambda x: {}, {"x": [1]}).run(workers=1), "cannot find this function"),
        (lambda: Study("nowhere.py", {"x": [1]}).run(workers=1), "no such script"),
        (lambda: bl.log_space(0.0, 1.0), "above 0"),
        (lambda: bl.linear_space(1 * ms, 2.0), "different units"),
    ],
)
def test_what_cannot_be_studied_is_refused(make: Any, text: str) -> None:
    with pytest.raises(bl.BrianLearnError, match=text):
        make()


def test_an_axis_that_nothing_takes(tmp_path: Path) -> None:
    found = Study(experiment, {"tau_n": [5, 10] * ms}).run(workers=1, folder=tmp_path / "a", progress=False)
    assert found.failed == 2
    assert "there is no such parameter" in next(iter(found.errors))
    found = Study(measure, {"taus": [1, 2]}).run(workers=1, folder=tmp_path / "b", progress=False)
    assert "does not take an axis" in next(iter(found.errors))
    with pytest.raises(SpecError, match="no value"):
        Study("tests/none.py" if False else _needy, {"a": [1]}).run(workers=1, folder=tmp_path / "c")
    assert not (tmp_path / "c").exists()


def _needy(a: int, b: int) -> dict[str, int]:
    return {"a": a + b}


def test_a_folder_that_is_in_use_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="not empty"):
        Study(measure, {"gain": [1.0]}).run(workers=1, folder=tmp_path, progress=False)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]


def test_a_plan_that_was_cut_off(tmp_path: Path) -> None:
    folder = StudyFolder.create(tmp_path / "s", "runs", "x")
    folder.add([{"a": 1}, {"a": 2}])
    with (folder.path / "plan.jsonl").open("a") as file:
        file.write('{"index": 2, "para')
    again = StudyFolder(folder.path)
    assert again.plan() == [{"a": 1}, {"a": 2}]
    assert again.add([{"a": 3}]) == [2]
    assert StudyFolder(folder.path).plan() == [{"a": 1}, {"a": 2}, {"a": 3}]
    (folder.path / "plan.jsonl").write_text('{"index": 5, "parameters": {}}\n')
    with pytest.raises(RunFolderError, match="line 1"):
        StudyFolder(folder.path).plan()
