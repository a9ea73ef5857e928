"""A NeuronGroup of the user's as the neuron of a population."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from brian2 import NeuronGroup, second
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS
from brian2.equations.equations import DIFFERENTIAL_EQUATION, PARAMETER, SingleEquation
from brian2.groups.group import CodeRunner
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException
from brian2.units.fundamentalunits import DIMENSIONLESS, get_dimensions
from brian2.utils.stringtools import get_identifiers

from brianlearn.brian.adopt.names import constants_of, evaluated, quantity
from brianlearn.brian.adopt.refusal import refused
from brianlearn.brian.adopt.timed import Changes, arrays_of, variable_of, without_calls
from brianlearn.brian.build.statements import equation_text
from brianlearn.errors import BrianLearnError, SpecError
from brianlearn.network.neurons.equations import unit_text
from brianlearn.network.neurons.learned import Learned
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.neurons.statements import assignments
from brianlearn.network.neurons.surrogates import Surrogate

__all__ = ["neuron_of_group", "values_of_variable", "written"]

#: What Brian2 adds to every group, and no constant.
OWN = {"t", "dt", "i", "N", "not_refractory", "lastspike", "t_in_timesteps"}


def neuron_of_group(
    group: NeuronGroup,
    namespace: Mapping[str, Any],
    inputs: Mapping[str, float],
    *,
    surrogate: Surrogate,
    v_scale: Any,
    noise: str,
    learn: Sequence[str | Learned] = (),
    timed: Sequence[Changes] = (),
) -> Neuron:
    """The neuron of a group.

    Parameters
    ----------
    group : brian2.NeuronGroup
    namespace : mapping
        Where the script runs.
    inputs : mapping
        Variable that synapses increment -> what a weight of 1 adds, base units; the membrane where it is empty.
    surrogate : Surrogate
    v_scale : float or brian2.Quantity or None
        None: the way from the value after a reset to the threshold.
    noise : {"refuse", "seeded"}
    learn : sequence of str or Learned
        Constants that are learned.
    timed : sequence of Changes
        Of the timed arrays in its equations; their variables are among ``inputs`` where they change.

    Returns
    -------
    Neuron

    Raises
    ------
    SpecError
        What cannot be read, with the line.
    """
    _check_objects(group)
    equations, threshold = group.user_equations, group.events["spike"].strip()
    reset = (group.event_codes.get("spike") or "").strip()
    text = "\n".join([str(equations), threshold, reset])
    arrays = arrays_of(group, namespace)
    codes = {
        eq.varname: without_calls(group, eq.expr.code, arrays, str(eq)) if arrays else eq.expr.code
        for eq in equations.values()
        if eq.expr is not None
    }
    _check_time_and_noise(group, codes, threshold, reset, noise)
    changed = written(group) | set(inputs)
    lines, constants = [], {}
    states = []
    for eq in equations.ordered:
        if eq.type == PARAMETER and eq.varname not in changed:
            constants[eq.varname] = _constant(group, eq)
        elif eq.type == PARAMETER:
            if "shared" in eq.flags or eq.var_type != "float":
                raise refused(
                    group,
                    f"{eq.varname!r} changes and is no number of each neuron",
                    line=str(eq),
                    expected="a variable of each neuron",
                )
            lines.append(_still(eq.varname, eq.dim))
            states.append(eq.varname)
        else:
            lines.append(equation_text(eq, codes[eq.varname]))
            states += [eq.varname] if eq.type == DIFFERENTIAL_EQUATION else []
    for each in timed:
        dim = next(array.dim for name, array in arrays.items() if variable_of(name) == each.variable)
        lines.append(_still(each.variable, dim))
    used = set(get_identifiers(threshold)) | set(get_identifiers(reset))
    used |= set().union(*map(get_identifiers, codes.values()), set())
    used -= {each.variable for each in timed}
    local = {target for target, _ in assignments(reset)} - set(equations.names)
    outside = used - set(equations.names) - OWN - set(DEFAULT_FUNCTIONS).difference(namespace, group.namespace) - local
    outside -= {name for name in outside if name == "xi" or name.startswith("xi_")}
    constants |= constants_of(group, outside, namespace, text)
    constants = {name: value for name, value in constants.items() if name in used}
    initial = {}
    for name in states:
        values = values_of_variable(group, name)
        if values.any():
            same = values.ndim == 0 or bool((values == values.flat[0]).all())
            initial[name] = quantity(float(values.flat[0]) if same else values, group.variables[name].dim)
    dims = {name: group.variables[name].dim for name in states}
    for each in timed:
        same = bool((each.first == each.first[0]).all())
        dims[each.variable] = next(a.dim for name, a in arrays.items() if variable_of(name) == each.variable)
        if each.first.any():
            initial[each.variable] = quantity(float(each.first[0]) if same else each.first, dims[each.variable])
    fields: dict[str, Any] = dict(
        equations="\n".join(lines),
        threshold=threshold,
        reset=reset,
        constants=constants,
        surrogate=surrogate,
        refractory=_refractory(group, namespace),
        initial=initial,
        learn=tuple(learn),
    )
    membrane = threshold.split(">")[0].strip(" (")
    variables = tuple(inputs) or (membrane if membrane in states else states[0],)
    units = {name: quantity(inputs.get(name, 1.0), dims[name]) for name in variables}
    fields |= dict(input=variables, weight_unit=units if len(units) > 1 else units[variables[0]])
    dim = group.variables[membrane].dim if membrane in group.variables else get_dimensions(1)
    fields["v_scale"] = v_scale if v_scale is not None else quantity(1.0, dim)
    return _with_method(group, namespace, fields, own_scale=v_scale is None)


def _still(name: str, dim: Any) -> str:
    """The equation of a variable that nothing but resets and spikes changes."""
    unit = unit_text(dim)
    return f"d{name}/dt = {'0/second' if unit == '1' else f'0*({unit})/second'} : {unit}"


def _with_method(
    group: NeuronGroup, namespace: Mapping[str, Any], fields: dict[str, Any], *, own_scale: bool
) -> Neuron:
    """The neuron, stepped as Brian2 steps the group; ``own_scale``: with a scale from threshold and reset."""
    method = _method(group, namespace)
    method = "exact" if method == "linear" else method  # its old name
    try:
        neuron = Neuron(**fields, method=method)
        if own_scale:
            fields["v_scale"] = quantity(_way(group, neuron), get_dimensions(neuron.v_scale))
            neuron = Neuron(**fields, method=neuron.method)
    except BrianLearnError as error:
        problem = f"{error.subject}: {error.problem}"
        raise type(error)(
            f"adopt: NeuronGroup {group.name!r}",
            problem,
            got=error.got,
            expected=error.expected,
            remedy=error.remedy,
        ) from None
    return neuron


def _method(group: NeuronGroup, namespace: Mapping[str, Any]) -> str:
    """The method that Brian2 takes, which it chooses when the group runs."""
    choice = group.method_choice
    options = [choice] if isinstance(choice, str) or callable(choice) else list(choice)
    if group.state_updater.method_options and set(group.state_updater.method_options) - {"simplify"}:
        raise refused(
            group,
            "options of the method are not known",
            line=f"method_options={group.state_updater.method_options}",
            expected="none",
        )
    if not any(eq.type == DIFFERENTIAL_EQUATION for eq in group.user_equations.values()):
        return "euler"
    names = group.equations.identifiers - set(group.variables) - {"xi"}
    names = {name for name in names if not name.startswith("xi_")}
    variables = {**group.variables, **group.resolve_all(names, namespace, user_identifiers=())}
    for one in options:
        if not isinstance(one, str):
            raise refused(
                group, "the method is a function", line=repr(one), expected="a method of Brian2's by name, e.g. 'euler'"
            )
        try:
            StateUpdateMethod.apply_stateupdater(group.equations, variables, one)
        except UnsupportedEquationsException:
            continue
        return one.lower()
    raise refused(
        group,
        "none of its methods can integrate the equations",
        line=f"method={choice!r}",
        expected="a method that fits, e.g. 'euler'",
    )


def _way(group: NeuronGroup, neuron: Neuron) -> float:
    """How far it is from the membrane after a reset to the threshold, base units; what a surrogate is scaled with."""
    parsed = neuron.parsed
    values: dict[str, Any] = {name: value for name, (value, _) in parsed.constants.items()}
    values |= {name: neuron.initial_of(name) for name in parsed.state_names}
    try:
        for name in parsed.equations.subexpr_names:
            values[name] = evaluated(parsed.equations[name].expr.code, values)
        threshold = evaluated(parsed.threshold, values)
        after = dict(values)
        for target, value in assignments(neuron.reset):
            after[target] = evaluated(ast.unparse(value), after)
        way = float(np.median(np.abs(threshold - evaluated(parsed.membrane, after))))
    except (NameError, TypeError, ValueError, ArithmeticError):
        way = 0.0
    if np.isfinite(way) and way > 0:
        return way
    if get_dimensions(neuron.v_scale) is DIMENSIONLESS:
        return 1.0
    raise refused(
        group,
        "how far it is from the reset to the threshold is not known, with which the surrogate derivative is scaled",
        line=f"threshold={neuron.threshold!r}, reset={neuron.reset!r}",
        expected="adopt(..., v_scale=10*mV)",
    )


def written(group: NeuronGroup) -> set[str]:
    """The variables that the reset of a group changes."""
    reset = group.event_codes.get("spike") or ""
    return {target for target, _ in assignments(reset)}


def values_of_variable(group: NeuronGroup, name: str) -> np.ndarray:
    """The values of a variable now, base units: one, or one for each neuron."""
    values = np.array(group.state(name, use_units=False)[:], float)
    return values if values.ndim == 0 or "shared" not in group.user_equations[name].flags else values.ravel()[0]


def _constant(group: NeuronGroup, eq: SingleEquation) -> Any:
    """The value of a parameter, with its unit."""
    if eq.var_type == "boolean":
        raise refused(group, f"{eq.varname!r} is boolean", line=str(eq), expected="numbers")
    if "linked" in eq.flags:
        variable = group.variables[eq.varname]
        owner = variable.owner
        source = getattr(owner, "user_equations", {}).get(variable.name) if owner is not None else None
        if source is None or source.type != PARAMETER or variable.name in written(owner):
            raise refused(
                group,
                f"{eq.varname!r} is linked to a variable that changes",
                line=str(eq),
                expected="a linked parameter that is constant",
                remedy="connect the groups by synapses",
            )
    values = values_of_variable(group, eq.varname)
    if values.ndim and (values == values.flat[0]).all():
        values = values.flat[0]
    return quantity(float(values) if np.ndim(values) == 0 else values, eq.dim)


def _refractory(group: NeuronGroup, namespace: Mapping[str, Any]) -> Any:
    """The refractory period; None without."""
    period = group._refractory
    if period is False or period is None:
        return None
    if isinstance(period, str):
        names = set(get_identifiers(period)) - set(DEFAULT_UNITS) - set(DEFAULT_CONSTANTS)
        inside = names & (set(group.variables) | OWN)
        if inside or (names & set(DEFAULT_FUNCTIONS)):
            raise refused(
                group,
                "the refractory period is no constant time",
                line=f"refractory={period!r}",
                expected="one time for all neurons, e.g. refractory=2*ms",
            )
        period = evaluated(period, constants_of(group, names, namespace, f"refractory={period!r}")) * second
    if np.ndim(period) or get_dimensions(period) is not second.dim:
        raise refused(
            group,
            "the refractory period is no constant time",
            line=f"refractory={period!r}",
            expected="one time for all neurons, e.g. refractory=2*ms",
        )
    return period if float(period) > 0 else None


def _check_objects(group: NeuronGroup) -> None:
    """Refuse what runs beside integration, threshold and reset."""
    if type(group) is not NeuronGroup:
        raise refused(group, "it is of another kind", line=type(group).__name__, expected="a NeuronGroup")
    others = sorted(set(group.events) - {"spike"})
    if others:
        raise refused(
            group,
            "it has events of its own",
            line=f"events={others[0]!r}: {group.events[others[0]]}",
            expected="spikes",
        )
    if "spike" not in group.events:
        raise refused(
            group,
            "it has no threshold, so that it never spikes",
            line="threshold=None",
            expected="threshold='v > ...'",
            remedy="leave out a group that spikes only add to, and its synapses: readout=bl.Readout(n, tau=...) is one "
            "that can be taught",
        )
    for part in group.contained_objects:
        if type(part) is CodeRunner:
            raise refused(
                group,
                "run_regularly changes its variables",
                line=str(part.abstract_code).strip(),
                expected="equations, threshold and reset alone",
                remedy="write it into the equations, or adopt without it",
            )
    slots = {"stateupdater": "groups", "thresholder": "thresholds", "resetter": "resets"}
    for part in group.contained_objects:
        for kind, slot in slots.items():
            if f"_{kind}" in part.name and (part.when, part.order) != (slot, 0):
                raise refused(
                    group,
                    f"its {kind} runs in another slot",
                    line=f"when={part.when!r}, order={part.order}",
                    expected=f"when={slot!r}, order=0, Brian2's own",
                )


def _check_time_and_noise(group: NeuronGroup, codes: Mapping[str, str], threshold: str, reset: str, noise: str) -> None:
    equations = group.user_equations
    lines = [(str(equations[name]), code) for name, code in codes.items()]
    for line, code in [*lines, (f"threshold={threshold!r}", threshold), (f"reset={reset!r}", reset)]:
        names = set(get_identifiers(code))
        if names & {"t", "lastspike", "t_in_timesteps"} - set(equations.names):
            raise refused(
                group,
                "it depends on the time of the run",
                line=line,
                expected="equations that are the same in every step",
                remedy="bring what changes with time in as spikes",
            )
        random = sorted(n for n in names if n in ("rand", "randn", "poisson") or n == "xi" or n.startswith("xi_"))
        if random and noise == "refuse":
            raise refused(
                group,
                f"it is noisy ({', '.join(random)}), and other random numbers fire other spikes",
                line=line,
                expected="no noise",
                remedy="adopt(..., noise='seeded') takes the noise, with seeds of its own",
            )


def check_noise(noise: str) -> None:
    """Refuse what is no way to treat noise."""
    if noise not in ("refuse", "seeded"):
        raise SpecError("adopt", "noise is wrong", got=repr(noise), expected="'refuse' or 'seeded'")
