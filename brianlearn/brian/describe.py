"""What will run, as text: equations, synaptic statements, and every slot of a time step in order."""

from __future__ import annotations

from typing import Any

from brian2 import NeuronGroup, Synapses, second
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice
from brian2.devices.device import reset_device, set_device
from brian2.groups.neurongroup import Resetter, StateUpdater, Thresholder
from brian2.synapses.synapses import SummedVariableUpdater, SynapticPathway

from brianlearn.brian.build.frame import BrianNetwork
from brianlearn.brian.build.loops import LoopGroup
from brianlearn.brian.build.objects import build
from brianlearn.brian.build.plan import Plan
from brianlearn.brian.build.schedule import meaning
from brianlearn.brian.engine import refuse
from brianlearn.brian.run.preferences import preferences
from brianlearn.brian.run.runtime import runtime_device
from brianlearn.learning.delays import rounded
from brianlearn.learning.optimisers import Adam, Optimiser
from brianlearn.learning.rules.local import LocalRule
from brianlearn.learning.weights import initial_weights
from brianlearn.network.spec import NetworkSpec

__all__ = ["describe"]


def describe(
    spec: NetworkSpec,
    rule: LocalRule | None = None,
    optimiser: Optimiser | None = None,
    *,
    batch_size: int = 1,
    loops: bool = False,
) -> str:
    """The Brian2 equations, synaptic statements and order of slots of a network under a rule.

    The text is read from the objects that run, not written beside them.

    Parameters
    ----------
    spec : NetworkSpec
    rule : LocalRule, optional
        Without one, the network that only infers.
    optimiser : Optimiser, optional
        ``Adam(1e-3)`` where it is not given.
    batch_size : int, optional
    loops : bool, optional
        Also print the C++ loops that stand for synapses on cpp_standalone, each with its slot.

    Returns
    -------
    str

    Raises
    ------
    RuleError
        What the engine cannot run.
    """
    refuse(spec, rule, batch_size, optimiser)
    if rule is not None:
        rule.check(spec, batch_size)
    fixed = rounded(spec, initial_weights(spec))[0] if spec.learned_delays else spec
    plan = Plan(fixed, rule, optimiser or Adam(), batch_size, batch_size, "float64")
    with runtime_device(), preferences("float64", "numpy"):
        net = build(plan)
        net.network.run(0 * second, namespace={})  # Brian2 checks all units and names here
    parts = [spec.describe(), _groups(net), _synapses(net), _slots(net)]
    if loops:
        parts.append(_loops(plan))
    return "\n\n".join(parts)


def _indent(text: str, by: str) -> str:
    return "\n".join(by + line for line in text.strip().splitlines())


def _groups(net: BrianNetwork) -> str:
    lines = ["Neuron groups"]
    for group in [*net.groups.values(), *net.weights.values()]:
        lines.append(f"  {group.name}: {group.N} {'weights' if group.name.startswith('w_') else 'neurons'}")
        lines += [f"    {eq}" for eq in group.user_equations.values()]
    return "\n".join(lines)


def _synapses(net: BrianNetwork) -> str:
    lines = ["Synapses (weight and gradient of a synapse are elements of the weights group)"]
    for name, synapses in net.synapses.items():
        weights = net.weights.get(name.removeprefix("plastic_"))
        held = "" if weights is None else f", weights in {weights.name}"
        source, target = synapses.source.name, synapses.target.name
        lines.append(f"  {synapses.name}: {source} -> {target}, {len(synapses)} synapses{held}")
        equations = {**synapses.equations, **(synapses.event_driven or {})}
        lines += [f"    {eq}" for eq in equations.values() if eq.varname != "weight_index"]
        for variable, updater in synapses.summed_updaters.items():
            lines.append(f"    {variable} = sum of {updater.expression}")
        lines += [
            f"    on_{pathway.prepost} '{pathway.objname}': {_one_line(pathway.code)}" for pathway in synapses._pathways
        ]
    return "\n".join(lines)


def _loops(plan: Plan) -> str:
    lines = ["C++ loops on cpp_standalone"]
    set_device(CPPStandaloneDevice(), build_on_run=False)
    try:
        with preferences(plan.dtype):
            net = build(plan, standalone=True)
            net.network.run(plan.spec.dt, namespace={})  # writes code, runs nothing
    finally:
        reset_device()
    for group in [*net.synapses.values(), *net.groups.values()]:
        if isinstance(group, LoopGroup):
            for loop, code in group.loops.values():
                lines += [f"  {group.name}, slot {loop.when}:", _indent(code, "    ")]
    return "\n".join(lines)


def _one_line(code: str) -> str:
    return "; ".join(line.strip() for line in code.strip().splitlines())


def _objects(net: BrianNetwork) -> list[Any]:
    """All objects that run, contained ones included."""
    found: list[Any] = []
    todo = list(net.network.objects)
    while todo:
        obj = todo.pop(0)
        if obj not in found:
            found.append(obj)
            todo += obj.contained_objects
    return found


def _slots(net: BrianNetwork) -> str:
    objects = _objects(net)
    trial = net.plan.spec.n_steps
    lines = [f"One time step, slot by slot (a trial is {trial} steps)"]
    for slot in (part for default in net.network.schedule for part in (f"before_{default}", default)):
        here = sorted((o for o in objects if o.when == slot), key=lambda o: (o.order, o.name))
        rows = [row for o in here for row in _row(net, o)]
        if rows:
            lines.append(f"  {slot}: {meaning(slot)}")
            lines += rows
    return "\n".join(lines)


def _row(net: BrianNetwork, obj: Any) -> list[str]:
    code: str
    if not obj.active:
        return []
    if isinstance(obj, Thresholder):
        code = f"{obj.event} if {obj.group.events[obj.event]}"
    elif isinstance(obj, Resetter):
        code = obj.group.event_codes[obj.event]
    elif isinstance(obj, StateUpdater):
        if not obj.group.equations.diff_eq_names:
            return []
        named = isinstance(obj.method_choice, str)
        code = f"Brian2's state updater, method {obj.method_choice}" if named else obj.abstract_code
    elif isinstance(obj, SynapticPathway):
        code = _one_line(obj.code)
    elif isinstance(obj, SummedVariableUpdater):
        code = f"{obj.target_varname} = sum over synapses of {obj.expression}"
    elif isinstance(obj, NeuronGroup | Synapses) or not getattr(obj, "abstract_code", None):
        return []
    else:
        code = obj.abstract_code
    if not code.strip():
        return []
    every = {net.clock.name: "", net.trial_clock.name: ", every trial", net.batch_clock.name: ", every batch"}
    return [f"    {obj.name}{every[obj.clock.name]}:", _indent(code, "      ")]
