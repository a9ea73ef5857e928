"""Learning curves."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from brianlearn.errors import DataError
from brianlearn.plot.labels import run_labels
from brianlearn.plot.style import axes_of, colour, plain
from brianlearn.training.result import Result
from brianlearn.training.run_folder import RunFolder
from brianlearn.training.scores import MAIN

__all__ = ["SCORES", "learning_curve"]

OWNER = "plot.learning_curve"
#: Scores in words.
SCORES = {"accuracy": "accuracy", "mse": "mean squared error", "van_rossum": "van Rossum distance"}
#: Runs up to which training, validation and test are said of each.
LEGEND = 6


def learning_curve(runs: Any, *, score: str | None = None, title: str | None = None, ax: Axes | None = None) -> Axes:
    """Accuracy, or the score that fits the targets, against epochs: learning, validation, and the test at the end.

    Parameters
    ----------
    runs : path-like, Result, sequence of these, or mapping
        A run, several of them, or label -> run. Without labels, a run has its rule's name and the settings in which the
        runs differ. In a mapping, the metrics themselves (a list as `Result.metrics`) may stand for the run.
    score : str, optional
        Another number of the epochs, e.g. ``"loss"``: ``train_<score>`` and ``validation_<score>`` are drawn.
    title : str, optional
    ax : matplotlib.axes.Axes, optional
        To draw into a figure of your own.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    DataError
        A run without a finished epoch or without that score; runs with different scores.
    RunFolderError
        No run folder.

    Examples
    --------
    >>> import brianlearn as bl
    >>> bl.plot.learning_curve({"with dropout": "runs/one", "without": "runs/other"})  # doctest: +SKIP
    """
    given = _labelled(runs)
    ax = axes_of(ax, (6.4, 4.0))
    scores: set[str] = set()
    for k, (label, run) in enumerate(given.items()):
        metrics, test = _numbers(run)
        if not metrics:
            raise DataError(OWNER, f"the run {label!r} has no finished epoch", got=str(run))
        name = score or next(name for name in MAIN if f"train_{name}" in metrics[0])
        if f"train_{name}" not in metrics[0]:
            known = [key.removeprefix("train_") for key in metrics[0] if key.startswith("train_")]
            raise DataError(OWNER, f"the run {label!r} has no such score", got=repr(score), expected=", ".join(known))
        scores.add(name)
        if len(scores) > 1:
            raise DataError(
                OWNER,
                f"the run {label!r} has other scores than those before",
                got=name,
                expected=", ".join(scores - {name}),
                remedy="draw runs with labels, with values and with spike trains in pictures of their own",
            )
        _draw(ax, label, metrics, name, test.get(f"test_{name}"), colour(k), len(given))
    (name,) = scores
    percent = name == "accuracy"
    ax.set_xlabel("epoch")
    ax.set_ylabel(SCORES.get(name, name))
    if percent:
        ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, loc="best", fontsize=9 if len(given) < 4 else 7)
    if title is not None:
        ax.set_title(title)
    plain(ax)
    return ax


def _labelled(runs: Any) -> dict[str, Any]:
    """Label -> run folder, result or metrics."""
    if isinstance(runs, Mapping):
        return dict(runs)
    if isinstance(runs, str | os.PathLike | Result):
        runs = [runs]
    if not isinstance(runs, Sequence) or not runs:
        raise DataError(OWNER, "there is no run", got=repr(runs)[:100], expected="run folders, or label -> run folder")
    folders = [RunFolder.open(run.run if isinstance(run, Result) else run) for run in runs]
    return dict(zip(run_labels(folders), (folder.path for folder in folders), strict=True))


def _numbers(run: Any) -> tuple[list[dict[str, Any]], Mapping[str, Any]]:
    """Metrics of the epochs, and the result."""
    if isinstance(run, Result):
        run = run.run
    if not isinstance(run, str | os.PathLike):
        return run, {}
    folder = RunFolder.open(run)
    return folder.metrics(), folder.result() or {}


def _draw(
    ax: Axes, label: str, metrics: list[dict[str, Any]], name: str, test: float | None, line: str, runs: int
) -> None:
    epochs = [one["epoch"] for one in metrics]
    dots: dict[str, Any] = dict(ms=3, color=line)
    ax.plot(epochs, [one[f"train_{name}"] for one in metrics], "-o", label=f"{label}, training", **dots)
    held: list[Any] = [one.get(f"validation_{name}") for one in metrics]
    if all(value is not None for value in held):
        ax.plot(epochs, held, "--s", label=f"{label}, validation" if runs <= LEGEND else None, **dots)
    if test is not None:
        text = f"{label}, test: {test:.1%}" if name == "accuracy" else f"{label}, test: {test:.3g}"
        star: dict[str, Any] = dict(ms=12, color=line, mec="black", mew=0.6, clip_on=False, zorder=3)
        ax.plot(epochs[-1], test, "*", label=text, **star)
