"""Networks, rules and optimisers survive the way through a file."""

import dataclasses
import json

import brian2
import numpy as np
import pytest
from brian2 import Quantity, cm, ms, mV, nS, second, siemens, volt
from numpy.testing import assert_array_equal

import brianlearn as bl
from brianlearn.network.quantities import parse_quantity
from brianlearn.training.serialise import differences, from_dict, to_dict


def through_json(obj):
    return from_dict(json.loads(json.dumps(to_dict(obj), allow_nan=False)))


def everything() -> bl.NetworkSpec:
    eif = bl.Neuron(
        """dv/dt = (g_L*(E_L - v) + g_L*D*exp((v - V_T)/D) + I)/C : volt
           dI/dt = -I/tau_s : amp""",
        threshold="v > V_T + 10*mV",
        reset="v = E_L",
        input="I",
        constants=dict(
            g_L=10 * nS, E_L=-70 * mV, D=2 * mV, V_T=-50 * mV, C=200 * brian2.pF, tau_s=np.linspace(3, 7, 6) * ms
        ),
        surrogate=bl.Rectangular(0.7),
        refractory=2 * ms,
        v_scale=10 * mV,
        weight_unit=0.1 * brian2.nA,
        initial=dict(v=-70 * mV),
    )
    conv = bl.Conv(2, 3, bl.DaltonIF(tau_s=1 / 3 * ms), pool=2, padding=1, weights=bl.Normal(1.5), name="edges")
    layers = [
        conv,
        bl.Dense(6, eif, dropout=0.1, dropout_every="step"),
        bl.Dense(3, bl.AdaptiveLIF(floor=-np.inf, surrogate=bl.Gaussian())),
    ]
    return bl.NetworkSpec(
        bl.Input((1, 6, 6), bl.TimeToFirstSpikeEncoder(0.1)),
        layers,
        bl.Readout(4, tau=7 * ms),
        duration=12 * ms,
        dt=0.5 * ms,
        burn_in=2 * ms,
    )


def test_a_network_comes_back_equal_to_the_last_bit():
    spec = everything()
    again = through_json(spec)
    assert to_dict(again) == to_dict(spec)
    assert again.describe() == spec.describe()
    constants, expected = again.layers[1].neuron.constants, spec.layers[1].neuron.constants
    assert_array_equal(np.asarray(constants["tau_s"]), np.asarray(expected["tau_s"]))
    assert brian2.have_same_dimensions(constants["g_L"], siemens)
    assert float(again.layers[0].neuron.constants["tau_s"]) == float(1 / 3 * ms)
    assert again.layers[2].neuron.floor == -np.inf
    assert isinstance(again.layers[1].neuron.surrogate, bl.Rectangular)
    assert type(again.input.encoder) is bl.TimeToFirstSpikeEncoder


@pytest.mark.parametrize(
    "encoder",
    [
        bl.PoissonEncoder(0.3),
        bl.DirectCurrent(2.0),
        bl.IntegrateAndFireEncoder(2.0, 0.1),
        bl.TimeToFirstSpikeEncoder(0.2),
        bl.Spikes(),
        bl.IntegrateEvents(1.5, 0.1),
    ],
)
def test_encoders(encoder):
    assert through_json(bl.Input((3,), encoder)).encoder == encoder


@pytest.mark.parametrize(
    "surrogate",
    [bl.ArcTan(1.1), bl.FastSigmoid(3), bl.Gaussian(0.3), bl.Rectangular(2), bl.Sigmoid(0.1), bl.Triangular(0.2)],
)
def test_surrogates(surrogate):
    assert through_json(bl.LIF(surrogate=surrogate)).surrogate == surrogate


@pytest.mark.parametrize(
    "optimiser", [bl.SGD(0.1), bl.Momentum(0.1, 5, momentum=0.8), bl.Adam(1e-3, reset_each_epoch=True, eps=1e-7)]
)
def test_optimisers(optimiser):
    assert through_json(optimiser) == optimiser


@pytest.mark.parametrize("kind", [bl.DALTON, bl.TFR])
def test_rules(kind):
    rule = kind(feedback="mirror", burn_in=3 * ms, learning_rate_scale={"conv1": 10.0})
    again = through_json(rule)
    assert type(again) is kind
    assert all(getattr(again, f.name) == getattr(rule, f.name) for f in dataclasses.fields(kind))


@pytest.mark.parametrize(
    "value",
    [
        3 * ms,
        0.1 * second,
        -65 * mV,
        2 * nS / cm**2,
        np.array([1.0, np.nan, np.inf]) * volt,
        1 / ms,
        0.3 * second**-0.5,
        np.float32(0.1),
        np.arange(6, dtype=np.int32).reshape(2, 3),
        np.inf,
        True,
        None,
        [1, 2.5],
    ],
)
def test_values_come_back_bit_for_bit(value):
    again = through_json(value)
    assert_array_equal(np.asarray(again), np.asarray(value))
    if isinstance(value, Quantity):
        assert brian2.have_same_dimensions(again, value)


def test_a_layer_or_constant_may_have_any_name():
    neuron = bl.Neuron("dv/dt = -v/type : 1", "v > value", "v = 0", "v", dict(type=5 * ms, value=1.0))
    assert set(through_json(neuron).constants) == {"type", "value"}


class Mine(bl.Surrogate):
    pass


@pytest.mark.parametrize("foreign", [Mine(), lambda x: x, object(), {1, 2}, np.array(["a"]), 1j])
def test_what_cannot_be_stored_is_named(foreign):
    with pytest.raises(bl.SpecError, match="cannot be stored"):
        to_dict({"a": [foreign]})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"$type": "os.system", "command": "true"}, "unknown type"),
        ({"$type": "Experiment"}, "unknown type"),
        ({"$type": ["Dense"]}, "unknown type"),
        ({"$type": "Dense", "size": 3, "colour": "red"}, "no such field"),
        ({"$type": "Dense", "size": 3}, "cannot be built"),
        ({"$type": "Adam", "learning_rate": -1.0}, "learning_rate is wrong"),
        ({"$type": "NetworkSpec", "layers": 3}, "cannot be built"),
        ({"$type": "Quantity", "value": 1.0, "unit": "__import__('os')"}, "cannot be read|no unit"),
        ({"$type": "Quantity", "value": "x", "unit": "second"}, "damaged quantity"),
        ({"$type": "Quantity", "value": 1.0}, "damaged quantity"),
        ({"$type": "array", "value": [1, 2], "dtype": "object"}, "damaged array"),
        ({"$type": "float", "value": "1e5"}, "damaged number"),
    ],
)
def test_foreign_content_is_refused(content, message):
    with pytest.raises(bl.BrianLearnError, match=message):
        from_dict(content, "config.json")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10ms", 10 * ms),
        ("10*ms", 10 * ms),
        (" -65 mV ", -65 * mV),
        ("2e-1 nS/cm**2", 0.2 * nS / cm**2),
        ("3/ms", 3 / ms),
        (".5", 0.5),
    ],
)
def test_quantities_on_the_command_line(text, value):
    parsed = parse_quantity(text)
    assert float(parsed) == pytest.approx(float(value), rel=1e-15)
    assert brian2.have_same_dimensions(parsed, value)


@pytest.mark.parametrize(
    "text", ["", "ms", "ten ms", "10 mss", "10ms)", "10 ms ms", "__import__('os')", "1+1", "1 ms*"]
)
def test_what_is_no_quantity(text):
    with pytest.raises(bl.UnitError):
        parse_quantity(text)


def test_every_unit_of_brian2_has_a_name_that_is_read_back():
    for name, unit in brian2.core.namespace.DEFAULT_UNITS.items():
        again = from_dict(to_dict(1.0 * unit))
        assert brian2.have_same_dimensions(again, unit), name
        assert float(again) == float(unit), name


def test_fields_that_an_earlier_version_did_not_have_are_no_difference():
    new = to_dict(bl.Projection("up", "a", "b"))
    old = {key: value for key, value in new.items() if key not in ("delay", "sign", "bias")}
    assert list(differences(old, new)) == list(differences(new, old)) == []
    other = to_dict(bl.Projection("up", "a", "b", bias=True, delay=2 * ms))
    assert {where for where, _, _ in differences(old, other)} == {"bias", "delay.value"}


def test_differences_name_the_place():
    a = to_dict(everything())
    b = to_dict(everything().with_constants(beta=0.3))
    assert list(differences(a, b)) == [("layers[2].neuron.constants.beta", 0.2, 0.3)]
