"""How much fires: rates, and neurons that never do."""

from __future__ import annotations

import numpy as np

from brianlearn.plot.rates import neuron_rates, rates
from brianlearn.report.page.blocks import Note, Picture, Section, Table
from brianlearn.report.page.svg import figure_for_page, inked
from brianlearn.report.run.view import RunView

__all__ = ["activity"]


def activity(view: RunView) -> Section:
    """Firing rates of the trained network on test samples, layer by layer."""
    section = Section("rates", "Firing rates")
    if view.tested is None:
        return section
    found = neuron_rates(view.tested)
    rows = []
    for name, values in found.items():
        if name in view.tested.currents:
            rows.append([name, f"{len(values)}", "a current", "", "", "", ""])
            continue
        silent, busy = int((values == 0).sum()), int((values > 0.9 / float(view.spec.dt)).sum())
        numbers = (values.mean(), np.median(values), values.max())
        rows.append([name, f"{len(values)}", *(f"{v:.1f}" for v in numbers), f"{silent} ({silent / len(values):.0%})", str(busy)])  # fmt: skip  # noqa: E501
    samples = next(iter(view.tested.spikes.values())).n_trials
    with inked():
        figure = figure_for_page(6.6, 3.6)
        rates(view.tested, ax=figure.subplots())
    told = "; ".join(f"{row[0]}: {row[5]} silent" for row in rows if row[5])
    return section.with_blocks(
        Table(
            f"Rates of the trained network, mean over {samples} test samples",
            ["layer", "neurons", "mean (Hz)", "median (Hz)", "highest (Hz)", "silent neurons", "fire in every step"],
            rows,
            (1, 2, 3, 4, 5, 6),
        ),
        Picture.of(
            figure,
            "All neurons of each layer, from the most active to those that never fire.",
            f"Firing rates of all neurons in order. {told}.",
            wide=False,
        ),
        *([Note("Inputs that carry a current fire no spikes.")] if view.tested.currents else []),
    )
