"""Which points a study tries, as text: ``tau_s < tau_m and seed != 3``."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from brian2.core.namespace import DEFAULT_UNITS
from brian2.units.fundamentalunits import DimensionMismatchError

from brianlearn.errors import SpecError

__all__ = ["condition"]

_COMPARE: dict[type, Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def condition(text: str, names: Sequence[str]) -> Callable[[Mapping[str, Any]], bool]:
    """The condition that a text says, over the axes' names; nothing else is run.

    Parameters
    ----------
    text : str
        Comparisons of axes, numbers with Brian2's units, and texts, joined by ``and``, ``or`` and ``not``. A name with
        a dot is written with it (``layer.size > 64``).
    names : sequence of str
        The axes.

    Returns
    -------
    callable
        Point -> bool.

    Raises
    ------
    SpecError
        What cannot be read, or compared.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _wrong(text, f"{type(error).__name__}: {error}") from None
    if not isinstance(tree, ast.Compare | ast.BoolOp | ast.UnaryOp):
        raise _wrong(text, "no comparison")

    def value(node: ast.expr, point: Mapping[str, Any]) -> Any:
        match node:
            case ast.BoolOp():
                parts = (value(part, point) for part in node.values)
                return all(parts) if isinstance(node.op, ast.And) else any(parts)
            case ast.UnaryOp(op=ast.Not()):
                return not value(node.operand, point)
            case ast.UnaryOp(op=ast.USub()):
                return -value(node.operand, point)
            case ast.Compare():
                sides = [value(side, point) for side in (node.left, *node.comparators)]
                return all(bool(_COMPARE[type(op)](a, b)) for op, a, b in zip(node.ops, sides, sides[1:], strict=False))
            case ast.BinOp() if type(node.op) in _ARITHMETIC:
                return _ARITHMETIC[type(node.op)](value(node.left, point), value(node.right, point))
            case ast.Constant(value=bool() | int() | float() | str() | None):
                return node.value
            case ast.List() | ast.Tuple():
                return [value(part, point) for part in node.elts]
            case ast.Name() | ast.Attribute():
                name = ast.unparse(node)
                if name in names:
                    return point[name]
                if name in DEFAULT_UNITS:
                    return DEFAULT_UNITS[name]
                raise _wrong(text, f"no axis {name!r}", f"of the axes {', '.join(names)}")
            case _:
                raise _wrong(text, ast.unparse(node))

    def accepts(point: Mapping[str, Any]) -> bool:
        try:
            return bool(value(tree, point))
        except (TypeError, KeyError, ZeroDivisionError, DimensionMismatchError) as error:
            raise _wrong(text, f"{type(error).__name__}: {error}") from None

    return accepts


def _wrong(text: str, got: str, which: str = "of axes and numbers") -> SpecError:
    return SpecError(
        f"where {text!r}", "the condition cannot be read", got=got, expected=f"comparisons {which}, e.g. tau_s < tau_m"
    )
