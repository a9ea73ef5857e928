"""Rules and their losses by name, for command lines and studies."""

from __future__ import annotations

import dataclasses
from typing import Any

from brianlearn.errors import RuleError
from brianlearn.learning.losses import CrossEntropy, Hamming, RateMSE, ReadoutMSE, SpikeCount, VanRossum
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.rules.decolle import DECOLLE
from brianlearn.learning.rules.dfa import DFA
from brianlearn.learning.rules.eprop import EProp
from brianlearn.learning.rules.stbp import STBP, BackPropagation, SurrogateBPTT
from brianlearn.learning.rules.three_factor import DALTON, TFR, ThreeFactorRule
from brianlearn.learning.value_losses import MAE, MSE, Huber

__all__ = ["LOSSES", "RULES", "rule_named", "with_loss_named"]

#: The rules of the package, by name.
RULES: dict[str, Any] = {kind.name: kind for kind in (DALTON, TFR, DFA, EProp, DECOLLE, STBP, SurrogateBPTT)}
#: The losses of the package, by name.
LOSSES: dict[str, Any] = {
    kind.name: kind for kind in (VanRossum, Hamming, SpikeCount, RateMSE, ReadoutMSE, CrossEntropy, MSE, MAE, Huber)
}


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
        shared = {field.name for field in dataclasses.fields(like)} - {"eligibility"}  # a rule has one of its own
        kept = [field.name for field in dataclasses.fields(kind) if field.name in shared]
        kept += ["eligibility"] if like.eligibility != type(like).eligibility else []
    made = kind(**{field: getattr(like, field) for field in kept})
    assert isinstance(made, Rule)
    return made


def with_loss_named(rule: Rule, name: str) -> Rule:
    """A rule that minimises the loss of a name, with the options of its own loss where both have them.

    Parameters
    ----------
    rule : Rule
        A rule that back-propagates; returned as it is where its loss has the name.
    name : str
        One of `LOSSES`.

    Returns
    -------
    Rule

    Raises
    ------
    RuleError
        An unknown name, or a rule without a loss.
    """
    kind = LOSSES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise RuleError("loss", "there is no loss of this name", got=repr(name), expected=", ".join(LOSSES))
    if not isinstance(rule, BackPropagation):
        raise RuleError(
            f"rule {rule.name!r}",
            "the rule has errors of its own and takes no loss",
            got=f"loss {name!r}",
            expected="the rule stbp or bptt",
        )
    if rule.loss.name == name:
        return rule
    mine: Any = rule.loss
    both = {field.name for field in dataclasses.fields(kind)} & {field.name for field in dataclasses.fields(mine)}
    loss = kind(**{field: getattr(mine, field) for field in both})
    made: Any = rule
    found = dataclasses.replace(made, loss=loss)
    assert isinstance(found, Rule)
    return found
