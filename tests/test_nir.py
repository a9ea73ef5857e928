"""NIR graphs as networks and networks as NIR graphs: plain numpy from NIR's equations, and there and back."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import nir_reference
import numpy as np
import pytest
from brian2 import Hz, Mohm, ms, mV, nA, prefs, second
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_export import trained_run
from typer.testing import CliRunner

import brianlearn as bl

nir = pytest.importorskip("nir")

DT, T = 1 * ms, 30
FEW = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@pytest.fixture(autouse=True)
def plain_numpy():
    prefs.codegen.target = "numpy"


def events(shape: tuple[int, ...], seed: int = 0, n: int = 2, rate: float = 0.35) -> tuple[bl.Events, np.ndarray]:
    dense = np.random.default_rng(seed).random((n, T, *shape)) < rate
    sample, step, neuron = np.nonzero(dense.reshape(n, T, -1))
    return bl.Events(step, neuron, np.searchsorted(sample, np.arange(n + 1)), shape), dense


def initial(spec: bl.NetworkSpec) -> dict[str, np.ndarray]:
    return dict(bl.Learner(spec, device="numpy", dtype="float64", seed=2).init().weights)


def activity(spec: bl.NetworkSpec, weights: dict[str, np.ndarray], samples: Any, record: Any = ("spikes",)) -> Any:
    learner = bl.Learner(spec, device="numpy", dtype="float64")
    state = dataclasses.replace(learner.init(), weights=weights)
    return learner.infer(state, samples if isinstance(samples, bl.Samples) else bl.Samples(samples), record=record)


def spikes(spec: bl.NetworkSpec, weights: dict[str, np.ndarray], samples: Any) -> dict[str, np.ndarray]:
    found = activity(spec, weights, samples).spikes
    return {name: raster.dense() for name, raster in found.items()}


def kinds(n: int, rng: np.random.Generator) -> dict[str, Any]:
    """A neuron of every kind that fires, neurons with parameters of their own."""

    def draw(low: float, high: float) -> np.ndarray:
        return rng.uniform(low, high, n)

    ends = dict(v_threshold=draw(0.5, 1.5), v_reset=draw(-0.3, 0.2))
    return {
        "IF": nir.IF(r=draw(300, 900), **ends),
        "LIF": nir.LIF(tau=draw(0.005, 0.02), r=draw(5, 15), v_leak=draw(-0.2, 0.3), **ends),
        "CubaLIF": nir.CubaLIF(
            tau_mem=draw(0.008, 0.02),
            tau_syn=draw(0.002, 0.006),
            r=draw(1, 4),
            v_leak=draw(-0.2, 0.2),
            w_in=draw(3, 6),
            **ends,
        ),
    }


def lif(n: int = 3, **fields: Any) -> Any:
    ones = np.ones(n)
    return nir.LIF(**(dict(tau=0.01 * ones, r=10 * ones, v_leak=0 * ones, v_threshold=ones) | fields))


def compare_nodes(a: Any, b: Any) -> None:
    """The same nodes with the same parameters, and the same edges, nested graphs included."""
    assert a.nodes.keys() == b.nodes.keys()
    assert sorted(a.edges) == sorted(b.edges)
    for name, node in a.nodes.items():
        other = b.nodes[name]
        assert type(node) is type(other), name
        if isinstance(node, nir.NIRGraph):
            compare_nodes(node, other)
            continue
        one, two = node.to_dict(), other.to_dict()
        assert one.keys() == two.keys()
        for key in one.keys() - {"metadata"}:
            np.testing.assert_array_equal(one[key], two[key], err_msg=f"{name}.{key}")


@pytest.mark.parametrize("discretisation", ["exact", "euler"])
@pytest.mark.parametrize("kind", ["IF", "LIF", "CubaLIF"])
def test_neurons_are_those_of_the_equations(kind: str, discretisation: str) -> None:
    rng = np.random.default_rng(3)
    graph = nir.NIRGraph.from_list(nir.Affine(rng.normal(0.3, 0.8, (6, 5)), rng.normal(0, 0.1, 6)), kinds(6, rng)[kind])
    spec, weights = bl.from_nir(graph, dt=DT, duration=T * DT, discretisation=discretisation)
    given, dense = events((5,))
    found = spikes(spec, weights, given)[spec.output]
    for k in range(2):
        expected = nir_reference.simulate(graph, {"input": dense[k]}, float(DT), discretisation)
        np.testing.assert_array_equal(found[k], expected[kind.lower()] > 0)
    assert 20 < found.sum() < 0.8 * found.size
    compare_nodes(bl.to_nir(spec, weights, discretisation=discretisation), graph)
    again = bl.to_nir(dataclasses.replace(spec, duration=10 * ms), weights, discretisation=discretisation)
    compare_nodes(again, graph)


@pytest.mark.parametrize("discretisation", ["exact", "euler"])
@pytest.mark.parametrize("kind", ["LI one tau", "LI", "CubaLI"])
def test_what_integrates_alone(kind: str, discretisation: str) -> None:
    rng = np.random.default_rng(4)
    tau = np.full(3, 0.01) if "one" in kind else rng.uniform(0.005, 0.02, 3)
    leak, r = rng.uniform(-0.2, 0.4, 3), rng.uniform(3, 9, 3)
    made = {
        "LI": lambda: nir.LI(tau=tau, r=r, v_leak=leak),
        "CubaLI": lambda: nir.CubaLI(tau_mem=tau, tau_syn=tau / 3, r=r, v_leak=leak, w_in=r / 2),
    }[kind.split()[0]]()
    layers = nir.Linear(rng.normal(0.5, 0.8, (6, 5))), kinds(6, rng)["LIF"], nir.Linear(rng.normal(0, 1, (3, 6))), made
    graph = nir.NIRGraph.from_list(*layers)
    spec, weights = bl.from_nir(graph, dt=DT, duration=T * DT, discretisation=discretisation)
    given, dense = events((5,))
    readout = kind == "LI one tau"
    found = activity(spec, weights, given, ["readout"] if readout else [bl.Record("v", kind.lower())])
    values = found.readout if readout else np.asarray(found.recorded["v"][kind.lower()])
    for k in range(2):
        expected = nir_reference.simulate(graph, {"input": dense[k]}, float(DT), discretisation)
        np.testing.assert_allclose(values[k], expected[kind.split()[0].lower()], rtol=1e-10, atol=1e-12)
    assert np.abs(values).max() > 0.5
    compare_nodes(bl.to_nir(spec, weights, discretisation=discretisation), graph)


@st.composite
def graphs(draw: Any) -> tuple[Any, tuple[int, ...]]:
    """A graph from an image or a vector through 1 to 3 populations, with cycles, delays, nested graphs and branches."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    image = draw(st.booleans())
    shape: tuple[int, ...] = (2, 6, 5) if image else draw(st.sampled_from([(5,), (2, 9)]))
    nodes["input"] = nir.Input(np.array(shape))
    last, first_shape, count = "input", shape, 0

    def add(node: Any, new: tuple[int, ...]) -> None:
        nonlocal last, shape, count
        name = f"{count}.{type(node).__name__.lower()}" if rng.random() < 0.3 else f"node{count}"
        nodes[name] = node
        edges.append((last, name))
        last, shape, count = name, new, count + 1

    def neurons() -> Any:
        kind = draw(st.sampled_from(["IF", "LIF", "CubaLIF"]))
        found = kinds(int(np.prod(shape)), rng)[kind]
        fields = {f: getattr(found, f).reshape(shape) for f in found.to_dict().keys() - {"type", "metadata"}}
        if draw(st.booleans()):  # all neurons alike
            fields = {f: np.full(shape, value.flat[0]) for f, value in fields.items()}
        return type(found)(**fields)

    def linear(out: int) -> None:
        if len(shape) > 1:
            add(nir.Flatten({"input": np.array(shape)}, 0, -1), (int(np.prod(shape)),))
        weights = rng.normal(0.25, 0.8, (out, shape[0]))
        add(nir.Affine(weights, rng.normal(0, 0.1, out)) if rng.random() < 0.5 else nir.Linear(weights), (out,))

    for _ in range(draw(st.integers(1, 3))):
        if draw(st.sampled_from([False, False, True])):
            add(nir.Delay(rng.integers(0, 4, shape) * 1e-3 if rng.random() < 0.5 else np.full(shape, 2e-3)), shape)
        options = ["linear", "two", "scale", "identity"] + (
            ["conv", "conv", "sum", "avg", "conv avg", "sum conv"] * (len(shape) == 3)
        )
        options += ["conv1d"] * 2 * (len(shape) == 2)
        chosen = draw(st.sampled_from(options))
        if chosen in ("linear", "two"):
            linear(draw(st.integers(2, 6)))
            if chosen == "two":
                linear(draw(st.integers(2, 6)))
        if chosen == "scale":
            add(nir.Scale(rng.uniform(0.3, 1.5, shape)), shape)
        for part in chosen.split():
            if part == "conv" and min(shape[1:]) >= 3:
                out, groups = draw(st.sampled_from([(2, 1), (4, 2)])) if shape[0] % 2 == 0 else (2, 1)
                pad = draw(st.sampled_from([0, 1, "same", "valid"]))
                bias = rng.normal(0, 0.1, out) if rng.random() < 0.5 else np.zeros(out)
                w = rng.normal(0.2, 0.5, (out, shape[0] // groups, 3, 3))
                node = nir.Conv2d(shape[1:], w, 1, pad, 1, groups, bias)
                add(node, tuple(int(n) for n in node.output_type["output"]))
            if part in ("sum", "avg") and min(shape[1:]) >= 2:
                kind = nir.SumPool2d if part == "sum" else nir.AvgPool2d
                add(
                    kind(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])), (shape[0], shape[1] // 2, shape[2] // 2)
                )
            if part == "conv1d" and shape[1] >= 3:
                w, stride = rng.normal(0.3, 0.6, (3, shape[0], 3)), draw(st.sampled_from([1, 2]))
                node = nir.Conv1d(shape[1], w, stride, 1, 1, 1, rng.normal(0, 0.1, 3))
                add(node, tuple(int(n) for n in node.output_type["output"]))
        kind = draw(st.sampled_from(["plain", "plain", "recurrent", "nested", "fed back"]))
        made = neurons()
        if len(shape) > 1:
            kind = "plain"
        if kind == "nested":
            n, w = shape[0], nir.Linear(rng.normal(-0.1, 0.4, (shape[0], shape[0])))
            inside = {"input": nir.Input(np.array([n])), "lif": made, "w_rec": w, "output": nir.Output(np.array([n]))}
            loop = [("input", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "output")]
            add(nir.NIRGraph(inside, loop, type_check=False), shape)
            continue
        add(made, shape)
        if kind != "plain":
            here, n = last, shape[0]
            nodes[f"{here}_rec"] = nir.Linear(rng.normal(-0.1, 0.4, (n, n)))
            if kind == "recurrent":
                edges.extend([(here, f"{here}_rec"), (f"{here}_rec", here)])
            else:
                nodes[f"{here}_delay"] = nir.Delay(np.full(n, 3e-3))
                edges.extend([(here, f"{here}_delay"), (f"{here}_delay", f"{here}_rec"), (f"{here}_rec", here)])
    nodes["output"] = nir.Output(np.array(shape))
    edges.append((last, "output"))
    return nir.NIRGraph(nodes, edges, type_check=False), first_shape


@FEW
@given(case=graphs(), discretisation=st.sampled_from(["exact", "euler"]))
def test_random_graphs(case: Any, discretisation: str, tmp_path_factory: Any) -> None:
    check_graph(*case, discretisation, tmp_path_factory.mktemp("nir") / "graph.nir")


@pytest.mark.slow
@settings(FEW, max_examples=200)
@given(case=graphs(), discretisation=st.sampled_from(["exact", "euler"]))
def test_many_random_graphs(case: Any, discretisation: str, tmp_path_factory: Any) -> None:
    check_graph(*case, discretisation, tmp_path_factory.mktemp("nir") / "graph.nir")


def check_graph(graph: Any, shape: tuple[int, ...], discretisation: str, file: Path) -> None:
    nir.write(file, graph)
    spec, weights = bl.from_nir(file, dt=DT, duration=T * DT, discretisation=discretisation)
    given, dense = events(spec.input.shape, n=1)
    found = spikes(spec, weights, given)
    expected = nir_reference.simulate(graph, {"input": dense[0].reshape(T, *shape)}, float(DT), discretisation)
    from brianlearn.interop.nir.names import nir_name

    compared = 0
    for p in spec.neurons:
        np.testing.assert_array_equal(found[p.name][0].reshape(T, -1), expected[nir_name(p.name)].reshape(T, -1) > 0)
        compared += 1
    assert compared >= 1
    compare_nodes(bl.to_nir(spec, weights, discretisation=discretisation), graph)


# networks of this package, there and back -----------------------------------------------------------------------------

CUBA, LIF = bl.CubaLIF(R=4.0, tau_s=3 * ms), bl.LIF(tau_m=8 * ms)
EACH = bl.LIF(tau_m=np.linspace(4, 12, 6) * ms, reset="v = -0.25")
VOLTS = bl.Neuron(
    """dV/dt = (E_L - V + R*J)/tau : volt
       dJ/dt = -J/tau_x : amp
       dseen/dt = -seen/tau : 1""",
    threshold="V > V_t",
    reset="V = E_r; seen += 1",
    input="J",
    constants=dict(E_L=-68 * mV, tau=12 * ms, R=200 * Mohm, tau_x=4 * ms, V_t=-50 * mV, E_r=-65 * mV),
    v_scale=10 * mV,
    weight_unit=0.1 * nA,
    initial=dict(V=-70 * mV),
)


def graph_spec(*projections: bl.Projection, timing: str = "same_step", readout: Any = None, **neurons: Any) -> Any:
    populations = [bl.Population("input", (1, 6, 5), bl.Spikes())]
    populations += [bl.Population(name, *what) for name, what in neurons.items()]
    if readout is not None:
        populations.append(bl.Population("out", 3, readout))
    return bl.NetworkSpec(populations=populations, projections=projections, duration=T * ms, timing=timing)


P, LOUD = bl.Projection, bl.Normal(4.0)
SPECS = {
    "chain": bl.NetworkSpec(
        bl.Input((1, 6, 5), bl.Spikes()),
        [bl.Conv(3, 3, CUBA, pool=2, weights=LOUD, bias=bl.Uniform(0.2)), bl.Dense(7, LIF, weights=LOUD)],
        bl.Readout(3, tau=5 * ms, bias=bl.Uniform(0.1)),
        duration=T * ms,
    ),
    "memoryless": bl.NetworkSpec(
        bl.Input((1, 6, 5), bl.Spikes()), [bl.Dense(6, EACH, weights=LOUD)], bl.Readout(3), duration=T * ms
    ),
    "volts": graph_spec(P("feed", "input", "a", weights=LOUD), a=(5, VOLTS)),
    "sequence": graph_spec(P("feed", "input", "a", weights=LOUD), a=(5, bl.SequenceLIF())),
    "stbp": graph_spec(P("feed", "input", "a", weights=LOUD), a=(5, bl.STBPNeuron())),
    "kinds of connections": graph_spec(
        P("conv", "input", "a", bl.Conv2d(2, (3, 2), padding=(1, 0), dilation=(1, 2)), weights=bl.Uniform(3.0)),
        P("sum", "a", "b", bl.SumPool2d(2), weights=bl.Constant(1.5)),
        P("avg", "a", "b", bl.AvgPool2d(2), learned=False),
        P("again", "b", "c", bl.OneToOne(), weights=LOUD),
        P("some", "input", "c", bl.Sparse(0.4), weights=LOUD, bias=bl.Uniform(0.2)),
        P("up", "c", "out"),
        a=(LIF,),
        b=(CUBA,),
        c=(6, LIF),
        readout=bl.LinearReadout(tau=4 * ms),
    ),
    "pools before weights": graph_spec(
        P("conv", "input", "a", bl.Pooled(bl.SumPool2d(2, stride=1), bl.Conv2d(3, 2, pool=2)), bl.Uniform(2.0)),
        P("up", "a", "b", bl.Pooled(bl.AvgPool2d((2, 1)), bl.AllToAll()), weights=bl.Normal(9.0), bias=bl.Uniform(0.2)),
        a=(LIF,),
        b=(4, LIF),
    ),
    "readouts": bl.NetworkSpec(
        populations=[
            bl.Population("input", (1, 6, 5), bl.Spikes()),
            bl.Population("a", 6, LIF),
            bl.Population("first", 3, bl.LinearReadout(tau=4 * ms)),
            bl.Population("second", 3, bl.LinearReadout()),
        ],
        projections=[
            P("feed", "input", "a", weights=LOUD),
            P("fast", "a", "second"),
            P("slow", "a", "first", bias=bl.Uniform(0.1)),
        ],
        duration=T * ms,
    ),
    "recurrent": graph_spec(
        P("feed", "input", "a", weights=LOUD, delay=2 * ms),
        P("self", "a", "a", weights=bl.Normal(1.0), delay=1 * ms),
        P("long", "a", "a", bl.Sparse(0.5), weights=bl.Normal(1.0), delay=3 * ms),
        P("on", "a", "b", weights=LOUD),
        P("back", "b", "a", weights=bl.Normal(1.0), delay=1 * ms),
        P("up", "b", "out"),
        a=(6, CUBA),
        b=(4, LIF),
        readout=bl.LinearReadout(),
    ),
    "delays of synapses": graph_spec(
        P("feed", "input", "a", weights=LOUD, delay=np.random.default_rng(1).integers(0, 4, (6, 30)) * ms, bias=True),
        P("some", "a", "b", bl.Sparse(pairs=[(0, 1), (2, 1), (5, 0)]), bl.Constant(1.5), delay=[1, 0, 2] * ms),
        a=(6, CUBA),
        b=(2, LIF),
    ),
    "order of brian2": graph_spec(
        P("feed", "input", "a", weights=LOUD),
        P("self", "a", "a", weights=bl.Normal(1.0)),
        P("on", "a", "b", weights=LOUD, delay=2 * ms),
        P("up", "b", "out"),
        timing="brian2",
        a=(6, CUBA),
        b=(4, bl.CubaLIF(R=3.0)),
        readout=bl.LinearReadout(tau=4 * ms),
    ),
}


#: Those that `make test` takes; the others are alike in most.
FAST = ("chain", "kinds of connections", "recurrent", "pools before weights", "order of brian2")


def named(names: Any) -> list[Any]:
    return [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", named(SPECS))
def test_there_and_back(name: str, tmp_path: Path) -> None:
    spec = SPECS[name]
    weights = initial(spec)
    given, dense = events((1, 6, 5), rate=0.2)
    expected = spikes(spec, weights, given)
    assert min(expected[p.name].sum() for p in spec.neurons) > 3
    for euler in ("exact", "euler"):
        file = tmp_path / f"{euler}.nir"
        graph = bl.to_nir(spec, weights, spec.dt, file, discretisation=euler)
        compare_nodes(nir.read(file, type_check=name != "kinds of connections"), graph)
        # the file as it is: the network itself
        again, found = bl.from_nir(file)
        assert found.keys() == weights.keys()
        for key in weights:
            np.testing.assert_array_equal(found[key], weights[key])
        assert {p.name for p in again.populations} == {p.name for p in spec.populations}
        for p, q in zip(again.neurons, spec.neurons, strict=True):
            assert (p.neuron.equations, p.neuron.surrogate) == (q.neuron.equations, q.neuron.surrogate)
        compare_nodes(bl.to_nir(again, found, discretisation=euler), graph)
        # what its nodes say alone: the same spikes, and in plain numpy
        graph.metadata.clear()
        other, plain = bl.from_nir(graph, dt=spec.dt, duration=spec.duration, discretisation=euler)
        mine = spikes(other, plain, given)
        assert other.classes == spec.classes
        if spec.readout is not None:
            assert (other.readout.tau is None) == (spec.readout.tau is None)
        reference = nir_reference.simulate(graph, {"input": dense[0]}, float(spec.dt), euler)
        for p in spec.neurons:
            np.testing.assert_array_equal(mine[p.name].reshape(2, T, -1), expected[p.name].reshape(2, T, -1))
            np.testing.assert_array_equal(reference[p.name].reshape(T, -1) > 0, expected[p.name][0].reshape(T, -1))
        if spec.readout is not None:
            values = activity(spec, weights, given, ["readout"]).readout
            np.testing.assert_allclose(reference["output"], values[0], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("gains", ["weights", "unit"])
@pytest.mark.parametrize("name", named(["chain", "volts", "recurrent", "memoryless", "stbp"]))
def test_gains_in_the_weights(name: str, gains: str) -> None:
    spec, dt = SPECS[name], 1e-4
    weights = initial(spec)
    graph = bl.to_nir(spec, weights, dt * second, discretisation="euler", gains=gains)
    for node in graph.nodes.values():
        if isinstance(node, nir.LIF | nir.CubaLIF | nir.LI):
            tau = getattr(node, "tau", getattr(node, "tau_mem", None))
            np.testing.assert_allclose(node.r, tau / dt if gains == "weights" else 1)
        if isinstance(node, nir.CubaLIF):
            np.testing.assert_allclose(node.w_in, node.tau_syn / dt if gains == "weights" else 1)
    given, dense = events((1, 6, 5), rate=0.2)
    expected, found = spikes(spec, weights, given), nir_reference.simulate(graph, {"input": dense[0]}, dt, "euler")
    for p in spec.neurons:
        np.testing.assert_array_equal(found[p.name].reshape(T, -1) > 0, expected[p.name][0].reshape(T, -1))


def test_equations_decide() -> None:
    """The same neuron under other names, with a subexpression, other units and another text, is the same node."""
    other = bl.Neuron(
        """drive = gain*x : 1
           dpotential/dt = (drive - potential)/(2*T_half) : 1
           dx/dt = -x*k : 1""",
        threshold="potential > 0.5*limit",
        reset="potential = potential - potential",
        input="x",
        constants=dict(gain=4.0, T_half=10 * ms, k=200 * Hz, limit=2.0),
    )
    plain = graph_spec(P("feed", "input", "a"), a=(5, bl.CubaLIF(R=4.0)))
    renamed = graph_spec(P("feed", "input", "a"), a=(5, other))
    weights = initial(plain)
    one, two = (bl.to_nir(spec, weights).nodes["a"] for spec in (plain, renamed))
    assert type(one) is type(two) is nir.CubaLIF
    for field in ("tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in"):
        np.testing.assert_allclose(getattr(one, field), getattr(two, field), rtol=1e-12)
    assert one.tau_mem[0] == 0.02 and one.tau_syn[0] == 0.005 and one.w_in[0] == pytest.approx(5)


def only(neuron: bl.Neuron, **options: Any) -> bl.NetworkSpec:
    return graph_spec(P("feed", "input", "a", **options), a=(5, neuron))


NO_COUNTERPART = {
    "adaptive": (only(bl.AdaptiveLIF()), "depends on a"),
    "floor": (only(bl.DaltonIF()), "floor"),
    "refractory": (only(bl.LIF(refractory=2 * ms)), "refractory"),
    "noise": (only(bl.LIF(equations="dv/dt = -v/tau_m + xi/tau_m**.5 : 1")), "noisy"),
    "quadratic": (only(bl.LIF(equations="dv/dt = (v**2 - v)/tau_m : 1")), "not linear"),
    "drift": (only(bl.LIF(equations="dv/dt = 1/tau_m : 1")), "drifts"),
    "current onto an integrator": (
        only(bl.Neuron("dv/dt = I/tau : 1\ndI/dt = -I/tau : 1", "v > 1", "v = 0", "I", dict(tau=5 * ms))),
        "does not leak",
    ),
    "subtracts": (only(bl.LIF(reset="v -= 1")), "subtracts"),
    "halves": (only(bl.LIF(reset="v = v/2")), "reset is"),
    "forgets": (only(bl.CubaLIF(reset="v = 0; I = 0")), "changes I"),
    "midpoint": (only(bl.LIF(method="rk2")), "rk2"),
    "two inputs": (
        graph_spec(
            P("feed", "input", "a", variable="v"),
            P("more", "input", "a", variable="I"),
            a=(5, bl.CubaLIF(input=("I", "v"))),
        ),
        "one input",
    ),
    "order of brian2": (
        graph_spec(P("feed", "input", "a"), timing="brian2", a=(5, bl.LIF())),
        "wipes",
    ),
    "pipelined": (
        bl.NetworkSpec(bl.Input((4,)), [bl.Dense(3, bl.LIF())], bl.Readout(2), 10 * ms, timing="pipelined"),
        "pipelined",
    ),
}


@pytest.mark.parametrize("name", NO_COUNTERPART)
def test_what_nir_has_no_word_for(name: str, tmp_path: Path) -> None:
    spec, why = NO_COUNTERPART[name]
    weights = initial(spec)
    with pytest.raises(bl.SpecError, match=why) as error:
        bl.to_nir(spec, weights, path=tmp_path / "a.nir")
    assert error.value.got and error.value.expected
    assert not list(tmp_path.iterdir())


def test_a_soft_reset_is_asked_for() -> None:
    spec = only(bl.LIF(reset="v -= 0.8"), weights=LOUD)
    weights = initial(spec)
    graph = bl.to_nir(spec, weights, soft_reset=True)
    np.testing.assert_allclose(graph.nodes["a"].v_reset, 0.2)
    again, found = bl.from_nir(graph)
    assert again.neurons[0].neuron.reset == "v -= 0.8"
    graph.metadata.clear()
    plain, _ = bl.from_nir(graph, dt=1 * ms, duration=spec.duration, soft_reset=True)
    given, _ = events((1, 6, 5), rate=0.2)
    np.testing.assert_array_equal(
        spikes(plain, found | {"feed": weights["feed"]}, given)["a"], spikes(spec, weights, given)["a"]
    )


def test_a_file_that_was_changed_says_what_its_nodes_say(tmp_path: Path) -> None:
    spec = only(bl.CubaLIF(R=4.0), weights=LOUD)
    weights = initial(spec)
    graph = bl.to_nir(spec, weights)
    graph.nodes["feed"].weight = graph.nodes["feed"].weight * 2  # other weights: the same network
    again, found = bl.from_nir(graph)
    assert again.neurons[0].neuron.equations == spec.neurons[0].neuron.equations
    np.testing.assert_array_equal(found["feed"], 2 * weights["feed"])
    graph.nodes["a"].tau_mem = graph.nodes["a"].tau_mem * 2
    with pytest.warns(bl.BrianLearnWarning, match="nodes"):
        other, _ = bl.from_nir(graph)
    assert other.neurons[0].neuron.parsed.constants["tau_mem"][0] == 0.04
    assert other.dt == spec.dt and other.duration == spec.duration


def ring(n: int, rng: np.random.Generator) -> Any:
    """Two populations that hear one another, without a delay."""
    nodes = {"input": nir.Input(np.array([5])), "w": nir.Linear(rng.normal(0.4, 0.8, (n, 5))), "one": lif(n)}
    nodes |= {
        "there": nir.Linear(rng.normal(0.5, 0.8, (n, n))),
        "two": lif(n),
        "back": nir.Linear(rng.normal(0, 1, (n, n))),
    }
    edges = [("input", "w"), ("w", "one"), ("one", "there"), ("there", "two"), ("two", "back"), ("back", "one")]
    return nir.NIRGraph(nodes | {"output": nir.Output(np.array([n]))}, [*edges, ("two", "output")])


def branches(n: int, rng: np.random.Generator) -> Any:
    """One node with weights to two populations, and one that hears both; two outputs, one of them in the middle."""
    nodes = {"input": nir.Input(np.array([5])), "w": nir.Affine(rng.normal(0.4, 0.8, (n, 5)), np.full(n, 0.1))}
    nodes |= {
        "a": lif(n),
        "b": lif(n, tau=np.full(n, 0.03)),
        "v": nir.Affine(rng.normal(0.3, 0.8, (3, n)), np.full(3, 0.1)),
    }
    nodes |= {"c": lif(3), "output": nir.Output(np.array([3])), "other": nir.Output(np.array([n]))}
    edges = [
        ("input", "w"),
        ("w", "a"),
        ("w", "b"),
        ("a", "v"),
        ("b", "v"),
        ("v", "c"),
        ("c", "output"),
        ("a", "other"),
    ]
    return nir.NIRGraph(nodes, edges)


def listed(*nodes: Any) -> Any:
    return nir.NIRGraph.from_list(*nodes)


SHAPES = {
    "two populations in a ring": lambda rng: ring(4, rng),
    "branches": lambda rng: branches(4, rng),
    "negative r": lambda rng: listed(nir.Linear(rng.normal(0, 1, (6, 5))), lif(6, r=rng.normal(0, 15, 6))),
    "one number for all": lambda rng: nir.NIRGraph(
        {
            "input": nir.Input(np.array([5])),
            "w": nir.Linear(rng.normal(0.4, 0.8, (6, 5))),
            "lif": nir.LIF(np.array([0.01]), np.array([10.0]), np.array([0.0]), np.array([1.0])),
            "output": nir.Output(np.array([6])),
        },
        [("input", "w"), ("w", "lif"), ("lif", "output")],
        type_check=False,
    ),
    "neurons behind neurons": lambda rng: listed(
        nir.Linear(rng.normal(0.4, 0.8, (6, 5))), lif(6), lif(6, r=np.full(6, 20.0))
    ),
    "past the neurons": lambda rng: nir.NIRGraph(
        {"input": nir.Input(np.array([5])), "a": lif(5), "w": nir.Linear(rng.normal(0.4, 0.8, (5, 5))), "b": lif(5)}
        | {"output": nir.Output(np.array([5]))},
        [("input", "a"), ("a", "w"), ("w", "b"), ("a", "b"), ("b", "output")],
    ),
    "weights in blocks": lambda rng: listed(
        nir.Input(np.array([5])),
        nir.Scale(np.full(5, 2.0)),
        nir.Linear(rng.normal(0.4, 0.8, (6, 5))),
        nir.Scale(np.linspace(0.5, 2, 6)),
        lif(6),
    ),
    "a scaled output": lambda rng: listed(nir.Linear(rng.normal(0.4, 0.8, (6, 5))), lif(6), nir.Scale(np.full(6, 2.0))),
}


@pytest.mark.parametrize("name", SHAPES)
def test_graphs_of_other_shapes(name: str, tmp_path: Path) -> None:
    graph = SHAPES[name](np.random.default_rng(5))
    nir.write(tmp_path / "a.nir", graph)
    spec, weights = bl.from_nir(tmp_path / "a.nir", dt=DT, duration=T * DT)
    given, dense = events((5,), n=1)
    found, expected = spikes(spec, weights, given), nir_reference.simulate(graph, {"input": dense[0]}, float(DT))
    for p in spec.neurons:
        np.testing.assert_array_equal(found[p.name][0], expected[p.name] > 0)
        assert found[p.name].sum() > 2
    compare_nodes(bl.to_nir(spec, weights), graph)


@pytest.mark.parametrize("kind", ["LI", "CubaLI"])
def test_nothing_but_an_integrator(kind: str) -> None:
    made = nir.LI(np.full(3, 0.01), np.full(3, 5.0), np.full(3, 0.1))
    if kind == "CubaLI":
        made = nir.CubaLI(np.full(3, 0.004), np.full(3, 0.01), np.full(3, 2.0), np.full(3, 0.1), np.full(3, 4.0))
    graph = listed(nir.Affine(np.ones((3, 5)), np.full(3, 0.2)), made)
    spec, weights = bl.from_nir(graph, dt=DT, duration=T * DT)
    given, dense = events((5,), n=1)
    found = np.asarray(activity(spec, weights, given, ["v"]).recorded["v"][kind.lower()])[0]
    expected = nir_reference.simulate(graph, {"input": dense[0]}, float(DT))[kind.lower()]
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    compare_nodes(bl.to_nir(spec, weights), graph)


def test_several_inputs() -> None:
    rng = np.random.default_rng(6)
    nodes = {"left": nir.Input(np.array([5])), "right": nir.Input(np.array([3])), "output": nir.Output(np.array([4]))}
    nodes |= {"w": nir.Linear(rng.normal(0.5, 1, (4, 5))), "u": nir.Linear(rng.normal(0.5, 1, (4, 3))), "lif": lif(4)}
    edges = [("left", "w"), ("right", "u"), ("w", "lif"), ("u", "lif"), ("lif", "output")]
    graph = nir.NIRGraph(nodes, edges)
    spec, weights = bl.from_nir(graph, dt=DT, duration=T * DT)
    (left, a), (right, b) = events((5,), 1, n=1), events((3,), 2, n=1)
    found = spikes(spec, weights, bl.Samples({"left": left, "right": right}))["lif"][0]
    expected = nir_reference.simulate(graph, {"left": a[0], "right": b[0]}, float(DT))["lif"]
    np.testing.assert_array_equal(found, expected > 0)
    compare_nodes(bl.to_nir(spec, weights), graph)
    other, _ = bl.from_nir(graph, dt=DT, encoder={"left": bl.DirectCurrent(), "right": bl.PoissonEncoder(0.1)})
    assert [type(p.neuron) for p in other.graph.inputs] == [bl.DirectCurrent, bl.PoissonEncoder]
    with pytest.raises(bl.SpecError, match="'right' has no encoder"):
        bl.from_nir(graph, dt=DT, encoder={"left": bl.DirectCurrent()})


def test_neurons_can_begin_at_rest() -> None:
    graph = listed(nir.Linear(np.ones((3, 5))), lif(3, v_leak=np.array([-0.5, 0.0, 0.4]), v_reset=np.full(3, -0.2)))
    at_rest, weights = bl.from_nir(graph, dt=DT, duration=5 * ms, at_rest=True)
    silent = bl.Samples(bl.Events.from_times([], dt=DT, shape=5, n_trials=1))
    v = np.asarray(activity(at_rest, weights, silent, ["v"]).recorded["v"]["lif"])[0]
    np.testing.assert_allclose(v, np.broadcast_to([-0.5, 0.0, 0.4], (5, 3)), atol=1e-12)
    compare_nodes(bl.to_nir(at_rest, weights), graph)
    written = bl.to_nir(dataclasses.replace(at_rest, declared=dataclasses.replace(at_rest.declared)), weights)
    np.testing.assert_allclose(written.nodes["lif"].v_leak, 0, atol=1e-12)  # counted from the start of a trial
    np.testing.assert_allclose(written.nodes["lif"].v_reset, [0.3, -0.2, -0.6])


def test_what_was_learned_is_written() -> None:
    """Learned constants and delays as they are, rules' own weights left out; and a graph that was read can learn."""
    spec = graph_spec(
        P("feed", "input", "a", weights=LOUD, delay=bl.LearnedDelays((0 * ms, 5 * ms))),
        a=(5, dataclasses.replace(bl.CubaLIF(R=4.0), learn="tau_m")),
    )
    weights = initial(spec)
    graph = bl.to_nir(spec, weights | {"readout_a": np.ones((3, 5))})
    again, found = bl.from_nir(graph)
    given, _ = events((1, 6, 5), rate=0.2)
    assert not again.learned_constants and not again.learned_delays
    np.testing.assert_array_equal(spikes(again, found, given)["a"], spikes(spec, weights, given)["a"])
    read, start = bl.from_nir(
        listed(nir.Affine(np.full((4, 6), 0.3), np.zeros(4)), lif(4), nir.Affine(np.ones((2, 4)), np.zeros(2))),
        dt=DT,
        duration=20 * ms,
    )
    learner = bl.Learner(read, bl.DALTON(), bl.SGD(0.1), device="numpy", batch_size=2)
    inputs = bl.Events.from_times([[(k, 2 * k * ms) for k in range(6)]] * 4, dt=DT, shape=6)
    state, _ = learner.learn(learner.init(), bl.Samples(inputs, [0, 1, 0, 1]))
    assert (state.weights["affine"] != start["affine"]).any()
    written = bl.to_nir(read, state.weights)
    np.testing.assert_array_equal(written.nodes["affine"].weight, state.weights["affine"])


def test_names(tmp_path: Path) -> None:
    names = ["input", "1.weights", "if", "a_b.c", "nir_x", "always", "readout_2"]
    ones = np.ones(3)
    kinds_of = [nir.Input(np.array([3])), nir.Linear(np.eye(3)), nir.IF(900 * ones, ones), nir.Linear(np.eye(3))]
    kinds_of += [nir.IF(900 * ones, ones), nir.Linear(np.eye(3)), nir.IF(900 * ones, ones)]
    nodes = dict(zip(names, kinds_of, strict=True)) | {"output": nir.Output(np.array([3]))}
    chain = [*names, "output"]
    graph = nir.NIRGraph(nodes, list(itertools.pairwise(chain)))
    nir.write(tmp_path / "a.nir", graph)
    spec, weights = bl.from_nir(tmp_path / "a.nir")
    assert next(p.name for p in spec.neurons) == "nir_if" and set(weights) == {
        "nir_1_2e_weights",
        "nir_a__b_2e_c",
        "always2",
    } - {"always2"} | {"nir_always"}
    compare_nodes(bl.to_nir(spec, weights), graph)


def test_trained_weights_go_into_the_graph_that_was_read() -> None:
    graph = nir.NIRGraph.from_list(
        nir.Flatten({"input": np.array([2, 3])}, 0, -1),
        nir.Affine(np.ones((4, 6)), np.zeros(4)),
        nir.LIF(np.full(4, 0.01), np.full(4, 10.0), np.zeros(4), np.ones(4)),
    )
    spec, weights = bl.from_nir(graph, dt=DT, duration=20 * ms)
    assert initial(spec)["affine"].tolist() == weights["affine"].tolist()
    other = {"affine": 2 * weights["affine"], "affine_bias": weights["affine_bias"] + 0.5}
    found = bl.to_nir(spec, other)
    assert list(found.nodes) == list(graph.nodes) and found.edges == graph.edges
    np.testing.assert_array_equal(found.nodes["affine"].weight, 2.0)
    np.testing.assert_array_equal(found.nodes["affine"].bias, 0.5)
    np.testing.assert_array_equal(graph.nodes["affine"].weight, 1.0)
    metadata = json.loads(found.metadata["brianlearn"])
    assert metadata["dt"] == 0.001


def of(*nodes: Any, edges: Any = None, **named: Any) -> Any:
    names = {f"n{k}": node for k, node in enumerate(nodes)}
    chain = list(names)
    return nir.NIRGraph(names | named, edges or list(itertools.pairwise(chain)), type_check=False)


IN, OUT, EYE = nir.Input(np.array([3])), nir.Output(np.array([3])), nir.Linear(np.eye(3))
WRONG = {
    "threshold node": (lambda: of(IN, EYE, nir.Threshold(np.ones(3)), OUT), bl.DataError, "Threshold"),
    "integrator": (lambda: of(IN, EYE, nir.I(np.ones(3)), lif(), OUT), bl.DataError, "nir.I "),
    "no neuron": (lambda: of(IN, EYE, OUT), bl.SpecError, "no neuron in the graph"),
    "no input": (lambda: of(EYE, lif(), OUT), bl.BrianLearnError, "reaches it|no input"),
    "shapes": (lambda: of(IN, nir.Linear(np.ones((3, 4))), lif(), OUT), bl.ShapeError, "do not fit"),
    "neurons": (lambda: of(IN, nir.Linear(np.ones((4, 3))), lif(), OUT), bl.DataError, "another shape"),
    "tau": (lambda: of(IN, EYE, lif(tau=np.zeros(3)), OUT), bl.DataError, "tau is not positive"),
    "nan": (lambda: of(IN, nir.Linear(np.full((3, 3), np.nan)), lif(), OUT), bl.DataError, "finite"),
    "inf": (lambda: of(IN, EYE, lif(r=np.full(3, np.inf)), OUT), bl.DataError, "finite"),
    "delay": (lambda: of(IN, nir.Delay(np.full(3, 0.00025)), EYE, lif(), OUT), bl.SpecError, "whole number of time"),
    "negative delay": (lambda: of(IN, nir.Delay(np.full(3, -1e-3)), EYE, lif(), OUT), bl.DataError, "negative"),
    "dangling": (
        lambda: of(IN, EYE, lif(), OUT, edges=[("n0", "n1"), ("n1", "n2"), ("n2", "x")]),
        bl.DataError,
        "no node",
    ),
    "cycle of weights": (
        lambda: of(IN, EYE, lif(), OUT, edges=[("n0", "n1"), ("n1", "n1"), ("n1", "n2"), ("n2", "n3")]),
        bl.SpecError,
        "no neuron in it",
    ),
    "values between neurons": (
        lambda: of(IN, EYE, nir.LI(np.ones(3), np.ones(3), np.ones(3)), lif(), OUT),
        bl.SpecError,
        "does not spike",
    ),
    "late bias": (
        lambda: of(IN, nir.Affine(np.eye(3), np.ones(3)), nir.Delay(np.full(3, 1e-3)), lif(), OUT),
        bl.SpecError,
        "cannot be delayed",
    ),
    "same, even": (
        lambda: of(
            nir.Input(np.array([1, 4, 4])), nir.Conv2d((4, 4), np.ones((1, 1, 2, 2)), 1, "same", 1, 1, np.zeros(1)), OUT
        ),
        bl.DataError,
        "padding",
    ),
    "late output": (lambda: of(IN, EYE, lif(), nir.Delay(np.full(3, 1e-3)), OUT), bl.SpecError, "after a delay"),
    "nothing reaches": (lambda: of(IN, EYE, lif(), OUT, n9=nir.Scale(np.ones(3))), bl.DataError, "nothing reaches it"),
}


@pytest.mark.parametrize("name", WRONG)
def test_graphs_that_are_refused(name: str) -> None:
    make, kind, why = WRONG[name]
    with pytest.raises(kind, match=why):
        bl.from_nir(make(), dt=DT, duration=20 * ms)


def test_files_that_are_refused(tmp_path: Path) -> None:
    spec = only(LIF)
    weights = initial(spec)
    file = tmp_path / "a.nir"
    bl.to_nir(spec, weights, path=file)
    whole = file.read_bytes()
    for name, content in {"text": b"no", "empty": b"", "half": whole[: len(whole) // 2]}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(bl.DataError, match="cannot be read"):
            bl.from_nir(tmp_path / name)
    with pytest.raises(bl.DataError, match="no such file"):
        bl.from_nir(tmp_path / "none")
    with pytest.raises(bl.DataError, match="no NIR graph"):
        bl.from_nir(3)
    with pytest.raises(bl.DataError, match="cannot be written"):
        bl.to_nir(spec, weights, path=tmp_path / "none" / "a.nir")
    with pytest.raises(bl.WeightsError, match="another network"):
        bl.to_nir(spec, {"feeds": weights["feed"]})
    with pytest.raises(bl.UnitError, match="unit of time"):
        bl.to_nir(spec, weights, 0.001)
    for call in (lambda **o: bl.to_nir(spec, weights, **o), lambda **o: bl.from_nir(file, **o)):
        with pytest.raises(bl.SpecError, match="did you mean 'euler'"):
            call(discretisation="Eular")
        with pytest.raises(bl.ArgumentError, match="discretisation"):
            call(discretization="euler")
    with pytest.raises(bl.SpecError, match="gains"):
        bl.to_nir(spec, weights, gains="r")
    with pytest.raises(bl.SpecError, match="encoder"):
        bl.from_nir(file, encoder="poisson")


def test_a_run_becomes_a_file(tmp_path: Path) -> None:
    from brianlearn.cli.app import app
    from brianlearn.training.run_folder import RunFolder

    call, trained, file = CliRunner().invoke, trained_run(tmp_path), tmp_path / "net.nir"
    result = call(app, ["export", str(trained), str(file), "--to", "nir"])
    assert result.exit_code == 0, result.output
    spec, weights = bl.from_nir(file)
    learned = RunFolder.open(trained).weights()
    for name, array in weights.items():
        np.testing.assert_array_equal(array, learned[name])
    assert spec.layers[0].neuron.surrogate is not None
    other = tmp_path / "other.nir"
    options = ["--discretisation", "euler", "--gains", "weights", "--step", "0.1*ms"]
    assert call(app, ["export", str(trained), str(other), "--to", "nir", *options]).exit_code == 0
    node = next(node for node in nir.read(other).nodes.values() if isinstance(node, nir.LIF | nir.CubaLIF))
    np.testing.assert_allclose(node.r, getattr(node, "tau", getattr(node, "tau_mem", None)) / 1e-4)
    for arguments, said in (
        ([str(file), "--to", "nir"], "exists already"),
        ([str(tmp_path / "x"), "--to", "cpp", "--gains", "unit"], "those of NIR files"),
        ([str(tmp_path / "x"), "--to", "nir", "--step", "1"], "unit"),
    ):
        wrong = call(app, ["export", str(trained), *arguments])
        assert wrong.exit_code == 1 and said in wrong.output, wrong.output
        assert not (tmp_path / "x").exists()
