"""Compilers and what they start end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brianlearn.machine.child import call, end, start


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def wait_until(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


#: A program that starts another one, as g++ does.
NESTED = ["/bin/sh", "-c", "echo $$ > one; /bin/sh -c 'echo $$ > two; sleep 1000; :'; :"]


def pids(folder: Path) -> list[int]:
    wait_until(lambda: all((folder / n).exists() and (folder / n).read_text().strip() for n in ("one", "two")))
    return [int((folder / name).read_text()) for name in ("one", "two")]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("how", ["start", "call", "thread"])
def test_they_end_with_their_parent(tmp_path, number, how):
    code = f"""
import subprocess, sys, threading, time
from pathlib import Path
from brianlearn.machine.child import call, start
from brianlearn.machine.interrupt import stoppable
with stoppable():
    work = {{"start": start, "call": call}}.get({how!r}, start)
    arguments = ({NESTED!r}, Path({str(tmp_path)!r}), subprocess.DEVNULL)
    if {how!r} == "thread":
        thread = threading.Thread(target=work, args=arguments)
        thread.start()
        thread.join()
    else:
        process = work(*arguments)
    time.sleep(1000)
"""
    process = subprocess.Popen([sys.executable, "-c", code])
    found = pids(tmp_path)
    assert all(map(alive, found))
    process.send_signal(number)
    process.wait()
    wait_until(lambda: not any(map(alive, found)))


def test_all_that_a_program_started_is_killed(tmp_path):
    process = start(NESTED, tmp_path, subprocess.DEVNULL)
    found = pids(tmp_path)
    end(process)
    wait_until(lambda: not any(map(alive, found)))


def test_status_output_and_temporary_files(tmp_path):
    with open(tmp_path / "log", "w") as log:
        assert call(["/bin/sh", "-c", "echo $TMPDIR; echo bad >&2; exit 3"], tmp_path, log) == 3
        assert call(["/bin/sh", "-c", "read x; echo got $x"], tmp_path, log) == 0
        assert call(["there-is-no-such-program"], tmp_path, log) == 127
    lines = (tmp_path / "log").read_text().splitlines()
    assert lines[:3] == [str(tmp_path), "bad", "got"]


def test_nothing_is_left_running(tmp_path):
    before = set(os.listdir("/proc"))
    with open(os.devnull, "w") as log:
        process = start(["true"], tmp_path, log)
        group = process.pid
        process.wait()
        end(process)

    def in_group() -> list[str]:
        found = []
        for pid in set(os.listdir("/proc")) - before:
            if pid.isdigit() and alive(int(pid)):
                try:
                    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                found += [pid] if fields[2] == str(group) else []
        return found

    wait_until(lambda: not in_group())
