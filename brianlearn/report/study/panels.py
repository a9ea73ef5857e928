"""Panels of a picture: one for each combination of the axes that are not drawn in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brianlearn.errors import DataError
from brianlearn.report.study.style import FAINT, SIZE, elide, figure_of
from brianlearn.report.study.table import StudyTable

__all__ = ["MOST_PANELS", "Panel", "Panels"]

#: Panels of one figure at most.
MOST_PANELS = 12


@dataclass(frozen=True)
class Panel:
    """A picture's part: trials with the same values of the axes that are not drawn.

    Attributes
    ----------
    ax : matplotlib.axes.Axes
    rows : numpy.ndarray of int
        Trials, as rows of the table.
    title : str
    """

    ax: Axes
    rows: np.ndarray
    title: str


@dataclass(frozen=True)
class Panels:
    """All panels of a picture.

    Attributes
    ----------
    panels : tuple of Panel
    own : bool
        Whether the figure was made for them.
    """

    panels: tuple[Panel, ...]
    own: bool

    @staticmethod
    def of(
        table: StudyTable,
        used: Sequence[str],
        over: Sequence[str],
        select: Mapping[str, Any] | None,
        axes: Axes | Sequence[Axes] | None,
        subject: str,
    ) -> Panels:
        """One panel for each combination of the axes that are neither drawn nor averaged over nor selected.

        Raises
        ------
        DataError
            An axis for two purposes, too many panels, another number of ``axes``, or no trial.
        """
        purposes = [*used, *over, *(select or {})]
        for name in purposes:
            table.axis(name, subject)
        double = sorted({name for name in purposes if purposes.count(name) > 1})
        if double:
            raise DataError(
                subject, "an axis is used twice", got=", ".join(double), expected="each axis for one purpose"
            )
        rows = table.rows(select, subject)
        if not rows.size:
            raise DataError(subject, "there is no trial to draw", got=f"select={dict(select or {})}")
        # of points that were drawn one cannot hold the other axes fixed
        others = [n for n, a in table.axes.items() if n not in purposes and len(a.levels) > 1] if table.grid else []
        groups = table.groups(others, rows)
        if len(groups) > MOST_PANELS:
            raise DataError(
                subject,
                "there would be too many panels",
                got=f"{len(groups)}, one for each of {', '.join(others)}",
                expected=f"at most {MOST_PANELS}",
                remedy=f"choose a value, select={{{others[0]!r}: ...}}, or average, over={[*over, others[0]]!r}",
            )
        keys = sorted(groups)
        own = axes is None
        if axes is None:
            n_columns = min(len(keys), 3 if len(keys) != 4 else 2)
            n_rows = math.ceil(len(keys) / n_columns)
            size = SIZE if len(keys) == 1 else (1.4 + 2.6 * n_columns, 0.9 + 2.4 * n_rows)
            made = Figure(figsize=size, layout="constrained").subplots(
                n_rows, n_columns, squeeze=False, sharex=True, sharey=True
            )
            flat = list(made.flat)
            for ax in flat[len(keys) :]:
                ax.set_axis_off()
            for ax in flat[max(len(keys) - n_columns, 0) : len(keys)]:  # the lowest of each column
                ax.tick_params(labelbottom=True)
            axes = flat[: len(keys)]
        given = [axes] if isinstance(axes, Axes) else list(axes)
        if len(given) != len(keys):
            shown = f", one for each of {', '.join(others)}" if others else ""
            raise DataError(subject, "the number of axes is wrong", got=len(given), expected=f"{len(keys)}{shown}")
        titles = [
            ", ".join(f"{n} = {elide(table.axes[n].text(c, unit=True))}" for n, c in zip(others, key, strict=True))
            for key in keys
        ]
        return Panels(tuple(map(Panel, given, (groups[key] for key in keys), titles)), own)

    def label(self, x: str, y: str) -> None:
        """Label the outer axes, title the panels."""
        for panel in self.panels:
            spec = panel.ax.get_subplotspec() if self.own else None
            below = {q.ax.get_subplotspec().colspan.start for q in self._later(panel)} if spec is not None else set()  # type: ignore[union-attr]
            if spec is None or spec.colspan.start not in below:
                panel.ax.set_xlabel(x)
            if spec is None or spec.is_first_col():
                panel.ax.set_ylabel(y)
            if panel.title:
                panel.ax.set_title(panel.title, fontsize=9)

    def _later(self, panel: Panel) -> tuple[Panel, ...]:
        return self.panels[self.panels.index(panel) + 1 :]

    def say(self, text: str) -> None:
        """Say in small letters what is drawn."""
        figure = figure_of(self.panels[0].ax)
        if self.own and len(self.panels) > 1:
            figure.suptitle(text, fontsize=8, color=FAINT, x=0.01, ha="left")
        else:
            self.panels[0].ax.set_title(text, fontsize=8, color=FAINT, loc="left")
