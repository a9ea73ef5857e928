"""What came out: the confusion matrix, outputs beside their targets, or output trains beside those asked for."""

from __future__ import annotations

import numpy as np

from brianlearn.plot.confusion import confusion, confusion_matrix
from brianlearn.plot.style import colour, plain
from brianlearn.plot.targets import targets
from brianlearn.report.page.blocks import Block, Note, Picture, Section, Table
from brianlearn.report.page.svg import figure_for_page, inked
from brianlearn.report.run.view import RunView

__all__ = ["outcome"]

#: Pairs of classes that are listed as confused.
PAIRS = 5


def outcome(view: RunView) -> Section:
    """What the network makes of test samples, by the kind of their targets."""
    section = Section("results", "Results")
    if view.test is None or view.tested is None:
        return section.with_blocks(*(Note(text) for text in dict.fromkeys(view.notes)))
    if view.test.labels is not None:
        return section.with_blocks(*_labels(view))
    values = np.asarray(view.test.targets)
    return section.with_blocks(*(_values(view) if values.dtype.kind == "f" else _trains(view)))


def _labels(view: RunView) -> list[Block]:
    assert view.test is not None and view.tested is not None
    labels, taken = np.asarray(view.test.labels), np.asarray(view.tested.predictions)
    n = max(view.spec.classes, int(labels.max()) + 1)
    matrix = confusion_matrix(labels, taken, n)
    with inked():
        figure = figure_for_page(5.4, 4.6)
        confusion(labels, taken, classes=[str(k) for k in range(n)], ax=figure.subplots())
    wrong = matrix - np.diag(np.diag(matrix))
    worst = np.argsort(-wrong, axis=None)[:PAIRS]
    pairs = [(int(k // n), int(k % n)) for k in worst if wrong.ravel()[k]]
    caption = f"Confusion matrix of {len(labels)} test samples, {np.mean(labels == taken):.1%} right."
    told = "; most often " + ", ".join(f"{a} for {b} ({wrong[a, b]})" for a, b in pairs) if pairs else ""
    blocks: list[Block] = [Picture.of(figure, caption, caption + f" Labels taken for another{told}.", wide=False)]
    rows = []
    for k in range(n):
        of, right, as_k = int(matrix[k].sum()), int(matrix[k, k]), int(matrix[:, k].sum())
        recall, precision = (f"{right / m:.1%}" if m else "-" for m in (of, as_k))
        rows.append([str(k), str(of), recall, precision])
    blocks.append(Table("Each class", ["class", "samples", "found", "right when said"], rows, (1, 2, 3)))
    return blocks


def _values(view: RunView) -> list[Block]:
    assert view.test is not None and view.tested is not None
    blocks: list[Block] = []
    with inked():
        if np.asarray(view.test.targets).ndim == 3 and view.recorded is not None:
            chosen = view.test[np.array(view.shown)]
            for k, sample in enumerate(view.shown):
                figure = figure_for_page(6.2, 3.2)
                targets(chosen, view.recorded, k, ax=figure.subplots())
                caption = f"Test sample {sample}: the readout over the trial, dashed what it should be."
                blocks.append(Picture.of(figure, caption, wide=False))
        elif np.asarray(view.test.targets).ndim == 2:
            figure = figure_for_page(5.0, 4.2)
            targets(view.test, view.tested, ax=figure.subplots())
            told = "" if view.tested.r2 is None else f", R\N{SUPERSCRIPT TWO} = {view.tested.r2:.3f}"
            caption = f"Outputs against targets of {len(view.test)} test samples{told}."
            blocks.append(Picture.of(figure, caption, wide=False))
    return blocks


def _trains(view: RunView) -> list[Block]:
    assert view.test is not None and view.tested is not None
    wanted, made = np.asarray(view.test.on_grid(view.spec).targets), np.asarray(view.tested.predictions)
    step = float(view.spec.dt) * 1e3
    blocks: list[Block] = []
    with inked():
        for sample in view.shown:
            figure = figure_for_page(6.2, 2.6)
            ax = figure.subplots()
            for trains, mark, size, label in ((wanted, "|", 80, "asked for"), (made, ".", 30, "fired")):
                steps, neurons = np.nonzero(trains[sample])
                ax.scatter(steps * step, neurons, marker=mark, s=size, color=colour(mark == "."), label=label)
            ax.set_xlabel("time (ms)")
            ax.set_ylabel("output neuron")
            ax.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
            plain(ax)
            caption = (
                f"Test sample {sample}: {int(wanted[sample].sum())} spikes asked for, {int(made[sample].sum())} fired."
            )
            blocks.append(Picture.of(figure, caption, wide=False))
    return blocks
