"""Pictures: what they show, and what they refuse."""

import json

import numpy as np
import pytest
from brian2 import ms
from matplotlib.figure import Figure

import brianlearn as bl
from brianlearn.report import plot_learning_curve, plot_raster


def rasters() -> dict[str, bl.Raster]:
    rng = np.random.default_rng(0)
    result = {}
    for name, shape in (("input", (1, 3, 3)), ("dense1", (5,))):
        trial, step, neuron = np.nonzero(rng.random((2, 6, int(np.prod(shape)))) < 0.4)
        result[name] = bl.Raster(trial, step, neuron, 2, 6, shape)
    return result


def run_folder(path, accuracies, test=None, validation=None):
    path.mkdir()
    (path / "config.json").write_text('{"format": 1}')
    lines = [
        {"epoch": k + 1, "train_accuracy": a, "validation_accuracy": None if validation is None else validation[k]}
        for k, a in enumerate(accuracies)
    ]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if test is not None:
        (path / "result.json").write_text(json.dumps({"test_accuracy": test}))
    return path


@pytest.mark.parametrize(("dt", "label", "scale"), [(None, "time step", 1.0), (0.5 * ms, "time (ms)", 0.5)])
def test_raster_shows_the_spikes_of_the_trial(dt, label, scale):
    recorded = rasters()
    figure = plot_raster(recorded, 1, dt=dt)
    top, bottom = figure.axes
    assert top.get_ylabel().startswith("dense1")
    assert bottom.get_ylabel() == "input\n1x3x3"
    assert bottom.get_xlabel() == label
    for ax, name in ((top, "dense1"), (bottom, "input")):
        raster = recorded[name]
        here = raster.trial == 1
        points = np.asarray(ax.collections[0].get_offsets())
        np.testing.assert_allclose(points, np.column_stack([raster.step[here] * scale, raster.neuron[here]]))


def test_raster_of_some_neurons_of_a_large_layer():
    figure = plot_raster(rasters(), neurons=3)
    top, bottom = figure.axes
    assert bottom.get_ylabel() == "input\n3 of 1x3x3"
    raster = rasters()["input"]
    here = (raster.trial == 0) & np.isin(raster.neuron, [0, 4, 8])
    points = np.asarray(bottom.collections[0].get_offsets())
    np.testing.assert_allclose(points, np.column_stack([raster.step[here], raster.neuron[here] // 4]))
    assert top.get_ylabel() == "dense1\n3 of 5"


@pytest.mark.parametrize("kind", ["png", "pdf", "svg"])
def test_pictures_are_saved(tmp_path, kind):
    plot_raster(rasters(), path=tmp_path / f"raster.{kind}")
    start = (tmp_path / f"raster.{kind}").read_bytes()[:5]
    assert start == {"png": b"\x89PNG\r", "pdf": b"%PDF-", "svg": b"<?xml"}[kind]
    assert [p.name for p in tmp_path.iterdir()] == [f"raster.{kind}"]


def test_raster_takes_what_a_learner_records(dense_spec):
    learner = bl.Learner(dense_spec, device="numpy", chunk_size=2)
    activity = learner.infer(learner.init(), bl.Samples(np.ones((2, 12))), record=("spikes",))
    figure = plot_raster(activity, dt=dense_spec.dt)
    assert [ax.get_ylabel().split("\n")[0] for ax in figure.axes] == ["dense2", "dense1", "input"]


def test_raster_draws_into_given_axes():
    axes = Figure().subplots(2)
    assert plot_raster(rasters(), axes=list(axes)) is axes[0].figure
    with pytest.raises(bl.DataError, match="number of axes"):
        plot_raster(rasters(), axes=[axes[0]])


def test_raster_without_spikes_or_trial():
    with pytest.raises(bl.DataError, match="record"):
        plot_raster({})
    with pytest.raises(bl.DataError, match="0 to 1"):
        plot_raster(rasters(), 2)


def test_learning_curves(tmp_path):
    first = run_folder(tmp_path / "a", [0.5, 0.75, 0.9], test=0.8, validation=[0.4, 0.6, 0.7])
    second = run_folder(tmp_path / "b", [0.2, 0.3])
    figure = plot_learning_curve({"DALTON": first, "TFR": second}, path=tmp_path / "curve.png")
    (ax,) = figure.axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in ax.lines}
    assert lines == {
        "DALTON, training": [[1, 0.5], [2, 0.75], [3, 0.9]],
        "DALTON, validation": [[1, 0.4], [2, 0.6], [3, 0.7]],
        "DALTON, test: 80.0%": [[3, 0.8]],
        "TFR, training": [[1, 0.2], [2, 0.3]],
    }
    assert (tmp_path / "curve.png").stat().st_size > 5000
    assert len(plot_learning_curve([first, second]).axes[0].lines) == 4
    assert len(plot_learning_curve(first).axes[0].lines) == 3


def test_learning_curve_without_epochs_or_run(tmp_path):
    with pytest.raises(bl.DataError, match="no finished epoch"):
        plot_learning_curve(run_folder(tmp_path / "a", []))
    with pytest.raises(bl.RunFolderError, match="no such run folder"):
        plot_learning_curve(tmp_path / "nowhere")


def test_pictures_that_cannot_be_written(tmp_path):
    with pytest.raises(bl.DataError, match="no such kind of picture"):
        plot_raster(rasters(), path=tmp_path / "raster.doc")
    with pytest.raises(bl.RunFolderError, match="cannot be written"):
        plot_raster(rasters(), path=tmp_path / "nowhere" / "raster.png")
