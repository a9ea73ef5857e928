"""Several processes of one program that share batches, and samples to evaluate."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from cases import dense, one_convolution

from brianlearn.brian.cpp.standalone import StandaloneDevice
from brianlearn.brian.engine import BrianEngine
from brianlearn.brian.run.all_reduce import VARIABLE
from brianlearn.brian.run.lifeline import PARENT_VARIABLE
from brianlearn.brian.run.shards import shards_of_batches, shards_of_samples
from brianlearn.errors import DeviceError, RuleError
from brianlearn.learning import DALTON, SGD, TFR, Adam, LearnerState
from brianlearn.learning.recording import everything
from brianlearn.machine.leftovers import remove_leftovers
from brianlearn.network import NetworkSpec, Samples
from brianlearn.training.learner import Learner


def _engine(workers: int, spec: NetworkSpec | None = None, **options: object) -> BrianEngine:
    settings = dict(device="cpp_standalone", dtype="float64", batch_size=5, chunk_size=10) | options
    rule = settings.pop("rule", DALTON())
    optimiser = settings.pop("optimiser", Adam(1e-3))
    return BrianEngine(spec or one_convolution(), rule, optimiser, workers=workers, **settings)


def _samples(spec: NetworkSpec, n: int) -> Samples:
    rng = np.random.default_rng(1)
    return Samples(rng.uniform(0, 0.6, (n, *spec.input.shape)), rng.integers(0, spec.classes, n))


def _state(spec: NetworkSpec) -> LearnerState:
    return Learner(spec, DALTON(), Adam(1e-3), device="numpy", dtype="float64").init()


@pytest.mark.cpp_standalone
def test_workers_learn_the_same_batches_and_evaluate_the_same_samples() -> None:
    spec = one_convolution()
    samples, start = _samples(spec, 8), _state(spec)  # the second batch has 3 samples: one process runs idle trials
    alone, together = _engine(1), _engine(2)
    expected, record = alone.learn(start, samples, 1e-3)
    state, joined = together.learn(start, samples, 1e-3)
    assert state.steps == expected.steps == 2
    for name, weights in expected.weights.items():
        np.testing.assert_allclose(state.weights[name], weights, rtol=0, atol=1e-12)
    np.testing.assert_allclose(joined.logits, record.logits, atol=1e-12)
    np.testing.assert_allclose(joined.loss, record.loss, atol=1e-12)
    for name, counts in record.spike_counts.items():
        np.testing.assert_array_equal(joined.spike_counts[name], counts)
    one, two = (engine.infer(state, samples, ()) for engine in (alone, together))
    np.testing.assert_array_equal(one.logits, two.logits)
    # repeated, to the last bit
    again, _ = together.learn(start, samples, 1e-3)
    assert all(np.array_equal(again.weights[name], state.weights[name]) for name in state.weights)


@pytest.mark.cpp_standalone
def test_recorded_spikes_come_in_order() -> None:
    spec = dense()
    samples, start = _samples(spec, 5), _state(spec)
    taps = (*everything("spikes", spec), *everything("readout", spec))
    one, two = (_engine(w, spec).infer(start, samples, taps) for w in (1, 2))
    for name, raster in one.spikes.items():
        np.testing.assert_array_equal(raster.dense(), two.spikes[name].dense())
    assert one.spikes and one.recorded.keys() == two.recorded.keys() == set(everything("readout", spec))
    for tap, values in one.recorded.items():
        np.testing.assert_array_equal(values, two.recorded[tap])


@pytest.mark.cpp_standalone
def test_a_process_that_fails_ends_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = one_convolution()
    engine = _engine(2)
    engine.infer(_state(spec), _samples(spec, 2), ())
    start = StandaloneDevice._start

    def broken(self: StandaloneDevice, run: object, values: object, n: int, environment: dict[str, str]) -> object:
        share = environment["BRIANLEARN_ALL_REDUCE"]
        if share.startswith("1/"):
            environment = environment | {"BRIANLEARN_ALL_REDUCE": "1/2:/nowhere/at/all"}
        return start(self, run, values, n, environment)

    monkeypatch.setattr(StandaloneDevice, "_start", broken)
    with pytest.raises(DeviceError, match="cannot map /nowhere/at/all"):
        engine.learn(_state(spec), _samples(spec, 8), 1e-3)


@pytest.mark.cpp_standalone
def test_a_process_whose_parent_is_gone_before_it_starts_ends_at_once(tmp_path: Path) -> None:
    engine = _engine(2)
    spec = one_convolution()
    engine.learn(_state(spec), _samples(spec, 2), 1e-3)
    program = engine._device(())[1]._folder / "main"
    parent = subprocess.Popen(["true"])
    parent.wait()
    environment = os.environ | {PARENT_VARIABLE: str(parent.pid), VARIABLE: f"0/2:{tmp_path / 'exchange'}"}
    (tmp_path / "exchange").write_bytes(bytes(2**20))
    (tmp_path / "results").mkdir()
    command = [program, "--results_dir", f"{tmp_path}/results/"]
    done = subprocess.run(command, env=environment, cwd=program.parent, capture_output=True, timeout=100)
    assert done.returncode == 1
    assert list((tmp_path / "results").iterdir()) == []


@pytest.mark.cpp_standalone
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_the_process_that_started_them(number: int, tmp_path: Path) -> None:
    """One share is missing: the others wait for it, as long as somebody waits for them."""
    code = f"""
import os, subprocess, sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_workers import _engine, _samples, _state, one_convolution
from brianlearn.brian.cpp.standalone import StandaloneDevice
from brianlearn.machine.interrupt import stoppable
start = StandaloneDevice._start
def stopped(self, run, values, n, environment):
    if environment["BRIANLEARN_ALL_REDUCE"].startswith("0/"):
        return start(self, run, values, n, environment)
    run.mkdir()
    (run / "log").touch()
    del os.environ["BRIANLEARN_TEST"]  # it stands for one that never answers, and is the test's to end
    process = subprocess.Popen(["sleep", "600"])
    print(process.pid, flush=True)
    return process
StandaloneDevice._start = stopped
with stoppable():
    _engine(2).learn(_state(one_convolution()), _samples(one_convolution(), 8), 1e-3)
"""
    mark = f"BRIANLEARN_TEST={tmp_path}"
    environment = os.environ | {"BRIANLEARN_TEST": str(tmp_path), "BRIANLEARN_SCRATCH": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    silent = int(process.stdout.readline())
    try:
        _wait_until(lambda: len(_marked(mark)) == 2)
        process.send_signal(number)
        process.wait()
        process.stdout.close()
        _wait_until(lambda: not _marked(mark))
    finally:
        with suppress(ProcessLookupError):
            os.kill(silent, signal.SIGKILL)
    remove_leftovers([tmp_path])
    assert list(tmp_path.iterdir()) == []


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _marked(mark: str) -> list[str]:
    """Processes with an entry in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found += [path.name] if mark.encode() in (path / "environ").read_bytes().split(b"\0") else []
    return found


@pytest.mark.parametrize(("n", "batch", "workers"), [(10, 5, 2), (7, 3, 2), (1, 4, 3), (12, 4, 4), (9, 2, 2)])
def test_every_sample_has_one_trial_in_its_batch(n: int, batch: int, workers: int) -> None:
    shares = shards_of_batches(n, batch, workers)
    assert len(shares) == workers
    assert len({share.n_trials for share in shares}) == 1
    assert sorted(np.concatenate([share.samples for share in shares])) == list(range(n))
    per_batch = -(-batch // workers)
    for share in shares:
        np.testing.assert_array_equal(share.trials // per_batch, share.samples // batch)
        assert len(set(share.trials)) == len(share.trials)
        assert (share.trials < share.n_trials).all()


def test_samples_are_shared_in_order() -> None:
    shares = shards_of_samples(5, 2)
    assert [list(share.samples) for share in shares] == [[0, 1, 2], [3, 4]]
    assert len(shards_of_samples(1, 4)) == 1


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (dict(device="numpy"), "one process"),
        (dict(batch_size=1, chunk_size=4), "larger batch_size"),
        (dict(batch_size=1, chunk_size=4, rule=TFR(update="step"), optimiser=SGD(0.1)), "update='batch'"),
    ],
)
def test_what_cannot_be_shared_is_refused(options: dict[str, object], text: str) -> None:
    with pytest.raises(RuleError, match=text):
        _engine(2, **options)
