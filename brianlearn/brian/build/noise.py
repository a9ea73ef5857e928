"""Random numbers of neurons in Brian2: their texts, the keys of trials, and the state updater."""

from __future__ import annotations

from typing import Any

from brian2.equations.equations import Equations
from brian2.stateupdaters.base import StateUpdateMethod

from brianlearn.brian.build.plan import neuron_of
from brianlearn.network.neurons.noise import SEEDED, SeededTexts, noise_keys
from brianlearn.network.population import Population

__all__ = ["SEEDED", "Noise", "noise_keys"]


class Noise(SeededTexts):
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
        super().__init__(neuron_of(p), n_steps)
        self.name = f"noise_{p.name}"

    @property
    def start(self) -> str:
        """The statements at the start of a trial."""
        return f"noise_key_0 = int({self.name}(t, 0))\nnoise_key_1 = int({self.name}(t, 1))"

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
