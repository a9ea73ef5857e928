"""NIR's neurons as Brian2 equations: one entry of `KINDS` for each kind of node.

A spike, or any value, that arrives in a time step is a pulse of this height and of the length of the step, dt. There
are two ways to integrate a node's equation over a step:

* ``"exact"``: the pulse arrives as a whole at the beginning of the step (a delta of area dt), then the equation is
  solved exactly. Input to tau dv/dt = (v_leak - v) + r x steps v by (r dt/tau) x.
* ``"euler"``: one step of Euler's method, the synaptic current first, with the pulse in this step alone: what snnTorch,
  Norse and SpikingJelly do. A current that lasts for one step, dI/dt = -I/dt, holds the pulse where there is no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import Hz, second

from brianlearn.errors import DataError, ShapeError
from brianlearn.interop.nir.flat import kind_of
from brianlearn.interop.nir.stages import values
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.neurons.surrogates import Surrogate

__all__ = ["KINDS", "NEVER", "Kind", "neuron_of", "parameters_of"]

#: The threshold of what integrates and never fires: above all that a membrane reaches.
NEVER = 1e30


@dataclass(frozen=True)
class Kind:
    """A kind of neuron of NIR.

    Attributes
    ----------
    fields : tuple of str
        Parameters of the node.
    membrane : str
        Right side of dv/dt, of the membrane v and an input current I.
    current : bool
        Whether it has a synaptic current with a time constant, tau_syn dI/dt = -I + w_in x.
    fires : bool
    """

    fields: tuple[str, ...]
    membrane: str
    current: bool
    fires: bool = True

    @property
    def leaks(self) -> bool:
        """Whether the membrane has a time constant."""
        return "v_leak" in self.fields

    @property
    def tau(self) -> str:
        """The name of the membrane's time constant."""
        return "tau_mem" if self.current else "tau"


_LEAKY = "(v_leak - v + r*I)/tau"
_CUBA = "(v_leak - v + r*I)/tau_mem"
_FIRES = ("v_threshold", "v_reset")

KINDS: dict[str, Kind] = {
    "IF": Kind(("r", *_FIRES), "r*I", current=False),
    "LIF": Kind(("tau", "r", "v_leak", *_FIRES), _LEAKY, current=False),
    "CubaLIF": Kind(("tau_syn", "tau_mem", "r", "v_leak", *_FIRES, "w_in"), _CUBA, current=True),
    "LI": Kind(("tau", "r", "v_leak"), _LEAKY, current=False, fires=False),
    "CubaLI": Kind(("tau_syn", "tau_mem", "r", "v_leak", "w_in"), _CUBA, current=True, fires=False),
}

_UNITS = {"tau": second, "tau_mem": second, "tau_syn": second}


def parameters_of(name: str, node: Any, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """The parameters of a node, flat, one value for each neuron.

    Parameters
    ----------
    name : str
    node : nir.NIRNode
    shape : tuple of int
        Of the population.

    Returns
    -------
    dict of str to numpy.ndarray
        NIR's units: time constants in seconds.

    Raises
    ------
    DataError, ShapeError
        What are no finite numbers; time constants that are not positive; another shape.
    """
    kind, found = kind_of(node), {}
    for field in KINDS[kind].fields:
        given = getattr(node, field)
        array = values(name, field, 0.0 if given is None and field == "v_reset" else given).astype(float)
        try:
            found[field] = np.broadcast_to(array.reshape(shape) if array.size == np.prod(shape) else array, shape)
        except ValueError:
            raise ShapeError(
                f"node {name!r}", f"{field} of nir.{kind} does not fit what reaches it", got=array.shape, expected=shape
            ) from None
        found[field] = found[field].ravel().copy()
        if field in _UNITS and found[field].min() <= 0:
            raise DataError(
                f"node {name!r}", f"{field} is not positive", got=found[field].min(), expected="seconds > 0"
            )
    return found


def neuron_of(
    name: str,
    node: Any,
    shape: tuple[int, ...],
    *,
    dt: float,
    discretisation: str,
    soft_reset: bool,
    at_rest: bool,
    surrogate: Surrogate,
) -> tuple[Neuron, np.ndarray | None]:
    """A node as a neuron, and what multiplies each neuron's input.

    Parameters
    ----------
    name : str
    node : nir.NIRNode
    shape : tuple of int
    dt : float
        Time step, seconds.
    discretisation : {"exact", "euler"}
    soft_reset : bool
        Whether a spike subtracts v_threshold - v_reset, in the place of setting v_reset.
    at_rest : bool
        Whether the membrane begins with v_leak, or of IF with v_reset; else with 0.
    surrogate : Surrogate

    Returns
    -------
    neuron : Neuron
    gain : numpy.ndarray of float, shape (n,), or None
        Where neurons differ in it; else it is the neuron's ``weight_unit``.
    """
    kind, p = KINDS[kind_of(node)], parameters_of(name, node, shape)
    exact, gain = discretisation == "exact", np.ones(int(np.prod(shape)))
    if kind.current:
        gain = p.pop("w_in") * dt / p["tau_syn"]
        if not _one(gain):  # the current has no scale that anybody hears: it takes the gains of the inputs
            p["r"], gain = p["r"] * gain, np.ones_like(gain)
    elif exact:
        gain = p.pop("r") * dt / (p["tau"] if kind.leaks else 1.0)
    method, membrane, lines = "exact" if exact else "euler", kind.membrane, []
    if kind.current:
        lines.append("dI/dt = -I/tau_syn : 1")
    elif exact:
        membrane = membrane.replace(" + r*I", "") if kind.leaks else "0/second"
    else:
        lines.append("dI/dt = -I/dt : 1")
    constants: dict[str, Any] = {field: _shared(value) * _UNITS.get(field, 1) for field, value in p.items()}
    if not kind.leaks and not exact:
        constants["r"] = constants["r"] * Hz
    threshold, reset = "v > v_threshold", "v = v_reset"
    if not kind.fires:
        threshold, reset, constants["never"] = "v > never", "", NEVER
    elif soft_reset:
        reset = "v -= v_threshold - v_reset"
    start = _shared(p["v_leak" if kind.leaks else "v_reset"]) if at_rest else 0.0
    made = Neuron(
        "\n".join([f"dv/dt = {membrane} : 1", *lines]),
        threshold=threshold,
        reset=reset,
        input="I" if lines else "v",
        constants=constants,
        surrogate=surrogate,
        method=method,
        weight_unit=float(gain[0]) if _one(gain) else 1.0,
        initial={"v": start} if np.any(start) else {},
    )
    return made, None if _one(gain) else gain


def _one(gain: np.ndarray) -> bool:
    """Whether all neurons have one gain, that can be the unit of weights."""
    return bool((gain == gain[0]).all() and gain[0] > 0)


def _shared(value: np.ndarray) -> Any:
    return float(value[0]) if (value == value[0]).all() else value


def of_constants(neuron: Neuron) -> Mapping[str, Any]:
    """The constants of a neuron, for comparisons."""
    return {name: (value.tolist(), repr(dim)) for name, (value, dim) in neuron.parsed.constants.items()}
