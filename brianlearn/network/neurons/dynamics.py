"""Whether a neuron's equations decay as they should, with the time step and the method that run them.

The right sides are linearised at the initial state: their Jacobian J comes from complex steps, which are exact to
rounding (Squire and Trapp 1998, doi:10.1137/S003614459631241X). For an eigenvalue z of dt J, a step of Euler's method
multiplies by 1 + z; that of a Runge-Kutta method by its stability polynomial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from brian2 import second
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS
from brian2.units.fundamentalunits import DIMENSIONLESS

from brianlearn.errors import BrianLearnWarning, SpecError
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.unit_names import quantity_text
from brianlearn.telling import tell

if TYPE_CHECKING:
    from brianlearn.network.spec import NetworkSpec

__all__ = ["dynamics_warnings"]

#: What one step multiplies by, for an eigenvalue z of dt J; methods that are not here are exact for linear equations.
FACTORS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "euler": lambda z: 1 + z,
    "milstein": lambda z: 1 + z,
    "heun": lambda z: 1 + z + z**2 / 2,
    "rk2": lambda z: 1 + z + z**2 / 2,
    "rk4": lambda z: 1 + z + z**2 / 2 + z**3 / 6 + z**4 / 24,
}
_FUNCTIONS = (
    *("sin", "cos", "tan", "sinh", "cosh", "tanh", "arcsin", "arccos", "arctan", "exp", "expm1", "log", "log10"),
    *("log1p", "sqrt", "ceil", "floor", "sign", "abs", "clip"),
)
_TINY = 1e-9

#: Neurons that have been looked at, with what was found for each time step.
_seen: WeakKeyDictionary[Neuron, dict[float, tuple[str, ...]]] = WeakKeyDictionary()


def dynamics_warnings(spec: NetworkSpec) -> tuple[BrianLearnWarning, ...]:
    """What is suspicious about the neurons of a network at its time step; said once for each neuron and time step.

    Parameters
    ----------
    spec : NetworkSpec

    Returns
    -------
    tuple of BrianLearnWarning
        Each names the layers of the neuron.

    Raises
    ------
    SpecError
        A time constant that is 0; one that is negative, or a factor for one step above 1, where the equations then
        grow.
    """
    layers: dict[Neuron, list[str]] = {}
    for p in spec.projections:
        if not p.is_bias:
            layers.setdefault(p.layer.neuron, []).append(p.name)
    dt = float(spec.dt)
    found = []
    for neuron, names in layers.items():
        known = _seen.setdefault(neuron, {})
        where = ", ".join(names)
        if dt not in known:
            known[dt] = tuple(_problems(where, neuron, dt))
            for problem in known[dt]:
                tell(BrianLearnWarning(where, problem))
        found += [BrianLearnWarning(where, problem) for problem in known[dt]]
    return tuple(found)


def _problems(where: str, neuron: Neuron, dt: float) -> Iterator[str]:
    constants = neuron.parsed.constants
    times = {name: value for name, (value, dim) in constants.items() if dim is second.dim}
    jacobian, linear = _jacobian(neuron, dt)
    negative = [name for name, value in times.items() if np.any(value < 0)]
    if jacobian is None:
        for name in times:
            if np.any(times[name] == 0) and name.startswith("tau"):
                raise _not_positive(where, name, constants[name], "it is divided by")
    elif not np.isfinite(jacobian).all():
        for name, (value, _) in constants.items():
            if np.any(value == 0):
                raise _not_positive(where, name, constants[name], "the equations divide by it")
        jacobian = None  # singular at the initial state for another reason
    values = np.zeros(0, complex) if jacobian is None else np.linalg.eigvals(jacobian).ravel()
    grows = values[values.real * dt > _TINY]
    if len(grows) and negative:
        raise _not_positive(where, negative[0], constants[negative[0]], "the equations then grow")
    wrong = [name for name in negative if name.startswith("tau")]
    if wrong:
        yield f"the time constant {_said(wrong[0], constants[wrong[0]])} is negative"
    if len(grows) and linear:
        time = quantity_text(1 / float(grows.real.max()), second.dim)
        if _by_step(neuron):
            plain = [_said(name, constant) for name, constant in constants.items() if constant[1] is DIMENSIONLESS]
            raise SpecError(
                where,
                "the equations grow without input",
                got=f"e-fold in {time}" + (f", with {', '.join(plain)}" if plain else ""),
                expected="what is left after one time step, a factor of at most 1",
            )
        yield f"the equations grow without input, e-fold in {time}: a decay has the wrong sign"
    if neuron.method_used in FACTORS and jacobian is not None:
        yield from _too_long(neuron, jacobian, dt, times)


def _too_long(neuron: Neuron, jacobian: np.ndarray, dt: float, times: dict[str, np.ndarray]) -> Iterator[str]:
    """Decays that the method's step overshoots."""
    values = np.linalg.eigvals(jacobian)
    factors = FACTORS[neuron.method_used](dt * values)
    moves = np.abs(values) * dt > _TINY
    decays = moves & (values.real * dt < _TINY)
    unstable = decays & (np.abs(factors) >= 1 - _TINY)
    flips = decays & (np.abs(factors.imag) < _TINY) & (factors.real < -_TINY)
    if not (unstable | flips).any():
        return
    worst = np.unravel_index(np.argmax(np.where(unstable | flips, np.abs(factors), -1)), factors.shape)
    diagonal = np.diagonal(jacobian, axis1=-2, axis2=-1)[worst[:-1]]
    name = neuron.parsed.state_names[int(np.argmin(np.abs(diagonal - values[worst])))]
    factor = factors[worst]
    short = [name for name, value in times.items() if 0 < float(np.min(value)) < dt]
    of = ", ".join(f"{name} = {quantity_text(float(np.min(times[name])), second.dim)}" for name in short)
    text = f"{factor.real:.3g}" if abs(factor.imag) < _TINY else f"a factor of size {abs(factor):.3g}"
    effect = "grows without bound" if np.abs(factor) > 1 + _TINY else "changes its sign in every step"
    result = f"a step multiplies {name} by {text}, so that it {effect}"
    if _by_step(neuron):
        yield f"a decay is out of range: {result}"
        return
    yield (
        f"dt = {quantity_text(dt, second.dim)} is too long for method {neuron.method_used!r}"
        + (f" and {of}" if of else "")
        + f": {result}; take a shorter dt, or an exact method"
    )


def _by_step(neuron: Neuron) -> bool:
    """Whether the equations say what one step does, as those of `STBPNeuron`: dt is then no free choice."""
    return any("dt" in equation.identifiers for equation in neuron.parsed.equations.values())


def _jacobian(neuron: Neuron, dt: float) -> tuple[np.ndarray | None, bool]:
    """J at the initial state, shape ([n_neurons,] n, n), in 1/s, and whether it is the same elsewhere.

    None where the equations call what cannot be evaluated here.
    """
    parsed = neuron.parsed
    names = parsed.state_names
    right_sides = dict(parsed.equations.get_substituted_expressions(parsed.variables))
    try:
        codes = [compile(right_sides[name].code.strip(), f"d{name}/dt", "eval") for name in names]
    except (SyntaxError, ValueError):
        return None, False
    used = {name for code in codes for name in code.co_names}
    scope: dict[str, Any] = {name: getattr(np, name) for name in _FUNCTIONS}
    scope |= {name: np.float64(DEFAULT_UNITS[name]) for name in used if name in DEFAULT_UNITS}
    scope |= {name: np.float64(DEFAULT_CONSTANTS[name].value) for name in used if name in DEFAULT_CONSTANTS}
    scope |= {name: value.ravel() if value.ndim else np.float64(value) for name, (value, _) in parsed.constants.items()}
    scope |= {"dt": np.float64(dt), "t": np.float64(0), "i": 0, "N": 1, "not_refractory": True, "int": _integer}
    scope |= {name: np.float64(0) for name in parsed.equations.stochastic_variables}
    scope |= {name: lambda *_: np.float64(0) for name in ("rand", "randn", "poisson")}
    start = np.array([neuron.initial_of(name).mean() for name in names])
    try:
        with np.errstate(all="ignore"):
            first, second_ = (_slopes(codes, names, scope, point) for point in (start, start + 0.7 * (start + 1)))
    except (NameError, TypeError, ValueError, ArithmeticError):
        return None, False
    return first, bool(np.allclose(first, second_, equal_nan=True))


def _integer(value: Any) -> Any:
    return np.asarray(value).real.astype(int)


def _slopes(codes: list[Any], names: list[str], scope: dict[str, Any], point: np.ndarray) -> np.ndarray:
    step = 1e-30
    columns = []
    for k in range(len(names)):
        moved = point.astype(complex)
        moved[k] += 1j * step
        scope |= dict(zip(names, moved, strict=True))
        # Brian2 has checked the texts: names, numbers, operators and calls of the functions in scope
        values = [np.imag(eval(code, {"__builtins__": {}}, scope)) / step for code in codes]
        columns.append(np.stack(np.broadcast_arrays(*values), axis=-1))
    return np.stack(np.broadcast_arrays(*columns), axis=-1)


def _said(name: str, constant: tuple[np.ndarray, Any]) -> str:
    value, dim = constant
    return f"{name} = {quantity_text(float(np.min(value)), dim)}"


def _not_positive(where: str, name: str, constant: tuple[np.ndarray, Any], why: str) -> SpecError:
    what = "a time constant" if constant[1] is second.dim else "a constant"
    return SpecError(
        where,
        f"{what} is not positive, and {why}" if what == "a time constant" else f"{what} is 0, and {why}",
        got=_said(name, constant),
        expected=f"{name} > 0, e.g. {name}=10*ms" if what == "a time constant" else f"another value of {name} than 0",
    )
