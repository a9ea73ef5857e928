"""How pictures look: colours that everybody can tell apart, axes without a box, units on the axes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from brianlearn.errors import DataError
from brianlearn.training.files import write_file

__all__ = ["COLOURS", "FAINT", "axes_of", "colour", "layer_colours", "plain", "save_figure"]

#: Okabe & Ito's colours: told apart with every kind of colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
#: Ink of what stands behind the data.
FAINT = "0.5"


def colour(k: int) -> str:
    """The k-th colour; they repeat."""
    return COLOURS[k % len(COLOURS)]


def layer_colours(names: Any) -> dict[str, str]:
    """Each layer's colour: the same in all pictures of a network, by its place in it."""
    return {name: colour(k) for k, name in enumerate(names)}


def axes_of(ax: Axes | None, size: tuple[float, float] = (6.4, 4.0)) -> Axes:
    """An axes to draw into: that of the user, or one of a new figure, which notebooks show."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=size, layout="constrained")[1]


def plain(ax: Axes) -> None:
    """No box around the data."""
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Save a figure; the name's ending says how.

    Raises
    ------
    DataError
        An ending that matplotlib does not know.
    RunFolderError
        If the file cannot be written.
    """
    kind = Path(path).suffix.removeprefix(".").lower()
    known = figure.canvas.get_supported_filetypes()
    if kind not in known:
        raise DataError(str(path), "no such kind of picture", got=repr(kind), expected=", ".join(sorted(known)))
    write_file(Path(path), lambda file: figure.savefig(file, format=kind, dpi=150))
