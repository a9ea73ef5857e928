"""Callbacks hear of a run, TensorBoard reads what was written, and neither is a part of the experiment."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_experiment import experiment as tiny
from typer.testing import CliRunner

import brianlearn as bl
from brianlearn.cli import app
from brianlearn.errors import BrianLearnError, NonFiniteError, RuleError
from brianlearn.learning import LearnerState
from brianlearn.training import Metrics, RunFolder

TINY = Path(__file__).parent / "tiny_experiment.py"


class Diary(bl.Callback):
    """Writes down what it hears."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.told: list[Any] = []
        self.stop_at = stop_at

    def begin(self, run: Path, experiment: bl.Experiment, state: bl.LearnerState) -> None:
        assert (run / "checkpoint.npz").is_file()
        self.told.append(("begin", run.name, experiment.epochs, state.samples_seen))

    def chunk(self, metrics: Metrics, state: bl.LearnerState) -> None:
        self.told.append(("chunk", metrics.samples, state.samples_seen))
        if state.samples_seen == self.stop_at:
            raise KeyboardInterrupt

    def epoch(self, line: Mapping[str, Any], state: bl.LearnerState) -> None:
        self.told.append(("epoch", line["epoch"], line["train_loss"], state.samples_seen))

    def end(self, result: bl.Result | None) -> None:
        self.told.append(("end", result))


def run(tmp_path: Path, **options: Any) -> bl.Result:
    return dataclasses.replace(tiny(), runs=tmp_path / "runs").run(progress=False, **options)


def test_a_callback_hears_of_every_chunk_and_epoch(tmp_path: Path) -> None:
    diary = Diary()
    result = run(tmp_path, callbacks=[diary])
    losses = [line["train_loss"] for line in RunFolder.open(result.run).metrics()]
    assert diary.told == [
        ("begin", result.run.name, 2, 0),
        ("chunk", 6, 6),
        ("chunk", 4, 10),
        ("epoch", 1, losses[0], 10),
        ("chunk", 6, 16),
        ("chunk", 4, 20),
        ("epoch", 2, losses[1], 20),
        ("end", result),
    ]


def test_a_run_is_the_same_with_and_without_and_goes_on_with_others(tmp_path: Path) -> None:
    plain = run(tmp_path)
    diary, later = Diary(stop_at=16), Diary()
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "stopped", callbacks=[diary, Diary()])
    assert diary.told[-1] == ("end", None) and diary.told[-2] == ("chunk", 6, 16)
    (stopped,) = (tmp_path / "stopped" / "runs").iterdir()
    result = run(tmp_path / "stopped", resume=stopped, callbacks=(one for one in [later]))
    assert [entry[:2] for entry in later.told] == [("begin", stopped.name), ("chunk", 4), ("epoch", 2), ("end", result)]
    assert later.told[0][3] == 16
    with np.load(plain.run / "weights.npz") as a, np.load(result.run / "weights.npz") as b:
        assert all(np.array_equal(a[name], b[name]) for name in a.files)
    configs = [json.loads((each.run / "config.json").read_text()) for each in (plain, result)]
    assert configs[0] == configs[1] and "callbacks" not in configs[0]


class Broken(bl.Callback):
    def __init__(self, method: str) -> None:
        setattr(self, method, self.fail)

    def fail(self, *heard: Any) -> None:
        raise ZeroDivisionError("nothing to divide by")


@pytest.mark.parametrize("method", ["begin", "chunk", "epoch", "end"])
def test_a_callback_that_fails_is_named_with_its_line(method: str, tmp_path: Path) -> None:
    before, after = Diary(), Diary()
    with pytest.raises(BrianLearnError) as caught:
        run(tmp_path, callbacks=[before, Broken(method), after])
    text = str(caught.value)
    assert f"callback Broken: its method {method}() failed" in text
    assert "ZeroDivisionError: nothing to divide by" in text and "test_callbacks.py, line" in text
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert before.told[-1][0] == "end"
    assert bool(after.told) == (method != "begin")
    (folder,) = (tmp_path / "runs").iterdir()
    assert str(folder) in text
    assert run(tmp_path, resume=folder).epochs == 2


def test_what_fails_at_the_end_does_not_hide_what_ended_the_run(tmp_path: Path) -> None:
    wild = dataclasses.replace(tiny(), optimiser=bl.SGD(1e30), runs=tmp_path)
    with pytest.raises(NonFiniteError) as caught:
        wild.run(progress=False, callbacks=[Broken("end")])
    assert any("its method end() failed" in note for note in caught.value.__notes__)


@pytest.mark.parametrize("given", [Diary(), [print], "diary", 3, [Diary]])
def test_what_is_no_callback_is_refused_before_there_is_a_folder(given: Any, tmp_path: Path) -> None:
    with pytest.raises(RuleError, match=r"bl\.Callback"):
        run(tmp_path, callbacks=given)
    assert not (tmp_path / "runs").exists()


def test_tensorboard_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(BrianLearnError, match="pip install torch tensorboard"):
        bl.TensorBoard(tmp_path)


def scalars(folder: Path) -> dict[str, dict[int, float]]:
    """What TensorBoard's own reader finds: tag -> step -> value."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})
    found.Reload()
    tags = found.Tags()
    result = {tag: {e.step: e.value for e in found.Scalars(tag)} for tag in tags["scalars"]}
    return result | {tag: {e.step: e.histogram_value.num for e in found.Histograms(tag)} for tag in tags["histograms"]}


def test_tensorboard_shows_what_metrics_say(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tensorboard")
    result = run(tmp_path, callbacks=[bl.TensorBoard(tmp_path / "board")])
    found = scalars(tmp_path / "board" / result.run.name)
    lines = RunFolder.open(result.run).metrics()
    for tag, name in (
        ("train/loss", "train_loss"),
        ("train/accuracy", "train_accuracy"),
        ("validation/accuracy", "validation_accuracy"),
        ("learning_rate", "learning_rate"),
    ):
        assert found[tag] == pytest.approx({10: lines[0][name], 20: lines[1][name]}), tag
    assert found["firing_rate_hz/dense1"][20] == pytest.approx(lines[1]["firing_rates_hz"]["dense1"])
    assert found["weight_norm/dense1"][20] == pytest.approx(lines[1]["weight_norms"]["dense1"])
    assert sorted(found["chunk/loss"]) == [6, 10, 16, 20]
    assert found["test/accuracy"] == pytest.approx({20: result.test_accuracy})
    assert found["weights/dense1"] == {0: 20, 10: 20, 20: 20}


def test_tensorboard_goes_on_where_the_run_does(tmp_path: Path) -> None:
    """What was written after the checkpoint that a run goes on from is not shown twice."""
    pytest.importorskip("torch")
    pytest.importorskip("tensorboard")
    board, heard = tmp_path / "board", bl.TensorBoard(tmp_path / "board", histograms=False)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, callbacks=[heard, Diary(stop_at=16)])
    (folder,) = (tmp_path / "runs").iterdir()
    heard.begin(folder, tiny(), LearnerState({}, samples_seen=16))  # an event of a chunk whose checkpoint was lost
    heard.chunk(Metrics(4, 0.0, 123.0, {}, 1.0), LearnerState({}, samples_seen=20))
    heard.end(None)
    assert scalars(board / folder.name)["chunk/loss"][20] == 123.0
    run(tmp_path, resume=folder, callbacks=[bl.TensorBoard(board, histograms=False)])
    found = scalars(board / folder.name)
    assert sorted(found["chunk/loss"]) == [6, 10, 16, 20] and found["chunk/loss"][20] != 123.0
    assert sorted(found["train/loss"]) == [10, 20]


@pytest.mark.slow
def test_the_command_line_writes_for_tensorboard(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("tensorboard")
    call = ["train", str(TINY), "--runs", str(tmp_path / "runs"), "--tensorboard", str(tmp_path / "board"), "--json"]
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout.splitlines()[-1])
    assert sorted(scalars(tmp_path / "board" / Path(found["run"]).name)["train/loss"]) == [10, 20]
