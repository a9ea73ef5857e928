"""From sections to the text of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from itertools import groupby

from brianlearn.report.page.blocks import Block, Picture, Section

__all__ = ["footer", "render"]


@dataclass(frozen=True)
class _Group:
    """Pictures that follow each other stand side by side where there is room."""

    pictures: bool
    blocks: list[Block]


def render(title: str, summary: str, cards: Sequence[tuple[str, str]], sections: Sequence[Section], footer: str) -> str:
    """The text of a page, which needs no other file.

    Parameters
    ----------
    title, summary : str
    cards : sequence of (str, str)
        What matters most: names and values.
    sections : sequence of Section
    footer : str

    Returns
    -------
    str
        HTML.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["groups"] = _groups
    template = (files("brianlearn.report.page") / "page.html").read_text(encoding="utf-8")
    shown = [section for section in sections if section.blocks]
    return environment.from_string(template).render(
        title=title, summary=summary, cards=cards, sections=shown, footer=footer
    )


def _groups(blocks: Sequence[Block]) -> list[_Group]:
    found = []
    for pictures, members in groupby(blocks, lambda block: isinstance(block, Picture)):
        listed = list(members)
        found += [_Group(True, listed)] if pictures else [_Group(False, [block]) for block in listed]
    return found


def footer() -> str:
    """The last line of a page."""
    from brianlearn import __version__

    return f"Written by brianlearn {__version__}. This page needs no other file and no network."
