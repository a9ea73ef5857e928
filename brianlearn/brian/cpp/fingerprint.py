"""What a compiled program depends on, as one name.

Everything that a plan says counts (network, layers, neurons, rule, optimiser, sizes), every field of every object, also
fields that are added later or by classes of one's own. `EXCEPTIONS` names those of which less counts, because a run
brings their values along or because something else of the content stands for them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from brian2 import prefs
from brian2.units.fundamentalunits import DIMENSIONLESS, get_dimensions

import brianlearn
from brianlearn.brian.build.plan import Plan
from brianlearn.brian.build.statements import deliver_expression
from brianlearn.learning.optimisers import Optimiser
from brianlearn.learning.rules.base import Rule
from brianlearn.learning.rules.local import LocalRule
from brianlearn.learning.rules.reward import Reward
from brianlearn.learning.rules.synaptic import SynapticRule
from brianlearn.machine.devices import compiler_version
from brianlearn.network.layers import Layer, Readout
from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.own_spikes import PoissonBackground
from brianlearn.network.population import LinearReadout, Population
from brianlearn.network.projection import Projection
from brianlearn.network.spec import NetworkSpec

__all__ = ["EXCEPTIONS", "content", "fingerprint"]


def _nothing(plan: Plan, owner: Any) -> object:
    """A run brings it, or it does not reach the program."""
    return None


def _while_learning(name: str) -> Callable[[Plan, Any], object]:
    """The field counts in programs that learn."""
    return lambda plan, owner: None if plan.rule is None else getattr(owner, name)


def _kinds(plan: Plan, neuron: Neuron) -> object:
    """Of constants, whose values a run brings: names, units, and whether neurons differ in them."""
    return {name: [value.ndim > 0, str(dimensions)] for name, (value, dimensions) in neuron.parsed.constants.items()}


def _state(plan: Plan, neuron: Neuron) -> object:
    """Initial values of all state variables, those that are not given too; a run brings those that differ."""
    found = {name: neuron.initial.get(name, 0.0) for name in neuron.parsed.state_names}
    return {name: "one for each neuron" if neuron.initial_of(name).ndim else value for name, value in found.items()}


def _drawn(plan: Plan, layer: Layer | Population) -> object:
    """Of dropout, whose masks a run brings: whether there are masks, and whether each step has its own."""
    return bool(plan.rule is not None and layer.dropout) and layer.dropout_every


def _rule_burn_in(plan: Plan, rule: LocalRule) -> object:
    """A run says which steps learn; under pipelined timing the network counts them itself."""
    return rule.burn_in_steps(plan.spec) if plan.pipelined else None


def _network_burn_in(plan: Plan, spec: NetworkSpec) -> object:
    return spec.burn_in_steps if plan.pipelined else spec.burn_in_steps > 0


#: (class, field) -> what of the field counts; also for subclasses.
EXCEPTIONS: dict[tuple[type, str], Callable[[Plan, Any], object]] = {
    (Optimiser, "learning_rate"): _nothing,
    (Optimiser, "halve_every"): _nothing,
    (Optimiser, "decay"): _nothing,
    (Optimiser, "schedule"): _nothing,
    (Optimiser, "reset_each_epoch"): _nothing,
    (Rule, "learning_rate_scale"): _nothing,
    (LocalRule, "burn_in"): _rule_burn_in,
    (SynapticRule, "constants"): lambda plan, rule: {n: str(get_dimensions(v)) for n, v in rule.constants.items()},
    (Reward, "constants"): lambda plan, reward: sorted(reward.constants),
    (Reward, "baseline"): lambda plan, reward: reward.baseline is not None,
    (Neuron, "constants"): _kinds,
    (Neuron, "initial"): _state,
    (Neuron, "learn"): _nothing,  # a run brings the values; which have one for each neuron, parameters say
    (Neuron, "method"): lambda plan, neuron: neuron.method_used,
    (Layer, "weights"): _nothing,
    (Layer, "name"): _nothing,  # the name that a layer gets is part of its projection
    (Layer, "dropout"): _drawn,
    (Layer, "dropout_every"): _nothing,  # counted with dropout, without which it means nothing
    (Layer, "bias"): _nothing,  # a projection of its own
    (Readout, "bias"): _nothing,
    (Projection, "bias"): _nothing,
    (PoissonBackground, "rate"): _nothing,  # a run brings the spikes
    (Readout, "weights"): _nothing,
    (Readout, "tau"): lambda plan, readout: readout.tau is not None,
    (Population, "dropout"): _drawn,
    (Population, "dropout_every"): _nothing,
    (LinearReadout, "tau"): lambda plan, readout: readout.tau is not None,
    (Projection, "weights"): _nothing,
    (NetworkSpec, "duration"): lambda plan, spec: spec.n_steps,
    (NetworkSpec, "burn_in"): _network_burn_in,
    (Plan, "optimiser"): _while_learning("optimiser"),
    (Plan, "batch_size"): _while_learning("batch_trials"),
    (Plan, "capacity"): lambda plan, _: plan.capacity_trials,
    (Plan, "workers"): lambda plan, _: plan.rule is not None and plan.workers > 1,
}


def fingerprint(plan: Plan, environment: Sequence[str] = ()) -> str:
    """A name for the program of a plan: equal plans up to what a run can replace have the same.

    Weights, data, learning rate, and the values of constants are replaced at run time and do not count.

    Parameters
    ----------
    plan : Plan
    environment : sequence of str, optional
        What a device depends on beside Brian2, this package and the compiler.
    """
    everything = [content(plan), _derived(plan), [*_environment(), *environment]]
    return hashlib.sha256(json.dumps(everything).encode()).hexdigest()[:24]


def content(plan: Plan) -> Any:
    """All that a plan says and that its program depends on, as what JSON can hold."""
    return _content(plan, plan)


def _content(value: Any, plan: Plan) -> Any:
    if value is None or isinstance(value, bool | np.bool_ | str):
        return value if value is None or isinstance(value, str) else bool(value)
    if isinstance(value, int | float | np.number | np.ndarray):
        dimensions, array = get_dimensions(value), np.asarray(value)
        unit = [] if dimensions is DIMENSIONLESS else [str(dimensions)]
        if array.ndim:
            return [*unit, str(array.shape), array.tolist()]
        return [*unit, repr(float(array))]  # 5 and 5.0 are the same number
    if isinstance(value, Mapping):
        return {str(key): _content(value[key], plan) for key in sorted(value, key=str)}
    if isinstance(value, list | tuple | set | frozenset):
        items = value if isinstance(value, list | tuple) else sorted(value, key=repr)
        return [_content(item, plan) for item in items]
    kind = type(value)
    found: dict[str, Any] = {"": f"{kind.__module__}.{kind.__qualname__}"}
    if not hasattr(value, "__dict__"):  # unknown: at worst one program too many
        return found | {"repr": repr(value)}
    for name in _fields(value):
        counted = _exception(kind, name)
        found[name] = _content(getattr(value, name) if counted is None else counted(plan, value), plan)
    return found


def _fields(value: Any) -> Iterator[str]:
    """Fields of a description, and attributes that a class of one's own sets; not what is derived from them."""
    names = {field.name for field in dataclasses.fields(value)} if dataclasses.is_dataclass(value) else set()
    own = {name for name in vars(value) if not isinstance(getattr(type(value), name, None), cached_property)}
    return iter(sorted(names | own))


def _exception(kind: type, name: str) -> Callable[[Plan, Any], object] | None:
    return next((EXCEPTIONS[base, name] for base in kind.__mro__ if (base, name) in EXCEPTIONS), None)


def _derived(plan: Plan) -> list[Any]:
    """What follows from a plan by methods, which a class of one's own can replace: texts, traces, paths, names."""
    spec, rule = plan.spec, plan.rule
    layers = [
        [
            *[
                p.name,
                p.source,
                p.target,
                p.delay_steps(spec.dt) if not p.delays_differ else p.lags(spec.dt).tolist(),
                list(p.in_shape),
                list(p.out_shape),
                deliver_expression(p),
            ],
            *[step.update, step.refractory, step.floor, step.psi, step.reset_trial],
            [parameter.declaration for parameter in step.parameters],
        ]
        for p in spec.projections
        for step in [plan.steps[p.target]]
    ]
    readouts = {name: [[p.name, list(p.weight_shape)] for p in onto] for name, onto in plan.readouts.items()}
    traces = [
        [name, trace.suffix, list(r.states), r.input, r.membrane, [list(pair) for pair in r.coefficients], r.gain]
        for name, trace in plan.traces.items()
        for r in [trace.response]
    ]
    paths = {layer: [path.name for path in found] for layer, found in plan.paths.items()}
    errors = {layer: [plan.error_of(layer, name) for name in names] for layer, names in paths.items()}
    scales = None if rule is None else {name: str(scale) for name, scale in rule.scale(spec).items()}
    encoder = spec.input.encoder
    text = None if encoder.precomputed else dataclasses.astuple(encoder.text())
    optimiser = None if rule is None else [type(plan.optimiser).update, list(plan.optimiser.slots)]
    return [layers, readouts, traces, paths, errors, scales, optimiser, text]


#: Brian2's preferences that the text of a program, or the way it is compiled, depends on.
_PREFERENCES = ("codegen.cpp.", "codegen.generators.", "codegen.loop", "devices.cpp_standalone.openmp", "legacy.")


def sources() -> list[Path]:
    """The files of this package that decide what a program does: this engine, networks and rules."""
    package = Path(brianlearn.__file__).parent
    return [path for part in ("brian", "learning", "network") for path in sorted((package / part).rglob("*.py"))]


def _source_text() -> str:
    digest = hashlib.sha256()
    for path in sources():
        digest.update(path.read_bytes())
    return digest.hexdigest()


#: Of this package as it was loaded: a program is not to bear the name of sources that have been changed since then.
_SOURCES = _source_text()


def _environment() -> list[str]:
    settings = [f"{name}={prefs[name]}" for name in sorted(prefs) if name.startswith(_PREFERENCES)]
    return [brian2.__version__, np.__version__, compiler_version(), *settings, _processor(), _SOURCES]


def _processor() -> str:
    """What -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine() + platform.processor()
    return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
