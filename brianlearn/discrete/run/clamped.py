"""A population under injected currents, with its own spikes or with recorded ones in their place."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from brianlearn.discrete.run.network import derived_of
from brianlearn.discrete.step.expressions import expression
from brianlearn.discrete.step.program import Program, delivered_to, neuron_program
from brianlearn.discrete.step.recurrence import Recurrence
from brianlearn.network.spec import NetworkSpec

__all__ = ["Injected"]


class Injected:
    """One population of a network, run by what is injected into its neurons.

    With recorded spikes neurons are reset in the steps in which these lie, whatever their own threshold says: between
    resets membranes follow the equations, and are smooth functions of all constants.

    Parameters
    ----------
    spec : NetworkSpec
        With one population that fires, of one neuron.
    recorded : bool
        Whether recorded spikes stand in the place of the neuron's own.
    parameters : mapping
        Key of a learned constant -> tensor of its numbers.
    """

    def __init__(self, spec: NetworkSpec, *, recorded: bool, parameters: Mapping[str, torch.Tensor]) -> None:
        (population,) = spec.neurons
        program = neuron_program(spec.onto(population.name)[0], float(spec.dt))
        self.recorded = recorded
        if recorded:
            program = _with_recorded_spikes(program)
        self._recurrence = Recurrence(
            program,
            population.shape,
            reset_kept=not recorded,
            derived=derived_of(spec, population, program),
            parameter=parameters.__getitem__,
        )

    def delivered(self, injected: np.ndarray, fired: np.ndarray | None) -> torch.Tensor:
        """What reaches the neuron so that its input variable has these values.

        Parameters
        ----------
        injected : numpy.ndarray, shape (n, T)
            In weight units.
        fired : numpy.ndarray of bool, shape (n, T), or None
            Recorded spikes, where they are asked for.

        Returns
        -------
        torch.Tensor, shape (T, n, 1), or (T, 2, n, 1) with recorded spikes
        """
        changes = torch.from_numpy(np.diff(injected, axis=1, prepend=0.0).T.copy())[:, :, None]
        if not self.recorded:
            return changes
        assert fired is not None
        return torch.stack([changes, torch.from_numpy(fired.T.astype(float))[:, :, None]], dim=1)

    def run(self, delivered: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Spikes and membranes before resets, shape (T, n, 1), with a gradient.

        Parameters
        ----------
        delivered : torch.Tensor
            From `delivered`.

        Returns
        -------
        spikes, membranes : torch.Tensor
        """
        spikes, membranes = self._recurrence(delivered, membrane=True)
        assert spikes is not None and membranes is not None
        return spikes, membranes


def _with_recorded_spikes(program: Program) -> Program:
    """The program whose neurons fire where what arrives at a second input says so."""
    spike: Any = program.spike
    forced = dataclasses.replace(spike, fires=expression(f"{delivered_to(1)} > 0.5"), psi=expression("0.0"))
    return dataclasses.replace(program, spike=forced, ports=2)
