"""One process at a time writes into a run folder; everybody can read it."""

from __future__ import annotations

import dataclasses
import errno
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tiny_experiment import experiment, samples

import brianlearn as bl
from brianlearn.training import RunFolder
from brianlearn.training.lock import FolderLock, locked

HOLD = """
import sys, time
from pathlib import Path
from brianlearn.training.lock import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(1000)
"""


@contextmanager
def held(folder: Path, code: str = HOLD) -> Iterator[subprocess.Popen]:
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "locked\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_second_process_is_told_who_has_it(tmp_path):
    with held(tmp_path) as process, pytest.raises(bl.RunFolderError) as caught:
        FolderLock(tmp_path).take()
    text = str(caught.value)
    assert f"process {process.pid} on {os.uname().nodename}, since {time.strftime('%Y')}" in text
    assert "remedy" in text


def test_a_killed_process_leaves_no_lock(tmp_path):
    with held(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with locked(tmp_path):
            assert sorted(os.listdir(tmp_path)) == [".lock", ".lock.json"]
    assert os.listdir(tmp_path) == []


def test_the_same_process_cannot_lock_twice(tmp_path):
    with locked(tmp_path), pytest.raises(bl.RunFolderError, match=f"process {os.getpid()}"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_of_many_processes_one_has_it(tmp_path):
    """Released and taken again as fast as can be: never two at once."""
    code = """
import os, sys
from pathlib import Path
import brianlearn as bl
from brianlearn.training.lock import locked
folder, taken = Path(sys.argv[1]), 0
for _ in range(300):
    try:
        with locked(folder):
            os.mkdir(folder / "inside")  # fails where another process is there
            taken += 1
            os.rmdir(folder / "inside")
    except bl.RunFolderError:
        pass
print(taken)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    found = [process.communicate() for process in processes]
    assert [err for _, err in found] == ["", "", ""]
    assert sum(int(out) for out, _ in found) > 0
    assert os.listdir(tmp_path) == []


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    code = "import errno, fcntl\ndef flock(*a): raise OSError(errno.ENOLCK, 'no')\nfcntl.flock = flock\n" + HOLD
    with held(tmp_path, code) as process:
        with pytest.raises(bl.RunFolderError, match=f"process {process.pid}"):
            FolderLock(tmp_path).take()
        process.send_signal(signal.SIGKILL)
        process.wait()
        with locked(tmp_path):
            pass
    assert os.listdir(tmp_path) == []


@pytest.fixture
def started(tmp_path) -> Path:
    """A run folder of one epoch."""
    return dataclasses.replace(experiment(), runs=tmp_path, epochs=1).run(progress=False).run


def test_a_run_goes_on_in_one_process_only(started):
    with held(started) as process:
        before = {path.name: path.read_bytes() for path in started.iterdir()}
        with pytest.raises(bl.RunFolderError, match=f"another run(.|\n)*process {process.pid} on"):
            experiment().run(resume=started, progress=False)
        assert {path.name: path.read_bytes() for path in started.iterdir()} == before
        # reading is possible
        assert bl.evaluate(started, data=samples(), progress=False).samples == 4
        assert len(RunFolder.open(started).metrics()) == 1
        finished = dataclasses.replace(experiment(), epochs=1).run(resume=started, progress=False)
        assert finished.epochs == 1
    assert experiment().run(resume=started, progress=False).epochs == 2
    assert not (started / ".lock").exists()


def test_a_failed_begin_leaves_neither_lock_nor_folder(tmp_path):
    with pytest.raises(bl.DeviceError):
        dataclasses.replace(experiment(), runs=tmp_path, device="abacus").run(progress=False)
    assert os.listdir(tmp_path) == []


def test_a_failed_resume_gives_the_lock_back(started):
    (started / "checkpoint.npz").write_bytes(b"")
    for _ in range(2):
        with pytest.raises(bl.RunFolderError, match=r"checkpoint\.npz"):
            experiment().run(resume=started, progress=False)
    assert not (started / ".lock").exists()


def test_run_folders_that_never_began_are_removed(tmp_path):
    runs = tmp_path / "runs"
    dead, alive = runs / "20250101-000000-dead-dalton", runs / "20250101-000000-alive-dalton"
    dead.mkdir(parents=True)
    alive.mkdir()
    with held(dead) as process, held(alive):
        process.send_signal(signal.SIGKILL)
        process.wait()
        (dead / "versions.json").write_text("{}")
        dataclasses.replace(experiment(), runs=runs, epochs=1).run(progress=False)
        assert not dead.exists()
        assert alive.exists()
