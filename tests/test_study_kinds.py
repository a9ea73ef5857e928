"""Study kinds: what they change in a network, against closed forms and plain simulations; and what they refuse."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, ms, mV, second
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import kstest

import brianlearn as bl
from brianlearn.brian.cpp.building import counting_builds
from brianlearn.errors import BrianLearnError, DataError, RuleError, RunFolderError, SpecError, UnitError
from brianlearn.learning import initial_weights
from brianlearn.scripts.options import ScriptUsageError, option_rows
from brianlearn.study.kinds.depth import deep_experiment, with_depth
from brianlearn.study.kinds.dt_convergence import dt_trial, with_step
from brianlearn.study.kinds.heterogeneity import factors, heterogeneity_trial, with_spread
from brianlearn.study.kinds.quantisation import quantisation_trial, quantised
from brianlearn.study.kinds.rate_accuracy import active_experiment
from brianlearn.study.kinds.robustness import noisy_thresholds, noisy_weights, robustness_trial
from brianlearn.study.kinds.silenced import silenced_trial, without_neurons
from brianlearn.study.kinds.thresholds import threshold_distance, with_shifted_thresholds
from brianlearn.training.splits import epoch_order

pytest.importorskip("torch")
pytest.importorskip("xarray")

pytestmark = pytest.mark.timeout(300)

SCRIPT = """
import brianlearn as bl
from brian2 import ms

def experiment(size: int = 8, data: str = "digits"):
    neuron = bl.CubaLIF(tau_m=10 * ms, tau_s=4 * ms, R=4.0)
    spec = bl.NetworkSpec(
        bl.Input((1, 8, 8)), [bl.Dense(size, neuron), bl.Dense(6, neuron)], bl.Readout(10), duration=10 * ms
    )
    return bl.Experiment(
        spec, bl.DALTON(), bl.Adam(5e-3), data, epochs=1, batch_size=10, limit=60, test_limit=30, device="numpy"
    )
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("script") / "net.py"
    path.write_text(SCRIPT)
    return path


def _experiment(script: Path, **changes: Any) -> bl.Experiment:
    names: dict[str, Any] = {}
    exec(compile(script.read_text(), str(script), "exec"), names)
    return dataclasses.replace(names["experiment"](), **changes)


@pytest.fixture(scope="module")
def run(script: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learned something, on numpy."""
    return _experiment(script, runs=tmp_path_factory.mktemp("runs")).run(progress=False).run


def _trial(study: bl.Study) -> dict[str, Any]:
    """What the study hands to each of its trials."""
    return dict(study.fixed)


# noise ---------------------------------------------------------------------------------------------------------------


def test_noise_on_weights_is_what_it_says(rng: np.random.Generator) -> None:
    weights = {"a": rng.normal(3.0, 0.7, (300, 200)), "b": rng.normal(0.0, 2.0, (200, 50)), "readout_a": np.ones(3)}
    found = noisy_weights(weights, 0.2, 5, ["a", "b"])
    assert set(found) == {"a", "b"}
    z = {name: (found[name] - weights[name]) / (0.2 * weights[name].std()) for name in found}
    for name, drawn in z.items():  # of n numbers the mean has the error 1/sqrt(n), the deviation 1/sqrt(2n)
        n = drawn.size
        assert abs(drawn.mean()) < 4 / np.sqrt(n) and abs(drawn.std() - 1) < 4 / np.sqrt(2 * n), name
        assert kstest(drawn.ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(z["a"].ravel()[:10000], z["b"].ravel())[0, 1]) < 0.04
    more = noisy_weights(weights, 0.4, 5, ["a"])["a"]
    assert_allclose(more - weights["a"], 2 * (found["a"] - weights["a"]))  # a seed is one direction
    other = (noisy_weights(weights, 0.2, 6, ["a"])["a"] - weights["a"]).ravel()
    assert abs(np.corrcoef(other, z["a"].ravel())[0, 1]) < 0.02
    assert_array_equal(noisy_weights(weights, 0.0, 5, ["a"])["a"], weights["a"])


def _lif_counts(drive: np.ndarray, decay: np.ndarray, threshold: np.ndarray, steps: int) -> np.ndarray:
    """Spikes of leaky integrate-and-fire neurons with a constant drive per step: v <- decay v + drive, in that order.

    A delta synapse delivers before the membrane decays: v <- decay (v + drive).
    """
    v, counts = np.zeros(len(drive)), np.zeros(len(drive), int)
    for _ in range(steps):
        v = decay * (v + drive)
        fired = v > threshold
        counts += fired
        v[fired] = 0.0
    return counts


def _driven(neuron: bl.Neuron, n: int = 40, steps: int = 200) -> tuple[bl.NetworkSpec, dict[str, np.ndarray]]:
    spec = bl.NetworkSpec(bl.Input((1,), bl.DirectCurrent()), [bl.Dense(n, neuron)], None, duration=steps * ms)
    return spec, {"dense1": np.linspace(0.06, 0.5, n)[:, None]}


@pytest.mark.parametrize(("engine", "device"), [("brian", "numpy"), ("discrete", "cpu")])
def test_noise_on_thresholds_reaches_the_neurons(engine: str, device: str) -> None:
    spec, weights = _driven(bl.LIF(tau_m=20 * ms))
    noisy = noisy_thresholds(spec, 0.3, 2)
    shift = np.asarray(noisy.layers[0].neuron.constants["threshold_shift"])
    assert 0.15 < shift.std() < 0.45 and abs(shift.mean()) < 0.2
    for network, theta in ((noisy, 1.0 + shift), (noisy_thresholds(spec, 0.0, 2), np.ones(40)), (spec, np.ones(40))):
        learner = bl.Learner(network, engine=engine, device=device, dtype="float64")
        found = learner.infer(learner.init(weights), bl.Samples(np.ones((1, 1)))).logits[0]
        assert_array_equal(found, _lif_counts(weights["dense1"][:, 0], np.full(40, np.exp(-1 / 20)), theta, 200))
    assert found.max() > 20


UNITS = bl.Neuron(
    "dv/dt = (E_L - v)/tau_m : volt",
    threshold="v > v_th + 0.1*E_L - extra\n".strip(),
    reset="v = E_L",
    input="v",
    constants=dict(E_L=-60 * mV, tau_m=10 * ms, v_th=-50 * mV, extra=-4 * mV),
    v_scale=10 * mV,
    weight_unit=1 * mV,
    initial=dict(v=-65 * mV),
)


def test_distance_of_the_threshold() -> None:
    for neuron, expected in (
        (bl.LIF(), 1.0),
        (bl.STBPNeuron(v_th=0.5), 0.5),
        (bl.AdaptiveLIF(beta=0.3), 1.0),
        (bl.SequenceLIF(v_th=2.0), 2.0),
        (UNITS, 13 * mV),  # -50 - 6 + 4 + 65
        (dataclasses.replace(bl.LIF(), threshold="1.5 < v"), 1.5),
        (bl.Neuron("dv/dt = -v/tau : 1\nw = 2*v - k : 1", "w > 3", "v = 0", "v", dict(tau=5 * ms, k=1.0)), 4.0),
    ):
        assert_allclose(np.asarray(threshold_distance(neuron)), np.asarray(expected), rtol=1e-12)
    each = bl.STBPNeuron().with_constants(v_th=np.array([0.5, 2.0]))
    assert_allclose(np.asarray(threshold_distance(each)), [0.5, 2.0])
    with pytest.raises(SpecError, match=r"does not start below its threshold(.|\n)*initial"):
        threshold_distance(dataclasses.replace(UNITS, initial={}))
    with pytest.raises(SpecError, match="not known"):
        threshold_distance(dataclasses.replace(bl.LIF(), threshold="v > 1 + t/second"))
    layers = [bl.Dense(3, UNITS)]
    spec = bl.NetworkSpec(bl.Input((2,)), layers, bl.Readout(2), duration=5 * ms)
    shifted = with_shifted_thresholds(spec, {"dense1": np.array([1.0, 2.0, 0.5])}).layers[0].neuron
    assert_allclose(np.asarray(shifted.constants["threshold_shift"] / mV), [0, 13, -6.5], atol=1e-12)
    with pytest.raises(SpecError, match="threshold_shift"):
        with_shifted_thresholds(dataclasses.replace(spec, layers=[bl.Dense(3, shifted)]), {"dense1": 1.0})


# quantised weights ---------------------------------------------------------------------------------------------------

FLOATS = arrays(float, st.integers(1, 30), elements=st.floats(-1e3, 1e3, allow_subnormal=False))


@settings(suppress_health_check=[HealthCheck.too_slow])  # on a busy machine
@given(FLOATS, st.integers(2, 16))
def test_quantised_weights_are_on_the_grid(weights: np.ndarray, bits: int) -> None:
    found = quantised(weights, bits)
    largest = np.abs(weights).max()
    step = largest / (2 ** (bits - 1) - 1)
    if step < 1e-300:  # the grid is finer than numbers are
        return
    level = found / step
    assert_allclose(level, np.round(level), atol=1e-9 * 2**bits)
    assert np.abs(np.round(level)).max() <= 2 ** (bits - 1) - 1
    assert np.abs(found - weights).max() <= step / 2 * (1 + 1e-9)
    assert_array_equal(quantised(-weights, bits), -found)
    assert_allclose(np.abs(found).max(), largest)


@given(FLOATS)
def test_one_bit_is_the_nearest_pair_of_values(weights: np.ndarray) -> None:
    found = quantised(weights, 1)
    assert len(np.unique(np.abs(found))) == 1 and np.all((found < 0) == (weights < 0))
    error = np.sum((found - weights) ** 2)
    for scale in np.linspace(0, np.abs(weights).max(), 50):
        assert error <= np.sum((scale * np.where(weights < 0, -1, 1) - weights) ** 2) * (1 + 1e-9) + 1e-9


@pytest.mark.slow
def test_more_bits_cost_less(run: Path) -> None:
    study = bl.quantisation(run, bits=[1, 2, 4, 8, 16])
    found = [quantisation_trial(**_trial(study), bits=bits) for bits in (1, 2, 4, 8, 16)]
    assert found[-1]["test_accuracy"] == bl.evaluate(run, progress=False).test_accuracy
    errors = [trial["weight_error"] for trial in found[1:]]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 1e-4 < 0.05 < errors[0]


# silenced neurons ----------------------------------------------------------------------------------------------------


def test_silenced_neurons_have_no_outgoing_weights(conv_spec: bl.NetworkSpec) -> None:
    weights = initial_weights(conv_spec, None, 3)
    names = ["conv1", "conv2", "dense1", "readout"]
    before = {name: array.copy() for name, array in weights.items()}
    gone: dict[float, dict[str, set[int]]] = {}
    for fraction in (0.0, 0.3, 0.5, 1.0):
        found = without_neurons(conv_spec, weights, fraction, 4)
        assert_array_equal(found["conv1"], weights["conv1"])  # nobody silences the input
        gone[fraction] = {}
        for name in names[1:]:
            zero = {k for k in range(found[name].shape[1]) if not found[name][:, k].any()}
            kept = [k for k in range(found[name].shape[1]) if k not in zero]
            assert_array_equal(found[name][:, kept], weights[name][:, kept])
            assert len(zero) == round(fraction * weights[name].shape[1])
            gone[fraction][name] = zero
    for less, more in itertools.pairwise(gone):
        assert all(gone[less][name] <= gone[more][name] for name in names[1:])
    other = without_neurons(conv_spec, weights, 0.5, 5)["dense1"]
    assert {k for k in range(other.shape[1]) if not other[:, k].any()} != gone[0.5]["dense1"]
    for name in names:
        assert_array_equal(weights[name], before[name])


def test_a_network_with_silenced_neurons_is_one_without_them(dense_spec: bl.NetworkSpec) -> None:
    weights = {name: 6 * array for name, array in initial_weights(dense_spec, None, 1).items()}
    found = without_neurons(dense_spec, weights, 0.5, 0)
    first = [k for k in range(8) if found["dense2"][:, k].any()]
    second = [k for k in range(6) if found["readout"][:, k].any()]
    assert (len(first), len(second)) == (4, 3)
    layers = [dataclasses.replace(dense_spec.layers[k], size=n) for k, n in ((0, 4), (1, 3))]
    smaller = dataclasses.replace(dense_spec, layers=layers)
    without = {
        "dense1": weights["dense1"][first],
        "dense2": weights["dense2"][np.ix_(second, first)],
        "readout": weights["readout"][:, second],
    }
    samples = bl.Samples(np.random.default_rng(0).random((6, 12)))
    logits = []
    for spec, those in ((dense_spec, found), (smaller, without)):
        learner = bl.Learner(spec, device="numpy", dtype="float64")
        logits.append(learner.infer(learner.init(those), samples).logits)
    assert_allclose(logits[0], logits[1], rtol=1e-12)
    assert np.abs(logits[0]).max() > 0.1


# heterogeneity -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("distribution", "spreads"), [("lognormal", (0.1, 0.5, 1.0)), ("uniform", (0.1, 0.5))])
def test_spread_of_a_constant(distribution: str, spreads: tuple[float, ...]) -> None:
    n = 40000
    for spread in spreads:
        found = factors(n, spread, distribution, np.random.default_rng(7))
        assert_allclose(found.mean(), 1.0, rtol=1e-12)
        assert abs(found.std() / spread - 1) < 0.06 and found.min() > 0
        if distribution == "lognormal":
            logs = np.log(found)
            assert abs(logs.std() - np.sqrt(np.log(1 + spread**2))) < 0.02
            assert kstest((logs - logs.mean()) / logs.std(), "norm").pvalue > 1e-3
        else:
            low, high = 1 - np.sqrt(3) * spread, 1 + np.sqrt(3) * spread
            assert kstest(found, "uniform", (low, high - low)).pvalue > 1e-3
    assert_array_equal(factors(9, 0.0, distribution, np.random.default_rng(0)), np.ones(9))


@pytest.mark.parametrize(("engine", "device"), [("brian", "numpy"), ("discrete", "cpu")])
def test_heterogeneous_time_constants_reach_the_neurons(engine: str, device: str) -> None:
    spec, weights = _driven(bl.LIF(tau_m=20 * ms))
    wide = with_spread(spec, "tau_m", 0.5, "lognormal", 3)
    tau = np.asarray(wide.layers[0].neuron.constants["tau_m"] / ms)
    assert_allclose(tau.mean(), 20.0)
    assert 6 < tau.std() < 16
    learner = bl.Learner(wide, engine=engine, device=device, dtype="float64")
    found = learner.infer(learner.init(weights), bl.Samples(np.ones((1, 1)))).logits[0]
    drive, one = weights["dense1"][:, 0], np.ones(40)
    assert_array_equal(found, _lif_counts(drive, np.exp(-1 / tau), one, 200))
    assert np.any(found != _lif_counts(drive, np.full(40, np.exp(-1 / 20)), one, 200))


def test_a_spread_is_relative_to_what_a_layer_has() -> None:
    own = bl.CubaLIF(tau_m=np.linspace(10, 30, 6).reshape(2, 3) * ms)
    spec = bl.NetworkSpec(
        bl.Input((1, 4, 5)), [bl.Conv(1, 3, own), bl.Dense(5, bl.LIF(tau_m=8 * ms))], None, duration=5 * ms
    )
    found = with_spread(spec, "tau_m", 0.2, "uniform", 0)
    ratio = np.asarray(found.layers[0].neuron.constants["tau_m"] / ms) / np.linspace(10, 30, 6)
    assert_allclose(ratio.mean(), 1.0)
    assert_allclose(np.mean(found.layers[1].neuron.constants["tau_m"] / ms), 8.0)
    only = with_spread(spec, "R", 0.2, "uniform", 0)
    assert only.layers[1].neuron.constants["tau_m"] == 8 * ms and np.size(only.layers[0].neuron.constants["R"]) == 6


# time steps ----------------------------------------------------------------------------------------------------------


def test_convergence_to_the_analytic_f_i_curve() -> None:
    """tau dv/dt = mu - v, threshold 1, reset 0: a rate of 1/(tau ln(mu/(mu - 1))).

    In steps the membrane is at v_inf (1 - a^n) after n of them, a = exp(-dt/tau), v_inf = a mu (dt/tau)/(1 - a): each
    period has as many steps as it takes to be above 1.
    """
    tau, mu = 10e-3, np.array([0.9, 1.3, 2.0, 4.0])
    spec = bl.NetworkSpec(
        bl.Input((1,), bl.DirectCurrent()), [bl.Dense(1, bl.LIF(tau_m=tau * second))], None, duration=1 * second
    )
    weight = initial_weights(spec, None, 0)["dense1"][0, 0]
    inputs = (mu * 1e-3 / tau / weight)[:, None]
    dts = [0.05, 0.1, 0.2, 0.5, 1.0] * ms
    study = bl.dt_convergence(spec, dts, inputs=inputs, engine="discrete", device="cpu")
    analytic = np.concatenate([[0.0], 1 / (tau * np.log(mu[1:] / (mu[1:] - 1)))])
    errors = []
    for dt in dts:
        found = dt_trial(dt, **_trial(study))
        step = float(dt)
        a = np.exp(-step / tau)
        top = a * mu * (step / tau) / (1 - a)
        n = np.full(4, np.inf)
        n[top > 1] = np.floor(np.log(1 - 1 / top[top > 1]) / np.log(a)) + 1
        assert_allclose(found["output"][:, 0], np.floor(round(1 / step) / n), rtol=1e-12)
        assert_allclose(float(found["firing_rate"] / Hz), found["output"].mean(), rtol=1e-6)
        errors.append(np.abs(found["output"][1:, 0] / analytic[1:] - 1).max())
    assert errors[0] < 0.02 < 0.1 < errors[-1] and errors == sorted(errors)


@pytest.mark.parametrize(
    "neuron", [bl.DaltonIF(tau_s=2 * ms), bl.STBPNeuron(), bl.CubaLIF(R=4.0), bl.SequenceLIF()], ids=lambda n: n.input
)
@pytest.mark.parametrize(
    "encoder", [bl.IntegrateAndFireEncoder(), bl.PoissonEncoder(0.7), bl.TimeToFirstSpikeEncoder()], ids=repr
)
def test_a_networks_own_step_changes_nothing(neuron: bl.Neuron, encoder: bl.Encoder) -> None:
    spec = bl.NetworkSpec(
        bl.Input((6,), encoder), [bl.Dense(20, neuron, weights=bl.Normal(3.0))], bl.Readout(3), duration=20 * ms
    )
    samples = bl.Samples(np.random.default_rng(0).random((4, 6)))
    found = []
    for network in (spec, with_step(spec, 1 * ms)):
        learner = bl.Learner(network, device="numpy", dtype="float64")
        found.append(learner.infer(learner.init(), samples))
    assert_array_equal(found[0].logits, found[1].logits)
    assert found[0].firing_rates["dense1"] > 1


def test_encoders_do_the_same_per_time() -> None:
    x, seeds = np.array([[0.02, 0.3, 0.9]]), np.array([[1, 2]], np.uint64)
    for encoder in (bl.PoissonEncoder(0.8), bl.TimeToFirstSpikeEncoder(0.05)):
        coarse, fine = (e.raster(x, n, seeds) for e, n in ((encoder, 4000), (encoder.with_step(0.1), 40000)))
        if isinstance(encoder, bl.TimeToFirstSpikeEncoder):
            assert_allclose(fine.argmax(1) / 10, coarse.argmax(1), atol=1)
            assert_array_equal(fine.sum(1), [[0, 1, 1]])
        else:  # counts of 4000 trials with p = 0.8 x, and of ten times as many with a tenth of it
            expected = 3200 * x
            assert np.all(np.abs(coarse.sum(1) - expected) < 5 * np.sqrt(expected))
            assert np.all(np.abs(fine.sum(1) - expected) < 5 * np.sqrt(expected))
    assert bl.IntegrateAndFireEncoder(0.5, 0.1).with_step(0.1) == bl.IntegrateAndFireEncoder(0.5 * 0.1, 0.1 * 0.1)
    assert bl.DirectCurrent(2.0).with_step(0.5) == bl.DirectCurrent(1.0)
    assert bl.IntegrateEvents(1.5, 0.2).with_step(0.5) == bl.IntegrateEvents(1.5, 0.1)
    assert bl.Spikes().with_step(0.1) == bl.Spikes()

    class Own(bl.Encoder):
        pass

    with pytest.raises(SpecError, match="Own: it does not say"):
        Own().with_step(0.5)


def test_time_steps_of_a_run(run: Path, tmp_path: Path) -> None:
    study = bl.dt_convergence(run, dts="0.25ms, 0.5ms, 1ms")
    study.run(workers=1, folder=tmp_path / "s", progress=False)
    results = study.results()
    assert_array_equal(results["dt"], [0.25, 0.5, 1.0])
    assert results["firing_rate"].attrs["units"] == "Hz" and results["output"].shape == (3, 30, 10)
    assert float(results["test_accuracy"].sel(dt=1.0)) == bl.evaluate(run, progress=False).test_accuracy
    found = bl.against_finest(results)
    assert float(found["output_error"][0]) == float(found["firing_rate_error"][0]) == 0
    y = results["output"].values
    assert_allclose(found["output_error"][2], np.linalg.norm(y[2] - y[0]) / np.linalg.norm(y[0]))
    assert_allclose(found["decisions_changed"][2], np.mean(y[2].argmax(1) != y[0].argmax(1)))
    with pytest.raises(DataError, match="no results of dt_convergence"):
        bl.against_finest(results.rename(dt="x"))


# whole studies -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_study_of_robustness(run: Path, tmp_path: Path) -> None:
    own = bl.evaluate(run, progress=False)
    study = bl.KINDS["robustness"].study(
        str(run), ["--weight-noise", "0,0.5", "--threshold-noise", "0,0.3", "--seeds", "0:2"]
    )
    status = study.run(workers=1, folder=tmp_path / "s", progress=False)
    assert (status.done, status.failed, status.total) == (6, 0, 6)  # each noise alone
    results = study.results()
    assert results["test_accuracy"].dims == ("weight_noise", "threshold_noise", "seed")
    still = results.sel(weight_noise=0, threshold_noise=0)
    assert_array_equal(still["test_accuracy"], [own.test_accuracy] * 2)
    assert_allclose(still["test_loss"], own.test_loss, rtol=1e-6)
    assert np.isnan(results["test_accuracy"].sel(weight_noise=0.5, threshold_noise=0.3)).all()
    assert results["firing_rate_dense1"].attrs["units"] == "Hz"
    again = bl.Study.open(study.folder)
    assert _trial(again)["subject"]["run"] == str(run.resolve())
    # the same trial, run by hand
    by_hand = robustness_trial(**_trial(study), weight_noise=0.5, threshold_noise=0.0, seed=1)
    at = results.sel(weight_noise=0.5, threshold_noise=0, seed=1)
    assert by_hand["test_accuracy"] == float(at["test_accuracy"])
    assert float(by_hand["firing_rate"] / Hz) == pytest.approx(float(at["firing_rate"]))
    sizes, rates = np.array([8, 6]), np.array([float(at[f"firing_rate_dense{k}"]) for k in (1, 2)])
    assert float(at["firing_rate"]) == pytest.approx(sizes @ rates / 14)
    together = bl.robustness(run, [0, 0.5], [0, 0.3], range(2), together=True)
    assert len(together.points()) == 8
    assert set(bl.robustness(run, threshold_noise=[0]).axes) == {"weight_noise", "seed"}


@pytest.mark.parametrize(
    ("engine", "device"),
    [
        ("discrete", "cpu"),
        pytest.param("brian", "cpp_standalone", marks=[pytest.mark.cpp_standalone, pytest.mark.slow]),
    ],
)
def test_trials_on_other_devices_share_one_program(run: Path, engine: str, device: str) -> None:
    """They fire the same spikes as numpy, and only the first one builds."""
    there: dict[str, Any] = dict(engine=engine, device=device)
    noisy: dict[str, Any] = dict(weight_noise=0.2, threshold_noise=0.2)
    for function, study, other, first, second_ in (
        (robustness_trial, bl.robustness(run, **there), bl.robustness(run), noisy, noisy | {"threshold_noise": 0.0}),
        (heterogeneity_trial, bl.heterogeneity(run, **there), bl.heterogeneity(run), {"spread": 0.0}, {"spread": 0.4}),
        (silenced_trial, bl.silenced(run, **there), bl.silenced(run), {"fraction": 0.0}, {"fraction": 0.5}),
    ):
        function(**_trial(study), **first, seed=1)
        with counting_builds() as built:
            found = function(**_trial(study), **second_, seed=2)
        assert not built
        want = function(**_trial(other), **second_, seed=2)
        for name in ("firing_rate_input", "firing_rate_dense1", "firing_rate_dense2"):
            assert float(found[name] / Hz) == pytest.approx(float(want[name] / Hz), rel=2e-3), name


@pytest.mark.slow
def test_a_run_that_was_trained_on_is_another_one(script: Path, tmp_path: Path) -> None:
    run = _experiment(script, runs=tmp_path / "runs").run(progress=False).run
    study = bl.silenced(run, fractions=[0.5], seeds=[0])
    _experiment(script, epochs=2).run(resume=run, progress=False)
    with pytest.raises(RunFolderError, match="other weights than when the study began"):
        silenced_trial(**_trial(study), fraction=0.5, seed=0)


@pytest.mark.slow
def test_samples_without_a_name_cannot_be_studied(tmp_path: Path) -> None:
    from tiny_experiment import experiment

    run = dataclasses.replace(experiment(), runs=tmp_path).run(progress=False).run
    with pytest.raises(RunFolderError, match="samples that have no name"):
        bl.silenced(run)
    with pytest.raises(RunFolderError, match="samples have no name"):
        bl.depth(experiment(), [1])


@pytest.mark.parametrize(
    ("kind", "options", "error", "said"),
    [
        ("robustness", dict(weight_noise=[-0.1]), SpecError, "axis weight_noise(.|\n)*>= 0"),
        ("robustness", dict(threshold_noise=[0, 1 * mV]), UnitError, "axis"),
        ("robustness", dict(threshold_noise=[1 * mV]), UnitError, "wrong unit(.|\n)*plain numbers"),
        ("robustness", dict(seeds=[0.5]), SpecError, "axis seed(.|\n)*whole numbers"),
        ("robustness", dict(weight_noise=[]), SpecError, "no values"),
        ("robustness", dict(weight_noise=["much"]), SpecError, "no number"),
        ("robustness", dict(engine="nest"), RuleError, "unknown engine"),
        ("robustness", dict(limit=0), SpecError, "limit is wrong"),
        ("quantisation", dict(bits=[0]), SpecError, ">= 1 and <= 32"),
        ("quantisation", dict(bits=[2.5]), SpecError, "whole numbers"),
        ("silenced", dict(fractions=[0, 1.5]), SpecError, "<= 1"),
        ("heterogeneity", dict(constant="tau_x"), SpecError, "R, tau_m, tau_s"),
        ("heterogeneity", dict(distribution="gamma"), SpecError, "'lognormal' or 'uniform'"),
        ("heterogeneity", dict(distribution="uniform", spread=[0.6]), SpecError, "below 0.577"),
        ("dt-convergence", dict(dts=[0.3] * ms), SpecError, "whole number of time steps"),
        ("dt-convergence", dict(dts=[0.1, 1]), UnitError, "quantities in second"),
        ("dt-convergence", dict(dts=[0] * ms), SpecError, "> 0"),
        ("dt-convergence", dict(inputs=[[1.0]]), SpecError, "its test samples"),
    ],
)
def test_what_cannot_be_right_is_said_before_anything_runs(
    kind: str, options: dict[str, Any], error: type[BrianLearnError], said: str, run: Path
) -> None:
    with pytest.raises(error, match=said):
        bl.KINDS[kind].function(run, **options)


def test_no_run_folder(tmp_path: Path) -> None:
    for name in ("robustness", "quantisation", "silenced", "heterogeneity", "dt-convergence"):
        with pytest.raises(RunFolderError, match="no such run folder"):
            bl.KINDS[name].function(tmp_path / "nothing")
        with pytest.raises(SpecError, match="wrong type"):
            bl.KINDS[name].function(3)


def test_the_command_line_of_the_kinds(run: Path, script: Path) -> None:
    for name, kind in bl.KINDS.items():
        assert kind.subject == ("script" if name in ("depth", "rate-accuracy") else "run")
        assert kind.summary.endswith((".", "?")) and option_rows(kind.options, name)
        with pytest.raises(ScriptUsageError):
            kind.study(str(run), ["--no-such-option", "3"])
    study = bl.KINDS["quantisation"].study(str(run), ["--bits", "2,4", "--limit", "5"])
    assert study.axes["bits"].values == (2, 4) and _trial(study)["subject"]["limit"] == 5
    study = bl.KINDS["heterogeneity"].study(str(run), ["--constant", "tau_s", "--spread", "0..0.4:3"])
    assert_allclose(study.axes["spread"].values, [0, 0.2, 0.4])
    study = bl.KINDS["depth"].study(str(script), ["--depths", "1:3", "--rules", "dalton,tfr", "--seeds", "4"])
    assert [axis.values for axis in study.axes.values()] == [(1, 2), ("dalton", "tfr"), (4,)]


# kinds that train ----------------------------------------------------------------------------------------------------


def test_depth_of_a_network(script: Path) -> None:
    spec = _experiment(script).spec
    assert [[p.n_post for p in with_depth(spec, d).projections] for d in (1, 2, 4)] == [[8], [8, 6], [8, 6, 6, 6]]
    without = dataclasses.replace(spec, readout=None)
    assert with_depth(without, 2).projections[-1].n_post == 6
    with pytest.raises(SpecError, match="no readout"):
        with_depth(without, 3)
    conv = bl.NetworkSpec(bl.Input((1, 8, 8)), [bl.Conv(2, 3, bl.LIF())], bl.Readout(2), duration=5 * ms)
    with pytest.raises(SpecError, match="cannot be repeated"):
        with_depth(conv, 2)
    with pytest.raises(RuleError, match=r"no rule of this name(.|\n)*dalton"):
        bl.depth(script, [1], rules=["daltn"])
    with pytest.raises(SpecError, match="no such parameter"):
        bl.depth(script, [1], options={"width": 3})
    with pytest.raises(SpecError, match="no such parameter"):
        bl.depth(script, [1], parameters={"tau_x": 3 * ms})
    own = bl.depth(script, [1, 3], options={"size": 5}, epochs=7)
    made = deep_experiment(own.fixed["source"], 3)
    assert [p.n_post for p in made.spec.projections] == [5, 6, 6] and own.fixed["epochs"] == 7
    same = bl.depth(_experiment(script), [1])
    assert deep_experiment(same.fixed["source"], 1).spec.projections[0].n_post == 8


@pytest.mark.slow
def test_a_study_of_depth_is_a_loop_over_learners(tmp_path: Path) -> None:
    """The same accuracies, bit for bit, as a plain loop."""
    specs = Path(__file__).parents[1] / "network_specs"
    study = bl.depth(
        specs / "depth_study.py",
        [1, 3],
        [0, 1],
        ["bptt", "dalton", "tfr"],
        epochs=2,
        limit=200,
        options={"width": 16},
        parameters={"learning_rate": 5e-3},
    )
    assert study.run(workers=1, folder=tmp_path / "s", progress=False).done == 12
    results = study.results()
    data = bl.load("digits")
    rules = {
        "bptt": bl.SurrogateBPTT(),
        "dalton": bl.DALTON(credit="through_time"),
        "tfr": bl.TFR(credit="through_time"),
    }
    for depth, (name, rule), seed in itertools.product((1, 3), rules.items(), (0, 1)):
        spec = bl.NetworkSpec(
            bl.Input(data.shape, bl.IntegrateAndFireEncoder()),
            [bl.Dense(16, bl.DaltonIF(tau_s=1 * ms)) for _ in range(depth)],
            bl.Readout(10),
            duration=20 * ms,
        )
        adam = bl.Adam(5e-3, reset_each_epoch=True)
        learner = bl.Learner(spec, rule, adam, engine="discrete", batch_size=20, seed=seed)
        train, state = data.train[:200], learner.init()
        for epoch in range(2):
            state, _ = learner.learn(state, train[epoch_order(200, seed, epoch)])
            state = state.next_epoch(adam)
        at = results["test_accuracy"].sel(depth=depth, rule=name, seed=seed)
        assert float(at) == learner.infer(state, data.test).accuracy


@pytest.mark.slow
def test_rate_against_accuracy(script: Path, tmp_path: Path) -> None:
    study = bl.rate_accuracy(script, gains=[0.5, 2], thresholds=[1, 1.5], seeds=[0], limit=20)
    source = study.fixed["source"]
    weights = [initial_weights(active_experiment(source, gain).spec) for gain in (1.0, 2.0)]
    assert_allclose(weights[1]["dense2"], 2 * weights[0]["dense2"])
    assert_array_equal(weights[1]["readout"], weights[0]["readout"])
    high = active_experiment(source, 1.0, 1.5).spec.layers[0].neuron
    assert float(high.constants["threshold_shift"]) == 0.5
    assert study.run(workers=1, folder=tmp_path / "s", progress=False).done == 4
    results = study.results()
    rates = results["firing_rate"]
    assert rates.attrs["units"] == "Hz"
    assert (rates.sel(gain=2.0) > rates.sel(gain=0.5)).all() and (
        rates.sel(threshold=1) > rates.sel(threshold=1.5)
    ).all()
    front = bl.pareto(results)
    assert front["firing_rate"].attrs["units"] == "Hz" and 1 <= front.sizes["point"] <= 4
    encoder = bl.rate_accuracy(script, [1], parameter="input.encoder.gain", values="0.5,1", seeds=[0])
    assert encoder.axes["input.encoder.gain"].values == (0.5, 1) and "threshold" not in encoder.axes
    for options, error, said in (
        (dict(gains=[0]), SpecError, "> 0"),
        (dict(parameter="tau_m"), SpecError, "parameter and values"),
        (dict(parameter="gain", values=[1]), SpecError, "an axis already"),
        (dict(parameter="tau_x", values=[1]), SpecError, "no such parameter"),
        (dict(parameter="tau_m", values=[1]), UnitError, "tau_m has no unit"),
    ):
        with pytest.raises(error, match=said):
            bl.rate_accuracy(script, **options)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=12), st.data())
@settings(deadline=None)
def test_pareto_front(points: list[tuple[int, int]], data: st.DataObject) -> None:
    """Against the definition, for a grid and for drawn points; a point without a number counts for nothing."""
    xr = pytest.importorskip("xarray")
    cost, gain = (np.array(values, float) for values in zip(*points, strict=True))
    lost = data.draw(st.sets(st.integers(0, len(points) - 1), max_size=2))
    gain[list(lost)] = np.nan
    n = len(points)
    drawn = xr.Dataset(
        {"firing_rate": ("trial", cost), "test_accuracy": ("trial", gain)},
        {"trial": np.arange(n), "tau": ("trial", np.arange(n) * 1.5)},
    )
    whole = (n // 2) * 2
    grid = xr.Dataset(
        {
            "firing_rate": (("a", "b"), cost[:whole].reshape(2, -1)),
            "test_accuracy": (("a", "b"), gain[:whole].reshape(2, -1)),
        },
        {"a": [0, 1], "b": np.arange(whole // 2)},
    )
    for results, size in ((drawn, n), (grid, whole)):
        found = bl.pareto(results)
        got = list(zip(found["firing_rate"].values, found["test_accuracy"].values, strict=True))
        pairs = {(c, g) for c, g in zip(cost[:size], gain[:size], strict=True) if np.isfinite(g)}
        want = {(c, g) for c, g in pairs if not any((c2 <= c and g2 >= g) and (c2, g2) != (c, g) for c2, g2 in pairs)}
        assert got == sorted(want)
        assert set(results.coords) <= set(found.coords)
    with pytest.raises(DataError, match="no such number"):
        bl.pareto(drawn, cost="rate")
