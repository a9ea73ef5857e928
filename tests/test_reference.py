"""The reference tested against what it is not made of: loops, integrals, finite differences, hand computation."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from reference import Conv, Dense, Network, Optimiser, Population, Rule, simulate
from scipy.integrate import solve_ivp

GEOMETRIES = [
    # input shape, kernel, stride, padding, pool
    ((1, 5, 5), 3, 1, 0, 1),
    ((2, 7, 6), 3, 2, 1, 1),
    ((2, 8, 7), 2, 3, 0, 1),
    ((3, 9, 8), 3, 1, 2, 2),
    ((2, 10, 9), 4, 2, 1, 2),
    ((1, 6, 6), 1, 1, 0, 3),
]


def loop_convolution(W, s, stride, padding, pool):
    """Convolution and average pool, entry by entry."""
    out, _, kernel, _ = W.shape
    _, height, width = s.shape

    def at(c, y, x):
        return s[c, y, x] if 0 <= y < height and 0 <= x < width else 0.0

    def conv(o, y, x):
        return sum(
            W[o, c, a, b] * at(c, y * stride + a - padding, x * stride + b - padding)
            for c in range(len(s))
            for a in range(kernel)
            for b in range(kernel)
        )

    rows = ((height + 2 * padding - kernel) // stride + 1) // pool
    cols = ((width + 2 * padding - kernel) // stride + 1) // pool
    result = np.zeros((out, rows, cols))
    for o, y, x in np.ndindex(result.shape):
        window = [conv(o, y * pool + q, x * pool + r) for q in range(pool) for r in range(pool)]
        result[o, y, x] = np.mean(window)
    return result


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "pool"), GEOMETRIES)
def test_convolution_equals_loops(rng, shape, kernel, stride, padding, pool):
    layer = Conv("conv", 3, kernel, None, stride, padding, pool)
    W, s = rng.normal(size=(3, shape[0], kernel, kernel)), rng.normal(size=shape)
    expected = loop_convolution(W, s, stride, padding, pool)
    assert layer.shape(shape) == expected.shape
    np.testing.assert_allclose(layer.forward(W, s), expected, atol=1e-13)


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding", "pool"), GEOMETRIES)
def test_transposes(rng, shape, kernel, stride, padding, pool):
    """<A(W) s, d> = <s, A(W)^T d> = <W, gradient(d, s)>, which defines both transposes."""
    layer = Conv("conv", 3, kernel, None, stride, padding, pool)
    W, s = rng.normal(size=(3, shape[0], kernel, kernel)), rng.normal(size=shape)
    d = rng.normal(size=layer.shape(shape))
    product = np.sum(layer.forward(W, s) * d)
    np.testing.assert_allclose(np.sum(s * layer.backward(W, d, shape)), product, rtol=1e-12)
    np.testing.assert_allclose(np.sum(W * layer.gradient(W, d, s)), product, rtol=1e-12)


def test_dense_transposes(rng):
    layer = Dense("dense", 4, None)
    W, s, d = rng.normal(size=(4, 18)), rng.normal(size=(2, 3, 3)), rng.normal(size=4)
    product = np.sum(layer.forward(W, s) * d)
    np.testing.assert_allclose(np.sum(s * layer.backward(W, d, s.shape)), product)
    np.testing.assert_allclose(np.sum(W * layer.gradient(W, d, s)), product)


@pytest.mark.parametrize(("tau_m", "tau_s", "R"), [(20e-3, 5e-3, 1.0), (5e-3, 20e-3, 2.5), (10e-3, 10e-3, 3.0)])
def test_cuba_coefficients_solve_the_differential_equation(tau_m, tau_s, R):
    a, b, k = reference.cuba_coefficients(1e-3, tau_m, tau_s, R)
    v0, c0 = 0.3, 0.8
    solution = solve_ivp(
        lambda t, x: [(R * x[1] - x[0]) / tau_m, -x[1] / tau_s], (0, 1e-3), [v0, c0], rtol=1e-12, atol=1e-14
    )
    np.testing.assert_allclose([b * v0 + k * c0, a * c0], solution.y[:, -1], rtol=1e-10)


@pytest.mark.parametrize(("method", "order"), [("euler", 1), ("rk2", 2)])
def test_order_of_the_stepped_neuron(method, order):
    def error(n):
        step = reference.stepped(lambda x: {"v": -(x["v"] ** 2)}, 1.0 / n, method)
        state = {"v": np.ones(1)}
        for _ in range(n):
            state = step(state, {"v": np.ones(1)})
        return abs(state["v"][0] - 0.5)  # dv/dt = -v^2 from 1: v(1) = 1/2

    assert np.log2(error(200) / error(400)) == pytest.approx(order, abs=0.05)


def drive(neuron, currents):
    """One neuron that receives ``currents`` one by one; the list of its states and steps."""
    population = Population(Dense("dense", 1, neuron), (1,))
    done, states = [], []
    for current in currents:
        done.append(population.advance(np.ones((1, 1)), np.array([current])))
        states.append({name: value[0] for name, value in population.state.items()})
    return done, states


def test_dalton_neuron_by_hand():
    a = 0.5
    done, states = drive(reference.dalton_if(a), [0.6, -2.0, 0.0, 3.0])
    # c: 0.6; 0.3 - 2 = -1.7; -0.85; -0.425 + 3 = 2.575.  v: 0.6; -1.1 -> 0; -0.85 -> 0; 2.575: spike
    assert [float(s.spikes[0]) for s in done] == [0, 0, 0, 1]
    assert [float(s.gate[0]) for s in done] == [1, 0, 0, 1]
    np.testing.assert_allclose([s["v"] for s in states], [0.6, 0, 0, 0], atol=1e-15)
    np.testing.assert_allclose([s["c"] for s in states], [0.3, -0.85, -0.425, 1.2875])
    expected = [1 / (1 + 5 * abs(v - 1)) ** 2 for v in (0.6, 0.0, 0.0, 2.575)]
    np.testing.assert_allclose([s.psi[0] for s in done], expected)


def test_reset_by_subtraction():
    neuron = reference.delta_lif(1.0, reset=lambda state: {"v": state["v"] - 1.0})
    done, states = drive(neuron, [1.75, 0.5, 0.0])
    assert [float(s.spikes[0]) for s in done] == [1, 1, 0]
    np.testing.assert_allclose([s["v"] for s in states], [0.75, 0.25, 0.25])


def test_threshold_is_strict():
    done, _ = drive(reference.delta_lif(1.0), [1.0, 0.0, 1e-9])
    assert [float(s.spikes[0]) for s in done] == [0, 0, 1]


def test_adaptive_threshold():
    done, states = drive(reference.adaptive_lif(1.0, 0.5, 0.4), [1.2, 1.1, 1.3])
    # threshold 1; then q = 1 has decayed to 0.5: 1.2; then 0.25: 1.1, and v = 1.1 + 1.3
    assert [float(s.spikes[0]) for s in done] == [1, 0, 1]
    np.testing.assert_allclose([s["q"] for s in states], [1, 0.5, 1.25])


def test_refractory_neuron_is_silent_frozen_and_does_not_learn():
    neuron = reference.delta_lif(1.0, refractory=3, frozen=("v",))
    done, states = drive(neuron, [1.5, 0.7, 0.7, 0.7, 0.7])
    assert [float(s.spikes[0]) for s in done] == [1, 0, 0, 0, 1]
    np.testing.assert_allclose([s["v"] for s in states], [0, 0, 0, 0.7, 0])
    assert [float(s.psi[0]) > 0 for s in done] == [True, False, False, True, True]


def test_refractory_neuron_integrates_what_is_not_frozen():
    done, states = drive(reference.delta_lif(1.0, refractory=3), [1.5, 0.7, 0.7, 0.7])
    assert [float(s.spikes[0]) for s in done] == [1, 0, 0, 1]
    np.testing.assert_allclose([s["v"] for s in states], [0, 0.7, 1.4, 0])


def test_integrate_and_fire_encoder():
    spikes = reference.integrate_and_fire()(np.array([0.0, 0.4, 0.5, 1.0, 1.5]), 6)
    expected = [[0, 0, 0, 0, 1], [0, 0, 0, 1, 1], [0, 1, 1, 0, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1], [0, 1, 1, 1, 1]]
    np.testing.assert_array_equal(spikes, expected)
    np.testing.assert_array_equal(reference.integrate_and_fire(2.0, 0.2)(np.array([0.4]), 2).ravel(), [0, 1])


def problem(rng, layers, shape, classes=3, n=4, decay=0.0, n_steps=12, **fields):
    """A random network with weights, inputs and labels, active enough to learn."""
    network = Network(layers, classes, n_steps, decay=decay, **fields)
    weights, source = {}, shape
    for layer in layers:
        if isinstance(layer, Dense):
            w = (layer.size, int(np.prod(source)))
        else:
            w = (layer.channels, source[0], layer.kernel, layer.kernel)
        weights[layer.name] = rng.normal(0.15, 2 / np.sqrt(np.prod(w[1:])), w)
        source = layer.shape(source)
        weights[f"readout_{layer.name}"] = rng.normal(size=(classes, int(np.prod(source))))
    weights["readout"] = weights.pop(f"readout_{layers[-1].name}")
    return network, weights, rng.uniform(0, 1, (n, *shape)), rng.integers(0, classes, n)


def cuba(**options):
    """With k = 1 a spike moves v by its weight at once. Else the rules are gradients up to a factor k per layer."""
    return reference.cuba_lif(np.exp(-1 / 5), np.exp(-1 / 20), 1.0, **options)


def one_step_gradient(network, weights, x, y, loss, name):
    """d loss / d W[name] of one step from rest, by central differences on a network whose spikes are smooth.

    ``loss(activities, target)`` gets the smooth spikes of all layers. Around the true v of every neuron they are
    s + sigma(v) - sigma(v_true), with sigma' the fast sigmoid: their values are the true spikes, their derivatives psi.
    """

    def sigma(x):
        return x / (1 + 5 * np.abs(x))

    def membranes(weights, smooth_from=None):
        s, result, activities = network.encoder(x, 1)[0], [], []
        for k, layer in enumerate(network.layers):
            v = layer.forward(weights[layer.name], s)
            spikes = (v > 1).astype(float)
            s = spikes if smooth_from is None else (smooth_from[k] > 1) + sigma(v - 1) - sigma(smooth_from[k] - 1)
            result.append(v)
            activities.append(s)
        return result, activities

    true, _ = membranes(weights)
    target = np.eye(network.classes)[y]
    gradient, h = np.zeros_like(weights[name]), 1e-6
    for index in np.ndindex(gradient.shape):
        values = []
        for sign in (1, -1):
            moved = {n: w.copy() for n, w in weights.items()}
            moved[name][index] += sign * h
            values.append(loss(membranes(moved, true)[1], target, weights))
        gradient[index] = (values[0] - values[1]) / (2 * h)
    return gradient


LAYERS = {
    "dense": (lambda: [Dense("dense1", 6, cuba()), Dense("dense2", 5, cuba())], (7,)),
    "conv": (lambda: [Conv("conv1", 2, 3, cuba(), padding=1, pool=2), Dense("dense1", 5, cuba())], (1, 6, 6)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_dalton_with_one_hidden_layer_is_spatial_backpropagation(rng, kind):
    """In each step, R = W makes DALTON the gradient of the step's mean squared error, up to 2/n_l^R."""
    make, shape = LAYERS[kind]
    network, weights, x, y = problem(rng, make(), shape, n=1, n_steps=1, encoder=reference.direct_current(3.0))
    result = simulate(network, weights, x, y, Rule("dalton"), Optimiser("sgd"))
    hidden, last = (layer.name for layer in network.layers)

    def loss(activities, target, weights):
        return np.sum((weights["readout"] @ activities[-1].ravel() - target) ** 2)

    n_hidden_logits = network.layers[1].size
    for name, logits in ((hidden, n_hidden_logits), (last, network.classes)):
        expected = one_step_gradient(network, weights, x[0], y[0], loss, name) / logits
        assert np.abs(expected).max() > 1e-4
        np.testing.assert_allclose(result.gradients[0][name], expected, atol=1e-7)


@pytest.mark.parametrize("kind", LAYERS)
def test_tfr_is_the_gradient_of_each_layers_own_loss(rng, kind):
    make, shape = LAYERS[kind]
    network, weights, x, y = problem(rng, make(), shape, n=1, n_steps=1, encoder=reference.direct_current(3.0))
    result = simulate(network, weights, x, y, Rule("tfr"), Optimiser("sgd"))
    for k, layer in enumerate(network.layers):
        readout = "readout" if k == len(network.layers) - 1 else f"readout_{layer.name}"

        def loss(activities, target, weights, k=k, readout=readout):
            return np.mean((weights[readout] @ activities[k].ravel() - target) ** 2)

        expected = one_step_gradient(network, weights, x[0], y[0], loss, layer.name)
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(result.gradients[0][layer.name], expected, atol=1e-7)


def test_the_gate_stops_learning_and_lets_errors_pass(rng):
    """A floored neuron's own weights do not change; its psi still carries errors down."""
    layers = [Dense("dense1", 6, cuba()), Dense("dense2", 5, cuba(floor=0.0))]
    network, weights, x, y = problem(rng, layers, (7,), n=1, n_steps=1, encoder=reference.direct_current(3.0))
    weights["dense2"] = -np.abs(weights["dense2"])
    weights["dense1"] = np.abs(weights["dense1"])
    result = simulate(network, weights, x, y, Rule("dalton"), Optimiser("sgd"))
    assert result.spikes["dense1"].any()
    assert not result.gradients[0]["dense2"].any()
    assert result.gradients[0]["dense1"].any()


def test_a_batch_is_the_mean_of_its_samples(rng):
    make, shape = LAYERS["conv"]
    network, weights, x, y = problem(rng, make(), shape, n=5)
    batch = simulate(network, weights, x, y, Rule("dalton"), Optimiser("sgd", 1e-3), batch=3)
    assert batch.steps == 2
    first = [simulate(network, weights, x[k : k + 1], y[k : k + 1], Rule("dalton"), Optimiser("sgd")) for k in range(3)]
    rest = simulate(network, batch.weights, x[3:], y[3:], Rule("dalton"), Optimiser("sgd"), batch=2)
    for name in batch.gradients[0]:
        mean = np.mean([r.gradients[0][name] for r in first], axis=0)
        assert np.abs(mean).max() > 0
        np.testing.assert_allclose(batch.gradients[0][name], mean, rtol=1e-12, atol=1e-15)
        # the second update has two samples and divides by two; weights had moved, so only the sizes are compared
        assert np.linalg.norm(batch.gradients[1][name] - rest.gradients[0][name]) < 0.2 * np.linalg.norm(
            rest.gradients[0][name]
        )


def test_update_in_every_step(rng):
    make, shape = LAYERS["dense"]
    network, weights, x, y = problem(rng, make(), shape, n=2)
    one = simulate(network, weights, x, y, Rule("tfr", update="step", burn_in=4), Optimiser("sgd", 1e-2))
    assert one.steps == 2 * (network.n_steps - 4)
    # with a vanishing learning rate the weights of a trial stand still: the sum over steps is the batch's gradient
    slow = simulate(network, weights, x[:1], y[:1], Rule("tfr", update="step", burn_in=4), Optimiser("sgd", 1e-12))
    batch = simulate(network, weights, x[:1], y[:1], Rule("tfr", burn_in=4), Optimiser("sgd", 1e-12))
    for name in ("dense1", "dense2"):
        total = sum(g[name] for g in slow.gradients)
        assert np.abs(total).max() > 0
        np.testing.assert_allclose(total, batch.gradients[0][name], rtol=1e-7, atol=1e-12)
        moved = weights[name] - 1e-2 * sum(g[name] for g in one.gradients)
        np.testing.assert_allclose(one.weights[name], moved, rtol=1e-12, atol=1e-14)


def test_burn_in_of_readout_and_loss(rng):
    make, shape = LAYERS["dense"]
    network, weights, x, y = problem(rng, make(), shape, decay=0.8, burn_in=5)
    result = simulate(network, weights, x, y)
    spikes, expected = result.spikes["dense2"], np.zeros((4, 12, 3))
    for t in range(12):
        expected[:, t] = 0.8 * expected[:, t - 1] * (t > 0) + spikes[:, t] @ weights["readout"].T
    assert spikes.any()
    np.testing.assert_allclose(result.readout, expected, atol=1e-12)
    np.testing.assert_allclose(result.logits, expected[:, 5:].mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(result.loss, ((expected[:, 5:] - np.eye(3)[y][:, None]) ** 2).mean(axis=(1, 2)))


def test_learning_rate_scale(rng):
    make, shape = LAYERS["dense"]
    network, weights, x, y = problem(rng, make(), shape, n=1)
    plain = simulate(network, weights, x, y, Rule("dalton"), Optimiser("sgd", 1e-3))
    scaled = simulate(network, weights, x, y, Rule("dalton", scale={"dense1": 10.0}), Optimiser("sgd", 1e-3))
    for name, factor in (("dense1", 10.0), ("dense2", 1.0)):
        np.testing.assert_allclose(
            scaled.weights[name] - weights[name], factor * (plain.weights[name] - weights[name]), atol=1e-15
        )


def test_adam_by_hand():
    """Three steps of Kingma & Ba's algorithm with lr 0.1, beta1 0.9, beta2 0.99 and gradients 1, 2, -1."""
    optimiser = Optimiser("adam", 0.1, beta1=0.9, beta2=0.99, eps=1e-8)
    weights = {"w": np.zeros(1)}
    adam = reference.Optimisation(optimiser, weights, ["w"])
    expected, w = [], 0.0
    # m: 0.1, 0.29, 0.161; v: 0.01, 0.0499, 0.059401; corrections 0.1, 0.19, 0.271 and 0.01, 0.0199, 0.029701
    for m, v in ((0.1 / 0.1, 0.01 / 0.01), (0.29 / 0.19, 0.0499 / 0.0199), (0.161 / 0.271, 0.059401 / 0.029701)):
        w -= 0.1 * m / (v**0.5 + 1e-8)
        expected.append(w)
    got = []
    for g in (1.0, 2.0, -1.0):
        adam.update(weights, {"w": np.array([g])}, {})
        got.append(float(weights["w"][0]))
    np.testing.assert_allclose(got, expected, rtol=1e-14)
    np.testing.assert_allclose([got[0], got[1]], [-0.1, -0.1963882], atol=1e-6)


def test_momentum_by_hand():
    weights = {"w": np.zeros(1)}
    momentum = reference.Optimisation(Optimiser("momentum", 0.1, momentum=0.5), weights, ["w"])
    got = []
    for g in (1.0, 2.0, -1.0):  # m: 1, 2.5, 0.25
        momentum.update(weights, {"w": np.array([g])}, {})
        got.append(float(weights["w"][0]))
    np.testing.assert_allclose(got, [-0.1, -0.35, -0.375])
