"""Neurons with noise on the discrete engine: the spikes of Brian2, and gradients with the noise as it was drawn."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import reference
from brian2 import ms
from hypothesis import given
from hypothesis import strategies as st
from recurrent_reference import CLASSES, N, T, graphs, samples
from test_noise import NEURONS, neuron, rasters, spec_of
from test_noise import samples as values

import brianlearn as bl
from brianlearn.brian.build import noise, seeded
from brianlearn.errors import EquationError
from brianlearn.training.verify import verify

torch = pytest.importorskip("torch")

from test_recurrent import Spike, examples, loop  # noqa: E402
from test_segments import both, check  # noqa: E402

TAU, TAU_S, SIGMA = 10e-3, 5e-3, 0.4
MULTIPLICATIVE = neuron("dv/dt = (I - v)/tau + 0.4*(1 + v)*xi*tau**-0.5 : 1\ndI/dt = -I/(5*ms) : 1", weight_unit=1.0)
#: Noise in every place, of every kind, and how it meets refractoriness, floors, stages and what is held for a step.
MORE = NEURONS | {
    "milstein": neuron(
        "dv/dt = (I - v)/tau + 0.5*(1 + v)*xi*tau**-0.5 : 1 (unless refractory)\ndI/dt = -I/(5*ms) : 1",
        method="milstein",
        refractory=2 * ms,
    ),
    "floor": neuron(
        "dv/dt = (I - v + 3*s)/tau + 0.5*(1 + v)*xi*tau**-0.5 : 1 (unless refractory)\ndI/dt = -I/(5*ms) : 1\n"
        "s = rand()*v : 1",
        method="heun",
        refractory=2 * ms,
        floor=-0.5,
    ),
    "three kinds": neuron(
        "dv/dt = (I - v)/tau + (0.5*xi_a + 0.3*xi_b)*tau**-0.5 : 1\ndI/dt = -I/(5*ms) + 0.2*xi_c*tau**-0.5 : 1"
    ),
    "held in the equations": neuron(
        "dv/dt = (I - v + 2*u)/tau : 1\ndI/dt = -I/(5*ms) : 1\n"
        "u = v**2*rand() + w : 1 (constant over dt)\nw = randn()*v : 1 (constant over dt)\nz = randn() : 1",
        threshold="v > 1 + 0.1*w + 0.1*z",
    ),
    # which under Brian2's timing waits until the next step begins
    "reset of the input": neuron(
        "dv/dt = -v/tau + 0.1*xi*tau**-0.5 : 1",
        reset="v = 0.3*randn() + 0.05*poisson(1 + 10*v)",
        input="v",
        weight_unit=0.5,
    ),
}
#: Neurons of random graphs.
OF_GRAPHS = ("euler", "multiplicative", "refractory", "reset", "floor")


def discrete(spec: bl.NetworkSpec, **options: Any) -> dict[str, np.ndarray]:
    return rasters(spec, "cpu", engine="discrete", engine_options=options)


def the_same(found: Any, expected: Any) -> None:
    for name, fired in expected.items():
        assert fired.any(), f"{name} is silent in this test"
        np.testing.assert_array_equal(found[name], fired, err_msg=name)


# spikes ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kernels", [True, False])
def test_spikes_are_those_of_brian2(kernels: bool) -> None:
    spec = spec_of(NEURONS["multiplicative"], NEURONS["poisson"], NEURONS["held"])
    expected = rasters(spec)
    the_same(discrete(spec, kernels=kernels), expected)
    the_same(discrete(spec, kernels=kernels, micro_batch=2), expected)


@pytest.mark.slow
@pytest.mark.parametrize("timing", ["same_step", "brian2", "pipelined"])
@pytest.mark.parametrize("name", MORE)
def test_every_kind_of_noise(name: str, timing: str) -> None:
    spec = spec_of(MORE[name], timing=timing)
    expected = rasters(spec)
    for kernels in (True, False):
        the_same(discrete(spec, kernels=kernels), expected)


def test_a_convolution_draws_for_each_of_its_neurons() -> None:
    """Maps lie in memory with channels last, which changes nothing of what a neuron draws."""
    layers = [bl.Conv(3, 3, NEURONS["euler"], pool=2, weights=bl.Uniform(2.0)), bl.Dense(12, NEURONS["threshold"])]
    given_ = bl.Samples(np.random.default_rng(0).random((3, 2, 6, 6)), [0, 1, 2])
    spec = bl.NetworkSpec(bl.Input((2, 6, 6), bl.IntegrateAndFireEncoder(0.6)), layers, bl.Readout(3), duration=12 * ms)
    expected = rasters(spec, given=given_)
    for kernels in (True, False):
        the_same(rasters(spec, "cpu", given_, engine="discrete", engine_options={"kernels": kernels}), expected)


def noisy(spec: bl.NetworkSpec, names: list[str], weight_unit: float = 6.0) -> bl.NetworkSpec:
    """The same graph, with noise in its neurons."""
    kinds = iter(names)
    populations = [
        dataclasses.replace(p, neuron=dataclasses.replace(MORE[next(kinds)], weight_unit=weight_unit))
        if isinstance(p.neuron, bl.Neuron)
        else p
        for p in spec.populations
    ]
    return dataclasses.replace(spec, populations=populations)


@st.composite
def noisy_graphs(draw: Any) -> bl.NetworkSpec:
    return noisy(draw(graphs()), [draw(st.sampled_from(OF_GRAPHS)) for _ in range(4)])


def agree(spec: bl.NetworkSpec, rule: Any, seed: int, device: str, **options: Any) -> None:
    """Both engines: spikes, and weights after a batch."""
    x, labels = samples(seed)
    found = []
    for engine, on in (("brian", device), ("discrete", "cpu")):
        learner = bl.Learner(
            spec, rule, bl.SGD(0.5), engine=engine, device=on, dtype="float64", batch_size=N, seed=seed, **options
        )
        start = learner.init()
        fired = learner.infer(start, bl.Samples(x, labels), record=("spikes",)).spikes
        found.append((fired, learner.learn(start, bl.Samples(x, labels))[0].weights))
    (fired, weights), (others, mine) = found
    for name, raster in fired.items():
        np.testing.assert_array_equal(others[name].dense(), raster.dense(), err_msg=name)
    for name, w in weights.items():
        np.testing.assert_allclose(mine[name], w, rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("rule", [bl.DALTON(), bl.TFR(eligibility="spike")], ids=["dalton", "tfr"])
def test_a_recurrent_network_learns_the_same_on_both_engines(rule: Any) -> None:
    agree(noisy(loop(), ["multiplicative", "euler"], 3.0), rule, 1, "numpy")


@pytest.mark.slow
@examples(8)
@given(spec=noisy_graphs(), rule=st.sampled_from([bl.DALTON(), bl.TFR(), bl.DFA()]), seed=st.integers(0, 99))
def test_random_graphs_on_both_engines(spec: Any, rule: Any, seed: int) -> None:
    agree(spec, rule, seed, "numpy")


@pytest.mark.slow
@pytest.mark.cpp_standalone
@examples(2)
@given(spec=noisy_graphs(), rule=st.sampled_from([bl.DALTON(), bl.TFR()]), seed=st.integers(0, 99))
def test_random_graphs_compiled(spec: Any, rule: Any, seed: int) -> None:
    agree(spec, rule, seed, "cpp_standalone")


@pytest.mark.parametrize("timing", ["same_step", "brian2", "pipelined"])
def test_learning_in_every_step_draws_what_a_batch_draws(timing: str) -> None:
    spec = spec_of(NEURONS["multiplicative"], NEURONS["threshold"], timing=timing)
    found = []
    for engine, device in (("brian", "numpy"), ("discrete", "cpu")):
        learner = bl.Learner(
            spec, bl.TFR(update="step"), bl.SGD(1e-2), engine=engine, device=device, dtype="float64", batch_size=1
        )
        found.append(learner.learn(learner.init(), values(2))[0].weights)
    for name, w in found[0].items():
        np.testing.assert_allclose(found[1][name], w, rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.slow
def test_several_kinds_of_white_noise_are_numbered_by_name() -> None:
    """Brian2 draws them in the order of a set of strings, which differs from process to process."""
    code = (
        "import hashlib; import test_noise_discrete as t;"
        "print(hashlib.sha256(t.rasters(t.spec_of(t.MORE['three kinds']))['dense1'].tobytes()).hexdigest())"
    )
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    said = set()
    for seed in ("1", "2", "3", "4"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": path}
        said.add(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True).stdout)
    assert len(said) == 1 and len(said.pop().strip()) == 64


# gradients ------------------------------------------------------------------------------------------------------------


def plain_loop(spec: bl.NetworkSpec, weights: dict[str, Any], x: np.ndarray, keys: np.ndarray) -> Any:
    """The readout (T, N, classes) of `loop` with MULTIPLICATIVE neurons: Heun's method with the generator's numbers."""
    drive = np.stack([reference.integrate_and_fire()(v, T) for v in x])
    spikes: dict[str, list[Any]] = {"input": list(torch.tensor(drive).transpose(0, 1)), "first": [], "second": []}
    v = {p.name: torch.zeros(N, p.n, dtype=torch.float64) for p in spec.neurons}
    c, y, found = {name: torch.zeros_like(a) for name, a in v.items()}, 0.0, []
    drawn = {p.name: noise.noise_keys(p.name, keys) for p in spec.neurons}
    sizes = {p.name: p.n for p in spec.neurons}
    for t in range(T):
        for name in ("first", "second"):
            arrived = 0.0
            for p in spec.projections:
                past, w = t - round(float(p.delay) / 1e-3), weights[p.name]
                if p.target == name and p.name.endswith("_bias"):
                    arrived = arrived + w
                elif p.target == name and past >= 0:
                    if w.ndim == 1:
                        places = (torch.tensor(p.connectivity.post).long(), torch.tensor(p.connectivity.pre).long())
                        w = torch.zeros(p.n_post, p.n_pre, dtype=torch.float64).index_put(places, w)
                    arrived = arrived + spikes[p.source][past] @ w.T
            k0, k1 = (drawn[name][:, k, None] for k in (0, 1))
            xi = np.sqrt(1e-3) * torch.tensor(seeded._normal(k0, k1, t, T, np.arange(sizes[name]), 3))
            u, i = v[name], c[name] + arrived
            support = u + SIGMA * (1 + u) * xi / TAU**0.5
            amplitude = 0.5 * SIGMA * ((1 + u) + (1 + support)) / TAU**0.5
            u = u + 1e-3 * (i - u) / TAU + amplitude * xi
            c[name] = i - 1e-3 * i / TAU_S
            fired = Spike.apply(u - 1)
            v[name] = torch.where(fired.detach() > 0, torch.zeros_like(fired), u)
            spikes[name].append(fired)
        y = np.exp(-1 / 5) * y + spikes["second"][t] @ weights["to_out"].T + weights["to_out_bias"]
        found.append(y)
    return torch.stack(found)


@pytest.mark.parametrize("options", [{}, dict(kernels=False), dict(checkpoint_steps=4, micro_batch=2)], ids=str)
def test_back_propagation_equals_autograd_with_the_noise_as_drawn(options: dict[str, Any]) -> None:
    spec = loop(MULTIPLICATIVE)
    x, labels = samples(1)
    rule, engine = bl.SurrogateBPTT(), bl.Discrete(**options)
    learner = bl.Learner(spec, rule, bl.SGD(0.5), dtype="float64", batch_size=N, engine=engine, seed=2)
    before, given_ = learner.init(), bl.Samples(x, labels)
    after, _ = learner.learn(before, given_)
    tensors = {name: torch.tensor(w, requires_grad=True) for name, w in before.weights.items()}
    target = torch.nn.functional.one_hot(torch.tensor(labels), CLASSES)
    keys = before.sample_keys(given_.ids, learning=True)
    loss = ((plain_loop(spec, tensors, x, keys) - target) ** 2).mean()
    names = [p.name for p in spec.projections]
    for name, g in zip(names, torch.autograd.grad(loss, [tensors[n] for n in names]), strict=True):
        change = (before.weights[name] - after.weights[name]) / 0.5
        assert np.abs(g.numpy()).max() > 1e-5, f"{name} does not learn in this test"
        np.testing.assert_allclose(change, g.numpy(), rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(
    ("name", "kernels"),
    [
        ("multiplicative", True),
        *(pytest.param(name, kernels, marks=pytest.mark.slow) for name in MORE for kernels in (True, False)),
    ],
)
def test_parts_of_a_trial_draw_the_same_again(name: str, kernels: bool) -> None:
    check(*both(loop(dataclasses.replace(MORE[name], weight_unit=2.0)), bl.SurrogateBPTT(), 5, kernels))


@pytest.mark.slow
@pytest.mark.parametrize("name", MORE)
def test_kernels_have_the_gradient_of_plain_torch(name: str) -> None:
    spec, found = loop(dataclasses.replace(MORE[name], weight_unit=2.0)), []
    for kernels in (True, False):
        module = bl.export(spec, seed=3, dtype=torch.float64, kernels=kernels, reset_path="kept")
        torch.manual_seed(4)
        activity = module(samples(1)[0], record=("membranes",))
        loss = (activity.logits**2).sum() + sum((m**2).mean() for m in activity.membranes.values())
        found.append(torch.autograd.grad(loss, list(module.parameters())))
    for kernel, plain in zip(*found, strict=True):
        torch.testing.assert_close(kernel, plain, rtol=1e-9, atol=1e-10)


# the exported module --------------------------------------------------------------------------------------------------


def test_a_module_draws_from_keys_or_from_torchs_generator() -> None:
    spec = spec_of(NEURONS["euler"])
    module, x = bl.export(spec, seed=1, dtype=torch.float64), torch.rand(6, 9, dtype=torch.float64)

    def fired(**options: Any) -> Any:
        return module(x, **options).spikes["dense1"]

    torch.manual_seed(3)
    first, second = fired(), fired()
    torch.manual_seed(3)
    assert torch.equal(fired(), first) and not torch.equal(first, second)
    keys = bl.LearnerState({}, seed=5).sample_keys(np.arange(6), learning=False)
    assert torch.equal(fired(keys=keys), fired(keys=keys))
    assert torch.equal(module(x[2:4], keys=keys[2:4]).spikes["dense1"], fired(keys=keys)[:, 2:4])
    learner = bl.Learner(spec, device="numpy", dtype="float64", seed=5)
    given_ = bl.Samples(x.numpy(), np.zeros(6, int))
    raster = learner.infer(learner.init(module.weights()), given_, record="spikes").spikes["dense1"]
    np.testing.assert_array_equal(fired(keys=keys).transpose(0, 1).detach().numpy() > 0, raster.dense())
    assert "seeded_normal(3)" in module.describe() and "def seeded_normal__" in module.describe(kernels=True)


def test_single_precision_draws_the_same_numbers() -> None:
    spec = spec_of(NEURONS["euler"])
    found = rasters(spec, "cpu", engine="discrete", dtype="float32")
    assert (found["dense1"] != rasters(spec)["dense1"]).mean() < 0.01


def test_both_engines_are_compared_by_verify() -> None:
    spec = spec_of(NEURONS["multiplicative"])
    found = verify(spec, bl.Learner(spec, device="numpy", seed=1).init().weights, values(), device="numpy")
    assert found.agrees and found.spikes > 100


def test_a_subexpression_that_draws_is_not_recorded() -> None:
    spec = spec_of(neuron("dv/dt = (I + 2*u - v)/tau : 1\ndI/dt = -I/(5*ms) : 1\nu = rand() : 1", method="rk2"))
    learner = bl.Learner(spec, engine="discrete")
    with pytest.raises(EquationError, match="'u' cannot be recorded: it draws random numbers"):
        learner.infer(learner.init(), values(), record=[bl.Record("u", "dense1")])


# methods --------------------------------------------------------------------------------------------------------------

DIAGONAL = "dv/dt = (I - v)/tau + (0.5*v*xi_1 + xi_2)*tau**-0.5 : 1\ndI/dt = -I/(5*ms) : 1"


@pytest.mark.parametrize(
    ("equations", "method", "able"),
    [
        (MULTIPLICATIVE.equations, "heun", True),
        (MULTIPLICATIVE.equations, "milstein", True),
        (MULTIPLICATIVE.equations, "euler", False),
        (MULTIPLICATIVE.equations, "rk4", False),
        (NEURONS["euler"].equations, "euler", True),
        (NEURONS["euler"].equations, "exponential_euler", False),
        (NEURONS["euler"].equations, "rk2", False),
        (DIAGONAL, "heun", True),
        (DIAGONAL, "milstein", False),
    ],
)
def test_methods_that_integrate_noise(equations: str, method: str, able: bool) -> None:
    if able:
        assert neuron(equations, method=method).method_used == method
        return
    with pytest.raises(EquationError, match="does not integrate white noise") as error:
        neuron(equations, method=method)
    assert "heun" in str(error.value) and method in str(error.value)


def test_the_method_that_is_chosen_for_noise() -> None:
    assert MULTIPLICATIVE.method_used == "heun" and NEURONS["euler"].method_used == "euler"
