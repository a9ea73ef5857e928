"""Networks: inferred shapes, synapse lists against scipy's convolution, the description, and wrong networks."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from brian2 import ms, mV

from brianlearn.errors import BrianLearnError, ShapeError, SpecError, UnitError
from brianlearn.network import (
    Conv,
    CubaLIF,
    DaltonIF,
    Dense,
    Input,
    NetworkSpec,
    Normal,
    PoissonEncoder,
    Readout,
    Uniform,
)

LIF = DaltonIF()


def network(**changes):
    fields = dict(input=Input((1, 8, 8)), layers=[Dense(5, LIF)], readout=Readout(3), duration=10 * ms)
    return NetworkSpec(**(fields | changes))


# shapes --------------------------------------------------------------------------------------------------------------


def test_shapes_of_the_papers_network():
    """A1 on MNIST: 16@3/2 - 128 - 64."""
    spec = NetworkSpec(
        Input((1, 28, 28)), [Conv(16, 3, LIF, pool=2), Dense(128, LIF), Dense(64, LIF)], Readout(10), duration=40 * ms
    )
    shapes = {p.name: (p.source, p.in_shape, p.out_shape, p.weight_shape) for p in spec.projections}
    assert shapes == {
        "conv1": ("input", (1, 28, 28), (16, 13, 13), (16, 1, 3, 3)),
        "dense1": ("conv1", (16, 13, 13), (128,), (128, 2704)),
        "dense2": ("dense1", (128,), (64,), (64, 128)),
    }
    assert spec.readout_projection.weight_shape == (10, 64)
    assert (spec.n_steps, spec.classes) == (40, 10)


@pytest.mark.parametrize(
    ("shape", "options", "expected"),
    [
        ((1, 8, 8), dict(kernel=3), (2, 6, 6)),
        ((3, 8, 6), dict(kernel=3), (2, 6, 4)),
        ((1, 8, 8), dict(kernel=3, padding=1), (2, 8, 8)),
        ((1, 8, 8), dict(kernel=3, stride=2), (2, 3, 3)),
        ((1, 9, 9), dict(kernel=3, stride=2, padding=1), (2, 5, 5)),
        ((1, 8, 8), dict(kernel=2, pool=2), (2, 3, 3)),  # 7 // 2: a rest is left out
        ((1, 8, 8), dict(kernel=8), (2, 1, 1)),
        ((1, 1, 1), dict(kernel=3, padding=1), (2, 1, 1)),
    ],
)
def test_shape_of_a_convolution(shape, options, expected):
    spec = network(input=Input(shape), layers=[Conv(2, neuron=LIF, **options)])
    assert spec.projections[0].out_shape == expected
    assert spec.projections[0].weight_shape == (2, shape[0], options["kernel"], options["kernel"])


def test_names_of_layers():
    spec = network(layers=[Conv(2, 3, LIF), Conv(2, 3, LIF, name="wide"), Dense(4, LIF), Dense(4, LIF)])
    assert [p.name for p in spec.projections] == ["conv1", "wide", "dense1", "dense2"]


def test_input_of_one_axis():
    assert Input(12).shape == Input((12,)).shape == Input([12]).shape == (12,)


def test_network_without_a_readout():
    spec = network(readout=None, layers=[Dense(7, LIF)])
    assert spec.classes == 7
    assert spec.readout_projection is None


def test_steps():
    spec = network(duration=40 * ms, burn_in=5 * ms, dt=0.1 * ms)
    assert (spec.n_steps, spec.burn_in_steps) == (400, 50)


# synapse lists -------------------------------------------------------------------------------------------------------


def by_synapses(connectivity, weights, s):
    """The linear map as its synapse list does it, one synapse after the other."""
    packed, post = connectivity.pack(weights), np.zeros(connectivity.n_post)
    np.add.at(post, connectivity.post, connectivity.factor * packed[connectivity.weight] * s.ravel()[connectivity.pre])
    return post


@pytest.mark.parametrize(
    ("shape", "kernel", "stride", "padding", "pool"),
    [
        ((1, 5, 5), 3, 1, 0, 1),
        ((2, 7, 6), 3, 2, 1, 1),
        ((2, 8, 7), 2, 3, 0, 1),
        ((3, 9, 8), 3, 1, 2, 2),
        ((2, 10, 9), 4, 2, 1, 2),
        ((1, 6, 6), 1, 1, 0, 3),
    ],
)
def test_synapses_of_a_convolution(rng, shape, kernel, stride, padding, pool):
    conv = Conv(3, kernel, LIF, stride=stride, padding=padding, pool=pool)
    projection = network(input=Input(shape), layers=[conv]).projections[0]
    connectivity = projection.connectivity
    W, s = rng.normal(size=projection.weight_shape), rng.normal(size=shape)
    expected = reference.average_pool(reference.convolve(W, s, stride, padding), pool)
    assert projection.out_shape == expected.shape
    np.testing.assert_allclose(by_synapses(connectivity, W, s), expected.ravel(), atol=1e-12)
    np.testing.assert_array_equal(connectivity.unpack(connectivity.pack(W)), W)
    assert (connectivity.n_pre, connectivity.n_post) == (np.prod(shape), expected.size)
    # the order that engines rely on: by presynaptic neuron, then by postsynaptic one
    assert np.all(np.diff(connectivity.pre.astype(np.int64) * connectivity.n_post + connectivity.post) >= 0)


def test_synapses_of_a_dense_layer(rng):
    projection = network(layers=[Dense(5, LIF)]).projections[0]
    connectivity = projection.connectivity
    W, s = rng.normal(size=(5, 64)), rng.normal(size=(1, 8, 8))
    np.testing.assert_allclose(by_synapses(connectivity, W, s), W @ s.ravel(), atol=1e-12)
    np.testing.assert_array_equal(connectivity.unpack(connectivity.pack(W)), W)
    assert len(connectivity.pre) == 5 * 64
    assert np.all(np.diff(connectivity.weight) == 1)  # packed in the order of use


# initial weights -----------------------------------------------------------------------------------------------------


def test_initial_weights(rng):
    normal, uniform = Normal(2.0).draw(rng, (200, 400)), Uniform(1.0).draw(rng, (50, 4, 5, 5))
    assert normal.std() == pytest.approx(2 / np.sqrt(400), rel=0.02)
    assert np.abs(uniform).max() == pytest.approx(0.1, rel=0.01)
    assert uniform.shape == (50, 4, 5, 5)


# constants -----------------------------------------------------------------------------------------------------------


def test_with_constants_changes_every_layer_that_has_them():
    cuba = CubaLIF(tau_m=20 * ms, tau_s=5 * ms)
    spec = network(layers=[Dense(5, LIF), Dense(4, cuba)])
    other = spec.with_constants(tau_s=2 * ms, tau_m=30 * ms)
    assert float(other.layers[0].neuron.constants["tau_s"]) == pytest.approx(2e-3)
    assert float(other.layers[1].neuron.constants["tau_s"]) == pytest.approx(2e-3)
    assert float(other.layers[1].neuron.constants["tau_m"]) == pytest.approx(30e-3)
    assert float(spec.layers[1].neuron.constants["tau_m"]) == pytest.approx(20e-3)
    with pytest.raises(SpecError, match="no neuron has a constant 'tau_x'") as info:
        spec.with_constants(tau_x=1 * ms)
    assert info.value.expected == "R, tau_m, tau_s"
    with pytest.raises(UnitError):
        spec.with_constants(tau_m=1 * mV)


def test_one_constant_per_neuron():
    spec = network(layers=[Dense(3, CubaLIF(tau_m=[10, 20, 30] * ms))])
    assert spec.projections[0].n_post == 3
    grid = np.full((2, 6, 6), 10.0) * ms
    assert network(layers=[Conv(2, 3, CubaLIF(tau_m=grid))]).projections[0].n_post == 72


# description ---------------------------------------------------------------------------------------------------------


def test_describe():
    spec = NetworkSpec(
        Input((1, 28, 28)),
        [Conv(16, 3, LIF, pool=2, padding=1), Dense(64, LIF, dropout=0.1, dropout_every="step")],
        Readout(10, tau=20 * ms),
        duration=40 * ms,
        burn_in=10 * ms,
    )
    assert (
        spec.describe()
        == """\
40 steps of 1. ms per trial, burn-in 10 steps, same-step timing
layer    kind                             shape     neurons  weights  neuron, method
input    IntegrateAndFireEncoder          1x28x28   784
conv1    conv 3x3, padding 1, pool 2      16x14x14  3136     144      v, I; exact
dense1   dense, dropout 0.1 in each step  64        64       200704   v, I; exact
readout  leaky, tau 20. ms                10                 640
3200 neurons, 201488 weights"""
    )


# wrong networks ------------------------------------------------------------------------------------------------------

WRONG = {
    # what is wrong: (how it is made, error, subject, got, expected)
    "convolution after dense": (
        lambda: network(layers=[Dense(5, LIF), Conv(2, 3, LIF)]),
        ShapeError,
        "conv1",
        "dense1 has shape (5,)",
        "three axes",
    ),
    "convolution of a vector": (
        lambda: network(input=Input(64), layers=[Conv(2, 3, LIF)]),
        ShapeError,
        "conv1",
        "input has shape (64,)",
        "three axes",
    ),
    "kernel larger than its input": (
        lambda: network(layers=[Conv(2, 3, LIF), Conv(2, 7, LIF, name="second")]),
        ShapeError,
        "second",
        "kernel 7, height 6, padding 0",
        "at most 6",
    ),
    "pool larger than its input": (
        lambda: network(layers=[Conv(2, 3, LIF, pool=7)]),
        ShapeError,
        "conv1",
        "pool 7, height 6",
        "at most 6",
    ),
    "constants of another population": (
        lambda: network(layers=[Dense(5, CubaLIF(tau_m=[10, 20, 30] * ms))]),
        ShapeError,
        "dense1",
        "3 values",
        "5 values",
    ),
    "no input": (lambda: network(input=(1, 8, 8)), SpecError, "NetworkSpec", "(1, 8, 8)", "bl.Input(...)"),
    "input of size 0": (lambda: Input((0, 8)), SpecError, "Input", "0", ">= 1"),
    "input of half a pixel": (lambda: Input(5.5), SpecError, "Input", "5.5", ">= 1"),
    "input without axes": (lambda: Input(()), SpecError, "Input", "", "(1, 28, 28)"),
    "encoder by name": (lambda: Input((8,), encoder="latency"), SpecError, "Input", "'latency'", "an Encoder"),
    "no layers": (lambda: network(layers=[]), SpecError, "NetworkSpec", "", "at least one"),
    "layers that are no list": (lambda: network(layers=Dense(5, LIF)), SpecError, "NetworkSpec", "Dense", "a list"),
    "readout among the layers": (lambda: network(layers=[Readout(3)]), SpecError, "NetworkSpec", "Readout", "Dense"),
    "number as readout": (lambda: network(readout=10), SpecError, "NetworkSpec", "10", "bl.Readout"),
    "no output": (lambda: Readout(0), SpecError, "readout", "0", ">= 1"),
    "readout tau without unit": (lambda: Readout(10, tau=5), UnitError, "readout", "5", "10*ms"),
    "negative readout tau": (lambda: Readout(10, tau=-5 * ms), SpecError, "readout", "-5", "> 0"),
    "weights of the readout": (lambda: Readout(10, weights="normal"), SpecError, "readout", "'normal'", "Normal(...)"),
    "two layers of one name": (
        lambda: network(layers=[Dense(5, LIF, name="a"), Dense(5, LIF, name="a")]),
        SpecError,
        "a",
        "",
        "different names",
    ),
    "a name that another layer gets": (
        lambda: network(layers=[Dense(5, LIF, name="dense2"), Dense(5, LIF)]),
        SpecError,
        "dense2",
        "",
        "different names",
    ),
    "reserved name": (lambda: Dense(5, LIF, name="readout_1"), SpecError, "readout_1", "'readout_1'", "letters"),
    "no neurons": (lambda: Dense(0, LIF), SpecError, "Dense", "0", ">= 1"),
    "half a neuron": (lambda: Dense(2.5, LIF), SpecError, "Dense", "2.5", ">= 1"),
    "negative padding": (lambda: Conv(2, 3, LIF, padding=-1), SpecError, "Conv", "-1", ">= 0"),
    "stride of 0": (lambda: Conv(2, 3, LIF, stride=0, name="c"), SpecError, "c", "0", ">= 1"),
    "neuron by name": (lambda: Dense(5, "lif"), SpecError, "Dense", "'lif'", "bl.CubaLIF()"),
    "dropout of 1": (lambda: Dense(5, LIF, dropout=1), SpecError, "Dense", "1", "[0, 1)"),
    "dropout_every": (lambda: Dense(5, LIF, dropout_every="batch"), SpecError, "Dense", "'batch'", "'trial' or 'step'"),
    "weights by name": (lambda: Dense(5, LIF, weights="normal"), SpecError, "Dense", "'normal'", "Normal(...)"),
    "scale of weights": (lambda: Normal(np.nan), SpecError, "Normal", "nan", "finite"),
    "duration without unit": (lambda: network(duration=10), UnitError, "NetworkSpec", "10", "40*ms"),
    "duration in volt": (lambda: network(duration=10 * mV), UnitError, "NetworkSpec", "10", "40*ms"),
    "half a step": (lambda: network(duration=10.5 * ms), SpecError, "NetworkSpec", "10.5 ms", "a multiple of 1. ms"),
    "no duration": (lambda: network(duration=0 * ms), SpecError, "NetworkSpec", "duration 0", "burn_in < duration"),
    "infinite duration": (lambda: network(duration=np.inf * ms), SpecError, "NetworkSpec", "inf", "one finite time"),
    "two durations": (lambda: network(duration=[1, 2] * ms), SpecError, "NetworkSpec", "1., 2.", "one finite time"),
    "only burn-in": (lambda: network(burn_in=10 * ms), SpecError, "NetworkSpec", "burn_in 10", "burn_in < duration"),
    "negative dt": (lambda: network(dt=-1 * ms), SpecError, "NetworkSpec", "-1. ms", "> 0"),
    "unknown timing": (
        lambda: network(timing="later"),
        SpecError,
        "NetworkSpec",
        "'later'",
        "same_step or brian2 or pipelined",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_networks_are_refused(what):
    make, error, subject, got, expected = WRONG[what]
    with pytest.raises(error) as info:
        make()
    assert isinstance(info.value, BrianLearnError)
    assert info.value.subject == subject
    assert got in str(info.value.got)
    assert expected in str(info.value.expected)


def test_errors_print_subject_got_expected_and_remedy():
    with pytest.raises(ShapeError) as info:
        network(layers=[Dense(5, LIF), Conv(2, 3, LIF)])
    assert str(info.value).splitlines() == [
        "conv1: a convolution needs (channels, height, width).",
        "  got:      dense1 has shape (5,)",
        "  expected: three axes, e.g. (1, 28, 28)",
        "  remedy:   put convolutions before dense layers, and give Input a shape of three axes",
    ]
    assert isinstance(info.value, ValueError)


def test_descriptions_are_frozen():
    spec = network(input=Input((1, 8, 8), PoissonEncoder(0.5)))
    for owner, name in ((spec, "dt"), (spec.layers[0], "size"), (spec.input, "shape"), (LIF, "reset")):
        with pytest.raises(AttributeError):
            setattr(owner, name, None)
