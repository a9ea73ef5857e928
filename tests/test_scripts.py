"""Network scripts: example networks by name, scripts that are no network scripts, and what --help says of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import brianlearn as bl
from brianlearn.cli import app
from brianlearn.errors import SpecError
from brianlearn.scripts.loading import example_scripts, find_script, load_script

ROOT = Path(__file__).parents[1]
SPECS = ROOT / "network_specs"
README_EXAMPLE = (ROOT / "README.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
HEAD = "from brian2 import ms\nimport brianlearn as bl\n"
EXPERIMENT = (
    "bl.Experiment(bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(5, bl.DaltonIF())], bl.Readout(10), duration=5*ms),"
    " device='numpy', limit=4, test_limit=2, epochs=1, runs={runs!r})"
)


def call(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert "Traceback" not in result.output
    return result.exit_code, result.stdout, " ".join(result.stderr.replace("│", " ").split())


def test_examples_are_the_scripts_of_the_clone() -> None:
    code, out, _ = call("examples", "--json")
    listed = json.loads(out)
    assert code == 0
    assert [each["name"] for each in listed] == sorted(path.stem for path in SPECS.glob("*.py"))
    assert all(each["summary"].endswith(".") and Path(each["path"]).is_file() for each in listed)
    table = call("examples")[1]
    assert all(each["name"] in table for each in listed)


def test_an_example_trains_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()  # a folder of that name is no script
    options = ["--device", "numpy", "--limit", 2, "--test-limit", 2, "--epochs", 1, "--batch-size", 2, "--json"]
    code, out, _ = call("train", "digits", *options)
    assert code == 0
    assert json.loads(out.splitlines()[-1])["run"].endswith("-digits-dalton")


def test_a_file_comes_before_an_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_script(Path("mnist_a1.py")) == example_scripts()["mnist_a1"]
    assert find_script(Path("network_specs/mnist_a1.py")) == example_scripts()["mnist_a1"]
    Path("mnist_a1.py").write_text("")
    assert find_script(Path("mnist_a1.py")) == Path("mnist_a1.py")
    with pytest.raises(SpecError, match="did you mean 'digits'"):
        find_script(Path("digts"))
    with pytest.raises(SpecError, match="no such network script"):
        find_script(Path("elsewhere/digits"))


def test_new_copies_an_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments, made, origin in (
        (["net"], "net.py", "digits"),
        (["mnist_a1"], "mnist_a1.py", "mnist_a1"),
        (["other.py", "--example", "stbp_paper"], "other.py", "stbp_paper"),
    ):
        code, out, _ = call("new", *arguments)
        assert code == 0 and made in out
        text = Path(made).read_text(encoding="utf-8")
        assert text == (SPECS / f"{origin}.py").read_text(encoding="utf-8").replace(f"network_specs/{origin}.py", made)
        assert callable(load_script(Path(made)))
    for arguments, message in (
        (["net.py"], "the file is there already"),
        (["a.py", "--example", "digts"], "did you mean 'digits'?"),
        (["nowhere/a.py"], "cannot be written"),
    ):
        code, _, said = call("new", *arguments)
        assert code == 1 and message in said
    assert sorted(path.name for path in tmp_path.glob("*.py")) == ["mnist_a1.py", "net.py", "other.py"]


@pytest.mark.parametrize(
    "text",
    [
        README_EXAMPLE,
        HEAD + "result = " + EXPERIMENT + ".run()\n",
        HEAD + "def main():\n    " + EXPERIMENT + ".run()\nif __name__ == '__main__':\n    main()\n",
        HEAD + "def experiments():\n    return " + EXPERIMENT + "\n",
        "import sys\nclass A:\n    def experiment(self): ...\n",
    ],
    ids=["readme", "at import", "main", "misspelt", "method"],
)
def test_a_script_without_an_experiment_is_not_run(text: str, tmp_path: Path) -> None:
    script, ran = tmp_path / "net.py", tmp_path / "ran"
    script.write_text(f"open({str(ran)!r}, 'w')\n" + text.replace("{runs!r}", repr(str(tmp_path / "runs"))))
    code, _, said = call("train", script)
    assert code == 1 and "defines no experiment" in said
    assert ("did you mean 'experiment'?" not in said) and not ran.exists()
    assert list(tmp_path.iterdir()) == [script]


@pytest.mark.parametrize(
    "text",
    [
        "experiment = " + EXPERIMENT + "\nresult = experiment.run()\n",
        "def experiment():\n    return " + EXPERIMENT + "\ndef both():\n    return experiment().run()\nboth()\n",
    ],
    ids=["a name", "a function"],
)
def test_a_script_that_trains_at_import_and_has_an_experiment(text: str, tmp_path: Path) -> None:
    script = tmp_path / "net.py"
    script.write_text(HEAD + text.replace("{runs!r}", repr(str(tmp_path / "runs"))))
    code, _, said = call("train", script)
    assert code == 1 and "the script trains while it is loaded" in said and f"python {script}" in said
    assert list(tmp_path.iterdir()) == [script]


@pytest.mark.parametrize(
    "text",
    [
        "import brianlearn as bl\nif True:\n    experiment = make = lambda: 3\n",
        "from helper import experiment\n",
        "from helper import *\n",
        "def fill():\n    global experiment\n    experiment = 3\nfill()\n",
        "globals()['experiment'] = 3\n",
        "try:\n    import helper as experiment\nexcept ImportError: ...\n",
    ],
)
def test_ways_to_define_an_experiment(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "helper", raising=False)
    (tmp_path / "helper.py").write_text("experiment = 3\n")
    (tmp_path / "net.py").write_text(text)
    load_script(tmp_path / "net.py")
    sys.modules.pop("helper", None)


def test_help_shows_the_options_of_the_script(tmp_path: Path) -> None:
    for command in ("train", "verify", "profile"):
        code, out, _ = call(command, "dalton_paper", "--help")
        assert code == 0 and "--arch" in out and "A1|A2|A3|A4|A5" in out and "default: mnist" in out
        assert "--arch" not in call(command, "--help")[1]
    assert "--arch" in call("train", "--help", "dalton_paper", "--epochs", 3)[1]
    assert "digits.py has no options of its own" in call("train", "digits", "--help")[1]
    broken = tmp_path / "broken.py"
    broken.write_text("x = 1\n")
    code, out, said = call("train", broken, "--help")
    assert code == 1 and "--epochs" in out and "defines no experiment" in said
    done = subprocess.run(
        [sys.executable, str(SPECS / "dalton_paper.py"), "--help"], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0 and "--arch" in done.stdout and "--epochs" in done.stdout


def test_misspelt_options(tmp_path: Path) -> None:
    for arguments, meant in (
        (["train", "digits", "--epoch", 3], "did you mean '--epochs'?"),
        (["train", "--epoch", 3, "digits"], "did you mean '--epochs'?"),
        (["train", "dalton_paper", "--architecture", "A2"], "unrecognized arguments"),
        (["train", "dalton_paper", "--datasets=mnist"], "did you mean '--dataset'?"),
        (["verify", "digits", "--sample", 3], "did you mean '--samples'?"),
        (["evaluate", tmp_path, "--device", "numpy", "--engin", "brian"], "--engine"),
    ):
        code, _, said = call(*arguments)
        assert code == 2 and meant in said


def test_version() -> None:
    assert call("--version") == (0, f"brianlearn {bl.__version__}\n", "")
