"""Optimisers: one text on both engines, compared with torch's and with plain numpy; schedules, clipping, errors."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, replace
from typing import Any

import brian2
import numpy as np
import pytest
from brian2 import NeuronGroup, TimedArray, ms
from cases import CASES, Case, dense, two_convolutions

import brianlearn as bl
from brianlearn.brian.build.optimisers import FUNCTIONS, update_statements
from brianlearn.brian.build.plan import Plan
from brianlearn.brian.cpp.fingerprint import fingerprint
from brianlearn.training.learner import Learner

N, UPDATES, RATE = 7, 6, 0.05


@dataclass(frozen=True)
class NormFree(bl.Optimiser):
    """Divides by the mean size, which is 0 before the first update: 0/0 where nothing is updated."""

    keep: float = 0.5
    slots = ("size",)
    update = """
        share = keep**2 + 0
        size = keep*size + (1 - keep)*abs(gradient)
        weight -= lr*gradient/size*int(k >= 1 - share)
    """


@dataclass(frozen=True)
class Everything(bl.Optimiser):
    """Each operation, function and kind of name of a text."""

    b: float = 0.25
    nesterov: bool = True
    slots = ("m",)
    update = """
        scale = lr*sqrt(1 - b**k)/(1 + log1p(k)) + clip(-b, -2*b, 0)
        m += b*gradient
        u = tanh(m) + int(gradient > m)*floor(abs(gradient)) - sign(m)*exp(-abs(m))
        u = u + nesterov*int((gradient < 0) or (m > 0))
        weight += scale*u*clip(gradient, -1, 1)
        weight *= 0.9
    """


def gradients(seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(UPDATES, N)) * 0.7


def start() -> np.ndarray:
    return np.random.default_rng(0).normal(size=N)


def on_brian(optimiser: bl.Optimiser, dtype: Any = np.float64) -> np.ndarray:
    """The weights after updates with sums over two samples, and a tick without samples before each."""
    given = np.repeat(gradients(), 2, axis=0)
    count = np.tile([0.0, 2.0], UPDATES)
    brian2.start_scope()
    slots = "".join(f"\n{slot} : 1" for slot in optimiser.slots)
    group = NeuronGroup(
        N,
        "weight : 1\ngradient : 1\nlr : 1 (shared)\nk : 1 (shared)" + slots,
        dtype=dtype,
        namespace={
            "given": TimedArray(given / 3.0 * 2.0, dt=1 * ms),
            "samples": TimedArray(count, dt=1 * ms),
            **FUNCTIONS,
        },
    )
    group.weight, group.lr = start(), RATE
    group.run_regularly("gradient = given(t, i)", dt=1 * ms, order=-1)
    group.run_regularly(update_statements(optimiser, 3.0, "samples(t)"), dt=1 * ms)
    brian2.Network(group).run(len(count) * ms, namespace={})
    return np.array(group.weight)


def on_tensors(optimiser: bl.Optimiser) -> np.ndarray:
    torch = pytest.importorskip("torch")
    from brianlearn.discrete.run.optimisers import TensorOptimiser

    w = torch.from_numpy(start())
    slots = {"a": {slot: torch.zeros(N, dtype=torch.float64) for slot in optimiser.slots}}
    tensor = TensorOptimiser(optimiser, {"a": w}, slots, {"a": RATE}, 0)
    for g in gradients():
        tensor.step({"a": torch.from_numpy(g.copy())})
    return w.numpy()


ENGINES = {"brian": on_brian, "discrete": on_tensors}


@pytest.fixture(autouse=True)
def numpy_target():
    with_numpy = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    yield
    brian2.prefs.codegen.target = with_numpy


# compared with others -----------------------------------------------------------------------------------------------


def of_torch(name: str, **options: Any) -> np.ndarray:
    torch = pytest.importorskip("torch")
    w = torch.nn.Parameter(torch.from_numpy(start()))
    optimiser = getattr(torch.optim, name)([w], lr=RATE, **options)
    for g in gradients():
        w.grad = torch.from_numpy(g.copy())
        optimiser.step()
    return w.detach().numpy()


SAME_IN_TORCH = {
    "SGD": (bl.SGD(RATE), {}),
    "SGD-momentum": (bl.Momentum(RATE, momentum=0.8), dict(momentum=0.8)),
    "Adam": (bl.Adam(RATE, beta1=0.8, beta2=0.95, eps=1e-6), dict(betas=(0.8, 0.95), eps=1e-6)),
    "AdamW": (bl.AdamW(RATE, beta1=0.8, weight_decay=0.1), dict(betas=(0.8, 0.999), weight_decay=0.1)),
    "RMSprop": (bl.RMSprop(RATE, alpha=0.9, eps=1e-5), dict(alpha=0.9, eps=1e-5)),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", SAME_IN_TORCH)
def test_weights_are_those_of_torch(name, engine):
    optimiser, options = SAME_IN_TORCH[name]
    expected = of_torch(name.split("-")[0], **options)
    np.testing.assert_allclose(ENGINES[engine](optimiser), expected, rtol=0, atol=1e-12)


def lion(beta1: float, beta2: float, decay: float) -> np.ndarray:
    w, m = start(), np.zeros(N)
    for g in gradients():
        w = w - RATE * (np.sign(beta1 * m + (1 - beta1) * g) + decay * w)
        m = beta2 * m + (1 - beta2) * g
    return w


def everything(b: float) -> np.ndarray:
    w, m = start(), np.zeros(N)
    for k, g in enumerate(gradients(), start=1):
        scale = RATE * math.sqrt(1 - b**k) / (1 + math.log1p(k)) - b
        m = m + b * g
        u = np.tanh(m) + (g > m) * np.floor(np.abs(g)) - np.sign(m) * np.exp(-np.abs(m))
        u = u + ((g < 0) | (m > 0))
        w = 0.9 * (w + scale * u * np.clip(g, -1, 1))
    return w


def norm_free(keep: float) -> np.ndarray:
    w, size = start(), np.zeros(N)
    for g in gradients():
        size = keep * size + (1 - keep) * np.abs(g)
        w = w - RATE * g / size
    return w


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    ("optimiser", "expected"),
    [
        (bl.Lion(RATE, beta1=0.7, beta2=0.9, weight_decay=0.2), lion(0.7, 0.9, 0.2)),
        (Everything(RATE, b=0.25), everything(0.25)),
        (NormFree(RATE), norm_free(0.5)),  # a tick without samples leaves all as it is, whatever the text gives
    ],
    ids=lambda x: type(x).__name__,
)
def test_weights_are_those_of_plain_numpy(optimiser, expected, engine):
    np.testing.assert_allclose(ENGINES[engine](optimiser), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("optimiser", [bl.SGD(RATE), bl.Momentum(RATE), bl.Adam(RATE)], ids=lambda o: type(o).__name__)
def test_a_form_with_fewer_passes_computes_the_text(optimiser, monkeypatch):
    pytest.importorskip("torch")
    from brianlearn.discrete.run import optimisers

    assert type(optimiser).update in optimisers.FUSED
    fused = on_tensors(optimiser)
    monkeypatch.setattr(optimisers, "FUSED", {})
    np.testing.assert_allclose(on_tensors(optimiser), fused, rtol=0, atol=1e-15)


#: The statements with which weights have been learned since the first version: their results are to stay.
FIRST = {
    bl.SGD(0.1): ["weight = weight - update*lr*mean"],
    bl.Momentum(0.1, momentum=0.8): ["m = update*(0.8*m + mean) + (1 - update)*m", "weight = weight - update*lr*m"],
    bl.Adam(0.1, beta1=0.9, beta2=0.999, eps=1e-8): [
        "m = update*(0.9*m + 0.09999999999999998*mean) + (1 - update)*m",
        "v = update*(0.999*v + 0.0010000000000000009*mean**2) + (1 - update)*v",
        "m_hat = m/(1 - 0.9**clip(k, 1, inf))",
        "v_hat = v/(1 - 0.999**clip(k, 1, inf))",
        "weight = weight - update*lr*m_hat/(sqrt(v_hat) + 1e-08)",
    ],
}


@pytest.mark.parametrize("optimiser", FIRST, ids=lambda o: type(o).__name__)
def test_the_statements_of_the_first_version_stay(optimiser):
    count = ["k = k + int(batch_count(t) > 0)"] if isinstance(optimiser, bl.Adam) else []
    mean = ["update = int(batch_count(t) > 0)", "mean = 0.2*gradient/clip(batch_count(t), 1, inf)"]
    lines = [*count, *mean, *FIRST[optimiser], "gradient = 0"]
    assert update_statements(optimiser, 0.2, "batch_count(t)").splitlines() == lines


# in networks --------------------------------------------------------------------------------------------------------

SMALL = dense(bl.CubaLIF(R=4.0))
PAIRS = {
    "lion": Case(SMALL, bl.DALTON(), bl.Lion(1e-3), batch=4, n=8),
    "adamw-mirror": Case(SMALL, bl.DALTON(feedback="mirror"), bl.AdamW(1e-3, weight_decay=0.1), batch=4, n=8),
    "own-text": Case(SMALL, bl.TFR(), Everything(1e-3), batch=4, n=8),
    "clip-value": Case(SMALL, bl.TFR(), bl.Adam(1e-3, clip_value=1e-3), batch=4, n=8),
    "clip-norm-mirror": Case(SMALL, bl.DALTON(feedback="mirror"), bl.SGD(0.1, clip_norm=0.02), batch=4, n=8),
    "clip-norm-conv": Case(two_convolutions(), bl.DALTON(), bl.SGD(0.1, clip_norm=0.02), batch=4, n=8),
    "clip-both-step": Case(SMALL, bl.DALTON(update="step"), bl.SGD(1e-3, clip_norm=0.1, clip_value=0.05), batch=1, n=2),
    "clip-norm-pipelined": Case(
        replace(SMALL, timing="pipelined"), bl.DALTON(), bl.SGD(0.1, clip_norm=0.02), batch=4, n=8
    ),
}


def learned(case: Case, device: str, optimiser: bl.Optimiser | None = None) -> Any:
    learner = Learner(
        case.spec, case.rule, optimiser or case.optimiser, device=device, dtype="float64", batch_size=case.batch
    )
    return learner.learn(learner.init(case.weights()), case.samples())[0]


def check_pair(case: Case, device: str) -> None:
    brian, discrete = learned(case, device), learned(case, "cpu")
    for name, weights in brian.weights.items():
        np.testing.assert_allclose(discrete.weights[name], weights, rtol=0, atol=1e-10, err_msg=name)
    for name, slots in brian.optimiser.items():
        for slot, array in slots.items():
            np.testing.assert_allclose(discrete.optimiser[name][slot], array, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", PAIRS)
def test_both_engines_learn_the_same(name):
    pytest.importorskip("torch")
    check_pair(PAIRS[name], "numpy")


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("name", ["own-text", "clip-norm-mirror", "clip-norm-conv", "clip-both-step"])
def test_both_engines_learn_the_same_compiled(name):
    pytest.importorskip("torch")
    check_pair(PAIRS[name], "cpp_standalone")


@pytest.mark.slow
@pytest.mark.cpp_standalone
def test_processes_clip_the_norm_of_the_whole_batch():
    case = PAIRS["clip-norm-conv"]
    states = []
    for workers in (1, 2):
        learner = Learner(
            case.spec,
            case.rule,
            case.optimiser,
            device="cpp_standalone",
            dtype="float64",
            batch_size=case.batch,
            workers=workers,
        )
        states.append(learner.learn(learner.init(case.weights()), case.samples())[0])
    for name, weights in states[0].weights.items():
        np.testing.assert_allclose(states[1].weights[name], weights, rtol=0, atol=1e-12, err_msg=name)


def test_the_norm_of_one_batch_is_clipped_as_in_torch():
    torch = pytest.importorskip("torch")
    case = replace(PAIRS["clip-norm-conv"], n=4)
    free = learned(case, "numpy", bl.SGD(1.0))
    clipped = learned(case, "numpy", bl.SGD(1.0, clip_norm=0.02))
    before = case.weights()
    parameters = []
    for p in case.spec.projections:
        w = torch.nn.Parameter(torch.from_numpy(before[p.name].astype(float)))
        w.grad = torch.from_numpy(before[p.name] - free.weights[p.name])
        parameters.append(w)
    norm = torch.nn.utils.clip_grad_norm_(parameters, 0.02)
    assert norm > 0.04  # it acts
    for p, w in zip(case.spec.projections, parameters, strict=True):
        expected = before[p.name] - w.grad.numpy()
        np.testing.assert_allclose(clipped.weights[p.name], expected, rtol=0, atol=1e-12)


def test_a_network_whose_gradients_are_clipped_has_no_larger_ones():
    case = replace(PAIRS["clip-value"], n=4)
    changed = learned(case, "numpy", bl.SGD(1.0, clip_value=1e-3))
    before = case.weights()
    largest = [np.abs(before[p.name] - changed.weights[p.name]).max() for p in case.spec.projections]
    assert max(largest) == pytest.approx(1e-3, abs=1e-15)


@pytest.mark.parametrize("clipped", [bl.SGD(0.1, clip_norm=1.0), bl.SGD(0.1, clip_value=1.0)])
def test_genn_and_single_spikes_refuse_to_clip(clipped):
    pipelined = replace(SMALL, timing="pipelined")
    with pytest.raises(bl.RuleError, match="without clipping"):
        Learner(pipelined, bl.TFR(), clipped, device="genn-cpu")
    with pytest.raises(bl.RuleError, match="without clipping"):
        Learner(pipelined, bl.TFR(update="step"), clipped, device="numpy")


def test_every_case_of_the_first_version_is_plain_or_not():
    plain = {type(case.optimiser).__name__ for case in CASES.values() if case.optimiser.is_plain}
    assert plain == {"SGD"}


def test_another_text_is_another_program():
    """Two classes of one name and the same fields: a script that was changed between two runs."""

    def name_of(text: str) -> str:
        kind = dataclasses.make_dataclass("Mine", [], bases=(bl.Optimiser,), frozen=True, namespace=dict(update=text))
        return fingerprint(Plan(SMALL, bl.TFR(), kind(0.1), 2, 4, "float64"))

    assert name_of("weight -= lr*gradient") != name_of("weight -= lr*sign(gradient)")


@pytest.mark.parametrize("engine", ["brian", "discrete"])
def test_an_absurd_learning_rate_of_any_text_is_named(engine):
    if engine == "discrete":
        pytest.importorskip("torch")
    case = replace(PAIRS["lion"], optimiser=bl.Lion(1.7e308, clip_norm=1e300))
    where = "cpu" if engine == "discrete" else "numpy"
    learner = Learner(case.spec, case.rule, case.optimiser, device=where, dtype="float32", batch_size=case.batch)
    with pytest.raises(bl.NonFiniteError):
        learner.learn(learner.init(case.weights()), case.samples())


# learning rates -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bad(bl.Schedule):
    value: Any = None

    def factor(self, epoch: int) -> float:
        return self.value


def test_schedules():
    assert [bl.Halving(2).factor(e) for e in range(5)] == [1, 1, 0.5, 0.5, 0.25]
    assert [bl.Exponential(0.5).factor(e) for e in range(3)] == [1, 0.5, 0.25]
    cosine = [bl.Cosine(4, last=0.2).factor(e) for e in (0, 1, 2, 4, 9)]
    np.testing.assert_allclose(cosine, [1, 0.6 + 0.4 * math.sqrt(0.5), 0.6, 0.2, 0.2], rtol=1e-15)
    warm = bl.WarmUp(3, then=bl.Halving(1))
    assert [warm.factor(e) for e in range(6)] == [0.25, 0.5, 0.75, 1.0, 0.5, 0.25]
    assert [bl.WarmUp(1).factor(e) for e in range(3)] == [0.5, 1.0, 1.0]


def test_a_schedule_multiplies_the_rate_beside_the_older_ways():
    by_field, by_schedule = bl.Adam(0.1, halve_every=3), bl.Adam(0.1, schedule=bl.Halving(3))
    assert [by_field.rate_at(e) for e in range(9)] == [by_schedule.rate_at(e) for e in range(9)]
    both = bl.SGD(0.2, decay=0.5, schedule=bl.Exponential(0.5))
    assert both.rate_at(2) == 0.2 * 0.5**4
    assert bl.Adam(0.3, decay=0.9).rate_at(7) == 0.3 * 1.0 * 0.9**7


def test_torch_has_the_same_cosine():
    torch = pytest.importorskip("torch")
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 7, eta_min=0.03)
    ours = bl.SGD(0.3, schedule=bl.Cosine(7, last=0.1))
    for epoch in range(8):
        assert ours.rate_at(epoch) == pytest.approx(schedule.get_last_lr()[0], rel=1e-12)
        optimiser.step()
        schedule.step()


@pytest.mark.parametrize("value", [None, -1, float("nan"), float("inf"), "1"])
def test_a_factor_that_is_no_number_is_named(value):
    with pytest.raises(bl.RuleError, match="Bad: its factor of epoch 3 is wrong"):
        bl.SGD(0.1, schedule=Bad(value)).rate_at(3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: bl.Halving(0),
        lambda: bl.Halving(1.5),
        lambda: bl.Exponential(0),
        lambda: bl.Exponential(1.1),
        lambda: bl.Cosine(0),
        lambda: bl.Cosine(3, last=2),
        lambda: bl.WarmUp(0),
        lambda: bl.WarmUp(2, then=0.1),
        lambda: bl.SGD(0.1, schedule=lambda epoch: 1.0),
        lambda: bl.SGD(0.1, clip_norm=0),
        lambda: bl.SGD(0.1, clip_value=-1.0),
        lambda: bl.SGD(0.1, clip_value="1"),
        lambda: bl.Lion(0.1, beta1=1.0),
        lambda: bl.AdamW(0.1, weight_decay=-0.1),
        lambda: bl.RMSprop(0.1, eps=0.0),
    ],
)
def test_wrong_numbers_are_named(make):
    with pytest.raises(bl.RuleError, match=r"is wrong|of the wrong type"):
        make()


# texts that cannot be right -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "slots", "problem"),
    [
        ("", (), "no text"),
        ("m = 1", ("m",), "never changes the weight"),
        ("weight -= lr*grad", (), "unknown name 'grad'"),
        ("weight -= learning_rate*gradient", (), "unknown name 'learning_rate'"),
        ("weight -= lr*m\nm = gradient", (), "unknown name 'm'"),
        ("weight -= lr*gradient +", (), "cannot be read"),
        ("for x in y: pass", (), "cannot be read"),
        ("weight, m = 1, 2", ("m",), "cannot be read"),
        ("weight -= lr*open('x')", (), "calls a function"),
        ("weight -= lr*relu(gradient)", (), "calls a function"),
        ("weight -= lr*clip(gradient, 1)", (), "calls a function"),
        ("weight -= lr*gradient[0]", (), "holds"),
        ("weight -= lr*(gradient if k > 1 else 0)", (), "holds"),
        ("weight -= lr*int(0 < gradient < 1)", (), "holds"),
        ("weight -= lr*(lambda: 1)()", (), "calls a function"),
        ("gradient = 0\nweight -= lr", (), "changes 'gradient'"),
        ("mean = 0\nweight -= lr", (), "changes 'mean'"),
        ("decay_rate = 0\nweight -= lr", (), "changes 'decay_rate'"),
        ("weight -= lr*gradient", ("lr",), "name of a slot"),
        ("weight -= lr*gradient", ("not a name",), "name of a slot"),
    ],
)
def test_a_text_that_cannot_be_right_is_named(text, slots, problem):
    fields = [("decay_rate", float, 0.1)]
    kind = dataclasses.make_dataclass(
        "Mine", fields, bases=(bl.Optimiser,), frozen=True, namespace=dict(update=text, slots=slots)
    )
    with pytest.raises(bl.RuleError, match=problem) as caught:
        kind(0.1)
    assert caught.value.subject == "Mine"


def test_a_subclass_without_a_text_says_what_to_write():
    @dataclass(frozen=True)
    class Nothing(bl.Optimiser):
        pass

    with pytest.raises(bl.RuleError, match="no text") as caught:
        Nothing(0.1)
    assert "update =" in caught.value.remedy
