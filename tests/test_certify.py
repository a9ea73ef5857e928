"""`certify`: every check passes on sound runs of each kind, and finds what was broken on purpose."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, NeuronGroup, PoissonGroup, Synapses, defaultclock, ms
from hypothesis import given
from hypothesis import strategies as st
from recurrent_reference import ENTANGLED, NEURONS, graphs
from recurrent_reference import samples as values_and_labels
from test_noise import NEURONS as NOISY
from test_noise import spec_of
from test_recurrent import examples, loop
from typer.testing import CliRunner

import brianlearn as bl
from brianlearn.cli import app
from brianlearn.errors import RuleError, RunFolderError
from brianlearn.learning import initial_weights
from brianlearn.training.lock import locked

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

from brianlearn.discrete.run import bptt, three_factor  # noqa: E402
from brianlearn.discrete.step.kernels import Kernels  # noqa: E402
from brianlearn.training.certificates import plain_network  # noqa: E402
from brianlearn.training.certificates.gradients import GradientCase, entries, slopes  # noqa: E402

OLD = Path(__file__).parent / "data" / "v0.1"
NUMPY = dict(engine="brian", device="numpy")
DISCRETE = dict(engine="discrete", device="cpu")


def dense(*neurons: bl.Neuron, readout: bool = True, **options: Any) -> bl.NetworkSpec:
    layers = [bl.Dense(6 - k, neuron, weights=bl.Normal(3.0)) for k, neuron in enumerate(neurons)]
    if not readout:
        layers[-1] = dataclasses.replace(layers[-1], size=2)
    return bl.NetworkSpec(bl.Input((5,)), layers, bl.Readout(2) if readout else None, duration=12 * ms, **options)


def data(spec: bl.NetworkSpec, kind: str = "labels") -> tuple[bl.Samples, bl.Samples]:
    rng = np.random.default_rng(4)
    values, out, steps = rng.uniform(0.2, 1, (10, *spec.input.shape)), spec.classes, spec.n_steps
    targets: Any = {
        "labels": rng.integers(0, out, 10),
        "values": rng.uniform(0, 1, (10, steps, out)),
        "trains": rng.random((10, steps, out)) < 0.2,
    }[kind]
    return bl.Samples(values[:7], targets[:7]), bl.Samples(values[7:], targets[7:])


def trained(
    tmp_path: Path, spec: bl.NetworkSpec, rule: Any, kind: str = "labels", **options: Any
) -> tuple[Path, tuple[bl.Samples, bl.Samples]]:
    samples = data(spec, kind)
    settings = (
        DISCRETE | dict(optimiser=bl.Adam(0.01), batch_size=3, epochs=1, runs=tmp_path, dtype="float64") | options
    )
    return bl.Experiment(spec, rule, data=samples, **settings).run(progress=False).run, samples


def certified(run: Path, samples: Any, **options: Any) -> bl.Certificate:
    return bl.certify(run, data=samples, samples=3, gradient_samples=3, device="numpy", **options)


CUBA = bl.CubaLIF(R=6.0)
LEARNED = bl.CubaLIF(R=6.0, tau_m=10 * ms, learn=(bl.Learned("tau_m", per="neuron"), "R"))
CASES: dict[str, tuple[Callable[[], bl.NetworkSpec], Any, str, dict[str, Any]]] = {
    "DALTON on Brian2": (lambda: dense(bl.DaltonIF(), CUBA), bl.DALTON(), "labels", NUMPY),
    "TFR with traces": (lambda: dense(CUBA, CUBA), bl.TFR(eligibility="trace"), "values", {}),
    "DALTON through time": (lambda: dense(CUBA, CUBA), bl.DALTON(credit="through_time"), "labels", {}),
    "BPTT": (lambda: dense(CUBA, CUBA), bl.SurrogateBPTT(loss=bl.CrossEntropy()), "labels", {}),
    "BPTT of values": (lambda: dense(CUBA, CUBA), bl.SurrogateBPTT(loss=bl.MSE()), "values", {}),
    "STBP of trains": (
        lambda: dense(bl.SequenceLIF(), bl.SequenceLIF(), readout=False),
        bl.STBP(loss=bl.VanRossum()),
        "trains",
        {},
    ),
    "learned constants": (lambda: dense(LEARNED, CUBA), bl.SurrogateBPTT(), "labels", {}),
    "single precision": (lambda: dense(CUBA, CUBA), bl.SurrogateBPTT(), "labels", dict(dtype="float32")),
}
APPLICABLE = {
    "folder": set(CASES),
    "data": set(CASES),
    "spikes": set(CASES),
    "engines": {"DALTON on Brian2", "TFR with traces"},
    "gradient": set(CASES),
    "differences": {"BPTT", "BPTT of values", "STBP of trains", "learned constants", "single precision"},
    "precision": {"single precision"},
    "determinism": set(CASES),
    "replay": set(CASES),
    "versions": set(CASES),
}


#: Those that stand for the others in the fast tests.
FAST = ("DALTON on Brian2", "TFR with traces", "BPTT", "STBP of trains", "single precision")


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in CASES])
def test_sound_runs_pass(name: str, tmp_path: Path) -> None:
    spec, rule, kind, options = CASES[name]
    run, samples = trained(tmp_path, spec(), rule, kind, **options)
    found = certified(run, samples)
    verdicts = {check.name: check.verdict for check in found.checks}
    expected = {each: "passed" if name in where else "not applicable" for each, where in APPLICABLE.items()}
    assert verdicts == expected, str(found)
    assert found.passed and found["spikes"].numbers["spikes"] > 20
    largest = found["gradient"].numbers["arrays"].values()
    assert max(each["largest"] for each in largest) > 1e-4, "nothing learns in this test"
    assert max(found["gradient"].numbers["relative"].values()) < 1e-12
    if name in APPLICABLE["differences"]:
        assert max(s["relative"] for s in found["differences"].numbers["slopes"].values()) < 1e-6
    stored = json.loads((run / "certificate.json").read_text())
    assert stored == found.to_dict() == bl.Certificate.read(run).to_dict()
    assert stored["verdict"] == "passed" and [check["name"] for check in stored["checks"]] == list(APPLICABLE)


@pytest.mark.slow
def test_recurrent_and_convolutional_runs_pass(tmp_path: Path) -> None:
    convolutional = bl.NetworkSpec(
        bl.Input((1, 7, 7)),
        [bl.Conv(2, 3, bl.DaltonIF(), pool=2, weights=bl.Normal(4.0), dropout=0.3), bl.Dense(6, CUBA, bias=True)],
        bl.Readout(2),
        duration=12 * ms,
    )
    for spec, rule in ((loop(), bl.SurrogateBPTT()), (loop(), bl.TFR()), (convolutional, bl.SurrogateBPTT())):
        run, samples = trained(tmp_path, spec, rule, augment=None)
        found = certified(run, samples)
        assert found.passed and found["gradient"].verdict == "passed" == found["spikes"].verdict, str(found)


def case(spec: bl.NetworkSpec, rule: Any, seed: int = 1) -> GradientCase:
    x, labels = values_and_labels(seed)
    return GradientCase.of(spec, rule, initial_weights(spec, rule, seed), bl.Samples(x, labels), seed)


EVERY = (*NEURONS, *ENTANGLED)


@examples(8)
@given(
    spec=st.one_of(graphs(), graphs(timing="brian2", neurons=EVERY, least=0)),
    rule=st.sampled_from([bl.SurrogateBPTT(), bl.STBP(loss=bl.ReadoutMSE()), bl.TFR(), bl.DFA()]),
    seed=st.integers(0, 99),
)
def test_the_plain_loop_has_the_gradient_of_the_engine_on_random_graphs(spec: Any, rule: Any, seed: int) -> None:
    one = case(spec, rule, seed)
    found = one.engine("cpu", "float64", {})
    for name, each in entries(one, found).items():
        assert each["difference"] <= 1e-10 * max(1.0, each["largest"]), name


@pytest.mark.parametrize("kept", ["kept", pytest.param("detached", marks=pytest.mark.slow)])
def test_differences_of_smooth_spikes_are_the_gradient(kept: str) -> None:
    """Refractoriness, floors, moving thresholds, cycles and delays; both timings; learned delays, spread."""
    declared = loop().declared
    delays = {"late": bl.LearnedDelays((0 * ms, 3 * ms)), "self": bl.LearnedDelays((1 * ms, 4 * ms))}
    parts = [dataclasses.replace(q, delay=delays.get(q.name, q.delay)) for q in declared.projections]
    moving = bl.NetworkSpec(populations=declared.populations, projections=parts, duration=14 * ms)
    for spec in (loop(), moving, dataclasses.replace(loop(), timing="brian2")):
        one = case(spec, bl.STBP(loss=bl.ReadoutMSE(), reset_path=kept))
        found = one.engine("cpu", "float64", {})
        assert {name for name, g in found.items() if np.any(g)} >= {"to_out", "late", "self"}
        assert set(spec.learned_delays) <= set(found)
        for name, each in slopes(one, found).items():
            assert each.relative < 1e-6, (name, each)
        for name, each in entries(one, found).items():
            assert each["difference"] <= 1e-10 * max(1.0, each["largest"]), name


@pytest.mark.parametrize(
    "name", ["poisson", *(pytest.param(n, marks=pytest.mark.slow) for n in ("multiplicative", "threshold"))]
)
def test_noise_is_drawn_alike(name: str) -> None:
    spec = spec_of(NOISY[name], NOISY["held"])
    rng = np.random.default_rng(0)
    labels = rng.integers(0, spec.classes, 3)
    rule = bl.SurrogateBPTT()
    samples = bl.Samples(rng.uniform(0, 1, (3, *spec.input.shape)), labels)
    one = GradientCase.of(spec, rule, initial_weights(spec, rule, 0), samples, 0)
    found = one.engine("cpu", "float64", {})
    for each in entries(one, found).values():
        assert each["difference"] <= 1e-10 * max(1.0, each["largest"])


def test_membranes_that_lie_on_their_floor_have_the_slope_of_its_gate() -> None:
    """Where nothing has arrived yet, differences to both sides would see another slope than either."""
    neuron = bl.DaltonIF()
    layers = [bl.Dense(30, neuron, weights=bl.Normal(1.0)) for _ in range(2)]
    spec = bl.NetworkSpec(bl.Input((6,)), layers, bl.Readout(3), duration=14 * ms)
    one = case(spec, bl.SurrogateBPTT())
    run = one.plain().run(one.tensors())
    done = [run.done["dense2", t] for t in range(spec.n_steps)]
    assert any(((each.x == -1) & (each.gate == 1)).any() for each in done)
    for each in slopes(one, one.engine("cpu", "float64", {})).values():
        assert each.relative < 1e-6


@pytest.mark.parametrize("rule", [bl.DALTON(burn_in=2 * ms), bl.TFR(), bl.SurrogateBPTT()], ids=lambda rule: rule.name)
def test_pipelined_timing(rule: Any) -> None:
    spec = dense(bl.DaltonIF(), CUBA, timing="pipelined")
    samples = data(spec)[0][:3]
    one = GradientCase.of(spec, rule, initial_weights(spec, rule, 2), samples, 2)
    found = one.engine("cpu", "float64", {})
    for name, each in entries(one, found).items():
        assert each["largest"] > 1e-6 and each["difference"] < 1e-12, name


def broken(factor: float, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose gradients are wrong in one entry of one array."""

    def wrong(*arguments: Any, **options: Any) -> Any:
        found, record = function(*arguments, **options)
        name = max(found, key=lambda n: float(found[n].abs().max()))
        g = found[name].clone().flatten()
        k = int(g.abs().argmax())
        g[k] = g[k] * factor
        return {**found, name: g.view(found[name].shape)}, record

    return wrong


@pytest.mark.parametrize("rule", [bl.SurrogateBPTT(), bl.DALTON()])
def test_a_gradient_that_is_wrong_by_a_thousandth_is_found(
    rule: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, samples = trained(tmp_path, dense(CUBA, CUBA), rule)
    module = bptt if rule.loss is not None else three_factor
    monkeypatch.setattr(module, "gradients", broken(1.001, module.gradients))
    found = certified(run, samples)
    wrong = {check.name for check in found.checks if check.verdict == "failed"}
    expected = {"gradient", "differences"} if rule.loss is not None else {"gradient", "engines"}
    assert expected <= wrong and not found.passed, str(found)
    assert "the largest entry" in found["gradient"].text


def test_a_kernel_whose_derivative_is_wrong_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, samples = trained(tmp_path, dense(CUBA, CUBA), bl.SurrogateBPTT())
    backward = Kernels.backward
    monkeypatch.setattr(Kernels, "backward", lambda self, *a, **o: backward(self, *a, **o) * 1.001)
    found = certified(run, samples)
    assert found["gradient"].verdict == found["differences"].verdict == "failed"
    assert found["spikes"].verdict == "passed"


def test_a_spike_that_differs_is_found_with_its_margin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, samples = trained(tmp_path, dense(CUBA, CUBA), bl.SurrogateBPTT())
    forward = Kernels.forward

    def shifted(self: Any, delivered: Any, *arguments: Any, **options: Any) -> Any:
        return forward(self, delivered * 1.2, *arguments, **options)

    monkeypatch.setattr(Kernels, "forward", shifted)
    found = certified(run, samples)["spikes"]
    assert found.verdict == "failed" and found.numbers["mismatches"] > 0
    assert "from its threshold" in found.text and found.numbers["firsts"]
    assert len({one["sample"] for one in found.numbers["firsts"]}) == len(found.numbers["firsts"])


@pytest.mark.slow
def test_the_plain_loop_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    """What torch loads when an operation first needs it is loaded then."""
    code = f"import brianlearn as bl; print(bl.certify({str(OLD / 'bptt-finished')!r}, samples=1, write=False).verdict)"
    environment = os.environ | {"PYTHONPATH": str(Path(bl.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.split() == ["passed"], done.stderr


def edit_arrays(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with np.load(file) as stored:
        arrays = {name: stored[name] for name in stored.files}
    change(arrays)
    np.savez(file, **arrays)


@pytest.mark.slow
def test_changed_files_are_found(tmp_path: Path) -> None:
    spec = dense(CUBA, CUBA)
    run, samples = trained(tmp_path, spec, bl.SurrogateBPTT(), epochs=2)

    def of(change: Callable[[Path], None], full: bool = False) -> bl.Certificate:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(run, copy)
        change(copy)
        return certified(copy, samples, full=full)

    def weight(arrays: dict[str, Any], name: str) -> None:
        arrays[name] = arrays[name] * (1 + 1e-12)

    def both(copy: Path) -> None:
        edit_arrays(copy / "weights.npz", lambda a: a.__setitem__("dense1", a["dense1"] + 0.1))
        edit_arrays(copy / "checkpoint.npz", lambda a: a.__setitem__("weights/dense1", a["weights/dense1"] + 0.1))

    def line(copy: Path, number: int) -> None:
        lines = (copy / "metrics.jsonl").read_text().splitlines()
        found = json.loads(lines[number])
        found["train_loss"] *= 1 + 1e-12
        lines[number] = json.dumps(found)
        (copy / "metrics.jsonl").write_text("\n".join(lines) + "\n")

    def tested(copy: Path) -> None:
        found = json.loads((copy / "result.json").read_text())
        found["test_loss"] *= 1 + 1e-12
        (copy / "result.json").write_text(json.dumps(found))

    def moved(copy: Path) -> None:
        found = json.loads((copy / "versions.json").read_text())
        found["numpy"] = "0.1"
        (copy / "versions.json").write_text(json.dumps(found))
        line(copy, 0)

    sound = of(lambda copy: None, full=True)
    assert sound.passed and "weights at the end" in sound["replay"].text, str(sound)
    one = of(lambda copy: edit_arrays(copy / "weights.npz", lambda a: weight(a, "dense1")))
    assert one["folder"].verdict == "failed" and "dense1 is not the same in weights.npz" in one["folder"].text
    assert "the norm of dense1 was" in of(both)["folder"].text
    assert of(lambda copy: line(copy, 0))["replay"].verdict == "failed"
    assert of(lambda copy: line(copy, 1))["folder"].verdict == "failed"  # result.json says otherwise
    assert "test_loss" in of(tested, full=True)["replay"].text
    elsewhere = of(moved)
    assert elsewhere["replay"].verdict == elsewhere["versions"].verdict == "not applicable"
    assert "numpy was 0.1" in elsewhere["replay"].text and elsewhere.passed
    other = samples[0], dataclasses.replace(samples[1], inputs=samples[1].inputs * 0.5)
    changed = bl.certify(run, data=other, samples=2, device="numpy", write=False)
    assert changed["data"].verdict == "failed" and changed["replay"].verdict == "not applicable"


def test_weights_that_are_no_numbers_fail(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(OLD / "bptt-finished", run)
    for file, name in (("weights.npz", "dense1"), ("checkpoint.npz", "weights/dense1")):
        edit_arrays(run / file, lambda arrays, name=name: arrays[name].__setitem__((0, 0), np.nan))
    found = bl.certify(run, samples=1, gradient_samples=1)
    assert not found.passed and "dense1 holds numbers that are not finite" in found["folder"].text
    for name in ("spikes", "gradient", "differences"):
        assert found[name].verdict == "failed" and "not finite" in found[name].text, name


def test_a_batch_is_as_large_as_memory_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, samples = trained(tmp_path, dense(CUBA), bl.SurrogateBPTT())
    each, matrices = plain_network._bytes(dense(CUBA))
    monkeypatch.setattr(plain_network, "MEMORY", matrices + 2 * each)
    found = bl.certify(run, data=samples, samples=1, gradient_samples=3)
    assert found["gradient"].verdict == "passed" and found["gradient"].numbers["samples"] == 2


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("bptt", "finished"),
        ("discrete", "cut-off"),
        *(
            pytest.param(name, state, marks=pytest.mark.slow)
            for name, state in (
                ("brian", "finished"),
                ("brian", "cut-off"),
                ("discrete", "finished"),
                ("bptt", "cut-off"),
            )
        ),
    ],
)
def test_folders_of_earlier_versions_are_certified(name: str, state: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(OLD / f"{name}-{state}", run)
    found = bl.certify(run, samples=3, gradient_samples=2)
    assert found.passed, str(found)
    assert found["gradient"].verdict == found["replay"].verdict == found["spikes"].verdict == "passed"
    if state == "cut-off":
        assert found["folder"].numbers["lacking"] == ["weights.npz", "result.json"]
        assert "it lacks weights.npz, result.json" in found["folder"].text


def test_an_adopted_network_is_certified(tmp_path: Path) -> None:
    defaultclock.dt = 1 * ms
    source = PoissonGroup(4, rates=0 * Hz, name="given")
    equations = "dv/dt = -v/(10*ms) : 1 (unless refractory)"
    fires: Any = dict(threshold="v > 1", reset="v = 0", refractory=2 * ms)
    group = NeuronGroup(5, equations, method="exact", name="cells", **fires)
    up = Synapses(source, group, "w : 1", on_pre="v += w", delay=1 * ms, name="up")
    up.connect()
    around = Synapses(group, group, "w : 1", on_pre="v += w", name="around")
    around.connect(condition="i != j")
    rng = np.random.default_rng(0)
    up.w, around.w = rng.normal(0.5, 0.3, len(up)), rng.normal(0, 0.3, len(around))
    adopted = bl.adopt([source, group, up, around], duration=12 * ms, outputs=group)
    samples = bl.Samples(bl.Events.from_dense((rng.random((8, 12, 4)) < 0.4).astype(int), axes="BTN"), np.arange(8) % 5)
    both = samples[:6], samples[6:]
    rule = bl.STBP(loss=bl.SpikeCount(desired=3))
    options: Any = DISCRETE | dict(epochs=1, runs=tmp_path, dtype="float64")
    run = bl.Experiment(adopted.spec, rule, data=both, **options).run(progress=False).run
    found = certified(run, both)
    assert found.passed and found["gradient"].verdict == "passed" == found["differences"].verdict, str(found)


@pytest.mark.slow
def test_what_cannot_be_asked_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, samples = trained(tmp_path, dense(CUBA), bl.DALTON(update="step"), batch_size=1, **NUMPY)
    found = certified(run, samples)
    assert found["engines"].verdict == "passed"
    assert "changes weights in every step" in found["gradient"].text
    monkeypatch.setattr(plain_network, "MEMORY", 1000)
    run, samples = trained(tmp_path, dense(CUBA), bl.SurrogateBPTT())
    found = certified(run, samples)
    assert found["gradient"].verdict == "not applicable" and "too much here" in found["gradient"].text
    monkeypatch.setattr("brianlearn.training.certificates.certifying._without_torch", lambda: True)
    assert "torch is not installed" in certified(run, samples)["spikes"].text
    with pytest.raises(RuleError, match="samples is wrong"):
        bl.certify(run, data=samples, samples=0)
    with pytest.raises(RunFolderError, match="samples that have no name"):
        bl.certify(run)


def test_a_run_of_a_device_that_is_not_here_is_checked_on_the_cpu(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    run = tmp_path / "run"
    shutil.copytree(OLD / "bptt-finished", run)
    config = json.loads((run / "config.json").read_text())
    config["device"] = config["resolved"]["device"] = "cuda"
    (run / "config.json").write_text(json.dumps(config))
    found = bl.certify(run, samples=1)
    assert found["gradient"].verdict == "passed" and "double precision on cpu" in found["gradient"].text
    assert found["replay"].verdict == "not applicable" and "no CUDA device" in found["replay"].text


def test_a_damaged_certificate_is_named_and_a_continued_run_loses_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(OLD / "bptt-finished", run)
    assert bl.Certificate.read(run) is None
    bl.certify(run, samples=2, gradient_samples=2)
    experiment = bl.Experiment.from_run(run)
    dataclasses.replace(experiment, epochs=experiment.epochs + 1).run(resume=run, progress=False)
    assert bl.Certificate.read(run) is None
    (run / "certificate.json").write_text('{"format": 1, "checks": [{"name": "x"}]}')
    with pytest.raises(RunFolderError, match="the certificate is damaged"):
        bl.Certificate.read(run)


def test_a_folder_that_a_run_writes_into_is_refused_and_checks_are_told_as_they_are_made(tmp_path: Path) -> None:
    run, told = tmp_path / "run", list[bl.training.Check]()
    shutil.copytree(OLD / "bptt-finished", run)
    with locked(run), pytest.raises(RunFolderError, match="another run is writing into this folder"):
        bl.certify(run)
    assert not (run / "certificate.json").exists()
    with locked(run):  # reading is possible
        found = bl.certify(run, samples=1, gradient_samples=1, write=False, told=told.append)
    assert tuple(told) == found.checks and not (run / "certificate.json").exists()


def test_the_command_line(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(OLD / "discrete-finished", run)
    call = ["certify", str(run), "--samples", "2", "--gradient-samples", "2", "--device", "numpy"]
    done = CliRunner().invoke(app, [*call, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[-1]) == json.loads((run / "certificate.json").read_text())
    edit_arrays(run / "weights.npz", lambda a: a.__setitem__("dense1", a["dense1"] + 0.1))
    done = CliRunner().invoke(app, call)
    assert done.exit_code == 1 and "FAILED  folder" in done.output
    assert re.search(r"FAILED  \d passed, \d failed, \d not applicable, in", done.output)
    assert json.loads((run / "certificate.json").read_text())["verdict"] == "failed"
