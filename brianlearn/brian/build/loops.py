"""C++ loops that stand for synapses in standalone programs.

The loops of a projection are functions that Brian2 calls from a group of one element, in the slots of the synapses that
they stand for. The statements of the synapses (`brianlearn.brian.build.network`) stay the reference that they are
tested against. What they are for each kind of layer: `brianlearn.brian.build.dense_loops` and
`brianlearn.brian.build.conv_loops`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

from brian2 import Clock, Function, NeuronGroup

from brianlearn.network.connections import Connection
from brianlearn.network.spec import Projection

__all__ = ["Loop", "LoopGroup", "Slots", "loops_of", "register_loops"]


@dataclass(frozen=True)
class Slots:
    """Where the loops of a projection run.

    Attributes
    ----------
    clock : brian2.Clock
        Of time steps.
    deliver : str or None
        None for a group that only feeds back.
    learn : str or None
        None for weights that are fixed.
    update : (brian2.Clock, str, int)
        Clock, slot and order of the optimiser, which changes the weights.
    direct : bool
        Whether ``learn`` changes weights at once, by the learning rate ``eta``, instead of adding to the gradient.
    error : str
        Variable of the target that changes weights.
    feedback : (str, str) or None
        Slot of the feedback, and the variable of the target that goes down.
    learning : brian2.TimedArray or None
        0 in steps without learning, in which there is nothing to learn or to feed back.
    trace : str or None
        Variable of the source that is the presynaptic factor of ``learn``; its spikes where there is none.
    """

    clock: Clock
    deliver: str | None
    update: tuple[Clock, str, int]
    learn: str | None = None
    direct: bool = False
    error: str = ""
    feedback: tuple[str, str] | None = None
    learning: Any = None
    trace: str | None = None

    def names(self, projection: str) -> dict[str, str]:
        """What ``$names`` of loops stand for that depend on the slots."""
        return {
            "changed": "weight" if self.direct else "gradient",
            "rate": f"-brian::_array_synapses_{projection}_eta[0]" if self.direct else "1",
            "error": self.error,
            "trace": self.trace or "",
            "error_down": "" if self.feedback is None else self.feedback[1],
        }


@dataclass(frozen=True)
class Loop:
    """One function and when it runs.

    Attributes
    ----------
    name : str
        What it does: ``deliver``, ``learn``, ...
    body : str
        C++ statements with ``$names`` to be filled in. ``learning`` says whether there is learning in this step.
    when : str
    order : int
    clock : brian2.Clock, optional
        That of time steps where it is not given.
    needs_learning : bool
        Whether it depends on ``learning``; the others are given 1.
    """

    name: str
    body: str
    when: str
    order: int = 0
    clock: Clock | None = None
    needs_learning: bool = False


#: Makes the loops of a projection: its names, slots and the clock of trials -> the group that runs them, and groups
#: of weights and gradients that they keep beside those of the projection, by name.
MakeLoops = Callable[[Projection, Mapping[str, Any], Slots, Clock], tuple["LoopGroup", dict[str, NeuronGroup]]]
#: Kind of connection -> whether there are loops for a projection, and what makes them.
_KINDS: dict[type[Connection], tuple[Callable[[Projection], bool], MakeLoops]] = {}


def register_loops(kind: type[Connection], fits: Callable[[Projection], bool], make: MakeLoops) -> None:
    """Say that loops stand for the synapses of a kind of connection."""
    _KINDS[kind] = fits, make


def loops_of(p: Projection) -> MakeLoops | None:
    """What makes the loops of a projection; None where only synapses run it."""
    fits, make = _KINDS.get(type(p.connection), (lambda _: False, None))
    return make if fits(p) else None


class LoopGroup(NeuronGroup):
    """A group of one element that runs the loops of a projection.

    Parameters
    ----------
    name : str
        Of the projection.
    slots : Slots
    loops : sequence of Loop
    names : mapping
        What the ``$names`` of the loops stand for, beside those of the slots.

    Attributes
    ----------
    loops : dict
        Name -> the loop and its C++ code.
    """

    def __init__(self, name: str, slots: Slots, loops: list[Loop], names: Mapping[str, Any]) -> None:
        names = {**names, **slots.names(name)}
        self.loops: dict[str, tuple[Loop, str]] = {}
        namespace: dict[str, Any] = {} if slots.learning is None else {"learning": slots.learning}
        for loop in loops:
            body = Template(loop.body).substitute(names)
            code = f"inline double {loop.name}_{name}(double learning) {{{body}    return learning;\n}}\n"
            namespace[f"{loop.name}_{name}"] = _function(f"{loop.name}_{name}", code)
            self.loops[loop.name] = loop, code
        group = f"third_factor_{name}" if slots.deliver is None else f"synapses_{name}"
        model = "done : 1" + ("\neta : 1 (shared, constant)" if slots.learn is not None and slots.direct else "")
        super().__init__(1, model, name=group, clock=slots.clock, namespace=namespace)
        for loop in loops:
            argument = "learning(t)" if loop.needs_learning else "1.0"
            self.run_regularly(
                f"done = {loop.name}_{name}({argument})",
                clock=loop.clock or slots.clock,
                when=loop.when,
                order=loop.order,
                name=f"{group}_{loop.name}",
            )


def _function(name: str, code: str) -> Function:
    function = Function(None, arg_units=[1], return_unit=1, arg_types=["float"], return_type="float", stateless=False)
    function.implementations.add_implementation("cpp", code, name=name)
    return function
