"""Networks as plain Brian2 objects, and as scripts: the same spikes and readouts as the engines'."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import SpikeMonitor, StateMonitor, ms, mV, nS, pF
from recurrent_reference import ENTANGLED, NEURONS, samples
from test_brian2_timing import some, timed
from test_delays import each
from test_export import trained_run
from test_recurrent import loop
from typer.testing import CliRunner

import brianlearn as bl
from brianlearn.brian.export.plain_script import export_script
from brianlearn.cli import app
from brianlearn.errors import BrianLearnError

KINDS = {**NEURONS, **ENTANGLED}


def conv(timing: str) -> bl.NetworkSpec:
    """Shared weights, a pool, units, a floor, constants by neuron, and a readout without memory."""
    neuron = bl.Neuron(
        "dv/dt = (g*(E - v) - g_l*(v - v_r))/C : volt\ndg/dt = -g/tau : siemens",
        threshold="v > -50*mV",
        reset="v = v_r",
        input="g",
        constants=dict(E=0 * mV, g_l=10 * nS, v_r=-70 * mV, C=200 * pF, tau=5 * ms),
        weight_unit=20 * nS,
        v_scale=20 * mV,
        initial=dict(v=-70 * mV),
        refractory=2 * ms,
    )
    taus = np.linspace(5, 20, 32) * ms
    layers = [
        bl.Conv(2, 3, bl.CubaLIF(tau_s=3 * ms, R=8.0, floor=-0.5), pool=2, name="conv"),
        bl.Dense(32, bl.CubaLIF(tau_m=taus, R=8.0), name="own"),
        bl.Dense(6, neuron, name="units"),
    ]
    return bl.NetworkSpec(bl.Input((1, 8, 8)), layers, bl.Readout(3, tau=None), 20 * ms, timing=timing)


def strong(learner: bl.Learner) -> bl.LearnerState:
    """Weights with which all populations of `conv` fire."""
    found = learner.init().weights
    scales = {"conv": 20.0, "own": 3.0, "units": 2.0}
    return learner.init(
        {n: np.abs(w) * scales.get(n, 1.0) if n == "conv" else w * scales.get(n, 1.0) for n, w in found.items()}
    )


def check(spec: bl.NetworkSpec, x: np.ndarray, init: Any = bl.Learner.init) -> None:
    """Objects made by `to_brian2` and what numpy does with the learner's own."""
    learner = bl.Learner(spec, None, dtype="float64", batch_size=1, engine="brian", device="numpy")
    state = init(learner)
    found = learner.infer(state, bl.Samples(x[:1]), record=("spikes", "readout"))
    network = bl.to_brian2(spec, state.weights, bl.Samples(x[:1]))
    monitors = {name: SpikeMonitor(network[name]) for name in found.spikes}
    output = StateMonitor(network[spec.output], "y", record=True, when="end")
    network.add(*monitors.values(), output)
    network.run(spec.duration)
    for name, monitor in monitors.items():
        raster = np.zeros((spec.n_steps, network[name].N), bool)
        raster[np.round(np.asarray(monitor.t / spec.dt)).astype(int), np.asarray(monitor.i)] = True
        np.testing.assert_array_equal(raster, found.spikes[name].dense().reshape(raster.shape), err_msg=name)
        assert raster.any(), f"{name} is silent in this test"
    np.testing.assert_allclose(output.y.T, found.recorded["readout"][spec.output].values[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("neuron", some(("subtracts", "frozen"), KINDS))
def test_objects_in_the_schedule_of_brian2(neuron: str) -> None:
    check(timed(KINDS[neuron], (0, 1, 2)), samples(3)[0])


@pytest.mark.parametrize("neuron", some(("cuba", "frozen"), KINDS))
def test_objects_with_slots_of_their_own(neuron: str) -> None:
    check(loop(KINDS[neuron]), samples(3)[0])


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
def test_a_delay_for_each_synapse(timing: str) -> None:
    check(each(timing), samples(3)[0])


@pytest.mark.parametrize("timing", ["same_step", "brian2"])
def test_convolutions_units_and_floors(timing: str) -> None:
    check(conv(timing), np.random.default_rng(1).uniform(0.2, 0.9, (1, 1, 8, 8)), strong)


@pytest.mark.parametrize("encoder", [bl.DirectCurrent(), bl.PoissonEncoder(), bl.Spikes()])
@pytest.mark.parametrize("timing", ["same_step", "brian2"])
def test_inputs(timing: str, encoder: Any) -> None:
    spec = bl.NetworkSpec(
        bl.Input((6,), encoder),
        [bl.Dense(8, bl.CubaLIF(R=12.0), name="a", bias=bl.Constant(0.1))],
        bl.Readout(3, tau=5 * ms),
        14 * ms,
        timing=timing,
    )
    rng = np.random.default_rng(2)
    steps, neurons = np.nonzero(rng.random((14, 6)) < 0.4)
    events = bl.Events(steps, neurons, np.array([0, len(steps)]), (6,))
    check(spec, events if isinstance(encoder, bl.Spikes) else rng.uniform(0.3, 0.9, (1, 6)))


def test_equal_time_constants_have_a_propagator_of_their_own() -> None:
    """Where Brian2's symbolic solution divides by zero."""
    check(timed(bl.CubaLIF(tau_m=5 * ms, tau_s=5 * ms, R=6.0), (1, 1, 1)), samples(3)[0])


def test_users_go_on_from_there() -> None:
    spec, x = timed(), samples(3)[0]
    weights = bl.Learner(spec, None, engine="brian", device="numpy").init().weights
    silent = bl.to_brian2(spec, weights)
    monitor = SpikeMonitor(silent["input"])
    silent.add(monitor)
    silent.run(5 * ms)
    assert not monitor.num_spikes
    silent["input"].x = x[0]
    silent["first"].run_regularly("v += 0.1", name="extra")
    silent.run(9 * ms)
    assert monitor.num_spikes and len(silent["synapses_in1"]) == 48


def run_script(folder: Path) -> str:
    program = (
        "import runpy, brian2\nbrian2.prefs.codegen.target = 'numpy'\nrunpy.run_path('network.py', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("make", ["recurrent", pytest.param("conv", marks=pytest.mark.slow)])
def test_a_script_fires_the_same_spikes(make: str, tmp_path: Path) -> None:
    spec = each("brian2") if make == "recurrent" else conv("same_step")
    x = samples(3)[0] if make == "recurrent" else np.random.default_rng(1).uniform(0.2, 0.9, (1, 1, 8, 8))
    learner = bl.Learner(spec, None, dtype="float64", batch_size=1, engine="brian", device="numpy")
    state = strong(learner) if make == "conv" else learner.init()
    spikes = learner.infer(state, bl.Samples(x[:1]), record=("spikes",)).spikes
    folder = export_script(spec, state.weights, tmp_path / "network", bl.Samples(x[:1]))
    text = (folder / "network.py").read_text()
    assert "brianlearn" not in text.partition('"""')[2].partition('"""')[2]
    output = run_script(folder)
    for name, raster in spikes.items():
        assert f"{name}: {len(raster.step)} spikes" in output and len(raster.step)


@pytest.mark.slow
def test_a_run_becomes_a_script(tmp_path: Path) -> None:
    call, trained = CliRunner().invoke, trained_run(tmp_path)
    target = tmp_path / "plain"
    for timing in ([], ["--timing", "brian2"]):
        result = call(app, ["export", str(trained), str(target), "--to", "brian2", *timing])
        assert result.exit_code == 0 and "etwork.py" in result.output, result.output
        assert "dense1: " in run_script(target)
        target = tmp_path / "again"
    again = call(app, ["export", str(trained), str(target), "--to", "brian2"])
    assert again.exit_code == 1 and "exists already" in again.output


WRONG = {
    "pipelined": (lambda: bl.to_brian2(conv("pipelined"), {}), "pipelined"),
    "noise": (
        lambda: bl.to_brian2(
            timed(bl.LIF(equations="dv/dt = -v/tau_m + 0.1*xi*tau_m**-0.5 : 1", method="euler"), (1, 1, 1)), {}
        ),
        "other random numbers",
    ),
    "weights": (lambda: bl.to_brian2(timed(), {}), "in1"),
    "samples": (
        lambda: bl.to_brian2(
            timed(), bl.Learner(timed(), None, engine="discrete").init().weights, bl.Samples(samples(0)[0])
        ),
        "3 samples",
    ),
    "a folder": (
        lambda: export_script(
            timed(), bl.Learner(timed(), None, engine="discrete").init().weights, Path(__file__).parent
        ),
        "exists already",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_named(what: str) -> None:
    make, text = WRONG[what]
    with pytest.raises(BrianLearnError, match=text):
        make()
