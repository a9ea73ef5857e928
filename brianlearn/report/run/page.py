"""The page of a run: one file that needs no other, nor a network."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from brianlearn.plot.learning import SCORES
from brianlearn.report.page.render import footer, render
from brianlearn.report.run.sections import SECTIONS
from brianlearn.report.run.sections.energy import energy as of_energy
from brianlearn.report.run.view import RunView
from brianlearn.training.energy import EnergyTable
from brianlearn.training.files import write_text
from brianlearn.training.scores import MAIN
from brianlearn.work import working

__all__ = ["FILE", "write_run_report"]

FILE = "report.html"


@working()
def write_run_report(
    run: str | os.PathLike[str],
    *,
    data: Any = None,
    samples: int = 500,
    energy: EnergyTable | None = None,
    profile: int = 0,
) -> Path:
    """Write ``report.html`` into a run folder: what was run, how it learned, what it does, and how it can be trusted.

    The trained network is run once more with test samples, on the discrete engine where it can run the network, else in
    Brian2 on the device numpy. A run that is not finished is reported as it is.

    Parameters
    ----------
    run : path-like
        The run folder.
    data : DataSet or (Samples, Samples), optional
        Needed for what the network does where the run's data had no name.
    samples : int, optional
        Test samples at most that are run.
    energy : EnergyTable, optional
        What operations cost.
    profile : int, optional
        Training samples with which the time of Brian2's objects, or of torch's operations, is measured, on the device
        of the training; not measured where it is 0.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    RunFolderError
        No run folder, a damaged one, or one that cannot be written.
    SpecError
        A run with classes of one's own whose script is not loaded.
    """
    view = RunView.open(run, data=data, samples=samples)
    view.profile_samples = profile
    sections = [(partial(of_energy, table=energy) if section is of_energy else section)(view) for section in SECTIONS]
    page = view.folder.path / FILE
    write_text(page, render(_title(view), _summary(view), _cards(view), sections, footer()))
    return page


def _title(view: RunView) -> str:
    data = view.config["data"].get("name") or view.config.get("name") or "a network"
    return f"{view.rule_name} on {data}"


def _summary(view: RunView) -> str:
    done, planned = len(view.metrics), view.config["epochs"]
    state = f"{done} epochs" if view.result is not None else f"{done} of {planned} epochs, not finished"
    return f"{view.folder.path.name}: {state}"


def _cards(view: RunView) -> list[tuple[str, str]]:
    cards: list[tuple[str, str]] = []
    values = {} if view.result is None else vars(view.result)
    last: dict[str, Any] = view.metrics[-1] if view.metrics else {}
    for part in ("test", "validation", "train"):
        source = values if part == "test" else last
        for name in MAIN:
            value = source.get(f"{part}_{name}")
            if value is not None:
                words = {"train": "training", "test": "test", "validation": "validation"}[part]
                cards.append((f"{words} {SCORES[name]}", f"{value:.1%}" if name == "accuracy" else f"{value:.4g}"))
    neurons = sum(p.n for p in view.spec.neurons)
    cards.append(("neurons", f"{neurons:,}"))
    cards.append(("weights", f"{sum(array.size for array in view.weights.values()):,}"))
    if view.metrics:
        cards.append(("samples per second", f"{last['samples_per_second']:.0f}"))
    return cards
