"""`make gpu`: its parts run one after the other, and what one of them lacks or gets wrong stops none of the others."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "tools" / "gpu.py"


@pytest.fixture(scope="module")
def gpu() -> Any:
    spec = importlib.util.spec_from_file_location("gpu", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["gpu"] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_a_part_that_fails_is_said(gpu: Any, tmp_path: Path) -> None:
    read = lambda text: ({"n": int(text)}, f"{int(text)} things")  # noqa: E731
    parts = {
        "good": gpu.Part("good", 60, python("print(7)"), "", read),
        "bad": gpu.Part("bad", 60, python("raise SystemExit('no such thing')"), "", read),
        "lacking": gpu.Part("lacking", 60, ["/no/such/program"], "no CUDA toolkit", read),
    }
    found = {name: gpu.run(part, tmp_path, 100) for name, part in parts.items()}
    assert found["good"]["state"] == "ok" and found["good"]["numbers"] == {"n": 7}
    assert found["bad"]["state"] == "failed" and found["bad"]["says"] == "no such thing"
    assert found["lacking"]["state"] == "missing" and found["lacking"]["says"] == "no CUDA toolkit"
    assert gpu.run(parts["good"], tmp_path, 1)["state"] == "left out"
    rows = gpu.table({"gpu": "", "python": "3.12", "torch": "", "torch_cuda": ""}, found).splitlines()
    assert "| good | ok | 0 | 7 things |" in rows and "| lacking | missing | 0 | no CUDA toolkit |" in rows
    assert any(row.startswith("| bad | failed |") for row in rows)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at /proc")
def test_a_part_ends_at_its_limit_with_all_that_it_has_started(gpu: Any, tmp_path: Path) -> None:
    child = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    found = gpu.run(gpu.Part("slow", 5, python(code), "", lambda text: (int(text), "begun")), tmp_path, 100)
    assert found["state"] == "too long" and "begun" in found["says"]
    stat, deadline = Path(f"/proc/{found['numbers']}/stat"), time.monotonic() + 30
    while alive(stat):  # it was killed, and on a busy machine ends a moment later
        assert time.monotonic() < deadline, "what a part has started outlives it"
        time.sleep(0.05)


def alive(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"  # a child that nobody has waited for is a zombie
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_genn_is_mended_in_a_copy(gpu: Any, tmp_path: Path) -> None:
    genn = tmp_path / "genn"
    source = Path("src/genn/backends/cuda/optimiser.cc")
    (genn / source).parent.mkdir(parents=True)
    (genn / source).write_text(f"before\n    {gpu.OLD_CALL}\nafter\n")
    copy = gpu.mend_genn(genn, tmp_path)
    assert (copy / source).read_text() == f"before\n    {gpu.NEW_CALL}\nafter\n"
    assert gpu.OLD_CALL in (genn / source).read_text()
    assert gpu.mend_genn(copy, tmp_path / "again") == copy, "a newer GeNN is used as it is"


def test_the_parts_to_carry_are_all_that_is_needed(gpu: Any) -> None:
    said = subprocess.run([sys.executable, str(SCRIPT), "--parts"], capture_output=True, text=True, check=True).stdout
    for name in (*gpu.PROJECT["dependencies"], *gpu.TESTS, "brian2==2.5.4", "brian2genn==1.7.0", "GENN_PATH", "torch"):
        assert name.partition(";")[0] in said.lower() or name in said, name


@pytest.mark.slow
def test_rehearsal(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--rehearse", "--output", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    tests, genn, steps, dalton = found.values()
    assert tests["state"] == "ok" and tests["numbers"]["passed"] >= 4 and not tests["numbers"]["failed"]
    assert steps["state"] == "ok" and steps["numbers"]["tiny"]["seconds"]["brianlearn"] > 0
    for part in (genn, dalton):
        assert part["state"] == "ok" or (part["state"] == "missing" and "GeNN" in part["says"])
    if dalton["state"] == "ok":
        assert all(run[0]["seconds"] > 0 for run in dalton["numbers"].values())
    table = (tmp_path / "gpu.md").read_text()
    assert all(f"| {name} |" in table for name in found)
