"""Gradients: kernels against autograd, both against finite differences and against a recursion by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from brian2 import ms
from cases import CONDUCTANCE, EIF, FROZEN, FROZEN_DELTA

from brianlearn.network import (
    LIF,
    AdaptiveLIF,
    ArcTan,
    Conv,
    CubaLIF,
    DaltonIF,
    Dense,
    Gaussian,
    Input,
    NetworkSpec,
    Neuron,
    Normal,
    Readout,
    Rectangular,
    Sigmoid,
    Spikes,
    Triangular,
)

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

from brianlearn.discrete import export, postsynaptic_potential  # noqa: E402
from brianlearn.discrete.step.expressions import DERIVATIVES, evaluate, expression, gradients  # noqa: E402
from brianlearn.discrete.step.program import filter_program, neuron_program  # noqa: E402
from brianlearn.discrete.step.recurrence import Recurrence  # noqa: E402

#: Written by a user: two compartments, an exponent, functions, a subexpression, two resets, a moving threshold.
USER = Neuron(
    """dv/dt = (tanh(u) - v + leak)/tau : 1
    du/dt = (v - u)/(2*tau) + I/tau : 1 (unless refractory)
    dI/dt = -abs(I)**1.5/tau : 1
    dq/dt = -q/(3*tau) : 1
    leak = 0.1*sin(v)*exprel(-u**2) + 0.05*log(1 + clip(q, 0, 3)) : 1""",
    threshold="v > 0.6 + 0.1*q",
    reset="v = 0.2*u; u = u/2; q += 1 + leak",
    input="I",
    constants=dict(tau=5 * ms),
    surrogate=Sigmoid(3.0),
    refractory=2 * ms,
    floor=-0.5,
    v_scale=0.5,
    weight_unit=2.0,
    method="rk2",
    initial=dict(v=0.1),
)

NEURONS = {
    "lif": LIF(tau_m=8 * ms),
    "cuba": CubaLIF(tau_m=10 * ms, R=3.0),
    "dalton": DaltonIF(),
    "adaptive": AdaptiveLIF(tau_m=8 * ms, tau_a=30 * ms),
    "subtractive": CubaLIF(tau_m=10 * ms, R=3.0, reset="v -= 1", surrogate=ArcTan()),
    "refractory": CubaLIF(tau_m=10 * ms, R=3.0, refractory=3 * ms, surrogate=Rectangular(1.5)),
    "floor": CubaLIF(tau_m=10 * ms, R=3.0, floor=-0.2, surrogate=Triangular(1.5)),
    "frozen": FROZEN,
    "frozen-delta": FROZEN_DELTA,
    "heterogeneous": CubaLIF(tau_m=np.linspace(4, 20, 24) * ms, R=3.0, surrogate=Gaussian(0.6)),
    "eif": EIF,
    "conductance": CONDUCTANCE,
    "user": USER,
}


def program_of(neuron: Neuron, shape: tuple[int, ...] = (24,)) -> Any:
    spec = NetworkSpec(Input((3,)), [Dense(int(np.prod(shape)), neuron)], None, duration=10 * ms)
    return neuron_program(spec.projections[0], 1e-3)


def run(program: Any, x: Any, *, reset_kept: bool, kernels: bool) -> tuple[Any, Any, Any]:
    """Spikes, membranes and the gradient of a random function of both."""
    x = x.clone().requires_grad_()
    spikes, membranes = Recurrence(program, (24,), reset_kept=reset_kept, kernels=kernels)(x, membrane=True)
    g = torch.Generator().manual_seed(3)
    a, b = (torch.randn(x.shape, generator=g, dtype=torch.float64).to(x.dtype) for _ in range(2))
    ((a * spikes).sum() + (b * membranes).sum() / membranes.detach().abs().max()).backward()
    return spikes.detach(), membranes.detach(), x.grad


def inputs(dtype: Any = torch.float64, steps: int = 30) -> Any:
    g = torch.Generator().manual_seed(1)
    return (0.25 * torch.rand((steps, 3, 24), generator=g, dtype=torch.float64) * torch.rand(24, generator=g)).to(
        dtype
    ) * 2


def close(a: Any, b: Any, tolerance: float) -> None:
    assert torch.isfinite(a).all() and b.abs().max() > 0
    assert (a - b).abs().max() <= tolerance * b.abs().max()


#: Also with a detached reset, and in single precision; compiling kernels is what takes time here.
THOROUGH = ("lif", "cuba", "dalton", "adaptive", "eif", "conductance", "user")


@pytest.mark.parametrize(
    ("name", "reset_kept"), [*((name, True) for name in NEURONS), *((name, False) for name in THOROUGH)]
)
def test_kernel_gradient_equals_autograd(name: str, reset_kept: bool) -> None:
    program = program_of(NEURONS[name])
    spikes, membranes, grad = run(program, inputs(), reset_kept=reset_kept, kernels=True)
    expected = run(program, inputs(), reset_kept=reset_kept, kernels=False)
    assert 0.005 < spikes.mean() < 0.9
    assert torch.equal(spikes, expected[0])
    close(membranes, expected[1], 1e-12)
    close(grad, expected[2], 1e-10)


@pytest.mark.parametrize("name", THOROUGH)
def test_kernel_gradient_equals_autograd_in_single_precision(name: str) -> None:
    program, x = program_of(NEURONS[name]), inputs(torch.float32, steps=20)
    spikes, _, grad = run(program, x, reset_kept=True, kernels=True)
    expected = run(program, x, reset_kept=True, kernels=False)
    same = torch.equal(spikes, expected[0])
    assert same, "a spike flipped between roundings: choose another input"
    close(grad, expected[2], 1e-5)


def test_detached_and_kept_differ() -> None:
    program = program_of(NEURONS["cuba"])
    kept, detached = (run(program, inputs(), reset_kept=k, kernels=True)[2] for k in (True, False))
    assert (kept - detached).abs().max() > 1e-3


@pytest.mark.parametrize("name", NEURONS)
def test_membrane_gradient_equals_finite_differences(name: str) -> None:
    """Between spikes everything is smooth: the gradient of membranes is the derivative."""
    program = program_of(NEURONS[name])
    x = 0.05 * inputs(steps=6)
    recurrence = Recurrence(program, (24,))

    def total(x: Any) -> Any:
        spikes, membrane = recurrence(x, membrane=True)
        assert spikes.sum() == 0
        return (membrane / scale).pow(2).sum()

    scale = recurrence(x, membrane=True)[1].abs().max()
    x = x.requires_grad_()
    total(x).backward()
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(5), dtype=x.dtype)
    h = 1e-5
    with torch.no_grad():
        numeric = (total(x + h * direction) - total(x - h * direction)) / (2 * h)
    assert float((x.grad * direction).sum()) == pytest.approx(float(numeric), rel=1e-5)


@pytest.mark.parametrize("reset_kept", [False, True], ids=["detached", "kept"])
def test_cuba_gradient_equals_a_recursion_by_hand(reset_kept: bool) -> None:
    """v[t] = b v'[t-1] + k c[t], c[t] = a c[t-1] + x[t], v' = v (1 - s): docs/discrete.md."""
    neuron = CubaLIF(tau_m=10 * ms, tau_s=5 * ms, R=3.0)
    x = inputs()
    a, b = np.exp(-1 / 5), np.exp(-1 / 10)
    k = 3.0 * 5 / (5 - 10) * (a - b)
    steps = len(x)
    c = v = torch.zeros_like(x[0])
    u, s = torch.zeros_like(x), torch.zeros_like(x)
    for t in range(steps):
        c = a * c + x[t]
        u[t] = b * v + k * c
        s[t] = (u[t] > 1).double()
        v = u[t] * (1 - s[t])
    grad_s = torch.randn(x.shape, generator=torch.Generator().manual_seed(7), dtype=x.dtype)
    grad_x, grad_v, grad_c = torch.zeros_like(x), torch.zeros_like(x[0]), torch.zeros_like(x[0])
    for t in reversed(range(steps)):
        psi = 1 / (1 + 5 * (u[t] - 1).abs()) ** 2
        grad_u = grad_s[t] * psi + grad_v * ((1 - s[t]) - (u[t] * psi if reset_kept else 0))
        grad_x[t] = grad_c = k * grad_u + a * grad_c
        grad_v = b * grad_u
    for kernels in (True, False):
        y = x.clone().requires_grad_()
        spikes, _ = Recurrence(program_of(neuron), (24,), reset_kept=reset_kept, kernels=kernels)(y)
        assert torch.equal(spikes, s)
        spikes.backward(grad_s)
        close(y.grad, grad_x, 1e-12)


@pytest.mark.parametrize("function", sorted(DERIVATIVES))
def test_derivatives_of_functions(function: str) -> None:
    if function in ("exprel_derivative", "int", "floor", "ceil", "sign"):
        pytest.skip("piecewise constant, or not for users")
    arguments = {"clip": "clip({0}, 0.2, 0.5)", "at_least": "at_least({0}, 0.3)"}.get(function, function + "({0})")
    text = arguments.format("(x*x + 0.1)")
    node = expression(text)
    ((_, first), *others) = gradients(node, expression("1.0"), {"x"})
    x = np.array([0.3, 0.45, 0.6])
    exact = {"exprel_derivative": lambda z: (np.exp(z) * (z - 1) + 1) / z**2, "x": x}
    derivative = sum(evaluate(part, exact) for part in (first, *(value for _, value in others)))
    h = 1e-6
    numeric = (evaluate(node, {"x": x + h}) - evaluate(node, {"x": x - h})) / (2 * h)
    np.testing.assert_allclose(derivative, numeric, rtol=1e-6, atol=1e-9)


def networks() -> dict[str, NetworkSpec]:
    cuba = CubaLIF(tau_m=10 * ms, R=12.0)
    field = CubaLIF(tau_m=np.linspace(5, 20, 4 * 4 * 3).reshape(4, 4, 3) * ms, R=12.0)
    convs = [
        Conv(4, 3, field, padding=1, pool=2, weights=Normal(3.0)),
        Conv(5, 2, cuba, stride=2, dropout=0.3),
        Dense(6, cuba),
    ]
    strided = [Conv(4, 2, cuba, pool=2, stride=2, weights=Normal(5.0)), Dense(6, cuba)]
    return {
        "conv-conv-dense": NetworkSpec(Input((2, 9, 7), Spikes()), convs, Readout(4), duration=12 * ms),
        "pool-not-folded": NetworkSpec(Input((2, 9, 7), Spikes()), strided, Readout(4, tau=6 * ms), duration=12 * ms),
        "no-readout": NetworkSpec(Input((8,), Spikes()), [Dense(9, cuba), Dense(5, cuba)], None, duration=12 * ms),
    }


@pytest.mark.parametrize("name", networks())
def test_weight_gradients(name: str) -> None:
    """Through whole networks: kernels, folded pools and memory layouts against plain torch, layer by layer."""
    spec = networks()[name]
    g = torch.Generator().manual_seed(2)
    x = (torch.rand((12, 3, *spec.input.shape), generator=g) < 0.4).double()
    grads = []
    for kernels in (True, False):
        module = export(spec, kernels=kernels, dtype=torch.float64, seed=3)
        torch.manual_seed(0)  # dropout
        (module.train()(x).logits ** 2).sum().backward()
        grads.append({n: p.grad for n, p in module.named_parameters()})
    assert set(grads[0]) == {p.name for p in spec.projections} | ({"readout"} if spec.readout else set())
    for layer, expected in grads[1].items():
        close(grads[0][layer], expected, 1e-10)


def test_folded_pool_equals_the_pool() -> None:
    from brianlearn.discrete.maps.base import SynapticMap, unflatten

    cuba = CubaLIF()
    for kernel, stride, padding, pool in [(3, 1, 0, 2), (3, 2, 1, 3), (5, 1, 2, 2), (2, 2, 0, 2), (3, 1, 1, 1)]:
        layer = Conv(4, kernel, cuba, stride=stride, padding=padding, pool=pool)
        p = NetworkSpec(Input((3, 13, 11)), [layer], None, duration=10 * ms).projections[0]
        w = torch.randn(p.weight_shape, dtype=torch.float64)
        s = torch.rand((2, 3, 3, 13, 11), dtype=torch.float64)
        sums, last = SynapticMap(p)(s, w)
        plain = torch.nn.functional.conv2d(s.flatten(0, 1), w, stride=stride, padding=padding)
        plain = torch.nn.functional.avg_pool2d(plain, pool).view(2, 3, *p.out_shape)
        torch.testing.assert_close(unflatten(sums, p.out_shape, last), plain)


def test_postsynaptic_potential() -> None:
    s = (torch.rand((20, 3, 5), dtype=torch.float64) < 0.3).double().requires_grad_()
    a = postsynaptic_potential(s, 0.8)
    expected, value = [], torch.zeros(3, 5, dtype=torch.float64)
    for t in range(20):
        value = 0.8 * value + 0.2 * s[t]
        expected.append(value)
    torch.testing.assert_close(a, torch.stack(expected))
    weights = torch.randn(a.shape, dtype=torch.float64)
    (grad,) = torch.autograd.grad((a * weights).sum(), s)
    (same,) = torch.autograd.grad((torch.stack(expected) * weights).sum(), s)
    torch.testing.assert_close(grad, same)
    assert filter_program(0.8).spike is None
