"""The text of an optimiser: reading and checking it, once for both engines."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from brianlearn.errors import RuleError, did_you_mean
from brianlearn.network.neurons.statements import FUNCTIONS, assignments, folded, foreign, names, number, substitute

__all__ = ["GIVEN", "Statement", "read_update"]

#: What an optimiser's text may use beside its slots and fields.
GIVEN = ("weight", "gradient", "lr", "k")
#: Names that Brian2, or the statements around the text, take.
_TAKEN = ("update", "mean", "dt", "t", "i", "j", "N", "t_in_timesteps", "batch_count", "learning", "inf", "pi", "e")


@dataclass(frozen=True)
class Statement:
    """``target = value``; where ``step`` is given, ``weight = weight - step`` is what was written.

    Attributes
    ----------
    target : str
        ``weight``, a slot, or a name that the text brings along.
    value : ast.expr
        Of weight, gradient (the mean of the batch), lr, k, slots, and numbers.
    step : ast.expr or None
    """

    target: str
    value: ast.expr
    step: ast.expr | None = None


def read_update(owner: str, text: str, slots: tuple[str, ...], constants: Mapping[str, float]) -> list[Statement]:
    """The statements of an optimiser.

    Names of its own whose values are the same for all weights (of lr, k and numbers) are put in where they are used.

    Parameters
    ----------
    owner : str
        How errors name it.
    text : str
        Assignments over `GIVEN`, the slots, the constants and `FUNCTIONS`.
    slots : tuple of str
    constants : mapping
        Name -> number.

    Returns
    -------
    list of Statement

    Raises
    ------
    RuleError
        What cannot be read, unknown names, and a weight that never changes; each names the line.
    """
    if not isinstance(text, str) or not text.strip():
        raise RuleError(
            owner,
            "it has no text that says how weights change",
            got=f"update = {text!r}",
            expected=f"Brian2 statements over {', '.join(GIVEN)}, its slots and its fields",
            remedy='e.g. update = "weight -= lr*sign(gradient)"; see the example of brianlearn.Optimiser',
        )
    for slot in slots:
        if not slot.isidentifier() or slot in (*GIVEN, *_TAKEN, *FUNCTIONS, *constants):
            raise RuleError(owner, "the name of a slot cannot be used", got=repr(slot), expected="a name of its own")
    try:
        written = list(assignments(text))
        lines = ast.parse(textwrap.dedent(text).strip()).body
    except (SyntaxError, ValueError) as error:
        raise RuleError(
            owner, "its text cannot be read", got=str(error), expected="assignments such as m = beta*m + gradient"
        ) from None
    values: dict[str, ast.expr] = {name: number(value) for name, value in constants.items()}
    vectors = {"weight", "gradient", *slots}
    known, found = {*GIVEN, *slots, *constants}, list[Statement]()
    for (target, value), line in zip(written, lines, strict=True):
        _check(owner, target, value, known, constants, ast.unparse(line))
        value = folded(substitute(value, values))
        known.add(target)
        if target not in vectors and not names(value) & vectors:  # one number for all weights
            values[target] = value
            continue
        values.pop(target, None)
        vectors.add(target)
        step = None
        if target == "weight" and isinstance(line, ast.AugAssign) and isinstance(line.op, ast.Sub):
            step = folded(substitute(line.value, values))
        found.append(Statement(target, value, step))
    if not any(statement.target == "weight" for statement in found):
        raise RuleError(owner, "its text never changes the weight", got=text.strip(), expected="weight -= ...")
    return found


def _check(
    owner: str, target: str, value: ast.expr, known: set[str], constants: Mapping[str, float], line: str
) -> None:
    """Refuse a statement by name."""
    if target in ("gradient", "lr", "k", *_TAKEN, *FUNCTIONS, *constants):
        raise RuleError(owner, f"its text changes {target!r}", got=line, expected="the weight, a slot, or a new name")
    wrong = foreign(value)
    if wrong is not None:
        raise RuleError(owner, f"its text {wrong[0]}", got=line, expected=wrong[1], remedy=wrong[2])
    for name in sorted(names(value) - known):
        raise RuleError(
            owner,
            f"its text uses an unknown name {name!r}",
            got=line,
            expected=", ".join(sorted(known)),
            remedy="use lr, which is the learning rate of the epoch"
            if name == "learning_rate"
            else did_you_mean(name, known) or "declare it: a field of the class, or a slot",
        )
