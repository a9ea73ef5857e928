"""The discrete engine behind Learner, Experiment and the command line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import ms
from cases import dense, one_convolution
from typer.testing import CliRunner

import brianlearn as bl
from brianlearn.cli import app
from brianlearn.errors import DeviceError, NonFiniteError, RuleError
from brianlearn.learning import DALTON, SGD, STBP, TFR, Adam, Hamming, Momentum, SurrogateBPTT, VanRossum
from brianlearn.network import (
    LIF,
    CubaLIF,
    Dense,
    DirectCurrent,
    Events,
    Input,
    NetworkSpec,
    PoissonEncoder,
    Readout,
    Samples,
    SequenceLIF,
    Spikes,
    TimeToFirstSpikeEncoder,
)
from brianlearn.training.engines import choose_engine
from brianlearn.training.learner import Learner
from brianlearn.training.serialise import from_dict, to_dict

torch = pytest.importorskip("torch")

runner = CliRunner()


def samples_for(spec: NetworkSpec, n: int = 8) -> Samples:
    rng = np.random.default_rng(5)
    return Samples(rng.uniform(0, 0.6, (n, *spec.input.shape)), rng.integers(0, spec.classes, n))


def differ(a: Any, b: Any) -> float:
    assert a.keys() == b.keys()
    return max(np.abs(a[name] - b[name]).max() for name in a)


def spiking(**changes: Any) -> NetworkSpec:
    neuron = SequenceLIF()
    layers = [Dense(10, neuron), Dense(4, neuron)]
    return NetworkSpec(
        **(dict(input=Input((12,), PoissonEncoder()), layers=layers, readout=None, duration=12 * ms) | changes)
    )


# the same numbers as the Brian2 engine --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("network", "readout"), [("dense", "memoryless"), ("convolution", "leaky"), ("convolution", "none")]
)
def test_inference_equals_brian2(network: str, readout: str) -> None:
    spec = dense() if network == "dense" else one_convolution()
    made = {"memoryless": Readout(4), "leaky": Readout(4, tau=7 * ms), "none": None}[readout]
    spec = dataclasses.replace(spec, readout=made, burn_in=3 * ms)
    samples = samples_for(spec, 5)
    if readout == "none":
        samples = Samples(samples.inputs, samples.labels % 2)
    found = {}
    for engine, device in (("brian", "numpy"), ("discrete", "cpu")):
        learner = Learner(spec, engine=engine, device=device, dtype="float64", chunk_size=2)
        assert learner.device == device
        found[engine] = learner.infer(learner.init(), samples, record=("spikes", "readout"))
    ours, theirs = found["discrete"], found["brian"]
    assert ours.spikes.keys() == theirs.spikes.keys()
    for name, raster in theirs.spikes.items():
        assert len(raster) and raster.shape == ours.spikes[name].shape
        for axis in ("trial", "step", "neuron"):
            assert np.array_equal(getattr(raster, axis), getattr(ours.spikes[name], axis))
    assert ours.firing_rates == pytest.approx(theirs.firing_rates, rel=1e-12)
    assert np.abs(ours.logits - theirs.logits).max() < 1e-10
    assert ours.accuracy == theirs.accuracy
    if made is None:
        assert ours.loss is None and theirs.loss is None and ours.readout is None
    else:
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-10)
        assert np.abs(ours.readout - theirs.readout).max() < 1e-10


@pytest.mark.parametrize(
    ("rule", "optimiser"), [(DALTON(), SGD(1e-3)), (DALTON(), Adam(1e-3)), (TFR(), Momentum(1e-3))]
)
def test_learning_goes_on_in_the_other_engine(rule: Any, optimiser: Any) -> None:
    """All batches in Brian2 = the first ones there and the others here = the other way round."""
    spec = dense(input=Input((12,), PoissonEncoder(gain=0.8)))
    rule = dataclasses.replace(rule, learning_rate_scale={"dense1": 3.0})
    samples = samples_for(spec, 9)
    brian, discrete = (
        Learner(spec, rule, optimiser, engine=engine, device=device, dtype="float64", batch_size=2)
        for engine, device in (("brian", "numpy"), ("discrete", "cpu"))
    )
    expected, measured = brian.learn(brian.init(), samples)
    for first, second in ((brian, discrete), (discrete, brian), (discrete, discrete)):
        state, a = first.learn(first.init(), samples[:4])
        state, b = second.learn(state, samples[4:])
        assert differ(state.weights, expected.weights) < 1e-10
        for name, slots in expected.optimiser.items():
            assert differ(state.optimiser[name], slots) < 1e-10
        assert (state.steps, state.samples_seen) == (expected.steps, expected.samples_seen) == (5, 9)
        merged = type(a).merge([a, b])
        assert merged.loss == pytest.approx(measured.loss)
        assert merged.accuracy == pytest.approx(measured.accuracy)
        assert merged.firing_rates == pytest.approx(measured.firing_rates)


def test_learning_in_every_step_goes_on_in_the_other_engine() -> None:
    spec = dataclasses.replace(dense(), burn_in=3 * ms)
    samples = samples_for(spec, 4)
    brian, discrete = (
        Learner(spec, DALTON(update="step"), SGD(1e-4), engine=engine, device=device, dtype="float64")
        for engine, device in (("brian", "numpy"), ("discrete", "cpu"))
    )
    expected, measured = brian.learn(brian.init(), samples)
    state, _ = discrete.learn(discrete.init(), samples[:2])
    state, _ = brian.learn(state, samples[2:])
    assert differ(state.weights, expected.weights) < 1e-10
    assert state.steps == expected.steps == 4 * 12
    _, again = discrete.learn(discrete.init(), samples)
    assert again.loss == pytest.approx(measured.loss) and again.firing_rates == pytest.approx(measured.firing_rates)


def test_adam_is_the_documented_arithmetic() -> None:
    """Two updates, with gradients from finite steps of plain SGD."""
    spec = spiking()
    samples = samples_for(spec, 6)
    make = dict(dtype="float64", batch_size=3)
    sgd, adam = (Learner(spec, STBP(), optimiser, **make) for optimiser in (SGD(1.0), Adam(1e-3)))
    state, m, v = adam.init(), 0.0, 0.0
    w = state.weights["dense1"]
    for k in (1, 2):
        part = samples[3 * k - 3 : 3 * k]
        g = state.weights["dense1"] - sgd.learn(dataclasses.replace(state, optimiser={}), part)[0].weights["dense1"]
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w - 1e-3 * (m / (1 - 0.9**k)) / (np.sqrt(v / (1 - 0.999**k)) + 1e-8)
        state, _ = adam.learn(state, part)
        assert np.abs(g).max() > 1e-4
        assert np.abs(state.weights["dense1"] - w).max() < 1e-9


# batches, chunks, parts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [STBP(VanRossum()), DALTON()])
def test_parts_of_a_batch_add_up(rule: Any) -> None:
    spec = spiking() if isinstance(rule, STBP) else dense()
    samples = samples_for(spec, 11)
    results = []
    for micro_batch in (None, 1, 3, 7):
        options = {} if micro_batch is None else {"micro_batch": micro_batch}
        learner = Learner(
            spec, rule, SGD(0.1), engine="discrete", dtype="float64", batch_size=11, engine_options=options
        )
        state, metrics = learner.learn(learner.init(), samples)
        results.append((state, metrics, learner.infer(state, samples, record="spikes")))
    for state, metrics, activity in results[1:]:
        assert differ(state.weights, results[0][0].weights) < 1e-12
        assert state.steps == 1
        assert metrics.loss == pytest.approx(results[0][1].loss)
        assert metrics.firing_rates == pytest.approx(results[0][1].firing_rates)
        assert np.array_equal(activity.spikes["dense1"].dense(), results[0][2].spikes["dense1"].dense())


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_chunks_do_not_change_the_result(dropout: float) -> None:
    neuron = SequenceLIF()
    spec = spiking(layers=[Dense(10, neuron, dropout=dropout), Dense(4, neuron)])
    samples = samples_for(spec, 7)
    results = []
    for chunk_size in (2, 4, 100):
        learner = Learner(spec, STBP(), batch_size=2, chunk_size=chunk_size)
        state, metrics = learner.learn(learner.init(), samples)
        results.append(state)
        assert state.weights["dense1"].dtype == np.float32
        assert (state.samples_seen, state.steps, metrics.samples) == (7, 4, 7)
    for state in results[1:]:
        assert all(np.array_equal(state.weights[name], w) for name, w in results[0].weights.items())


def test_learn_changes_nothing_that_it_was_given() -> None:
    spec = spiking()
    learner = Learner(spec, STBP(), Adam(1e-2), batch_size=4)
    start, samples = learner.init(), samples_for(spec)
    before = {name: w.copy() for name, w in start.weights.items()}
    first, _ = learner.learn(start, samples)
    kept = {name: w.copy() for name, w in first.weights.items()}
    second, _ = learner.learn(first, samples)
    assert differ(before, start.weights) == 0 and differ(kept, first.weights) == 0
    assert differ(kept, second.weights) > 0
    assert all(not m.any() for slots in start.optimiser.values() for m in slots.values())
    again, _ = learner.learn(start, samples)
    assert differ(again.weights, first.weights) == 0


def test_events_and_latency() -> None:
    values = np.array([[[0.0, 0.25, 1.0]]])
    spec = NetworkSpec(Input((1, 3), TimeToFirstSpikeEncoder()), [Dense(4, LIF())], None, duration=9 * ms)
    learner = Learner(spec, engine="discrete")
    activity = learner.infer(learner.init(), Samples(values), record=("spikes",))
    raster = activity.spikes["input"]
    assert list(zip(raster.step, raster.neuron, strict=True)) == [(0, 2), (6, 1)]
    assert activity.accuracy is None and activity.loss is None
    events = Events(np.array([0, 6, 12]), np.array([2, 1, 0]), np.array([0, 3]), (1, 3))
    spec = dataclasses.replace(spec, input=Input((1, 3), Spikes()))
    replayed = Learner(spec, engine="discrete").infer(learner.init(), Samples(events), record=("spikes",))
    assert np.array_equal(replayed.spikes["input"].dense(), raster.dense())


def test_bfloat16_products_are_an_option_and_leave_torch_as_it_was() -> None:
    before = torch.backends.mkldnn.matmul.fp32_precision
    spec = spiking(input=Input((12,), DirectCurrent()))
    samples = samples_for(spec)
    learner = Learner(spec, STBP(), SGD(1e-2), batch_size=8, engine_options={"matmul": "bfloat16"})
    state, metrics = learner.learn(learner.init(), samples)
    assert np.isfinite(metrics.loss) and all(np.isfinite(w).all() for w in state.weights.values())
    assert torch.backends.mkldnn.matmul.fp32_precision == before


@pytest.mark.filterwarnings("ignore:invalid value", "ignore:overflow")
def test_exploding_weights_are_named() -> None:
    spec = dense(CubaLIF(R=4.0))
    learner = Learner(spec, SurrogateBPTT(), SGD(1e38), batch_size=1)
    with pytest.raises(NonFiniteError) as caught:
        learner.learn(learner.init(), samples_for(spec))
    message = str(caught.value)
    assert "weight update" in message and "learning rate" in message and "ids [" in message


# what runs where ------------------------------------------------------------------------------------------------------


def test_auto_chooses_the_engine() -> None:
    assert choose_engine("auto", None) == choose_engine("auto", DALTON()) == "brian"
    assert choose_engine("auto", DALTON(credit="through_time")) == "discrete"
    assert choose_engine("auto", STBP()) == choose_engine("auto", DALTON(), "cuda:1") == "discrete"
    assert choose_engine("auto", TFR(), "numpy") == "brian"
    assert choose_engine("discrete", TFR(), "cpu") == "discrete"


REFUSED = {
    "stbp on brian": (dict(rule=STBP(), engine="brian"), r"rule 'stbp'(.|\n)*engine='discrete'(.|\n)*evaluate RUN"),
    "stbp on a device of brian": (dict(rule=STBP(), device="cpp_standalone"), r"'stbp'(.|\n)*auto, cpu or cuda"),
    "brian on cuda": (dict(engine="brian", device="cuda"), r"device of torch(.|\n)*engine='discrete'"),
    "unknown engine": (dict(engine="nest"), "'auto', 'brian', 'discrete'"),
    "unknown option": (dict(engine="discrete", engine_options={"batch": 3}), "micro_batch, matmul"),
    "wrong option": (dict(engine="discrete", engine_options={"micro_batch": 0}), "whole number >= 1"),
    "wrong precision": (dict(engine="discrete", engine_options={"matmul": "int8"}), "'float32' or 'bfloat16'"),
    "options for brian": (dict(engine="brian", device="numpy", engine_options={"micro_batch": 3}), "engine_options"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_run_is_refused_by_name(what: str) -> None:
    changes, message = REFUSED[what]
    with pytest.raises(RuleError, match=message):
        Learner(spiking(), **changes)
    if "engine_options" not in changes and "rule" in changes:
        with pytest.raises(RuleError, match=message):
            bl.Experiment(spiking(), **changes)


def test_unknown_devices_are_refused() -> None:
    with pytest.raises(DeviceError, match="unknown device"):
        Learner(spiking(), device="tpu")
    with pytest.raises(DeviceError, match=r"cannot use this device(.|\n)*device='cpu'"):
        Learner(spiking(), engine="discrete", device="cuda:77")


def test_step_updates_of_batches_are_a_limit_of_brian2_only() -> None:
    rule = DALTON(update="step")
    with pytest.raises(RuleError, match=r"share a batch(.|\n)*engine='discrete'"):
        bl.Experiment(dense(), rule, batch_size=2)
    bl.Experiment(dense(), rule, batch_size=2, engine="discrete")


def test_credit_through_time_is_refused_by_brian2() -> None:
    with pytest.raises(RuleError, match=r"'dalton'(.|\n)*'discrete'"):
        Learner(dense(), DALTON(credit="through_time"), engine="brian")


def test_rules_with_losses_are_stored() -> None:
    targets = bl.Targets(bl.Pattern([[0, 1, 0], [1, 0, 1]]), bl.Regular(100 * bl_hertz()))
    for rule in (STBP(VanRossum(7 * ms, targets, "exact"), "detached"), SurrogateBPTT(train_readout=False)):
        stored = json.loads(json.dumps(to_dict(rule)))
        again = from_dict(stored)
        assert type(again) is type(rule) and to_dict(again) == to_dict(rule)
        assert again.loss == rule.loss
    with pytest.raises(RuleError, match="cannot be built"):
        from_dict({"$type": "Pattern"})


def bl_hertz() -> Any:
    from brian2 import Hz

    return Hz


# experiments ----------------------------------------------------------------------------------------------------------


def experiment(**changes: Any) -> bl.Experiment:
    rng = np.random.default_rng(1)
    labels = np.arange(40) % 4
    values = rng.uniform(0, 0.3, (40, 12))
    for k in range(4):
        values[labels == k, 3 * k : 3 * k + 3] += 0.6
    data = Samples(values[:28], labels[:28]), Samples(values[28:], labels[28:])
    made = bl.Experiment(
        spiking(), STBP(), Adam(1e-2), data, epochs=3, batch_size=4, chunk_size=8, validation=4, name="tiny"
    )
    return dataclasses.replace(made, **changes)


def test_a_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = experiment(runs=tmp_path / "whole").run(progress=False)
    assert (whole.rule, whole.device) == ("stbp", "cpu")
    config = json.loads((whole.run / "config.json").read_text())
    assert config["engine"] == "auto" and config["resolved"]["engine"] == "discrete"
    assert config["rule"]["loss"]["$type"] == "VanRossum"
    first, *_, last = whole.metrics
    assert last["train_loss"] < first["train_loss"] and last["validation_loss"] > 0 and whole.test_loss > 0

    class Stop(bl.training.Progress):
        chunks = 5

        def learned(self, done: int, running: Any) -> None:
            self.chunks -= 1
            if not self.chunks:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment(runs=tmp_path / "cut").run(progress=Stop())
    (folder,) = (tmp_path / "cut").iterdir()
    resumed = experiment().run(resume=folder, progress=False)
    assert (resumed.run / "weights.npz").read_bytes() == (whole.run / "weights.npz").read_bytes()
    assert [m["train_loss"] for m in resumed.metrics] == [m["train_loss"] for m in whole.metrics]

    data = experiment().data
    here = bl.evaluate(whole.run, data=data, progress=False)
    there = bl.evaluate(whole.run, engine="brian", device="numpy", data=data, progress=False)
    by_device = bl.evaluate(whole.run, device="numpy", data=data, progress=False)
    assert (here.engine, there.engine, by_device.engine) == ("discrete", "brian", "brian")
    assert here.test_accuracy == there.test_accuracy == by_device.test_accuracy == whole.test_accuracy
    assert here.test_loss == pytest.approx(whole.test_loss) and there.test_loss is None
    with pytest.raises(RuleError, match="unknown engine"):
        bl.evaluate(whole.run, engine="nest", data=data)


def test_bptt_weights_have_a_loss_in_brian2(tmp_path: Path) -> None:
    run = experiment(spec=spiking(readout=Readout(4)), rule=SurrogateBPTT(), runs=tmp_path, epochs=1)
    result = run.run(progress=False)
    there = bl.evaluate(result.run, engine="brian", device="numpy", data=run.data, progress=False)
    assert there.test_loss == pytest.approx(result.test_loss, rel=1e-4)
    assert there.test_accuracy == result.test_accuracy


def test_batches_of_step_updates_are_evaluated_in_brian2(tmp_path: Path) -> None:
    """What only one engine can learn, both can run."""
    rule = DALTON(update="step")
    run = experiment(spec=spiking(readout=Readout(4)), rule=rule, engine="discrete", runs=tmp_path, epochs=1)
    result = run.run(progress=False)
    there = bl.evaluate(result.run, engine="brian", device="numpy", data=run.data, progress=False)
    assert there.test_accuracy == result.test_accuracy
    assert there.test_loss == pytest.approx(result.test_loss, rel=1e-4)


@pytest.mark.cpp_standalone
def test_the_same_predictions_in_cpp_standalone(tmp_path: Path) -> None:
    run = experiment(runs=tmp_path)
    result = run.run(progress=False)
    there = bl.evaluate(result.run, engine="brian", device="cpp_standalone", data=run.data, progress=False)
    assert (there.device, there.test_accuracy) == ("cpp_standalone", result.test_accuracy)
    predictions = []
    for engine, device in (("discrete", "cpu"), ("brian", "cpp_standalone")):
        learner = Learner(run.spec, engine=engine, device=device)
        predictions.append(learner.infer(learner.init(result.weights), run.data[1]).logits)
    assert np.array_equal(*predictions)


SCRIPT = """
from brian2 import ms
import brianlearn as bl

def experiment():
    neuron = bl.SequenceLIF()
    spec = bl.NetworkSpec(
        bl.Input((1, 8, 8), bl.DirectCurrent(0.5)), [bl.Dense(12, neuron), bl.Dense(10, neuron)],
        {readout}, duration=8*ms)
    return bl.Experiment(spec, {rule}, data="digits", epochs=1, batch_size=20, limit=60, test_limit=30)
"""


def command(*arguments: object) -> Any:
    return runner.invoke(app, [str(argument) for argument in arguments])


def test_command_line(tmp_path: Path) -> None:
    script = tmp_path / "net.py"
    script.write_text(
        SCRIPT.format(readout="None", rule="bl.STBP(bl.VanRossum(3*ms, bl.Targets(bl.FirstSpike(2*ms))))")
    )
    done = command("train", script, "--loss", "hamming", "--runs", tmp_path / "runs", "--json")
    assert done.exit_code == 0, done.output
    result = json.loads(done.output.splitlines()[-1])
    assert (result["rule"], result["device"]) == ("stbp", "cpu")
    rule = bl.Experiment.from_run(result["run"]).rule
    assert isinstance(rule.loss, Hamming), "the other loss"
    assert rule.loss.targets == bl.Targets(bl.FirstSpike(2 * ms)), "with the same targets"
    there = command("evaluate", result["run"], "--engine", "brian", "--device", "numpy", "--json")
    assert there.exit_code == 0, there.output
    found = json.loads(there.output.splitlines()[-1])
    assert (found["engine"], found["test_accuracy"]) == ("brian", result["test_accuracy"])

    for options, message in (
        (("--engine", "brian"), "cannot propagate errors back"),
        (("--rule", "bptt"), "needs a readout"),
        (("--loss", "readout-mse"), "the network has none"),
        (("--rule", "dalton", "--loss", "hamming"), "takes no loss"),
        (("--device", "numpy"), "torch's devices"),
    ):
        failed = command("train", script, *options, "--runs", tmp_path / "failed")
        assert failed.exit_code == 1 and message in failed.output, failed.output
    assert not (tmp_path / "failed").exists() or not list((tmp_path / "failed").iterdir())


@pytest.mark.parametrize(
    ("rule", "loss"), [("bptt", "cross-entropy"), ("bptt", "readout-mse"), ("stbp", "cross-entropy"), ("tfr", None)]
)
def test_other_rules_from_the_command_line(tmp_path: Path, rule: str, loss: str | None) -> None:
    script = tmp_path / "net.py"
    script.write_text(SCRIPT.format(readout="bl.Readout(10)", rule="bl.DALTON(learning_rate_scale={'dense1': 2.0})"))
    options = ["--rule", rule, "--engine", "discrete", *(["--loss", loss] if loss else [])]
    done = command("train", script, *options, "--runs", tmp_path / "runs", "--json")
    assert done.exit_code == 0, done.output
    made = bl.Experiment.from_run(json.loads(done.output.splitlines()[-1])["run"]).rule
    assert made.name == rule and made.learning_rate_scale == {"dense1": 2.0}
    assert loss is None or made.loss.name == loss
