"""Initial weights: what each draws, in every kind of layer; fluctuation-driven ones in a simulated network."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import brian2
import numpy as np
import pytest
from brian2 import Hz, NeuronGroup, Synapses, ms, mV

import brianlearn as bl
from brianlearn.learning import initial_weights
from brianlearn.network.neurons.step import neuron_step
from brianlearn.training.serialise import from_dict, to_dict


@dataclass(frozen=True)
class Ramp(bl.Init):
    """Of a user's own: also depends on the name of the layer."""

    top: float = 1.0

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return np.linspace(0, self.top, int(np.prod(shape))).reshape(shape)

    def of(self, projection: Any, spec: Any, rng: np.random.Generator) -> np.ndarray:
        return len(projection.name) * super().of(projection, spec, rng)


@dataclass(frozen=True)
class Wrong(bl.Init):
    what: str = "shape"

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        drawn = {"shape": np.zeros(3), "nan": np.full(shape, np.nan), "text": "zeros", "complex": np.zeros(shape) * 1j}
        return drawn[self.what]


def spec_with(weights: bl.Init, readout: bl.Init | None = None, **options: Any) -> bl.NetworkSpec:
    neuron = options.pop("neuron", bl.CubaLIF())
    layers = [bl.Conv(3, 2, neuron, weights=weights), bl.Dense(4, neuron, weights=weights)]
    return bl.NetworkSpec(
        bl.Input((2, 5, 5)), layers, bl.Readout(3, weights=readout or bl.Uniform()), duration=10 * ms, **options
    )


def drawn(weights: bl.Init, shape: tuple[int, ...]) -> np.ndarray:
    return weights.draw(np.random.default_rng(3), shape)


def test_the_draws_of_the_first_version_stay():
    rng = np.random.default_rng(3)
    np.testing.assert_array_equal(drawn(bl.Normal(1.5), (3, 8)), rng.normal(0, 1.5 / np.sqrt(8), (3, 8)))
    rng = np.random.default_rng(3)
    np.testing.assert_array_equal(drawn(bl.Uniform(2.0), (3, 8)), rng.uniform(-2 / np.sqrt(8), 2 / np.sqrt(8), (3, 8)))


def test_constant_and_array():
    values = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(drawn(bl.Constant(-0.5), (2, 3)), np.full((2, 3), -0.5))
    given = bl.Array(values.tolist())
    np.testing.assert_array_equal(drawn(given, (2, 3)), values)
    values[0, 0] = 9
    assert drawn(given, (2, 3))[0, 0] == 0
    with pytest.raises(bl.ShapeError, match="another shape"):
        drawn(given, (3, 2))
    again = from_dict(to_dict(bl.Array(np.array([[1 / 3, -0.0, 1e-300]]))))
    np.testing.assert_array_equal(again.values, [[1 / 3, -0.0, 1e-300]])


@pytest.mark.parametrize("shape", [(3, 8), (8, 3), (4, 4), (5, 2, 3, 3), (30, 1, 3, 3)])
def test_orthogonal(shape):
    found = drawn(bl.Orthogonal(1.5), shape)
    assert found.shape == shape
    matrix = found.reshape(shape[0], -1)
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 1.5**2 * np.eye(len(product)), atol=1e-12)


def test_scaled():
    assert bl.Normal(1.5).scaled(2.0) == bl.Normal(3.0)
    assert bl.Uniform(1.5).scaled(0.5) == bl.Uniform(0.75)
    louder = spec_with(Ramp(2.0).scaled(3.0))
    found, once = initial_weights(louder)["conv1"], initial_weights(spec_with(Ramp(2.0)))["conv1"]
    np.testing.assert_array_equal(found, 3.0 * once)
    assert from_dict(to_dict(louder)).layers[0].weights == Ramp(2.0).scaled(3.0)
    assert bl.FluctuationDriven(10 * Hz).scaled(2.0).needs_neuron


def test_a_class_of_ones_own_in_every_kind_of_layer():
    spec = spec_with(Ramp(2.0), Ramp(3.0))
    found = initial_weights(spec, bl.DALTON())
    for name, top in (("conv1", 2.0), ("dense1", 2.0), ("readout", 3.0)):
        expected = len(name) * np.linspace(0, top, found[name].size)
        np.testing.assert_array_equal(found[name].ravel(), expected)
    assert from_dict(to_dict(spec)).layers[0].weights == Ramp(2.0)


@pytest.mark.parametrize("what", ["shape", "nan", "text", "complex"])
def test_what_a_class_of_ones_own_draws_is_checked(what):
    with pytest.raises(bl.WeightsError, match="Wrong, layer conv1"):
        initial_weights(spec_with(Wrong(what)))


class Drawing:
    def draw(self, rng, shape):
        return np.zeros(shape)


@pytest.mark.parametrize("weights", [Drawing(), 0.1, np.zeros((4, 5)), None])
def test_what_is_no_init_is_named(weights):
    for make in (
        lambda: bl.Dense(4, bl.CubaLIF(), weights=weights),
        lambda: bl.Conv(4, 3, bl.CubaLIF(), weights=weights),
        lambda: bl.Readout(4, weights=weights),
    ):
        with pytest.raises(bl.SpecError, match=r"weights is of the wrong type(.|\n)*subclass of bl.Init"):
            make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: bl.Constant("1"),
        lambda: bl.Constant(np.inf),
        lambda: bl.Orthogonal(-1),
        lambda: bl.Array([[np.nan]]),
        lambda: bl.Array("x"),
        lambda: bl.FluctuationDriven(10.0),
        lambda: bl.FluctuationDriven(10 * ms),
        lambda: bl.FluctuationDriven(0 * Hz),
        lambda: bl.FluctuationDriven([-1, 2] * Hz),
        lambda: bl.FluctuationDriven(10 * Hz, xi=0),
        lambda: bl.FluctuationDriven(10 * Hz, mean=np.nan),
        lambda: bl.FluctuationDriven(10 * Hz, deviation=0),
        lambda: bl.Readout(3, weights=bl.FluctuationDriven(10 * Hz)),
    ],
)
def test_wrong_parameters_are_named(make):
    with pytest.raises(bl.SpecError):
        make()


# fluctuation-driven -------------------------------------------------------------------------------------------------

BIOLOGICAL = bl.Neuron(
    """dv/dt = (E_L - v + R*I)/tau_m : volt
       dI/dt = -I/tau_s : amp""",
    threshold="v > V_T + 5*mV",
    reset="v = E_L",
    input="I",
    constants=dict(E_L=-70 * mV, V_T=-55 * mV, R=100 * brian2.Mohm, tau_m=15 * ms, tau_s=4 * ms),
    v_scale=5 * mV,
    weight_unit=10 * brian2.pA,
)


def dense_of(neuron: bl.Neuron, weights: bl.Init, n: int, size: int, dt: Any = 1 * ms) -> bl.NetworkSpec:
    return bl.NetworkSpec(
        bl.Input((n,)), [bl.Dense(size, neuron, weights=weights)], bl.Readout(2), duration=10 * ms, dt=dt
    )


def simulate(spec: bl.NetworkSpec, weights: np.ndarray, rates: Any, steps: int) -> np.ndarray:
    """Membranes over time, in a network of Brian2 that is written by hand; thresholds are out of reach."""
    neuron, (size, n) = spec.layers[0].neuron, weights.shape
    brian2.start_scope()
    brian2.seed(5)
    target = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    clock = brian2.Clock(dt=spec.dt)
    inputs = NeuronGroup(n, "rate : Hz", threshold="rand() < rate*dt", clock=clock)
    inputs.rate = rates
    constants = dict(neuron.constants)
    layer = NeuronGroup(size, neuron.equations, method="exact", clock=clock, namespace=constants)
    if neuron is BIOLOGICAL:
        layer.v = constants["E_L"]
    synapses = Synapses(
        inputs, layer, f"w : {'amp' if neuron is BIOLOGICAL else 1}", on_pre=f"{neuron.input} += w", clock=clock
    )
    synapses.connect()
    synapses.w = weights.T.ravel() * neuron.weight_unit
    monitor = brian2.StateMonitor(layer, "v", record=True, clock=clock)
    brian2.Network(inputs, layer, synapses, monitor).run(steps * spec.dt, namespace={})
    brian2.prefs.codegen.target = target
    return np.asarray(monitor.v)[:, 200:]


@pytest.mark.parametrize(
    ("neuron", "init", "dt", "mean", "deviation"),
    [
        (bl.CubaLIF(), bl.FluctuationDriven(20 * Hz, xi=2.0), 1 * ms, 0.0, 0.5),
        (bl.CubaLIF(), bl.FluctuationDriven(100 * Hz, xi=4.0, mean=0.4), 0.5 * ms, 0.4, 0.15),
        (BIOLOGICAL, bl.FluctuationDriven(25 * Hz, mean=6 * mV, deviation=3 * mV), 1 * ms, 6e-3, 3e-3),
        (BIOLOGICAL, bl.FluctuationDriven(25 * Hz, xi=2.5, mean=5 * mV), 1 * ms, 5e-3, 6e-3),
        (bl.CubaLIF(), bl.FluctuationDriven(np.linspace(0, 80, 100) * Hz, mean=0.2), 1 * ms, 0.2, 0.4),
    ],
    ids=["paper", "mean", "units", "units-xi", "rates"],
)
def test_membranes_fluctuate_as_wanted(neuron, init, dt, mean, deviation):
    n, size, steps = 100, 300, 1200
    spec = dense_of(neuron, init, n, size, dt)
    weights = initial_weights(spec, seed=1)["dense1"]
    v = simulate(spec, weights, init.rate, steps)
    rest = 0.0 if neuron is not BIOLOGICAL else -70e-3
    over_time = np.sqrt(np.mean(np.var(v, axis=1)))
    assert over_time == pytest.approx(deviation, rel=0.08)
    # the means of single neurons scatter by their weights and by time: that of all of them by much less
    scatter = np.std(v.mean(axis=1)) / np.sqrt(size)
    assert v.mean() - rest == pytest.approx(mean, abs=5 * scatter + 0.02 * deviation)


def test_the_integrals_of_the_paper_are_the_limit_of_small_steps():
    """For the CUBA LIF, of the current's time constant tau_s and the membrane's tau_m (Rossbroich et al. 2022)."""
    n, nu, xi, mean = 50, 12.0, 2.0, 0.3
    tau_m, tau_s, dt = 20e-3, 5e-3, 1e-5
    neuron = bl.CubaLIF(tau_m=tau_m * brian2.second, tau_s=tau_s * brian2.second)
    p = dense_of(neuron, bl.FluctuationDriven(nu * Hz, xi=xi, mean=mean), n, 10, 0.01 * ms)
    found = p.layers[0].weights.moments(p.projections[0], p)
    # v' = (I - v)/tau_m: a spike of weight 1 gives tau_s/(tau_m - tau_s) (exp(-t/tau_m) - exp(-t/tau_s))
    bar = tau_s
    hat = tau_s**2 / (2 * (tau_m + tau_s))
    mu = mean / (n * nu * bar)
    sigma = np.sqrt(((1 - mean) / xi) ** 2 / (n * nu * hat) - mu**2)
    np.testing.assert_allclose(found, [mu, sigma], rtol=3 * dt / tau_s)


def test_an_average_pool_is_counted():
    """The variance of the input of a pooled convolution, drawn many times."""
    neuron, rate, dt = bl.CubaLIF(), 50 * Hz, 1e-3
    layer = bl.Conv(400, 3, neuron, pool=2, weights=bl.FluctuationDriven(rate, mean=0.1, deviation=0.3))
    spec = bl.NetworkSpec(bl.Input((2, 8, 8)), [layer], bl.Readout(2), duration=10 * ms)
    (p,) = spec.projections
    w = initial_weights(spec, seed=2)["conv1"]
    response = neuron_response(neuron, dt)
    effective = np.zeros((400, 2, 4, 4))
    for dy in range(2):
        for dx in range(2):
            effective[:, :, dy : dy + 3, dx : dx + 3] += w / 4
    q = 50 * dt
    mean = q * effective.sum(axis=(1, 2, 3)) * response.sum()
    variance = q * (1 - q) * np.square(effective).sum(axis=(1, 2, 3)) * np.square(response).sum()
    assert mean.mean() == pytest.approx(0.1, abs=5 * mean.std() / 20)
    assert np.sqrt(variance.mean()) == pytest.approx(0.3, rel=0.05)
    assert p.out_shape == (400, 3, 3)


def neuron_response(neuron: bl.Neuron, dt: float) -> np.ndarray:
    """Step by step from the statements of the step, with plain floats."""
    step = neuron_step(neuron, dt)
    values: dict[str, Any] = dict.fromkeys(neuron.parsed.state_names, 0.0)
    values |= {parameter.name: float(parameter.value) for parameter in step.parameters}
    values[neuron.input], found = 1.0, []
    for _ in range(400):
        exec(step.update, {}, values)
        found.append(values[neuron.parsed.membrane])
    return np.array(found)


@pytest.mark.parametrize(
    ("neuron", "init", "problem"),
    [
        (bl.DaltonIF(), bl.FluctuationDriven(20 * Hz), "no resting value"),
        (bl.CubaLIF(), bl.FluctuationDriven(2000 * Hz), "more than one spike"),
        (bl.CubaLIF(), bl.FluctuationDriven(20 * Hz, mean=0.5, deviation=1e-6), "larger fluctuations"),
        (bl.CubaLIF(), bl.FluctuationDriven(20 * Hz, mean=2.0), "not below the threshold"),
        (bl.CubaLIF(), bl.FluctuationDriven(20 * Hz, mean=2 * mV), "wrong unit"),
        (BIOLOGICAL, bl.FluctuationDriven(20 * Hz, mean=0.1), "wrong unit"),
        (bl.CubaLIF(), bl.FluctuationDriven([20, 30] * Hz), "one rate for each input"),
    ],
)
def test_what_cannot_be_is_named_with_the_layer(neuron, init, problem):
    with pytest.raises(bl.SpecError, match=rf"dense1.*{problem}"):
        initial_weights(dense_of(neuron, init, 9, 3))


def test_a_network_with_fluctuations_is_stored_and_learns(tmp_path):
    init = bl.FluctuationDriven(30 * Hz, mean=0.2)
    spec = replace(spec_with(init), input=bl.Input((1, 8, 8)))
    experiment = bl.Experiment(
        spec, bl.DALTON(), bl.SGD(0.1), "digits", limit=4, test_limit=2, epochs=1, device="numpy", runs=tmp_path
    )
    result = replace(experiment, spec=replace(spec, readout=bl.Readout(10))).run(progress=False)
    again = bl.Experiment.from_run(result.run).spec.layers[0].weights
    assert (float(again.rate), again.xi, float(again.mean)) == (30.0, 2.0, 0.2)
