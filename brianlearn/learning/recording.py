"""What can be recorded of a network and its rule, and what one call records: checked before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brianlearn.errors import SpecError, did_you_mean
from brianlearn.learning.rules.base import Rule
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.record import Record, Tap, indices
from brianlearn.network.spec import NetworkSpec

__all__ = [
    "OF_LEARNING",
    "Wanted",
    "dimensions_of",
    "everything",
    "needs_rule",
    "recordable",
    "records",
    "taps_of",
    "wanted",
]

#: Recorded while weights change, and by another call than all else.
OF_LEARNING = "weights"


@dataclass(frozen=True, eq=False)
class Wanted:
    """One variable of one layer, of some samples.

    Attributes
    ----------
    tap : Tap
    neurons : numpy.ndarray of int
        Flat indices, in the order in which they were asked for.
    samples : numpy.ndarray of int or None
        Positions, in the order in which they were asked for; None for all.
    """

    tap: Tap
    neurons: np.ndarray
    samples: np.ndarray | None


def recordable(spec: NetworkSpec, rule: Rule | None) -> dict[str, dict[str, int]]:
    """Variable -> layers that have it (projections, for traces), with their numbers of neurons.

    Parameters
    ----------
    spec : NetworkSpec
    rule : Rule or None
    """
    sizes = {name: p.n for name, p in spec.graph.by_name.items()}
    found: dict[str, dict[str, int]] = {
        "spikes": {p.name: p.n for p in (*spec.graph.inputs, *spec.neurons)},
        "readout": {p.name: p.n for p in spec.graph.readouts},
    }
    for p in spec.neurons:
        assert isinstance(p.neuron, Neuron)
        for name in (*p.neuron.parsed.state_names, *p.neuron.parsed.equations.subexpr_names):
            found.setdefault(name, {})[p.name] = p.n
    sources = {q.name: q.n_pre for q in spec.projections if not q.delays_differ}  # else one trace for each delay
    for name, layers in ({} if rule is None else rule.variables(spec)).items():
        if name.startswith("trace_"):
            found[name] = {layer: sources[layer] for layer in layers if layer in sources}
        else:
            found[name] = {layer: sizes[layer] for layer in layers}
    return found


def dimensions_of(spec: NetworkSpec, tap: Tap) -> Any:
    """The dimensions of what is recorded, where it is a variable of neurons; None for plain numbers."""
    population = spec.graph.by_name.get(tap.layer)
    if population is None or not isinstance(population.neuron, Neuron):
        return None
    return population.neuron.parsed.dimensions.get(tap.variable)


def everything(variable: str, spec: NetworkSpec) -> tuple[Tap, ...]:
    """All layers that have a variable, without a rule."""
    return tuple(Tap(variable, layer) for layer in recordable(spec, None)[variable])


def needs_rule(tap: Tap, rule: Rule, spec: NetworkSpec) -> bool:
    """Whether it is the rule that has the variable."""
    return tap.layer in rule.variables(spec).get(tap.variable, ())


def taps_of(record: Iterable[Tap], variable: str) -> dict[str, Tap]:
    """Layer -> what is recorded of a variable there."""
    return {tap.layer: tap for tap in record if tap.variable == variable}


def wanted(
    owner: str, record: Any, spec: NetworkSpec, rule: Rule | None, n: int | None, *, labels: bool = False
) -> list[Wanted]:
    """What a call records.

    Parameters
    ----------
    owner : str
        The call, for errors.
    record : str, Record, or sequence of these
    spec : NetworkSpec
    rule : Rule or None
    n : int or None
        Number of samples; None where it is not known yet, and samples cannot be chosen.
    labels : bool
        Whether the samples have labels.

    Raises
    ------
    SpecError
        Variables, layers, neurons and samples that there are not, by name, with those that there are.
    """
    found: list[Wanted] = []
    have = recordable(spec, rule)
    for each in records(owner, record):
        if each.variable == OF_LEARNING:
            raise SpecError(
                owner,
                "weights do not change here",
                got=repr(each.variable),
                expected=", ".join(map(repr, have)),
                remedy="record them while learning: learner.learn(state, samples, record='weights')",
            )
        if each.variable == "readout" and each.layers is None and not have["readout"]:
            continue  # as ever: `Activity.readout` is then None
        if each.variable not in have or not have[each.variable]:
            raise _unknown(owner, each.variable, spec, rule, have)
        if each.variable == "L" and not labels:
            raise SpecError(
                owner, "L is made of errors, and the samples have no labels", expected="Samples(inputs, labels)"
            )
        if each.samples is not None and n is None:
            raise SpecError(each.owner, "samples cannot be chosen here", expected="samples=None: all of a call")
        samples = None if n is None else indices(each.owner, "samples", each.samples, n, f"there are {n}")
        layers = have[each.variable]
        for layer in layers if each.layers is None else each.layers:
            if layer not in layers:
                raise _not_there(each, layer, layers, spec, have)
            size = layers[layer]
            neurons = indices(each.owner, "neurons", each.neurons, size, f"{layer} has {size} neurons")
            tap = Tap(each.variable, layer, None if neurons is None else tuple(np.sort(neurons).tolist()), each.every)
            if any((w.tap.variable, w.tap.layer) == (tap.variable, layer) for w in found):
                raise SpecError(
                    owner,
                    f"{tap.variable!r} of {layer} is recorded twice",
                    got=repr(record),
                    expected="one record for each variable of a layer",
                    remedy="give one Record with all neurons and samples",
                )
            found.append(Wanted(tap, np.arange(size) if neurons is None else neurons, samples))
    return found


def records(owner: str, record: Any) -> list[Record]:
    """Records from what a user may give.

    Raises
    ------
    SpecError
        What is no name and no `Record`.
    """
    if isinstance(record, str | Record):
        record = [record]
    if not isinstance(record, Iterable):
        raise SpecError(owner, "cannot record this", got=repr(record), expected='names, or e.g. bl.Record("v")')
    found = []
    for each in record:
        if not isinstance(each, str | Record):
            raise SpecError(owner, "cannot record this", got=repr(each), expected='a name, or e.g. bl.Record("v")')
        found.append(each if isinstance(each, Record) else Record(each))
    return found


def _unknown(
    owner: str, variable: str, spec: NetworkSpec, rule: Rule | None, have: Mapping[str, Mapping[str, int]]
) -> SpecError:
    """Why no layer has a variable."""
    known = [name for name, layers in have.items() if layers]
    remedy = did_you_mean(variable, known)
    got = repr(variable)
    if variable in ("psi", "L") or variable.startswith("trace_"):
        got += " without a rule" if rule is None else f" with {type(rule).__name__}"
        remedy = {
            "psi": "give the learner a rule, e.g. Learner(spec, bl.DALTON())",
            "L": "only rules with error paths have a third factor for each neuron, e.g. bl.TFR() and bl.DALTON()",
        }.get(variable, "only rules with eligibility='trace' have traces, e.g. bl.EProp()")
    elif variable == "readout":
        remedy = "the network has no readout; its output are the spikes of its last layer"
    return SpecError(owner, "cannot record this", got=got, expected=", ".join(map(repr, known)), remedy=remedy)


def _not_there(
    record: Record, layer: str, layers: Mapping[str, int], spec: NetworkSpec, have: Mapping[str, Mapping[str, int]]
) -> SpecError:
    """Why one layer does not have a variable."""
    mine = [name for name, found in have.items() if layer in found]
    if not mine and layer not in spec.graph.by_name:
        return SpecError(
            record.owner,
            "there is no such layer",
            got=repr(layer),
            expected=", ".join(layers),
            remedy=did_you_mean(layer, layers),
        )
    return SpecError(
        record.owner,
        f"layer {layer!r} has no variable {record.variable!r}",
        got=repr(record.variable),
        expected=f"one of {', '.join(map(repr, mine)) or 'none'}; {record.variable!r} is in {', '.join(layers)}",
        remedy=did_you_mean(record.variable, mine),
    )
