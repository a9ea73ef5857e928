"""A Synapses object of the user's as projections: what it adds to which variable, and where that is written back."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from brian2 import NeuronGroup, Synapses, second
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS
from brian2.equations.equations import PARAMETER, SUBEXPRESSION
from brian2.groups.group import CodeRunner
from brian2.parsing.sympytools import str_to_sympy, sympy_to_str
from brian2.utils.stringtools import get_identifiers
from sympy import Symbol, diff, expand, simplify

from brianlearn.brian.adopt.names import constants_of, evaluated
from brianlearn.brian.adopt.neurons import values_of_variable, written
from brianlearn.brian.adopt.refusal import refused
from brianlearn.errors import BrianLearnWarning, did_you_mean
from brianlearn.network.connections import AllToAll, Connection, Sparse
from brianlearn.network.initial import Array
from brianlearn.network.learned_delays import LearnedDelays
from brianlearn.network.projection import Projection

__all__ = ["Delivery", "Projected", "deliveries", "projections_of"]

_ADDS = re.compile(r"^(\w+)\s*([+-])=\s*(.+)$", re.DOTALL)


@dataclass(eq=False)
class Delivery:
    """What the synapses of an object deliver.

    Attributes
    ----------
    synapses : brian2.Synapses
    source, target : str
        Names of the groups.
    pre, post : numpy.ndarray of int
        Of each synapse, in whole groups.
    steps : numpy.ndarray of int
        Delay of each synapse.
    dt : float
        Seconds.
    variable : str
        Of the target.
    amount : numpy.ndarray
        What a spike adds, base units.
    weight : str or None
        The synaptic variable that the amounts are proportional to; None where they are constants of the script.
    coefficient : numpy.ndarray
        Amount for each unit of that variable.
    """

    synapses: Synapses
    source: str
    target: str
    pre: np.ndarray
    post: np.ndarray
    steps: np.ndarray
    dt: float
    variable: str
    amount: np.ndarray
    weight: str | None
    coefficient: np.ndarray


@dataclass(eq=False)
class Projected:
    """A projection of the network, and the synapses that it stands for.

    Attributes
    ----------
    projection : Projection
    delivery : Delivery
    index : numpy.ndarray of int
        The synapse of each packed weight.
    unit : float
        What a weight of 1 adds, base units.
    dense : tuple of int or None
        (sources, targets) where all are connected, so that weights are a matrix (out, in).
    """

    projection: Projection
    delivery: Delivery
    index: np.ndarray
    unit: float
    dense: tuple[int, int] | None

    def pack(self, weights: np.ndarray) -> np.ndarray:
        """Weights of the network as one for each synapse of ``index``."""
        return weights if self.dense is None else weights.T.ravel()  # by presynaptic neuron

    def unpack(self, values: np.ndarray) -> np.ndarray:
        """The other way round."""
        return values if self.dense is None else np.ascontiguousarray(values.reshape(self.dense).T)

    @property
    def weights(self) -> np.ndarray:
        """What the objects have now."""
        return self.unpack(self.delivery.amount[self.index] / self.unit)


def deliveries(
    synapses: Synapses, groups: Mapping[str, Any], namespace: Mapping[str, Any], weight: str | None, dt: float
) -> Delivery:
    """Read a Synapses object.

    Parameters
    ----------
    synapses : brian2.Synapses
    groups : mapping
        Name -> group of the network.
    namespace : mapping
        Where the script runs.
    weight : str, optional
        The synaptic variable that is the weight, where there are several.
    dt : float
        Seconds.

    Returns
    -------
    Delivery

    Raises
    ------
    SpecError
        What cannot be read, with the line.
    """
    ends = []
    for end in ("source", "target"):
        group = getattr(synapses, end)
        whole = getattr(group, "source", None) if hasattr(group, "start") and hasattr(group, "source") else None
        name = group.name if whole is None else whole.name
        if name not in groups:
            raise refused(
                synapses,
                f"its {end} is not among the groups",
                line=name,
                expected=", ".join(groups),
                remedy="give adopt that group too, or its whole network",
            )
        ends.append(name)
    code = _check_objects(synapses)
    target = groups[ends[1]]
    variable, text, sign = _statement(synapses, target, code)
    if not len(synapses):
        raise refused(synapses, "it has no synapses", line=code, expected="synapses.connect(...) before adopt")
    pre = np.array(synapses.variables["_synaptic_pre"].get_value(), int)
    post = np.array(synapses.variables["_synaptic_post"].get_value(), int)
    values, parameters = _values(synapses, groups[ends[0]], target, pre, post, text, code, namespace)
    chosen = _weight(synapses, text, parameters, weight, code)
    n = len(pre)
    amount = sign * np.broadcast_to(evaluated(text, values), (n,))
    coefficient = np.ones(n)
    if chosen is not None:
        slope = sympy_to_str(diff(str_to_sympy(text), Symbol(chosen, real=True)))
        coefficient = sign * np.broadcast_to(evaluated(slope, values), (n,))
    elif not parameters:
        coefficient = amount
    if not np.isfinite(amount).all():
        raise refused(synapses, "a weight is not finite", line=code, expected="finite numbers")
    pathway = synapses._pathways[0]
    delay = np.broadcast_to(np.array(pathway.variables["delay"].get_value(), float), (n,))
    steps = _steps(synapses, delay, dt)
    source, goal = ends
    return Delivery(synapses, source, goal, pre, post, steps, dt, variable, np.array(amount), chosen, coefficient)


def projections_of(
    delivery: Delivery,
    sizes: Mapping[str, int],
    unit: float,
    first_input: str,
    learned: LearnedDelays | None = None,
) -> list[Projected]:
    """The projections of a delivery: one, and one more for pairs that are connected several times.

    Parameters
    ----------
    delivery : Delivery
    sizes : mapping
        Group -> number of neurons.
    unit : float
        What a weight of 1 adds, base units.
    first_input : str
        The variable of projections that name none.
    learned : LearnedDelays, optional
        Where delays are learned; they begin with those of the script.

    Returns
    -------
    list of Projected

    Raises
    ------
    SpecError
        One delay for all synapses, which is to be learned for each.
    """
    if learned is not None and delivery.synapses._pathways[0].variables["delay"].scalar:
        raise refused(
            delivery.synapses,
            "the script has one delay for all synapses, and learned delays are of each",
            line="Synapses(..., delay=...)",
            expected=f"{delivery.synapses.name}.delay = ... behind connect(), in the place of delay=",
        )
    order = np.lexsort((delivery.post, delivery.pre))
    same = np.r_[False, (np.diff(delivery.pre[order]) == 0) & (np.diff(delivery.post[order]) == 0)]
    starts = np.flatnonzero(~same)
    rank = np.arange(len(order)) - np.repeat(starts, np.diff(np.r_[starts, len(order)]))
    found = []
    for k in range(int(rank.max()) + 1):
        index = order[rank == k]
        pairs = np.column_stack([delivery.pre[index], delivery.post[index]])
        complete = len(index) == sizes[delivery.source] * sizes[delivery.target]
        connection: Connection = AllToAll() if complete else Sparse(pairs=pairs)
        name = delivery.synapses.name + (f"_{k + 1}" if k else "")
        steps = delivery.steps[index]
        shape = (sizes[delivery.source], sizes[delivery.target])
        delay = steps[0] if (steps == steps[0]).all() else steps.reshape(shape).T if complete else steps
        times: Any = delay * delivery.dt * second
        if learned is not None:
            times = learned if learned.initial is not None else replace(learned, initial=times)
        weights = delivery.amount[index] / unit
        made = Projection(
            name,
            delivery.source,
            delivery.target,
            connection,
            Array(weights.reshape(shape).T if complete else weights),
            learned=delivery.weight is not None,
            delay=times,
            variable=None if delivery.variable == first_input else delivery.variable,
        )
        found.append(Projected(made, delivery, index, unit, shape if complete else None))
    return found


def unit_of(amounts: np.ndarray) -> float:
    """A power of two near the middle one of amounts: dividing by it, and multiplying again, changes no digit."""
    sizes = np.abs(amounts[amounts != 0])
    return 1.0 if not sizes.size else 2.0 ** round(math.log2(float(np.median(sizes))))


def _check_objects(synapses: Synapses) -> str:
    """Refuse what is more than one presynaptic pathway; its code."""
    for name in synapses.summed_updaters:
        raise refused(
            synapses,
            "a summed variable takes values, not spikes, to the target",
            line=f"{name} ... (summed)",
            expected="spikes that add to a variable: on_pre='g_post += w'",
        )
    moving = synapses.event_driven.values() if synapses.event_driven is not None else ()
    for eq in (*synapses.equations.values(), *moving):
        if eq.type not in (PARAMETER, SUBEXPRESSION):
            raise refused(
                synapses,
                "the synapses have dynamics of their own",
                line=str(eq),
                expected="parameters such as 'w : 1'",
                remedy="a learning rule is bl.SynapticRule(model, on_pre=..., on_post=...): leave it out of the script",
            )
    for part in synapses.contained_objects:
        if type(part) is CodeRunner:
            raise refused(
                synapses,
                "run_regularly changes its variables",
                line=str(part.abstract_code).strip(),
                expected="on_pre alone",
            )
    after = [p for p in synapses._pathways if p.prepost == "post"]
    if after:
        raise refused(
            synapses,
            "on_post changes the synapses",
            line=str(after[0].code).strip(),
            expected="on_pre alone",
            remedy="a learning rule is bl.SynapticRule(model, on_pre=..., on_post=...): leave it out of the script",
        )
    if len(synapses._pathways) != 1:
        raise refused(
            synapses,
            "it has no pathway or several",
            line="; ".join(f"{p.objname}: {str(p.code).strip()}" for p in synapses._pathways) or "on_pre=None",
            expected="one on_pre",
            remedy="a Synapses object for each",
        )
    pathway = synapses._pathways[0]
    code = str(pathway.code).strip()
    if pathway.event != "spike":
        raise refused(synapses, f"it hears the event {pathway.event!r}", line=code, expected="spikes")
    if (pathway.when, pathway.order) != ("synapses", -1):
        raise refused(
            synapses,
            "it delivers in another slot",
            line=f"when={pathway.when!r}, order={pathway.order}",
            expected="when='synapses', order=-1, Brian2's own",
        )
    return code


def _statement(synapses: Synapses, target: NeuronGroup, code: str) -> tuple[str, str, float]:
    """The variable that is increased, by which expression, with which sign."""
    lines = [re.sub(r"#.*", "", line).strip() for line in re.split(r"[;\n]", code)]
    lines = [line for line in lines if line]
    expected = "one statement that adds to a variable of the target, e.g. on_pre='g_post += w'"
    if len(lines) != 1:
        raise refused(synapses, "on_pre has several statements", line=code, expected=expected)
    match = _ADDS.match(lines[0])
    if match is None:
        raise refused(synapses, "on_pre does something else than to add", line=lines[0], expected=expected)
    name, sign, text = match.groups()
    variable = name.removesuffix("_post")
    own = getattr(target, "user_equations", {})
    if name in synapses.equations.names or name.endswith("_pre") or variable not in own:
        raise refused(synapses, f"{name!r} is no variable of the target", line=lines[0], expected=expected)
    if "shared" in own[variable].flags:
        raise refused(synapses, f"{name!r} is shared by all neurons", line=lines[0], expected=expected)
    return variable, text.strip(), 1.0 if sign == "+" else -1.0


def _values(
    synapses: Synapses,
    source: Any,
    target: Any,
    pre: np.ndarray,
    post: np.ndarray,
    text: str,
    code: str,
    namespace: Mapping[str, Any],
) -> tuple[dict[str, Any], list[str]]:
    """The values of all names of an expression, base units, and which are parameters of each synapse."""
    values: dict[str, Any] = {}
    parameters: list[str] = []
    outside = []
    defaults = set(DEFAULT_UNITS) | set(DEFAULT_CONSTANTS) | set(DEFAULT_FUNCTIONS)
    for name in sorted(get_identifiers(text)):
        end, index, base = target, post, name.removesuffix("_post")
        if name.endswith("_pre"):
            end, index, base = source, pre, name.removesuffix("_pre")
        if name in synapses.equations.names:
            eq = synapses.equations[name]
            if eq.type == SUBEXPRESSION:
                raise refused(synapses, f"{name!r} is a subexpression", line=str(eq), expected="parameters")
            values[name] = np.array(synapses.state(name, use_units=False)[:], float)
            if "shared" not in eq.flags:
                parameters.append(name)
            else:
                values[name] = values[name].ravel()[0]
        elif base in getattr(end, "user_equations", {}):
            eq = end.user_equations[base]
            if eq.type != PARAMETER or base in written(end):
                raise refused(
                    synapses,
                    f"what arrives depends on {name!r}, which changes",
                    line=code,
                    expected="synaptic parameters and constants",
                    remedy="write conductances as g*(E - v) into the equations of the target",
                )
            each = values_of_variable(end, base)
            values[name] = each if np.ndim(each) == 0 else each[index]
        elif name in ("t", "rand", "randn", "poisson", "lastspike", "not_refractory", "dt", "i", "j"):
            random = name in ("rand", "randn", "poisson")
            why = "is random" if random else "is no constant of a synapse"
            raise refused(synapses, f"{name!r} {why}", line=code, expected="synaptic parameters and constants")
        elif name not in defaults or name in namespace or name in synapses.namespace:
            outside.append(name)
    values |= constants_of(synapses, outside, namespace, code)
    return values, parameters


def _weight(synapses: Synapses, text: str, parameters: list[str], asked: str | None, code: str) -> str | None:
    """The parameter that amounts are proportional to."""
    if asked is not None and asked not in parameters:
        raise refused(
            synapses,
            "that is no synaptic parameter of on_pre",
            line=f"weights={asked!r}; {code}",
            expected=", ".join(parameters) or "none: it has no synaptic parameters",
            remedy=did_you_mean(asked, parameters),
        )
    whole = str_to_sympy(text)
    linear = []
    for name in parameters:
        symbol = Symbol(name, real=True)
        slope = diff(expand(whole), symbol)
        if symbol not in slope.free_symbols and simplify(whole.subs(symbol, 0)) == 0:
            linear.append(name)
    if asked is not None and asked in linear:
        return asked
    if len(linear) == 1:
        return linear[0]
    if len(linear) > 1:
        raise refused(
            synapses,
            f"several parameters could be the weight: {', '.join(linear)}",
            line=code,
            expected="one",
            remedy=f"adopt(..., weights={{{synapses.name!r}: {linear[0]!r}}})",
        )
    if parameters:
        raise refused(
            synapses,
            f"what arrives is not proportional to {asked or ' or '.join(parameters)}",
            line=code,
            expected="on_pre='g_post += w', or a product of w and constants",
        )
    return None


def _steps(synapses: Synapses, delay: np.ndarray, dt: float) -> np.ndarray:
    """Delays in steps, as compiled code of Brian2 rounds them; a warning where they are no multiples of a step."""
    steps = np.floor(delay / dt + 0.5).astype(int)
    off = np.abs(delay / dt - steps)
    if off.max() > 1e-6:
        worst, rounded = float(delay[int(off.argmax())]), int(steps[int(off.argmax())])
        warnings.warn(
            BrianLearnWarning(
                f"adopt: Synapses {synapses.name!r}",
                f"a delay of {worst * 1e3:g} ms is no multiple of the time step of {dt * 1e3:g} ms; it is rounded to "
                f"{rounded} steps, as Brian2's compiled code does",
            ),
            stacklevel=2,
        )
    return steps
