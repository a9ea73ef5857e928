"""Reading a neuron's equations, threshold and reset with Brian2's own parser, and checking names and units."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Equations, second
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS
from brian2.core.variables import Constant, Variable
from brian2.equations.equations import DIFFERENTIAL_EQUATION, PARAMETER, SUBEXPRESSION
from brian2.equations.unitcheck import check_units_statements
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.parsing.statements import parse_statement
from brian2.parsing.sympytools import str_to_sympy
from brian2.units.fundamentalunits import (
    DIMENSIONLESS,
    Dimension,
    DimensionMismatchError,
    get_dimensions,
    get_unit,
)
from brian2.utils.stringtools import get_identifiers

from brianlearn.errors import EquationError, SpecError, UnitError, did_you_mean
from brianlearn.network.unit_names import candidate_dimensions, kind_text, quantity_text, unit_name

__all__ = ["RESERVED_NAMES", "Parsed", "parse", "unit_text"]

#: Names that the engines add to every neuron group, with the symbols of the rules.
RESERVED_NAMES = {
    "psi": "the surrogate derivative",
    "gate": "1 where the membrane was not floored",
    "L": "the third factor",
    "delta": "psi*L, the error of the neuron",
    "delta_gated": "gate*psi*L, the plasticity signal",
    "active": "1 outside the refractory period",
    "x_psi": "the argument of the surrogate derivative",
    "dropout_mask": "what dropout leaves of spikes",
    "weight": "the synaptic weight",
    "weight_index": "which weight a synapse has",
    "gradient": "the sum of weight changes over a batch",
    "eta": "the learning rate of a synapse",
    "received": "what arrived in this step, under pipelined timing",
    "age": "the steps since the trial began, under pipelined timing",
    "noise_key_0": "the first half of the key of a trial's random numbers",
    "noise_key_1": "the second half of the key of a trial's random numbers",
    "seeded_uniform": "the function that stands for rand()",
    "seeded_normal": "the function that stands for randn()",
    "seeded_poisson": "the function that stands for poisson()",
}

_AUTOMATIC = {"t": second.dim, "dt": second.dim, "lastspike": second.dim}
_AUTOMATIC_PLAIN = {"i", "N", "not_refractory", "t_in_timesteps"}


def unit_text(dimensions: Dimension) -> str:
    """The unit of ``dimensions`` as Brian2 writes it in equations (``"1"`` if dimensionless)."""
    return "1" if dimensions is DIMENSIONLESS else repr(get_unit(dimensions))


@dataclass(frozen=True)
class Parsed:
    """What the text of a neuron says, after all checks.

    Attributes
    ----------
    equations : brian2.Equations
        The parsed equations.
    dimensions : dict
        Physical dimensions of every state variable, parameter and subexpression.
    constants : dict
        Constants and parameters as ``name -> (float array in base units, dimensions)``.
    membrane : str
        The left side of the threshold, usually the membrane variable.
    threshold : str
        The right side of the threshold.
    """

    equations: Equations
    dimensions: dict[str, Dimension]
    constants: dict[str, tuple[np.ndarray, Dimension]]
    membrane: str
    threshold: str

    @property
    def state_names(self) -> list[str]:
        """Variables with a differential equation, in the order of the text."""
        return [eq.varname for eq in self.equations.values() if eq.type == DIFFERENTIAL_EQUATION]

    @property
    def variables(self) -> dict[str, Any]:
        """Brian2 variables by name, for its parsers."""
        return _variables(self.equations, self.constants, self.membrane, self.threshold)


def _variables(
    equations: Equations, constants: Mapping[str, tuple[np.ndarray, Dimension]], *texts: str
) -> dict[str, Any]:
    """Variables by name, of Brian2's own functions and units only those that the equations and texts use.

    Brian2 knows 1700 units, and its parsers hash all variables that they are given: most of the time of a neuron.
    """
    codes = [eq.expr.code for eq in equations.values() if eq.expr is not None]
    used = set().union(*(get_identifiers(text) for text in (*codes, *texts)))
    known: dict[str, Any] = {name: function for name, function in DEFAULT_FUNCTIONS.items() if name in used}
    for name in used & {*DEFAULT_UNITS, *DEFAULT_CONSTANTS}:
        value = DEFAULT_CONSTANTS.get(name, DEFAULT_UNITS.get(name))
        known[name] = value if isinstance(value, Constant) else Constant(name, float(value), get_dimensions(value))
    for name, dim in _AUTOMATIC.items():
        known[name] = Variable(name, dimensions=dim)
    known["i"] = known["N"] = known["t_in_timesteps"] = Variable("i", dtype=np.int32)
    known["not_refractory"] = Variable("not_refractory", dtype=bool)
    for eq in equations.values():
        known[eq.varname] = Variable(eq.varname, dimensions=eq.dim)
    for name, (_, dim) in constants.items():
        known.setdefault(name, Variable(name, dimensions=dim))
    return known


def _constants(owner: str, constants: Mapping[str, Any]) -> dict[str, tuple[np.ndarray, Dimension]]:
    result = {}
    for name, value in constants.items():
        try:
            array = np.asarray(value, dtype=float)
        except (TypeError, ValueError):
            raise SpecError(
                owner, f"constant {name!r} is not a number", got=repr(value), expected="a number or Brian2 quantity"
            ) from None
        if not np.all(np.isfinite(array)):
            raise SpecError(owner, f"constant {name!r} is not finite", got=value, expected="finite values")
        result[name] = (array, get_dimensions(value))
    return result


def _known_names(equations: Equations, constants: Mapping[str, Any]) -> set[str]:
    return (
        set(equations.names)
        | set(constants)
        | set(DEFAULT_FUNCTIONS)
        | set(DEFAULT_UNITS)
        | set(DEFAULT_CONSTANTS)
        | set(_AUTOMATIC)
        | _AUTOMATIC_PLAIN
        | equations.stochastic_variables
        | {"and", "or", "not", "True", "False"}
    )


def _check_names(
    owner: str, where: str, text: str, known: set[str], constants: Mapping[str, Any], equations: Equations
) -> None:
    unknown = sorted(get_identifiers(text) - known)
    if unknown:
        near = did_you_mean(unknown[0], [*equations.names, *constants])
        raise EquationError(
            owner,
            f"unknown name in the {where}",
            got=f"{', '.join(map(repr, unknown))} in {text.strip()!r}",
            expected=f"state variables, or constants ({', '.join(sorted(constants)) or 'none given'})",
            remedy=f"add it to constants, e.g. constants=dict({unknown[0]}=10*ms), or correct the spelling"
            + (f": {near}" if near else ""),
        )


def split_threshold(owner: str, threshold: str) -> tuple[str, str]:
    """Split ``"v > theta"`` (or ``"theta < v"``) into ``("v", "theta")``.

    Raises
    ------
    EquationError
        If the text is not one strict comparison.
    """
    hint = "one strict comparison such as 'v > 1'"
    try:
        tree = ast.parse(threshold.strip(), mode="eval").body
    except SyntaxError as error:
        raise EquationError(
            owner, "the threshold cannot be read", got=repr(threshold), expected=hint, remedy=str(error)
        ) from None
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or not isinstance(tree.ops[0], ast.Gt | ast.Lt):
        raise EquationError(
            owner,
            "the threshold does not say which variable crosses what",
            got=repr(threshold),
            expected=hint,
            remedy="the surrogate derivative needs the distance to the threshold; write a condition on other "
            "variables into the equations instead",
        )
    left, right = ast.unparse(tree.left), ast.unparse(tree.comparators[0])
    return (left, right) if isinstance(tree.ops[0], ast.Gt) else (right, left)


def parse(owner: str, text: str, threshold: str, reset: str, constants: Mapping[str, Any]) -> Parsed:
    """Parse and check the text of a neuron.

    Parameters
    ----------
    owner : str
        How errors name the neuron.
    text, threshold, reset : str
        Brian2 equations, threshold condition and reset statements.
    constants : mapping
        Values of the names that the text uses.

    Returns
    -------
    Parsed

    Raises
    ------
    EquationError
        Syntax errors, unknown names, missing or reserved names.
    UnitError
        Inconsistent physical units, with the equation named.
    """
    try:
        equations = Equations(text)
    except Exception as error:
        raise EquationError(
            owner,
            "the equations cannot be read",
            got=text.strip(),
            expected="Brian2 equations, e.g. 'dv/dt = -v/tau_m : 1'",
            remedy=f"Brian2 says: {error}",
        ) from None
    for name in sorted(set(equations.names) & set(RESERVED_NAMES) | set(constants) & set(RESERVED_NAMES)):
        raise EquationError(
            owner,
            f"the name {name!r} is reserved",
            got=f"{name!r} in the equations or constants",
            expected=f"another name: {name!r} is {RESERVED_NAMES[name]}",
            remedy="rename it",
        )
    values = _constants(owner, constants)
    known = _known_names(equations, values)
    used: set[str] = set()
    for eq in equations.values():
        if eq.type == PARAMETER:
            if eq.varname not in values:
                raise EquationError(
                    owner,
                    f"parameter {eq.varname!r} has no value",
                    got=f"'{eq.varname} : {unit_name(eq.dim)}' in the equations",
                    expected=f"a value in constants ({', '.join(sorted(values)) or 'none given'})",
                    remedy=f"add constants=dict({eq.varname}=...)",
                )
            if values[eq.varname][1] is not eq.dim:
                raise UnitError(
                    owner,
                    f"constant {eq.varname!r} has {_which(values[eq.varname][1])} unit",
                    got=quantity_text(constants[eq.varname]),
                    expected=kind_text(eq.dim),
                )
            used.add(eq.varname)
            continue
        if eq.varname in values:
            raise EquationError(
                owner,
                f"{eq.varname!r} is both a constant and a variable of the equations",
                got=f"constants[{eq.varname!r}] and an equation for it",
                expected="one of the two",
                remedy="initial values go into initial=dict(...)",
            )
        _check_names(owner, "equations", str(eq.expr.code), known, values, equations)
        used |= get_identifiers(eq.expr.code)
    if not equations.diff_eq_names:
        raise EquationError(
            owner,
            "the equations have no differential equation",
            got=text.strip(),
            expected="at least one line such as 'dv/dt = -v/tau_m : 1'",
        )
    membrane, theta = split_threshold(owner, threshold)
    _check_names(owner, "threshold", threshold, known, values, equations)
    used |= get_identifiers(threshold)
    temporaries = _check_assigned(owner, reset, equations, values)
    _check_names(owner, "reset", reset, known | temporaries, values, equations)
    used |= get_identifiers(reset)
    unused = sorted(set(values) - used)
    if unused:
        raise EquationError(
            owner,
            "a constant is not used",
            got=", ".join(map(repr, unused)),
            expected=f"names of the equations, threshold or reset ({', '.join(sorted(used - set(values)))})",
            remedy=did_you_mean(unused[0], used - set(values)) or "correct the spelling or leave it out",
        )
    dims = {eq.varname: eq.dim for eq in equations.values()}
    parsed = Parsed(equations, dims, values, membrane, theta)
    _check_units(owner, parsed, reset)
    _check_random_functions(owner, parsed)
    return parsed


def _check_assigned(owner: str, reset: str, equations: Equations, constants: Mapping[str, Any]) -> set[str]:
    """Check what the reset assigns; the names that hold a value for its later statements only.

    Brian2 takes ``V = 0`` for such a name where the variable is ``v``, and the neuron is then never reset.
    """
    lines = [line.partition("#")[0].strip() for line in reset.replace(";", "\n").splitlines()]
    statements = []
    for line in filter(None, lines):
        try:
            statements.append(parse_statement(line))
        except Exception:  # said by the check of units, with Brian2's reason
            return set()
    variables = [eq.varname for eq in equations.values() if eq.type == DIFFERENTIAL_EQUATION]
    temporaries = set()
    for k, (name, operation, _, _) in enumerate(statements):
        if name in variables:
            continue
        later = any(name in get_identifiers(expression) for _, _, expression, _ in statements[k + 1 :])
        known = name in constants or name in equations.names
        if known or operation != "=" or not later:
            problem = f"the reset assigns {'what is no state variable' if known else 'an unknown name'}"
            raise EquationError(
                owner,
                problem,
                got=f"{name!r} in {reset.strip()!r}",
                expected=f"a state variable ({', '.join(variables)}), or a name that a later statement uses",
                remedy=did_you_mean(name, variables),
            )
        temporaries.add(name)
    return temporaries


def _in(dimensions: Dimension) -> str:
    return "without a unit" if dimensions is DIMENSIONLESS else f"in {unit_name(dimensions)}"


def _which(dimensions: Dimension) -> str:
    return "no" if dimensions is DIMENSIONLESS else "the wrong"


def _readable(error: DimensionMismatchError) -> str:
    """Brian2's reason, with units as people write them."""
    return f"{error.desc.strip().rstrip('.:')}: {' and '.join(unit_name(dim) for dim in error.dims)}"


def _wrong_reset(owner: str, parsed: Parsed, reset: str, variables: Mapping[str, Any]) -> UnitError | None:
    """The error that names the statement of a reset that gives a variable another unit."""
    for line in filter(None, (line.partition("#")[0].strip() for line in reset.replace(";", "\n").splitlines())):
        name, operation, expression, _ = parse_statement(line)
        if name not in parsed.dimensions or operation not in ("=", "+=", "-="):
            continue
        try:
            got = parse_expression_dimensions(expression, variables)
        except (DimensionMismatchError, KeyError, SyntaxError, TypeError, ValueError):
            continue
        if got is not parsed.dimensions[name]:
            return UnitError(
                owner,
                f"units do not fit in the reset {line!r}",
                got=f"{expression} {_in(got)}",
                expected=kind_text(parsed.dimensions[name]),
            )
    return None


def _wrong_constant(
    owner: str, parsed: Parsed, code: str, variables: Mapping[str, Any], what: str, expected: Dimension
) -> UnitError | None:
    """The error that names the one constant whose unit does not fit, where another unit of it would."""
    used = [name for name in parsed.constants if name in get_identifiers(code)]
    # the usual slip first: tau=10, without a unit
    used.sort(key=lambda name: parsed.constants[name][1] is not DIMENSIONLESS)
    used.sort(key=lambda name: not name.startswith(("tau", "t_")))
    for dim, name in itertools.product(candidate_dimensions(), used):
        value, own = parsed.constants[name]
        if dim is own:
            continue
        changed = {**variables, name: Variable(name, dimensions=dim)}
        try:
            if parse_expression_dimensions(code, changed) is not expected:
                continue
        except (DimensionMismatchError, KeyError, SyntaxError, TypeError, ValueError):
            continue
        shown = f"{value.size} values" if value.ndim else quantity_text(float(value), own)
        return UnitError(
            owner,
            f"{name} has {_which(own)} unit, in '{what} = {code}'",
            got=f"{name} = {shown}",
            expected=kind_text(dim),
        )
    return None


def _check_random_functions(owner: str, parsed: Parsed) -> None:
    """Brian2's state updaters take two calls of rand() in one equation for the same number, and refuse them."""
    try:
        for _, expression in parsed.equations.get_substituted_expressions(parsed.variables):
            str_to_sympy(expression.code, parsed.variables)
    except NotImplementedError as error:
        raise EquationError(
            owner,
            "an equation calls a random function twice",
            expected="at most one call of each of rand(), randn() and poisson() in an equation",
            remedy=f"Brian2 says: {error}",
        ) from None


def _check_units(owner: str, parsed: Parsed, reset: str) -> None:
    variables = _variables(parsed.equations, parsed.constants, parsed.membrane, parsed.threshold, reset)
    for eq in parsed.equations.values():
        if eq.type not in (DIFFERENTIAL_EQUATION, SUBEXPRESSION) or eq.var_type != "float":
            continue
        names = {f"d{eq.varname}/dt": eq.dim / second.dim} if eq.type == DIFFERENTIAL_EQUATION else {eq.varname: eq.dim}
        ((what, expected),) = names.items()
        extra = {xi: Variable(xi, dimensions=second.dim**-0.5) for xi in parsed.equations.stochastic_variables}
        try:
            got = parse_expression_dimensions(eq.expr.code, variables | extra)
        except DimensionMismatchError as error:
            raise _wrong_constant(owner, parsed, eq.expr.code, variables | extra, what, expected) or UnitError(
                owner, f"units do not fit inside '{what} = {eq.expr.code}'", remedy=_readable(error)
            ) from None
        except (KeyError, SyntaxError, TypeError, ValueError) as error:
            raise EquationError(owner, f"cannot read '{what} = {eq.expr.code}'", remedy=str(error)) from None
        if got is not expected:
            raise _wrong_constant(owner, parsed, eq.expr.code, variables | extra, what, expected) or UnitError(
                owner,
                f"units do not fit in '{what} = {eq.expr.code}'",
                got=unit_name(got),
                expected=unit_name(eq.dim) + ("/second" if eq.type == DIFFERENTIAL_EQUATION else ""),
                remedy="check the units of the constants, and that the right side is a rate of change",
            )
    try:
        sides = [parse_expression_dimensions(side, variables) for side in (parsed.membrane, parsed.threshold)]
    except (DimensionMismatchError, KeyError, SyntaxError, TypeError, ValueError) as error:
        raise EquationError(
            owner, f"cannot read the threshold '{parsed.membrane} > {parsed.threshold}'", remedy=str(error)
        ) from None
    if sides[0] is not sides[1]:
        raise UnitError(
            owner,
            "the two sides of the threshold have different units",
            got=f"{parsed.membrane} {_in(sides[0])}, {parsed.threshold} {_in(sides[1])}",
            expected="the same unit on both sides",
        )
    try:
        check_units_statements(reset, variables)
    except DimensionMismatchError as error:
        raise _wrong_reset(owner, parsed, reset, variables) or UnitError(
            owner, f"units do not fit in the reset {reset!r}", remedy=_readable(error)
        ) from None
    except Exception as error:
        raise EquationError(
            owner,
            f"the reset {reset!r} cannot be read",
            expected="statements such as 'v = 0'",
            remedy=f"Brian2 says: {error}",
        ) from None
