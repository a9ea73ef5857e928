"""The texts of neurons with random numbers that have a seed, for every engine.

Brian2 draws noise from a running generator, so that a number depends on all that was drawn before it: on the device, on
how samples are cut into chunks, and on what other processes share. Here ``rand()``, ``randn()``, ``poisson()`` and
``xi`` come from a counter-based generator instead (`brianlearn.network.neurons.philox`). Its key comes from the
sample's random key (`LearnerState.sample_keys`: seed, epoch, sample) and the population's name; its counter is (neuron,
step of the trial, which of the neuron's random numbers).
"""

from __future__ import annotations

import dataclasses
import re
import zlib

import numpy as np
from brian2.equations.codestrings import Expression
from brian2.equations.equations import PARAMETER, Equations, SingleEquation

from brianlearn.network.neurons.neuron import Neuron
from brianlearn.network.neurons.philox import philox
from brianlearn.network.neurons.step import NeuronStep
from brianlearn.network.neurons.update_code import update_code

__all__ = ["SEEDED", "SeededTexts", "noise_keys"]

#: Brian2's random functions -> those that stand for them. Arguments: key, step, steps of a trial, neuron, which call.
SEEDED = {"rand": "seeded_uniform", "randn": "seeded_normal", "poisson": "seeded_poisson"}

#: Where a neuron draws: each place has random numbers of its own.
_PLACES = ("threshold", "reset", "equations", "update")
_CALL = re.compile(rf"\b({'|'.join(SEEDED)})\s*\(\s*(\))?")
#: How Brian2's state updaters draw white noise.
_XI = re.compile(r"^xi\w* = dt\*\*\.5 \* randn\(\)$")


def noise_keys(population: str, keys: np.ndarray) -> np.ndarray:
    """The generator's keys of one population, one for each trial.

    Parameters
    ----------
    population : str
    keys : numpy.ndarray of uint64, shape (n, 2)
        One random key per presentation.

    Returns
    -------
    numpy.ndarray of int64, shape (n, 2)
        31 bits each, which Brian2's integers hold.
    """
    low, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    counter = [keys[:, 0] & low, keys[:, 0] >> shift, keys[:, 1] & low, keys[:, 1] >> shift]
    words = philox((zlib.crc32(population.encode()), zlib.crc32(b"noise")), counter)
    return np.stack([word >> np.uint64(1) for word in words[:2]], axis=1).astype(np.int64)


class SeededTexts:
    """A neuron's texts, with random numbers that have a seed; unchanged where there are none.

    Parameters
    ----------
    neuron : Neuron
    n_steps : int
        Of a trial.
    """

    def __init__(self, neuron: Neuron, n_steps: int) -> None:
        self.neuron, self.n_steps = neuron, n_steps

    def __bool__(self) -> bool:
        return bool(self.neuron.random)

    @property
    def threshold(self) -> str:
        """The threshold condition; in the order of the surrogate's argument, whose random numbers are the same."""
        parsed = self.neuron.parsed
        return self.seeded(f"{parsed.membrane} > {parsed.threshold}", "threshold") if self else self.neuron.threshold

    @property
    def reset(self) -> str:
        """The statements of the reset."""
        return self.seeded(self.neuron.reset, "reset")

    @property
    def subexpressions(self) -> dict[str, str]:
        """Subexpressions by name; a random number in one of them is the same wherever it is used in a step."""
        equations = self.neuron.parsed.equations
        codes = {name: equations[name].expr.code for name in self.neuron.parsed.equations.subexpr_names}
        return dict(zip(codes, self.seeded("\0".join(codes.values()), "equations").split("\0"), strict=bool(codes)))

    @property
    def equations(self) -> Equations:
        """The neuron's equations as a group's state updater reads them: with these subexpressions, or their values."""
        equations, texts, held = self.neuron.parsed.equations, self.subexpressions, self.neuron.held
        found = []
        for name, e in equations.items():
            if name in held:
                e = SingleEquation(PARAMETER, name, e.dim, e.var_type)
            elif name in texts:
                e = SingleEquation(e.type, name, e.dim, e.var_type, Expression(texts[name]), e.flags)
            found.append(e)
        return Equations(found)

    def step(self, step: NeuronStep) -> NeuronStep:
        """The neuron's other statements."""
        return dataclasses.replace(step, psi=self.seeded(step.psi, "threshold")) if self else step

    def update(self, *, inlined: bool) -> str:
        """What Brian2's state updater does, as statements; ``inlined``: subexpressions stand in them as they are.

        Where they do, none is held over the step, and their random numbers count as the update's own: so it is under
        pipelined timing.
        """
        return self.seeded(update_code(self.neuron, None if inlined else self.equations), "update")

    def seeded(self, text: str, place: str) -> str:
        """``text`` with every call of a random function replaced; numbered in their order.

        Brian2 draws several kinds of white noise in the order of a set, which differs from process to process: they
        are numbered by their names.
        """
        if not self:
            return text
        calls = iter(range(_PLACES.index(place), 10**6, len(_PLACES)))

        def call(match: re.Match[str]) -> str:
            where = f"noise_key_0, noise_key_1, t_in_timesteps, {self.n_steps}, i, {next(calls)}"
            return f"{SEEDED[match[1]]}({where}{match[2] or ', '}"

        lines = text.split("\n")
        white = [line for line in lines if _XI.match(line)] if place == "update" else []
        if len(white) > 1:
            text = "\n".join([*sorted(white), *(line for line in lines if line not in white)])
        return _CALL.sub(call, text)
