"""The fault drill of a study: workers and the study itself are killed, and nothing differs in the end."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from brianlearn.study import Study
from brianlearn.study.folder import StudyFolder

psutil = pytest.importorskip("psutil")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SCRIPT = Path(__file__).parent / "study_functions.py"
COMMAND = [sys.executable, "-m", "brianlearn", "study"]
AXES = ["--axis", "tau_m=log(5ms..40ms:4)", "--axis", "rule=dalton,tfr", "--axis", "seed=0:5", "--fix", "limit=200"]


def _start(arguments: list[str], log: Path) -> subprocess.Popen[bytes]:
    with open(log, "ab") as output:
        return subprocess.Popen([*COMMAND, *arguments], stdout=output, stderr=output)


def _workers(process: subprocess.Popen[bytes]) -> list[Any]:
    try:
        return [p for p in psutil.Process(process.pid).children() if "brianlearn.study.worker" in p.cmdline()]
    except psutil.NoSuchProcess:
        return []


def test_forty_trials_with_kills(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.read_text())
    folders = [tmp_path / "undisturbed", tmp_path / "disturbed"]
    begin = [[str(script), *AXES, "--workers", "2", "--folder", str(folder)] for folder in folders]
    assert _start(begin[0], tmp_path / "log").wait() == 0
    rng, kills, process = random.Random(5), 0, _start(begin[1], tmp_path / "log")
    parent_killed = False
    while True:
        time.sleep(rng.uniform(0.5, 3.0))
        done = len(StudyFolder.open(folders[1]).states()) if (folders[1] / "study.json").exists() else 0
        if done > 20 and not parent_killed:
            children = _workers(process)
            process.send_signal(signal.SIGKILL)
            process.wait()
            _, alive = psutil.wait_procs(children, 30)
            assert not alive, "workers outlive the study that started them"
            parent_killed = True
            process = _start(["resume", str(folders[1]), "--workers", "2"], tmp_path / "log")
        elif process.poll() is not None:
            if Study.open(folders[1]).status().missing == 0:
                break
            process = _start(["resume", str(folders[1]), "--workers", "2"], tmp_path / "log")
        elif kills < 6 and (children := _workers(process)):
            rng.choice(children).send_signal(signal.SIGKILL)
            kills += 1
    assert kills >= 3
    assert parent_killed
    one, two = (StudyFolder.open(folder) for folder in folders)
    assert one.plan() == two.plan()
    assert set(two.states().values()) == {"done"}
    assert len(two.states()) == 40
    for index in range(40):
        results = [folder.trial(index).record()["metrics"] for folder in (one, two)]
        for name in ("train_accuracy", "train_loss", "test_accuracy", "test_loss", "firing_rate_dense1"):
            assert results[0][name] == results[1][name]
        weights = [np.load(f / "weights.npz") for f in (s.trial(index).run_folder() for s in (one, two)) if f]
        for name in weights[0].files:
            np.testing.assert_array_equal(weights[0][name], weights[1][name])
    assert not [*folders[1].rglob("*.tmp"), *(folders[1] / "trials").rglob(".lock*")]
