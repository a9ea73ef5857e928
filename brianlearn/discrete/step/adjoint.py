"""The derivative of a neuron's step: the program backwards, with the surrogate derivative in place of the threshold's.

Conventions. The spike is a step function of x = (v - threshold)/v_scale, and its derivative is replaced by the
neuron's surrogate: d spike/d x = psi = sigma'(x), hence d spike/d v = sigma'(x)/v_scale; a threshold that depends on
state variables gets its share. psi is 0 while refractory. A floor passes the gradient where it does not act (its
gate). After a spike the reset's statements are what is differentiated. With the reset path ``"kept"``, the spike that
chooses between reset and no reset passes gradient too; ``"detached"`` treats it as a constant, as the DALTON recipe
does.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from brianlearn.discrete.step.draws import is_draw
from brianlearn.discrete.step.expressions import Assign, expression, gradients, names
from brianlearn.discrete.step.program import Program

__all__ = ["Adjoint", "adjoint"]

#: The gradient of a name, and of a state variable at the end of the step.
GRAD, GRAD_AFTER = "grad_", "grad_after_"
FIRED, PSI, SPIKE = "fired__", "psi__", "spike"


@dataclass(frozen=True)
class Adjoint:
    """What the backward pass does in one step.

    Attributes
    ----------
    saved : tuple of str
        The values that the forward pass has to store; all others are computed again from them.
    recompute : tuple of Assign
        Statements of the forward pass that are computed again.
    lines : tuple of (str, ast.expr, bool)
        Gradient, expression, and whether it adds to the gradient (else it is its first contribution).
    results : dict
        State variable, and what arrives (`Program.inputs`) -> the name of its gradient at the start of the step, None
        where it is zero.
    refractory : bool
        Whether the statements need to know which neurons were refractory.
    constants : dict
        Constant that follows from learned ones -> the name of its gradient.
    reads_spikes : bool
        Whether spikes are read from the forward pass, because computing them again would involve arithmetic, and
        rounding might then decide otherwise.
    """

    saved: tuple[str, ...]
    recompute: tuple[Assign, ...]
    lines: tuple[tuple[str, ast.expr, bool], ...]
    results: dict[str, str | None]
    refractory: bool
    reads_spikes: bool
    constants: dict[str, str]


class _Lines:
    """Contributions to gradients, in order."""

    def __init__(self, active: set[str]) -> None:
        self.active = active
        self.lines: list[tuple[str, ast.expr, bool]] = []
        self.seen: set[str] = set()

    def add(self, name: str, value: ast.expr) -> None:
        self.lines.append((GRAD + name, value, name in self.seen))
        self.seen.add(name)

    def through(self, node: ast.expr, seed: ast.expr) -> None:
        for name, value in gradients(node, seed, self.active):
            self.add(name, value)

    def backwards(self, statements: Iterable[Assign]) -> None:
        for statement in reversed(tuple(statements)):
            if statement.target in self.seen:
                self.through(statement.value, ast.Name(GRAD + statement.target))


def adjoint(program: Program, *, reset_kept: bool, membrane: bool) -> Adjoint:
    """Differentiate one step.

    Parameters
    ----------
    program : Program
    reset_kept : bool
        Whether the spike that resets passes gradient.
    membrane : bool
        Whether the membrane before the reset has a gradient from outside (``grad_out_membrane``).

    Returns
    -------
    Adjoint
    """
    spike = program.spike
    active = {*program.states.values(), *program.inputs, *program.derived}
    for statement in (*program.body, *(spike.reset if spike else ())):
        if names(statement.value) & active and not is_draw(statement.value):
            active.add(statement.target)
    out = _Lines(active)
    if spike is not None:
        out.add(SPIKE, ast.Name("grad_out_spike"))
    for state, before in program.before.items():
        seed = ast.Name(GRAD_AFTER + state)
        after = spike.after.get(state) if spike is not None else None
        if after is None:
            out.through(before, seed)
            continue
        out.through(after, expression(f"where({FIRED}, {seed.id}, 0.0)"))
        out.through(before, expression(f"where({FIRED}, 0.0, {seed.id})"))
        if reset_kept:
            out.add(SPIKE, expression(f"{seed.id}*({ast.unparse(after)} - ({ast.unparse(before)}))"))
    if spike is not None:
        out.backwards(spike.reset)
        out.add(spike.distance, expression(f"{GRAD}{SPIKE}*{PSI}"))
    if membrane and program.membrane in active:
        out.add(program.membrane, ast.Name("grad_out_membrane"))
    out.backwards(program.body)
    results = {state: GRAD + name if name in out.seen else None for state, name in program.states.items()}
    results |= {name: GRAD + name if name in out.seen else None for name in program.inputs}
    needed = set().union(*(names(value) for _, value, _ in out.lines))
    if spike is not None:
        needed |= names(spike.fires) | names(spike.psi)
    statements = {s.target: s for s in (*program.body, *(spike.reset if spike else ()))}
    values = {*statements, *program.states.values()}
    saved, computed = _cut(needed & values, statements, tuple(program.states.values()), {*program.inputs})
    recompute = tuple(s for s in statements.values() if s.target in computed)
    reads_spikes = spike is not None and not _copied(spike.fires, {*saved, *program.constants}, statements)
    refractory = program.refractory and any(
        "not_refractory" in found for found in (needed, *(names(s.value) for s in recompute))
    )
    constants = {name: GRAD + name for name in program.derived if name in out.seen}
    return Adjoint(saved, recompute, tuple(out.lines), results, refractory, reads_spikes, constants)


def _copied(node: ast.expr, known: set[str], statements: dict[str, Assign]) -> bool:
    """Whether a condition follows from known values without arithmetic."""
    if isinstance(node, ast.Name):
        if node.id in known or node.id == "not_refractory":
            return True
        return node.id in statements and _copied(statements[node.id].value, known, statements)
    if isinstance(node, ast.Compare | ast.BoolOp):
        parts = [node.left, *node.comparators] if isinstance(node, ast.Compare) else node.values
        return all(_copied(part, known, statements) for part in parts)
    if isinstance(node, ast.Call):
        selects = isinstance(node.func, ast.Name) and node.func.id in ("where", "at_least", "clip")
        return selects and all(_copied(part, known, statements) for part in node.args)
    return isinstance(node, ast.Constant)


def _cut(
    needed: set[str], statements: dict[str, Assign], starts: tuple[str, ...], given: set[str]
) -> tuple[tuple[str, ...], set[str]]:
    """The fewest values from which all needed ones follow, and which statements compute the rest.

    Among equally few, the latest: the membrane itself is then stored, and a spike computed again from it is the same
    spike to the last bit.
    """
    order = [*starts, *statements]
    reads = {name: names(s.value) & {*order, *given} for name, s in statements.items()}
    candidates = sorted(_closure(needed, set(), reads) - given, key=order.index, reverse=True)
    for size in range(min(len(candidates), len(starts) + 2)):
        for chosen in combinations(candidates, size):
            found = _closure(needed, set(chosen), reads)
            if not (found - set(chosen)) & {*starts, *given}:
                return tuple(sorted(chosen, key=order.index)), found - set(chosen)
    return tuple(sorted(needed, key=order.index)), set()


def _closure(needed: set[str], stop: set[str], reads: dict[str, set[str]]) -> set[str]:
    """``needed`` and everything that it is computed from, not going beyond ``stop``."""
    found, todo = set(needed), list(needed)
    while todo:
        name = todo.pop()
        new = set() if name in stop else reads.get(name, set()) - found
        found |= new
        todo += new
    return found
