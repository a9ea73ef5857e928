"""Giving an experiment other parameters, by name: settings, neuron constants, and paths into its parts."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from brianlearn.errors import SpecError
from brianlearn.learning.named import rule_named, with_loss_named
from brianlearn.network.spec import NetworkSpec

if TYPE_CHECKING:
    from brianlearn.training import Experiment

__all__ = ["spec_with", "with_parameters"]

#: Settings of an experiment that an axis may name; the others are the study's business.
SETTINGS = (
    "epochs",
    "batch_size",
    "seed",
    "dtype",
    "validation",
    "limit",
    "test_limit",
    "chunk_size",
    "device",
    "engine",
    "data",
)
#: Settings of the network that an axis may name.
OF_SPEC = ("dt", "duration", "burn_in", "timing")


def with_parameters(experiment: Experiment, parameters: Mapping[str, Any]) -> Experiment:
    """An experiment with other parameters.

    Parameters
    ----------
    experiment : Experiment
    parameters : mapping
        Name -> value. A name is a setting (``seed``, ``epochs``, ``batch_size``, ...), ``rule`` or ``loss``
        (their names), ``learning_rate``, a setting of the network (``dt``, ``duration``, ``burn_in``, ``timing``), a
        constant of its neurons (``tau_m``), or a path: ``rule.eligibility``, ``optimiser.beta1``,
        ``input.encoder.gain``, ``readout.tau``, ``dense1.size`` (one layer), ``layer.size`` (all layers that have it),
        ``dense1.neuron.tau_m``, ``layer.neuron.surrogate.slope``.

    Returns
    -------
    Experiment

    Raises
    ------
    SpecError
        An unknown name, with what there is.
    BrianLearnError
        Whatever the parts refuse.
    """
    for name, value in parameters.items():
        experiment = _with_one(experiment, name, value)
    return experiment


def _with_one(experiment: Experiment, name: str, value: Any) -> Experiment:
    if name == "rule":
        return dataclasses.replace(experiment, rule=rule_named(value, experiment.rule))
    if name == "loss":
        return dataclasses.replace(experiment, rule=with_loss_named(experiment.rule, value))
    if name == "learning_rate":
        optimiser = dataclasses.replace(experiment.optimiser, learning_rate=value)
        return dataclasses.replace(experiment, optimiser=optimiser)
    if name in SETTINGS:
        return dataclasses.replace(experiment, **{name: value})
    first, _, rest = name.partition(".")
    if rest and first in ("rule", "optimiser"):
        return dataclasses.replace(experiment, **{first: _at(getattr(experiment, first), rest, value, name)})
    changed = _spec_with_one(experiment.spec, name, value)
    if changed is None:
        raise _unknown(name, [*_names(experiment), *_spec_names(experiment.spec)])
    return dataclasses.replace(experiment, spec=changed)


def spec_with(spec: NetworkSpec, parameters: Mapping[str, Any]) -> NetworkSpec:
    """A network with other parameters.

    Parameters
    ----------
    spec : NetworkSpec
    parameters : mapping
        Name -> value, as in `with_parameters`, but for what is not the network's.

    Returns
    -------
    NetworkSpec

    Raises
    ------
    SpecError
        An unknown name, with what there is.
    BrianLearnError
        Whatever the parts refuse.
    """
    for name, value in parameters.items():
        changed = _spec_with_one(spec, name, value)
        if changed is None:
            raise _unknown(name, list(_spec_names(spec)))
        spec = changed
    return spec


def _spec_with_one(spec: NetworkSpec, name: str, value: Any) -> NetworkSpec | None:
    """The network with one parameter changed; None where it has none of this name."""
    if name in OF_SPEC:
        return dataclasses.replace(spec, **{name: value})
    first, _, rest = name.partition(".")
    if not rest:
        return spec.with_constants(**{name: value}) if name in _constants(spec) else None
    if first in ("input", "readout"):
        spec.check_chain(f"parameter {name}")
        part = getattr(spec, first)
        if part is None:
            raise SpecError(f"parameter {name}", f"the network has no {first}", expected="another parameter")
        return dataclasses.replace(spec, **{first: _at(part, rest, value, name)})
    layers = spec.parts
    return _with_layers(spec, layers, first, rest, value, name) if first == "layer" or first in layers else None


def _with_layers(
    spec: NetworkSpec, layers: Mapping[str, Any], first: str, rest: str, value: Any, name: str
) -> NetworkSpec:
    """The network with one layer changed, or all that have what the path names."""
    wanted = [n for n, layer in layers.items() if first == n or (first == "layer" and _has(layer, rest))]
    if not wanted:
        raise _unknown(name, [f"layer.{field}" for layer in layers.values() for field in _fields(layer)])
    return spec.with_parts({n: _at(layers[n], rest, value, name) for n in wanted})


def _at(part: Any, path: str, value: Any, name: str) -> Any:
    """A copy of ``part`` with what ``path`` leads to replaced."""
    first, _, rest = path.partition(".")
    constants = getattr(part, "constants", {})
    if not rest and first in constants and first not in _fields(part):
        return part.with_constants(**{first: value})
    if first not in _fields(part):
        raise _unknown(name, [f"{name.removesuffix(path)}{field}" for field in (*_fields(part), *constants)])
    inner = _at(getattr(part, first), rest, value, name) if rest else value
    return dataclasses.replace(part, **{first: inner})


def _has(part: Any, path: str) -> bool:
    first, _, rest = path.partition(".")
    if first not in _fields(part):
        return not rest and first in getattr(part, "constants", {})
    return not rest or _has(getattr(part, first), rest)


def _fields(part: Any) -> list[str]:
    return [field.name for field in dataclasses.fields(part)] if dataclasses.is_dataclass(part) else []


def _constants(spec: NetworkSpec) -> dict[str, None]:
    return dict.fromkeys(name for part in spec.parts.values() for name in part.neuron.constants)


def _names(experiment: Experiment) -> Iterator[str]:
    yield from ("rule", "loss", "learning_rate", *SETTINGS)
    for part in ("rule", "optimiser"):
        yield from (f"{part}.{field}" for field in _fields(getattr(experiment, part)))


def _spec_names(spec: NetworkSpec) -> Iterator[str]:
    yield from OF_SPEC
    yield from _constants(spec)
    for part in ("input", "readout"):
        yield from (f"{part}.{field}" for field in _fields(getattr(spec, part)))
    for name, part in spec.parts.items():
        yield from (f"{name}.{field}" for field in _fields(part))
        yield from (f"layer.{field}" for field in _fields(part))


def _unknown(name: str, known: list[str]) -> SpecError:
    known = list(dict.fromkeys(known))
    close = difflib.get_close_matches(name, known, n=3)
    return SpecError(
        f"parameter {name}",
        "there is no such parameter",
        got=repr(name),
        expected=", ".join(sorted(known)[:40]),
        remedy=f"did you mean {' or '.join(close)}?" if close else None,
    )
