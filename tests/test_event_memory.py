"""A set of recordings larger than the memory that learning from it takes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

#: 20000 recordings of 5000 events each: 1.6 GB as step and neuron, 400 MB on disk. Made, then learned from once.
PROGRAM = """
import sys
import numpy as np
from pathlib import Path
from brian2 import ms
import brianlearn as bl
from brianlearn.data.events.pipeline import Pipeline
from brianlearn.data.events.stored import store

RECORDINGS, EVENTS = 20_000, 5_000

def recordings():
    rng = np.random.default_rng(0)
    for k in range(RECORDINGS):
        time = np.sort(rng.integers(0, 300_000, EVENTS))
        yield k % 10, bl.RawEvents(time, *rng.integers(34, size=(2, EVENTS)), rng.integers(2, size=EVENTS))

stored = store(Path(sys.argv[1]), Pipeline(34, 34, 10e-3), recordings())
assert len(stored) == RECORDINGS and stored.path.stat().st_size > 350e6
spec = bl.NetworkSpec(
    bl.Input((2, 34, 34), bl.Spikes()), [bl.Dense(10, bl.DaltonIF())], bl.Readout(10), dt=10 * ms, duration=300 * ms
)
learner = bl.Learner(spec, bl.DALTON(), engine="discrete", device="cpu", batch_size=50)
result = bl.Experiment(
    spec, bl.DALTON(), data=(bl.Samples(stored, stored.labels), bl.Samples(stored[:100], stored.labels[:100])),
    epochs=1, batch_size=50, engine="discrete", device="cpu", runs=sys.argv[2], augment=bl.RandomWindow(25),
).run(progress=False)
assert result.metrics[0]["samples"] == RECORDINGS
# of this program alone: ru_maxrss begins with that of the process which started it
print(int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_one_pass_over_20000_recordings_stays_under_1_gib(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "a.events"), str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert int(run.stdout.split()[-1]) < 2**30
