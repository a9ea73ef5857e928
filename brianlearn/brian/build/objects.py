"""From a plan to the Brian2 objects of its timing."""

from __future__ import annotations

from brianlearn.brian.build.frame import BrianNetwork
from brianlearn.brian.build.network import Builder
from brianlearn.brian.build.pipelined import PipelinedBuilder
from brianlearn.brian.build.plan import Plan
from brianlearn.brian.build.synaptic import SynapticBuilder

__all__ = ["build"]


def build(plan: Plan, *, standalone: bool = False) -> BrianNetwork:
    """Build the Brian2 objects of a plan on the active device.

    Parameters
    ----------
    plan : Plan
    standalone : bool
        Whether it is for a standalone program: C++ loops may stand for synapses (see `brianlearn.brian.build.loops`),
        and spikes are recorded to files.

    Returns
    -------
    BrianNetwork
    """
    builder: type[Builder] = PipelinedBuilder if plan.pipelined else Builder
    if plan.synaptic is not None:
        builder = SynapticBuilder
    return builder(plan, standalone).build()
