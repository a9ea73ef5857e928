"""bl.plot: that pictures show the numbers, into any axes, and say by name what they cannot show."""

from __future__ import annotations

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from brian2 import ms, mV
from matplotlib.figure import Figure

import brianlearn as bl
from brianlearn.plot.confusion import confusion_matrix
from brianlearn.plot.labels import run_labels
from brianlearn.plot.network import layout
from brianlearn.plot.rates import neuron_rates
from brianlearn.training.run_folder import RunFolder

NEURON = bl.Neuron(
    "dv/dt = (60*mV*I - v)/tau_m : volt\ndI/dt = -I/tau_s : 1",
    threshold="v > 20*mV",
    reset="v = 0*mV",
    input="I",
    constants=dict(tau_m=20 * ms, tau_s=5 * ms),
    v_scale=20 * mV,
)


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def learned():
    """A learner, its state, what it recorded of three samples, and the history of weights."""
    image = bl.Input((1, 3, 4), bl.DirectCurrent())
    spec = bl.NetworkSpec(image, [bl.Dense(9, NEURON), bl.Dense(5, NEURON)], bl.Readout(4), duration=30 * ms)
    rng = np.random.default_rng(1)
    samples = bl.Samples(rng.random((6, 1, 3, 4)), rng.integers(0, 4, 6))
    learner = bl.Learner(spec, bl.TFR(eligibility="trace"), device="numpy", batch_size=2)
    state, metrics = learner.learn(learner.init(), samples, record="weights")
    activity = learner.infer(state, samples[:3], record=["spikes", "v", "psi", "L", "trace_v", "readout"])
    return learner, state, samples, activity, metrics.weights


def axes():
    return Figure().subplots()


def test_a_raster_has_a_band_for_each_layer(learned):
    activity = learned[3]
    ax = bl.plot.raster(activity, 1, ax=axes())
    assert ax.get_xlabel() == "time (ms)"
    names = [label.get_text().split("\n")[0] for label in ax.get_yticklabels()]
    assert names == ["input (current)", "dense1", "dense2"]  # a direct current is no spike
    dots = [np.asarray(found.get_offsets()) for found in ax.collections if type(found).__name__ == "PathCollection"]
    assert len(dots) == 2
    for band, (name, points) in enumerate(zip(("dense1", "dense2"), dots, strict=True), start=1):
        _, step, neuron = np.nonzero(activity.spikes[name].dense()[1:2])
        np.testing.assert_allclose(points[:, 0], step)  # dt = 1 ms
        n = activity.spikes[name].shape[0]
        np.testing.assert_allclose(points[:, 1], band - 0.43 + 0.86 * (neuron + 0.5) / n)


def test_a_raster_of_one_layer_shows_its_neurons(learned):
    activity = learned[3]
    ax = bl.plot.raster(activity, layers="dense1", ax=axes())
    _, step, neuron = np.nonzero(activity.spikes["dense1"].dense()[:1])
    np.testing.assert_allclose(np.asarray(ax.collections[0].get_offsets()), np.column_stack([step, neuron]))


def test_membranes_are_those_that_were_recorded(learned):
    activity = learned[3]
    ax = bl.plot.membranes(activity, "dense1", 2, neurons=[1, 4], ax=axes())
    assert ax.get_ylabel() == "v (mV)"
    for line, neuron in zip(ax.lines[:2], (1, 4), strict=True):
        np.testing.assert_allclose(line.get_ydata(), activity.recorded["v"]["dense1"][2, :, neuron] / mV)
    ticks = ax.collections[:2]
    for found, neuron in zip(ticks, (1, 4), strict=True):
        assert len(found.get_segments()) == activity.spikes["dense1"].dense()[2, :, neuron].sum()


@pytest.mark.parametrize(
    ("draw", "variable", "layer"),
    [("third_factor", "L", "dense1"), ("surrogate", "psi", "dense1"), ("eligibility", "trace_v", "dense1")],
)
def test_many_neurons_are_an_image(learned, draw, variable, layer):
    activity = learned[3]
    ax = getattr(bl.plot, draw)(activity, layer, 1, ax=axes())
    np.testing.assert_allclose(ax.images[0].get_array().T, activity.recorded[variable][layer][1])
    few = getattr(bl.plot, draw)(activity, layer, 1, neurons=2, ax=axes())
    np.testing.assert_allclose(few.lines[1].get_ydata(), activity.recorded[variable][layer][1, :, -1])


def test_weights_and_their_history(learned):
    learner, state, _, _, history = learned
    ax = bl.plot.weights(history, "dense1", lines=3, ax=axes())
    assert len(ax.lines) == 4
    np.testing.assert_allclose(ax.lines[0].get_ydata(), history["dense1"].values[:, 0, 0])
    first, last = learner.init().weights["dense1"], state.weights["dense1"]
    ax = bl.plot.weight_histogram(last, first, ax=axes())
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["before learning", "after"]
    ax = bl.plot.kernels(last, (1, 3, 4), ax=axes())
    shown = np.asarray(ax.images[0].get_array().filled(np.nan))
    np.testing.assert_allclose(shown[:3, :4], last[0].reshape(3, 4))
    assert np.isfinite(shown).sum() == last.size
    convolution = np.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    shown = np.asarray(bl.plot.kernels(convolution, ax=axes()).images[0].get_array().filled(np.nan))
    np.testing.assert_allclose(shown[-2:, -2:], convolution[1].mean(axis=0))


def test_confusion():
    rng = np.random.default_rng(0)
    labels, taken = rng.integers(0, 5, (2, 60))
    expected = [[np.sum((labels == a) & (taken == b)) for b in range(5)] for a in range(5)]
    np.testing.assert_array_equal(confusion_matrix(labels, taken, 5), expected)
    ax = bl.plot.confusion(labels, taken, ax=axes())
    shares = np.array(expected) / np.sum(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(ax.images[0].get_array(), shares)
    assert ax.get_title() == f"{np.mean(labels == taken):.1%} of 60 samples"


def test_rates_of_neurons(learned):
    activity = learned[3]
    found = neuron_rates(activity)
    np.testing.assert_allclose(found["dense2"], activity.spikes["dense2"].dense().mean(axis=(0, 1)) * 1000)
    np.testing.assert_allclose(found["dense2"].mean(), activity.firing_rates["dense2"])
    ax = bl.plot.rates(activity, ax=axes())
    assert len(ax.lines) == 2  # a current does not fire
    silent = int((found["dense1"] == 0).sum())
    label = ax.get_legend().get_texts()[0].get_text()
    assert label == ("dense1" if not silent else f"dense1, {silent} of 9 silent")


def test_targets_of_values():
    out = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(6, bl.LIF())], bl.Readout(2), duration=12 * ms)
    rng = np.random.default_rng(2)
    learner = bl.Learner(out, device="numpy")
    steps = bl.Samples(rng.random((2, 4)), rng.random((2, 12, 2)))
    activity = learner.infer(learner.init(), steps, record="readout")
    ax = bl.plot.targets(steps, activity, 1, ax=axes())
    np.testing.assert_allclose(ax.lines[0].get_ydata(), steps.targets[1, :, 0])
    np.testing.assert_allclose(ax.lines[1].get_ydata(), activity.readout[1, :, 0])
    whole = bl.Samples(rng.random((3, 4)), rng.random((3, 2)))
    activity = learner.infer(learner.init(), whole)
    ax = bl.plot.targets(whole, activity, ax=axes())
    np.testing.assert_allclose(ax.lines[1].get_ydata(), activity.logits[:, 1])
    with pytest.raises(bl.DataError, match="no values"):
        bl.plot.targets(bl.Samples(rng.random((3, 4)), [0, 1, 0]), activity, ax=axes())


def test_the_graph_of_a_network():
    lif = bl.LIF()
    spec = bl.NetworkSpec(
        populations=[
            bl.Population("a", 4, bl.IntegrateAndFireEncoder()),
            bl.Population("b", 5, lif),
            bl.Population("c", 6, lif),
            bl.Population("out", 2, bl.LinearReadout()),
        ],
        projections=[
            bl.Projection("ab", "a", "b", bias=True),
            bl.Projection("bc", "b", "c"),
            bl.Projection("ac", "a", "c", learned=False),
            bl.Projection("bb", "b", "b", bl.Sparse(0.5), delay=2 * ms, sign="inhibitory"),
            bl.Projection("cb", "c", "b", delay=1 * ms),
            bl.Projection("out", "c", "out"),
        ],
        duration=10 * ms,
    )
    assert layout(spec) == {"a": (0, 0), "b": (1, 0), "c": (2, 0), "out": (3, 0)}
    ax = bl.plot.network(spec, title="mine", ax=axes())
    texts = {text.get_text() for text in ax.texts}
    assert {"a", "b", "c", "out", "5 neurons", "4 inputs", "2 outputs", "sparse\np 0.5\ndelay 2 ms", "bb"} <= texts
    assert sum(type(p).__name__ == "FancyArrowPatch" for p in ax.patches) == 6
    assert ax.get_title() == "mine"


def test_pictures_go_into_new_figures_and_vector_files(learned, tmp_path):
    ax = bl.plot.raster(learned[3])
    assert ax.figure.number in plt.get_fignums()
    for kind in ("pdf", "svg"):
        ax.figure.savefig(tmp_path / f"raster.{kind}")
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        ax.figure.savefig(tmp_path / "text.svg")
    assert "time (ms)" in (tmp_path / "text.svg").read_text()


def test_runs_are_called_by_their_rule_and_what_differs(tmp_path):
    spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(6, bl.LIF())], bl.Readout(2), duration=5 * ms)
    data = (bl.Samples(np.ones((4, 4)), [0, 1, 0, 1]), bl.Samples(np.ones((2, 4)), [0, 1]))
    folders = []
    for rule, rate in ((bl.TFR(), 0.01), (bl.TFR(), 0.1), (bl.DALTON(), 0.1)):
        made = bl.Experiment(spec, rule, bl.Adam(rate), data, epochs=1, device="numpy", runs=tmp_path)
        folders.append(made.run(progress=False).run)
    opened = [RunFolder.open(folder) for folder in folders]
    assert run_labels(opened[:1]) == ["TFR"]
    assert run_labels(opened[:2]) == ["TFR, learning_rate 0.01", "TFR, learning_rate 0.1"]
    assert [label.split(",")[0] for label in run_labels(opened)] == ["TFR", "TFR", "DALTON"]
    ax = bl.plot.learning_curve(folders[1:], ax=axes())
    assert ax.lines[0].get_label().startswith("TFR") and ax.lines[2].get_label().startswith("DALTON")
    loss = bl.plot.learning_curve(folders[0], score="loss", ax=axes())
    assert loss.lines[0].get_ydata()[0] == opened[0].metrics()[0]["train_loss"]
    rates = bl.plot.rates(folders[0], ax=axes())
    assert rates.lines[1].get_ydata()[0] == opened[0].metrics()[0]["firing_rates_hz"]["dense1"]
    with pytest.raises(bl.DataError, match="no such score"):
        bl.plot.learning_curve(folders[0], score="f1", ax=axes())


def test_what_cannot_be_drawn_is_said(learned):
    _, state, samples, activity, history = learned
    bare = learned[0].infer(state, samples[:1])
    for call, match in [
        (lambda: bl.plot.raster(bare), "no spikes"),
        (lambda: bl.plot.raster(activity, 3), "0 to 2"),
        (lambda: bl.plot.raster(activity, layers="dense3"), "no such layer"),
        (lambda: bl.plot.membranes(bare), "'v' was not recorded"),
        (lambda: bl.plot.membranes(activity, neurons=[99]), "no such"),
        (lambda: bl.plot.membranes("activity"), "no activity"),
        (lambda: bl.plot.third_factor(bare), "'L' was not recorded"),
        (lambda: bl.plot.eligibility(bare), "trace_v"),
        (lambda: bl.plot.kernels(np.ones(3)), "wrong shape"),
        (lambda: bl.plot.kernels(np.ones((3, 4)), (1, 2, 3)), "do not fit"),
        (lambda: bl.plot.weights({}), "no weights were recorded"),
        (lambda: bl.plot.weights(history, "dense9"), "no such layer"),
        (lambda: bl.plot.weight_histogram([]), "nothing to draw"),
        (lambda: bl.plot.confusion([0, 1], [0]), "not as many"),
        (lambda: bl.plot.confusion([0.5], [0]), "labels are wrong"),
        (lambda: bl.plot.confusion(bl.Samples(np.ones((1, 4))), [0]), "no labels"),
        (lambda: bl.plot.rates([]), "no finished epoch"),
        (lambda: bl.plot.learning_curve([]), "no run"),
        (lambda: bl.plot.network("net"), "no network"),
    ]:
        with pytest.raises(bl.DataError, match=match):
            call()
    with pytest.raises(bl.ArgumentError):
        bl.plot.raster(activity, trail=0)
