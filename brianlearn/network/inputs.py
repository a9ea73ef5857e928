"""What the inputs of a network are given: one array, or recordings, for each of them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import DataError
from brianlearn.network.encoders import Encoder

if TYPE_CHECKING:
    from brianlearn.network.spec import NetworkSpec

__all__ = ["NamedInputs", "inputs_of", "keys_of", "parts_of", "values_of"]


class NamedInputs:
    """Inputs of several populations, of the same samples.

    As of one array, ``len`` is the number of samples, and slices and index arrays choose samples.

    Attributes
    ----------
    parts : dict
        Population -> array, shape (n, ...), or recordings; of the same number n of samples.

    Raises
    ------
    DataError
    """

    def __init__(self, parts: Mapping[str, Any]) -> None:
        if not parts or not all(isinstance(name, str) for name in parts):
            got = f"a dict of {list(parts)!r}"
            raise DataError("Samples", "inputs are wrong", got=got, expected="population -> values or events")
        sizes = {name: len(part) for name, part in parts.items()}
        if len(set(sizes.values())) > 1:
            raise DataError(
                "Samples",
                "inputs are of different numbers of samples",
                got=", ".join(f"{name} {n}" for name, n in sizes.items()),
                expected="the same number for every population",
            )
        self.parts, self._n = dict(parts), next(iter(sizes.values()))

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: Any) -> NamedInputs:
        return NamedInputs({name: part[index] for name, part in self.parts.items()})


def parts_of(inputs: Any) -> dict[str, Any]:
    """All parts of inputs by population; under the name ``""`` where there is one for the only one."""
    return inputs.parts if isinstance(inputs, NamedInputs) else {"": inputs}


def inputs_of(inputs: Any, population: str) -> Any:
    """What one population is given; ``inputs`` are those of all, or of the only one."""
    return inputs.parts[population] if isinstance(inputs, NamedInputs) else inputs


def values_of(spec: NetworkSpec, population: str, inputs: Any) -> Any:
    """What the encoder of one population is given: by the samples, or its own, where it makes spikes by itself.

    Parameters
    ----------
    spec : NetworkSpec
    population : str
    inputs : array_like, Recordings or NamedInputs
        Those of all populations, or of the only one.

    Returns
    -------
    array_like, shape (n, *shape), or Recordings
    """
    p = spec.graph.by_name[population]
    assert isinstance(p.neuron, Encoder)
    if p.neuron.makes_its_own:
        return p.neuron.own_values(len(inputs), p.shape, spec.dt)
    return inputs_of(inputs, population)


def keys_of(spec: NetworkSpec, population: str, keys: np.ndarray) -> np.ndarray:
    """Random keys of an input's encoder, uint64 (n, 2): those of the samples, or with several inputs its own."""
    if [p.name for p in spec.graph.fed] == [population]:
        return keys
    own = keys.copy()
    own[:, 1] ^= np.uint64(zlib.crc32(population.encode())) << np.uint64(32)
    return own
