"""Learned delays: gradients, how they come onto the grid, what runs with them rounded, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
from brian2 import NeuronGroup, SpikeGeneratorGroup, SpikeMonitor, Synapses, defaultclock, ms, mV, prefs
from recurrent_reference import CLASSES, NEURONS, N, T, samples, simulate
from test_recurrent import BRIAN, DISCRETE, Spike, loop

import brianlearn as bl
from brianlearn.errors import BrianLearnError
from brianlearn.learning import initial_weights, weight_shapes
from brianlearn.learning.delays import rounded
from brianlearn.training.serialise import from_dict, to_dict

torch = pytest.importorskip("torch")

#: Shortest and longest delay of projections of `loop`, in steps.
BOUNDS = {"late": (0, 3), "self": (1, 4), "down": (1, 3)}
EPOCHS = 3


def learned(timing: str = "same_step", epochs: int = EPOCHS, **options: Any) -> bl.NetworkSpec:
    """`loop`: an input, a population that hears itself, and a sparse projection that goes back learn delays."""
    declared = loop().declared
    assert declared is not None
    delays = {
        name: bl.LearnedDelays((low * ms, high * ms), epochs=epochs, **options) for name, (low, high) in BOUNDS.items()
    }
    parts = [dataclasses.replace(q, delay=delays.get(q.name, q.delay)) for q in declared.projections]
    return bl.NetworkSpec(populations=declared.populations, projections=parts, duration=T * ms, timing=timing)


def share(values: Any, low: int, high: int, width: float) -> Any:
    """What arrives of a weight after each delay, from the definition: normalised normal densities."""
    parts = [torch.exp(-((k - values) ** 2) / (2 * width**2)) for k in range(low, high + 1)]
    return [part / sum(parts) for part in parts]


def plain(
    spec: bl.NetworkSpec, weights: dict[str, Any], x: np.ndarray, width: dict[str, float], fire: Any = None
) -> Any:
    """The readout (T, N, classes) of `learned` in plain torch, from the equations.

    ``fire``: distance -> numbers in the place of spikes, all of which has a derivative; else spikes with a surrogate
    and a detached reset.
    """
    a, b, k = map(float, reference.cuba_coefficients(1e-3, 20e-3, 3e-3, 4.0))
    given = np.stack([reference.integrate_and_fire()(v, T) for v in x])
    spikes: dict[str, list[Any]] = {"input": list(torch.tensor(given).transpose(0, 1)), "first": [], "second": []}
    v = {p.name: torch.zeros(N, p.n, dtype=torch.float64) for p in spec.neurons}
    c, y, found = {name: torch.zeros_like(value) for name, value in v.items()}, 0.0, []
    heard: dict[str, list[tuple[int, Any]]] = {}
    for p in spec.projections:
        w, later = weights[p.name], spec.timing == "brian2"
        if p.name in BOUNDS:
            low, high = BOUNDS[p.name]
            shares = share(weights[f"{p.name}_delay"], low, high, width[p.name])
            heard[p.name] = [(d + later, full(p, w * g)) for d, g in zip(range(low, high + 1), shares, strict=True)]
        else:
            heard[p.name] = [(round(float(p.delay) / 1e-3) + later, full(p, w))]
    for t in range(T):
        for name in ("first", "second"):
            arrived = 0.0
            for p in spec.projections:
                for lag, w in heard[p.name] if p.target == name else ():
                    if t - lag >= 0:
                        arrived = arrived + (w if p.is_bias else spikes[p.source][t - lag] @ w.T)
            c[name] = c[name] + arrived
            v[name] = b * v[name] + k * c[name]
            c[name] = a * c[name]
            fired = Spike.apply(v[name] - 1) if fire is None else fire(v[name] - 1)
            v[name] = v[name] * (1 - (fired.detach() if fire is None else fired))
            spikes[name].append(fired)
        y = np.exp(-1 / 5) * y + spikes["second"][t] @ weights["to_out"].T + weights["to_out_bias"]
        found.append(y)
    return torch.stack(found)


def full(p: bl.Projection, w: Any) -> Any:
    """The weights of a sparse projection as a matrix."""
    if w.ndim == 2 or p.is_bias:
        return w
    c = p.connectivity
    where = torch.tensor(c.post).long(), torch.tensor(c.pre).long()
    return torch.zeros(p.n_post, p.n_pre, dtype=torch.float64).index_put(where, w)


def widths(epoch: int) -> dict[str, float]:
    """From half of the bounds to half a step, by the same factor from epoch to epoch."""
    found = {}
    for name, (low, high) in BOUNDS.items():
        first = (high - low) / 2
        found[name] = first * (0.5 / first) ** (epoch / (EPOCHS - 1))
    return found


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
@pytest.mark.parametrize(("kernels", "steps"), [(True, None), (False, None), (True, 5), (False, 5)])
@pytest.mark.parametrize("epoch", [0, 2])
def test_gradients_equal_autograd_of_a_plain_loop(timing: str, kernels: bool, steps: int | None, epoch: int) -> None:
    spec, (x, labels) = learned(timing), samples(1)
    learner = bl.Learner(
        spec,
        bl.SurrogateBPTT(learning_rate_scale={f"{name}_delay": 1.0 for name in BOUNDS}),
        bl.SGD(1e-3),
        dtype="float64",
        batch_size=N,
        engine=bl.Discrete(kernels=kernels, checkpoint_steps=steps),
    )
    before = dataclasses.replace(learner.init(), epoch=epoch)
    after, _ = learner.learn(before, bl.Samples(x, labels))
    tensors = {name: torch.tensor(w, requires_grad=True) for name, w in before.weights.items()}
    target = torch.nn.functional.one_hot(torch.tensor(labels), CLASSES)
    loss = ((plain(spec, tensors, x, widths(epoch)) - target) ** 2).mean()
    names = [*(p.name for p in spec.projections), *spec.learned_delays]
    for name, g in zip(names, torch.autograd.grad(loss, [tensors[n] for n in names]), strict=True):
        change = (before.weights[name] - after.weights[name]) / 1e-3
        if name in spec.learned_delays:  # those that would leave their bounds stay at them
            low, high = BOUNDS[name.removesuffix("_delay")]
            wanted = np.clip(before.weights[name] - 1e-3 * g.numpy(), low, high)
            np.testing.assert_allclose(after.weights[name], wanted, rtol=0, atol=1e-12, err_msg=name)
            assert np.abs(change).max() > 1e-5, f"{name} does not learn in this test"
            continue
        np.testing.assert_allclose(change, g.numpy(), rtol=0, atol=1e-10, err_msg=name)


def test_the_plain_loop_has_the_derivative_of_finite_differences() -> None:
    """With a smooth function in the place of the threshold, through cycles and both layers."""
    spec, (x, labels) = learned(), samples(1)
    target = torch.nn.functional.one_hot(torch.tensor(labels), CLASSES)

    def loss(weights: dict[str, Any]) -> Any:
        found = plain(spec, weights, x, dict.fromkeys(BOUNDS, 0.8), lambda distance: torch.sigmoid(4 * distance))
        return ((found - target) ** 2).mean()

    start = {name: torch.tensor(w, requires_grad=True) for name, w in initial_weights(spec).items()}
    names, rng = ["late_delay", "self_delay", "down_delay", "late", "self", "down"], np.random.default_rng(0)
    for name, g in zip(names, torch.autograd.grad(loss(start), [start[n] for n in names]), strict=True):
        direction = torch.tensor(rng.normal(size=g.shape))
        step = 1e-5
        with torch.no_grad():
            up, down = (loss({**start, name: start[name] + sign * step * direction}) for sign in (1, -1))
        numeric, exact = float(up - down) / (2 * step), float((g * direction).sum())
        assert abs(numeric - exact) <= 1e-6 * abs(exact), name


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("timing", ["same_step", "brian2"])
def test_gradients_equal_finite_differences(kernels: bool, timing: str) -> None:
    """Of membranes, in neurons that do not fire: all is smooth there."""
    spec = feed_forward(timing, weights=bl.Normal(0.05))
    module = bl.export(spec, learn_delays=True, dtype=torch.float64, kernels=kernels).train()
    module.epoch, x = 1, samples(2)[0]

    def value() -> Any:
        activity = module(x, record=("membranes",))
        assert activity.spikes["input"].any() and not activity.spikes["hidden"].any()
        return activity.membranes["hidden"].square().sum()

    names, rng, step = ["up", "up_delay", "few", "few_delay"], np.random.default_rng(0), 1e-5
    for name, g in zip(names, torch.autograd.grad(value(), [module.get_parameter(n) for n in names]), strict=True):
        parameter, direction = module.get_parameter(name), torch.tensor(rng.normal(size=g.shape))
        with torch.no_grad():
            parameter += step * direction
            high = value()
            parameter -= 2 * step * direction
            low = value()
            parameter += step * direction
        numeric, exact = float(high - low) / (2 * step), float((g * direction).sum())
        assert abs(numeric - exact) <= 1e-6 * abs(exact), name


def feed_forward(timing: str = "same_step", weights: Any = None, few: int = EPOCHS, **options: Any) -> bl.NetworkSpec:
    """Two projections with learned delays onto one population: dense, and sparse."""
    options = {"epochs": EPOCHS} | options
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (6,), bl.IntegrateAndFireEncoder()),
            bl.Population("hidden", 8, NEURONS["cuba"]),
            bl.Population("out", CLASSES, bl.LinearReadout()),
        ],
        projections=[
            bl.Projection(
                "up", "input", "hidden", weights=weights, delay=bl.LearnedDelays((0 * ms, 5 * ms), **options)
            ),
            bl.Projection(
                "few",
                "input",
                "hidden",
                bl.Sparse(0.5),
                weights,
                delay=bl.LearnedDelays((2 * ms, 4 * ms), 2.5 * ms, epochs=few),
            ),
            bl.Projection("to_out", "hidden", "out"),
        ],
        duration=T * ms,
        timing=timing,
    )


def trained(spec: bl.NetworkSpec, epochs: int = EPOCHS + 1, dtype: str = "float64", **options: Any) -> Any:
    """Samples, learner, state after some epochs."""
    x, labels = samples(1)
    learner = bl.Learner(spec, bl.SurrogateBPTT(), bl.Adam(2e-3), dtype=dtype, batch_size=2, **options)
    state = learner.init()
    for _ in range(epochs):
        state = learner.learn(state, bl.Samples(x, labels))[0].next_epoch(learner.optimiser)
    return bl.Samples(x, labels), learner, state


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
def test_delays_end_on_the_grid_and_then_stay(timing: str) -> None:
    given, learner, state = trained(learned(timing), EPOCHS)
    for name, q in learner.spec.learned_delays.items():
        low, high = q.delay.limits
        moved = state.weights[name]
        assert np.abs(moved - learner.init().weights[name]).max() > 0.05 and low <= moved.min() <= moved.max() <= high
        assert (moved % 1 != 0).any()
    after, metrics = learner.learn(state, given)  # in epoch EPOCHS
    fixed, weights = rounded(learner.spec, state.weights)
    other = bl.Learner(fixed, bl.SurrogateBPTT(), bl.Adam(2e-3), dtype="float64", batch_size=2)
    slots = {name: state.optimiser[name] for name in other.init().weights}
    start = dataclasses.replace(state, weights=weights, optimiser=slots)
    expected, of_fixed = other.learn(start, given)
    assert metrics.loss == of_fixed.loss and set(after.weights) == {*expected.weights, *learner.spec.learned_delays}
    for name, w in expected.weights.items():
        np.testing.assert_array_equal(after.weights[name], w)
        assert name not in BOUNDS or np.abs(w - state.weights[name]).max() > 1e-5
    for name in learner.spec.learned_delays:
        np.testing.assert_array_equal(after.weights[name], np.floor(state.weights[name] + 0.5))
        np.testing.assert_array_equal(after.optimiser[name]["m"], state.optimiser[name]["m"])


def test_projections_come_to_rest_one_after_the_other() -> None:
    spec = feed_forward(epochs=1)  # "few" learns for EPOCHS
    _, learner, state = trained(spec, 1)
    given = bl.Samples(*samples(1))
    later, _ = learner.learn(state, given)
    np.testing.assert_array_equal(later.weights["up_delay"], np.floor(state.weights["up_delay"] + 0.5))
    assert np.abs(later.weights["few_delay"] - state.weights["few_delay"]).max() > 1e-3
    assert set(later.optimiser) == set(state.optimiser) and not learner.engine.infer(later, given, ()).spikes  # type: ignore[attr-defined]


def test_chunks_make_no_difference_and_delays_are_recorded() -> None:
    x, labels = samples(1)
    found = []
    for size in (2, None):
        options = dict(batch_size=1, chunk_size=size, engine="discrete")
        learner = bl.Learner(feed_forward(), bl.STBP(bl.ReadoutMSE()), bl.Adam(2e-3), dtype="float64", **options)
        state = learner.init()
        for _ in range(EPOCHS + 1):
            state, metrics = learner.learn(state, bl.Samples(x, labels), record="weights")
            state = state.next_epoch(learner.optimiser)
        found.append(state.weights)
        np.testing.assert_array_equal(metrics.weights["up_delay"].values[-1], state.weights["up_delay"])
    for name, w in found[0].items():
        np.testing.assert_array_equal(found[1][name], w, err_msg=name)


def test_a_function_of_delays() -> None:
    """`simulate` takes them as it does weights."""
    spec = feed_forward(weights=bl.Constant(1.5), initial=0 * ms)
    run = bl.simulate(spec, engine="discrete")
    weights = {**initial_weights(spec), "few": np.zeros_like(initial_weights(spec)["few"])}
    each = [{**weights, "up_delay": np.full((8, 6), d)} for d in (0.0, 4.4)]
    fired = run(weights=each, inputs=np.full((1, 6), 0.8)).spikes["hidden"].dense().reshape(2, T, 8).any(axis=2)
    assert fired.any(axis=1).all()
    first, last = fired.argmax(axis=1)
    assert last - first == 4


def test_without_epochs_they_stay_as_drawn() -> None:
    x, labels = samples(1)
    found = []
    for seed in (0, 1):
        learner = bl.Learner(learned(epochs=0), bl.SurrogateBPTT(), bl.Adam(2e-3), dtype="float64", seed=seed)
        start = learner.init()
        state, _ = learner.learn(start, bl.Samples(x, labels))
        assert np.abs(state.weights["self"] - start.weights["self"]).max() > 1e-4
        for name in learner.spec.learned_delays:
            np.testing.assert_array_equal(state.weights[name], np.floor(start.weights[name] + 0.5))
        found.append(state.weights["self_delay"])
    assert (found[0] != found[1]).any()


@pytest.mark.parametrize("kernels", [True, False])
def test_the_training_forward_becomes_the_rounded_one(kernels: bool) -> None:
    given, learner, state = trained(learned(), 2)
    module = bl.export(learner.spec, state.weights, learn_delays=True, dtype=torch.float64, kernels=kernels)
    fixed = bl.export(learner.spec, state.weights, dtype=torch.float64)
    assert not fixed.spec.learned_delays and "late_delay" not in fixed.weights()
    expected = fixed(given.inputs)
    module.epoch = EPOCHS
    for found in (module.train()(given.inputs), module.eval()(given.inputs)):
        for name, spikes in expected.spikes.items():
            assert torch.equal(found.spikes[name], spikes) and spikes.any()
        torch.testing.assert_close(found.readout, expected.readout, rtol=0, atol=1e-12)
    module.epoch = 0
    assert not torch.equal(module.train()(given.inputs).spikes["first"], expected.spikes["first"])


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
def test_rounded_delays_are_those_of_the_definition(timing: str) -> None:
    given, learner, state = trained(learned(timing), 2)
    fixed, weights = rounded(learner.spec, state.weights)
    spikes, logits, _ = simulate(fixed, weights, given.inputs, given.labels, None)
    found = learner.infer(state, given, record=("spikes",))
    for name, raster in found.spikes.items():
        np.testing.assert_array_equal(raster.dense().reshape(N, T, -1), spikes[name] != 0, err_msg=name)
    np.testing.assert_allclose(found.logits, logits, rtol=0, atol=1e-12)


def test_halves_go_up_within_the_bounds() -> None:
    delays = bl.LearnedDelays((0 * ms, 1.75 * ms))
    found = delays.rounded(np.array([0.0, 0.1249, 0.125, 0.375, 0.625, 1.7, 1.9]), 0.25 * ms)
    np.testing.assert_array_equal(found, [0, 0, 1, 2, 3, 7, 7])
    far = bl.LearnedDelays((0 * ms, 0.7 * ms)).rounded(np.float32([0.6, 0.7]), 0.1 * ms)  # 0.7 is more in single
    np.testing.assert_array_equal(far, [6, 7])


def compare(spec: bl.NetworkSpec, device: str) -> None:
    given, learner, state = trained(spec)
    here = learner.infer(state, given, record=("spikes", "readout"))
    brian = bl.Learner(spec, engine="brian", device=device, dtype="float64")
    there = brian.infer(state, given, record=("spikes", "readout"))
    for name, raster in here.spikes.items():
        assert raster.dense().any(), f"{name} is silent in this test"
        np.testing.assert_array_equal(there.spikes[name].dense(), raster.dense(), err_msg=name)
    np.testing.assert_allclose(there.logits, here.logits, rtol=0, atol=1e-12)


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
def test_brian_fires_the_same_spikes(timing: str) -> None:
    compare(learned(timing), "numpy")


@pytest.mark.slow
@pytest.mark.parametrize("timing", ["same_step", "brian2"])
@pytest.mark.parametrize("device", ["cython", pytest.param("cpp_standalone", marks=pytest.mark.cpp_standalone)])
def test_compiled_brian_fires_the_same_spikes(timing: str, device: str) -> None:
    compare(learned(timing), device)


def test_cycles_need_no_delay_in_the_order_of_brian2() -> None:
    declared = learned("brian2").declared
    assert declared is not None
    delays = {"self": bl.LearnedDelays((0 * ms, 2 * ms), epochs=1)}
    parts = [dataclasses.replace(q, delay=delays.get(q.name, q.delay)) for q in declared.projections]
    spec = bl.NetworkSpec(populations=declared.populations, projections=parts, duration=T * ms, timing="brian2")
    compare(spec, "numpy")


def test_kernels_share_a_delay() -> None:
    """The synapses that share a weight."""
    options = dict(delay=bl.LearnedDelays((0 * ms, 3 * ms), epochs=1), weights=bl.Normal(6.0))
    spec = bl.NetworkSpec(
        populations=[
            bl.Population("input", (1, 5, 5), bl.IntegrateAndFireEncoder()),
            bl.Population("a", None, NEURONS["cuba"]),
            bl.Population("b", None, NEURONS["cuba"]),
            bl.Population("out", CLASSES, bl.LinearReadout()),
        ],
        projections=[
            bl.Projection("conv", "input", "a", bl.Conv2d(2, 3), **options),
            bl.Projection("own", "a", "b", bl.OneToOne(), **options),
            bl.Projection("to_out", "b", "out"),
        ],
        duration=T * ms,
    )
    given = bl.Samples(np.random.default_rng(0).uniform(0, 0.9, (3, 1, 5, 5)), np.arange(3))
    learner = bl.Learner(spec, bl.STBP(bl.ReadoutMSE()), bl.Adam(1e-3), dtype="float64", batch_size=3)
    state, _ = learner.learn(learner.init(), given)
    for name in spec.learned_delays:
        assert np.abs(state.weights[name] - learner.init().weights[name]).max() > 1e-3
    found = [
        bl.Learner(spec, dtype="float64", **options).infer(state, given, record=("spikes",)).spikes["b"].dense()
        for options in (BRIAN, DISCRETE)
    ]
    assert found[0].any()
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("options", [BRIAN, DISCRETE])
def test_other_rules_take_delays_that_stay(options: Any) -> None:
    spec, (x, labels) = learned(epochs=0), samples(1)
    rules = dict(rule=bl.DALTON(), optimiser=bl.Adam(1e-2), dtype="float64", batch_size=N, **options)
    learner = bl.Learner(spec, **rules)
    start = learner.init()
    state, _ = learner.learn(start, bl.Samples(x, labels))
    fixed, weights = rounded(spec, start.weights)
    other = bl.Learner(fixed, **rules)
    expected, _ = other.learn(other.init(weights), bl.Samples(x, labels))
    for name, w in expected.weights.items():
        np.testing.assert_array_equal(state.weights[name], w, err_msg=name)
    for name in spec.learned_delays:
        np.testing.assert_array_equal(state.weights[name], start.weights[name])


def test_delays_do_not_decay_as_weights_may() -> None:
    given = bl.Samples(samples(1)[0], samples(1)[1])
    found = []
    for optimiser in (bl.Adam(1e-3), bl.AdamW(1e-3, weight_decay=0.5)):
        learner = bl.Learner(learned(), bl.SurrogateBPTT(), optimiser, dtype="float64", batch_size=N)
        found.append(learner.learn(learner.init(), given)[0].weights)
    assert np.abs(found[0]["self"] - found[1]["self"]).max() > 1e-5
    np.testing.assert_array_equal(found[0]["self_delay"], found[1]["self_delay"])


# what holds them -----------------------------------------------------------------------------------------------------


def test_weights_have_them_by_name() -> None:
    spec = learned()
    shapes, drawn = weight_shapes(spec), initial_weights(spec, seed=3)
    assert list(spec.learned_delays) == ["self_delay", "down_delay", "late_delay"]
    for name, q in spec.learned_delays.items():
        low, high = BOUNDS[q.name]
        assert drawn[name].shape == shapes[name] == shapes[q.name] and drawn[name].std() > 0.1
        assert low <= drawn[name].min() and drawn[name].max() <= high
    np.testing.assert_array_equal(drawn["self"], initial_weights(loop(), seed=3)["self"])


def test_they_come_back_from_a_file() -> None:
    spec = feed_forward(initial=np.arange(48).reshape(8, 6) / 10 * ms, spread=3 * ms, learning_rate_scale=7.0)
    again = from_dict(to_dict(spec))
    assert again.describe() == spec.describe() and "from input after 0 ms to 5 ms, learned" in spec.describe()
    for name, drawn in initial_weights(spec).items():
        np.testing.assert_array_equal(initial_weights(again)[name], drawn)
    assert vars(again.projections[0].delay).keys() == vars(spec.projections[0].delay).keys()
    assert to_dict(again) == to_dict(spec)


def experiment(epochs: int, runs: Path) -> bl.Experiment:
    x, labels = samples(1)
    data = bl.Samples(x, labels), bl.Samples(x, labels)
    return bl.Experiment(
        feed_forward(), bl.SurrogateBPTT(), bl.Adam(1e-3), data, epochs=epochs, batch_size=2, runs=runs, seed=1
    )


def test_runs_go_on_bit_for_bit(tmp_path: Path) -> None:
    whole = experiment(EPOCHS + 1, tmp_path / "whole").run(progress=False)
    part = experiment(2, tmp_path / "part").run(progress=False)
    resumed = experiment(EPOCHS + 1, tmp_path / "part").run(resume=part.run, progress=False)
    assert (whole.run / "weights.npz").read_bytes() == (resumed.run / "weights.npz").read_bytes()
    stored = np.load(whole.run / "weights.npz")
    assert (stored["up_delay"] % 1 == 0).all()  # ms, with steps of 1 ms
    data = experiment(1, tmp_path).data
    found = [bl.evaluate(whole.run, data=data, **options) for options in (BRIAN, DISCRETE)]
    assert found[0].test_accuracy == found[1].test_accuracy and found[0].engine != found[1].engine


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
def test_plain_brian2_has_them(timing: str) -> None:
    prefs.codegen.target = "numpy"
    spec = learned(timing)
    given, learner, state = trained(spec, 2)
    found = learner.infer(state, given[:1], record=("spikes",)).spikes
    network = bl.to_brian2(spec, state.weights, given[:1])
    monitors = {name: SpikeMonitor(network[name]) for name in found}
    network.add(*monitors.values())
    network.run(spec.duration)
    for name, monitor in monitors.items():
        raster = np.zeros((T, network[name].N), bool)
        raster[np.round(np.asarray(monitor.t / spec.dt)).astype(int), np.asarray(monitor.i)] = True
        np.testing.assert_array_equal(raster, found[name].dense().reshape(raster.shape), err_msg=name)
        assert raster.any()
    late = network["synapses_late"]
    steps = np.zeros((7, 6))
    steps[late.j[:], late.i[:]] = np.asarray(late.delay) / 1e-3
    np.testing.assert_allclose(steps, np.floor(state.weights["late_delay"] + 0.5), rtol=0, atol=1e-9)


def written() -> Any:
    """Objects of Brian2: spikes that reach neurons after delays, all to all and in some pairs."""
    given = SpikeGeneratorGroup(3, np.arange(3).repeat(4), np.tile([1, 5, 9, 14], 3) * ms, name="given")
    model = "dv/dt = (I - v)/(5*ms) : 1\ndI/dt = -I/(2*ms) : 1"
    neurons = NeuronGroup(4, model, threshold="v > 0.4", reset="v = 0", method="exact", name="neurons")
    feed = Synapses(given, neurons, "w : 1", on_pre="I_post += w", name="feed")
    feed.connect()
    recur = Synapses(neurons, neurons, "w : 1", on_pre="I_post += w", name="recur")
    recur.connect(i=[0, 1, 2], j=[1, 2, 0])
    rng = np.random.default_rng(0)
    feed.w, recur.w = rng.uniform(0.5, 1.5, 12), 0.4
    feed.delay = rng.integers(0, 4, 12) * ms
    recur.delay = [1, 2, 3] * ms
    return given, neurons, feed, recur


@pytest.fixture
def steps_of_1_ms() -> Any:
    before = defaultclock.dt
    defaultclock.dt = 1 * ms
    yield
    defaultclock.dt = before


@pytest.mark.usefixtures("steps_of_1_ms")
def test_delays_of_a_script_are_learned_and_written_back() -> None:
    prefs.codegen.target = "numpy"
    objects = written()
    learn = {
        "feed": bl.LearnedDelays((0 * ms, 6 * ms), epochs=3),
        "recur": bl.LearnedDelays((0 * ms, 4 * ms), epochs=3),
    }
    adopted = bl.adopt(objects, duration=25 * ms, readout=bl.Readout(2), learn_delays=learn)
    np.testing.assert_allclose(adopted.weights["recur_delay"], [1, 2, 3])
    np.testing.assert_allclose(adopted.weights["feed_delay"].T.ravel(), np.asarray(objects[2].delay) / 1e-3)
    assert adopted.verify().agrees and adopted.verify().spikes > 20
    learner = bl.Learner(adopted.spec, bl.SurrogateBPTT(), bl.Adam(1e-2), engine="discrete", dtype="float64")
    state = learner.init(adopted.weights)
    for _ in range(4):
        state = learner.learn(state, adopted.samples(2, targets=[0, 1]))[0].next_epoch(learner.optimiser)
    before = np.array(objects[2].delay)
    adopted.write_back(state)
    after = np.asarray(objects[2].delay) / 1e-3
    np.testing.assert_allclose(after, state.weights["feed_delay"].T.ravel(), rtol=0, atol=1e-9)
    assert np.abs(after - before / 1e-3).max() > 0.1
    np.testing.assert_allclose(after, np.round(after), rtol=0, atol=1e-9)
    found = adopted.verify()
    assert found.agrees and found.spikes > 20
    again = bl.adopt(objects, duration=25 * ms, readout=bl.Readout(2))
    np.testing.assert_allclose(np.asarray(again.spec.projections[0].delays), state.weights["feed_delay"] * 1e-3)


def outside() -> None:
    spec = feed_forward()
    weights = initial_weights(spec)
    bl.Learner(spec, **DISCRETE).init({**weights, "up_delay": weights["up_delay"] + 5})


def other_shape() -> None:
    feed_forward(initial=np.ones((6, 8)) * ms)


def with_name(name: str) -> None:
    declared = feed_forward().declared
    assert declared is not None
    parts = [dataclasses.replace(q, name=name) if q.name == "few" else q for q in declared.projections]
    bl.NetworkSpec(populations=declared.populations, projections=parts, duration=T * ms)


def onto_a_readout() -> None:
    declared = feed_forward().declared
    assert declared is not None
    delay = bl.LearnedDelays((0 * ms, 3 * ms))
    parts = [dataclasses.replace(q, delay=delay) if q.name == "to_out" else q for q in declared.projections]
    bl.NetworkSpec(populations=declared.populations, projections=parts, duration=T * ms)


def at_once() -> None:
    declared = loop().declared
    assert declared is not None
    delay = bl.LearnedDelays((0 * ms, 3 * ms))
    parts = [dataclasses.replace(q, delay=delay) if q.name == "self" else q for q in declared.projections]
    bl.NetworkSpec(populations=declared.populations, projections=parts, duration=T * ms)


WRONG: dict[str, tuple[Any, str]] = {
    "no bounds": (lambda: bl.LearnedDelays(3 * ms), "two times"),
    "one bound": (lambda: bl.LearnedDelays([3] * ms), "two times"),
    "bounds of a voltage": (lambda: bl.LearnedDelays((0 * mV, 3 * mV)), "unit of time"),
    "bounds without a unit": (lambda: bl.LearnedDelays((0, 3)), "unit of time"),
    "bounds the other way": (lambda: bl.LearnedDelays((3 * ms, 1 * ms)), "shorter one first"),
    "no room": (lambda: bl.LearnedDelays((3 * ms, 3 * ms)), "shorter one first"),
    "bounds below 0": (lambda: bl.LearnedDelays((-1 * ms, 3 * ms)), "shorter one first"),
    "no end": (lambda: bl.LearnedDelays((0 * ms, np.inf * ms)), "shorter one first"),
    "arrays as bounds": (lambda: bl.LearnedDelays(([0, 1] * ms, [2, 3] * ms)), "two times"),
    "a beginning outside": (lambda: bl.LearnedDelays((0 * ms, 3 * ms), 4 * ms), "between the bounds"),
    "a beginning that is none": (lambda: bl.LearnedDelays((0 * ms, 3 * ms), np.nan * ms), "between the bounds"),
    "a beginning without a unit": (lambda: bl.LearnedDelays((0 * ms, 3 * ms), 2), "unit of time"),
    "a beginning of another shape": (other_shape, "shape \\(6, 8\\)[\\s\\S]*shape \\(8, 6\\)"),
    "no spread": (lambda: bl.LearnedDelays((0 * ms, 3 * ms), spread=0 * ms), "one time > 0"),
    "several spreads": (lambda: bl.LearnedDelays((0 * ms, 3 * ms), spread=[1, 2] * ms), "one time > 0"),
    "epochs below 0": (lambda: bl.LearnedDelays((0 * ms, 3 * ms), epochs=-1), "whole number >= 0"),
    "half an epoch": (lambda: bl.LearnedDelays((0 * ms, 3 * ms), epochs=1.5), "whole number >= 0"),
    "a negative rate": (lambda: bl.LearnedDelays((0 * ms, 3 * ms), learning_rate_scale=-1), "number >= 0"),
    "a text": (lambda: bl.LearnedDelays(("0*ms", "3 apples")), "3 apples"),
    "bounds off the grid": (lambda: dataclasses.replace(feed_forward(), dt=0.3 * ms, duration=3 * ms), "multiple of"),
    "a name that is taken": (lambda: with_name("up_delay"), "up_delay"),
    "onto a readout": (onto_a_readout, "without a delay"),
    "a cycle at once": (at_once, "first -> first"),
    "weights outside": (outside, "between the bounds"),
    "weights without them": (
        lambda: bl.Learner(feed_forward(), **DISCRETE).init({"up": np.ones((8, 6))}),
        "another network",
    ),
    "pipelined": (lambda: dataclasses.replace(feed_forward(), timing="pipelined"), "delays"),
    "GeNN": (lambda: bl.Learner(feed_forward(few=0, epochs=0), bl.DALTON(), device="genn-cpu"), "chain"),
    "GeNN without a rule": (lambda: bl.Learner(feed_forward(), device="genn-cpu"), "chain"),
    "a rule without a loss": (
        lambda: bl.Learner(feed_forward(), bl.TFR(), **DISCRETE),
        "learns no delays[\\s\\S]*epochs=0",
    ),
    "another rule, and some that learn": (lambda: bl.Learner(feed_forward(epochs=0), bl.EProp(), **BRIAN), "few_delay"),
    "a scale of what is not learned": (
        lambda: bl.Learner(learned(epochs=0), bl.DALTON(learning_rate_scale={"self_delay": 2.0}), **DISCRETE),
        "self_delay",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what: str) -> None:
    make, text = WRONG[what]
    with pytest.raises(BrianLearnError, match=text):
        make()


def test_texts_are_times() -> None:
    delays = bl.LearnedDelays(("1*ms", "3 ms"), initial="2*ms", spread="500*us")
    np.testing.assert_allclose(np.asarray(delays.bounds), [1e-3, 3e-3])
    assert delays.width(0, 1 * ms) == 0.5 == delays.width(5, 1 * ms)
