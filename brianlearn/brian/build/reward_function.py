"""A reward that a function of the user's computes: Python hears the outputs of each step, and asks it.

Two operations of Python stand in the slots where a text would: one keeps the outputs of the trial, the other calls the
function and writes the reward. That can be done in runtime mode alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from brian2 import NetworkOperation, NeuronGroup
from brian2.units.fundamentalunits import Quantity, is_dimensionless

from brianlearn.brian.build.reward import RewardSlots, third_factor
from brianlearn.errors import BrianLearnError, RuleError
from brianlearn.learning.rules.reward import Reward
from brianlearn.learning.rules.synaptic import REWARD_GROUP
from brianlearn.network.samples.samples import Samples

__all__ = ["RewardFunction"]


class RewardFunction:
    """What calls the function, as Brian2 objects.

    Parameters
    ----------
    reward : Reward
        Of a function.
    output : brian2.NeuronGroup
        The readout, or the last layer.
    is_readout : bool
    slots : RewardSlots

    Attributes
    ----------
    group : brian2.NeuronGroup
        Its variables: ``reward``; ``third``, the third factor, 0 without learning; ``mean``, the running mean.
    samples : Samples or None
        Of the run, one for each trial. Without any nothing is asked.
    """

    def __init__(self, reward: Reward, output: NeuronGroup, is_readout: bool, slots: RewardSlots) -> None:
        assert reward.function is not None
        self._function: Callable[[np.ndarray, Samples], Any] = reward.function
        self._output, self._is_readout, self._slots = output, is_readout, slots
        self._learning = slots.namespace["learning" if slots.every == "step" else "trial_learning"]
        self._heard = np.zeros((slots.n_steps, len(output)))
        self.samples: Samples | None = None
        lines = ["reward : 1", "third : 1", "mean : 1"]
        if reward.baseline is not None:
            lines.append("baseline : 1 (shared, constant)")
        dtype = dict.fromkeys(("reward", "third", "mean"), np.float64)
        self.group = NeuronGroup(
            1, "\n".join(lines), name=REWARD_GROUP, clock=slots.clock, dtype=dtype, namespace=slots.namespace
        )
        listens = NetworkOperation(
            self._listen, clock=slots.clock, when="readout_error", order=1, name=f"{REWARD_GROUP}_listens"
        )
        asks = NetworkOperation(self._ask, clock=slots.when, name=f"{REWARD_GROUP}_asks")
        slots.place(asks, 3)
        self.group.contained_objects.extend([listens, asks])
        slots.regularly(self.group, "\n".join(third_factor(reward, slots)), 4, "reward")

    @property
    def _step(self) -> int:
        return int(self._slots.clock.variables["timestep"].get_value().item())

    def _listen(self) -> None:
        """Keep the outputs of this step."""
        heard = self._heard[self._step % self._slots.n_steps]
        if self._is_readout:
            heard[:] = self._output.variables["y"].get_value()
        else:
            heard[:] = 0
            heard[np.asarray(self._output.spikes)] = 1

    def _ask(self) -> None:
        """Write the reward, where there is learning."""
        of_trial = self._slots.every == "trial"
        trial, step = divmod(self._step, self._slots.n_steps)
        if of_trial:  # which has just ended
            trial, step = trial - 1, self._slots.n_steps - 1
        on = self._learning.values[trial + 1 if of_trial else self._step]
        value = 0.0
        if self.samples is not None and on and 0 <= trial < len(self.samples):
            value = self._asked(self._heard[: step + 1].copy(), self.samples[trial : trial + 1], step)
        self.group.variables["reward"].set_value(value)

    def _asked(self, outputs: np.ndarray, sample: Samples, step: int) -> float:
        name = getattr(self._function, "__name__", repr(self._function))
        where = f"Reward, sample {int(sample.ids[0])}, step {step}"
        try:
            value = self._function(outputs, sample)
        except BrianLearnError:
            raise
        except Exception as error:
            got = f"{type(error).__name__}: {error}"
            raise RuleError(where, f"the function {name} fails", got=got, expected="one number") from error
        number = _number(value)
        if number is None:
            raise RuleError(where, f"the function {name} gives no finite number", got=repr(value)[:200], expected="one")
        return number


def _number(value: Any) -> float | None:
    """One finite number, of Python, numpy or torch; None for anything else."""
    if isinstance(value, str | bytes) or (isinstance(value, Quantity) and not is_dimensionless(value)):
        return None
    try:
        found = np.asarray(value, dtype=float)
    except (TypeError, ValueError, RuntimeError):  # torch raises the last one for a tensor with a gradient
        return None
    return float(found.reshape(-1)[0]) if found.size == 1 and np.isfinite(found).all() else None
