"""The demonstration: handwritten digits, learned with DALTON and with TFR, in under three minutes."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from brianlearn.data import load
from brianlearn.learning import DALTON, TFR, ThreeFactorRule
from brianlearn.machine.devices import resolve_device
from brianlearn.network import Activity, Samples
from brianlearn.report.plots import plot_learning_curve, plot_raster, save_figure
from brianlearn.scripts.loading import call_experiment, find_example, load_script
from brianlearn.training import Experiment, Learner, Result

__all__ = ["digits_experiment", "run_demo"]


def digits_experiment() -> Experiment:
    """The experiment of the example network ``digits``."""
    script = find_example("digits")
    return call_experiment(load_script(script), str(script), ())


def run_demo(*, device: str = "auto", runs: Path = Path("runs"), as_json: bool = False, **changes: Any) -> list[Result]:
    """Train with DALTON, then with TFR; print a table and save ``demo.png`` in ``runs``.

    Parameters
    ----------
    device : str, optional
    runs : pathlib.Path, optional
        Where the run folders and the picture go.
    as_json : bool, optional
        Print one JSON object for each result instead of the table.
    **changes
        Other fields of `Experiment` (``epochs=2``, ``limit=100``).

    Returns
    -------
    list of Result
        One for each rule.
    """
    # small chunks, so that the display moves every second or two
    device = resolve_device(device)
    workers = min(2, os.cpu_count() or 1) if device == "cpp_standalone" else 1
    options = {"chunk_size": 480, "device": device, "workers": workers, "runs": runs, **changes}
    experiment = dataclasses.replace(digits_experiment(), **options)
    console, err = Console(), Console(stderr=True)
    if not as_json:
        console.print(experiment.spec.describe(), highlight=False)
    results, walls = [], []
    rules: tuple[ThreeFactorRule, ...] = (DALTON(), TFR())
    for rule in rules:
        err.rule(f"{type(rule).__name__} on digits")
        started = time.perf_counter()
        results.append(dataclasses.replace(experiment, rule=rule, name="demo").run())
        walls.append(time.perf_counter() - started)
    sample = load("digits").test[:1]
    picture = draw(experiment, results, record(experiment, results[0], sample), sample, runs / "demo.png")
    if as_json:
        for result in results:
            print(json.dumps(result.to_dict()))
        return results
    table = Table(title="digits: 8 x 8 pixels, 10 classes, the last 360 of 1797 for the test", box=SIMPLE_HEAD)
    for column in ("rule", "device", "epochs", "train", "test", "samples/s", "build", "all"):
        table.add_column(column, justify="left" if column in ("rule", "device") else "right", no_wrap=True)
    for result, wall in zip(results, walls, strict=True):
        table.add_row(
            result.rule.upper(),
            result.device,
            str(result.epochs),
            f"{result.train_accuracy:.1%}",
            f"{result.test_accuracy:.1%}",
            f"{result.samples_per_second:.0f}",
            f"{result.build_seconds:.0f} s",
            f"{wall:.0f} s",
        )
    console.print(table)
    console.print(f"run folders: {', '.join(str(result.run) for result in results)}", highlight=False, soft_wrap=True)
    console.print(f"raster and learning curves: {picture}", highlight=False, soft_wrap=True)
    return results


def record(experiment: Experiment, result: Result, sample: Samples) -> Activity:
    """What the trained network does with one sample, spikes recorded.

    On the device numpy: it needs no build, and all devices give the same spikes.
    """
    learner = Learner(experiment.spec, device="numpy", dtype=experiment.dtype, chunk_size=1)
    return learner.infer(learner.init(result.weights), sample, record=("spikes",))


def draw(experiment: Experiment, results: list[Result], activity: Activity, sample: Samples, path: Path) -> Path:
    """One picture: the sample, its raster through all layers, and the learning curves."""
    figure = Figure(figsize=(11, 5.5), layout="constrained")
    left, right = np.ravel(np.asarray(figure.subfigures(1, 2, width_ratios=[1.4, 1], wspace=0.04)))
    axes = left.subplots(len(activity.spikes), 2, squeeze=False, width_ratios=[0.16, 1])
    plot_raster(activity, dt=experiment.spec.dt, neurons=64, axes=list(axes[:, 1]))
    for ax in axes[:, 0]:
        ax.set_axis_off()
    axes[-1, 0].imshow(np.asarray(sample.inputs)[0].reshape(experiment.spec.input.shape)[0], cmap="gray_r")
    label = int(np.asarray(sample.labels)[0])
    left.suptitle(
        f"a test digit as current, and the spikes of the layers: a {label}, taken for a {int(activity.predictions[0])}",
        fontsize=11,
    )
    plot_learning_curve({result.rule.upper(): result.run for result in results}, ax=right.subplots())
    right.suptitle("learning digits", fontsize=11)
    save_figure(figure, path)
    return path
