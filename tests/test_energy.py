"""The ledger of energy: events counted synapse by synapse, operations read from equations by hand."""

from __future__ import annotations

import numpy as np
import pytest
from brian2 import ms

import brianlearn as bl

LIF = bl.CubaLIF(tau_m=20 * ms, tau_s=5 * ms)


def recorded(spec, shape, n=3):
    rng = np.random.default_rng(0)
    learner = bl.Learner(spec, device="numpy")
    samples = bl.Samples(2 * rng.random((n, *shape)))
    return learner.infer(learner.init(), samples, record="spikes")


@pytest.mark.parametrize(
    ("connection", "source", "target"),
    [
        (bl.AllToAll(), (2, 3, 3), (7,)),
        (bl.Conv2d(4, (2, 3), stride=(1, 2), padding=1, groups=2, pool=2), (2, 9, 8), None),
        (bl.Conv2d(3, 3, dilation=2), (1, 8, 7), None),
        (bl.SumPool2d(2), (3, 5, 6), None),
        (bl.Sparse(0.4), (8,), (5,)),
        (bl.OneToOne(), (4,), (4,)),
    ],
)
def test_fan_out_is_that_of_the_list_of_synapses(connection, source, target):
    target = target or connection.target_shape("test", source)
    expected = np.zeros(int(np.prod(source)), int)
    for pre in connection.synapses(source, target)[0]:
        expected[pre] += 1
    np.testing.assert_array_equal(connection.fan_out(source, target), expected)


def test_events_and_operations_of_a_convolution():
    layers = [bl.Conv(3, 3, LIF, padding=1, pool=2), bl.Dense(6, LIF)]
    spec = bl.NetworkSpec(bl.Input((2, 6, 6)), layers, bl.Readout(4, tau=10 * ms), duration=15 * ms)
    activity = recorded(spec, (2, 6, 6))
    table = bl.EnergyTable(add=2.0, multiply=3.0, function=5.0, byte=0.5, source="test")
    ledger = bl.energy_ledger(spec, activity, table=table)
    found = {entry.name: entry for entry in ledger.entries if entry.kind == "synapses"}
    for q in (*spec.projections, *spec.readout_projections):
        pre, _, _ = q.connection.synapses(q.in_shape, q.out_shape)
        spikes = activity.spikes[q.source].dense().reshape(3, 15, -1).sum(axis=(0, 1))
        assert found[q.name].events == pytest.approx(spikes[pre].sum() / 3)
        assert found[q.name].bytes == pytest.approx(12 * found[q.name].events)
        assert found[q.name].picojoules == pytest.approx((2.0 + 0.5 * 12) * found[q.name].events)
    neurons = {entry.name: entry for entry in ledger.entries if entry.kind == "neurons"}
    # v' = P_vv*v + P_vI*I, I' = P_II*I: three multiplications, one addition, and the comparison
    dense = neurons["dense1"]
    assert dense.events == 6 * 15
    assert (dense.adds, dense.multiplies, dense.functions) == (2 * 90, 3 * 90, 0)
    assert dense.bytes == 2 * 2 * 4 * 90
    assert dense.picojoules == pytest.approx(90 * (2 * 2.0 + 3 * 3.0 + 16 * 0.5))
    assert (neurons["readout"].adds, neurons["readout"].multiplies) == (4 * 15, 4 * 15)
    whole = sum(
        len(q.connection.synapses(q.in_shape, q.out_shape)[0]) for q in (*spec.projections, *spec.readout_projections)
    )
    assert (ledger.dense.adds, ledger.dense.multiplies) == (whole, whole)
    assert ledger.picojoules == pytest.approx(sum(entry.picojoules for entry in ledger.entries))
    assert ledger.samples == 3
    double = bl.energy_ledger(spec, activity, dtype="float64")
    assert double.entries[0].bytes == 2 * ledger.entries[0].bytes


def test_currents_are_multiplied_and_biases_arrive_in_every_step():
    layers = [bl.Dense(5, LIF, bias=True)]
    spec = bl.NetworkSpec(bl.Input((4,), bl.DirectCurrent()), layers, bl.Readout(2), duration=8 * ms)
    ledger = bl.energy_ledger(spec, recorded(spec, (4,)))
    found = {entry.name: entry for entry in ledger.entries if entry.kind == "synapses"}
    assert found["dense1"].multiplies == found["dense1"].adds == 4 * 5 * 8
    assert found["dense1_bias"].events == 5 * 8
    assert found["dense1_bias"].multiplies == 0


def test_neurons_that_brian2_integrates_count_their_functions():
    neuron = bl.Neuron(
        "dv/dt = (exp(-v) + I - v)/(10*ms) : 1\ndI/dt = -I/(5*ms) : 1", threshold="v > 1", reset="v = 0", input="I"
    )
    assert neuron.method_used in ("euler", "exponential_euler")
    spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(5, neuron)], bl.Readout(2), duration=8 * ms)
    ledger = bl.energy_ledger(spec, recorded(spec, (4,)))
    (entry,) = (e for e in ledger.entries if (e.name, e.kind) == ("dense1", "neurons"))
    assert entry.functions >= entry.events


def test_tables_of_ones_own(tmp_path):
    (tmp_path / "mine.toml").write_text('add = 0.1\nbyte = 20\nsource = "measured"\n')
    table = bl.EnergyTable.read(tmp_path / "mine.toml")
    assert table == bl.EnergyTable(add=0.1, byte=20, source="measured")
    (tmp_path / "typo.toml").write_text("ad = 0.1\n")
    with pytest.raises(bl.DataError, match="unknown operation"):
        bl.EnergyTable.read(tmp_path / "typo.toml")
    (tmp_path / "bad.toml").write_text("add = \n")
    with pytest.raises(bl.DataError, match="cannot be read"):
        bl.EnergyTable.read(tmp_path / "bad.toml")
    with pytest.raises(bl.DataError, match="cannot be read"):
        bl.EnergyTable.read(tmp_path / "none.toml")
    with pytest.raises(bl.DataError, match="add is wrong"):
        bl.EnergyTable(add=-1)


def test_an_activity_without_spikes():
    spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(5, LIF)], bl.Readout(2), duration=8 * ms)
    learner = bl.Learner(spec, device="numpy")
    for record in ((), bl.Record("spikes", "dense1"), bl.Record("spikes", neurons=[0, 1])):
        activity = learner.infer(learner.init(), bl.Samples(np.ones((2, 4))), record=record)
        with pytest.raises(bl.DataError, match="not recorded"):
            bl.energy_ledger(spec, activity)
