"""Reading the texts of a synaptic rule with Brian2's own parsers: names, units, and what a text may write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from brian2 import Equations, second
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS
from brian2.core.variables import Constant, Variable
from brian2.equations.equations import DIFFERENTIAL_EQUATION, PARAMETER, SUBEXPRESSION, SingleEquation
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.parsing.statements import parse_statement
from brian2.stateupdaters.base import UnsupportedEquationsException
from brian2.stateupdaters.exact import linear
from brian2.stateupdaters.exponential_euler import get_conditionally_linear_system
from brian2.units.fundamentalunits import DIMENSIONLESS, Dimension, DimensionMismatchError, get_dimensions
from brian2.utils.stringtools import get_identifiers

from brianlearn.errors import EquationError, UnitError, did_you_mean
from brianlearn.network.unit_names import unit_name

__all__ = ["OF_NEURONS", "OF_SYNAPSES", "Statement", "SynapseText", "brian_names", "constant_dimensions"]

#: What the network gives to a synapse's texts.
OF_SYNAPSES = {
    "weight": "the weight of the synapse",
    "gradient": "what the optimiser follows after a batch",
    "learning_rate": "the optimiser's, of this epoch and layer",
    "scale": "the factor of the layer's gradient (1, or that of the rule whose error paths are used)",
    "spike_pre": "what a presynaptic spike carries: 1, a dropout mask or a direct current",
}
#: What the network gives, of the postsynaptic neuron; with or without ``_post``.
OF_NEURONS = {
    "L": "the third factor",
    "psi": "the surrogate derivative",
    "gate": "0 where the membrane was lifted to its floor, else 1",
    "delta": "psi*L",
}
_TIME = {"t": second.dim, "dt": second.dim}
_WORDS = {"and", "or", "not", "True", "False"}
_OPERATIONS = ("=", "+=", "-=", "*=", "/=")


@dataclass(frozen=True)
class Statement:
    """One assignment: ``variable operation expression``."""

    variable: str
    operation: str
    expression: str

    @property
    def text(self) -> str:
        return f"{self.variable} {self.operation} {self.expression}"


def brian_names(text: str) -> dict[str, Any]:
    """Brian2's own functions, units and constants that a text uses."""
    used = get_identifiers(text)
    known: dict[str, Any] = {name: function for name, function in DEFAULT_FUNCTIONS.items() if name in used}
    for name in used & {*DEFAULT_UNITS, *DEFAULT_CONSTANTS}:
        value = DEFAULT_CONSTANTS.get(name, DEFAULT_UNITS.get(name))
        known[name] = value if isinstance(value, Constant) else Constant(name, float(value), get_dimensions(value))
    return known


def constant_dimensions(constants: Mapping[str, Any]) -> dict[str, Dimension]:
    """Constant -> its physical dimensions."""
    return {name: get_dimensions(value) for name, value in constants.items()}


def _in(dimensions: Dimension) -> str:
    return "without a unit" if dimensions is DIMENSIONLESS else f"in {unit_name(dimensions)}"


@dataclass(frozen=True, eq=False)
class SynapseText:
    """The checked content of a synaptic rule's texts.

    Parameters
    ----------
    owner : str
        How errors name the rule.
    model : str
    texts : mapping
        ``"on_pre"``, ``"on_post"``, ``"update"`` -> statements.
    constants : mapping
        Name -> dimensions.
    given : mapping
        Names of `OF_SYNAPSES`, `OF_NEURONS` and a reward that the rule's texts can read -> what they are.
    late : frozenset of str
        Names of ``given`` that are known at the end of a trial only, where ``update`` alone may read them.

    Raises
    ------
    EquationError, UnitError
        Texts that cannot be read, unknown names, statements that write what is not a synapse's own, units that do not
        fit, event-driven equations without an exact solution.
    """

    owner: str
    model: str
    texts: Mapping[str, str]
    constants: Mapping[str, Dimension]
    given: Mapping[str, str]
    late: frozenset[str] = frozenset()
    equations: Equations = field(init=False)
    statements: Mapping[str, tuple[Statement, ...]] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "equations", self._equations())
        object.__setattr__(self, "statements", {name: tuple(self._parsed(name)) for name in self.texts})
        self._check_model()
        for name in self.texts:
            self._check_text(name)
        self._check_writes()
        self._check_constants()
        if not self.references:
            self.check_units({})

    # what the texts say -----------------------------------------------------------------------------------------------

    @cached_property
    def states(self) -> dict[str, SingleEquation]:
        """Variables of a synapse that change: those with a differential equation, and parameters."""
        return {name: eq for name, eq in self.equations.items() if eq.type != SUBEXPRESSION}

    @cached_property
    def event_driven(self) -> frozenset[str]:
        """Variables that are brought up to date by events alone, and what is computed from them."""
        found = {name for name, eq in self.equations.items() if "event-driven" in eq.flags}
        subexpressions = {n: eq.identifiers for n, eq in self.equations.items() if eq.type == SUBEXPRESSION}
        for _ in subexpressions:
            found |= {name for name, used in subexpressions.items() if used & found}
        return frozenset(found)

    @cached_property
    def writes(self) -> frozenset[str]:
        """What of ``weight`` and ``gradient`` the texts change."""
        written = {s.variable for statements in self.statements.values() for s in statements}
        return frozenset(written & {"weight", "gradient"})

    @cached_property
    def used(self) -> frozenset[str]:
        """All names that the texts read."""
        return frozenset().union(*(get_identifiers(code) for _, code in self._codes()))

    @cached_property
    def references(self) -> frozenset[str]:
        """Variables of the neurons on both sides that the texts read: names that end with ``_pre`` or ``_post``."""
        ours = {"spike_pre", *(f"{name}_post" for name in OF_NEURONS)}
        return frozenset(name for name in self.used - ours - self._own if name.endswith(("_pre", "_post")))

    @cached_property
    def _own(self) -> frozenset[str]:
        """Names that the texts themselves bring; ``tau_pre`` is a constant's usual name, and no neuron's variable."""
        assigned = {s.variable for statements in self.statements.values() for s in statements}
        return frozenset({*self.constants, *self.equations, *assigned})

    @cached_property
    def method(self) -> str:
        """How clock-driven equations are stepped.

        ``"exact"`` where they are linear with constant coefficients, else ``"exponential_euler"`` where they are
        conditionally linear, else ``"euler"``.
        """
        clocked = [eq for eq in self.equations.values() if "event-driven" not in eq.flags]
        equations, variables = Equations(clocked), self._variables()
        if any(get_identifiers(eq.expr.code) & set(_TIME) for eq in clocked if eq.expr is not None):
            return "euler"
        try:
            linear(equations, variables)
            return "exact"
        except (UnsupportedEquationsException, ValueError, NotImplementedError):
            pass
        try:
            get_conditionally_linear_system(equations, variables)
            return "exponential_euler"
        except ValueError:  # not linear in one of the variables, the others held
            return "euler"

    def _variables(self) -> dict[str, Any]:
        """What Brian2's solvers know of the names in the model."""
        variables: dict[str, Any] = {}
        for name in {*self._known(), *self.references} - set(_TIME):
            variables[name] = Variable(name)
        for name, eq in self.equations.items():
            variables[name] = Variable(name, dimensions=eq.dim)
            if eq.expr is not None:
                variables |= brian_names(eq.expr.code)
        for name, dim in self.constants.items():
            variables[name] = Variable(name, dimensions=dim, scalar=True, constant=True)
        return variables

    def _codes(self) -> Iterator[tuple[str, str]]:
        for name, eq in self.equations.items():
            if eq.expr is not None:
                yield f"the equation of {name}", eq.expr.code
        for name, statements in self.statements.items():
            for statement in statements:
                yield name, statement.expression

    # reading ----------------------------------------------------------------------------------------------------------

    def _equations(self) -> Equations:
        try:
            return Equations(self.model)
        except Exception as error:
            raise EquationError(
                self.owner,
                "the model cannot be read",
                got=self.model.strip(),
                expected="Brian2 equations, e.g. 'dx/dt = -x/tau_pre : 1 (event-driven)'",
                remedy=f"Brian2 says: {error}",
            ) from None

    def _parsed(self, name: str) -> Iterator[Statement]:
        lines = (line.partition("#")[0] for line in self.texts[name].splitlines())
        for line in filter(None, (part.strip() for whole in lines for part in whole.split(";"))):
            try:
                variable, operation, expression, _ = parse_statement(line)
            except Exception as error:
                raise EquationError(
                    self.owner,
                    f"{name} cannot be read",
                    got=repr(line),
                    expected="statements such as 'x += 1'",
                    remedy=f"Brian2 says: {error}",
                ) from None
            if operation not in _OPERATIONS:
                raise EquationError(
                    self.owner,
                    f"{name} has an operation that is not known here",
                    got=repr(line),
                    expected=", ".join(_OPERATIONS),
                )
            yield Statement(variable, operation, expression)

    # checks -----------------------------------------------------------------------------------------------------------

    def _check_model(self) -> None:
        for name, eq in self.equations.items():
            if name in self.constants or name in self.given or name in (*OF_SYNAPSES, *OF_NEURONS, *_TIME, "reward"):
                what = "a constant" if name in self.constants else "given by the network"
                raise EquationError(
                    self.owner,
                    f"{name!r} is both a variable of the model and {what}",
                    got=str(eq),
                    expected="another name",
                )
            if eq.var_type != "float":
                raise EquationError(
                    self.owner, f"{name!r} is no real number", got=str(eq), expected=f"e.g. '{name} : 1'"
                )
            allowed = {DIFFERENTIAL_EQUATION: {"event-driven", "clock-driven"}}.get(eq.type, set())
            if not set(eq.flags) <= allowed:
                raise EquationError(
                    self.owner,
                    f"{name!r} has a flag that is not known here",
                    got=str(eq),
                    expected="(event-driven) or (clock-driven) with a differential equation, none with the others",
                    remedy="what is fixed for all synapses goes into constants"
                    if {"shared", "constant"} & set(eq.flags)
                    else None,
                )
            if eq.type == PARAMETER or eq.expr is None:
                continue
            where = f"the equation of {name!r}"
            self._check_names(where, eq.expr.code, set(self.equations))
            self._check_time(where, name, eq)
        self._check_event_driven()

    def _check_time(self, where: str, name: str, eq: SingleEquation) -> None:
        """Refuse what an equation would read at another time than it is meant."""
        used = get_identifiers(eq.expr.code)
        late = sorted(used & self.late)
        if late:
            raise self._too_early(where, late)
        if eq.type == DIFFERENTIAL_EQUATION and "event-driven" not in eq.flags and used & self.event_driven:
            raise EquationError(
                self.owner,
                f"{where} reads a variable that is known at events only",
                got=f"{', '.join(sorted(used & self.event_driven))} in {eq.expr.code!r}",
                expected="clock-driven variables",
                remedy="mark these variables (clock-driven)",
            )

    def _check_event_driven(self) -> None:
        """Refuse event-driven equations that Brian2 cannot solve from one event to the next."""
        driven = {n: eq for n, eq in self.equations.items() if "event-driven" in eq.flags}
        for name, eq in driven.items():
            moving = get_identifiers(eq.expr.code) - set(driven) - set(self.constants) - set(brian_names(eq.expr.code))
            if moving - _WORDS:
                raise EquationError(
                    self.owner,
                    f"the event-driven equation of {name!r} has no solution from one event to the next",
                    got=f"{', '.join(sorted(moving))} in {eq.expr.code!r}",
                    expected="event-driven variables and constants alone",
                    remedy="mark it (clock-driven)",
                )
        if not driven:
            return
        try:
            linear(Equations(list(driven.values())), self._variables())
        except (UnsupportedEquationsException, ValueError, NotImplementedError) as error:
            raise EquationError(
                self.owner,
                "the event-driven equations have no exact solution",
                got="; ".join(str(eq) for eq in driven.values()),
                expected="equations that are linear in their variables, e.g. 'dx/dt = -x/tau_pre : 1 (event-driven)'",
                remedy=f"mark them (clock-driven); Brian2 says: {error}",
            ) from None

    def _known(self) -> set[str]:
        return {*self.constants, *self.given, *(f"{name}_post" for name in OF_NEURONS if name in self.given), *_TIME}

    def _check_names(self, where: str, code: str, own: set[str]) -> None:
        used = get_identifiers(code)
        functions = {name for name in used & set(DEFAULT_FUNCTIONS) if not DEFAULT_FUNCTIONS[name].stateless}
        random = sorted(functions | {name for name in used if name == "xi" or name.startswith("xi_")})
        if random:
            raise EquationError(
                self.owner,
                f"{where} is random, and no run could be repeated",
                got=f"{', '.join(random)} in {code!r}",
                expected="texts without random numbers",
                remedy="draw noise into the neurons or the input",
            )
        neurons = {name for name in used - own - set(self.constants) if name.endswith(("_pre", "_post"))}
        unknown = sorted(used - own - self._known() - neurons - set(brian_names(code)) - _WORDS)
        lost = sorted(
            name for name in neurons if name.removesuffix("_post") in OF_NEURONS and name not in self._known()
        )
        if not unknown and not lost:
            return
        name = (unknown or lost)[0]
        plain = name.removesuffix("_post")
        if plain in {*OF_NEURONS, "reward"}:
            needs = "third_factor=bl.Reward(...)" if plain == "reward" else "a third_factor"
            raise EquationError(
                self.owner,
                f"{where} reads {plain!r}, which the rule does not have",
                got=repr(code),
                expected=needs,
                remedy="give third_factor=bl.Reward(), or the rule whose error paths bring L, e.g. bl.DALTON()",
            )
        everything = [*own, *self._known()]
        raise EquationError(
            self.owner,
            f"unknown name in {where}",
            got=f"{name!r} in {code!r}",
            expected=f"variables of the model ({', '.join(sorted(own)) or 'none'}), constants "
            f"({', '.join(sorted(self.constants)) or 'none'}), {', '.join(sorted(self.given))}, or variables of the "
            "neurons such as v_pre, v_post",
            remedy=did_you_mean(name, everything) or f"add it to constants, or write {name}_post for the neuron's",
        )

    def _check_text(self, where: str) -> None:
        own, statements = set(self.equations), self.statements[where]
        for k, statement in enumerate(statements):
            code, name = statement.expression, statement.variable
            self._check_names(where, code, own)
            read = get_identifiers(code) | {name}
            if "gradient" in get_identifiers(code):
                raise EquationError(
                    self.owner, f"{where} reads the gradient", got=statement.text, expected="'gradient += ...'"
                )
            if where == "update" and read & self.event_driven:
                raise EquationError(
                    self.owner,
                    "update reads or writes a variable that is known at spikes only",
                    got=f"{', '.join(sorted(read & self.event_driven))} in {statement.text!r}",
                    expected="clock-driven variables",
                    remedy="mark it (clock-driven), or use it in on_pre and on_post",
                )
            if where != "update" and read & self.late:
                raise self._too_early(where, sorted(read & self.late))
            self._check_target(where, statement, statements[k + 1 :], own)
            own.add(name)

    def _check_target(self, where: str, statement: Statement, later: tuple[Statement, ...], own: set[str]) -> None:
        name = statement.variable
        if name == "gradient" and statement.operation not in ("+=", "-="):
            raise EquationError(
                self.owner,
                f"{where} does not add to the gradient",
                got=statement.text,
                expected="'gradient += ...' or 'gradient -= ...'",
            )
        if name in self.states or name in ("weight", "gradient"):
            return
        plain = name not in self._known() and name not in self.equations and not name.endswith(("_pre", "_post"))
        passed_on = any(name in get_identifiers(other.expression) for other in later)
        if plain and (name in own or (statement.operation == "=" and passed_on)):
            return
        mine = [*self.states, "weight", "gradient"]
        raise EquationError(
            self.owner,
            f"{where} writes " + ("a name that nothing reads" if plain else "what is not a synapse's own"),
            got=f"{name!r} in {statement.text!r}",
            expected=f"one of {', '.join(mine)}, or a name that a later statement reads",
            remedy=did_you_mean(name, mine)
            or ("the network itself delivers spikes to the neurons" if name.endswith("_post") else None),
        )

    def _check_writes(self) -> None:
        if len(self.writes) == 1:
            return
        raise EquationError(
            self.owner,
            "the texts change both weight and gradient" if self.writes else "the texts change no weight",
            got="; ".join(s.text for statements in self.statements.values() for s in statements) or "no statement",
            expected="'weight += learning_rate*...', which changes it at once, or 'gradient += ...', which the "
            "optimiser follows after a batch",
        )

    def _check_constants(self) -> None:
        for name in self.constants:
            if name in (*OF_SYNAPSES, *OF_NEURONS, *(f"{n}_post" for n in OF_NEURONS), *_TIME, "reward"):
                raise EquationError(
                    self.owner,
                    f"the constant {name!r} has a name that means something else",
                    got=name,
                    expected="another name",
                    remedy="rename it",
                )
        unused = sorted(set(self.constants) - self.used)
        if unused:
            raise EquationError(
                self.owner,
                "a constant is not used",
                got=", ".join(map(repr, unused)),
                expected="names that the texts read",
                remedy=did_you_mean(unused[0], self.used) or "correct the spelling or leave it out",
            )

    def _too_early(self, where: str, names: list[str]) -> EquationError:
        return EquationError(
            self.owner,
            f"{where} reads what is known at the end of a trial only",
            got=", ".join(names),
            expected="update alone reads it, with every='trial'",
            remedy="use every='step', in which the reward is computed in every step",
        )

    def check_units(self, neurons: Mapping[str, Dimension]) -> None:
        """Check the units of all texts.

        Parameters
        ----------
        neurons : mapping
            Variables of the neurons, with ``_pre`` and ``_post`` -> dimensions.

        Raises
        ------
        UnitError
        """
        dimensions: dict[str, Dimension] = {**dict.fromkeys(self._known(), DIMENSIONLESS), **_TIME, **self.constants}
        dimensions |= {name: eq.dim for name, eq in self.equations.items()} | dict(neurons)
        known: dict[str, Any] = {name: Variable(name, dimensions=dim) for name, dim in dimensions.items()}
        for name, eq in self.equations.items():
            if eq.expr is not None:
                rate = eq.type == DIFFERENTIAL_EQUATION
                wanted = eq.dim / second.dim if rate else eq.dim
                self._check_unit(f"d{name}/dt = {eq.expr.code}" if rate else str(eq), eq.expr.code, known, wanted)
        for statements in self.statements.values():
            own = dict(known)
            for s in statements:
                target = own.get(s.variable)
                wanted = None if target is None else target.dim
                if s.operation in ("*=", "/="):
                    wanted = DIMENSIONLESS
                got = self._check_unit(s.text, s.expression, own, wanted)
                own.setdefault(s.variable, Variable(s.variable, dimensions=got))

    def _check_unit(self, text: str, code: str, known: Mapping[str, Any], wanted: Dimension | None) -> Dimension:
        try:
            got = parse_expression_dimensions(code, {**known, **brian_names(code)})
        except DimensionMismatchError as error:
            raise UnitError(
                self.owner,
                f"units do not fit inside {text!r}",
                remedy=f"{error.desc.strip().rstrip('.:')}: {' and '.join(unit_name(dim) for dim in error.dims)}",
            ) from None
        except (KeyError, SyntaxError, TypeError, ValueError) as error:
            raise EquationError(self.owner, f"cannot read {text!r}", remedy=str(error)) from None
        if wanted is not None and got is not wanted:
            raise UnitError(
                self.owner,
                f"units do not fit in {text!r}",
                got=f"{code} is {_in(got)}",
                expected=_in(wanted),
                remedy="check the units of the constants",
            )
        return got
