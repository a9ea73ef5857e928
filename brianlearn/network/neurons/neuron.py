"""The neuron model: Brian2 equations with units, a threshold, a reset and a surrogate derivative."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from brian2 import second
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.equations.equations import DIFFERENTIAL_EQUATION, SUBEXPRESSION, extract_constant_subexpressions
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException
from brian2.stateupdaters.explicit import ExplicitStateUpdater
from brian2.stateupdaters.exponential_euler import get_conditionally_linear_system
from brian2.units.fundamentalunits import get_dimensions
from brian2.utils.stringtools import get_identifiers

from brianlearn.citing.references import Reference, references_of_text, text_lines
from brianlearn.errors import EquationError, SpecError, UnitError, did_you_mean
from brianlearn.network.neurons.equations import Parsed, parse
from brianlearn.network.neurons.learned import check_learned, take_learned
from brianlearn.network.neurons.propagator import LinearSystem, NonLinear, linear_system
from brianlearn.network.neurons.surrogates import FastSigmoid, Surrogate
from brianlearn.network.storable import Storable
from brianlearn.network.taking import take_quantities, take_quantity, take_text
from brianlearn.network.unit_names import kind_text, quantity_text

__all__ = ["Neuron", "initial_name"]


def initial_name(state: str) -> str:
    """The name of the initial values of a state variable, where neurons differ in them."""
    return f"initial_{state}"


@dataclass(frozen=True, eq=False)
class Neuron(Storable):
    """A spiking neuron model, declared as Brian2 equations.

    Parameters
    ----------
    equations : str
        Brian2 equations with units. Any number of state variables; subexpressions and parameters are allowed.
        Variables marked ``(unless refractory)`` are frozen while refractory.
    threshold : str
        One strict comparison such as ``"v > 1"``. The surrogate derivative is taken at the difference of its sides.
    reset : str
        Statements that run when the neuron spikes, e.g. ``"v = 0"`` (hard) or ``"v -= 1"`` (subtractive).
    input : str or tuple of str
        The state variable that a presynaptic spike increments by its synaptic weight. Several, e.g.
        ``("g_e", "g_i")``, where projections reach different ones (``Projection(variable=...)``); the first is that of
        projections that name none.
    constants : mapping, optional
        Values of the names used in the texts, with units. A scalar, or an array with one value per neuron.
    surrogate : Surrogate, optional
        Surrogate derivative of the spike function.
    refractory : brian2.Quantity, optional
        Refractory period; a refractory neuron does not spike.
    floor : float or brian2.Quantity, optional
        Lower bound of the membrane variable. Where it acts, the neuron does not learn (gate = 0).
    method : str, optional
        ``"auto"``: the exact propagator where the equations are linear, else Brian2's ``exponential_euler`` where they
        are conditionally linear, else ``euler``. ``"exact"``, or any of Brian2's explicit methods by name.
    v_scale : float or brian2.Quantity, optional
        Unit of the surrogate's argument, x = (v - threshold)/v_scale. Needed where the membrane has a unit.
    weight_unit : float or brian2.Quantity, or mapping, optional
        What a synaptic weight of 1 adds to the input variable. Needed where the input variable has a unit. Of several
        input variables one for all, or a mapping with one for each.
    initial : mapping, optional
        State at the start of a trial, one value or one for each neuron; 0 where it is not given.
    learn : sequence of str or Learned, optional
        Constants that back-propagation learns (docs/learned_constants.md): by name, one value for the population; with
        `Learned` also one for each neuron, and bounds.

    Raises
    ------
    EquationError
        Text that Brian2 cannot read, unknown or missing names, non-linear equations with ``method="exact"``.
    UnitError
        Units that do not fit.
    SpecError
        Options that cannot be right.

    Examples
    --------
    >>> from brian2 import ms
    >>> import brianlearn as bl
    >>> lif = bl.Neuron(
    ...     '''dv/dt = (I - v)/tau_m : 1
    ...        dI/dt = -I/tau_s : 1''',
    ...     threshold="v > 1", reset="v = 0", input="I",
    ...     constants=dict(tau_m=20*ms, tau_s=5*ms))
    >>> lif.method_used
    'exact'
    """

    equations: str
    threshold: str
    reset: str
    input: str | tuple[str, ...]
    constants: Mapping[str, Any] = field(default_factory=dict)
    surrogate: Surrogate = FastSigmoid()
    refractory: Any = None
    floor: Any = None
    method: str = "auto"
    v_scale: Any = 1.0
    weight_unit: Any = 1.0
    initial: Mapping[str, Any] = field(default_factory=dict)
    learn: Any = ()

    def __post_init__(self) -> None:
        self._take()
        for name in ("equations", "threshold", "reset", "method"):
            if not isinstance(getattr(self, name), str):
                raise SpecError(self._owner, f"{name} is not text", got=repr(getattr(self, name)), expected="a str")
        if not isinstance(self.surrogate, Surrogate):
            raise SpecError(
                self._owner,
                "the surrogate is of the wrong type",
                got=repr(self.surrogate),
                expected="an instance such as FastSigmoid(slope=5)",
            )
        self.surrogate.check()
        self._check_input()
        self._check_units()
        self._check_initial()
        self._check_method()
        if self.learn:
            check_learned(self._owner, self)

    def _take(self) -> None:
        """What is written in another way and can only be meant so: text with a unit, an `Equations` object."""
        object.__setattr__(self, "equations", take_text(self.equations))
        for name in ("refractory", "floor", "v_scale", "weight_unit"):
            object.__setattr__(self, name, take_quantity(self._owner, name, getattr(self, name)))
        if isinstance(self.weight_unit, Mapping):
            object.__setattr__(self, "weight_unit", take_quantities(self._owner, self.weight_unit))
        if isinstance(self.input, list | tuple):
            object.__setattr__(self, "input", self.input[0] if len(self.input) == 1 else tuple(self.input))
        for name in ("constants", "initial"):
            values = getattr(self, name)
            if not isinstance(values, Mapping):
                raise SpecError(
                    self._owner, f"{name} is not a mapping", got=repr(values), expected=f"{name}=dict(tau_m=10*ms)"
                )
            object.__setattr__(self, name, take_quantities(self._owner, values))
        object.__setattr__(self, "learn", take_learned(self._owner, self.learn))

    @property
    def _owner(self) -> str:
        first = str(self.equations).strip().splitlines() or [""]
        return f"Neuron({first[0].strip()!r}, ...)"

    @property
    def written(self) -> tuple[str, ...]:
        """Equations and threshold, line by line: what a model is known by, whatever its constants."""
        return text_lines(self.equations, self.threshold)

    def cited(self) -> tuple[Reference, ...]:
        return (*super().cited(), *references_of_text(self.written))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The state variables that presynaptic spikes increment; the first is that of projections that name none."""
        return (self.input,) if isinstance(self.input, str) else self.input

    def unit_of(self, variable: str) -> Any:
        """What a synaptic weight of 1 adds to an input variable.

        Parameters
        ----------
        variable : str
            One of `inputs`.

        Returns
        -------
        float or brian2.Quantity
        """
        return self.weight_unit[variable] if isinstance(self.weight_unit, Mapping) else self.weight_unit

    @cached_property
    def parsed(self) -> Parsed:
        """The checked content of the texts."""
        return parse(self._owner, self.equations, self.threshold, self.reset, self.constants)

    def initial_of(self, state: str) -> np.ndarray:
        """The value of a state variable at the start of a trial, in base units.

        Parameters
        ----------
        state : str

        Returns
        -------
        numpy.ndarray
            Shape () or (n_neurons,).
        """
        values = np.asarray(self.initial.get(state, 0.0), float)
        return values if values.ndim == 0 else values.ravel()

    @cached_property
    def linear_system(self) -> LinearSystem | None:
        """The linear system behind the equations, or None where ``method_used`` is not ``"exact"``."""
        if self.method not in ("auto", "exact"):
            return None
        try:
            return linear_system(self.parsed)
        except NonLinear:
            return None

    @cached_property
    def method_used(self) -> str:
        """``"exact"`` or the name of the Brian2 method that runs."""
        if self.method != "auto":
            return self.method
        if self.linear_system is not None:
            return "exact"
        if not self.parsed.equations.is_stochastic:
            try:
                get_conditionally_linear_system(self.parsed.equations, self.parsed.variables)
                return "exponential_euler"
            except ValueError:  # not linear in one of the variables, the others held
                return "euler"
        return "heun" if self._noise == "multiplicative" else "euler"

    @property
    def _noise(self) -> str | None:
        """``"additive"`` or ``"multiplicative"``, as Brian2 tells them apart; None without white noise."""
        return extract_constant_subexpressions(self.parsed.equations)[0].stochastic_type

    @property
    def held(self) -> tuple[str, ...]:
        """Subexpressions marked ``(constant over dt)``: computed at the start of a step, and held; in their order."""
        found = self.parsed.equations.ordered
        return tuple(e.varname for e in found if e.type == SUBEXPRESSION and "constant over dt" in e.flags)

    @property
    def random(self) -> tuple[str, ...]:
        """What of the texts is random: ``xi`` and Brian2's random functions, by name."""
        codes = [eq.expr.code for eq in self.parsed.equations.values() if eq.expr is not None]
        used = set().union(*(get_identifiers(text) for text in (*codes, self.threshold, self.reset)))
        functions = {name for name, function in DEFAULT_FUNCTIONS.items() if not function.stateless}
        return tuple(sorted(used & (functions | self.parsed.equations.stochastic_variables)))

    def with_constants(self, **constants: Any) -> Neuron:
        """A copy with other values of some constants.

        Parameters
        ----------
        **constants : float or brian2.Quantity
            Name -> value.

        Returns
        -------
        Neuron

        Raises
        ------
        SpecError
            If the neuron has no constant of that name.
        """
        unknown = sorted(set(constants) - set(self.constants))
        if unknown:
            raise SpecError(
                self._owner,
                "no such constant",
                got=", ".join(unknown),
                expected=", ".join(sorted(self.constants)) or "the neuron has none",
                remedy=did_you_mean(unknown[0], self.constants),
            )
        return dataclasses.replace(self, constants={**self.constants, **constants})

    def _check_input(self) -> None:
        if (
            not isinstance(self.input, str | tuple)
            or not self.inputs
            or not all(isinstance(v, str) for v in self.inputs)
        ):
            raise SpecError(
                self._owner,
                "input is not text",
                got=repr(self.input),
                expected="the name of a variable, or a tuple of names",
            )
        states = self.parsed.state_names
        for variable in self.inputs:
            if variable not in states:
                raise EquationError(
                    self._owner,
                    "the input variable has no differential equation",
                    got=repr(variable),
                    expected=f"one of {', '.join(states)}",
                    remedy=did_you_mean(variable, states)
                    or "input names the variable that a presynaptic spike increments",
                )
        if len(set(self.inputs)) != len(self.inputs):
            raise SpecError(
                self._owner, "an input variable is named twice", got=repr(self.input), expected="each of them once"
            )
        units = self.weight_unit
        if isinstance(units, Mapping) and set(units) != set(self.inputs):
            raise SpecError(
                self._owner,
                "weight_unit does not name the input variables",
                got=", ".join(map(repr, units)) or "an empty mapping",
                expected=", ".join(map(repr, self.inputs)),
            )

    def _check_units(self) -> None:
        parsed = self.parsed
        for variable in self.inputs:
            input_dim = parsed.dimensions[variable]
            if get_dimensions(self.unit_of(variable)) is not input_dim:
                raise UnitError(
                    self._owner,
                    f"weight_unit does not fit the input variable {variable!r}",
                    got=quantity_text(self.unit_of(variable)),
                    expected=kind_text(input_dim),
                    remedy="weights are plain numbers; say what a weight of 1 adds, e.g. weight_unit=1*nS"
                    + (", or one for each variable: weight_unit={...}" if len(self.inputs) > 1 else ""),
                )
        membrane_dim = parse_expression_dimensions(parsed.membrane, parsed.variables)
        if get_dimensions(self.v_scale) is not membrane_dim:
            raise UnitError(
                self._owner,
                "v_scale does not fit the membrane variable",
                got=quantity_text(self.v_scale),
                expected=kind_text(membrane_dim),
                remedy="the surrogate takes a plain number x = (v - threshold)/v_scale; e.g. v_scale=10*mV",
            )
        for name, given in (("v_scale", self.v_scale), *(("weight_unit", self.unit_of(v)) for v in self.inputs)):
            value = np.asarray(given, dtype=float)
            if value.ndim or not np.isfinite(value) or value <= 0:
                raise SpecError(self._owner, f"{name} is wrong", got=given, expected="one number > 0")
        if self.refractory is not None:
            if get_dimensions(self.refractory) is not second.dim:
                raise UnitError(
                    self._owner,
                    "the refractory period has the wrong unit",
                    got=quantity_text(self.refractory),
                    expected="a time, e.g. 2*ms",
                )
            if np.ndim(self.refractory) or not float(self.refractory) > 0:
                raise SpecError(
                    self._owner, "the refractory period is wrong", got=self.refractory, expected="one time > 0"
                )
        if self.floor is not None:
            if parsed.membrane not in parsed.state_names:
                raise SpecError(
                    self._owner,
                    "a floor needs a state variable on the left of the threshold",
                    got=f"threshold {self.threshold!r}",
                    expected=f"one of {', '.join(parsed.state_names)}",
                )
            if get_dimensions(self.floor) is not membrane_dim:
                raise UnitError(
                    self._owner,
                    "the floor has the wrong unit",
                    got=quantity_text(self.floor),
                    expected=kind_text(membrane_dim),
                )
        frozen = any("unless refractory" in eq.flags for eq in parsed.equations.values())
        if frozen and self.refractory is None:
            raise SpecError(
                self._owner,
                "a variable is marked (unless refractory) but there is no refractory period",
                expected="refractory=..., e.g. 2*ms",
            )

    def _check_initial(self) -> None:
        states = self.parsed.state_names
        for name, value in self.initial.items():
            if name not in states:
                raise SpecError(
                    self._owner,
                    f"initial names no state variable: {name!r}",
                    expected=f"one of {', '.join(states)}",
                    remedy=did_you_mean(name, states),
                )
            if get_dimensions(value) is not self.parsed.dimensions[name]:
                raise UnitError(
                    self._owner,
                    f"the initial value of {name!r} has the wrong unit",
                    got=quantity_text(value),
                    expected=kind_text(self.parsed.dimensions[name]),
                )
            values = np.asarray(value, float)
            if not values.size or not np.isfinite(values).all():
                raise SpecError(
                    self._owner,
                    f"the initial value of {name!r} is wrong",
                    got=repr(value)[:200],
                    expected="a finite number, or one for each neuron",
                )
            taken = {*self.parsed.equations.names, *self.constants}
            if values.ndim and initial_name(name) in taken:
                raise EquationError(
                    self._owner,
                    f"{initial_name(name)!r} holds the initial values of {name!r}",
                    got=f"{initial_name(name)!r} in the equations or constants",
                    expected="another name",
                    remedy="rename it",
                )

    def _check_method(self) -> None:
        if self.method == "exact":
            try:
                linear_system(self.parsed)
            except NonLinear as error:
                raise EquationError(
                    self._owner,
                    f"the equations have no exact propagator: {error}",
                    got="method='exact'",
                    expected="equations linear in the state variables, with constant coefficients",
                    remedy="use method='auto', 'exponential_euler', 'rk2', 'rk4' or 'euler'",
                ) from None
        elif self.method != "auto" and self.method not in self._brian2_methods():
            raise SpecError(
                self._owner,
                "unknown method",
                got=repr(self.method),
                expected=", ".join(["auto", "exact", *self._brian2_methods()]),
                remedy=did_you_mean(self.method, ["auto", "exact", *self._brian2_methods()]),
            )
        self._check_noise()
        states = [eq.varname for eq in self.parsed.equations.values() if eq.type == DIFFERENTIAL_EQUATION]
        if self.parsed.membrane in self.parsed.constants:
            raise EquationError(
                self._owner,
                "the left side of the threshold is a constant",
                got=self.threshold,
                expected=f"one of {', '.join(states)}",
            )

    def _check_noise(self) -> None:
        """White noise needs a method that integrates it, of its kind and number."""
        noise = self._noise
        if noise is None or self.method == "auto":
            return
        method = StateUpdateMethod.stateupdaters[self.method]
        if isinstance(method, ExplicitStateUpdater):
            able = method.stochastic is not None and (noise == "additive" or method.stochastic == noise)
            try:
                if method.custom_check is not None:
                    method.custom_check(self.parsed.equations, self.parsed.variables)
            except UnsupportedEquationsException:
                able = False
        else:
            able = self.method != "exponential_euler"
        if not able:
            amplitude = "amplitudes depend on state variables" if noise == "multiplicative" else "amplitude is constant"
            raise EquationError(
                self._owner,
                f"the method does not integrate white noise whose {amplitude}",
                got=f"method={self.method!r}, {', '.join(sorted(self.parsed.equations.stochastic_variables))}",
                expected="'heun', or 'milstein' with one kind of noise each" + ", or 'euler'" * (noise == "additive"),
                remedy="use method='auto'",
            )

    @staticmethod
    def _brian2_methods() -> list[str]:
        # the explicit ones: GSL's need a library and adapt their step, 'exact' is replaced by the propagator
        skip = ("gsl", "exact", "linear", "independent")
        return sorted(name for name in StateUpdateMethod.stateupdaters if not name.startswith(skip))
