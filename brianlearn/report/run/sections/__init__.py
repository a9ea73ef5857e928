"""The sections of a run's page, one file each: a function that takes a `RunView` and gives a `Section`."""

from __future__ import annotations

from collections.abc import Callable

from brianlearn.report.page.blocks import Section
from brianlearn.report.run.sections.activity import activity
from brianlearn.report.run.sections.again import again
from brianlearn.report.run.sections.certificate import certificate
from brianlearn.report.run.sections.energy import energy
from brianlearn.report.run.sections.equations import equations
from brianlearn.report.run.sections.learning import learning
from brianlearn.report.run.sections.network import network
from brianlearn.report.run.sections.outcome import outcome
from brianlearn.report.run.sections.rasters import rasters
from brianlearn.report.run.sections.time_spent import time_spent
from brianlearn.report.run.sections.warned import warned
from brianlearn.report.run.sections.weights import weights
from brianlearn.report.run.view import RunView

__all__ = ["SECTIONS"]

#: In the order of the page.
SECTIONS: tuple[Callable[[RunView], Section], ...] = (
    warned,
    learning,
    outcome,
    network,
    equations,
    activity,
    rasters,
    weights,
    energy,
    time_spent,
    certificate,
    again,
)
