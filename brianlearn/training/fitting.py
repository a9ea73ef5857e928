"""Fits of a neuron's constants to recordings."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Quantity, ms
from brian2.units.fundamentalunits import DIMENSIONLESS, get_dimensions

from brianlearn.citing import papers
from brianlearn.citing.references import published_in
from brianlearn.errors import ArgumentError, DataError, EquationError, NonFiniteError, RuleError, SpecError, UnitError
from brianlearn.learning.losses import Loss
from brianlearn.learning.optimisers import Adam, Optimiser
from brianlearn.learning.trace_mse import TraceMSE
from brianlearn.learning.victor_purpura import victor_purpura
from brianlearn.network.checks import is_whole
from brianlearn.network.encoders import Spikes
from brianlearn.network.layers import Dense, Input
from brianlearn.network.neurons.learned import Learned
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.samples.sweeps import Sweeps
from brianlearn.network.spec import NetworkSpec
from brianlearn.network.unit_names import kind_text, unit_name
from brianlearn.training.fit_start import CELL, own_spikes, start

__all__ = ["Fit", "fit", "inject"]

#: Of spikes that are moved, in the metric of a fit.
COST = 1 / (10 * ms)


@dataclass(frozen=True, eq=False)
class Fit:
    """What a fit found, from each of its starts.

    Attributes
    ----------
    constants : dict
        Name -> quantity, shape (n_starts,).
    losses : numpy.ndarray, shape (n_starts,)
        At the end of each start.
    victor_purpura : numpy.ndarray, shape (n_starts,)
        Distance of the model's own spikes from the recorded ones, all sweeps together, a spike moved by 10 ms counting
        1; NaN where no spikes were recorded.
    evaluations : numpy.ndarray of int, shape (n_starts,)
        Of the loss.
    seconds : numpy.ndarray, shape (n_starts,)
    best : int
        The start with the smallest loss.
    neuron : Neuron
        With the constants of the best start, which learns nothing.
    sweeps : Sweeps
        What was fitted.
    """

    constants: dict[str, Any]
    losses: np.ndarray
    victor_purpura: np.ndarray
    evaluations: np.ndarray
    seconds: np.ndarray
    best: int
    neuron: Neuron
    sweeps: Sweeps

    def simulate(self, sweeps: Sweeps | None = None) -> Sweeps:
        """What the best neuron does with its own spikes.

        Parameters
        ----------
        sweeps : Sweeps, optional
            Other currents than those that were fitted.

        Returns
        -------
        Sweeps
            With voltage, before resets, and spikes.
        """
        return inject(self.neuron, self.sweeps if sweeps is None else sweeps)

    def describe(self) -> str:
        """A table of constants: the best start, mean and standard deviation over starts.

        Returns
        -------
        str
        """
        rows: list[tuple[str, ...]] = [("constant", "best", "mean", "spread", "unit")]
        for name, values in self.constants.items():
            unit = unit_name(get_dimensions(values))
            plain = np.asarray(values) / _size(unit)
            numbers = (plain[self.best], plain.mean(), plain.std())
            rows.append((name, *(f"{number:.6g}" for number in numbers), unit))
        widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.append(f"loss {self.losses[self.best]:.3g} in the best of {len(self.losses)} starts")
        return "\n".join(lines)


def _size(unit: str) -> float:
    import brian2

    return float(eval(unit, {"__builtins__": {}}, vars(brian2)))  # a name of ours


def inject(neuron: Neuron, sweeps: Sweeps) -> Sweeps:
    """What a neuron does under injected currents, with its own spikes.

    Parameters
    ----------
    neuron : Neuron
        As for `fit`; what it learns stays as it is.
    sweeps : Sweeps
        Currents, in the unit of the neuron's input variable.

    Returns
    -------
    Sweeps
        With voltage, before resets, and spikes.

    Raises
    ------
    EquationError
        A neuron whose input variable changes by itself.
    UnitError
        Currents in another unit.
    DataError
        What are no sweeps.
    """
    _check_input(neuron, sweeps)
    fixed = dataclasses.replace(neuron, learn=())
    return own_spikes(fixed, sweeps, _spec(fixed, sweeps))


@published_in(papers.L_BFGS_B)
def fit(
    neuron: Neuron,
    sweeps: Sweeps,
    loss: TraceMSE | Loss | None = None,
    *,
    optimiser: Optimiser | None = None,
    iterations: int = 100,
    polish: int = 300,
    starts: int = 1,
    seed: int = 0,
    spikes: str = "recorded",
) -> Fit:
    '''Find the constants of a neuron with which it does what was recorded.

    What varies is what the neuron says it learns, ``learn=(bl.Learned("C", bounds=(50*pF, 500*pF)), ...)``. Each start
    draws the constants that have two bounds between them, from the seed; the others begin as the neuron has them. Then
    the optimiser takes ``iterations`` steps along the gradient of the loss, and where the loss is smooth L-BFGS-B [1]
    goes on from there, within the bounds.

    A `TraceMSE` is smooth where ``spikes="recorded"``: the membrane is reset in the steps of the recorded spikes,
    instead of at its own, so that one trace does not run away from the other. With ``spikes="own"``, and for losses of
    spike trains, gradients are those of surrogate derivatives, and the optimiser is all there is.

    Parameters
    ----------
    neuron : Neuron
        Its input variable holds what is injected: ``dI/dt = 0*amp/second : amp``.
    sweeps : Sweeps
        With a voltage for `TraceMSE`, with spikes for losses of spike trains.
    loss : TraceMSE or Loss, optional
        ``TraceMSE()`` where it is not given; `VanRossum` or another loss of spike trains.
    optimiser : Optimiser, optional
        ``Adam(0.05)`` where it is not given. A number is a constant in its unit, by default half of its range.
    iterations : int, optional
        Steps of the optimiser.
    polish : int, optional
        Steps of L-BFGS-B at most.
    starts : int, optional
    seed : int, optional
        Of the first start; the next ones have the next.
    spikes : {"recorded", "own"}, optional
        Which spikes reset the membrane, for `TraceMSE`.

    Returns
    -------
    Fit

    Raises
    ------
    SpecError, EquationError
        A neuron that learns nothing, or whose input variable changes by itself.
    UnitError
        Recordings in other units than the neuron's.
    DataError
        Recordings without what the loss needs.
    RuleError
        A loss of something else.
    NonFiniteError
        If no start ends with a finite loss.

    References
    ----------
    [1] R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, A limited memory algorithm for bound constrained optimization, SIAM
    Journal on Scientific Computing 16(5), 1190-1208, 1995.

    Examples
    --------
    >>> import numpy as np
    >>> from brian2 import Mohm, ms, mV, pA
    >>> import brianlearn as bl
    >>> def cell(tau=20*ms, R=100*Mohm):
    ...     bounds = dict(tau=(5*ms, 50*ms), R=(50*Mohm, 300*Mohm))
    ...     return bl.Neuron(
    ...         """dv/dt = (R*I - v)/tau : volt
    ...            dI/dt = 0*amp/second : amp""", "v > 1*volt", "v = 0*volt", "I", dict(tau=tau, R=R),
    ...         weight_unit=1*pA, v_scale=10*mV, learn=[bl.Learned(k, bounds=ends) for k, ends in bounds.items()])
    >>> current = np.repeat([[0.0, 100.0, 50.0]], 100, axis=1)*pA
    >>> v = np.zeros(300); decay = np.exp(-0.1/12)
    >>> for k in range(300): v[k] = decay*v[k - 1]*(k > 0) + (1 - decay)*0.2*float(current[0, k]/pA)
    >>> found = bl.fit(cell(), bl.Sweeps(current, 0.1*ms, v*mV, spikes=[[]*ms]), iterations=30)
    >>> print(found.constants["tau"], found.constants["R"])
    [12.] ms [200.] Mohm
    '''
    loss = TraceMSE() if loss is None else loss
    recorded = _check(neuron, sweeps, loss, spikes)
    for name, value, least in (("iterations", iterations, 0), ("polish", polish, 0), ("starts", starts, 1)):
        if not is_whole(value) or value < least:
            raise ArgumentError("fit", f"{name} is wrong", got=repr(value), expected=f"a whole number >= {least}")
    learning = dataclasses.replace(neuron, learn=[_drawn(neuron, one) for one in neuron.learn])
    spec = _spec(learning, sweeps)
    runs = [
        start(spec, sweeps, loss, optimiser or Adam(0.05), iterations, polish, seed + k, recorded)
        for k in range(starts)
    ]
    losses = np.array([run.loss for run in runs])
    if not np.isfinite(losses).any():
        raise NonFiniteError(
            "fit",
            "no start ends with a finite loss",
            got=f"{starts} starts from seed {seed}",
            expected="bounds within which the equations stay finite",
            remedy="narrow the bounds, limit exponentials with clip(), or give a smaller learning rate",
        )
    best = int(np.nanargmin(losses))
    names = [one.name for one in spec.learned_constants]
    each = [{one.name: one.quantity(run.numbers[one.key]) for one in spec.learned_constants} for run in runs]
    dims = {one.name: one.dimensions for one in spec.learned_constants}
    stacked = {name: np.array([float(values[name]) for values in each]) for name in names}
    constants = {n: v if dims[n] is DIMENSIONLESS else Quantity(v, dim=dims[n]) for n, v in stacked.items()}
    fitted = [dataclasses.replace(neuron, constants={**neuron.constants, **values}, learn=()) for values in each]
    distances = np.full(starts, np.nan)
    if sweeps.spikes is not None:
        fired = sweeps.fired()
        for k, one in enumerate(fitted):
            own = inject(one, sweeps).fired()
            distances[k] = np.sum(victor_purpura(own[:, :, None], fired[:, :, None], COST, sweeps.dt))
    counts = np.array([run.evaluations for run in runs])
    seconds = np.array([run.seconds for run in runs])
    return Fit(constants, losses, distances, counts, seconds, best, fitted[best], sweeps)


def _drawn(neuron: Neuron, one: Learned) -> Learned:
    """Of one neuron; drawn between its bounds, and counted in half of their distance, unless it says otherwise."""
    low, high = one.ends
    if low is None or high is None:
        return dataclasses.replace(one, per="population")
    unit = (high - low) / 2 if one.unit is None else one.unit
    return dataclasses.replace(one, per="population", unit=unit, initial=one.initial or "uniform")


def _spec(neuron: Neuron, sweeps: Sweeps) -> NetworkSpec:
    layers = [Dense(1, neuron, name=CELL)]
    return NetworkSpec(Input((1,), Spikes()), layers, None, dt=sweeps.dt, duration=sweeps.duration)


def _check(neuron: Any, sweeps: Any, loss: Any, spikes: str) -> bool:
    """Check what is given; whether recorded spikes reset the membrane."""
    if not isinstance(neuron, Neuron) or not neuron.learn:
        raise SpecError(
            "fit",
            "the neuron says nothing that could be found" if isinstance(neuron, Neuron) else "this is no neuron",
            got="learn=()" if isinstance(neuron, Neuron) else repr(neuron),
            expected="bl.Neuron(..., learn=(bl.Learned('tau_m', bounds=(5*ms, 50*ms)), ...))",
        )
    if spikes not in ("recorded", "own"):
        raise ArgumentError("fit", "spikes is wrong", got=repr(spikes), expected="'recorded' or 'own'")
    _check_input(neuron, sweeps)
    if isinstance(loss, TraceMSE):
        dim = get_dimensions(neuron.v_scale)
        if sweeps.voltage is None:
            raise DataError("fit", "TraceMSE compares voltages, and the sweeps have none", expected="voltage=...")
        for name, given in (("voltage", sweeps.voltage), ("the loss", loss.unit)):
            if get_dimensions(given) is not dim:
                raise _other_unit(name, "membrane", given, dim)
        if spikes == "recorded":
            sweeps.fired()  # looks, and refuses
        return spikes == "recorded"
    if not isinstance(loss, Loss) or "trains" not in loss.takes:
        raise RuleError(
            "fit",
            "this is no loss of recordings",
            got=repr(loss),
            expected="bl.TraceMSE(...), or a loss of spike trains: bl.VanRossum(...), bl.Hamming()",
        )
    sweeps.fired()
    return False


def _check_input(neuron: Any, sweeps: Any) -> None:
    """Check that the sweeps can be injected into the neuron."""
    if not isinstance(sweeps, Sweeps):
        raise DataError(
            "fit", "these are no recordings", got=type(sweeps).__name__, expected="bl.Sweeps(current, dt, ...)"
        )
    if not isinstance(neuron.input, str) or not _holds(neuron):
        raise EquationError(
            "fit",
            f"the input variable {neuron.input!r} changes by itself, and does not hold what is injected",
            got=neuron.equations.strip(),
            expected="one input variable whose derivative is 0, e.g. dI/dt = 0*amp/second : amp",
        )
    dim = neuron.parsed.dimensions[neuron.input]
    if get_dimensions(sweeps.current) is not dim:
        raise _other_unit("current", "input", sweeps.current, dim)


def _other_unit(name: str, part: str, given: Any, dim: Any) -> UnitError:
    return UnitError(
        "fit",
        f"{name} has another unit than the neuron's {part}",
        got=unit_name(get_dimensions(given)),
        expected=kind_text(dim),
    )


def _holds(neuron: Neuron) -> bool:
    """Whether the input variable stays as it is."""
    from brian2.parsing.sympytools import str_to_sympy

    equations = neuron.parsed.equations
    code = dict(equations.get_substituted_expressions(neuron.parsed.variables))[neuron.input].code
    return bool(str_to_sympy(code, neuron.parsed.variables).simplify() == 0)
