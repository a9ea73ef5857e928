"""Recurrent, delayed and sparse networks: every engine equals the definition in plain numpy."""

from __future__ import annotations

import dataclasses
import gc
from typing import Any

import numpy as np
import pytest
import reference
from brian2 import ms
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from recurrent_reference import CLASSES, NEURONS, N, T, graphs, samples, simulate

import brianlearn as bl
from brianlearn.errors import BrianLearnError, SpecError, UnitError
from brianlearn.training.serialise import from_dict, to_dict

torch = pytest.importorskip("torch")

RATE = 0.5
RULES = {
    "dalton": bl.DALTON(),
    "tfr": bl.TFR(),
    "dfa": bl.DFA(),
    "dalton-trace": bl.DALTON(eligibility="trace"),
    "tfr-trace": bl.TFR(eligibility="trace"),
}


def examples(n: int) -> Any:
    """Random graphs, as they are drawn: simpler ones would take many builds to find."""
    phases = (Phase.explicit, Phase.reuse, Phase.generate)
    return settings(max_examples=n, deadline=None, suppress_health_check=list(HealthCheck), phases=phases)


def loop(neuron: Any = NEURONS["cuba"], delays: tuple[int, int, int] = (1, 2, 3), **options: Any) -> bl.NetworkSpec:
    """Two populations that hear themselves and one another, with delays; dense and sparse."""
    a, b, c = (d * ms for d in delays)
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (6,), bl.IntegrateAndFireEncoder()),
            bl.Population("first", 8, neuron, **options),
            bl.Population("second", 7, neuron),
            bl.Population("out", CLASSES, bl.LinearReadout(tau=5 * ms)),
        ],
        projections=[
            bl.Projection("in1", "input", "first", weights=bl.Normal(4.0)),
            bl.Projection("late", "input", "second", weights=bl.Normal(3.0), delay=c),
            bl.Projection("self", "first", "first", weights=bl.Normal(3.0), delay=a),
            bl.Projection("up", "first", "second", weights=bl.Normal(4.0), bias=bl.Uniform(0.3)),
            bl.Projection("down", "second", "first", bl.Sparse(0.6, seed=1), bl.Normal(3.0), delay=b, bias=True),
            bl.Projection("to_out", "second", "out", weights=bl.Uniform(1.0), bias=bl.Constant(0.2)),
        ],
        duration=T * ms,
    )


def check(spec: bl.NetworkSpec, rule: Any, seed: int = 0, *, active: bool = False, **options: Any) -> None:
    x, labels = samples(seed)
    learner = bl.Learner(spec, rule, bl.SGD(RATE), dtype="float64", batch_size=N, seed=seed, **options)
    before = learner.init()
    spikes, logits, expected = simulate(spec, before.weights, x, labels, rule)
    found = learner.infer(before, bl.Samples(x, labels), record=("spikes",))
    for name, raster in found.spikes.items():
        np.testing.assert_array_equal(raster.dense().reshape(N, T, -1), spikes[name] != 0, err_msg=name)
        assert not active or spikes[name].any(), f"{name} is silent in this test"
    np.testing.assert_allclose(found.logits, logits, rtol=0, atol=1e-12)
    after, _ = learner.learn(before, bl.Samples(x, labels))
    for p in spec.projections:
        g, new = expected[p.name], before.weights[p.name] - RATE * expected[p.name]
        assert not active or np.abs(g).max() > 1e-5, f"{p.name} does not learn in this test"
        np.testing.assert_allclose(after.weights[p.name], kept(p, new), rtol=0, atol=1e-10, err_msg=p.name)


def kept(p: bl.Projection, weights: np.ndarray) -> np.ndarray:
    """Weights whose sign is kept: what crosses 0 is 0."""
    if p.sign is None:
        return weights
    named = {"excitatory": 1, "inhibitory": -1}
    signs = np.full(p.n_pre, named[p.sign]) if isinstance(p.sign, str) else p.sign
    of_weight = np.broadcast_to(signs, weights.shape) if weights.ndim == 2 else signs[p.connectivity.pre]
    return np.where(weights * of_weight > 0, weights, 0.0)


BRIAN = dict(engine="brian", device="numpy")


@pytest.mark.parametrize("rule", RULES)
def test_brian_equals_the_reference(rule: str) -> None:
    check(loop(), RULES[rule], active=True, **BRIAN)


@pytest.mark.parametrize("neuron", NEURONS)
def test_brian_equals_the_reference_for_all_neurons(neuron: str) -> None:
    check(loop(NEURONS[neuron], delays=(2, 1, 5)), RULES["dalton"], active=True, **BRIAN)


DISCRETE = dict(engine="discrete", device="cpu")


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("rule", RULES)
def test_discrete_equals_the_reference(rule: str, kernels: bool) -> None:
    check(loop(), RULES[rule], active=True, engine=bl.Discrete(kernels=kernels))


@examples(15)
@given(spec=graphs(), rule=st.sampled_from(sorted(RULES)), seed=st.integers(0, 99))
def test_discrete_equals_the_reference_on_random_graphs(spec: Any, rule: str, seed: int) -> None:
    if "trace" in rule and any(p.neuron in (NEURONS["delta"], NEURONS["adaptive"]) for p in spec.neurons):
        rule = rule.removesuffix("-trace")
    check(spec, RULES[rule], seed, **DISCRETE)


@examples(2)
@given(spec=graphs(), rule=st.sampled_from(["dalton", "tfr", "dfa"]), seed=st.integers(0, 99))
def test_brian_equals_the_reference_on_random_graphs(spec: Any, rule: str, seed: int) -> None:
    check(spec, RULES[rule], seed, **BRIAN)


@pytest.mark.slow
@examples(60)
@given(spec=graphs(), rule=st.sampled_from(["dalton", "tfr", "dfa"]), seed=st.integers(0, 99))
def test_both_engines_equal_the_reference_on_many_graphs(spec: Any, rule: str, seed: int) -> None:
    check(spec, RULES[rule], seed, **BRIAN)
    check(spec, RULES[rule], seed, **DISCRETE)


@pytest.mark.cpp_standalone
@pytest.mark.slow
@examples(4)
@given(spec=graphs(), rule=st.sampled_from(["dalton", "tfr", "dfa"]), seed=st.integers(0, 99))
def test_standalone_equals_the_reference_on_random_graphs(spec: Any, rule: str, seed: int) -> None:
    check(spec, RULES[rule], seed, engine="brian", device="cpp_standalone")


@pytest.mark.cpp_standalone
@pytest.mark.slow
@pytest.mark.parametrize("rule", RULES)
def test_standalone_equals_the_reference(rule: str) -> None:
    check(loop(), RULES[rule], active=True, engine="brian", device="cpp_standalone")


class Spike(torch.autograd.Function):
    """A step whose derivative is 1/(1 + 5|x|)^2, the neurons' surrogate."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grads[0] / (1 + 5 * x.abs()) ** 2


def plain_loop(spec: bl.NetworkSpec, weights: dict[str, Any], x: np.ndarray) -> Any:
    """The readout (T, N, classes) of `loop` with CubaLIF neurons, from the equations, one step after the other."""
    a, b, k = map(float, reference.cuba_coefficients(1e-3, 20e-3, 3e-3, 4.0))
    given = np.stack([reference.integrate_and_fire()(v, T) for v in x])
    spikes: dict[str, list[Any]] = {"input": list(torch.tensor(given).transpose(0, 1)), "first": [], "second": []}
    v = {p.name: torch.zeros(N, p.n, dtype=torch.float64) for p in spec.neurons}
    c, y, found = {name: torch.zeros_like(value) for name, value in v.items()}, 0.0, []
    for t in range(T):
        for name in ("first", "second"):
            arrived = 0.0
            for p in spec.projections:
                past = t - round(float(p.delay) / 1e-3)
                w = weights[p.name]
                if p.target == name and p.name.endswith("_bias"):
                    arrived = arrived + w
                elif p.target == name and past >= 0:
                    if w.ndim == 1:
                        w = torch.zeros(p.n_post, p.n_pre, dtype=torch.float64).index_put(
                            (torch.tensor(p.connectivity.post).long(), torch.tensor(p.connectivity.pre).long()), w
                        )
                    arrived = arrived + spikes[p.source][past] @ w.T
            c[name] = c[name] + arrived
            v[name] = b * v[name] + k * c[name]
            c[name] = a * c[name]
            fired = Spike.apply(v[name] - 1)
            v[name] = torch.where(fired.detach() > 0, torch.zeros_like(fired), v[name])
            spikes[name].append(fired)
        y = np.exp(-1 / 5) * y + spikes["second"][t] @ weights["to_out"].T + weights["to_out_bias"]
        found.append(y)
    return torch.stack(found)


@pytest.mark.parametrize("kernels", [True, False])
def test_back_propagation_equals_autograd_of_a_plain_loop(kernels: bool) -> None:
    spec = loop()
    x, labels = samples(1)
    learner = bl.Learner(
        spec, bl.SurrogateBPTT(), bl.SGD(RATE), dtype="float64", batch_size=N, engine=bl.Discrete(kernels=kernels)
    )
    before = learner.init()
    after, _ = learner.learn(before, bl.Samples(x, labels))
    tensors = {name: torch.tensor(w, requires_grad=True) for name, w in before.weights.items()}
    target = torch.nn.functional.one_hot(torch.tensor(labels), CLASSES)
    loss = ((plain_loop(spec, tensors, x) - target) ** 2).mean()
    names = [p.name for p in spec.projections]
    for name, g in zip(names, torch.autograd.grad(loss, [tensors[n] for n in names]), strict=True):
        change = (before.weights[name] - after.weights[name]) / RATE
        assert np.abs(g.numpy()).max() > 1e-5, f"{name} does not learn in this test"
        np.testing.assert_allclose(change, g.numpy(), rtol=0, atol=1e-10, err_msg=name)


@examples(8)
@given(spec=graphs(), seed=st.integers(0, 99))
def test_kernels_and_plain_torch_give_the_same_gradients(spec: Any, seed: int) -> None:
    x, _ = samples(seed)
    found = []
    for kernels in (True, False):
        module = bl.export(spec, seed=seed, dtype=torch.float64, kernels=kernels, reset_path="kept")
        activity = module(x, record=("membranes", "synaptic_input"))
        loss = (activity.logits**2).sum() + sum((m**2).mean() for m in activity.membranes.values())
        names = [p.name for p in spec.projections]
        gradients = torch.autograd.grad(loss, [module.get_parameter(n) for n in names], allow_unused=True)
        found.append((activity, dict(zip(names, gradients, strict=True))))
    for name, spikes in found[0][0].spikes.items():
        assert torch.equal(spikes, found[1][0].spikes[name]), name
    for what in ("membranes", "synaptic_input"):
        for name, values in getattr(found[0][0], what).items():
            torch.testing.assert_close(values, getattr(found[1][0], what)[name], rtol=0, atol=1e-12)
    for name, g in found[0][1].items():
        if g is not None:
            torch.testing.assert_close(g, found[1][1][name], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("rule", [bl.DALTON(update="step"), bl.TFR(update="step", eligibility="trace")])
def test_steps_learn_the_same_on_both_engines(rule: Any) -> None:
    x, labels = samples(2)
    found = []
    for engine, device in (("brian", "numpy"), ("discrete", "cpu")):
        learner = bl.Learner(loop(), rule, bl.SGD(1e-2), engine=engine, device=device, dtype="float64", batch_size=1)
        found.append(learner.learn(learner.init(), bl.Samples(x[:2], labels[:2]))[0].weights)
    before = learner.init().weights
    for name, w in found[0].items():
        assert name.startswith(("readout", "to_out")) or np.abs(w - before[name]).max() > 1e-6, name
        np.testing.assert_allclose(found[1][name], w, rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("every", ["trial", "step"])
def test_dropout_masks_are_those_of_the_step_that_fired(every: str) -> None:
    x, labels = samples(3)
    spec = loop(dropout=0.4, dropout_every=every, delays=(3, 2, 1))
    found = []
    for engine, device in (("brian", "numpy"), ("discrete", "cpu")):
        learner = bl.Learner(
            spec, bl.DALTON(), bl.SGD(RATE), engine=engine, device=device, dtype="float64", batch_size=N
        )
        found.append(learner.learn(learner.init(), bl.Samples(x, labels))[0].weights)
    for name, w in found[0].items():
        np.testing.assert_allclose(found[1][name], w, rtol=0, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("options", [BRIAN, DISCRETE])
@pytest.mark.parametrize("sign", ["excitatory", "inhibitory", [1, -1] * 4])
def test_signs_are_kept(sign: Any, options: Any) -> None:
    spec = signed(sign)
    x, labels = samples(4)
    for update in ("batch", "step"):
        rule = bl.TFR(update=update)
        learner = bl.Learner(spec, rule, bl.SGD(20.0), dtype="float64", batch_size=1, **options)
        state = learner.init()
        signs = np.broadcast_to(sign if isinstance(sign, list) else {"e": 1, "i": -1}[sign[0]], (8, 8))
        assert (state.weights["self"] * signs > 0).all()
        after, _ = learner.learn(state, bl.Samples(x, labels))
        w = after.weights["self"]
        assert (w * signs >= 0).all() and (w == 0).any() and (w != state.weights["self"]).any()


WRONG: dict[str, tuple[Any, type[BrianLearnError], str]] = {
    "no whole number of steps": (lambda: loop(delays=(1, 1.5, 1)), SpecError, "multiple of"),
    "no time": (lambda: bl.Projection("p", "a", "b", delay=3), UnitError, "a time"),
    "negative": (lambda: bl.Projection("p", "a", "b", delay=-1 * ms), SpecError, "0"),
    "a name that is taken": (lambda: renamed("late_self"), SpecError, "late_self"),
    "no delay in a cycle": (lambda: loop(delays=(0, 1, 1)), SpecError, "give one of them a delay"),
    "no error": (
        lambda: bl.Learner(only_late(), bl.DALTON(), engine="discrete"),
        BrianLearnError,
        "no error reaches layer 'first'",
    ),
    "unknown sign": (lambda: bl.Projection("p", "a", "b", sign="exitatory"), SpecError, "excitatory"),
    "signs of another number": (lambda: signed([1, -1, 1]), SpecError, "does not fit its source"),
    "no signs": (lambda: bl.Projection("p", "a", "b", sign=[1, 0]), SpecError, "sign is wrong"),
    "weights of the other sign": (
        lambda: bl.Learner(signed("inhibitory"), bl.TFR(), engine="discrete").init(weights=wrong_sign()),
        BrianLearnError,
        "<= 0",
    ),
    "through time": (
        lambda: bl.Learner(loop(), bl.TFR(credit="through_time"), engine="discrete"),
        BrianLearnError,
        "first, second hear one another",
    ),
    "GeNN": (lambda: bl.Learner(loop(), bl.DALTON(), device="genn-cpu"), BrianLearnError, "chain"),
    "pipelined": (lambda: dataclasses.replace(loop(), timing="pipelined"), SpecError, "delays"),
}


def renamed(name: str) -> bl.NetworkSpec:
    """`loop`, whose second population has another name."""
    declared = loop().declared
    assert declared is not None
    ends = [{end: name for end in ("source", "target") if getattr(q, end) == "second"} for q in declared.projections]
    parts = [dataclasses.replace(q, **new) for q, new in zip(declared.projections, ends, strict=True)]
    others = [dataclasses.replace(p, name=name) if p.name == "second" else p for p in declared.populations]
    return bl.NetworkSpec(populations=others, projections=parts, duration=T * ms)


def signed(sign: Any) -> bl.NetworkSpec:
    """`loop` without biases, in which neurons that hear themselves have a sign."""
    declared = loop().declared
    assert declared is not None
    parts = [dataclasses.replace(q, sign=sign if q.name == "self" else None, bias=False) for q in declared.projections]
    return bl.NetworkSpec(populations=declared.populations, projections=parts, duration=T * ms)


def wrong_sign() -> dict[str, np.ndarray]:
    return {**bl.Learner(signed(None), bl.TFR(), engine="discrete").init().weights, "self": np.ones((8, 8))}


def only_late() -> bl.NetworkSpec:
    """A chain whose second layer hears the first one after a delay alone."""
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (6,), bl.IntegrateAndFireEncoder()),
            bl.Population("first", 8, NEURONS["cuba"]),
            bl.Population("second", 7, NEURONS["cuba"]),
            bl.Population("out", CLASSES, bl.LinearReadout()),
        ],
        projections=[
            bl.Projection("in1", "input", "first"),
            bl.Projection("up", "first", "second", delay=2 * ms),
            bl.Projection("to_out", "second", "out"),
        ],
        duration=T * ms,
    )


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what: str) -> None:
    make, kind, text = WRONG[what]
    with pytest.raises(kind, match=text):
        make()


def test_a_delay_comes_back_from_a_file() -> None:
    again = from_dict(to_dict(loop()))
    assert again.describe() == loop().describe() and "from second after 2. ms" in again.describe()


def test_memory_of_a_batch_comes_back() -> None:
    """Without waiting for Python's collection of cycles."""
    from brianlearn.discrete.run.component import _Passage

    spec = loop()
    x, _ = samples(5)
    module = bl.export(spec, dtype=torch.float64)
    gc.disable()
    try:
        activity = module(x)
        loss = activity.logits.sum()
        loss.backward()
        assert sum(type(o) is _Passage for o in gc.get_objects()) == 1  # isinstance asks proxies for what may be gone
        del activity, loss
        assert not any(type(o) is _Passage for o in gc.get_objects())
    finally:
        gc.enable()


def test_a_synaptic_rule_hears_spikes_after_their_delay() -> None:
    """TFR as a text is TFR, to the last bit; texts cannot read variables of neurons that fired a while ago."""
    x, labels = samples(6)
    text = "gradient += gate*delta*spike_pre"
    found = []
    for rule in (bl.TFR(), bl.SynapticRule(on_pre=text, third_factor=bl.TFR())):
        learner = bl.Learner(loop(), rule, bl.Adam(1e-2), dtype="float64", batch_size=N, **BRIAN)
        found.append(learner.learn(learner.init(), bl.Samples(x, labels))[0].weights)
    for name, w in found[0].items():
        np.testing.assert_array_equal(found[1][name], w, err_msg=name)
    late = bl.SynapticRule(on_pre="gradient += scale*psi*L*v_pre", third_factor=bl.TFR())
    declared = loop().declared
    assert declared is not None
    parts = [dataclasses.replace(q, learned=q.source != "input") for q in declared.projections]
    spec = bl.NetworkSpec(populations=declared.populations, projections=parts, duration=T * ms)
    with pytest.raises(BrianLearnError, match="after a delay only spikes arrive"):
        bl.Learner(spec, late, **BRIAN)
