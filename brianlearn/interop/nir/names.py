"""Names of NIR nodes as names of populations and projections, and back."""

from __future__ import annotations

import keyword
import re
from collections.abc import Container

from brianlearn.learning.rules.paths import OF_RULES

__all__ = ["fresh", "nir_name", "spec_name"]

_PREFIX = "nir_"
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_ESCAPED = re.compile(r"__|_([0-9a-f]+)_")
#: Names that a network has for itself.
_TAKEN = {"always", "bias"}


def spec_name(name: str) -> str:
    """The name in a network of what is called ``name`` in a NIR graph, where names are any text.

    Names that cannot be used as they are become ``nir_`` and the name, with ``__`` for an underscore and the code of
    other characters between underscores, so that no two names become one and `nir_name` finds the way back.

    Examples
    --------
    >>> spec_name("lif1"), spec_name("1.lif"), spec_name("if")
    ('lif1', 'nir_1_2e_lif', 'nir_if')
    """
    plain = _PLAIN.fullmatch(name) and not name.startswith(_PREFIX)
    if plain and not keyword.iskeyword(name) and name not in _TAKEN and not name.startswith(OF_RULES):
        return name
    return _PREFIX + "".join(c if c.isascii() and c.isalnum() else "__" if c == "_" else f"_{ord(c):x}_" for c in name)


def nir_name(name: str) -> str:
    """The inverse of `spec_name`."""
    if not name.startswith(_PREFIX):
        return name
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)) if found[1] else "_", name.removeprefix(_PREFIX))


def fresh(name: str, taken: Container[str]) -> str:
    """A name that is not taken: the name itself, or with a number behind it."""
    found, k = name, 2
    while found in taken:
        found, k = f"{name}_{k}", k + 1
    return found
