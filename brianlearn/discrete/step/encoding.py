"""From input values to presynaptic activity, time-major."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache
from types import CodeType
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.step.expressions import assignments, elementwise, expression
from brianlearn.discrete.step.plain import number_functions
from brianlearn.errors import DataError, ShapeError
from brianlearn.learning.dropout import draw_dropout_mask
from brianlearn.network.encoders import Encoder, EncoderText
from brianlearn.network.inputs import NamedInputs, keys_of
from brianlearn.network.population import Population
from brianlearn.network.samples.arrays import numbers
from brianlearn.network.samples.samples import Recordings
from brianlearn.network.spec import NetworkSpec

__all__ = ["dropout_mask", "encode", "encode_all", "encode_population", "given_spikes", "random_keys"]

#: Types of numpy that every torch has.
KNOWN = ("?", "u1", "i1", "i2", "i4", "i8", "f2", "f4", "f8")
#: States and texts of the encoder that has a form with fewer passes over memory.
INTEGRATE_AND_FIRE = (("v",), "v = v + x", "v > 1", "v = 0")


def random_keys(n: int) -> np.ndarray:
    """One random key per presentation, uint64 (n, 2), from torch's generator (``torch.manual_seed``)."""
    return torch.randint(2**63 - 1, (n, 2)).numpy().astype(np.uint64)


def encode_population(
    population: Population, steps: int, inputs: object, like: torch.Tensor, keys: np.ndarray | None
) -> torch.Tensor:
    """What the synapses of an input see.

    Parameters
    ----------
    population : Population
    steps : int
        Of a trial.
    inputs : torch.Tensor or array_like, shape (samples, *input shape)
        Values; with the encoder ``Spikes()``, spikes (steps, samples, *input shape), or `Recordings`; with
        ``IntegrateEvents()``, how many events there are, in the same shape, or `Recordings`.
    like : torch.Tensor
        Gives type and device.
    keys : numpy.ndarray of uint64, shape (samples, 2), optional
        Random keys for encoders that draw; from torch's generator where they are not given.

    Returns
    -------
    torch.Tensor, shape (steps, samples, *input shape)
        Spikes; for a direct current, which is the same in every step, its values, shape (1, samples, *input shape).

    Raises
    ------
    ShapeError, DataError
    """
    encoder, shape = population.neuron, population.shape
    assert isinstance(encoder, Encoder)
    if encoder.takes_recordings:
        return _given(encoder, inputs, like, steps, shape)
    if isinstance(inputs, Recordings):
        raise DataError(
            "inputs",
            "inputs and encoder do not fit",
            got=type(inputs).__name__,
            expected=f"values for {type(encoder).__name__}",
        )
    values = _tensor(inputs)
    if tuple(values.shape[1:]) != shape or values.ndim != len(shape) + 1:
        raise ShapeError("inputs", "they do not fit the network", got=tuple(values.shape), expected=("samples", *shape))
    if encoder.precomputed:
        flat = numbers("inputs", "they", values, "a tensor").reshape(len(values), -1)
        drawn = encoder.drawn(flat, steps, random_keys(len(flat)) if keys is None else keys)
        spikes = torch.from_numpy(np.ascontiguousarray(drawn.swapaxes(0, 1)))
        return spikes.reshape(steps, len(values), *shape).to(like)
    values = values.to(like)
    text = encoder.text()
    drive = _Text(values.dtype).value(text.drive, {"x": values})
    if encoder.carries_values:
        return drive.unsqueeze(0)
    if (text.states, text.update, text.threshold, text.reset) == INTEGRATE_AND_FIRE:
        return _integrate_and_fire(drive.expand(steps, *values.shape))
    return _computed(text, drive, steps)


def encode_all(
    spec: NetworkSpec, inputs: Any, like: torch.Tensor, keys: np.ndarray | None = None
) -> dict[str, torch.Tensor]:
    """What all inputs of a network send, by population.

    Parameters
    ----------
    spec : NetworkSpec
    inputs : array_like, or `NamedInputs` or a dict of these
        See `encode_population`; by population where there are several.
    like, keys
        As in `encode_population`.

    Raises
    ------
    ShapeError, DataError
    """
    populations = {p.name: p for p in spec.graph.fed}
    parts = inputs.parts if isinstance(inputs, NamedInputs) else inputs
    if not isinstance(parts, Mapping):
        parts = dict.fromkeys(populations, parts) if len(populations) == 1 else {}
    if parts.keys() != populations.keys():
        raise DataError(
            "inputs",
            "they are not those of the network",
            got=", ".join(parts) or type(inputs).__name__,
            expected=f"a dict: {', '.join(populations)} -> values or events",
        )
    found: dict[str, torch.Tensor] = {}
    for name, p in populations.items():
        own = None if keys is None else keys_of(spec, name, keys)
        found[name] = encode_population(p, spec.n_steps, parts[name], like, own)
    n = next(iter(found.values())).shape[1]
    for p in spec.graph.inputs:
        if p.name not in found:
            assert isinstance(p.neuron, Encoder)
            own = None if keys is None else keys_of(spec, p.name, keys)
            found[p.name] = encode_population(p, spec.n_steps, p.neuron.own_values(n, p.shape, spec.dt), like, own)
    for p in spec.graph.sources:
        if p.name not in found:  # the source of biases fires in every step
            found[p.name] = like.new_ones(1, n, *p.shape)
    return found


def encode(spec: NetworkSpec, inputs: Any, like: torch.Tensor, keys: np.ndarray | None) -> torch.Tensor:
    """What the synapses of a network's only input see; parameters as in `encode_population`."""
    (found,) = encode_all(spec, inputs, like, keys).values()
    return found


def given_spikes(spec: NetworkSpec, sources: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Spikes of the inputs in all steps, by population; a direct current counts as a spike in every step."""
    found = {}
    for population in spec.graph.inputs:
        source = sources[population.name]
        encoder = population.neuron
        if isinstance(encoder, Encoder) and encoder.carries_values:
            source = (source != 0).to(source.dtype).expand(spec.n_steps, *source.shape[1:])
        found[population.name] = source
    return found


def _tensor(inputs: object) -> torch.Tensor:
    if not isinstance(inputs, torch.Tensor):
        array = numbers("inputs", "they", inputs, "a tensor or an array")
        # torch warns of arrays that it must not write to
        return torch.as_tensor(np.require(array, array.dtype if array.dtype in KNOWN else np.float64, "W"))
    if inputs.is_complex():
        raise DataError("inputs", "they are not numbers", got=inputs.dtype, expected="a tensor of real numbers")
    return inputs


def _given(encoder: Encoder, inputs: object, like: torch.Tensor, steps: int, shape: tuple[int, ...]) -> torch.Tensor:
    if isinstance(inputs, Recordings):
        if tuple(inputs.shape) != shape:
            raise ShapeError("inputs", "events do not fit the network", got=inputs.shape, expected=shape)
        dense = np.ascontiguousarray(encoder.raster(inputs, steps, np.empty((0, 2), np.uint64)).swapaxes(0, 1))
        return torch.from_numpy(dense).reshape(steps, len(inputs), *shape).to(like)
    spikes = _tensor(inputs)
    if spikes.ndim != len(shape) + 2 or tuple(spikes.shape[2:]) != shape or len(spikes) != steps:
        raise ShapeError(
            "inputs",
            "spike trains do not fit the network",
            got=tuple(spikes.shape),
            expected=(steps, "samples", *shape),
            remedy="time comes first; another number of steps needs dataclasses.replace(spec, duration=...)",
        )
    if encoder.integrates:  # in double precision, as from recordings
        counts = spikes.to(like.device, torch.float64)
        gain, bias = float(encoder.gain), float(encoder.bias)  # type: ignore[attr-defined]
        return _integrate_and_fire(gain * counts + bias if bias else gain * counts).to(like)
    return spikes.to(like)


def _integrate_and_fire(drive: torch.Tensor) -> torch.Tensor:
    """Spikes for what is added to v in each step, shape (steps, ...)."""
    v = torch.zeros_like(drive[0])
    spikes = torch.empty_like(drive, memory_format=torch.contiguous_format)
    with torch.no_grad():
        for change, spike in zip(drive, spikes, strict=True):
            v += change
            fired = v > 1
            spike.copy_(fired)
            v.masked_fill_(fired, 0.0)
    return spikes


class _Text:
    """Evaluates an encoder's text on tensors."""

    def __init__(self, dtype: torch.dtype) -> None:
        self._functions = number_functions(dtype)

    def value(self, text: str, values: dict[str, Any]) -> Any:
        """The value of an expression."""
        return eval(_code(text), self._functions, values)

    def run(self, text: str, values: dict[str, Any]) -> None:
        """Run statements."""
        for target, node in assignments(text):
            values[target] = self.value(ast.unparse(node), values)


@lru_cache(maxsize=1024)
def _code(text: str) -> CodeType:
    return compile(elementwise(expression(text)), "<encoder>", "eval")


def _computed(text: EncoderText, drive: torch.Tensor, steps: int) -> torch.Tensor:
    """Spikes of any text, step by step, shape (steps, *drive)."""
    run, spikes = _Text(drive.dtype), torch.empty((steps, *drive.shape), dtype=drive.dtype, device=drive.device)
    values: dict[str, Any] = {"x": drive, **{name: torch.zeros_like(drive) for name in text.states}}
    with torch.no_grad():
        for spike in spikes:
            run.run(text.update, values)
            fired = torch.as_tensor(run.value(text.threshold, values), device=drive.device).expand_as(drive)
            spike.copy_(fired)
            after = dict(values)
            run.run(text.reset, after)
            for name in text.states:
                new = torch.as_tensor(after[name], dtype=drive.dtype, device=drive.device)
                values[name] = torch.where(fired, new, torch.as_tensor(values[name], dtype=drive.dtype))
    return spikes


def dropout_mask(
    p: Population, steps: int, samples: int, like: torch.Tensor, keys: np.ndarray | None
) -> torch.Tensor | None:
    """Which neurons pass while a population learns: 0, or 1/(1 - rate) so that the mean stays; None without dropout.

    The shape is (samples, *shape), or (steps, samples, *shape) where they are drawn in every step.
    """
    shape = p.shape
    if not p.dropout:
        return None
    each = p.dropout_every == "step"
    drawn = (steps, *shape) if each else shape
    if keys is None:
        keep = torch.rand((samples, *drawn), dtype=like.dtype, device=like.device) >= p.dropout
    else:
        keep = torch.from_numpy(draw_dropout_mask(p.dropout, p.name, drawn, keys)).to(like.device)
    return (keep.transpose(0, 1) if each else keep).to(like.dtype) / (1.0 - p.dropout)
