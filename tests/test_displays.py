"""Displays where there is no terminal: an output of a notebook's cell, and log files without control codes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from brianlearn.study.live import LineDisplay, NotebookDisplay, choose_display
from brianlearn.training import LineProgress, LiveProgress, NotebookProgress
from brianlearn.training.progress import choose_progress

TESTS = Path(__file__).parent
#: Everything that moves a cursor, colours, or goes back to the start of a line.
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
ENVIRONMENT = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "TTY_COMPATIBLE")}


@pytest.mark.slow
def test_a_notebook_shows_one_output_that_ends_in_a_line_per_epoch(tmp_path: Path) -> None:
    """Executed by nbclient, with the kernel that Jupyter runs."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    cells = [
        f"import sys, dataclasses; sys.path.insert(0, {str(TESTS)!r})\nimport brianlearn as bl, tiny_experiment",
        f"tiny = dataclasses.replace(tiny_experiment.experiment(), runs={str(tmp_path)!r})\nresult = tiny.run()",
        "result = dataclasses.replace(tiny, epochs=3).run(resume=result.run)\nresult.epochs",
        "dataclasses.replace(tiny, optimiser=bl.SGD(1e30)).run()",
        f"import study_functions\nfixed = dict(folder={str(tmp_path)!r})\n"
        "study = bl.Study(study_functions.fragile, axes={'k': [0, 1]}, metric='value', fixed=fixed)\n"
        f"study.run(1, runs={str(tmp_path / 'studies')!r}).failed",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    path = os.pathsep.join(filter(None, [str(TESTS.parent), os.environ.get("PYTHONPATH")]))
    client = nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", allow_errors=True)
    client.execute(cwd=str(tmp_path), env=ENVIRONMENT | {"PYTHONPATH": path})
    first, second, failing, study = (cell.outputs for cell in notebook.cells[1:])
    (shown,) = first  # not one output for every picture of the bar, and nothing on stderr
    assert shown.output_type == "display_data"
    lines = shown.data["text/plain"].splitlines()
    assert [line.split(":")[0] for line in lines] == ["epoch 1/2", "epoch 2/2"]
    assert "train accuracy" in lines[0] and shown.data["text/html"].count("<div>") == 2
    assert "<progress" not in shown.data["text/html"]
    kinds = [output.output_type for output in second]
    assert kinds == ["display_data", "execute_result"] and second[1].data["text/plain"] == "3"
    assert "going on with" in second[0].data["text/plain"] and "epoch 3/3" in second[0].data["text/plain"]
    assert [output.output_type for output in failing if output.output_type != "stream"] == ["display_data", "error"]
    assert failing[-1].ename == "NonFiniteError" and "<progress" not in failing[0].data["text/html"]
    assert [output.output_type for output in study] == ["display_data", "execute_result"] and study[1].data[
        "text/plain"
    ] == "1"
    told = study[0].data["text/plain"]
    assert "one is never good" in told and told.splitlines()[-1].startswith("1 of 2 done, 1 failed")
    assert "<progress" not in study[0].data["text/html"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["train", "study", "error"])
def test_log_files_hold_lines_without_control_codes(command: str, tmp_path: Path) -> None:
    script = tmp_path / "tiny.py"
    text = (TESTS / "tiny_experiment.py").read_text(encoding="utf-8")
    script.write_text(
        text.replace("def experiment() ->", "def experiment(size: int = 5) ->").replace("Dense(5", "Dense(size")
    )
    call = {
        "train": ["train", str(script), "--runs", str(tmp_path / "runs")],
        "study": ["study", str(script), "--axis", "size=4,5", "--runs", str(tmp_path / "runs"), "--workers", "1"],
        "error": ["train", str(script), "--runs", str(tmp_path / "runs"), "--learning-rate", "1e30", "--epochs", "9"],
    }[command]
    log = tmp_path / "log.txt"
    with log.open("wb") as file:
        done = subprocess.run(
            [sys.executable, "-m", "brianlearn", *call],
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=ENVIRONMENT | {"PYTHONPATH": str(TESTS.parent)},
            timeout=300,
            check=False,
        )
    text = log.read_bytes().decode()
    assert done.returncode == (command == "error"), text
    assert CONTROL.search(text) is None, repr(text)
    assert {"train": "epoch 2/2: train accuracy", "study": "2 of 2", "error": "not finite"}[command] in text, text


class Terminal:
    """A stream that says it is one."""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


def test_a_terminal_that_cannot_move_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(choose_progress(True), LiveProgress)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(choose_progress(True), LineProgress)
    assert isinstance(choose_display(True, Counter(), "accuracy", "maximize", str), LineDisplay)


def test_the_kernel_of_a_notebook_is_known_by_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """IPython in a terminal has no kernel."""
    ipython = pytest.importorskip("IPython")
    monkeypatch.setattr(ipython, "get_ipython", lambda: type("Shell", (), {"kernel": object()})())
    assert isinstance(choose_progress(True), NotebookProgress)
    assert isinstance(choose_display(True, Counter(), "accuracy", "maximize", str), NotebookDisplay)
    monkeypatch.setattr(ipython, "get_ipython", lambda: type("Shell", (), {})())
    assert not isinstance(choose_progress(True), NotebookProgress)
