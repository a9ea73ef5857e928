"""Spike trains as targets of each sample: losses and metrics against plain numpy and autograd; wrong ones by name."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, ms, mV, second

import brianlearn as bl
from brianlearn.errors import DataError, SpecError, UnitError

pytest.importorskip("torch")
N, T, OUT = 4, 12, 3
NEURON = bl.SequenceLIF(tau_m=5 * ms, tau_s=3 * ms)
LOSSES = {"van-rossum": bl.VanRossum(4 * ms), "exact": bl.VanRossum(4 * ms, kernel="exact"), "hamming": bl.Hamming()}


def network(burn_in: int = 0, **options: Any) -> bl.NetworkSpec:
    layers = [bl.Dense(9, NEURON, weights=bl.Uniform(1.0)), bl.Dense(OUT, NEURON, weights=bl.Normal(2.0))]
    options = dict(readout=None, duration=T * ms, burn_in=burn_in * ms) | options
    return bl.NetworkSpec(bl.Input((5,), bl.DirectCurrent(gain=2.0)), layers, **options)


def drawn(n: int = N, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform(0.2, 1, (n, 5)), rng.random((n, T, OUT)) < 0.2


def lists_of(trains: np.ndarray) -> list[list[tuple[int, Any]]]:
    """(neuron, time), in the middle of the step, out of order."""
    return [[(int(i), (t + 0.5) * ms) for t, i in np.argwhere(one)[::-1]] for one in trains]


def filtered(difference: np.ndarray, decay: float) -> np.ndarray:
    """x[t] = decay x[t-1] + d[t], (n, T, out)."""
    x = np.zeros_like(difference)
    for t in range(difference.shape[1]):
        x[:, t] = (decay * x[:, t - 1] if t else 0) + difference[:, t]
    return x


def distance(found: np.ndarray, wanted: np.ndarray, dt: float = 1.0, tau: float = 5.0, burn_in: int = 0) -> np.ndarray:
    decay = np.exp(-dt / tau)
    x = filtered(found.astype(float) - wanted, decay)[:, burn_in:]
    return (1 - decay**2) / 2 * (x**2).sum(axis=(1, 2))


# losses and metrics -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("burn_in", [0, 4])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_the_formula(name: str, burn_in: int) -> None:
    spec, (x, trains) = network(burn_in), drawn()
    learner = bl.Learner(spec, bl.STBP(LOSSES[name]), dtype="float64", batch_size=2, engine="discrete", seed=2)
    state = learner.init()
    activity = learner.infer(state, bl.Samples(x, trains), record="spikes")
    fired = activity.spikes["dense2"].dense()
    assert fired.any() and fired.dtype == bool and np.array_equal(activity.predictions, fired)
    difference = fired.astype(float) - trains
    if name == "hamming":
        each = np.abs(difference[:, burn_in:]).sum(axis=(1, 2))
    else:
        decay = 1 - 1 / 4 if name == "van-rossum" else np.exp(-1 / 4)
        each = (((1 - decay) * filtered(difference, decay))[:, burn_in:] ** 2).sum(axis=(1, 2)) / 2
    assert each.min() > 0
    assert activity.loss == pytest.approx(each.mean(), abs=1e-12)
    wanted = distance(fired, trains, burn_in=burn_in)
    assert activity.van_rossum == pytest.approx(wanted.mean(), abs=1e-12)
    assert activity.accuracy is None and activity.mse is None
    _, metrics = bl.Learner(
        spec, bl.STBP(LOSSES[name]), dtype="float64", batch_size=N, engine="discrete", seed=2
    ).learn(state, bl.Samples(x, trains))
    assert metrics.loss == pytest.approx(each.mean(), abs=1e-12)
    assert metrics.van_rossum == pytest.approx(wanted.mean(), abs=1e-12) and np.isnan(metrics.accuracy)


@pytest.mark.parametrize("name", LOSSES)
def test_trains_of_labels_are_the_general_form_of_labels(name: str) -> None:
    """Trains that say what the labels' targets say teach the same, to the last bit; times say what arrays say."""
    spec, labels = network(), np.array([2, 0, 1, 1])
    pattern = bl.Targets(bl.Regular(250 * Hz), bl.FirstSpike(3 * ms))
    loss = dataclasses.replace(LOSSES[name], targets=pattern)
    trains = pattern.trains(spec)[labels].transpose(0, 2, 1)
    learner = bl.Learner(spec, bl.STBP(loss), bl.Adam(0.01), batch_size=2, engine="discrete")
    expected, first = learner.learn(learner.init(), bl.Samples(drawn()[0], labels))
    for targets in (trains, lists_of(trains)):
        # the loss's own targets are not looked at
        other = bl.Learner(spec, bl.STBP(LOSSES[name]), bl.Adam(0.01), batch_size=2, engine="discrete")
        found, second_one = other.learn(other.init(), bl.Samples(drawn()[0], targets))
        assert second_one.loss == first.loss
        for key, weights in expected.weights.items():
            assert np.array_equal(weights, found.weights[key]), key


def test_gradients_are_those_of_autograd() -> None:
    torch = pytest.importorskip("torch")
    spec, (x, trains) = network(burn_in=2), drawn()
    learner = bl.Learner(
        spec, bl.STBP(bl.VanRossum(4 * ms)), bl.SGD(0.5), dtype="float64", batch_size=N, engine="discrete"
    )
    before = learner.init()
    after, _ = learner.learn(before, bl.Samples(x, trains))
    module = bl.export(spec, before.weights, dtype=torch.float64, kernels=False, reset_path="kept")
    difference = module(torch.from_numpy(x)).output - torch.from_numpy(trains).transpose(0, 1).double()
    potential, total = torch.zeros_like(difference[0]), 0.0
    for t, each in enumerate(difference):
        potential = 0.75 * potential + 0.25 * each
        total = total + (potential.square().sum() / 2 / N if t >= 2 else 0.0)
    total.backward()
    for key, parameter in module.named_parameters():
        gradient = (before.weights[key] - after.weights[key]) / 0.5
        assert np.abs(gradient).max() > 1e-4, key
        np.testing.assert_allclose(gradient, parameter.grad.numpy(), rtol=0, atol=1e-12, err_msg=key)


def test_long_trials_in_parts() -> None:
    """The same loss, distance and weights where a trial runs in parts of five steps."""
    spec, (x, trains) = network(burn_in=2), drawn()
    whole, parts = (
        bl.Learner(spec, bl.STBP(bl.VanRossum(4 * ms)), bl.SGD(0.5), dtype="float64", batch_size=2, engine=engine)
        for engine in (bl.Discrete(), bl.Discrete(checkpoint_steps=5))
    )
    expected, first = whole.learn(whole.init(), bl.Samples(x, trains))
    found, other = parts.learn(parts.init(), bl.Samples(x, trains))
    assert other.van_rossum == first.van_rossum and other.loss == pytest.approx(first.loss, abs=1e-12)
    for key, weights in expected.weights.items():
        np.testing.assert_allclose(found.weights[key], weights, rtol=0, atol=1e-10, err_msg=key)


def test_a_network_learns_a_sequence_for_each_input() -> None:
    x = np.eye(5)[:3] * 0.9 + 0.1
    trains = np.zeros((3, T, OUT), bool)
    for k in range(3):
        trains[k, [3 + k, 6 + k, 9 + k // 2], [k, (k + 1) % 3, (k + 2) % 3]] = True
    layers = [bl.Dense(60, NEURON, weights=bl.Normal(2.0)), bl.Dense(OUT, NEURON, weights=bl.Normal(1.0))]
    spec = bl.NetworkSpec(bl.Input((5,), bl.DirectCurrent(gain=2.0)), layers, None, duration=T * ms)
    learner = bl.Learner(spec, bl.STBP(bl.VanRossum(3 * ms)), bl.Adam(0.02), engine="discrete", batch_size=3, seed=1)
    state, first = learner.learn(learner.init(), bl.Samples(x, trains))
    for _ in range(200):
        state, last = learner.learn(state, bl.Samples(x, trains))
    assert last.van_rossum < 0.5 * first.van_rossum


def test_own_losses_take_trains() -> None:
    from typing import ClassVar

    seen = []

    @dataclasses.dataclass(frozen=True)
    class Counts(bl.Loss):
        """Squared error of spike counts."""

        name: ClassVar[str] = "counts-of-trains"
        output: ClassVar[str] = "spikes"
        takes: ClassVar[tuple[str, ...]] = ("trains",)

        def of_trials(self, activity: Any, targets: Any, spec: bl.NetworkSpec) -> Any:
            seen.append((tuple(targets.shape), str(targets.dtype)))
            return (activity.output.sum(0) - targets.sum(1)).square().sum(1)

    learner = bl.Learner(network(), bl.STBP(Counts()), engine="discrete", batch_size=N)
    learner.learn(learner.init(), bl.Samples(*drawn()))
    assert seen == [((N, T, OUT), "torch.bool")]
    with pytest.raises(DataError, match=r"Counts: it does not take labels(.|\n)*spike trains"):
        learner.learn(learner.init(), bl.Samples(drawn()[0], [0, 1, 2, 0]))


# distances --------------------------------------------------------------------------------------------------------


def test_van_rossum_is_the_integral() -> None:
    """Against the integral over continuous time, which is sums of exponentials, van Rossum 2001."""
    rng, tau = np.random.default_rng(1), 20.0
    found, wanted = np.zeros((2, 4000, 2), bool), np.zeros((2, 4000, 2), bool)
    for trains in (found, wanted):
        trains[:, :800] = rng.random((2, 800, 2)) < 0.01
    for k in range(2):
        expected = 0.0
        for i in range(2):
            t = [np.flatnonzero(trains[k, :, i]) * 0.1 for trains in (found, wanted)]
            signs = np.r_[np.ones(len(t[0])), -np.ones(len(t[1]))]
            apart = np.abs(np.subtract.outer(np.r_[t[0], t[1]], np.r_[t[0], t[1]]))
            expected += (signs @ np.exp(-apart / tau) @ signs) / 2
        each = bl.van_rossum(found, wanted, dt=0.1 * ms, tau=20 * ms)
        assert each.shape == (2,) and each[k] == pytest.approx(expected, rel=1e-6)
        assert bl.van_rossum(found[k], wanted[k], 0.1 * ms, 20 * ms) == pytest.approx(each[k])
    assert bl.van_rossum(found[0, :, 0], found[0, :, 0], dt=0.1 * ms) == 0
    late = bl.van_rossum(np.arange(2000) == 10, np.arange(2000) == 60, dt=0.1 * ms, tau=5 * ms)
    assert late == pytest.approx(1 - np.exp(-1), rel=1e-6)


def plain_victor_purpura(a: tuple[float, ...], b: tuple[float, ...], cost: float) -> float:
    """The definition, as a recursion over the last spike of each."""
    if not a or not b:
        return len(a) + len(b)
    apart = abs(a[-1] - b[-1])
    return min(
        plain_victor_purpura(a[:-1], b, cost) + 1,
        plain_victor_purpura(a, b[:-1], cost) + 1,
        plain_victor_purpura(a[:-1], b[:-1], cost) + (cost * apart if apart else 0.0),
    )


def test_victor_purpura_is_the_recursion() -> None:
    rng = np.random.default_rng(0)
    for n, m, cost in itertools.product((0, 1, 3, 5), (0, 2, 4), (0.0, 0.05, 0.3, 4.0)):
        a, b = (rng.choice(60, size, replace=False) * 1.0 for size in (n, m))
        expected = plain_victor_purpura(tuple(np.sort(a)), tuple(np.sort(b)), cost)
        assert bl.victor_purpura(a * ms, b * ms, cost=cost / ms) == pytest.approx(expected, abs=1e-9)
    trains = [rng.random((3, 40, 2)) < 0.1 for _ in range(2)]
    each = bl.victor_purpura(*trains, cost=0.2 / ms, dt=0.5 * ms)
    for k in range(3):
        times = [[tuple(np.flatnonzero(one[k, :, i]) * 0.5) for one in trains] for i in range(2)]
        expected = sum(plain_victor_purpura(*pair, 0.2) for pair in times)
        assert each[k] == pytest.approx(expected, abs=1e-9)
        assert bl.victor_purpura(trains[0][k], trains[1][k], 0.2 / ms, dt=0.5 * ms) == each[k]


def test_victor_purpura_in_its_limits() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.random((2, 5, 60, 3)) < 0.2
    counts = np.abs(a.sum(axis=1) - b.sum(axis=1)).sum(axis=1)
    assert bl.victor_purpura(a, b, cost=0 * Hz, dt=1 * ms).tolist() == counts.tolist()
    apart = (a != b).sum(axis=(1, 2))
    for cost in (np.inf * Hz, 1e9 * Hz):
        assert bl.victor_purpura(a, b, cost, dt=1 * ms).tolist() == apart.tolist()
    assert bl.victor_purpura([] * ms, [3] * ms, cost=1 * Hz) == 1


def test_wrong_distances_are_named() -> None:
    a = np.zeros((2, 5, 1), bool)
    for call, error, match in (
        (lambda: bl.victor_purpura([1] * ms, [2] * ms, cost=3), UnitError, "cost is no cost per time"),
        (lambda: bl.victor_purpura([1] * ms, [2] * ms, cost=-3 * Hz), DataError, "cost is out of range"),
        (lambda: bl.victor_purpura([1], [2], cost=3 * Hz), UnitError, "times have no unit"),
        (lambda: bl.victor_purpura(a, a, cost=3 * Hz), DataError, "trains in arrays have a time step"),
        (lambda: bl.victor_purpura(a, a[:1], cost=3 * Hz, dt=1 * ms), DataError, "different shapes"),
        (lambda: bl.van_rossum(a, a + 2, dt=1 * ms), DataError, "wanted is wrong"),
        (lambda: bl.van_rossum(a, a, dt=1), UnitError, "dt is no time"),
        (lambda: bl.van_rossum(a, a, dt=1 * ms, tau=0 * ms), DataError, "tau is out of range"),
    ):
        with pytest.raises(error, match=match):
            call()


# wrong targets ----------------------------------------------------------------------------------------------------

SPIKE = [(0, 1 * ms)]
READ = dict(readout=bl.Readout(OUT))
WRONG: dict[str, tuple[Any, dict[str, Any], Any, str]] = {
    "values for a loss of trains": (
        bl.STBP(bl.VanRossum()),
        {},
        np.zeros((N, T, OUT)),
        r"VanRossum: it does not take values(.|\n)*spike trains: bool(.|\n)*astype\(bool\)",
    ),
    "pairs without a unit": (
        bl.STBP(bl.VanRossum()),
        {},
        [[(0, 1.0), (2, 3.0)]] * N,
        r"VanRossum: it does not take values(.|\n)*give times their unit",
    ),
    "trains for cross-entropy": (
        bl.STBP(bl.CrossEntropy()),
        {},
        np.zeros((N, T, OUT), bool),
        r"CrossEntropy: it does not take spike trains(.|\n)*labels: integers(.|\n)*VanRossum\(\)",
    ),
    "trains for a rate": (bl.STBP(bl.RateMSE()), {}, [SPIKE] * N, r"RateMSE: it does not take spike trains"),
    "trains for values": (
        bl.SurrogateBPTT(bl.MSE()),
        READ,
        np.zeros((N, T, OUT), bool),
        r"MSE: it does not take spike trains(.|\n)*astype\(float\)",
    ),
    "trains for TFR": (bl.TFR(), READ, np.zeros((N, T, OUT), bool), r"TFR: it does not take spike trains(.|\n)*STBP"),
    "lists for DALTON": (
        bl.DALTON(),
        READ,
        [SPIKE] * N,
        r"DALTON: it does not take spike trains(.|\n)*lists of spikes",
    ),
    "trains for a readout": (None, READ, np.zeros((N, T, OUT), bool), r"output is a readout(.|\n)*readout=None"),
    "too many steps": (
        bl.STBP(bl.Hamming()),
        {},
        np.zeros((N, T + 1, OUT), bool),
        rf"number of time steps(.|\n)*{T} steps(.|\n)*\({N}, {T}, {OUT}\)",
    ),
    "too many neurons": (
        bl.STBP(bl.Hamming()),
        {},
        np.zeros((N, T, 5), bool),
        r"number of neurons(.|\n)*give the last layer 5 neurons",
    ),
    "axes in another order": (
        bl.STBP(bl.Hamming()),
        {},
        np.zeros((N, OUT, T), bool),
        r"number of neurons(.|\n)*transpose\(0, 2, 1\)",
    ),
    "after the trial": (
        bl.STBP(bl.Hamming()),
        {},
        [SPIKE, SPIKE, [(1, T * ms)], []],
        rf"outside of the trial(.|\n)*neuron 1 at {T} ms in sample 2(.|\n)*before {T}",
    ),
    "before the trial": (
        bl.STBP(bl.Hamming()),
        {},
        [SPIKE, [], [], [(1, -1 * ms)]],
        r"outside of the trial(.|\n)*-1 ms",
    ),
    "no such neuron": (
        bl.STBP(bl.Hamming()),
        {},
        [SPIKE, [(3, 2 * ms)], [], []],
        r"neuron that the output does not have(.|\n)*neuron 3 at 2 ms in sample 1(.|\n)*0 to 2",
    ),
    "a neuron below 0": (bl.STBP(bl.Hamming()), {}, [[(-1, 2 * ms)], [], [], []], r"counted from 0"),
    "two in a step": (
        bl.STBP(bl.Hamming()),
        {},
        [SPIKE, [(1, 2 * ms), (0, 2.1 * ms), (1, 2.4 * ms)], [], []],
        r"one time step(.|\n)*neuron 1 at 2.4 ms in sample 1(.|\n)*step 2",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_trains_are_named(name: str) -> None:
    rule, options, targets, match = WRONG[name]
    samples = bl.Samples(drawn()[0], targets)
    learner = bl.Learner(network(**options), rule, engine="discrete")
    for call in (learner.learn, learner.infer) if rule is not None else (learner.infer,):
        with pytest.raises(DataError, match=match) as caught:
            call(learner.init(), samples)
        assert caught.value.got and caught.value.expected and caught.value.remedy


def test_trains_that_are_none() -> None:
    x = np.zeros((3, 4))
    for targets, error, match in (
        (np.ones((2, 5, 2), bool), DataError, r"spike trains have the wrong shape(.|\n)*\(3, n_steps, out\)"),
        (np.ones((3, 5), bool), DataError, r"axis of steps and one of outputs"),
        ([SPIKE, SPIKE], DataError, r"not as many spike trains as inputs(.|\n)*2 lists"),
        ([[(0, 1.0)], [], [(1, 2.0), (0, 3.0)]], UnitError, "times have no unit"),
        ([[(0, 1 * ms)], [], [(0, 3 * Hz)]], UnitError, "another unit"),
        ([[(0, 1 * Hz)]] * 3, UnitError, "another unit"),
        ([([0, 1], [1, 2] * mV)] * 3, UnitError, "another unit"),
        ([[(0, 1 * ms)], [], [(0.5, 3 * ms)]], DataError, "neuron indices does not hold integers"),
        (bl.Events([1], [0], [0, 1, 1, 1], (2,)), DataError, r"targets are no events(.|\n)*dense"),
    ):
        with pytest.raises(error, match=match):
            bl.Samples(x, targets)
    values = np.arange(12.0).reshape(3, 2, 2)
    for targets in (
        values * mV,
        values[:, 0] * mV,
        [1, 0, 2] * second,
        [1 * second] * 3,
        [[1 * ms, 2 * ms]] * 3,
        [[[1 * mV, 2 * mV], [3 * mV, 4 * mV]]] * 3,
        list(values * mV),
    ):
        with pytest.raises(UnitError, match=r"targets have a unit(.|\n)*targets / mV"):
            bl.Samples(x, targets)
    assert np.array_equal(bl.Samples(x, values * mV / mV).targets, values)
    # nested lists of numbers are values, as ever
    assert bl.Samples(x, [[(0, 1.0)], [(0, 2.0)], [(0, 3.0)]]).targets.shape == (3, 1, 2)


# samples ----------------------------------------------------------------------------------------------------------


def test_samples_with_trains() -> None:
    x, trains = drawn()
    spec, lists = network(), lists_of(trains)
    by_neuron = [{i: [t for j, t in one if j == i] for i in {j for j, _ in one}} for one in lists]
    arrays = [([i for i, _ in one], np.array([float(t) for _, t in one]) * second) for one in lists]
    objects = np.empty(N, object)
    objects[:] = lists
    for targets in (lists, by_neuron, arrays, objects):
        samples = bl.Samples(x, targets)
        assert samples.labels is None and len(samples.targets) == N
        assert np.array_equal(samples.on_grid(spec).targets, trains)
        for index in (slice(1, 3), [3, 0, 0], np.array([True, False, True, True]), slice(None, None, -1), [1]):
            part = samples[index]
            assert np.array_equal(part.on_grid(spec).targets, trains[index]), index
            again = bl.Samples(part.inputs, part.targets, part.ids)
            assert np.array_equal(again.on_grid(spec).targets, trains[index])
    plain = bl.Samples(x, trains)
    assert plain.targets.dtype == bool and plain.on_grid(spec) is plain
    import torch

    assert np.array_equal(bl.Samples(x, torch.from_numpy(trains)).targets, trains)
    assert not bl.Samples(x, [[]] * N).on_grid(spec).targets.any()


def test_loaders_with_trains() -> None:
    trains = drawn()[1]
    for targets in (trains, lists_of(trains)):
        batches = [(np.ones((3, 5, 2)), targets[:3]), (np.ones((1, 5, 2)), targets[3:])]
        samples = bl.Samples.from_loader(batches, axes="BTN")
        assert np.array_equal(samples.on_grid(network()).targets, trains)
    batches[1] = (np.ones((1, 5, 2)), [2])
    with pytest.raises(DataError, match=r"two kinds(.|\n)*trains(.|\n)*labels"):
        bl.Samples.from_loader(batches, axes="BTN")


def test_recording_the_output_beside_trains() -> None:
    """What a user records of the output stays what was asked for."""
    spec, (x, trains) = network(), drawn()
    learner = bl.Learner(spec, bl.STBP(bl.VanRossum()), engine="discrete", seed=2)
    state, samples = learner.init(), bl.Samples(x, trains)
    whole = learner.infer(state, samples, record="spikes").spikes["dense2"]
    few = bl.Record("spikes", layers="dense2", neurons=[0, 2], samples=[3, 1])
    activity = learner.infer(state, samples, record=few)
    assert list(activity.spikes) == ["dense2"]
    expected = whole.dense()[[3, 1]]
    expected[:, :, 1] = False
    assert np.array_equal(activity.spikes["dense2"].dense(), expected)
    assert np.array_equal(activity.predictions, whole.dense())
    assert learner.infer(state, samples).spikes == {}


# experiments ------------------------------------------------------------------------------------------------------


def experiment(runs: Any, times: bool = False, **options: Any) -> bl.Experiment:
    parts = []
    for n, seed in ((12, 1), (5, 2)):
        x, trains = drawn(n, seed)
        parts.append(bl.Samples(x, lists_of(trains) if times else trains))
    fields = dict(rule=bl.STBP(bl.VanRossum(4 * ms)), optimiser=bl.Adam(0.01), data=tuple(parts), epochs=3, runs=runs)
    fields |= dict(batch_size=2, chunk_size=4, validation=3, engine="discrete")
    return bl.Experiment(network(burn_in=1), **(fields | options))


def test_experiments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = experiment(tmp_path)
    result = made.run()
    said = capsys.readouterr().err
    assert "train distance" in said and "(van Rossum)" in said and "accuracy" not in said and "mse" not in said
    line = result.metrics[-1]
    assert not [name for name in line if "accuracy" in name or "mse" in name or "r2" in name]
    for part in ("train", "validation"):
        assert line[f"{part}_van_rossum"] == getattr(result, f"{part}_van_rossum") > 0
    assert result.test_accuracy is None and result.test_mse is None
    learner = bl.Learner(made.spec, dtype="float32", engine="discrete")
    whole = learner.infer(learner.init(result.weights), made.data[1])
    assert result.test_van_rossum == pytest.approx(whole.van_rossum, rel=1e-9)
    assert whole.van_rossum == pytest.approx(distance(whole.predictions, made.data[1].targets, burn_in=1).mean())
    stored = json.loads((result.run / "result.json").read_text())
    assert stored["test_van_rossum"] == result.test_van_rossum
    assert not stored.keys() & {"test_accuracy", "test_mse", "train_r2", "validation_accuracy"}
    found = bl.evaluate(result.run, data=made.data, progress=False)
    assert (found.test_van_rossum, found.test_loss) == (result.test_van_rossum, result.test_loss)
    assert not found.to_dict().keys() & {"test_accuracy", "test_mse", "test_r2"}
    assert made.run(resume=result.run, progress=False) == result
    # times are another way to say it, in the fingerprint of the data too
    other = experiment(tmp_path / "times", times=True).run(progress=False)
    assert other.test_van_rossum == result.test_van_rossum
    assert experiment(tmp_path, times=True).run(resume=result.run, progress=False) == result
    from brianlearn.report.plots import plot_learning_curve

    assert plot_learning_curve(result.run).axes[0].get_ylabel() == "van Rossum distance"
    (result.run / "result.json").write_text(json.dumps(stored | {"test_mse": 0.5}))
    with pytest.raises(bl.RunFolderError, match="damaged"):
        made.run(resume=result.run, progress=False)


@pytest.mark.slow
def test_evaluation_on_brian(tmp_path: Path) -> None:
    made = experiment(tmp_path, dtype="float64", epochs=1)
    result = made.run(progress=False)
    found = bl.evaluate(result.run, data=made.data, engine="brian", device="numpy", progress=False)
    assert found.test_van_rossum == pytest.approx(result.test_van_rossum, abs=1e-12)
    assert found.test_loss is None


def test_resume_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    class Once(bl.training.progress.Progress):
        calls = 0

        def learned(self, done: int, running: Any) -> None:
            Once.calls += 1
            if Once.calls == 5:
                raise Stop

    whole = experiment(tmp_path / "whole").run(progress=False)
    with pytest.raises(Stop):
        experiment(tmp_path / "parts").run(progress=Once())
    (run,) = (tmp_path / "parts").iterdir()
    rest = experiment(tmp_path / "parts").run(resume=run, progress=False)
    for name, weights in whole.weights.items():
        assert np.array_equal(weights, rest.weights[name])
    for mine, theirs in zip(whole.metrics, rest.metrics, strict=True):
        assert mine["train_van_rossum"] == theirs["train_van_rossum"]


def test_experiments_refuse_before_there_is_a_folder(tmp_path: Path) -> None:
    x, trains = drawn(6)
    labelled, late = bl.Samples(x, [0, 1, 2, 0, 1, 2]), bl.Samples(x, [SPIKE] * 5 + [[(0, 1 * second)]])
    for changes, match in (
        (dict(rule=bl.STBP(bl.CrossEntropy())), "does not take spike trains"),
        (dict(data=(bl.Samples(x, trains), labelled)), "two kinds"),
        (dict(data=(bl.Samples(x, trains), late)), "outside of the trial"),
    ):
        with pytest.raises(DataError, match=match):
            experiment(tmp_path, **changes).run(progress=False)
    assert not list(tmp_path.iterdir())


def made_of(learning_rate: float) -> bl.Experiment:
    """What a study varies."""
    return experiment("runs", optimiser=bl.Adam(learning_rate), epochs=2)


@pytest.mark.slow
def test_studies(tmp_path: Path) -> None:
    axes = dict(learning_rate=[0.01, 0.1])
    study = bl.Study(made_of, axes=axes, metric="test_van_rossum", direction="minimize")
    status = study.run(folder=tmp_path / "study", progress=False, workers=1)
    values = np.asarray(study.results()["test_van_rossum"])
    assert values.shape == (2,) and status.best is not None and status.best[1] == values.min() > 0
    curves = study.results()["validation_van_rossum_by_epoch"]
    assert curves.shape == (2, 2) and "test_accuracy" not in study.results()


def test_successive_halving_wants_the_smallest_distance(tmp_path: Path) -> None:
    from brianlearn.study.trial import _Reports

    line = {"epoch": 1, "train_van_rossum": 0.5, "validation_van_rossum": None}
    with pytest.raises(SpecError, match=r"train_van_rossum(.|\n)*minimize"):
        _Reports(bl.SuccessiveHalving()).epoch(line, 3)
