"""Statements and expressions of Brian2 as trees of Python's own ``ast``: reading and rewriting them.

Brian2's expressions are Python expressions, and the tree keeps the order of the arithmetic (a computer algebra system
would sort the terms, and results would no longer be the same to the last bit).
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Mapping

from brianlearn.errors import SpecError, did_you_mean

__all__ = [
    "FUNCTIONS",
    "TextReader",
    "assignments",
    "expression",
    "folded",
    "foreign",
    "names",
    "number",
    "plain_text",
    "substitute",
]

#: Functions of Brian2 that both engines compute, each of as many arguments.
FUNCTIONS = {
    **dict.fromkeys(("abs", "arccos", "arcsin", "arctan", "ceil", "cos", "cosh", "exp", "expm1", "floor", "int"), 1),
    **dict.fromkeys(("log", "log10", "log1p", "sign", "sin", "sinh", "sqrt", "tan", "tanh"), 1),
    "clip": 3,
}
_NODES = (
    *(ast.BinOp, ast.UnaryOp, ast.Call, ast.Name, ast.Constant, ast.Compare, ast.BoolOp, ast.Load, ast.operator),
    *(ast.unaryop, ast.cmpop, ast.boolop),
)


def expression(text: str) -> ast.expr:
    """Parse one expression."""
    return ast.parse(text.strip(), mode="eval").body


def assignments(code: str) -> Iterator[tuple[str, ast.expr]]:
    """The assignments of Brian2's abstract code; ``a += b`` reads as ``a = a + b``."""
    for node in ast.parse(textwrap.dedent(code).strip()).body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, ast.BinOp(ast.Name(node.target.id), node.op, node.value)
        else:
            raise ValueError(ast.unparse(node))


def names(node: ast.AST) -> set[str]:
    """Names of variables that an expression reads (functions are not variables)."""
    functions = {id(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)}
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and id(n) not in functions}


class _Substitution(ast.NodeTransformer):
    def __init__(self, values: Mapping[str, ast.expr]) -> None:
        self.values = values

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return ast.Call(node.func, [self.visit(a) for a in node.args], [])

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)


def substitute(node: ast.expr, values: Mapping[str, ast.expr]) -> ast.expr:
    """A copy of an expression with names replaced by expressions."""
    return _Substitution(values).visit(expression(ast.unparse(node)))


def number(value: float) -> ast.expr:
    """A number as an expression; a negative one with its sign apart, as in the text of one."""
    constant = ast.Constant(abs(value))
    return ast.UnaryOp(ast.USub(), constant) if value < 0 else constant


class _Folding(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        left, right = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, ast.Add | ast.Sub | ast.Mult) and _constant(left) and _constant(right):
            text = ast.unparse(ast.BinOp(left, node.op, right))
            return number(float(eval(text, {"__builtins__": {}})))
        return ast.BinOp(left, node.op, right)


def folded(node: ast.expr) -> ast.expr:
    """A copy of an expression in which sums, differences and products of numbers are numbers."""
    return _Folding().visit(expression(ast.unparse(node)))


def _constant(node: ast.expr) -> bool:
    inner = node.operand if isinstance(node, ast.UnaryOp) else node
    return isinstance(inner, ast.Constant) and isinstance(inner.value, int | float)


def foreign(node: ast.expr) -> tuple[str, str, str | None] | None:
    """What of an expression not both engines have: what it does, what would be right, the remedy; None for nothing."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            name = part.func.id if isinstance(part.func, ast.Name) else ast.unparse(part.func)
            if FUNCTIONS.get(name) != len(part.args) or part.keywords:
                problem = f"calls a function that not both engines have: {ast.unparse(part)}"
                return problem, ", ".join(FUNCTIONS), did_you_mean(name, FUNCTIONS)
        elif not isinstance(part, _NODES) or (isinstance(part, ast.Compare) and len(part.ops) > 1):
            return f"holds {ast.unparse(part)}", "arithmetic of Brian2", None
    return None


def plain_text(node: ast.expr) -> str:
    """An expression as the field writes it: spaces around sums and comparisons alone."""
    text = ast.unparse(node)
    for operator in ("**", "*", "/"):
        text = text.replace(f" {operator} ", operator)
    return text


class TextReader:
    """Reads texts of a class of the user's own.

    Parameters
    ----------
    owner : str
        How errors name it.
    variables : tuple of str
        What texts may use and change; the first one only use.
    constants : mapping
        Name -> number, which is put in.
    """

    def __init__(self, owner: str, variables: tuple[str, ...], constants: Mapping[str, float]) -> None:
        self._owner, self._variables, self._constants = owner, variables, constants

    def expression(self, what: str, text: str) -> str:
        """One expression, with numbers in it.

        Raises
        ------
        SpecError
        """
        try:
            node = expression(text)
        except (SyntaxError, AttributeError) as error:
            raise self._unreadable(what, text, error) from None
        return self._filled(what, node, text)

    def statements(self, what: str, text: str) -> str:
        """Assignments, with numbers in them.

        Raises
        ------
        SpecError
        """
        try:
            found = list(assignments(text))
        except (SyntaxError, ValueError, AttributeError, TypeError) as error:
            raise self._unreadable(what, text, error) from None
        lines = []
        for target, value in found:
            if target not in self._variables[1:]:
                raise SpecError(
                    self._owner,
                    f"its {what} changes {target!r}",
                    got=text,
                    expected=f"one of {', '.join(self._variables[1:]) or 'no variables: it has none'}",
                )
            lines.append(f"{target} = {self._filled(what, value, text)}")
        return "\n".join(lines)

    def _filled(self, what: str, node: ast.expr, text: str) -> str:
        wrong, known = foreign(node), (*self._variables, *self._constants)
        if wrong is not None:
            raise SpecError(self._owner, f"its {what} {wrong[0]}", got=text, expected=wrong[1], remedy=wrong[2])
        for name in sorted(names(node) - set(known)):
            raise SpecError(
                self._owner,
                f"its {what} uses an unknown name {name!r}",
                got=text,
                expected=", ".join(known),
                remedy=did_you_mean(name, known) or "declare it: a field of the class, or one of its variables",
            )
        filled = substitute(node, {name: number(value) for name, value in self._constants.items()})
        return plain_text(folded(filled))

    def _unreadable(self, what: str, text: str, error: Exception) -> SpecError:
        return SpecError(
            self._owner, f"its {what} cannot be read", got=repr(text), expected="Brian2 statements", remedy=str(error)
        )
