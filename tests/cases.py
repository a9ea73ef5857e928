"""Networks and rules on which engines and devices are compared with the reference, weight by weight."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import reference
from brian2 import Mohm, ms, mV, nA, nS
from scipy.linalg import expm

from brianlearn.learning import DALTON, SGD, TFR, Adam, LearnerState, Momentum, initial_weights
from brianlearn.learning.dropout import draw_dropout_mask
from brianlearn.network import (
    LIF,
    AdaptiveLIF,
    Conv,
    CubaLIF,
    DaltonIF,
    Dense,
    DirectCurrent,
    Gaussian,
    Input,
    NetworkSpec,
    Neuron,
    Normal,
    Readout,
    Samples,
)

DT = 1e-3


@dataclass(frozen=True, eq=False)
class Case:
    """One comparison: what is built, what teaches it, and neurons of the reference where they are no preset."""

    spec: NetworkSpec
    rule: Any = field(default_factory=DALTON)
    optimiser: Any = field(default_factory=lambda: Adam(1e-3))
    batch: int = 3
    n: int = 5
    neurons: Mapping[str, reference.Neuron] = field(default_factory=dict)

    def weights(self) -> dict[str, np.ndarray]:
        return initial_weights(self.spec, self.rule, seed=4)

    def samples(self) -> Samples:
        rng = np.random.default_rng(11)
        values = rng.uniform(0.0, 0.6, (self.n, *self.spec.input.shape))
        return Samples(values, rng.integers(0, self.spec.classes, self.n))

    def reference(self) -> reference.Result:
        samples = self.samples()
        return reference.run(
            self.spec,
            self.weights(),
            samples.inputs,
            samples.labels,
            self.rule,
            self.optimiser,
            self.batch,
            neurons=self.neurons,
            masks=self.masks(),
        )

    def masks(self) -> dict[str, np.ndarray]:
        """What dropout leaves of each layer's spikes, as a learner with seed 0 draws it in its first epoch."""
        keys = LearnerState({}).sample_keys(self.samples().ids, learning=True)
        masks = {}
        for p in self.spec.projections:
            rate, shape = p.layer.dropout, p.out_shape
            if p.layer.dropout_every == "step":
                shape = (self.spec.n_steps, *shape)
            if rate:
                masks[p.name] = draw_dropout_mask(rate, p.name, shape, keys) / (1 - rate)
        return masks

    def reference_inference(self) -> reference.Result:
        samples = self.samples()
        return reference.run(self.spec, self.weights(), samples.inputs, samples.labels, neurons=self.neurons)


# networks ------------------------------------------------------------------------------------------------------------

STRONG = Normal(3.0)


def dense(first: Neuron | None = None, second: Neuron | None = None, **options: Any) -> NetworkSpec:
    first = first or CubaLIF(R=4.0)
    layers = [Dense(9, first, weights=STRONG), Dense(7, second or first, weights=STRONG)]
    return NetworkSpec(
        **(dict(input=Input((12,)), layers=layers, readout=Readout(4), duration=15 * ms) | options)  # type: ignore[arg-type]
    )


def one_convolution(dropout: float = 0.0, every: str = "trial") -> NetworkSpec:
    neuron = DaltonIF()
    layers = [
        Conv(3, 3, neuron, pool=2, weights=STRONG, dropout=dropout, dropout_every=every),
        Dense(8, neuron),
        Dense(6, neuron, dropout=dropout, dropout_every=every),
    ]
    return NetworkSpec(Input((1, 8, 8)), layers, Readout(4), duration=15 * ms)


def two_convolutions() -> NetworkSpec:
    neuron = DaltonIF()
    layers = [
        Conv(3, 3, neuron, padding=1, pool=2, weights=STRONG),
        Conv(4, 2, neuron, stride=2, weights=STRONG),
        Dense(6, neuron),
    ]
    return NetworkSpec(Input((2, 9, 8)), layers, Readout(4), duration=12 * ms)


def strided_and_pooled() -> NetworkSpec:
    """Windows that overlap, a stride, padding, and a rest that fills no pool."""
    neuron = CubaLIF(R=16.0)
    layers = [
        Conv(3, 3, neuron, stride=2, padding=2, pool=2, weights=STRONG),
        Conv(2, 2, neuron, padding=1, pool=2, weights=STRONG),
    ]
    return NetworkSpec(Input((2, 13, 10), DirectCurrent(gain=0.5)), layers, Readout(4), duration=12 * ms)


# neurons beyond the presets -----------------------------------------------------------------------------------------

EIF = Neuron(
    """dv/dt = (-v + delta_T*exp((v - v_T)/delta_T) + I)/tau_m : 1
    dI/dt = -I/tau_s : 1""",
    threshold="v > 2",
    reset="v = 0",
    input="I",
    constants=dict(delta_T=0.2, v_T=0.8, tau_m=10 * ms, tau_s=5 * ms),
    weight_unit=3.0,
    method="euler",
)


def reference_eif() -> reference.Neuron:
    return reference.eif(DT, 10e-3, 5e-3, 0.2, 0.8, 2.0, weight_unit=3.0)


CONDUCTANCE = Neuron(
    """dv/dt = (g_L*(E_L - v) + g*(E_e - v))/C : volt (unless refractory)
    dg/dt = -g/tau_s : siemens""",
    threshold="v > v_T",
    reset="v = E_L",
    input="g",
    constants=dict(g_L=10 * nS, E_L=-70 * mV, E_e=0 * mV, C=(10 * nS) * (15 * ms), tau_s=5 * ms, v_T=-50 * mV),
    refractory=2 * ms,
    v_scale=20 * mV,
    weight_unit=8 * nS,
    initial=dict(v=-70 * mV),
    surrogate=Gaussian(0.8),
)


def reference_conductance() -> reference.Neuron:
    """Exponential Euler by hand: v relaxes to its steady state at the conductance of the start of the step."""
    g_L, E_L, E_e, C, tau_s, v_T = 10e-9, -70e-3, 0.0, 10e-9 * 15e-3, 5e-3, -50e-3

    def step(state: reference.State, moving: Mapping[str, np.ndarray]) -> reference.State:
        v, g = state["v"], state["g"]
        rate, target = (g_L + g) / C, (g_L * E_L + g * E_e) / (g_L + g)
        relaxed = target + (v - target) * np.exp(-rate * DT)
        return {"v": np.where(moving["v"], relaxed, v), "g": g * np.exp(-DT / tau_s)}

    return reference.Neuron(
        step,
        input="g",
        states=("v", "g"),
        threshold=lambda state: v_T,
        reset=lambda state: state | {"v": np.full_like(state["v"], E_L)},
        psi=reference.gaussian(0.8),
        v_scale=20e-3,
        weight_unit=8e-9,
        refractory=2,
        frozen=("v",),
        initial={"v": E_L},
    )


FROZEN = Neuron(
    """dv/dt = (I - v)/tau_m : 1 (unless refractory)
    dI/dt = -I/tau_s : 1""",
    threshold="v > 1",
    reset="v = 0",
    input="I",
    constants=dict(tau_m=15 * ms, tau_s=5 * ms),
    refractory=3 * ms,
    weight_unit=4.0,
)


def reference_frozen() -> reference.Neuron:
    a, b, k = reference.cuba_coefficients(DT, 15e-3, 5e-3, 1.0)
    return reference.cuba_lif(a, b, k, refractory=3, frozen=("v",), weight_unit=4.0)


#: Variables that drive each other: a step that updates one after the other is another neuron.
COUPLED = Neuron(
    """dv/dt = (I - v - w)/tau_m : 1
    dw/dt = (2*v - w)/tau_w : 1
    dI/dt = -I/tau_s : 1""",
    threshold="v > 1",
    reset="v = 0",
    input="I",
    constants=dict(tau_m=9 * ms, tau_w=4 * ms, tau_s=5 * ms),
    weight_unit=6.0,
)


def reference_coupled() -> reference.Neuron:
    tau_m, tau_w, tau_s = 9e-3, 4e-3, 5e-3
    rates = np.array([[-1 / tau_m, -1 / tau_m, 1 / tau_m], [2 / tau_w, -1 / tau_w, 0], [0, 0, -1 / tau_s]])
    P = expm(rates * DT)

    def step(state: reference.State, moving: Mapping[str, np.ndarray]) -> reference.State:
        v, w, current = np.tensordot(P, np.stack([state[name] for name in ("v", "w", "I")]), axes=1)
        return {"v": v, "w": w, "I": current}

    return reference.Neuron(step, input="I", states=("v", "w", "I"), weight_unit=6.0)


FROZEN_DELTA = LIF(equations="dv/dt = -v/tau_m : 1 (unless refractory)", refractory=2 * ms)


#: A membrane and an input variable with units, weights and surrogate that are scaled to them.
SCALED = Neuron(
    """dv/dt = (R*I - v)/tau_m : volt
    dI/dt = -I/tau_s : amp""",
    threshold="v > 20*mV",
    reset="v = 0*mV",
    input="I",
    constants=dict(tau_m=20 * ms, tau_s=5 * ms, R=80 * Mohm),
    v_scale=20 * mV,
    weight_unit=1 * nA,
)


def reference_scaled() -> reference.Neuron:
    a, b, k = reference.cuba_coefficients(DT, 20e-3, 5e-3, 80e6)
    return reference.cuba_lif(a, b, k, threshold=lambda state: 20e-3, v_scale=20e-3, weight_unit=1e-9)


def _heterogeneous(n: int) -> Neuron:
    rng = np.random.default_rng(2)
    tau_m = rng.uniform(8, 30, n)
    tau_m[0] = 5.0  # one neuron at the singular point tau_m = tau_s
    return CubaLIF(tau_m=tau_m * ms, tau_s=5 * ms, R=4.0)


CASES: dict[str, Case] = {
    f"{net}-{rule.name}-{type(optimiser).__name__.lower()}-batch{batch}": Case(make(), rule, optimiser, batch)
    for net, make in {"dense": dense, "conv": one_convolution, "conv-conv": two_convolutions}.items()
    for rule in (TFR(), DALTON())
    for optimiser in (SGD(1e-2), Adam(1e-3))
    for batch in (1, 3)
}
CASES |= {
    "momentum": Case(dense(), optimiser=Momentum(1e-2)),
    "mirror-dense": Case(dense(), DALTON(feedback="mirror")),
    "mirror-conv": Case(two_convolutions(), DALTON(feedback="mirror"), SGD(1e-2)),
    "mirror-tfr": Case(one_convolution(), TFR(feedback="mirror")),
    "step-sgd": Case(dense(), DALTON(update="step"), SGD(1e-2), batch=1),
    "step-sgd-conv-tfr": Case(one_convolution(), TFR(update="step"), SGD(1e-2), batch=1),
    "step-sgd-mirror": Case(one_convolution(), DALTON(update="step", feedback="mirror"), SGD(1e-2), batch=1),
    "step-adam": Case(dense(), DALTON(update="step"), Adam(1e-4), batch=1, n=3),
    "step-sgd-conv-dalton": Case(two_convolutions(), DALTON(update="step"), SGD(1e-2), batch=1),
    "step-adam-conv": Case(two_convolutions(), DALTON(update="step"), Adam(1e-4), batch=1, n=3),
    "step-leaky-readout": Case(dense(readout=Readout(4, tau=8 * ms)), DALTON(update="step"), SGD(1e-2), batch=1, n=3),
    "step-burn-in-of-the-rule": Case(dense(burn_in=2 * ms), TFR(update="step", burn_in=5 * ms), SGD(1e-2), batch=1),
    "strided-and-pooled": Case(strided_and_pooled(), DALTON(), SGD(1e-1)),
    "burn-in": Case(dense(burn_in=4 * ms)),
    "burn-in-of-the-rule": Case(dense(burn_in=2 * ms), DALTON(burn_in=5 * ms)),
    "leaky-readout": Case(dense(readout=Readout(4, tau=8 * ms)), TFR()),
    "learning-rate-scale": Case(dense(), DALTON(learning_rate_scale={"dense1": 3.0, "dense2": 0.0}), SGD(1e-2)),
    "direct-current": Case(dense(input=Input((12,), DirectCurrent(gain=0.5)))),
    "equal-time-constants": Case(dense(CubaLIF(tau_m=7 * ms, tau_s=7 * ms, R=4.0))),
    "heterogeneous": Case(dense(_heterogeneous(9), CubaLIF(R=4.0))),
    "delta-synapses": Case(dense(LIF())),
    "subtractive-reset": Case(dense(CubaLIF(R=4.0, reset="v -= 1"))),
    "adaptive": Case(dense(AdaptiveLIF())),
    "refractory": Case(dense(CubaLIF(R=4.0, refractory=2 * ms))),
    "frozen-while-refractory": Case(
        dense(FROZEN), neurons={"dense1": reference_frozen(), "dense2": reference_frozen()}
    ),
    "frozen-delta-synapses": Case(dense(FROZEN_DELTA)),
    "trace": Case(dense(), DALTON(eligibility="trace")),
    "trace-tfr": Case(
        dense(LIF(), SCALED), TFR(eligibility="trace"), SGD(1e-2), neurons={"dense2": reference_scaled()}
    ),
    "trace-conv": Case(two_convolutions(), DALTON(eligibility="trace")),
    "trace-mirror": Case(one_convolution(), DALTON(eligibility="trace", feedback="mirror"), SGD(1e-2)),
    "trace-step": Case(dense(), DALTON(eligibility="trace", update="step"), SGD(1e-2), batch=1),
    "trace-coupled": Case(
        dense(COUPLED),
        DALTON(eligibility="trace"),
        SGD(1e-2),
        neurons={"dense1": reference_coupled(), "dense2": reference_coupled()},
    ),
    "trace-direct-current": Case(
        dense(AdaptiveLIF(), input=Input((12,), DirectCurrent(gain=0.5))), TFR(eligibility="trace", burn_in=3 * ms)
    ),
    "trace-frozen": Case(
        dense(FROZEN),
        DALTON(eligibility="trace"),
        neurons={"dense1": reference_frozen(), "dense2": reference_frozen()},
    ),
    "dropout": Case(one_convolution(dropout=0.3)),
    "dropout-tfr": Case(one_convolution(dropout=0.3), TFR(), SGD(1e-2)),
    "dropout-step-mask": Case(one_convolution(dropout=0.3, every="step")),
    "dropout-step-mask-trace": Case(one_convolution(dropout=0.3, every="step"), DALTON(eligibility="trace"), SGD(1e-2)),
    "dropout-step-mask-online": Case(
        one_convolution(dropout=0.3, every="step"), DALTON(update="step"), SGD(1e-3), batch=1, n=3
    ),
    "dropout-step-mask-burn-in": Case(one_convolution(dropout=0.3, every="step"), DALTON(burn_in=5 * ms), SGD(1e-2)),
    "dropout-trace": Case(one_convolution(dropout=0.3), DALTON(eligibility="trace"), SGD(1e-2)),
    "dropout-trace-mirror": Case(one_convolution(dropout=0.3), DALTON(eligibility="trace", feedback="mirror")),
    "eif": Case(dense(EIF), neurons={"dense1": reference_eif(), "dense2": reference_eif()}),
    "conductance-based": Case(
        dense(CONDUCTANCE), neurons={"dense1": reference_conductance(), "dense2": reference_conductance()}
    ),
    "mixed-neurons": Case(
        dense(EIF, CONDUCTANCE), TFR(), neurons={"dense1": reference_eif(), "dense2": reference_conductance()}
    ),
}

#: Every mechanism once; what is compiled for each device in the fast tests.
COMPILED = [
    "conv-conv-dalton-adam-batch3",
    "conv-tfr-sgd-batch1",
    "mirror-conv",
    "step-sgd-mirror",
    "step-adam-conv",
    "strided-and-pooled",
    "frozen-while-refractory",
    "mixed-neurons",
    "dropout-step-mask-trace",
]

#: Every mechanism once, for the fast tests of the discrete engine.
MECHANISMS = [
    "conv-conv-dalton-adam-batch3",
    "conv-tfr-sgd-batch3",
    "mirror-conv",
    "step-sgd-conv-tfr",
    "step-adam",
    "step-leaky-readout",
    "step-burn-in-of-the-rule",
    "trace-coupled",
    "burn-in-of-the-rule",
    "leaky-readout",
    "learning-rate-scale",
    "direct-current",
    "heterogeneous",
    "adaptive",
    "frozen-while-refractory",
    "mixed-neurons",
    "trace-tfr",
    "trace-conv",
    "trace-step",
    "trace-direct-current",
    "dropout",
    "dropout-trace-mirror",
    "dropout-step-mask",
    "dropout-step-mask-trace",
    "dropout-step-mask-online",
    "dropout-step-mask-burn-in",
]
