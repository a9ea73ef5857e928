"""Constants of a neuron that are learned: how they are declared, and what cannot be."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from brian2 import Quantity, second
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension, get_dimensions

from brianlearn.errors import SpecError, UnitError, did_you_mean
from brianlearn.network.initial import Init
from brianlearn.network.neurons.statements import assignments, expression, names
from brianlearn.network.storable import Storable
from brianlearn.network.taking import take_quantity
from brianlearn.network.unit_names import kind_text, quantity_text, unit_name

if TYPE_CHECKING:
    from brianlearn.network.neurons.neuron import Neuron

__all__ = ["Learned", "check_learned", "keeps_sign", "take_learned", "unit_of"]

PER = ("population", "neuron")
DRAWN = ("uniform", "log-uniform")
#: Functions whose value jumps from one whole number to the next.
WHOLE = ("int", "floor", "ceil", "timestep", "poisson")
#: Functions that have no value, or another one, beyond 0.
_ONE_SIDED = ("log", "log10", "log1p", "sqrt")
#: A constant whose sign must stay keeps at least this part of its unit.
LEAST = 1e-3


@dataclass(frozen=True, eq=False)
class Learned(Storable):
    """A constant of a neuron that back-propagation learns, with more to say than its name.

    ``learn=("tau_m",)`` of a neuron stands for ``learn=(bl.Learned("tau_m"),)``. What is learned is a number, the
    constant in its ``unit``; under the key ``"<population>.<name>"`` it lies among the weights.

    Parameters
    ----------
    name : str
        Of the constant.
    per : {"population", "neuron"}, optional
        Whether a population shares one value, or each of its neurons has its own.
    bounds : tuple of (float or brian2.Quantity or None), optional
        The least and the largest value, in the unit of the constant; None for an end that is open. A constant that
        must keep its sign, because it is a time or the equations divide by it, keeps it without bounds too.
    unit : float or brian2.Quantity, optional
        What the number 1 stands for, > 0: the size of a change that makes a difference, because optimisers change all
        numbers by about the same. The constant's own size where it is not given; of a constant that is 0 that of its
        bounds.
    initial : Init or {"uniform", "log-uniform"}, optional
        How values are drawn, from the seed and the key: between the bounds, or, by an `Init`, in the unit. The
        neuron's constant where it is not given.

    Raises
    ------
    SpecError
        Options that cannot be right.

    Examples
    --------
    >>> from brian2 import ms
    >>> import brianlearn as bl
    >>> tau = bl.Learned("tau_m", per="neuron", bounds=(5*ms, 50*ms))
    >>> neuron = bl.CubaLIF(tau_m=20*ms, learn=(tau, "tau_s"))
    >>> [each.name for each in neuron.learn]
    ['tau_m', 'tau_s']
    """

    name: str
    per: str = "population"
    bounds: Any = None
    unit: Any = None
    initial: Any = None

    def __post_init__(self) -> None:
        owner = f"Learned({self.name!r})"
        if not isinstance(self.name, str):
            raise SpecError("Learned", "name is not text", got=repr(self.name), expected="e.g. 'tau_m'")
        if self.per not in PER:
            raise SpecError(
                owner,
                "per is wrong",
                got=repr(self.per),
                expected=" or ".join(map(repr, PER)),
                remedy=did_you_mean(str(self.per), PER),
            )
        if self.bounds is not None:
            pair = self.bounds
            if isinstance(pair, str) or not isinstance(pair, Sequence | np.ndarray) or np.shape(pair) == ():
                pair = ()
            ends = tuple(None if end is None else take_quantity(owner, "bounds", end) for end in pair)
            if len(ends) != 2:
                raise SpecError(
                    owner, "bounds is no pair", got=repr(self.bounds), expected="(low, high), e.g. (5*ms, 50*ms)"
                )
            object.__setattr__(self, "bounds", ends)
        object.__setattr__(self, "unit", take_quantity(owner, "unit", self.unit))
        if not (self.initial is None or isinstance(self.initial, Init) or self.initial in DRAWN):
            raise SpecError(
                owner,
                "initial is wrong",
                got=repr(self.initial),
                expected=f"{', '.join(map(repr, DRAWN))}, or an Init such as bl.Constant(1.5)",
                remedy="the neuron's constant is what it begins with otherwise",
            )

    @property
    def ends(self) -> tuple[Any, Any]:
        """The bounds as a pair, None for an open end."""
        return (None, None) if self.bounds is None else self.bounds


def take_learned(owner: str, learn: Any) -> tuple[Learned, ...]:
    """What a user writes as ``learn``: names and `Learned`, one of them alone, or names as a text with commas.

    Raises
    ------
    SpecError
        Anything else, and a constant that is named twice.
    """
    each = (learn,) if isinstance(learn, Learned) else learn
    if isinstance(learn, str):  # as on the axis of a study
        each = tuple(filter(None, (name.strip() for name in learn.split(","))))
    if not isinstance(each, Sequence) or not all(isinstance(one, str | Learned) for one in each):
        raise SpecError(
            owner,
            "learn is wrong",
            got=repr(learn),
            expected="names of constants, e.g. learn=('tau_m', bl.Learned('tau_s', per='neuron'))",
        )
    found = tuple(Learned(one) if isinstance(one, str) else one for one in each)
    for k, one in enumerate(found):
        if one.name in [other.name for other in found[:k]]:
            raise SpecError(owner, "learn names a constant twice", got=repr(one.name), expected="once")
    return found


def check_learned(owner: str, neuron: Neuron) -> None:
    """Check what a neuron learns against its texts and constants.

    Raises
    ------
    SpecError
        Unknown constants, those that cannot be followed by a gradient, values outside bounds.
    UnitError
        Bounds of another unit.
    """
    constants = neuron.parsed.constants
    for one in neuron.learn:
        if one.name not in constants:
            raise _unknown(owner, neuron, one.name)
        _check_gradient(owner, neuron, one.name)
        value, dim = constants[one.name]
        for what, given in (("bounds", one.ends), ("unit", (one.unit,))):
            for end in given:
                if end is None:
                    continue
                if get_dimensions(end) is not dim:
                    raise UnitError(
                        owner,
                        f"{what} of the learned constant {one.name!r} {'have' if what == 'bounds' else 'has'} the "
                        "wrong unit",
                        got=quantity_text(end),
                        expected=kind_text(dim),
                    )
                if np.ndim(end) or np.isnan(float(end)) or (what == "unit" and not 0 < float(end) < np.inf):
                    raise SpecError(
                        owner,
                        f"{what} of the learned constant {one.name!r} cannot be used",
                        got=end,
                        expected="one number > 0" if what == "unit" else "one number at each end, or None",
                    )
        _check_bounds(owner, neuron, one, value, dim)


def _unknown(owner: str, neuron: Neuron, name: str) -> SpecError:
    constants = neuron.parsed.constants
    fields = {"refractory": "a refractory period is counted in whole steps, and has no gradient"}
    fields |= dict.fromkeys(("floor", "v_scale", "weight_unit", "initial"), "it is an option of the neuron")
    fields |= dict.fromkeys(neuron.parsed.dimensions, "it is a variable, which the equations compute")
    remedy = did_you_mean(name, constants)
    if name in fields:
        remedy = f"{fields[name]}; what is learned is a name of constants that the texts use"
    return SpecError(
        owner,
        f"learn names no constant: {name!r}",
        got=repr(name),
        expected=f"one of {', '.join(constants)}" if constants else "a name of constants: the neuron has none",
        remedy=remedy,
    )


def _texts(neuron: Neuron) -> Iterator[ast.expr]:
    """All expressions of a neuron; of the threshold both sides."""
    parsed = neuron.parsed
    for equation in parsed.equations.values():
        if equation.expr is not None:
            yield expression(equation.expr.code)
    yield expression(parsed.membrane)
    yield expression(parsed.threshold)
    for _, value in assignments(neuron.reset):
        yield value


def _called(node: ast.AST) -> str:
    return node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""


def _is_condition(node: ast.AST) -> bool:
    return isinstance(node, ast.Compare | ast.BoolOp) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    )


def _uses(node: ast.AST, name: str, inside: str = "") -> Iterator[str]:
    """What keeps each use of a name from having a gradient: "" for nothing, a function's name, or "a comparison"."""
    if isinstance(node, ast.Name) and node.id == name:
        yield inside
    if _is_condition(node):
        inside = "a comparison"
    function = _called(node)
    if not inside and function in (*WHOLE, "sign"):
        condition = isinstance(node, ast.Call) and bool(node.args) and _is_condition(node.args[0])
        inside = "a comparison" if condition else function
    for child in ast.iter_child_nodes(node):
        yield from _uses(child, name, inside)


def _check_gradient(owner: str, neuron: Neuron, name: str) -> None:
    found = [use for node in _texts(neuron) for use in _uses(node, name)]
    whole = next((use for use in found if use in WHOLE), None)
    if whole is not None:
        raise SpecError(
            owner,
            f"the learned constant {name!r} decides on a whole number",
            got=f"{name} inside {whole}()",
            expected="a constant that the equations, threshold or reset use as a real number",
            remedy=f"leave {name} out of learn, or write the equations without {whole}()",
        )
    if not any(use == "" for use in found):
        raise SpecError(
            owner,
            f"the learned constant {name!r} has no gradient: small changes of it change nothing",
            got=f"{name} inside {found[0] if found else 'nothing'}" + ("()" if found and found[0] == "sign" else ""),
            expected="a constant that the equations, threshold or reset use as a real number",
            remedy=f"leave {name} out of learn",
        )


def keeps_sign(neuron: Neuron, name: str) -> bool:
    """Whether a constant must keep its sign: a time, or what the texts divide by or take a root or logarithm of."""
    if neuron.parsed.constants[name][1] is second.dim:
        return True
    for text in _texts(neuron):
        for node in ast.walk(text):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Mod) and name in names(node.right):
                return True
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and name in names(node.left):
                return True
            if _called(node) in _ONE_SIDED and name in names(node):
                return True
    return False


def unit_of(owner: str, neuron: Neuron, one: Learned) -> float:
    """What the number 1 of a learned constant stands for, base units.

    Raises
    ------
    SpecError
        A constant that is 0 and has no other size.
    """
    value, dim = neuron.parsed.constants[one.name]
    if one.unit is not None:
        return float(one.unit)
    ends = [abs(float(end)) for end in one.ends if end is not None and np.isfinite(float(end))]
    size = float(np.abs(value).max()) or max(ends, default=0.0)
    if not size and get_dimensions(neuron.v_scale) is dim:
        size = float(neuron.v_scale)
    if not size and dim is not DIMENSIONLESS:
        raise SpecError(
            owner,
            f"the learned constant {one.name!r} is 0, and nothing says how large a change of it is",
            got=quantity_text(Quantity(0.0, dim=dim)),
            expected=f"bl.Learned({one.name!r}, unit=...), {kind_text(dim)}",
        )
    return size or 1.0


def _check_bounds(owner: str, neuron: Neuron, one: Learned, value: np.ndarray, dim: Dimension) -> None:
    equation = neuron.parsed.equations.get(one.name)
    if equation is not None and "shared" in equation.flags and one.per == "neuron":
        raise SpecError(
            owner,
            f"the equations declare one value of {one.name!r} for all neurons, and it is learned as one for each",
            got=str(equation).strip(),
            expected=f"'{one.name} : {unit_name(dim)} (constant)', or per='population'",
        )
    if value.ndim and one.per != "neuron":
        raise SpecError(
            owner,
            f"the constant {one.name!r} has one value for each neuron, and is learned as one for all",
            got=f"{value.size} values",
            expected=f"bl.Learned({one.name!r}, per='neuron'), or one value",
        )
    low, high = (None if end is None else float(end) for end in one.ends)
    said = f"({', '.join('None' if e is None else quantity_text(e) for e in one.ends)})"
    if low is not None and high is not None and not low < high:
        raise SpecError(
            owner,
            f"bounds of the learned constant {one.name!r} are in the wrong order",
            got=said,
            expected="low < high",
        )
    signed = keeps_sign(neuron, one.name)
    if signed:
        if np.any(value == 0) or (np.any(value < 0) and np.any(value > 0)):
            raise SpecError(
                owner,
                f"the learned constant {one.name!r} must keep its sign, and has none",
                got=quantity_text(value if value.ndim else Quantity(float(value), dim=dim)),
                expected="a value > 0, or < 0" + (" for all neurons" if value.ndim else ""),
            )
        positive = bool(np.all(value > 0))
        if (positive and low is not None and low <= 0) or (not positive and high is not None and high >= 0):
            raise SpecError(
                owner,
                f"bounds of the learned constant {one.name!r} reach 0, by which the equations cannot divide",
                got=said,
                expected=f"{'a lower bound > 0' if positive else 'an upper bound < 0'}, or None",
            )
    unit_of(owner, neuron, one)
    if one.initial in DRAWN:
        if low is None or high is None or not np.isfinite([low, high]).all():
            raise SpecError(
                owner,
                f"the learned constant {one.name!r} is drawn between bounds, and has none",
                got=said,
                expected="bounds=(low, high)",
            )
        if one.initial == "log-uniform" and low <= 0 <= high:
            raise SpecError(
                owner,
                f"the learned constant {one.name!r} is drawn on a logarithmic scale, which does not reach 0",
                got=said,
                expected="bounds > 0, or initial='uniform'",
            )
    elif (low is not None and np.any(value < low)) or (high is not None and np.any(value > high)):
        outside = value[(value < (-np.inf if low is None else low)) | (value > (np.inf if high is None else high))]
        raise SpecError(
            owner,
            f"the learned constant {one.name!r} begins outside its bounds",
            got=quantity_text(Quantity(float(outside.ravel()[0]), dim=dim)),
            expected=f"a value in {said}",
            remedy=f"change constants[{one.name!r}], or the bounds",
        )
