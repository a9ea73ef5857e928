"""Papers, and which object comes from which: a class says its own, beside its docstring.

``references`` of a class are the papers behind it; a subclass adds its own to those of its bases. A function that makes
an object with a text, as the presets of neurons do, says them with `cites`.
"""

from __future__ import annotations

import inspect
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from brianlearn.errors import ArgumentError

__all__ = ["Citable", "Reference", "cites", "makers_of", "published_in", "references_of_text", "text_lines"]

#: BibTeX's name of the field that holds `Reference.venue`, of each kind of entry.
_VENUE = {"article": "journal", "inproceedings": "booktitle", "book": "publisher", "misc": "howpublished"}
_SPECIAL = re.compile(r"([&%$#_])")
_LITTLE = {"a", "an", "the", "on", "of", "and", "in", "to", "some"}


@dataclass(frozen=True)
class Reference:
    """A paper, a book, or a program, as it is cited.

    Parameters
    ----------
    authors : str
        As BibTeX takes them: ``"R. Gaurav and D. A. Do"``, with ``"and others"`` where there are more; an organisation
        in braces.
    title : str
    venue : str
        Journal, proceedings, publisher, or how else it was published.
    year : int
    kind : {"article", "inproceedings", "book", "misc"}
    volume, number, pages : str, optional
        Pages with a hyphen, or the number of an article.
    doi, arxiv : str, optional
        Without an address before it: ``"10.7554/eLife.47314"``, ``"1412.6980"``.
    note : str, optional

    Raises
    ------
    ArgumentError
        A field that is empty or of another form.

    Examples
    --------
    >>> import brianlearn as bl
    >>> mine = bl.Reference("A. Author and B. Writer", "A rule of mine", "Journal of Rules", 2026, volume="1")
    >>> print(mine.text())
    A. Author, B. Writer, A rule of mine, Journal of Rules 1, 2026.
    >>> print(mine.bibtex())
    @article{author2026rule,
      author = {A. Author and B. Writer},
      title = {{A rule of mine}},
      journal = {Journal of Rules},
      year = {2026},
      volume = {1},
    }
    """

    authors: str
    title: str
    venue: str
    year: int
    kind: str = "article"
    volume: str | None = None
    number: str | None = None
    pages: str | None = None
    doi: str | None = None
    arxiv: str | None = None
    note: str | None = None

    def __post_init__(self) -> None:
        for name in ("authors", "title", "venue"):
            value = getattr(self, name)
            self._check(name, isinstance(value, str) and bool(value.strip()), "text")
        self._check(
            "year", isinstance(self.year, int) and 1500 < self.year < 2200, "the year as a whole number, e.g. 2024"
        )
        self._check("kind", self.kind in _VENUE, " or ".join(map(repr, _VENUE)))
        for name in ("volume", "number", "pages", "note"):
            value = getattr(self, name)
            self._check(name, value is None or (isinstance(value, str) and bool(value)), "text, or None")
        for name, form, example in (
            ("doi", r"10\.\d{4,9}/\S+", "10.7554/eLife.47314"),
            ("arxiv", r"\d{4}\.\d{4,5}", "1412.6980"),
        ):
            value = getattr(self, name)
            right = value is None or (isinstance(value, str) and re.fullmatch(form, value) is not None)
            self._check(name, right, f"the number alone, e.g. {example!r}")

    def _check(self, name: str, right: bool, expected: str) -> None:
        if not right:
            raise ArgumentError("Reference", f"{name} is wrong", got=repr(getattr(self, name)), expected=expected)

    @property
    def key(self) -> str:
        """What the entry is called: the first author's name, the year, and the first word of the title."""
        first = self.authors.split(" and ")[0]
        family = first.strip("{}").split()[0 if first.startswith("{") else -1]
        word = next((w for w in re.findall(r"\w+", self.title) if w.lower() not in _LITTLE), "")
        plain = unicodedata.normalize("NFKD", f"{family}{self.year}{word}".lower().replace("ø", "o"))
        return re.sub(r"[^a-z0-9]", "", plain)

    def text(self) -> str:
        """The reference in one line.

        Returns
        -------
        str
        """
        names = self.authors.replace(" and others", " et al.").replace("{", "").replace("}", "")
        where = self.venue + (f" {self.volume}" if self.volume else "") + (f"({self.number})" if self.number else "")
        parts = [*names.split(" and "), self.title, where, self.pages, str(self.year)]
        parts += [self.doi and f"doi {self.doi}", self.arxiv and f"arXiv:{self.arxiv}", self.note]
        return ", ".join(part for part in parts if part) + "."

    def bibtex(self) -> str:
        """The reference as an entry of a ``.bib`` file.

        Returns
        -------
        str
        """
        fields = {
            "author": self.authors,
            "title": f"{{{self.title}}}",
            _VENUE[self.kind]: self.venue,
            "year": str(self.year),
            "volume": self.volume,
            "number": self.number,
            "pages": self.pages and self.pages.replace("-", "--"),
            "doi": self.doi,
            "eprint": self.arxiv,
            "archiveprefix": self.arxiv and "arXiv",
            "note": self.note,
        }
        shown = {
            name: value if name == "doi" else _SPECIAL.sub(r"\\\1", value) for name, value in fields.items() if value
        }
        lines = [f"  {name} = {{{value}}}," for name, value in shown.items()]
        return "\n".join([f"@{self.kind}{{{self.key},", *lines, "}"])


class Citable:
    """What can say in which papers it was published.

    Attributes
    ----------
    references : tuple of Reference
        Of a class: the papers behind it.
    """

    references: ClassVar[tuple[Reference, ...]] = ()

    def cited(self) -> tuple[Reference, ...]:
        """The papers behind this object: those of its class and of its bases, its own first.

        Returns
        -------
        tuple of Reference
        """
        return references_of_class(type(self))


def references_of_class(cls: type) -> tuple[Reference, ...]:
    """The papers of a class and its bases.

    Raises
    ------
    ArgumentError
        ``references`` that are none.
    """
    found: dict[Reference, None] = {}
    for base in cls.__mro__:
        own = vars(base).get("references", ())
        if not (isinstance(own, tuple | list) and all(isinstance(each, Reference) for each in own)):
            raise ArgumentError(
                base.__name__,
                "references is wrong",
                got=repr(own),
                expected="a tuple of bl.Reference, e.g. references = (bl.Reference('A. Author', 'Title', ...),)",
            )
        found |= dict.fromkeys(own)
    return tuple(found)


Maker = TypeVar("Maker", bound=Callable[..., Any])


def published_in(*references: Reference) -> Callable[[Maker], Maker]:
    """A decorator: the papers behind a function itself."""

    def mark(function: Maker) -> Maker:
        function.references = references  # type: ignore[attr-defined]
        return function

    return mark


@dataclass
class _Marked:
    """A function that makes an object with a text, the papers behind that, and the text once it is known."""

    function: Callable[..., Any]
    references: tuple[Reference, ...]
    text: object = None

    def read(self) -> object:
        if self.text is None:
            self.text = getattr(self.function(), "written", None)
        return self.text


_makers: list[_Marked] = []


def cites(*references: Reference) -> Callable[[Maker], Maker]:
    """Say which papers are behind the neuron, or the synaptic rule, that a function makes.

    It is known again by its texts (of a neuron its equations and threshold), also when a run folder brings it: whatever
    constants and options the function was given.

    Parameters
    ----------
    *references : Reference

    Returns
    -------
    callable
        A decorator for a function that can be called without arguments, which it does once.

    Raises
    ------
    ArgumentError
        What is no reference; a function that needs arguments, or makes something without a text; a class, which says
        ``references = (...)`` itself.

    Examples
    --------
    >>> import brianlearn as bl
    >>> @bl.cites(bl.Reference("A. Author", "A neuron of mine", "Journal of Neurons", 2026))
    ... def mine(**options):
    ...     return bl.Neuron("dv/dt = 1/second : 1", "v > 7", "v = 0", "v", **options)
    >>> [reference.key for reference in mine(floor=0.0).cited()]
    ['author2026neuron']
    """
    for each in references:
        if not isinstance(each, Reference):
            raise ArgumentError("cites", "this is no reference", got=repr(each), expected="bl.Reference(...)")

    def mark(function: Maker) -> Maker:
        if isinstance(function, type):
            raise ArgumentError(
                "cites",
                "it is for functions that make a neuron",
                got=f"the class {function.__name__}",
                expected="in the class: references = (bl.Reference(...),)",
            )
        needed = [
            p.name
            for p in inspect.signature(function).parameters.values()
            if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        ]
        if needed:
            raise ArgumentError(
                "cites",
                f"{function.__name__} cannot be called without arguments",
                got=", ".join(needed),
                expected="a default for each argument",
            )
        marked = _Marked(published_in(*references)(function), references)
        if not str(function.__module__).startswith(
            "brianlearn."
        ):  # ours are called when they are needed: imports are quick
            marked.read()
            if marked.text is None:
                raise ArgumentError(
                    "cites",
                    f"{function.__name__}() makes nothing with a text",
                    got=repr(function()),
                    expected="a function that returns a bl.Neuron or a bl.SynapticRule",
                )
        _makers[:] = [one for one in _makers if _place(one.function) != _place(function)]
        _makers.append(marked)
        return function

    return mark


def _place(function: Callable[..., Any]) -> tuple[str, str]:
    return function.__module__, function.__qualname__


def text_lines(*texts: str) -> tuple[str, ...]:
    """Texts of equations and statements, line by line and without spare blanks."""
    lines = [" ".join(line.split()) for text in texts for line in text.splitlines()]
    return tuple(line for line in lines if line)


def references_of_text(written: object) -> tuple[Reference, ...]:
    """The papers of the functions that make objects with this text (their attribute ``written``)."""
    return tuple(dict.fromkeys(each for _, references in makers_of(written) for each in references))


def makers_of(written: object) -> list[tuple[str, tuple[Reference, ...]]]:
    """Names of the functions that make objects with this text, and their papers."""
    if written is None:
        return []
    return [(one.function.__name__, one.references) for one in _makers if one.read() == written]
