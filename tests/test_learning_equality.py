"""Local learning in the discrete engine: the weights of the Brian2 engine, of the reference, and of autograd."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from brian2 import ms
from cases import CASES, MECHANISMS, Case, dense, one_convolution, two_convolutions
from test_equality import TOLERANCE, check_learning

from brianlearn.errors import RuleError
from brianlearn.learning import DALTON, SGD, TFR, Adam, Momentum, ThreeFactorRule
from brianlearn.network import CubaLIF, NetworkSpec, Readout
from brianlearn.training.learner import Learner

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

from torch.nn import functional  # noqa: E402

from brianlearn.discrete import DiscreteNetwork, export  # noqa: E402
from brianlearn.discrete.run.online import learn_batch  # noqa: E402
from brianlearn.discrete.run.three_factor import gradients  # noqa: E402

# the reference -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MECHANISMS)
def test_learning_equals_reference(name: str) -> None:
    check_learning(CASES[name], "cpu")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name not in MECHANISMS])
def test_everything_equals_reference(name: str) -> None:
    check_learning(CASES[name], "cpu")


# Brian2 --------------------------------------------------------------------------------------------------------------

PAIRS = {
    "dense-dalton-adam": Case(dense(CubaLIF(R=4.0, refractory=2 * ms)), DALTON(), Adam(1e-3), batch=8, n=8),
    "conv-tfr-sgd-trace": Case(one_convolution(0.2), TFR(eligibility="trace"), SGD(1e-2), batch=8, n=8),
    "conv-conv-dalton-adam": Case(two_convolutions(), DALTON(), Adam(1e-3), batch=8, n=8),
    "dense-step-momentum": Case(dense(), DALTON(update="step"), Momentum(1e-4), batch=1, n=2),
}


def check_pair(case: Case, device: str) -> None:
    """Both engines: weights, optimiser state, and what they measured."""
    results = []
    for where in (device, "cpu"):
        learner = Learner(case.spec, case.rule, case.optimiser, device=where, dtype="float64", batch_size=case.batch)
        results.append(learner.learn(learner.init(case.weights()), case.samples()))
    (brian, measured), (discrete, also) = results
    for name, weights in brian.weights.items():
        np.testing.assert_allclose(discrete.weights[name], weights, rtol=0, atol=TOLERANCE, err_msg=name)
    for name, slots in brian.optimiser.items():
        for slot, array in slots.items():
            np.testing.assert_allclose(discrete.optimiser[name][slot], array, rtol=0, atol=TOLERANCE)
    assert discrete.steps == brian.steps
    assert also.accuracy == measured.accuracy
    assert also.loss == pytest.approx(measured.loss, abs=TOLERANCE)
    assert also.firing_rates == pytest.approx(measured.firing_rates)


@pytest.mark.parametrize("name", PAIRS)
def test_both_engines_learn_the_same(name: str) -> None:
    check_pair(PAIRS[name], "numpy")


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("device", ["cpp_standalone", "cython"])
@pytest.mark.parametrize("name", PAIRS)
def test_both_engines_learn_the_same_compiled(name: str, device: str) -> None:
    check_pair(PAIRS[name], device)


# on the discrete engine alone ----------------------------------------------------------------------------------------


def module_of(case: Case, **options: Any) -> tuple[DiscreteNetwork, dict[str, Any]]:
    weights = case.weights()
    own = {name: w for name, w in weights.items() if not name.startswith("readout_")}
    others = {name: torch.from_numpy(w) for name, w in weights.items() if name.startswith("readout_")}
    return export(case.spec, own, dtype=torch.float64, **options), others


def batch_of(case: Case) -> tuple[Any, Any, np.ndarray]:
    samples = case.samples()
    keys = np.stack([np.zeros(case.n), samples.ids], axis=1).astype(np.uint64)
    return samples.inputs, torch.from_numpy(samples.labels), keys


@pytest.mark.parametrize("credit", ["online", "through_time"])
@pytest.mark.parametrize("name", ["mirror-conv", "refractory", "mixed-neurons"])
def test_plain_torch_and_kernels_agree(name: str, credit: str) -> None:
    case = CASES[name]
    rule = dataclasses.replace(case.rule, credit=credit)
    found = []
    for kernels in (True, False):
        module, others = module_of(case, kernels=kernels)
        found.append(gradients(module, rule, others, *batch_of(case))[0])
    for layer, g in found[0].items():
        torch.testing.assert_close(found[1][layer], g, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("name", ["conv-conv-dalton-adam-batch3", "trace-conv", "dropout-tfr", "refractory"])
def test_steps_add_up_to_the_batch(name: str, kernels: bool) -> None:
    # where no weight changes, the steps' gradients add up to that of the batch
    case = CASES[name]
    total: dict[str, Any] = {}

    def add(step: Any) -> None:
        for layer, g in step.items():
            total[layer] = total.get(layer, 0) + g

    module, others = module_of(case, kernels=kernels)
    record = learn_batch(module, dataclasses.replace(case.rule, update="step"), others, *batch_of(case), add)
    expected, also = gradients(module, case.rule, others, *batch_of(case))
    for layer, g in expected.items():
        torch.testing.assert_close(total[layer], g, rtol=1e-11, atol=1e-14)
    torch.testing.assert_close(record.logits, also.logits)
    torch.testing.assert_close(record.loss, also.loss)
    assert {k: v.tolist() for k, v in record.spike_counts.items()} == {
        k: v.tolist() for k, v in also.spike_counts.items()
    }


def test_a_batch_of_equal_samples_steps_like_one() -> None:
    case = CASES["step-adam"]
    one = case.samples()[:1]
    states = []
    for size in (1, 6):
        samples = dataclasses.replace(
            one,
            inputs=np.repeat(one.inputs, size, axis=0),
            labels=np.repeat(one.labels, size),
            ids=np.arange(size),
        )
        learner = Learner(case.spec, case.rule, Adam(1e-4), device="cpu", dtype="float64", batch_size=size)
        states.append(learner.learn(learner.init(case.weights()), samples)[0])
    assert states[0].steps == states[1].steps == case.spec.n_steps
    for name, weights in states[0].weights.items():
        np.testing.assert_allclose(states[1].weights[name], weights, rtol=0, atol=TOLERANCE)


# through time: autograd over local losses, detached between layers ---------------------------------------------------


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad / (1 + 5 * x.abs()) ** 2


def _sums(p: Any, spikes: Any, weight: Any) -> Any:
    """The synaptic map of one layer for one step, with torch's own convolution and pool."""
    if weight.ndim == 2:
        return functional.linear(spikes.flatten(1), weight)
    sums = functional.conv2d(spikes, weight, stride=p.layer.stride, padding=p.layer.padding)
    return functional.avg_pool2d(sums, p.layer.pool)


def _local_losses(spec: NetworkSpec, rule: ThreeFactorRule, weights: dict[str, Any], inputs: Any, labels: Any) -> Any:
    """The losses of all layers, each with gradient in the weights of its own layer only; and their sum over layers."""
    steps, burn_in, batch = spec.n_steps, rule.burn_in_steps(spec), len(inputs)
    target = functional.one_hot(labels, spec.classes).to(inputs)
    drive = torch.zeros_like(inputs)
    states: dict[str, Any] = {}
    total, outputs = torch.zeros((), dtype=inputs.dtype), {}
    decay = 0.0 if spec.readout.tau is None else float(np.exp(-1e-3 / float(spec.readout.tau)))
    for t in range(steps):
        drive = drive + inputs
        heard = (drive > 1).to(inputs)
        drive = torch.where(drive > 1, 0.0, drive)
        spikes, psi = {}, {}
        for p in spec.projections:
            neuron = p.layer.neuron
            tau_s = float(neuron.constants["tau_s"])
            a = np.exp(-1e-3 / tau_s)
            if "tau_m" in neuron.constants:
                tau_m = float(neuron.constants["tau_m"])
                b, k = np.exp(-1e-3 / tau_m), float(neuron.constants["R"]) * tau_s / (tau_s - tau_m)
                k = k * (a - np.exp(-1e-3 / tau_m))
            else:
                b = k = 1.0
            v, c = states.get(p.name, (0.0, 0.0))
            arrived = c + _sums(p, heard, weights[p.name])
            v = b * v + k * arrived
            if neuron.floor is not None:
                v = torch.where(v >= neuron.floor, v, torch.full_like(v, neuron.floor))
            psi[p.name] = (1 / (1 + 5 * (v - 1).abs()) ** 2).detach()
            s = spikes[p.name] = _Spike.apply(v - 1)
            states[p.name] = (torch.where(s.detach() > 0, 0.0, v), a * arrived)
            heard = s.detach()
        if isinstance(rule, TFR):
            for layer, q in rule.readouts(spec).items():
                y = decay * outputs.get(layer, 0.0) + spikes[layer].flatten(1) @ weights[q.name].T
                outputs[layer] = y.detach()
                total = total + (t >= burn_in) * (y - target).square().mean(dim=1).sum()
            continue
        # each layer's logits are those of the map above; the error that comes down makes them a target
        error = None
        for p, above in zip(spec.projections[::-1], [None, *spec.projections[:0:-1]], strict=True):
            R = weights["readout"] if above is None else weights[above.name].detach()
            y = spikes[p.name].flatten(1) @ R.T if above is None else _sums(above, spikes[p.name], R)
            error = (y - target if above is None else error).detach()
            total = total + (t >= burn_in) * (y - (y - error).detach()).square().flatten(1).mean(dim=1).sum()
            (down,) = torch.autograd.grad(y, spikes[p.name], error, retain_graph=True)
            error = down * psi[p.name]
    return total / (steps - burn_in) / batch


THROUGH_TIME = {
    "dense-dalton": (dense(), DALTON),
    "conv-dalton": (one_convolution(), DALTON),
    "conv-conv-dalton": (two_convolutions(), DALTON),
    "conv-tfr": (one_convolution(), TFR),
    "leaky-tfr": (dense(readout=Readout(4, tau=8 * ms)), TFR),
    "burn-in-dalton": (dense(burn_in=4 * ms), DALTON),
}


@pytest.mark.parametrize("name", THROUGH_TIME)
def test_credit_through_time_is_autograd_of_local_losses(name: str) -> None:
    spec, kind = THROUGH_TIME[name]
    case = Case(spec, kind(credit="through_time"), n=4)
    module, others = module_of(case)
    inputs, labels, keys = batch_of(case)
    found, _ = gradients(module, case.rule, others, inputs, labels, keys)
    learned = [p.name for p in spec.projections]
    weights = {name: torch.tensor(w, requires_grad=name in learned) for name, w in case.weights().items()}
    loss = _local_losses(spec, case.rule, weights, torch.from_numpy(inputs), labels)
    expected = torch.autograd.grad(loss, [weights[name] for name in learned])
    for layer, g in zip(learned, expected, strict=True):
        assert g.abs().max() > 1e-6, f"{layer} does not learn"
        torch.testing.assert_close(found[layer], g, rtol=0, atol=1e-10 * float(g.abs().max()))


# what is refused -----------------------------------------------------------------------------------------------------


def test_credit_through_time_runs_on_the_discrete_engine_only() -> None:
    rule = TFR(credit="through_time")
    assert Learner(dense(), rule, device="auto").engine_name == "discrete"
    with pytest.raises(RuleError, match="engine='discrete'"):
        Learner(dense(), rule, engine="brian", device="numpy")
    with pytest.raises(RuleError, match="update='batch'"):
        TFR(credit="through_time", update="step")
    with pytest.raises(RuleError, match="eligibility='spike'"):
        TFR(credit="through_time", eligibility="trace")
    with pytest.raises(RuleError, match="'online' or 'through_time'"):
        TFR(credit="bptt")


@pytest.mark.parametrize(
    ("name", "why"),
    [("eif", "no linear response"), ("conductance-based", "no linear response"), ("heterogeneous", "tau_m")],
)
@pytest.mark.parametrize("device", ["numpy", "cpu"])
def test_neurons_without_a_trace_are_refused(name: str, why: str, device: str) -> None:
    with pytest.raises(RuleError, match=f"layer dense1.*\n.*(\n.*)*{why}|layer dense1.*{why}"):
        Learner(CASES[name].spec, DALTON(eligibility="trace"), device=device)
