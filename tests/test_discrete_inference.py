"""The exported module fires the spikes of the Brian2 network, and is a well-behaved torch module."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, ms, mV, second
from cases import CASES, CONDUCTANCE, EIF, Case, dense

from brianlearn.brian.run.preferences import preferences
from brianlearn.brian.run.runtime import runtime_device
from brianlearn.errors import DataError, EquationError, ShapeError, SpecError, UnitError, WeightsError
from brianlearn.learning import initial_weights
from brianlearn.network import (
    Conv,
    CubaLIF,
    Dense,
    Events,
    Input,
    NetworkSpec,
    Neuron,
    PoissonEncoder,
    Readout,
    Samples,
    Spikes,
    TimeToFirstSpikeEncoder,
)
from brianlearn.network.neurons.update_code import update_code
from brianlearn.training.learner import Learner

torch = pytest.importorskip("torch")

import brianlearn.discrete.step.recurrence as recurrence  # noqa: E402
from brianlearn.discrete import DiscreteActivity, DiscreteNetwork, export  # noqa: E402

DOCS = Path(__file__).parent.parent / "docs"


def _kind(spec: NetworkSpec) -> str:
    """What tells networks apart."""
    neurons = [(n.equations, n.threshold, n.reset, n.constants, n.refractory, n.floor) for n in _neurons(spec)]
    return f"{spec.describe()} {spec.input} {spec.burn_in_steps} {neurons}"


def _neurons(spec: NetworkSpec) -> list[Neuron]:
    return [layer.neuron for layer in spec.layers]


NETWORKS = {_kind(case.spec): name for name, case in reversed(CASES.items())}


def brian(spec: NetworkSpec, weights: dict[str, np.ndarray], samples: Samples) -> Any:
    learner = Learner(spec, device="numpy", dtype="float64", batch_size=3)
    return learner.infer(learner.init(weights), samples, record=("spikes", "readout"))


def first_layers(a: Any) -> Any:
    """(T, B, ...) as (B, T, ...), numpy."""
    return a.detach().swapaxes(0, 1).numpy()


def check_spikes(activity: DiscreteActivity, expected: Any) -> None:
    for name, raster in expected.spikes.items():
        spikes = first_layers(activity.spikes[name])
        assert set(np.unique(spikes)) <= {0.0, 1.0}
        mismatches = int(np.sum((spikes != 0) != raster.dense()))
        assert mismatches == 0, f"{name}: {mismatches} spikes differ"
        assert name == "input" or 0.005 < spikes.mean() < 0.99, f"{name} is silent or saturated"
    if expected.readout is not None:
        np.testing.assert_allclose(first_layers(activity.readout), expected.readout, rtol=0, atol=1e-10)
    np.testing.assert_allclose(activity.logits.detach().numpy(), expected.logits, rtol=0, atol=1e-10)
    assert np.array_equal(activity.predictions.numpy(), expected.predictions)


@pytest.mark.parametrize("name", NETWORKS.values())
def test_spikes_equal_brian2_and_the_reference(name: str) -> None:
    case: Case = CASES[name]
    weights = {n: w for n, w in case.weights().items() if not n.startswith("readout_")}
    expected, reference = brian(case.spec, weights, case.samples()), case.reference_inference()
    for kernels in (True, False):
        module = export(case.spec, weights, kernels=kernels, dtype=torch.float64).eval()
        activity = module(case.samples().inputs)
        check_spikes(activity, expected)
        for layer, spikes in reference.spikes.items():
            assert np.array_equal(first_layers(activity.spikes[layer]), spikes != 0), layer


@pytest.mark.parametrize("encoder", [PoissonEncoder(0.7), TimeToFirstSpikeEncoder(0.1)], ids=["bernoulli", "latency"])
def test_drawn_encoders(encoder: Any) -> None:
    spec = dense(CubaLIF(R=12.0), input=Input((12,), encoder))
    samples = CASES["dense-tfr-sgd-batch1"].samples()
    learner = Learner(spec, device="numpy", dtype="float64", seed=5)
    state = learner.init()
    expected = learner.infer(state, samples, record=("spikes", "readout"))
    keys = state.sample_keys(samples.ids, learning=False)
    weights = {k: v for k, v in state.weights.items() if not k.startswith("readout_")}
    check_spikes(export(spec, weights, dtype=torch.float64)(samples.inputs, keys=keys), expected)


def test_events_and_spike_trains() -> None:
    spec = dense(CubaLIF(R=12.0), input=Input((12,), Spikes()))
    rng = np.random.default_rng(3)
    trains = rng.random((4, spec.n_steps, 12)) < 0.3
    trial, step, neuron = np.nonzero(trains)
    events = Events(step, neuron, np.searchsorted(trial, np.arange(5)), (12,))
    weights = initial_weights(spec, seed=1)
    expected = brian(spec, weights, Samples(events))
    module = export(spec, weights, dtype=torch.float64)
    check_spikes(module(events), expected)
    check_spikes(module(torch.from_numpy(trains.swapaxes(0, 1).copy())), expected)


@pytest.mark.parametrize("method", ["euler", "exponential_euler", "rk2", "rk4"])
def test_methods_of_brian2(method: str) -> None:
    """What Brian2's state updaters generate is what runs here."""
    weights, samples = initial_weights(dense(EIF), seed=4), CASES["eif"].samples()
    for neuron in (EIF, CONDUCTANCE):
        if method == "exponential_euler" and neuron is EIF:
            continue  # not conditionally linear
        spec = dense(dataclasses.replace(neuron, method=method))
        expected = brian(spec, weights, samples)
        for kernels in (True, False):
            check_spikes(export(spec, weights, kernels=kernels, dtype=torch.float64)(samples.inputs), expected)


def test_constants_of_every_neuron_of_a_convolution() -> None:
    """One value per neuron, in whatever order neurons lie in memory."""
    tau = np.random.default_rng(0).uniform(3, 30, (3, 2, 3)) * ms
    layers = [Conv(3, 3, CubaLIF(tau_m=tau, R=14.0), pool=2), Conv(2, 2, CubaLIF(R=14.0)), Dense(5, CubaLIF(R=14.0))]
    spec = NetworkSpec(Input((2, 6, 8)), layers, Readout(4), duration=20 * ms)
    samples = Samples(np.random.default_rng(1).random((4, 2, 6, 8)))
    weights = {name: 4 * w for name, w in initial_weights(spec, seed=8).items()}
    expected = brian(spec, weights, samples)
    for kernels in (True, False):
        with torch.no_grad():
            check_spikes(export(spec, weights, kernels=kernels, dtype=torch.float64)(samples.inputs), expected)


def test_a_neuron_with_everything() -> None:
    neurons = pytest.importorskip("test_discrete_gradients", exc_type=ImportError)
    spec = dense(neurons.USER)
    weights = {name: 0.6 * w for name, w in initial_weights(spec, seed=4).items()}
    samples = CASES["eif"].samples()
    expected = brian(spec, weights, samples)
    for kernels in (True, False):
        check_spikes(export(spec, weights, kernels=kernels, dtype=torch.float64)(samples.inputs), expected)


@pytest.mark.parametrize("method", ["euler", "rk2", "rk4"])
@pytest.mark.parametrize("neuron", [EIF, CONDUCTANCE], ids=["eif", "conductance"])
def test_update_code_is_that_of_a_neuron_group(neuron: Neuron, method: str) -> None:
    neuron = dataclasses.replace(neuron, method=method)
    with runtime_device(), preferences("float64", "numpy"):
        group = NeuronGroup(
            2,
            neuron.equations,
            threshold=neuron.threshold,
            reset=neuron.reset,
            refractory=neuron.refractory or False,
            method=method,
            namespace=dict(neuron.constants),
            dt=1 * ms,
        )
        Network(group).run(0 * second)
    lines = [line for line in group.state_updater.abstract_code.splitlines() if "lastspike" not in line]
    expected = "\n".join(lines).strip()
    if method == "euler":  # see update_code
        expected = expected.replace("*int(not_refractory)", "")
    assert expected == update_code(neuron).strip()


# a module like others ------------------------------------------------------------------------------------------------


@pytest.fixture
def spec() -> NetworkSpec:
    neuron = CubaLIF(R=8.0)
    return NetworkSpec(
        Input((2, 6, 5)), [Conv(3, 3, neuron, pool=2, dropout=0.4), Dense(7, neuron)], Readout(4), duration=10 * ms
    )


def test_parameters_are_the_weights(spec: NetworkSpec) -> None:
    weights = initial_weights(spec, seed=2)
    module = export(spec, weights, dtype=torch.float64)
    assert list(module.state_dict()) == ["conv1", "dense1", "readout"]
    for name, array in module.weights().items():
        assert np.array_equal(array, weights[name])
    assert export(spec).conv1.dtype == torch.get_default_dtype()
    other = export(spec, seed=9, dtype=torch.float64)
    other.load_state_dict(module.state_dict())
    values = torch.rand(3, 2, 6, 5, dtype=torch.float64)
    assert torch.equal(other.eval()(values).readout, module.eval()(values).readout)


def test_precision_and_copies(spec: NetworkSpec) -> None:
    module, values = export(spec).eval(), torch.rand(3, 2, 6, 5)
    single = module(values)
    assert single.readout is not None and single.readout.dtype == torch.float32
    for again in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(again(values).readout, single.readout)
    double = module.double()(values)
    assert double.readout is not None and double.readout.dtype == torch.float64
    assert double.readout.shape == (10, 3, 4) and double.spikes["conv1"].shape == (10, 3, 3, 2, 1)


def test_dropout(spec: NetworkSpec) -> None:
    module, values = export(spec, dtype=torch.float64), torch.rand(6, 2, 6, 5) * 2
    keys = np.arange(12, dtype=np.uint64).reshape(6, 2)
    together = module.train()(values, keys=keys).readout
    parts = [module(values[k : k + 2], keys=keys[k : k + 2]).readout for k in (0, 2, 4)]
    torch.testing.assert_close(torch.cat(parts, dim=1), together)
    assert not torch.equal(module.eval()(values).readout, together)
    torch.manual_seed(0)
    one = module.train()(values).readout
    torch.manual_seed(0)
    assert torch.equal(module(values).readout, one)


def test_records(spec: NetworkSpec) -> None:
    module = export(spec, psp_tau=5 * ms, dtype=torch.float64).eval()
    values = torch.rand(3, 2, 6, 5, dtype=torch.float64)
    a = module(values, record=("membranes", "synaptic_input", "psps"))
    for name in ("conv1", "dense1"):
        assert a.membranes[name].shape == a.synaptic_input[name].shape == a.psps[name].shape == a.spikes[name].shape
        assert torch.equal(a.membranes[name] > 1, a.spikes[name] > 0)
    flat = a.spikes["conv1"].flatten(2)
    torch.testing.assert_close(a.synaptic_input["dense1"], flat @ module.dense1.T)
    assert torch.equal(module(values).readout, a.readout)


def test_without_numba(spec: NetworkSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.rand(3, 2, 6, 5, dtype=torch.float64)
    fast = export(spec, dtype=torch.float64).eval()(values)
    monkeypatch.setattr(recurrence, "have_numba", lambda: False)
    module = export(spec, dtype=torch.float64).eval()
    assert not module.uses_kernels
    torch.testing.assert_close(module(values).readout, fast.readout)


def test_kernels_do_not_depend_on_constants() -> None:
    pytest.importorskip("numba")
    texts = [export(dense(CubaLIF(tau_m=tau * ms))).describe(kernels=True) for tau in (10, 20)]
    kernels = [text.split('"""')[2].split("dense2, in every step")[0] for text in texts]
    assert "def backward" in kernels[0] and kernels[0] == kernels[1]


def test_a_cache_that_cannot_be_written(spec: NetworkSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("numba")
    from brianlearn.discrete.step.kernels import _compiled

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BRIANLEARN_CACHE", str(tmp_path / "file"))
    _compiled.cache_clear()
    module = export(spec, dtype=torch.float64).eval()
    assert module.uses_kernels and module(torch.rand(3, 2, 6, 5)).readout is not None
    _compiled.cache_clear()


def test_inputs_keep_their_gradient() -> None:
    """Spike trains may come from other torch layers."""
    module = export(dense(CubaLIF(R=12.0), input=Input((12,), Spikes())), dtype=torch.float64)
    trains = (torch.rand(15, 2, 12, dtype=torch.float64) < 0.3).double().requires_grad_()
    module(trains).logits.sum().backward()
    assert trains.grad is not None and trains.grad.abs().max() > 0


def test_no_samples(spec: NetworkSpec) -> None:
    readout = export(spec)(torch.zeros(0, 2, 6, 5)).readout
    assert readout is not None and readout.shape == (10, 0, 4)


def test_backward_twice() -> None:
    module = export(dense(CubaLIF(R=12.0)), dtype=torch.float64)
    loss = module(torch.rand(2, 12)).logits.pow(2).sum()
    loss.backward(retain_graph=True)
    first = module.dense1.grad.clone()
    loss.backward()
    torch.testing.assert_close(module.dense1.grad, 2 * first)


# what is refused -----------------------------------------------------------------------------------------------------


def _neuron(**changes: Any) -> Neuron:
    fields: dict[str, Any] = dict(
        equations="dv/dt = -v/tau : 1", threshold="v > 1", reset="v = 0", input="v", constants=dict(tau=10 * ms)
    )
    return Neuron(**(fields | changes))


@pytest.mark.parametrize(
    ("neuron", "what"),
    [
        (dict(equations="dv/dt = (sin(t/tau) - v)/tau : 1"), "t "),
        (
            dict(equations="dspike/dt = -spike/tau : 1", threshold="spike > 1", reset="spike = 0", input="spike"),
            "'spike'",
        ),
        (
            dict(
                equations="dv/dt = (u - v)/tau : 1\nu = int(not_refractory) : 1 (constant over dt)",
                method="euler",
                refractory=3 * ms,
            ),
            "constant over dt",
        ),
    ],
)
def test_neurons_that_are_refused(neuron: dict[str, Any], what: str) -> None:
    with pytest.raises(EquationError, match="cannot be exported") as error:
        export(dense(_neuron(**neuron)))
    assert what in str(error.value) and "dense1" in str(error.value) and error.value.remedy


def test_networks_and_inputs_that_are_refused(spec: NetworkSpec) -> None:
    with pytest.raises(SpecError, match="reset_path"):
        export(spec, reset_path="some")
    with pytest.raises(UnitError, match="psp_tau"):
        export(spec, psp_tau=5 * mV)
    with pytest.raises(WeightsError):
        export(spec, {"dense1": np.zeros((2, 2))})
    with pytest.raises(SpecError, match="attribute of torch modules"):
        export(dense(layers=[Dense(3, CubaLIF(), name="train")]))
    module = export(spec)
    with pytest.raises(ShapeError, match="do not fit"):
        module(torch.rand(3, 6, 5))
    with pytest.raises(SpecError, match="cannot record"):
        module(torch.rand(3, 2, 6, 5), record=("spikes",))
    with pytest.raises(SpecError, match="time constant"):
        module(torch.rand(3, 2, 6, 5), record=("psps",))
    with pytest.raises(DataError, match="do not fit"):
        module(Events(np.zeros(0, int), np.zeros(0, int), np.zeros(2, int), (2, 6, 5)))
    trains = export(dataclasses.replace(spec, input=Input((2, 6, 5), Spikes())))
    with pytest.raises(ShapeError, match="time comes first"):
        trains(torch.zeros(3, 9, 2, 6, 5))


def test_documentation() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "discrete.md").read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    scope: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, "docs/discrete.md", "exec"), scope)
    assert isinstance(scope["module"], DiscreteNetwork)
