"""Optimisers as Brian2 statements on a weights group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from brian2 import Function

from brianlearn.learning.optimisers import SGD, Adam, Momentum, Optimiser
from brianlearn.network.neurons.statements import expression, names, plain_text, substitute

__all__ = ["FUNCTIONS", "mean_gradient", "update_statements"]

#: Texts in which nothing can become infinite or NaN where nothing is updated: multiplied by 0 their change is none.
_SAFE = tuple(kind.update for kind in (SGD, Momentum, Adam))

_CHOSEN = "chosen_update({}, {}, {})"


def _chosen(update: Any, new: Any, old: Any) -> Any:
    return np.where(np.asarray(update) > 0, new, old)


def _function() -> Function:
    """``chosen_update(update, new, old)``: new where there is an update, whatever new is elsewhere."""
    found = Function(_chosen, arg_units=[1, 1, 1], return_unit=1, arg_types=["any"] * 3, return_type="float")
    body = "chosen_update(double update, double after, double before)"
    cpp = f"static inline double {body} {{ return update > 0 ? after : before; }}"
    cython = f"cdef double {body}:\n    return after if update > 0 else before\n"
    found.implementations.add_implementation("numpy", _chosen)
    found.implementations.add_implementation("cpp", cpp, name="chosen_update")
    found.implementations.add_implementation("cython", cython, name="chosen_update")
    return found


#: What the statements call, for the namespace of their group.
FUNCTIONS: dict[str, Function] = {"chosen_update": _function()}


def update_statements(optimiser: Optimiser, scale: float, count: str, squares: Sequence[str] = ()) -> str:
    """Statements of one weight update.

    Parameters
    ----------
    optimiser : Optimiser
    scale : float
        2/n_l^R, which makes the accumulated sum a gradient.
    count : str
        Expression for the number of samples in the gradient; 0 means that nothing is updated now.
    squares : sequence of str, optional
        Names of the sums of squares of all layers' gradients, where their norm is clipped.

    Returns
    -------
    str
        Statements over weight, gradient (the sum over events), lr, the optimiser's slots and k (updates so far).
    """
    lines = [f"update = int({count} > 0)", f"mean = {mean_gradient(optimiser, scale, count)}"]
    if optimiser.clip_norm is not None:
        norm = f"sqrt({' + '.join(squares)})"
        lines.append(f"mean = mean*clip({float(optimiser.clip_norm)!r}/({norm} + 1e-06), 0, 1)")
    changes, counted = _changes(optimiser)
    if counted:
        lines = [f"k = k + int({count} > 0)", *lines]
    return "\n".join([*lines, *changes, "gradient = 0"])


def mean_gradient(optimiser: Optimiser, scale: float, count: str, gradient: str = "gradient") -> str:
    """Expression for the gradient of a weight, before the norm of all together is clipped."""
    mean = f"{scale!r}*{gradient}/clip({count}, 1, inf)"
    if optimiser.clip_value is None:
        return mean
    most = float(optimiser.clip_value)
    return f"clip({mean}, {-most!r}, {most!r})"


def _changes(optimiser: Optimiser) -> tuple[list[str], bool]:
    """The optimiser's own statements, and whether they use the number of updates."""
    given = {"gradient": expression("mean"), "k": expression("clip(k, 1, inf)")}
    lines, counted = [], False
    for statement in optimiser.statements():
        counted |= "k" in names(statement.value)
        target, value = statement.target, substitute(statement.value, given)
        if target not in ("weight", *optimiser.slots):
            lines.append(f"{target} = {plain_text(value)}")
        elif type(optimiser).update not in _SAFE:
            lines.append(f"{target} = {_CHOSEN.format('update', plain_text(value), target)}")
        elif statement.step is not None:
            step = substitute(statement.step, given)
            lines.append(f"{target} = {target} - update*{plain_text(step)}")
        else:
            lines.append(f"{target} = update*({plain_text(value)}) + (1 - update)*{target}")
    return lines, counted
