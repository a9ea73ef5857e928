"""Initial weights with which membranes fluctuate as in cortex: driven by the variance of their inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from brian2 import hertz
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.namespace import DEFAULT_CONSTANTS, DEFAULT_UNITS
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.citing import papers
from brianlearn.errors import SpecError, UnitError
from brianlearn.network.checks import is_number
from brianlearn.network.initial import Init
from brianlearn.network.taking import take_quantity
from brianlearn.network.unit_names import kind_text, quantity_text

if TYPE_CHECKING:
    from brianlearn.network.spec import NetworkSpec, Projection

__all__ = ["FluctuationDriven"]


@dataclass(frozen=True, eq=False)
class FluctuationDriven(Init):
    r"""Normal weights with which the membrane has a given mean and standard deviation over time.

    For n inputs that fire independently with rate nu, the free membrane (without spikes of its own) of a neuron whose
    response to one input of weight 1 is epsilon(t) has

        mu_U = n nu mu_W \int epsilon dt,    sigma_U^2 = n nu (sigma_W^2 + mu_W^2) \int epsilon^2 dt

    and weights from N(mu_W, sigma_W^2) follow from mu_U and sigma_U (Rossbroich, Gygax & Zenke 2022). Time constants
    and threshold are the neuron's; epsilon is taken from its exact propagator, step by step, and an input is a spike
    with probability p = nu dt in each step, whose variance is p (1 - p).

    Parameters
    ----------
    rate : brian2.Quantity
        nu, of one input, in Hz; of a layer of neurons, what they are expected to fire. Or an array with one rate for
        each input of a dense layer.
    xi : float
        How many standard deviations there are from the mean to the threshold, (theta - mu_U)/sigma_U; 1 to 3 in the
        paper.
    mean : float or brian2.Quantity
        mu_U: how far the mean membrane is above its resting value, in the membrane's unit.
    deviation : float or brian2.Quantity, optional
        sigma_U, in the place of ``xi``.

    Raises
    ------
    SpecError, UnitError
        Numbers that cannot be right; when the network is initialised: neurons without an exact propagator or without
        leak, a mean that these inputs cannot have with so small fluctuations, a unit that is not the membrane's.

    References
    ----------
    J. Rossbroich, J. Gygax, F. Zenke, Fluctuation-driven initialization for spiking neural network training,
    Neuromorphic Computing and Engineering 2, 044016, 2022, doi 10.1088/2634-4386/ac97bb.
    """

    references = (papers.FLUCTUATION_DRIVEN,)

    rate: Any
    xi: float = 2.0
    mean: Any = 0.0
    deviation: Any = None

    needs_neuron: ClassVar[bool] = True

    def __post_init__(self) -> None:
        owner = "FluctuationDriven"
        for name in ("rate", "mean", "deviation"):
            object.__setattr__(self, name, take_quantity(owner, name, getattr(self, name)))
        if get_dimensions(self.rate) is not hertz.dim:
            raise UnitError(
                owner, "rate has the wrong unit", got=quantity_text(self.rate), expected="a rate, e.g. 15*Hz"
            )
        rates = np.asarray(self.rate, float)
        if rates.ndim > 1 or not (np.isfinite(rates) & (rates >= 0)).all() or not rates.any():
            raise SpecError(owner, "rate is wrong", got=self.rate, expected="a rate > 0, or one for each input")
        if not (is_number(self.xi) and self.xi > 0):
            raise SpecError(owner, "xi is wrong", got=repr(self.xi), expected="a finite number > 0, e.g. 2.0")
        for name in ("mean", "deviation"):
            value = getattr(self, name)
            if value is not None and not (np.ndim(value) == 0 and np.isfinite(float(np.asarray(value)))):
                raise SpecError(owner, f"{name} is wrong", got=repr(value), expected="one finite number with its unit")
        if self.deviation is not None and not float(np.asarray(self.deviation)) > 0:
            raise SpecError(owner, "deviation is wrong", got=self.deviation, expected="more than 0")

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        raise SpecError(
            "FluctuationDriven",
            "it needs a neuron, with a membrane and a threshold",
            got="a shape alone",
            expected="the weights of a layer of spiking neurons",
            remedy="give a readout other weights, e.g. bl.Uniform(1.0)",
        )

    def of(self, projection: Projection, spec: NetworkSpec, rng: np.random.Generator) -> np.ndarray:
        mean, deviation = self.moments(projection, spec)
        return rng.normal(mean, deviation, projection.weight_shape)

    def moments(self, projection: Projection, spec: NetworkSpec) -> tuple[float, float]:
        """Mean and standard deviation of the weights of one layer.

        Parameters
        ----------
        projection : Projection
        spec : NetworkSpec

        Returns
        -------
        mean, std : float

        Raises
        ------
        SpecError, UnitError
        """
        dt, owner = float(spec.dt), f"FluctuationDriven, layer {projection.name}"
        response, distance = _membrane(owner, projection, dt)
        target, deviation = self._targets(owner, projection, distance)
        probability = np.asarray(self.rate, float) * dt
        if probability.max() > 1:
            raise SpecError(
                owner, "rate is more than one spike in each step", got=self.rate, expected=f"at most {1 / dt:g} Hz"
            )
        means, squares, products = _inputs(owner, projection, probability)
        mu = target / (means * response.sum())
        variance = (deviation**2 / np.square(response).sum() - products * mu**2) / squares
        if not (np.isfinite(mu) and variance > 0):
            least = abs(mu) * np.sqrt(products * np.square(response).sum())
            raise SpecError(
                owner,
                "inputs that make this mean make larger fluctuations, with all weights equal",
                got=f"mean {self.mean}, standard deviation {deviation:g} (base units) at a rate of {self.rate}",
                expected=f"a standard deviation of more than {least:g}",
                remedy="use a smaller mean, a larger deviation (a smaller xi), or a higher rate",
            )
        return float(mu), float(np.sqrt(variance))

    def _targets(self, owner: str, projection: Projection, distance: float) -> tuple[float, float]:
        """Mean and standard deviation of the membrane, in base units."""
        neuron = projection.layer.neuron
        dimensions = neuron.parsed.dimensions[neuron.parsed.membrane]
        for name in ("mean", "deviation"):
            value = getattr(self, name)
            if value is not None and float(np.asarray(value)) != 0 and get_dimensions(value) is not dimensions:
                raise UnitError(
                    owner, f"{name} has the wrong unit", got=quantity_text(value), expected=kind_text(dimensions)
                )
        mean = float(np.asarray(self.mean))
        if self.deviation is not None:
            return mean, float(np.asarray(self.deviation))
        if not distance > mean:
            raise SpecError(
                owner,
                "the mean is not below the threshold, so that xi says nothing",
                got=f"mean {mean:g}, threshold {distance:g} above rest (base units)",
                expected=f"a mean below {distance:g}",
                remedy="use a smaller mean, or give deviation",
            )
        return mean, (distance - mean) / self.xi


def _membrane(owner: str, projection: Projection, dt: float) -> tuple[np.ndarray, float]:
    """The membrane's response to one spike of weight 1, step by step, and the threshold's distance from rest."""
    neuron = projection.layer.neuron
    parsed, system = neuron.parsed, neuron.linear_system
    if system is None or parsed.membrane not in system.names:
        raise SpecError(
            owner,
            "the neuron has no linear response to its inputs",
            got=f"method {neuron.method_used!r}, threshold {neuron.threshold!r}: {' '.join(neuron.equations.split())}",
            expected="equations that are linear in the state variables, the membrane one of them",
            remedy="use other initial weights, e.g. bl.Normal(2.0)",
        )
    constants = {name: value for name, (value, _) in parsed.constants.items()}
    matrix, drive = system.evaluate(constants, dt)
    if matrix.ndim != 2:
        raise SpecError(
            owner,
            "the constants differ from neuron to neuron",
            got=", ".join(name for name, value in constants.items() if value.ndim),
            expected="constants with one value per layer",
            remedy="initialise the network with their means, and give its weights to yours (bl.Array)",
        )
    if np.abs(np.linalg.eigvals(matrix)).max() > 1 - 1e-9:
        raise SpecError(
            owner,
            "the membrane has no resting value: without leak its fluctuations grow all the time",
            got=" ".join(neuron.equations.split()),
            expected="a neuron with leak, e.g. bl.CubaLIF()",
        )
    rest = dict(zip(system.names, np.linalg.solve(np.eye(len(matrix)) - matrix, drive), strict=True))
    state = np.zeros(len(matrix))
    state[system.names.index(projection.input_variable)] = projection.weight_unit
    index, response, largest = system.names.index(parsed.membrane), list[float](), 0.0
    while np.abs(matrix[index] @ state) > 1e-12 * largest or np.abs(state).max() > 1e-12 * largest:
        state = matrix @ state  # it ends: all eigenvalues are less than 1
        response.append(float(state[index]))
        largest = max(largest, abs(response[-1]))
    if not any(response):
        raise SpecError(
            owner,
            "the input variable does not reach the membrane",
            got=f"input {projection.input_variable!r}, membrane {parsed.membrane!r}",
            expected="equations that connect them",
        )
    threshold = _number(parsed.threshold, {**constants, **rest, "dt": dt})
    return np.asarray(response), threshold - float(rest[parsed.membrane])


def _number(text: str, values: dict[str, Any]) -> float:
    """The value of a threshold, in base units."""
    known: dict[str, Any] = {name: function.pyfunc for name, function in DEFAULT_FUNCTIONS.items()}
    known |= {name: float(unit) for name, unit in DEFAULT_UNITS.items()}
    known |= {name: float(constant.value) for name, constant in DEFAULT_CONSTANTS.items()}
    return float(eval(text, {"__builtins__": {}}, {**known, **values}))


def _inputs(owner: str, projection: Projection, p: np.ndarray) -> tuple[float, float, float]:
    """What multiplies mu_W in the mean, sigma_W^2 in the variance, and mu_W^2 in the variance, but for the response."""
    n = int(np.prod(projection.weight_shape[1:]))
    pool = getattr(projection.layer, "pool", 1)
    if p.ndim and (len(projection.weight_shape) != 2 or len(p) != n):
        raise SpecError(
            owner,
            "there is not one rate for each input",
            got=f"{len(p)} rates",
            expected=f"one rate, or {n} for a dense layer",
        )
    if pool == 1:
        each = float(np.broadcast_to(p * (1 - p), (n,)).sum())
        return float(np.broadcast_to(p, (n,)).sum()), each, each
    # of an average over several places, one input reaches the neuron through several weights
    c = projection.connectivity
    middle = np.unravel_index(projection.n_post // 2, projection.out_shape)
    post = np.ravel_multi_index(
        [int(middle[0]), *(side // 2 for side in projection.out_shape[1:])], projection.out_shape
    )
    times = np.bincount(c.pre[c.post == post])
    q = float(p * (1 - p)) / pool**4
    return float(p) * times.sum() / pool**2, q * times.sum(), q * np.square(times).sum()
