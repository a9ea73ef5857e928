"""Recordings as objects of neo and pynapple: the same numbers, times and units, read with those packages alone."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from brian2 import ms
from cases import CONDUCTANCE, Case, dense

import brianlearn as bl
from brianlearn.training.learner import Learner


@pytest.fixture(scope="module")
def activity() -> bl.Activity:
    spec = dense(CONDUCTANCE)
    learner = Learner(spec, bl.DALTON(), device="numpy", dtype="float64")
    record = [
        bl.Record("spikes", ["dense1", "input"]),
        bl.Record("spikes", "dense2", neurons=[1, 4], samples=[3, 1]),
        bl.Record("v", "dense1", neurons=[7, 2], samples=[3, 0], every=4),
        bl.Record("g", "dense2"),
        bl.Record("L", samples=[2]),
        "readout",
    ]
    return learner.infer(learner.init(), Case(spec).samples(), record=record)


def test_neo(activity: bl.Activity) -> None:
    neo = pytest.importorskip("neo")
    pq = pytest.importorskip("quantities")
    block = bl.to_neo(activity)
    assert isinstance(block, neo.Block) and [s.index for s in block.segments] == [0, 1, 2, 3, 4]
    n = 0
    for k, segment in enumerate(block.segments):
        for layer in ("input", "dense1"):
            trains = [train for train in segment.spiketrains if train.annotations["layer"] == layer]
            expected = activity.spikes[layer].dense()[k]
            assert [train.annotations["neuron"] for train in trains] == list(range(expected.shape[1]))
            for train in trains:
                assert isinstance(train, neo.SpikeTrain)
                steps = np.flatnonzero(expected[:, train.annotations["neuron"]])
                np.testing.assert_allclose(train.rescale("ms").magnitude, steps, atol=1e-9)
                assert train.t_stop.rescale("ms").item() == pytest.approx(15) and train.t_start.item() == 0
                n += len(train)
        trains = [train for train in segment.spiketrains if train.annotations["layer"] == "dense2"]
        assert [train.annotations["neuron"] for train in trains] == ([1, 4] if k in (1, 3) else [])
        signals = {signal.name: signal for signal in segment.analogsignals}
        always, some = {"dense2.g", "readout.readout"}, {"dense1.v"} if k in (0, 3) else set()
        assert set(signals) == always | some | ({"dense1.L", "dense2.L"} if k == 2 else set())
        g = signals["dense2.g"]
        assert g.units == pq.S and g.sampling_period.rescale("ms").item() == pytest.approx(1)
        np.testing.assert_array_equal(g.magnitude, np.asarray(activity.recorded["g"]["dense2"])[k])
        if k in (0, 3):
            v = signals["dense1.v"]
            assert v.units == pq.V and v.annotations == {"variable": "v", "layer": "dense1"}
            np.testing.assert_array_equal(v.array_annotations["neuron"], [7, 2])
            values = np.asarray(activity.recorded["v"]["dense1"])[{3: 0, 0: 1}[k]]
            np.testing.assert_allclose(v.rescale("mV").magnitude, 1e3 * values, rtol=1e-12)
            np.testing.assert_allclose(v.times.rescale("ms").magnitude, [0, 4, 8, 12], atol=1e-9)
    assert n == len(activity.spikes["input"]) + len(activity.spikes["dense1"]) > 20


def test_pynapple(activity: bl.Activity) -> None:
    nap = pytest.importorskip("pynapple")
    found = bl.to_pynapple(activity)
    assert set(found) == {"trials", "spikes", "v", "g", "L", "readout"}
    trials = found["trials"]
    np.testing.assert_allclose(trials.start, np.arange(5) * 15e-3)
    np.testing.assert_allclose(trials.end, np.arange(1, 6) * 15e-3 - 0.5e-3)
    group = found["spikes"]["dense1"]
    expected = activity.spikes["dense1"].dense()
    assert isinstance(group, nap.TsGroup) and list(group.keys()) == list(range(9))
    for i in group.keys():  # noqa: SIM118 - a TsGroup has no other iteration over its neurons
        np.testing.assert_allclose(group[i].t, np.flatnonzero(expected[:, :, i].ravel()) * 1e-3, atol=1e-9)
    assert sum(len(group[i]) for i in range(9)) == expected.sum() > 5
    some = found["spikes"]["dense2"]
    assert list(some.keys()) == [1, 4] and some.time_support["sample"].tolist() == [1, 3]
    v, given = found["v"]["dense1"], activity.recorded["v"]["dense1"]
    assert isinstance(v, nap.TsdFrame) and list(v.columns) == [7, 2]
    np.testing.assert_allclose(v.t, np.concatenate([np.arange(0, 15, 4), 45 + np.arange(0, 15, 4)]) * 1e-3, atol=1e-9)
    np.testing.assert_array_equal(v.values, np.asarray(given)[[1, 0]].reshape(8, 2))
    third = v.restrict(trials[3])
    np.testing.assert_array_equal(third.values, np.asarray(given)[0])


@pytest.mark.parametrize(("name", "convert"), [("neo", bl.to_neo), ("pynapple", bl.to_pynapple)])
def test_what_is_missing_is_named(
    name: str, convert: Any, activity: bl.Activity, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not installed
    with pytest.raises(bl.BrianLearnError, match=rf"(?s){name} is not installed.*pip install {name}"):
        convert(activity)
    with pytest.raises(bl.DataError, match="no recordings"):
        convert({"v": 3})
    learner = Learner(dense(), device="numpy")
    nothing = learner.infer(learner.init(), Case(dense(), n=1).samples())
    with pytest.raises(bl.DataError, match="nothing was recorded"):
        convert(nothing)


def test_simulations_too() -> None:
    pytest.importorskip("neo")
    neuron = bl.CubaLIF(R=4.0)
    spec = bl.NetworkSpec(bl.Input((3,)), [bl.Dense(2, neuron, weights=bl.Normal(3.0))], None, duration=20 * ms)
    f = bl.simulate(spec, device="numpy", record=["spikes", "v"])
    found = f(inputs=np.full((2, 3), 0.8), tau_m=[5, 20] * ms, duration=14 * ms)
    block = bl.to_neo(found)
    assert len(block.segments) == 4
    values = np.asarray(found.recorded["v"]["dense1"])
    for k, segment in enumerate(block.segments):
        np.testing.assert_array_equal(segment.analogsignals[0].magnitude, values[divmod(k, 2)])
        assert segment.spiketrains[0].t_stop.rescale("ms").item() == pytest.approx(14)
