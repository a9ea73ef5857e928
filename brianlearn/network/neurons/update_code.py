"""The statements with which Brian2 itself integrates a neuron, for engines other than Brian2."""

from __future__ import annotations

from brian2.equations.equations import Equations
from brian2.equations.refractory import add_refractoriness
from brian2.stateupdaters.base import StateUpdateMethod

from brianlearn.errors import EquationError
from brianlearn.network.neurons.neuron import Neuron

__all__ = ["update_code"]

#: Methods that step every variable from the values at the start of the step alone.
_ONE_STAGE = ("euler", "exponential_euler")


def update_code(neuron: Neuron, equations: Equations | None = None) -> str:
    """The abstract code of Brian2's state updater for ``neuron``.

    It is the text from which Brian2 generates its own code: assignments to temporary variables and, at the end, to
    the state variables. Writing a variable marked ``(unless refractory)`` is conditional; the text does not say so.

    Between the stages of a method with several, such a variable stands still too: Brian2 multiplies its equation by
    ``int(not_refractory)``. With one stage that changes nothing but what is not written anyway, and it is left out:
    ``exponential_euler`` would divide 0 by 0 there, which poisons gradients.

    Parameters
    ----------
    neuron : Neuron
        One whose ``method_used`` is not ``"exact"``.
    equations : brian2.Equations, optional
        The same equations in other words; the neuron's own where they are not given.

    Returns
    -------
    str

    Raises
    ------
    EquationError
        If the method cannot integrate the equations.
    """
    parsed = neuron.parsed
    equations = parsed.equations if equations is None else equations
    if neuron.refractory is not None and neuron.method_used not in _ONE_STAGE:
        equations = add_refractoriness(equations)
    try:
        return str(StateUpdateMethod.apply_stateupdater(equations, parsed.variables, neuron.method_used))
    except Exception as error:
        raise EquationError(
            neuron.equations.strip().splitlines()[0].strip(),
            f"Brian2's method {neuron.method_used!r} cannot integrate the equations",
            got=neuron.equations.strip(),
            expected="equations that the method supports",
            remedy=f"Brian2 says: {error}",
        ) from None
