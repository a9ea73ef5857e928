"""Learned constants: gradients against central differences of a smooth network and against autograd of a plain loop."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import SpikeMonitor, ms, mV, prefs, second
from smooth_reference import DT, SLOPE, Model, explicit, linear, run

import brianlearn as bl
from brianlearn.learning import initial_weights
from brianlearn.study.folder import StudyFolder
from brianlearn.training import Progress

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

from brianlearn.discrete import export  # noqa: E402

SIZES, INPUTS, STEPS = {"a": 5, "b": 4}, 6, 14
SURROGATE = bl.FastSigmoid(slope=SLOPE)

CURRENT = bl.Neuron(
    """dv/dt = (R*I + E - v)/tau_m : 1
    dI/dt = -I/tau_s : 1""",
    threshold="v > v_th",
    reset="v = v_r",
    input="I",
    constants=dict(tau_m=10 * ms, tau_s=5 * ms, R=3.0, E=0.1, v_th=0.9, v_r=-0.1),
    surrogate=SURROGATE,
)
ADAPTIVE = bl.Neuron(
    """dv/dt = (I - v - b*w)/tau : 1
    dI/dt = -I/(0.5*tau) : 1
    dw/dt = -w/tau_w : 1""",
    threshold="v > v_th + beta*w",
    reset="v -= v_th; I = q*I; w += jump",
    input="I",
    constants=dict(tau=8 * ms, tau_w=30 * ms, b=0.3, beta=0.2, v_th=0.3, q=0.5, jump=0.4),
    surrogate=SURROGATE,
)
WAITING = bl.Neuron(
    """dv/dt = (R*I - v)/tau_m : 1 (unless refractory)
    dI/dt = -I/tau_s : 1""",
    threshold="v > v_th",
    reset="v = 0",
    input="I",
    constants=dict(tau_m=10 * ms, tau_s=5 * ms, R=4.0, v_th=0.6),
    refractory=3 * ms,
    surrogate=SURROGATE,
)
EXPONENTIAL = """dv/dt = (-v + D*exp((v - v_T)/D) + I)/tau_m : 1
    dI/dt = -I/tau_s : 1"""
UPSWING = dict(D=0.3, v_T=0.7, tau_m=10 * ms, tau_s=5 * ms, v_c=1.1, v_r=0.05)
CONDUCTANCE = bl.Neuron(
    """dv/dt = (g*(E - v) - v)/tau_m : 1
    dg/dt = -g/tau_s : 1""",
    threshold="v > v_th",
    reset="v = v_r",
    input="g",
    constants=dict(E=3.0, tau_m=10 * ms, tau_s=5 * ms, v_th=0.8, v_r=0.1),
    method="exponential_euler",
    surrogate=SURROGATE,
)
VOLTS = bl.Neuron(
    """dv/dt = (E_L - v + I)/tau_m : volt
    dI/dt = -I/tau_s : volt""",
    threshold="v > v_th",
    reset="v = v_r",
    input="I",
    constants=dict(E_L=-70 * mV, tau_m=10 * ms, tau_s=5 * ms, v_th=-60 * mV, v_r=-68 * mV),
    initial=dict(v=-70 * mV),
    v_scale=10 * mV,
    weight_unit=40 * mV,
    surrogate=SURROGATE,
)


def upswing(method: str) -> bl.Neuron:
    return bl.Neuron(EXPONENTIAL, "v > v_c", "v = v_r", "I", UPSWING, method=method, surrogate=SURROGATE)


def _upswing_slope(state: Any, c: Any) -> Any:
    v, i = state["v"], state["I"]
    return {"v": (-v + c["D"] * np.exp((v - c["v_T"]) / c["D"]) + i) / c["tau_m"], "I": -i / c["tau_s"]}


def _conductance(state: Any, c: Any, ready: Any) -> Any:
    """dv/dt = A v + B with g held: v <- (v + B/A) exp(A dt) - B/A."""
    a, b = -(1 + state["g"]) / c["tau_m"], state["g"] * c["E"] / c["tau_m"]
    return {"v": (state["v"] + b / a) * np.exp(a * DT) - b / a, "g": state["g"] * np.exp(-DT / c["tau_s"])}


def _over(name: str) -> Any:
    return lambda state, c: state["v"] - c[name]


def _to(name: str) -> Any:
    return lambda state, c: {"v": c[name] + 0 * state["v"]}


#: Name -> neuron, the same written by hand, and what learns.
MODELS: dict[str, tuple[bl.Neuron, Model, tuple[str, ...]]] = {
    "current": (
        CURRENT,
        Model(
            linear(
                lambda c: [[-1 / c["tau_m"], c["R"] / c["tau_m"], c["E"] / c["tau_m"]], [0, -1 / c["tau_s"], 0]],
                ("v", "I"),
            ),
            _over("v_th"),
            _to("v_r"),
            ("v", "I"),
            "I",
        ),
        ("tau_m", "tau_s", "R", "E", "v_th", "v_r"),
    ),
    "adaptive": (
        ADAPTIVE,
        Model(
            linear(
                lambda c: [
                    [-1 / c["tau"], 1 / c["tau"], -c["b"] / c["tau"], 0],
                    [0, -1 / (0.5 * c["tau"]), 0, 0],
                    [0, 0, -1 / c["tau_w"], 0],
                ],
                ("v", "I", "w"),
            ),
            lambda state, c: state["v"] - (c["v_th"] + c["beta"] * state["w"]),
            lambda state, c: {"v": state["v"] - c["v_th"], "I": c["q"] * state["I"], "w": state["w"] + c["jump"]},
            ("v", "I", "w"),
            "I",
        ),
        ("tau", "tau_w", "b", "beta", "v_th", "q", "jump"),
    ),
    "waiting": (
        WAITING,
        Model(
            linear(lambda c: [[-1 / c["tau_m"], c["R"] / c["tau_m"], 0], [0, -1 / c["tau_s"], 0]], ("v", "I"), "v"),
            _over("v_th"),
            lambda state, c: {"v": 0 * state["v"]},
            ("v", "I"),
            "I",
            refractory=3,
        ),
        ("tau_m", "tau_s", "R", "v_th"),
    ),
    **{
        method: (
            upswing(method),
            Model(explicit(_upswing_slope, method), _over("v_c"), _to("v_r"), ("v", "I"), "I"),
            ("D", "v_T", "tau_m", "tau_s", "v_c", "v_r"),
        )
        for method in ("euler", "rk2", "rk4")
    },
    "exponential_euler": (
        CONDUCTANCE,
        Model(_conductance, _over("v_th"), _to("v_r"), ("v", "g"), "g"),
        ("E", "tau_m", "tau_s", "v_th", "v_r"),
    ),
}

#: Size of weights, so that neurons fire, and not in every step.
STRENGTH = dict.fromkeys(("rk2", "rk4", "euler"), 0.7)


def network(neuron: bl.Neuron, *, timing: str, cycle: bool, encoder: Any = None) -> bl.NetworkSpec:
    populations = [
        bl.Population("in", (INPUTS,), encoder or bl.Spikes()),
        *(bl.Population(n, k, neuron) for n, k in SIZES.items()),
    ]
    projections = [
        bl.Projection("a", "in", "a"),
        bl.Projection("b", "a", "b"),
        bl.Projection("readout", "b", "out"),
        *([bl.Projection("back", "b", "a", delay=1 * ms)] if cycle else []),
    ]
    populations.append(bl.Population("out", 2, bl.LinearReadout()))
    return bl.NetworkSpec(populations=populations, projections=projections, duration=STEPS * ms, timing=timing)


def learning(neuron: bl.Neuron, names: tuple[str, ...], per: str) -> bl.Neuron:
    return dataclasses.replace(neuron, learn=tuple(bl.Learned(name, per=per) for name in names))


def setting(name: str, timing: str, cycle: bool, per: str) -> tuple[Any, ...]:
    """A network, its weights and its input; constants differ from population to population, or neuron to neuron."""
    neuron, model, names = MODELS[name]
    spec = network(learning(neuron, names, per), timing=timing, cycle=cycle)
    rng = np.random.default_rng(5)
    weights = {
        key: np.abs(rng.normal(size=w.shape)) * STRENGTH.get(name, 0.35)
        if "." not in key
        else w * rng.uniform(0.9, 1.1, w.shape)
        for key, w in initial_weights(spec).items()
    }
    weights["readout"] = rng.normal(size=weights["readout"].shape)
    spikes = (rng.random((STEPS, INPUTS)) < 0.5).astype(float)
    return spec, model, weights, spikes


def total(readout: Any) -> Any:
    """A smooth function of a readout (T, classes)."""
    steps = readout.shape[0]
    each = np.linspace(0.5, 1.5, steps)[:, None] * np.array([1.0, -0.7])
    each = each if isinstance(readout, np.ndarray) else torch.as_tensor(each)
    return (each * readout + 0.3 * readout * readout).sum()


def gradients(spec: Any, weights: Any, spikes: Any, *, kernels: bool, reset_path: str) -> tuple[Any, Any]:
    module = export(spec, weights, kernels=kernels, reset_path=reset_path, dtype=torch.float64)
    activity = module(torch.as_tensor(spikes)[:, None])
    total(activity.readout[:, 0]).backward()
    return {name: p.grad.numpy() for name, p in module.named_parameters()}, activity


def by_differences(spec: Any, model: Model, weights: Any, spikes: Any, *, timing: str, kept: bool) -> Any:
    """Central differences of the smooth network, for each number of each learned constant; and its real spikes."""

    def constants(numbers: Any) -> Any:
        found: dict[str, dict[str, Any]] = {p: {} for p in SIZES}
        for one in spec.learned_constants:
            found[one.population][one.name] = one.value(numbers[one.key])
        return found

    options = dict(timing=timing, kept=kept)
    _, base = run(model, constants(weights), weights, spikes, **options)
    result, h = {}, 1e-5
    for one in spec.learned_constants:
        slopes = np.zeros(one.shape)
        for k in range(one.shape[0]):
            ends = []
            for side in (1, -1):
                moved = weights[one.key].copy()
                moved[k] += side * h
                readout, _ = run(model, constants({**weights, one.key: moved}), weights, spikes, base=base, **options)
                ends.append(total(readout))
            slopes[k] = (ends[0] - ends[1]) / (2 * h)
        result[one.key] = slopes
    return result, base


def check(name: str, timing: str, cycle: bool, per: str, reset_path: str) -> None:
    spec, model, weights, spikes = setting(name, timing, cycle, per)
    expected, base = by_differences(spec, model, weights, spikes, timing=timing, kept=reset_path == "kept")
    for kernels in (True, False):
        found, activity = gradients(spec, weights, spikes, kernels=kernels, reset_path=reset_path)
        for p in SIZES:
            fired = np.array([base[p, t][0] for t in range(STEPS)])
            assert np.array_equal(activity.spikes[p][:, 0].detach().numpy(), fired)
            assert 0.02 < fired.mean() < 0.9, (p, fired.mean())
        for key, slopes in expected.items():
            largest = np.abs(slopes).max()
            assert largest > 1e-6, key
            assert np.abs(found[key] - slopes).max() < 1e-6 * largest, (key, kernels, found[key], slopes)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_equal_central_differences(name: str) -> None:
    check(name, "same_step", False, "neuron", "kept")


@pytest.mark.slow
@pytest.mark.parametrize("reset_path", ["kept", "detached"])
@pytest.mark.parametrize("per", ["population", "neuron"])
@pytest.mark.parametrize("cycle", [False, True], ids=["chain", "cycle"])
@pytest.mark.parametrize("timing", ["same_step", "brian2"])
@pytest.mark.parametrize("name", MODELS)
def test_gradients_of_all_kinds_equal_central_differences(
    name: str, timing: str, cycle: bool, per: str, reset_path: str
) -> None:
    check(name, timing, cycle, per, reset_path)


def test_gradients_equal_autograd_of_a_plain_loop() -> None:
    """v[t] = b v' + k I, I[t] = a I + x, with a, b, k written as functions of the time constants."""
    spec, _, weights, spikes = setting("current", "same_step", True, "neuron")
    w = {name: torch.tensor(array) for name, array in weights.items()}
    numbers = {one.key: w[one.key].clone().requires_grad_() for one in spec.learned_constants}
    c = {one.key: numbers[one.key] * one.unit for one in spec.learned_constants}
    state = {p: (torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)) for p, n in SIZES.items()}
    late, readout = torch.zeros(SIZES["b"], dtype=torch.float64), []
    for given in torch.as_tensor(spikes):
        sent = given
        for p in SIZES:
            tau_m, tau_s, R, E, v_th, v_r = (c[f"{p}.{name}"] for name in ("tau_m", "tau_s", "R", "E", "v_th", "v_r"))
            v, i = state[p]
            a, b = torch.exp(-DT / tau_s), torch.exp(-DT / tau_m)
            i = i + w[p] @ sent + (w["back"] @ late if p == "a" else 0)
            v = b * v + R * tau_s / (tau_s - tau_m) * (a - b) * i + (1 - b) * E
            x = v - v_th
            smooth = x / (1 + SLOPE * x.abs())
            s = (x > 0).double() + smooth - smooth.detach()
            state[p] = (1 - s) * v + s * v_r, a * i
            sent = s
        late = sent
        readout.append(w["readout"] @ sent)
    total(torch.stack(readout)).backward()
    found, _ = gradients(spec, weights, spikes, kernels=True, reset_path="kept")
    for key, number in numbers.items():
        assert number.grad is not None
        expected = number.grad.numpy()
        assert np.abs(found[key] - expected).max() < 1e-10 * np.abs(expected).max(), key


def test_kernels_equal_plain_torch_in_a_convolution() -> None:
    """Other orders in memory; values per neuron that differ from the start; noise of a learned size."""
    tau = np.linspace(5, 20, 4 * 4 * 3).reshape(4, 4, 3) * ms
    field = bl.CubaLIF(tau_m=tau, R=12.0, learn=(bl.Learned("tau_m", per="neuron"), "R", bl.Learned("tau_s", "neuron")))
    noisy = bl.Neuron(
        "dv/dt = (I - v)/tau + sigma*xi*tau**-0.5 : 1\ndI/dt = -I/tau : 1",
        "v > 1",
        "v = 0",
        "I",
        dict(tau=8 * ms, sigma=0.2),
        learn=("sigma", bl.Learned("tau", per="neuron")),
    )
    layers = [
        bl.Conv(4, 3, field, padding=1, pool=2, weights=bl.Normal(3.0)),
        bl.Dense(6, noisy, weights=bl.Normal(9.0)),
    ]
    spec = bl.NetworkSpec(bl.Input((2, 9, 7), bl.Spikes()), layers, bl.Readout(4), duration=12 * ms)
    x = (torch.rand((12, 3, 2, 9, 7), generator=torch.Generator().manual_seed(2)) < 0.4).double()
    keys = bl.LearnerState({}).sample_keys(np.arange(3), learning=True)
    grads = []
    for kernels in (True, False):
        module = export(spec, kernels=kernels, dtype=torch.float64, seed=3, reset_path="kept")
        (module(x, keys=keys).logits ** 2).sum().backward()
        grads.append({n: p.grad for n, p in module.named_parameters()})
    assert {"conv1.tau_m", "conv1.R", "conv1.tau_s", "dense1.sigma", "dense1.tau"} <= set(grads[0])
    for name, expected in grads[1].items():
        assert expected is not None and grads[0][name] is not None and expected.abs().max() > 0
        assert (grads[0][name] - expected).abs().max() < 1e-10 * expected.abs().max(), name


@pytest.mark.parametrize("cycle", [False, True], ids=["chain", "cycle"])
def test_gradients_of_long_trials_in_parts_are_the_same(cycle: bool) -> None:
    _, _, weights, _ = setting("current", "same_step", cycle, "neuron")
    neuron = learning(CURRENT, MODELS["current"][2], "neuron")
    spec = network(neuron, timing="same_step", cycle=cycle, encoder=bl.IntegrateAndFireEncoder())
    samples = bl.Samples(np.random.default_rng(2).random((2, INPUTS)), [0, 1])
    results = []
    for steps in (None, 4):
        engine = bl.Discrete(device="cpu", checkpoint_steps=steps)
        learner = bl.Learner(spec, bl.SurrogateBPTT(), bl.SGD(0.05), engine=engine, dtype="float64", batch_size=2)
        state, _ = learner.learn(learner.init(weights), samples)
        results.append(state.weights)
    for name, expected in results[0].items():
        assert np.abs(expected - weights[name]).max() > 0
        np.testing.assert_allclose(results[1][name], expected, rtol=0, atol=1e-12)


# both engines --------------------------------------------------------------------------------------------------------

DRAWN = {"initial": "uniform", "per": "neuron"}
DEVICE_NETWORKS = {
    "exact": bl.CubaLIF(
        R=4.0,
        learn=(
            bl.Learned("tau_m", bounds=(5 * ms, 50 * ms), **DRAWN),  # type: ignore[arg-type]
            bl.Learned("R", bounds=(3, 8), initial="uniform"),
            bl.Learned("tau_s", bounds=(2 * ms, 10 * ms), initial="log-uniform"),
        ),
    ),
    "with units": bl.Neuron(
        VOLTS.equations,
        "v > v_th",
        "v = v_r",
        "I",
        VOLTS.constants,
        initial=VOLTS.initial,
        v_scale=10 * mV,
        weight_unit=40 * mV,
        learn=(
            bl.Learned("v_th", bounds=(-62 * mV, -58 * mV), **DRAWN),  # type: ignore[arg-type]
            bl.Learned("v_r", bounds=(-72 * mV, -66 * mV), initial="uniform"),
            bl.Learned("E_L", bounds=(-71 * mV, -65 * mV), **DRAWN),  # type: ignore[arg-type]
        ),
    ),
    "euler": bl.Neuron(
        EXPONENTIAL,
        "v > v_c",
        "v = v_r",
        "I",
        UPSWING,
        method="euler",
        weight_unit=3.0,
        learn=(bl.Learned("D", bounds=(0.2, 0.5), **DRAWN), bl.Learned("v_r", bounds=(-0.3, 0.3), initial="uniform")),  # type: ignore[arg-type]
    ),
}


def on_devices(neuron: bl.Neuron) -> tuple[bl.NetworkSpec, bl.Samples]:
    layers = [bl.Dense(10, neuron), bl.Dense(8, neuron)]
    spec = bl.NetworkSpec(bl.Input((6,)), layers, bl.Readout(2), duration=30 * ms)
    return spec, bl.Samples(np.random.default_rng(1).random((3, 6)), [0, 1, 0])


@pytest.mark.parametrize("name", DEVICE_NETWORKS)
def test_both_engines_fire_the_same_spikes(name: str) -> None:
    from brianlearn.training.verify import verify

    spec, samples = on_devices(DEVICE_NETWORKS[name])
    found = verify(spec, initial_weights(spec, seed=7), samples, device="numpy")
    fixed = verify(spec, initial_weights(spec, seed=8), samples, device="numpy")
    assert found.agrees and fixed.agrees and found.spikes != fixed.spikes


@pytest.mark.cpp_standalone
def test_one_program_runs_all_values() -> None:
    """Learned values, shared and per neuron, go into one program with each run."""
    spec, samples = on_devices(DEVICE_NETWORKS["exact"])
    learner = bl.Learner(spec, engine="brian", device="cpp_standalone", dtype="float64")
    counts = []
    for seed in (7, 8):
        weights = initial_weights(spec, seed=seed)
        module, state = export(spec, weights, dtype=torch.float64), learner.init(weights)
        ours = learner.infer(state, samples, record=("spikes",)).spikes
        with torch.no_grad():
            theirs = module(samples.inputs, keys=state.sample_keys(samples.ids, learning=False)).spikes
        for layer in ("dense1", "dense2"):
            dense = ours[layer].dense().reshape(3, 30, -1)
            assert np.array_equal(dense, (theirs[layer] != 0).transpose(0, 1).numpy()) and dense.any()
        counts.append(sum(len(raster) for raster in ours.values()))
    assert counts[0] != counts[1]


def test_the_network_with_learned_values_fires_the_same_spikes(monkeypatch: pytest.MonkeyPatch) -> None:
    """`with_learned_constants`, and plain Brian2 objects."""
    spec, samples = on_devices(DEVICE_NETWORKS["exact"])
    weights = initial_weights(spec, seed=7)
    fixed = spec.with_learned_constants(weights)
    assert not fixed.learned_constants and spec.learned_constants
    spikes = []
    for network in (spec, fixed):
        learner = bl.Learner(network, engine="brian", device="numpy", dtype="float64")
        own = {name: w for name, w in weights.items() if network is spec or "." not in name}
        spikes.append(learner.infer(learner.init(own), samples[:1], record=("spikes",)).spikes)
    for layer in ("dense1", "dense2"):
        assert np.array_equal(spikes[0][layer].dense(), spikes[1][layer].dense()) and len(spikes[0][layer])
    monkeypatch.setitem(prefs, "codegen.target", "numpy")
    plain = bl.to_brian2(spec, weights, samples[:1])
    monitors = {name: SpikeMonitor(plain[name]) for name in ("dense1", "dense2")}
    plain.add(*monitors.values())
    plain.run(spec.duration)
    for name, monitor in monitors.items():
        raster = np.zeros((spec.n_steps, plain[name].N), bool)
        raster[np.round(np.asarray(monitor.t / spec.dt)).astype(int), np.asarray(monitor.i)] = True
        assert np.array_equal(raster, spikes[0][name].dense().reshape(raster.shape))


# learning ------------------------------------------------------------------------------------------------------------


def experiment(**changes: Any) -> bl.Experiment:
    tau = bl.Learned("tau_m", per="neuron", bounds=(5 * ms, 40 * ms))
    layers = [bl.Dense(6, bl.CubaLIF(tau_m=10 * ms, R=6.0, learn=(tau, "tau_s")), name="hidden")]
    spec = bl.NetworkSpec(bl.Input((4,), bl.PoissonEncoder()), layers, bl.Readout(2), duration=12 * ms)
    values = np.random.default_rng(1).random((16, 4))
    labels = (values[:, 0] > values[:, 1]).astype(int)
    data = bl.Samples(values[:12], labels[:12]), bl.Samples(values[12:], labels[12:])
    options: dict[str, Any] = dict(data=data, epochs=2, batch_size=2, chunk_size=4, validation=2, engine="discrete")
    return bl.Experiment(spec, bl.SurrogateBPTT(), bl.Adam(0.05), **(options | changes))


def of_one_epoch() -> bl.Experiment:
    return experiment(epochs=1)


class _Stop(Progress):
    """Ends the run after some chunks."""

    chunks = 3

    def learned(self, done: int, running: Any) -> None:
        self.chunks -= 1
        if self.chunks == 0:
            raise RuntimeError("cut off")


def test_a_run_learns_them_and_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole = experiment(runs=tmp_path / "whole").run(progress=False)
    start = initial_weights(experiment().spec)
    for key in ("hidden.tau_m", "hidden.tau_s"):
        assert np.abs(whole.weights[key] - start[key]).max() > 1e-3
    with pytest.raises(RuntimeError, match="cut off"):
        experiment(runs=tmp_path / "cut").run(progress=_Stop())
    (folder,) = (tmp_path / "cut").iterdir()
    again = experiment().run(resume=folder, progress=False)
    assert (again.run / "weights.npz").read_bytes() == (whole.run / "weights.npz").read_bytes()
    spec = bl.Experiment.from_run(whole.run, data=experiment().data).spec
    values = spec.values_of_constants(whole.weights)
    assert values["hidden.tau_m"].dim is second.dim and values["hidden.tau_m"].shape == (6,)
    assert "learns tau_m per neuron, tau_s" in spec.describe() and "7 learned constants" in spec.describe()
    learner = bl.Learner(spec, engine="brian", device="numpy", dtype="float32")
    activity = learner.infer(learner.init(whole.weights), experiment().data[1])
    assert float(np.mean(activity.predictions == experiment().data[1].labels)) == whole.test_accuracy


def test_bounds_and_signs_are_kept() -> None:
    neuron = bl.CubaLIF(
        tau_m=10 * ms,
        R=6.0,
        learn=(bl.Learned("tau_m", "neuron", (9 * ms, 11 * ms)), "tau_s", bl.Learned("R", bounds=(5, None))),
    )
    spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(6, neuron)], bl.Readout(2), duration=12 * ms)
    samples = bl.Samples(np.random.default_rng(1).random((8, 4)), [0, 1] * 4)
    learner = bl.Learner(spec, bl.SurrogateBPTT(), bl.Adam(5.0), engine="discrete", dtype="float64", batch_size=4)
    state, touched = learner.init(), set()
    for _ in range(5):
        state, _ = learner.learn(state, samples)
        values = spec.values_of_constants(state.weights)
        tau_m, tau_s, R = (values[f"dense1.{name}"] for name in ("tau_m", "tau_s", "R"))
        assert np.all(tau_m >= (9 - 1e-9) * ms) and np.all(tau_m <= (11 + 1e-9) * ms)
        assert tau_s >= (1 - 1e-9) * ms  # without bounds: one time step
        assert R >= 5 - 1e-9
        touched |= {float(round(float(t / ms), 6)) for t in tau_m}
    assert touched <= {9.0, 11.0, 10.0} and len(touched) > 1


def test_learning_rate_scale_holds_one_still() -> None:
    rule = bl.SurrogateBPTT(learning_rate_scale={"hidden.tau_m": 0.0, "hidden.tau_s": 3.0})
    spec = experiment().spec
    learner = bl.Learner(spec, rule, bl.SGD(0.5), engine="discrete", dtype="float64", batch_size=4)
    samples = bl.Samples(np.random.default_rng(1).random((8, 4)), [0, 1] * 4)
    start = learner.init()
    state, _ = learner.learn(start, samples)
    assert np.array_equal(state.weights["hidden.tau_m"], start.weights["hidden.tau_m"])
    assert not np.array_equal(state.weights["hidden.tau_s"], start.weights["hidden.tau_s"])


@pytest.mark.slow
def test_a_study_over_them(tmp_path: Path) -> None:
    """What learns, and what it begins with, as axes."""
    from brianlearn.study import with_parameters

    one = with_parameters(experiment(), {"hidden.neuron.learn": "tau_m, R", "hidden.neuron.tau_m": 8 * ms})
    assert [(c.key, c.unit) for c in one.spec.learned_constants] == [("hidden.tau_m", 0.008), ("hidden.R", 6.0)]
    assert not with_parameters(experiment(), {"hidden.neuron.learn": ""}).spec.learned_constants
    study = bl.Study(of_one_epoch, {"hidden.neuron.learn": ["", "tau_m, tau_s"]}, keep="weights")
    study.run(folder=tmp_path / "study", workers=1, progress=False)
    names = []
    for k in (0, 1):
        run = StudyFolder.open(study.folder).trial(k).run_folder()
        assert run is not None
        names.append(set(np.load(run / "weights.npz").files))
    assert names[1] - names[0] == {"hidden.tau_m", "hidden.tau_s"}


@pytest.mark.slow
def test_studies_of_a_run_change_what_was_learned(tmp_path: Path) -> None:
    """A kind of study that changes constants starts from the learned ones, and is not overruled by them."""
    from brianlearn.study.kinds.heterogeneity import with_spread
    from brianlearn.study.kinds.tested import subject_of, tested

    scale = bl.SurrogateBPTT(learning_rate_scale={"hidden.tau_m": 5.0})
    layers = [bl.Dense(6, bl.CubaLIF(tau_m=10 * ms, R=40.0, learn=("tau_m", "tau_s")), name="hidden")]
    spec = bl.NetworkSpec(bl.Input((1, 8, 8)), layers, bl.Readout(10), duration=12 * ms)
    run = bl.Experiment(
        spec, scale, bl.Adam(0.01), "digits", epochs=1, limit=40, test_limit=20, engine="discrete", runs=tmp_path
    ).run(progress=False)
    network = tested(subject_of(run.run, None, None, None)[0])
    assert not network.spec.learned_constants and set(network.weights) == {"hidden", "readout"}
    (tau,) = {float(part.neuron.constants["tau_m"]) for part in network.spec.parts.values()}
    assert tau == float(spec.values_of_constants(run.weights)["hidden.tau_m"]) != 0.01
    assert network.measure()["test_accuracy"] == run.test_accuracy
    other = with_spread(network.spec, "tau_m", 0.9, "lognormal", 0)
    assert network.measure(spec=other)["firing_rate"] != network.measure()["firing_rate"]


def test_what_is_not_learned_is_as_it_was() -> None:
    """Neurons that learn no constant have the kernels that they had, and their networks the weights."""
    from brianlearn.discrete.step.kernels import Kernels
    from brianlearn.discrete.step.program import neuron_program

    plain, learned = (
        network(neuron, timing="same_step", cycle=False) for neuron in (CURRENT, learning(CURRENT, ("E",), "neuron"))
    )
    programs = [neuron_program(spec.projections[0], DT) for spec in (plain, learned)]
    assert not programs[0].derived and programs[1].derived
    sources = [Kernels(p, "float64", reset_kept=True, membrane=False).source() for p in programs]
    assert "_sum_n__" not in sources[0] and "_sum_n__" in sources[1]
    assert set(initial_weights(plain)) == {"a", "b", "readout"}
    a, b = initial_weights(plain), initial_weights(learned)
    assert all(np.array_equal(a[name], b[name]) for name in a)


# refusals ------------------------------------------------------------------------------------------------------------

WHOLE = """dv/dt = (I*int(tau/ms) - v)/tau_m : 1
    dI/dt = -I/tau_m : 1"""
FLAT = """dv/dt = (I*int(v > v_cut) - v)/tau_m : 1
    dI/dt = -I/tau_m : 1"""
SHARED = """dv/dt = -v/tau_m : 1
    tau_m : second (shared, constant)"""
ZERO = "dv/dt = (E - v)/tau_m + k : volt"


def of(text: str, threshold: str = "v > 1", **constants: Any) -> Any:
    reset = "v = E" if "E" in constants else "v = 0"
    more = dict(v_scale=10 * mV, weight_unit=1 * mV) if "volt" in text else {}
    return lambda learn: bl.Neuron(text, threshold, reset, "v", constants, learn=learn, **more)


@pytest.mark.parametrize(
    ("make", "learn", "text"),
    [
        (bl.CubaLIF, ("tau_q",), "learn names no constant: 'tau_q'.*did you mean"),
        (bl.CubaLIF, ("v",), "learn names no constant: 'v'.*the equations compute"),
        (bl.CubaLIF, ("refractory",), "counted in whole steps"),
        (bl.CubaLIF, ("weight_unit",), "an option of the neuron"),
        (bl.CubaLIF, 3, "learn is wrong"),
        (bl.CubaLIF, ("tau_m", bl.Learned("tau_m")), "names a constant twice"),
        (bl.CubaLIF, bl.Learned("tau_m", bounds=(5, 50)), "bounds of the learned constant 'tau_m' have the wrong unit"),
        (bl.CubaLIF, bl.Learned("tau_m", bounds=(5 * mV, None)), "have the wrong unit"),
        (bl.CubaLIF, bl.Learned("tau_m", unit=2.0), "unit of the learned constant 'tau_m' has the wrong unit"),
        (bl.CubaLIF, bl.Learned("tau_m", unit=0 * ms), "cannot be used"),
        (bl.CubaLIF, bl.Learned("tau_m", bounds=(30 * ms, 50 * ms)), "begins outside its bounds"),
        (bl.CubaLIF, bl.Learned("tau_m", bounds=(50 * ms, 5 * ms)), "in the wrong order"),
        (bl.CubaLIF, bl.Learned("tau_m", bounds=(-5 * ms, 50 * ms)), "reach 0"),
        (bl.CubaLIF, bl.Learned("tau_m", initial="uniform"), "drawn between bounds, and has none"),
        (bl.CubaLIF, bl.Learned("R", bounds=(-1, 2), initial="log-uniform"), "does not reach 0"),
        (lambda learn: bl.CubaLIF(tau_m=[5, 9] * ms, learn=learn), ("tau_m",), "one value for each neuron"),
        (lambda learn: bl.CubaLIF(tau_m=0 * ms, learn=learn), ("tau_m",), "must keep its sign, and has none"),
        (of(SHARED, tau_m=9 * ms), bl.Learned("tau_m", per="neuron"), "declare one value of 'tau_m' for all"),
        (of(WHOLE, tau=5 * ms, tau_m=9 * ms), ("tau",), "decides on a whole number"),
        (of(FLAT, v_cut=0.2, tau_m=9 * ms), ("v_cut",), "has no gradient"),
        (of(ZERO, "v > 1*volt", E=0 * mV, k=0 * mV / ms, tau_m=9 * ms), ("k",), "nothing says how large"),
    ],
)
def test_what_cannot_be_learned(make: Any, learn: Any, text: str) -> None:
    with pytest.raises(bl.SpecError) as caught:
        make(learn=learn) if make is bl.CubaLIF else make(learn)
    assert re.search(text, str(caught.value), re.DOTALL), str(caught.value)
    assert "expected" in str(caught.value)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (dict(name=3), "name is not text"),
        (dict(name="tau_m", per="synapse"), "per is wrong"),
        (dict(name="tau_m", bounds=5 * ms), "bounds is no pair"),
        (dict(name="tau_m", bounds=(1 * ms, 2 * ms, 3 * ms)), "bounds is no pair"),
        (dict(name="tau_m", initial="normal"), "initial is wrong"),
    ],
)
def test_wrong_declarations(options: Any, text: str) -> None:
    with pytest.raises(bl.SpecError, match=text):
        bl.Learned(**options)


def test_others_refuse_by_name() -> None:
    spec = experiment().spec
    for rule in (bl.TFR(), bl.DALTON(), bl.EProp()):
        with pytest.raises(bl.RuleError, match=r"learns no constants(.|\n)*hidden\.tau_m(.|\n)*with_learned_constants"):
            bl.Learner(spec, rule, device="numpy")
    weights = dict(initial_weights(spec))
    bl.Learner(spec.with_learned_constants(weights), bl.TFR(), device="numpy")
    with pytest.raises(bl.WeightsError, match="outside its bounds"):
        export(spec, weights | {"hidden.tau_m": np.full(6, 9.0)})
    del weights["hidden.tau_s"]
    with pytest.raises(bl.WeightsError, match="another network"):
        export(spec, weights)
    with pytest.raises(bl.WeightsError, match="lack a learned constant"):
        spec.with_learned_constants(weights)
    unused = bl.Neuron(
        "dv/dt = -v/tau_m : 1\nw = k*v : 1", "v > 1", "v = 0", "v", dict(tau_m=9 * ms, k=2.0), learn=("k",)
    )
    with pytest.raises(bl.SpecError, match="no influence"):
        export(bl.NetworkSpec(bl.Input((4,)), [bl.Dense(3, unused)], bl.Readout(2), duration=9 * ms))
