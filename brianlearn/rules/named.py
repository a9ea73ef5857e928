"""Rules by name, for command lines and studies."""

from __future__ import annotations

import dataclasses
from typing import Any

from brianlearn.errors import RuleError
from brianlearn.rules.base import Rule
from brianlearn.rules.stbp import STBP, SurrogateBPTT
from brianlearn.rules.three_factor import DALTON, TFR, ThreeFactorRule

__all__ = ["RULES", "rule_named"]

#: The rules of the package, by name.
RULES: dict[str, Any] = {kind.name: kind for kind in (DALTON, TFR, STBP, SurrogateBPTT)}


def rule_named(name: str, like: Rule) -> Rule:
    """The rule of a name, with the options of another one where it has them too.

    Parameters
    ----------
    name : str
        One of `RULES`.
    like : Rule
        Returned as it is where it has the name. Rules of one family share their options; one of another family has its
        own defaults.

    Returns
    -------
    Rule

    Raises
    ------
    RuleError
        An unknown name.
    """
    if name == like.name:
        return like
    kind = RULES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise RuleError("rule", "there is no rule of this name", got=repr(name), expected=", ".join(RULES))
    kept = ["learning_rate_scale"]
    if issubclass(kind, ThreeFactorRule) and isinstance(like, ThreeFactorRule):
        kept = [field.name for field in dataclasses.fields(kind)]
    made = kind(**{field: getattr(like, field) for field in kept})
    assert isinstance(made, Rule)
    return made
