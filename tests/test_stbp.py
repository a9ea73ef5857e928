"""STBP: its neurons, the recursion of its iteration factors, and learning with it on either engine."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Hz, ms

from brianlearn.errors import RuleError
from brianlearn.learning import (
    SGD,
    STBP,
    Adam,
    CrossEntropy,
    Hamming,
    RateMSE,
    ReadoutMSE,
    SpikeCount,
    SurrogateBPTT,
    VanRossum,
    initial_weights,
)
from brianlearn.learning.targets import FirstSpike, Pattern, Regular, Silence, Targets
from brianlearn.network import (
    LIF,
    Conv,
    CubaLIF,
    Dense,
    Events,
    FastSigmoid,
    Input,
    NetworkSpec,
    Normal,
    PoissonEncoder,
    Readout,
    Rectangular,
    Samples,
    SequenceLIF,
    Spikes,
    STBPNeuron,
)
from brianlearn.training.learner import Learner

torch = pytest.importorskip("torch")

from brianlearn.discrete import export  # noqa: E402
from brianlearn.discrete.run.iteration_factors import backward, forward  # noqa: E402
from brianlearn.discrete.run.losses import TrialLoss  # noqa: E402

TAU_M, TAU_S = 4.0, 3.0
SIZES = (7, 9, 6, 3)
STEPS, TRIALS = 17, 5
SURROGATE = FastSigmoid(2.0)


def network(readout: Readout | None = None, **changes: Any) -> NetworkSpec:
    neuron = SequenceLIF(tau_m=TAU_M * ms, tau_s=TAU_S * ms, surrogate=SURROGATE)
    layers = [Dense(n, neuron, weights=Normal(3.0)) for n in SIZES[1:]]
    return NetworkSpec(
        **(dict(input=Input(SIZES[:1], Spikes()), layers=layers, readout=readout, duration=STEPS * ms) | changes)
    )


def trials() -> tuple[np.ndarray, np.ndarray]:
    """Input spikes (T, B, n) and labels."""
    rng = np.random.default_rng(2)
    return (rng.random((STEPS, TRIALS, SIZES[0])) < 0.5).astype(float), rng.integers(0, SIZES[-1], TRIALS)


def events(spikes: np.ndarray) -> Events:
    sample, step, neuron = np.nonzero(spikes.swapaxes(0, 1))
    return Events(step, neuron, np.searchsorted(sample, np.arange(spikes.shape[1] + 1)), SIZES[:1])


class SurrogateStep(torch.autograd.Function):
    """Written here again, for a recurrence that shares nothing with the package."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        ctx.save_for_backward(x)
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad / (1 + 2.0 * x.abs()) ** 2


def by_autograd(weights: list[Any], inputs: Any, targets: Any, loss: str, reset_path: str) -> Any:
    a = [torch.zeros(TRIALS, n, dtype=torch.float64) for n in SIZES]
    u = [torch.zeros(TRIALS, n, dtype=torch.float64) for n in SIZES]
    o = [torch.zeros(TRIALS, n, dtype=torch.float64) for n in SIZES]
    target_psp, total = torch.zeros(TRIALS, SIZES[-1], dtype=torch.float64), torch.zeros(())
    for t in range(STEPS):
        a[0] = (1 - 1 / TAU_S) * a[0] + inputs[t] / TAU_S
        for k, w in enumerate(weights, 1):
            fired = o[k] if reset_path == "kept" else o[k].detach()
            u[k] = (1 - 1 / TAU_M) * u[k] * (1 - fired) + a[k - 1] @ w.T
            o[k] = SurrogateStep.apply(u[k] - 1.0)
            a[k] = (1 - 1 / TAU_S) * a[k] + o[k] / TAU_S
        target_psp = (1 - 1 / TAU_S) * target_psp + targets[t] / TAU_S
        if loss == "van-rossum":
            total = total + 0.5 * (a[-1] - target_psp).square().sum()
        else:
            total = total + (o[-1] - targets[t]).abs().sum()
    return total


LOSSES: dict[str, Any] = {"van-rossum": VanRossum(TAU_S * ms), "hamming": Hamming()}


@pytest.mark.parametrize("reset_path", ["kept", "detached"])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_iteration_factors_are_the_derivatives(loss: str, reset_path: str) -> None:
    """The recursion = autograd of a recurrence written here = the engine's kernels on SequenceLIF."""
    inputs, labels = trials()
    spec = network()
    weights = initial_weights(spec, None, 1)
    arrays = list(weights.values())
    targets = np.zeros((STEPS, TRIALS, SIZES[-1]))
    targets[:, np.arange(TRIALS), labels] = 1.0

    trace = forward(arrays, inputs, tau_m=TAU_M, tau_s=TAU_S)
    factors = backward(arrays, trace, targets, SURROGATE, loss=loss, tau_m=TAU_M, tau_s=TAU_S, reset_path=reset_path)
    leaves = [torch.tensor(w, requires_grad=True) for w in arrays]
    total = by_autograd(leaves, torch.tensor(inputs), torch.tensor(targets), loss, reset_path)
    total.backward()

    module = export(spec, weights, reset_path=reset_path, dtype=torch.float64)
    activity = module(inputs)
    of_engine = TrialLoss(LOSSES[loss], spec)(activity, torch.tensor(labels))
    of_engine.sum().backward()
    assert of_engine.sum().item() == pytest.approx(total.item(), rel=1e-12)
    for k, (name, leaf) in enumerate(zip(weights, leaves, strict=True), 1):
        assert 0.02 < trace.spikes[k].mean() < 0.95
        assert np.array_equal(activity.spikes[name].detach().numpy(), trace.spikes[k])
        assert np.abs(leaf.grad.numpy()).max() > 1e-3
        assert np.abs(factors.gradients[k] - leaf.grad.numpy()).max() < 1e-10
        assert np.abs(module.get_parameter(name).grad.numpy() - factors.gradients[k]).max() < 1e-10


def test_the_stbp_neuron_is_the_papers_recurrence() -> None:
    """u[t] = decay u[t-1] (1 - o[t-1]) + W o_{l-1}[t], rectangular surrogate, rate MSE; weights of one SGD update."""
    inputs, labels = trials()
    decay, threshold = 0.3, 0.5
    spec = network(layers=[Dense(n, STBPNeuron(decay, threshold), weights=Normal(2.0)) for n in SIZES[1:]])
    learner = Learner(spec, STBP(RateMSE()), SGD(0.1), dtype="float64", batch_size=TRIALS)
    assert learner.engine_name == "discrete"
    start = learner.init()
    learned, metrics = learner.learn(start, Samples(events(inputs), labels))

    class Step(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return (x > 0).to(x.dtype)

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad * (ctx.saved_tensors[0].abs() < 0.5)

    leaves = [torch.tensor(w, requires_grad=True) for w in start.weights.values()]
    u = [torch.zeros(TRIALS, n, dtype=torch.float64) for n in SIZES]
    o = [torch.zeros(TRIALS, n, dtype=torch.float64) for n in SIZES]
    counts = torch.zeros(TRIALS, SIZES[-1], dtype=torch.float64)
    for t in range(STEPS):
        o[0] = torch.tensor(inputs[t])
        for k, w in enumerate(leaves, 1):
            u[k] = decay * u[k] * (1 - o[k]) + o[k - 1] @ w.T
            o[k] = Step.apply(u[k] - threshold)
        counts = counts + o[-1]
    y = torch.eye(SIZES[-1], dtype=torch.float64)[torch.tensor(labels)]
    loss = 0.5 * (y - counts / STEPS).square().sum(dim=1).mean()
    loss.backward()
    assert metrics.loss == pytest.approx(loss.item(), rel=1e-12)
    for leaf, name in zip(leaves, start.weights, strict=True):
        assert leaf.grad.abs().max() > 1e-4
        expected = (leaf - 0.1 * leaf.grad).detach().numpy()
        assert np.abs(learned.weights[name] - expected).max() < 1e-10


@pytest.mark.parametrize("neuron", [SequenceLIF(TAU_M * ms, TAU_S * ms), STBPNeuron()])
def test_the_neurons_fire_the_same_in_brian2(neuron: Any) -> None:
    inputs, labels = trials()
    spec = network(layers=[Dense(n, neuron, weights=Normal(2.0)) for n in SIZES[1:]])
    samples = Samples(events(inputs), labels)
    discrete = Learner(spec, STBP(), dtype="float64", batch_size=3)
    state, _ = discrete.learn(discrete.init(), samples)
    ours = discrete.infer(state, samples, record="spikes")
    brian = Learner(spec, device="numpy", dtype="float64")
    theirs = brian.infer(brian.init(state.weights), samples, record="spikes")
    assert sum(len(r) for name, r in ours.spikes.items() if name != "input") > 50
    for name, raster in theirs.spikes.items():
        assert np.array_equal(raster.dense(), ours.spikes[name].dense())
    assert np.array_equal(ours.logits, theirs.logits)
    assert np.array_equal(ours.predictions, theirs.predictions)
    assert theirs.loss is None and ours.loss is not None


def test_euler_factors_follow_the_time_constants() -> None:
    """--set tau_m=... must do what the equations say: nothing is computed from constants when the neuron is made."""
    spec = network().with_constants(tau_m=2 * ms, tau_s=5 * ms)
    inputs, _ = trials()
    weights = initial_weights(spec, None, 1)
    trace = forward(list(weights.values()), inputs, tau_m=2.0, tau_s=5.0)
    activity = export(spec, weights, dtype=torch.float64)(inputs)
    for spikes, expected in zip(activity.spikes.values(), trace.spikes, strict=True):
        assert np.array_equal(spikes.detach().numpy(), expected)


@pytest.mark.parametrize("loss", [VanRossum(), Hamming(), SpikeCount(8, 0), RateMSE(), CrossEntropy()])
def test_every_loss_on_spikes_teaches(loss: Any) -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(0, 0.3, (60, 9))
    labels = np.arange(60) % 3
    for k in range(3):
        values[labels == k, 3 * k : 3 * k + 3] += 0.5
    neuron = SequenceLIF()
    spec = NetworkSpec(Input((9,), PoissonEncoder()), [Dense(20, neuron), Dense(3, neuron)], None, duration=15 * ms)
    learner = Learner(spec, STBP(loss), Adam(1e-2), batch_size=10)
    state, history = learner.init(), []
    for _ in range(12):
        state, metrics = learner.learn(state, Samples(values, labels))
        history.append(metrics.loss)
        state = state.next_epoch(learner.optimiser)
    assert history[-1] < 0.8 * history[0]
    assert learner.infer(state, Samples(values, labels)).accuracy > 0.9


@pytest.mark.parametrize("loss", [ReadoutMSE(), CrossEntropy()])
@pytest.mark.parametrize("train_readout", [True, False])
def test_bptt_learns_the_readout_if_asked(loss: Any, train_readout: bool) -> None:
    spec = network(Readout(3))
    inputs, labels = trials()
    learner = Learner(spec, SurrogateBPTT(loss, train_readout=train_readout), Adam(1e-2), batch_size=TRIALS)
    start = learner.init()
    assert ("readout" in start.optimiser) == train_readout
    state, _ = learner.learn(start, Samples(events(inputs), labels))
    changed = {name for name, w in state.weights.items() if not np.array_equal(w, start.weights[name])}
    assert changed == {"dense1", "dense2", "dense3"} | ({"readout"} if train_readout else set())
    assert state.steps == 1 and state.samples_seen == TRIALS


def test_pooled_convolutions_learn_too() -> None:
    neuron = SequenceLIF(surrogate=Rectangular(2.0))
    layers = [Conv(3, 3, neuron, pool=2, weights=Normal(2.0)), Dense(4, neuron)]
    spec = NetworkSpec(Input((1, 8, 8), PoissonEncoder()), layers, None, duration=10 * ms)
    rng = np.random.default_rng(0)
    learner = Learner(spec, STBP(Hamming()), Adam(1e-2), batch_size=4)
    start = learner.init()
    state, _ = learner.learn(start, Samples(rng.random((8, 1, 8, 8)), rng.integers(0, 4, 8)))
    assert all(not np.array_equal(w, start.weights[name]) for name, w in state.weights.items())


# targets -------------------------------------------------------------------------------------------------------------


def test_target_trains() -> None:
    spec = network()
    every = Targets().trains(spec)
    assert every.shape == (3, 3, STEPS)
    assert all((every[k, j] == (k == j)).all() for k in range(3) for j in range(3))
    half = Regular(500 * Hz).steps(spec)
    assert half.sum() == STEPS // 2 and set(np.diff(np.flatnonzero(half))) == {2}
    assert np.flatnonzero(FirstSpike(5 * ms).steps(spec)).tolist() == [5]
    assert not Silence().steps(spec).any()
    written = np.random.default_rng(0).integers(0, 2, (3, STEPS))
    both = Targets(Pattern(written), Regular(100 * Hz)).trains(spec)
    for k in range(3):
        assert np.array_equal(both[k, k], written[k] == 1)
        assert both[k, (k + 1) % 3].sum() == 1
    assert Pattern(written) == Pattern(written.tolist())


WRONG = {
    "a rate without unit": (lambda: Regular(3.0), r"200\*Hz"),
    "a pattern of other numbers": (lambda: Pattern([0, 2, 1]), "0 and 1"),
    "a pattern with too many axes": (lambda: Pattern(np.zeros((1, 2, 3))), "0 and 1"),
    "a time without unit": (lambda: FirstSpike(3), r"5\*ms"),
    "no train": (lambda: Targets(label=1), "Regular"),
    "no targets": (lambda: Hamming(targets=Regular()), r"Targets\("),
    "tau": (lambda: VanRossum(tau=5), r"5\*ms"),
    "kernel": (lambda: VanRossum(kernel="alpha"), "'euler' or 'exact'"),
    "a negative count": (lambda: SpikeCount(desired=-1), ">= 0"),
    "reset_path": (lambda: STBP(reset_path="cut"), "'kept' or 'detached'"),
    "no loss": (lambda: STBP("hamming"), r"bl.Hamming\(\)"),
    "a scale that is text": (lambda: STBP(learning_rate_scale={"dense1": "2"}), ">= 0"),
    "train_readout": (lambda: SurrogateBPTT(train_readout=1), "True or False"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_descriptions_are_refused(what: str) -> None:
    make, expected = WRONG[what]
    with pytest.raises(RuleError, match=expected):
        make()


MISFITS = {
    "more than a spike in each step": (STBP(Hamming(Targets(Regular(2000 * Hz)))), {}, "at most"),
    "too late": (STBP(Hamming(Targets(FirstSpike(17 * ms)))), {}, "after the trial"),
    "another length": (STBP(Hamming(Targets(Pattern([0, 1])))), {}, r"\(17,\) or \(3, 17\)"),
    "too many spikes": (STBP(SpikeCount(desired=18)), {}, "at most 17"),
    "tau below a step": (STBP(VanRossum(0.5 * ms)), {}, "kernel='exact'"),
    "spikes of a readout": (STBP(RateMSE()), dict(readout=Readout(3)), "readout=None"),
    "readout of spikes": (STBP(ReadoutMSE()), {}, r"add a readout"),
    "bptt without readout": (SurrogateBPTT(), {}, r"STBP\(\)"),
    "bptt on spikes": (SurrogateBPTT(Hamming()), dict(readout=Readout(3)), "leave the readout out"),
    "scale of no layer": (STBP(learning_rate_scale={"conv9": 1.0}), {}, "dense1, dense2, dense3"),
}


@pytest.mark.parametrize("what", MISFITS)
def test_rules_that_do_not_fit_a_network(what: str) -> None:
    rule, changes, expected = MISFITS[what]
    with pytest.raises(RuleError, match=expected):
        Learner(network(**changes), rule)


def test_neurons_of_other_kinds_learn_with_stbp() -> None:
    inputs, labels = trials()
    for neuron in (LIF(5 * ms), CubaLIF(5 * ms, 3 * ms, R=4.0)):
        spec = network(layers=[Dense(8, neuron, weights=Normal(4.0)), Dense(3, neuron, weights=Normal(4.0))])
        learner = Learner(spec, STBP(), Adam(1e-2), batch_size=TRIALS)
        start = learner.init()
        state, _ = learner.learn(start, Samples(events(inputs), labels))
        assert all(not np.array_equal(w, start.weights[name]) for name, w in state.weights.items())


# network scripts -----------------------------------------------------------------------------------------------------

SCRIPTS = Path(__file__).parent.parent / "network_specs"


def test_a_spike_sequence_is_taught_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = runpy.run_path(str(SCRIPTS / "digits_sequence.py"))
    assert len({tuple(row) for row in script["RHYTHMS"]}) == 10, "a rhythm for each class"
    result = script["run"](epochs=3, runs=str(tmp_path))
    before, after = (
        [float(number) for number in re.findall(r"[\d.]+", line)]
        for line in capsys.readouterr().out.splitlines()
        if line.startswith(("before:", "after:"))
    )
    assert after[0] < 0.7 * before[0] and after[1] > 0.6 > before[1]
    assert (result.run / "sequences.png").stat().st_size > 10000


@pytest.mark.parametrize("name", ["mnist_stbp", "nmnist_sequence"])
def test_scripts_describe_networks_that_the_engine_takes(name: str) -> None:
    experiment = runpy.run_path(str(SCRIPTS / f"{name}.py"))["experiment"]()
    learner = Learner(experiment.spec, experiment.rule, experiment.optimiser)
    assert learner.engine_name == "discrete" and experiment.spec.n_steps == 25 and experiment.spec.classes == 10
