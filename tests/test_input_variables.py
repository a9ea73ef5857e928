"""Neurons with several input variables: spikes of different projections change different ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference
from brian2 import ms, mV, nS
from recurrent_reference import CLASSES, N, T, samples
from scipy.linalg import expm

import brianlearn as bl
from brianlearn.errors import EquationError, SpecError, UnitError
from brianlearn.training.serialise import from_dict, to_dict
from brianlearn.training.verify import verify

torch = pytest.importorskip("torch")

from test_recurrent import Spike  # noqa: E402

TAU, TAU_E, TAU_I, E_I = 20.0, 3.0, 6.0, -2.0  # ms, and plain numbers
TIMES = dict(tau=TAU * ms, tau_e=TAU_E * ms, tau_i=TAU_I * ms)

CURRENTS = bl.Neuron(
    "dv/dt = (x + 2*y - v)/tau : 1\ndx/dt = -x/tau_e : 1\ndy/dt = -y/tau_i : 1",
    threshold="v > 1",
    reset="v = 0",
    input=("x", "y"),
    constants=TIMES,
    weight_unit=dict(x=3.0, y=2.0),
)
CONDUCTANCES = bl.Neuron(
    f"dv/dt = (-v + x*(3 - v) + y*({E_I} - v))/tau : 1\ndx/dt = -x/tau_e : 1\ndy/dt = -y/tau_i : 1",
    threshold="v > 1",
    reset="v = 0",
    input=("x", "y"),
    constants=TIMES,
    method="euler",
)
#: What arrives at the membrane itself is lost while refractory, and wiped by the reset; and a third variable.
FROZEN = bl.Neuron(
    "dv/dt = (x + z - v)/tau : 1 (unless refractory)\ndx/dt = -x/tau_e : 1\ndz/dt = -z/tau_i : 1",
    threshold="v > 1",
    reset="v = 0; z = 0.1",
    input=("x", "v", "z"),
    constants=TIMES,
    refractory=2 * ms,
)


def spec_of(neuron: bl.Neuron, timing: str = "same_step", variables: tuple[str, ...] = ("x", "y")) -> bl.NetworkSpec:
    first, second, last = variables[0], variables[1], variables[-1]
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (6,), bl.IntegrateAndFireEncoder()),
            bl.Population("a", 8, neuron),
            bl.Population("b", 7, neuron),
            bl.Population("out", CLASSES, bl.LinearReadout(tau=5 * ms)),
        ],
        projections=[
            bl.Projection("in_a", "input", "a", weights=bl.Normal(4.0)),
            bl.Projection("in_b", "input", "b", weights=bl.Normal(2.0), variable=second, delay=2 * ms),
            bl.Projection("a_b", "a", "b", weights=bl.Normal(4.0), bias=bl.Constant(0.1), variable=first),
            bl.Projection("a_a", "a", "a", weights=bl.Normal(2.0), variable=last, delay=1 * ms, bias=bl.Constant(0.05)),
            bl.Projection("b_a", "b", "a", bl.Sparse(0.6, seed=1), bl.Normal(2.0), variable=last, delay=2 * ms),
            bl.Projection("to_out", "b", "out", weights=bl.Uniform(1.0)),
        ],
        duration=T * ms,
        timing=timing,
    )


def integrated(neuron: bl.Neuron, state: dict[str, Any]) -> dict[str, Any]:
    """A step of 1 ms of `CURRENTS` by the matrix exponential, or of `CONDUCTANCES` by Euler's formula."""
    v, x, y = (state[name] for name in "vxy")
    if neuron is CURRENTS:
        m = expm(np.array([[-1 / TAU, 1 / TAU, 2 / TAU], [0, -1 / TAU_E, 0], [0, 0, -1 / TAU_I]]))
        return {n: m[k, 0] * v + m[k, 1] * x + m[k, 2] * y for k, n in enumerate("vxy")}
    slope = (-v + x * (3 - v) + y * (E_I - v)) / TAU
    return dict(v=v + slope, x=x - x / TAU_E, y=y - y / TAU_I)


def plain_loop(spec: bl.NetworkSpec, neuron: bl.Neuron, weights: dict[str, Any], x: np.ndarray) -> Any:
    """Readout (T, N, classes) and spikes (N, T, neurons), one step after the other."""
    given = np.stack([reference.integrate_and_fire()(v, T) for v in x])
    spikes: dict[str, list[Any]] = {"input": list(torch.tensor(given).transpose(0, 1)), "a": [], "b": []}
    states = {p.name: {n: torch.zeros(N, p.n, dtype=torch.float64) for n in "vxy"} for p in spec.neurons}
    units = dict(x=3.0, y=2.0) if neuron is CURRENTS else dict(x=1.0, y=1.0)

    def deliver(name: str, t: int) -> None:
        for p in spec.projections:
            w, past = weights[p.name], t - round(float(p.delay) / 1e-3)
            if p.target != name or past < 0:
                continue
            if p.name.endswith("_bias"):
                arrived = w
            else:
                if w.ndim == 1:
                    c = p.connectivity
                    places = torch.tensor(c.post).long(), torch.tensor(c.pre).long()
                    w = torch.zeros(p.n_post, p.n_pre, dtype=torch.float64).index_put(places, w)
                arrived = spikes[p.source][past] @ w.T
            variable = p.variable or "x"
            states[name] = {**states[name], variable: states[name][variable] + units[variable] * arrived}

    y, found = 0.0, []
    for t in range(T):
        for name in ("a", "b"):
            if spec.timing == "same_step":
                deliver(name, t)
            states[name] = integrated(neuron, states[name])
            fired = Spike.apply(states[name]["v"] - 1)
            states[name]["v"] = torch.where(fired.detach() > 0, torch.zeros_like(fired), states[name]["v"])
            spikes[name].append(fired)
        if spec.timing == "brian2":
            for name in ("a", "b"):
                deliver(name, t)
        y = np.exp(-1 / 5) * y + spikes["b"][t] @ weights["to_out"].T
        found.append(y)
    return torch.stack(found), {n: torch.stack(s).transpose(0, 1).detach().numpy() for n, s in spikes.items()}


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
@pytest.mark.parametrize("neuron", [CURRENTS, CONDUCTANCES], ids=["currents", "conductances"])
def test_engines_equal_a_plain_loop(neuron: bl.Neuron, timing: str) -> None:
    spec = spec_of(neuron, timing)
    x, labels = samples(1)
    target = torch.nn.functional.one_hot(torch.tensor(labels), CLASSES)
    for engine in (
        bl.Brian(device="numpy"),
        bl.Discrete(),
        bl.Discrete(kernels=False),
        bl.Discrete(checkpoint_steps=5),
    ):
        back = isinstance(engine, bl.Discrete)
        rule = bl.SurrogateBPTT() if back else bl.TFR()
        learner = bl.Learner(spec, rule, bl.SGD(0.5), dtype="float64", batch_size=N, engine=engine)
        before = learner.init()
        tensors = {name: torch.tensor(w, requires_grad=True) for name, w in before.weights.items()}
        readout, spikes = plain_loop(spec, neuron, tensors, x)
        found = learner.infer(before, bl.Samples(x, labels), record=("spikes",))
        for name, raster in found.spikes.items():
            assert spikes[name].any(), f"{name} is silent in this test"
            np.testing.assert_array_equal(raster.dense().reshape(N, T, -1), spikes[name], err_msg=name)
        if not back:
            continue
        after, _ = learner.learn(before, bl.Samples(x, labels))
        names = [p.name for p in spec.projections]
        gradients = torch.autograd.grad(((readout - target) ** 2).mean(), [tensors[n] for n in names])
        for name, g in zip(names, gradients, strict=True):
            assert np.abs(g.numpy()).max() > 1e-6, f"{name} does not learn in this test"
            change = (before.weights[name] - after.weights[name]) / 0.5
            np.testing.assert_allclose(change, g.numpy(), rtol=0, atol=1e-10, err_msg=name)


RULES = {
    "dalton": bl.DALTON(),
    "tfr-trace": bl.TFR(eligibility="trace"),
    "step": bl.DALTON(update="step"),
    "eprop": bl.EProp(),
}


def learned(spec: bl.NetworkSpec, rule: Any, **engine: Any) -> tuple[Any, Any]:
    x, labels = samples(2)
    size = 1 if getattr(rule, "update", "batch") == "step" else N
    learner = bl.Learner(spec, rule, bl.SGD(0.1), dtype="float64", batch_size=size, **engine)
    state = learner.init()
    spikes = learner.infer(state, bl.Samples(x, labels), record=("spikes",)).spikes
    return {name: raster.dense() for name, raster in spikes.items()}, learner.learn(state, bl.Samples(x, labels))[0]


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
@pytest.mark.parametrize("rule", RULES)
def test_local_rules_learn_the_same_on_both_engines(rule: str, timing: str) -> None:
    spec = spec_of(CURRENTS, timing)
    found = [learned(spec, RULES[rule], engine=e) for e in (bl.Brian(device="numpy"), bl.Discrete())]
    for name, w in found[0][1].weights.items():
        np.testing.assert_allclose(found[1][1].weights[name], w, rtol=0, atol=1e-11, err_msg=name)


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
@pytest.mark.parametrize("kernels", [True, False])
def test_deliveries_to_what_is_frozen_and_reset(timing: str, kernels: bool) -> None:
    spec = spec_of(FROZEN, timing, ("x", "v", "z"))
    weights = bl.Learner(spec, engine="discrete", device="cpu").init().weights
    assert verify(spec, weights, bl.Samples(*samples(3)), device="numpy").agrees
    if not kernels:
        return
    x, _ = samples(3)
    found = []
    for fused in (True, False):
        module = bl.export(spec, dtype=torch.float64, kernels=fused, reset_path="kept")
        activity = module(x, record=("membranes", "synaptic_input"))
        names = [p.name for p in spec.projections]
        gradients = torch.autograd.grad((activity.logits**2).sum(), [module.get_parameter(n) for n in names])
        found.append((activity.synaptic_input, gradients))
    for name, sums in found[0][0].items():
        assert sums.shape[:3] == (T, 3, N)
        torch.testing.assert_close(sums, found[1][0][name], rtol=0, atol=1e-12)
    for a, b in zip(found[0][1], found[1][1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-11)


def test_units_files_and_plain_brian2() -> None:
    """Conductances with units: both engines, plain objects, and what a file gives back."""
    neuron = bl.Neuron(
        """dv/dt = (-70*mV - v + (g_e*(0*mV - v) + g_i*(-80*mV - v))/(10*nS))/tau : volt
        dg_e/dt = -g_e/tau_e : siemens
        dg_i/dt = -g_i/tau_i : siemens""",
        threshold="v > -50*mV",
        reset="v = -60*mV",
        input=("g_e", "g_i"),
        constants=TIMES,
        method="exponential_euler",
        v_scale=10 * mV,
        weight_unit=dict(g_e=6 * nS, g_i=67 * nS),
        initial=dict(v=-60 * mV),
    )
    spec = spec_of(neuron, "brian2", ("g_e", "g_i"))
    spec = bl.NetworkSpec(
        populations=[*spec.populations[:-1], bl.Population("c", 3, neuron)],
        projections=[*(p for p in spec.projections if not p.is_bias), bl.Projection("b_c", "b", "c", variable="g_e")],
        duration=T * ms,
        timing="brian2",
    )
    again = from_dict(to_dict(spec))
    assert again.projections[1].variable == "g_i"
    assert again.projections[0].layer.neuron.inputs == ("g_e", "g_i")
    data = bl.Samples(samples(4)[0])
    learner = bl.Learner(again, engine=bl.Brian(device="numpy"), dtype="float64")
    weights = {name: np.abs(w) for name, w in learner.init().weights.items()}
    spikes = learner.infer(learner.init(weights), data, record=("spikes",)).spikes
    other = bl.Learner(spec, engine="discrete", device="cpu", dtype="float64")
    for name, raster in other.infer(other.init(weights), data, record=("spikes",)).spikes.items():
        np.testing.assert_array_equal(raster.dense(), spikes[name].dense(), err_msg=name)
        assert name == "c" or len(raster.trial), f"{name} is silent in this test"
    plain = bl.to_brian2(spec, weights, data[:1])
    assert "g_i_post += " in str(plain["synapses_in_b"].pre.code)


BAD = {
    "none": (SpecError, lambda: bl.LIF(input=()), "input is not text"),
    "number": (SpecError, lambda: bl.LIF(input=("v", 3)), "input is not text"),
    "twice": (SpecError, lambda: bl.LIF(input=("v", "v")), "named twice"),
    "unknown": (EquationError, lambda: bl.CubaLIF(input=("I", "w")), "'w'"),
    "unit": (SpecError, lambda: bl.CubaLIF(input=("I", "v"), weight_unit=dict(I=1.0)), "does not name"),
    "wrong unit": (
        UnitError,
        lambda: bl.CubaLIF(input=("I", "v"), weight_unit=dict(I=1.0, v=1 * mV)),
        "input variable 'v'",
    ),
    "variable": (SpecError, lambda: spec_of(CURRENTS, variables=("x", "w")), "no such input variable"),
    "only one": (SpecError, lambda: spec_of(bl.CubaLIF(), variables=("I", "v")), "no such input variable"),
    "no name": (SpecError, lambda: bl.Projection("p", "a", "b", variable=1), "variable is no name"),
    "readout": (
        SpecError,
        lambda: bl.NetworkSpec(
            populations=[bl.Population("i", 2, bl.Spikes()), bl.Population("o", 2, bl.LinearReadout())],
            projections=[bl.Projection("p", "i", "o", variable="y")],
            duration=5 * ms,
        ),
        "no such input variable",
    ),
    "pipelined": (
        SpecError,
        lambda: bl.NetworkSpec(
            bl.Input((4,)), [bl.Dense(3, CURRENTS)], bl.Readout(2), duration=5 * ms, timing="pipelined"
        ),
        "one input variable",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_what_is_wrong_is_named(what: str) -> None:
    error, make, text = BAD[what]
    with pytest.raises(error, match=text):
        make()


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("timing", ["same_step", "brian2"])
@pytest.mark.parametrize("device", ["cython", "cpp_standalone"])
def test_compiled_devices_learn_the_same(device: str, timing: str) -> None:
    for neuron, variables in ((CURRENTS, ("x", "y")), (FROZEN, ("x", "v", "z"))):
        spec = spec_of(neuron, timing, variables)
        fired, state = learned(spec, bl.DALTON(), engine=bl.Brian(device=device))
        expected, other = learned(spec, bl.DALTON(), engine=bl.Discrete())
        for name, spikes in fired.items():
            np.testing.assert_array_equal(spikes, expected[name], err_msg=name)
        for name, w in state.weights.items():
            np.testing.assert_allclose(other.weights[name], w, rtol=0, atol=1e-10, err_msg=name)
