"""Random numbers of neurons, as functions of the seed, the sample, the step and the neuron.

Brian2 draws noise from a running generator, so that a number depends on all that was drawn before it: on the device, on
how samples are cut into chunks, and on what other processes share. Here ``rand()``, ``randn()``, ``poisson()`` and
``xi`` come from a counter-based generator instead (`brianlearn.brian.build.seeded`). Its key comes from the sample's
random key (`LearnerState.sample_keys`: seed, epoch, sample) and the layer's name; its counter is (neuron, step of the
trial, which of the neuron's random numbers).
"""

from __future__ import annotations

import dataclasses
import re
import zlib
from typing import Any

import numpy as np
from brian2.equations.equations import Equations
from brian2.stateupdaters.base import StateUpdateMethod

from brianlearn.brian.build.plan import neuron_of
from brianlearn.brian.build.seeded import philox
from brianlearn.network.neurons.step import NeuronStep
from brianlearn.network.population import Population

__all__ = ["SEEDED", "Noise", "noise_keys"]

#: Brian2's random functions -> those that stand for them.
SEEDED = {"rand": "seeded_uniform", "randn": "seeded_normal", "poisson": "seeded_poisson"}

#: Where a neuron draws: each place has random numbers of its own.
_PLACES = ("threshold", "reset", "equations", "update")
_CALL = re.compile(rf"\b({'|'.join(SEEDED)})\s*\(\s*(\))?")


def noise_keys(layer: str, keys: np.ndarray) -> np.ndarray:
    """The generator's keys of one layer, one for each trial.

    Parameters
    ----------
    layer : str
    keys : numpy.ndarray of uint64, shape (n, 2)
        One random key per presentation.

    Returns
    -------
    numpy.ndarray of int64, shape (n, 2)
        31 bits each, which Brian2's integers hold.
    """
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    counter = [keys[:, 0] & low, keys[:, 0] >> shift, keys[:, 1] & low, keys[:, 1] >> shift]
    words = philox((zlib.crc32(layer.encode()), zlib.crc32(b"noise")), counter)
    return np.stack([word >> np.uint64(1) for word in words[:2]], axis=1).astype(np.int64)


class Noise:
    """The texts of a layer's neurons, with random numbers that have a seed; unchanged where there are none.

    Parameters
    ----------
    p : Population
        One that fires.
    n_steps : int
        Of a trial.

    Attributes
    ----------
    name : str
        Of the TimedArray that brings the keys of trials, shape (trials, 2).
    """

    #: What a group with noise has more.
    declarations = "noise_key_0 : integer (shared)\nnoise_key_1 : integer (shared)"

    def __init__(self, p: Population, n_steps: int) -> None:
        self.neuron, self.n_steps, self.name = neuron_of(p), n_steps, f"noise_{p.name}"

    def __bool__(self) -> bool:
        return bool(self.neuron.random)

    @property
    def start(self) -> str:
        """The statements at the start of a trial."""
        return f"noise_key_0 = int({self.name}(t, 0))\nnoise_key_1 = int({self.name}(t, 1))"

    @property
    def threshold(self) -> str:
        """The threshold condition; in the order of the surrogate's argument, whose random numbers are the same."""
        parsed = self.neuron.parsed
        return self.seeded(f"{parsed.membrane} > {parsed.threshold}", "threshold") if self else self.neuron.threshold

    @property
    def reset(self) -> str:
        """The statements of the reset."""
        return self.seeded(self.neuron.reset, "reset")

    def step(self, step: NeuronStep) -> NeuronStep:
        """The neuron's other statements."""
        return dataclasses.replace(step, psi=self.seeded(step.psi, "threshold")) if self else step

    @property
    def method(self) -> Any:
        """Brian2's method, with these random numbers in its statements."""
        method = self.neuron.method_used
        if not self:
            return method

        def update(equations: Equations, variables: Any = None, method_options: Any = None) -> str:
            code = StateUpdateMethod.apply_stateupdater(equations, variables, method, method_options=method_options)
            return self.seeded(str(code), "update")

        return update

    def seeded(self, text: str, place: str) -> str:
        """``text`` with every call of a random function replaced; numbered in their order."""
        if not self:
            return text
        calls = iter(range(_PLACES.index(place), 10**6, len(_PLACES)))

        def call(match: re.Match[str]) -> str:
            where = f"noise_key_0, noise_key_1, t_in_timesteps, {self.n_steps}, i, {next(calls)}"
            return f"{SEEDED[match[1]]}({where}{match[2] or ', '}"

        return _CALL.sub(call, text)
