"""Studies on a Dask cluster: a real scheduler and real workers, which are killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from study_functions import slow

from brianlearn.errors import DeviceError
from brianlearn.study import Study
from brianlearn.study.folder import StudyFolder

pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


class Cluster:
    """A scheduler and its workers, as processes of their own."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        self.folder, self.address = folder, f"tcp://127.0.0.1:{self.port}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        if name == "scheduler":
            options = ["scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"]
        else:
            options = ["worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", name]
            options += ["--local-directory", str(self.folder / name)]
        with open(self.folder / f"{name}.log", "ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "dask", *options],
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            )

    def kill(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGKILL)
        self.processes.pop(name).wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    for name in ("scheduler", "one", "two"):
        made.start(name)
    yield made
    for process in made.processes.values():
        process.kill()
        process.wait()


def _wait_for(n: int, file: Path) -> None:
    deadline = time.monotonic() + 180
    while not file.exists() or len(file.read_text().split()) < n:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_cluster_loses_a_worker_and_its_scheduler(cluster: Cluster, tmp_path: Path) -> None:
    study = Study(slow, {"k": range(40)}, fixed={"seconds": 0.25, "folder": str(tmp_path)})
    finished = tmp_path / "finished"

    def disturb() -> None:
        _wait_for(8, finished)
        cluster.kill("one")
        cluster.start("three")
        _wait_for(20, finished)
        for name in list(cluster.processes):
            cluster.kill(name)
        for name in ("scheduler", "four", "five"):
            cluster.start(name)

    thread = threading.Thread(target=disturb)
    thread.start()
    found = study.run(scheduler=cluster.address, folder=tmp_path / "s", retries=2, progress=False)
    thread.join()
    if found.missing:
        found = study.resume(scheduler=cluster.address, progress=False)
    assert (found.done, found.failed) == (40, 0)
    undisturbed = Study(slow, {"k": range(40)}, fixed={"seconds": 0.0})
    undisturbed.run(workers=1, folder=tmp_path / "u", progress=False)
    for index in range(40):
        one, two = (StudyFolder.open(s.folder).trial(index).record()["metrics"] for s in (study, undisturbed))
        assert one == two
    # nothing that had finished was run again: at most those that ran when they were killed
    assert len(finished.read_text().split()) <= 40 + 6


def test_no_cluster_is_a_named_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brianlearn.study.cluster.PATIENCE", 2.0)
    study = Study(slow, {"k": range(2)})
    with pytest.raises(DeviceError, match="no scheduler"):
        study.run(scheduler="tcp://127.0.0.1:9", folder=tmp_path / "s", progress=False)
    assert Study.open(tmp_path / "s").status().missing == 2
