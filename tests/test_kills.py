"""Runs that are killed at random times: each goes on to the same weights, and nothing is left behind anywhere.

BRIANLEARN_KILLS=50 makes the number of kills another one than a few; BRIANLEARN_KILL_SEED another one of the times.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_script.py")
KILLS = int(os.environ.get("BRIANLEARN_KILLS", "6"))
SEED = int(os.environ.get("BRIANLEARN_KILL_SEED", "1"))
SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGHUP)
ENGINES = {
    "numpy": ["--device", "numpy"],
    "cpp_standalone": ["--device", "cpp_standalone"],
    "cpp_standalone, 2 workers": ["--device", "cpp_standalone", "--workers", "2"],
    "discrete": ["--engine", "discrete"],
}
#: Log files of Brian2, which it keeps for its users, and removes at the end of a process that is not killed; and what
#: torch keeps there.
FOREIGN = ("brian_debug_", "brian_script_", "brian_stdout_", "brian_stderr_", "torchinductor_")
MARK = "BRIANLEARN_KILL_TEST"


class Place:
    """Folders of its own for cache, scratch, temporary files and runs, and the processes that use them."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder, self.cache = folder, cache
        self.scratch, self.tmp, self.runs = (folder / name for name in ("scratch", "tmp", "runs"))
        for path in (self.scratch, self.tmp, self.runs):
            path.mkdir(parents=True)
        self.mark = f"{os.getpid()}-{folder.name}"

    @property
    def environment(self) -> dict[str, str]:
        own = {"BRIANLEARN_CACHE": self.cache, "BRIANLEARN_SCRATCH": self.scratch, "TMPDIR": self.tmp}
        return os.environ | {name: str(path) for name, path in own.items()} | {MARK: self.mark, "OMP_NUM_THREADS": "1"}

    def start(self, options: list[str]) -> subprocess.Popen[str]:
        command = [sys.executable, str(SCRIPT), *options]

        def own_signals() -> None:  # a test run in the background ignores some
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)

        pipes = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        return subprocess.Popen(command, env=self.environment, preexec_fn=own_signals, start_new_session=True, **pipes)

    def train(self, options: list[str]) -> Path:
        """To the end; the run folder."""
        process = self.start(options)
        _, err = process.communicate()
        assert process.returncode == 0, err
        (run,) = (path for path in self.runs.iterdir() if (path / "result.json").exists())
        return run

    def processes(self) -> list[str]:
        """Living processes with the mark of this place in their environment."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if f"{MARK}={self.mark}".encode() in (path / "environ").read_bytes():
                    found.append(f"{path.name}: {(path / 'cmdline').read_bytes()!r}")
            except OSError:
                continue
        return found

    def left(self) -> list[str]:
        """Everything that no finished run leaves."""
        found = [f"scratch: {p.name}" for p in self.scratch.iterdir()]
        found += [f"tmp: {p.name}" for p in self.tmp.iterdir() if not p.name.startswith(FOREIGN)]
        found += [f"shm: {p.name}" for p in Path("/dev/shm").glob(f".brianlearn-*p{os.getpid()}-*")]
        hidden = [p for root in (self.cache, self.runs) for p in root.rglob("*")]
        found += [str(p) for p in hidden if p.name.startswith(".") or ".tmp" in p.name]
        return found


@pytest.fixture
def kills(tmp_path) -> Iterator[list[str]]:
    told: list[str] = []
    yield told
    print("\n".join(told))


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("engine", ENGINES)
def test_killed_at_random_times(engine, tmp_path, kills):
    if engine == "discrete":
        pytest.importorskip("torch")
    options = ENGINES[engine]
    whole = Place(tmp_path / "whole", tmp_path / "cache-whole")
    started = time.monotonic()
    expected = whole.train([*options, "--runs", str(whole.runs)])
    first = time.monotonic() - started
    started = time.monotonic()
    shutil.rmtree(whole.runs)
    whole.runs.mkdir()
    expected = whole.train([*options, "--runs", str(whole.runs)])
    again = time.monotonic() - started  # with everything compiled
    rng = random.Random(f"{engine} {SEED}")
    mine = KILLS // len(ENGINES) + (list(ENGINES).index(engine) < KILLS % len(ENGINES))
    done, counts = 0, dict.fromkeys(SIGNALS, 0)
    in_build = in_run = 0
    for k in itertools.count():
        if done == mine:
            break
        place = Place(tmp_path / f"killed-{k}", tmp_path / f"cache-{k}")
        # some runs compile; the others find the program
        if rng.random() < 0.7 and whole.cache.exists():
            shutil.copytree(whole.cache, place.cache)
        resume: list[str] = []
        while done < mine:
            number = rng.choice(SIGNALS)
            compiled = any(place.cache.glob("builds/[0-9a-f]*")) or engine in ("numpy", "discrete")
            after = rng.uniform(0.1, again if compiled else first)
            process = place.start([*options, "--runs", str(place.runs), *resume])
            try:
                process.communicate(timeout=after)
                assert process.returncode == 0
                (finished,) = (path for path in place.runs.iterdir() if (path / "result.json").exists())
                resume = ["--resume", str(finished)]
                break  # it was faster
            except subprocess.TimeoutExpired:
                process.send_signal(number)
            _, err = process.communicate()
            done += 1
            counts[number] += 1
            begun = [path for path in place.runs.iterdir() if (path / "config.json").exists()]
            in_run += bool(begun)
            in_build += not compiled
            kills.append(f"{engine}: {signal.Signals(number).name} after {after:.2f} s, status {process.returncode}")
            if number == signal.SIGKILL:
                assert process.returncode in (-number, 0)
            else:  # or before its first statement
                assert process.returncode in (128 + number, -number, 0), err
                assert "Traceback" not in err, err
            deadline = time.monotonic() + 60
            while place.processes():
                assert time.monotonic() < deadline, place.processes()
                time.sleep(0.05)
            resume = ["--resume", str(begun[0])] if begun else []
        result = place.train([*options, "--runs", str(place.runs), *resume])
        assert (result / "weights.npz").read_bytes() == (expected / "weights.npz").read_bytes()
        assert len((result / "metrics.jsonl").read_text().splitlines()) == 2
        assert place.left() == [], kills
        assert place.processes() == []
    assert not list(Path(tempfile.gettempdir()).glob(f".brianlearn-*p{os.getpid()}-*"))
    summary = ", ".join(f"{signal.Signals(n).name} {count}" for n, count in counts.items())
    kills.append(
        f"{engine}: {done} kills ({summary}); {in_build} before there was a program, {in_run} with a run folder"
    )
