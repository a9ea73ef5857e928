"""Recordings as objects of neo, the data model of electrophysiology in Python (https://neo.readthedocs.io)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from brian2.units.fundamentalunits import Dimension, get_dimensions

from brianlearn.interop.by_trial import ByTrial, package
from brianlearn.network.samples.samples import Activity

if TYPE_CHECKING:
    import neo

    from brianlearn.study.simulated import Simulated

__all__ = ["to_neo"]

#: Base units as Brian2 and quantities call them, and derived ones that have names; all of them without a factor.
_BASE = ("m", "kg", "s", "A", "K", "mol", "cd")
_NAMED = ("V", "S", "ohm", "C", "F", "Hz", "N", "J", "W", "Pa")


def to_neo(activity: Activity | Simulated) -> neo.Block:
    """Recordings as a block of neo, with a segment for every sample (trial).

    Parameters
    ----------
    activity : Activity or Simulated
        What was recorded: of `Learner.infer`, or of a call of a `Simulation`. Inputs that carry a current
        (`Activity.currents`) have no spikes.

    Returns
    -------
    neo.Block
        Its segments have the sample's position as ``index`` and annotation ``sample``. In each: for every layer and
        neuron of which spikes were recorded a `neo.SpikeTrain`, from 0 s to the end of the trial, annotated with
        ``layer`` and ``neuron``; for every variable of a layer a `neo.AnalogSignal` (steps, neurons) with the
        variable's unit, annotated with ``variable`` and ``layer``, and with ``neuron`` for each of its channels.

    Raises
    ------
    BrianLearnError
        If neo is not installed.
    DataError
        If nothing was recorded.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import ms
    >>> spec = bl.NetworkSpec(bl.Input((4,)), [bl.Dense(8, bl.CubaLIF())], bl.Readout(3), duration=10*ms)
    >>> learner = bl.Learner(spec, device="numpy")
    >>> samples = bl.Samples([[0.2, 0.4, 0.6, 0.8], [0.8, 0.6, 0.4, 0.2]])
    >>> activity = learner.infer(learner.init(), samples, record=["spikes", bl.Record("v", neurons=[0, 5])])
    >>> block = bl.to_neo(activity)
    >>> block.segments[1].analogsignals[0].shape
    (10, 2)
    """
    found = ByTrial("to_neo", activity)
    neo, quantities = package("neo", "to_neo"), package("quantities", "to_neo")
    block = neo.Block(name="brianlearn")
    segments = {}
    for trial in found.trials.tolist():
        segments[trial] = neo.Segment(name=f"sample {trial}", index=trial, sample=trial)
        block.segments.append(segments[trial])
    for layer in found.spikes:
        for trial, trains in found.trains(layer):
            segments[trial].spiketrains.extend(
                [
                    neo.SpikeTrain(
                        times,
                        units="s",
                        t_start=0.0,
                        t_stop=found.duration,
                        name=f"{layer}[{i}]",
                        layer=layer,
                        neuron=i,
                    )
                    for i, times in trains.items()
                ]
            )
    for one in found.over_time:
        recorded = one.recorded
        unit = _unit(get_dimensions(recorded.values), quantities)
        step = float(recorded.times[1] - recorded.times[0]) if len(recorded.times) > 1 else found.duration
        for trial, values in zip(one.trials.tolist(), one.values, strict=True):
            segments[trial].analogsignals.append(
                neo.AnalogSignal(
                    values,
                    units=unit,
                    sampling_period=step * quantities.s,
                    t_start=0.0 * quantities.s,
                    name=f"{recorded.layer}.{recorded.variable}",
                    array_annotations={"neuron": np.asarray(recorded.neurons)},
                    variable=recorded.variable,
                    layer=recorded.layer,
                )
            )
    return block


def _unit(dimensions: Dimension, quantities: Any) -> Any:
    """The unit of quantities for what Brian2 keeps in base units."""
    unit = quantities.dimensionless
    if dimensions.is_dimensionless:
        return unit
    for symbol in _BASE:
        power = dimensions.get_dimension(symbol)
        if power:
            unit = unit * quantities.unit_registry[symbol] ** power
    for symbol in _NAMED:
        named = quantities.unit_registry[symbol]
        if named.simplified.dimensionality == unit.simplified.dimensionality and float(named.simplified) == 1.0:
            return named
    return unit
