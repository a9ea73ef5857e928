"""Targets other than labels: values of samples and of steps, in every engine against plain numpy and autograd."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from brian2 import ms
from recurrent_reference import CLASSES, NEURONS, N, T, simulate

import brianlearn as bl
from brianlearn.errors import BrianLearnError, DataError, RuleError
from brianlearn.learning.named import LOSSES, with_loss_named

RATE = 0.5
AUGMENTATIONS = (bl.RandomAffine(), bl.RandomCrop(1))
KINDS = ("values", "steps")


def drawn(kind: str, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, and values of each sample or step."""
    rng = np.random.default_rng(seed)
    shape = (N, CLASSES) if kind == "values" else (N, T, CLASSES)
    return rng.uniform(0, 0.9, (N, 6)), rng.normal(size=shape)


def loop(burn_in: int = 0, neuron: Any = NEURONS["cuba"], outputs: int = CLASSES) -> bl.NetworkSpec:
    """Two populations that hear themselves and one another, with delays."""
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (6,), bl.IntegrateAndFireEncoder()),
            bl.Population("first", 8, neuron),
            bl.Population("second", 7, neuron),
            bl.Population("out", outputs, bl.LinearReadout(tau=5 * ms)),
        ],
        projections=[
            bl.Projection("in1", "input", "first", weights=bl.Normal(4.0)),
            bl.Projection("self", "first", "first", weights=bl.Normal(3.0), delay=1 * ms),
            bl.Projection("up", "first", "second", weights=bl.Normal(4.0)),
            bl.Projection("down", "second", "first", bl.Sparse(0.6, seed=1), bl.Normal(3.0), delay=2 * ms),
            bl.Projection("to_out", "second", "out", weights=bl.Uniform(1.0)),
        ],
        duration=T * ms,
        burn_in=burn_in * ms,
    )


def chain(readout: int = CLASSES, **options: Any) -> bl.NetworkSpec:
    layers = [bl.Dense(8, NEURONS["cuba"]), bl.Dense(7, NEURONS["cuba"])]
    return bl.NetworkSpec(bl.Input((6,)), layers, bl.Readout(readout, tau=4 * ms), duration=T * ms, **options)


def learned(spec: bl.NetworkSpec, rule: Any, samples: bl.Samples, **options: Any) -> Any:
    options = {"dtype": "float64", "batch_size": N, **options}
    learner = bl.Learner(spec, rule, bl.SGD(RATE), **options)
    before = learner.init()
    after, metrics = learner.learn(before, samples)
    return learner, before, after, metrics


# three-factor rules -----------------------------------------------------------------------------------------------

RULES = {
    "dalton": bl.DALTON(),
    "tfr": bl.TFR(),
    "dfa": bl.DFA(),
    "tfr-trace": bl.TFR(eligibility="trace"),
}
NUMPY, DISCRETE = dict(engine="brian", device="numpy"), dict(engine="discrete")


def check(rule: Any, kind: str, burn_in: int = 0, **options: Any) -> None:
    spec, (x, values) = loop(burn_in), drawn(kind)
    learner, before, after, metrics = learned(spec, rule, bl.Samples(x, values), **options)
    _, logits, expected = simulate(spec, before.weights, x, values, rule)
    for p in spec.projections:
        assert np.abs(expected[p.name]).max() > 1e-4, f"{p.name} does not learn in this test"
        new = before.weights[p.name] - RATE * expected[p.name]
        np.testing.assert_allclose(after.weights[p.name], new, rtol=0, atol=1e-12, err_msg=p.name)
    activity = learner.infer(before, bl.Samples(x, values), record=("readout",))
    readout = np.asarray(activity.readout)[:, burn_in:]
    np.testing.assert_allclose(activity.logits, logits, rtol=0, atol=1e-12)
    per_step = values if kind == "steps" else np.repeat(values[:, None], T, axis=1)
    assert metrics.loss == pytest.approx(np.square(readout - per_step[:, burn_in:]).mean(), abs=1e-12)
    if kind == "steps":
        said, meant = readout.reshape(-1, CLASSES), values[:, burn_in:].reshape(-1, CLASSES)
    else:
        said, meant = logits, values
    mse = np.square(said - meant).mean()
    r2 = 1 - np.square(said - meant).sum() / np.square(meant - meant.mean(axis=0)).sum()
    for found in (metrics, activity):
        assert found.mse == pytest.approx(mse, abs=1e-12) and found.r2 == pytest.approx(r2, abs=1e-10)
    assert np.isnan(metrics.accuracy) and activity.accuracy is None
    assert np.array_equal(activity.predictions, activity.logits)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", RULES)
def test_discrete_three_factor_rules_equal_the_reference(rule: str, kind: str) -> None:
    check(RULES[rule], kind, **DISCRETE)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", RULES)
def test_brian_three_factor_rules_equal_the_reference(rule: str, kind: str) -> None:
    check(RULES[rule], kind, **NUMPY)


@pytest.mark.parametrize("options", [NUMPY, DISCRETE], ids=["numpy", "discrete"])
def test_burn_in(options: dict[str, Any]) -> None:
    check(bl.DALTON(), "steps", burn_in=3, **options)


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("kind", KINDS)
def test_compiled(kind: str) -> None:
    check(bl.TFR(), kind, burn_in=2, device="cpp_standalone")


@pytest.mark.slow
def test_cython() -> None:
    check(bl.TFR(), "steps", device="cython")


#: Rule, network, options.
SAME = {
    "eprop": (bl.EProp(), loop(), NUMPY),
    "eprop, discrete": (bl.EProp(), loop(), DISCRETE),
    "decolle": (bl.DECOLLE(), chain(), NUMPY),
    "decolle, discrete": (bl.DECOLLE(), chain(), DISCRETE),
    "in every step": (bl.TFR(update="step"), chain(burn_in=2 * ms), {**NUMPY, "batch_size": 1}),
    "in every step, discrete": (bl.TFR(update="step"), chain(burn_in=2 * ms), DISCRETE),
    "pipelined": (bl.DALTON(), chain(timing="pipelined", burn_in=2 * ms), NUMPY),
    "pipelined, discrete": (bl.DALTON(), chain(timing="pipelined", burn_in=2 * ms), DISCRETE),
    "pipelined, every step": (bl.TFR(update="step"), chain(timing="pipelined"), DISCRETE),
    "mirror": (bl.DALTON(feedback="mirror"), chain(), NUMPY),
    "through time": (bl.TFR(credit="through_time"), chain(burn_in=2 * ms), DISCRETE),
}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow if SAME[n][2] is not DISCRETE else ()) for n in SAME]
)
def test_values_of_a_one_hot_label_are_the_label(name: str) -> None:
    """Values that say what a label says teach the same, to the last bit, by every rule."""
    rule, spec, options = SAME[name]
    x, labels = drawn("values")[0], np.array([2, 0, 1])
    values = np.repeat(np.eye(CLASSES)[labels][:, None], T, axis=1)
    *_, expected, metrics = learned(spec, rule, bl.Samples(x, labels), **options)
    *_, found, others = learned(spec, rule, bl.Samples(x, values), **options)
    for key, weights in expected.weights.items():
        assert np.array_equal(weights, found.weights[key]), key
    assert metrics.loss == others.loss


@pytest.mark.slow
def test_values_change_within_a_pipelined_trial() -> None:
    """Both engines take the value of the same step."""
    spec, (x, values) = chain(timing="pipelined", burn_in=2 * ms), drawn("steps")
    results = [learned(spec, bl.DALTON(), bl.Samples(x, values), **o)[2] for o in (NUMPY, DISCRETE)]
    for key, weights in results[0].weights.items():
        np.testing.assert_allclose(weights, results[1].weights[key], rtol=0, atol=1e-10, err_msg=key)


@pytest.mark.slow
def test_an_engine_takes_one_kind_after_another() -> None:
    x, labels = drawn("values")[0], np.array([2, 0, 1])
    learner = bl.Learner(chain(), bl.TFR(), bl.SGD(RATE), **NUMPY, batch_size=N)
    state = learner.init()
    first, _ = learner.learn(state, bl.Samples(x, labels))
    for kind in KINDS:
        learner.learn(state, bl.Samples(*drawn(kind)))
        assert learner.infer(state, bl.Samples(x)).mse is None
    again, _ = learner.learn(state, bl.Samples(x, labels))
    assert all(np.array_equal(first.weights[name], again.weights[name]) for name in first.weights)


# losses -----------------------------------------------------------------------------------------------------------

OF_ERRORS = {
    "mse": (bl.MSE(), np.square, lambda e: 2 * e),
    "mae": (bl.MAE(), np.abs, np.sign),
    "huber": (
        bl.Huber(0.5),
        lambda e: np.where(np.abs(e) <= 0.5, e**2 / 2, 0.5 * (np.abs(e) - 0.25)),
        lambda e: np.clip(e, -0.5, 0.5),
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OF_ERRORS)
def test_losses_are_the_formula(name: str, kind: str) -> None:
    """Loss, and the gradient of a memoryless readout, which is known: mean over samples of sum_t f'(e) outer s."""
    loss, f, slope = OF_ERRORS[name]
    burn_in = 3
    layers = [bl.Dense(8, NEURONS["cuba"])]
    spec = bl.NetworkSpec(bl.Input((6,)), layers, bl.Readout(CLASSES), duration=T * ms, burn_in=burn_in * ms)
    x, values = drawn(kind)
    rule = bl.SurrogateBPTT(loss)
    learner, before, after, metrics = learned(spec, rule, bl.Samples(x, values))
    activity = learner.infer(before, bl.Samples(x, values), record=("spikes", "readout"))
    spikes = activity.spikes["dense1"].dense()[:, burn_in:]
    per_step = values if kind == "steps" else np.repeat(values[:, None], T, axis=1)
    errors = np.asarray(activity.readout)[:, burn_in:] - per_step[:, burn_in:]
    assert metrics.loss == pytest.approx(f(errors).mean(), abs=1e-12) and activity.loss == pytest.approx(metrics.loss)
    expected = np.einsum("bto,bti->oi", slope(errors), spikes) / errors.size
    assert np.abs(expected).max() > 1e-3
    moved = (before.weights["readout"] - after.weights["readout"]) / RATE
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", OF_ERRORS)
def test_gradients_of_losses_through_a_recurrent_network_are_those_of_autograd(name: str) -> None:
    torch = pytest.importorskip("torch")
    loss, _, _ = OF_ERRORS[name]
    spec, (x, values) = loop(burn_in=2), drawn("steps")
    _, before, after, _ = learned(spec, bl.SurrogateBPTT(loss), bl.Samples(x, values))
    module = bl.export(spec, before.weights, dtype=torch.float64, kernels=False)
    readout, goal = module(torch.from_numpy(x)).readout[2:], torch.from_numpy(values).transpose(0, 1)[2:]
    theirs = {
        "mse": torch.nn.functional.mse_loss,
        "mae": torch.nn.functional.l1_loss,
        "huber": lambda a, b: torch.nn.functional.huber_loss(a, b, delta=0.5),
    }[name](readout, goal)
    theirs.backward()
    for key, parameter in module.named_parameters():
        gradient = (before.weights[key] - after.weights[key]) / RATE
        np.testing.assert_allclose(gradient, parameter.grad.numpy(), rtol=0, atol=1e-12, err_msg=key)


def test_one_output_learns_a_trace() -> None:
    rng = np.random.default_rng(0)
    x, t = rng.uniform(0.2, 0.9, (1, 6)), np.arange(T)
    trace = np.sin(2 * np.pi * t / T)[None, :, None]
    layers = [bl.Dense(40, bl.CubaLIF(R=4.0))]
    spec = bl.NetworkSpec(bl.Input((6,)), layers, bl.Readout(1, tau=3 * ms), duration=T * ms)
    learner = bl.Learner(spec, bl.SurrogateBPTT(bl.MSE()), bl.Adam(0.02), engine="discrete", seed=1)
    state, first = learner.learn(learner.init(), bl.Samples(x, trace))
    for _ in range(60):
        state, last = learner.learn(state, bl.Samples(x, trace))
    assert last.mse < 0.2 * first.mse and last.r2 > 0.5
    population = bl.Population("out", 1, bl.LinearReadout())
    assert population.n == 1


def test_losses_by_name() -> None:
    for name, (loss, _, _) in OF_ERRORS.items():
        assert LOSSES[name] is type(loss)
        assert with_loss_named(bl.SurrogateBPTT(), name).loss == type(loss)()
    for delta in (0, -1, np.nan, "1", True):
        with pytest.raises(RuleError, match="delta is wrong"):
            bl.Huber(delta)


# wrong targets ----------------------------------------------------------------------------------------------------

WRONG = {
    "labels for a regression loss": (
        bl.SurrogateBPTT(bl.MSE()),
        np.array([0, 1, 2]),
        r"MSE: it does not take labels(.|\n)*CrossEntropy",
    ),
    "values for cross-entropy": (
        bl.SurrogateBPTT(bl.CrossEntropy()),
        np.ones((N, CLASSES)),
        r"CrossEntropy: it does not take values(.|\n)*argmax",
    ),
    "values for the default loss": (
        bl.SurrogateBPTT(),
        np.ones((N, CLASSES)),
        r"ReadoutMSE: it does not take values(.|\n)*MSE\(\)",
    ),
    "too many steps": (
        bl.TFR(),
        np.ones((N, T + 1, CLASSES)),
        rf"time steps(.|\n)*\({N}, {T + 1}, {CLASSES}\)(.|\n)*{T} steps",
    ),
    "too many outputs": (bl.TFR(), np.ones((N, 5)), r"number of outputs(.|\n)*Readout\(5\)"),
    "labels as a column of floats": (
        bl.TFR(),
        np.array([[0.0], [1.0], [2.0]]),
        r"number of outputs(.|\n)*labels are meant",
    ),
    "NaN": (
        bl.TFR(),
        np.array([[0.0, 1, 2], [0, np.nan, 1], [0, 0, 3]]),
        r"not finite(.|\n)*sample 1",
    ),
    "infinite": (
        bl.SurrogateBPTT(bl.MSE()),
        np.full((N, T, CLASSES), np.inf),
        r"not finite(.|\n)*3 samples in all",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_targets_are_named(name: str) -> None:
    rule, targets, match = WRONG[name]
    samples = bl.Samples(drawn("values")[0], targets)
    engine = "discrete" if rule.loss is not None else "brian"
    learner = bl.Learner(chain(), rule, engine=engine, device="cpu" if engine == "discrete" else "numpy")
    for call in (learner.learn, learner.infer):
        with pytest.raises(DataError, match=match) as caught:
            call(learner.init(), samples)
        assert caught.value.got and caught.value.expected


def test_targets_that_are_none() -> None:
    x = np.zeros((3, 4))
    for targets, match in {
        "too few": (np.ones((2, 1)), r"wrong shape(.|\n)*\(2, 1\)(.|\n)*\(3, out\)"),
        "four axes": (np.ones((3, 2, 2, 2)), "labels have the wrong shape"),
        "no axis of outputs": ([0.5, 1.0, 2.0], r"labels have the wrong shape(.|\n)*targets\[:, None\]"),
        "one-hot": (np.eye(3), r"one-hot(.|\n)*argmax"),
        "text": ([["a"], ["b"], ["c"]], "labels have the wrong shape"),
        "integers in columns": (np.ones((3, 2), int), "labels have the wrong shape"),
    }.values():
        with pytest.raises(DataError, match=match):
            bl.Samples(x, targets)
    copied = dataclasses.replace(bl.Samples(x, [0, 1, 2]), labels=[2, 1, 0])
    assert copied.labels.tolist() == [2, 1, 0]


def test_one_output_has_no_classes() -> None:
    learner = bl.Learner(chain(readout=1), bl.TFR(), **NUMPY)
    with pytest.raises(DataError, match=r"tells no classes apart(.|\n)*\(3, 1\)"):
        learner.learn(learner.init(), bl.Samples(drawn("values")[0], [0, 0, 0]))


def test_a_reward_is_of_labels() -> None:
    rule = bl.SynapticRule(on_pre="weight += learning_rate*L", third_factor=bl.Reward())
    learner = bl.Learner(chain(), rule, bl.SGD(RATE), **NUMPY)
    with pytest.raises(DataError, match="Reward: it does not take values"):
        learner.learn(learner.init(), bl.Samples(*drawn("steps")))


# samples ----------------------------------------------------------------------------------------------------------


def test_samples_with_values() -> None:
    values = np.array([[0.0, 1], [1, 0], [0, 0.5]], np.float32)
    samples = bl.Samples(np.zeros((3, 4)), values)
    assert samples.labels is None and samples.targets.dtype == np.float32
    part = samples[[1, 0]]  # which alone might be labels
    assert np.array_equal(part.targets, values[[1, 0]]) and part.ids.tolist() == [1, 0]
    again = bl.Samples(part.inputs, part.targets, part.ids)
    assert np.array_equal(again.targets, part.targets)
    assert dataclasses.replace(samples, inputs=np.ones((3, 4))).targets is samples.targets
    labelled = bl.Samples(np.zeros((3, 4)), [0, 1, 2])
    assert labelled.targets is labelled.labels
    assert bl.Samples(np.zeros((3, 4)), labels=[0, 1, 2]).targets.tolist() == [0, 1, 2]


def test_loaders_with_values() -> None:
    batches = [(np.ones((2, 5, 3)), np.full((2, 1), 0.5)), (np.ones((1, 5, 3)), np.full((1, 1), 1.5))]
    samples = bl.Samples.from_loader(batches, axes="BTN")
    assert samples.targets.tolist() == [[0.5], [0.5], [1.5]]


def test_augmentations_carry_values_along() -> None:
    keys = np.arange(6, dtype=np.uint64).reshape(3, 2)
    images = bl.Samples(np.random.default_rng(0).random((3, 1, 6, 6)), np.arange(6.0).reshape(3, 2))
    for augmentation in AUGMENTATIONS:
        assert np.array_equal(augmentation.changed(images, keys).targets, images.targets)

    class Forgetful(bl.Augmentation):
        def __call__(self, samples: bl.Samples, keys: np.ndarray) -> bl.Samples:
            return bl.Samples(samples.inputs)

    with pytest.raises(DataError, match=r"no targets(.|\n)*samples.targets"):
        Forgetful().changed(images, keys)
    events = bl.Events(np.arange(20), np.zeros(20, int), [0, 20], (1, 1, 1))
    shown = bl.RandomWindow(5).changed(bl.Samples(events, [[0.5]]), keys[:1])
    assert shown.targets.tolist() == [[0.5]]
    with pytest.raises(DataError, match="a window shifts"):
        bl.RandomWindow(5).changed(bl.Samples(events, np.zeros((1, 5, 1))), keys[:1])


# experiments ------------------------------------------------------------------------------------------------------


def task(kind: str, n: int = 12) -> bl.Samples:
    rng = np.random.default_rng(1)
    x = rng.random((n, 4))
    values = np.stack([x[:, 0] + x[:, 1], x[:, 2]], axis=1)
    return bl.Samples(x, values if kind == "values" else values[:, None] * np.linspace(0, 1, 6)[:, None])


def experiment(kind: str, runs: Any, **options: Any) -> bl.Experiment:
    layers = [bl.Dense(5, bl.CubaLIF(tau_m=10 * ms))]
    spec = bl.NetworkSpec(bl.Input((4,)), layers, bl.Readout(2, tau=3 * ms), duration=6 * ms, burn_in=1 * ms)
    fields = dict(rule=bl.TFR(), optimiser=bl.Adam(0.01), data=(task(kind), task(kind, 5)), epochs=3, runs=runs)
    fields |= dict(batch_size=2, chunk_size=4, validation=3, engine="discrete")
    return bl.Experiment(spec, **(fields | options))


@pytest.mark.parametrize("kind", KINDS)
def test_experiments(kind: str, tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    on_brian = dict(engine="brian", device="numpy") if kind == "steps" else {}
    made = experiment(kind, tmp_path, **on_brian)
    result = made.run()
    said = capsys.readouterr().err
    assert "train mse" in said and "R^2" in said and "accuracy" not in said
    line = result.metrics[-1]
    assert not [name for name in line if "accuracy" in name]
    for part in ("train", "validation"):
        assert line[f"{part}_mse"] == getattr(result, f"{part}_mse")
        assert line[f"{part}_r2"] == getattr(result, f"{part}_r2") < 1
    assert result.test_accuracy is None and result.test_mse > 0
    # the score of the test, in chunks, is that of all samples at once
    learner = bl.Learner(made.spec, dtype="float32", engine="discrete")
    names = [p.name for p in (*made.spec.projections, *made.spec.readout_projections)]
    whole = learner.infer(learner.init({n: result.weights[n] for n in names}), made.data[1])
    assert result.test_mse == pytest.approx(whole.mse, rel=1e-6) and result.test_r2 == pytest.approx(whole.r2, rel=1e-5)
    stored = json.loads((result.run / "result.json").read_text())
    assert "test_accuracy" not in stored and stored["test_mse"] == result.test_mse
    found = bl.evaluate(result.run, data=made.data, progress=False)
    assert found.test_mse == result.test_mse and found.test_r2 == result.test_r2
    assert "test_accuracy" not in found.to_dict()
    assert made.run(resume=result.run, progress=False) == result


def test_resume_in_the_middle_of_an_epoch(tmp_path: Any) -> None:
    class Stop(Exception):
        pass

    class Once(bl.training.progress.Progress):
        calls = 0

        def learned(self, done: int, running: Any) -> None:
            Once.calls += 1
            if Once.calls == 5:
                raise Stop

    whole = experiment("steps", tmp_path / "whole").run(progress=False)
    with pytest.raises(Stop):
        experiment("steps", tmp_path / "parts").run(progress=Once())
    (run,) = (tmp_path / "parts").iterdir()
    rest = experiment("steps", tmp_path / "parts").run(resume=run, progress=False)
    for name, weights in whole.weights.items():
        assert np.array_equal(weights, rest.weights[name])
    for mine, theirs in zip(whole.metrics, rest.metrics, strict=True):
        assert mine["train_mse"] == theirs["train_mse"] and mine["train_r2"] == theirs["train_r2"]


def test_experiments_refuse_before_there_is_a_folder(tmp_path: Any) -> None:
    x = np.zeros((4, 4))
    for changes in (
        dict(rule=bl.SurrogateBPTT(bl.CrossEntropy())),
        dict(data=(task("values"), task("steps"))),
        dict(data=(task("values"), bl.Samples(x, np.zeros(4, int)))),
        dict(rule=bl.SurrogateBPTT(bl.MAE()), data=(bl.Samples(x, [0, 1, 0, 1]),) * 2),
    ):
        with pytest.raises(BrianLearnError, match=r"two kinds|does not take"):
            experiment("values", tmp_path, **changes).run(progress=False)
    assert not list(tmp_path.iterdir())


def test_a_regression_loss_in_an_experiment(tmp_path: Any) -> None:
    result = experiment("steps", tmp_path, rule=bl.SurrogateBPTT(bl.MAE())).run(progress=False)
    assert result.test_loss != result.test_mse and result.test_r2 is not None
    squared = experiment("steps", tmp_path, rule=bl.SurrogateBPTT(bl.MSE())).run(progress=False)
    assert squared.test_loss == pytest.approx(squared.test_mse, rel=1e-5)
