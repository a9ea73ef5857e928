"""Rewards as functions of (outputs, sample): those of texts again, targets of all kinds, run folders, errors."""

from __future__ import annotations

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms
from test_synaptic_rules import REWARDS, RSTDP, in_numpy, learner, task
from typer.testing import CliRunner

import brianlearn as bl
from brianlearn.cli import app
from brianlearn.errors import BrianLearnError, RuleError, SpecError
from brianlearn.learning.functions import stored_function
from brianlearn.training.serialise import from_dict, to_dict

STEPS, BURN_IN = 25, 4  # of the task


def pulse(outputs: np.ndarray, sample: bl.Samples) -> float:
    right = outputs[BURN_IN:].sum(axis=0).argmax() == sample.labels[0]
    return (len(outputs) == STEPS) * (2.0 * right - 1)


def trial(outputs: np.ndarray, sample: bl.Samples) -> np.ndarray:
    assert outputs.shape == (STEPS, 3)
    return 2 * (outputs[BURN_IN:].sum(axis=0).argmax() == sample.labels[0]).astype(int) - 1


def spikes(outputs: np.ndarray, sample: bl.Samples) -> Any:
    now, mean, label = outputs[-1], outputs[BURN_IN:].mean(axis=0), sample.labels
    return 2 * now[label] - now.sum() + 0.5 * (mean[label] - mean.sum())


FUNCTIONS = {"pulse": pulse, "trial": trial, "spikes": spikes}


def rewarded(function: Any, rule: bl.SynapticRule = RSTDP, **fields: Any) -> bl.SynapticRule:
    return dataclasses.replace(rule, third_factor=bl.Reward(function, **fields))


@pytest.mark.parametrize("readout", [True, False], ids=["readout", "spikes"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_that_say_what_texts_say(name: str, readout: bool) -> None:
    text = REWARDS[name]
    rule = rewarded(FUNCTIONS[name], text, baseline=text.third_factor.baseline)
    spec, samples = task(readout)
    made = learner(spec, rule, bl.SGD(0.05), chunk_size=2)
    start = made.init({n: np.abs(w) if n == "dense2" else w for n, w in made.init().weights.items()})  # let all fire
    state, _ = made.learn(start, samples)
    raster = made.infer(start, samples, record="spikes").spikes["input"].dense().reshape(5, STEPS, 6)
    expected, mean = in_numpy(text, spec, samples, raster, start.weights, 0.05)
    for layer in ("dense1", "dense2"):
        assert np.abs(expected[layer] - start.weights[layer]).max() > 1e-3, f"{layer} does not learn in this test"
        np.testing.assert_allclose(state.weights[layer], expected[layer], rtol=0, atol=1e-12, err_msg=layer)
    if text.third_factor.baseline is not None:
        np.testing.assert_allclose(state.rule["reward_signal.mean"], [mean], atol=1e-14)


@pytest.mark.parametrize("kind", ["values", "steps", "trains", "nothing"])
def test_what_a_function_is_given(kind: str) -> None:
    """Outputs as the engine records them, and each sample with its own targets; in the order of the trials, once."""
    spec, samples = task(readout=kind != "trains")
    rng, n = np.random.default_rng(2), len(samples)
    targets = {
        "values": rng.normal(size=(n, 3)),
        "steps": rng.normal(size=(n, STEPS, 3)),
        "trains": rng.random((n, STEPS, 3)) < 0.2,
        "nothing": None,
    }[kind]
    samples = bl.Samples(samples.inputs, targets, ids=np.arange(n) + 10)
    heard: list[tuple[np.ndarray, bl.Samples]] = []

    def reward(outputs: np.ndarray, sample: bl.Samples) -> float:
        heard.append((outputs, sample))
        return float(len(heard))

    rule = bl.SynapticRule(update="gradient -= L", every="trial", third_factor=bl.Reward(reward))
    made = learner(spec, rule, bl.SGD(1.0), batch_size=2, chunk_size=4)
    start = made.init({n: np.abs(w) for n, w in made.init().weights.items()})
    made.infer(start, samples)
    assert not heard, "evaluation asks for no reward"
    first, _ = made.learn(start, samples[:2])
    assert len(heard) == 2
    np.testing.assert_allclose(first.weights["dense1"], start.weights["dense1"] + (1 + 2) / 2)
    del heard[:]
    made = learner(spec, dataclasses.replace(rule, update="gradient -= 0*L"), bl.SGD(1.0), batch_size=2, chunk_size=4)
    made.learn(start, samples)
    record = made.infer(start, samples, record=["spikes"] if kind == "trains" else ["readout"])
    outputs = record.spikes["dense2"].dense().reshape(n, STEPS, 3) if kind == "trains" else record.readout
    assert len(heard) == n and np.abs(np.asarray(outputs)).max() > 0
    for k, (got, sample) in enumerate(heard):
        np.testing.assert_allclose(got, np.asarray(outputs)[k], rtol=1e-12)
        assert sample.ids.tolist() == [10 + k] and len(sample) == 1
        if targets is None:
            assert sample.targets is None
        else:
            np.testing.assert_array_equal(sample.targets[0], targets[k])


def test_it_is_asked_where_there_is_learning_alone() -> None:
    spec, samples = task(readout=True)
    lengths: list[int] = []

    def reward(outputs: np.ndarray, sample: bl.Samples) -> int:
        lengths.append(len(outputs))
        outputs[:] = np.nan  # a copy of the function's own
        return 1

    made = learner(spec, rewarded(reward), bl.SGD(1e-3), chunk_size=3)
    state, _ = made.learn(made.init(), samples)
    assert lengths == list(range(BURN_IN + 1, STEPS + 1)) * 5
    assert np.isfinite(state.weights["dense1"]).all()


# errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "value is not text, nor a function"),
        (lambda outputs: 1.0, r"does not take \(outputs, sample\)"),
        (lambda outputs, sample, more: 1.0, r"does not take \(outputs, sample\)"),
    ],
)
def test_what_is_no_reward(value: Any, text: str) -> None:
    with pytest.raises(SpecError, match=text):
        bl.Reward(value)
    with pytest.raises(BrianLearnError, match="constants are those of a text"):
        bl.Reward(pulse, constants=dict(gain=1.0))


@pytest.mark.parametrize("value", [None, "1", np.nan, np.inf, [1.0, 2.0], np.zeros((2, 1)), 3 * ms, 1j, {}])
def test_what_gives_no_number(value: Any) -> None:
    spec, samples = task(readout=True)
    made = learner(spec, rewarded(lambda outputs, sample: value), bl.SGD(0.1))
    with pytest.raises(RuleError, match=r"sample 0, step 4(.|\n)*gives no finite number"):
        made.learn(made.init(), samples)


@pytest.mark.parametrize("value", [True, np.bool_(True), np.float32(1), np.ones((1, 1)), 1])
def test_what_is_a_number(value: Any) -> None:
    spec, samples = task(readout=True, trials=1)
    found = [learner(spec, rewarded(lambda outputs, sample, v=v: v), bl.SGD(0.1)) for v in (value, 1.0)]
    a, b = (made.learn(made.init(), samples)[0].weights["dense1"] for made in found)
    assert np.array_equal(a, b)


def test_a_function_that_fails_is_named_and_can_be_asked_again() -> None:
    spec, samples = task(readout=True)
    failing = [True]

    def brittle(outputs: np.ndarray, sample: bl.Samples) -> float:
        if failing[0] and sample.ids[0] == 2:
            raise KeyError("nothing there")
        return 1.0

    made, whole = (learner(spec, rewarded(f), bl.SGD(0.1)) for f in (brittle, lambda outputs, sample: 1.0))
    with pytest.raises(RuleError, match=r"sample 2, step 4(.|\n)*function brittle fails(.|\n)*KeyError"):
        made.learn(made.init(), samples)
    failing[0] = False
    a, b = (each.learn(each.init(), samples)[0].weights["dense1"] for each in (made, whole))
    assert np.array_equal(a, b)


@pytest.mark.parametrize("device", ["cpp_standalone", "auto"])
def test_compiled_programs_are_refused_before_anything_is_built(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from brianlearn.brian import engine

    spec, _ = task(readout=True)
    monkeypatch.setattr(engine, "resolve_device", lambda name: "cpp_standalone")
    monkeypatch.setattr(engine, "StandaloneDevice", None)
    with pytest.raises(RuleError, match=r"cannot call a function of Python(.|\n)*device='numpy'"):
        learner(spec, rewarded(pulse), bl.SGD(0.1), device=device)


# files ----------------------------------------------------------------------------------------------------------------

SCRIPT = """
from dataclasses import dataclass
from brian2 import ms
import numpy as np
import brianlearn as bl
from own_helper import margin

@dataclass(frozen=True)
class Noise(bl.DataSource):
    seed: int = 0

    def load(self, dt=None):
        rng = np.random.default_rng(self.seed)
        return tuple(bl.Samples(0.5*rng.random((6, 10)), rng.integers(0, 2, 6)) for _ in range(2))

def pulse(outputs, sample):
    return margin(outputs, sample.labels[0])

def experiment():
    spec = bl.NetworkSpec(
        bl.Input((10,), bl.PoissonEncoder()), [bl.Dense(2, bl.LIF(), weights=bl.Normal(8.0))], None, duration=20*ms)
    rule = bl.SynapticRule(
        model="dx/dt = -x/tau : 1 (event-driven)", on_pre="x += 1", on_post="weight += learning_rate*L*x",
        third_factor=bl.Reward(pulse, baseline=0.1), constants=dict(tau=5*ms))
    return bl.Experiment(
        spec, rule, bl.SGD(0.01), data=Noise(), epochs=1, batch_size=1, validation=0, device="numpy")
"""


@pytest.mark.slow
def test_run_folders_hold_a_function_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("own_helper.py").write_text("def margin(o, label):\n    return 2*o[-1, label] - o[-1].sum()\n")
    Path("own_reward.py").write_text(SCRIPT)

    def call(*arguments: str) -> Any:
        result = CliRunner().invoke(app, [*arguments])
        assert "Traceback" not in result.output
        return result

    runs = []
    for name, epochs in (("whole", "2"), ("parts", "1")):
        done = call("train", "own_reward.py", "--json", "--epochs", epochs, "--runs", name)
        assert done.exit_code == 0, done.output
        runs.append(Path(json.loads(done.stdout.splitlines()[-1])["run"]))
    stored = json.loads((runs[1] / "config.json").read_text())["rule"]["third_factor"]
    assert stored["value"] == {"$type": "function", "name": "own_reward:pulse"}
    done = call("train", "own_reward.py", "--json", "--epochs", "2", "--resume", str(runs[1]))
    assert done.exit_code == 0, done.output
    whole, parts = (bl.Experiment.from_run(run) for run in runs)
    assert whole.rule.third_factor.function is parts.rule.third_factor.function
    weights = [np.load(run / "weights.npz")["dense1"] for run in runs]
    assert np.array_equal(*weights)
    done = call("evaluate", str(runs[1]), "--script", "own_reward.py", "--json")
    assert done.exit_code == 0, done.output


def test_functions_that_no_file_can_name() -> None:
    for function in (lambda outputs, sample: 1.0, functools.partial(pulse)):
        with pytest.raises(SpecError, match=r"cannot be stored(.|\n)*at the top level"):
            to_dict(bl.Reward(function))
    with pytest.raises(SpecError, match="cannot be stored"):
        to_dict(np.linalg.norm)  # that no part of an experiment takes
    stored = to_dict(bl.Reward(pulse))
    assert from_dict(stored).function is pulse and stored_function("test_reward_functions:pulse", "x") is pulse


@pytest.mark.parametrize("name", ["own:gone", "os:system", "subprocess:call", "x", 3, None, "a:b c", ":"])
def test_a_file_calls_nothing_that_was_not_given(name: Any) -> None:
    stored = to_dict(bl.Reward(pulse))
    stored["value"]["name"] = name
    with pytest.raises(SpecError, match=r"not known here|damaged function"):
        from_dict(stored)
