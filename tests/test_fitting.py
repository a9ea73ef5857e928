"""Fits of constants to recordings: what is recovered, from arrays, neo and NWB; losses, refusals."""

from __future__ import annotations

import runpy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brian2 import (
    Mohm,
    NeuronGroup,
    Quantity,
    SpikeMonitor,
    StateMonitor,
    TimedArray,
    amp,
    defaultclock,
    ms,
    mV,
    nS,
    pA,
    prefs,
    run,
    second,
    start_scope,
    volt,
)

import brianlearn as bl

torch = pytest.importorskip("torch")
pytest.importorskip("numba")

SPECS = Path(__file__).parents[1] / "network_specs"
TRUE = dict(tau=12 * ms, R=150 * Mohm, E=-68 * mV, V_r=-62 * mV)
BOUNDS = dict(tau=(5 * ms, 40 * ms), R=(50 * Mohm, 300 * Mohm), E=(-75 * mV, -60 * mV), V_r=(-75 * mV, -55 * mV))


def cell(learn: Any = None, threshold: str = "v > -50*mV", **changes: Any) -> bl.Neuron:
    declared = [bl.Learned(name, bounds=ends) for name, ends in BOUNDS.items()]
    fields: dict[str, Any] = dict(
        equations="dv/dt = (E - v + R*I)/tau : volt\ndI/dt = 0*amp/second : amp",
        threshold=threshold,
        reset="v = V_r",
        input="I",
        constants={name: (low + high) / 2 for name, (low, high) in BOUNDS.items()},
        initial=dict(v=-68 * mV),
        v_scale=10 * mV,
        weight_unit=1 * pA,
        learn=declared if learn is None else learn,
    )
    return bl.Neuron(**(fields | changes))


@pytest.fixture(scope="module")
def recorded() -> bl.Sweeps:
    """From plain Brian2: two sweeps of a current that changes in every step."""
    start_scope()
    before = prefs.codegen.target
    prefs.codegen.target = "numpy"
    defaultclock.dt = 0.1 * ms
    rng = np.random.default_rng(3)
    current = (np.array([[90.0], [160.0]]) + 60 * rng.normal(size=(2, 1200))).astype(float) * pA
    given = TimedArray(np.asarray(current).T * amp, dt=0.1 * ms)
    group = NeuronGroup(
        2,
        "dv/dt = (E - v + R*given(t, i))/tau : volt",
        threshold="v > -50*mV",
        reset="v = V_r",
        method="exponential_euler",
        namespace={**TRUE, "given": given},
    )
    group.v = -68 * mV
    voltage, spikes = StateMonitor(group, "v", record=True, when="thresholds"), SpikeMonitor(group)
    run(120 * ms)
    prefs.codegen.target = before
    times = [spikes.spike_trains()[k] for k in (0, 1)]
    assert len(times[1]) > 3
    return bl.Sweeps(current, 0.1 * ms, np.asarray(voltage.v) * volt, times)


def test_constants_are_found_again(recorded: bl.Sweeps) -> None:
    found = bl.fit(cell(), recorded, bl.TraceMSE(1 * mV), iterations=40, starts=2, seed=1)
    for name, true in TRUE.items():
        assert found.constants[name].dim is Quantity(true).dim
        np.testing.assert_allclose(np.asarray(found.constants[name]), float(true), rtol=1e-5)
    assert (found.losses < 1e-8).all() and (found.victor_purpura < 1e-9).all()
    assert not found.neuron.learn and "12 " in found.describe().replace("\n", " ") + " "
    again = found.simulate()  # with its own spikes: those of Brian2, and its voltage
    assert np.array_equal(again.fired(), recorded.fired())
    np.testing.assert_allclose(np.asarray(again.voltage), np.asarray(recorded.voltage), atol=1e-7)


def test_starts_are_those_of_their_seeds(recorded: bl.Sweeps) -> None:
    both = bl.fit(cell(), recorded[:1], iterations=3, polish=0, starts=2, seed=5)
    second_one = bl.fit(cell(), recorded[:1], iterations=3, polish=0, seed=6)
    assert np.asarray(both.constants["tau"])[1] == np.asarray(second_one.constants["tau"])[0]
    assert both.losses[0] != both.losses[1] and both.losses[1] == second_one.losses[0]


def test_gradients_with_recorded_spikes_are_derivatives(recorded: bl.Sweeps) -> None:
    """Central differences of the loss itself: between recorded resets everything is smooth."""
    import dataclasses

    from brianlearn.discrete.run.clamped import Injected
    from brianlearn.training.fit_start import _measure
    from brianlearn.training.fitting import _drawn, _spec

    learning = dataclasses.replace(cell(), learn=[_drawn(cell(), one) for one in cell().learn])
    spec = _spec(learning, recorded)
    numbers = {one.key: torch.tensor(one.initial(3)).requires_grad_() for one in spec.learned_constants}
    injected = Injected(spec, recorded=True, parameters=numbers)
    delivered = injected.delivered(np.asarray(recorded.current) / 1e-12, recorded.fired())
    measure = _measure(bl.TraceMSE(1 * mV), recorded, spec)
    value = measure(*injected.run(delivered))
    grads = torch.autograd.grad(value, list(numbers.values()))
    for tensor, grad in zip(numbers.values(), grads, strict=True):
        ends = []
        for h in (1e-6, -1e-6):
            with torch.no_grad():
                tensor += h
                ends.append(float(measure(*injected.run(delivered))))
                tensor -= h
        assert float(grad) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6)


def test_spike_trains_as_the_target(recorded: bl.Sweeps) -> None:
    """A neuron that fires too little comes closer to the recorded spikes."""
    learn = (bl.Learned("R", bounds=(50 * Mohm, 300 * Mohm), initial=bl.Constant(0.9)),)
    neuron = cell(learn, constants={**TRUE, "R": 110 * Mohm})
    spikes = bl.Sweeps(recorded.current, recorded.dt, spikes=recorded.spikes)
    before = bl.fit(neuron, spikes, bl.VanRossum(10 * ms), iterations=0)
    after = bl.fit(neuron, spikes, bl.VanRossum(10 * ms), optimiser=bl.Adam(0.02), iterations=60)
    assert after.losses[0] < 0.5 * before.losses[0]
    assert after.victor_purpura[0] < before.victor_purpura[0]
    assert float(after.constants["R"][0] / Mohm) > 120


def test_what_counts_of_a_trace(recorded: bl.Sweeps) -> None:
    loss = bl.TraceMSE(1 * mV, before=0.2 * ms, after=0.5 * ms)
    counts = loss.counts(recorded)
    sweep = 1
    step = list(recorded.steps())[sweep][0]
    assert not counts[sweep, step - 2 : step + 6].any() and counts[sweep, step - 3] and counts[sweep, step + 6]
    assert bl.TraceMSE("2*mV", high=-40 * mV).ends() == (-np.inf, -0.04)


def test_spikes_are_found_in_a_voltage(recorded: bl.Sweeps) -> None:
    bare = bl.Sweeps(recorded.current, recorded.dt, recorded.voltage)
    with pytest.raises(bl.DataError, match="have no spikes"):
        bare.fired()
    assert np.array_equal(bare.detected(-50 * mV).fired(), recorded.fired())


# files ---------------------------------------------------------------------------------------------------------------


def test_from_neo(recorded: bl.Sweeps) -> None:
    neo, pq = pytest.importorskip("neo"), pytest.importorskip("quantities")
    block = neo.Block()
    for k in range(2):
        segment = neo.Segment()
        start = 0.25 * k * pq.s
        for name, trace, unit in (("I", recorded.current[k] / pA, "pA"), ("V", recorded.voltage[k] / mV, "mV")):
            signal = neo.AnalogSignal(
                np.asarray(trace), units=unit, sampling_rate=10 * pq.kHz, t_start=start, name=name
            )
            segment.analogsignals.append(signal)
        times = np.asarray(recorded.spikes[k] / ms) * pq.ms + start
        segment.spiketrains.append(neo.SpikeTrain(times, t_start=start, t_stop=start + 120 * pq.ms))
        block.segments.append(segment)
    found = bl.sweeps_from_neo(block)
    np.testing.assert_allclose(np.asarray(found.current), np.asarray(recorded.current), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(found.voltage), np.asarray(recorded.voltage), rtol=1e-12)
    assert float(found.dt) == pytest.approx(1e-4) and np.array_equal(found.fired(), recorded.fired())
    assert len(bl.sweeps_from_neo(block.segments[1])) == 1
    other = neo.AnalogSignal(np.zeros(1200), units="pA", sampling_rate=10 * pq.kHz, name="leak")
    block.segments[1].analogsignals.append(other)
    with pytest.raises(bl.DataError, match="several signals in a unit of current"):
        bl.sweeps_from_neo(block)
    assert len(bl.sweeps_from_neo(block, current="I")) == 2
    block.segments[0].analogsignals = [s for s in block.segments[0].analogsignals if s.name == "V"]
    with pytest.raises(bl.DataError, match=r"no such signal|has no current"):
        bl.sweeps_from_neo(block.segments[:1])
    with pytest.raises(bl.DataError, match="no recording of neo"):
        bl.sweeps_from_neo([1, 2])


def test_from_nwb(recorded: bl.Sweeps, tmp_path: Path) -> None:
    """A file as the format's documentation writes it, in numbers of a converter."""
    pynwb = pytest.importorskip("pynwb")
    icephys = pynwb.icephys
    nwb = pynwb.NWBFile("a cell", "cell", datetime(2020, 1, 1, tzinfo=UTC))
    electrode = nwb.create_icephys_electrode(
        name="e", description="patch", device=nwb.create_device(name="amplifier", description="of a test")
    )
    for k in (1, 0):
        common = dict(
            electrode=electrode, gain=1.0, rate=10000.0, starting_time=float(k), sweep_number=np.uint32(10 + k)
        )
        stimulus = np.asarray(recorded.current[k] / pA)
        response = np.asarray(recorded.voltage[k] / mV) + 70
        nwb.add_stimulus(
            icephys.CurrentClampStimulusSeries(name=f"stimulus{k}", data=stimulus, conversion=1e-12, **common)
        )
        nwb.add_acquisition(
            icephys.CurrentClampSeries(name=f"response{k}", data=response, conversion=1e-3, offset=-0.07, **common)
        )
    path = tmp_path / "cell.nwb"
    with pynwb.NWBHDF5IO(str(path), "w") as writer:
        writer.write(nwb)
    found = bl.sweeps_from_nwb(path)
    np.testing.assert_allclose(np.asarray(found.current), np.asarray(recorded.current), rtol=1e-9)
    np.testing.assert_allclose(np.asarray(found.voltage), np.asarray(recorded.voltage), rtol=1e-9)
    assert np.array_equal(found.detected(-50 * mV).fired(), recorded.fired())
    assert len(bl.sweeps_from_nwb(path, sweeps=[11])) == 1
    with pytest.raises(bl.DataError, match="has no sweeps 12"):
        bl.sweeps_from_nwb(path, sweeps=[12])
    (tmp_path / "other.nwb").write_bytes(b"no file of this format")
    with pytest.raises(bl.DataError, match="cannot be read"):
        bl.sweeps_from_nwb(tmp_path / "other.nwb")
    with pytest.raises(bl.DataError, match="no such file"):
        bl.sweeps_from_nwb(tmp_path / "missing.nwb")


DECAYING = "dv/dt = (E - v + R*I)/tau : volt\ndI/dt = -I/tau : amp"

# refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (dict(neuron=lambda: cell(())), "says nothing that could be found"),
        (dict(neuron=lambda: 3), "no neuron"),
        (dict(sweeps=lambda s: 3), "no recordings"),
        (
            dict(neuron=lambda: cell(equations="dv/dt = (E - v + R*I)/tau : volt\ndI/dt = -I/tau : amp")),
            "changes by itself",
        ),
        (dict(sweeps=lambda s: bl.Sweeps(np.asarray(s.current) * nS, s.dt, s.voltage, s.spikes)), "another unit"),
        (dict(sweeps=lambda s: bl.Sweeps(s.current, s.dt, np.asarray(s.voltage) * amp, s.spikes)), "another unit"),
        (dict(sweeps=lambda s: bl.Sweeps(s.current, s.dt, None, s.spikes)), "the sweeps have none"),
        (dict(sweeps=lambda s: bl.Sweeps(s.current, s.dt, s.voltage)), "have no spikes"),
        (dict(loss=bl.TraceMSE(1 * pA)), "another unit"),
        (dict(loss=bl.CrossEntropy()), "no loss of recordings"),
        (dict(spikes="both"), "spikes is wrong"),
        (dict(starts=0), "starts is wrong"),
        (dict(iterations=1.5), "iterations is wrong"),
    ],
)
def test_what_cannot_be_fitted(change: dict[str, Any], text: str, recorded: bl.Sweeps) -> None:
    neuron = change.pop("neuron")() if "neuron" in change else cell()
    sweeps = change.pop("sweeps")(recorded) if "sweeps" in change else recorded
    with pytest.raises(bl.BrianLearnError, match=text):
        bl.fit(neuron, sweeps, **change)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: bl.Sweeps(np.ones((2, 5)) * pA, 0.1), "no unit|has the wrong unit|is no time|wrong"),
        (lambda: bl.Sweeps(np.ones((2, 5)) * pA, 1 * ms, np.ones((2, 4)) * mV), "different shapes"),
        (lambda: bl.Sweeps([[1, np.nan]] * pA, 1 * ms), "is not finite"),
        (lambda: bl.Sweeps(np.ones((2, 5)) * pA, 1 * ms, spikes=[[1] * ms]), "another number of sweeps"),
        (lambda: bl.Sweeps(np.ones((1, 5)) * pA, 1 * ms, spikes=[[1.0]]), "no unit of time"),
        (lambda: bl.Sweeps(np.ones((1, 5)) * pA, 1 * ms, spikes=[[5] * ms]), "outside of sweep 0"),
        (lambda: bl.TraceMSE(0 * mV), "unit is wrong"),
        (lambda: bl.TraceMSE(1 * mV, high=1 * pA), "wrong unit"),
        (lambda: bl.TraceMSE(1 * mV, low=0 * mV, high=-1 * mV), "wrong order"),
        (lambda: bl.TraceMSE(1 * mV, after=-1 * ms), "after is wrong"),
    ],
)
def test_wrong_recordings_and_losses(make: Any, text: str) -> None:
    with pytest.raises(bl.BrianLearnError, match=text):
        make()


@pytest.mark.slow
def test_the_script_finds_an_adaptive_exponential_neuron(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine parameters, from random starts; with noise within a hundredth of their ranges."""
    monkeypatch.setitem(prefs, "codegen.target", "numpy")
    script = runpy.run_path(str(SPECS / "fit_adex.py"))
    for noise, most in ((0 * mV, 1e-6), (0.5 * mV, 1e-2)):
        found = script["fit"](noise, starts=3, seed=0)
        errors = script["errors"](found)
        assert len(errors) == 9
        assert all(abs(each[found.best]) < most for each in errors.values()), errors
    assert found.constants["C"].dim is script["TRUE"]["C"].dim and second
