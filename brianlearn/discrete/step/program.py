"""One time step of a neuron as a straight-line program, from the statements that Brian2 runs.

Statements are brought into single-assignment form (``v``, ``v_1``, ``v_2``, ...), so that every name means one value
and the program can be differentiated by going through it backwards. What depends on constants alone is computed once,
in double precision (``k_1``, ``k_2``, ...).
"""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS

from brianlearn.discrete.step.constants import Hoist, simplified
from brianlearn.discrete.step.derived import changing_values
from brianlearn.discrete.step.draws import is_draw, shortened
from brianlearn.discrete.step.expressions import (
    DERIVATIVES,
    Assign,
    assignments,
    expression,
    names,
    substitute,
)
from brianlearn.errors import EquationError
from brianlearn.learning.rules.eligibility import LinearResponse
from brianlearn.network.neurons.neuron import Neuron, initial_name
from brianlearn.network.neurons.noise import SEEDED, SeededTexts
from brianlearn.network.neurons.step import NeuronStep, neuron_step
from brianlearn.network.projection import Projection

__all__ = ["Program", "Spike", "at_end", "end_value", "filter_program", "neuron_program", "response_program"]

#: The name of what a layer receives in a step: the weighted sum of its presynaptic spikes.
DELIVERED = "delivered"


def delivered_to(k: int) -> str:
    """The name of what the k-th input variable receives in a step."""
    return f"{DELIVERED}_{k}__" if k else DELIVERED


def at_end(state: str) -> str:
    """The name of a state variable's value at the end of a step, after the reset: an output of what runs a program."""
    return f"{state}_end__"


#: States of neurons to which spikes are delivered before their reset: whether they fired in the step before, and
#: whether they took what was delivered then.
FIRED_BEFORE, READY_BEFORE = "fired_before__", "ready_before__"

#: Names that the generated code uses for itself, beside those that start with ``grad_`` or end with two underscores.
_OURS = {
    DELIVERED,
    "spike",
    "psi_gated",
    "where",
    "at_least",
    "exprel_derivative",
    "np",
    "njit",
    "min",
    "max",
    "range",
    "trunc",
}


@dataclass(frozen=True)
class Spike:
    """Threshold and reset.

    Attributes
    ----------
    distance : str
        The value x of which the spike is a step function: (v - threshold)/v_scale.
    fires : ast.expr
        The condition under which the neuron spikes, refractoriness included.
    psi : ast.expr
        The surrogate derivative d spike / d x.
    reset : tuple of Assign
        The reset's statements.
    after : dict
        State variable -> its value after a reset, where the reset changes it.
    """

    distance: str
    fires: ast.expr
    psi: ast.expr
    reset: tuple[Assign, ...]
    after: Mapping[str, ast.expr]


@dataclass(frozen=True, eq=False)
class Program:
    """One time step.

    Attributes
    ----------
    states : dict
        State variable -> the name of its value at the start of the step.
    initial : dict
        State variable -> its value at the start of a trial; an array where neurons differ in it, which is among the
        constants too.
    body : tuple of Assign
        Delivery, integration, floor, distance to the threshold.
    before : dict
        State variable -> its value at the end of the step if the neuron does not spike.
    membrane : str
        The name of the membrane before the reset (of the output, for a filter).
    spike : Spike or None
        None for a filter.
    constants : dict
        Name -> value in base units, float64: a scalar, or one value per neuron.
    refractory_steps : int
        After a spike in step t, the neuron spikes again in step t + refractory_steps at the earliest.
    gate : ast.expr or None
        1 where the floor did not act, else 0; None without a floor.
    ports : int
        Number of input variables. What arrives for all of them lies in one tensor, (..., ports, samples, neurons);
        without the second axis where there is one.
    derived : dict
        Constants that follow from learned ones -> how, in terms of `base`.
    base : dict
        What these expressions read: constants and coefficients of the propagator, base units.
    """

    states: Mapping[str, str]
    initial: Mapping[str, float | np.ndarray]
    body: tuple[Assign, ...]
    before: Mapping[str, ast.expr]
    membrane: str
    spike: Spike | None
    constants: Mapping[str, np.ndarray]
    refractory_steps: int = 1
    gate: ast.expr | None = None
    ports: int = 1
    derived: Mapping[str, ast.expr] = field(default_factory=dict)
    base: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of what its input variables receive in a step."""
        return tuple(delivered_to(k) for k in range(self.ports))

    def with_factors(self) -> Program:
        """The program that also computes ``psi`` and ``psi_gated`` = psi gate, the factors of local rules."""
        assert self.spike is not None
        gated: ast.expr = ast.Name("psi")
        if self.gate is not None:
            gated = ast.BinOp(gated, ast.Mult(), self.gate)
        factors = (Assign("psi", self.spike.psi), Assign("psi_gated", gated))
        return dataclasses.replace(self, body=(*self.body, *factors))

    @cached_property
    def draws(self) -> bool:
        """Whether random numbers are drawn in the step."""
        reset = self.spike.reset if self.spike is not None else ()
        return any(is_draw(statement.value) for statement in (*self.body, *reset))

    @property
    def refractory(self) -> bool:
        """Whether a spike can keep a neuron from spiking in the next step."""
        return self.refractory_steps > 1

    def __str__(self) -> str:
        lines = [str(statement) for statement in self.body]
        if self.spike is not None:
            lines.append(f"spike = {ast.unparse(self.spike.fires)}")
            lines.append(f"d spike/d {self.spike.distance} = {ast.unparse(self.spike.psi)}")
            lines += [str(statement) for statement in self.spike.reset]
        for name, value in self.before.items():
            plain = ast.unparse(value)
            reset = self.spike.after.get(name) if self.spike is not None else None
            lines.append(
                f"{name}' = {plain}" if reset is None else f"{name}' = {ast.unparse(reset)} if spike else {plain}"
            )
        lines += [
            f"{name}: {value if value.ndim == 0 else 'one value per neuron'}" for name, value in self.constants.items()
        ]
        return "\n".join(lines)


class _Builder:
    """Collects statements in single-assignment form."""

    def __init__(self, owner: str, neuron: Neuron, texts: SeededTexts, step: NeuronStep, dt: float, n: int) -> None:
        self.owner, self.neuron = owner, neuron
        parsed = neuron.parsed
        self.subexpressions = texts.subexpressions
        self.values: dict[str, object] = {name: float(unit) for name, unit in DEFAULT_UNITS.items()}
        self.values |= {name: float(constant.value) for name, constant in DEFAULT_CONSTANTS.items()}
        self.values |= {p.name: p.value if p.shared else np.ravel(p.value) for p in step.parameters}
        self.values |= {"dt": dt, "i": np.arange(n, dtype=float), "N": float(n)}
        self.taken = {
            *self.values,
            *parsed.state_names,
            FIRED_BEFORE,
            READY_BEFORE,
            *DERIVATIVES,
            "where",
            "not_refractory",
            DELIVERED,
        }
        self.current: dict[str, ast.expr] = {name: ast.Name(name) for name in parsed.state_names}
        self.frozen = {n for n in parsed.state_names if "unless refractory" in parsed.equations[n].flags}
        for name in (*parsed.state_names, *self.subexpressions, *neuron.constants):
            if name in _OURS or name.startswith("grad_") or name.endswith("__"):
                raise EquationError(
                    owner,
                    "the neuron cannot be exported: generated code uses one of its names",
                    got=repr(name),
                    expected=f"other names than {', '.join(sorted(_OURS))}, grad_... and ...__",
                    remedy="rename it",
                )
        self.period = _steps(neuron.refractory, dt)
        self.body: list[Assign] = []
        self.drawn: dict[str, ast.expr] = {}
        self.lag = 0  # of which step before this one statements are

    def read(self, node: ast.expr) -> ast.expr:
        """An expression in terms of current values; subexpressions are put in where they are used."""
        node = shortened(node)
        self._check(node)
        values = {}
        for name in names(node):
            if name in self.current:
                values[name] = self.current[name]
            elif name in self.subexpressions:
                if name in self.neuron.held:
                    raise self._refusal(node, name, "is held from the start of the step on: (constant over dt)")
                values[name] = self.read(expression(self.subexpressions[name]))
            elif name == "not_refractory":
                values[name] = ast.Name(name) if self.period > 1 else ast.Constant(True)
        return _Drawn(self).visit(simplified(substitute(node, values)))

    def hold(self) -> None:
        """Compute what is constant over a step, at its start."""
        for name in self.neuron.held:
            node = expression(self.subexpressions[name])
            self.current[name] = value = self.read(node)
            if "not_refractory" in names(value):
                raise self._refusal(node, name, "is (constant over dt) and reads the refractoriness before the step")
            self.assign(name, value)

    def draw(self, node: ast.Call) -> ast.expr:
        """The name of a random number, which is drawn once in a step."""
        assert isinstance(node.func, ast.Name)
        node = ast.Call(node.func, [*node.args, *([ast.Constant(self.lag)] if self.lag else [])], [])
        text = ast.unparse(node)
        if text not in self.drawn:
            function = next(name for name, seeded in SEEDED.items() if text.startswith(f"{seeded}("))
            name, k = f"{function}_{ast.unparse(node.args[0])}", 0
            while (new := name if not k else f"{name}_{k}") in self.taken:
                k += 1
            self.taken.add(new)
            self.body.append(Assign(new, node))
            self.drawn[text] = ast.Name(new)
        return self.drawn[text]

    def run(self, code: str, *, conditional: bool = False) -> None:
        """Append statements; ``conditional``: writing a frozen variable waits for the end of refractoriness."""
        for target, value in assignments(code):
            new = self.read(value)
            if conditional and target in self.frozen and self.period > 1:
                new = ast.Call(ast.Name("where"), [ast.Name("not_refractory"), new, self.current[target]], [])
            self.assign(target, new)

    def reset_if_fired(self, code: str, *, reset_kept: bool) -> None:
        """Append the reset's statements, for neurons that fired in the step before."""
        before = dict(self.current)
        self.lag = 1
        self.run(code)
        self.lag = 0
        for target in self.current:
            new, old = self.current[target], before.get(target, self.current[target])
            if ast.dump(new) == ast.dump(old):
                continue
            choice: ast.expr = ast.Call(ast.Name("where"), [expression(f"{FIRED_BEFORE} > 0.5"), new, old], [])
            if reset_kept:  # the same value, with a derivative by what fired
                choice = expression(
                    f"{FIRED_BEFORE}*({ast.unparse(new)}) + (1.0 - {FIRED_BEFORE})*({ast.unparse(old)})"
                )
            self.assign(target, choice)

    def assign(self, target: str, value: ast.expr) -> None:
        if not isinstance(value, ast.Name | ast.Constant):
            name, k = target, 0
            while name in self.taken:
                k += 1
                name = f"{target}_{k}"
            self.taken.add(name)
            self.body.append(Assign(name, value))
            value = ast.Name(name)
        self.current[target] = value

    def named(self, target: str) -> str:
        """The name of the current value of ``target``; a constant gets one."""
        value = self.current[target]
        if not isinstance(value, ast.Name) or value.id in self.values:
            self.assign(target, ast.BinOp(value, ast.Add(), expression("0.0*" + DELIVERED)))
        value = self.current[target]
        assert isinstance(value, ast.Name)
        return value.id

    def _check(self, node: ast.expr) -> None:
        for call in ast.walk(node):
            if isinstance(call, ast.Call):
                assert isinstance(call.func, ast.Name)
                name = call.func.id
                if name not in DERIVATIVES and not is_draw(call):
                    random = name in DEFAULT_FUNCTIONS and not DEFAULT_FUNCTIONS[name].stateless
                    raise self._refusal(node, f"{name}()", "is random" if random else "has no known derivative")
        for name in sorted(names(node)):
            if name in ("t", "t_in_timesteps", "lastspike"):
                raise self._refusal(node, name, "depends on the time since the start of the run, not of the trial")

    def _refusal(self, node: ast.expr, what: str, why: str) -> EquationError:
        return EquationError(
            self.owner,
            f"the neuron cannot be exported: {what} {why}",
            got=ast.unparse(node),
            expected=f"state variables, constants and the functions {', '.join(sorted(DERIVATIVES))[: -len(', ...')]}",
            remedy="write the equations without it, or run the network on engine='brian'",
        )


class _Drawn(ast.NodeTransformer):
    """Puts the names of random numbers in the place of the calls that draw them."""

    def __init__(self, builder: _Builder) -> None:
        self.builder = builder

    def visit_Call(self, node: ast.Call) -> ast.expr:
        new = ast.Call(node.func, [self.visit(a) for a in node.args], [])
        return self.builder.draw(new) if is_draw(new) else new


def _steps(period: object, dt: float) -> int:
    """The refractory period in steps, as Brian2's ``timestep`` counts them."""
    return 0 if period is None else int((float(period) + 1e-3 * dt) / dt)  # type: ignore[arg-type]


def neuron_program(
    p: Projection, dt: float, *, delivered_before_reset: bool = False, reset_kept: bool = False, inlined: bool = False
) -> Program:
    """The program of the neurons that a projection leads to.

    Parameters
    ----------
    p : Projection
        Onto neurons that fire.
    dt : float
        Seconds.
    delivered_before_reset : bool
        Whether what reaches the neurons in a step was delivered in the step before, after the threshold and before the
        reset (timing ``"brian2"``). Where the order makes a difference, a step of the program then begins with that
        delivery and that reset.
    reset_kept : bool
        Whether the spike that resets passes gradient, also where the reset waits for the next step.
    inlined : bool
        Whether random numbers in subexpressions count as those of the state update (`SeededTexts.update`).

    Returns
    -------
    Program

    Raises
    ------
    EquationError
        What cannot be exported, by name.
    """
    neuron: Neuron = p.layer.neuron
    parsed = neuron.parsed
    texts = SeededTexts(neuron, 1)  # the number of steps is not read: draws count those of the trial
    step = texts.step(neuron_step(neuron, dt))
    b = _Builder(p.target, neuron, texts, step, dt, p.n_post)
    if not delivered_before_reset:
        b.hold()
    exact = step.update is not None
    waits = delivered_before_reset and _order_matters(neuron)
    frozen = neuron.refractory is not None and not b.frozen.isdisjoint(neuron.inputs)
    for k, variable in enumerate(neuron.inputs):
        unit = float(np.asarray(neuron.unit_of(variable)))
        delivery = f"{variable} + {delivered_to(k)}" + ("" if unit == 1.0 else f"*{unit!r}")
        if waits:
            took = b.read(expression(delivery))
            if frozen and variable in b.frozen:
                ready = expression(f"{READY_BEFORE} > 0.5")
                took = ast.Call(ast.Name("where"), [ready, took, b.current[variable]], [])
            b.assign(variable, took)
        else:
            if exact and variable in b.frozen:
                delivery += "*int(not_refractory)"
            b.run(f"{variable} = {delivery}", conditional=not exact)
    if waits:
        b.reset_if_fired(texts.reset, reset_kept=reset_kept)
    if delivered_before_reset:
        b.hold()
    b.run(step.update if step.update is not None else texts.update(inlined=inlined), conditional=not exact)
    gate = None
    if step.floor is not None:
        gate_text, floor_text = step.floor.split("\n", 1)
        gate = b.read(next(assignments(gate_text))[1])  # for local rules; in gradients it is the floor's derivative
        b.run(floor_text, conditional=not exact)
    b.current["membrane"] = b.read(expression(texts.seeded(parsed.membrane, "threshold")))
    membrane = b.named("membrane")
    distance_text, psi_text = step.psi.split("\n")
    b.run(distance_text)
    membrane_text, threshold_text = texts.seeded(f"{parsed.membrane}\0{parsed.threshold}", "threshold").split("\0")
    fires = b.read(expression(f"({membrane_text}) > ({threshold_text})"))
    if b.period > 1:
        fires = ast.BoolOp(ast.And(), [fires, ast.Name("not_refractory")])
    psi = b.read(next(assignments(psi_text))[1])
    distance, before, body = b.named("x_psi"), {s: b.current[s] for s in parsed.state_names}, tuple(b.body)
    b.body = []
    starts = {name: neuron.initial_of(name) for name in parsed.state_names}
    initial = {name: value if value.ndim else float(value) for name, value in starts.items()}
    after: dict[str, ast.expr]
    if waits:
        before |= {FIRED_BEFORE: ast.Constant(0.0)}
        after, initial = {FIRED_BEFORE: ast.Constant(1.0)}, {**initial, FIRED_BEFORE: 0.0}
        if frozen:
            before |= {
                READY_BEFORE: expression("where(not_refractory, 1.0, 0.0)") if b.period > 1 else ast.Constant(1.0)
            }
            after, initial = {**after, READY_BEFORE: ast.Constant(0.0)}, {**initial, READY_BEFORE: 1.0}
    else:
        b.run(texts.reset)
        after = {s: b.current[s] for s in parsed.state_names if ast.dump(b.current[s]) != ast.dump(before[s])}
    spike = Spike(distance, fires, psi, tuple(b.body), after)
    states = {name: name for name in initial}
    ports = len(neuron.inputs)
    program = Program(states, initial, body, before, membrane, spike, {}, max(1, b.period), gate, ports)
    return _hoisted(program, b.values, b.taken, changing_values(neuron))


def _order_matters(neuron: Neuron) -> bool:
    """Whether it makes a difference that spikes are delivered before the reset of the step, and not after it."""
    flags = [neuron.parsed.equations[variable].flags for variable in neuron.inputs]
    if neuron.refractory is not None and any("unless refractory" in each for each in flags):
        return True  # what has just fired takes nothing
    reset, subexpressions = set(), neuron.parsed.equations.subexpr_names
    for target, value in assignments(neuron.reset):
        reset |= {target} | names(value)
    while found := reset & set(subexpressions):
        for name in found:
            reset = (reset - {name}) | names(expression(neuron.parsed.equations[name].expr.code))
    return not reset.isdisjoint(neuron.inputs)


def end_value(
    p: Projection, dt: float, name: str, constants: Mapping[str, np.ndarray] | None = None
) -> tuple[ast.expr, dict[str, np.ndarray]]:
    """A subexpression of the neurons that a projection leads to, at the end of a step.

    Parameters
    ----------
    p : Projection
    dt : float
        Seconds.
    name : str
    constants : mapping, optional
        Values of learned constants, base units.

    Returns
    -------
    expression : ast.expr
        Of state variables at the end of the step (`at_end`) and constants.
    constants : dict
        Name -> value in base units: a scalar, or one value per neuron.

    Raises
    ------
    EquationError
        What cannot be computed in discrete time, by name.
    """
    neuron: Neuron = p.layer.neuron
    b = _Builder(p.target, neuron, SeededTexts(neuron, 1), neuron_step(neuron, dt, constants), dt, p.n_post)
    b.current = {state: ast.Name(at_end(state)) for state in neuron.parsed.state_names}
    found = b.read(ast.Name(name))
    if "not_refractory" in names(found) or b.drawn:
        why = "it draws random numbers" if b.drawn else "it depends on whether the neuron is refractory"
        raise EquationError(
            p.target,
            f"{name!r} cannot be recorded: {why}",
            got=neuron.parsed.equations[name].expr.code,
            expected="an expression of state variables and constants",
            remedy="record its state variables, or record it on engine='brian'",
        )
    return found, {key: np.asarray(b.values[key], float) for key in names(found) if key in b.values}


def filter_program(decay: float, gain: float = 1.0) -> Program:
    """A leaky sum y <- decay y + gain x: a leaky readout, or the postsynaptic potential of a spike train."""
    body = (Assign("y_1", expression(f"decay*y + {'gain*' if gain != 1.0 else ''}{DELIVERED}")),)
    constants = {"decay": np.asarray(decay)} | ({"gain": np.asarray(gain)} if gain != 1.0 else {})
    return Program({"y": "y"}, {"y": 0.0}, body, {"y": ast.Name("y_1")}, "y_1", None, constants)


def response_program(response: LinearResponse) -> Program:
    """The trace of a spike train: the membrane's linear response to it, in units of ``v_scale``."""
    delivery = f"trace_{response.input} + {DELIVERED}" + ("" if response.gain == 1.0 else "*gain")
    body = [Assign("after_delivery", expression(delivery))]
    constants = {} if response.gain == 1.0 else {"gain": np.asarray(response.gain)}
    for state in response.states:
        terms = []
        for source, value in response.row(state).items():
            constants[f"P_{state}_{source}"] = np.asarray(value)
            terms.append(f"P_{state}_{source}*" + ("after_delivery" if source == response.input else f"trace_{source}"))
        body.append(Assign(f"next_{state}", expression(" + ".join(terms))))
    states = {f"trace_{state}": f"trace_{state}" for state in response.states}
    before: dict[str, ast.expr] = {f"trace_{state}": ast.Name(f"next_{state}") for state in response.states}
    return Program(
        states, dict.fromkeys(states, 0.0), tuple(body), before, f"next_{response.membrane}", None, constants
    )


def _hoisted(program: Program, values: Mapping[str, object], taken: set[str], changing: Set[str]) -> Program:
    """The program with everything that depends on constants alone computed beforehand."""
    hoist = Hoist(values, taken, changing)

    def one(node: ast.expr) -> ast.expr:
        return hoist.apply(substitute(node, {}))

    def many(statements: Iterable[Assign]) -> tuple[Assign, ...]:
        return tuple(Assign(s.target, one(s.value)) for s in statements)

    spike = program.spike
    assert spike is not None
    spike = Spike(
        spike.distance,
        one(spike.fires),
        one(spike.psi),
        many(spike.reset),
        {name: one(value) for name, value in spike.after.items()},
    )
    body, before = many(program.body), {name: one(value) for name, value in program.before.items()}
    gate = None if program.gate is None else one(program.gate)
    each = {initial_name(name): value for name, value in program.initial.items() if isinstance(value, np.ndarray)}
    base = {name: np.asarray(values[name], float) for node in hoist.derived.values() for name in names(node)}
    return dataclasses.replace(
        program,
        body=body,
        before=before,
        spike=spike,
        gate=gate,
        constants={**hoist.constants, **each},
        derived=hoist.derived,
        base=base,
    )
