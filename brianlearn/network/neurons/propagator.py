"""The exact propagator of linear sub-threshold dynamics.

For dx/dt = A x + b with constant coefficients, one step is x <- P x + q with

    [[P, q], [0, 1]] = exp(dt [[A, b], [0, 0]])

(one matrix exponential of the augmented matrix: no singularity where two time constants are equal; Van Loan 1978,
doi:10.1109/TAC.1978.1101743). Variables marked ``(unless refractory)`` are frozen while refractory: a second
propagator with their rows of A and b set to zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sympy
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS
from brian2.parsing.sympytools import str_to_sympy
from sympy.core.relational import Relational

from brianlearn.errors import SpecError
from brianlearn.network.neurons.equations import Parsed

__all__ = ["LinearSystem", "NonLinear", "linear_system", "number", "numbers_of"]


class NonLinear(Exception):
    """Why equations have no exact propagator (used inside the package only)."""


@dataclass(frozen=True)
class LinearSystem:
    """dx/dt = A x + b with symbolic coefficients.

    Attributes
    ----------
    names : list of str
        State variables x.
    coefficients, constants : sympy.Matrix
        A (n, n) and b (n, 1).
    frozen : list of bool
        Which variables are marked ``(unless refractory)``.
    """

    names: list[str]
    coefficients: sympy.Matrix
    constants: sympy.Matrix
    frozen: list[bool]

    def pattern(self, refractory: bool = False) -> tuple[np.ndarray, np.ndarray]:
        """Which entries of P (n, n) and q (n,) can differ from zero, whatever the constants' values."""
        n = len(self.names)
        live = [not (refractory and frozen) for frozen in self.frozen]
        step = np.array([[live[i] and self.coefficients[i, j] != 0 for j in range(n)] for i in range(n)])
        reach = np.eye(n, dtype=bool) | step
        for _ in range(n):
            reach = reach | (reach.astype(int) @ reach.astype(int) > 0)
        drive = np.array([live[i] and self.constants[i] != 0 for i in range(n)])
        return reach, (reach.astype(int) @ drive.astype(int)) > 0

    def evaluate(
        self, values: Mapping[str, np.ndarray], dt: float, refractory: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """P and q for numbers.

        Parameters
        ----------
        values : dict
            Constants in base units: scalars, or arrays (n_neurons,) for heterogeneous populations.
        dt : float
            Time step in seconds.
        refractory : bool
            Whether variables marked ``(unless refractory)`` are frozen.

        Returns
        -------
        P : numpy.ndarray, shape ([n_neurons,] n, n)
        q : numpy.ndarray, shape ([n_neurons,] n)
            Base units, float64.

        Raises
        ------
        SpecError
            If a coefficient is not finite, as with a time constant of 0.
        """
        from scipy.linalg import expm  # here, because it takes half of the time of importing brianlearn

        n = len(self.names)
        propagator = expm(self.augmented(values, dt, refractory) * dt)
        return propagator[..., :n, :n], propagator[..., :n, n]

    def entry(self, i: int, j: int) -> sympy.Expr:
        """An entry of [[A, b], [0, 0]], but of its last row."""
        return self.constants[i] if j == len(self.names) else self.coefficients[i, j]

    def augmented(self, values: Mapping[str, np.ndarray], dt: float, refractory: bool = False) -> np.ndarray:
        """[[A, b], [0, 0]] for numbers, shape ([n_neurons,] n + 1, n + 1); as in `evaluate`.

        Raises
        ------
        SpecError
            As in `evaluate`.
        """
        n = len(self.names)
        numbers = numbers_of(values, dt)
        evaluated = [[number(self.entry(i, j), numbers) for j in range(n + 1)] for i in range(n)]
        shape = np.broadcast_shapes(*(np.shape(e) for row in evaluated for e in row))
        matrix = np.zeros((*shape, n + 1, n + 1))
        for i, row in enumerate(evaluated):
            if refractory and self.frozen[i]:
                continue
            for j, entry in enumerate(row):
                matrix[..., i, j] = entry
        for i, name in enumerate(self.names):
            if not np.isfinite(matrix[..., i, :]).all():
                raise SpecError(
                    f"d{name}/dt",
                    "a coefficient is not finite",
                    got=", ".join(f"{constant} = {value}" for constant, value in values.items()) + " (base units)",
                    expected="constants that divide nothing by 0",
                    remedy="check the time constants",
                )
        return matrix


def numbers_of(values: Mapping[str, np.ndarray], dt: float) -> dict[str, object]:
    """What the symbols of coefficients stand for: constants, units, dt."""
    numbers: dict[str, object] = {name: float(unit) for name, unit in DEFAULT_UNITS.items()}
    numbers |= {name: float(constant.value) for name, constant in DEFAULT_CONSTANTS.items()}
    # numpy's floats: a division by 0 is then inf, and refused where it matters
    numbers |= {name: np.ravel(v) if np.ndim(v) else np.float64(v) for name, v in values.items()}
    numbers["dt"] = dt
    return numbers


@lru_cache(maxsize=4096)
def _function(entry: sympy.Expr) -> tuple[tuple[str, ...], Callable[..., Any]]:
    """The names that an expression reads, and what computes it: made once, which takes longer than to call it."""
    symbols = sorted(entry.free_symbols, key=str)
    return tuple(s.name for s in symbols), sympy.lambdify(symbols, entry, modules="numpy")


def number(entry: sympy.Expr, numbers: Mapping[str, object]) -> np.ndarray:
    """The value of a coefficient."""
    names, function = _function(entry)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(function(*(numbers[name] for name in names)), dtype=float)


def linear_system(parsed: Parsed) -> LinearSystem:
    """The linear system behind a neuron's equations.

    Parameters
    ----------
    parsed : Parsed

    Returns
    -------
    LinearSystem

    Raises
    ------
    NonLinear
        With the equation and the reason.
    """
    equations = parsed.equations
    if equations.is_stochastic:
        raise NonLinear("the equations are stochastic")
    expressions = dict(equations.get_substituted_expressions(parsed.variables))
    names = parsed.state_names
    symbols = [sympy.Symbol(name, real=True) for name in names]
    allowed = set(parsed.constants) | {"dt"} | set(DEFAULT_UNITS) | set(DEFAULT_CONSTANTS)
    rows, drives = [], []
    for name in names:
        text = expressions[name].code
        expression = sympy.expand(str_to_sympy(text, parsed.variables))
        if any(comparison.free_symbols & set(symbols) for comparison in expression.atoms(Relational)):
            raise NonLinear(f"d{name}/dt = {text} compares a state variable")  # sympy has no derivative of it
        row = [sympy.simplify(expression.diff(symbol)) for symbol in symbols]
        drive = sympy.simplify(expression.subs(dict.fromkeys(symbols, 0)))
        for entry in [*row, drive]:
            if entry.has(sympy.Derivative) or entry.free_symbols & set(symbols):
                raise NonLinear(f"d{name}/dt = {text} is not linear in {', '.join(names)}")
            if entry.has(sympy.zoo, sympy.nan, sympy.oo):
                raise NonLinear(f"d{name}/dt = {text} is singular at zero")
            outside = sorted({s.name for s in entry.free_symbols} - allowed)
            if outside:
                raise NonLinear(f"d{name}/dt = {text} depends on {', '.join(outside)}, which is not a constant")
            unknown = {str(f.func) for f in entry.atoms(sympy.Function)} & set(_not_pure())
            if unknown:
                raise NonLinear(f"d{name}/dt = {text} calls {', '.join(sorted(unknown))}")
        rows.append(row)
        drives.append(drive)
    frozen = ["unless refractory" in equations[name].flags for name in names]
    return LinearSystem(names, sympy.Matrix(rows), sympy.Matrix(drives), frozen)


def _not_pure() -> list[str]:
    return [name for name, function in DEFAULT_FUNCTIONS.items() if not function.stateless]
