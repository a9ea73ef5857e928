"""Memory that large tensors leave behind is used again."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import torch
from brian2 import ms
import brianlearn as bl

torch.set_num_threads(1)
spec = bl.NetworkSpec(bl.Input((64,)), [bl.Dense(2000, bl.CubaLIF())], bl.Readout(10), duration=40 * ms)
module = bl.export(spec)
values = torch.rand(150, 64)
faults = []
for step in range(9):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    module(values).logits.sum().backward()
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(sum(faults[3:]) // 6)  # the heap finds its size in the first steps
"""


pytestmark = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs torch")


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_a_training_step_asks_for_no_memory_again() -> None:
    """A step's tensors are 48 MB each: 12000 pages that a step would touch for the first time."""
    ours = {
        key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_", "BRIANLEARN_M"))
    }
    faults = {}
    for setting in ("default", "keep"):
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env=ours | {"BRIANLEARN_MALLOC": setting},
            capture_output=True,
            text=True,
            check=True,
        )
        faults[setting] = int(run.stdout.split()[-1])
    if faults["default"] < 10_000:
        pytest.skip("the system gives memory in huge pages: there is nothing to save")
    assert faults["keep"] < faults["default"] / 2


@pytest.mark.parametrize(
    ("first", "given", "policy"),
    [("", {}, "PASSIVE"), ("import torch;", {}, None), ("", {"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")],
)
def test_threads_wait_passively(first: str, given: dict[str, str], policy: str | None) -> None:
    """Where OpenMP has not read its settings yet, and the user has none."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_WAIT", "GOMP_"))}
    code = f"import os;{first}import brianlearn.discrete;print(os.environ.get('OMP_WAIT_POLICY'))"
    found = subprocess.run([sys.executable, "-c", code], env=clean | given, capture_output=True, text=True, check=True)
    assert found.stdout.split()[-1] == str(policy)
