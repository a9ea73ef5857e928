"""What the inputs of a network are given: one array, or recordings, for each of them."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from brianlearn.errors import DataError

if TYPE_CHECKING:
    from brianlearn.network.spec import NetworkSpec

__all__ = ["NamedInputs", "inputs_of", "keys_of", "parts_of"]


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


def keys_of(spec: NetworkSpec, population: str, keys: np.ndarray) -> np.ndarray:
    """Random keys of an input's encoder, uint64 (n, 2): those of the samples, or with several inputs its own."""
    if len(spec.graph.inputs) == 1:
        return keys
    own = keys.copy()
    own[:, 1] ^= np.uint64(zlib.crc32(population.encode())) << np.uint64(32)
    return own
