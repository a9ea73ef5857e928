"""Expressions of constants: simplified, and computed once instead of in every step."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Set

import numpy as np

from brianlearn.discrete.step.draws import is_draw
from brianlearn.discrete.step.expressions import evaluate, is_boolean, names

__all__ = ["Hoist", "simplified"]


class _Simplify(ast.NodeTransformer):
    """int(condition) as where(condition, 1, 0); clip without an upper end; what is true in every step."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        function = node.func
        assert isinstance(function, ast.Name)
        args = [self.visit(a) for a in node.args]
        if function.id == "int" and is_boolean(args[0]):
            if isinstance(args[0], ast.Constant):
                return ast.Constant(float(args[0].value))  # type: ignore[arg-type]
            return ast.Call(ast.Name("where"), [args[0], ast.Constant(1.0), ast.Constant(0.0)], [])
        if function.id == "clip" and "inf" in names(args[2]):
            return ast.Call(ast.Name("at_least"), args[:2], [])
        return ast.Call(function, args, [])

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, ast.Mult):
            for one, other in ((left, right), (right, left)):
                if isinstance(one, ast.Constant) and one.value == 1.0:
                    return other
        return ast.BinOp(left, node.op, right)


def simplified(node: ast.expr) -> ast.expr:
    """An expression without ``int(condition)``, open-ended ``clip`` and multiplications by 1."""
    return _Simplify().visit(node)


class Hoist(ast.NodeTransformer):
    """Replaces the largest expressions of constants by names, and collects all constants that are used.

    Parameters
    ----------
    values : mapping
        Everything that is constant, by name: numbers, or arrays with one value per neuron.
    taken : set of str
        Names that are in use.
    changing : set of str, optional
        Which of the values learning changes.

    Attributes
    ----------
    constants : dict
        Name -> value.
    derived : dict
        Those of them that depend on changing values -> the expression that they are.
    """

    def __init__(self, values: Mapping[str, object], taken: set[str], changing: Set[str] = frozenset()) -> None:
        self.values, self.taken, self.changing = values, taken, changing
        self.found: dict[str, str] = {}
        self.constants: dict[str, np.ndarray] = {}
        self.derived: dict[str, ast.expr] = {}

    def apply(self, node: ast.expr) -> ast.expr:
        """The expression in terms of names of constants."""
        return self.visit(node)  # type: ignore[return-value]

    def visit(self, node: ast.AST) -> ast.AST:
        operation = isinstance(node, ast.BinOp | ast.UnaryOp | ast.Call)
        constant = isinstance(node, ast.expr) and names(node) <= set(self.values) and not is_draw(node)
        if operation and constant and not isinstance(node, ast.UnaryOp | ast.Constant):
            return ast.Name(self._name(node))  # type: ignore[arg-type]
        if isinstance(node, ast.Call):
            return ast.Call(node.func, [self.apply(a) for a in node.args], [])
        if isinstance(node, ast.Name) and node.id in self.values:
            self.constants[node.id] = np.asarray(self.values[node.id], float)
            if node.id in self.changing:
                self.derived[node.id] = ast.Name(node.id)
        return self.generic_visit(node)

    def _name(self, node: ast.expr) -> str:
        text = ast.unparse(node)
        if text not in self.found:
            k = len(self.found) + 1
            while f"k_{k}" in self.taken:
                k += 1
            self.taken.add(f"k_{k}")
            self.found[text] = f"k_{k}"
            self.constants[f"k_{k}"] = np.asarray(evaluate(node, self.values), float)
            if names(node) & self.changing:
                self.derived[f"k_{k}"] = node
        return self.found[text]
