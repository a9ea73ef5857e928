"""Figures as SVG within a page: text stays text, ink is that of the page, light or dark."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import matplotlib
from matplotlib.figure import Figure

__all__ = ["figure_for_page", "inked", "svg"]

#: Stands for the page's own ink until the file is written: no picture uses it.
INK = "#010203"
_numbers = count()


@contextmanager
def inked() -> Iterator[None]:
    """Figures made and drawn in here have the ink of the page, which is dark on light or light on dark."""
    names = ("text.color", "axes.edgecolor", "axes.labelcolor", "axes.titlecolor", "xtick.color", "ytick.color")
    settings: Any = {**dict.fromkeys(names, INK), "legend.labelcolor": INK, "axes.facecolor": "none", "font.size": 9}
    settings |= {"axes.titlesize": 10, "figure.facecolor": "none", "savefig.facecolor": "none"}
    with matplotlib.rc_context(settings):
        yield


def figure_for_page(width: float = 6.4, height: float = 3.4) -> Figure:
    """An empty figure, sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def svg(figure: Figure, alternative: str) -> str:
    """A figure as an element of a page.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Made and drawn within `inked`.
    alternative : str
        What it shows, for those who cannot see it.

    Returns
    -------
    str
        ``<svg role="img" aria-label=...>``; two of them have no identifier in common.
    """
    file = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": f"picture {next(_numbers)}"}), inked():
        figure.savefig(file, format="svg", dpi=110, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(
        r' id="(figure|axes|patch|line2d|text|legend|PathCollection|LineCollection|FillBetweenPolyCollection|'
        r'QuadMesh|matplotlib\.axis|xtick|ytick)_\d+"',
        "",
        text,
    )
    width, height = (round(96 * inches) for inches in figure.get_size_inches())
    head = f'<svg role="img" aria-label="{html.escape(alternative, quote=True)}" width="{width}" height="{height}"'
    text = re.sub(
        r"<svg [^>]*?viewBox",
        f'{head} xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox',
        text,
        count=1,
        flags=re.DOTALL,
    )
    text = text.replace(INK, "currentColor")
    return re.sub(r"\n\s*", "\n", text)
