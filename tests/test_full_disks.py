"""Disks that are full or read-only: an error that names the place, and whatever was good before is kept."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from brian2 import ms
from numpy.testing import assert_array_equal
from small_disk import fill, read_only, small_disk
from tiny_experiment import experiment

import brianlearn as bl
from brianlearn.brian.cpp.build_cache import BuildCache
from brianlearn.brian.cpp.program import Program
from brianlearn.data.events.stored import store
from brianlearn.training import Progress, RunFolder

# run folder ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_folder_that_fills_up_keeps_its_last_good_checkpoint(tmp_path):
    class Fill(Progress):
        def learned(self, done, running):
            if not (tmp_path / "disk" / "filler").exists():
                fill(tmp_path / "disk")

    with small_disk(tmp_path / "disk", 256) as disk:
        with pytest.raises(bl.RunFolderError, match="No space left"):
            dataclasses.replace(experiment(), runs=disk).run(progress=Fill())
        (disk / "filler").unlink()
        (folder,) = disk.iterdir()
        checkpoint = RunFolder.open(folder).checkpoint()
        assert (checkpoint.state.epoch, checkpoint.chunk) == (0, 1)
        assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
        result = experiment().run(resume=folder, progress=False)
    whole = dataclasses.replace(experiment(), runs=tmp_path / "whole").run(progress=False)
    assert result.test_loss == whole.test_loss


def test_half_a_line_of_metrics(tmp_path):
    with small_disk(tmp_path / "disk", 64) as disk:
        folder = RunFolder.create(disk, "x")
        folder.append_metrics({"epoch": 1, "seconds": 1.0})
        filler = fill(disk)
        with pytest.raises(bl.RunFolderError, match=r"metrics\.jsonl(.|\n)*No space left"):
            folder.append_metrics({"epoch": 2, "text": "x" * 20000})
        filler.unlink()
        assert folder.metrics() == [{"epoch": 1, "seconds": 1.0}]
        folder.keep_metrics(1)
        folder.append_metrics({"epoch": 2})
        assert [line["epoch"] for line in folder.metrics()] == [1, 2]


def test_a_read_only_run_folder_can_be_read(tmp_path):
    result = dataclasses.replace(experiment(), runs=tmp_path, epochs=1).run(progress=False)
    with read_only(result.run):
        assert bl.evaluate(result.run, data=experiment().data, progress=False).test_loss == result.test_loss
        with pytest.raises(bl.RunFolderError, match="Read-only file system"):
            experiment().run(resume=result.run, progress=False)


# compiled programs ---------------------------------------------------------------------------------------------------


def write_main(folder: Path) -> None:
    (folder / "main").write_text("program")


def test_a_program_in_a_read_only_cache_is_used(tmp_path):
    BuildCache(tmp_path).get("abc", write_main)
    with read_only(tmp_path), warnings.catch_warnings():
        warnings.simplefilter("error")
        program = BuildCache(tmp_path).get("abc", lambda folder: pytest.fail("it was built again"))
        assert (program.folder / "main").read_text() == "program"


def test_a_program_that_is_missing_there_is_built_elsewhere_and_removed(tmp_path):
    code = f"""
import warnings
from pathlib import Path
from brianlearn.brian.cpp.build_cache import BuildCache
built = []
def make(folder):
    built.append(folder)
    (folder / "main").write_text("program")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    first, second = (BuildCache(Path({str(tmp_path / "cache")!r})).get("abc", make) for _ in range(2))
assert [str(w.message) for w in caught if "read-only" in str(w.message)], caught
assert len(built) == 1 and first.folder == second.folder == built[0]
print((first.folder / "main").read_text(), first.folder)
"""
    (tmp_path / "cache").mkdir()
    (tmp_path / "tmp").mkdir()
    with read_only(tmp_path / "cache"):
        environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.startswith(f"program {tmp_path / 'tmp'}")
    assert [name for name in os.listdir(tmp_path / "tmp") if "brianlearn" in name] == []


def test_a_full_cache(tmp_path):
    def big(folder: Path) -> None:
        (folder / "main").write_bytes(bytes(2**20))

    def compiler_that_says_nothing(folder: Path) -> None:
        fill(folder)
        raise bl.DeviceError("cpp_standalone", "the C++ compiler failed")

    with small_disk(tmp_path, 128) as disk:
        for make in (big, compiler_that_says_nothing):
            with pytest.raises(
                bl.DeviceError, match=f"{disk}(.|\n)*(No space left|disk is full)(.|\n)*brianlearn clean"
            ):
                BuildCache(disk).get("abc", make)
            assert list(disk.iterdir()) == []


def test_programs_that_are_used_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("brianlearn.brian.cpp.build_cache.KEEP", 2)
    cache = BuildCache(tmp_path)
    mine = cache.get("a0", write_main)
    code = "import sys; from pathlib import Path; from brianlearn.brian.cpp.program import Program\n"
    code += "program = Program.use(Path(sys.argv[1])); print('used', flush=True); sys.stdin.read()"
    cache.get("b0", write_main)
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "b0")], **pipes) as other:
        assert other.stdout.readline() == "used\n"
        for name in ("a0", "b0"):
            os.utime(tmp_path / name, (0, 0))
        for k in range(5):
            cache.get(f"c{k}", write_main)
            os.utime(tmp_path / f"c{k}", (k + 1, k + 1))
        names = {path.name for path in tmp_path.iterdir()}
        assert {"a0", "b0"} <= names
        assert "c0" not in names
        other.kill()
    del mine
    for name in ("a0", "b0"):
        os.utime(tmp_path / name, (0, 0))
    cache.get("d0", write_main)
    assert {path.name for path in tmp_path.iterdir()} == {"c4", "d0"}
    assert not Program.remove(tmp_path / "nowhere")
    assert Program.use(tmp_path / "nowhere") is None


# programs that run ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def learner() -> bl.Learner:
    spec = bl.NetworkSpec(
        bl.Input((4,), bl.PoissonEncoder()), [bl.Dense(5, bl.CubaLIF())], bl.Readout(2), duration=20 * ms
    )
    return bl.Learner(spec, bl.DALTON(), device="cpp_standalone", batch_size=2)


def tiny(n: int) -> bl.Samples:
    values = np.random.default_rng(1).random((n, 4))
    return bl.Samples(values, (values[:, 0] > 0.5).astype(int))


@pytest.mark.cpp_standalone
def test_scratch_folders_of_any_size_give_the_result_or_a_named_error(learner, tmp_path, monkeypatch):
    samples, state = tiny(20), learner.init()
    expected, _ = learner.learn(state, samples)
    seen = set()
    for kilobytes in (4, 8, 16, 32, 64, 96, 128, 192, 256, 1024, 4096):
        with small_disk(tmp_path / "disk", kilobytes) as disk:
            monkeypatch.setenv("BRIANLEARN_SCRATCH", str(disk))
            try:
                learned, _ = learner.learn(state, samples)
            except bl.DeviceError as error:
                assert "remedy" in str(error) and "BRIANLEARN_SCRATCH" in str(error), error
                seen.add("error")
            else:
                for name, weights in expected.weights.items():
                    assert_array_equal(learned.weights[name], weights)
                seen.add("result")
            assert list(disk.iterdir()) == []
    assert seen == {"error", "result"}


@pytest.mark.cpp_standalone
def test_a_read_only_scratch_folder(learner, tmp_path, monkeypatch):
    monkeypatch.setenv("BRIANLEARN_SCRATCH", str(tmp_path))
    with read_only(tmp_path), pytest.raises(bl.DeviceError, match=r"Read-only file system(.|\n)*BRIANLEARN_SCRATCH"):
        learner.infer(learner.init(), tiny(2))


@pytest.mark.cpp_standalone
def test_a_program_in_a_read_only_cache_runs(learner):
    expected = learner.infer(learner.init(), tiny(3))
    with read_only(learner.engine._device(())[1]._folder.parent):
        again = bl.Learner(learner.spec, bl.DALTON(), device="cpp_standalone", batch_size=2)
        assert_array_equal(again.infer(again.init(), tiny(3)).logits, expected.logits)


# kernels, recordings, downloads --------------------------------------------------------------------------------------

KERNELS = """
import sys
import numpy as np
from brian2 import ms
import brianlearn as bl
spec = bl.NetworkSpec(bl.Input((4,), bl.PoissonEncoder()), [bl.Dense(5, bl.CubaLIF())], bl.Readout(2), duration=20 * ms)
learner = bl.Learner(spec, bl.DALTON(), engine="discrete", batch_size=2)
values = np.random.default_rng(1).random((4, 4))
state, _ = learner.learn(learner.init(), bl.Samples(values, (values[:, 0] > 0.5).astype(int)))
print(repr(state.weights["dense1"].tolist()))
"""


@pytest.mark.slow
def test_kernels_run_whatever_the_cache_is(tmp_path):
    pytest.importorskip("numba")
    home = tmp_path / "home"
    home.mkdir()

    def run(cache: Path) -> str:
        environment = os.environ | {"BRIANLEARN_CACHE": str(cache), "HOME": str(home), "XDG_CACHE_HOME": str(home)}
        done = subprocess.run([sys.executable, "-c", KERNELS], capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    expected = run(tmp_path / "good")
    assert list((tmp_path / "good" / "kernels").glob("__pycache__/*.nbc"))
    with small_disk(tmp_path / "small", 64) as small:
        assert run(small / "cache") == expected
    with small_disk(tmp_path / "full", 64) as full:
        fill(full)
        assert run(full / "cache") == expected
    (tmp_path / "empty").mkdir()
    for folder in ("good", "empty"):
        with read_only(tmp_path / folder), read_only(home):
            assert run(tmp_path / folder) == expected


def test_binned_recordings_on_a_full_disk(tmp_path):
    from test_event_pipeline import PIPELINE, recordings

    with small_disk(tmp_path, 8) as disk:
        fill(disk)
        with pytest.raises(bl.DataError, match="No space left"):
            store(disk / "a.events", PIPELINE, recordings(12))
        assert [path.name for path in disk.iterdir()] == ["filler"]


def test_temporary_folders(tmp_path, monkeypatch):
    """Where there is no shared memory, a run uses the folder for temporary files."""
    from brianlearn.machine import scratch

    monkeypatch.delenv("BRIANLEARN_SCRATCH", raising=False)
    monkeypatch.setattr(scratch, "_MEMORY", tmp_path / "nowhere")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert scratch.scratch_folder(1) == tmp_path
