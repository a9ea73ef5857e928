"""The description of what runs is read from what runs."""

from __future__ import annotations

import pytest
from brian2 import ms
from cases import EIF, dense, one_convolution, two_convolutions

from brianlearn.brian import describe
from brianlearn.brian.build.schedule import Schedule
from brianlearn.errors import RuleError
from brianlearn.learning import DALTON, SGD, TFR
from brianlearn.network import LIF, CubaLIF, Dense, Neuron


def _slot_order(text: str, *names: str) -> bool:
    places = [text.index(f"\n    {name}") for name in names]
    return places == sorted(places)


def test_dalton() -> None:
    text = describe(two_convolutions(), DALTON(), SGD(0.1), batch_size=2)
    assert "on_pre 'deliver': I_post += weight*0.25" in text
    assert "on_pre 'learn': gradient += 0.25*delta_gated_post" in text
    assert "L_pre = sum of weight*delta_post" in text
    assert "mirror" not in text
    assert "v_next = P_v_v*v + P_v_I*I" in text
    assert "psi = 1/(1 + 5.0*abs(x_psi))**2" in text
    assert _slot_order(
        text,
        "w_conv1_update, every batch:",
        "input_integrate:",
        "synapses_conv1_deliver:",
        "conv1_integrate:",
        "conv1_spike_thresholder:",
        "conv1_spike_resetter:",
        "synapses_conv2_deliver:",
        "dense1_spike_resetter:",
        "synapses_readout_deliver:",
        "readout_error:",
        "synapses_readout_summed_variable_L_pre:",
        "dense1_delta:",
        "conv2_delta:",
        "conv1_delta:",
        "synapses_conv1_learn:",
    )


def test_other_rules_and_neurons() -> None:
    mirror = describe(dense(), DALTON(feedback="mirror", update="step"), SGD(0.1))
    assert "on_post 'learn': weight -= eta*delta_pre" in mirror
    assert "on_pre 'learn': weight -= eta*delta_post" in mirror
    tfr = describe(dense(CubaLIF(refractory=2 * ms)), TFR())
    assert "readout_dense1" in tfr and "int(not_refractory)" in tfr
    assert "Brian2's state updater, method euler" in describe(dense(EIF), DALTON())
    inference = describe(dense())
    assert "psi" not in inference and "learn" not in inference


def test_traces_and_dropout() -> None:
    spec = dense(layers=[Dense(5, CubaLIF(), dropout=0.5), Dense(4, LIF())])
    text = describe(spec, DALTON(eligibility="trace"), batch_size=2)
    assert "on_pre 'deliver': v_post += weight*dropout_mask_pre" in text
    assert "on_pre 'learn': gradient += delta_post*trace_v_pre" in text
    assert "eligible if trace_v != 0" in text
    assert "trace_v_next = E_v_v*trace_v + E_v_I*trace_I" in text
    assert "delta = psi*L*dropout_mask" in text
    assert _slot_order(
        text,
        "dense1_spike_resetter:\n      v = 0\n      trace_v += 1.0*dropout_mask",
        "dense1_traces:\n      trace_v_next = E_v_v*trace_v",
        "dense1_eligible_thresholder:",
        "synapses_dense2_learn:",
    )
    assert "dropout_mask" not in describe(spec)  # inference drops nothing


def test_names_of_traces_are_kept_free() -> None:
    taken = Neuron("dtrace_v/dt = -trace_v/tau : 1", "trace_v > 1", "trace_v = 0", "trace_v", dict(tau=5 * ms))
    with pytest.raises(RuleError, match=r"layer dense1(.|\n)*trace_v"):
        describe(dense(taken, LIF()), DALTON(eligibility="trace"))


def test_describe_refuses_what_the_engine_refuses() -> None:
    with pytest.raises(RuleError, match="batch_size=1"):
        describe(dense(), DALTON(update="step"), batch_size=2)


def test_every_slot_of_brian2_is_there() -> None:
    slots = Schedule(("a", "b")).slots()
    assert {"start", "groups", "thresholds", "synapses", "resets", "end"} <= set(slots)
    assert slots.index("a_reset") < slots.index("b_deliver") < slots.index("readout_deliver")
    assert slots.index("b_feedback") < slots.index("a_feedback") < slots.index("plasticity")


def test_the_loops_of_standalone_programs_are_printed() -> None:
    text = describe(one_convolution(), DALTON(), loops=True)
    before, _, loops = text.partition("C++ loops on cpp_standalone")
    assert before.strip() == describe(one_convolution(), DALTON()).strip()
    for name in ("deliver_conv1", "learn_conv1", "fold_conv1", "feedback_dense1", "deliver_readout"):
        assert f"inline double {name}(double learning)" in loops
    assert "synapses_dense1, slot conv1_feedback:" in loops
    assert "$" not in loops
