"""What runs step by step and what its gradient keeps: kernels against numpy, bits against spikes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

import torch.nn.functional as F  # noqa: E402
from brian2 import ms  # noqa: E402

import brianlearn as bl  # noqa: E402
from brianlearn.discrete.host.threads import parallel_for  # noqa: E402
from brianlearn.discrete.maps.bits import Bits, weighted  # noqa: E402
from brianlearn.discrete.maps.step_map import StepMap  # noqa: E402
from brianlearn.discrete.maps.synapse_list import ListMap  # noqa: E402

DTYPES = {torch.float64: 1e-12, torch.float32: 3e-5}
STEPS, SAMPLES = 30, 11


def spec_of(connection: Any, delays: tuple[int, ...] = (1, 3), neuron: Any = None, **options: Any) -> bl.NetworkSpec:
    """Neurons that hear themselves after some delays."""
    own = [bl.Projection(f"own{d}", "a", "a", connection, bl.Normal(1.0), delay=d * ms) for d in delays]
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (20,), bl.Spikes()),
            bl.Population("a", 13, neuron or bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms, R=4.0), **options),
            bl.Population("out", 3, bl.LinearReadout(tau=5 * ms)),
        ],
        projections=[
            bl.Projection("in1", "input", "a", weights=bl.Normal(4.0)),
            *own,
            bl.Projection("to_out", "a", "out"),
        ],
        duration=STEPS * ms,
    )


def trains(dtype: Any = torch.float64, rate: float = 0.2) -> Any:
    return (torch.rand(STEPS, SAMPLES, 20, generator=torch.Generator().manual_seed(0)) < rate).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("samples", [1, 8, 19])
def test_single_steps_of_listed_synapses(samples: int, dtype: Any) -> None:
    p = next(q for q in spec_of(bl.Sparse(0.3, seed=2)).projections if q.name == "own1")
    weight = torch.randn(p.weight_shape, dtype=dtype)
    matrix = np.zeros((13, 13))
    np.add.at(matrix, (p.connectivity.post, p.connectivity.pre), weight.numpy())
    step = StepMap(p, ListMap(p), kernels=True)
    step.load(weight)
    spikes = (torch.rand(samples, 13) < 0.3).to(dtype)
    for call, given, through in ((step.add, spikes, matrix.T), (step.add_back, torch.randn(samples, 13), matrix)):
        given, out = given.to(dtype), torch.randn(samples, 13, dtype=dtype)
        expected = out.numpy() + given.numpy() @ through
        call(given, out)
        np.testing.assert_allclose(out, expected, rtol=0, atol=DTYPES[dtype])


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_listed_synapses(dtype: Any, threads: int) -> None:
    p = next(q for q in spec_of(bl.Sparse(0.3, seed=2)).projections if q.name == "own1")
    synapses = ListMap(p)
    source = (torch.rand(STEPS, SAMPLES, 13) < 0.15).to(dtype) * 1.25
    error = torch.randn(STEPS, SAMPLES, 13, dtype=dtype)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        listed = synapses.lists(source)
        assert listed is not None
        found = synapses.weight_gradient(error, source, channels_last=False, listed=listed)
    finally:
        torch.set_num_threads(before)
    matrix = np.einsum("tbj,tbi->ji", error.double().numpy(), source.double().numpy())
    expected = matrix[p.connectivity.post, p.connectivity.pre]
    np.testing.assert_allclose(found, expected, rtol=0, atol=DTYPES[dtype])


@pytest.mark.parametrize("shape", [(1,), (7, 3, 5), (0, 4), (64,)])
def test_bits_are_spikes(shape: tuple[int, ...]) -> None:
    spikes = (torch.rand(shape) < 0.3).float()
    bits = Bits.of(spikes)
    assert bits.packed.nbytes == -(-spikes.numel() // 8)
    assert torch.equal(bits.dense(), spikes) and bits.dense().dtype is torch.float32


def test_sums_that_keep_bits_have_the_same_gradient() -> None:
    spikes, weight = trains(), torch.randn(3, 20, dtype=torch.float64)
    found = []
    for product in (weighted, F.linear):
        s, w = spikes.clone().requires_grad_(), weight.clone().requires_grad_()
        out = product(s, w)
        found.append((out, *torch.autograd.grad((out**2).sum(), (s, w))))
    for mine, plain in zip(*found, strict=True):
        torch.testing.assert_close(mine, plain, rtol=0, atol=1e-12)


@pytest.mark.parametrize("record", [(), ("membranes",)])
def test_a_graph_that_is_kept_gives_its_gradient_again(record: tuple[str, ...]) -> None:
    """Gradients lie where membranes were only where nobody can ask again."""
    module = bl.export(spec_of(bl.AllToAll()), dtype=torch.float64)
    activity = module(trains(), record=record)
    loss = activity.logits.square().sum() + sum((m**2).mean() for m in activity.membranes.values())
    membranes = {name: m.detach().clone() for name, m in activity.membranes.items()}
    weights = list(module.parameters())
    first = torch.autograd.grad(loss, weights, retain_graph=True)
    second = torch.autograd.grad(loss, weights)
    assert all(g.abs().max() > 0 for g in first)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert all(torch.equal(activity.membranes[name], m) for name, m in membranes.items())
    with pytest.raises(RuntimeError, match=r"second time|retain_graph"):
        torch.autograd.grad(loss, weights)


@pytest.mark.parametrize("connection", [bl.AllToAll(), bl.Sparse(0.5, seed=1)])
def test_what_a_gradient_keeps(connection: Any) -> None:
    """Membranes of all steps, and lists or bits of spikes: nothing else that grows with them."""
    from brianlearn.discrete.run import component

    kept = []
    keep = component._Passage.keep

    def watch(passage: Any) -> None:
        keep(passage)
        kept.append(passage)

    component._Passage.keep = watch  # type: ignore[method-assign]
    try:
        module = bl.export(spec_of(connection), dtype=torch.float32)
        activity = module(trains(torch.float32))
    finally:
        component._Passage.keep = keep  # type: ignore[method-assign]
    (passage,) = kept
    assert activity.spikes["a"].sum() > 0 and not hasattr(passage, "delivered") and not hasattr(passage, "seen")
    (stored,) = passage.stored.values()
    assert list(stored) == [passage.kernels["a"].program.membrane]
    for heard in passage._heard.values():
        assert heard.listed is not None or isinstance(heard.kept, Bits)


@pytest.mark.parametrize("delays", [(1, 3), (2,)], ids=str)
def test_threads_that_each_run_some_trials_change_nothing(delays: tuple[int, ...]) -> None:
    """11 trials in one thread, and in two; the last trials are those of the second one."""
    noisy = bl.Neuron(
        "dv/dt = (I - v)/(20*ms) + 0.2*(1 + v)*xi*(20*ms)**-0.5 : 1\ndI/dt = -I/(5*ms) : 1",
        threshold="v > 1",
        reset="v = 0",
        input="I",
        weight_unit=4.0,
    )
    spec = spec_of(bl.Sparse(0.4, seed=1), delays, noisy, dropout=0.2)
    keys = np.arange(2 * SAMPLES, dtype=np.uint64).reshape(SAMPLES, 2)
    found, before = [], torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            module = bl.export(spec, seed=1, dtype=torch.float64).train()
            activity = module(trains(), keys=keys)
            gradients = torch.autograd.grad((activity.readout**2).mean(), list(module.parameters()))
            found.append((activity.spikes["a"], gradients))
    finally:
        torch.set_num_threads(before)
    (spikes, expected), (mine, others) = found
    assert spikes[:, -1].any() and torch.equal(mine, spikes)
    for a, b in zip(others, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_what_is_shared_out_within_a_part_runs_in_its_thread() -> None:
    seen: list[tuple[int, int, int, int]] = []
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        parallel_for(lambda a, b, part: parallel_for(lambda c, d, inner: seen.append((a, b, c, d)), 6), 8, block=2)
        outer = []
        parallel_for(lambda a, b, part: outer.append((a, b)), 8, block=2)
    finally:
        torch.set_num_threads(before)
    assert sorted(seen) == [(0, 4, 0, 6), (4, 8, 0, 6)] and sorted(outer) == [(0, 4), (4, 8)]
