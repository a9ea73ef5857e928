"""What a network is given over long trials, in little memory: spikes as bits, other numbers as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.step.encoding import encode_all, encode_population
from brianlearn.network.encoders import Encoder
from brianlearn.network.inputs import NamedInputs, keys_of
from brianlearn.network.samples.samples import Recordings
from brianlearn.network.spec import NetworkSpec

__all__ = ["Trains", "given_trains"]

#: Bytes of spikes that are encoded at a time.
AT_ONCE = 2**25


class Trains:
    """What a population sends in all steps of a batch.

    Parameters
    ----------
    steps, samples : int
    shape : tuple of int
        Of the population.
    like : torch.Tensor
        Gives type and device.

    Attributes
    ----------
    binary : bool
        Whether it is all 0 or 1, and kept as bits.
    """

    def __init__(self, steps: int, samples: int, shape: tuple[int, ...], like: torch.Tensor) -> None:
        self.steps, self.samples, self.shape, self.like = steps, samples, shape, like
        self.n = int(np.prod(shape))
        self.binary = True
        self._packed: np.ndarray | None = None  # (steps, samples, bytes)
        self._plain: torch.Tensor | None = None  # (steps or 1, samples, neurons)

    def put(self, values: torch.Tensor, *, step: int = 0, sample: int = 0, constant: bool = False) -> None:
        """Store what is sent in some steps by some samples.

        Parameters
        ----------
        values : torch.Tensor, shape (steps, samples, *shape)
        step, sample : int
            The first ones.
        constant : bool
            Whether the one step that is given is like all others.
        """
        flat = values.detach().reshape(*values.shape[:2], self.n)
        fired = flat != 0
        if self.binary and (constant or not bool((fired == flat).all())):
            self.binary, old = False, self._packed
            self._plain = torch.zeros(1 if constant else self.steps, self.samples, self.n).to(self.like)
            if old is not None:
                self._plain.copy_(self._unpacked(old))
            self._packed = None
        if self._plain is not None:
            self._plain[step : step + len(flat), sample : sample + flat.shape[1]] = flat
            return
        if self._packed is None:
            self._packed = np.zeros((self.steps, self.samples, -(-self.n // 8)), np.uint8)
        bits = np.packbits(fired.cpu().numpy(), axis=2)
        self._packed[step : step + len(flat), sample : sample + flat.shape[1]] = bits

    def put_list(self, sample: int, step: np.ndarray, neuron: np.ndarray) -> None:
        """Store the spikes of a sample that has none so far.

        Parameters
        ----------
        sample : int
        step, neuron : numpy.ndarray of int, shape (n_spikes,)
            By step, then neuron, each pair once.
        """
        if self._packed is None:
            self._packed = np.zeros((self.steps, self.samples, -(-self.n // 8)), np.uint8)
        if not len(step):
            return
        byte = step.astype(np.int64) * self._packed.shape[2] + (neuron >> 3)
        first = np.flatnonzero(np.diff(byte, prepend=-1))
        bits = np.bitwise_or.reduceat((128 >> (neuron & 7)).astype(np.uint8), first)
        self._packed[step[first], sample, neuron[first] >> 3] = bits

    def part(self, first: int, last: int) -> torch.Tensor:
        """What is sent in the steps ``first:last``, of which those before 0 are silent.

        Parameters
        ----------
        first, last : int

        Returns
        -------
        torch.Tensor, shape (steps, samples, *shape); (1, samples, *shape) for what is always the same
        """
        start, quiet = max(0, first), max(0, min(0, last) - first)
        if self._plain is not None and len(self._plain) == 1 < self.steps:
            found = self._plain if not quiet else self._plain.expand(max(0, last) - start, -1, -1)
        elif self._plain is not None:
            found = self._plain[start : max(0, last)]
        else:
            assert self._packed is not None
            found = self._unpacked(self._packed[start : max(0, last)])
        if quiet:
            found = torch.cat([found.new_zeros(quiet, *found.shape[1:]), found])
        return found.reshape(len(found), self.samples, *self.shape)

    def counts(self) -> torch.Tensor:
        """Spikes of every sample, shape (samples,); what is always the same counts as a spike in every step."""
        if self._plain is not None and len(self._plain) == 1 < self.steps:
            return (self._plain != 0).to(self.like.dtype).sum(dim=(0, 2)) * self.steps
        if self._plain is not None:
            return self._plain.sum(dim=(0, 2))
        assert self._packed is not None
        ones = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1)
        found = sum(ones[step].sum(axis=1, dtype=np.int64) for step in self._packed)
        return torch.as_tensor(found).to(self.like)

    def _unpacked(self, packed: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.unpackbits(packed, axis=2, count=self.n)).to(self.like)


def given_trains(
    spec: NetworkSpec, inputs: Any, samples: int, like: torch.Tensor, keys: np.ndarray
) -> dict[str, Trains]:
    """What all inputs of a network send, by population; parameters as in `encode_all`.

    Recordings go from their lists to bits; other inputs are encoded some trials at a time.
    """
    steps, fed = spec.n_steps, {p.name: p for p in spec.graph.fed}
    parts = inputs.parts if isinstance(inputs, NamedInputs) else inputs
    if not isinstance(parts, Mapping):
        parts = dict.fromkeys(fed, parts) if len(fed) == 1 else {}
    if parts.keys() != fed.keys():
        encode_all(spec, inputs, like, keys)  # says what is wrong
    found: dict[str, Trains] = {}
    for p in (*spec.graph.inputs, *spec.graph.sources):
        if p.name in found:
            continue
        encoder, own, given = p.neuron, keys_of(spec, p.name, keys), parts.get(p.name, ())
        trains = found[p.name] = Trains(steps, samples, p.shape, like)
        listed = isinstance(given, Recordings) and tuple(given.shape) == tuple(p.shape)
        if listed and isinstance(encoder, Encoder) and encoder.takes_recordings:
            for k, (step, neuron) in enumerate(encoder.spikes(given, steps, np.empty((0, 2), np.uint64))):
                trains.put_list(k, step, neuron)
            continue
        if p.name in fed:
            takes = isinstance(encoder, Encoder) and encoder.takes_recordings  # as an array, with time first
            size = samples if takes else max(1, AT_ONCE // (like.element_size() * steps * p.n))
        else:
            size = samples
            given = encoder.own_values(samples, p.shape, spec.dt) if isinstance(encoder, Encoder) else ()
        for first in range(0, samples, size):
            part = slice(first, first + size)
            if p in spec.graph.inputs:
                values = encode_population(p, steps, given if size >= samples else given[part], like, own[part])
            else:  # the source of biases fires in every step
                values = like.new_ones(1, samples, *p.shape)
            trains.put(values, sample=first, constant=len(values) != steps)
    return found
