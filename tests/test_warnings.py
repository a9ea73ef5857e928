"""What runs but is probably not meant is said once for each cause: in Python, on the display, in the run folder."""

from __future__ import annotations

import dataclasses
import json
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl
from brianlearn.training.progress import Progress
from brianlearn.training.watch import firing_warnings, input_warnings, loss_warnings

LIF = bl.CubaLIF(tau_m=10 * ms, tau_s=5 * ms, R=4.0)


def samples(n: int = 40, seed: int = 0) -> bl.Samples:
    rng = np.random.default_rng(seed)
    return bl.Samples(rng.uniform(0, 1, (n, 1, 4, 4)), rng.integers(0, 3, n))


def network(
    neuron: bl.Neuron = LIF, scale: float = 2.0, encoder: bl.Encoder | None = None, **options: Any
) -> bl.NetworkSpec:
    weights = bl.Normal(scale)
    layers = [bl.Dense(12, neuron, weights=weights), bl.Dense(6, neuron, weights=weights)]
    options = {"duration": 20 * ms, "readout": bl.Readout(3)} | options
    return bl.NetworkSpec(bl.Input((1, 4, 4), encoder or bl.IntegrateAndFireEncoder(0.6)), layers, **options)


@pytest.fixture
def said() -> Any:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield lambda: [str(w.message) for w in caught if issubclass(w.category, bl.BrianLearnWarning)]


class Notes(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


def experiment(spec: bl.NetworkSpec, tmp_path: Path, **options: Any) -> bl.Experiment:
    data = (samples(30), samples(10, seed=1))
    options = {"epochs": 2, "batch_size": 10, "device": "numpy", "optimiser": bl.Adam(1e-2)} | options
    return bl.Experiment(spec, data=data, runs=tmp_path, **options)


def test_a_silent_network_is_said_everywhere(tmp_path: Path, said: Any) -> None:
    notes = Notes()
    result = experiment(network(scale=0.0), tmp_path, validation=6).run(progress=notes)
    for found in (said(), [line.removeprefix("warning: ") for line in notes.lines], list(result.warnings)):
        heads = [text.split(":")[0] + text.split(":")[1] for text in found if ": " in text]
        assert heads == ["dense1 silent", "dense2 silent", "readout constant over all samples"], found
    assert "share of one class" in result.warnings[-1]
    lines = result.metrics
    assert len(lines) == 2 and all(line["warnings"] == list(result.warnings) for line in lines)
    assert json.loads((result.run / "result.json").read_text())["warnings"] == list(result.warnings)
    assert bl.evaluate(result.run, data=(samples(30), samples(10, seed=1)), progress=False).warnings == result.warnings
    resumed = experiment(network(scale=0.0), tmp_path, validation=6, epochs=3).run(resume=result.run, progress=False)
    assert resumed.warnings == result.warnings


@pytest.mark.parametrize("engine", ["brian", "discrete"])
def test_a_healthy_network_says_nothing(engine: str, tmp_path: Path, said: Any) -> None:
    if engine == "discrete":
        pytest.importorskip("torch")
    device = "numpy" if engine == "brian" else "cpu"
    result = experiment(network(), tmp_path, engine=engine, device=device).run(progress=False)
    assert said() == [] == list(result.warnings) and result.metrics[0]["warnings"] == []


def test_a_silent_output_of_a_network_without_readout(tmp_path: Path, said: Any) -> None:
    pytest.importorskip("torch")
    weights = bl.Normal(0.0)
    layers = [bl.Dense(5, LIF), bl.Dense(3, LIF, weights=weights)]
    spec = bl.NetworkSpec(bl.Input((1, 4, 4)), layers, None, duration=20 * ms)
    rule = bl.STBP(loss=bl.RateMSE())
    experiment(spec, tmp_path, rule=rule, device="cpu", optimiser=bl.SGD(1e-12)).run(progress=False)
    assert [text.split(":")[0] for text in said()] == ["dense2 (the output)"] * 2


def test_layers_that_fire_in_nearly_every_step(said: Any) -> None:
    learner = bl.Learner(network(encoder=bl.DirectCurrent(1.0), scale=500.0), device="numpy")
    state = learner.init(
        {"dense1": np.full((12, 16), 50.0), "dense2": np.full((6, 12), -1.0), "readout": np.ones((3, 6))}
    )
    learner.infer(state, samples(8))
    texts = said()
    assert any(text.startswith("dense1: its neurons fire a spike in nearly every step") for text in texts)
    assert any(text.startswith("dense2: silent") for text in texts) and not any(t.startswith("input") for t in texts)
    learner.infer(state, samples(8))
    assert said() == texts, "each cause once"


def test_rates_against_the_steps() -> None:
    spec = network(dt=0.5 * ms)  # 2000 steps a second
    rates = {"input": 1000.0, "dense1": 1799.0, "dense2": 1801.0}
    assert [w.subject for w in firing_warnings(spec, rates)] == ["dense2"]


@pytest.mark.parametrize(
    ("encoder", "scale", "warns"),
    [
        (bl.IntegrateAndFireEncoder(0.5), 255, True),
        (bl.IntegrateAndFireEncoder(1 / 255), 255, False),
        (bl.IntegrateAndFireEncoder(10.0), 1, False),
        (bl.PoissonEncoder(0.5), 255, True),
        (bl.TimeToFirstSpikeEncoder(), 255, True),
        (bl.TimeToFirstSpikeEncoder(), 1, False),
        (bl.DirectCurrent(0.5), 255, True),
        (bl.DirectCurrent(1.0), 4, False),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_inputs_of_another_scale(encoder: bl.Encoder, scale: float, warns: bool, dtype: type) -> None:
    values = np.random.default_rng(0).uniform(0, 1, (6, 1, 4, 4)) * scale
    values[values < 0.6 * scale] = 0  # most pixels of an image are dark
    found = input_warnings(network(encoder=encoder), bl.Samples(values.astype(dtype), None))
    assert [w.subject for w in found] == (["input"] if warns else [])
    assert not warns or ("255" in str(found[0]) and type(encoder).__name__ in str(found[0]))


def test_one_outlier_is_no_mistake_of_scale() -> None:
    values = np.random.default_rng(0).normal(0, 1, (50, 1, 4, 4))
    values[3, 0, 1, 1] = 400.0
    for encoder in (bl.IntegrateAndFireEncoder(), bl.DirectCurrent()):
        assert input_warnings(network(encoder=encoder), bl.Samples(values)) == []


def test_a_learner_says_what_it_sees(said: Any) -> None:
    data = samples(8)
    learner = bl.Learner(network(), bl.DALTON(), device="numpy")
    learner.learn(learner.init(), bl.Samples(data.inputs * 255, data.labels))
    assert [text.split(":")[0] for text in said()] == ["input", "input"]  # out of scale, and firing in every step


def test_a_loss_that_grows(tmp_path: Path, said: Any) -> None:
    assert loss_warnings(0.5, 49.0) == [] and loss_warnings(0.5, 51.0) != [] and loss_warnings(0.0, 1.0) == []
    pytest.importorskip("torch")
    rule = bl.SurrogateBPTT(train_readout=True)
    result = experiment(network(), tmp_path, optimiser=bl.SGD(1e2), rule=rule, device="cpu").run(progress=False)
    assert result.metrics[0]["train_loss"] > 1000 and [text.split(":")[0] for text in said()] == ["loss"]
    assert result.metrics[0]["warnings"] == list(result.warnings) == said()
    learner = bl.Learner(network(), rule, bl.SGD(1e2), batch_size=10)
    state = learner.init()
    for _ in range(3):
        state, metrics = learner.learn(state, samples(10))
    assert metrics.loss > 1000 and len(said()) == 2


# time constants -------------------------------------------------------------------------------------------------------


def declare(neuron: bl.Neuron, dt: Any = None) -> list[str]:
    spec = bl.NetworkSpec(
        bl.Input((4,)), [bl.Dense(3, neuron)], bl.Readout(2), duration=20 * ms, dt=1 * ms if dt is None else dt
    )
    return [str(warning) for warning in spec.warnings]


EULER = {
    "v": lambda f: bl.LIF(tau_m=ms / (1 - f), method="euler"),
    "sequence": lambda f: bl.SequenceLIF(tau_m=ms / (1 - f)),
    "step": lambda f: bl.STBPNeuron(decay=f),
    "synapse": lambda f: bl.CubaLIF(tau_s=ms / (1 - f), method="euler"),
}


@pytest.mark.parametrize("make", EULER.values(), ids=EULER)
@pytest.mark.parametrize("factor", [-2.0, -1.0, -0.5, 0.0, 0.25, 0.9])
def test_the_factor_of_one_euler_step(make: Any, factor: float, said: Any) -> None:
    texts = declare(make(factor))
    assert texts == said() and len(texts) == (factor < 0)
    if texts:
        assert f"by {factor:.3g}" in texts[0] and texts[0].startswith("dense1: ")
        assert ("grows without bound" in texts[0]) == (factor < -1)


@pytest.mark.parametrize(
    ("method", "z"), [("rk2", -2.1), ("heun", -2.1), ("rk4", -2.8), ("milstein", -1.1), ("euler", -1.1)]
)
def test_other_methods_against_their_step(method: str, z: float) -> None:
    """The methods' limits of stability, -2 for second order, -2.785 for RK4 (Hairer and Wanner)."""
    tau = -1 / z * ms
    text = "dv/dt = (1 - v + 0*v*v)/tau : 1" if method in ("rk2", "rk4") else "dv/dt = -v/tau : 1"
    neuron = bl.Neuron(text, "v > 2", "v = 0", "v", dict(tau=tau), method=method)
    assert len(declare(neuron)) == 1
    assert declare(neuron, dt=0.5 * ms) == []


def test_exact_methods_take_any_time_constant() -> None:
    for neuron in (bl.LIF(0.01 * ms), bl.CubaLIF(0.1 * ms, 0.2 * ms), bl.LIF(0.1 * ms, method="exponential_euler")):
        assert declare(neuron) == []
    assert declare(bl.DaltonIF()) == declare(bl.AdaptiveLIF()) == declare(bl.SequenceLIF()) == []


def test_one_neuron_of_many_and_nonlinear_ones() -> None:
    assert len(declare(bl.LIF(tau_m=[5, 0.2, 7] * ms, method="euler"))) == 1
    text = "dv/dt = (-v + exp(v - 5))/tau : 1"
    assert len(declare(bl.Neuron(text, "v > 1", "v = 0", "v", dict(tau=0.4 * ms), method="euler"))) == 1
    assert declare(bl.Neuron(text, "v > 1", "v = 0", "v", dict(tau=4 * ms), method="euler")) == []
    # an undamped oscillator, which Euler's method drives up
    wave = "dv/dt = w/tau : 1\ndw/dt = -v/tau : 1"
    assert "of size" in declare(bl.Neuron(wave, "v > 1", "v = 0", "v", dict(tau=5 * ms), method="euler"))[0]
    assert declare(bl.Neuron(wave, "v > 1", "v = 0", "v", dict(tau=5 * ms))) == []


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: bl.LIF(-10 * ms), "tau_m = -10 ms"),
        (lambda: bl.LIF(0 * ms), "tau_m = 0 ms"),
        (lambda: bl.CubaLIF(tau_s=-5 * ms), "tau_s = -5 ms"),
        (lambda: bl.AdaptiveLIF(tau_a=0 * ms), "tau_a = 0 ms"),
        (lambda: bl.DaltonIF(-5 * ms), "tau_s = -5 ms"),
        (lambda: bl.LIF(-1 * ms, method="euler"), "tau_m = -1 ms"),
        (lambda: bl.SequenceLIF(tau_m=0 * ms), "tau_m = 0 ms"),
        (lambda: bl.STBPNeuron(decay=1.5), "decay = 1.5"),
        (lambda: bl.LIF([5, -1, 5] * ms), "tau_m = -1 ms"),
        (lambda: bl.LIF().with_constants(tau_m=-3 * ms), "tau_m = -3 ms"),
    ],
)
def test_equations_that_grow_are_refused(make: Any, names: str) -> None:
    with pytest.raises(bl.SpecError, match="dense1") as error:
        declare(make())
    assert names in str(error.value)


def test_growth_that_may_be_meant_is_said(said: Any) -> None:
    grows = bl.Neuron("dv/dt = v/tau : 1", "v > 1", "v = 0", "v", dict(tau=10 * ms))
    assert "grow without input, e-fold in 10 ms" in declare(grows)[0]
    other_sign = bl.Neuron("dv/dt = v/tau : 1", "v > 1", "v = 0", "v", dict(tau=-10 * ms))
    assert "tau = -10 ms is negative" in declare(other_sign)[0]
    assert declare(bl.STBPNeuron(decay=1.0)) == []  # does not forget, and does not grow


def test_a_neuron_is_looked_at_once(said: Any) -> None:
    neuron = bl.SequenceLIF(tau_s=0.4 * ms)
    spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(3, neuron), bl.Dense(3, neuron)], bl.Readout(2), duration=20 * ms)
    dataclasses.replace(spec, duration=30 * ms)
    assert len(said()) == 1 and said()[0].startswith("dense1, dense2: ")


def test_the_display_and_the_run_folder_say_it_too(tmp_path: Path, said: Any) -> None:
    notes = Notes()
    result = experiment(network(bl.SequenceLIF(tau_s=0.4 * ms, method="euler")), tmp_path).run(progress=notes)
    assert any("tau_s = 0.4 ms" in line for line in notes.lines) and "tau_s = 0.4 ms" in result.warnings[0]
    assert sum("tau_s" in text for text in said()) == 1


# how they reach the user ----------------------------------------------------------------------------------------------

SCRIPT = """
from brian2 import ms
import numpy as np, sys, tempfile
import brianlearn as bl
rng = np.random.default_rng(0)
part = bl.Samples(rng.uniform(0, 1, (20, 1, 4, 4)), rng.integers(0, 3, 20))
layers = [bl.Dense(4, bl.CubaLIF(), weights=bl.Normal(0.0))]
spec = bl.NetworkSpec(bl.Input((1, 4, 4)), layers, bl.Readout(3), duration=10*ms)
bl.Experiment(spec, data=(part, part), epochs=2, device="numpy", runs=sys.argv[1]).run(progress={progress})
"""


@pytest.mark.parametrize("progress", [True, False])
def test_a_script_prints_each_cause_once(progress: bool, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(progress=progress))
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("dense1: silent") == 1 and done.stderr.count("readout: constant") == 1
    assert progress or f"{script}:9: BrianLearnWarning" in done.stderr  # the user's own line


def test_warnings_can_be_errors_and_travel(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", bl.BrianLearnWarning)
        with pytest.raises(bl.BrianLearnWarning, match="dense1"):
            declare(bl.SequenceLIF(tau_s=0.4 * ms))
    warning = pickle.loads(pickle.dumps(bl.BrianLearnWarning("dense1", "silent")))
    assert (warning.subject, str(warning)) == ("dense1", "dense1: silent")
    error = bl.ShapeError("conv1", "too large", got=(3, 3), expected="at most 2", remedy="less")
    error.add_note("a note")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is bl.ShapeError and str(again) == str(error) and again.__notes__ == ["a note"]
