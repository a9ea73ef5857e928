"""The Brian2 network computes what the equations say: weights and spikes equal the numpy reference (docs/rules.md)."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from brian2 import prefs
from cases import CASES, COMPILED, Case

from brianlearn.training.learner import Learner

TOLERANCE = 1e-10


def _learner(case: Case, device: str) -> Learner:
    return Learner(
        case.spec,
        case.rule,
        case.optimiser,
        device=device,
        dtype="float64",
        batch_size=case.batch,
        chunk_size=2 * case.batch,  # so that five samples take more than one run
    )


def check_learning(case: Case, device: str) -> None:
    """Weights, optimiser state, predictions and loss after learning."""
    expected = case.reference()
    learner = _learner(case, device)
    start = learner.init(case.weights())
    state, metrics = learner.learn(start, case.samples())
    for name, weights in expected.weights.items():
        np.testing.assert_allclose(state.weights[name], weights, rtol=0, atol=TOLERANCE, err_msg=name)
    learned = [p.name for p in case.spec.projections if case.rule.learning_rate_scale.get(p.name, 1.0)]
    for name in learned:  # a network that is silent, or does not learn, would be equal as well
        moved = np.abs(expected.weights[name] - case.weights()[name]).max()
        assert moved > 1e-7, f"{name} did not learn"
    for name, slots in state.optimiser.items():
        for slot, array in slots.items():
            np.testing.assert_allclose(array, expected.slots[name][slot], rtol=0, atol=TOLERANCE, err_msg=name + slot)
    assert state.steps == expected.steps
    assert metrics.loss == pytest.approx(expected.loss.mean(), abs=1e-10)
    labels = case.samples().labels
    assert metrics.accuracy == pytest.approx((expected.logits.argmax(axis=1) == labels).mean())


def check_spikes(case: Case, device: str) -> None:
    """Every spike of every layer, and the readout over time."""
    expected = case.reference_inference()
    learner = _learner(case, device)
    activity = learner.infer(learner.init(case.weights()), case.samples(), record=("spikes", "readout"))
    for name, spikes in activity.spikes.items():
        dense = spikes.dense()
        reference = expected.spikes[name] != 0
        assert np.array_equal(dense, reference), f"{name}: {np.sum(dense != reference)} spikes differ"
        assert name == "input" or 0.01 < dense.mean() < 0.99, f"{name} is silent or saturated"
        rate = activity.firing_rates[name] * float(case.spec.dt)
        assert rate == pytest.approx(reference.mean())
    assert activity.readout is not None
    np.testing.assert_allclose(activity.readout, expected.readout, rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(activity.logits, expected.logits, rtol=0, atol=TOLERANCE)
    assert activity.loss == pytest.approx(expected.loss.mean(), abs=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_learning_equals_reference(name: str) -> None:
    check_learning(CASES[name], "numpy")


@pytest.mark.parametrize("name", ["conv-conv-dalton-sgd-batch1", *[n for n in CASES if "batch" not in n]])
def test_spikes_equal_reference(name: str) -> None:
    check_spikes(CASES[name], "numpy")


@pytest.mark.cpp_standalone
@pytest.mark.parametrize("name", COMPILED)
def test_learning_equals_reference_compiled(name: str) -> None:
    check_learning(CASES[name], "cpp_standalone")


@pytest.mark.cpp_standalone
@pytest.mark.parametrize("name", ["conv-conv-dalton-adam-batch3", "mixed-neurons"])
def test_spikes_equal_reference_compiled(name: str) -> None:
    check_spikes(CASES[name], "cpp_standalone")


@pytest.fixture
def quick_cython(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compile the thirty modules of a network without optimisation: half the time."""
    monkeypatch.setitem(prefs, "codegen.cpp.extra_compile_args_gcc", ["-w", "-O0"])


@pytest.mark.cpp_standalone
@pytest.mark.usefixtures("quick_cython")
def test_cython_equals_reference() -> None:
    case = CASES["step-sgd"]
    layers = [dataclasses.replace(case.spec.layers[0], name="dense1")]
    check_learning(dataclasses.replace(case, spec=dataclasses.replace(case.spec, layers=layers)), "cython")


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("name", CASES)
def test_everything_compiled(name: str) -> None:
    check_learning(CASES[name], "cpp_standalone")
    check_spikes(CASES[name], "cpp_standalone")


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.usefixtures("quick_cython")
@pytest.mark.parametrize("name", CASES)
def test_everything_in_cython(name: str) -> None:
    check_learning(CASES[name], "cython")
    check_spikes(CASES[name], "cython")
