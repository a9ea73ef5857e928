"""What a user's own mypy sees of the installed package, with strict settings: types of results, names, mistakes."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import brianlearn as bl

pytestmark = pytest.mark.slow

GOOD = """
from pathlib import Path

import numpy as np
from brian2 import ms

import brianlearn as bl
from brianlearn.training import Progress


class Losses(bl.Callback):
    def __init__(self) -> None:
        self.losses: list[float] = []

    def epoch(self, line, state):  # type: ignore[no-untyped-def]
        self.losses.append(line["train_loss"])


neuron = bl.DaltonIF(tau_s=1 * ms)
spec = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Dense(20, neuron)], bl.Readout(10), duration=10 * ms)
experiment = bl.Experiment(spec, bl.DALTON(), bl.Adam(1e-3), data="digits", epochs=2)
result = experiment.run(callbacks=[Losses()])
reveal_type(result)
reveal_type(result.test_accuracy)
reveal_type(result.test_loss)
reveal_type(result.run)
reveal_type(result.warnings)
learner = bl.Learner(spec, bl.TFR(), engine=bl.Discrete(micro_batch=10), batch_size=4)
state = learner.init()
samples = bl.Samples(np.zeros((4, 1, 8, 8)), np.zeros(4, int))
new, metrics = learner.learn(state, samples)
reveal_type(new)
reveal_type(metrics.loss)
activity = learner.infer(state, samples, record="spikes")
reveal_type(activity.predictions)
reveal_type(bl.evaluate(result.run).test_accuracy)
certificate = bl.certify(result.run)
reveal_type(certificate.passed)
reveal_type(certificate["spikes"].verdict)
reveal_type(bl.load("digits").train)
reveal_type(bl.export(spec).weights())
reveal_type(bl.training.RunFolder.open(result.run).path)
reveal_type(Progress())
module: bl.DiscreteNetwork = bl.export(spec)
path: Path = result.run
"""

REVEALED = {
    "result": "Result",
    "result.test_accuracy": "float | None",
    "result.test_loss": "float | None",
    "result.run": "Path",
    "result.warnings": "tuple[str, ...]",
    "new": "LearnerState",
    "metrics.loss": "float",
    "activity.predictions": "ndarray[",
    "bl.evaluate(result.run).test_accuracy": "float | None",
    "certificate.passed": "bool",
    'certificate["spikes"].verdict': "str",
    'bl.load("digits").train': "Samples",
    "bl.export(spec).weights()": "dict[str, ",
    "bl.training.RunFolder.open(result.run).path": "Path",
    "Progress()": "Progress",
}

#: A wrong line -> mypy's code, and what its message says.
WRONG = {
    'bl.Experiment(spec, bl.DALTON(), epochs="two")': ("arg-type", "epochs"),
    "bl.Experiment(spec, bl.Adam(1e-3))": ("arg-type", "Rule"),
    "bl.Experiment(spec, optimizer=bl.Adam(1e-3))": ("call-arg", "optimizer"),
    "bl.Learner(spec, batch_size=2.5)": ("arg-type", "batch_size"),
    "bl.Experimnt(spec)": ("attr-defined", "Experimnt"),
    "bl.training.RunFoldr": ("attr-defined", "RunFoldr"),
    "experiment.run(callbacks=[print])": ("list-item", "Callback"),
    "experiment.run().test_acuracy": ("attr-defined", "test_acuracy"),
    "number: float = experiment.run().test_accuracy": ("assignment", "float | None"),
    'bl.certify("run", samples="all")': ("arg-type", "samples"),
    "bl.TensorBoard(3)": ("arg-type", "TensorBoard"),
    'learner.infer("state", samples)': ("arg-type", "infer"),
}


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter in whose site-packages the package lies, as a wheel puts it there."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("user") / "venv"
    venv.create(folder, with_pip=False, symlinks=True)
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    site = folder / ("Lib" if sys.platform == "win32" else f"lib/{version}") / "site-packages"
    (site / "brianlearn").symlink_to(Path(bl.__file__).parent, target_is_directory=True)
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))  # numpy's types, and torch's
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def mypy(python: Path, script: Path) -> list[str]:
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python), "--no-error-summary"]
    command += ["--cache-dir", str(script.parents[1] / "cache"), "--show-error-codes", "--no-pretty"]
    command += ["--disable-error-code", "import-untyped", str(script)]  # Brian2 carries no types
    done = subprocess.run(command, capture_output=True, text=True, cwd=script.parent, timeout=600, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout.splitlines()


def test_types_of_what_users_write(python: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    script = tmp_path_factory.mktemp("script") / "user.py"
    wrong = list(WRONG)
    script.write_text(GOOD + "\n".join(wrong) + "\n")
    last_good = GOOD.count("\n")
    errors: dict[int, str] = {}
    revealed: dict[int, str] = {}
    for line in mypy(python, script):
        found = re.match(r"user\.py:(\d+): (error|note): (.*)", line)
        assert found is not None, line
        if "Revealed type is" in line:
            revealed[int(found[1])] = found[3]
        elif found[2] == "error":
            assert int(found[1]) not in errors, line
            errors[int(found[1])] = found[3]
    lines = GOOD.splitlines()
    assert min(errors, default=10**6) > last_good, {lines[n - 1]: text for n, text in errors.items() if n <= last_good}
    types = {lines[n - 1].removeprefix("reveal_type(")[:-1]: text for n, text in revealed.items()}
    assert types.keys() == REVEALED.keys()
    for what, text in types.items():
        kind = re.sub(r"\b(builtins|brianlearn|pathlib|numpy)(\.\w+)*\.", "", text)
        assert f'"{REVEALED[what]}' in kind and '"Any"' not in kind, f"{what}: {text}"
    for number, text in enumerate(wrong, start=last_good + 1):
        code, said = WRONG[text]
        assert f"[{code}]" in errors.get(number, "") and said in errors[number], f"{text}: {errors.get(number)}"
