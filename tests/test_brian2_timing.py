"""The timing of Brian2: every engine equals the definition in plain numpy, and plain Brian2 objects in its schedule."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import reference
from brian2 import ms
from hypothesis import given
from hypothesis import strategies as st
from recurrent_reference import ENTANGLED, NEURONS, graphs, matrix, samples
from test_recurrent import BRIAN, DISCRETE, RULES, Spike, check, examples, loop

import brianlearn as bl
from brianlearn.errors import BrianLearnError

torch = pytest.importorskip("torch")
KINDS = {**NEURONS, **ENTANGLED}
#: Rules whose errors do not go down through projections, so that spikes may go round without a delay.
FROM_READOUTS = ["tfr", "dfa", "tfr-trace"]


def some(fast: tuple[str, ...], every: Any) -> list[Any]:
    """All, of which most are slow."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in every]


def timed(neuron: Any = NEURONS["cuba"], delays: tuple[int, int, int] = (1, 2, 3), **options: Any) -> bl.NetworkSpec:
    declared = loop(neuron, (1, 1, 1), **options).declared
    assert declared is not None
    delay = dict(zip(("self", "down", "late"), delays, strict=True))
    parts = [dataclasses.replace(q, delay=delay.get(q.name, 0) * ms) for q in declared.projections]
    return bl.NetworkSpec(populations=declared.populations, projections=parts, duration=14 * ms, timing="brian2")


@pytest.mark.parametrize("neuron", some(("cuba", "subtracts", "frozen"), KINDS))
def test_brian_equals_the_reference(neuron: str) -> None:
    check(timed(KINDS[neuron], (0, 0, 2)), RULES["tfr"], active=True, **BRIAN)


@pytest.mark.parametrize("rule", some(("dalton", "tfr-trace"), RULES))
def test_brian_equals_the_reference_for_all_rules(rule: str) -> None:
    check(timed(delays=(2, 1, 0)), RULES[rule], active=True, **BRIAN)


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("neuron", some(("cuba", "refractory", "subtracts", "frozen"), KINDS))
def test_discrete_equals_the_reference(neuron: str, kernels: bool) -> None:
    engine = bl.Discrete(kernels=kernels)
    check(timed(KINDS[neuron], (0, 0, 2)), RULES["tfr"], active=True, engine=engine)
    check(timed(KINDS[neuron], (2, 1, 0)), RULES["dalton"], active=True, engine=engine)


@pytest.mark.parametrize("rule", RULES)
def test_discrete_equals_the_reference_for_all_rules(rule: str) -> None:
    check(timed(delays=(2, 1, 0)), RULES[rule], active=True, **DISCRETE)


def draws(*rules: str, least: int) -> Any:
    return given(spec=graphs(tuple(KINDS), "brian2", least), rule=st.sampled_from(rules), seed=st.integers(0, 99))


@examples(5)
@draws(*FROM_READOUTS, least=0)
def test_discrete_equals_the_reference_on_random_graphs(spec: Any, rule: str, seed: int) -> None:
    if "trace" in rule and any(p.neuron is NEURONS["adaptive"] for p in spec.neurons):
        rule = rule.removesuffix("-trace")
    check(spec, RULES[rule], seed, **DISCRETE)


@examples(3)
@draws("dalton", "dalton-trace", least=1)
def test_errors_go_down_on_random_graphs(spec: Any, rule: str, seed: int) -> None:
    if any(p.neuron is NEURONS["adaptive"] for p in spec.neurons):
        rule = rule.removesuffix("-trace")
    check(spec, RULES[rule], seed, **DISCRETE)


@examples(1)
@draws("tfr", "dfa", least=0)
def test_brian_equals_the_reference_on_random_graphs(spec: Any, rule: str, seed: int) -> None:
    check(spec, RULES[rule], seed, **BRIAN)


@pytest.mark.slow
@examples(40)
@draws(*FROM_READOUTS[:2], least=0)
def test_both_engines_equal_the_reference_on_many_graphs(spec: Any, rule: str, seed: int) -> None:
    check(spec, RULES[rule], seed, **BRIAN)
    for name in {rule, "tfr-trace"} if not any(p.neuron is NEURONS["adaptive"] for p in spec.neurons) else {rule}:
        check(spec, RULES[name], seed, **DISCRETE)


@pytest.mark.cpp_standalone
@pytest.mark.slow
@examples(4)
@draws("tfr", "dfa", least=0)
def test_standalone_equals_the_reference_on_random_graphs(spec: Any, rule: str, seed: int) -> None:
    check(spec, RULES[rule], seed, engine="brian", device="cpp_standalone")


@pytest.mark.cpp_standalone
@pytest.mark.slow
@pytest.mark.parametrize("neuron", KINDS)
def test_standalone_equals_the_reference(neuron: str) -> None:
    check(timed(KINDS[neuron], (0, 0, 2)), RULES["tfr"], active=True, engine="brian", device="cpp_standalone")


@pytest.mark.parametrize(
    "kinds",
    [
        ("subtracts", "frozen"),
        pytest.param(("cuba", "forgets", "frozen for one step", "adaptive"), marks=pytest.mark.slow),
    ],
)
def test_it_is_what_plain_brian2_objects_do(kinds: tuple[str, ...]) -> None:
    """The same populations written by hand in Brian2's own schedule: the same spikes."""
    import brian2

    for kind in kinds:
        neuron, spec = KINDS[kind], timed(KINDS[kind], (0, 1, 2))
        x, _ = samples(3)
        learner = bl.Learner(spec, None, dtype="float64", batch_size=3, **DISCRETE)
        state = learner.init()
        found = learner.infer(state, bl.Samples(x), record=("spikes",)).spikes
        given = found["input"].dense().reshape(3, 14, -1)
        for k in range(2):
            brian2.start_scope()
            brian2.defaultclock.dt = 1 * ms
            t, i = np.nonzero(given[k])
            groups: dict[str, Any] = {"input": brian2.SpikeGeneratorGroup(6, i, t * ms)}
            groups["always"] = brian2.NeuronGroup(1, "x : 1", threshold="True", name="every_step")
            for p in spec.neurons:
                options = {} if neuron.refractory is None else {"refractory": neuron.refractory}
                groups[p.name] = brian2.NeuronGroup(
                    p.n,
                    neuron.equations,
                    threshold=neuron.threshold,
                    reset=neuron.reset,
                    method="exact",
                    namespace=dict(neuron.constants),
                    **options,
                )
            network = brian2.Network(*groups.values())
            for q in spec.projections:
                synapses = brian2.Synapses(
                    groups[q.source], groups[q.target], "w : 1", on_pre=f"{neuron.input}_post += w", delay=q.delay
                )
                c = q.connectivity
                synapses.connect(i=c.pre, j=c.post)
                synapses.w = matrix(q, state.weights[q.name])[c.post, c.pre]
                network.add(synapses)
            monitors = {p.name: brian2.SpikeMonitor(groups[p.name]) for p in spec.neurons}
            network.add(*monitors.values())
            brian2.prefs.codegen.target = "numpy"
            network.run(14 * ms)
            for name, monitor in monitors.items():
                raster = np.zeros((14, groups[name].N))
                raster[np.round(np.asarray(monitor.t / ms)).astype(int), np.asarray(monitor.i)] = 1
                np.testing.assert_array_equal(found[name].dense()[k].reshape(14, -1), raster != 0, err_msg=kind)
                assert raster.any(), f"{name} is silent in this test"


@pytest.mark.parametrize("rule", [bl.TFR(update="step"), bl.TFR(update="step", eligibility="trace")])
@pytest.mark.parametrize("neuron", some(("delta",), ("cuba", "delta", "frozen")))
def test_steps_learn_the_same_on_both_engines(neuron: str, rule: Any) -> None:
    x, labels = samples(2)
    found = []
    for engine, device in (("brian", "numpy"), ("discrete", "cpu")):
        spec = timed(KINDS[neuron], (0, 1, 2))
        learner = bl.Learner(spec, rule, bl.SGD(1e-2), engine=engine, device=device, dtype="float64", batch_size=1)
        found.append(learner.learn(learner.init(), bl.Samples(x[:2], labels[:2]))[0].weights)
    before = learner.init().weights
    for name, w in found[0].items():
        assert name.startswith(("readout", "to_out")) or np.abs(w - before[name]).max() > 1e-6, name
        np.testing.assert_allclose(found[1][name], w, rtol=0, atol=1e-12, err_msg=name)


def plain_loop(spec: bl.NetworkSpec, weights: dict[str, Any], x: np.ndarray, kept: bool) -> Any:
    """The readout (T, N, classes) of `timed` with LIF neurons that subtract 1, from the equations."""
    given = np.stack([reference.integrate_and_fire()(v, 14) for v in x])
    spikes: dict[str, list[Any]] = {"input": list(torch.tensor(given).transpose(0, 1)), "first": [], "second": []}
    v = {p.name: torch.zeros(len(x), p.n, dtype=torch.float64) for p in spec.neurons}
    y, found = 0.0, []
    for t in range(14):
        for name in v:
            v[name] = np.exp(-1 / 8) * v[name]
            spikes[name].append(Spike.apply(v[name] - 1))
        for name in v:
            for p in spec.projections:
                past = t - round(float(p.delay) / 1e-3)
                w = weights[p.name]
                if p.target == name and p.name.endswith("_bias"):
                    v[name] = v[name] + w
                elif p.target == name and past >= 0:
                    if w.ndim == 1:
                        where = (torch.tensor(p.connectivity.post).long(), torch.tensor(p.connectivity.pre).long())
                        w = torch.zeros(p.n_post, p.n_pre, dtype=torch.float64).index_put(where, w)
                    v[name] = v[name] + spikes[p.source][past] @ w.T
        for name in v:
            fired = spikes[name][t]
            v[name] = v[name] - (fired if kept else fired.detach())
        y = np.exp(-1 / 5) * y + spikes["second"][t] @ weights["to_out"].T + weights["to_out_bias"]
        found.append(y)
    return torch.stack(found)


@pytest.mark.parametrize("path", ["detached", "kept"])
@pytest.mark.parametrize("kernels", [True, False])
def test_back_propagation_equals_autograd_of_a_plain_loop(kernels: bool, path: str) -> None:
    spec = timed(ENTANGLED["subtracts"], (0, 1, 2))
    x, _ = samples(1)
    module = bl.export(spec, seed=1, dtype=torch.float64, kernels=kernels, reset_path=path)
    loss = (module(x).readout ** 2).sum()
    tensors = {name: p.detach().clone().requires_grad_() for name, p in module.named_parameters()}
    plain = (plain_loop(spec, tensors, x, path == "kept") ** 2).sum()
    assert abs(loss.item() - plain.item()) < 1e-10
    names = list(tensors)
    found = torch.autograd.grad(loss, [module.get_parameter(n) for n in names])
    expected = torch.autograd.grad(plain, [tensors[n] for n in names])
    for name, g, e in zip(names, found, expected, strict=True):
        assert e.abs().max() > 1e-3, f"{name} does not learn in this test"
        torch.testing.assert_close(g, e, rtol=1e-10, atol=1e-10, msg=name)


@examples(3)
@given(spec=graphs(tuple(KINDS), "brian2", 0), seed=st.integers(0, 99))
def test_kernels_and_plain_torch_give_the_same_gradients(spec: Any, seed: int) -> None:
    x, _ = samples(seed)
    found = []
    for kernels in (True, False):
        module = bl.export(spec, seed=seed, dtype=torch.float64, kernels=kernels, reset_path="kept")
        activity = module(x, record=("membranes",))
        loss = (activity.logits**2).sum() + sum((m**2).mean() for m in activity.membranes.values())
        names = [p.name for p in spec.projections]
        gradients = torch.autograd.grad(loss, [module.get_parameter(n) for n in names], allow_unused=True)
        found.append((activity, dict(zip(names, gradients, strict=True))))
    for name, spikes in found[0][0].spikes.items():
        assert torch.equal(spikes, found[1][0].spikes[name]), name
    for name, g in found[0][1].items():
        if g is not None:
            torch.testing.assert_close(g, found[1][1][name], rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("neuron", ["cuba", "frozen"])
def test_parts_of_a_trial_give_the_same_gradients(neuron: str) -> None:
    x, labels = samples(5)
    found = []
    for steps in (None, 3):
        learner = bl.Learner(
            timed(KINDS[neuron], (0, 1, 2)),
            bl.SurrogateBPTT(),
            bl.SGD(0.1),
            dtype="float64",
            batch_size=3,
            engine=bl.Discrete(checkpoint_steps=steps),
        )
        found.append(learner.learn(learner.init(), bl.Samples(x, labels))[0].weights)
    for name, w in found[0].items():
        np.testing.assert_allclose(found[1][name], w, rtol=0, atol=1e-12, err_msg=name)


def test_a_text_of_synapses_is_the_rule_that_it_restates() -> None:
    x, labels = samples(6)
    found = []
    for rule in (bl.TFR(), bl.SynapticRule(on_pre="gradient += gate*delta*spike_pre", third_factor=bl.TFR())):
        learner = bl.Learner(timed(delays=(0, 0, 1)), rule, bl.Adam(1e-2), dtype="float64", batch_size=3, **BRIAN)
        found.append(learner.learn(learner.init(), bl.Samples(x, labels))[0].weights)
    for name, w in found[0].items():
        np.testing.assert_array_equal(found[1][name], w, err_msg=name)


def test_a_chain_fires_what_it_fires_with_a_step_more_of_delay() -> None:
    """Where the reset does not touch what spikes are delivered to."""
    chain = bl.NetworkSpec(
        bl.Input((6,)),
        [bl.Dense(9, NEURONS["cuba"], name="a"), bl.Dense(8, NEURONS["cuba"], name="b")],
        bl.Readout(3),
        14 * ms,
    )
    x, _ = samples(7)
    found = {}
    for timing in ("same_step", "brian2"):
        learner = bl.Learner(dataclasses.replace(chain, timing=timing), None, dtype="float64", **DISCRETE)
        scaled = {name: 5 * w for name, w in learner.init().weights.items()}
        found[timing] = learner.infer(learner.init(scaled), bl.Samples(x), record=("spikes",)).spikes
    for name, later in (("a", 1), ("b", 2)):
        same, other = (found[t][name].dense() for t in ("same_step", "brian2"))
        assert same.any() and not other[:, :later].any()
        np.testing.assert_array_equal(other[:, later:], same[:, :-later])


def recorded_states() -> None:
    learner = bl.Learner(timed(), None, **DISCRETE)
    learner.infer(learner.init(), bl.Samples(samples(0)[0]), record=("v",))


WRONG = {
    "errors in a circle": (
        lambda: bl.Learner(timed(delays=(1, 0, 0)), bl.DALTON(), engine="discrete"),
        "first -> second -> first[\\s\\S]*TFR",
    ),
    "errors to oneself": (lambda: bl.Learner(timed(delays=(0, 1, 0)), bl.DALTON()), "first -> first"),
    "a cycle in the other order": (
        lambda: dataclasses.replace(timed(delays=(0, 0, 0)), timing="same_step"),
        "timing='brian2'",
    ),
    "unknown": (lambda: dataclasses.replace(timed(), timing="brian"), "did you mean 'brian2'"),
    "what a step ends with": (
        recorded_states,
        "v of first",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what: str) -> None:
    make, text = WRONG[what]
    with pytest.raises(BrianLearnError, match=text):
        make()


def test_a_shape_is_found_round_a_cycle() -> None:
    """Populations without a shape get theirs along projections, also where none of them comes first."""
    spec = bl.NetworkSpec(
        populations=[
            bl.Population("input", (1, 6, 6), bl.IntegrateAndFireEncoder()),
            bl.Population("b", None, NEURONS["cuba"]),
            bl.Population("a", None, NEURONS["cuba"]),
            bl.Population("out", 3, bl.LinearReadout()),
        ],
        projections=[
            bl.Projection("ab", "a", "b", bl.OneToOne()),
            bl.Projection("ba", "b", "a", bl.OneToOne()),
            bl.Projection("in", "input", "a", bl.Conv2d(2, 3)),
            bl.Projection("to_out", "b", "out"),
        ],
        duration=5 * ms,
        timing="brian2",
    )
    assert {p.name: p.shape for p in spec.neurons} == {"a": (2, 4, 4), "b": (2, 4, 4)}
