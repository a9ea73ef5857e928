"""Rules as error paths: DFA, e-prop, DECOLLE and rules of one's own, against plain numpy, autograd and each other."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
import pytest
import reference
from brian2 import ms

import brianlearn as bl
from brianlearn.errors import RuleError
from brianlearn.learning.rules.three_factor import local_readout

torch = pytest.importorskip("torch")

RATE, N = 0.5, 6


def net(conv: bool = False, **options: Any) -> bl.NetworkSpec:
    neuron = bl.DaltonIF(tau_s=2 * ms) if conv else bl.CubaLIF(R=4.0)
    first: Any = bl.Conv(3, 3, neuron, pool=2) if conv else bl.Dense(9, neuron, weights=bl.Normal(4.0))
    layers = [first, bl.Dense(8, neuron, weights=bl.Normal(4.0)), bl.Dense(7, neuron, weights=bl.Normal(4.0))]
    return bl.NetworkSpec(bl.Input((1, 6, 6)), layers, bl.Readout(4), duration=14 * ms, **options)


@dataclass(frozen=True, eq=False)
class Both(bl.ThreeFactorRule):
    """A rule of one's own: DALTON's errors, and those of local readouts, at once."""

    name: ClassVar[str] = "both"

    def paths(self, spec: bl.NetworkSpec) -> Any:
        down = bl.DALTON().paths(spec)
        names = [p.name for p in spec.projections[:-1]]
        local = {p.name: (local_readout(spec, p),) for p in spec.projections if p.name in names}
        return {name: found + local.get(name, ()) for name, found in down.items()}


RULES = {
    "dfa": bl.DFA(),
    "eprop-random": bl.EProp(),
    "eprop-symmetric": bl.EProp(signal="symmetric"),
    "decolle": bl.DECOLLE(),
    "both": Both(),
    "both-mirror": Both(feedback="mirror"),
    "dfa-mirror": bl.DFA(feedback="mirror"),
}


def samples() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return rng.uniform(0, 0.8, (N, 1, 6, 6)), rng.integers(0, 4, N)


def gradients(spec: bl.NetworkSpec, rule: Any, weights: Any, x: np.ndarray, labels: np.ndarray) -> dict[str, Any]:
    """Mean gradients from the equations of docs/rules.md, with the neurons of the reference."""
    network, names = reference.from_spec(spec), [p.name for p in spec.projections]
    shapes = [spec.input.shape, *(p.out_shape for p in spec.projections)]
    name, last = type(rule).__name__, len(names) - 1
    g = {n: np.zeros_like(weights[n]) for n in names}
    for values, label in zip(x, labels, strict=True):
        target, source = np.eye(4)[label], network.encoder(values, network.n_steps)
        populations = [reference.Population(lay, s) for lay, s in zip(network.layers, shapes[1:], strict=True)]
        traces = [reference.Trace(lay.neuron, s) for lay, s in zip(network.layers, shapes[:-1], strict=True)]
        for t in range(network.n_steps):
            s, done = [source[t]], []
            for population in populations:
                done.append(population.advance(weights[population.layer.name], s[-1]))
                s.append(done[-1].spikes)
            followed = [trace.advance(v) for trace, v in zip(traces, s[:-1], strict=True)]
            eligible = followed if rule.eligibility == "trace" else s
            local = [weights.get("readout" if j == last else f"readout_{n}") for j, n in enumerate(names)]
            errors = [None if R is None else R @ v.ravel() - target for R, v in zip(local, s[1:], strict=True)]
            L: list[Any] = [None] * len(names)
            for j in range(last, -1, -1):
                shape = shapes[j + 1]
                below = None
                if j < last:
                    above = network.layers[j + 1]
                    below = above.backward(weights[names[j + 1]], L[j + 1] * done[j + 1].psi, shape)
                own = None if errors[j] is None else (local[j].T @ errors[j]).reshape(shape)
                sent = None
                if j < last and f"feedback_{names[j]}" in weights:
                    sent = (weights[f"feedback_{names[j]}"].T @ errors[last]).reshape(shape)
                if j == last or name == "DECOLLE":
                    L[j] = own
                elif name == "Both":
                    L[j] = below + own
                elif name == "DFA" or rule.signal == "random":
                    L[j] = sent
                else:
                    L[j] = below
                above_n = 0 if j == last else int(np.prod(shapes[j + 2]))
                n_r = {"Both": 4 + above_n, "DFA": 4}.get(name, 2)
                error = 2 / n_r * done[j].psi * done[j].gate * L[j]
                g[names[j]] += network.layers[j].gradient(weights[names[j]], error, eligible[j])
    return {n: total / len(x) for n, total in g.items()}


def learned(spec: bl.NetworkSpec, rule: Any, **options: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Weights before, and the gradient that one batch of SGD has followed."""
    options = {"device": "cpu", "engine": "discrete", "dtype": "float64", "batch_size": N} | options
    learner = bl.Learner(spec, rule, bl.SGD(RATE), **options)
    before = learner.init()
    after, _ = learner.learn(before, bl.Samples(*samples()))
    return dict(before.weights), {k: (w - after.weights[k]) / RATE for k, w in before.weights.items()}


def check(spec: bl.NetworkSpec, rule: Any, **options: Any) -> None:
    weights, found = learned(spec, rule, **options)
    expected = gradients(spec, rule, weights, *samples())
    for name, g in expected.items():
        assert np.abs(g).max() > 1e-4, f"{name} does not learn in this test"
        np.testing.assert_allclose(found[name], g, rtol=0, atol=1e-11, err_msg=name)
    for name in set(weights) - set(expected):
        assert not found[name].any(), f"{name} is fixed"


@pytest.mark.parametrize("name", RULES)
def test_gradients_equal_the_equations(name: str) -> None:
    check(net(), RULES[name])


@pytest.mark.parametrize("name", ["dfa", "both", "eprop-random"])
def test_gradients_of_convolutions_equal_the_equations(name: str) -> None:
    check(net(conv=True), RULES[name])


@pytest.mark.parametrize("name", RULES)
def test_brian_equals_the_equations(name: str) -> None:
    check(net(name.startswith("both")), RULES[name], engine="brian", device="numpy")


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("conv", [False, True])
@pytest.mark.parametrize("name", ["dfa", "both", "eprop-random", "both-mirror"])
def test_compiled_equals_the_equations(name: str, conv: bool) -> None:
    check(net(conv), RULES[name], engine="brian", device="cpp_standalone")


@pytest.mark.parametrize("timing", ["same_step", "pipelined"])
@pytest.mark.parametrize("rule", [bl.DFA(), Both(), bl.DECOLLE(eligibility="spike")], ids=["dfa", "both", "decolle"])
def test_engines_agree_in_every_timing_and_update(rule: Any, timing: str) -> None:
    spec = net(timing=timing)
    for update in ("batch", "step"):
        rule = dataclasses.replace(rule, update=update)
        x, labels = samples()
        results = []
        for engine, device in (("brian", "numpy"), ("discrete", "cpu")):
            learner = bl.Learner(spec, rule, bl.SGD(1e-2), engine=engine, device=device, dtype="float64", batch_size=1)
            results.append(learner.learn(learner.init(), bl.Samples(x[:2], labels[:2]))[0].weights)
        for name, w in results[0].items():
            np.testing.assert_allclose(results[1][name], w, rtol=0, atol=1e-12, err_msg=f"{update} {name}")


def test_eprop_is_the_gradient_through_the_traces_alone() -> None:
    """One hidden layer: autograd of sum_t 1/2 |R s~[t] - y|^2, s~ a spike whose derivative sees the trace only."""
    neuron = bl.CubaLIF(R=4.0, tau_s=3 * ms)
    layers = [bl.Dense(9, neuron, weights=bl.Normal(4.0))]
    spec = bl.NetworkSpec(bl.Input((1, 6, 6)), layers, bl.Readout(4), duration=14 * ms)
    weights, found = learned(spec, bl.EProp(signal="symmetric"))
    x, labels = samples()
    a, b = np.exp(-1 / 3), np.exp(-1 / 20)
    W, R = torch.tensor(weights["dense1"], requires_grad=True), torch.tensor(weights["readout"])
    loss = torch.zeros((), dtype=torch.float64)
    for values, label in zip(x, labels, strict=True):
        spikes = torch.tensor(reference.integrate_and_fire()(values, 14).reshape(14, -1))
        target = torch.nn.functional.one_hot(torch.tensor(label), 4).double()
        # dv/dt = (R I - v)/tau_m, dI/dt = -I/tau_s, exactly over 1 ms, with I of before the step
        k = 4.0 * (a - b) * 3 / (3 - 20)
        current, v = torch.zeros(9, dtype=torch.float64), torch.zeros(9, dtype=torch.float64)
        trace_i, trace_v = torch.zeros(36, dtype=torch.float64), torch.zeros(36, dtype=torch.float64)
        for s in spikes:
            with torch.no_grad():
                current = current + W @ s
                v, current = b * v + k * current, a * current
                trace_i = trace_i + s
                trace_v, trace_i = b * trace_v + k * trace_i, a * trace_i
                fired = (v > 1).double()
                slope = 1 / (1 + 5 * (v - 1).abs()) ** 2
            surrogate = W @ trace_v  # what the membrane would be without resets: its derivative is the trace
            out = fired + slope * (surrogate - surrogate.detach())
            v = torch.where(fired > 0, torch.zeros_like(v), v)
            loss = loss + 0.5 * ((R @ out - target) ** 2).sum() / N
    (expected,) = torch.autograd.grad(loss, W)
    assert expected.abs().max() > 1e-3
    np.testing.assert_allclose(found["dense1"], expected.numpy(), rtol=0, atol=1e-10)


def test_decolle_is_tfr_with_traces_and_another_scale() -> None:
    spec = net()
    _, decolle = learned(spec, bl.DECOLLE())
    _, tfr = learned(spec, bl.TFR(eligibility="trace"))
    for p in spec.projections:
        np.testing.assert_allclose(decolle[p.name], tfr[p.name] * 2, rtol=1e-9, atol=1e-13)


# what a rule of one's own may get wrong ------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Wrong(bl.ThreeFactorRule):
    what: str = ""
    name: ClassVar[str] = "wrong"

    def paths(self, spec: bl.NetworkSpec) -> Any:
        first, second, last = spec.projections
        own = {last.name: (local_readout(spec, last),)}
        found: dict[str, Any] = {
            "silent": {second.name: (bl.Transpose(last.name),)},
            "projection": {first.name: (bl.Transpose("dense9"),), second.name: (bl.Transpose(last.name),)},
            "source": {first.name: (bl.Transpose(last.name),), second.name: (bl.Transpose(last.name),)},
            "readout": {
                first.name: (bl.Fixed(spec.readout_of(first, "feedback_x"), "elsewhere"),),
                second.name: (bl.Transpose(last.name),),
            },
            "name": {
                first.name: (bl.Fixed(spec.readout_of(first, "B"), "readout"),),
                second.name: (bl.Transpose(last.name),),
            },
            "type": {first.name: ("readout",), second.name: (bl.Transpose(last.name),)},
        }[self.what]
        return found | own


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("silent", "no error reaches layer 'dense1'"),
        ("projection", "no such projection"),
        ("source", "leads to another layer"),
        ("readout", "no such readout"),
        ("name", "cannot have this name"),
        ("type", "no error path"),
    ],
)
@pytest.mark.parametrize("engine", ["brian", "discrete"])
def test_wrong_paths_are_named_before_anything_is_built(what: str, text: str, engine: str) -> None:
    with pytest.raises(RuleError, match=text):
        bl.Learner(net(), Wrong(what=what), engine=engine)


def test_a_rule_without_paths_says_what_is_missing() -> None:
    @dataclass(frozen=True, eq=False)
    class Nothing(bl.ThreeFactorRule):
        name: ClassVar[str] = "nothing"

    with pytest.raises(RuleError, match="paths"):
        bl.Learner(net(), Nothing(), engine="brian")


def test_genn_refuses_what_it_cannot_send() -> None:
    from brianlearn.brian.engine import refuse

    with pytest.raises(RuleError, match="one error path"):
        refuse(net(timing="pipelined"), bl.DFA(), 1, bl.SGD(1e-3), "genn")


def test_scales_are_exact() -> None:
    spec = net()
    assert bl.TFR().scale(spec) == dict.fromkeys(("dense1", "dense2", "dense3"), Fraction(1, 2))
    assert bl.DALTON().scale(spec)["dense1"] == Fraction(2, 8)
    assert bl.EProp().scale(spec)["dense1"] == 1
    with pytest.raises(RuleError, match="signal"):
        bl.EProp(signal="adaptive")
