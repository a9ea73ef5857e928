"""How it learned: scores, losses and rates by epoch."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from brianlearn.plot.learning import SCORES, learning_curve
from brianlearn.plot.rates import rates
from brianlearn.plot.style import colour, plain
from brianlearn.report.page.blocks import Block, Note, Picture, Section
from brianlearn.report.page.svg import figure_for_page, inked
from brianlearn.report.run.view import RunView
from brianlearn.training.scores import MAIN

__all__ = ["learning"]


def learning(view: RunView) -> Section:
    """Learning curves of a run; a note before the first epoch has ended."""
    section = Section("learning", "Learning")
    if not view.metrics:
        return section.with_blocks(Note("No epoch has ended yet."))
    first, last = view.metrics[0], view.metrics[-1]
    main = next(name for name in MAIN if f"train_{name}" in first)
    blocks: list[Block] = []
    with inked():
        for name in dict.fromkeys((main, "loss")):
            figure = figure_for_page(6.2, 3.4)
            learning_curve({view.rule_name: str(view.folder.path)}, score=name, ax=figure.subplots())
            kind = ".1%" if name == "accuracy" else ".4g"
            low, high = (format(line[f"train_{name}"], kind) for line in (first, last))
            ends = f"from {low} in epoch {first['epoch']} to {high}"
            what = SCORES.get(name, name).capitalize()
            caption = f"{what} while learning, {ends} in epoch {last['epoch']}."
            blocks.append(Picture.of(figure, caption, wide=False))
        figure = figure_for_page(6.2, 3.4)
        fired = {name: rate for name, rate in last["firing_rates_hz"].items() if name not in view.spec.graph.currents}
        rates(view.metrics, layers=list(fired), ax=figure.subplots())
        told = ", ".join(f"{name} {rate:.1f} Hz" for name, rate in fired.items())
        blocks.append(
            Picture.of(figure, f"Mean firing rates by epoch, while learning; in the last one {told}.", wide=False)
        )
        figure = figure_for_page(6.2, 3.4)
        _norms(view, figure.subplots())
        blocks.append(Picture.of(figure, "Norms of the weights after each epoch, relative to the first.", wide=False))
    return section.with_blocks(*blocks)


def _norms(view: RunView, ax: Axes) -> None:
    epochs = [line["epoch"] for line in view.metrics]
    for k, name in enumerate(view.metrics[0]["weight_norms"]):
        values = [line["weight_norms"][name] for line in view.metrics]
        ax.plot(epochs, [v / (values[0] or 1.0) for v in values], "-o", ms=3, color=colour(k), label=name)
    ax.set_xlabel("epoch")
    ax.set_ylabel("norm of weights / first epoch")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8, ncols=1 + len(view.metrics[0]["weight_norms"]) // 6)
    plain(ax)
