"""Timed arrays in equations: variables that stand still, and inputs whose spikes change them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import NeuronGroup
from brian2.input.timedarray import TimedArray
from brian2.utils.stringtools import get_identifiers

from brianlearn.brian.adopt.refusal import refused

__all__ = ["Changes", "arrays_of", "changes_of", "without_calls"]

#: Changes of all neurons above which a timed array is refused: each is a weight.
MOST = 2 * 10**7


@dataclass(frozen=True, eq=False)
class Changes:
    """The spikes that take a variable from one row of a timed array to the next, and what they add.

    Attributes
    ----------
    variable : str
        Of the group.
    step, neuron : numpy.ndarray of int
        Of the input: each of its neurons fires once.
    amount : numpy.ndarray, shape (neurons of the group, neurons of the input)
        Base units.
    first : numpy.ndarray, shape (neurons of the group,)
        The row at the start.
    """

    variable: str
    step: np.ndarray
    neuron: np.ndarray
    amount: np.ndarray
    first: np.ndarray


def arrays_of(group: NeuronGroup, namespace: Mapping[str, Any]) -> dict[str, TimedArray]:
    """The timed arrays that the equations of a group call, by name."""
    found = {}
    for eq in group.user_equations.values():
        for name in get_identifiers(eq.expr.code) if eq.expr is not None else ():
            value = group.namespace.get(name, namespace.get(name))
            if isinstance(value, TimedArray) and name not in group.variables:
                if variable_of(name) in group.user_equations:
                    raise refused(
                        group,
                        f"{variable_of(name)!r} would hold what {name!r} says now",
                        line=str(group.user_equations[variable_of(name)]),
                        expected="another name",
                    )
                found[name] = value
    return found


def variable_of(name: str) -> str:
    """The variable that holds what a timed array says now."""
    return f"{name}_now"


def without_calls(group: NeuronGroup, code: str, arrays: Mapping[str, TimedArray], line: str) -> str:
    """An expression with variables in the place of ``array(t)`` and ``array(t, i)``."""
    tree = ast.parse(code.strip(), mode="eval")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in arrays:
            wanted = ["t"] if arrays[node.func.id].values.ndim == 1 else ["t", "i"]
            if [ast.unparse(argument) for argument in node.args] != wanted:
                raise refused(
                    group,
                    "a timed array is asked for something else than now and this neuron",
                    line=line,
                    expected=f"{node.func.id}({', '.join(wanted)})",
                )
    return ast.unparse(_Replaced(arrays).visit(tree))


class _Replaced(ast.NodeTransformer):
    def __init__(self, arrays: Mapping[str, TimedArray]) -> None:
        self.arrays = arrays

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        called = isinstance(node.func, ast.Name) and node.func.id in self.arrays
        return ast.Name(variable_of(node.func.id)) if called else node  # type: ignore[attr-defined]


def changes_of(group: NeuronGroup, name: str, array: TimedArray, dt: float, n_steps: int) -> Changes:
    """The changes of a timed array within a trial.

    Parameters
    ----------
    group : brian2.NeuronGroup
    name : str
        Of the array.
    array : brian2.TimedArray
    dt : float
        Seconds.
    n_steps : int

    Returns
    -------
    Changes

    Raises
    ------
    SpecError
        Rows that are no whole number of steps long; neurons without a column; more changes than fit into memory.
    """
    ratio = array.dt / dt
    steps = round(ratio)
    if steps < 1 or abs(ratio - steps) > 1e-6 * ratio:
        raise refused(
            group,
            f"the rows of {name!r} are no whole number of time steps long",
            line=f"TimedArray(..., dt={array.dt * 1e3:g}*ms) with dt = {dt * 1e3:g} ms",
            expected="a multiple of the time step",
        )
    n = len(group)
    rows = np.asarray(array.values, float)[: -(-n_steps // steps)]
    if rows.ndim == 2:
        if rows.shape[1] < n:
            raise refused(
                group, f"{name!r} has no column for each neuron", line=f"{rows.shape[1]} columns", expected=f"{n}"
            )
        rows = rows[:, :n]
    if len(rows) * n > MOST:
        raise refused(
            group,
            f"{name!r} changes too often",
            line=f"{len(rows)} rows for {n} neurons",
            expected=f"at most {MOST} values in a trial",
            remedy="a shorter duration, or what changes as spikes",
        )
    now = rows[0]
    fired, amounts = [], []
    for k in range(1, len(rows)):
        change = rows[k] - now
        if np.any(change != 0):
            fired.append(k * steps - 1)  # what is fired in a step is seen in the next one
            amounts.append(np.broadcast_to(change, (n,)))
            now = now + change
    amount = np.stack(amounts, axis=1) if amounts else np.zeros((n, 0))
    step = np.array(fired, int)
    return Changes(variable_of(name), step, np.arange(len(step)), amount, np.broadcast_to(rows[0], (n,)))
