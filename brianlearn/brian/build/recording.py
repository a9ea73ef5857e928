"""What a Brian2 network records beside metrics: monitors, and what they saw sorted into trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from brian2 import StateMonitor

from brianlearn.brian.build.plan import Plan
from brianlearn.network.record import Tap

__all__ = ["monitor_names", "over_time", "state_monitors"]


def _variable(plan: Plan, tap: Tap) -> tuple[str, str]:
    """The group that has a variable, and its name there."""
    if tap.variable == "readout":
        return tap.layer, "y"
    if tap.layer in plan.traces and tap.variable.startswith("trace_"):
        trace = plan.traces[tap.layer]
        return trace.source, trace.name(tap.variable.removeprefix("trace_"))
    return tap.layer, tap.variable


def monitor_names(plan: Plan) -> dict[Tap, str]:
    """Name of the monitor of every variable that is recorded over time."""
    return {tap: f"record_{tap.variable}_{tap.layer}" for tap in plan.record if tap.over_time}


def state_monitors(plan: Plan, groups: Mapping[str, Any], clock: Any) -> dict[str, StateMonitor]:
    """Monitors of what is recorded over time, at the end of every step, by name."""
    found = {}
    for tap, name in monitor_names(plan).items():
        group, variable = _variable(plan, tap)
        neurons: Any = True if tap.neurons is None else list(tap.neurons)
        found[name] = StateMonitor(groups[group], variable, record=neurons, clock=clock, when="end", name=name)
    return found


def over_time(plan: Plan, outputs: Mapping[str, np.ndarray], n: int) -> dict[Tap, np.ndarray]:
    """Values of n trials, shape (n, steps that are kept, neurons)."""
    steps, found = plan.spec.n_steps, {}
    for tap, name in monitor_names(plan).items():
        values = outputs[f"{name}.{_variable(plan, tap)[1]}"][: n * steps]
        found[tap] = values.reshape(n, steps, -1)[:, :: tap.every]
    return found
