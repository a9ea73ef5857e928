"""A network as a Brian2 `Network` of plain objects."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from brian2 import Clock, Network, NeuronGroup, Quantity, SpikeGeneratorGroup, Synapses, second
from brian2.groups.group import Group

from brianlearn.brian.export.plain_parts import PlainGroup, PlainNetwork, PlainSynapses, plain_network
from brianlearn.network.samples.samples import Samples
from brianlearn.network.spec import NetworkSpec

__all__ = ["to_brian2"]


def to_brian2(
    spec: NetworkSpec, weights: Mapping[str, np.ndarray], samples: Samples | None = None, *, seed: int = 0
) -> Network:
    """A network as plain Brian2 objects, for scripts of one's own: monitors, stimuli, ``run_regularly``.

    Groups have the names of populations, synapses those of projections behind ``synapses_``; their weights are ``w``
    (``w_syn`` where the target has a variable of that name).
    In double precision it fires the spikes of the learner, in one trial that begins at 0 s. Networks with
    ``timing="brian2"`` run in Brian2's own schedule; those with same-step timing bring their slots along
    (docs/schedule.md), and groups and synapses that a script adds can be put between them.

    Parameters
    ----------
    spec : NetworkSpec
    weights : mapping
        Projection -> array, e.g. the ``weights`` of a learner's state or of a result.
    samples : Samples, optional
        One sample, which the inputs present. Without it they are silent: ``network["input"].x = ...`` gives an encoder
        its values, ``network["input"].set_spikes(...)`` spikes to an input that takes these.
    seed : int, optional
        Of encoders that draw spikes; that of the learner.

    Returns
    -------
    brian2.Network
        ``network.run(spec.duration)`` presents the sample.

    Raises
    ------
    SpecError
        Pipelined timing, and neurons with noise.
    WeightsError
        Weights of another network.
    DataError
        More samples than one.

    Examples
    --------
    >>> import brianlearn as bl
    >>> from brian2 import SpikeMonitor, ms, prefs
    >>> prefs.codegen.target = "numpy"  # compiling takes longer than so small a network
    >>> spec = bl.NetworkSpec(
    ...     bl.Input((4,)), [bl.Dense(3, bl.CubaLIF(R=20.0), name="hidden")], bl.Readout(2), 10 * ms, timing="brian2"
    ... )
    >>> learner = bl.Learner(spec, bl.DALTON(), device="numpy")
    >>> network = bl.to_brian2(spec, learner.init().weights, bl.Samples([[0.9, 0.8, 0.7, 0.6]]))
    >>> spikes = SpikeMonitor(network["input"])
    >>> network.add(spikes)
    >>> network.run(10 * ms)
    >>> int(spikes.num_spikes)
    20
    """
    return network_of(plain_network(spec, weights, samples, seed))


def network_of(plain: PlainNetwork) -> Network:
    """The objects of a description."""
    clock = Clock(dt=plain.dt, name="clock_of_network*")
    network = Network()
    if plain.schedule is not None:
        network.schedule = plain.schedule
    groups = {g.name: _group(g, clock, float(plain.dt)) for g in plain.groups}
    network.add(*groups.values(), *(_synapses(s, groups, clock, float(plain.dt)) for s in plain.synapses))
    return network


def _group(g: PlainGroup, clock: Clock, dt: float) -> Group:
    if g.spikes is not None:
        neurons, steps = g.spikes
        made = SpikeGeneratorGroup(g.n, neurons, steps * dt * second, name=g.name, clock=clock)
        if g.when:
            made.when = g.when["threshold"]
        return made
    options = {"threshold": g.threshold or None, "reset": g.reset or None, "method": g.method}
    options |= {} if g.refractory is None else {"refractory": g.refractory}
    options = {name: value for name, value in options.items() if value is not None}
    made = NeuronGroup(g.n, g.model, namespace=dict(g.constants), name=g.name, clock=clock, **options)
    for name, value in g.values.items():
        setattr(made, name, value)
    for k, r in enumerate(g.regular):
        made.run_regularly(r.code, when=r.when, order=r.order, name=f"{g.name}_regularly_{k}", clock=clock)
    if "state_updater" in g.when and made.state_updater is not None:
        made.state_updater.when = g.when["state_updater"]
    if "threshold" in g.when and "spike" in made.thresholder:
        made.thresholder["spike"].when = g.when["threshold"]
    if "reset" in g.when and "spike" in made.resetter:
        made.resetter["spike"].when = g.when["reset"]
    return made


def _synapses(s: PlainSynapses, groups: Mapping[str, Group], clock: Clock, dt: float) -> Synapses:
    source, target = groups[s.source], groups[s.target]
    made = Synapses(source, target, f"{s.weight} : {s.unit}", on_pre=s.on_pre, name=f"synapses_{s.name}", clock=clock)
    made.connect(i=s.pre, j=s.post)
    setattr(made, s.weight, s.weights if s.unit == "1" else Quantity(s.weights, dim=made.variables[s.weight].dim))
    if s.delay.any():
        made.delay = s.delay * dt * second
    if s.when:
        made.pre.when = s.when
    return made
