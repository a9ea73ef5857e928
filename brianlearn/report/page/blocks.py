"""What a page is made of: sections of texts, tables, pictures and code."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from matplotlib.figure import Figure

from brianlearn.report.page.svg import svg

__all__ = ["Block", "Code", "Facts", "Html", "Note", "Picture", "Section", "Table", "Text"]


#: Inches beyond which a picture keeps its size, because letters would be too small to read.
WIDEST = 15.0


@dataclass(frozen=True)
class Block:
    """A part of a section; the template has a macro of the name ``kind`` for it."""

    kind: ClassVar[str]


@dataclass(frozen=True)
class Text(Block):
    """A paragraph."""

    kind: ClassVar[str] = "paragraph"
    text: str


@dataclass(frozen=True)
class Note(Block):
    """A paragraph in small letters: what is left out, and why."""

    kind: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True)
class Code(Block):
    """Lines to be copied."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True)
class Html(Block):
    """Markup that was made here, e.g. equations; never anything that a user wrote."""

    kind: ClassVar[str] = "markup"
    text: str


@dataclass(frozen=True)
class Facts(Block):
    """Names and values, side by side."""

    kind: ClassVar[str] = "facts"
    caption: str
    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table(Block):
    """A table.

    Attributes
    ----------
    caption : str
        What it is, which is also its name for those who hear the page.
    columns : sequence of str
    rows : sequence of sequences of str
        The first cell of each is its name.
    numbers : sequence of int
        Columns with numbers.
    name : str
        Its identifier in the page, where something refers to it.
    """

    kind: ClassVar[str] = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    numbers: Sequence[int] = ()
    name: str = ""


@dataclass(frozen=True)
class Picture(Block):
    """A picture.

    Attributes
    ----------
    svg : str
    caption : str
    wide : bool
        Whether it takes the width of the page, else half of it where there is room.
    scrolls : bool
        Whether it is wider than any page, and keeps its size.
    """

    kind: ClassVar[str] = "picture"
    svg: str
    caption: str
    wide: bool = True
    scrolls: bool = False

    @staticmethod
    def of(figure: Figure, caption: str, alternative: str | None = None, *, wide: bool = True) -> Picture:
        """A figure with a caption, and what it shows in words where the caption does not say it."""
        return Picture(svg(figure, alternative or caption), caption, wide, figure.get_figwidth() > WIDEST)


@dataclass(frozen=True)
class Section:
    """A section.

    Attributes
    ----------
    name : str
        Its identifier in the page.
    title : str
    blocks : tuple of Block
    """

    name: str
    title: str
    blocks: tuple[Block, ...] = field(default=())

    def with_blocks(self, *blocks: Block) -> Section:
        """A copy with more."""
        return dataclasses.replace(self, blocks=(*self.blocks, *blocks))
