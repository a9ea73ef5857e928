"""Brian2's runtime mode: Python runs the loop, numpy or cython the code of each object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from brian2 import Clock, second
from brian2.devices.device import RuntimeDevice as BrianRuntimeDevice
from brian2.devices.device import get_device, reset_device, set_device

from brianlearn.brian.build.objects import build
from brianlearn.brian.build.plan import Plan
from brianlearn.brian.build.spike_input import SpikeFeed, list_names
from brianlearn.brian.run.feed import output_names
from brianlearn.brian.run.preferences import preferences
from brianlearn.network.samples.samples import Samples

__all__ = ["RuntimeDevice", "runtime_device"]


class RuntimeDevice:
    """Runs a plan in runtime mode.

    Parameters
    ----------
    plan : Plan
    target : {"numpy", "cython"}

    Attributes
    ----------
    times : dict
        Object -> seconds in the last run, where the plan says that they are measured.
    """

    def __init__(self, plan: Plan, target: str) -> None:
        self.plan, self.target = plan, target
        with runtime_device(), preferences(plan.dtype, target):
            self.net = build(plan)
        self.times: dict[str, float] = {}
        self._groups = {g.name: g for g in (*self.net.groups.values(), *self.net.weights.values())}
        self._groups |= {s.name: s for s in self.net.synapses.values()}

    def learn(self, values: dict[str, np.ndarray], n_trials: int, samples: Samples) -> dict[str, np.ndarray]:
        """Run trials of a rule whose reward a function of the user's computes.

        Parameters
        ----------
        values : dict
        n_trials : int
        samples : Samples
            One for each trial: what the function is given.

        Returns
        -------
        dict
            As `run`.

        Raises
        ------
        RuleError
            A function that fails, or gives no number.
        """
        asking = self.net.reward_function
        assert asking is not None
        asking.samples = samples
        try:
            return self.run(values, n_trials)
        finally:
            asking.samples = None

    def run(self, values: dict[str, np.ndarray], n_trials: int) -> dict[str, np.ndarray]:
        """Run n_trials trials and one more step.

        Parameters
        ----------
        values : dict
            See `brianlearn.brian.run.feed.inputs`.
        n_trials : int

        Returns
        -------
        dict
            See `brianlearn.brian.run.feed.collect`.
        """
        net, spec = self.net, self.plan.spec
        with runtime_device(), preferences(self.plan.dtype, self.target):
            net.add_monitors()
            lists: set[str] = set()
            for group, feed in net.feeds.items():
                neurons, counts = list_names(group)
                assert isinstance(feed, SpikeFeed)
                feed.load(values[neurons], values[counts])
                lists |= {neurons, counts}
            for name, value in values.items():
                if name in lists:
                    continue
                if name in net.timed:
                    net.timed[name].values[...] = value
                else:
                    group, variable = name.split(".")
                    target = self._groups[group].variables[variable]
                    target.set_value(np.asarray(value, target.dtype))
            net.network.t_ = 0.0
            duration = (n_trials * spec.n_steps + self._steps_after()) * float(spec.dt) * second
            net.network.run(duration, namespace={}, profile=self.plan.profile)
            if self.plan.profile:
                self.times = {name: float(seconds) for name, seconds in net.network.profiling_info}
            return self._read()

    def _steps_after(self) -> int:
        """Steps after the last trial: the first of them records it and updates the weights.

        Brian2 takes an end that is within a small part of a clock's step for the end of the step before. The clocks of
        trials and batches have long steps: more of the short ones then must follow.
        """
        return 1 + int(2 * Clock.epsilon_dt * self.plan.batch_trials * self.plan.spec.n_steps)

    def _read(self) -> dict[str, np.ndarray]:
        result = {}
        for name in output_names(self.plan):
            group, variable = name.split(".")
            result[name] = np.array(self._groups[group].variables[variable].get_value())
        for name, monitor in self.net.monitors.items():
            if name.startswith("rate_"):
                result[name] = np.array(monitor.variables["rate"].get_value())
            elif name.startswith("spikes_"):
                result[f"{name}.i"] = np.array(monitor.variables["i"].get_value())
                result[f"{name}.t"] = np.array(monitor.variables["t"].get_value())
            else:
                for variable in monitor.record_variables:
                    result[f"{name}.{variable}"] = np.array(monitor.variables[variable].get_value())
        return result


@contextmanager
def runtime_device() -> Iterator[None]:
    """Make runtime mode Brian2's device, whatever the user's script has set, and go back afterwards."""
    switched = not isinstance(get_device(), BrianRuntimeDevice)
    if switched:
        set_device("runtime")
    try:
        yield
    finally:
        if switched:
            reset_device()
