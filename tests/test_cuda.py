"""The discrete engine on a GPU: the spikes, weights and gradients that the equations and the CPU give.

Runs where torch finds a GPU. ``BRIANLEARN_TEST_DEVICE`` names another of torch's devices (``cpu`` rehearses it). In
double precision spikes are the same and everything else agrees to 1e-10 with the reference in plain numpy, gradients
to 1e-9 of the largest one with the CPU's fused kernels. In single precision a GPU adds in another order, and where that
moves one spike, all later ones move too: of the network here at most 1 in 1000 may differ.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from brian2 import ms
from cases import CASES, MECHANISMS, Case, dense, one_convolution, two_convolutions
from test_equality import check_learning, check_spikes

from brianlearn.learning import DALTON, SGD, STBP, Adam, Hamming, SurrogateBPTT, VanRossum
from brianlearn.network import CubaLIF, Dense, Events, Input, NetworkSpec, PoissonEncoder, Samples, SequenceLIF, Spikes
from brianlearn.training.learner import Learner

torch = pytest.importorskip("torch")

from brianlearn.discrete import export  # noqa: E402

DEVICE = os.environ.get("BRIANLEARN_TEST_DEVICE", "cuda")

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(DEVICE == "cuda" and not torch.cuda.is_available(), reason="torch finds no GPU"),
]

#: Of the largest gradient, in double precision.
GRADIENT = 1e-9
#: Share of spikes that may differ in single precision.
SHARE = 1e-3


@pytest.mark.parametrize("name", MECHANISMS)
def test_learning_equals_reference(name: str) -> None:
    check_learning(CASES[name], DEVICE)


@pytest.mark.parametrize("name", [name for name in MECHANISMS if "batch" not in name])
def test_spikes_equal_reference(name: str) -> None:
    check_spikes(CASES[name], DEVICE)


NETWORKS = {"dense": dense(), "convolution": one_convolution(), "convolutions": two_convolutions()}


def gradients(spec: NetworkSpec, device: str, dtype: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Spikes of each layer and the gradient of a function of the readouts, of one exported module."""
    case = Case(spec)
    module = export(spec, case.weights(), dtype=dtype).to(device)
    samples = case.samples()
    activity = module(torch.as_tensor(samples.inputs, dtype=dtype, device=device))
    target = torch.nn.functional.one_hot(torch.from_numpy(samples.labels), spec.classes).to(activity.logits)
    ((activity.logits - target) ** 2).sum().backward()
    found = {name: p.grad.cpu() for name, p in module.named_parameters() if p.grad is not None}
    assert activity.logits.device.type == torch.device(device).type
    return {name: s.detach().cpu() for name, s in activity.spikes.items()}, found


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_equal_those_of_the_cpu(name: str) -> None:
    spikes, found = gradients(NETWORKS[name], DEVICE, torch.float64)
    expected_spikes, expected = gradients(NETWORKS[name], "cpu", torch.float64)
    for layer, raster in expected_spikes.items():
        assert raster.any() and torch.equal(spikes[layer], raster), layer
    assert found.keys() == expected.keys() and len(expected) >= 2
    for layer, gradient in expected.items():
        assert gradient.abs().max() > 0
        assert (found[layer] - gradient).abs().max() <= GRADIENT * gradient.abs().max(), layer


def test_single_precision_fires_nearly_the_same() -> None:
    neuron = CubaLIF(R=4.0)
    spec = NetworkSpec(
        Input((200,), PoissonEncoder()), [Dense(300, neuron), Dense(100, neuron)], None, duration=30 * ms
    )
    samples = Samples(np.random.default_rng(0).uniform(0, 0.5, (8, 200)))
    fired = {}
    for device in (DEVICE, "cpu"):
        learner = Learner(spec, engine="discrete", device=device)
        activity = learner.infer(learner.init(), samples, record=("spikes",))
        fired[device] = {name: raster.dense() for name, raster in activity.spikes.items()}
    for name, raster in fired["cpu"].items():
        assert raster.mean() > 0.01
        assert (fired[DEVICE][name] != raster).mean() <= SHARE * raster.mean(), name


def events() -> Events:
    rng = np.random.default_rng(2)
    rasters = [np.nonzero(rng.random((12, 12)) < 0.3) for _ in range(6)]
    return Events(
        np.concatenate([step for step, _ in rasters]),
        np.concatenate([neuron for _, neuron in rasters]),
        np.cumsum([0, *(len(step) for step, _ in rasters)]),
        (12,),
    )


LIF_NETWORK = dict(layers=[Dense(10, SequenceLIF()), Dense(4, SequenceLIF())], readout=None, duration=12 * ms)
TAUGHT = {
    "stbp": (NetworkSpec(Input((12,), Spikes()), **LIF_NETWORK), STBP(Hamming())),
    "stbp-van-rossum": (NetworkSpec(Input((12,), Spikes()), **LIF_NETWORK), STBP(VanRossum())),
    "bptt": (dense(input=Input((12,), Spikes())), SurrogateBPTT()),
    "dalton-through-time": (dense(input=Input((12,), Spikes())), DALTON(credit="through_time")),
}


@pytest.mark.parametrize("name", TAUGHT)
def test_learning_equals_that_of_the_cpu(name: str) -> None:
    spec, rule = TAUGHT[name]
    samples = Samples(events(), np.arange(6) % 4)
    found = {}
    for device in (DEVICE, "cpu"):
        learner = Learner(
            spec, rule, Adam(1e-2), engine="discrete", device=device, dtype="float64", batch_size=3, chunk_size=6
        )
        start = learner.init()
        state, metrics = learner.learn(start, samples)
        state, _ = learner.learn(state, samples)
        found[device] = start, state, metrics
    (start, expected, measured), (_, state, metrics) = found["cpu"], found[DEVICE]
    assert any(np.abs(expected.weights[layer] - w).max() > 1e-3 for layer, w in start.weights.items()), "silent"
    for layer, weights in expected.weights.items():
        np.testing.assert_allclose(state.weights[layer], weights, rtol=0, atol=1e-9, err_msg=layer)
    assert metrics.loss == pytest.approx(measured.loss, rel=1e-9)


def test_learning_goes_on_elsewhere() -> None:
    """Half of the samples on the GPU and half on the CPU, in either order, as all of them on the CPU."""
    spec, samples = dense(input=Input((12,), Spikes())), Samples(events(), np.arange(6) % 4)
    here, there = (
        Learner(spec, DALTON(), SGD(1e-2), engine="discrete", device=device, dtype="float64", batch_size=3)
        for device in ("cpu", DEVICE)
    )
    expected, _ = here.learn(here.init(), samples)
    for first, second in ((here, there), (there, here), (there, there)):
        state, _ = first.learn(first.init(), samples[:3])
        state, _ = second.learn(state, samples[3:])
        for name, weights in expected.weights.items():
            np.testing.assert_allclose(state.weights[name], weights, rtol=0, atol=1e-10, err_msg=name)
