"""Weights: what the first layer looks for, and how all are spread, before and after learning."""

from __future__ import annotations

import numpy as np

from brianlearn.plot.weights import kernels, weight_histogram
from brianlearn.report.page.blocks import Block, Note, Picture, Section
from brianlearn.report.page.svg import figure_for_page, inked
from brianlearn.report.run.view import RunView

__all__ = ["weights"]

#: Histograms at most: the first projections and the last ones.
MOST = 12


def weights(view: RunView) -> Section:
    """Kernels of what hears an input with a shape, and histograms of all weights."""
    blocks: list[Block] = []
    spec, found, before = view.spec, view.weights, view.initial_weights
    inputs = {p.name for p in spec.graph.inputs}
    with inked():
        for q in spec.projections:
            array = found.get(q.name)
            if q.source not in inputs or array is None or q.is_bias or not _drawable(q.in_shape, array):
                continue
            if not np.isfinite(array).all():
                blocks.append(Note(f"{q.name}: weights are not finite."))
                continue
            figure = figure_for_page(5.6, 4.4)
            kernels(array, q.in_shape if array.ndim == 2 else None, most=64, title=q.name, ax=figure.subplots())
            what = "kernels of its channels" if array.ndim == 4 else "weights of its neurons"
            caption = f"{q.name}: {what}, each in the shape of the input, after learning."
            blocks.append(Picture.of(figure, caption, wide=False))
        names = [name for name, array in found.items() if array.size > 1 and np.isfinite(array).all()]
        for name in names if len(names) <= MOST else [*names[: MOST // 2], *names[-MOST // 2 :]]:
            figure = figure_for_page(4.6, 2.7)
            old = before.get(name)
            old = None if old is None or np.shape(old) != found[name].shape else np.asarray(old)
            weight_histogram(found[name], old, title=name, ax=figure.subplots())
            spread = f"standard deviation {found[name].std():.3g}"
            if old is not None:
                spread = f"{spread} after, {old.std():.3g} before learning" if (old != found[name]).any() else f"{spread}; not learned"  # fmt: skip  # noqa: E501
            blocks.append(Picture.of(figure, f"{name}: {found[name].size:,} weights, {spread}.", wide=False))
    note = [Note("Weights before learning are drawn again from the seed of the run.")] if blocks else []
    return Section("weights", "Weights").with_blocks(*blocks, *note)


def _drawable(shape: tuple[int, ...], array: np.ndarray) -> bool:
    """Convolutions, and dense weights from inputs that are pictures."""
    return array.ndim == 4 or (array.ndim == 2 and len(shape) == 3 and shape[1] > 1 and shape[2] > 1)
