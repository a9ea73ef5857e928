"""What a neuron's equations are, whatever their names: a membrane, perhaps a current behind it, a threshold, a reset.

All is read from the coefficients of dx/dt = A x + b, which the equations give
(`brianlearn.network.neurons.propagator`), and from the reset as an expression of the state before it. No class or name
of a variable decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy
from brian2.parsing.statements import parse_statement
from brian2.parsing.sympytools import str_to_sympy

from brianlearn.errors import SpecError
from brianlearn.interop.nir.neuron_nodes import NEVER
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.neurons.propagator import LinearSystem, NonLinear, linear_system, number, numbers_of

__all__ = ["Membrane", "membrane_of"]


@dataclass(frozen=True)
class Membrane:
    """A neuron as NIR can say it: potentials relative to that at the start of a trial, one value for each neuron.

    Attributes
    ----------
    rate : numpy.ndarray
        Coefficient of v in dv/dt, 1/s: -1/tau, or 0 of an integrator.
    keep : numpy.ndarray
        What is left of the membrane after one time step.
    rest : numpy.ndarray
        Where it goes without input; 0 of an integrator.
    current_rate, current_keep : numpy.ndarray or None
        The same of the current; None where inputs step the membrane.
    coupling : numpy.ndarray or None
        Coefficient of the current in dv/dt, 1/s times unit.
    gain : numpy.ndarray
        What an input of 1 adds to the membrane in the step in which it arrives.
    unit : float
        What an input of 1 adds to the input variable.
    threshold : numpy.ndarray
    reset : numpy.ndarray or None
        None of what never fires.
    subtracts : bool
        Whether a reset subtracts threshold - reset, in the place of setting reset.
    exact : bool
        Whether the equations are solved exactly; else by Euler's method.
    """

    rate: np.ndarray
    keep: np.ndarray
    rest: np.ndarray
    current_rate: np.ndarray | None
    current_keep: np.ndarray | None
    coupling: np.ndarray | None
    gain: np.ndarray
    unit: float
    threshold: np.ndarray
    reset: np.ndarray | None
    subtracts: bool
    exact: bool

    @property
    def integrates(self) -> bool:
        """Whether the membrane does not leak."""
        return bool((self.rate == 0).all())

    @property
    def lasting(self) -> bool:
        """Whether there is a current that is heard in later steps."""
        return self.current_keep is not None and bool(self.current_keep.any())


def membrane_of(owner: str, neuron: Neuron, input_variable: str, n: int, dt: float) -> Membrane:
    """Read a neuron.

    Parameters
    ----------
    owner : str
        The population, for errors.
    neuron : Neuron
    input_variable : str
        That which projections reach.
    n : int
        Neurons.
    dt : float
        Time step, seconds.

    Returns
    -------
    Membrane

    Raises
    ------
    SpecError
        What no neuron of NIR does, by name.
    """
    _check_features(owner, neuron)
    parsed = neuron.parsed
    system = linear_system(parsed)
    values = {name: value for name, (value, _) in parsed.constants.items()}
    matrix = np.broadcast_to(system.augmented(values, dt), (n, len(system.names) + 1, len(system.names) + 1))
    v = system.names.index(parsed.membrane)
    states = _heard(matrix, v)
    others = [k for k in states if k != v]
    where = system.names.index(input_variable)
    if where not in states or [k for k in others if k != where]:
        names = ", ".join(system.names[k] for k in states)
        raise _refused(
            owner,
            neuron,
            f"the membrane depends on {names}, and inputs go to {input_variable}",
            "a membrane that inputs step, or a membrane and a current that inputs step",
        )
    current = where if where != v else None
    start = np.broadcast_to(neuron.initial_of(parsed.membrane), n)
    rate, drive = matrix[:, v, v], matrix[:, v, -1] + matrix[:, v, v] * start
    _check_decay(owner, neuron, parsed.membrane, rate, drive)
    exact = neuron.method_used == "exact"
    if exact:
        step, _ = (
            np.broadcast_to(m, (n, *m.shape[-k:])) for m, k in zip(system.evaluate(values, dt), (2, 1), strict=True)
        )
    else:
        step = np.eye(len(system.names)) + dt * matrix[:, :-1, :-1]
    unit = float(np.asarray(neuron.unit_of(input_variable)))
    numbers = numbers_of(values, dt)
    threshold = (
        _number(owner, neuron, "threshold", str_to_sympy(parsed.threshold, parsed.variables), numbers, n) - start
    )
    reset, subtracts = None, False
    if neuron.reset.strip():
        shifts = {parsed.membrane: start}
        reset, subtracts = _reset(owner, neuron, system, states, numbers, threshold, shifts, n)
    elif (threshold < NEVER / 2).any():
        raise _refused(owner, neuron, "it has no reset", "a reset of the membrane")
    return Membrane(
        rate,
        step[:, v, v],
        np.divide(-drive, rate, out=np.zeros(n), where=rate != 0),
        None if current is None else _current_rate(owner, neuron, system, matrix, current),
        None if current is None else step[:, current, current],
        None if current is None else matrix[:, v, current],
        step[:, v, where] * unit,
        unit,
        threshold,
        reset,
        subtracts,
        exact,
    )


def _refused(owner: str, neuron: Neuron, why: str, expected: str, remedy: str | None = None) -> SpecError:
    return SpecError(
        owner,
        f"NIR has no neuron like this: {why}",
        got=f"{'; '.join(neuron.equations.split(chr(10)))}; threshold {neuron.threshold}; reset {neuron.reset}",
        expected=expected,
        remedy=remedy or "brianlearn export RUN DIR --to brian2 takes all neurons along",
    )


def _check_features(owner: str, neuron: Neuron) -> None:
    """What NIR has no word for."""
    noisy = neuron.random or neuron.parsed.equations.is_stochastic
    features = {
        "it has a refractory period": neuron.refractory is not None,
        "it has a floor": neuron.floor is not None,
        "it is noisy": bool(noisy),
        "its equations are not linear": not (noisy or _is_linear(neuron)),
        "its threshold is not on a state variable": neuron.parsed.membrane not in neuron.parsed.state_names,
        f"it is integrated by {neuron.method_used!r}": neuron.method_used not in ("exact", "euler"),
    }
    for why, found in features.items():
        if found:
            remedy = "method='auto'" if "integrated" in why else None
            raise _refused(owner, neuron, why, "IF, LIF, CubaLIF, LI or CubaLI", remedy)


def _is_linear(neuron: Neuron) -> bool:
    try:
        linear_system(neuron.parsed)
    except NonLinear:
        return False
    return True


def _heard(matrix: np.ndarray, v: int) -> list[int]:
    """The variables on which the membrane depends, itself included."""
    step, found = (matrix[:, :-1, :-1] != 0).any(axis=0), {v}
    while more := {j for i in found for j in np.flatnonzero(step[i])} - found:
        found |= {int(j) for j in more}
    return sorted(found)


def _check_decay(owner: str, neuron: Neuron, variable: str, rate: np.ndarray, drive: np.ndarray) -> None:
    if not ((rate < 0).all() or (rate == 0).all()):
        raise _refused(owner, neuron, f"{variable} grows", f"a {variable} that decays, or integrates its input")
    if (rate == 0).all() and drive.any():
        raise _refused(owner, neuron, f"{variable} drifts without input", "an integrator of its input alone")


def _current_rate(owner: str, neuron: Neuron, system: LinearSystem, matrix: np.ndarray, current: int) -> np.ndarray:
    name, rate = system.names[current], matrix[:, current, current]
    if (rate >= 0).any() or matrix[:, current, -1].any() or neuron.initial_of(name).any():
        raise _refused(owner, neuron, f"{name} does not decay to 0 from 0", f"d{name}/dt = -{name}/tau")
    if (np.delete(matrix[:, current, :-1], current, axis=1) != 0).any():
        raise _refused(owner, neuron, f"{name} depends on the membrane", f"d{name}/dt = -{name}/tau")
    return rate


def _number(owner: str, neuron: Neuron, what: str, found: sympy.Expr, numbers: Any, n: int) -> np.ndarray:
    unknown = {s.name for s in found.free_symbols} - set(numbers)
    if unknown:
        raise _refused(owner, neuron, f"its {what} depends on {', '.join(sorted(unknown))}", f"a constant {what}")
    return np.broadcast_to(number(found, numbers), n).astype(float)


def _reset(
    owner: str,
    neuron: Neuron,
    system: LinearSystem,
    states: list[int],
    numbers: Any,
    threshold: np.ndarray,
    start: dict[str, np.ndarray],
    n: int,
) -> tuple[np.ndarray, bool]:
    """Where a reset puts the membrane, relative to the start, and whether it gets there by subtraction."""
    parsed = neuron.parsed
    after: dict[str, sympy.Expr] = {name: sympy.Symbol(name, real=True) for name in system.names}
    lines = [line.partition("#")[0].strip() for line in neuron.reset.replace(";", "\n").splitlines()]
    for line in filter(None, lines):
        name, operation, expression, _ = parse_statement(line)
        value = str_to_sympy(expression, parsed.variables).subs(
            {sympy.Symbol(known, real=True): found for known, found in after.items()}, simultaneous=True
        )
        before = after.get(name, sympy.Integer(0))
        changed = {"=": value, "+=": before + value, "-=": before - value, "*=": before * value, "/=": before / value}
        after[name] = sympy.expand(changed[operation])
    v = sympy.Symbol(parsed.membrane, real=True)
    for k in states:
        name = system.names[k]
        if name != parsed.membrane and after[name] != sympy.Symbol(name, real=True):
            raise _refused(owner, neuron, f"its reset changes {name}", "a reset of the membrane alone")
    found = after[parsed.membrane]
    if v not in found.free_symbols:
        return _number(owner, neuron, "reset", found, numbers, n) - start[parsed.membrane], False
    step = sympy.simplify(v - found)
    if v in step.free_symbols or step == 0:
        raise _refused(owner, neuron, f"its reset is {parsed.membrane} = {found}", "a value, or a constant step down")
    return threshold - _number(owner, neuron, "reset", step, numbers, n), True
