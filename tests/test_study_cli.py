"""``brianlearn study``: what people type."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from brianlearn.cli import app
from brianlearn.study import Study

pytest.importorskip("xarray")
SCRIPT = '''
from brian2 import Hz, ms
import brianlearn as bl

def trial(tau=5 * ms, gain=1.0, seed=0):
    """A rate that is known."""
    return {"rate": gain * float(tau / ms) * Hz, "test_accuracy": 0.1 * gain + 0.01 * seed}

def study():
    return bl.Study(trial, {"tau": [5, 10] * ms, "gain": [1.0, 2.0]})

if __name__ == "__main__":
    bl.main(study)
'''


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "my_study.py"
    file.write_text(SCRIPT)
    return file


def _call(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["study", *map(str, arguments)], catch_exceptions=False)


def test_a_study_from_beginning_to_end(script: Path, tmp_path: Path) -> None:
    folder = tmp_path / "s"
    plain = tmp_path / "plain.py"
    plain.write_text(SCRIPT.split("def study")[0])
    axes = ["--axis", "tau=5ms,10ms", "--axis", "gain=1..3:3", "--axis", "seed=0:2", "--where", "gain > 1"]
    result = _call(plain, *axes, "--workers", 1, "--folder", folder, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout.splitlines()[-1])["done"] == 8
    rows = json.loads(_call("results", folder, "--json", "--metric", "rate").stdout)
    assert [(row["tau (ms)"], row["gain"], row["rate_mean (Hz)"]) for row in rows] == [
        (5.0, 2, 10.0),
        (5.0, 3, 15.0),
        (10.0, 2, 20.0),
        (10.0, 3, 30.0),
    ]
    assert "rate_mean (Hz)" in _call("results", folder, "--metric", "rate").stdout
    assert "8 of 8" in _call("status", folder).stdout
    assert _call("results", folder, "--to", tmp_path / "r.csv").exit_code == 0
    assert len((tmp_path / "r.csv").read_text().splitlines()) == 9
    assert _call("resume", folder, "--workers", 1).exit_code == 0
    wrong = _call("results", folder, "--metric", "rat")
    assert wrong.exit_code == 1
    assert "did you mean" in wrong.output


def test_a_script_with_a_study_of_its_own(script: Path, tmp_path: Path) -> None:
    result = _call(script, "--fix", "gain=4.0", "--axis", "tau=7ms", "--workers", 1, "--folder", tmp_path / "s")
    assert result.exit_code == 0, result.output
    study = Study.open(tmp_path / "s")
    assert list(study.axes) == ["tau"]
    assert float(study.results()["rate"].item()) == 28.0


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["nowhere.py", "--axis", "a=1"], "no such network script"),
        (["{script}", "--axis", "tau"], "this is no axis"),
        (["{script}", "--axis", "tau=5ms", "--axis", "tau=6ms"], "an axis is given twice"),
        (["{script}", "--sampler", "sobool"], "unknown sampler"),
        (["{script}", "--where", "tau <"], "cannot be read"),
        (["status", "nowhere"], "there is no study here"),
        (["resume", "nowhere"], "there is no study here"),
        (["kind", "robustnes", "runs/x"], "did you mean"),
        (["robustness", "nowhere"], "no such run folder"),
    ],
)
def test_wrong_words_are_named(arguments: list[str], text: str, script: Path) -> None:
    result = _call(*(word.format(script=script) for word in arguments))
    assert result.exit_code == 1
    assert text in result.output.replace("\n", " ")
    assert "Traceback" not in result.output


@pytest.mark.parametrize("word", ["robustnes", "statu", "digit"])
def test_a_misspelt_word(word: str) -> None:
    result = _call(word, "runs/x")
    assert result.exit_code == 2
    assert "did you mean" in result.output.replace("\n", " ")


def test_kinds_are_listed() -> None:
    assert "--weight-noise" in _call("kinds").stdout.replace("\n", "")
