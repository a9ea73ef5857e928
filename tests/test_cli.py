"""The command line, as a user calls it."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tiny_experiment import experiment
from typer.testing import CliRunner

import brianlearn as bl
from brianlearn.cli import app
from brianlearn.cli.demo import digits_experiment, run_demo
from brianlearn.machine.doctor import examine
from brianlearn.training.serialise import to_dict

TINY = Path(__file__).with_name("tiny_experiment.py")
SPECS = Path(__file__).parents[1] / "network_specs"
FAST = ["--limit", "4", "--validation", "0", "--epochs", "1"]


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def last_line(result) -> dict:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout.splitlines()[-1])


def error(result, code=1) -> str:
    """The message of a call that failed as it should: no traceback, nothing on stdout."""
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return " ".join(result.stderr.split())


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> dict:
    """A digits run, in three seconds."""
    options = ["--device", "numpy", "--limit", "6", "--test-limit", "3", "--epochs", "1", "--batch-size", "3", "--json"]
    return last_line(call("train", SPECS / "digits.py", "--runs", tmp_path_factory.mktemp("runs"), *options))


def test_json_says_how_it_went(run):
    assert {"test_accuracy", "train_accuracy", "epochs", "samples_per_second", "run"} <= set(run)
    assert run["epochs"] == 1
    assert 0 <= run["test_accuracy"] <= 1
    assert run["samples_per_second"] > 0
    assert Path(run["run"], "weights.npz").is_file()
    assert Path(run["run"]).name.endswith("-digits-dalton")


def test_evaluate(run):
    found = last_line(call("evaluate", run["run"], "--json"))
    assert found["test_accuracy"] == run["test_accuracy"]
    assert found["samples"] == 3
    limited = call("evaluate", run["run"], "--limit", 2, "--device", "numpy")
    assert "of 2 samples" in limited.stdout


def test_a_finished_run_is_reported_again(run):
    result = call("train", "--resume", run["run"], "--json")
    assert "finished already" in result.stderr
    assert last_line(result) == run


def test_options_reach_the_config(tmp_path):
    options = ["--rule", "tfr", "--dtype", "float64", "--batch-size", 3, "--learning-rate", 0.25, "--seed", 7]
    constants = ["--set", "tau_s=10ms", "--set", "tau_m = 15*ms"]
    result = call("train", TINY, *FAST, "--test-limit", 2, "--runs", tmp_path, *options, *constants, "--json")
    config = json.loads(Path(last_line(result)["run"], "config.json").read_text())
    assert config["rule"]["$type"] == "TFR"
    assert (config["dtype"], config["batch_size"], config["seed"], config["epochs"]) == ("float64", 3, 7, 1)
    assert config["optimiser"] == {**to_dict(experiment().optimiser), "learning_rate": 0.25}
    assert (config["data"]["limit"], config["data"]["test_limit"]) == (4, 2)
    used = config["spec"]["layers"][0]["neuron"]["constants"]
    assert used["tau_s"] == {"$type": "Quantity", "value": 0.01, "unit": "second"}
    assert used["tau_m"]["value"] == 0.015


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [(["--credit", "through-time"], "credit", "through_time"), (["--eligibility", "trace"], "eligibility", "trace")],
)
def test_options_of_local_rules(tmp_path, options, field, value):
    if value == "through_time":
        pytest.importorskip("torch")
    result = call("train", TINY, *FAST, "--runs", tmp_path, "--device", "auto", *options, "--json")
    config = json.loads(Path(last_line(result)["run"], "config.json").read_text())
    assert config["rule"][field] == value
    refused = call("train", TINY, *FAST, "--runs", tmp_path, "--device", "auto", "--rule", "bptt", *options)
    assert "option of local rules" in error(refused)


def test_a_script_has_the_same_options(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [str(TINY), *FAST, "--runs", str(tmp_path), "--json"])
    with pytest.raises(SystemExit) as ended:
        bl.main(experiment)
    assert ended.value.code in (0, None)
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert Path(result["run"]).name.endswith("-tiny_experiment-dalton")
    # without a name the samples come from the script, and its other settings give way to those of the run
    resumed = call("train", TINY, "--resume", result["run"], "--json")
    assert last_line(resumed) == result
    assert "data.limit = 4 (script: None)" in resumed.stderr
    assert "no name" in error(call("train", "--resume", result["run"]))
    assert "data.limit = 5" in error(call("train", TINY, "--resume", result["run"], "--limit", "5"))


def test_the_report_for_people(tmp_path):
    result = call("train", TINY, *FAST, "--runs", tmp_path)
    assert result.exit_code == 0
    assert "test accuracy" in result.stdout
    assert "epoch 1/1: train accuracy" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "SCRIPT"),
        (["train", TINY, "--rule", "hebb"], "hebb"),
        (["train", TINY, "--set", "tau_m"], "NAME=VALUE"),
        (["train", TINY, "--epochs", "many"], "--epochs"),
        (["train", TINY, "--colour"], "--colour"),
        (["evaluate"], "RUN"),
    ],
)
def test_wrong_usage(arguments, message):
    assert message.lower() in error(call(*arguments), code=2).lower()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--set", "tau_x=10ms"], "no neuron has a constant 'tau_x'"),
        (["--set", "tau_m=10mV"], "unit"),
        (["--set", "tau_m=long"], "this is not a number"),
        (["--device", "abacus"], "unknown device"),
        (["--dtype", "float16"], "unknown dtype"),
        (["--epochs", "0"], "epochs is wrong"),
        (["--resume", "nowhere"], "no such run folder"),
        (["--runs", str(TINY / "runs")], "cannot be written"),
    ],
)
def test_errors_name_what_is_wrong(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in error(call("train", TINY, *options))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "defines no experiment"),
        ("def experiment():\n    return 3", "gives no Experiment"),
        ("from nothing_of_this_name import experiment", "line 1: ModuleNotFoundError"),
        ("def experiment():\n    x = 1\n    return x / 0", "line 3: ZeroDivisionError"),
        ("def experiment(:\n", "line 1: SyntaxError"),
        ("def experiment(): ...\nraise SystemExit(3)", "SystemExit"),
        ("import brianlearn as bl\ndef experiment(): ...\nbl.Input((0,))", "shape is wrong"),
        ("raise SystemExit(3)", "defines no experiment"),
    ],
)
def test_scripts_that_fail(text, message, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(text)
    assert message in error(call("train", script))


def test_a_script_that_is_not_there(tmp_path):
    assert "no such network script" in error(call("train", tmp_path / "script.py"))


def test_evaluate_what_is_no_run_or_has_other_weights(run, tmp_path):
    assert "no config.json" in error(call("evaluate", tmp_path))
    for name in ("config.json", "versions.json"):
        (tmp_path / name).write_bytes(Path(run["run"], name).read_bytes())
    np.savez(tmp_path / "weights.npz", conv1=np.zeros((2, 1, 3, 3)), readout=np.zeros((10, 72)))
    assert "weights of another network" in error(call("evaluate", tmp_path))


def test_ctrl_c_is_130(monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(bl.Experiment, "run", interrupted)
    error(call("train", TINY), code=130)


def test_doctor():
    found = {finding["name"]: finding for finding in json.loads(call("doctor", "--json").stdout)}
    assert {"Python", "numpy", "brian2", "C++ compiler", "device cython"} <= set(found)
    assert {"GeNN", "brian2genn", "torch", "GPU", "data digits", "data mnist", "data fashion_mnist"} <= set(found)
    assert found["brian2"]["ok"]
    assert {f"data {name}" for name in bl.known_data()} <= set(found)
    assert "--verbose" in call("doctor").stdout
    table = call("doctor", "--verbose")
    assert table.exit_code == 0
    assert "data digits" in table.stdout


def test_doctor_names_what_is_broken(monkeypatch, tmp_path):
    compiler = tmp_path / "broken++"
    compiler.write_text("#!/bin/sh\necho no licence >&2\nexit 1\n")
    compiler.chmod(0o755)
    (tmp_path / "version.txt").write_text("4.9.0\n")
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("GENN_PATH", str(tmp_path))
    monkeypatch.setenv("BRIANLEARN_DATA", str(tmp_path / "nowhere"))
    found = {finding.name: finding for finding in examine()}
    assert not found["C++ compiler"].ok
    assert "no licence" in found["C++ compiler"].found
    assert not found["device cpp_standalone"].ok
    assert "no C++ compiler" in found["device cython"].found
    assert "4.9.0" in found["GeNN"].found
    assert not found["data mnist"].ok
    assert "unset it" in found["data mnist"].remedy


def test_doctor_where_brian2_cannot_be_imported(tmp_path):
    (tmp_path / "brian2.py").write_text("raise ImportError('numpy is too new')")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from brianlearn.cli import app; app()"
    command = [sys.executable, "-c", code, str(tmp_path), "doctor"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 1
    assert "cannot be imported: numpy is too new" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["digits", "mnist_a1"])
def test_network_scripts_give_experiments(name):
    experiment = runpy.run_path(str(SPECS / f"{name}.py"))["experiment"]()
    assert isinstance(experiment, bl.Experiment)
    assert len((SPECS / f"{name}.py").read_text().splitlines()) <= 30
    if name == "digits":
        assert digits_experiment().settings() == {**experiment.settings(), "name": "digits"}


def test_demo(tmp_path, capsys):
    results = run_demo(device="numpy", runs=tmp_path, epochs=1, limit=4, test_limit=2, batch_size=2)
    assert [result.rule for result in results] == ["dalton", "tfr"]
    assert (tmp_path / "demo.png").stat().st_size > 20_000
    out = " ".join(capsys.readouterr().out.split())
    for text in ("DALTON", "TFR", "numpy", "demo.png", *(str(result.run) for result in results)):
        assert text in out.replace(" ", "") or text in out
