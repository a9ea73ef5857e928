"""References from synapses to elements of another group, which Brian2 does not document, work on every device."""

from __future__ import annotations

import numpy as np
import pytest
from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, ms
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice
from brian2.devices.device import reset_device, set_device

from brianlearn.brian.build.shared_weights import connect_shared
from brianlearn.brian.run.preferences import preferences


def _run(device: str, folder: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three sources, two targets, four synapses that share two weights; every source fires once."""
    if device == "cpp_standalone":
        set_device(CPPStandaloneDevice(), directory=folder, with_output=False)
    try:
        with preferences("float64", None if device == "cpp_standalone" else device):
            source = SpikeGeneratorGroup(3, [0, 1, 2], [0, 1, 2] * ms, dt=1 * ms)
            target = NeuronGroup(2, "x : 1\nL : 1", dt=1 * ms)
            back = NeuronGroup(3, "total : 1", dt=1 * ms)
            weights = NeuronGroup(2, "weight : 1\ngradient : 1", dt=1 * ms)
            model = "weight_index : integer (constant)"
            synapses = Synapses(
                source,
                target,
                model,
                on_pre={"deliver": "x_post += weight", "learn": "gradient += 1 + j"},
                dt=1 * ms,
            )
            pre, post, index = np.array([[0, 0, 1, 2], [0, 1, 1, 0], [0, 1, 0, 1]])
            connect_shared(synapses, weights, ("weight", "gradient"), pre, post, index)
            feedback = Synapses(back, target, f"{model}\ntotal_pre = weight*2 : 1 (summed)", dt=1 * ms)
            connect_shared(
                feedback, weights, ("weight",), np.array([0, 0, 2]), np.array([0, 1, 1]), np.array([0, 1, 1])
            )
            weights.weight = [3.0, 5.0]
            Network(source, target, back, weights, synapses, feedback).run(4 * ms)
            return np.array(target.x), np.array(weights.gradient), np.array(back.total)
    finally:
        if device == "cpp_standalone":
            reset_device()


@pytest.mark.parametrize(
    "device", ["numpy", pytest.param("cpp_standalone", marks=[pytest.mark.cpp_standalone, pytest.mark.timeout(300)])]
)
def test_synapses_share_weights(device: str, tmp_path: object) -> None:
    x, gradient, total = _run(device, str(tmp_path))
    assert x.tolist() == [3.0 + 5.0, 5.0 + 3.0]
    # weight 0 is used by synapses onto targets 0 and 1, weight 1 by synapses onto targets 1 and 0
    assert gradient.tolist() == [(1 + 0) + (1 + 1), (1 + 1) + (1 + 0)]
    assert total.tolist() == [2 * 3.0 + 2 * 5.0, 0.0, 2 * 5.0]
