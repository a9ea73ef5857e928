"""Runs: what they write, how they go on after being cut off, and what stops them."""

import dataclasses
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from brian2 import ms
from numpy.testing import assert_array_equal
from rich.console import Console
from tiny_experiment import experiment, samples

import brianlearn as bl
from brianlearn.training import Checkpoint, LineProgress, LiveProgress, Progress, RunFolder
from brianlearn.training.progress import choose_progress
from brianlearn.training.splits import epoch_order, split

SCRIPT = Path(__file__).with_name("tiny_experiment.py")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bl.Result:
    """A run that nothing disturbed."""
    return dataclasses.replace(experiment(), runs=tmp_path_factory.mktemp("whole")).run(progress=False)


def assert_same_run(result: bl.Result, expected: bl.Result) -> None:
    """Bit for bit, but for the times."""
    assert (result.run / "weights.npz").read_bytes() == (expected.run / "weights.npz").read_bytes()
    times = ("seconds", "samples_per_second")
    lines = [[{k: v for k, v in m.items() if k not in times} for m in r.metrics] for r in (result, expected)]
    assert lines[0] == lines[1]
    assert result.test_accuracy == expected.test_accuracy
    assert result.test_loss == expected.test_loss


class StopAfter(Progress):
    """Raises after so many chunks."""

    def __init__(self, chunks: int, error: BaseException) -> None:
        self.chunks, self.error = chunks, error
        self.notes: list[str] = []

    def note(self, text):
        self.notes.append(text)

    def learned(self, done, running):
        self.chunks -= 1
        if self.chunks == 0:
            raise self.error


def cut_off(runs: Path, chunks: int, error: BaseException | None = None, **changes) -> Path:
    with pytest.raises(BaseException) as caught:
        error = error or KeyboardInterrupt()
        dataclasses.replace(experiment(), runs=runs, **changes).run(progress=StopAfter(chunks, error))
    assert caught.value is error
    (folder,) = runs.iterdir()
    return folder


def resume(folder: Path, **changes) -> bl.Result:
    return dataclasses.replace(experiment(), **changes).run(resume=folder, progress=False)


def test_a_run_folder_holds_everything(whole):
    assert sorted(p.name for p in whole.run.iterdir()) == [
        "checkpoint.npz",
        "config.json",
        "metrics.jsonl",
        "result.json",
        "versions.json",
        "weights.npz",
    ]
    assert whole.run.name.endswith("-run-dalton")
    versions = json.loads((whole.run / "versions.json").read_text())
    assert versions["brianlearn"] == bl.__version__
    assert {"python", "brian2", "numpy", "scipy", "cython", "platform", "compiler"} <= set(versions)
    first, second = whole.metrics
    assert (first["epoch"], second["epoch"]) == (1, 2)
    assert set(first["firing_rates_hz"]) == {"input", "dense1"}
    assert set(first["weight_norms"]) == {"dense1", "readout"}
    assert first["samples"] == 10
    assert first["validation_accuracy"] is not None
    assert first["learning_rate"] == 0.01
    assert first["weight_norms"]["dense1"] != second["weight_norms"]["dense1"]
    assert second["train_accuracy"] == whole.train_accuracy
    assert whole.weights["dense1"].shape == (5, 4)
    assert whole.weights["dense1"].dtype == np.float32
    with np.load(whole.run / "weights.npz", allow_pickle=False) as stored:
        assert_array_equal(stored["dense1"], whole.weights["dense1"])


def test_config_is_enough_to_run_it_again(whole, tmp_path, monkeypatch):
    seen, learn = [], bl.Learner.learn

    def spy(self, state, chunk):
        seen.append((state.epoch, chunk.ids.tolist(), chunk.labels.tolist()))
        return learn(self, state, chunk)

    monkeypatch.setattr(bl.Learner, "learn", spy)
    again = dataclasses.replace(bl.Experiment.from_run(whole.run, samples()), runs=tmp_path).run(progress=False)
    assert_same_run(again, whole)
    # and, by the way: an order of its own in each epoch, without the two samples that are held out
    orders = [[i for epoch, ids, _ in seen if epoch == e for i in ids] for e in (0, 1)]
    assert sorted(orders[0]) == sorted(orders[1])
    assert len(orders[0]) == len(set(orders[0])) == 10
    assert orders[0] != orders[1]
    assert [len(ids) for _, ids, _ in seen] == [6, 4, 6, 4]
    labels = samples()[0].labels
    assert all(labels[i] == y for _, ids, ys in seen for i, y in zip(ids, ys, strict=True))


@pytest.mark.slow
def test_augmented_training_resumes_bit_for_bit(tmp_path):
    rng = np.random.default_rng(5)
    train = bl.Samples(rng.random((8, 1, 4, 4)), rng.integers(0, 2, 8))
    spec = dataclasses.replace(experiment().spec, input=bl.Input((1, 4, 4)))
    changes = dict(spec=spec, data=(train, train[:2]), augment=bl.RandomAffine(rotation=20, shift=0.5), validation=0)
    plain = dataclasses.replace(experiment(), **changes, runs=tmp_path / "whole").run(progress=False)
    folder = cut_off(tmp_path / "cut", 1, **changes)
    assert_same_run(resume(folder, **changes), plain)
    again = bl.Experiment.from_run(plain.run, (train, train[:2]))
    assert again.augment == bl.RandomAffine(rotation=20, shift=0.5)
    without = dataclasses.replace(experiment(), **changes | dict(augment=None), runs=tmp_path / "plain").run(
        progress=False
    )
    assert not np.array_equal(without.weights["dense1"], plain.weights["dense1"])


def test_cut_off_between_metrics_and_checkpoint(tmp_path, whole, monkeypatch):
    """The line of the epoch is there, the checkpoint does not know it: it must not be there twice."""

    def fail(self, line):
        append(self, line)
        with (self.path / "metrics.jsonl").open("a") as file:
            file.write('{"epoch": 2, "tra')  # and the next line was cut off, too
        raise KeyboardInterrupt

    append = RunFolder.append_metrics
    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "append_metrics", fail)
        with pytest.raises(KeyboardInterrupt):
            dataclasses.replace(experiment(), runs=tmp_path).run(progress=False)
    (folder,) = tmp_path.iterdir()
    assert_same_run(resume(folder), whole)


def test_kill_9_in_mid_epoch_and_resume(tmp_path, whole):
    code = f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); from tiny_experiment import experiment\n"
    code += f"import dataclasses; dataclasses.replace(experiment(), runs={str(tmp_path)!r}, epochs=500).run()"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        folder = wait_for_checkpoint(process, tmp_path)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    checkpoint = RunFolder.open(folder).checkpoint()
    assert 0 < checkpoint.chunk <= 2, "not killed in mid-epoch"
    assert checkpoint.state.epoch < 2, "killed too late for this test"
    assert_same_run(resume(folder), whole)


def wait_for_checkpoint(process: subprocess.Popen, runs: Path) -> Path:
    """Wait until the process is in the middle of an epoch."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, "the process ended by itself"
        for folder in runs.iterdir():
            if (folder / "config.json").exists() and RunFolder.open(folder).checkpoint().chunk == 1:
                return folder
        time.sleep(0.005)
    raise AssertionError("no checkpoint")


@pytest.mark.parametrize(
    "number", [signal.SIGINT, *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGTERM, signal.SIGHUP))]
)
def test_a_signal_leaves_cleanly_and_resumes(number, tmp_path, whole):
    command = [sys.executable, str(SCRIPT), "--runs", str(tmp_path), "--epochs", "500"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a test run in the background ignores Ctrl-C, and so would its children
        preexec_fn=lambda: [signal.signal(n, signal.SIG_DFL) for n in (signal.SIGINT, signal.SIGHUP)],
    )
    try:
        folder = wait_for_checkpoint(process, tmp_path)
        process.send_signal(number)
        _, err = process.communicate(timeout=100)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 128 + number
    assert "Traceback" not in err
    assert f"--resume {folder}" in err
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    checkpoint = RunFolder.open(folder).checkpoint()
    assert checkpoint.state.epoch < 2, "interrupted too late for this test"
    assert_same_run(resume(folder), whole)


@pytest.mark.slow
def test_more_epochs_go_on_where_a_finished_run_ended(tmp_path, whole):
    short = dataclasses.replace(experiment(), runs=tmp_path, epochs=1).run(progress=False)
    longer = resume(short.run)
    assert longer.run == short.run
    assert_same_run(longer, whole)


def test_a_finished_run_is_not_trained_again(whole):
    before = (whole.run / "checkpoint.npz").stat().st_mtime_ns
    assert resume(whole.run) == whole
    assert (whole.run / "checkpoint.npz").stat().st_mtime_ns == before


def test_run_folders_are_unique(tmp_path):
    folders = [RunFolder.create(tmp_path, "../a b/c").path for _ in range(5)]
    assert len(set(folders)) == 5
    assert all(folder.parent == tmp_path and folder.is_dir() for folder in folders)


@pytest.mark.parametrize("below", ["", "deeper"])
def test_unwritable_runs_folder(tmp_path, below, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(bl.Learner, "__init__", lambda *a, **k: pytest.fail("it was built first"))
    with pytest.raises(bl.RunFolderError, match="cannot be written"):
        dataclasses.replace(experiment(), runs=tmp_path / "file" / below).run(progress=False)


def test_a_run_that_cannot_begin_leaves_no_folder(tmp_path):
    with pytest.raises(bl.DeviceError):
        dataclasses.replace(experiment(), runs=tmp_path, device="abacus").run(progress=False)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    folder = RunFolder.create(tmp_path, "x")
    state = bl.LearnerState({"file": np.ones((2, 2), np.float32)}, {"file": {"m": np.zeros(3)}}, steps=3, seed=5)
    folder.write_checkpoint(Checkpoint(state, 4))
    before = (folder.path / "checkpoint.npz").read_bytes()

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(bl.RunFolderError, match="No space left"):
        folder.write_checkpoint(Checkpoint(state, 5))
    assert [p.name for p in folder.path.iterdir()] == ["checkpoint.npz"]
    assert (folder.path / "checkpoint.npz").read_bytes() == before
    again = folder.checkpoint()
    assert (again.chunk, again.state.steps, again.state.seed) == (4, 3, 5)
    assert_array_equal(again.state.weights["file"], state.weights["file"])
    assert_array_equal(again.state.optimiser["file"]["m"], np.zeros(3))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A run that was cut off in mid-epoch."""
    return cut_off(tmp_path_factory.mktemp("cut"), 1)


class TestResumeRefuses:
    def test_what_is_no_run_folder(self, tmp_path):
        with pytest.raises(bl.RunFolderError, match=r"no config\.json"):
            resume(tmp_path)
        with pytest.raises(bl.RunFolderError, match="no such run folder"):
            resume(tmp_path / "nowhere")

    @pytest.mark.parametrize(
        ("changes", "where"),
        [
            (dict(seed=1), "seed = 1"),
            (dict(optimiser=bl.Adam(0.01, beta1=0.8)), "optimiser.beta1 = 0.8"),
            (dict(optimiser=bl.SGD(0.02)), r"optimiser.\$type = SGD"),
            (dict(rule=bl.TFR()), r"rule.\$type = TFR"),
            (dict(spec=experiment().spec.with_constants(tau_m=11 * ms)), "tau_m.value = 0.011"),
            (dict(chunk_size=2), "chunk_size = 2"),
            (dict(validation=1), "data.validation = 1"),
            (dict(data=samples()[::-1]), "data.fingerprint"),
        ],
    )
    def test_another_experiment(self, folder, changes, where):
        before = (folder / "config.json").read_bytes()
        with pytest.raises(bl.RunFolderError, match=f"another experiment(.|\n)*{where}"):
            resume(folder, **changes)
        assert (folder / "config.json").read_bytes() == before

    @pytest.mark.parametrize("keep", [0, 100, -50])
    def test_a_damaged_checkpoint(self, folder, tmp_path, keep):
        damaged = copy(folder, tmp_path)
        content = (folder / "checkpoint.npz").read_bytes()
        (damaged / "checkpoint.npz").write_bytes(content[:keep])
        with pytest.raises(bl.RunFolderError, match="damaged"):
            resume(damaged)

    def test_a_flipped_bit(self, folder, tmp_path):
        damaged = copy(folder, tmp_path)
        content = bytearray((folder / "checkpoint.npz").read_bytes())
        content[content.find(b"weights/dense1") + 200] ^= 1
        (damaged / "checkpoint.npz").write_bytes(content)
        with pytest.raises(bl.RunFolderError, match="damaged"):
            resume(damaged)

    def test_a_checkpoint_of_another_network(self, folder, tmp_path):
        damaged = copy(folder, tmp_path)
        state = bl.LearnerState({"dense1": np.zeros((7, 4)), "readout": np.zeros((2, 7))})
        Checkpoint(state).save(damaged / "checkpoint.npz")
        with pytest.raises(bl.RunFolderError, match="checkpoint is damaged"):
            resume(damaged)

    def test_metrics_that_are_missing(self, whole, tmp_path):
        damaged = copy(whole.run, tmp_path)
        (damaged / "metrics.jsonl").unlink()
        with pytest.raises(bl.RunFolderError, match=r"metrics\.jsonl"):
            resume(damaged, epochs=3)

    @pytest.mark.parametrize(
        ("damage", "line", "got"),
        [
            (lambda first, second: [first, second[:20]], 2, "JSONDecodeError"),
            (lambda first, second: [b"\xff\xfe", second], 1, "UnicodeDecodeError"),
            (lambda first, second: [first, b"[]"], 2, "without the number of an epoch"),
            (lambda first, second: [first, second.replace(b'"epoch": 2', b'"epoch": true')], 2, "number of an epoch"),
            (lambda first, second: [first, second.replace(b'"epoch": 2', b'"epoch": 1')], 2, "epoch 1 again"),
        ],
    )
    def test_damaged_metrics(self, whole, tmp_path, damage, line, got):
        damaged = copy(whole.run, tmp_path)
        lines = damage(*(whole.run / "metrics.jsonl").read_bytes().splitlines())
        (damaged / "metrics.jsonl").write_bytes(b"\n".join(lines) + b"\n")
        with pytest.raises(bl.RunFolderError, match=rf"metrics\.jsonl, line {line}(.|\n)*{got}(.|\n)*remedy"):
            resume(damaged, epochs=3)

    def test_fewer_epochs_than_are_done(self, whole):
        with pytest.raises(bl.RunFolderError, match="further than it should go"):
            resume(whole.run, epochs=1)

    @pytest.mark.parametrize("text", ["{", "[]", '{"format": 99}'])
    def test_a_damaged_config(self, folder, tmp_path, text):
        damaged = copy(folder, tmp_path)
        (damaged / "config.json").write_text(text)
        with pytest.raises(bl.RunFolderError):
            resume(damaged)
        with pytest.raises(bl.RunFolderError):
            bl.Experiment.from_run(damaged, samples())

    def test_samples_without_a_name(self, folder):
        with pytest.raises(bl.RunFolderError, match="samples that have no name"):
            bl.Experiment.from_run(folder)


def test_metrics_that_two_processes_wrote_at_the_same_time(whole, tmp_path):
    """An earlier version let two processes go on with one run: each epoch twice, the same but for the times."""
    twice = copy(whole.run, tmp_path)
    lines = [json.loads(line) for line in (whole.run / "metrics.jsonl").read_text().splitlines()]
    slower = [line | {"seconds": 2 * line["seconds"]} for line in lines]
    text = "".join(json.dumps(line) + "\n" for line in (lines[0], slower[0], slower[1], lines[1]))
    (twice / "metrics.jsonl").write_text(text)
    assert RunFolder.open(twice).metrics() == [lines[0], slower[1]]
    longer = resume(twice, epochs=3)
    assert [line["epoch"] for line in longer.metrics] == [1, 2, 3]
    assert len((twice / "metrics.jsonl").read_text().splitlines()) == 3


@pytest.mark.slow
def test_another_learning_rate_is_taken_and_recorded(folder, tmp_path):
    changed = copy(folder, tmp_path)
    before = RunFolder.open(changed).checkpoint().state.samples_seen
    display = StopAfter(-1, KeyboardInterrupt())
    changes = dataclasses.replace(experiment(), optimiser=bl.Adam(0.001))
    result = changes.run(resume=changed, progress=display)
    assert "the learning rate was 0.01 and is now 0.001" in display.notes
    config = json.loads((changed / "config.json").read_text())
    assert config["optimiser"]["learning_rate"] == 0.001
    assert config["history"] == [{"learning_rate": 0.01, "epoch": 1, "samples_seen": before}]
    assert [line["learning_rate"] for line in result.metrics] == [0.001, 0.001]
    # and the next one takes it from the folder, and keeps the history
    longer = dataclasses.replace(bl.Experiment.from_run(changed, samples()), epochs=3)
    assert longer.optimiser == bl.Adam(0.001)
    assert len(longer.run(resume=changed, progress=False).metrics) == 3
    assert json.loads((changed / "config.json").read_text())["history"] == config["history"]


@pytest.mark.slow
def test_after_another_learning_rate_the_weights_are_those_of_that_rate(folder, tmp_path):
    """The rest of the run, learned by hand from the same checkpoint."""
    changed = copy(folder, tmp_path)
    small = dataclasses.replace(experiment(), optimiser=bl.Adam(0.001))
    result = small.run(resume=changed, progress=False)
    splits = split(small.data, small.spec, validation=2, limit=None, test_limit=None, seed=0)
    learner = bl.Learner(small.spec, small.rule, small.optimiser, device="numpy", batch_size=2, chunk_size=6)
    state = RunFolder.open(folder).checkpoint().state
    rest = epoch_order(10, 0, 0)[6:]
    state = learner.learn(state, splits.train[rest])[0].next_epoch(small.optimiser)
    state = learner.learn(state, splits.train[epoch_order(10, 0, 1)])[0]
    for name, weights in result.weights.items():
        assert_array_equal(state.weights[name], weights)


def copy(folder: Path, to: Path) -> Path:
    (to / "copy").mkdir()
    for file in folder.iterdir():
        (to / "copy" / file.name).write_bytes(file.read_bytes())
    return to / "copy"


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_nan_stops_training_and_keeps_the_last_good_checkpoint(tmp_path):
    class Poison(bl.Learner):
        calls = 0

        def learn(self, state, chunk):
            Poison.calls += 1
            if Poison.calls == 2:
                weights = {name: array * np.float32(1e38) for name, array in state.weights.items()}
                state = dataclasses.replace(state, weights=weights)
            return super().learn(state, chunk)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("brianlearn.training.session.Learner", Poison)
        with pytest.raises(bl.NonFiniteError) as caught:
            dataclasses.replace(experiment(), runs=tmp_path).run(progress=False)
    (folder,) = tmp_path.iterdir()
    assert "dense1" in str(caught.value) or "readout" in str(caught.value)
    assert f"--resume {folder} --learning-rate 0.001" in caught.value.__notes__[0]
    checkpoint = RunFolder.open(folder).checkpoint()
    assert checkpoint.chunk == 1
    assert all(np.isfinite(array).all() for array in checkpoint.state.weights.values())
    assert not (folder / "weights.npz").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(spec="net"), "spec is of the wrong type"),
        (dict(rule="dalton"), "rule is of the wrong type"),
        (dict(optimiser=0.1), "optimiser is of the wrong type"),
        (dict(epochs=0), "epochs is wrong"),
        (dict(epochs=1.5), "epochs is wrong"),
        (dict(limit=0), "limit is wrong"),
        (dict(validation=-1), "validation is wrong"),
        (dict(dtype="float16"), "unknown dtype"),
        (dict(rule=bl.DALTON(update="step")), "batch"),
    ],
)
def test_arguments_that_cannot_be_right(changes, message):
    with pytest.raises(bl.RuleError, match=message):
        dataclasses.replace(experiment(), **changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(data="letters"), "letters"),
        (dict(data=3), "data is of the wrong type"),
        (dict(validation=12), "too many validation samples"),
        (dict(data="digits"), "do not fit the network"),
    ],
)
def test_data_that_cannot_be_right(changes, message, tmp_path):
    with pytest.raises(bl.BrianLearnError, match=message):
        dataclasses.replace(experiment(), runs=tmp_path, **changes).run(progress=False)
    assert list(tmp_path.iterdir()) == []


def test_evaluate_gives_what_the_run_gave(whole):
    found = bl.evaluate(whole.run, data=samples(), progress=False)
    assert found.test_accuracy == whole.test_accuracy
    assert found.test_loss == whole.test_loss
    assert bl.evaluate(whole.run, data=samples(), limit=2, progress=False).samples == 2


def test_evaluate_a_run_that_is_not_finished(folder):
    assert bl.evaluate(folder, data=samples(), progress=False).samples == 4


def test_evaluate_refuses_the_weights_of_another_network(whole, tmp_path):
    folder = copy(whole.run, tmp_path)
    np.savez(folder / "weights.npz", dense1=np.zeros((6, 4)), readout=np.zeros((2, 6)))
    with pytest.raises(bl.WeightsError, match="dense1"):
        bl.evaluate(folder, data=samples(), progress=False)


def test_one_plain_line_per_epoch_where_there_is_no_terminal(whole, capsys):
    display = choose_progress(True)
    assert type(display) is LineProgress
    with display:
        tell(display, whole)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[0] == "making the network ready on cython (compiles the first time)"
    assert [line.split(":")[0] for line in captured.err.splitlines()[1:]] == ["epoch 1/2", "epoch 2/2"]


def test_live_display(whole):
    stream = io.StringIO()
    with LiveProgress(Console(file=stream, force_terminal=True, width=120)) as display:
        tell(display, whole)
    text = stream.getvalue()
    for expected in ("compiling for cython", "epoch 2/2", "60%", "samples/s", "left", "25.0%", "0.125", "test"):
        assert expected in text, expected


def tell(display: Progress, result: bl.Result) -> None:
    """What a run of two epochs tells."""
    display.building("cython")
    for epoch, line in enumerate(result.metrics):
        display.learning(epoch, 2, 10, 0)
        display.learned(6, bl.Metrics(6, 0.25, 0.125, {}, 0.1))
        display.epoch(line, 2)
    display.testing("test", 4, 2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_a_run_that_is_not_finite_any_more_goes_on_with_the_learning_rate_that_its_error_advises(tmp_path):
    wild = dict(runs=tmp_path, optimiser=bl.SGD(1e45))
    with pytest.raises(bl.NonFiniteError) as caught:
        dataclasses.replace(experiment(), **wild).run(progress=False)
    (folder,) = tmp_path.iterdir()
    assert f"--resume {folder} --learning-rate 1e+44" in caught.value.__notes__[0]
    calm = dataclasses.replace(bl.Experiment.from_run(folder, samples()), optimiser=bl.SGD(0.01))
    result = calm.run(resume=folder, progress=False)
    assert [line["learning_rate"] for line in result.metrics] == [0.01, 0.01]
    assert json.loads((folder / "config.json").read_text())["history"][0]["learning_rate"] == 1e45
    plain = dataclasses.replace(experiment(), runs=tmp_path / "plain", optimiser=bl.SGD(0.01)).run(progress=False)
    assert_same_run(result, plain)
