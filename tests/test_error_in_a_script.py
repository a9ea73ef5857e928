"""Errors that a script does not catch: ours alone, all others as Brian2 announces them; nothing stays behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FIRST = "import brianlearn as bl\nfrom brian2 import ms\n"
LAST = "from brian2 import ms\nimport brianlearn as bl\n"
WRONG = "bl.NetworkSpec(bl.Input((1, 5, 5)), [bl.Conv(4, kernel=9, neuron=bl.LIF())], bl.Readout(3), duration=10*ms)"
ALONE = {
    "brianlearn first": FIRST + WRONG,
    "brian2 first": LAST + WRONG,
    "in a function": FIRST + f"def make():\n    return {WRONG}\nmake()",
    "from another error": FIRST + f"try:\n    1/0\nexcept ZeroDivisionError as e:\n    try:\n        {WRONG}\n"
    "    except bl.ShapeError as error:\n        raise error from e",
    "while another is handled": FIRST + f"try:\n    1/0\nexcept ZeroDivisionError:\n    {WRONG}",
    "in a thread": FIRST + f"import threading\nt = threading.Thread(target=lambda: {WRONG})\nt.start(); t.join()",
    "from a pool": FIRST + "from concurrent.futures import ThreadPoolExecutor as Pool\n"
    f"with Pool(1) as pool:\n    pool.submit(lambda: {WRONG}).result()",
    "a group": FIRST
    + f"try:\n    {WRONG}\nexcept bl.ShapeError as error:\n    raise ExceptionGroup('two', [error, error])",
    "with a note": FIRST
    + f"try:\n    {WRONG}\nexcept bl.ShapeError as error:\n    error.add_note('a note')\n    raise",
    "from a submodule": "from brianlearn.network import *\nfrom brian2 import ms\nimport brianlearn as bl\n" + WRONG,
}


def run(text: str, tmp_path: Path) -> tuple[int, str, list[str]]:
    script, left = tmp_path / "script.py", tmp_path / "tmp"
    script.write_text(text)
    left.mkdir()
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "TMPDIR": str(left)},
        check=False,
    )
    return done.returncode, done.stderr, [path.name for path in left.iterdir()]


@pytest.mark.parametrize("text", ALONE.values(), ids=ALONE)
def test_ours_alone(text: str, tmp_path: Path) -> None:
    code, said, left = run(text, tmp_path)
    assert code == (0 if "threading" in text else 1)
    assert said.count("ShapeError: conv1: the kernel is larger") == (2 if "Group" in text else 1)
    assert "script.py" in said and "got:" in said and ("a note" in said) == ("add_note" in text)
    assert all(word not in said for word in ("unexpected", "Traceback", "brian_debug", "ZeroDivisionError", "Thanks"))
    assert left == []


def test_a_warning_that_is_an_error(tmp_path: Path) -> None:
    text = FIRST + "import warnings\nwarnings.simplefilter('error', bl.BrianLearnWarning)\n"
    text += WRONG.replace("bl.Conv(4, kernel=9, neuron=bl.LIF())", "bl.Dense(3, bl.SequenceLIF(tau_s=0.4*ms))")
    code, said, left = run(text, tmp_path)
    assert code == 1 and "BrianLearnWarning: dense1: dt = 1 ms is too long" in said and "unexpected" not in said
    assert left == []


@pytest.mark.parametrize(
    "text", [FIRST + "bl.LIF()\n1/0", FIRST + f"try:\n    {WRONG}\nexcept bl.ShapeError:\n    1/0"]
)
def test_other_errors_are_brian2s(text: str, tmp_path: Path) -> None:
    code, said, left = run(text, tmp_path)
    assert code == 1 and "Brian 2 encountered an unexpected error" in said and "ZeroDivisionError" in said
    assert any(name.startswith("brian_debug") for name in left)
