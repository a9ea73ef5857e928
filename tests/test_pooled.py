"""A pool before another connection: the product of both maps, on both engines, with the weights of the second."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest
from brian2 import ms, prefs

import brianlearn as bl


def matrix(connection: Any, source: Any, target: Any, weights: np.ndarray) -> np.ndarray:
    pre, post, index = connection.synapses(source, target)
    found = np.zeros((prod(target), prod(source)))
    np.add.at(found, (post, pre), connection.factor * connection.pack(weights)[index])
    return found


POOLS = [bl.SumPool2d(2), bl.AvgPool2d((2, 3), stride=1), bl.SumPool2d(3, stride=2, padding=1)]
THENS = [bl.Conv2d(4, 2, padding=1, groups=2), bl.Conv2d(2, (1, 2), pool=2), bl.AllToAll()]


@pytest.mark.parametrize("then", THENS, ids=repr)
@pytest.mark.parametrize("pool", POOLS, ids=repr)
def test_it_is_the_product_of_both(pool: Any, then: Any) -> None:
    source, between = (2, 8, 9), pool.target_shape("pool", (2, 8, 9))
    made = bl.Pooled(pool, then)
    target = then.target_shape("then", between) or (5,)
    assert made.target_shape("made", source) == then.target_shape("then", between)
    shape = made.weight_shape(source, target)
    weights = np.random.default_rng(0).normal(size=shape)
    expected = matrix(then, between, target, weights) @ matrix(pool, source, between, np.ones(1))
    np.testing.assert_allclose(matrix(made, source, target, weights), expected, atol=1e-12)
    assert made.bias_by_channel == then.bias_by_channel and made.fan_in(source, target) == then.fan_in(between, target)
    np.testing.assert_array_equal(made.unpack(made.pack(weights), shape), weights)


def network() -> bl.NetworkSpec:
    lif = bl.CubaLIF(R=4.0, tau_s=3 * ms)
    return bl.NetworkSpec(
        populations=[
            bl.Population("input", (2, 8, 8), bl.IntegrateAndFireEncoder()),
            bl.Population("maps", lif),
            bl.Population("hidden", 6, lif),
            bl.Population("readout", 3, bl.LinearReadout()),
        ],
        projections=[
            bl.Projection(
                "conv", "input", "maps", bl.Pooled(bl.SumPool2d(2), bl.Conv2d(3, 2)), bl.Uniform(2.0), bias=True
            ),
            bl.Projection("up", "maps", "hidden", bl.Pooled(bl.AvgPool2d(2, stride=1), bl.AllToAll()), bl.Normal(30.0)),
            bl.Projection("out", "hidden", "readout"),
        ],
        duration=25 * ms,
    )


def test_both_engines_learn_the_same() -> None:
    pytest.importorskip("torch")
    prefs.codegen.target = "numpy"
    x = np.random.default_rng(1).random((4, 2, 8, 8))
    samples, found = bl.Samples(x, [0, 1, 2, 0]), []
    for options in (dict(device="numpy"), dict(engine="discrete")):
        learner = bl.Learner(network(), bl.DALTON(), bl.SGD(0.05), dtype="float64", batch_size=2, **options)
        state, _ = learner.learn(learner.init(), samples)
        fired = learner.infer(state, samples, record=["spikes"]).spikes
        found.append((state.weights, {name: raster.dense() for name, raster in fired.items()}))
    (one, spikes), (other, again) = found
    assert (
        spikes["hidden"].sum() > 3
        and (one["conv"] != bl.Learner(network(), device="numpy").init().weights["conv"]).any()
    )
    for name, array in one.items():
        np.testing.assert_allclose(array, other[name], atol=1e-10)
    for name, fired in spikes.items():
        np.testing.assert_array_equal(fired, again[name])


def test_what_is_refused() -> None:
    with pytest.raises(bl.SpecError, match="pool is of the wrong type"):
        bl.Pooled(bl.Conv2d(2, 3), bl.AllToAll())  # type: ignore[arg-type]
    with pytest.raises(bl.SpecError, match="then is of the wrong type"):
        bl.Pooled(bl.SumPool2d(2), 3)  # type: ignore[arg-type]
    with pytest.raises(bl.ShapeError, match="channels, height, width"):
        bl.Pooled(bl.SumPool2d(2), bl.AllToAll()).check("p", (4,), (2,))
