"""Expressions of neuron statements: reading, rewriting and differentiating them.

An expression is a tree of Python's own ``ast`` module, because Brian2's expressions are Python expressions and the tree
keeps the order of the arithmetic (a computer algebra system would sort the terms, and spikes would no longer be the
same to the last bit).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from brianlearn.discrete.step.draws import is_draw
from brianlearn.network.neurons.statements import assignments, expression, names, substitute

__all__ = [
    "DERIVATIVES",
    "Assign",
    "assignments",
    "elementwise",
    "evaluate",
    "expression",
    "gradients",
    "is_boolean",
    "names",
    "substitute",
]


@dataclass(frozen=True)
class Assign:
    """``target = value``; every target is assigned once."""

    target: str
    value: ast.expr

    def __str__(self) -> str:
        return f"{self.target} = {ast.unparse(self.value)}"


#: Function -> its partial derivatives by position, in terms of the arguments {0}, {1}, ... "" where it is zero.
DERIVATIVES: dict[str, tuple[str, ...]] = {
    "exp": ("exp({0})",),
    "expm1": ("exp({0})",),
    "exprel": ("exprel_derivative({0})",),
    "log": ("1/{0}",),
    "log10": ("0.4342944819032518/{0}",),
    "log1p": ("1/(1 + {0})",),
    "sqrt": ("0.5/sqrt({0})",),
    "sin": ("cos({0})",),
    "cos": ("-sin({0})",),
    "tan": ("1 + tan({0})*tan({0})",),
    "sinh": ("cosh({0})",),
    "cosh": ("sinh({0})",),
    "tanh": ("1 - tanh({0})*tanh({0})",),
    "arcsin": ("1/sqrt(1 - {0}*{0})",),
    "arccos": ("-1/sqrt(1 - {0}*{0})",),
    "arctan": ("1/(1 + {0}*{0})",),
    "abs": ("sign({0})",),
    "sign": ("",),
    "floor": ("",),
    "ceil": ("",),
    "int": ("",),
    "clip": (
        "where(({0} >= {1}) and ({0} <= {2}), 1.0, 0.0)",
        "where(({0} < {1}) and ({1} <= {2}), 1.0, 0.0)",
        "where(({0} > {2}) or ({1} > {2}), 1.0, 0.0)",
    ),
    "at_least": ("where({0} >= {1}, 1.0, 0.0)", "where({0} >= {1}, 0.0, 1.0)"),
    "exprel_derivative": ("",),  # appears in derivatives only
}

#: What the functions compute, for `evaluate`.
_NUMPY: dict[str, Callable[..., object]] = {
    **{name: getattr(np, name) for name in DERIVATIVES if hasattr(np, name)},
    "exprel": lambda x: np.where(np.abs(x) < 1e-16, 1.0, np.expm1(x) / np.where(x == 0, 1.0, x)),
    "at_least": np.maximum,
    "where": np.where,
    "int": lambda x: np.trunc(np.asarray(x, float)),
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_not": np.logical_not,
}


def is_boolean(node: ast.expr, flags: frozenset[str] = frozenset({"not_refractory"})) -> bool:
    """Whether an expression is a condition."""
    if isinstance(node, ast.Name):
        return node.id in flags
    if isinstance(node, ast.Constant):
        return isinstance(node.value, bool)
    return isinstance(node, ast.Compare | ast.BoolOp) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    )


class _Elementwise(ast.NodeTransformer):
    def visit_BoolOp(self, node: ast.BoolOp) -> ast.expr:
        name = "logical_and" if isinstance(node.op, ast.And) else "logical_or"
        result, *others = [self.visit(value) for value in node.values]
        for other in others:
            result = ast.Call(ast.Name(name, ast.Load()), [result, other], [])
        return result

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        operand = self.visit(node.operand)
        if isinstance(node.op, ast.Not):
            return ast.Call(ast.Name("logical_not", ast.Load()), [operand], [])
        return ast.UnaryOp(node.op, operand)


def elementwise(node: ast.expr) -> ast.Expression:
    """An expression for arrays or tensors, ready to compile: conditions combine element by element."""
    return ast.fix_missing_locations(ast.Expression(_Elementwise().visit(expression(ast.unparse(node)))))


def evaluate(node: ast.expr, values: Mapping[str, object]) -> np.ndarray:
    """The value of an expression of constants, with numpy in double precision."""
    code = compile(elementwise(node), "<constant>", "eval")
    with np.errstate(all="ignore"):
        return np.asarray(eval(code, {"__builtins__": {}, **_NUMPY}, dict(values)))


def gradients(node: ast.expr, seed: ast.expr, active: set[str]) -> Iterator[tuple[str, ast.expr]]:
    """What an expression's gradient ``seed`` adds to the gradients of the names in it (reverse mode).

    Parameters
    ----------
    node : ast.expr
    seed : ast.expr
        Gradient with respect to the expression.
    active : set of str
        The names that have a gradient; all others are constants.

    Yields
    ------
    (str, ast.expr)
        A name and a contribution to its gradient; a name may come more than once.
    """
    if isinstance(node, ast.Name):
        if node.id in active:
            yield node.id, seed
        return
    for child, factor in _partials(node):
        if names(child) & active:
            yield from gradients(child, _times(seed, factor), active)


def _times(seed: ast.expr, factor: ast.expr | str | None) -> ast.expr:
    if factor is None:
        return seed
    if isinstance(factor, str):  # the factor comes first: where(c, seed, 0) or -seed
        return expression(factor.format(ast.unparse(seed)))
    return ast.BinOp(seed, ast.Mult(), factor)


def _partials(node: ast.expr) -> Iterator[tuple[ast.expr, ast.expr | str | None]]:
    """The operands of an operation, with the derivative by each: None for 1, a text for what is no factor."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        yield node.operand, "-({})" if isinstance(node.op, ast.USub) else None
    elif isinstance(node, ast.BinOp):
        a, b = f"({ast.unparse(node.left)})", f"({ast.unparse(node.right)})"
        if isinstance(node.op, ast.Add | ast.Sub):
            yield node.left, None
            yield node.right, None if isinstance(node.op, ast.Add) else "-({})"
        elif isinstance(node.op, ast.Mult):
            yield node.left, node.right
            yield node.right, node.left
        elif isinstance(node.op, ast.Div):
            yield node.left, "(({}))/" + b
            yield node.right, expression(f"-{a}/({b}*{b})")
        elif isinstance(node.op, ast.Pow):
            yield node.left, expression(f"{b}*{a}**({b} - 1)" if not _is_number(node.right, 2.0) else f"2.0*{a}")
            yield node.right, expression(f"{a}**{b}*log({a})")
        elif isinstance(node.op, ast.Mod):
            yield node.left, None
            yield node.right, expression(f"-floor({a}/{b})")
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        args = [f"({ast.unparse(argument)})" for argument in node.args]
        if is_draw(node):  # a random number is what it is: Poisson numbers are whole, whatever their mean
            return
        if node.func.id == "where":
            yield node.args[1], f"where({args[0]}, {{}}, 0.0)"
            yield node.args[2], f"where({args[0]}, 0.0, {{}})"
            return
        for argument, template in zip(node.args, DERIVATIVES[node.func.id], strict=True):
            if template:
                yield argument, expression(template.format(*args))


def _is_number(node: ast.expr, value: float) -> bool:
    return isinstance(node, ast.Constant) and not isinstance(node.value, bool) and node.value == value
