"""What users write is taken where its meaning is plain; else the error names what was written and what was meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from brian2 import Equations, Mohm, ms, mV, nA

import brianlearn as bl

TEXT = "dv/dt = (I - v)/tau_m : 1\ndI/dt = -I/tau_s : 1"
PLAIN: dict[str, Any] = dict(
    equations=TEXT, threshold="v > 1", reset="v = 0", input="I", constants=dict(tau_m=20 * ms, tau_s=5 * ms)
)
VOLTS = "dv/dt = (E_l - v + R*I)/tau_m : volt\ndI/dt = -I/tau_s : amp"
UNITS: dict[str, Any] = dict(E_l=-65 * mV, R=100 * Mohm, tau_m=20 * ms, tau_s=5 * ms)
WITH_UNITS: dict[str, Any] = dict(
    equations=VOLTS,
    threshold="v > -50*mV",
    reset="v = E_l",
    input="I",
    constants=UNITS,
    v_scale=10 * mV,
    weight_unit=1 * nA,
)


def plain(**changes: Any) -> bl.Neuron:
    return bl.Neuron(**(PLAIN | changes))


def volts(**changes: Any) -> bl.Neuron:
    return bl.Neuron(**(WITH_UNITS | changes))


def network(**changes: Any) -> bl.NetworkSpec:
    fields = dict(input=bl.Input((1, 2, 2)), layers=[bl.Dense(3, bl.LIF())], readout=bl.Readout(2), duration=30 * ms)
    return bl.NetworkSpec(**(fields | changes))


# taken ----------------------------------------------------------------------------------------------------------------


def test_quantities_as_text() -> None:
    assert float(plain(refractory="5*ms").refractory) == float(plain(refractory="5 ms").refractory) == 0.005
    neuron = volts(floor="-80*mV", v_scale="10 mV", weight_unit="1*nA", initial=dict(v="-65 mV"))
    assert float(neuron.floor) == -0.08 and float(neuron.initial["v"]) == -0.065
    assert volts(constants=UNITS | dict(tau_m="20 ms")).parsed.constants["tau_m"] == volts().parsed.constants["tau_m"]
    spec = network(duration="30 ms", dt="0.5*ms", burn_in="1 ms", readout=bl.Readout(2, tau="10*ms"))
    assert (spec.n_steps, spec.burn_in_steps) == (60, 2) and float(spec.readout.tau) == 0.01
    assert float(bl.LIF("7*ms").parsed.constants["tau_m"][0]) == 0.007
    assert float(bl.LIF().with_constants(tau_m="7 ms").parsed.constants["tau_m"][0]) == 0.007
    assert float(bl.DataSource("digits_events", denoise="5 ms").denoise) == 0.005


def test_equations_objects() -> None:
    assert plain(equations=Equations(TEXT)).method_used == "exact"
    held = Equations("dv/dt = (I - v)/tau : 1\ndI/dt = -I/tau_s : 1", tau=20 * ms)  # with a value of its own
    neuron = plain(equations=held, constants=dict(tau_s=5 * ms))
    spec = network(layers=[bl.Dense(3, neuron)])
    again = network(layers=[bl.Dense(3, plain())])
    steps = [bl.neuron_step(s.layers[0].neuron, 1e-3) for s in (spec, again)]
    values = [{p.name: float(p.value) for p in step.parameters} for step in steps]
    assert values[0].items() <= values[1].items() or values[0]["P_v_v"] == pytest.approx(values[1]["P_v_v"], rel=1e-12)


def test_whole_numbers_with_a_point_as_labels() -> None:
    samples = bl.Samples(np.ones((3, 2)), np.array([0.0, 1.0, 2.0]))
    assert samples.labels.dtype == np.int64 and samples.labels.tolist() == [0, 1, 2]
    for labels in ([0.0, 0.5, 1.0], [0.0, np.nan, 1.0], [0.0, np.inf, 1.0]):
        with pytest.raises(bl.DataError, match="labels"):
            bl.Samples(np.ones((3, 2)), labels)
    with pytest.raises(bl.DataError, match="argmax"):
        bl.Samples(np.ones((3, 2)), np.eye(3))


def test_numbers_and_shapes_of_numpy() -> None:
    assert bl.Input(np.array([1, 2, 2])).shape == bl.Input([1, 2, 2]).shape == (1, 2, 2)
    learner = bl.Learner(network(), device="numpy", batch_size=np.int64(4), seed=np.int32(3))
    assert (learner.batch_size, learner.seed) == (4, 3) and type(learner.batch_size) is int


# refused, by name -----------------------------------------------------------------------------------------------------

REFUSED: dict[str, tuple[Callable[[], Any], list[str]]] = {
    "reset of an unknown name": (lambda: plain(reset="V = 0"), ["assigns an unknown name", "'V'", "mean 'v'?"]),
    "one of two": (lambda: plain(reset="v = 0; II = 0"), ["'II'", "mean 'I'?"]),
    "changed, not assigned": (lambda: plain(reset="V -= 1"), ["'V'", "mean 'v'?"]),
    "on a line of its own": (lambda: plain(reset="v = 0\nv_ = 1  # comment"), ["'v_'", "mean 'v'?"]),
    "reset of a constant": (lambda: plain(reset="v = 0; tau_m = 5*ms"), ["'tau_m'", "no state variable"]),
    "threshold": (lambda: plain(threshold="V > 1"), ["unknown name in the threshold", "mean 'v'?"]),
    "no unit": (lambda: bl.LIF(10), ["tau_m has no unit", "tau_m = 10", "a time, e.g. 10*ms"]),
    "two without": (lambda: bl.CubaLIF(10, 5), ["tau_m has no unit", "a time, e.g. 10*ms"]),
    "wrong unit": (lambda: bl.CubaLIF(tau_s=5 * mV), ["tau_s has the wrong unit", "tau_s = 5 mV", "a time"]),
    "a voltage": (lambda: volts(constants=UNITS | dict(E_l=-65)), ["E_l has no unit", "a voltage, e.g. 10*mV"]),
    "a resistance": (lambda: volts(constants=UNITS | dict(R=5 * mV)), ["R = 5 mV", "a resistance, e.g. 10*Mohm"]),
    "threshold without unit": (lambda: volts(threshold="v > 1"), ["v in mV, 1 without a unit"]),
    "reset without unit": (lambda: volts(reset="v = 0"), ["'v = 0'", "0 without a unit", "a voltage"]),
    "v_scale": (lambda: volts(v_scale=1), ["v_scale", "a voltage, e.g. 10*mV"]),
    "text without sense": (lambda: plain(refractory="five"), ["refractory cannot be read", "5*ms"]),
    "duration": (lambda: network(duration=30), ["duration has no unit of time", "30"]),
    "input": (lambda: plain(input="i"), ["mean 'I'?"]),
    "constant": (lambda: plain(constants=dict(tau_mm=20 * ms, tau_s=5 * ms)), ["'tau_m'", "mean 'tau_mm'?"]),
    "initial": (lambda: plain(initial=dict(V=1)), ["mean 'v'?"]),
    "method": (lambda: plain(method="eular"), ["mean 'euler'?"]),
    "constants": (lambda: plain(constants=[1]), ["constants is not a mapping"]),
    "another value": (lambda: bl.LIF().with_constants(tau_n=3 * ms), ["mean 'tau_m'?"]),
    "of a network": (lambda: network().with_constants(tau_n=3 * ms), ["mean 'tau_m'?"]),
    "timing": (lambda: network(timing="pipeline"), ["mean 'pipelined'?"]),
    "data set": (lambda: bl.load("mnsit"), ["mean 'mnist'?"]),
    "source": (lambda: bl.DataSource("Fashion-MNIST"), ["mean 'fashion_mnist'?"]),
    "device": (lambda: bl.Learner(network(), device="numppy"), ["mean 'numpy'?"]),
    "engine": (lambda: bl.Learner(network(), engine="brain"), ["mean 'brian'?"]),
    # arguments
    "Neuron": (lambda: bl.Neuron(**PLAIN, threshhold="v > 1"), ["threshhold='v > 1'", "mean 'threshold'?"]),
    "missing": (lambda: bl.Neuron(TEXT), ["missing a required argument: 'threshold'"]),
    "preset": (lambda: bl.LIF(taum=5 * ms), ["LIF", "mean 'tau_m'?"]),
    "preset, of Neuron": (lambda: bl.LIF(refractry=5 * ms), ["LIF", "mean 'refractory'?"]),
    "layer": (lambda: bl.Dense(3, bl.LIF(), drop_out=0.1), ["mean 'dropout'?"]),
    "rule": (lambda: bl.DALTON(credits="online"), ["mean 'credit'?"]),
    "loss": (lambda: bl.VanRossum(taus=1 * ms), ["VanRossum", "taus"]),
    "optimiser": (lambda: bl.Adam(lr=1e-3), ["mean 'learning_rate'?"]),
    "surrogate": (lambda: bl.FastSigmoid(slop=3), ["mean 'slope'?"]),
    "load": (lambda: bl.load("digits", pth=3), ["load", "mean 'path'?"]),
    "experiment": (lambda: bl.Experiment(network(), epoch=3), ["mean 'epochs'?"]),
    "learner": (lambda: bl.Learner(network(), batchsize=3), ["mean 'batch_size'?"]),
    "evaluate": (lambda: bl.evaluate("run", limt=3), ["mean 'limit'?"]),
}


@pytest.mark.parametrize(("wrong", "parts"), REFUSED.values(), ids=REFUSED)
def test_named(wrong: Callable[[], Any], parts: list[str]) -> None:
    with pytest.raises(bl.BrianLearnError) as error:
        wrong()
    text = str(error.value)
    assert all(part in text for part in parts), text
    assert len(text.splitlines()) <= 20 and "metre" not in text and "kg" not in text
    assert error.value.__cause__ is None or isinstance(error.value.__cause__, bl.BrianLearnError)


def test_arguments_are_type_errors_too() -> None:
    for call in (
        lambda: bl.Dense(3),
        lambda: bl.Dense(3, bl.LIF(), wide=2),
        lambda: bl.Adam(1, 2, 3, 4, 5, 6, 7, 8, 9),
    ):
        with pytest.raises(TypeError) as error:
            call()
        assert isinstance(error.value, bl.ArgumentError)


def test_every_public_description_names_its_arguments() -> None:
    pytest.importorskip("torch")  # some of them are of the exported module
    for name in bl.__all__:
        public = getattr(bl, name)
        if isinstance(public, type) and issubclass(public, Exception):
            continue
        if not callable(public) or ("__init__" not in vars(public) and isinstance(public, type)):
            continue
        if name in ("main", "DiscreteNetwork", "DiscreteActivity", "export"):  # of the command line and of torch
            continue
        with pytest.raises(bl.ArgumentError, match="nonsense") as error:
            public(nonsense_of_this_name=1)
        assert error.value.unknown == "nonsense_of_this_name", name


def test_errors_inside_of_a_right_call_stay_as_they_are() -> None:
    class Bad:
        @property
        def shape(self) -> Any:
            raise TypeError("of the user's own")

    assert not isinstance(Bad, bl.Recordings)
    with pytest.raises(TypeError, match="of the user's own") as error:
        bl.Events(Bad().shape, [], [0], (1,))
    assert not isinstance(error.value, bl.ArgumentError)


def test_names_that_hold_a_value_for_later_statements() -> None:
    assert plain(reset="u = v - 1\nv = 0.5*u").reset
    assert plain(reset="").reset == ""
    with pytest.raises(bl.EquationError, match="'u'"):
        plain(reset="v = 0; u = v")  # used by nothing


def test_a_public_name_that_is_misspelt() -> None:
    with pytest.raises(AttributeError, match="did you mean 'Dense'"):
        _ = bl.Denze
    assert not hasattr(bl, "__nothing__")
