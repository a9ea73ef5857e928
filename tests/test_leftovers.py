"""What a killed process leaves is found by its owner, and nobody else's."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from brianlearn.cli import app
from brianlearn.machine import owner
from brianlearn.machine.leftovers import find_leftovers, owned_path, remove_leftovers, temporary_folder
from brianlearn.machine.owner import Owner, this_process

MAKE = """
import sys, time
from pathlib import Path
from brianlearn.machine.leftovers import owned_folder, owned_path
folder = owned_folder(Path(sys.argv[1]) / "brianlearn-run")
(folder / "big").write_bytes(bytes(2**20))
owned_path(Path(sys.argv[1]) / "file.json").write_text("half")
print("made", flush=True)
time.sleep(1000)
"""


def start(folder: Path) -> subprocess.Popen:
    process = subprocess.Popen([sys.executable, "-c", MAKE, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "made\n"
    process.stdout.close()
    return process


def kill(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def test_of_a_killed_process_all_goes_and_of_a_living_one_nothing(tmp_path):
    living, killed = start(tmp_path), start(tmp_path)
    try:
        kill(killed)
        (tmp_path / "file.json").write_text("whole")
        assert len(find_leftovers([tmp_path])) == 4
        assert {each.owner.pid for each in remove_leftovers([tmp_path])} == {killed.pid}
        left = [name for name in os.listdir(tmp_path) if name != "file.json"]
        assert len(left) == 2
        assert all(Owner.find(name).pid == living.pid for name in left)
    finally:
        kill(living)
    remove_leftovers([tmp_path])
    assert os.listdir(tmp_path) == ["file.json"]


def test_a_zombie_has_ended(tmp_path):
    process = start(tmp_path)
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert all(each.gone for each in find_leftovers([tmp_path]))
    process.wait()


@pytest.mark.parametrize(
    ("changes", "gone"),
    [
        (dict(), False),
        (dict(pid=2**30), True),
        (dict(started=1), True),  # another process with our number
        (dict(pid=2**30, machine="00000000"), False),  # it may run there
        (dict(pid=2**30, space=1), False),  # in another container
    ],
)
def test_who_has_ended(changes, gone):
    assert dataclasses.replace(this_process(), **changes).is_gone() is gone


def test_before_this_machine_was_started(monkeypatch):
    earlier = dataclasses.replace(this_process(), boot="00000000")
    monkeypatch.setattr(owner, "_machine_id", lambda: "a name")
    assert earlier.is_gone()
    assert earlier.is_gone(touched=1e9)
    assert not earlier.is_gone(touched=time.time())  # by a copy of this machine
    # without a name of its own, a machine may be another one that is called the same
    monkeypatch.setattr(owner, "_machine_id", lambda: "")
    assert not earlier.is_gone()


def test_the_owner_comes_back_from_a_name(tmp_path):
    here = this_process()
    assert Owner.find(owned_path(tmp_path / "weights.npz").name) == here
    assert Owner.find("weights.npz") is None
    with temporary_folder(tmp_path / "brianlearn-run") as folder:
        assert Owner.find(folder.name) == here
        assert folder.stat().st_mode & 0o777 == 0o700
    assert os.listdir(tmp_path) == []


def test_a_fork_is_another_process():
    pid = os.fork()
    if pid == 0:
        os._exit(int(this_process().pid != os.getpid()))
    assert os.waitpid(pid, 0)[1] == 0


def test_other_users_files_are_not_looked_at(tmp_path, monkeypatch):
    kill(start(tmp_path))
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    assert find_leftovers([tmp_path]) == []


def test_names_without_an_owner_are_never_removed_without_being_asked(tmp_path, monkeypatch):
    names = (
        f".{'0a' * 12}-xyz",
        ".weights.npz-123.tmp",
        "f-12.py311.1.nbc.tmp.0123456789abcdef",
    )
    for name in names:
        (tmp_path / name).write_text("")
    for name in ("weights.npz", "brianlearn.txt", "0a" * 12):
        (tmp_path / name).write_text("")
    found = find_leftovers([tmp_path])
    assert {each.path.name for each in found} == set(names)
    assert not any(each.gone for each in found)
    for name in names:
        os.utime(tmp_path / name, (0, 0))
    assert all(each.gone for each in find_leftovers([tmp_path]))
    assert remove_leftovers([tmp_path]) == []
    # other programs use a scratch folder, too
    monkeypatch.setenv("BRIANLEARN_SCRATCH", str(tmp_path))
    (tmp_path / "brianlearn-run-abcdefgh").mkdir()
    assert [each.path.name for each in find_leftovers([tmp_path])] == ["brianlearn-run-abcdefgh"]


def test_links_to_folders_of_a_killed_process(tmp_path):
    """GeNN's script makes links with names of its own to the folder of a build."""
    living, killed = start(tmp_path), start(tmp_path)
    try:
        kill(killed)
        for each in find_leftovers([tmp_path]):
            if each.path.is_dir():
                (tmp_path / f"genn.{each.owner.pid}").symlink_to(each.path)
        (tmp_path / "genn.other").symlink_to(tmp_path / "nowhere")
        remove_leftovers([tmp_path])
        left = {name for name in os.listdir(tmp_path) if name.startswith("genn")}
        assert left == {f"genn.{living.pid}", "genn.other"}
        assert not [name for name in os.listdir(tmp_path) if f"p{killed.pid}-" in name]
    finally:
        kill(living)


def test_clean_lists_and_removes(tmp_path, monkeypatch):
    cache, scratch = tmp_path / "cache", tmp_path / "scratch"
    scratch.mkdir()
    (cache / "kernels").mkdir(parents=True)
    (cache / "kernels" / "kernel.py").write_text("x" * 5000)
    monkeypatch.setenv("BRIANLEARN_CACHE", str(cache))
    monkeypatch.setenv("BRIANLEARN_SCRATCH", str(scratch))
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    living, killed = start(scratch), start(scratch)
    try:
        kill(killed)

        def run(*options: str) -> dict[str, dict]:
            done = CliRunner().invoke(app, ["clean", "--runs", str(tmp_path / "runs"), "--json", *options])
            assert done.exit_code == 0
            listed = json.loads(done.output)
            return {item["path"]: item for item in listed if item["path"].startswith(str(tmp_path))}

        listed = run()
        assert sum(item["remove"] for item in listed.values()) == 2
        assert sum(item["bytes"] for item in listed.values() if item["remove"]) == 2**20 + 4
        assert listed[str(cache / "kernels")]["bytes"] == 5000
        assert not listed[str(cache / "kernels")]["remove"]
        assert run() == listed  # nothing was removed
        removed = run("--yes", "--cache", "kernels")
        assert sum(item["freed"] for item in removed.values()) == 2**20 + 4 + 5000
        assert not (cache / "kernels").exists()
        assert len(os.listdir(scratch)) == 2
        text = CliRunner().invoke(app, ["clean", "--runs", str(tmp_path / "runs")]).output
        assert "nothing to remove" in text
    finally:
        kill(living)
