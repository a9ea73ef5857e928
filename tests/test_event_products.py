"""Sums and gradients from lists of spikes equal those of matrices and convolutions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

import torch.nn.functional as F  # noqa: E402
from brian2 import ms  # noqa: E402

import brianlearn as bl  # noqa: E402
from brianlearn.discrete import export  # noqa: E402
from brianlearn.discrete.maps import base as synapses  # noqa: E402
from brianlearn.discrete.maps.csr_spikes import csr_spikes  # noqa: E402
from brianlearn.discrete.maps.event_products import ConvProduct, DenseProduct  # noqa: E402

DTYPES = {torch.float64: 1e-12, torch.float32: 3e-5}


def spikes(rows: int, columns: int, dtype: torch.dtype, rate: float = 0.1) -> torch.Tensor:
    """Spike trains of which some count 1.25 times, as after dropout."""
    generator = torch.Generator().manual_seed(rows + columns)
    fired = torch.rand(rows, columns, generator=generator) < rate
    return fired.to(dtype) * (1.0 + 0.25 * (torch.rand(columns, generator=generator) < 0.5))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_lists(dtype: torch.dtype, threads: int) -> None:
    s = spikes(101, 150, dtype)
    s[7], s[100] = 0, 0
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        rows = csr_spikes(s, 64)
        assert rows is not None
        columns = rows.by_column(40)
    finally:
        torch.set_num_threads(before)
    for lists, matrix in ((rows, s.numpy()), (columns, s.numpy().T)):
        for i, line in enumerate(matrix):
            entries = np.concatenate([np.arange(a[i], b[i]) for a, b in zip(lists.starts, lists.ends, strict=True)])
            np.testing.assert_array_equal(lists.index[entries], np.flatnonzero(line))
            np.testing.assert_array_equal(lists.value[entries], line[line != 0])
    later = rows.rows_from(90)
    assert later.starts.shape[1] == 11
    assert (later.ends[:, 0] - later.starts[:, 0]).sum() == (s[90] != 0).sum()


def test_no_lists_of_dense_activity() -> None:
    assert csr_spikes(spikes(400, 100, torch.float32, rate=0.5), 64) is None
    assert csr_spikes(torch.full((3, 70), torch.nan), 64) is None  # not a number is not 0


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n_in", "n_out"), [(784, 512), (130, 100), (70, 10), (65, 48), (2000, 64)])
def test_dense(dtype: torch.dtype, n_in: int, n_out: int) -> None:
    s = spikes(300, n_in, dtype)
    weight, error = torch.randn(n_out, n_in, dtype=dtype), torch.randn(300, n_out, dtype=dtype)
    product = DenseProduct(n_in, n_out)
    lists = csr_spikes(s, product.tile(dtype))
    assert lists is not None
    torch.testing.assert_close(product.sums(lists, weight), s @ weight.T, atol=DTYPES[dtype], rtol=DTYPES[dtype])
    torch.testing.assert_close(product.gradient(lists, error), error.T @ s, atol=DTYPES[dtype], rtol=DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("in_shape", "out", "kernel", "stride", "padding"),
    [
        ((1, 28, 28), 16, 4, 2, 0),
        ((2, 11, 14), 12, 6, 2, 0),
        ((3, 10, 10), 7, 3, 1, 2),
        ((4, 12, 10), 5, 2, 3, 0),
        ((2, 9, 9), 8, 1, 1, 0),
        ((3, 7, 8), 6, 5, 2, 4),
    ],
)
@pytest.mark.parametrize("source_last", [False, True])
def test_convolution(
    dtype: torch.dtype,
    in_shape: tuple[int, int, int],
    out: int,
    kernel: int,
    stride: int,
    padding: int,
    source_last: bool,
) -> None:
    rows, close = 40, dict(atol=10 * DTYPES[dtype], rtol=DTYPES[dtype])
    s = spikes(rows, int(np.prod(in_shape)), dtype).view(rows, *in_shape).requires_grad_()
    kernels = torch.randn(out, in_shape[0], kernel, kernel, dtype=dtype, requires_grad=True)
    expected = F.conv2d(s, kernels, stride=stride, padding=padding)
    error = torch.randn_like(expected)
    expected.backward(error)
    flat = (s.detach().permute(0, 2, 3, 1) if source_last else s.detach()).reshape(rows, -1)
    product = ConvProduct(in_shape, tuple(expected.shape[1:]), kernel, stride, padding)
    lists = csr_spikes(flat, product.tile(dtype))
    assert lists is not None
    last = error.permute(0, 2, 3, 1).reshape(rows, -1)
    sums = product.sums(lists, kernels, source_last=source_last)
    torch.testing.assert_close(sums, expected.detach().permute(0, 2, 3, 1).reshape(rows, -1), **close)
    torch.testing.assert_close(product.gradient(lists, last, source_last=source_last), kernels.grad, **close)
    back = product.transpose(last, kernels).view(rows, *in_shape[1:], in_shape[0]).permute(0, 3, 1, 2)
    torch.testing.assert_close(back, s.grad, **close)


def network(encoder: bl.Encoder | None = None, dropout: float = 0.0) -> bl.NetworkSpec:
    neuron = bl.CubaLIF(tau_m=10 * ms, tau_s=5 * ms, R=12.0)
    layers = [
        bl.Conv(6, kernel=3, pool=2, neuron=neuron, dropout=dropout),
        bl.Conv(8, kernel=3, padding=1, neuron=neuron),
        bl.Dense(20, neuron, dropout=dropout),
        bl.Dense(17, neuron),
    ]
    return bl.NetworkSpec(
        bl.Input((2, 12, 12), encoder or bl.IntegrateAndFireEncoder()), layers, bl.Readout(3), duration=15 * ms
    )


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("encoder", [bl.IntegrateAndFireEncoder(gain=0.6), bl.DirectCurrent(gain=0.4)])
def test_a_network_with_lists_and_without(monkeypatch: pytest.MonkeyPatch, encoder: bl.Encoder, dropout: float) -> None:
    """Spikes and gradients of a network, with lists for every layer, against plain torch operations."""
    monkeypatch.setattr(synapses, "FEWEST_ROWS", 1)
    values = torch.rand(25, 2, 12, 12, dtype=torch.float64) * (torch.rand(25, 2, 12, 12) < 0.2)
    keys = np.arange(50, dtype=np.uint64).reshape(25, 2)
    listed = []
    original = synapses.SynapticMap.lists
    monkeypatch.setattr(synapses.SynapticMap, "lists", lambda m, s: listed.append(original(m, s)) or listed[-1])
    found = {}
    for kernels in (True, False):
        module = export(network(encoder, dropout), seed=3, kernels=kernels, dtype=torch.float64)
        activity = module(values, keys=keys)
        activity.logits.square().sum().backward()
        found[kernels] = activity, {name: p.grad for name, p in module.named_parameters()}
    assert all(x is not None for x in listed[:4]) and listed[4:] == [None] * 4
    for name, s in found[False][0].spikes.items():
        assert torch.equal(s, found[True][0].spikes[name]), name
    assert found[True][0].spikes["dense2"].mean() > 0.005
    for name, g in found[False][1].items():
        torch.testing.assert_close(found[True][1][name], g, atol=1e-12, rtol=1e-10, msg=name)


@pytest.mark.parametrize("credit", ["online", "through_time"])
@pytest.mark.parametrize("rule", [bl.DALTON, bl.TFR])
def test_local_rules_with_lists_and_without(monkeypatch: pytest.MonkeyPatch, rule: type, credit: str) -> None:
    spec = dataclasses.replace(network(dropout=0.2), burn_in=4 * ms)
    rng = np.random.default_rng(0)
    images = rng.random((8, 2, 12, 12)) * (rng.random((8, 2, 12, 12)) < 0.2)
    samples = bl.Samples(images, np.arange(8) % 3)
    found = []
    for fewest in (1, 10**9):
        monkeypatch.setattr(synapses, "FEWEST_ROWS", fewest)
        learner = bl.Learner(spec, rule(credit=credit), bl.SGD(1e-3), engine="discrete", dtype="float64", batch_size=8)
        state, _ = learner.learn(learner.init(), samples)
        found.append(state.weights)
    first = learner.init().weights
    for name, w in found[0].items():
        np.testing.assert_allclose(w, found[1][name], atol=1e-13, err_msg=name)
    assert any(np.abs(found[0][name] - first[name]).max() > 1e-9 for name in first)
