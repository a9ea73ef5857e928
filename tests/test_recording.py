"""What is recorded over time equals the numpy reference (docs/recording.md), and records of nothing are refused."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
import reference
import test_graphs
from brian2 import Network, NeuronGroup, StateMonitor, TimedArray, ms, mV
from brian2.units.fundamentalunits import get_dimensions
from cases import CASES, CONDUCTANCE, Case, dense, one_convolution, two_convolutions

import brianlearn as bl
from brianlearn.training import recording
from brianlearn.training.learner import Learner

TOLERANCE = 1e-10
SPEC = one_convolution()
TEACHER = Learner(SPEC, bl.DALTON(), device="numpy")


def engines() -> list[Any]:
    try:
        import torch  # noqa: F401
    except ImportError:
        return ["numpy"]
    return ["numpy", "cpu"]


class Seen:
    """Runs the reference and keeps what its layers did in every step: variable -> layer -> (n, T, neurons)."""

    def __init__(self, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
        found: dict[str, dict[str, list[np.ndarray]]] = defaultdict(lambda: defaultdict(list))
        factors_of = reference.third_factors

        class Population(reference.Population):
            def named(self, state: str) -> str:  # as presets call their synaptic current and adaptation
                names = case.spec.graph.by_name[self.layer.name].neuron.parsed.state_names
                return state if state in names else {"c": "I", "q": "a"}[state]

            def receive(self, sums: np.ndarray) -> reference.LayerStep:
                step = super().receive(sums)
                for name, value in self.state.items():
                    found[self.named(name)][self.layer.name].append(value.ravel().copy())
                found["psi"][self.layer.name].append(step.psi.ravel())
                return step

        def third_factors(rule: Any, network: Any, *others: Any) -> list[np.ndarray]:
            factors = factors_of(rule, network, *others)
            for layer, factor in zip(network.layers, factors, strict=True):
                found["L"][layer.name].append(factor.ravel())
            return factors

        layers = [p.name for p in case.spec.neurons]

        class Trace(reference.Trace):
            def advance(self, presynaptic: np.ndarray) -> np.ndarray:  # those of all layers in turn
                trace = super().advance(presynaptic)
                done = sum(map(len, found["trace_v"].values()))
                found["trace_v"][layers[done % len(layers)]].append(trace.ravel())
                return trace

        monkeypatch.setattr(reference, "Trace", Trace)
        monkeypatch.setattr(reference, "Population", Population)
        monkeypatch.setattr(reference, "third_factors", third_factors)
        samples = case.samples()
        # weights that a step changes by 1e-300 of their gradient stay as they are
        plain = dataclasses.replace(case.rule, learning_rate_scale={})
        reference.run(
            case.spec,
            case.weights(),
            samples.inputs,
            samples.labels,
            plain,
            bl.SGD(1e-300),
            case.n if case.rule.update == "batch" else 1,
            neurons=case.neurons,
        )
        monkeypatch.undo()
        n, burn_in = case.n, case.rule.burn_in_steps(case.spec)
        self.values = {
            name: {layer: np.array(steps).reshape(n, -1, len(steps[0])) for layer, steps in layers.items()}
            for name, layers in found.items()
        }
        for layer, factors in self.values["L"].items():  # no errors in the burn-in
            self.values["L"][layer] = np.pad(factors, ((0, 0), (burn_in, 0), (0, 0)))


def check_case(case: Case, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """States, psi and L in all steps of all layers; the spikes of a run without recording."""
    expected = Seen(case, monkeypatch).values
    learner = Learner(case.spec, case.rule, device=device, dtype="float64", batch_size=case.batch, chunk_size=3)
    state = learner.init(case.weights())
    before = {name: w.copy() for name, w in state.weights.items()}
    activity = learner.infer(state, case.samples(), record=["spikes", *expected])
    assert set(activity.recorded) == set(expected)
    for variable, layers in expected.items():
        assert set(activity.recorded[variable]) == set(layers)
        for layer, values in layers.items():
            found = activity.recorded[variable][layer]
            assert found.shape == values.shape and np.abs(values).max() > 0
            scale = max(1e-12, np.abs(values).max())
            np.testing.assert_allclose(np.asarray(found) / scale, values / scale, rtol=0, atol=TOLERANCE)
            np.testing.assert_allclose(found.times / ms, np.arange(case.spec.n_steps))
    plain = learner.infer(state, case.samples(), record="spikes")
    for layer, raster in plain.spikes.items():
        assert np.array_equal(raster.dense(), activity.spikes[layer].dense())
    assert np.array_equal(plain.logits, activity.logits) and plain.loss == activity.loss
    assert all(np.array_equal(before[name], w) for name, w in state.weights.items())


FAST = [
    "conv-conv-dalton-adam-batch3",
    "burn-in-of-the-rule",
    "mixed-neurons",
    "conv-tfr-sgd-batch3",
    "mirror-conv",
    "step-adam",
    "leaky-readout",
    "heterogeneous",
    "frozen-while-refractory",
    "trace-conv",
]


RUNS = [(name, device) for device in engines() for name in (FAST if device == "cpu" else FAST[:3])]


@pytest.mark.parametrize(("name", "device"), RUNS)
def test_recordings_equal_the_reference(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_case(CASES[name], device, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "device"), [(name, device) for device in engines() for name in CASES if (name, device) not in RUNS]
)
def test_all_recordings_equal_the_reference(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_case(CASES[name], device, monkeypatch)


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("device", ["cython", "cpp_standalone"])
@pytest.mark.parametrize("name", ["conv-conv-dalton-adam-batch3", "mixed-neurons", "step-sgd-mirror"])
def test_recordings_equal_the_reference_compiled(name: str, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_case(CASES[name], device, monkeypatch)


# against Brian2 itself, and of one engine against the other ----------------------------------------------------------


SLOW = [pytest.mark.slow, pytest.mark.cpp_standalone]
COMPILED = [pytest.param(device, marks=SLOW) for device in ("cython", "cpp_standalone")]


@pytest.mark.parametrize("device", [*engines(), *COMPILED])
def test_states_are_those_of_a_plain_network_of_brian2(device: str) -> None:
    """A NeuronGroup as anybody writes it, driven through its input variable; a subexpression too."""
    drive = np.random.default_rng(3).uniform(0, 3, (12, 4))
    equations = """dv/dt = (I - v)/tau_m : 1
    dI/dt = -I/tau_s : 1
    excess = 2*v - shift : 1"""
    constants = dict(tau_m=8 * ms, tau_s=3 * ms, shift=0.25)
    neuron = bl.Neuron(equations, threshold="v > 1", reset="v = 0.1", input="I", constants=constants, method="euler")
    spec = bl.NetworkSpec(
        populations=[bl.Population("input", 4, bl.Spikes()), bl.Population("one", 4, neuron)],
        projections=[bl.Projection("one", "input", "one", bl.OneToOne())],
        duration=12 * ms,
    )
    events = bl.Events.from_dense((drive > 1.5)[None].astype(float), "BTN")
    learner = Learner(spec, device=device, dtype="float64")
    weights = {"one": np.full(learner.init().weights["one"].shape, 2.0)}
    activity = learner.infer(learner.init(weights), bl.Samples(events), record=["spikes", "v", "I", "excess"])

    given = TimedArray(2.0 * (drive > 1.5), dt=1 * ms)
    group = NeuronGroup(
        4,
        equations,
        threshold="v > 1",
        reset="v = 0.1",
        method="euler",
        dt=1 * ms,
        namespace={"given": given, **constants},
    )
    group.run_regularly("I += given(t, i)", when="start", dt=1 * ms)
    monitor = StateMonitor(group, ["v", "I", "excess"], record=True, when="end", dt=1 * ms)
    Network(group, monitor).run(12 * ms)
    assert 2 < len(activity.spikes["one"]) < 40
    for name in ("v", "I", "excess"):
        found = activity.recorded[name]["one"]
        np.testing.assert_allclose(found[0], getattr(monitor, name).T, rtol=0, atol=1e-12)
        np.testing.assert_allclose(found.times / ms, monitor.t / ms, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["frozen-while-refractory", "trace-coupled"])
def test_kernels_and_plain_torch_record_the_same(name: str) -> None:
    pytest.importorskip("torch")
    case, found = CASES[name], []
    record = ["v", "I", "psi", "L", *(["trace_v", "trace_I"] if case.rule.eligibility == "trace" else [])]
    for kernels in (True, False):
        engine = bl.Discrete(device="cpu", kernels=kernels, micro_batch=2)
        learner = Learner(case.spec, case.rule, engine=engine, dtype="float64")
        found.append(learner.infer(learner.init(case.weights()), case.samples(), record=record).recorded)
    for variable, layers in found[0].items():
        for layer, one in layers.items():
            assert np.abs(np.asarray(one)).max() > 0
            np.testing.assert_allclose(one, found[1][variable][layer], rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kernels", [True, False])
def test_cycles_and_delays_are_recorded_the_same_on_both_engines(kernels: bool) -> None:
    pytest.importorskip("torch")
    import test_recurrent

    (values, labels), found = test_recurrent.samples(0), []
    record = ["v", "I", "psi", "L", "trace_v", "readout"]
    for engine in (bl.Brian(device="numpy"), bl.Discrete(device="cpu", kernels=kernels)):
        learner = Learner(test_recurrent.loop(), bl.TFR(eligibility="trace"), engine=engine, dtype="float64")
        found.append(learner.infer(learner.init(), bl.Samples(values, labels), record=record).recorded)
    assert set(found[0]["trace_v"]) == {"in1", "late", "self", "up", "down", "up_bias", "down_bias"}
    for variable, layers in found[0].items():
        for layer, one in layers.items():
            assert np.abs(np.asarray(one)).max() > 0.1
            np.testing.assert_allclose(one, found[1][variable][layer], rtol=0, atol=TOLERANCE)


def test_subexpressions_that_discrete_time_does_not_have_are_named() -> None:
    pytest.importorskip("torch")
    text = """dv/dt = (I - v)/tau : 1
    dI/dt = -I/tau : 1
    idle = v*int(not_refractory) : 1"""
    neuron = bl.Neuron(text, "v > 1", "v = 0", "I", constants=dict(tau=5 * ms), refractory=2 * ms, weight_unit=3.0)
    spec = bl.NetworkSpec(bl.Input((6,)), [bl.Dense(4, neuron, weights=bl.Constant(1.0))], None, duration=10 * ms)
    samples = bl.Samples(np.full((1, 6), 0.8))
    idle = Learner(spec, device="numpy", dtype="float64")
    recorded = idle.infer(idle.init(), samples, record=["v", "idle"]).recorded
    assert set(np.unique(recorded["idle"]["dense1"])) <= {0.0, *np.unique(recorded["v"]["dense1"])}
    learner = Learner(spec, device="cpu", dtype="float64")
    with pytest.raises(bl.EquationError, match=r"(?s)'idle' cannot be recorded.*refractory.*engine='brian'"):
        learner.infer(learner.init(), samples, record="idle")
    learner.infer(learner.init(), samples, record="v")


def test_credit_through_time_has_the_same_errors() -> None:
    pytest.importorskip("torch")
    found = []
    for credit in ("online", "through_time"):
        learner = Learner(SPEC, bl.DALTON(credit=credit), device="cpu", dtype="float64")
        found.append(learner.infer(learner.init(), Case(SPEC).samples(), record="L").recorded["L"])
    for layer in ("conv1", "dense1", "dense2"):
        assert np.array_equal(found[0][layer].values, found[1][layer].values)


@pytest.mark.parametrize("device", engines())
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_changes_where_something_is_recorded(dtype: str, device: str) -> None:
    """Spikes and readouts of a network with several readouts and skip connections, to the last bit."""
    spec = test_graphs.skip()
    given, labels = test_graphs.samples(spec)
    learner = Learner(spec, bl.DALTON(), device=device, dtype=dtype)
    samples = bl.Samples(given, labels)
    seen = learner.infer(learner.init(), samples, record=["spikes", "readout", "v", "psi", "L"])
    plain = learner.infer(learner.init(), samples, record=["spikes", "readout"])
    assert np.array_equal(plain.logits, seen.logits) and np.array_equal(plain.readout, seen.readout)
    for layer, raster in plain.spikes.items():
        assert np.array_equal(raster.dense(), seen.spikes[layer].dense()) and len(raster) > 5
    assert set(seen.recorded["readout"]) == {p.name for p in spec.graph.readouts}
    assert set(seen.recorded["v"]) == set(seen.recorded["L"]) == {p.name for p in spec.neurons}


def test_third_factors_of_pipelined_timing() -> None:
    """From recorded spikes, psi and readouts by their equations (docs/rules.md)."""
    spec = dataclasses.replace(dense(), timing="pipelined")
    learner, samples = Learner(spec, bl.DALTON(burn_in=3 * ms), device="numpy", dtype="float64"), Case(spec).samples()
    state = learner.init()
    activity = learner.infer(state, samples, record=["readout", "psi", "L"])
    found, psi = activity.recorded["L"], activity.recorded["psi"]["dense2"].values
    error = np.asarray(activity.readout) - np.eye(4)[samples.labels][:, None]
    error[:, :3] = 0  # burn-in
    late = np.pad(error, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    last = late @ state.weights["readout"]
    np.testing.assert_allclose(found["dense2"], last, rtol=0, atol=TOLERANCE)
    delta = last * np.pad(psi, ((0, 0), (1, 0), (0, 0)))[:, :-1]  # stored with the psi of the step before
    first = np.pad(delta, ((0, 0), (1, 0), (0, 0)))[:, :-1] @ state.weights["dense2"]
    np.testing.assert_allclose(found["dense1"], first, rtol=0, atol=TOLERANCE)
    assert np.abs(first).max() > 0


@pytest.mark.slow
@pytest.mark.cpp_standalone
def test_processes_that_share_the_samples_record_in_order() -> None:
    spec = one_convolution()
    samples, found = Case(spec, n=7).samples(), []
    record = ["spikes", bl.Record("v", samples=[6, 0, 3], neurons=[4, 1]), bl.Record("L", "dense1", every=3)]
    for options in (dict(device="cpp_standalone", workers=2, chunk_size=4), dict(device="numpy")):
        learner = Learner(spec, bl.DALTON(), dtype="float64", batch_size=2, **options)  # type: ignore[arg-type]
        found.append(learner.infer(learner.init(), samples, record=record))
    for variable, layers in found[0].recorded.items():
        for layer, one in layers.items():
            other = found[1].recorded[variable][layer]
            np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE)
            assert one.samples.tolist() == other.samples.tolist()
    for layer, raster in found[0].spikes.items():
        assert np.array_equal(raster.dense(), found[1].spikes[layer].dense())


PAIRS = {
    "e-prop": (dense(), bl.EProp(), ["v", "psi", "L", "trace_v", "trace_I", "readout"]),
    "trace-conv": (two_convolutions(), bl.DALTON(eligibility="trace"), ["v", "trace_v", "psi", "L"]),
    "dfa": (one_convolution(), bl.DFA(), ["v", "psi", "L"]),
    "decolle": (dense(), bl.DECOLLE(), ["v", "psi", "L"]),
    "pipelined": (dataclasses.replace(dense(), timing="pipelined"), bl.DALTON(burn_in=3 * ms), ["v", "I", "psi", "L"]),
    "units": (dense(CONDUCTANCE), None, ["v", "g"]),
}


@pytest.mark.parametrize(
    "name", [pytest.param(k, marks=[pytest.mark.slow] * (k in ("trace-conv", "dfa", "decolle"))) for k in PAIRS]
)
def test_both_engines_record_the_same(name: str) -> None:
    pytest.importorskip("torch")
    spec, rule, record = PAIRS[name]
    found = []
    for device in ("numpy", "cpu"):
        learner = Learner(spec, rule, device=device, dtype="float64")
        samples = Case(spec, n=2).samples()
        found.append(learner.infer(learner.init(), samples, record=record).recorded)
    assert found[0].keys() == found[1].keys() == set(record)
    for variable, layers in found[0].items():
        assert layers.keys() == found[1][variable].keys()
        for layer, one in layers.items():
            other = found[1][variable][layer]
            assert get_dimensions(one.values) is get_dimensions(other.values)
            assert np.abs(np.asarray(one)).max() > 0
            np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=0, atol=TOLERANCE)


def test_units_and_rules_of_back_propagation() -> None:
    pytest.importorskip("torch")
    spec = dense(CONDUCTANCE)
    learner = Learner(spec, bl.SurrogateBPTT(), device="cpu", dtype="float64")
    samples = Case(spec, n=2).samples()
    recorded = learner.infer(learner.init(), samples, record=["v", "psi"]).recorded
    assert get_dimensions(recorded["v"]["dense1"].values) is mV.dim
    np.testing.assert_allclose(recorded["v"]["dense1"][:, 0] / mV, -70, atol=20)
    assert recorded["psi"]["dense2"].shape == (2, 15, 7)
    with pytest.raises(bl.SpecError, match="'L' with SurrogateBPTT"):
        learner.infer(learner.init(), samples, record="L")


# choice --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", engines())
def test_a_choice_is_part_of_the_whole(device: str) -> None:
    """Samples of which nothing is recorded run as well."""
    spec = one_convolution()
    learner = Learner(spec, bl.DALTON(), device=device, dtype="float64", chunk_size=4)
    state, samples = learner.init(), Case(spec, n=6).samples()
    whole = learner.infer(state, samples, record=["spikes", "readout", "v", "L"])
    mask = np.zeros(8, bool)
    mask[[2, 5]] = True
    part = learner.infer(
        state,
        samples,
        record=[
            bl.Record("spikes", layers="dense1", neurons=range(2, 7), samples=[4, 1]),
            bl.Record("readout", samples=slice(4, 0, -3), every=4),
            bl.Record("v", layers=["conv1"], neurons=[20, 3], samples=np.array([5, 4, 1]), every=2),
            bl.Record("L", layers="dense1", neurons=mask, samples=[1]),
        ],
    )
    v = part.recorded["v"]["conv1"]
    expected = whole.recorded["v"]["conv1"][[5, 4, 1]][:, ::2][:, :, [20, 3]]
    np.testing.assert_allclose(v, expected, rtol=0, atol=1e-13)
    assert v.neurons.tolist() == [20, 3] and v.samples.tolist() == [5, 4, 1]
    np.testing.assert_allclose(v.times / ms, np.arange(0, 15, 2))
    expected = whole.recorded["L"]["dense1"][[1]][:, :, [2, 5]]
    np.testing.assert_allclose(part.recorded["L"]["dense1"], expected, rtol=0, atol=1e-13)
    assert part.readout is not None and whole.readout is not None
    np.testing.assert_allclose(part.readout, whole.readout[[4, 1]][:, ::4], rtol=0, atol=1e-13)
    raster = part.spikes["dense1"]
    assert set(part.spikes) == {"dense1"} and raster.n_trials == 2 and len(raster) > 0
    expected = whole.spikes["dense1"].dense()[[4, 1]]
    expected[:, :, [0, 1, 7]] = False
    assert np.array_equal(raster.dense(), expected)
    order = np.lexsort((raster.neuron, raster.step, raster.trial))
    assert np.array_equal(order, np.arange(len(raster)))
    assert raster.neurons is not None and raster.samples is not None
    assert raster.neurons.tolist() == [2, 3, 4, 5, 6] and raster.samples.tolist() == [4, 1]
    np.testing.assert_allclose(part.logits, whole.logits, rtol=0, atol=1e-13)
    assert part.loss == pytest.approx(whole.loss, abs=1e-13)
    assert part.firing_rates == pytest.approx(whole.firing_rates)


def test_a_raster_is_drawn_of_the_sample_that_is_named() -> None:
    from brianlearn.report import plot_raster

    samples = Case(SPEC).samples()
    record = [bl.Record("spikes", "dense1", samples=[3, 0]), bl.Record("spikes", "dense2")]
    spikes = TEACHER.infer(TEACHER.init(), samples, record=record).spikes
    figure = plot_raster(spikes, trial=0)
    whole = TEACHER.infer(TEACHER.init(), samples, record="spikes").spikes
    for ax, layer in zip(figure.axes, ("dense2", "dense1"), strict=True):
        points = np.asarray(ax.collections[0].get_offsets())
        step, neuron = np.nonzero(whole[layer].dense()[0])
        assert np.array_equal(points, np.stack([step, neuron], axis=1)) and len(points) > 3
    with pytest.raises(bl.DataError, match=r"(?s)no such trial.*one of 3, 0: those of dense1"):
        plot_raster(spikes, trial=1)


@pytest.mark.parametrize("device", engines())
def test_a_simulation_records_the_same_variables(device: str) -> None:
    neuron = bl.CubaLIF(R=4.0, tau_m=20 * ms)
    spec = bl.NetworkSpec(bl.Input((3,)), [bl.Dense(5, neuron, weights=bl.Normal(3.0))], None, duration=20 * ms)
    inputs = np.random.default_rng(0).uniform(0, 1, (2, 3))
    f = bl.simulate(spec, device=device, record=["spikes", bl.Record("v", neurons=[4, 0], every=3)])
    found = f(inputs=inputs, tau_m=[5, 20] * ms, duration=14 * ms)
    v = found.recorded["v"]["dense1"]
    assert v.shape == (2, 2, 5, 2)
    np.testing.assert_allclose(v.times / ms, [0, 3, 6, 9, 12])
    for k, tau in enumerate([5, 20] * ms):
        one = dataclasses.replace(spec, layers=[bl.Dense(5, neuron.with_constants(tau_m=tau), weights=bl.Normal(3.0))])
        learner = Learner(one, device=device, dtype="float64")
        expected = learner.infer(learner.init(), bl.Samples(inputs), record="v").recorded["v"]["dense1"]
        np.testing.assert_allclose(v[k], expected[:, :14:3][:, :, [4, 0]], rtol=0, atol=1e-12)
    with pytest.raises(bl.SpecError, match="samples cannot be chosen"):
        bl.simulate(spec, device=device, record=bl.Record("v", samples=[0]))


# refusals ------------------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Any, str]] = {
    "an unknown variable": ("u", r"cannot record this.*got: +'u'.*'spikes', 'readout', 'v', 'I', 'psi', 'L'"),
    "a misspelt variable": ("spike", "did you mean 'spikes'"),
    "something else": (3, "cannot record this"),
    "something else in a list": (["v", 3], "cannot record this"),
    "an unknown layer": (bl.Record("v", layers="dens1"), "no such layer.*did you mean 'dense1'"),
    "a layer without the variable": (bl.Record("v", layers="input"), "'input' has no variable 'v'.*'spikes'"),
    "a third factor of an input": (bl.Record("L", layers="input"), "'input' has no variable 'L'"),
    "a neuron beyond the layer": (bl.Record("v", layers="dense1", neurons=[0, 8]), "got: +8 .*0 to 7: dense1 has 8"),
    "a negative neuron": (bl.Record("v", layers="dense1", neurons=-1), "neurons are out of range"),
    "half a neuron": (bl.Record("v", layers="dense1", neurons=[0.5]), "neurons are wrong"),
    "a neuron twice": (bl.Record("v", layers="dense1", neurons=[1, 1]), "given twice"),
    "a mask of another length": (bl.Record("v", layers="dense1", neurons=[True] * 9), "mask of neurons.*wrong length"),
    "no neurons": (bl.Record("v", neurons=[]), "there are no neurons"),
    "an empty slice": (bl.Record("v", samples=slice(5, 5)), "there are no samples"),
    "a slice of text": (bl.Record("v", samples=slice("a", "b")), "samples are wrong"),
    "a sample that there is not": (bl.Record("v", samples=[5]), "samples are out of range.*0 to 4"),
    "a variable twice": (["v", bl.Record("v", layers="dense1")], "'v' of dense1 is recorded twice"),
    "weights that stand still": ("weights", r"weights do not change here.*learner.learn"),
    "traces of a rule without": ("trace_v", "'trace_v' with DALTON.*eligibility='trace'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_records_of_nothing_are_refused(name: str) -> None:
    record, said = REFUSED[name]
    with pytest.raises(bl.SpecError, match=f"(?s){said}"):
        TEACHER.infer(TEACHER.init(), Case(SPEC).samples(), record=record)


@pytest.mark.parametrize(
    "options",
    [
        dict(variable=3),
        dict(variable=""),
        dict(variable="v", layers=3),
        dict(variable="v", layers=[]),
        dict(variable="v", every=0),
        dict(variable="v", every=1.5),
        dict(variable="spikes", every=2),
    ],
)
def test_records_that_can_be_right_nowhere(options: dict[str, Any]) -> None:
    with pytest.raises(bl.SpecError):
        bl.Record(**options)


def test_what_only_rules_have() -> None:
    samples = Case(SPEC).samples()
    learner = Learner(SPEC, device="numpy")
    for name in ("psi", "L", "trace_v"):
        with pytest.raises(bl.SpecError, match=f"'{name}' without a rule"):
            learner.infer(learner.init(), samples, record=name)
    with pytest.raises(bl.SpecError, match="no labels"):
        TEACHER.infer(TEACHER.init(), bl.Samples(samples.inputs), record="L")
    TEACHER.infer(TEACHER.init(), bl.Samples(samples.inputs), record="psi")
    reward = bl.SynapticRule(on_pre="gradient -= L", third_factor=bl.Reward("2*correct - 1"))
    learner = Learner(SPEC, reward, device="numpy")
    with pytest.raises(bl.SpecError, match="'L' with SynapticRule"):
        learner.infer(learner.init(), samples, record="L")
    assert learner.infer(learner.init(), samples, record="psi").recorded["psi"].keys() == {"conv1", "dense1", "dense2"}


def test_synaptic_rules_with_the_errors_of_another_rule() -> None:
    """The same L as of the rule whose errors they take."""
    own = bl.SynapticRule(on_pre="gradient += scale*delta", third_factor=bl.DALTON())
    samples, found = Case(SPEC).samples(), []
    for rule in (own, bl.DALTON()):
        learner = Learner(SPEC, rule, device="numpy", dtype="float64")
        found.append(learner.infer(learner.init(), samples, record=["L", "psi"]).recorded)
    for variable in ("L", "psi"):
        for layer in ("conv1", "dense1", "dense2"):
            assert np.array_equal(found[0][variable][layer].values, found[1][variable][layer].values)


def test_recordings_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "free_memory", lambda: 10_000)
    with pytest.raises(bl.BrianLearnError, match=r"(?s)does not fit into memory.*every so many steps"):
        TEACHER.infer(TEACHER.init(), Case(SPEC).samples(), record="v")
    TEACHER.infer(TEACHER.init(), Case(SPEC).samples(), record=bl.Record("v", layers="dense2", every=5))


def test_genn_says_what_it_cannot_record() -> None:
    from brianlearn.brian.genn.refusals import refuse_recording
    from brianlearn.network.record import Tap

    refuse_recording("genn", [Tap("spikes", "dense1"), Tap("readout", "readout")])
    with pytest.raises(bl.SpecError, match=r"(?s)spikes and whole readouts alone.*'v' of dense1"):
        refuse_recording("genn", [Tap("v", "dense1")])
