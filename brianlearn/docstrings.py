"""Docstrings of classes that inherit fields: ``help(DALTON)`` says what each option of `ThreeFactorRule` is, too.

A field is documented once, by the class that declares it. A subclass shows the documentation of the fields that it
inherits and does not describe itself, and the errors of its base where it names none, so that what ``help`` prints is
all that its constructor takes. It works for classes of the user's own as well.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import is_dataclass

__all__ = ["entries", "sections", "show_inherited_fields"]

_HEADING = re.compile(r"^(\w[\w ]*)\n-{3,}\n", re.MULTILINE)


def sections(doc: str | None) -> dict[str, str]:
    """The sections of a docstring in numpydoc's form.

    Parameters
    ----------
    doc : str or None

    Returns
    -------
    dict
        Heading -> text; what stands before the first heading is that of ``""``.
    """
    first, *rest = _HEADING.split(inspect.cleandoc(doc or ""))
    return {"": first.strip(), **{name: text.strip("\n") for name, text in zip(rest[::2], rest[1::2], strict=True)}}


def entries(section: str) -> dict[str, str]:
    """What a section documents.

    Parameters
    ----------
    section : str
        E.g. that of the parameters: lines ``name : type`` or ``name, other : type``, each with indented lines.

    Returns
    -------
    dict
        Name -> its type, and the indented lines.
    """
    found: dict[str, str] = {}
    for entry in re.split(r"\n+(?=\S)", section):
        names, colon, text = entry.partition(" : ")
        if colon:
            found |= {name.strip().lstrip("*"): text.rstrip() for name in names.split(",")}
    return found


def show_inherited_fields(cls: type) -> None:
    """Complete the docstring of a class, before it is made a dataclass.

    Parameters
    ----------
    cls : type
        Left as it is where it has no docstring or inherits no fields.
    """
    bases = [base for base in cls.__mro__[1:] if is_dataclass(base) or "__init__" in vars(base)][:-1]  # but for object
    if not bases or vars(cls).get("__doc__") is None or "__init__" in vars(cls):
        return
    doc, own = inspect.cleandoc(cls.__doc__ or ""), sections(cls.__doc__)
    above = [sections(base.__doc__) for base in bases]
    name = "Parameters" if any("Parameters" in base for base in above) else "Attributes"
    inherited: dict[str, str] = {}
    for base in reversed(above):
        inherited |= entries(base.get(name, ""))
    described = entries(own.get(name, ""))
    taken: Iterable[str] = ()
    if inherited:
        taken = getattr(bases[0], "__dataclass_fields__", None) or inspect.signature(bases[0]).parameters
    fields = [field for field in taken if field in inherited]  # in the order of the signature
    shown = {field: described.get(field, inherited[field]) for field in fields} | described
    if shown != described:
        doc = _with_section(doc, name, _listed(shown))
    errors = next((base["Raises"] for base in above if "Raises" in base), None)
    if errors is not None and "Raises" not in own:
        doc = _with_section(doc, "Raises", errors)
    cls.__doc__ = doc


def _listed(shown: dict[str, str]) -> str:
    """Entries as lines; neighbours that say the same share one."""
    groups: list[tuple[list[str], str]] = []
    for name, text in shown.items():
        if groups and groups[-1][1] == text:
            groups[-1][0].append(name)
        else:
            groups.append(([name], text))
    return "\n".join(f"{', '.join(names)} : {text}" for names, text in groups)


def _with_section(doc: str, name: str, text: str) -> str:
    """The docstring with another text of a section, or with one more, behind the parameters."""
    made = f"{name}\n{'-' * len(name)}\n{text}\n\n"
    headings = list(_HEADING.finditer(doc))
    start = next((h for h in headings if h[1] == name), None)
    if start is not None:
        place, end = start.start(), next((h.start() for h in headings if h.start() > start.start()), len(doc))
    else:
        later = [h for h in headings if name != "Raises" or h[1] not in ("Parameters", "Attributes")]
        place = end = later[0].start() if later else len(doc)
    return f"{doc[:place].rstrip()}\n\n{made}{doc[end:]}".strip()
