"""A network of the user's, read: its description, its weights, and which objects they came from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2 import (
    Network,
    NeuronGroup,
    PoissonGroup,
    SpikeGeneratorGroup,
    Synapses,
    second,
)
from brian2.core.base import BrianObject
from brian2.devices.device import RuntimeDevice, get_device
from brian2.groups.subgroup import Subgroup
from brian2.monitors import EventMonitor, PopulationRateMonitor, StateMonitor
from brian2.units.fundamentalunits import get_dimensions

from brianlearn.brian.adopt.neurons import check_noise, neuron_of_group
from brianlearn.brian.adopt.refusal import refused
from brianlearn.brian.adopt.synapses import Delivery, Projected, deliveries, projections_of, unit_of
from brianlearn.brian.adopt.timed import Changes, arrays_of, changes_of
from brianlearn.errors import SpecError, did_you_mean
from brianlearn.network.connections import AllToAll, Sparse
from brianlearn.network.encoders import Spikes
from brianlearn.network.initial import Array, Constant
from brianlearn.network.layers import Readout
from brianlearn.network.learned_delays import LearnedDelays
from brianlearn.network.neurons.learned import Learned
from brianlearn.network.neurons.surrogates import Surrogate
from brianlearn.network.population import LinearReadout, Population
from brianlearn.network.projection import Projection
from brianlearn.network.spec import NetworkSpec

__all__ = ["Read", "read_network"]

#: The input of groups that nothing reaches; it never fires.
SILENT = "silent"
#: Brian2's own order of a step.
SCHEDULE = ["start", "groups", "thresholds", "synapses", "resets", "end"]
_MONITORS = (EventMonitor, StateMonitor, PopulationRateMonitor)


@dataclass(eq=False)
class Read:
    """What was read.

    Attributes
    ----------
    spec : NetworkSpec
    groups : dict
        Name -> group of the user's, inputs included.
    inputs : dict
        Those of them that are inputs; and `Changes`, of timed arrays.
    adopted : dict
        Projection -> what it stands for.
    objects : list
        All objects that run.
    namespace : mapping
        Where the script runs.
    network : brian2.Network or None
        The user's, where one was given.
    """

    spec: NetworkSpec
    groups: dict[str, Any]
    inputs: dict[str, Any]
    adopted: dict[str, Projected]
    objects: list[Any]
    namespace: Mapping[str, Any]
    network: Network | None = None


def read_network(
    groups: Network | Iterable[Any],
    synapses: Iterable[Any] = (),
    *,
    inputs: Iterable[Any] = (),
    outputs: Any = None,
    readout: Readout | None = None,
    duration: Any,
    namespace: Mapping[str, Any],
    weights: Mapping[str, str],
    surrogate: Surrogate,
    v_scale: Any,
    noise: str,
    learn: Any,
    learn_delays: Mapping[str, LearnedDelays],
) -> Read:
    """Read a network.

    Parameters
    ----------
    groups, synapses, inputs, outputs, readout, duration, weights, surrogate, v_scale, noise, learn, learn_delays
        As those of `brianlearn.adopt`.
    namespace : mapping
        Where the script runs: its local names and those of its module.

    Returns
    -------
    Read

    Raises
    ------
    SpecError
        What cannot be read, by name.
    """
    check_noise(noise)
    network = groups if isinstance(groups, Network) else None
    objects = [*_listed(groups), *_listed(synapses)]
    objects = list({id(obj): obj for obj in objects}.values())
    _check_device()
    if network is not None and list(network.schedule) != SCHEDULE:
        raise refused(
            network,
            "its schedule is another one",
            line=str(list(network.schedule)),
            expected=f"Brian2's own: {SCHEDULE}",
        )
    found, links = _sorted_out(objects, network)
    given = {name: g for name, g in found.items() if isinstance(g, SpikeGeneratorGroup | PoissonGroup)}
    given |= {g.name: g for g in _members(inputs, found, "inputs")}
    dt = _dt([*found.values(), *links])
    for what, asked in (("weights", weights), ("learn_delays", learn_delays)):
        unknown = sorted(set(asked) - {s.name for s in links})
        if unknown:
            raise SpecError(
                "adopt",
                f"{what} names no Synapses object",
                got=unknown[0],
                expected=", ".join(s.name for s in links),
                remedy=did_you_mean(unknown[0], [s.name for s in links]),
            )
    for name, delays in learn_delays.items():
        if not isinstance(delays, LearnedDelays):
            raise SpecError(
                "adopt",
                f"learn_delays of {name!r} is of the wrong type",
                got=repr(delays),
                expected="bl.LearnedDelays((0*ms, 10*ms))",
            )
    delivered = _deliveries(links, found, given, namespace, weights, dt)
    neurons = {name: g for name, g in found.items() if name not in given}
    connected = {name for d in delivered for name in (d.source, d.target)}
    for name, group in list(neurons.items()):
        if name not in connected and "spike" not in getattr(group, "events", {}):
            del neurons[name], found[name]  # it holds what others are linked to, and does nothing itself
    if not neurons:
        raise SpecError("adopt", "there are no neurons", got=", ".join(found) or "nothing", expected="a NeuronGroup")
    for asked in (learn, v_scale):
        if isinstance(asked, Mapping):
            _members(asked, neurons, "learn" if asked is learn else "v_scale")
    units: dict[str, dict[str, float]] = {name: {} for name in neurons}
    for name in neurons:
        onto = [d for d in delivered if d.target == name]
        for variable in dict.fromkeys(d.variable for d in onto):
            units[name][variable] = unit_of(np.concatenate([d.amount for d in onto if d.variable == variable]))
    n_steps = round(float(duration) / dt) if get_dimensions(duration) is second.dim else 0
    timed: dict[str, list[Changes]] = {}
    for name, group in neurons.items():
        timed[name] = [changes_of(group, a, array, dt, n_steps) for a, array in arrays_of(group, namespace).items()]
        units[name] |= {c.variable: unit_of(c.amount) for c in timed[name] if len(c.step)}
    populations = [Population(name, (len(g),), Spikes()) for name, g in given.items()]
    for name, group in neurons.items():
        scale = v_scale.get(name) if isinstance(v_scale, Mapping) else v_scale
        constants = learn.get(name, ()) if isinstance(learn, Mapping) else learn
        constants = (constants,) if isinstance(constants, str | Learned) else tuple(constants)
        options: dict[str, Any] = dict(surrogate=surrogate, v_scale=scale, noise=noise, learn=constants)
        neuron = neuron_of_group(group, namespace, units[name], timed=timed[name], **options)
        populations.append(Population(name, (len(group),), neuron))
    sizes = {p.name: p.n for p in populations}
    adopted: dict[str, Projected] = {}
    for d in delivered:
        first = next(iter(units[d.target]))
        for one in projections_of(d, sizes, units[d.target][d.variable], first, learn_delays.get(d.synapses.name)):
            adopted[one.projection.name] = one
    projections = [one.projection for one in adopted.values()]
    for target, changes in timed.items():
        for each in changes:
            if len(each.step):
                source = _free(f"{each.variable}_of_{target}", sizes)
                given[source] = each
                populations.insert(0, Population(source, (len(each.step),), Spikes()))
                weights_of = Array(each.amount / units[target][each.variable])
                own = None if next(iter(units[target])) == each.variable else each.variable
                projections.append(
                    Projection(f"change_{source}", source, target, AllToAll(), weights_of, False, variable=own)
                )
    alone = [name for name in neurons if not units[name]]
    if alone or not given:
        name = _free(SILENT, sizes)
        populations.insert(0, Population(name, (1,), Spikes()))
        for target in alone or list(neurons)[:1]:
            pairs = Sparse(pairs=[(0, 0)])
            projections.append(
                Projection(_free(f"nothing_to_{target}", adopted), name, target, pairs, Constant(0.0), learned=False)
            )
    output, more = _outputs(outputs, neurons, projections, readout, {*sizes, *adopted})
    populations += [p for p in more if isinstance(p, Population)]
    projections += [p for p in more if isinstance(p, Projection)]
    spec = NetworkSpec(
        populations=populations,
        projections=projections,
        duration=duration,
        dt=dt * second,
        timing="brian2",
        output=output,
    )
    return Read(spec, found, given, adopted, objects, namespace, network)


def _listed(objects: Any) -> list[Any]:
    if isinstance(objects, Network):
        return list(objects.objects)
    return [objects] if isinstance(objects, BrianObject | Subgroup) else list(objects)


def _check_device() -> None:
    if not isinstance(get_device(), RuntimeDevice):
        raise SpecError(
            "adopt",
            "a standalone device has no values before it runs",
            got=f"set_device({type(get_device()).__name__})",
            expected="objects of Brian2's runtime mode",
            remedy="adopt without set_device; brianlearn runs the network as standalone C++ by itself",
        )


def _sorted_out(objects: Sequence[Any], network: Network | None) -> tuple[dict[str, Any], list[Synapses]]:
    """Groups by name, and synapses; everything else that would run is refused."""
    parts = {id(part) for obj in objects for part in _contained(obj)}
    found: dict[str, Any] = {}
    links: list[Synapses] = []
    for obj in objects:
        if id(obj) in parts or isinstance(obj, _MONITORS):
            continue
        if isinstance(obj, Subgroup):
            raise refused(
                obj, "it is a part of a group", line=obj.name, expected=f"the whole group {obj.source.name!r}"
            )
        if isinstance(obj, Synapses):
            links.append(obj)
        elif isinstance(obj, NeuronGroup | SpikeGeneratorGroup | PoissonGroup):
            found[obj.name] = obj
        else:
            what = type(obj).__name__ if isinstance(obj, BrianObject) else repr(obj)
            owner = obj if isinstance(obj, BrianObject) else "adopt"
            raise refused(
                owner,
                "it cannot be adopted",
                line=what,
                expected="NeuronGroup, Synapses, SpikeGeneratorGroup, PoissonGroup; monitors are left out",
                remedy="a PoissonGroup and Synapses in the place of a PoissonInput" if what == "PoissonInput" else None,
            )
    late = network.t if network is not None else None
    if late is not None and float(late) > 0:
        raise refused(
            network, "it has run already", line=f"t = {late}", expected="a network before its first run, or restored"
        )
    return found, links


def _contained(obj: Any) -> Iterable[Any]:
    for part in getattr(obj, "contained_objects", ()):
        yield part
        yield from _contained(part)


def _members(asked: Any, found: Mapping[str, Any], what: str) -> list[Any]:
    """Groups of the network that are named or given."""
    result = []
    for one in [asked] if isinstance(asked, str | BrianObject) else list(asked or ()):
        name = one if isinstance(one, str) else getattr(one, "name", repr(one))
        if name not in found:
            raise SpecError(
                "adopt",
                f"{what} names no group of the network",
                got=repr(name),
                expected=", ".join(found),
                remedy=did_you_mean(name, found),
            )
        result.append(found[name])
    return result


def _dt(objects: Sequence[Any]) -> float:
    """The time step, which all share, in seconds."""
    steps = {float(obj.clock.dt): obj for obj in objects}
    if len(steps) != 1:
        first, second_ = list(steps.items())[:2]
        raise refused(
            second_[1],
            "its time step is another one",
            line=f"dt = {second_[0] * 1e3:g} ms, and {first[0] * 1e3:g} ms of {first[1].name!r}",
            expected="one time step",
        )
    return next(iter(steps))


def _deliveries(
    links: Sequence[Synapses],
    found: Mapping[str, Any],
    given: Mapping[str, Any],
    namespace: Mapping[str, Any],
    weights: Mapping[str, str],
    dt: float,
) -> list[Delivery]:
    """What all synapses deliver; those onto inputs reach nobody."""
    result = []
    for s in links:
        target = getattr(s.target, "source", s.target) if isinstance(s.target, Subgroup) else s.target
        if target.name not in given:
            result.append(deliveries(s, found, namespace, weights.get(s.name), dt))
    return result


def _outputs(
    outputs: Any,
    neurons: Mapping[str, Any],
    projections: Sequence[Projection],
    readout: Readout | None,
    taken: set[str],
) -> tuple[str | None, list[Population | Projection]]:
    """The output, and what a readout adds."""
    named = [g.name for g in _members(outputs, neurons, "outputs")]
    last = [n for n in neurons if not any(p.source == n != p.target for p in projections)]
    if not named:
        named = last if len(last) == 1 else []
    if not named:
        raise SpecError(
            "adopt",
            "it is not clear which group is the output",
            got=f"{', '.join(last) or 'none'} lead to nothing",
            expected="outputs=... with one of " + ", ".join(neurons),
        )
    if readout is None:
        if len(named) > 1:
            raise SpecError(
                "adopt",
                "several groups are the output",
                got=", ".join(named),
                expected="one, or a readout that hears them: readout=bl.Readout(10)",
            )
        return named[0], []
    idle = [n for n in last if n not in named]
    if idle:
        raise SpecError(
            "adopt",
            "a group reaches neither another group nor the readout",
            got=", ".join(idle),
            expected=f"outputs={[*named, *idle]}",
        )
    name = _free("readout", taken)
    made: list[Population | Projection] = [Population(name, (readout.classes,), LinearReadout(tau=readout.tau))]
    for source in named:
        key = name if len(named) == 1 else f"{name}_{source}"
        made.append(
            Projection(f"to_{key}", source, name, weights=readout.weights, bias=readout.bias and source == named[0])
        )
    return None, made


def _free(name: str, taken: Iterable[str]) -> str:
    """A name that nothing has."""
    while name in set(taken):
        name += "_"
    return name
