"""Synaptic rules as text: DALTON again, pair STDP by hand, reward-modulated STDP in numpy, run folders, errors."""

from __future__ import annotations

import dataclasses
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from brian2 import Network, SpikeGeneratorGroup, Synapses, defaultclock, ms, mV

import brianlearn as bl
from brianlearn.brian.build.plan import Plan
from brianlearn.brian.cpp.fingerprint import fingerprint
from brianlearn.brian.run.runtime import runtime_device
from brianlearn.errors import BrianLearnError, EquationError, RuleError, SpecError, UnitError
from brianlearn.training.progress import Progress

STDP_MODEL = "dx/dt = -x/tau_pre : 1 (event-driven)\ndy/dt = -y/tau_post : 1 (event-driven)"
TAUS = dict(tau_pre=7 * ms, tau_post=5 * ms)


def learner(spec: Any, rule: Any, optimiser: Any, **options: Any) -> bl.Learner:
    options = dict(engine="brian", device="numpy", dtype="float64", batch_size=1) | options
    return bl.Learner(spec, rule, optimiser, **options)


# DALTON, written as text ----------------------------------------------------------------------------------------------


def deep(conv: bool = False, encoder: Any = None, **options: Any) -> bl.NetworkSpec:
    neuron = bl.DaltonIF(tau_s=2 * ms) if conv else bl.CubaLIF(R=4.0)
    first: Any = (
        bl.Conv(3, 3, neuron, pool=2, **options) if conv else bl.Dense(9, neuron, weights=bl.Normal(4.0), **options)
    )
    layers = [first, bl.Dense(8, neuron, weights=bl.Normal(4.0)), bl.Dense(7, neuron, weights=bl.Normal(4.0))]
    return bl.NetworkSpec(
        bl.Input((1, 6, 6), encoder or bl.IntegrateAndFireEncoder()),
        layers,
        bl.Readout(4),
        duration=14 * ms,
        burn_in=2 * ms,
    )


def images() -> bl.Samples:
    rng = np.random.default_rng(3)
    return bl.Samples(rng.uniform(0, 0.8, (6, 1, 6, 6)), rng.integers(0, 4, 6))


BATCH = "gradient += gate*delta*spike_pre"
STEP = "weight -= learning_rate*scale*(gate*delta*spike_pre)"


def assert_same_learning(spec: Any, pairs: Any, optimiser: Any, **options: Any) -> None:
    """Two rules learn the same weights to the last bit; the second of each pair is a text."""
    for rules in pairs:
        states = []
        for rule in rules:
            made = learner(spec, rule, optimiser, **options)
            state, metrics = made.learn(made.init(), images())
            states.append((state, metrics.accuracy, metrics.loss, metrics.firing_rates))
        (a, *measured), (b, *again) = states
        assert measured == again
        assert a.steps == b.steps
        for name, w in a.weights.items():
            assert not np.array_equal(w, made.init().weights[name]) or name.startswith(("readout", "feedback"))
            np.testing.assert_array_equal(b.weights[name], w, err_msg=name)
        for name, slots in a.optimiser.items():
            for slot, array in slots.items():
                np.testing.assert_array_equal(b.optimiser[name][slot], array, err_msg=f"{name} {slot}")


@pytest.mark.parametrize("conv", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_dalton_as_text_is_dalton_to_the_last_bit(conv: bool, dtype: str) -> None:
    spec = deep(conv, bl.DirectCurrent(gain=0.5) if conv else None, dropout=0.3)
    pair = (bl.DALTON(), bl.SynapticRule(on_pre=BATCH, third_factor=bl.DALTON()))
    assert_same_learning(spec, [pair], bl.Adam(1e-2), batch_size=3, dtype=dtype)


def test_dalton_as_text_in_every_step() -> None:
    pair = (bl.DALTON(update="step"), bl.SynapticRule(on_pre=STEP, third_factor=bl.DALTON()))
    assert_same_learning(deep(), [pair], bl.SGD(1e-2))


def test_tfr_and_dfa_as_text() -> None:
    pairs = [(rule, bl.SynapticRule(on_pre=BATCH, third_factor=rule)) for rule in (bl.TFR(), bl.DFA())]
    assert_same_learning(deep(), pairs, bl.Momentum(1e-2), batch_size=3)


def test_dalton_as_text_in_a_graph() -> None:
    """Two inputs, a skip, two ways to the readout, and a projection that does not learn; describe shows the texts."""
    from brianlearn.brian import describe

    neuron, start = bl.CubaLIF(R=4.0), bl.Normal(4.0)
    populations = [
        bl.Population("a", (6,), bl.IntegrateAndFireEncoder()),
        bl.Population("b", (5,), bl.IntegrateAndFireEncoder()),
        bl.Population("h", (7,), neuron),
        bl.Population("k", (6,), neuron),
        bl.Population("out", (3,), bl.LinearReadout()),
    ]
    ways = [
        ("a", "h", True),
        ("b", "k", True),
        ("h", "k", True),
        ("a", "k", False),
        ("k", "out", False),
        ("h", "out", False),
    ]
    projections = [bl.Projection(s + t, s, t, weights=start, learned=learned) for s, t, learned in ways]
    spec = bl.NetworkSpec(populations=populations, projections=projections, duration=14 * ms)
    rng = np.random.default_rng(1)
    samples = bl.Samples({"a": rng.random((4, 6)), "b": rng.random((4, 5))}, rng.integers(0, 3, 4))
    text = bl.SynapticRule(on_pre=BATCH, third_factor=bl.DALTON())
    results = []
    for rule in (bl.DALTON(), text):
        made = learner(spec, rule, bl.Adam(1e-2), batch_size=2)
        results.append((made.init(), made.learn(made.init(), samples)[0]))
    for name in ("ah", "bk", "hk", "ak"):
        np.testing.assert_array_equal(results[0][1].weights[name], results[1][1].weights[name], err_msg=name)
        assert np.array_equal(results[1][0].weights[name], results[1][1].weights[name]) == (name == "ak")
    shown = describe(spec, text, batch_size=2)
    assert "plastic_hk: h -> k, 42 synapses, weights in w_hk" in shown
    assert "plastic_ak" not in shown


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("conv", [False, True])
def test_dalton_as_text_compiled(conv: bool) -> None:
    """To the last bit where both run as synapses; loops add up in another order."""
    from brianlearn.brian.engine import BrianEngine

    spec, optimiser = deep(conv), bl.Adam(1e-2)
    found: dict[tuple[str, bool], Any] = {}
    for implementation in ("synapses", "loops"):
        for text in (False, True):
            rule: Any = bl.SynapticRule(on_pre=BATCH, third_factor=bl.DALTON()) if text else bl.DALTON()
            engine = BrianEngine(
                spec,
                rule,
                optimiser,
                device="cpp_standalone",
                dtype="float64",
                batch_size=3,
                implementation=implementation,
            )
            start = learner(spec, rule, optimiser, batch_size=3).init()
            found[implementation, text] = engine.learn(start, images(), 1e-2)[0].weights
    for name, w in found["synapses", False].items():
        np.testing.assert_array_equal(found["synapses", True][name], w, err_msg=name)
        np.testing.assert_allclose(found["loops", True][name], w, rtol=0, atol=1e-12, err_msg=name)


# pair STDP ------------------------------------------------------------------------------------------------------------


def driven(n_pre: int, n_post: int, trials: int, **options: Any) -> tuple[bl.NetworkSpec, bl.Samples]:
    """Neurons that fire on their own, so that weights change and spikes do not; and spikes that come in."""
    steps, rng = 40, np.random.default_rng(5)
    neuron = bl.Neuron(
        "dv/dt = (b - v)/tau_m + 1e-9*I/tau_m : 1\ndI/dt = -I/tau_s : 1",
        threshold="v > 1",
        reset="v = 0",
        input="I",
        constants=dict(tau_m=10 * ms, tau_s=5 * ms, b=np.linspace(1.3, 4.0, n_post)),
    )
    spec = bl.NetworkSpec(
        bl.Input((n_pre,), bl.Spikes()), [bl.Dense(n_post, neuron)], readout=None, duration=steps * ms, **options
    )
    raster = rng.random((trials, steps, n_pre)) < 0.15
    return spec, bl.Samples(bl.Events.from_dense(raster, "BTN"), rng.integers(0, n_post, trials))


def plain_stdp(
    pre: np.ndarray, post: np.ndarray, w: np.ndarray, on_pre: str, on_post: str, model: str, **constants: Any
) -> np.ndarray:
    """A trial as a user of Brian2 writes it: generators, Synapses, default schedule; w (post, pre)."""
    with runtime_device():
        defaultclock.dt = 1 * ms
        generators = []
        for raster in (pre, post):
            t, i = np.nonzero(raster)
            generators.append(SpikeGeneratorGroup(raster.shape[1], i, t * ms))
        s = Synapses(*generators, f"{model}\nw : 1", on_pre=on_pre, on_post=on_post, namespace=constants)
        s.connect()
        s.w = w.T.ravel()
        Network(*generators, s).run(len(pre) * ms, namespace={})
        return np.array(s.w).reshape(w.T.shape).T


@pytest.mark.parametrize(
    ("bounds", "lines"),
    [
        ({}, ("x += 1; weight -= learning_rate*y", "y += 1; weight += learning_rate*x")),
        (dict(w_min=-0.2, w_max=0.25), ("x += 1; weight -= learning_rate*y", "y += 1; weight += learning_rate*x")),
        (
            {},
            (
                "x += 1\nweight = weight*(1 - learning_rate*y)  # soft",
                "y += 1; d = 1 - weight; weight += learning_rate*d*x",
            ),
        ),
    ],
    ids=["additive", "bounded", "multiplicative"],
)
def test_pair_stdp_is_that_of_a_network_written_by_hand(bounds: Any, lines: tuple[str, str]) -> None:
    spec, samples = driven(6, 5, trials=3)
    rate = 0.05
    rule = bl.SynapticRule(STDP_MODEL, on_pre=lines[0], on_post=lines[1], constants=TAUS, **bounds)
    made = learner(spec, rule, bl.SGD(rate), chunk_size=2)
    start = made.init()
    state, metrics = made.learn(start, bl.Samples(samples.inputs))  # without labels
    assert np.isnan(metrics.accuracy)
    assert state.steps == 3 * 40
    activity = made.infer(start, samples, record="spikes")
    after = made.infer(state, samples, record="spikes")
    rasters = {name: activity.spikes[name].dense().reshape(3, 40, -1) for name in ("input", "dense1")}
    np.testing.assert_array_equal(after.spikes["dense1"].dense().reshape(3, 40, -1), rasters["dense1"])
    assert 20 < rasters["dense1"].sum() < 300
    texts = []
    for text in lines:
        text = text.replace("learning_rate", repr(rate)).replace("weight", "w").replace(";", "\n")
        texts.append(text + (f"\nw = clip(w, {bounds['w_min']}, {bounds['w_max']})" if bounds else ""))
    w = start.weights["dense1"]
    for k in range(3):
        w = plain_stdp(rasters["input"][k], rasters["dense1"][k], w, texts[0], texts[1], STDP_MODEL, **TAUS)
    assert np.abs(w - start.weights["dense1"]).max() > 0.1
    np.testing.assert_allclose(state.weights["dense1"], w, rtol=0, atol=1e-12)
    if bounds:
        assert state.weights["dense1"].max() == bounds["w_max"]


def test_synapses_start_anew_in_each_trial_also_where_their_variables_rest_elsewhere() -> None:
    """dx/dt = (1 - x)/tau has a value of its own at every time since the trial began: not since the last spike."""
    spec, samples = driven(4, 3, trials=3)
    rule = bl.SynapticRule(
        "dx/dt = (1 - x)/tau_x : 1 (event-driven)",
        on_pre="weight += learning_rate*x; x = x*0.5",
        constants=dict(tau_x=20 * ms),
        initial=dict(x=0.25),
    )
    made = learner(spec, rule, bl.SGD(0.1))
    start = made.init()
    state, _ = made.learn(start, samples)
    raster = made.infer(start, samples, record="spikes").spikes["input"].dense().reshape(3, 40, -1)
    w = np.zeros(4)
    for trial in raster:
        x, last = np.full(4, 0.25), np.zeros(4)
        for t, fired in enumerate(trial):
            x = np.where(fired > 0, 1 + (x - 1) * np.exp(-(t - last) / 20), x)
            w += 0.1 * x * fired
            x, last = np.where(fired > 0, x * 0.5, x), np.where(fired > 0, t, last)
    np.testing.assert_allclose(state.weights["dense1"] - start.weights["dense1"], np.tile(w, (3, 1)), atol=1e-12)


# reward-modulated STDP ------------------------------------------------------------------------------------------------

RSTDP = bl.SynapticRule(
    model="""dx/dt = -x/tau_pre : 1 (event-driven)
             dy/dt = -y/tau_post : 1 (event-driven)
             dc/dt = -c/tau_c : 1 (clock-driven)""",
    on_pre="x += 1; c += A_minus*y",
    on_post="y += 1; c += A_plus*x",
    update="weight += learning_rate*L*c",
    third_factor=bl.Reward("last*(2*correct - 1)", baseline=0.3),
    constants=TAUS | dict(tau_c=30 * ms, A_plus=0.4, A_minus=-0.25),
)


def task(readout: bool, trials: int = 5) -> tuple[bl.NetworkSpec, bl.Samples]:
    rng, steps = np.random.default_rng(8), 25
    neuron = bl.LIF(tau_m=8 * ms)
    layers = [bl.Dense(5, neuron, weights=bl.Normal(3.0)), bl.Dense(3, neuron, weights=bl.Normal(8.0))]
    out = bl.Readout(3) if readout else None
    spec = bl.NetworkSpec(bl.Input((6,), bl.Spikes()), layers, out, duration=steps * ms, burn_in=4 * ms)
    raster = rng.random((trials, steps, 6)) < 0.3
    return spec, bl.Samples(bl.Events.from_dense(raster, "BTN"), rng.integers(0, 3, trials))


def in_numpy(rule: Any, spec: Any, samples: bl.Samples, raster: np.ndarray, weights: Any, rate: float) -> Any:
    """Florian's and Izhikevich's rule, step by step, from the equations of docs/synaptic_rules.md."""
    tau = {name: float(value) * 1e3 for name, value in rule.constants.items() if name.startswith("tau")}
    plus, minus = rule.constants["A_plus"], rule.constants["A_minus"]
    layers = reference.from_spec(dataclasses.replace(spec, readout=bl.Readout(3))).layers
    names, shapes = [layer.name for layer in layers], [(5,), (3,)]
    w, mean = {name: array.copy() for name, array in weights.items()}, 0.0
    for spikes, label in zip(raster, samples.labels, strict=True):
        populations = [reference.Population(layer, shape) for layer, shape in zip(layers, shapes, strict=True)]
        x, y, c = ({n: np.zeros(w[n].shape) for n in names} for _ in range(3))
        total = np.zeros(3)
        for t, s in enumerate(spikes):
            fired = [s.astype(float)]
            for population in populations:
                fired.append(population.advance(w[population.layer.name], fired[-1]).spikes)
            now = w["readout"] @ fired[-1] if "readout" in w else fired[-1]
            total = total + now * (t >= 4)
            for k, n in enumerate(names):
                pre, post = fired[k][None, :], fired[k + 1][:, None]
                x[n], y[n] = x[n] * np.exp(-1 / tau["tau_pre"]), y[n] * np.exp(-1 / tau["tau_post"])
                c[n] = c[n] * np.exp(-1 / tau["tau_c"])
                c[n] = c[n] + minus * y[n] * pre
                x[n] = x[n] + pre + 0 * post
                c[n] = c[n] + plus * x[n] * post
                y[n] = y[n] + post + 0 * pre
            correct, last = total.argmax() == label, t == len(spikes) - 1
            reward = {
                "last*(2*correct - 1)": last * (2 * correct - 1),
                "2*correct - 1": 2 * correct - 1,
                "2*label_output - all_outputs + k*(label_mean - all_mean)": 2 * now[label]
                - now.sum()
                + 0.5 * (total[label] - total.sum()) / max(t - 3, 1),
            }[rule.third_factor.value]
            if t < 4 or (rule.every == "trial" and not last):
                continue
            for n in names:
                w[n] = w[n] + rate * (reward - mean) * c[n]
            mean += (rule.third_factor.baseline or 0.0) * (reward - mean)
    return w, mean


REWARDS = {
    "pulse": RSTDP,
    "trial": dataclasses.replace(RSTDP, every="trial", third_factor=bl.Reward(baseline=0.3)),
    "spikes": dataclasses.replace(
        RSTDP,
        third_factor=bl.Reward("2*label_output - all_outputs + k*(label_mean - all_mean)", constants=dict(k=0.5)),
    ),
}


def check_reward(rule: Any, readout: bool, **options: Any) -> None:
    spec, samples = task(readout)
    made = learner(spec, rule, bl.SGD(0.05), **options)
    start = made.init({n: np.abs(w) if n == "dense2" else w for n, w in made.init().weights.items()})  # let all fire
    state, metrics = made.learn(start, samples)
    plain = learner(spec, rule, bl.SGD(0.05))
    raster = plain.infer(start, samples, record="spikes").spikes["input"].dense().reshape(5, 25, 6)
    w, mean = in_numpy(rule, spec, samples, raster, start.weights, 0.05)
    for name in ("dense1", "dense2"):
        assert np.abs(w[name] - start.weights[name]).max() > 1e-3, f"{name} does not learn in this test"
        np.testing.assert_allclose(state.weights[name], w[name], rtol=0, atol=1e-12, err_msg=name)
    if rule.third_factor.baseline is not None:
        np.testing.assert_allclose(state.rule["reward_signal.mean"], [mean], atol=1e-14)
        assert abs(mean) > 1e-3
    assert state.steps == (5 if rule.every == "trial" else 5 * 21)
    assert metrics.samples == 5


@pytest.mark.parametrize("readout", [True, False], ids=["readout", "spikes"])
@pytest.mark.parametrize("name", REWARDS)
def test_reward_modulated_stdp_is_that_of_plain_numpy(name: str, readout: bool) -> None:
    check_reward(REWARDS[name], readout, chunk_size=2)


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("name", REWARDS)
def test_reward_modulated_stdp_compiled(name: str) -> None:
    check_reward(REWARDS[name], readout=name != "spikes", device="cpp_standalone")


@pytest.mark.slow
def test_a_reward_alone_teaches_a_small_task(tmp_path: Path) -> None:
    """The script of network_specs: neurons that hear one number come to tell two patterns apart."""
    script = runpy.run_path(str(Path(__file__).parents[1] / "network_specs" / "rstdp.py"))
    made = script["experiment"]()
    before = learner(made.spec, made.rule, made.optimiser)
    unlearned = before.infer(before.init(), made.data[1]).accuracy
    result = dataclasses.replace(made, epochs=1, runs=tmp_path).run(progress=False)
    assert unlearned < 0.8
    assert result.test_accuracy > 0.95
    groups = result.weights["dense1"].reshape(2, 2, 10).mean(axis=2)  # neuron, group of inputs
    assert np.diag(groups).min() > 0.15 > 0.1 > max(groups[0, 1], groups[1, 0])


def test_evaluation_changes_nothing() -> None:
    """The program that learns also evaluates: texts that change weights without a learning rate must stand still."""
    spec, samples = task(readout=True, trials=6)
    rule = dataclasses.replace(RSTDP, update="weight = 0.5*weight + 0.01*c + 0*L", w_max=0.3)
    made = learner(spec, rule, bl.SGD(0.1))
    state = made.init()
    together = made.infer(state, samples)
    one_by_one = [made.infer(state, samples[k : k + 1]).logits[0] for k in range(6)]
    np.testing.assert_array_equal(together.logits, np.stack(one_by_one))
    np.testing.assert_array_equal(together.logits, learner(spec, None, None).infer(state, samples).logits)


def test_bounds_hold_where_an_optimiser_changes_weights() -> None:
    spec, samples = task(readout=True, trials=6)
    rule = dataclasses.replace(RSTDP, update="gradient -= L*c", w_min=-0.2, w_max=0.1)
    made = learner(spec, rule, bl.SGD(1.0), batch_size=3)
    free = learner(spec, dataclasses.replace(rule, w_min=None, w_max=None), bl.SGD(1.0), batch_size=6)
    start = made.init()
    (once, _), (all_at_once, _) = made.learn(start, samples[:3]), free.learn(start, samples)
    for name in ("dense1", "dense2"):
        w = once.weights[name]
        assert (w.min(), w.max()) == (-0.2, 0.1)
        assert all_at_once.weights[name].max() > 0.1
    expected = free.learn(start, samples[:3])[0].weights["dense1"]
    np.testing.assert_array_equal(once.weights["dense1"], np.clip(expected, -0.2, 0.1))


def test_neurons_of_both_sides_can_be_read() -> None:
    """v_pre and v_post are those at the end of the step, after the reset."""
    neuron = bl.LIF(tau_m=8 * ms)
    layers = [bl.Dense(5, neuron, weights=bl.Normal(3.0)), bl.Dense(3, neuron)]
    spec = bl.NetworkSpec(bl.Input((6,), bl.Spikes()), layers, bl.Readout(3), duration=25 * ms)
    rule = bl.SynapticRule(update="gradient += v_pre*v_post")
    with pytest.raises(RuleError, match="the neurons of 'input' have no state variable 'v'"):
        bl.Learner(spec, rule, bl.SGD(1.0))
    rule = bl.SynapticRule(update="gradient += v_post + 0*psi")
    _, samples = task(readout=True)
    made = learner(spec, rule, bl.SGD(1.0), batch_size=5)
    start = made.init()
    state, _ = made.learn(start, samples)
    raster = made.infer(start, samples, record="spikes").spikes["input"].dense().reshape(5, 25, 6)
    populations = [
        reference.Population(layer, (n,)) for layer, n in zip(reference.from_spec(spec).layers, (5, 3), strict=True)
    ]
    total = np.zeros(3)
    for trial in raster:
        populations = [reference.Population(p.layer, p.state["v"].shape) for p in populations]
        for s in trial:
            for population in populations:
                s = population.advance(start.weights[population.layer.name], s.astype(float)).spikes
            total += populations[-1].state["v"] / 5
    expected = np.repeat(total[:, None], 5, axis=1)
    np.testing.assert_allclose(start.weights["dense2"] - state.weights["dense2"], expected, rtol=0, atol=1e-12)


# run folders, studies, programs ---------------------------------------------------------------------------------------


def experiment(**changes: Any) -> bl.Experiment:
    spec, samples = task(readout=False, trials=8)
    made = bl.Experiment(
        spec,
        RSTDP,
        bl.SGD(0.05, halve_every=1),
        data=(samples[:6], samples[6:]),
        epochs=2,
        batch_size=1,
        chunk_size=2,
        validation=0,
        device="numpy",
    )
    return dataclasses.replace(made, **changes)


class Stop(Progress):
    """Ends a run after a number of chunks, as a signal would."""

    def __init__(self, chunks: int) -> None:
        self.left = chunks

    def learned(self, done: int, running: Any) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_a_run_folder_resumes_bit_for_bit(tmp_path: Path) -> None:
    whole = experiment(runs=tmp_path / "whole").run(progress=False)
    with pytest.raises(KeyboardInterrupt):
        experiment(runs=tmp_path / "cut").run(progress=Stop(4))
    (folder,) = (tmp_path / "cut").iterdir()
    assert folder.name.endswith("-synaptic")
    stored = bl.Experiment.from_run(folder, experiment().data)
    assert stored.rule.text.statements == RSTDP.text.statements
    again = experiment().run(resume=folder, progress=False)
    for name, w in whole.weights.items():
        np.testing.assert_array_equal(again.weights[name], w)
        assert name == "readout" or np.abs(w).max() > 0
    with np.load(folder / "checkpoint.npz") as a, np.load(whole.run / "checkpoint.npz") as b:
        assert a["rule/reward_signal.mean"] == b["rule/reward_signal.mean"] != 0
    arrays = dict(np.load(folder / "checkpoint.npz"))
    del arrays["rule/reward_signal.mean"]
    np.savez(folder / "checkpoint.npz", **arrays)
    with pytest.raises(BrianLearnError, match="checkpoint"):
        experiment(epochs=3).run(resume=folder, progress=False)


def test_constants_are_axes_of_one_program() -> None:
    made = experiment()
    assert bl.with_parameters(made, {"rule.tau_c": 10 * ms}).rule.constants["tau_c"] == 10 * ms
    names = set()
    for name, value in [("rule.tau_c", 10 * ms), ("rule.A_plus", 0.1), ("rule.third_factor.baseline", 0.9)]:
        rule: Any = bl.with_parameters(made, {name: value}).rule
        names.add(fingerprint(Plan(made.spec, rule, bl.SGD(0.1), 1, 4, "float64")))
    names.add(fingerprint(Plan(made.spec, RSTDP, bl.SGD(0.2), 1, 4, "float64")))
    assert len(names) == 1
    with pytest.raises(SpecError, match="no such"):
        bl.with_parameters(made, {"rule.tau": 10 * ms})


# what is wrong is said before anything is built -----------------------------------------------------------------------

PLAIN: dict[str, Any] = dict(model=STDP_MODEL, on_pre="x += 1", on_post="y += 1; weight += learning_rate*x")


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        (dict(model="dx/dt = x +"), EquationError, "model cannot be read"),
        (dict(on_pre="x +"), EquationError, "on_pre cannot be read"),
        (dict(on_pre="x **= 2"), EquationError, "operation"),
        (dict(on_pre="x += z"), EquationError, "unknown name in on_pre"),
        (dict(on_pre="x += L"), EquationError, "reads 'L', which the rule does not have"),
        (dict(on_pre="x += reward"), EquationError, "reads 'reward'"),
        (dict(on_pre="x += delta_post"), EquationError, "reads 'delta'"),
        (dict(on_pre="X = 1"), EquationError, "writes a name that nothing reads"),
        (dict(on_pre="v_post += weight"), EquationError, "not a synapse's own"),
        (dict(on_pre="x += 1; tau_pre = 1*ms"), EquationError, "not a synapse's own"),
        (dict(on_pre="x += 1; psi = 1"), EquationError, "not a synapse's own"),
        (dict(on_pre="x += rand()"), EquationError, "random"),
        (dict(on_pre="gradient = x"), EquationError, "does not add to the gradient"),
        (dict(on_pre="x += 1; gradient += x"), EquationError, "both weight and gradient"),
        (dict(on_post="y += 1"), EquationError, "change no weight"),
        (dict(update="weight += learning_rate*x"), EquationError, "known at spikes only"),
        (dict(on_pre="x += 1*mV"), UnitError, "units do not fit"),
        (dict(on_pre="x += tau_pre"), UnitError, "units do not fit"),
        (dict(constants=dict(tau_pre=20, tau_post=20 * ms)), UnitError, "units do not fit"),
        (dict(constants=TAUS | dict(tau_c=3 * ms)), EquationError, "'tau_c'"),
        (dict(constants=TAUS | dict(weight=1.0)), EquationError, "means something else"),
        (dict(constants=TAUS | dict(k=[1.0, 2.0])), SpecError, "one finite number"),
        (dict(constants=dict(tau_pre=20 * ms)), EquationError, "no solution from one event"),
        (dict(model="dx/dt = -x**2/tau_pre : 1 (event-driven)\ny : 1"), EquationError, "no exact solution"),
        (dict(model="dx/dt = (psi - x)/tau_pre : 1 (event-driven)\ny : 1"), EquationError, "no solution from one"),
        (
            dict(model=STDP_MODEL + "\ndc/dt = (x - c)/tau_pre : 1 (clock-driven)"),
            EquationError,
            "known at events only",
        ),
        (dict(model=STDP_MODEL + "\nweight : 1"), EquationError, "given by the network"),
        (dict(model=STDP_MODEL + "\nn : integer"), EquationError, "no real number"),
        (dict(model=STDP_MODEL + "\nk : 1 (shared)"), EquationError, "flag"),
        (dict(initial=dict(z=1)), SpecError, "initial names no variable"),
        (dict(initial=dict(x=1 * mV)), UnitError, "initial value"),
        (dict(w_min=1.0, w_max=0.0), RuleError, "bounds"),
        (dict(every="epoch"), RuleError, "every"),
        (dict(every="trial"), RuleError, "nothing to run at the end"),
        (dict(third_factor="reward"), RuleError, "third_factor is of the wrong type"),
        (dict(third_factor=bl.Reward()), RuleError, "third factor is not used"),
        (dict(third_factor=bl.DALTON(feedback="mirror"), update="weight -= L"), RuleError, "feedback"),
        (dict(third_factor=bl.EProp(), update="weight -= L"), RuleError, "eligibility"),
        (
            dict(third_factor=bl.Reward(), every="trial", update="weight += L", on_pre="x += L"),
            EquationError,
            "end of a trial",
        ),
    ],
)
def test_what_is_wrong_with_a_text_is_named(fields: Any, kind: Any, text: str) -> None:
    with pytest.raises(kind, match=text):
        bl.SynapticRule(**PLAIN | dict(constants=TAUS) | fields)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (dict(value="2*right"), "unknown name"),
        (dict(value="correct +"), "cannot be read"),
        (dict(value="correct*ms"), "unit"),
        (dict(value="rand()"), "random"),
        (dict(baseline=0.0), "baseline is wrong"),
        (dict(constants=dict(gain=2.0)), "constant is not used"),
        (dict(value="mean*correct", constants=dict(mean=2.0)), "means something else"),
        (dict(value="k*correct", constants=dict(k=2 * ms)), "has a unit"),
    ],
)
def test_what_is_wrong_with_a_reward_is_named(fields: Any, text: str) -> None:
    with pytest.raises((EquationError, UnitError, RuleError), match=text):
        bl.Reward(**fields)


STDP = bl.SynapticRule(**PLAIN, constants=TAUS)
SGD = bl.SGD(0.1)


@pytest.mark.parametrize(
    ("spec", "rule", "options", "text"),
    [
        (deep(), STDP, dict(batch_size=2), "batch_size"),
        (deep(), STDP, dict(optimiser=bl.Adam(1e-3)), "learning rate alone"),
        (deep(), STDP, dict(optimiser=bl.SGD(1e-3, clip_norm=1.0)), "learning rate alone"),
        (deep(), STDP, dict(engine="discrete"), "engine 'discrete'"),
        (deep(), STDP, dict(device="cpu"), "engine 'discrete'"),
        (dataclasses.replace(deep(), timing="pipelined"), STDP, dict(device="genn-cpu"), "same-step timing"),
        (dataclasses.replace(deep(), timing="pipelined"), STDP, {}, "same-step timing"),
        (deep(conv=True), dataclasses.replace(STDP, on_pre="x += spike_pre"), {}, "share one weight"),
        (deep(encoder=bl.DirectCurrent()), bl.SynapticRule(on_pre="gradient += psi"), {}, "carries a current"),
        (deep(dropout=0.5), bl.SynapticRule(on_pre="gradient += psi"), {}, "carries a dropout mask"),
        (deep(dropout=0.5), bl.SynapticRule(on_post="gradient += psi*spike_pre"), {}, "dropout silences"),
        (task(False)[0], bl.SynapticRule(on_pre="gradient += L", third_factor=bl.TFR()), {}, "needs a readout"),
        (deep(), bl.SynapticRule(on_pre="gradient += v_post*mV"), {}, "units do not fit"),
        (deep(), bl.SynapticRule(on_pre="gradient += u_post"), {}, "no state variable 'u'"),
        (deep(), dataclasses.replace(STDP, learning_rate_scale={"conv9": 2.0}), {}, "names no layer"),
        (deep(), dataclasses.replace(STDP, burn_in=14 * ms), {}, "no step to learn in"),
        (
            dataclasses.replace(deep(), layers=[bl.Dense(4, bl.LIF(), name="reward_signal")]),
            STDP,
            {},
            "name that the rule needs",
        ),
    ],
)
def test_what_an_engine_or_a_network_cannot_do_is_named(spec: Any, rule: Any, options: Any, text: str) -> None:
    options = dict(optimiser=SGD) | options
    with pytest.raises(BrianLearnError, match=text):
        bl.Learner(spec, rule, options.pop("optimiser"), **options)
