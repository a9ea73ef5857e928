"""Neurons: propagators against closed formulas, the statements of a step, presets, and every wrong description."""

from __future__ import annotations

import numpy as np
import pytest
import reference
from brian2 import Mohm, amp, ms, mV, nA, nS, pA, volt
from scipy.integrate import solve_ivp

from brianlearn.errors import BrianLearnError, EquationError, SpecError, UnitError
from brianlearn.network import LIF, AdaptiveLIF, CubaLIF, DaltonIF, FastSigmoid, Neuron, Rectangular, neuron_step

DT = 1e-3

CUBA = dict(
    equations="""dv/dt = (R*I - v)/tau_m : 1
                 dI/dt = -I/tau_s : 1""",
    threshold="v > 1",
    reset="v = 0",
    input="I",
    constants=dict(R=2.0, tau_m=20 * ms, tau_s=5 * ms),
)

EIF = dict(
    equations="""dv/dt = (E_L - v + Delta*exp((v - V_T)/Delta) + R*I)/tau_m : volt
                 dI/dt = -I/tau_s : amp""",
    threshold="v > V_peak",
    reset="v = E_L",
    input="I",
    constants=dict(
        E_L=-70 * mV, Delta=2 * mV, V_T=-50 * mV, R=100 * Mohm, tau_m=10 * ms, tau_s=5 * ms, V_peak=-30 * mV
    ),
    v_scale=10 * mV,
    weight_unit=100 * pA,
    initial=dict(v=-70 * mV),
)


def propagator(neuron, refractory=False, dt=DT):
    """P and q of a neuron, straight from its linear system."""
    values = {name: value for name, (value, _) in neuron.parsed.constants.items()}
    return neuron.linear_system.evaluate(values, dt, refractory)


def advance(neuron, state, dt=DT, not_refractory=True):
    """Run the statements of one step, which are Python too, on plain numbers in base units."""
    step = neuron_step(neuron, dt)
    scope = {p.name: p.value for p in step.parameters} | {k: np.asarray(v, float) for k, v in state.items()}
    scope |= {"not_refractory": np.asarray(not_refractory), "inf": np.inf, "clip": np.clip, "exp": np.exp}
    scope |= {"volt": 1.0, "amp": 1.0, "abs": np.abs, "int": lambda x: np.asarray(x).astype(float)}
    for code in (step.update, step.floor, step.psi):
        if code:
            exec(code, {"__builtins__": {}}, scope)
    return scope


# the exact propagator ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tau_m", "tau_s"), [(20.0, 5.0), (5.0, 20.0), (10.0, 10.0), (10.0, 10.0 * (1 + 1e-13)), (1e4, 1e4), (0.3, 0.3)]
)
def test_cuba_propagator_equals_the_closed_formula(tau_m, tau_s):
    P, q = propagator(CubaLIF(tau_m * ms, tau_s * ms, R=2.0))
    if abs(tau_s / tau_m - 1) < 1e-12:  # the general formula is 0/0 here
        tau_s = tau_m
    a, b, k = reference.cuba_coefficients(DT, tau_m * 1e-3, tau_s * 1e-3, 2.0)
    np.testing.assert_allclose(P, [[b, k], [0, a]], rtol=1e-12, atol=1e-18)
    np.testing.assert_array_equal(q, 0)


def test_propagator_is_continuous_where_the_time_constants_meet():
    """k goes to its limit as tau_s -> tau_m, linearly and without noise, where (a - b)/(tau_s - tau_m) is 0/0."""
    gaps = np.concatenate([[0.0], 10.0 ** np.arange(-2, -13, -1), -(10.0 ** np.arange(-2, -13, -1))])
    P, _ = propagator(CubaLIF(10 * ms, 10 * (1 + gaps) * ms))
    k, limit = P[:, 0, 1], 0.1 * np.exp(-0.1)
    assert k[0] == pytest.approx(limit, rel=1e-14)
    assert np.all(np.abs(k - limit) <= 0.2 * np.abs(gaps) * limit + 1e-15)


def test_propagator_with_a_drive_and_units():
    """tau dv/dt = E - v + R I towards E, in volt and ampere, against numerical integration."""
    neuron = Neuron(
        """dv/dt = (E - v + R*I)/tau_m : volt
           dI/dt = -I/tau_s : amp""",
        threshold="v > -50*mV",
        reset="v = E",
        input="I",
        constants=dict(E=-70 * mV, R=100 * Mohm, tau_m=20 * ms, tau_s=5 * ms),
        v_scale=10 * mV,
        weight_unit=1 * nA,
    )
    P, q = propagator(neuron)
    x = np.array([-60e-3, 0.3e-9])
    solution = solve_ivp(
        lambda t, x: [(-70e-3 - x[0] + 1e8 * x[1]) / 20e-3, -x[1] / 5e-3], (0, DT), x, rtol=1e-12, atol=1e-18
    )
    np.testing.assert_allclose(P @ x + q, solution.y[:, -1], rtol=1e-9)


def test_two_steps_are_one_of_twice_the_length():
    neuron = Neuron(
        """dv/dt = (-v + w + u)/tau : 1
           dw/dt = (-w + 0.3*v - 0.1)/(3*tau) : 1
           du/dt = -u/(0.5*tau) : 1""",
        threshold="v > 1",
        reset="v = 0",
        input="u",
        constants=dict(tau=7 * ms),
    )
    P, q = propagator(neuron)
    P2, q2 = propagator(neuron, dt=2 * DT)
    np.testing.assert_allclose(P @ P, P2, rtol=1e-12)
    np.testing.assert_allclose(P @ q + q, q2, rtol=1e-12)


def test_heterogeneous_constants_give_one_propagator_per_neuron():
    tau_m, tau_s = np.array([5.0, 10.0, 20.0]), np.array([10.0, 10.0, 10.0])
    P, _ = propagator(CubaLIF(tau_m * ms, tau_s * ms, R=2.0))
    assert P.shape == (3, 2, 2)
    for k in range(3):
        np.testing.assert_array_equal(P[k], propagator(CubaLIF(tau_m[k] * ms, tau_s[k] * ms, R=2.0))[0])
    parameters = {p.name: p for p in neuron_step(CubaLIF(tau_m * ms, 10 * ms), DT).parameters}
    assert not parameters["P_v_v"].shared
    assert parameters["P_v_v"].value.shape == (3,)


def test_heterogeneous_constant_of_two_axes():
    """A constant shaped like a feature map gives one propagator per neuron, in the order of the flat index."""
    tau_m = np.array([[5.0, 10.0], [20.0, 40.0]])
    P, _ = propagator(CubaLIF(tau_m * ms, 10 * ms))
    np.testing.assert_allclose(P[:, 0, 0], np.exp(-1 / tau_m.ravel()), rtol=1e-14)


def test_frozen_variables_have_a_second_propagator():
    """While v is frozen, w still sees it: dw/dt = (v - w)/tau_w towards the frozen v."""
    neuron = Neuron(
        """dv/dt = (I - v)/tau_m : 1 (unless refractory)
           dw/dt = (v - w)/tau_w : 1
           dI/dt = -I/tau_s : 1""",
        threshold="v > 1",
        reset="v = 0",
        input="I",
        constants=dict(tau_m=20 * ms, tau_w=50 * ms, tau_s=5 * ms),
        refractory=3 * ms,
    )
    P, q = propagator(neuron, refractory=True)
    e_w, e_s = np.exp(-1 / 50), np.exp(-1 / 5)
    np.testing.assert_allclose(P, [[1, 0, 0], [1 - e_w, e_w, 0], [0, 0, e_s]], rtol=1e-12, atol=1e-16)
    np.testing.assert_array_equal(q, 0)
    free = propagator(neuron)[0]

    state = dict(v=[0.5, 0.5], w=[0.2, 0.2], I=[0.7, 0.7])
    after = advance(neuron, state, not_refractory=[True, False])
    x = np.array([0.5, 0.2, 0.7])
    got = np.array([after[name] for name in "vwI"])
    np.testing.assert_allclose(got, np.array([free @ x, P @ x]).T, rtol=1e-12)
    assert after["psi"][0] > 0
    assert after["psi"][1] == 0


def test_subexpressions_and_parameters_of_the_equations():
    neuron = Neuron(
        """dv/dt = (drive - v)/tau : 1
           drive = gain*I : 1
           dI/dt = -I/tau : 1
           gain : 1
           tau : second""",
        threshold="v > 1",
        reset="v = 0",
        input="I",
        constants=dict(gain=2.0, tau=10 * ms),
    )
    assert neuron.method_used == "exact"
    np.testing.assert_allclose(propagator(neuron)[0], propagator(CubaLIF(10 * ms, 10 * ms, R=2.0))[0], rtol=1e-14)


def test_numbers_with_units_inside_the_equations():
    neuron = Neuron("dv/dt = -v/(10*ms) : 1", "v > 1", "v = 0", "v")
    np.testing.assert_allclose(propagator(neuron)[0], [[np.exp(-0.1)]], rtol=1e-14)


def test_a_time_constant_of_zero_is_refused():
    with pytest.raises(SpecError, match=r"dv/dt: a coefficient is not finite[\s\S]*tau_m = 0"):
        neuron_step(CubaLIF(tau_m=0 * ms), DT)


# one step as statements ----------------------------------------------------------------------------------------------


def test_statements_of_the_exact_step(rng):
    neuron = Neuron(**CUBA)
    assert neuron.method_used == "exact"
    a, b, k = reference.cuba_coefficients(DT, 20e-3, 5e-3, 2.0)
    v, current = rng.normal(size=5), rng.normal(size=5)
    after = advance(neuron, dict(v=v, I=current))
    np.testing.assert_allclose(after["v"], b * v + k * current, rtol=1e-14)
    np.testing.assert_allclose(after["I"], a * current, rtol=1e-14)
    np.testing.assert_allclose(after["psi"], 1 / (1 + 5 * np.abs(b * v + k * current - 1)) ** 2, rtol=1e-14)


def test_floor_and_gate():
    after = advance(DaltonIF(5 * ms), dict(v=[0.5, 0.5, 0.5], I=[0.3, -0.7, -0.5]))
    np.testing.assert_allclose(after["v"], [0.8, 0, 0], atol=1e-15)
    np.testing.assert_array_equal(after["gate"], [1, 0, 1])  # v = 0 exactly was not floored
    np.testing.assert_allclose(after["psi"], [1 / (1 + 5 * 0.2) ** 2, 1 / 36, 1 / 36])


def test_psi_in_units_of_v_scale():
    neuron = Neuron(**(EIF | dict(method="euler", surrogate=Rectangular(width=2.0))))
    step = neuron_step(neuron, DT)
    assert step.update is None  # Brian2's own state updater
    scope = dict(v=np.array([-45e-3, -35e-3, -22e-3, -19e-3]), volt=1.0, V_peak=-30e-3, abs=np.abs, int=np.asarray)
    exec(step.psi, {"__builtins__": {}}, scope)
    np.testing.assert_array_equal(scope["psi"], [0, 0.5, 0.5, 0])


def test_adaptive_threshold_enters_psi():
    after = advance(AdaptiveLIF(beta=0.5), dict(v=[1.5], a=[2.0]))
    v, a = 1.5 * np.exp(-1 / 20), 2 * np.exp(-1 / 200)
    np.testing.assert_allclose(after["psi"], 1 / (1 + 5 * abs(v - 1 - 0.5 * a)) ** 2, rtol=1e-13)


def test_trial_reset():
    step = neuron_step(Neuron(**EIF), DT)
    assert step.reset_trial.splitlines() == ["v = -0.07*(volt)", "I = 0.0*(amp)"]


def test_refractory_steps_are_counted_with_brian2s_timestep():
    step = neuron_step(LIF(refractory=2 * ms), DT)
    assert step.refractory == "not_refractory = timestep(t - lastspike, dt) >= timestep(0.002*second, dt)"


def test_only_constants_that_a_step_reads_are_parameters():
    names = [p.name for p in neuron_step(AdaptiveLIF(), DT).parameters]
    assert names == ["P_v_v", "P_a_a", "beta"]
    assert {p.name for p in neuron_step(Neuron(**EIF), DT).parameters} == set(EIF["constants"])


# methods -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("equations", "method"),
    [
        ("dv/dt = -v/tau : 1", "exact"),
        ("dv/dt = -v/tau + sin(2*pi*3)/tau : 1", "exact"),
        ("dv/dt = -v*v/tau : 1", "euler"),
        ("dv/dt = (exp(v) - v)/tau : 1", "exponential_euler"),  # exact for -v, exp(v) as it is at the start
        ("dv/dt = (g*(1 - v) - v)/tau : 1\ndg/dt = -g/tau : 1", "exponential_euler"),
        ("dv/dt = (sin(t/tau) - v)/tau : 1", "exponential_euler"),
        ("dv/dt = -v/tau + xi*tau**-0.5 : 1", "euler"),
        ("dv/dt = -abs(v)/tau : 1", "euler"),
        ("dv/dt = -int(v > 0.5)/tau : 1", "euler"),
        ("dv/dt = -v*int(v > 0.5)/tau : 1", "exponential_euler"),  # the comparison as it is at the start
        ("dv/dt = -v/tau + int(v > 0.5 and v < 0.7)/tau : 1", "exponential_euler"),
        ("dv/dt = -v/tau + int(tau > 1*ms)/tau : 1", "exact"),  # of constants
    ],
)
def test_method_that_is_chosen(equations, method):
    assert Neuron(equations, "v > 1", "v = 0", "v", dict(tau=10 * ms)).method_used == method


@pytest.mark.parametrize("method", ["euler", "rk2", "rk4", "exponential_euler"])
def test_method_that_is_asked_for(method):
    neuron = Neuron(**(CUBA | dict(method=method)))
    assert neuron.method_used == method
    assert neuron.linear_system is None
    assert neuron_step(neuron, DT).update is None


@pytest.mark.parametrize(
    ("equations", "why"),
    [
        ("dv/dt = -v*v/tau : 1", "not linear in v"),
        ("dv/dt = (g*(1 - v) - v)/tau : 1\ndg/dt = -g/tau : 1", "not linear in v, g"),
        ("dv/dt = -abs(v)/tau : 1", "not linear"),
        ("dv/dt = (sin(t/tau) - v)/tau : 1", "depends on t"),
        ("dv/dt = -v/tau + xi*tau**-0.5 : 1", "stochastic"),
        ("dv/dt = (rand() - v)/tau : 1", "rand"),
        ("dv/dt = -int(v > 1)/tau : 1", "compares a state variable"),
    ],
)
def test_exact_method_is_refused_where_there_is_no_propagator(equations, why):
    with pytest.raises(EquationError, match="no exact propagator") as info:
        Neuron(equations, "v > 1", "v = 0", "v", dict(tau=10 * ms), method="exact")
    assert why in info.value.problem
    assert "exponential_euler" in info.value.remedy


# presets -------------------------------------------------------------------------------------------------------------


def test_lif():
    neuron = LIF(tau_m=10 * ms)
    np.testing.assert_allclose(propagator(neuron)[0], [[np.exp(-0.1)]], rtol=1e-14)
    assert neuron.input == "v"


@pytest.mark.parametrize("tau", [1.0, 5.0, 1000.0])
def test_dalton_neuron_adds_its_current_once_per_step(tau):
    P, q = propagator(DaltonIF(tau * ms))
    np.testing.assert_allclose(P, [[1, 1], [0, np.exp(-1 / tau)]], rtol=1e-11)
    np.testing.assert_array_equal(q, 0)
    assert DaltonIF().floor == 0.0
    assert DaltonIF().surrogate == FastSigmoid(slope=5.0)


@pytest.mark.parametrize("dt", [0.1e-3, 0.5e-3, 2e-3])
def test_dalton_neuron_adds_its_current_once_per_step_of_any_length(dt):
    P, _ = propagator(DaltonIF(5 * ms), dt=dt)
    np.testing.assert_allclose(P[0], [1, 1], rtol=1e-11)


def test_adaptive_lif():
    P, _ = propagator(AdaptiveLIF(tau_m=10 * ms, tau_a=100 * ms))
    np.testing.assert_allclose(P, np.diag([np.exp(-0.1), np.exp(-0.01)]), rtol=1e-14)


@pytest.mark.parametrize("preset", [LIF, CubaLIF, DaltonIF, AdaptiveLIF])
def test_presets_take_the_options_of_a_neuron(preset):
    neuron = preset(refractory=2 * ms, surrogate=Rectangular(), reset="v -= 1", floor=-1.0)
    assert float(neuron.refractory) == 2e-3
    assert (neuron.surrogate, neuron.reset, neuron.floor) == (Rectangular(), "v -= 1", -1.0)
    assert neuron.method_used == "exact"


def test_with_constants():
    neuron = CubaLIF(tau_m=20 * ms)
    other = neuron.with_constants(tau_m=30 * ms, R=2.0)
    assert float(other.constants["tau_m"]) == pytest.approx(30e-3)
    assert float(neuron.constants["tau_m"]) == pytest.approx(20e-3)
    np.testing.assert_array_equal(propagator(other)[0], propagator(CubaLIF(tau_m=30 * ms, R=2.0))[0])
    with pytest.raises(SpecError, match="no such constant") as info:
        neuron.with_constants(tau_x=1 * ms)
    assert "tau_m" in info.value.expected


# wrong descriptions --------------------------------------------------------------------------------------------------


def constants(base, **changes):
    """The constants of ``base`` with some replaced, or left out where None."""
    merged = base["constants"] | changes
    return dict(constants={name: value for name, value in merged.items() if value is not None})


WRONG = {
    # changes to the EIF neuron, error, what the message must say
    "wrong unit of a constant": (
        constants(EIF, tau_m=10 * mV),
        UnitError,
        ["dv/dt", "tau_m has the wrong unit", "tau_m = 10 mV", "a time, e.g. 10*ms"],
    ),
    "unit that does not add up": (
        constants(EIF, V_T=50 * ms),
        UnitError,
        ["dv/dt", "V_T = 50 ms", "a voltage, e.g. 10*mV"],
    ),
    "missing constant": (constants(EIF, tau_m=None), EquationError, ["'tau_m'", "constants=dict(tau_m="]),
    "unused constant": (constants(EIF, tau_x=1 * ms), EquationError, ["'tau_x'", "not used"]),
    "constant that is text": (constants(EIF, tau_m="ten ms"), UnitError, ["tau_m", "cannot be read", "5*ms"]),
    "constant that is NaN": (constants(EIF, tau_m=np.nan * ms), SpecError, ["tau_m", "not finite"]),
    "reserved name": (constants(EIF, psi=1.0), EquationError, ["'psi'", "surrogate derivative"]),
    "constant that is a variable": (constants(EIF, v=1 * mV), EquationError, ["'v'", "both"]),
    "no equations": (dict(equations=""), EquationError, ["no differential equation"]),
    "syntax": (dict(equations="dv/dt = -v/ : 1"), EquationError, ["cannot be read", "Brian2 says"]),
    "two random numbers": (
        dict(equations=EIF["equations"] + "\ndx/dt = (rand() - rand())/tau_m : 1"),
        EquationError,
        ["a random function twice", "rand() - rand()", "at most one"],
    ),
    "unknown function": (
        dict(equations=EIF["equations"].replace("exp(", "expp(")),
        EquationError,
        ["'expp'", "unknown name in the equations"],
    ),
    "equations that are no text": (dict(equations=3), SpecError, ["equations is not text"]),
    "input without an equation": (dict(input="g"), EquationError, ["'g'", "v, I"]),
    "unknown name in the threshold": (dict(threshold="u > V_peak"), EquationError, ["'u'", "threshold"]),
    "threshold that is not strict": (dict(threshold="v >= V_peak"), EquationError, ["'v >= V_peak'", "strict"]),
    "two thresholds": (dict(threshold="v > V_peak and v < E_L"), EquationError, ["strict comparison"]),
    "threshold in another unit": (
        dict(threshold="v > tau_m/second") | constants(EIF, V_peak=None),
        UnitError,
        ["v in mV", "tau_m / second without a unit"],
    ),
    "threshold on a constant": (dict(threshold="V_peak > E_L"), EquationError, ["is a constant", "V_peak"]),
    "threshold that cannot be read": (dict(threshold="v >"), EquationError, ["threshold cannot be read"]),
    "reset in another unit": (dict(reset="v = 0"), UnitError, ["reset 'v = 0'"]),
    "unknown name in the reset": (dict(reset="v = E_L; w += 1"), EquationError, ["'w'", "reset"]),
    "reset that cannot be read": (dict(reset="v == E_L"), EquationError, ["v == E_L", "statements such as"]),
    "unknown method": (dict(method="midpoint"), SpecError, ["'midpoint'", "rk4"]),
    "refractory without a unit": (dict(refractory=2), UnitError, ["refractory", "2*ms"]),
    "negative refractory": (dict(refractory=-2 * ms), SpecError, ["refractory", "> 0"]),
    "floor in another unit": (dict(floor=0.0), UnitError, ["floor", "a voltage"]),
    "floor of an expression": (
        dict(threshold="v + 1*mV > V_peak", floor=-80 * mV),
        SpecError,
        ["floor", "left of the threshold"],
    ),
    "no weight unit": (dict(weight_unit=1.0), UnitError, ["weight_unit", "a current, e.g. 10*nA"]),
    "weight unit of zero": (dict(weight_unit=0 * amp), SpecError, ["weight_unit", "> 0"]),
    "no scale of v": (dict(v_scale=1.0), UnitError, ["v_scale", "volt"]),
    "scale that is an array": (dict(v_scale=[1, 2] * volt), SpecError, ["v_scale", "one number"]),
    "initial value without a unit": (dict(initial=dict(v=-70)), UnitError, ["'v'", "volt"]),
    "initial value of nothing": (dict(initial=dict(w=0)), SpecError, ["'w'", "v, I"]),
    "initial value that is NaN": (dict(initial=dict(v=np.nan * mV)), SpecError, ["'v'", "finite"]),
    "surrogate by name": (dict(surrogate="fast_sigmoid"), SpecError, ["surrogate", "FastSigmoid(slope=5)"]),
    "surrogate class": (dict(surrogate=FastSigmoid), SpecError, ["surrogate", "instance"]),
    "frozen without a refractory period": (
        dict(equations=EIF["equations"].replace(": volt", ": volt (unless refractory)")),
        SpecError,
        ["unless refractory", "refractory=..."],
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_neurons_are_refused(what):
    changes, error, words = WRONG[what]
    with pytest.raises(error) as info:
        Neuron(**(EIF | changes))
    message = str(info.value)
    assert isinstance(info.value, BrianLearnError)
    assert info.value.subject.startswith("Neuron(")
    assert info.value.expected or info.value.remedy
    for word in words:
        assert word in message, message


def test_parameter_declared_in_the_equations_needs_a_value_of_its_unit():
    equations = "dv/dt = -v/tau : 1\ntau : second"
    with pytest.raises(EquationError, match="parameter 'tau' has no value"):
        Neuron(equations, "v > 1", "v = 0", "v")
    with pytest.raises(UnitError, match="constant 'tau' has the wrong unit"):
        Neuron(equations, "v > 1", "v = 0", "v", dict(tau=1 * mV))


def test_conductance_based_neuron():
    neuron = Neuron(
        """dv/dt = (g_L*(E_L - v) + g*(E_e - v))/C : volt
           dg/dt = -g/tau : siemens""",
        threshold="v > -50*mV",
        reset="v = E_L",
        input="g",
        constants=dict(g_L=10 * nS, E_L=-70 * mV, E_e=0 * mV, C=200e-12 * amp * 1e3 * ms / volt, tau=5 * ms),
        v_scale=10 * mV,
        weight_unit=1 * nS,
        initial=dict(v=-70 * mV),
    )
    assert neuron.method_used == "exponential_euler"
