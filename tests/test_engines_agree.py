"""Every neuron, layer and encoder fires the same spikes in both engines: 200 samples each, double precision."""

from __future__ import annotations

import numpy as np
import pytest
from brian2 import ms, prefs
from cases import CASES, dense, one_convolution, two_convolutions

from brianlearn.learning import initial_weights
from brianlearn.network import (
    AdaptiveLIF,
    CubaLIF,
    DaltonIF,
    DirectCurrent,
    Encoder,
    Input,
    IntegrateAndFireEncoder,
    NetworkSpec,
    PoissonEncoder,
    Samples,
    SequenceLIF,
    STBPNeuron,
    TimeToFirstSpikeEncoder,
)
from brianlearn.training.verify import verify

SAMPLES = 200


def _with(spec: NetworkSpec, encoder: Encoder) -> NetworkSpec:
    return NetworkSpec(Input(spec.input.shape, encoder), spec.layers, spec.readout, duration=spec.duration)


ENCODERS = {
    "if": IntegrateAndFireEncoder(),
    "bernoulli": PoissonEncoder(),
    "latency": TimeToFirstSpikeEncoder(),
    "direct": DirectCurrent(0.5),
}
NETWORKS: dict[str, NetworkSpec] = {
    **{f"dense-{name}": _with(dense(), encoder) for name, encoder in ENCODERS.items()},
    **{f"conv-{name}": _with(two_convolutions(), encoder) for name, encoder in ENCODERS.items()},
    "conv-dense": one_convolution(),
    "adaptive-dalton": dense(AdaptiveLIF(), DaltonIF()),
    "cuba-stbp": dense(CubaLIF(R=4.0), STBPNeuron()),
    "sequence": dense(SequenceLIF(tau_m=5 * ms, tau_s=3 * ms)),
    **{
        name: CASES[name].spec
        for name in (
            *("delta-synapses", "heterogeneous", "equal-time-constants", "subtractive-reset", "refractory", "eif"),
            *("frozen-while-refractory", "conductance-based", "mixed-neurons", "leaky-readout", "burn-in"),
        )
    },
}


def check(name: str, device: str) -> None:
    spec = NETWORKS[name]
    rng = np.random.default_rng(7)
    samples = Samples(rng.uniform(0, 0.9, (SAMPLES, *spec.input.shape)), rng.integers(0, spec.classes, SAMPLES))
    found = verify(spec, initial_weights(spec, seed=3), samples, device=device)
    assert found.agrees, found.rows()
    assert found.spikes > 1000, "too few spikes to show anything"


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_on_numpy(name: str) -> None:
    check(name, "numpy")


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("name", NETWORKS)
def test_on_cpp_standalone(name: str) -> None:
    check(name, "cpp_standalone")


@pytest.mark.slow
@pytest.mark.cpp_standalone
@pytest.mark.parametrize("name", NETWORKS)
def test_in_cython(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(prefs, "codegen.cpp.extra_compile_args_gcc", ["-w", "-O0"])  # compiles in half the time
    check(name, "cython")
