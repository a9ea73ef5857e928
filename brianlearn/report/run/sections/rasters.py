"""A few samples in detail: spikes, membranes, surrogate derivatives, third factors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from brian2 import ms

from brianlearn.network.samples.samples import Activity
from brianlearn.plot.spikes import raster
from brianlearn.plot.style import colour, plain
from brianlearn.plot.traces import membranes, surrogate, third_factor
from brianlearn.report.page.blocks import Block, Html, Picture, Section
from brianlearn.report.page.svg import figure_for_page, inked
from brianlearn.report.run.view import RunView

__all__ = ["rasters"]

#: Rows of a layer, or of an input, in a raster.
ROWS = 256
#: Layers of which membranes, psi and L are drawn: the first and the last ones.
LAYERS = 3


def rasters(view: RunView) -> Section:
    """What happens in the network while it sees a sample."""
    section = Section("samples", "Samples in detail")
    found = view.recorded
    if found is None:
        return section
    blocks: list[Block] = []
    with inked():
        for k, sample in enumerate(view.shown):
            title = _title(view, k, sample)
            if k < 2:
                blocks.append(Html(f"<h3>{title if k == 0 else 'Other samples'}</h3>"))
            figure = figure_for_page(10.0 if k == 0 else 6.2, 1.2 + 0.9 * len(found.spikes))
            raster(found, k, neurons=ROWS, ax=figure.subplots())
            counts = ", ".join(
                f"{name} {int((one.trial == k).sum())}"
                for name, one in found.spikes.items()
                if name not in found.currents
            )
            caption = f"{title}. Spikes: {counts}."
            blocks.append(Picture.of(figure, caption, f"Raster of {caption}", wide=k == 0))
            if k == 0:
                blocks += _details(view, found, k, sample)
    return section.with_blocks(*blocks)


def _title(view: RunView, k: int, sample: int) -> str:
    assert view.test is not None and view.recorded is not None
    if view.test.labels is None:
        return f"Test sample {sample}"
    label, taken = int(view.test.labels[sample]), int(view.recorded.predictions[k])
    return f"Test sample {sample}: a {label}" + (f", taken for a {taken}" if taken != label else ", recognised")


def _details(view: RunView, found: Activity, k: int, sample: int) -> list[Block]:
    blocks: list[Block] = []
    draws: list[tuple[str, str, Callable[..., Any], str]] = [
        *((name, name, membranes, "membranes of some of its neurons; ticks are spikes") for name in view.membranes),
        ("psi", "psi", surrogate, "the surrogate derivative: which neurons can learn, and when"),
        ("L", "L", third_factor, "the third factor that the rule broadcasts to its neurons"),
    ]
    for name in _few([p.name for p in view.spec.neurons]):
        for _, variable, draw, what in draws:
            recorded = found.recorded.get(variable, {}).get(name)
            if recorded is None:
                continue
            figure = figure_for_page(6.2, 2.9)
            options: dict[str, Any] = {}
            if draw is membranes:
                options = {"neurons": _usual(found, name, k, recorded.neurons)}
                options["variable"] = variable
            draw(found, name, k, title=name, ax=figure.subplots(), **options)
            values = np.asarray(recorded.values)[k]
            span = f"{values.min():.3g} to {values.max():.3g}"
            blocks.append(
                Picture.of(
                    figure, f"{name}: {what}.", f"{name}, sample {sample}: {what}; values from {span}.", wide=False
                )
            )
    if view.spec.readout is not None and found.readout is not None:
        blocks.append(_readout(view, found, k))
    return blocks


def _usual(found: Activity, name: str, k: int, recorded: np.ndarray) -> list[int]:
    """Three neurons that fire about as often as those of the layer that fire do on average."""
    one = found.spikes[name]
    counts = np.bincount(one.neuron[one.trial == k], minlength=int(recorded.max()) + 1)[recorded]
    mean = counts[counts > 0].mean() if counts.any() else 0.0
    return sorted(recorded[np.argsort(np.abs(counts - mean), kind="stable")[:3]].tolist())


def _few(names: list[str]) -> list[str]:
    return names if len(names) <= LAYERS else [*names[: LAYERS - 1], names[-1]]


def _readout(view: RunView, found: Activity, k: int) -> Block:
    values = np.asarray(found.readout)[k]
    figure = figure_for_page(6.2, 2.9)
    ax = figure.subplots()
    times = np.arange(len(values)) * float(view.spec.dt / ms)
    best = np.argsort(-np.abs(values).mean(axis=0), kind="stable")[:6]
    for n, j in enumerate(sorted(best)):
        ax.plot(times, values[:, j], lw=1.3, color=colour(n), label=f"output {j}")
    ax.set_xlabel("time (ms)")
    ax.set_ylabel("readout")
    ax.set_title(view.spec.output)
    ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.2)
    plain(ax)
    caption = f"{view.spec.output}: its outputs over the trial, the {len(best)} largest."
    return Picture.of(figure, caption, wide=False)
